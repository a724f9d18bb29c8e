//! `docs/org-contract.md` against the code: every example is run, and the lists are the code's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use org_agent::org::KINDS;
use org_agent::org::markdown::markdown;
use org_agent::org::{Change, Stream, apply, languages};

const DOC: &str = include_str!("../docs/org-contract.md");

/// A fenced block: what stands behind its marks, and its text.
struct Block {
    info: &'static str,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = DOC.lines();
    while let Some(line) = lines.next() {
        let info = line.trim_start_matches('`');
        let marks = &line[..line.len() - info.len()];
        if marks.len() >= 3 && !info.contains('`') {
            let text =
                lines.by_ref().take_while(|line| *line != marks).map(|line| format!("{line}\n")).collect();
            blocks.push(Block { info, text });
        }
    }
    blocks
}

/// The tables: of each its head's cells, and its rows.
fn tables() -> Vec<(Vec<String>, Vec<Vec<String>>)> {
    let lines: Vec<&str> = DOC.lines().collect();
    let rows = lines.chunk_by(|a, b| a.starts_with('|') == b.starts_with('|'));
    rows.filter(|rows| rows[0].starts_with('|') && rows[1].starts_with("|--"))
        .map(|rows| (cells(rows[0]), rows[2..].iter().map(|row| cells(row)).collect()))
        .collect()
}

/// The cells of a row; a bar behind a backslash belongs to its cell.
fn cells(row: &str) -> Vec<String> {
    let row = row.strip_prefix('|').unwrap().strip_suffix('|').unwrap();
    row.replace("\\|", "\0").split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
}

/// The text of a code span that is all of a cell.
fn code(cell: &str) -> String {
    let inner = cell.trim_start_matches('`');
    let marks = &cell[..cell.len() - inner.len()];
    assert!(!marks.is_empty(), "{cell} is no code");
    let inner = inner.strip_suffix(marks).unwrap_or_else(|| panic!("{cell} is no code"));
    let spaced = inner.strip_prefix(' ').and_then(|inner| inner.strip_suffix(' '));
    spaced.filter(|_| marks.len() > 1).unwrap_or(inner).replace('⏎', "\n")
}

/// All code spans of one backtick in `text`.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The text with this heading, up to the next one, a paragraph a line.
fn section(title: &str) -> String {
    let text = DOC.split(title).nth(1).expect(title);
    let text = text.split("\n#").next().unwrap();
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ") + "\n").collect()
}

/// The examples: level, what is written, what becomes of it.
fn examples() -> Vec<(usize, String, String)> {
    let mut examples = Vec::new();
    for (head, rows) in tables() {
        let Some(becomes) = head.iter().position(|cell| cell == "becomes") else { continue };
        for row in rows {
            let written = match (head[becomes - 1].as_str(), code(&row[becomes - 1])) {
                ("written", text) => text,
                ("in JSON", text) => serde_json::from_str(&text).unwrap(),
                (other, _) => panic!("a column {other}"),
            };
            let expected = match row[becomes].as_str() {
                "unchanged" => written.clone(),
                cell => code(cell),
            };
            examples.push((1, written, expected));
        }
    }
    let blocks = blocks();
    for (at, block) in blocks.iter().enumerate() {
        if let Some(more) = block.info.strip_prefix("markdown") {
            let level = more.strip_prefix(" level=").map_or(1, |level| level.parse().unwrap());
            let next = blocks.get(at + 1).filter(|next| next.info == "org");
            let next = next.unwrap_or_else(|| panic!("no result of\n{}", block.text));
            examples.push((level, block.text.clone(), next.text.clone()));
        }
    }
    examples
}

#[test]
fn every_example_is_true() {
    let examples = examples();
    let mut reported = BTreeSet::new();
    for (level, written, expected) in &examples {
        let (out, changes) = apply(written, *level);
        assert_eq!(out, *expected, "for {written:?}");
        assert_eq!(changes.is_empty(), written == expected, "{written:?}: {changes:?}");
        assert_eq!(apply(&out, *level), (out.clone(), Vec::new()), "second pass over {written:?}");
        assert_eq!(by_character(written, *level), (out, changes.clone()), "{written:?}, cut");
        reported.extend(changes.iter().map(|change| change.kind));
    }
    let kinds: BTreeSet<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(reported, kinds, "every kind of change has an example");
}

#[test]
fn every_rendering_is_true() {
    let tables = tables();
    let rows = tables.iter().filter(|(head, _)| head[1] == "in Markdown").flat_map(|(_, rows)| rows);
    let mut count = 0;
    for row in rows {
        let (org, expected) = (code(&row[0]), code(&row[1]));
        assert_eq!(apply(&org, 1), (org.clone(), Vec::new()), "{org:?} went through the contract");
        assert_eq!(markdown(&org, 1), format!("{expected}\n"), "for {org:?}");
        count += 1;
    }
    assert!(count > 10, "{count} rows");
}

/// The text, one character at a time: what came out stays, and at most one line is held back.
fn by_character(text: &str, level: usize) -> (String, Vec<Change>) {
    let mut stream = Stream::new(level);
    let mut out = String::new();
    let mut lines = 0;
    for c in text.chars() {
        let before = out.clone();
        stream.push(c.encode_utf8(&mut [0; 4]), &mut out);
        assert!(out.starts_with(&before), "{text:?}");
        lines += usize::from(c == '\n');
        assert!(out.matches('\n').count() + 1 >= lines, "{text:?}: more than a line is held back");
    }
    let changes = stream.finish(&mut out);
    (out, changes)
}

/// So that no example stands there without being run.
#[test]
fn every_block_and_table_is_one_of_those_that_are_tested() {
    let blocks = blocks();
    for (at, block) in blocks.iter().enumerate() {
        match block.info {
            "console" | "markdown" => {}
            "org" => assert!(at > 0 && blocks[at - 1].info.starts_with("markdown"), "{}", block.text),
            info => assert!(info.starts_with("markdown level="), "a block of {info}"),
        }
    }
    for (head, _) in tables() {
        let tested = head.iter().any(|cell| cell == "becomes" || cell == "in Markdown");
        assert!(tested || head[0] == "language" || head[0] == "kind", "a table of {head:?}");
    }
}

#[test]
fn what_is_typed_answers_as_shown() {
    let program = Path::new(env!("CARGO_BIN_EXE_org-agent"));
    let consoles: Vec<Block> = blocks().into_iter().filter(|block| block.info == "console").collect();
    assert!(!consoles.is_empty());
    for console in consoles {
        for typed in console.text.split("$ ").skip(1) {
            let (command, expected) = typed.split_once('\n').unwrap();
            let output = Command::new("sh")
                .args([
                    "-c",
                    &format!("PATH={}:$PATH; ({command}) 2>&1", program.parent().unwrap().display()),
                ])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{command}");
            assert!(output.status.success(), "{command}");
        }
    }
}

#[test]
fn kinds_are_those_of_the_code() {
    let kinds: Vec<(String, String)> = tables()
        .into_iter()
        .filter(|(head, _)| head[0] == "kind")
        .flat_map(|(_, rows)| rows)
        .map(|row| (code(&row[0]), row[1].clone()))
        .collect();
    let expected: Vec<(String, String)> =
        KINDS.iter().map(|(kind, what)| ((*kind).to_owned(), (*what).to_owned())).collect();
    assert_eq!(kinds, expected);
}

#[test]
fn languages_are_those_of_the_code() {
    let text = section("\n### Languages\n");
    let alone = text.split("And without another name: ").nth(1).unwrap().split(".\n").next().unwrap();
    let mut named: Vec<(String, Vec<String>)> =
        spans(alone).into_iter().map(|name| (name.to_owned(), Vec::new())).collect();
    for (head, rows) in tables() {
        if head[0] == "language" {
            named.extend(
                rows.iter()
                    .map(|row| (code(&row[0]), spans(&row[1]).into_iter().map(str::to_owned).collect())),
            );
        }
    }
    for (name, others) in &named {
        for written in others.iter().chain([name, &name.to_uppercase()]) {
            let (out, _) = apply(&format!("```{written}\nx\n```"), 1);
            assert_eq!(out, format!("#+begin_src {name}\nx\n#+end_src"), "{written}");
        }
    }
    let names: BTreeSet<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, languages().collect());
    // The other names are the contract's own affair; its source has no further ones.
    let source = include_str!("../src/org/languages.rs");
    let words = |from: &str| -> BTreeSet<String> {
        let table = source.split(from).nth(1).expect(from).split("];").next().unwrap();
        table.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let all = named.into_iter().flat_map(|(name, others)| others.into_iter().chain([name]));
    assert_eq!(all.collect::<BTreeSet<_>>(), words("const LANGUAGES"));

    let plain = text.split("kept above it.").nth(1).unwrap().split("only say").next().unwrap();
    for name in spans(plain) {
        let (out, _) = apply(&format!("```{name}\nx\n```"), 1);
        assert_eq!(out, "#+begin_example\nx\n#+end_example", "{name}");
    }
    let plain: BTreeSet<String> = spans(plain).into_iter().map(str::to_owned).collect();
    assert_eq!(plain, words("const PLAIN"));
    // What is absent on purpose.
    let absent = text.split("Absent on purpose: ").nth(1).unwrap().split('\n').next().unwrap();
    for name in spans(absent) {
        let (out, _) = apply(&format!("```{name}\nx\n```"), 1);
        assert_eq!(out, format!(": {name}\n#+begin_example\nx\n#+end_example"));
    }
}

#[test]
fn numbers_are_those_of_the_code() {
    let bytes = org_agent::action::MAX_REPLY.to_string();
    let (thousands, rest) = bytes.split_at(bytes.len() - 3);
    assert!(DOC.contains(&format!("{thousands},{rest} bytes")));
    assert!(DOC.contains(&format!("a level from 1 to {}.", org_agent::request::MAX_LEVEL)));
}

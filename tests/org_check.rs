//! `org-agent org check`: as a filter, as JSON lines, with everything that can be wrong with its input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "support/org_text.rs"]
mod org_text;

use std::io::Write as _;
use std::process::{Command, Stdio};

use clap::Parser as _;
use org_agent::action::MAX_REPLY;
use org_agent::cli::org;
use org_agent::error::{Code, Result};
use org_agent::org::{KINDS, apply, explain};
use proptest::prelude::*;
use serde_json::{Value, json};

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    args: org::Args,
}

/// What the command answers, prints, and says on standard error.
fn run(arguments: &[&str], stdin: &[u8]) -> (Result<()>, String, String) {
    let arguments = ["org", "check"].into_iter().chain(arguments.iter().copied());
    let args = Cli::try_parse_from(arguments).unwrap().args;
    let (mut output, mut said) = (Vec::new(), Vec::new());
    let outcome = org::run(&args, &mut &*stdin, &mut output, &mut said);
    (outcome, String::from_utf8(output).unwrap(), String::from_utf8(said).unwrap())
}

fn lines(arguments: &[&str], input: &[u8]) -> Vec<String> {
    let arguments: Vec<&str> = ["--jsonl"].iter().chain(arguments).copied().collect();
    let (outcome, output, said) = run(&arguments, input);
    outcome.unwrap();
    assert_eq!(said, "");
    assert!(output.is_empty() || output.ends_with('\n'));
    output.lines().map(str::to_owned).collect()
}

#[test]
fn text_becomes_org_and_changes_are_told() {
    let cases: &[(&[&str], &str, &str, &str)] = &[
        (&[], "", "", ""),
        (&[], "Just words.", "Just words.", ""),
        (&["-"], "Just words.\n", "Just words.\n", ""),
        (
            &[],
            "# Title\n\n#+call: f()\n",
            "** Title\n\n: #+call: f()\n",
            "line 1: heading: Markdown's heading became a heading of Org's\n\
             line 3: keyword: a line that begins with #+ and is not on the list was made fixed-width\n",
        ),
        (
            &["--level", "3"],
            "* a",
            "**** a",
            "line 1: level: a heading was moved below the one that the text stands under\n",
        ),
        (
            &[],
            "a\r\nb\r\n",
            "a\nb\n",
            "line 1: line-ending: a carriage return became a line feed\n\
             line 2: line-ending: a carriage return became a line feed\n",
        ),
    ];
    for (arguments, input, expected, changes) in cases {
        let (outcome, output, said) = run(arguments, input.as_bytes());
        outcome.unwrap();
        assert_eq!((output.as_str(), said.as_str()), (*expected, *changes), "{input:?}");
    }
}

#[test]
fn files_are_read_and_what_cannot_be_read_is_an_error_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("reply.md");
    let name = path.to_str().unwrap();
    let refused = |arguments: &[&str], stdin: &[u8], parts: &[&str]| {
        let (outcome, output, said) = run(arguments, stdin);
        let error = outcome.unwrap_err();
        assert_eq!(error.code, Code::BadRequest);
        let error = error.to_string();
        for part in parts.iter().chain(&["\n  hint: "]) {
            assert!(error.contains(part), "{error} lacks {part}");
        }
        assert_eq!((output.as_str(), said.as_str()), ("", ""));
    };
    refused(&[name], b"", &[name, "could not be read"]);
    refused(&[name, "--jsonl"], b"", &[name, "could not be read"]);
    refused(&[directory.path().to_str().unwrap()], b"", &["could not be read"]);
    refused(&[], b"caf\xe9\n", &["standard input is not UTF-8", "0xE9", "offset 3"]);
    refused(&[], "é".repeat(2).as_bytes().split_last().unwrap().1, &["0xC3", "offset 2"]);

    std::fs::write(&path, "**x**").unwrap();
    let (outcome, output, said) = run(&[name], b"");
    outcome.unwrap();
    assert_eq!(output, "*x*");
    assert!(said.starts_with("line 1: bold: "), "{said}");

    std::fs::write(&path, b"\xff").unwrap();
    refused(&[name], b"", &[name, "0xFF", "offset 0"]);

    std::fs::write(&path, "{\"id\":1,\"text\":\"**x**\"}\n").unwrap();
    let (outcome, output, _) = run(&[name, "--jsonl"], b"");
    outcome.unwrap();
    assert_eq!(output, "{\"id\":1,\"text\":\"*x*\",\"changes\":[{\"kind\":\"bold\",\"line\":1}]}\n");
}

#[test]
fn a_text_is_as_long_as_a_reply_may_be() {
    // Two bytes a line: cut anywhere, a character would be, too.
    for (length, good) in [(MAX_REPLY, true), (MAX_REPLY + 2, false), (8 << 20, false)] {
        let text = "é".repeat(length / 2);
        let (outcome, output, _) = run(&[], text.as_bytes());
        assert_eq!(outcome.is_ok(), good, "{length}");
        if let Err(error) = outcome {
            let error = error.to_string();
            assert!(error.contains("too long") && error.contains("262144"), "{error}");
        }
        assert_eq!(output == text, good);

        let question = json!({"id": length, "text": text}).to_string();
        let answers = lines(&[], format!("{question}\n{{\"id\":0,\"text\":\"\"}}\n").as_bytes());
        let answer: Value = serde_json::from_str(&answers[0]).unwrap();
        assert_eq!(answer["text"] == json!(text), good);
        assert_eq!(answer.get("error").is_none(), good);
        assert_eq!(answers[1..], ["{\"id\":0,\"text\":\"\",\"changes\":[]}"]);
    }
    let escaped = format!("{{\"text\":\"{}\"}}", "\\u0061".repeat(MAX_REPLY));
    assert!(!lines(&[], escaped.as_bytes())[0].contains("error"));
}

#[test]
fn headings_cannot_grow_without_bound() {
    let many = "* a\n".repeat(MAX_REPLY / 4);
    let (outcome, output, _) = run(&["--level", "64"], many.as_bytes());
    outcome.unwrap();
    assert!(output.len() <= many.len() / 4 * 68, "{}", output.len());
    for level in ["0", "65", "1000000000", "18446744073709551616", "-1", "1.5", "x", ""] {
        let error = Cli::try_parse_from(["org", "check", "--level", level]).err().expect(level);
        assert_eq!(error.exit_code(), 2, "{level}");
        let level = serde_json::from_str(level).unwrap_or(json!(level));
        let question = json!({"id": 1, "text": "* a\n* b", "level": level});
        let answers = lines(&[], question.to_string().as_bytes());
        assert_eq!(
            answers,
            [concat!(
                r#"{"id":1,"text":null,"changes":[],"#,
                r#""error":"`level` is not allowed; give a whole number from 1 to 64"}"#
            )],
            "{question}"
        );
    }
}

#[test]
fn lines_of_json_are_answered_in_order_under_their_own_identifiers() {
    let input = concat!(
        r##"{"id":1,"text":"# T\n#+call: f()","level":2}"##,
        "\n",
        r#"{"text":"* T","id":"a","more":{}}"#,
        "\r\n \n",
        r#"{"id":[0.10, {"b" : null}],"text":"","level":null}"#,
        "\n",
        r#"{"id":123456789012345678901,"text":"\u0000\ud83d\ude00","level":64}"#,
        "\n",
        r#"{"id":null,"text":"```\r\nx"}"#,
        "\n",
        r#"{"id":true,"text":"x\r\n"}"#,
        "\n",
        r#"{"text":"\"\\"}"#,
    );
    let expected = [
        concat!(
            r##"{"id":1,"text":"*** T\n: #+call: f()","changes":"##,
            r#"[{"kind":"heading","line":1},{"kind":"keyword","line":2}]}"#
        ),
        r#"{"id":"a","text":"** T","changes":[{"kind":"level","line":1}]}"#,
        r#"{"id":[0.10, {"b" : null}],"text":"","changes":[]}"#,
        r#"{"id":123456789012345678901,"text":"<U+0000>😀","changes":[{"kind":"invisible","line":1}]}"#,
        concat!(
            r##"{"id":null,"text":"#+begin_example\nx\n#+end_example","changes":[{"kind":"line-ending","line":1},"##,
            r#"{"kind":"fence","line":1},{"kind":"closed","line":2}]}"#
        ),
        r#"{"id":true,"text":"x\n","changes":[{"kind":"line-ending","line":1}]}"#,
        r#"{"id":null,"text":"\"\\","changes":[]}"#,
    ];
    assert_eq!(lines(&[], input.as_bytes()), expected);
    let levels = "{\"text\":\"* a\"}\n{\"text\":\"* a\",\"level\":1}\n{\"text\":\"* a\",\"level\":null}\n";
    let texts: Vec<String> = lines(&["--level", "3"], levels.as_bytes())
        .iter()
        .map(|answer| serde_json::from_str::<Value>(answer).unwrap()["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts, ["**** a", "** a", "**** a"]);
    assert_eq!(lines(&[], b""), [""; 0]);
}

#[test]
fn bad_lines_are_answered_in_step_and_say_why() {
    let many = format!("{{\"id\":1,\"text\":\"{}\"}}", "a".repeat(9 << 20));
    let deep = "[".repeat(100_000);
    let cases: &[(&[u8], &str, &str)] = &[
        (b"no json", "null", "no JSON object"),
        (b"[1]", "null", "no JSON object"),
        (b"\"x\"", "null", "no JSON object"),
        (b"{\"id\":1,\"text\":\"x\"", "null", "EOF"),
        (b"{\"id\":1,\"text\":\"x\"} x", "null", "trailing characters"),
        (b"{\"id\":1,\"text\":\"\xff\"}", "1", "no such JSON object"),
        (b"{\"id\":1,\"id\":2,\"text\":\"x\"}", "null", "duplicate field `id`"),
        (b"{\"id\":1,\"text\":\"x\",\"text\":\"y\"}", "1", "duplicate field `text`"),
        (b"{}", "null", "`text` is missing or no string"),
        (b"{\"id\":2}", "2", "`text` is missing or no string"),
        (b"{\"id\":\"c\",\"text\":null}", "\"c\"", "`text` is missing or no string"),
        (b"{\"id\":3,\"text\":4}", "3", "`text` is missing or no string"),
        (b"{\"id\":3,\"text\":[\"x\"]}", "3", "`text` is missing or no string"),
        (b"{\"id\":3,\"text\":\"\\ud800\"}", "3", "`text` is no Unicode"),
        (b"{\"id\":4,\"text\":\"x\",\"level\":true}", "4", "1 to 64"),
        (b"{\"id\":4,\"text\":\"x\",\"level\":1e999}", "4", "1 to 64"),
        (b"{\"id\":4,\"text\":\"x\",\"level\":2.0}", "4", "1 to 64"),
        (b"{\"id\":4,\"text\":\"x\",\"level\":[2]}", "4", "1 to 64"),
        (many.as_bytes(), "null", "8388608 bytes or more"),
        (deep.as_bytes(), "null", "no JSON object"),
    ];
    let mut input = Vec::new();
    for (line, ..) in cases {
        input.extend_from_slice(line);
        input.push(b'\n');
    }
    let answers = lines(&[], &input);
    assert_eq!(answers.len(), cases.len());
    for ((line, id, why), answer) in cases.iter().zip(answers) {
        let line = String::from_utf8_lossy(&line[..line.len().min(60)]);
        let start = format!("{{\"id\":{id},\"text\":null,\"changes\":[],\"error\":\"");
        assert!(answer.starts_with(&start), "{line}: {answer}");
        assert!(answer.contains(why) && answer.len() < 300, "{line}: {answer}");
        // What to do.
        assert!(answer.contains("; give") || answer.contains("; write"), "{line}: {answer}");
    }
}

/// A stream that cannot be written, for this reason.
struct Broken(std::io::ErrorKind);

impl std::io::Write for Broken {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_output_is_an_error_and_a_reader_that_left_is_none() {
    use std::io::ErrorKind::{BrokenPipe, StorageFull};
    let args = |arguments: &[&str]| Cli::try_parse_from(arguments).unwrap().args;
    let (plain, many) = (args(&["org", "check"]), args(&["org", "check", "--jsonl"]));
    let text = b"**x**".as_slice();
    let question = b"{\"text\":\"\"}".as_slice();
    for (args, input) in [(&plain, text), (&many, question)] {
        let error = org::run(args, &mut &*input, &mut Broken(StorageFull), &mut Vec::new()).unwrap_err();
        assert_eq!(error.code, Code::Internal);
        assert!(error.to_string().contains("hint:"), "{error}");
        org::run(args, &mut &*input, &mut Broken(BrokenPipe), &mut Vec::new()).unwrap();
    }
    let mut output = Vec::new();
    org::run(&plain, &mut &*text, &mut output, &mut Broken(BrokenPipe)).unwrap();
    assert_eq!(output, b"*x*");
}

#[test]
fn the_exit_status_says_whether_the_contract_was_applied() {
    let status = |arguments: &[&str], stdin: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_org-agent"))
            .arg("org")
            .args(arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have left already.
        child.stdin.take().unwrap().write_all(stdin).ok();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(status(&["check"], b"words"), (0, "words".to_owned(), String::new()));
    let (code, output, said) = status(&["check"], b"**x**\n");
    assert_eq!((code, output.as_str()), (0, "*x*\n"));
    assert!(said.starts_with("line 1: bold: "), "{said}");
    let (code, output, said) = status(&["check", "--jsonl"], b"nonsense\n");
    assert_eq!((code, said.as_str()), (0, ""));
    assert!(output.contains("\"error\":"), "{output}");
    let (code, output, said) = status(&["check", "/no/such/file"], b"");
    assert_eq!((code, output.as_str()), (1, ""));
    assert!(said.starts_with("org-agent: /no/such/file could not be read: "), "{said}");
    for wrong in
        [&["check", "--level", "0"][..], &["check", "a", "b"], &["check", "--levels"], &["chek"], &[]]
    {
        let (code, output, said) = status(wrong, b"");
        assert_eq!((code, output.as_str()), (2, ""), "{wrong:?}");
        assert!(!said.is_empty());
    }
    let (code, output, _) = status(&["check", "--help"], b"");
    assert_eq!(code, 0);
    for part in ["Examples:\n", "--level 2\n", "262144 bytes", "1 to 64", "Exit status: 0 "] {
        assert!(output.contains(part), "{output} lacks {part}");
    }
    assert_eq!(status(&["--help"], b"").0, 0);
}

#[test]
fn every_kind_of_change_is_explained() {
    // That there is no other kind, every test of the contract holds: one without an explanation is a panic there.
    assert!(KINDS.is_sorted_by(|(a, _), (b, _)| a < b), "{KINDS:?}");
    for (kind, what) in KINDS {
        assert!(what.len() < 90 && !what.ends_with('.'), "{kind}: {what}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_reported_is_explained(text in org_text::text(), level in 1_usize..4) {
        let (_, changes) = apply(&text, level);
        for change in changes {
            prop_assert!(explain(change.kind).is_some(), "{} has no explanation", change.kind);
        }
    }
}

#[test]
fn a_text_is_printed_as_markdown() {
    let run = |arguments: &[&str], stdin: &[u8]| {
        let arguments = ["org", "markdown"].into_iter().chain(arguments.iter().copied());
        let args = Cli::try_parse_from(arguments).unwrap().args;
        let mut output = Vec::new();
        let outcome = org::run(&args, &mut &*stdin, &mut output, &mut Vec::new());
        (outcome, String::from_utf8(output).unwrap())
    };
    let (outcome, output) = run(&["--level", "2"], b"* A\n\n/it/ <b> `x`\n#+call: f()\n");
    outcome.unwrap();
    assert_eq!(output, "### A\n\n_it_ \\<b> `x`\n\n```\n#+call: f()\n```\n");
    assert_eq!(run(&["-"], b"").1, "");
    let error = run(&["/nowhere/x.org"], b"").0.unwrap_err();
    assert_eq!(error.code, Code::BadRequest);
    assert!(run(&[], &vec![b'x'; MAX_REPLY + 1]).0.is_err());
    assert!(run(&[], b"\xff").0.is_err());
    assert!(Cli::try_parse_from(["org", "markdown", "--level", "0"]).is_err());
}

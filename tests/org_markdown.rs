//! Org text that went through the contract, as Markdown: case by case, by property, and as another parser reads it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "support/org_text.rs"]
mod org_text;

use org_agent::org::apply;
use org_agent::org::markdown::{fence, markdown};
use org_text::text;
use proptest::prelude::*;
use pulldown_cmark::{CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

/// GitHub's Markdown.
fn github() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

fn check(cases: &[(&str, &str)]) {
    for (org, expected) in cases {
        assert_eq!(apply(org, 2).0, *org, "no text of the contract's: {org:?}");
        let expected = if expected.is_empty() { String::new() } else { format!("{expected}\n") };
        assert_eq!(markdown(org, 2), expected, "for {org:?}");
    }
}

/// What a reader sees of Markdown: its words, without marks.
fn seen(text: &str, options: Options) -> String {
    let mut out = String::new();
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Text(text) | Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                out.push_str(&text);
            }
            Event::SoftBreak | Event::HardBreak => out.push('\n'),
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item | TagEnd::TableCell) => {
                out.push('\n');
            }
            _ => {}
        }
    }
    out
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

/// That nothing in `text` acts, whatever the parser's options.
fn is_harmless(text: &str) -> Result<(), String> {
    for options in [Options::empty(), github(), Options::all() - Options::ENABLE_YAML_STYLE_METADATA_BLOCKS] {
        for event in Parser::new_ext(text, options) {
            match event {
                Event::Html(html) | Event::InlineHtml(html) => return Err(format!("HTML: {html}")),
                Event::Start(Tag::HtmlBlock) => return Err("a block of HTML".into()),
                Event::Start(Tag::Image { dest_url, .. }) => return Err(format!("an image: {dest_url}")),
                Event::Start(Tag::Link { link_type, dest_url, .. }) => {
                    let kind = dest_url.split(['/', '?', '#']).next().unwrap().split_once(':');
                    let is_live = match kind {
                        Some((kind, _)) => ["https", "http", "mailto"].contains(&kind),
                        None => !dest_url.starts_with("//") && !dest_url.contains('\\'),
                    };
                    if !is_live || !matches!(link_type, LinkType::Inline | LinkType::Autolink) {
                        return Err(format!("a link: {link_type:?} {dest_url}"));
                    }
                }
                Event::FootnoteReference(name) | Event::Start(Tag::FootnoteDefinition(name)) => {
                    return Err(format!("a footnote: {name}"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[test]
fn text_stays_text() {
    check(&[
        ("", ""),
        ("Just words.", "Just words."),
        ("Two\nlines.\n\nAnother paragraph.\n", "Two\nlines.\n\nAnother paragraph."),
        ("a\n\n\n\nb", "a\n\nb"),
        ("a\\\\\nb\\\\", "a\\\nb"),
        ("snake_case stays, _ not", "snake_case stays, \\_ not"),
        ("1 * 2 < 3 & 4 > 2", "1 \\* 2 < 3 & 4 > 2"),
        ("<b>x</b> &lt; \\x", "\\<b>x\\</b> \\&lt; \\\\x"),
        ("a `tick", "a \\`tick"),
        ("    deep\n\tdeeper", "deep\ndeeper"),
        ("Title\n=====", "Title\n\\====="),
        ("Title\n--", "Title\n\\--"),
        ("#hash\n#1", "\\#hash\n\\#1"),
        ("[text][ref] [x] ![y]", "\\[text\\]\\[ref\\] \\[x\\] \\!\\[y\\]"),
        ("[ref]: https://example.org", "\\[ref\\]: <https://example.org>"),
        ("a | b", "a \\| b"),
        ("$x^2$", "$x^2$"),
        ("$5 and $6", "\\$5 and \\$6"),
        ("$a =b $[i]`=", "\\$a `` b $[i]` ``"),
    ]);
}

#[test]
fn marks() {
    check(&[
        ("*bold* /italic/ _under_ +gone+", "**bold** _italic_ *under* ~~gone~~"),
        ("*/both/* and /*both*/", "**_both_** and _**both**_"),
        ("~code~ =verbatim=", "`code` `verbatim`"),
        ("~a`b~ =`=", "``a`b`` `` ` ``"),
        ("~*not bold*~", "`*not bold*`"),
        ("*bold ~a*b~ on*", "**bold `a*b` on**"),
        ("*open and /crossed* over/", "**open and /crossed** over/"),
        ("2*3*4 a/b/c x_y_z", "2\\*3\\*4 a/b/c x_y_z"),
        ("*** not bold*", "### not bold\\*"),
        ("(*bold*), \"/it/\".", "(**bold**), \"_it_\"."),
        ("+ a", "- a"),
    ]);
}

#[test]
fn headings_keep_their_shape() {
    check(&[
        ("*** A\n**** B\n*** C", "### A\n\n#### B\n\n### C"),
        ("text\n*** A\ntext", "text\n\n### A\n\ntext"),
        ("*** A #\n*** B ##", "### A \\#\n\n### B \\##"),
        ("*** A {#id}", "### A \\{#id}"),
        ("******* deep", "###### deep"),
        ("- a\n*** A", "- a\n\n### A"),
    ]);
    assert_eq!(markdown("** A\n*** B\n", 0), "## A\n\n### B\n");
    assert_eq!(markdown("* A\n** B\n* C\n", 3), "#### A\n\n##### B\n\n#### C\n");
    assert_eq!(markdown("******* A\n\n******** *B* /c/", 6), "**A**\n\n**\\*B\\* _c_**\n");
}

#[test]
fn lists() {
    check(&[
        ("- a\n- b\n  - c\n    more\n- d", "- a\n- b\n  - c\n    more\n- d"),
        ("+ a\n+ b", "- a\n- b"),
        ("1. a\n2. b\n   - c\n10) d", "1. a\n2. b\n   - c\n10) d"),
        ("1. a\n  - b", "1. a\n   - b"),
        ("- [ ] open\n- [X] done\n- [-] some", "- [ ] open\n- [x] done\n- \\[-] some"),
        ("3. [@3] c", "3. c"),
        ("- a\nafter", "- a\n\nafter"),
        ("before\n- a", "before\n\n- a"),
        ("- a\n  3. b", "- a\n\n  3. b"),
        ("- a\n\n  b\n\n- c", "- a\n\n  b\n\n- c"),
        ("- term :: what", "- term :: what"),
        ("- a\n  #+begin_src sh\n  ls\n  #+end_src\n- b", "- a\n\n  ```sh\n  ls\n  ```\n- b"),
        ("  * star\n  * star", "- star\n- star"),
        ("- # x\n- > y\n- - z", "- \\# x\n- \\> y\n- \\- z"),
        ("-\n- a", "-\n- a"),
    ]);
}

#[test]
fn tables() {
    check(&[
        ("| a | b |\n|---+---|\n| 1 | 2 |", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("| 1 | 2 |\n| 3 |", "|  |  |\n| --- | --- |\n| 1 | 2 |\n| 3 |"),
        (
            "|---+---|\n| a | b |\n|---+---|\n| ~c~ | *d* |\n|---+---|",
            "| a | b |\n| --- | --- |\n| `c` | **d** |",
        ),
        ("| a \\vert{} b |", "|  |\n| --- |\n| a \\| b |"),
        ("#+caption: A /table/\n| a |", "A _table_\n\n|  |\n| --- |\n| a |"),
        ("text\n| a |\ntext", "text\n\n|  |\n| --- |\n| a |\n\ntext"),
    ]);
}

#[test]
fn blocks() {
    check(&[
        (
            "#+begin_src emacs-lisp\n(f)\n,* x\n,#+y\n,,* z\n#+end_src",
            "```emacs-lisp\n(f)\n* x\n#+y\n,* z\n```",
        ),
        ("#+begin_example\n```\n#+end_example", "````\n```\n````"),
        (": fixed\n:\n:  x", "```\nfixed\n\n x\n```"),
        ("#+begin_quote\na\n\n- b\n#+end_quote\nc", "> a\n>\n> - b\n\nc"),
        ("#+begin_verse\na\nb\n\nc\n#+end_verse", "a\\\nb\n\nc"),
        ("#+begin_center\na\n#+end_center", "a"),
        ("a\n-----\nb", "a\n\n***\n\nb"),
        ("- a\n  #+begin_quote\n  b\n  #+end_quote\n  c", "- a\n\n  > b\n\n  c"),
        ("#+begin_src sh\n#+end_src", "```sh\n```"),
    ]);
}

#[test]
fn links() {
    check(&[
        ("[[https://example.org/a_b][text]]", "[text](https://example.org/a_b)"),
        ("[[https://example.org]]", "[https://example.org](https://example.org)"),
        (
            "https://example.org/a_b*c, and (http://x.y/z).",
            "<https://example.org/a_b*c>, and (<http://x.y/z>).",
        ),
        ("<https://example.org>", "<https://example.org>"),
        ("[[mailto:a@b.c][write]]", "[write](mailto:a@b.c)"),
        ("[[file:notes.org]]", "[file:notes.org](notes.org)"),
        ("[[file:a b.org::*H][see /this/]]", "[see _this_](a%20b.org)"),
        ("[[./a.png]]", "[./a.png](./a.png)"),
        ("[[https://x.y/(a)&b][d]]", "[d](https://x.y/\\(a\\)\\&b)"),
        ("[[id:4f2c][text]] [[*Heading]] [[#custom]]", "text \\*Heading #custom"),
        ("![[https://x.y/a.png][a]]", "\\![a](https://x.y/a.png)"),
        ("[[~/notes.org][home]]", "home"),
        ("[fn:1] A note.", "\\[fn:1\\] A note."),
    ]);
    for hostile in [
        "[[javascript:alert(1)][x]]",
        "<javascript:alert(1)>",
        "[x](javascript:alert(1))",
        "![x](http://x.y/a.png)",
        "[x]: javascript:alert(1)\n\n[x]",
        "<img src=x onerror=alert(1)>",
        "<!-- x -->",
        "[[file://host/share][x]]",
        "[[file:///etc/passwd][x]]",
        "&#60;b&#62;",
        "- <b>\n  <i>",
        "#+begin_quote\n<b>\n#+end_quote",
    ] {
        for text in [hostile.to_owned(), apply(hostile, 2).0] {
            let out = markdown(&text, 2);
            assert_eq!(is_harmless(&out), Ok(()), "{out}");
        }
    }
}

#[test]
fn a_fence_is_longer_than_what_is_in_it() {
    for (code, expected) in [("", "```"), ("a `b` ``", "```"), ("```", "````"), ("x\n`````\n", "``````")] {
        assert_eq!(fence(code), expected);
    }
}

/// The code blocks of Markdown.
fn code_blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for event in Parser::new_ext(text, github()) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.to_string(),
                    CodeBlockKind::Indented => "indented".to_owned(),
                };
                open = Some((info, String::new()));
            }
            Event::Text(text) => {
                if let Some((_, code)) = &mut open {
                    code.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => found.extend(open.take()),
            _ => {}
        }
    }
    found
}

#[test]
fn hostile_text_takes_time_for_its_length() {
    let pieces = [
        "[[",
        "[[a][",
        "[[https://x][",
        "=a ",
        "~a ",
        "*a ",
        "*a*",
        "/_*+",
        "`",
        "<",
        "https://x)",
        "https://",
        "mailto:",
        "mailto:a",
        "- ",
        "\n- a\n",
        "#+begin_quote\n",
        "#+begin_center\n- a\n",
        "#+begin_src\n",
        "| a ",
        "| a |\n",
        "\n:",
        "#",
        "*",
        "_",
        "\\\\\n",
        "\n\n",
        "999999999. ",
        "[ ] ",
        "&",
        "!",
        ")",
    ];
    for piece in pieces {
        let text = piece.repeat(50_000 / piece.len());
        for text in [text.clone(), format!("** {text}"), format!("| {text}"), format!("- {text}")] {
            let out = markdown(&text, 2);
            assert!(out.len() < 60 * text.len(), "{piece:?}: {} bytes of {}", out.len(), text.len());
        }
    }
    // Each line one deeper.
    let deep: String = (0..600).map(|depth| format!("{}- a\n", " ".repeat(depth))).collect();
    assert!(markdown(&deep, 2).len() < 2 * deep.len());
}

/// Words with marks, as models write them.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a",
        "word",
        "**bold**",
        "`code`",
        "`a*b`",
        "[text](https://example.org/a_b)",
        "[file](notes.md)",
        "snake_case",
        "é日本",
        "2 * 3",
        "**bold `code` on**",
        "\"quoted\"",
        "(aside)",
        "~~gone~~",
        "https://example.org/x",
        "a < b",
        "C#",
        "100%",
        "x = y",
    ]);
    prop::collection::vec(word, 1..5).prop_map(|words| words.join(" "))
}

fn block() -> impl Strategy<Value = String> {
    let lines = prop::collection::vec(words(), 1..4);
    (0..8, lines).prop_map(|(kind, lines)| {
        let all =
            |before: &str| lines.iter().map(|line| format!("{before}{line}")).collect::<Vec<_>>().join("\n");
        match kind {
            0 => format!("## {}", lines[0]),
            1 => all("- "),
            2 => all("> "),
            3 => format!("```py\n{}\n```", all("")),
            4 => format!("| {} | b |\n|---|---|\n| c | {} |", lines[0], lines[lines.len() - 1]),
            5 => lines
                .iter()
                .enumerate()
                .map(|(n, line)| format!("{}. {line}", n + 1))
                .collect::<Vec<_>>()
                .join("\n"),
            6 => format!("- outer\n  - {}\n  - inner\n- [ ] box", lines[0]),
            _ => all(""),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_acts(text in text(), level in 0usize..9) {
        let (org, _) = apply(&text, level.max(1));
        for org in [&org, &text] {
            let out = markdown(org, level);
            prop_assert_eq!(is_harmless(&out), Ok(()), "{:?} of {:?}", out, org);
        }
    }

    #[test]
    fn the_words_stay(blocks in prop::collection::vec(block(), 0..8)) {
        let text = blocks.join("\n\n");
        let (org, _) = apply(&text, 2);
        let out = markdown(&org, 2);
        prop_assert_eq!(letters(&seen(&out, github())), letters(&seen(&text, github())), "{:?}\n{:?}\n{:?}", text, org, out);
    }

    #[test]
    fn code_survives(code in "([ \\t]{0,2}[*#+`~,a>\u{e9}|-]{0,4}\n){0,6}", before in prop::sample::select(vec!["", "- a\n", "text\n", "*** H\n"])) {
        let fenced = fence(&code);
        let tildes = "~".repeat(code.len() + 3);
        for text in [format!("{before}\n{fenced}py\n{code}{fenced}\n"), format!("{before}\n{tildes}\n{code}{tildes}\nafter\n")] {
            let org = apply(&text, 2).0;
            let found = code_blocks(&markdown(&org, 2));
            prop_assert_eq!(found.len(), 1, "{:?}", org);
            prop_assert_eq!(&found[0].1, &code, "{:?}\n{}", org, markdown(&org, 2));
        }
    }

    #[test]
    fn any_text_is_rendered(text in any::<String>(), level in 0usize..70) {
        let out = markdown(&text, level);
        prop_assert_eq!(is_harmless(&out), Ok(()), "{:?} of {:?}", out, text);
    }
}

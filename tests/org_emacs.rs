//! The Org contract against a real Emacs: whatever Org would run of a raw text, it runs nothing of what the
//! contract made of it. Needs `emacs` (28.1 or newer) on the path.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "support/org_text.rs"]
mod org_text;

use std::path::Path;
use std::process::Command;

use org_agent::org::{apply, languages};
use org_agent::redact::Keys;
use org_agent::why;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use serde::Deserialize;
use serde_json::json;

/// What Emacs saw of a text, and did with it.
#[derive(Debug, Deserialize)]
struct Seen {
    name: String,
    fired: Vec<String>,
    prompts: Vec<String>,
    found: Vec<String>,
    headings: Vec<usize>,
}

/// The headings above each text: the user's prompt, and the reply's.
const ABOVE: &str = "* USER\nprompt\n** ASSISTANT\n";
const LEVEL: usize = 2;

/// A hazard, its raw text, and how one sees that the raw text is one.
struct Hazard {
    name: &'static str,
    text: &'static str,
    shows: Shows,
}

enum Shows {
    /// Something of it runs, whatever the user answers.
    Runs,
    /// The user is asked.
    Asks,
    /// Org finds this element.
    Is(&'static str),
}
use Shows::{Asks, Is, Runs};

const fn hazard(name: &'static str, shows: Shows, text: &'static str) -> Hazard {
    Hazard { name, text, shows }
}

const HAZARDS: &[Hazard] = &[
    hazard("header arguments", Runs, "#+begin_src emacs-lisp :var x=(oa-sentinel)\n1\n#+end_src\n"),
    hazard("header line", Runs, "#+HEADER: :var x=(oa-sentinel)\n#+begin_src emacs-lisp\n1\n#+end_src\n"),
    hazard("fence arguments", Is("x"), "```emacs-lisp :var x=(oa-sentinel)\n1\n```\n"),
    hazard(
        "tangle",
        Is("src-block emacs-lisp parameters"),
        "#+begin_src emacs-lisp :tangle /tmp/x :exports results\n1\n#+end_src\n",
    ),
    hazard("switches", Is("src-block sh switches"), "#+begin_src sh -n -r -l \"(x)\"\n1\n#+end_src\n"),
    hazard(
        "property",
        Runs,
        "#+PROPERTY: header-args :var x=(oa-sentinel)\n#+begin_src emacs-lisp\n1\n#+end_src\n",
    ),
    hazard("call", Runs, "#+name: f\n#+begin_src emacs-lisp\n1\n#+end_src\n#+CALL: f(x=(oa-sentinel))\n"),
    hazard("inline call", Asks, "#+name: f\n#+begin_src emacs-lisp\n1\n#+end_src\na call_f() b\n"),
    hazard("inline source", Runs, "a src_emacs-lisp[:var x=(oa-sentinel)]{1} b\n"),
    hazard(
        "inline source, odd",
        Is("inline-src-block"),
        "(src_sh{ls}) -src_sh{ls} _src_sh{ls}, x*src_sh{ls}\n",
    ),
    hazard("inline source over code", Is("inline-src-block"), "_a =b_ src_sh{x} =c\n"),
    hazard("inline source over lines", Is("inline-src-block"), "a =b\n(~x=) src_sh{z}~)\n"),
    hazard("inline source behind a link", Is("inline-src-block"), "[[https://x][=a]] src_sh{x} =b\n"),
    hazard("language", Runs, "#+begin_src oa-evil\nx\n#+end_src\n"),
    hazard(
        "language of another block",
        Runs,
        "#+begin_example oa-evil\nx\n#+end_example\n#+begin_quote oa-evil\nx\n#+end_quote\n",
    ),
    hazard("language server", Runs, "#+begin_src server\nx\n#+end_src\n"),
    hazard("language in a fence", Is("x"), "```oa-evil\nx\n```\n~~~server\nx\n~~~\n"),
    hazard("special block", Is("special-block"), "#+begin_foo\nx\n#+end_foo\n"),
    hazard("comment block", Is("comment-block"), "#+begin_comment\nx\n#+end_comment\n"),
    hazard("table formula", Runs, "| a | 1 |\n#+TBLFM: $2='(oa-sentinel)\n"),
    hazard("field formula", Runs, "| a | ='(oa-sentinel) | :='(oa-sentinel) |\n"),
    hazard("plot", Is("affiliated :plot"), "#+PLOT: script:\"x\"\n| 1 | 2 |\n"),
    hazard("macro", Runs, "#+MACRO: m (eval (oa-sentinel))\n{{{m}}}\n"),
    hazard("macro of the user", Is("macro"), "a {{{author}}} and {{{{modification-time(%Y, t)}}}\n"),
    hazard("dynamic block", Runs, "#+BEGIN: clocktable :formatter oa-sentinel\n#+END:\n"),
    hazard("diary", Runs, "%%(oa-sentinel) x\n"),
    hazard("diary with a mark", Runs, "&%%(oa-sentinel) x\n"),
    hazard("diary in an example", Runs, "#+begin_example\n%%(oa-sentinel) x\n#+end_example\n"),
    hazard("diary timestamp", Runs, "a <%%(oa-sentinel)> b\n"),
    hazard("diary timestamp in a title", Runs, "* a <%%(oa-sentinel)>\n"),
    hazard("bind", Is("keyword BIND"), "#+BIND: org-export-filter-final-output-functions (oa-sentinel)\n"),
    hazard("setup file", Runs, "#+SETUPFILE: setup.org\n#+begin_src emacs-lisp\n1\n#+end_src\n"),
    hazard("include", Runs, "#+INCLUDE: secret.txt\n"),
    hazard("raw html", Runs, "#+HTML: <oa-raw>\n"),
    hazard("raw html inline", Runs, "a @@html:<oa-raw>@@ @@@html:<oa-raw>@@\n"),
    hazard("raw html block", Runs, "#+begin_export html\n<oa-raw>\n#+end_export\n"),
    hazard("raw html head", Runs, "#+HTML_HEAD: <oa-raw>\n"),
    hazard("html tags", Is("paragraph"), "<oa-raw>x</oa-raw>\n"),
    hazard("html in a fragment", Runs, "a $x<oa-raw>$ \\(<oa-raw>\\) \\x{<oa-raw>} $$\n<oa-raw>$$\n"),
    hazard("html in an environment", Runs, "\\begin{x}\n\n<oa-raw>\n\\end{x}\n"),
    hazard(
        "html in a link",
        Is("x"),
        "[[https://x\"><oa-raw>]] [[#x\"><oa-raw>]] [[id:\"><oa-raw>]] [[file:\"><oa-raw>.png]] [a](x\"><oa-raw>)\n",
    ),
    hazard("attributes", Is("x"), "#+ATTR_HTML: :onclick x\n[[https://x]]\n"),
    hazard("link abbreviation", Is("keyword LINK"), "#+LINK: foo file:%(oa-sentinel)\n[[foo:x]]\n"),
    hazard(
        "lisp link",
        Is("link elisp"),
        "[[elisp:(oa-sentinel)][x]] elisp:(oa-sentinel) <elisp:(oa-sentinel)>\n",
    ),
    hazard(
        "lisp link, escaped",
        Is("link elisp"),
        "\\[[elisp:(oa-sentinel)]] ![[elisp:(f)]] [[[elisp:(f)]]] `a`[[elisp:(f)]]\n",
    ),
    hazard(
        "lisp link in ticks",
        Is("link elisp"),
        "x`[[elisp:(oa-sentinel)]]`x ``[[ELISP:(f)]]`` *`[[elisp:(f)]]`*\n",
    ),
    hazard("lisp link over lines", Is("link elisp"), "[[elisp:\n(oa-sentinel)]] and <elisp:\n(f)>\n"),
    hazard(
        "links in links",
        Is("x"),
        "x src[_emacs-lisp[:var x=(oa-sentinel)]{1} [b](https://c)](https://d)\n#[+call: [b](https://c)](https://d)\n*[ a [b](https://c)](https://d)\n[%%(oa-sentinel) [b](https://c)](https://d)\n",
    ),
    hazard(
        "source behind the end of a link's path",
        Runs,
        "/a [[x/-src_emacs-lisp][:var x=(oa-sentinel)]{1} b]]\n",
    ),
    hazard(
        "call behind the end of a link's path",
        Is("inline-babel-call"),
        "/a [[https://x/-call_f][:var x=1](oa-sentinel)]]\n",
    ),
    hazard(
        "links behind the end of a link's path",
        Is("link shell"),
        "/a [[https://x/-shell:ls]]\n\na_{b [[https://x}shell:ls]]\n\n<<t [[x>>shell:ls]]\n\n/a [[x/ <shell:ls>]]\n\n/a [d](https://x/-shell:ls)\n",
    ),
    hazard(
        "block of text with another blank at its end",
        Runs,
        "#+begin_verse\nx\n#+end_verse\u{a0}\n#+begin_example\nsrc_emacs-lisp[:var x=(oa-sentinel)]{1}\n#+end_example\n#+begin_verse\nx\n#+end_verse\n",
    ),
    hazard(
        "formula with another blank at its end",
        Runs,
        "| ='(oa-sentinel)=\u{a0}|\n| ='(oa-sentinel)=\u{3000}|\n",
    ),
    hazard(
        "types in capitals",
        Runs,
        "HTTPS://x/a\"onoa=\"y\nMAILTO:x\"onoa=\"y\n<Http://x/a?\" onoa=\"y>\nID:x\"onoa=\"y\n",
    ),
    hazard("bibtex link", Runs, "bibtex:x\"onoa=\"y\n<bibtex:/ssh:h:/x>\n"),
    hazard("radio target at a link's end", Is("x"), "/a [b/ <<<](https://x) r>>>\n"),
    hazard("shell link", Is("link shell"), "[[shell:touch x][x]] shell:ls\n"),
    hazard(
        "other links",
        Is("link help"),
        "[[help:x]] [[info:x]] [[man:ls]] [[attachment:x]] [[docview:x]] info:x man:ls <help:x>\n",
    ),
    hazard("file with an application", Is("link file"), "[[file+sys:x]] [[file+emacs:x]] file+sys:x\n"),
    hazard("target that is no word", Is("radio-target"), "<<<oa>>> oa\n"),
    hazard("drawer", Is("drawer"), ":NOTES:\nx\n:END:\n"),
    hazard(
        "properties",
        Runs,
        "* a\n:PROPERTIES:\n:header-args: :var x=(oa-sentinel)\n:END:\n#+begin_src emacs-lisp\n1\n#+end_src\n",
    ),
    hazard(
        "planning",
        Is("planning"),
        "* a\nSCHEDULED: <2024-01-01>\n* b\ndeadline: <2024-01-01> CLOSED: [2024-01-01]\n",
    ),
    hazard("clock", Is("clock"), "* a\nCLOCK: [2024-01-01 Mon 10:00]\nclock: x\n"),
    hazard("local variables", Asks, "# Local Variables:\n# eval: (oa-sentinel)\n# End:\n"),
    hazard(
        "local variables in code",
        Asks,
        "#+begin_src sh\n# LOCAL variables:\n# eval: (oa-sentinel)\n# End:\n#+end_src\n",
    ),
    hazard("shorthands", Runs, ": Local Variables:\n: read-symbol-shorthands: ((\"x\" . \"y\"))\n: End:\n"),
    hazard(
        "code in a footnote",
        Runs,
        "[fn:1] a\n#+begin_example\n\n\nsrc_emacs-lisp[:var x=(oa-sentinel)]{1}\n#+end_example\n",
    ),
    hazard(
        "footnote in code",
        Runs,
        "[fn:1] a\n#+begin_example\n[fn:2] b\nsrc_emacs-lisp[:var x=(oa-sentinel)]{1}\n#+end_example\n",
    ),
    hazard("inline footnote", Is("inline-src-block"), "a[fn:: src_sh{ls}] b\n"),
    hazard(
        "environment over a block",
        Runs,
        "\\begin{x}\n#+begin_example\n\\end{X}\nsrc_emacs-lisp[:var x=(oa-sentinel)]{1}\n#+end_example\n",
    ),
    hazard(
        "environment over an item",
        Runs,
        "- a\n  \\begin{x}\n- b\n  | a | ='(oa-sentinel) |\n  \\end{x}\n",
    ),
    hazard(
        "environment behind an item",
        Runs,
        "- a\n  \\begin{x}\n\n\n  | a | ='(oa-sentinel) |\n  \\end{x}\n- a\n  \\begin{y}\n| a | ='(oa-sentinel) |\n\\end{y}\n",
    ),
    hazard("block without end", Is("headline"), "#+begin_src sh\n* a\n#+end_quote\n"),
    hazard(
        "blocks across",
        Is("special-block"),
        "#+begin_quote\n#+begin_center\n#+end_quote\n#+begin_x\n#+end_x\n#+end_center\n",
    ),
    hazard(
        "fixed-width in verse",
        Is("inline-src-block"),
        "#+begin_verse\n: src_sh{ls}\n\n: [[elisp:(f)]]\n#+end_verse\n",
    ),
    hazard(
        "caption",
        Is("x"),
        "#+caption: a src_emacs-lisp[:var x=(oa-sentinel)]{1} @@html:<oa-raw>@@\n| a |\n",
    ),
    hazard(
        "tex",
        Is("latex \\input{/etc/passwd}"),
        "\\input{/etc/passwd} $\\input{x}$ \\(\\write18{x}\\)\n\\begin{a}\n\\include{x}\n\\end{a}\n",
    ),
    hazard(
        "quote",
        Is("x"),
        "> #+call: f()\n> src_emacs-lisp[:var x=(oa-sentinel)]{1}\n> %%(oa-sentinel)\n>> :END:\n",
    ),
    hazard(
        "list",
        Is("x"),
        "- #+call: f()\n  #+call: f()\n  1. src_emacs-lisp[:var x=(oa-sentinel)]{1}\n     #+begin_src oa-evil\nx\n\n\n     #+end_src\n",
    ),
    hazard(
        "inline source behind other blanks",
        Runs,
        "a =\u{a0}x src_emacs-lisp[:var x=(oa-sentinel)]{1}= =a=\u{3000}src_emacs-lisp[:var x=(oa-sentinel)]{2}= b\n",
    ),
    hazard(
        "inline source behind a term",
        Runs,
        "- =a :: src_emacs-lisp[:var x=(oa-sentinel)]{1}= b\n- `a :: src_emacs-lisp[:var x=(oa-sentinel)]{2}` b\n",
    ),
    hazard(
        "inline source in a path",
        Is("inline-src-block"),
        "[[https://a][b [[https://x src_sh{ls}]] c]]\n- [[https://x :: src_sh{ls}]]\n",
    ),
    hazard(
        "drawer with an odd name",
        Runs,
        ":%:\n#+begin_example\n:END:\nsrc_emacs-lisp[:var x=(oa-sentinel)]{1}\n#+end_example\n:a$b:\n",
    ),
    hazard(
        "footnote in capitals",
        Runs,
        "[FN:1] a\n#+begin_example\n\n\nsrc_emacs-lisp[:var x=(oa-sentinel)]{1}\n#+end_example\n",
    ),
    hazard(
        "environment in capitals",
        Runs,
        "\\BEGIN{x}\n#+begin_example\n\\end{x}\nsrc_emacs-lisp[:var x=(oa-sentinel)]{1}\n#+end_example\n",
    ),
    hazard(
        "attribute in a bracket link",
        Runs,
        "[[https://x\" onoa=\"y][a]] [[file:a\" onoa=\"y][b]] [[https://x%22%20onoa=%22y][c]] [d](https://x%22onoa=%22y)\n",
    ),
    hazard(
        "attribute in a plain link",
        Runs,
        "https://x\"onoa=\"y https://x%22onoa=%22y file:x\"onoa=\"y {\"u\":\"https://x\",\"onoa=\"y}\n",
    ),
    hazard(
        "attribute in an angle link",
        Runs,
        "<https://x\" onoa=\"y> <https://x%22%20onoa=%22y> <file:x\" onoa=\"y> <https://x\n \" onoa=\"y>\n",
    ),
    hazard(
        "remote file",
        Runs,
        "[[file:/ssh:h:/x]] file:/ssh:h:/x <file:/ssh:h:/x> [[/ssh:h:/x]] [a](/ssh:h:/x)\n",
    ),
    hazard(
        "remote file by a variable",
        Runs,
        "file:/ssh$OA_COLON$OA_COLON/x <file:/ssh$OA_COLON$OA_COLON/x>\n",
    ),
    hazard(
        "links in a comment",
        Asks,
        "a\n\n    # =[[elisp:(oa-sentinel)]]= [[shell:x]]\n#+caption: =[[elisp:(oa-sentinel)]]=\n\n",
    ),
    hazard("tangle to a file", Runs, "#+begin_src emacs-lisp :tangle oa-tangled.el\n1\n#+end_src\n"),
    hazard(
        "open clock",
        Runs,
        "* a\n#+begin_example\nCLOCK: [2024-01-01 Mon 10:00]\n#+end_example\n: CLOCK: [2024-01-01 Mon 10:00]\n",
    ),
    hazard(
        "tex by an environment",
        Is("latex \\begin{input"),
        "a \\begin{input}{/etc/passwd} \\begin{in\\empty put} \\begin x\n\\begin{filecontents*}{x}\ny\n\\end{filecontents*}\n",
    ),
    hazard(
        "tex in a path",
        Is("x"),
        "[[https://x}^^5cinput{/etc/passwd}{][d]] [d](https://x}^^5cinput{/etc/passwd}{)\n",
    ),
    hazard("invisible", Is("x"), "\u{200b}#+call: f()\n\u{feff}* a\n#\u{200b}+call: x\nsrc_\u{2060}sh{ls}\n"),
    hazard("line ends", Is("x"), "a\r#+call: f()\r\n* b\r\n:PROPERTIES:\r\n:END:\r\n"),
];

/// Runs `cases` (name and text) through Emacs; `full` adds agenda, tables, `C-c C-c` and more.
fn emacs(cases: &[(String, String)], full: bool) -> Vec<Seen> {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("cases.json"), dir.path().join("results.json"));
    let cases: Vec<_> =
        cases.iter().map(|(name, text)| json!({"name": name, "text": text, "full": full})).collect();
    std::fs::write(&input, serde_json::to_vec(&cases).unwrap()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emacs/org-hazards.el");
    let run = Command::new("emacs")
        .args(["-Q", "--batch", "-l"])
        .arg(script)
        .args(["-f", "oa-main"])
        .args([&input, &output])
        .env("HOME", dir.path())
        .env("OA_COLON", ":h")
        .output()
        .expect("emacs, 28.1 or newer, is needed for this test");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let seen: Vec<Seen> = serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
    assert_eq!(seen.len(), cases.len());
    seen
}

/// Everything that Org may find in what the contract made.
fn is_allowed(found: &str) -> bool {
    const PLAIN: &[&str] = &[
        "section",
        "headline",
        "paragraph",
        "plain-list",
        "item",
        "example-block",
        "quote-block",
        "verse-block",
        "center-block",
        "fixed-width",
        "horizontal-rule",
        "table",
        "table-row",
        "table-cell",
        "comment",
        "footnote-definition",
        "footnote-reference",
        "bold",
        "italic",
        "underline",
        "verbatim",
        "code",
        "strike-through",
        "superscript",
        "subscript",
        "entity",
        "line-break",
        "statistics-cookie",
        "target",
        "citation",
        "citation-reference",
        "keyword CAPTION",
    ];
    const TEX: &[&str] = &["input", "include", "write", "href", "csname"];
    let name = |command: &str| command.chars().take_while(char::is_ascii_alphabetic).collect::<String>();
    match found.split_once(' ') {
        _ if PLAIN.contains(&found) => true,
        Some(("link", kind)) => {
            ["https", "http", "mailto", "id", "file", "fuzzy", "custom-id", "coderef"].contains(&kind)
        }
        Some(("src-block", language)) => languages().any(|l| l == language),
        Some(("timestamp", kind)) => kind != "diary",
        Some(("latex", value)) => !value.split('\\').any(|command| TEX.contains(&name(command).as_str())),
        _ => false,
    }
}

/// Checks that nothing of the text acts, and that it stands where it should; says what is wrong.
fn faults(seen: &Seen, text: &str, above: usize) -> Option<String> {
    // C-c C-c on a heading asks for tags, C-c C-c and C-c C-o on a source block whether to run it, C-c C-o on
    // a footnote whether to define it, on a heading which link to follow: these are the user's own.
    let own = |p: &str| {
        p.starts_with("ctrl-c: Evaluate this")
            || p.starts_with("open: Evaluate this")
            || p.starts_with("open: No definition for")
            || p.contains("\"Tags: \"")
            || p.contains("read-char-exclusive nil")
    };
    let asked = seen.prompts.iter().filter(|p| !own(p));
    let found = seen.found.iter().filter(|f| !is_allowed(f));
    let floor = if above > 0 { LEVEL + 1 } else { 2 };
    let high = seen.headings.iter().skip(above).filter(|level| **level < floor).map(ToString::to_string);
    let faults: Vec<String> = seen.fired.iter().chain(asked).chain(found).cloned().chain(high).collect();
    (!faults.is_empty()).then(|| format!("{}: {faults:?}\n{text}\n\n", seen.name))
}

/// Runs `cases` and checks them all.
fn check_inert(cases: &[(String, String)], full: bool) -> Vec<Seen> {
    let seen = emacs(cases, full);
    let faults: String =
        cases.iter().zip(&seen).filter_map(|((_, text), seen)| faults(seen, text, 2)).collect();
    assert!(faults.is_empty(), "{faults}");
    seen
}

#[test]
fn hazards_are_inert() {
    let cases = |of: &dyn Fn(&str) -> String| -> Vec<(String, String)> {
        HAZARDS.iter().map(|h| (h.name.to_owned(), format!("{ABOVE}{}", of(h.text)))).collect()
    };
    for (hazard, seen) in HAZARDS.iter().zip(emacs(&cases(&str::to_owned), true)) {
        let shows = match hazard.shows {
            Runs => !seen.fired.is_empty(),
            Asks => ["Evaluate", "Execute", "local variables"]
                .iter()
                .any(|asked| seen.prompts.iter().any(|p| p.contains(asked))),
            Is("x") => true,
            Is(element) => seen.found.iter().any(|f| f.starts_with(element)),
        };
        assert!(shows, "the raw text is no such hazard here: {}: {seen:?}", hazard.name);
    }
    let made = cases(&|text| apply(text, LEVEL).0);
    check_inert(&made, true);
}

/// Everything behind a turn in which `text` stands wherever something comes from others.
fn behind(text: &str) -> String {
    let why = json!({"turnId": text, "state": text, "reason": text, "events": [
        {"time": 1, "type": "chat.message.sent", "text": text, "context": [{"kind": "file", "name": text, "text": ""}]},
        {"time": 2, "type": "turn.dispatched", "skill": text, "triggered": [{"skill": text}], "notes": [text]},
        {"time": 3, "type": "turn.prompted", "attempt": 1, "model": text, "messages": [{"role": text, "text": text}]},
        {"time": 4, "type": "turn.replied", "attempt": 1, "raw": text,
         "verdict": {"verdict": "reject", "kind": text, "offset": 3, "message": text}},
        {"time": 5, "type": "turn.gated", "attempt": 1, "gates": [{"skill": text, "why": text, "sexp": text}]},
        {"time": 6, "type": "chat.action.proposed", "attempt": 1, "actuation": "a", "sexp": text},
        {"time": 7, "type": "chat.action.permitted", "actuation": "a", "rule": text, "command": text,
         "approved": {"steps": [{"op": text, "argv": [text]}]}},
        {"time": 8, "type": "chat.action.executed", "actuation": "a", "outcome": {"stdout": text, "message": text}},
        {"time": 9, "type": text, "attempt": 1, "actuation": text},
    ]});
    why::org(&why, &Keys::default())
}

/// Text, and what can be made of a word or two in a heading without doing anything.
const BEHIND: [&str; 14] = [
    "section",
    "headline",
    "property-drawer",
    "node-property",
    "fixed-width",
    "example-block",
    "bold",
    "italic",
    "underline",
    "verbatim",
    "code",
    "strike-through",
    "subscript",
    "superscript",
];

#[test]
fn what_is_behind_a_turn_is_inert() {
    let mut runner = TestRunner::deterministic();
    let texts = org_text::text();
    let random = (0..40).map(|_| texts.new_tree(&mut runner).unwrap().current());
    let hazards = HAZARDS.iter().map(|hazard| hazard.text.to_owned());
    let cases: Vec<_> = hazards.chain(random).map(|text| (format!("{text:?}"), behind(&text))).collect();
    let levels = |page: &str| -> Vec<usize> {
        page.lines()
            .map(|line| line.len() - line.trim_start_matches('*').len())
            .filter(|level| *level > 0)
            .collect()
    };
    let expected = levels(&cases[0].1);
    for ((name, page), seen) in cases.iter().zip(emacs(&cases, false)) {
        assert_eq!(seen.headings, expected, "{name}\n{page}");
        assert!(seen.fired.is_empty(), "{name}: {:?}\n{page}", seen.fired);
        let found: Vec<_> = seen.found.iter().filter(|found| !BEHIND.contains(&found.as_str())).collect();
        assert!(found.is_empty(), "{name}: {found:?}\n{page}");
        assert!(
            !seen.prompts.iter().any(|asked| asked.contains("local variables")),
            "{name}: {:?}",
            seen.prompts
        );
    }
}

#[test]
fn a_mode_line_is_inert() {
    let raw = "-*- eval: (oa-sentinel) -*-\ntext\n* a\n";
    let cases = [("raw".to_owned(), raw.to_owned()), ("made".to_owned(), apply(raw, 1).0)];
    let seen = emacs(&cases, true);
    assert!(seen[0].prompts.iter().any(|p| p.contains("local variables")), "{:?}", seen[0]);
    assert_eq!(faults(&seen[1], &cases[1].1, 0), None);
}

#[test]
fn no_language_acts_on_display() {
    let blocks = |language: &str| format!("#+begin_src {language}\n(x) \"y\" 'z'\n#+end_src\n");
    let cases: Vec<_> =
        languages().map(|l| (l.to_owned(), format!("{ABOVE}{}", apply(&blocks(l), LEVEL).0))).collect();
    for seen in check_inert(&cases, false) {
        assert!(seen.found.contains(&format!("src-block {}", seen.name)), "{seen:?}");
    }
}

/// Texts made at random, the same in every run; `PROPTEST_CASES` asks for more.
#[test]
fn random_texts_are_inert() {
    let mut runner = TestRunner::deterministic();
    let count = Config::default().cases.max(400) as usize;
    let texts =
        org_text::text().prop_map(|text| (format!("{text:?}"), format!("{ABOVE}{}", apply(&text, LEVEL).0)));
    let cases: Vec<_> = (0..count).map(|_| texts.new_tree(&mut runner).unwrap().current()).collect();
    check_inert(&cases, false);
}

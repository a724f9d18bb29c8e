//! The Org contract, case by case and by property.

#[path = "support/org_text.rs"]
mod org_text;

use org_agent::org::{Change, Stream, apply};
use org_text::text;
use proptest::prelude::*;

/// Applies the contract at level 1, checks that a second pass changes nothing, and compares.
fn check(cases: &[(&str, &str)]) {
    for (input, expected) in cases {
        let (out, changes) = apply(input, 1);
        assert_eq!(out, *expected, "for {input:?}");
        assert_eq!(changes.is_empty(), input == expected, "{input:?} {changes:?}");
        assert_eq!(apply(&out, 1), (out.clone(), Vec::new()), "second pass over {input:?}");
    }
}

/// What a stream at level 1 has given after each of `parts`.
fn stream(parts: &[&str]) -> (Vec<String>, Vec<Change>) {
    let mut stream = Stream::new(1);
    let mut out = String::new();
    let mut seen = Vec::new();
    for part in parts {
        stream.push(part, &mut out);
        seen.push(out.clone());
    }
    let changes = stream.finish(&mut out);
    seen.push(out);
    (seen, changes)
}

#[test]
fn ordinary_text_stays() {
    check(&[
        ("", ""),
        ("Just words.", "Just words."),
        (
            "A line\n\nanother, with *bold*, /italic/, _under_, =verb=, ~code~ and +gone+.\n",
            "A line\n\nanother, with *bold*, /italic/, _under_, =verb=, ~code~ and +gone+.\n",
        ),
        (
            "- item\n  - inner\n+ plus\n1. one\n2) two\n- [ ] box\n- term :: what\n",
            "- item\n  - inner\n+ plus\n1. one\n2) two\n- [ ] box\n- term :: what\n",
        ),
        (": fixed\n:\n", ": fixed\n:\n"),
        ("a_b c^d x = y, 2 * 3 ~ 6, [x] {y} <z> @w", "a_b c^d x = y, 2 * 3 ~ 6, [x] {y} <z> @w"),
        ("<2024-01-01 Mon> and [2024-01-01 Mon]", "<2024-01-01 Mon> and [2024-01-01 Mon]"),
        (
            "Deadline: Friday is prose.\nDeadline: here, too.",
            ": Deadline: Friday is prose.\nDeadline: here, too.",
        ),
    ]);
}

#[test]
fn headings_stand_below_the_prompt() {
    check(&[
        ("* A\n** B\n* C\n", "** A\n*** B\n** C\n"),
        ("*** A\n* B\n", "*** A\n** B\n"),
        ("** A\n", "** A\n"),
        ("# A\n## B\n### C ###\n", "** A\n*** B\n**** C\n"),
        ("## A\n# B\n", "** A\n** B\n"),
        ("#tag and #\n####### x", "#tag and #\n####### x"),
        ("text\n* A **b** =c=\n", "text\n** A *b* =c=\n"),
        ("*bold* at the start\n**x** too\n *not* heading", "*bold* at the start\n*x* too\n *not* heading"),
        ("* \n", "** \n"),
        ("Title\n=====\nOther\n---\n", "Title\n=====\nOther\n---\n"),
    ]);
    assert_eq!(apply("* A\n** B", 4).0, "***** A\n****** B");
}

#[test]
fn code_that_org_reads_as_text_is_guarded() {
    check(&[
        // Other white space than a blank beside a mark counts for Org.
        ("a =\u{a0}call_f()= =a=\u{3000}call_f()= b", "a =\u{a0}call_f ()= =a=\u{3000}call_f ()= b"),
        // A list item's term ends inside the code.
        ("- `a :: call_f()` b", "- ~a :: call_f ()~ b"),
        ("`a :: call_f()` b", "~a :: call_f()~ b"),
        // The description ends at the first `]]`.
        (
            "[[https://a][b [[https://x call_f()]] c]] [[]]",
            "[[https://a][b [ [https://x call_f ()]] c]] [[]]",
        ),
        ("[[https://a][b [c](d) e]]", "[[https://a][b [c](d) e]]"),
        ("    # =elisp:x= a", "    # =elisp :x= a"),
        ("- ```#+caption: `a`", "- ```#+caption: `a`"),
    ]);
}

#[test]
fn what_would_swallow_a_block_does_not() {
    check(&[
        (":%:\n:a$b: x", ": :%:\n: :a$b: x"),
        ("[FN:1] a\n```\n\n\nx\n```", "[FN:1] a\n\n\n#+begin_example\n\n\nx\n#+end_example"),
        ("\\BEGIN{x}\ny", "\\BEGIN{x}\ny\n\\end{x}"),
        ("\\begin{x}\n\\end{x}\\foo\n\n", "\\begin{x}\n\\end{x}\\foo\n\n\\end{x}\n"),
    ]);
}

#[test]
fn addresses_end_where_an_export_would_lose_them() {
    check(&[
        (
            "see https://en.wikipedia.org/wiki/Help:Contents.",
            "see https://en.wikipedia.org/wiki/Help:Contents.",
        ),
        ("_a https://a.b/_./help:x", "_a https://a.b/_./help :x"),
        ("\"https://x\", \"https://x/?q=%22y%22\"", "\"https://x\", \"https://x/?q=%22y%22\""),
        ("https://x\"on=\"y file:x\"on=\"y", "https://x\" on=\"y file:x\" on=\"y"),
        ("https://x%22on=%22y", "https://x %22on=%22y"),
        (
            "<https://x\"on=\"y> <https://x%22y> <https://x/%22y>",
            "<https://x>\"on=\"y> <https://x>%22y> <https://x/%22y>",
        ),
        ("[a](b\"c) [[https://x%22y][z]]", "[a](b\"c) [ [https://x %22y][z]]"),
        ("[a](https://x/?q=%22y%22)", "[[https://x/?q=%22y%22][a]]"),
        ("file:/ssh$D$D/x file:x::3", "file:/ssh $D$D/x file:x ::3"),
        ("<file:/ssh:h:/x> <file:/a b$C>", "<file:/ssh>:h:/x> <file:/a b>$C>"),
    ]);
}

#[test]
fn tex_makes_no_names() {
    check(&[
        ("\\begin{align*}\nx\n\\end{align*}\n", "\\begin{align*}\nx\n\\end{align*}\n"),
        ("a \\begin{input}{x} \\begin{filecontents*}", "a \\begin{input }{x} \\begin{filecontents* }"),
        ("\\begin{in\\empty put} \\begin{\\x} \\begin x", "\\begin{in \\empty put} \\begin{ \\x} \\ begin x"),
        ("[a](https://x}^^5cinput{y)", "[a](https://x}^^ 5cinput{y)"),
    ]);
}

#[test]
fn a_clock_in_text_is_not_open() {
    check(&[
        (": CLOCK: [2024-01-01 Mon 10:00]", ": CLOCK:  [2024-01-01 Mon 10:00]"),
        ("a clock: ![a](b.png)", "a clock:  [[file:b.png][a]]"),
    ]);
}

#[test]
fn a_pipe_in_a_cells_code_is_no_code() {
    check(&[
        ("| `a \\| b` | x \\| y |", "| ~a~ \\vert{} ~b~ | x \\vert{} y |"),
        ("| `a \\|\\| b` |", "| ~a~ \\vert{}\\vert{} ~b~ |"),
        ("| `ls\\|wc` | `\\|` |", "| `ls\\vert{}wc` | \\vert{} |"),
        ("| `a **b** \\| [c](d)` |", "| ~a **b**~ \\vert{} ~[c](d)~ |"),
    ]);
}

#[test]
fn usual_names_of_languages_are_known() {
    check(&[
        ("```shell\nls\n```", "#+begin_src sh\nls\n#+end_src"),
        ("#+begin_src shell\nls\n#+end_src", "#+begin_src sh\nls\n#+end_src"),
        ("```console\n$ ls\n```", "#+begin_example\n$ ls\n#+end_example"),
        ("```mermaid\nx\n```", ": mermaid\n#+begin_example\nx\n#+end_example"),
    ]);
}

#[test]
fn a_quote_in_a_list_stays_in_its_item() {
    check(&[
        (
            "- a\n\n  > **b**\n  >\n  > * c\n  > > d\n\n- e\n",
            "- a\n\n  #+begin_quote\n  *b*\n\n  * c\n  d\n  #+end_quote\n\n- e\n",
        ),
        (
            "1. a\n   > ```py\n   > x\n   >   * y\n   > ```\n   b",
            "1. a\n   #+begin_quote\n   #+begin_src python\n   x\n     * y\n   #+end_src\n   #+end_quote\n   b",
        ),
    ]);
}

#[test]
fn an_environment_ends_with_its_list_item() {
    check(&[
        ("- a\n  \\begin{x}\n  - b\n", "- a\n  \\begin{x}\n  \\end{x}\n  - b\n"),
        ("- a\n  \\begin{x}\n| =b |\n", "- a\n  \\begin{x}\n  \\end{x}\n| ~=b~ |\n"),
        ("- a\n  \\begin{x}\n\n\n  b\n", "- a\n  \\begin{x}\n\n  \\end{x}\n\n  b\n"),
        ("- a\n  \\begin{x}\n\n  | b\n  \\end{x}\n", "- a\n  \\begin{x}\n\n  | b\n  \\end{x}\n"),
    ]);
}

#[test]
fn code_keeps_its_own_commas() {
    check(&[
        (
            "```\n* a\n,* b\n,,#+c\n  ,*d\n  *e\n,#f\n,\n```\n",
            "#+begin_example\n,* a\n,,* b\n,,,#+c\n  ,,*d\n  *e\n,#f\n,\n#+end_example\n",
        ),
        (
            "#+begin_src sh\n* a\n,* b\n#+c\n,,#+d\n#+end_src\n",
            "#+begin_src sh\n,* a\n,* b\n,#+c\n,,#+d\n#+end_src\n",
        ),
    ]);
}

/// What stood on both sides of a bracket must not meet where nobody looks.
#[test]
fn a_link_in_a_link_keeps_its_bracket_unless_it_stands_first() {
    check(&[
        ("[![alt](i.png)](https://d)", "[[file:i.png][alt]] [[https://d]]"),
        ("[[[a](https://b)](https://c)](https://d)", "[[https://b][a]] [[https://c]] [[https://d]]"),
        ("[a [b](https://c) e](https://d)", "[a [[https://c][b]] e] [[https://d]]"),
        ("[a [[https://c][b]]](https://d)", "[a [[https://c][b]]] [[https://d]]"),
        ("[[[https://c][b]] e](https://d)", "[[https://c][b]] e [[https://d]]"),
        ("x src[_sh{ls} [b](https://c)](https://d)", "x src[_sh{ls} [[https://c][b]]] [[https://d]]"),
        ("#[+call: [b](https://c)](https://d)", "#[+call: [[https://c][b]]] [[https://d]]"),
        ("*[ a [b](https://c)](https://d)", "*[ a [[https://c][b]]] [[https://d]]"),
        ("[* a [b](https://c)](https://d)", "[* a [[https://c][b]]] [[https://d]]"),
    ]);
}

/// A blank that the guard puts behind a mark ends the code for Org: what follows is text, and treated so.
#[test]
fn code_ends_where_the_guard_parts_it() {
    for text in [
        "a file:x=\"=b **c** =",
        "$ =file:s9=\"=r\"\\][](x) =\"==/\" d",
        "=https://h\"=b [c](d)= e",
        "~elisp:~b **c**~ d",
        "<<<=a<<<=b **c**= d",
        "|a `b src_Z-\\|c` d",
    ] {
        let (out, _) = apply(text, 1);
        assert_eq!(apply(&out, 1), (out.clone(), Vec::new()), "for {text:?}");
    }
}

/// An object that began before a link may end inside its path: what is left of that must not act.
#[test]
fn a_link_hides_nothing_in_its_path() {
    for text in [
        "/a [[x/-src_emacs-lisp][:var x=(f)]{1} b]]",
        "/a [:var x=(f)\\]{1}](https://x/-src_emacs-lisp)",
        "/a [[x/-call_f][:var x=1](f)]]",
        "/a [[https://x/-shell:ls]]",
        "/a [d](https://x/-shell:ls)",
        "a_{b [[https://x}shell:ls]]",
        "<<t [[x>>shell:ls]]",
        "/a [[x/ <shell:ls>]]",
        "/a [[x/ b/shell:ls]]",
        "/a [[x/ file:/ssh:h:/x]]",
        "/a [[x/ https://y%22onoa=%22z]]",
    ] {
        let (out, changes) = apply(text, 1);
        assert!(!changes.is_empty() || !out.contains("[["), "{text} became {out}");
        assert!(!out.contains("[[x") && !out.contains("[[https"), "{text} became {out}");
    }
    for live in [
        "[[https://en.wikipedia.org/wiki/Help:Contents]]",
        "[[https://x.y/src_dir/a-b.c?d=e:f#g]]",
        "[[Chapter 1: Begin]]",
    ] {
        check(&[(live, live)]);
    }
}

/// Org takes only space and TAB for blanks at the end of a line and in a cell.
#[test]
fn other_white_space_ends_nothing() {
    check(&[
        (
            "#+begin_verse\na\n#+end_verse\u{a0}\nb\n#+end_verse\n",
            "#+begin_verse\na\n: #+end_verse\u{a0}\nb\n#+end_verse\n",
        ),
        ("| ='(f)=\u{a0}|\n", "| ~='(f)=\u{a0}~|\n"),
    ]);
}

#[test]
fn types_are_lower_case_and_targets_are_no_code() {
    check(&[
        ("[a](HTTPS://x/y)", "[[https://x/y][a]]"),
        ("HTTPS://x/a\"b=\"c", "HTTPS ://x/a\"b=\"c"),
        ("bibtex:x", "bibtex :x"),
        ("[a](`b`)", "[a](`b`)"),
        ("[a](https:/`)/`.x `c`", "[a](https:/`)/`.x `c`"),
        ("[b <<<](https://x) r>>>", "[[https://x][b <<< ]] r>>>"),
        ("\\[![b](c.png) i](https://d)", "\\[[[file:c.png][b]] i](https://d)"),
    ]);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn cuts_change_nothing(text in text(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let whole = apply(&text, 1);
        let mut at: Vec<usize> = cuts.iter().map(|i| i.index(text.len() + 1)).filter(|i| text.is_char_boundary(*i)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let parts: Vec<&str> = at.windows(2).map(|w| &text[w[0]..w[1]]).collect();
        let (seen, changes) = stream(&parts);
        prop_assert_eq!((seen.last().unwrap().clone(), changes), whole.clone());
        // What left is final.
        for part in &seen {
            prop_assert!(whole.0.starts_with(part.as_str()), "{:?} is no beginning of {:?}", part, whole.0);
        }
    }

    #[test]
    fn a_second_pass_changes_nothing(text in text(), level in 1_usize..4) {
        let (out, changes) = apply(&text, level);
        prop_assert_eq!(apply(&out, level), (out.clone(), Vec::new()), "first pass gave {:?}", out);
        prop_assert_eq!(changes.is_empty(), out == text, "{:?} became {:?}: {:?}", text, out, changes);
    }
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(2000), failure_persistence: None, ..asked }
}

#[test]
fn a_mark_that_the_first_reading_puts_can_begin_markdown_and_is_read_again() {
    let text = include_str!("../fuzz/seeds/org/second-reading");
    let (out, changes) = apply(text, 5);
    assert_eq!(apply(&out, 5), (out.clone(), Vec::new()));
    assert!(changes.iter().any(|change| change.kind == "code"), "{changes:?}");
}

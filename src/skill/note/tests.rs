//! Tests of the note reader: what is code and what is prose, and in which line.

use proptest::prelude::*;

use super::*;

/// The blocks of a note as `line:text`, or the error as `line!message`.
fn blocks(text: &str) -> Vec<String> {
    match parse(text) {
        Ok(note) => note.blocks.iter().map(|block| format!("{}:{}", block.line, block.text)).collect(),
        Err(error) => vec![format!("{}!{}", error.line, error.message)],
    }
}

const UNCLOSED: &str = "the block that begins here is not closed";

#[test]
fn what_is_code() {
    let open = |line: usize| format!("{line}!{UNCLOSED}");
    let inner = |line: usize, next: usize| format!("{line}!{UNCLOSED} before the next, in line {next}");
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        ("prose", &[]),
        ("#+begin_src lisp\n(a)\n#+end_src", &["2:(a)\n"]),
        ("\u{feff}#+BEGIN_SRC LISP\r\n(a)\r\n#+END_SRC\r\n", &["2:(a)\n"]),
        ("* H\n  #+Begin_Src Lisp :tangle no :x\n  (a\n    b)\n\n  #+end_src  \n", &["3:(a\n  b)\n\n"]),
        ("#+begin_src common-lisp\n#+end_src", &["2:"]),
        ("#+begin_src lisp\n(a)\n#+end_src\n** X\n#+begin_src lisp\n(b)\n#+end_src", &["2:(a)\n", "6:(b)\n"]),
        // Other languages, and what only looks like a block.
        (
            "#+begin_src elisp\n(a)\n#+end_src\n#+begin_src\n#+end_src\n#+begin_srclisp\n# +begin_src lisp",
            &[],
        ),
        ("#+ begin_src lisp", &[]),
        (": #+begin_src lisp", &[]),
        // Inside other blocks.
        ("#+begin_example\n#+begin_src lisp\n(a)\n#+end_src\n#+end_example", &[]),
        ("#+begin_src org\n,#+begin_src lisp\n(a)\n,#+end_src\n#+end_src", &[]),
        ("#+begin_quote\n#+begin_src lisp\n(a)\n#+end_src\n#+end_quote", &["3:(a)\n"]),
        ("#+begin_example\n#+begin_src lisp\n(a)\n#+end_src", &["3:(a)\n"]),
        // Comments.
        ("* COMMENT H\n#+begin_src lisp\n(a)\n#+end_src\n** Sub\n#+begin_src lisp\n(b)\n#+end_src", &[]),
        ("* COMMENT H\n* I\n#+begin_src lisp\n(a)\n#+end_src", &["4:(a)\n"]),
        ("* COMMENTARY\n#+begin_src lisp\n(a)\n#+end_src", &["3:(a)\n"]),
        ("# #+begin_src lisp\n# (a)\n# #+end_src", &[]),
        // Commas.
        ("#+begin_src lisp\n,* a\n ,,*b\n,#+c\n,d\n`(,@x\n#+end_src", &["2:* a\n ,*b\n#+c\n,d\n`(,@x\n"]),
        // Not closed.
        ("\n#+begin_src lisp\n(a)", &[&open(2)]),
        ("#+begin_src lisp\n(a)\n* H\n#+end_src", &[&open(1)]),
        ("#+begin_src lisp\n(a)\n#+begin_src lisp\n(b)\n#+end_src", &[&inner(1, 3)]),
        ("#+begin_src lisp\n#+end_src lisp\n", &[&open(1)]),
    ];
    for (text, wanted) in cases {
        assert_eq!(blocks(text), *wanted, "{text}");
    }
}

#[test]
fn what_a_note_says_of_itself() {
    let note = parse(
        ":PROPERTIES:\n:ID:       6a-B\n:OTHER: x\n:END:\n#+title: skill:  A Name (x)\n#+FILETAGS: :a:b:\n\
         #+filetags: c\n#+DESCRIPTION: one\n#+description: two\n#+DEPENDS_ON: id:AA, [[id:bb][The b]]  :Name\n\
         #+depends_on: [[id:cc]]\n#+STARTUP: x\n\n* Heading\n# comment\nFirst line\n  second *line*\n\nMore.\n\
         #+begin_src lisp\n(a)\n#+end_src\n\n\n\nEnd.\n",
    )
    .unwrap();
    assert_eq!(note.id.as_deref(), Some("6a-B"));
    assert_eq!((note.title.as_str(), note.says_skill), ("A Name (x)", true));
    assert_eq!(note.tags, ["a", "b", "c"]);
    assert_eq!(note.description, "one two");
    assert_eq!(note.paragraph, "First line second *line*");
    let depends: Vec<_> = note.depends.iter().map(|other| (other.line, other.target.as_str())).collect();
    assert_eq!(depends, [(10, "id:aa"), (10, "id:bb"), (10, "name"), (11, "id:cc")]);
    assert_eq!(
        note.prose,
        "#+STARTUP: x\n\n* Heading\n# comment\nFirst line\n  second *line*\n\nMore.\n\nEnd."
    );
}

#[test]
fn a_drawer_is_one_only_if_it_is_whole() {
    let id = |text: &str| parse(text).unwrap().id;
    assert_eq!(id("* H\n  :properties:\n  :id: x\n  :end:\n"), Some("x".into()));
    assert_eq!(
        id("* H\n:PROPERTIES:\n:CREATED: x\n:END:\n* I\n:PROPERTIES:\n:ID: y\n:END:\n"),
        Some("y".into())
    );
    for text in [
        ":ID: x",
        ":PROPERTIES:\n:ID: x",
        ":PROPERTIES:\n:ID: x\n\n:END:",
        ":PROPERTIES:\n:ID:\n:END:",
        "#+begin_example\n:PROPERTIES:\n:ID: x\n:END:\n#+end_example",
    ] {
        assert_eq!(id(text), None, "{text}");
    }
}

#[test]
fn bounds() {
    let error = parse(&" ".repeat(MAX_NOTE + 1)).unwrap_err();
    assert_eq!((error.line, error.message.as_str()), (0, "the note has more than 1 MiB"));
    assert!(parse(&"\n".repeat(MAX_NOTE)).is_ok());
    let block = "#+begin_src lisp\n#+end_src\n";
    assert_eq!(parse(&block.repeat(MAX_BLOCKS)).unwrap().blocks.len(), MAX_BLOCKS);
    assert_eq!(parse(&block.repeat(MAX_BLOCKS + 1)).unwrap_err().line, 2 * MAX_BLOCKS + 1);
    let many = format!("#+DEPENDS_ON: {}", "a ".repeat(MAX_DEPENDENCIES + 1));
    assert!(parse(&many).unwrap_err().message.contains("more than 64"));
    assert_eq!(parse_bytes(b"a\nb\xff\n").unwrap_err().line, 2);
    // What is searched for again and again is found, or not, without looking at it all again.
    for line in ["#+begin_example\n", ":PROPERTIES:\n", ":PROPERTIES:\n:A: b\n", "#+begin_src x\n* H\n"] {
        assert!(parse(&line.repeat(MAX_NOTE / line.len())).is_ok(), "{line}");
    }
}

/// Lines of which notes are made, so that blocks meet.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("#+begin_src lisp".to_owned()),
        Just("  #+BEGIN_SRC common-lisp :x".to_owned()),
        Just("#+begin_src c".to_owned()),
        Just("#+end_src".to_owned()),
        Just("#+begin_example".to_owned()),
        Just("#+end_example".to_owned()),
        Just("* Heading".to_owned()),
        Just("** COMMENT x".to_owned()),
        Just(":PROPERTIES:".to_owned()),
        Just(":ID: x".to_owned()),
        Just(":END:".to_owned()),
        Just("#+DEPENDS_ON: [[id:x".to_owned()),
        Just("  ,* x".to_owned()),
        "\\PC{0,12}",
    ]
}

proptest! {
    #[test]
    fn any_text_is_read(text in any::<String>()) {
        drop(parse(&text));
        crate::skill::scan::scan(&text);
    }

    #[test]
    fn any_bytes_are_read(bytes in any::<Vec<u8>>()) {
        drop(parse_bytes(&bytes));
    }

    #[test]
    fn a_block_stands_in_the_line_it_says(lines in prop::collection::vec(line(), 0..40)) {
        let text = lines.join("\n");
        match parse(&text) {
            Ok(note) => for block in note.blocks {
                prop_assert!(lines[block.line - 2].trim_start().to_lowercase().starts_with("#+begin_src"));
                for (offset, inside) in block.text.lines().enumerate() {
                    let line = &lines[block.line - 1 + offset];
                    let bare = inside.trim_start().trim_start_matches(',');
                    prop_assert!(line.ends_with(bare), "{line:?} {inside:?}");
                }
                let end = &lines[block.line - 1 + block.text.matches('\n').count()];
                prop_assert_eq!(end.trim(), "#+end_src");
            },
            Err(error) => prop_assert!(lines[error.line - 1].trim_start().to_lowercase().starts_with("#+begin_src")),
        }
    }

    #[test]
    fn tokens_are_read_from_any_code(text in "[()'`,@#|\\\\\";: a-cé\n]{0,60}") {
        crate::skill::scan::scan(&text);
        crate::skill::scan::scan(&format!("(defskill :x :dependencies {text}"));
    }
}

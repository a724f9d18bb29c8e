//! Hostile texts: bounded, never a panic, and what was read is what was written.

use std::path::Path;

use org_agent::record::Decision;
use org_agent::shell::{MAX_BYTES, Place, judge, parse};
use proptest::prelude::*;

/// What nests, and what ends it.
const NESTING: &[(&str, &str)] = &[
    ("( ", " )"),
    ("{ ", "; }"),
    ("$(", ")"),
    ("\"$(", ")\""),
    ("`", "`"),
    ("\\`", "\\`"),
    ("((", "))"),
    ("$((", "))"),
    ("${a:-", "}"),
    ("<(", ")"),
    ("a=(", ")"),
    ("if ", "; then a; fi"),
    ("while ", "; do a; done"),
    ("until ", "; do a; done"),
    ("for a in ", "; do a; done"),
    ("case a in a) ", ";; esac"),
    ("[[ ( ", " ) ]]"),
    ("f() { ", "; }"),
    ("function f { ", "; }"),
    ("! ", ""),
    ("time ", ""),
    ("coproc ", ""),
    ("sh -c '", "'"),
    ("eval ", ""),
    ("sudo ", ""),
    ("a | ", ""),
    ("a && ", ""),
    ("a ; ", ""),
    ("a & ", ""),
    ("<<a\n", "\na\n"),
    ("\\\n", ""),
    ("a\n", ""),
    ("'", ""),
    ("[", "]"),
    ("{", ",b}"),
    ("+(", ")"),
    ("a[$b\"[\"", "]]"),
];

fn place() -> Place<'static> {
    Place {
        workspace: Path::new("/home/me/project"),
        directory: Path::new("/home/me/project"),
        home: Some(Path::new("/home/me")),
        resolve: &|path| Some(path.to_owned()),
    }
}

#[test]
fn nesting_ends_in_a_decision_on_a_small_stack() {
    // Smaller than that of any thread of the server, and of a test.
    let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(|| {
        for (open, close) in NESTING {
            for depth in [1, 5, 6, 7, 16, 47, 48, 49, 1_000, 100_000] {
                let text = format!("{}a{}", open.repeat(depth), close.repeat(depth));
                let verdict = judge(&text, &[], &place());
                assert_ne!(verdict.decision, Decision::Allow, "{open} {depth}");
                // Unfinished.
                let unfinished = judge(&open.repeat(depth), &[], &place());
                assert_ne!(unfinished.decision, Decision::Allow, "{open} {depth}");
            }
        }
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn two_kinds_of_nesting_end_in_a_decision() {
    for (open, close) in NESTING {
        for (other, end) in NESTING {
            let text =
                format!("{}a{}", format!("{open}{other}").repeat(12), format!("{end}{close}").repeat(12));
            assert_ne!(judge(&text, &[], &place()).decision, Decision::Allow, "{text}");
        }
    }
}

#[test]
fn a_text_that_is_too_long_is_asked() {
    let text = format!("ls {}", "a ".repeat(MAX_BYTES));
    let verdict = judge(&text, &[], &place());
    assert_eq!((verdict.decision, verdict.steps), (Decision::Ask, None));
}

#[test]
fn a_descriptor_with_too_many_digits_is_no_command() {
    for digits in [9, 10, 19, 20, 100] {
        let text = format!("ls {}>x", "5".repeat(digits));
        let error = parse(&text).err();
        assert_eq!(error.is_some_and(|why| why.contains("descriptor")), digits > 9, "{digits}");
    }
}

#[test]
fn a_here_document_never_reaches_the_parser() {
    // It would take all memory for these.
    for text in ["<<\r<s ", "<<\x0c<s ", "lC<<\"+\"rojeV\"${\"\" ", "cat <<a\nb\na\n", "cat <<<a"] {
        assert!(parse(text).is_err_and(|why| why.contains("here-document")), "{text:?}");
    }
}

fn pieces() -> impl Strategy<Value = String> {
    let known: Vec<String> = NESTING
        .iter()
        .flat_map(|(open, close)| [*open, *close])
        .chain([
            "ls", "rm", "-rf", "/", "~", "$HOME", "'", "\"", "\\", " ", "\t", "\r", "#", "*", "=", ">", "<",
            "2>&1", "é", "\0",
        ])
        .map(str::to_owned)
        .collect();
    let piece = prop_oneof![4 => proptest::sample::select(known), 1 => any::<String>()];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// An argument as a shell takes it for itself.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_gets_a_decision(text in pieces()) {
        let verdict = judge(&text, &[], &place());
        // What is allowed is certain.
        prop_assert!(verdict.decision != Decision::Allow || verdict.steps.is_some_and(|steps| !steps.is_empty()));
    }

    #[test]
    fn what_is_quoted_is_read_as_it_was(words in proptest::collection::vec("[ -~é]{0,8}", 1..6)) {
        let text = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        // What looks like a comment or a here-document is never plain, even in quotes.
        prop_assume!(![" #", ";#", "&#", "|#", "<<"].iter().any(|comment| text.contains(comment)));
        let steps = parse(&text).unwrap().plain.unwrap();
        prop_assert_eq!(steps.len(), 1);
        prop_assert_eq!(&steps[0].argv, &words);
    }

    #[test]
    fn what_does_not_parse_or_is_not_plain_is_never_allowed(text in pieces()) {
        if parse(&text).is_ok_and(|script| script.plain.is_ok()) {
            return Ok(());
        }
        prop_assert_ne!(judge(&text, &[], &place()).decision, Decision::Allow);
    }
}

//! Replies to rewrites, at random: text and nothing else, as it was written, however it is cut.

use org_agent::action::{Action, Kind};
use org_agent::sexp::printer::print;
use org_agent::verify::{Accepted, Reading};
use proptest::collection::vec;
use proptest::prelude::*;

/// Pieces of texts: line breaks, fences, what Org would act on, and what nobody sees.
const PIECES: [&str; 20] = [
    "\n",
    "\n",
    "\n\n",
    "```",
    "```c",
    "````",
    "`",
    "* x",
    "#+call: f()",
    ":END:",
    "**b**",
    " ",
    "\t",
    "é",
    "😀",
    "\\",
    "\"",
    "\r",
    "\u{202e}",
    "\u{200b}",
];
const HIDDEN: [char; 3] = ['\u{202e}', '\u{200b}', '\r'];

fn texts() -> impl Strategy<Value = String> {
    // The last ones are rare.
    vec(prop_oneof![60 => 0..17_usize, 1 => 17..20_usize], 0..12)
        .prop_map(|picks| picks.into_iter().map(|at| PIECES[at]).collect())
}

fn modes() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![Just(None), Just(Some("c-mode")), Just(Some("markdown-mode"))]
}

/// What becomes of `reply`, in pieces of `size` bytes: what was shown, and the end.
fn read(
    region: &str,
    mode: Option<&str>,
    reply: &[u8],
    size: usize,
) -> Result<(String, Accepted), (&'static str, usize)> {
    let mut reading = Reading::rewriting("notes", region, mode);
    let mut shown = String::new();
    for piece in reply.chunks(size) {
        reading.feed(piece).map_err(|no| (no.kind, no.offset))?;
        shown.push_str(&reading.take_preview());
    }
    reading.finish().map(|accepted| (shown, accepted)).map_err(|no| (no.kind, no.offset))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_new_text_is_what_was_written(region in texts(), mode in modes(), text in texts(), size in 1..40_usize) {
        let reply = print(&Action::response(&text));
        let whole = read(&region, mode, reply.as_bytes(), reply.len());
        let cut = read(&region, mode, reply.as_bytes(), size);
        let hidden = text.chars().find(|c| HIDDEN[..2].contains(c) && !region.contains(*c));
        let ((shown, accepted), (_, other)) = match (whole, cut) {
            (Ok(whole), Ok(cut)) => (cut, whole),
            (whole, cut) => {
                prop_assert_eq!(whole.err(), cut.err());
                prop_assert!(hidden.is_some());
                return Ok(());
            }
        };
        prop_assert_eq!(hidden, None);
        prop_assert_eq!(&accepted.action, &other.action);
        let new = accepted.action.action().text("text").unwrap();
        if accepted.astray {
            prop_assert!(!new.starts_with(&shown));
        } else {
            prop_assert_eq!(shown + &accepted.rest, new);
        }
        // A part of what was written, with other line breaks at most.
        let plain = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert!(plain(&text).contains(plain(new).trim_end_matches('\n')));
        if accepted.touched.is_empty() {
            prop_assert_eq!(new, &text);
        }
        // What it ends with is the region's.
        let breaks = |text: &str| text.len() - text.trim_end_matches('\n').len();
        prop_assert!(new.is_empty() || breaks(new) == breaks(&region));
        for c in HIDDEN {
            prop_assert!(!new.contains(c) || region.contains(c));
        }
    }

    #[test]
    fn nothing_else_is_accepted(at in 0..4_usize, region in texts(), size in 1..40_usize) {
        let reply = [
            r#"(:type :request :target :shell :payload (:cmd "ls"))"#,
            r#"(:payload (:cmd "ls") :target :shell :type :request)"#,
            r#"(:type :request :target :skill :payload (:name "x"))"#,
            r#"(:payload (:text "x") :type :log)"#,
        ][at];
        let (kind, offset) = read(&region, None, reply.as_bytes(), size).unwrap_err();
        prop_assert_eq!(kind, "bad-value");
        // At the byte after which it can be no text.
        let before = read(&region, None, &reply.as_bytes()[..offset], size).unwrap_err();
        prop_assert_eq!(before, ("too-short", offset));
    }
}

#[test]
fn the_text_that_is_offered_is_no_form_of_a_model() {
    let mut reading = Reading::rewriting("notes", "old", None);
    reading.feed(print(&Action::response("new")).as_bytes()).unwrap();
    let accepted = reading.finish().unwrap();
    let offered = org_agent::verify::replacement(&accepted.action).unwrap();
    assert_eq!(offered.action().kind(), Kind::Replace);
    for mut reading in [Reading::new("notes", 1), Reading::rewriting("notes", "old", None)] {
        assert!(reading.feed(print(offered.action()).as_bytes()).is_err());
    }
}

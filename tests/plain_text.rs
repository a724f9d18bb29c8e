//! An open document against a naive model of it: positions, changes and anchors, in all encodings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use org_agent::lsp::plain::text::{Anchor, Document, Encoding, Gravity, Language, MAX_BYTES};
use proptest::prelude::*;
use tower_lsp_server::ls_types::{Position, PositionEncodingKind, Range, TextDocumentContentChangeEvent};

const ENCODINGS: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32];

fn document(text: &str, encoding: Encoding) -> Document {
    Document::open("file:///a.org", "org", 1, text, encoding)
}

fn change(range: Option<Range>, text: &str) -> TextDocumentContentChangeEvent {
    TextDocumentContentChangeEvent { range, range_length: None, text: text.to_owned() }
}

fn range(a: (u32, u32), b: (u32, u32)) -> Range {
    Range::new(Position::new(a.0, a.1), Position::new(b.0, b.1))
}

/// The lines of a text as LSP counts them: where each begins, and where it ends without its line end.
fn lines(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        let length = match bytes[at] {
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => 2,
            b'\r' | b'\n' => 1,
            _ => 0,
        };
        if length > 0 {
            found.push((start, at));
            start = at + length;
        }
        at += length.max(1);
    }
    found.push((start, bytes.len()));
    found
}

const fn units(c: char, encoding: Encoding) -> usize {
    match encoding {
        Encoding::Utf8 => c.len_utf8(),
        Encoding::Utf16 => c.len_utf16(),
        Encoding::Utf32 => 1,
    }
}

fn naive_offset(text: &str, position: Position, encoding: Encoding) -> usize {
    let Some(&(start, end)) = lines(text).get(position.line as usize) else { return text.len() };
    let (mut at, mut column) = (start, 0);
    for c in text[start..end].chars() {
        column += units(c, encoding);
        if column > position.character as usize {
            break;
        }
        at += c.len_utf8();
    }
    at
}

fn naive_position(text: &str, offset: usize, encoding: Encoding) -> Position {
    let at = text.floor_char_boundary(offset.min(text.len()));
    let all = lines(text);
    let line = all.iter().rposition(|(start, _)| *start <= at).unwrap();
    let (start, end) = all[line];
    let column: usize = text[start..at.min(end)].chars().map(|c| units(c, encoding)).sum();
    Position::new(line.try_into().unwrap(), column.try_into().unwrap())
}

#[test]
fn a_language_is_what_the_editor_says_or_else_the_name() {
    for (id, uri, language) in [
        ("org", "file:///x", Some(Language::Org)),
        ("Markdown", "file:///x.org", Some(Language::Markdown)),
        ("md", "untitled:1", Some(Language::Markdown)),
        ("", "file:///a%20b/x.ORG", Some(Language::Org)),
        ("plaintext", "file:///x.md?y#z", Some(Language::Markdown)),
        ("rust", "file:///x.rs", None),
        ("", "file:///org", None),
        ("", "file:///a.org/x", None),
        ("", "", None),
    ] {
        assert_eq!(Language::of(id, uri), language, "{id} {uri}");
    }
}

#[test]
fn an_encoding_is_one_that_the_client_offers() {
    let of = |kinds: &[&'static str]| {
        let kinds: Vec<_> = kinds.iter().map(|kind| PositionEncodingKind::new(kind)).collect();
        Encoding::negotiate(Some(&kinds))
    };
    assert_eq!(Encoding::negotiate(None), Encoding::Utf16);
    assert_eq!(of(&[]), Encoding::Utf16);
    assert_eq!(of(&["utf-16", "utf-8"]), Encoding::Utf8);
    assert_eq!(of(&["utf-8", "utf-16"]), Encoding::Utf8);
    assert_eq!(of(&["utf-32", "utf-16"]), Encoding::Utf32);
    assert_eq!(of(&["latin-1"]), Encoding::Utf16);
    assert_eq!(of(&["latin-1", "utf-8"]), Encoding::Utf8);
    for encoding in ENCODINGS {
        assert_eq!(Encoding::negotiate(Some(&[encoding.kind()])), encoding);
    }
}

#[test]
fn hostile_positions_are_moved_to_what_there_is() {
    let text = "aé😀b\r\nc\u{2028}d\re\n";
    let at = |encoding, line, column| document(text, encoding).offset(Position::new(line, column)).unwrap();
    // Inside the surrogates, and inside the bytes.
    assert_eq!(at(Encoding::Utf16, 0, 2), 3);
    assert_eq!(at(Encoding::Utf16, 0, 3), 3);
    assert_eq!(at(Encoding::Utf16, 0, 4), 7);
    for column in 3..7 {
        assert_eq!(at(Encoding::Utf8, 0, column), 3);
    }
    assert_eq!(at(Encoding::Utf8, 0, 2), 1);
    for encoding in ENCODINGS {
        assert_eq!(at(encoding, 0, u32::MAX), 8, "not behind the line end");
        assert_eq!(at(encoding, 2, 1), 17);
        assert_eq!(at(encoding, 3, 0), text.len());
        assert_eq!(at(encoding, u32::MAX, u32::MAX), text.len());
    }
    // U+2028 ends no line.
    assert_eq!(at(Encoding::Utf16, 1, 3), 15);
    let mut reversed = document(text, Encoding::Utf16);
    reversed.change(2, &[change(Some(range((9, 9), (0, 1))), "x")]);
    assert_eq!(reversed.text().unwrap(), "ax");
    assert_eq!(reversed.version(), 2);
}

#[test]
fn a_line_end_may_be_made_and_broken() {
    let mut document = document("a\rb", Encoding::Utf16);
    document.change(2, &[change(Some(range((1, 0), (1, 0))), "\n")]);
    assert_eq!(document.text().unwrap(), "a\r\nb");
    assert_eq!(document.position(4).unwrap(), Position::new(1, 1));
    assert_eq!(document.position(2).unwrap(), Position::new(0, 1), "inside the line end");
    document.change(3, &[change(Some(range((0, 0), (0, 1))), "")]);
    assert_eq!(document.text().unwrap(), "\r\nb");
}

#[test]
fn what_is_too_large_is_not_kept() {
    let mut large = document(&"x".repeat(MAX_BYTES), Encoding::Utf16);
    assert_eq!(large.size(), Ok(MAX_BYTES));
    let anchor = large.anchor(5, Gravity::Before);
    large.change(2, &[change(Some(range((0, 0), (0, 0))), "y")]);
    let error = large.text().unwrap_err();
    assert_eq!(error.bytes, MAX_BYTES + 1);
    assert!(error.to_string().contains("open it again"), "{error}");
    assert!(large.at(anchor).unwrap().lost);
    assert!(large.offset(Position::new(0, 0)).is_err() && large.position(0).is_err());
    // A change of a part is for a text that is not known.
    large.change(3, &[change(Some(range((0, 0), (9, 0))), "y")]);
    assert!(large.text().is_err());
    large.change(4, &[change(None, "small"), change(Some(range((0, 0), (0, 1))), "t")]);
    assert_eq!(large.text().as_deref(), Ok("tmall"));
    assert_eq!(large.version(), 4);
    let mut whole = document("a", Encoding::Utf16);
    whole.change(2, &[change(None, &"x".repeat(MAX_BYTES + 1))]);
    assert!(whole.text().is_err());
    assert!(document(&"x".repeat(MAX_BYTES + 1), Encoding::Utf16).text().is_err());
}

#[test]
fn an_anchor_stays_with_its_text() {
    let mut text = document("one two three", Encoding::Utf16);
    let (before, behind) = (text.anchor(4, Gravity::Before), text.anchor(4, Gravity::Behind));
    let inside = text.anchor(9, Gravity::Behind);
    let end = text.anchor(usize::MAX, Gravity::Before);
    let at = |text: &Document, id| text.at(id).map(|Anchor { offset, lost, .. }| (offset, lost)).unwrap();
    text.change(2, &[change(Some(range((0, 4), (0, 4))), "new ")]);
    assert_eq!((at(&text, before), at(&text, behind)), ((4, false), (8, false)));
    // The whole text again, with one word less.
    text.change(3, &[change(None, "one new three")]);
    assert_eq!(at(&text, inside), (9, false));
    text.change(4, &[change(Some(range((0, 8), (0, 13))), "")]);
    assert_eq!(text.text().unwrap(), "one new ");
    assert_eq!(at(&text, inside), (8, true));
    assert_eq!(at(&text, end), (8, false));
    text.release(end);
    assert_eq!(text.at(end), None);
    // It does not come back.
    text.change(5, &[change(None, "one new three")]);
    assert!(text.at(inside).unwrap().lost);
}

/// What the model says of an anchor after the bytes `start..end` became `new` others.
fn moved((at, lost): (usize, bool), gravity: Gravity, start: usize, end: usize, new: usize) -> (usize, bool) {
    if start < at && at < end {
        return (start, true);
    }
    let goes = if start == end { at == start && gravity == Gravity::Behind } else { at == end };
    (if at > end || goes { at + new - (end - start) } else { at }, lost)
}

fn common(old: &str, new: &str) -> (usize, usize) {
    let head: usize =
        old.chars().zip(new.chars()).take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum();
    let back = old[head..].chars().rev().zip(new[head..].chars().rev());
    (head, back.take_while(|(a, b)| a == b).map(|(c, _)| c.len_utf8()).sum())
}

fn piece() -> impl Strategy<Value = String> {
    let one = prop::sample::select(vec![
        "a",
        "b",
        " ",
        "\n",
        "\r\n",
        "\r",
        "é",
        "日",
        "😀",
        "e\u{301}",
        "\u{2028}",
        "\u{85}",
        "\u{c}",
        "👩\u{200d}💻",
        "* USER\n",
    ]);
    prop_oneof![
        prop::collection::vec(one, 0..12).prop_map(|all| all.concat()),
        Just("long é line ".repeat(200)),
    ]
}

fn position() -> impl Strategy<Value = Position> {
    let number = || prop_oneof![8 => 0u32..12, 1 => Just(u32::MAX)];
    (number(), number()).prop_map(|(line, column)| Position::new(line, column))
}

proptest! {
    #[test]
    fn a_document_is_what_a_string_would_be(
        encoding in prop::sample::select(ENCODINGS.to_vec()),
        first in piece(),
        anchors in prop::collection::vec((0usize..40, any::<bool>()), 0..6),
        edits in prop::collection::vec((prop::option::weighted(0.9, (position(), position())), piece()), 0..20),
    ) {
        let mut text = first;
        let mut document = document(&text, encoding);
        let mut known = Vec::new();
        for (offset, is_before) in anchors {
            let gravity = if is_before { Gravity::Before } else { Gravity::Behind };
            let at = text.floor_char_boundary(offset.min(text.len()));
            known.push((document.anchor(offset, gravity), gravity, (at, false)));
        }
        for (number, (place, new)) in edits.into_iter().enumerate() {
            let (start, end) = match place {
                Some((a, b)) => {
                    let (a, b) = (naive_offset(&text, a, encoding), naive_offset(&text, b, encoding));
                    (a.min(b), a.max(b))
                }
                None => (0, text.len()),
            };
            let (head, tail) = common(&text[start..end], &new);
            for (_, gravity, at) in &mut known {
                *at = moved(*at, *gravity, start + head, end - tail, new.len() - tail - head);
            }
            let version = i32::try_from(number).unwrap() + 2;
            document.change(version, &[change(place.map(|(a, b)| Range::new(a, b)), &new)]);
            text.replace_range(start..end, &new);
            prop_assert_eq!(document.text().unwrap(), text.clone());
            prop_assert_eq!(document.size(), Ok(text.len()));
            for (id, gravity, (offset, lost)) in &known {
                prop_assert_eq!(document.at(*id), Some(Anchor { offset: *offset, gravity: *gravity, lost: *lost }));
            }
        }
        for offset in 0..text.len().min(60) + 2 {
            let position = document.position(offset).unwrap();
            prop_assert_eq!(position, naive_position(&text, offset, encoding));
            prop_assert_eq!(document.offset(position).unwrap(), naive_offset(&text, position, encoding));
        }
        for line in 0..8 {
            for column in 0..12 {
                let position = Position::new(line, column);
                prop_assert_eq!(document.offset(position).unwrap(), naive_offset(&text, position, encoding));
            }
        }
        let all = document.range(0..text.len()).unwrap();
        prop_assert_eq!(document.bytes(all).unwrap().start, 0);
    }
}

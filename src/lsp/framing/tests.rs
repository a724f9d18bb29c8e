//! Tests of the framing: cases by hand, and two properties over generated junk.

use super::*;
use proptest::prelude::*;

/// What `input` is, as one line: a body in brackets, or the name of the fault; given whole and byte by byte.
fn check(input: impl AsRef<[u8]>, expected: &str) {
    let input = input.as_ref();
    let show = |found: &[Found]| {
        let word = |found: &Found| match found {
            Found::Body(body) if body.len() > 60 => format!("[{} bytes]", body.len()),
            Found::Body(body) => format!("[{}]", String::from_utf8_lossy(body)),
            Found::Fault(fault) => format!("{fault:?}"),
        };
        found.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    let lossy = String::from_utf8_lossy(&input[..input.len().min(300)]).into_owned();
    assert_eq!(show(&parse(&[input])), expected, "whole: {lossy}");
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(show(&parse(&bytes)), expected, "byte by byte: {lossy}");
}

fn parse(chunks: &[&[u8]]) -> Vec<Found> {
    let mut all = Vec::new();
    let mut framing = Framing::new();
    for chunk in chunks {
        framing.push(chunk, |found| all.push(found));
        assert!(framing.held.len() <= MAX_HEADER + MAX_BODY);
    }
    all.extend(framing.finish().map(Found::Fault));
    all
}

#[test]
fn whole_frames() {
    check("", "");
    check("Content-Length: 2\r\n\r\n{}", "[{}]");
    check("Content-Length: 2\r\n\r\n{}Content-Length: 3\r\n\r\n[1]", "[{}] [[1]]");
    check("content-length: 2\r\n\r\n{}CONTENT-LENGTH:3\r\n\r\n[1]", "[{}] [[1]]");
    check("Content-Length: 2\n\n{}", "[{}]");
    check("\r\n\r\nContent-Length: 2\r\n\r\n{}\r\n", "[{}]");
    check("Content-Length: 0\r\n\r\nContent-Length: 2\r\n\r\n{}", "[] [{}]");
    check(
        "Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nContent-Length :  2 \r\nX_3.a-b: c\r\n\r\n{}",
        "[{}]",
    );
    let text = r#"{"a":"\nContent-Length: 5\r\n\r\n{}"}"#;
    check(format!("Content-Length: {}\r\n\r\n{text}", text.len()), &format!("[{text}]"));
    let pretty = "{\n  \"Content-Length:\": 5,\n\n  \"c\": \"Content-Length: 7\"\n}\n";
    check(format!("Content-Length: {}\r\n\r\n{pretty}", pretty.len()), &format!("[{pretty}]"));
}

#[test]
fn faults_and_what_comes_after() {
    let next = "Content-Length: 4\r\n\r\nnext";
    for (input, expected) in [
        ("Content-Length: abc\r\n\r\n", "BadLength"),
        ("Content-Length: -5\r\n\r\n", "BadLength"),
        ("Content-Length: +5\r\n\r\n", "BadLength"),
        ("Content-Length: 5.0\r\n\r\n", "BadLength"),
        ("Content-Length:\r\n\r\n", "BadLength"),
        ("Content-Length: 33554433\r\n\r\n", "TooLong"),
        ("Content-Length: 99999999999999999999999999\r\n\r\n{\"a\":1}", "TooLong"),
        ("Content-Type: x\r\n\r\n{}", "NoLength"),
        ("{}\r\n", "Garbage"),
        ("{}", "Garbage"),
        ("X: 1\r\n: 2\r\n\r\n", "Garbage"),
        // A length that is too short: the rest of the body is no header.
        ("Content-Length: 5\r\n\r\n{\"a\":1}", "[{\"a\":] Garbage"),
        ("Content-Length: 7\r\n\r\n{\"a\":\"name: b\"}", "[{\"a\":\"n] Garbage"),
        ("Content-Length: 3\r\n\r\n{\n\n\"a\":\n1\n}", "[{\n\n] Garbage"),
        ("Content-Length: 3\r\n\r\n{\"c\":1}", "Overlong Garbage"),
        // Two lengths, and a frame that stopped in its header.
        ("Content-Length: 2\r\n", "TwoLengths"),
        ("Content-Length: 2", "BadLength"),
        ("Content-Len", "Garbage"),
        ("X-Foo: 1\r\n", ""),
    ] {
        check(format!("{input}{next}"), format!("{expected} [next]").trim_start());
        check(format!("{next}{input}{next}"), &format!("[next] {expected} [next]").replace("  ", " "));
    }
    // Every length that is too long, up to the whole next frame and one past it.
    for extra in 1..=next.len() + 1 {
        let input = format!("Content-Length: {}\r\n\r\n{{\"a\":1}}{next}", 7 + extra);
        check(&input, "Overlong [next]");
        check(input.replace("Content-L", "content-l"), "Overlong [next]");
    }
    // The next frame has another header first.
    for extra in 1..20 {
        let input = format!("Content-Length: {}\r\n\r\n{{}}Content-Type: a\r\n{next}", 2 + extra);
        let found = parse(&[input.as_bytes()]);
        assert_eq!(found.last(), Some(&Found::Body(b"next".to_vec())), "{input}");
    }
}

#[test]
fn bounds() {
    let next = "Content-Length: 4\r\n\r\nnext";
    let fits = format!("X: {}\r\n", "a".repeat(MAX_HEADER - 5 - 19));
    check(format!("{fits}{next}"), "[next]");
    check(format!("{fits}{fits}{next}"), "EndlessHeader [next]");
    check(format!("{}{fits}{fits}\r\n{next}", &next[..19]), "EndlessHeader [next]");
    check("X: 1\r\n".repeat(MAX_HEADER) + next, "EndlessHeader [next]");
    check("a".repeat(3 * MAX_HEADER), "EndlessHeader");
    check(format!("Content-Length: {MAX_BODY}\r\n\r\n{{}}"), "Cut");
    check("Content-Le", "Cut");

    let mut whole = format!("Content-Length: {MAX_BODY}\r\n\r\n").into_bytes();
    whole.resize(whole.len() + MAX_BODY, b' ');
    whole.extend_from_slice(next.as_bytes());
    let mut framing = Framing::new();
    let mut sizes = Vec::new();
    for chunk in whole.chunks(65_536) {
        framing.push(chunk, |found| match found {
            Found::Body(body) => sizes.push((body.len(), body.capacity())),
            Found::Fault(fault) => panic!("{fault}"),
        });
        assert!(framing.held.capacity() <= MAX_BODY);
    }
    assert_eq!(sizes.iter().map(|size| size.0).collect::<Vec<_>>(), [MAX_BODY, 4]);
}

/// Pieces that broken clients are made of.
fn junk() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("Content-Length: 7\r\n\r\n{\"a\":1}".to_owned()),
        (0usize..60).prop_map(|length| format!("Content-Length: {length}\r\n\r\n")),
        (0usize..16).prop_map(|length| "Content-Length: "[..length].to_owned()),
        prop::sample::select(vec![
            "\r",
            "\n",
            "\r\n",
            "\r\n\r\n",
            "c",
            "C",
            "\"",
            ":",
            "{",
            "}",
            " ",
            "X: 1\r\n",
            "Content-Length: x",
            "Content-Length: 99999999999",
            "\"Content-Length: 5\r\n\"",
            "é",
            "name: \"value\"",
        ])
        .prop_map(str::to_owned),
        Just("X".repeat(5_000)),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn cutting_changes_nothing(input in junk(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for to in cuts.into_iter().chain([input.len()]) {
            chunks.push(&input[from..to]);
            from = to;
        }
        prop_assert_eq!(parse(&chunks), parse(&[&input]));
    }

    #[test]
    fn whatever_came_before_the_next_message_is_served(input in junk()) {
        let found = parse(&[&input, b"Content-Length: 8\r\n\r\n{\"id\":1}"]);
        prop_assert_eq!(found.last(), Some(&Found::Body(b"{\"id\":1}".to_vec())));
    }
}

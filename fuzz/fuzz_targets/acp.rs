//! Lines and messages in whatever pieces they come, and replies whose Markdown only grows.

#![no_main]

use libfuzzer_sys::fuzz_target;
use org_agent::acp::lines::{Found, Lines};
use org_agent::acp::text::{Format, Rest, Shown};
use org_agent::{lsp, org};

fuzz_target!(|data: &[u8]| {
    let Some((&size, bytes)) = data.split_first() else { return };
    let size = usize::from(size).max(1);
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    let mut note = |line: Found<'_>| {
        if let Found::Line(line) = line {
            drop(lsp::rpc::read(line));
            found.push(line.to_vec());
        }
    };
    bytes.chunks(size).for_each(|piece| lines.push(piece, &mut note));
    lines.finish(&mut note);
    let whole = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    assert!(found.iter().map(Vec::as_slice).eq(whole));

    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, _) = org::apply(text, 1);
    let (mut shown, mut rest) = (Shown::new(Format::Markdown), &*text);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
        shown.push(piece);
        rest = after;
    }
    assert!(matches!(shown.finish(&text), Rest::More(_)));
});

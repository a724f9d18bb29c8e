//! Any text, cut anywhere: the same result, and applying the contract twice changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use org_agent::org::{Stream, apply};

fuzz_target!(|data: (u8, u8, &str)| {
    let (level, cut, text) = (usize::from(data.0 % 8) + 1, usize::from(data.1), data.2);
    let (whole, changes) = apply(text, level);
    let mut stream = Stream::new(level);
    let mut pieces = String::new();
    let (head, tail) = text.split_at(text.floor_char_boundary(cut.min(text.len())));
    stream.push(head, &mut pieces);
    stream.push(tail, &mut pieces);
    assert_eq!(stream.finish(&mut pieces), changes);
    assert_eq!(whole, pieces);
    assert_eq!(apply(&whole, level), (whole.clone(), Vec::new()));
});

//! Any bytes, cut anywhere: the same frames and faults, and no more memory than the limits allow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use org_agent::lsp::framing::Framing;

fn found(pieces: &[&[u8]]) -> Vec<String> {
    let mut framing = Framing::new();
    let mut all = Vec::new();
    for piece in pieces {
        framing.push(piece, |found| all.push(format!("{found:?}")));
    }
    all.extend(framing.finish().map(|fault| format!("{fault:?}")));
    all
}

fuzz_target!(|data: &[u8]| {
    let (cut, bytes) = data.split_first().map_or((0, data), |(cut, rest)| (usize::from(*cut), rest));
    let (head, tail) = bytes.split_at(cut.min(bytes.len()));
    assert_eq!(found(&[bytes]), found(&[head, tail]));
});

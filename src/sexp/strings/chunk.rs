//! A piece of a reply as the fast way through a string sees it: what of it is clean text, and where that has a
//! quote or a backslash.
//!
//! It knows no rows and no escapes. Bytes are looked at many at a time.

use super::is_control;

/// A piece of a reply, and what is known about it.
pub(in crate::sexp) struct Chunk<'a> {
    pub(in crate::sexp) bytes: &'a [u8],
    /// Well-formed text without forbidden control characters, and where it begins in the bytes.
    text: &'a str,
    begin: usize,
    pub(super) ascii: bool,
}

impl<'a> Chunk<'a> {
    pub(in crate::sexp) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, text: "", begin: 0, ascii: true }
    }

    /// As much as there is at `at` of well-formed text without forbidden control characters. The bytes are
    /// looked at once, many at a time, however many strings they hold.
    pub(super) fn clean(&mut self, at: usize) -> &'a str {
        match at.checked_sub(self.begin).and_then(|from| self.text.get(from..)) {
            Some(text) if !text.is_empty() => text,
            _ => {
                let bytes = &self.bytes[at..];
                let text = simdutf8::compat::from_utf8(bytes).unwrap_or_else(|error| {
                    // So much was just found to be well-formed.
                    std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
                });
                let control = |byte: u8| byte < 0x80 && is_control(u32::from(byte));
                // A loop without an exit, with few questions, takes many bytes at a time.
                let (low, all) = text
                    .bytes()
                    .fold((false, 0), |(low, all), byte| (low | (byte < 0x20) | (byte == 0x7F), all | byte));
                let end = if low { text.bytes().position(control) } else { None };
                self.text = &text[..end.unwrap_or(text.len())];
                self.ascii = all < 0x80;
                if !self.ascii {
                    self.text = &self.text[..c1(self.text).unwrap_or(self.text.len())];
                }
                self.begin = at;
                self.text
            }
        }
    }
}

/// Where the first quote or backslash is.
pub(super) fn special(bytes: &[u8]) -> Option<usize> {
    /// So many bytes are looked at in one go.
    const BLOCK: usize = 32;
    // It is near, most often: then a call costs more than the search.
    let (blocks, _) = bytes[..bytes.len().min(4 * BLOCK)].as_chunks::<BLOCK>();
    for (at, block) in blocks.iter().enumerate() {
        // A loop without an exit takes many bytes at a time.
        if block.iter().fold(0, |any, byte| any | u8::from(*byte == b'"') | u8::from(*byte == b'\\')) != 0 {
            return first_of(block).map(|within| BLOCK * at + within);
        }
    }
    let seen = BLOCK * blocks.len();
    memchr::memchr2(b'"', b'\\', &bytes[seen..]).map(|at| seen + at)
}

/// The same, for a few bytes of which one is known to be there.
fn first_of(block: &[u8]) -> Option<usize> {
    const fn all(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    /// The highest bit of each zero byte, and perhaps of bytes behind the first.
    const fn zeros(word: u64) -> u64 {
        word.wrapping_sub(all(1)) & !word & all(0x80)
    }
    let (words, _) = block.as_chunks();
    let found = words.iter().map(|word| {
        let word = u64::from_le_bytes(*word);
        zeros(word ^ all(b'"')) | zeros(word ^ all(b'\\'))
    });
    let (at, found) = found.enumerate().find(|(_, found)| *found != 0)?;
    Some(8 * at + found.trailing_zeros() as usize / 8)
}

/// Where in `text` the first C1 control character is.
fn c1(text: &str) -> Option<usize> {
    // All of them begin with this byte.
    let bytes = text.as_bytes();
    memchr::memchr_iter(0xC2, bytes).find(|at| bytes.get(at + 1).is_some_and(|second| *second < 0xA0))
}

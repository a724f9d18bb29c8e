//! The inside of a private key: a state, so that a block of any length is masked without being held.

use super::rules::Class;

/// A word of at least so many characters of base64 is a line of a key.
const LINE: u16 = 16;

/// So many words in a row that are no line of a key end a block that has no last line: output was cut, or
/// something else was written between. Its headers and the words of a cut have fewer.
const OTHERS: u8 = 12;

/// What was read of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    word: u16,
    is_line: bool,
    others: u8,
    dashes: u8,
    /// How much of `END` was read after five dashes.
    end: u8,
}

impl Default for Block {
    fn default() -> Self {
        Self { word: 0, is_line: true, others: 0, dashes: 0, end: 0 }
    }
}

impl Block {
    /// Reads a byte: what comes after it, `None` at the last dash. Err if the byte is no part of the block.
    pub(super) fn next(mut self, byte: u8) -> Result<Option<Self>, ()> {
        if byte == b'-' {
            self.dashes = self.dashes.saturating_add(1);
            if self.end == 3 && self.dashes == 5 {
                return Ok(None);
            }
        } else {
            self.end = match (self.end, byte) {
                (3, _) => 3,
                (0, b'E') if self.dashes >= 5 => 1,
                (1, b'N') => 2,
                (2, b'D') => 3,
                _ => 0,
            };
            self.dashes = 0;
        }
        if byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'\\') {
            if self.word > 0 {
                self.others = if self.is_line && self.word >= LINE { 0 } else { self.others + 1 };
                (self.word, self.is_line) = (0, true);
                if self.others >= OTHERS {
                    return Err(());
                }
            }
        } else {
            self.word = self.word.saturating_add(1);
            self.is_line &= Class::Base64.has(byte);
        }
        Ok(Some(self))
    }
}

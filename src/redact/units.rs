//! Text as the rules see it: one byte after the other, with what encodes or hides a byte taken away.
//!
//! `%41`, `\u0041`, `\\u0041` and `\x41` are an `A`, a full-width `Ａ` too; colour codes, control characters and characters
//! without width are nothing. Every unit knows which part of the text it was, so that a mask replaces just that.

use super::rules;

/// A byte that no rule accepts: a mask that is there already, or too much that is invisible.
pub(super) const BREAK: u8 = 0;

/// The most bytes of the text that a start may look ahead. With the unit that crosses it this bounds what is held.
const SPAN: usize = 8_192;

/// The most bytes in a row that count as invisible.
const INVISIBLE: usize = 64;

/// The most bytes of one colour code.
const COLOUR: usize = 32;

/// One byte for the rules, and where it is in the held text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub(super) byte: u8,
    /// Where the invisible before it begins; `start` if there is none.
    pub(super) lead: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// What stands at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Byte(u8),
    /// Nothing yet.
    Open,
    /// The end of the text.
    Shut,
}

/// The held text and its units.
#[derive(Clone, Debug, Default)]
pub(super) struct Units {
    pub(super) text: String,
    all: Vec<Unit>,
    /// How much of the text is in units or in the invisible after them.
    read: usize,
    /// Where the invisible after the last unit begins.
    lead: usize,
    pub(super) finished: bool,
}

enum Lexeme {
    Byte(u8, usize),
    Invisible(usize),
    /// It depends on what follows.
    Open,
}

impl Units {
    /// Takes more of the text.
    pub(super) fn push(&mut self, chunk: &str) {
        self.text.push_str(chunk);
        while self.read < self.text.len() {
            match lexeme(&self.text[self.read..], self.finished) {
                Lexeme::Open => break,
                Lexeme::Invisible(len) => {
                    self.read += len;
                    if self.read - self.lead > INVISIBLE {
                        self.unit(BREAK, 0);
                    }
                }
                Lexeme::Byte(byte, len) => {
                    self.read += len;
                    self.unit(byte, len);
                    // The other bytes of the same character, for keys that have such.
                    if byte >= 0xc2 && self.text.as_bytes()[self.read - len] == byte {
                        for at in self.read - len + 1..self.read {
                            self.unit(self.text.as_bytes()[at], 0);
                        }
                    }
                }
            }
        }
    }

    fn unit(&mut self, byte: u8, len: usize) {
        self.all.push(Unit { byte, lead: self.lead, start: self.read - len, end: self.read });
        self.lead = self.read;
    }

    pub(super) fn get(&self, at: usize) -> Option<Unit> {
        self.all.get(at).copied()
    }

    /// What stands at `at`, for a start at `from`.
    pub(super) fn see(&self, from: usize, at: usize) -> Seen {
        match (self.all.get(at), self.all.get(from)) {
            (Some(unit), Some(first)) if unit.end - first.start > SPAN => Seen::Byte(BREAK),
            (Some(unit), _) => Seen::Byte(unit.byte),
            (None, _) if self.finished => Seen::Shut,
            (None, _) => Seen::Open,
        }
    }

    /// Whether the byte at `at` was written in another way than as itself.
    pub(super) fn is_encoded(&self, at: usize) -> bool {
        self.all.get(at).is_some_and(|unit| unit.end - unit.start > 1)
    }

    /// Whether `words` stand at `at`. `Seen::Byte` is any byte that differs.
    pub(super) fn says(&self, from: usize, at: usize, words: &str, fold: bool) -> Result<usize, Seen> {
        for (n, want) in words.bytes().enumerate() {
            match self.see(from, at + n) {
                Seen::Byte(byte) if byte == want || fold && byte.to_ascii_lowercase() == want => {}
                other => return Err(other),
            }
        }
        Ok(at + words.len())
    }

    /// Text that is there as a whole.
    pub(super) fn whole(text: &str) -> Self {
        let mut units = Self { finished: true, ..Self::default() };
        units.push(text);
        units
    }

    /// The bytes as the rules see them.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.all.iter().map(|unit| unit.byte).collect()
    }

    /// Forgets the first `gone` units and their text.
    pub(super) fn forget(&mut self, gone: usize) {
        let Some(last) = gone.checked_sub(1).and_then(|last| self.all.get(last)) else { return };
        let cut = last.end;
        self.text.drain(..cut);
        self.all.drain(..gone);
        for unit in &mut self.all {
            (unit.lead, unit.start, unit.end) = (unit.lead - cut, unit.start - cut, unit.end - cut);
        }
        (self.read, self.lead) = (self.read - cut, self.lead - cut);
    }

    /// What is invisible after the last unit.
    pub(super) fn rest(&self) -> &str {
        &self.text[self.lead..]
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
}

/// The first lexeme of `text`, which is not empty.
fn lexeme(text: &str, finished: bool) -> Lexeme {
    let bytes = text.as_bytes();
    let wait = |or: Lexeme| if finished { or } else { Lexeme::Open };
    // The digits of an escape of `len` bytes, the first `head` of which are its introduction.
    let digits = |head: usize, len: usize| match bytes.get(head..len) {
        Some(digits) => Ok(hex(digits)),
        None if bytes[head..].iter().all(u8::is_ascii_hexdigit) && !finished => Err(Lexeme::Open),
        None => Ok(None),
    };
    match bytes[0] {
        b'%' => match digits(1, 3) {
            Ok(value) => value
                .and_then(|value| u8::try_from(value).ok())
                .map_or(Lexeme::Byte(b'%', 1), |byte| Lexeme::Byte(byte, 3)),
            Err(open) => open,
        },
        b'\\' => match bytes.get(1) {
            None => wait(Lexeme::Byte(b'\\', 1)),
            Some(b'n') => Lexeme::Byte(b'\n', 2),
            Some(b'r') => Lexeme::Byte(b'\r', 2),
            Some(b't') => Lexeme::Byte(b'\t', 2),
            Some(byte @ (b'"' | b'\'' | b'/')) => Lexeme::Byte(*byte, 2),
            // One in a string in a string has two of them.
            Some(kind @ (b'u' | b'x' | b'\\')) => {
                let head = if *kind == b'\\' { 3 } else { 2 };
                let plain = Lexeme::Byte(b'\\', head - 1);
                let len = match bytes.get(head - 1) {
                    Some(b'u') => head + 4,
                    Some(b'x') => head + 2,
                    Some(_) => return plain,
                    None => return wait(plain),
                };
                match digits(head, len) {
                    Err(open) => open,
                    Ok(Some(value)) => match char::from_u32(value) {
                        Some(c) if invisible(c) => Lexeme::Invisible(len),
                        Some(c) => Lexeme::Byte(ascii(c).unwrap_or(BREAK), len),
                        None => Lexeme::Byte(BREAK, len),
                    },
                    Ok(None) => plain,
                }
            }
            Some(_) => Lexeme::Byte(b'\\', 1),
        },
        b'[' => match rules::mask_at(text) {
            Some(Some(len)) => Lexeme::Byte(BREAK, len),
            Some(None) => wait(Lexeme::Byte(b'[', 1)),
            None => Lexeme::Byte(b'[', 1),
        },
        0x1b => escape(text, finished),
        byte if byte < 0x80 && !byte.is_ascii_control() || matches!(byte, b'\t' | b'\n' | b'\r') => {
            Lexeme::Byte(byte, 1)
        }
        first => match text.chars().next() {
            Some(c) if invisible(c) => Lexeme::Invisible(c.len_utf8()),
            Some(c) => Lexeme::Byte(ascii(c).unwrap_or(first), c.len_utf8()),
            None => Lexeme::Open,
        },
    }
}

/// A code that colours or clears. Others change what a terminal shows but not what stands in the text, and might
/// end in the first letter of a secret.
fn escape(text: &str, finished: bool) -> Lexeme {
    let (bytes, plain) = (text.as_bytes(), Lexeme::Byte(0x1b, 1));
    let wait = |or: Lexeme| if finished { or } else { Lexeme::Open };
    match bytes.get(1) {
        None => wait(plain),
        Some(b'(') => match bytes.get(2) {
            None => wait(plain),
            Some(b'B' | b'0') => Lexeme::Invisible(3),
            Some(_) => plain,
        },
        Some(b'[') => match bytes[2..].iter().position(|byte| !matches!(byte, 0x30..=0x3f)) {
            Some(len) if len <= COLOUR && matches!(bytes[2 + len], b'm' | b'K') => Lexeme::Invisible(len + 3),
            Some(_) => plain,
            None if bytes.len() > COLOUR + 2 => plain,
            None => wait(plain),
        },
        Some(_) => plain,
    }
}

/// The ASCII character that `c` is or looks exactly like.
fn ascii(c: char) -> Option<u8> {
    match u32::from(c) {
        value @ 1..0x80 => u8::try_from(value).ok(),
        value @ 0xff01..=0xff5e => u8::try_from(value - 0xfee0).ok(),
        _ => None,
    }
}

/// Whether nothing is seen of `c`.
fn invisible(c: char) -> bool {
    matches!(u32::from(c),
        0..=8 | 0xb | 0xc | 0xe..=0x1a | 0x1c..=0x1f | 0x7f..=0x9f | 0xad | 0x300..=0x36f | 0x61c | 0x115f | 0x1160
        | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0x20d0..=0x20ff | 0x3164
        | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xe0000..=0xe0fff)
}

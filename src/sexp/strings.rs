//! The inside of a string: UTF-8, escapes, forbidden characters and buffer names, chunk by chunk.
//!
//! One reader serves all strings of a reply, one after the other. It knows which of the rows still viable
//! restrict the string and how; a row whose restriction is broken drops out, and the string is refused
//! once no row is left. Between two chunks it holds at most one unfinished character or escape.

mod chunk;
mod names;

pub(super) use self::chunk::Chunk;
use self::chunk::special;
use self::names::Names;
use super::table::Rows;
use super::{Rejection, kind};
use crate::action::CHAT_BUFFER;

/// So few bytes are read fastest one by one.
const SHORT: usize = 8;

/// How far a chunk was read.
pub(super) enum Step {
    /// To its end; the string goes on.
    More,
    /// The string was closed; so many bytes were read, the quote included.
    Closed(usize),
}

/// Reads strings.
#[derive(Debug)]
pub(super) struct Strings {
    names: Names,
    /// Rows in which the string has to be one of the names.
    named: Rows,
    /// Rows in which it must not hold invisible characters.
    strict: Rows,
    /// Rows in which it must not be empty.
    filled: Rows,
    empty: bool,
    /// The first bytes of a character whose rest has not come yet.
    held: [u8; 4],
    holding: usize,
    escape: Option<Escape>,
}

/// An escape that is being read.
#[derive(Clone, Copy, Debug)]
struct Escape {
    /// Where its backslash is; of a pair the first.
    start: usize,
    /// The first half of a surrogate pair, once it is known.
    high: Option<u16>,
    part: Part,
}

/// What an escape needs next.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// The backslash of the second half of a pair.
    Backslash,
    /// The letter after a backslash.
    Letter,
    /// A hexadecimal digit, after so many that make this number.
    Digit(u32, u32),
}

impl Strings {
    pub(super) fn new(buffer: &str) -> Self {
        Self {
            names: Names::new(buffer),
            named: 0,
            strict: 0,
            filled: 0,
            empty: true,
            held: [0; 4],
            holding: 0,
            escape: None,
        }
    }

    /// Begins a string, whose opening quote was just read: the rows in which it has to be one of the names, must
    /// not hold invisible characters, must not be empty.
    pub(super) fn begin(&mut self, named: Rows, strict: Rows, filled: Rows) {
        (self.named, self.strict, self.filled) = (named, strict, filled);
        self.names.restart();
        self.empty = true;
    }

    /// Reads `chunk`, whose byte `at` is byte `offset` of the reply, and appends what it stands for to `out`.
    pub(super) fn read(
        &mut self,
        chunk: &mut Chunk<'_>,
        mut at: usize,
        offset: usize,
        rows: &mut Rows,
        out: &mut String,
    ) -> Result<Step, Box<Rejection>> {
        let begin = at;
        while let Some(&byte) = chunk.bytes.get(at) {
            let here = offset + at - begin;
            if let Some(escape) = self.escape {
                self.escape = self.escaped(escape, byte, rows, out)?;
            } else if self.holding > 0 {
                self.held[self.holding] = byte;
                self.holding += 1;
                let held = self.held;
                let held = &held[..std::mem::take(&mut self.holding)];
                self.literal(held, held.len() - 1, here + 1 - held.len(), rows, out)?;
            } else {
                let read = match self.plain(chunk, at, *rows, out) {
                    0 => self.run(&chunk.bytes[at..], here, rows, out)?,
                    read => read,
                };
                if read > 0 {
                    self.empty = false;
                    at += read;
                    continue;
                }
                match byte {
                    b'"' => {
                        self.close(here, rows)?;
                        return Ok(Step::Closed(at + 1 - begin));
                    }
                    b'\\' => {
                        if self.named & *rows != 0 && !self.names.more() {
                            self.drop_named(here, rows)?;
                        }
                        self.escape = Some(Escape { start: here, high: None, part: Part::Letter });
                    }
                    _ => return Err(forbidden(char::from(byte), here)),
                }
                self.empty = false;
            }
            at += 1;
        }
        Ok(Step::More)
    }

    /// What is missing, for a reply that ends inside the string.
    pub(super) fn unfinished(&self) -> &'static str {
        if self.escape.is_some() {
            "inside an escape"
        } else if self.holding > 0 {
            "inside a character"
        } else {
            "inside a string"
        }
    }

    /// Reads plain text with short escapes in it, if there is nothing in it that this string may not hold: the
    /// most frequent case, and so the fastest. It stops before everything else; how many bytes it read.
    fn plain(&mut self, chunk: &mut Chunk<'_>, at: usize, rows: Rows, out: &mut String) -> usize {
        if chunk.bytes.len() < at + SHORT {
            return 0;
        }
        let text = chunk.clean(at);
        let bytes = text.as_bytes();
        if self.strict & rows != 0 && !chunk.ascii {
            return 0;
        }
        if self.named & rows != 0 {
            // A name as a whole, as if it was compared byte by byte.
            let end = memchr::memchr2(b'"', b'\\', bytes).filter(|end| self.empty && bytes[*end] == b'"');
            let name = end.map(|end| &text[..end]).filter(|name| self.names.take(name));
            out.push_str(name.unwrap_or_default());
            return name.map_or(0, str::len);
        }
        let mut from = 0;
        while let Some(length) = special(&bytes[from..]) {
            let end = from + length;
            if from == 0 && bytes[end] == b'\\' {
                // Once is faster than bit by bit.
                out.reserve(text.len());
            }
            out.push_str(&text[from..end]);
            let Some(&[b'\\', letter]) = bytes.get(end..end + 2) else { return end };
            let Some(c) = short_escape(letter) else { return end };
            out.push(c);
            from = end + 2;
        }
        out.push_str(&text[from..]);
        text.len()
    }

    /// Reads what comes before the next quote, backslash or control character; how many bytes that are.
    fn run(
        &mut self,
        rest: &[u8],
        start: usize,
        rows: &mut Rows,
        out: &mut String,
    ) -> Result<usize, Box<Rejection>> {
        let length = rest.iter().position(|byte| SPECIAL[usize::from(*byte)]).unwrap_or(rest.len());
        if length > 0 {
            self.literal(&rest[..length], 0, start, rows, out)?;
        }
        Ok(length)
    }

    /// Reads `run`, which has no quote, backslash or control character in it, or is a character held back.
    /// Its first `known` bytes were already compared with the names; it begins at byte `start` of the reply.
    fn literal(
        &mut self,
        mut run: &[u8],
        known: usize,
        start: usize,
        rows: &mut Rows,
        out: &mut String,
    ) -> Result<(), Box<Rejection>> {
        let mut differs = None;
        if self.named & *rows != 0
            && let Some(same) = self.names.differ(&run[known..])
        {
            differs = Some(start + known + same);
            if *rows & !self.named == 0 {
                // Nothing behind that byte counts; but if the byte makes its own character ill-formed or
                // forbidden, that is what is wrong, and where that character begins.
                run = &run[..=known + same];
            }
        }
        let (text, cut) = match std::str::from_utf8(run) {
            Ok(text) => (text, None),
            Err(error) => {
                let (good, bad) = run.split_at(error.valid_up_to());
                // The prefix was just found to be valid.
                (std::str::from_utf8(good).unwrap_or_default(), Some((bad, error.error_len())))
            }
        };
        if !text.is_ascii() {
            self.check_characters(text, start, rows)?;
        }
        out.push_str(text);
        match cut {
            None => {}
            // What comes next completes it or makes it ill-formed.
            Some((bad, None)) => {
                self.held[..bad.len()].copy_from_slice(bad);
                self.holding = bad.len();
            }
            Some((bad, Some(_))) => return Err(ill_formed(bad[0], start + text.len())),
        }
        match differs {
            Some(at) => self.drop_named(at, rows),
            None => Ok(()),
        }
    }

    /// Refuses C1 control characters and, where they matter, invisible ones.
    fn check_characters(&self, text: &str, start: usize, rows: &mut Rows) -> Result<(), Box<Rejection>> {
        for (at, c) in text.char_indices() {
            if is_control(u32::from(c)) {
                return Err(forbidden(c, start + at));
            }
            if self.strict & *rows != 0 && is_invisible(c) {
                *rows &= !self.strict;
                if *rows == 0 {
                    return Err(invisible(c, kind::BAD_CHARACTER, start + at));
                }
            }
        }
        Ok(())
    }

    /// The closing quote, at byte `here`.
    fn close(&mut self, here: usize, rows: &mut Rows) -> Result<(), Box<Rejection>> {
        if self.empty && self.filled & *rows != 0 {
            *rows &= !self.filled;
            if *rows == 0 {
                return Err(Box::new(Rejection {
                    kind: kind::EMPTY_COMMAND,
                    offset: here,
                    message: "found an empty string, expected a command".into(),
                    hint: "Write the command to run between the quotes.".into(),
                }));
            }
        }
        if self.named & *rows != 0 && !self.names.complete() {
            self.drop_named(here, rows)?;
        }
        Ok(())
    }

    /// Reads one byte of an escape; what is returned is the escape if it goes on.
    fn escaped(
        &mut self,
        mut escape: Escape,
        byte: u8,
        rows: &mut Rows,
        out: &mut String,
    ) -> Result<Option<Escape>, Box<Rejection>> {
        match (escape.part, escape.high) {
            (Part::Backslash, _) if byte == b'\\' => escape.part = Part::Letter,
            (Part::Letter, _) if byte == b'u' => escape.part = Part::Digit(0, 0),
            (Part::Letter, None) => {
                let c = short_escape(byte).ok_or_else(|| bad_escape(escape, byte))?;
                self.character(c, escape.start, rows, out)?;
                return Ok(None);
            }
            (Part::Digit(digits, number), high) => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    return Err(bad_escape(escape, byte));
                };
                let (digits, number) = (digits + 1, number << 4 | digit);
                // The numbers that this one can still become.
                let spread = (4 - digits) * 4;
                let (least, most) = (number << spread, ((number + 1) << spread) - 1);
                let possible = match high {
                    None => !(least..=most).all(|unit| is_control(unit) || is_low(unit)),
                    Some(_) => least <= 0xDFFF && most >= 0xDC00,
                };
                if !possible {
                    return Err(bad_escape(escape, byte));
                }
                if self.named & *rows != 0 && !self.names.unit(least, most, high.is_some()) {
                    self.drop_named(escape.start, rows)?;
                }
                if digits < 4 {
                    escape.part = Part::Digit(digits, number);
                    return Ok(Some(escape));
                }
                let number = number as u16;
                if high.is_none() && (0xD800..0xDC00).contains(&number) {
                    escape.high = Some(number);
                    escape.part = Part::Backslash;
                    return Ok(Some(escape));
                }
                let units = [high.unwrap_or(number), number];
                let units = if high.is_some() { &units[..] } else { &units[1..] };
                for c in char::decode_utf16(units.iter().copied()) {
                    // The checks above leave no lone surrogate.
                    let c = c.map_err(|_| bad_escape(escape, byte))?;
                    self.character(c, escape.start, rows, out)?;
                }
                return Ok(None);
            }
            (Part::Backslash | Part::Letter, _) => return Err(bad_escape(escape, byte)),
        }
        Ok(Some(escape))
    }

    /// Takes a character that was written as an escape beginning at byte `start`.
    fn character(
        &mut self,
        c: char,
        start: usize,
        rows: &mut Rows,
        out: &mut String,
    ) -> Result<(), Box<Rejection>> {
        if self.strict & *rows != 0 && is_invisible(c) {
            *rows &= !self.strict;
            if *rows == 0 {
                return Err(invisible(c, kind::BAD_ESCAPE, start));
            }
        }
        if self.named & *rows != 0 {
            let mut bytes = [0; 4];
            if self.names.differ(c.encode_utf8(&mut bytes).as_bytes()).is_some() {
                self.drop_named(start, rows)?;
            }
        }
        out.push(c);
        Ok(())
    }

    /// The string is none of the names; `at` is where it differs.
    fn drop_named(&mut self, at: usize, rows: &mut Rows) -> Result<(), Box<Rejection>> {
        *rows &= !self.named;
        if *rows != 0 {
            return Ok(());
        }
        Err(Box::new(Rejection {
            kind: kind::BAD_BUFFER,
            offset: at,
            message: "the buffer is not that of this session".into(),
            hint: format!("Write :buffer \"{CHAT_BUFFER}\", which always means this session."),
        }))
    }
}

static SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x80 {
        special[byte] = byte == b'"' as usize || byte == b'\\' as usize || is_control(byte as u32);
        byte += 1;
    }
    special
};

/// What a backslash and each letter stand for; 0 where it stands for nothing. None of these is invisible.
static SHORT_ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    escapes[b'\\' as usize] = b'\\';
    escapes[b'"' as usize] = b'"';
    escapes[b'n' as usize] = b'\n';
    escapes[b't' as usize] = b'\t';
    escapes[b'r' as usize] = b'\r';
    escapes
};

/// What a backslash and this letter stand for.
fn short_escape(letter: u8) -> Option<char> {
    Some(SHORT_ESCAPES[usize::from(letter)]).filter(|byte| *byte != 0).map(char::from)
}

/// C0, DEL and C1 but for the three that a string may hold.
const fn is_control(number: u32) -> bool {
    (number < 0x20 && number != 0x09 && number != 0x0A && number != 0x0D)
        || (number >= 0x7F && number <= 0x9F)
}

/// The second half of a surrogate pair.
const fn is_low(number: u32) -> bool {
    number >= 0xDC00 && number <= 0xDFFF
}

/// What could hide in a command: zero-width characters and those that change the direction of text.
pub(super) const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn forbidden(c: char, offset: usize) -> Box<Rejection> {
    Box::new(Rejection {
        kind: kind::BAD_CHARACTER,
        offset,
        message: format!("found the control character U+{:04X} in a string", u32::from(c)),
        hint: "In strings only line feed, TAB and carriage return are allowed of the control characters."
            .into(),
    })
}

fn invisible(c: char, kind: &'static str, offset: usize) -> Box<Rejection> {
    Box::new(Rejection {
        kind,
        offset,
        message: format!("found the invisible character U+{:04X} in a command or directory", u32::from(c)),
        hint: "Leave it out: commands and directories have no invisible characters.".into(),
    })
}

fn ill_formed(byte: u8, offset: usize) -> Box<Rejection> {
    Box::new(Rejection {
        kind: kind::BAD_UTF8,
        offset,
        message: format!("the byte 0x{byte:02X} begins no well-formed UTF-8 character"),
        hint: "Write the reply as UTF-8.".into(),
    })
}

fn bad_escape(escape: Escape, byte: u8) -> Box<Rejection> {
    let found = super::report::found(byte);
    let message = match (escape.part, escape.high) {
        (Part::Letter, None) => format!("found a backslash before {found}, which is no escape"),
        (Part::Digit(..), None) if byte.is_ascii_hexdigit() => {
            "found an escape of a control character or of half a surrogate pair".into()
        }
        (Part::Digit(..), None) => format!("found {found} in a \\u escape, expected a hexadecimal digit"),
        (_, Some(high)) => {
            format!("found {found} where \\u{high:04x}, half a surrogate pair, needs its other half")
        }
        (Part::Backslash, None) => format!("found {found} in an escape"),
    };
    Box::new(Rejection {
        kind: kind::BAD_ESCAPE,
        offset: escape.start,
        message,
        hint: "In strings write \\\\ \\\" \\n \\t \\r or \\uXXXX (surrogates in pairs); a backslash itself is \\\\."
            .into(),
    })
}

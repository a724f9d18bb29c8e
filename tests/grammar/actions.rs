//! Random actions, made from the grammar table; damaged prints; what the verifier says to them.

use org_agent::action::{Action, CHAT_BUFFER, GRAMMAR, Kind, Row, Shape, Value};
use org_agent::sexp::printer::print;
use org_agent::sexp::recogniser::Recogniser;
use proptest::prelude::ProptestConfig;

/// Names of buffers: plain; with all that has to be escaped somewhere; beginning like the other name;
/// unwritable; empty.
pub const BUFFERS: [&str; 6] =
    ["notes", "é\n😀\"b\\\t\r", "*org-agent", "]%[^-/'$#|(){0,1} \u{200B}\u{10FFFF}", "a\u{7}b", ""];

pub fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

pub fn row(kind: Kind) -> &'static Row {
    GRAMMAR.iter().find(|row| row.kind == kind).unwrap()
}

/// An action of this kind with these strings.
pub fn action(kind: Kind, strings: &[(&str, &str)]) -> Action {
    let mut action = Action::new(row(kind));
    for (key, text) in strings {
        match *key {
            "explanation" => action.explain(Some((*text).to_owned())),
            key => action.set(key, Value::Text((*text).to_owned())),
        }
    }
    action
}

/// What the verifier reads.
pub fn read(reply: &[u8], buffer: &str) -> Option<Action> {
    let mut recogniser = Recogniser::new(buffer);
    recogniser.feed(reply).ok()?;
    recogniser.finish().ok()
}

/// Whether no string has more than `most` characters.
pub fn is_within(action: &Action, most: usize) -> bool {
    let texts = action.payload().filter_map(|(key, value)| match value {
        // The buffer's name has no limit of this kind.
        Value::Text(text) if key != "buffer" => Some(text.as_str()),
        _ => None,
    });
    texts.chain(action.explanation()).all(|text| text.chars().count() <= most)
}

/// Whether the reply is exactly what the printer prints for an action with strings of at most `most`.
pub fn is_canonical(reply: &[u8], buffer: &str, most: usize) -> bool {
    read(reply, buffer).is_some_and(|action| print(&action).as_bytes() == reply && is_within(&action, most))
}

/// Random choices, taken from a list so that they shrink.
pub struct Tape<'a>(std::slice::Iter<'a, u16>);

impl<'a> Tape<'a> {
    pub fn new(choices: &'a [u16]) -> Self {
        Self(choices.iter())
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % limit
    }

    pub fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A character of a string.
    fn character(&mut self, invisible: bool) -> char {
        const SOME: [char; 24] = [
            'a',
            'Z',
            '0',
            ' ',
            '~',
            '(',
            ')',
            ':',
            '"',
            '\\',
            '\n',
            '\t',
            '\r',
            '/',
            '\'',
            'é',
            '\u{A0}',
            '€',
            '\u{D7FF}',
            '\u{E000}',
            '\u{FFFF}',
            '\u{10000}',
            '😀',
            '\u{10FFFF}',
        ];
        const INVISIBLE: [char; 8] =
            ['\u{200B}', '\u{2060}', '\u{FEFF}', '\u{202A}', '\u{202E}', '\u{2066}', '\u{2069}', '\u{200A}'];
        match self.below(8) {
            0 if invisible => self.choose(&INVISIBLE),
            1 => {
                let number = (self.below(0x11) << 16) + self.below(0x1_0000);
                let c = char::from_u32(number as u32).filter(|c| !c.is_control());
                c.filter(|c| invisible || is_clear(*c)).unwrap_or('x')
            }
            _ => self.choose(&SOME),
        }
    }

    fn text(&mut self, least: usize, most: usize, invisible: bool) -> String {
        let length = match self.below(6) {
            0 => least,
            1 => most,
            _ => least + self.below((most - least).min(12) + 1),
        };
        (0..length).map(|_| self.character(invisible)).collect()
    }

    /// A valid action for a session of `buffer`, its strings of at most `most` characters.
    pub fn action(&mut self, buffer: &str, most: usize) -> Action {
        let mut action = Action::new(&GRAMMAR[self.below(GRAMMAR.len())]);
        for field in action.row().payload {
            if !field.required && self.below(2) == 0 {
                continue;
            }
            let value = match field.shape {
                Shape::Text | Shape::Name => Value::Text(self.text(0, most, true)),
                Shape::Command => Value::Text(self.text(1, most, false)),
                Shape::Path => Value::Text(self.text(0, most, false)),
                Shape::Buffer => {
                    let names = if buffer == BUFFERS[4] { [CHAT_BUFFER; 2] } else { [CHAT_BUFFER, buffer] };
                    Value::Text(self.choose(&names).to_owned())
                }
                Shape::Keyword(words) => Value::Keyword(self.choose(words)),
                Shape::Seconds(most) => {
                    let any = (self.below(0x1_0000) as u32) * 2 % most + 1;
                    Value::Integer(self.choose(&[1, 9, 10, 99, most / 10, most - 1, most, any]))
                }
            };
            action.set(field.key, value);
        }
        if self.below(2) == 1 {
            action.explain(Some(self.text(0, most, true)));
        }
        action
    }

    /// Changes a few bytes, in ways that come near to what is valid.
    pub fn damage(&mut self, reply: &mut Vec<u8>) {
        const PIECES: [&[u8]; 44] = [
            b"",
            b" ",
            b"\n",
            b"(",
            b")",
            b"\"",
            b"\\",
            b":",
            b"0",
            b"1",
            b"9",
            b"a",
            b"A",
            b"e",
            b"n",
            b"\t",
            b"\0",
            b"\x1B",
            b"\x7F",
            b"\x80",
            b"\xBF",
            b"\xC2",
            b"\xE2",
            b"\xED",
            b"\xF0",
            b"\xFF",
            b"\xC2\x85",
            b"\xC2\xA0",
            b"\xE2\x80\x8B",
            b"\xED\xA0\x80",
            b"\xEF\xBB\xBF",
            b"\xF4\x90\x80\x80",
            b"\xC0\xA2",
            b"\\n",
            b"\\\"",
            b"\\\\",
            b"\\u0041",
            b"\\/",
            b" :explanation \"\"",
            b":level :info",
            b" :timeout 5",
            b" :cwd \"\"",
            b":text \"x\"",
            b":buffer \"notes\" ",
        ];
        let at = self.below(reply.len() + 1);
        let rest = reply.len() - at;
        let piece = self.choose(&PIECES);
        match self.below(5) {
            0 => drop(reply.splice(at..at + rest.min(1), piece.iter().copied())),
            1 => drop(reply.splice(at..at, piece.iter().copied())),
            2 => drop(reply.drain(at..at + rest.min(1 + self.below(12)))),
            3 => reply[at..].iter_mut().take(1).for_each(u8::make_ascii_uppercase),
            _ => reply.truncate(at),
        }
    }
}

fn is_clear(c: char) -> bool {
    !matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

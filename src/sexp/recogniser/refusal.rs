//! What is said about a reply that is refused outside its strings.
//!
//! Nothing here depends on bytes behind the one that was refused, so a rejection reads the same however
//! the reply was cut.

use super::{EXPLANATION, Level, PAYLOAD, Recogniser, Slot, State, TOP, is_end, shape};
use crate::action::{MAX_REPLY, Shape};
use crate::sexp::{Rejection, kind, report};

impl Recogniser {
    fn reject(&self, kind: &'static str, message: String, hint: impl Into<String>) -> Rejection {
        Rejection { kind, offset: self.offset, message, hint: hint.into() }
    }

    pub(super) fn not_a_list(&self, byte: u8) -> Rejection {
        let message = format!("found {} before the property list, expected `(`", report::found(byte));
        self.reject(
            kind::NOT_A_LIST,
            message,
            "Begin the reply with `(`: no words, no quote and no code fence before it.",
        )
    }

    pub(super) fn trailing(&self, byte: u8) -> Rejection {
        let message = format!("found {} after the property list, expected nothing", report::found(byte));
        self.reject(
            kind::TRAILING,
            message,
            "End the reply with the list's closing parenthesis: no words, no fence and no second list behind it.",
        )
    }

    pub(super) fn expected_key(&self, level: Level, byte: u8) -> Rejection {
        let message = format!("found {}, expected {}", report::found(byte), self.expected(Slot::Key(level)));
        self.reject(
            kind::EXPECTED_KEY,
            message,
            "Write keys and values in turn, each key with its colon; a quote inside a string is \\\".",
        )
    }

    /// A keyword that is none of those possible: `prefix` may be the beginning of one, but not with `byte`.
    pub(super) fn unexpected(&self, slot: Slot, prefix: &str, byte: u8) -> Rejection {
        let expected = self.expected(slot);
        let found = match byte {
            // The colon itself is what is too much.
            b':' if self.words(slot).next().is_none() => "another key".to_owned(),
            _ if is_end(byte) => format!("the keyword `:{prefix}`"),
            _ if byte.is_ascii_graphic() => {
                format!("a keyword that begins with `:{prefix}{}`", char::from(byte))
            }
            _ => format!("`:{prefix}` and then {}", report::found(byte)),
        };
        match slot {
            Slot::Key(_) => self.reject(
                kind::BAD_KEY,
                format!("found {found}, expected {expected}"),
                format!("Each key once, and only the keys of one form; here may stand {expected}."),
            ),
            Slot::Top(_) | Slot::Field(_) => self.reject(
                kind::BAD_VALUE,
                format!("found {found} after {}, expected {expected}", name(slot)),
                format!("The value of {} is {expected}.", name(slot)),
            ),
        }
    }

    pub(super) fn expected_value(&self, slot: Slot, byte: u8) -> Rejection {
        let expected = self.expected(slot);
        let message = format!("found {} after {}, expected {expected}", report::found(byte), name(slot));
        self.reject(kind::EXPECTED_VALUE, message, format!("The value of {} is {expected}.", name(slot)))
    }

    pub(super) fn bad_integer(&self, key: &str, before: Option<u32>, byte: u8) -> Rejection {
        let before = before.map_or_else(String::new, |number| format!(" behind {number}"));
        let expected = self.expected_shape(key);
        let message = format!("found {}{before} as the value of :{key}", report::found(byte));
        self.reject(
            kind::BAD_INTEGER,
            message,
            format!("The value of :{key} is {expected}, without sign or zeros before it."),
        )
    }

    pub(super) fn missing_key(&self, level: Level) -> Rejection {
        let lacking = self.each_row().map(|(_, row)| {
            let keys: Vec<String> = self.missing(row, level).map(|key| format!(":{key}")).collect();
            keys.join(" and ")
        });
        let expected = report::alternatives(lacking);
        let list = if level == Level::Top { "the list" } else { "the payload" };
        let message = format!("found `)` where {list} still needs {expected}");
        self.reject(kind::MISSING_KEY, message, format!("Give {expected} before you close {list}."))
    }

    pub(super) fn too_short(&self) -> Rejection {
        let place = match self.state {
            State::Start => "before the property list".to_owned(),
            State::Between(Level::Top) => "inside the list".into(),
            State::Between(Level::Payload) => "inside the payload".into(),
            State::Word(..) => "inside a keyword".into(),
            State::Value(slot) => format!("after {}", name(slot)),
            State::Text(slot) => format!("{} that is the value of {}", self.strings.unfinished(), name(slot)),
            State::Number(..) | State::End => "inside a number".into(),
        };
        self.reject(
            kind::TOO_SHORT,
            format!("the reply ends {place}"),
            "Write one whole property list; close every string and every parenthesis.",
        )
    }

    /// What may stand in `slot`, in words.
    fn expected(&self, slot: Slot) -> String {
        let end = match slot {
            Slot::Key(level) => {
                self.each_row().any(|(_, row)| self.missing(row, level).next().is_none()).then_some("`)`")
            }
            Slot::Top(EXPLANATION) => Some("a string"),
            Slot::Top(PAYLOAD) => Some("a list, `(`"),
            Slot::Field(key) => return self.expected_shape(key),
            Slot::Top(_) => None,
        };
        let words = self.words(slot).map(|(_, word)| format!(":{word}"));
        report::alternatives(words.chain(end.map(str::to_owned)))
    }

    /// What the value of `key` may be, in words.
    fn expected_shape(&self, key: &str) -> String {
        let shapes = self.each_row().filter_map(|(_, row)| shape(row, key));
        report::alternatives(shapes.map(|shape| match shape {
            Shape::Keyword(words) => report::alternatives(words.iter().map(|word| format!(":{word}"))),
            Shape::Seconds(most) => format!("a whole number from 1 to {most}"),
            Shape::Text | Shape::Buffer | Shape::Command | Shape::Path | Shape::Name => "a string".into(),
        }))
    }
}

fn name(slot: Slot) -> String {
    match slot {
        Slot::Top(which) => format!(":{}", TOP[which]),
        Slot::Field(key) => format!(":{key}"),
        Slot::Key(_) => "a key".into(),
    }
}

pub(super) fn too_long() -> Rejection {
    Rejection {
        kind: kind::TOO_LONG,
        offset: MAX_REPLY,
        message: format!("the reply has more than {MAX_REPLY} bytes"),
        hint: "Write a shorter text.".into(),
    }
}

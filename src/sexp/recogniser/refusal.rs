//! What is said about a reply that is refused outside its strings.
//!
//! Nothing here depends on bytes behind the one that was refused, so a rejection reads the same however
//! the reply was cut.

use super::{EXPLANATION, Level, PAYLOAD, Recogniser, Slot, State, is_end};
use crate::action::MAX_REPLY;
use crate::sexp::{Rejection, kind, report};

impl Recogniser {
    fn reject(&self, kind: &'static str, message: String, hint: impl Into<String>) -> Box<Rejection> {
        Box::new(Rejection { kind, offset: self.offset, message, hint: hint.into() })
    }

    pub(super) fn not_a_list(&self, byte: u8) -> Box<Rejection> {
        let message = format!("found {} before the property list, expected `(`", report::found(byte));
        self.reject(
            kind::NOT_A_LIST,
            message,
            "Begin the reply with `(`: no words, no quote and no code fence before it.",
        )
    }

    pub(super) fn trailing(&self, byte: u8) -> Box<Rejection> {
        let message = format!("found {} after the property list, expected nothing", report::found(byte));
        self.reject(
            kind::TRAILING,
            message,
            "End the reply with the list's closing parenthesis: no words, no fence and no second list behind it.",
        )
    }

    pub(super) fn expected_key(&self, level: Level, byte: u8) -> Box<Rejection> {
        let message = format!("found {}, expected {}", report::found(byte), self.expected(Slot::Key(level)));
        self.reject(
            kind::EXPECTED_KEY,
            message,
            "Write keys and values in turn, each key with its colon; a quote inside a string is \\\".",
        )
    }

    /// A keyword that is none of those possible: `prefix` may be the beginning of one, but not with `byte`.
    pub(super) fn unexpected(&self, slot: Slot, prefix: &str, byte: u8) -> Box<Rejection> {
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
                format!("found {found} after {}, expected {expected}", self.name(slot)),
                format!("The value of {} is {expected}.", self.name(slot)),
            ),
        }
    }

    pub(super) fn expected_value(&self, slot: Slot, byte: u8) -> Box<Rejection> {
        let expected = self.expected(slot);
        let message = format!("found {} after {}, expected {expected}", report::found(byte), self.name(slot));
        self.reject(kind::EXPECTED_VALUE, message, format!("The value of {} is {expected}.", self.name(slot)))
    }

    pub(super) fn bad_integer(&self, key: u8, before: Option<u32>, byte: u8) -> Box<Rejection> {
        let before = before.map_or_else(String::new, |number| format!(" behind {number}"));
        let (expected, key) = (self.expected_shape(key), self.table.names[usize::from(key)].text);
        let message = format!("found {}{before} as the value of :{key}", report::found(byte));
        self.reject(
            kind::BAD_INTEGER,
            message,
            format!("The value of :{key} is {expected}, without sign or zeros before it."),
        )
    }

    pub(super) fn missing_key(&self, level: Level) -> Box<Rejection> {
        let lacking = self.table.each(self.rows).map(|(bit, _)| {
            let keys = self.missing(level).filter(|(_, rows)| rows & bit != 0);
            keys.map(|(key, _)| format!(":{key}")).collect::<Vec<_>>().join(" and ")
        });
        let expected = report::alternatives(lacking);
        let list = if level == Level::Top { "the list" } else { "the payload" };
        let message = format!("found `)` where {list} still needs {expected}");
        self.reject(kind::MISSING_KEY, message, format!("Give {expected} before you close {list}."))
    }

    pub(super) fn too_short(&self) -> Box<Rejection> {
        let place = match self.state {
            State::Start => "before the property list".to_owned(),
            State::Between(Level::Top) => "inside the list".into(),
            State::Between(Level::Payload) => "inside the payload".into(),
            State::Word(..) => "inside a keyword".into(),
            State::Value(slot) => format!("after {}", self.name(slot)),
            State::Text(slot) => {
                format!("{} that is the value of {}", self.strings.unfinished(), self.name(slot))
            }
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
            Slot::Key(level) => (self.complete(level) != 0).then_some("`)`"),
            Slot::Top(EXPLANATION) => Some("a string"),
            Slot::Top(PAYLOAD) => Some("a list, `(`"),
            Slot::Field(key) => return self.expected_shape(key),
            Slot::Top(_) => None,
        };
        let words = self.words(slot).map(|(_, word)| format!(":{}", word.text));
        report::alternatives(words.chain(end.map(str::to_owned)))
    }

    /// What the value of the key at this position may be, in words.
    fn expected_shape(&self, key: u8) -> String {
        let key = &self.table.keys[usize::from(key)];
        let string = (self.rows & key.strings != 0).then(|| "a string".to_owned());
        let words = key.words.iter().filter(|word| self.rows & word.rows != 0);
        let numbers = key.numbers.iter().filter(|(_, rows)| self.rows & rows != 0);
        let numbers = numbers.map(|(most, _)| format!("a whole number from 1 to {most}"));
        report::alternatives(
            string.into_iter().chain(words.map(|word| format!(":{}", word.text))).chain(numbers),
        )
    }

    fn name(&self, slot: Slot) -> String {
        match slot {
            Slot::Top(at) => format!(":{}", self.table.top[usize::from(at)].text),
            Slot::Field(at) => format!(":{}", self.table.names[usize::from(at)].text),
            Slot::Key(_) => "a key".into(),
        }
    }
}

pub(super) fn too_long() -> Box<Rejection> {
    Box::new(Rejection {
        kind: kind::TOO_LONG,
        offset: MAX_REPLY,
        message: format!("the reply has more than {MAX_REPLY} bytes"),
        hint: "Write a shorter text.".into(),
    })
}

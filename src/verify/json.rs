//! The reader of replies in JSON: the same actions in another notation.
//!
//! An action is `{type, target?, explanation?, payload}` with string values, and a payload of strings and
//! numbers, in any order of keys. Keys and keywords are lower case and without colons, exactly. JSON parsers
//! keep the last of two equal keys, so this one refuses two; it refuses what it does not know, too, and
//! `null`. Where it descends is fixed: nothing recurses on input.
//!
//! It makes no judgement of its own about what a string may hold: the action is printed as a property list
//! and the recogniser reads that.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::action::{Action, CHAT_BUFFER, Field, GRAMMAR, MAX_REPLY, Row, Shape, Value};
use crate::sexp::recogniser::Recogniser;
use crate::sexp::{Rejection, kind, printer, report};

/// The keys of the outer object.
const TOP: [&str; 4] = ["type", "target", "explanation", "payload"];

/// Reads one JSON reply for a session whose buffer is `buffer`.
///
/// # Errors
/// A rejection whose offset counts in the JSON: that of the byte where it stops being JSON, else that of the
/// key or value that is wrong.
pub fn read(reply: &[u8], buffer: &str) -> Result<Action, Rejection> {
    if reply.len() > MAX_REPLY {
        return Err(reject(
            kind::TOO_LONG,
            MAX_REPLY,
            format!("the reply has more than {MAX_REPLY} bytes"),
            "Write a shorter text.",
        ));
    }
    let text = std::str::from_utf8(reply).map_err(|error| {
        let message = "the reply is not well-formed UTF-8".to_owned();
        reject(kind::BAD_UTF8, error.valid_up_to(), message, "Write the reply as UTF-8.")
    })?;
    let source = Source { text };
    let top = source.object(text, "the reply", &TOP)?;
    let [type_, target, explanation, payload] = TOP.map(|key| top.iter().find(|member| member.key == key));
    let end = source.end();
    let type_ = type_.ok_or_else(|| missing("type", "the action", end))?;
    let payload = payload.ok_or_else(|| missing("payload", "the action", end))?;
    let explanation = explanation.map(|member| source.string(member)).transpose()?;
    let rows = source.rows(type_, target)?;
    let mut keys: Vec<&str> = Vec::new();
    for field in rows.iter().flat_map(|row| row.payload) {
        if !keys.contains(&field.key) {
            keys.push(field.key);
        }
    }
    let members = source.object(payload.value, "the payload", &keys)?;
    let mut first = None;
    for row in rows {
        let outcome = source.fill(row, &members, payload).and_then(|mut action| {
            action.explain(explanation.clone());
            let place = |key: &str| {
                let inner = members.iter().find(|member| member.key == key);
                let member = inner.or_else(|| top.iter().find(|member| member.key == key));
                member.map_or(0, |member| source.offset(member.value))
            };
            verify(&action, buffer, place)
        });
        match outcome {
            Ok(action) => return Ok(action),
            // The rows share their type and target; what is wrong with the first is as good as any.
            Err(rejection) => first = first.or(Some(rejection)),
        }
    }
    Err(first.unwrap_or_else(|| missing("type", "the action", end)))
}

/// A key and its value, where they stand in the reply.
#[derive(Debug)]
struct Member<'a> {
    key: Cow<'a, str>,
    /// The key as it is written.
    raw: &'a str,
    /// The value as it is written.
    value: &'a str,
}

/// The reply, to find out where in it something stands.
struct Source<'a> {
    text: &'a str,
}

impl<'a> Source<'a> {
    /// Where `part` of the text begins.
    fn offset(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    /// Where the text ends but for blanks and the closing brace: where something is missing.
    fn end(&self) -> usize {
        self.text.trim_ascii_end().len().saturating_sub(1)
    }

    /// The members of the object that is all of `text`, each one of `keys` and there once.
    fn object(&self, text: &'a str, name: &str, keys: &[&str]) -> Result<Vec<Member<'a>>, Rejection> {
        let start = self.offset(text);
        let first = text.trim_ascii_start();
        if first.starts_with(|c: char| "[\"-0123456789tfn".contains(c)) {
            return Err(expected(name, first, "an object", self.offset(first)));
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let Members(pairs) =
            Members::deserialize(&mut reader).map_err(|error| syntax(&error, text, start))?;
        reader.end().map_err(|error| {
            let place = start + position(&error, text);
            let message = "the reply goes on after its object".to_owned();
            reject(kind::TRAILING, place, message, "Write one object and nothing behind it.")
        })?;
        let mut members: Vec<Member> = Vec::new();
        for (raw, value) in pairs {
            let (raw, value) = (raw.get(), value.get());
            let key = self.decode(raw)?;
            if members.iter().any(|member| member.key == key) {
                return Err(reject(
                    kind::BAD_KEY,
                    self.offset(raw),
                    format!("found the key {} a second time", shown(&key)),
                    "Write each key once.",
                ));
            }
            let member = Member { key, raw, value };
            if !keys.iter().any(|key| *key == member.key) {
                return Err(self.unknown(&member, name, keys));
            }
            members.push(member);
        }
        Ok(members)
    }

    /// The text of a JSON string.
    fn decode(&self, raw: &'a str) -> Result<Cow<'a, str>, Rejection> {
        let text: Text = serde_json::from_str(raw).map_err(|error| syntax(&error, raw, self.offset(raw)))?;
        Ok(text.0)
    }

    fn string(&self, member: &Member<'a>) -> Result<String, Rejection> {
        if !member.value.starts_with('"') {
            return Err(self.expected(member, "a string"));
        }
        Ok(self.decode(member.value)?.into_owned())
    }

    /// The rows that have this type and target.
    fn rows(&self, type_: &Member<'a>, target: Option<&Member<'a>>) -> Result<Vec<&'static Row>, Rejection> {
        let word = self.string(type_)?;
        let rows: Vec<&Row> = GRAMMAR.iter().filter(|row| row.type_ == word).collect();
        if rows.is_empty() {
            return Err(self.bad_value(type_, GRAMMAR.iter().map(|row| row.type_)));
        }
        let Some(member) = target else {
            let rows: Vec<_> = rows.into_iter().filter(|row| row.target.is_none()).collect();
            return if rows.is_empty() { Err(missing("target", "the action", self.end())) } else { Ok(rows) };
        };
        let word = self.string(member)?;
        let targets: Vec<_> = rows.iter().filter_map(|row| row.target).collect();
        if targets.is_empty() {
            return Err(self.unknown(member, "an action of this type", &["type", "explanation", "payload"]));
        }
        let rows: Vec<_> = rows.into_iter().filter(|row| row.target == Some(&word)).collect();
        if rows.is_empty() { Err(self.bad_value(member, targets)) } else { Ok(rows) }
    }

    /// An action of form `row` with the values of `members`.
    fn fill(
        &self,
        row: &'static Row,
        members: &[Member<'a>],
        payload: &Member<'a>,
    ) -> Result<Action, Rejection> {
        let mut action = Action::new(row);
        for member in members {
            let Some(field) = row.payload.iter().find(|field| field.key == member.key) else {
                let keys: Vec<_> = row.payload.iter().map(|field| field.key).collect();
                return Err(self.unknown(member, "the payload", &keys));
            };
            action.set(field.key, self.value(field, member)?);
        }
        let lacks = |field: &&Field| field.required && !members.iter().any(|member| member.key == field.key);
        match row.payload.iter().find(lacks) {
            None => Ok(action),
            Some(field) => {
                let end = self.offset(payload.value) + payload.value.len().saturating_sub(1);
                Err(missing(field.key, "the payload", end))
            }
        }
    }

    fn value(&self, field: &Field, member: &Member<'a>) -> Result<Value, Rejection> {
        match field.shape {
            Shape::Keyword(words) => {
                let found = self.string(member)?;
                let word = words.iter().find(|word| **word == found);
                let word = word.ok_or_else(|| self.bad_value(member, words.iter().copied()))?;
                Ok(Value::Keyword(word))
            }
            Shape::Seconds(most) => {
                if !member.value.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
                    return Err(self.expected(member, "a number"));
                }
                let number = whole(member.value).filter(|number| (1..=most).contains(number));
                number.map(Value::Integer).ok_or_else(|| {
                    reject(
                        kind::BAD_INTEGER,
                        self.offset(member.value),
                        format!("the value of {} is not a whole number from 1 to {most}", shown(&member.key)),
                        format!("The value of \"{}\" is a whole number from 1 to {most}.", field.key),
                    )
                })
            }
            Shape::Text | Shape::Buffer | Shape::Command | Shape::Path | Shape::Name => {
                self.string(member).map(Value::Text)
            }
        }
    }

    fn unknown(&self, member: &Member, object: &str, keys: &[&str]) -> Rejection {
        reject(
            kind::BAD_KEY,
            self.offset(member.raw),
            format!("{object} has no key {}", shown(&member.key)),
            format!("Its keys can be {}, in lower case.", list(keys.iter().copied())),
        )
    }

    fn expected(&self, member: &Member, what: &str) -> Rejection {
        let name = format!("the value of {}", shown(&member.key));
        expected(&name, member.value, what, self.offset(member.value))
    }

    fn bad_value<'w>(&self, member: &Member, words: impl IntoIterator<Item = &'w str>) -> Rejection {
        let words = list(words);
        reject(
            kind::BAD_VALUE,
            self.offset(member.value),
            format!("the value of {} is none of {words}", shown(&member.key)),
            format!("Write one of {words}, in lower case."),
        )
    }
}

/// The members of an object in their order, as they are written.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Members(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// Borrowed if nothing in it is escaped.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Take;
        impl<'de> Visitor<'de> for Take {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Take)
    }
}

/// Verifies `action` as its canonical print is; `place` says where in the reply the value of a key stands.
fn verify(action: &Action, buffer: &str, place: impl Fn(&str) -> usize) -> Result<Action, Rejection> {
    let mut recogniser = Recogniser::new(buffer);
    let outcome = recogniser.feed(printer::print(action).as_bytes()).and_then(|()| recogniser.finish());
    outcome.map_err(|rejection| {
        let key = faulty(action, rejection.offset);
        let message = format!("in \"{key}\": {}", rejection.message);
        let hint = match rejection.kind {
            kind::BAD_BUFFER => format!("Write \"{CHAT_BUFFER}\", which always means this session."),
            _ => rejection.hint,
        };
        reject(rejection.kind, place(key), message, hint)
    })
}

/// The key whose value is at byte `offset` of the print of `action`.
fn faulty(action: &Action, offset: usize) -> &'static str {
    // The print up to a value is the same whatever follows it, but for the two parentheses.
    let mut part = Action::new(action.row());
    part.explain(action.explanation().map(str::to_owned));
    if offset < printer::print(&part).len() - 2 {
        return "explanation";
    }
    let mut last = "payload";
    for (key, value) in action.payload() {
        part.set(key, value.clone());
        last = key;
        if offset < printer::print(&part).len() - 2 {
            break;
        }
    }
    last
}

/// The value of a JSON number if it is whole: `30`, `30.0` and `3e1` are the same number.
fn whole(number: &str) -> Option<u32> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{integer}{fraction}");
    let significant = digits.trim_end_matches('0');
    let dropped = digits.len() - significant.len();
    let exponent: i64 = exponent.parse().ok()?;
    let zeros = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let zeros = zeros.checked_add(i64::try_from(dropped).ok()?)?;
    // More than these are more than 32 bits, unless the number is 0, which is not wanted either.
    let zeros = usize::try_from(zeros).ok().filter(|zeros| *zeros <= 10)?;
    format!("{significant}{}", "0".repeat(zeros)).parse().ok()
}

fn reject(kind: &'static str, offset: usize, message: String, hint: impl Into<String>) -> Rejection {
    Rejection { kind, offset, message, hint: hint.into() }
}

fn missing(key: &str, object: &str, offset: usize) -> Rejection {
    reject(
        kind::MISSING_KEY,
        offset,
        format!("{object} has no key \"{key}\""),
        format!("Give \"{key}\", in lower case."),
    )
}

/// A value of the wrong type.
fn expected(name: &str, value: &str, what: &str, offset: usize) -> Rejection {
    let found = match value.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    };
    reject(
        kind::EXPECTED_VALUE,
        offset,
        format!("{name} is {found}, expected {what}"),
        format!("Write {what}; leave out a key that has no value."),
    )
}

/// Where `text`, which begins at byte `start` of the reply, stops being JSON.
fn syntax(error: &serde_json::Error, text: &str, start: usize) -> Rejection {
    const HINT: &str = "Write one JSON object; in strings escape quotes, backslashes and line breaks.";
    if error.is_eof() {
        let hint = "Write one whole JSON object; close every string and every brace.";
        return reject(kind::TOO_SHORT, start + text.len(), "the reply ends too early".to_owned(), hint);
    }
    let place = position(error, text);
    // The place is said apart.
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    if message.contains("escape") {
        let hint = r#"In strings write \\ \" \n \t \r or \uXXXX, surrogates in pairs."#;
        let message = "found an escape that stands for no character".to_owned();
        return reject(kind::BAD_ESCAPE, start + escape(text, place), message, hint);
    }
    let message = if message.starts_with("control character") {
        "found a control character in a string"
    } else {
        message
    };
    reject(kind::BAD_JSON, start + place, message.to_owned(), HINT)
}

/// Where the escape begins that is wrong at `place`; of a pair the first.
fn escape(text: &str, place: usize) -> usize {
    let bytes = text.as_bytes();
    let end = (place + 1).min(bytes.len());
    let at = memchr::memrchr(b'\\', &bytes[..end]).unwrap_or(place);
    let before = at.checked_sub(6).and_then(|first| bytes.get(first..at));
    match before {
        Some([b'\\', b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..]) => at - 6,
        _ => at,
    }
}

/// The byte of `text` that the error is about; columns of `serde_json` are bytes and count from 1.
fn position(error: &serde_json::Error, text: &str) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let line: usize = lines.map(str::len).sum();
    let mut place = line + error.column().saturating_sub(1);
    // For the rest the column is that of the byte; for these it is that of the byte before.
    let next = text.as_bytes().get(place + 1);
    if next.is_some_and(u8::is_ascii_control) && error.to_string().starts_with("control character") {
        place += 1;
    }
    place = place.min(text.len());
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    place
}

/// A key for a message: bounded, and with nothing in it that can not be seen.
fn shown(key: &str) -> String {
    format!("\"{}\"", report::clip(&report::visible(report::clip(key, 60)), 120))
}

/// `"a", "b" or "c"`, each once.
fn list<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let mut once: Vec<String> = Vec::new();
    for word in words {
        let word = format!("\"{word}\"");
        if !once.contains(&word) {
            once.push(word);
        }
    }
    match once.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => once.concat(),
    }
}

//! The incremental recogniser: one pass, no stack, no look-ahead, nothing hard-coded of any row.
//!
//! It keeps the set of rows of the table that the reply can still become. Each byte either leaves that set
//! with at least one row that some continuation completes, or the reply is rejected at that byte. How a
//! reply is cut into chunks changes nothing. Memory is bounded by [`MAX_REPLY`].

mod refusal;

use super::Rejection;
use super::strings::{Rows, Step, Strings};
use crate::action::{Action, Field, GRAMMAR, MAX_REPLY, Row, Shape, Value};

/// Reads one reply byte by byte.
#[derive(Debug)]
pub struct Recogniser {
    table: &'static [Row],
    /// The rows that the reply can still become; never empty. A word counts once it is complete.
    rows: Rows,
    state: State,
    /// How many bytes were read.
    offset: usize,
    /// Which of [`TOP`] were seen.
    seen: [bool; TOP.len()],
    /// What the payload has so far.
    values: Vec<(&'static str, Value)>,
    explanation: Option<String>,
    strings: Strings,
    /// The string being read.
    string: String,
    rejection: Option<Rejection>,
}

/// Where the reading stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the list.
    Start,
    /// In a list, where a key or the end may come.
    Between(Level),
    /// In a keyword: the first so many bytes of this word, which is one of those possible.
    Word(Slot, &'static str, usize),
    /// Before a value.
    Value(Slot),
    /// In a string.
    Text(Slot),
    /// In a number, which is this so far.
    Number(&'static str, u32),
    /// Behind the list.
    End,
}

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Level {
    Top,
    Payload,
}

/// What a keyword or a value stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Slot {
    /// A key in a list.
    Key(Level),
    /// The value of this member of [`TOP`].
    Top(usize),
    /// The value of this key of the payload.
    Field(&'static str),
}

/// The keys of the outer list.
const TOP: [&str; 4] = ["type", "target", "explanation", "payload"];
const TYPE: usize = 0;
const TARGET: usize = 1;
const EXPLANATION: usize = 2;
const PAYLOAD: usize = 3;

// Each row is a bit.
const _: () = assert!(GRAMMAR.len() <= Rows::BITS as usize);

impl Recogniser {
    /// A recogniser that accepts `buffer` beside the name that always means "this session".
    #[must_use]
    pub fn new(buffer: &str) -> Self {
        Self::of(&GRAMMAR, buffer)
    }

    fn of(table: &'static [Row], buffer: &str) -> Self {
        Self {
            table,
            rows: (0..table.len()).fold(0, |rows, row| rows | 1 << row),
            state: State::Start,
            offset: 0,
            seen: [false; TOP.len()],
            values: Vec::new(),
            explanation: None,
            strings: Strings::new(buffer),
            string: String::new(),
            rejection: None,
        }
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// The rejection, at the first byte that no continuation could make valid; after one, every further call
    /// returns the same.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Rejection> {
        if let Some(rejection) = &self.rejection {
            return Err(rejection.clone());
        }
        let room = chunk.len().min(MAX_REPLY - self.offset);
        let outcome = self
            .read(&chunk[..room])
            .and_then(|()| if room < chunk.len() { Err(refusal::too_long()) } else { Ok(()) });
        outcome.inspect_err(|rejection| self.rejection = Some(rejection.clone()))
    }

    /// The rows that the reply can still become.
    pub fn viable(&self) -> impl Iterator<Item = &'static Row> {
        let rows = match self.state {
            // The rest of the word may decide; what it may still be is known before it ends.
            State::Word(slot, word, length) => {
                let possible = self.words(slot).filter(|(_, other)| other.starts_with(&word[..length]));
                possible.fold(0, |rows, (bits, _)| rows | bits)
            }
            _ => self.rows,
        };
        self.each_row().filter(move |(bit, _)| rows & bit != 0).map(|(_, row)| row)
    }

    /// What has been decoded of the payload's `:text` so far.
    #[must_use]
    pub fn text(&self) -> &str {
        if matches!(self.state, State::Text(Slot::Field("text"))) {
            return &self.string;
        }
        self.values
            .iter()
            .find_map(|(key, value)| match value {
                Value::Text(text) if *key == "text" => Some(text.as_str()),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// Ends the reply.
    ///
    /// # Errors
    /// The rejection that [`Self::feed`] gave, or one at the reply's length if it ends too early.
    pub fn finish(self) -> Result<Action, Rejection> {
        if let Some(rejection) = self.rejection {
            return Err(rejection);
        }
        let row = self.each_row().next().map(|(_, row)| row);
        let (State::End, Some(row)) = (self.state, row) else {
            return Err(self.too_short());
        };
        let mut action = Action::new(row);
        for (key, value) in self.values {
            action.set(key, value);
        }
        action.explain(self.explanation);
        Ok(action)
    }

    fn read(&mut self, chunk: &[u8]) -> Result<(), Rejection> {
        let mut rest = chunk;
        while let Some((&byte, behind)) = rest.split_first() {
            if let State::Text(slot) = self.state {
                match self.strings.read(rest, self.offset, &mut self.rows, &mut self.string)? {
                    Step::More => {
                        self.offset += rest.len();
                        return Ok(());
                    }
                    Step::Closed(read) => {
                        rest = &rest[read..];
                        self.offset += read;
                        let text = std::mem::take(&mut self.string);
                        self.state = match slot {
                            Slot::Field(key) => self.value(key, Value::Text(text)),
                            Slot::Top(_) | Slot::Key(_) => {
                                self.explanation = Some(text);
                                State::Between(Level::Top)
                            }
                        };
                    }
                }
            } else {
                self.state = self.step(byte)?;
                self.offset += 1;
                rest = behind;
            }
        }
        Ok(())
    }

    /// Reads one byte outside strings.
    fn step(&mut self, byte: u8) -> Result<State, Rejection> {
        let blank = is_blank(byte);
        // A keyword or number ends at one of these, which then counts for what comes behind it.
        if is_end(byte) {
            self.state = match self.state {
                State::Word(slot, word, length) => self.word(slot, &word[..length], byte)?,
                State::Number(key, number) => self.value(key, Value::Integer(number)),
                state => state,
            };
        }
        match (self.state, byte) {
            (State::Word(slot, word, length), _) => self.letter(slot, word, length, byte),
            (State::Number(key, number), _) => self.digit(key, Some(number), byte),
            (state, _) if blank => Ok(state),
            (State::Start, b'(') => Ok(State::Between(Level::Top)),
            (State::Start, _) => Err(self.not_a_list(byte)),
            (State::Between(level), b')') => self.close(level),
            (State::Between(level), b':') => {
                let slot = Slot::Key(level);
                match self.words(slot).next() {
                    Some((_, word)) => Ok(State::Word(slot, word, 0)),
                    None => Err(self.unexpected(slot, "", byte)),
                }
            }
            (State::Between(level), _) => Err(self.expected_key(level, byte)),
            (State::Value(slot), _) => self.begin_value(slot, byte),
            (State::End | State::Text(_), _) => Err(self.trailing(byte)),
        }
    }

    /// The first byte of a value.
    fn begin_value(&mut self, slot: Slot, byte: u8) -> Result<State, Rejection> {
        match (slot, byte) {
            (Slot::Top(PAYLOAD), b'(') => Ok(State::Between(Level::Payload)),
            (Slot::Top(EXPLANATION), b'"') => {
                self.strings.begin(std::iter::empty());
                Ok(State::Text(slot))
            }
            (Slot::Field(key), b'"') => {
                let rows =
                    self.rows_with(key, |shape| !matches!(shape, Shape::Keyword(_) | Shape::Seconds(_)));
                if rows == 0 {
                    return Err(self.expected_value(slot, byte));
                }
                self.rows = rows;
                let shapes = self.each_row().filter_map(|(bit, row)| Some((bit, shape(row, key)?)));
                self.strings.begin(shapes);
                Ok(State::Text(slot))
            }
            (Slot::Top(TYPE | TARGET) | Slot::Field(_), b':') => match self.words(slot).next() {
                Some((_, word)) => Ok(State::Word(slot, word, 0)),
                None => Err(self.expected_value(slot, byte)),
            },
            (Slot::Field(key), _) if self.rows_with(key, |shape| matches!(shape, Shape::Seconds(_))) != 0 => {
                self.digit(key, None, byte)
            }
            _ => Err(self.expected_value(slot, byte)),
        }
    }

    /// A byte in a number.
    fn digit(&mut self, key: &'static str, before: Option<u32>, byte: u8) -> Result<State, Rejection> {
        let least = u32::from(before.is_none());
        let digit = char::from(byte).to_digit(10).filter(|digit| *digit >= least);
        let number = digit.and_then(|digit| before.unwrap_or(0).checked_mul(10)?.checked_add(digit));
        let rows = number.map_or(0, |number| {
            self.rows_with(key, |shape| matches!(shape, Shape::Seconds(most) if number <= most))
        });
        match number {
            Some(number) if rows != 0 => {
                self.rows = rows;
                Ok(State::Number(key, number))
            }
            _ => Err(self.bad_integer(key, before, byte)),
        }
    }

    /// A byte in a keyword whose first `length` bytes are those of `word`.
    fn letter(&self, slot: Slot, word: &'static str, length: usize, byte: u8) -> Result<State, Rejection> {
        let (prefix, lower) = (&word[..length], byte.to_ascii_lowercase());
        let goes_on = |other: &str| other.as_bytes().get(length) == Some(&lower) && other.starts_with(prefix);
        if goes_on(word) {
            return Ok(State::Word(slot, word, length + 1));
        }
        match self.words(slot).find(|(_, other)| goes_on(other)) {
            Some((_, word)) => Ok(State::Word(slot, word, length + 1)),
            None => Err(self.unexpected(slot, prefix, byte)),
        }
    }

    /// The end of the keyword `word`, at `byte`: what it says about the rows, and what comes next.
    fn word(&mut self, slot: Slot, word: &'static str, byte: u8) -> Result<State, Rejection> {
        let rows =
            self.words(slot).filter(|(_, other)| *other == word).fold(0, |rows, (bits, _)| rows | bits);
        if rows == 0 {
            return Err(self.unexpected(slot, word, byte));
        }
        self.rows = rows;
        Ok(match slot {
            Slot::Key(Level::Top) => {
                let which = TOP.iter().position(|key| *key == word).unwrap_or_default();
                self.seen[which] = true;
                State::Value(Slot::Top(which))
            }
            Slot::Key(Level::Payload) => State::Value(Slot::Field(word)),
            Slot::Top(_) => State::Between(Level::Top),
            Slot::Field(key) => self.value(key, Value::Keyword(word)),
        })
    }

    /// Takes a value of the payload.
    fn value(&mut self, key: &'static str, value: Value) -> State {
        self.values.push((key, value));
        State::Between(Level::Payload)
    }

    /// The end of a list: the rows that have all they require stay.
    fn close(&mut self, level: Level) -> Result<State, Rejection> {
        let complete = self.each_row().filter(|(_, row)| self.missing(row, level).next().is_none());
        let rows = complete.fold(0, |rows, (bit, _)| rows | bit);
        if rows == 0 {
            return Err(self.missing_key(level));
        }
        self.rows = rows;
        Ok(if level == Level::Top { State::End } else { State::Between(Level::Top) })
    }

    /// The keys that `row` requires and that are not there.
    fn missing(&self, row: &'static Row, level: Level) -> impl Iterator<Item = &'static str> {
        let top = TOP.iter().enumerate().filter(move |(which, _)| {
            level == Level::Top
                && !self.seen[*which]
                && (*which == TYPE || *which == PAYLOAD || *which == TARGET && row.target.is_some())
        });
        let fields = row
            .payload
            .iter()
            .filter(move |field| level == Level::Payload && field.required && !self.has(field.key));
        top.map(|(_, key)| *key).chain(fields.map(|field| field.key))
    }

    fn has(&self, key: &str) -> bool {
        self.values.iter().any(|(other, _)| *other == key)
    }

    /// The keywords that may stand in `slot`, each with the rows that allow it. One may come several times.
    fn words(&self, slot: Slot) -> impl Iterator<Item = (Rows, &'static str)> {
        let top = TOP.iter().enumerate().filter_map(move |(which, key)| {
            let any = slot == Slot::Key(Level::Top) && !self.seen[which];
            let rows = self.each_row().filter(|(_, row)| which != TARGET || row.target.is_some());
            let rows = if any { rows.fold(0, |rows, (bit, _)| rows | bit) } else { 0 };
            (rows != 0).then_some((rows, *key))
        });
        let others = self.each_row().flat_map(move |(bit, row)| {
            let (fields, words, word): (&[Field], &[&str], _) = match slot {
                Slot::Key(Level::Payload) => (row.payload, &[], None),
                Slot::Top(TYPE) => (&[], &[], Some(row.type_)),
                Slot::Top(TARGET) => (&[], &[], row.target),
                Slot::Field(key) => match shape(row, key) {
                    Some(Shape::Keyword(words)) => (&[], words, None),
                    _ => (&[], &[], None),
                },
                Slot::Top(_) | Slot::Key(Level::Top) => (&[], &[], None),
            };
            let keys = fields.iter().map(|field| field.key).filter(|key| !self.has(key));
            keys.chain(words.iter().copied()).chain(word).map(move |word| (bit, word))
        });
        top.chain(others)
    }

    /// The viable rows, each with its bit.
    fn each_row(&self) -> impl Iterator<Item = (Rows, &'static Row)> + use<> {
        let rows = self.rows;
        self.table.iter().enumerate().map(|(at, row)| (1 << at, row)).filter(move |(bit, _)| rows & bit != 0)
    }

    /// The viable rows in which the shape of `key` is one for which `fits` holds.
    fn rows_with(&self, key: &str, fits: impl Fn(Shape) -> bool) -> Rows {
        let rows = self.each_row().filter(|(_, row)| shape(row, key).is_some_and(&fits));
        rows.fold(0, |rows, (bit, _)| rows | bit)
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether a keyword or a number ends before this byte.
fn is_end(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'(' | b')' | b'"')
}

fn shape(row: &Row, key: &str) -> Option<Shape> {
    row.payload.iter().find(|field| field.key == key).map(|field| field.shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Kind;

    const fn field(key: &'static str, required: bool, shape: Shape) -> Field {
        Field { key, required, shape }
    }

    const fn row(target: Option<&'static str>, payload: &'static [Field]) -> Row {
        Row { kind: Kind::Log, type_: "do", target, payload, purpose: "" }
    }

    /// A table with rows that share keys but not what the keys may be.
    static TABLE: [Row; 5] = [
        row(Some("a"), &[field("x", true, Shape::Text), field("n", false, Shape::Seconds(20))]),
        row(Some("ab"), &[field("x", true, Shape::Command), field("n", false, Shape::Seconds(200))]),
        row(Some("c"), &[field("x", true, Shape::Keyword(&["in", "into"])), field("y", false, Shape::Name)]),
        row(Some("d"), &[field("x", true, Shape::Buffer)]),
        row(None, &[field("z", false, Shape::Path)]),
    ];

    /// `|` stands before the byte that is rejected.
    fn check(fixture: &str, accepted: Option<usize>) {
        let reply = fixture.replacen('|', "", 1);
        let expected = accepted.ok_or_else(|| fixture.find('|').unwrap());
        for size in [1, 2, reply.len()] {
            let mut recogniser = Recogniser::of(&TABLE, "notes");
            let fed = reply.as_bytes().chunks(size).try_for_each(|chunk| recogniser.feed(chunk));
            let outcome = fed.and_then(|()| recogniser.finish());
            let found = outcome
                .map_err(|rejection| rejection.offset)
                .map(|action| TABLE.iter().position(|row| std::ptr::eq(row, action.row())).unwrap());
            assert_eq!(found, expected, "{fixture}");
        }
    }

    #[test]
    fn what_the_table_says_is_all_there_is_to_a_form() {
        for (fixture, accepted) in [
            ("(:type :do :target :a :payload (:x \"\"))", Some(0)),
            ("(:type :do :target :ab :payload (:x \"|\"))", None),
            ("(:payload (:x \"\") :type :do :target :a|b)", None),
            ("(:payload (:x \"q\") :type :do :target :ab)", Some(1)),
            ("(:payload (:x \"\u{200B}\") :type :do :target :a)", Some(0)),
            ("(:payload (:x \"\u{200B}\") :type :do :target :a|b)", None),
            ("(:payload (:x \"\\u200b\" :n 2|1", None),
            ("(:payload (:x \"q\" :n 21) :type :do :target :a|)", None),
            ("(:payload (:x \"q\" :n 200) :type :do :target :ab)", Some(1)),
            ("(:payload (:x \"q\" :n 20|1", None),
            ("(:type :do :target :c :payload (:x :in :y \"\"))", Some(2)),
            ("(:type :do :target :c :payload (:x :into))", Some(2)),
            ("(:type :do :target :c :payload (:x :int|))", None),
            ("(:payload (:x :into) :target :|d", None),
            ("(:payload (:x \"notes\") :type :do :target :d)", Some(3)),
            ("(:payload (:x \"note\") :type :do :target :|d)", None),
            ("(:payload (:x \"not\\u0065s\") :type :do :target :d)", Some(3)),
            ("(:target :d :type :do :payload (:x \"not|\\n", None),
            ("(:type :do :payload ())", Some(4)),
            ("(:type :do :payload () :|t", None),
            ("(:type :do :payload (:z \"\"))", Some(4)),
        ] {
            check(fixture, accepted);
        }
    }
}

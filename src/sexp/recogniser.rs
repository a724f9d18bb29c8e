//! The incremental recogniser: one pass, no stack, nothing hard-coded of any row. What is there of a chunk may
//! be read many bytes at a time, but says the same as if it was read one by one.
//!
//! It keeps the set of rows of the table that the reply can still become. Each byte either leaves that set
//! with at least one row that some continuation completes, or the reply is rejected at that byte. How a
//! reply is cut into chunks changes nothing. Memory is bounded by [`MAX_REPLY`].

mod opening;
mod refusal;

use std::sync::LazyLock;

use self::opening::Opening;
use super::Rejection;
use super::strings::{Chunk, Step, Strings};
use super::table::{AT_ONCE, EXPLANATION, PAYLOAD, Rows, TABLE, TARGET, TYPE, Table, Word};
use crate::action::{Action, MAX_REPLY, Row, Value};

static OPENINGS: LazyLock<Vec<Opening>> = LazyLock::new(|| Opening::all(&TABLE));

/// Reads one reply as it comes.
#[derive(Debug)]
pub struct Recogniser {
    table: &'static Table,
    openings: &'static [Opening],
    /// The rows that the reply can still become; never empty. A word counts once it is complete.
    rows: Rows,
    state: State,
    /// How many bytes were read.
    offset: usize,
    /// The keys that were seen: of the outer list, and of the payload.
    top: Taken,
    keys: Taken,
    /// What the payload has so far.
    values: Vec<(&'static str, Value)>,
    explanation: Option<String>,
    strings: Strings,
    /// The string being read.
    string: String,
    rejection: Option<Box<Rejection>>,
}

/// Where the reading stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the list.
    Start,
    /// In a list, where a key or the end may come.
    Between(Level),
    /// In a keyword: the first so many bytes of the word at this position of the slot's list, which is one of
    /// those possible.
    Word(Slot, u8, u8),
    /// Before a value.
    Value(Slot),
    /// In a string.
    Text(Slot),
    /// In a number, the value of this key, which is this so far.
    Number(u8, u32),
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
    /// The value of the outer list's key at this position.
    Top(u8),
    /// The value of the payload's key at this position in the table.
    Field(u8),
}

/// A set of words of one list, by their position in it.
type Taken = u64;

impl Recogniser {
    /// A recogniser that accepts `buffer` beside the name that always means "this session".
    #[must_use]
    pub fn new(buffer: &str) -> Self {
        Self::of(&TABLE, &OPENINGS, buffer)
    }

    fn of(table: &'static Table, openings: &'static [Opening], buffer: &str) -> Self {
        Self {
            table,
            openings,
            rows: table.all,
            state: State::Start,
            offset: 0,
            top: 0,
            keys: 0,
            values: Vec::with_capacity(4),
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
            return Err((**rejection).clone());
        }
        let room = chunk.len().min(MAX_REPLY - self.offset);
        let outcome = self
            .read(&chunk[..room])
            .and_then(|()| if room < chunk.len() { Err(refusal::too_long()) } else { Ok(()) });
        outcome.map_err(|rejection| {
            self.rejection = Some(rejection.clone());
            *rejection
        })
    }

    /// The rows that the reply can still become.
    pub fn viable(&self) -> impl Iterator<Item = &'static Row> {
        let rows = match self.state {
            // The rest of the word may decide; what it may still be is known before it ends.
            State::Word(slot, at, length) => {
                let begun = begun(self.list(slot).0, at, length);
                let possible = self.words(slot).filter(|(_, word)| word.text.starts_with(begun));
                possible.fold(0, |rows, (_, word)| rows | word.rows) & self.rows
            }
            _ => self.rows,
        };
        self.table.each(rows).map(|(_, row)| row)
    }

    /// What has been decoded of the payload's `:text` so far.
    #[must_use]
    pub fn text(&self) -> &str {
        if matches!(self.state, State::Text(Slot::Field(key)) if self.table.names[usize::from(key)].text == "text")
        {
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
            return Err(*rejection);
        }
        let row = self.table.each(self.rows).next();
        let (State::End, Some((_, row))) = (self.state, row) else {
            return Err(*self.too_short());
        };
        Ok(Action::of(row, self.values, self.explanation))
    }

    fn read(&mut self, chunk: &[u8]) -> Result<(), Box<Rejection>> {
        let mut at = 0;
        let mut chunk = Chunk::new(chunk);
        while let Some((&byte, rest)) = chunk.bytes[at..].split_first() {
            let read = match self.state {
                State::Text(slot) => self.string(slot, &mut chunk, at)?,
                State::Word(slot, at, length) => self.letter(slot, at, length, byte)?,
                State::Number(key, number) if is_end(byte) => self.value(key, Value::Integer(number)),
                State::Number(key, number) => self.digit(key, Some(number), byte)?,
                _ if is_blank(byte) => 1,
                State::Between(level) => match byte {
                    b')' => self.close(level)?,
                    b':' => match self.keyword(Slot::Key(level), rest) {
                        Some(read) => read,
                        None => return Err(self.unexpected(Slot::Key(level), "", byte)),
                    },
                    _ => return Err(self.expected_key(level, byte)),
                },
                State::Value(slot) => self.begin_value(slot, byte, rest)?,
                State::Start if byte == b'(' => self.open(&chunk.bytes[at..]),
                State::Start => return Err(self.not_a_list(byte)),
                State::End => return Err(self.trailing(byte)),
            };
            self.offset += read;
            at += read;
        }
        Ok(())
    }

    /// Begins the list; how many bytes of it were read.
    fn open(&mut self, list: &[u8]) -> usize {
        let Some(known) = self.openings.iter().find(|known| list.starts_with(known.text.as_bytes())) else {
            return self.go(State::Between(Level::Top));
        };
        let Opening { text, rows, state, top, keys, values } = known;
        (self.rows, self.state, self.top, self.keys) = (*rows, *state, *top, *keys);
        self.values.extend_from_slice(values);
        text.len()
    }

    /// Goes on in another state behind one byte.
    const fn go(&mut self, state: State) -> usize {
        self.state = state;
        1
    }

    /// Reads on in a string; how many bytes.
    fn string(&mut self, slot: Slot, chunk: &mut Chunk<'_>, at: usize) -> Result<usize, Box<Rejection>> {
        match self.strings.read(chunk, at, self.offset, &mut self.rows, &mut self.string)? {
            Step::More => Ok(chunk.bytes.len() - at),
            Step::Closed(read) => {
                let text = std::mem::take(&mut self.string);
                match slot {
                    Slot::Field(key) => {
                        self.value(key, Value::Text(text));
                    }
                    Slot::Top(_) | Slot::Key(_) => {
                        self.explanation = Some(text);
                        self.state = State::Between(Level::Top);
                    }
                }
                Ok(read)
            }
        }
    }

    /// The first byte of a value, `rest` behind it.
    fn begin_value(&mut self, slot: Slot, byte: u8, rest: &[u8]) -> Result<usize, Box<Rejection>> {
        match (slot, byte) {
            (Slot::Top(PAYLOAD), b'(') => Ok(self.go(State::Between(Level::Payload))),
            (Slot::Top(EXPLANATION), b'"') => {
                self.strings.begin(0, 0, 0);
                Ok(self.go(State::Text(slot)))
            }
            (Slot::Field(at), b'"') if self.rows & self.table.keys[usize::from(at)].strings != 0 => {
                let key = &self.table.keys[usize::from(at)];
                self.rows &= key.strings;
                self.strings.begin(key.named, key.strict, key.filled);
                Ok(self.go(State::Text(slot)))
            }
            (Slot::Field(_), b'"') => Err(self.expected_value(slot, byte)),
            (Slot::Top(TYPE | TARGET) | Slot::Field(_), b':') => match self.keyword(slot, rest) {
                Some(read) => Ok(read),
                None => Err(self.expected_value(slot, byte)),
            },
            (Slot::Field(at), _) if self.rows & self.table.keys[usize::from(at)].up_to(0) != 0 => {
                self.digit(at, None, byte)
            }
            _ => Err(self.expected_value(slot, byte)),
        }
    }

    /// A byte in a number.
    fn digit(&mut self, key: u8, before: Option<u32>, byte: u8) -> Result<usize, Box<Rejection>> {
        let least = u32::from(before.is_none());
        let digit = char::from(byte).to_digit(10).filter(|digit| *digit >= least);
        let number = digit.and_then(|digit| before.unwrap_or(0).checked_mul(10)?.checked_add(digit));
        let rows = number.map_or(0, |number| self.rows & self.table.keys[usize::from(key)].up_to(number));
        match number {
            Some(number) if rows != 0 => {
                self.rows = rows;
                Ok(self.go(State::Number(key, number)))
            }
            _ => Err(self.bad_integer(key, before, byte)),
        }
    }

    /// Begins a keyword at its colon, `rest` behind it; nothing if none may stand here. If it can be seen as a
    /// whole it is read at once, with a blank behind it. If not, or if it is none of those possible, its letters
    /// one by one tell more.
    #[inline]
    fn keyword(&mut self, slot: Slot, rest: &[u8]) -> Option<usize> {
        let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut padded = [0; AT_ONCE];
            padded[..rest.len()].copy_from_slice(rest);
            padded
        });
        let (list, taken) = self.list(slot);
        for (at, word) in (0..).zip(list) {
            if word.begins(bytes)
                && word.rows & self.rows != 0
                && taken & 1 << at == 0
                && let Some(end) = rest.get(word.text.len())
                && is_end(*end)
            {
                self.end_word(slot, at, word);
                return Some(1 + word.text.len() + usize::from(is_blank(*end)));
            }
        }
        let (at, _) = self.words(slot).next()?;
        Some(self.go(State::Word(slot, at, 0)))
    }

    /// A byte in, or just behind, a keyword that begins with the first `length` bytes of the word at `at`; how
    /// many bytes of it were read.
    fn letter(&mut self, slot: Slot, at: u8, length: u8, byte: u8) -> Result<usize, Box<Rejection>> {
        let begun = begun(self.list(slot).0, at, length);
        if is_end(byte) {
            let Some((at, word)) = self.words(slot).find(|(_, word)| word.text == begun) else {
                return Err(self.unexpected(slot, begun, byte));
            };
            self.end_word(slot, at, word);
            return Ok(0);
        }
        let next = Some(byte.to_ascii_lowercase());
        let goes_on = |word: &str| word.as_bytes().get(usize::from(length)).copied() == next;
        match self.words(slot).find(|(_, word)| goes_on(word.text) && word.text.starts_with(begun)) {
            Some((at, ..)) => Ok(self.go(State::Word(slot, at, length + 1))),
            None => Err(self.unexpected(slot, begun, byte)),
        }
    }

    /// What a whole keyword says about the reply, and what comes next.
    #[inline]
    fn end_word(&mut self, slot: Slot, at: u8, word: &Word) {
        self.rows &= word.rows;
        self.state = match slot {
            Slot::Key(Level::Top) => {
                self.top |= 1 << at;
                State::Value(Slot::Top(at))
            }
            Slot::Key(Level::Payload) => {
                self.keys |= 1 << at;
                State::Value(Slot::Field(at))
            }
            Slot::Top(_) => State::Between(Level::Top),
            Slot::Field(key) => {
                self.value(key, Value::Keyword(word.text));
                return;
            }
        };
    }

    /// Takes a value of the payload, whose end was seen before it was read.
    fn value(&mut self, key: u8, value: Value) -> usize {
        self.values.push((self.table.names[usize::from(key)].text, value));
        self.state = State::Between(Level::Payload);
        0
    }

    /// The end of a list: the rows that have all they require stay.
    fn close(&mut self, level: Level) -> Result<usize, Box<Rejection>> {
        let complete = self.complete(level);
        if complete == 0 {
            return Err(self.missing_key(level));
        }
        self.rows = complete;
        Ok(self.go(if level == Level::Top { State::End } else { State::Between(Level::Top) }))
    }

    /// The rows that have all they require in this list.
    fn complete(&self, level: Level) -> Rows {
        self.rows & !self.missing(level).fold(0, |lacking, (_, rows)| lacking | rows)
    }

    /// The keys of a list that are not there, each with the rows that require it.
    fn missing(&self, level: Level) -> impl Iterator<Item = (&'static str, Rows)> {
        let (list, taken) = self.list(Slot::Key(level));
        let required = move |at: usize| match level {
            Level::Top => self.table.top_required[at],
            Level::Payload => self.table.keys[at].required,
        };
        let words = list.iter().enumerate().filter(move |(at, _)| taken & 1 << at == 0);
        words.map(move |(at, word)| (word.text, required(at) & self.rows)).filter(|(_, rows)| *rows != 0)
    }

    /// The list of the words that a slot takes, and which of them may not come again.
    fn list(&self, slot: Slot) -> (&'static [Word], Taken) {
        let table = self.table;
        match slot {
            Slot::Key(Level::Top) => (&table.top, self.top),
            Slot::Key(Level::Payload) => (&table.names, self.keys),
            Slot::Top(TYPE) => (&table.types, 0),
            Slot::Top(TARGET) => (&table.targets, 0),
            Slot::Top(_) => (&[], 0),
            Slot::Field(key) => (&table.keys[usize::from(key)].words, 0),
        }
    }

    /// The keywords that may stand in `slot`, each with its position in the list.
    fn words(&self, slot: Slot) -> impl Iterator<Item = (u8, &'static Word)> + use<> {
        let ((list, taken), viable) = (self.list(slot), self.rows);
        (0..).zip(list).filter(move |(at, word)| word.rows & viable != 0 && taken & 1 << at == 0)
    }
}

/// The first bytes of the word at a position of a list.
fn begun(list: &'static [Word], at: u8, length: u8) -> &'static str {
    &list[usize::from(at)].text[..usize::from(length)]
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Whether a keyword or a number ends before this byte.
fn is_end(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'(' | b')' | b'"')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Field, Kind, Shape};

    const fn field(key: &'static str, required: bool, shape: Shape) -> Field {
        Field { key, required, shape }
    }

    const fn row(target: Option<&'static str>, payload: &'static [Field]) -> Row {
        Row { kind: Kind::Log, type_: "do", target, payload, purpose: "" }
    }

    /// A table with rows that share keys but not what the keys may be.
    static ROWS: [Row; 5] = [
        row(Some("a"), &[field("x", true, Shape::Text), field("n", false, Shape::Seconds(20))]),
        row(Some("ab"), &[field("x", true, Shape::Command), field("n", false, Shape::Seconds(200))]),
        row(Some("c"), &[field("x", true, Shape::Keyword(&["in", "into"])), field("y", false, Shape::Name)]),
        row(Some("d"), &[field("x", true, Shape::Buffer)]),
        row(None, &[field("z", false, Shape::Path)]),
    ];
    static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&ROWS));
    static OPENINGS: LazyLock<Vec<Opening>> = LazyLock::new(|| Opening::all(&TABLE));

    /// `|` stands before the byte that is rejected.
    fn check(fixture: &str, accepted: Option<usize>) {
        // A name that is no ASCII, where the fixture has it.
        let buffer = if fixture.contains("n\u{200B}") { "n\u{200B}" } else { "notes" };
        let reply = fixture.replacen('|', "", 1);
        let expected = accepted.ok_or_else(|| fixture.find('|').unwrap());
        for size in [1, 2, reply.len()] {
            let mut recogniser = Recogniser::of(&TABLE, &OPENINGS, buffer);
            let fed = reply.as_bytes().chunks(size).try_for_each(|chunk| recogniser.feed(chunk));
            let outcome = fed.and_then(|()| recogniser.finish());
            let found = outcome
                .map_err(|rejection| rejection.offset)
                .map(|action| ROWS.iter().position(|row| std::ptr::eq(row, action.row())).unwrap());
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
            // A name may be a command, too, but for its invisible character.
            ("(:payload (:x \"n\u{200B}\") :type :do :target :a|b)", None),
            ("(:payload (:x \"n\u{200B}\") :type :do :target :d)", Some(3)),
            ("(:type :do :payload ())", Some(4)),
            ("(:type :do :payload () :|t", None),
            ("(:type :do :payload (:z \"\"))", Some(4)),
        ] {
            check(fixture, accepted);
        }
    }
}

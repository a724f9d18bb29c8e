//! The grammar table as the recogniser asks it: each word with the set of rows that have it.
//!
//! It is made of the table alone and says nothing that the table does not say.

use std::sync::LazyLock;

use crate::action::{Field, GRAMMAR, Row, Shape};

/// A set of rows of the grammar table, by their position in it.
pub(super) type Rows = u64;

// Each row is a bit, and so is each key of a payload.
const _: () = {
    assert!(GRAMMAR.len() <= Rows::BITS as usize);
    let (mut fields, mut at) = (0, 0);
    while at < GRAMMAR.len() {
        fields += GRAMMAR[at].payload.len();
        at += 1;
    }
    assert!(fields <= 64);
};

/// The action grammar.
pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&GRAMMAR));

/// A word, and the rows in which it may stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) text: &'static str,
    pub(super) rows: Rows,
    /// Its bytes, the bits that a lower-case letter has and an upper-case one lacks, and the bits that count.
    bytes: u128,
    case: u128,
    mask: u128,
}

/// So many bytes are compared with a word at once.
pub(super) const AT_ONCE: usize = 16;

impl Word {
    const fn new(text: &'static str, rows: Rows) -> Self {
        let (mut bytes, mut case, mut mask) = (0, 0, 0);
        let mut at = 0;
        if text.len() > AT_ONCE {
            // No bytes are equal to these: such a word is read letter by letter only.
            return Self { text, rows, bytes: 1, case, mask };
        }
        while at < text.len() {
            let byte = text.as_bytes()[at];
            bytes |= (byte as u128) << (8 * at);
            mask |= 0xFF << (8 * at);
            if byte.is_ascii_lowercase() {
                case |= 0x20 << (8 * at);
            }
            at += 1;
        }
        Self { text, rows, bytes, case, mask }
    }

    /// Whether `bytes` begin with the word, in any case; never, if it is longer than they are.
    pub(super) const fn begins(&self, bytes: [u8; AT_ONCE]) -> bool {
        u128::from_le_bytes(bytes) & self.mask | self.case == self.bytes
    }
}

/// A table of forms.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) rows: &'static [Row],
    /// The set of all of them.
    pub(super) all: Rows,
    /// The keys of the outer list: [`TYPE`], [`TARGET`], [`EXPLANATION`] and [`PAYLOAD`].
    pub(super) top: [Word; 4],
    /// What has to be there of them, in which rows.
    pub(super) top_required: [Rows; 4],
    pub(super) types: Vec<Word>,
    pub(super) targets: Vec<Word>,
    /// The keys of all payloads, each once.
    pub(super) names: Vec<Word>,
    /// What is known of each of them.
    pub(super) keys: Vec<Key>,
}

// The positions of the outer list's keys.
pub(super) const TYPE: u8 = 0;
pub(super) const TARGET: u8 = 1;
pub(super) const EXPLANATION: u8 = 2;
pub(super) const PAYLOAD: u8 = 3;

/// What a key of a payload may be.
#[derive(Debug, Default)]
pub(super) struct Key {
    /// Where it has to be there.
    pub(super) required: Rows,
    /// Where it is a string, and of these
    pub(super) strings: Rows,
    /// where it is one of the buffer names,
    pub(super) named: Rows,
    /// where it has no invisible characters,
    pub(super) strict: Rows,
    /// and where it is not empty.
    pub(super) filled: Rows,
    /// The keywords that it may be.
    pub(super) words: Vec<Word>,
    /// The greatest numbers that it may be.
    pub(super) numbers: Vec<(u32, Rows)>,
}

impl Table {
    pub(super) fn new(rows: &'static [Row]) -> Self {
        let all = rows.iter().enumerate().fold(0, |all, (at, _)| all | 1 << at);
        let mut table = Self {
            rows,
            all,
            top: [("type", all), ("target", 0), ("explanation", all), ("payload", all)]
                .map(|(text, rows)| Word::new(text, rows)),
            top_required: [all, 0, 0, all],
            types: Vec::new(),
            targets: Vec::new(),
            names: Vec::new(),
            keys: Vec::new(),
        };
        for (at, row) in rows.iter().enumerate() {
            let bit = 1 << at;
            add(&mut table.types, row.type_, bit);
            if let Some(target) = row.target {
                add(&mut table.targets, target, bit);
                table.top[usize::from(TARGET)].rows |= bit;
                table.top_required[usize::from(TARGET)] |= bit;
            }
            for field in row.payload {
                let at = add(&mut table.names, field.key, bit);
                table.keys.resize_with(table.names.len(), Key::default);
                table.keys[at].add(field, bit);
            }
        }
        table
    }

    /// The rows of a set.
    pub(super) fn each(&self, rows: Rows) -> impl Iterator<Item = (Rows, &'static Row)> + use<> {
        let all = self.rows.iter().enumerate();
        all.map(|(at, row)| (1 << at, row)).filter(move |(bit, _)| rows & bit != 0)
    }
}

impl Key {
    fn add(&mut self, field: &Field, bit: Rows) {
        self.required |= if field.required { bit } else { 0 };
        match field.shape {
            Shape::Keyword(words) => words.iter().for_each(|word| {
                add(&mut self.words, word, bit);
            }),
            Shape::Seconds(most) => self.numbers.push((most, bit)),
            Shape::Text | Shape::Name => {}
            Shape::Buffer => self.named |= bit,
            Shape::Path => self.strict |= bit,
            Shape::Command => {
                self.strict |= bit;
                self.filled |= bit;
            }
        }
        if !matches!(field.shape, Shape::Keyword(_) | Shape::Seconds(_)) {
            self.strings |= bit;
        }
    }

    /// The rows in which it may be `number`, or a longer number that begins so.
    pub(super) fn up_to(&self, number: u32) -> Rows {
        let fitting = self.numbers.iter().filter(|(most, _)| number <= *most);
        fitting.fold(0, |rows, (_, bits)| rows | bits)
    }
}

/// Adds a row to those of `word`; the word's position.
fn add(words: &mut Vec<Word>, word: &'static str, bit: Rows) -> usize {
    let at = words.iter().position(|other| other.text == word).unwrap_or_else(|| {
        words.push(Word::new(word, 0));
        words.len() - 1
    });
    words[at].rows |= bit;
    at
}

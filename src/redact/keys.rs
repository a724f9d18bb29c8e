//! The keys this process knows, in every usual encoding, whole and in parts.
//!
//! A part counts from twelve bytes of the key on, so that output which was cut in its middle, or wrapped, does not
//! show what is left. What decodes to a single byte (`%41`, `\u0041`) is decoded by `units` already; here are the
//! encodings that spread a byte over several characters.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::rules::Class;
use super::units::{Seen, Units};
use super::{Find, Hit, Tail};

/// The name in the mask.
pub(super) const NAME: &str = "live key";

/// Shorter keys are placeholders (`none`, `ollama`), and would mask ordinary words.
const SHORTEST: usize = 8;

/// Longer keys are known by pieces of this many bytes.
const PIECE: usize = 512;

/// From how many bytes on a part of a key is masked.
const PART: usize = 12;

/// How many bytes of a key are enough where the text begins or ends: it may have been cut there.
const STUB: usize = 8;

/// A part is only masked if it has so many different characters.
const DISTINCT: u32 = 6;

/// How many characters find the places in the keys that may begin here.
const GRAM: usize = 4;

/// The most characters that an escape takes of what follows its introduction: those of `\u`.
const TAKEN: usize = 4;

/// How many words of bits there are.
const HINTS: usize = 1024;

/// How many places one gram may find.
const PLACES: usize = 16;

/// Keys, prepared for [`super::Redactor`]. Cheap to clone; shows nothing of them when printed.
#[derive(Clone, Default)]
pub struct Keys(Arc<Index>);

#[derive(Default)]
struct Index {
    forms: Vec<Form>,
    /// Where the folded gram stands: which form, from which of its characters on.
    places: BTreeMap<[u8; GRAM], Vec<(usize, usize)>>,
    /// A bit for the hash of every gram, so that most places of a text are passed by at once.
    hints: Vec<u64>,
    /// Whether only the beginnings of forms are found.
    beginnings: bool,
}

struct Form {
    text: Vec<u8>,
    kind: Kind,
    /// From how many characters on a part is masked.
    part: usize,
    /// Whether the character after it still holds bits of the key.
    open: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Hex,
    Base64,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Prepares `keys`. Those of less than 8 bytes are left out.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self::prepare(keys, false)
    }

    /// The same, but a part counts only if it is the beginning of a key. Much less looks like one, so that next to
    /// nothing is held back of a text that comes in small pieces and is shown at once.
    pub fn beginnings<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self::prepare(keys, true)
    }

    fn prepare<'a>(keys: impl IntoIterator<Item = &'a str>, beginnings: bool) -> Self {
        let mut index = Index { beginnings, ..Index::default() };
        for key in keys.into_iter().map(|key| key.trim().as_bytes()).filter(|key| key.len() >= SHORTEST) {
            let last = key.len().saturating_sub(PIECE);
            for at in (0..last).step_by(PIECE).chain([last]) {
                index.add_encodings(&key[at..key.len().min(at + PIECE)]);
            }
        }
        Self(Arc::new(index))
    }

    /// Whether a key, or a part of one, begins at `at`; `first`: the text begins there, too; `after_escape`: what stands
    /// before may have begun with characters of the key, as in `%` before `736b…`.
    pub(super) fn find(&self, units: &Units, at: usize, first: bool, after_escape: bool) -> Find {
        let counts = |offset: usize| !self.0.beginnings || offset == 0 || after_escape;
        let mut gram = [0; GRAM];
        for n in 0..GRAM {
            match units.see(at, at + n) {
                Seen::Byte(byte) => gram[n] = fold(byte),
                Seen::Shut => return Find::No,
                Seen::Open => {
                    // The rest of `gram` is zeros: nothing with the same beginning comes before it.
                    let mut next =
                        self.0.places.range(gram..).take_while(|(other, _)| other[..n] == gram[..n]);
                    let begins = n > 0 && next.any(|(_, places)| places.iter().any(|place| counts(place.1)));
                    return if begins { Find::Wait } else { Find::No };
                }
            }
        }
        let (word, bit) = hint(gram);
        if self.0.hints.get(word).is_none_or(|hints| hints & bit == 0) {
            return Find::No;
        }
        let Some(places) = self.0.places.get(&gram) else { return Find::No };
        let mut best: Option<Hit> = None;
        for (form, offset) in places.iter().filter(|(_, offset)| counts(*offset)) {
            let form = &self.0.forms[*form];
            let found = form.compare(units, at, *offset, *offset == 0 || self.0.beginnings);
            if found.next == Seen::Open {
                return Find::Wait;
            }
            let whole = *offset + found.count == form.text.len();
            let is_cut = whole && first || *offset == 0 && found.next == Seen::Shut;
            let is_enough = whole && *offset == 0
                || found.distinct >= DISTINCT && found.count >= if is_cut { STUB } else { form.part };
            if is_enough && best.is_none_or(|best| best.to < found.to) {
                let tail = if whole && form.open { Tail::Run(Class::Base64, 1) } else { Tail::None };
                best = Some(Hit { from: at, to: found.to, tail, name: NAME });
            }
        }
        best.map_or(Find::No, Find::Yes)
    }
}

impl Index {
    fn add_encodings(&mut self, key: &[u8]) {
        // What looks like an escape in the key is read as one, unless whoever printed the key escaped it again.
        let text = std::str::from_utf8(key).unwrap_or_default();
        for text in [text, &text.replace('\\', "\\\\").replace('"', "\\\"")] {
            let decoded = Units::whole(text).bytes();
            self.add(decoded, Kind::Plain, PART, false);
        }
        self.add(key.to_vec(), Kind::Plain, PART, false);
        self.add(percent(key), Kind::Plain, PART, false);
        // As one word, as dumps print bytes, and as they print pairs of bytes, from either byte of a pair on.
        for (first, group, separator) in
            [(0, usize::MAX, ""), (1, 1, " "), (1, 1, ":"), (1, 2, " "), (2, 2, " ")]
        {
            let part = PART + if group == usize::MAX { 0 } else { (PART / 2 - 1) / group };
            self.add(hex(key, first, group, separator), Kind::Hex, part, false);
        }
        for before in 0..3 {
            let (core, open) = base64(key, before);
            self.add(core, Kind::Base64, PART / 3 * 4, open);
        }
    }

    fn add(&mut self, text: Vec<u8>, kind: Kind, part: usize, open: bool) {
        let form = self.forms.len();
        if self.forms.iter().any(|form| form.kind == kind && form.text == text) {
            return;
        }
        let begins = |gram: &[u8]| kind != Kind::Hex || gram[0].is_ascii_hexdigit();
        let offsets = if self.beginnings { TAKEN + 1 } else { usize::MAX };
        for (offset, gram) in text.windows(GRAM).enumerate().take(offsets).filter(|(_, gram)| begins(gram)) {
            let mut key = [0; GRAM];
            key.copy_from_slice(gram);
            let key = key.map(fold);
            let (word, bit) = hint(key);
            self.hints.resize(HINTS, 0);
            self.hints[word] |= bit;
            let places = self.places.entry(key).or_default();
            if offset == 0 || places.len() < PLACES {
                places.push((form, offset));
            }
        }
        self.forms.push(Form { text, kind, part, open });
    }
}

/// How far text and form agree.
struct Agreed {
    count: usize,
    to: usize,
    distinct: u32,
    /// What stopped it; `Byte` also if the form was at its end.
    next: Seen,
}

impl Form {
    /// Compares from `offset` on with the text at `from`, `to_end` of the key or only for two parts: the next beginnings
    /// find the rest. After four characters in a row a line may end, and the next be indented: encoders wrap.
    fn compare(&self, units: &Units, from: usize, offset: usize, to_end: bool) -> Agreed {
        let (mut seen, mut row, mut at) = (0_u128, 0, from);
        let mut agreed = Agreed { count: 0, to: from, distinct: 0, next: Seen::Byte(0) };
        let limit = if to_end { usize::MAX } else { 2 * self.part + GRAM };
        while let Some(want) = self.text.get(offset + agreed.count)
            && agreed.count < limit
        {
            match units.see(from, at) {
                Seen::Byte(byte) if self.same(byte, *want) => {
                    (at, row, seen) = (at + 1, row + 1, seen | 1 << (want & 0x7f));
                    agreed.count += 1;
                    // A separator is no part of the key.
                    if self.kind != Kind::Hex || want.is_ascii_hexdigit() {
                        agreed.to = at;
                    }
                }
                Seen::Byte(b'\n' | b'\r') if row >= GRAM => {
                    row = 0;
                    let is = |at, wanted: &[u8]| matches!(units.see(from, at), Seen::Byte(byte) if wanted.contains(&byte));
                    let end = (at..at + 2).find(|at| !is(*at, b"\r\n")).unwrap_or(at + 2);
                    at = (end..end + 16).find(|at| !is(*at, b" \t")).unwrap_or(end + 16);
                }
                other => {
                    agreed.next = other;
                    break;
                }
            }
        }
        agreed.distinct = seen.count_ones();
        agreed
    }

    fn same(&self, byte: u8, want: u8) -> bool {
        match self.kind {
            Kind::Plain => byte == want,
            Kind::Hex => byte.to_ascii_lowercase() == want,
            Kind::Base64 => url_safe(byte) == want,
        }
    }
}

/// The standard alphabet's character for one of the URL-safe alphabet.
fn url_safe(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    }
}

/// Which bit of which word stands for `gram`.
fn hint(gram: [u8; GRAM]) -> (usize, u64) {
    let hash = u32::from_le_bytes(gram).wrapping_mul(0x9e37_79b1) >> 16;
    (hash as usize >> 6, 1 << (hash & 63))
}

fn fold(byte: u8) -> u8 {
    url_safe(byte).to_ascii_lowercase()
}

/// `key` in a URL. Only a form of its own if it is encoded twice.
fn percent(key: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for byte in key {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(*byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out.into_bytes()
}

/// `key` in hexadecimal, with `separator` after the `first` bytes and then after each `group` of them.
fn hex(key: &[u8], first: usize, group: usize, separator: &str) -> Vec<u8> {
    let mut out = String::new();
    for (at, byte) in key.iter().enumerate() {
        if at >= first && at > 0 && (at - first).is_multiple_of(group) {
            out.push_str(separator);
        }
        out.push_str(&format!("{byte:02x}"));
    }
    out.into_bytes()
}

/// The characters of base64 that `key` alone decides, with `before` bytes before it in its group of three; and
/// whether the next one still depends on it.
fn base64(key: &[u8], before: usize) -> (Vec<u8>, bool) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(key.iter().copied()).collect();
    let bits = bytes.len() * 8;
    let bit = |at: usize| usize::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let letter = |at: usize| ALPHABET[(0..6).fold(0, |sum, n| sum << 1 | bit(at * 6 + n))];
    (((before * 8).div_ceil(6)..bits / 6).map(letter).collect(), !bits.is_multiple_of(6))
}

//! Redaction: takes secrets out of text that comes from outside, before it is kept, shown or sent on.
//!
//! Two kinds: the keys that this process knows, in every usual encoding (`keys`), and tokens that are known by their
//! form (`rules`). What is found is replaced by a mask such as `[redacted: github-token]`, which holds nothing of it.
//!
//! Every place of the text is a possible beginning; what is masked is the union of everything found from all of
//! them. A beginning is decided by the text alone, so it does not matter how the text was cut into chunks, and a
//! mask ends every comparison, so masking twice changes nothing. What may be looked at from one beginning is
//! bounded, so time is linear and what is held back is small: from the first undecided beginning on, which in
//! ordinary text is nothing or a few characters, and never more than [`HELD`] bytes.
//!
//! Pure: no input or output. Does not know where text comes from.

mod block;
mod keys;
mod rules;
mod units;

use block::Block;
pub use keys::Keys;
use rules::Class;
use units::Units;

/// The most bytes that are held back between two chunks: how far a beginning may look, and one lexeme.
pub const HELD: usize = 8_192 + 256;

/// How many bytes are looked at in one go: units take more room than their text.
const PIECE: usize = 4_096;

/// Masks a text that comes in chunks.
#[derive(Clone, Debug)]
pub struct Redactor {
    keys: Keys,
    /// Whether tokens are known by their form, too.
    rules: bool,
    units: Units,
    /// The unit to be decided.
    at: usize,
    /// The byte before it.
    before: Option<u8>,
    /// Whether that was written in another way than as itself: it may have taken characters of what follows.
    after_escape: bool,
    covers: Vec<Hit>,
    in_mask: bool,
    masked: usize,
}

/// A secret: from one unit to another, and what may follow.
#[derive(Clone, Copy, Debug)]
struct Hit {
    from: usize,
    to: usize,
    tail: Tail,
    name: &'static str,
}

/// What after a secret still belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    None,
    /// At most so many of these.
    Run(Class, usize),
    Block(Block),
}

/// What a look from a beginning finds.
enum Find {
    No,
    /// More text is needed.
    Wait,
    Yes(Hit),
}

/// `text` with the secrets masked, and how many masks that took. A secret of which only the beginning is there,
/// because the text was cut, is masked, too.
#[must_use]
pub fn redact(text: &str, keys: &Keys) -> (String, usize) {
    let mut redactor = Redactor::new(keys);
    let mut out = String::with_capacity(text.len());
    redactor.push(text, &mut out);
    let masked = redactor.finish(&mut out);
    (out, masked)
}

impl Redactor {
    /// A redactor at the beginning of a text.
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        Self {
            keys: keys.clone(),
            rules: true,
            units: Units::default(),
            at: 0,
            before: None,
            after_escape: false,
            covers: Vec::new(),
            in_mask: false,
            masked: 0,
        }
    }

    /// One that masks nothing but `keys`: for text that may show what only looks like a secret.
    #[must_use]
    pub fn of_keys(keys: &Keys) -> Self {
        Self { rules: false, ..Self::new(keys) }
    }

    /// Takes a chunk; what is decided goes to `out`.
    pub fn push(&mut self, chunk: &str, out: &mut String) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.ceil_char_boundary(PIECE.min(rest.len())));
            self.take(piece, out);
            rest = tail;
        }
    }

    fn take(&mut self, piece: &str, out: &mut String) {
        self.units.push(piece);
        self.decide(out);
        self.units.forget(self.at);
        for cover in &mut self.covers {
            (cover.from, cover.to) = (cover.from.saturating_sub(self.at), cover.to.saturating_sub(self.at));
        }
        self.at = 0;
    }

    /// Ends the text: what was held back goes to `out`. How many masks there were; then the next text may begin.
    pub fn finish(&mut self, out: &mut String) -> usize {
        self.units.finished = true;
        self.take("", out);
        out.push_str(self.units.rest());
        let masked = self.masked;
        *self = Self { rules: self.rules, ..Self::new(&self.keys) };
        masked
    }

    /// How many bytes are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.units.text.len()
    }

    fn decide(&mut self, out: &mut String) {
        let mut found = Vec::new();
        while let Some(unit) = self.units.get(self.at) {
            let covered = self.covers.iter().any(|cover| cover.holds(self.at, unit.byte));
            let bounded = !self.before.is_some_and(|byte| Class::Word.has(byte) && byte != b'-')
                || unit.lead < unit.start
                || self.in_mask && !covered;
            found.clear();
            let after_escape = self.after_escape || unit.lead < unit.start;
            match self.keys.find(&self.units, self.at, self.before.is_none(), after_escape) {
                Find::Wait => return,
                Find::Yes(hit) => found.push(hit),
                Find::No => {}
            }
            if self.rules && rules::find(&self.units, self.at, bounded, &mut found) {
                return;
            }
            for hit in &found {
                self.cover(*hit);
            }
            self.after_escape = self.units.is_encoded(self.at);
            if self.covers.is_empty() {
                out.push_str(&self.units.text[unit.lead..unit.end]);
                (self.in_mask, self.before, self.at) = (false, Some(unit.byte), self.at + 1);
                continue;
            }
            let name =
                self.covers.iter().find(|cover| cover.holds(self.at, unit.byte)).map(|cover| cover.name);
            match name {
                Some(_) if self.in_mask => {}
                Some(name) => {
                    out.push_str(&self.units.text[unit.lead..unit.start]);
                    rules::mask(name, out);
                    self.masked += 1;
                }
                None => out.push_str(&self.units.text[unit.lead..unit.end]),
            }
            self.in_mask = name.is_some();
            self.before = Some(unit.byte);
            let at = self.at;
            self.covers.retain_mut(|cover| cover.pass(at, unit.byte));
            self.at += 1;
        }
    }

    /// Adds a secret; one of the same kind that it meets grows instead, so that there are never many.
    fn cover(&mut self, hit: Hit) {
        let same = |cover: &&mut Hit| {
            cover.name == hit.name
                && cover.tail.is_like(hit.tail)
                && cover.from <= hit.from
                && hit.from <= cover.to
        };
        match self.covers.iter_mut().find(same) {
            Some(cover) if hit.to > cover.to => (cover.to, cover.tail) = (hit.to, hit.tail),
            Some(_) => {}
            None => self.covers.push(hit),
        }
    }
}

impl Tail {
    fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Run(one, _), Self::Run(other, _)) => one == other,
            (one, other) => std::mem::discriminant(&one) == std::mem::discriminant(&other),
        }
    }
}

impl Hit {
    /// Whether it covers `byte` at `at`.
    fn holds(&self, at: usize, byte: u8) -> bool {
        at >= self.from
            && (at < self.to
                || match self.tail {
                    Tail::None => false,
                    Tail::Run(class, left) => left > 0 && class.has(byte),
                    Tail::Block(block) => block.next(byte).is_ok(),
                })
    }

    /// Goes on behind `byte`; false if nothing is left of it.
    fn pass(&mut self, at: usize, byte: u8) -> bool {
        if at < self.to {
            return true;
        }
        if !self.holds(at, byte) {
            return false;
        }
        self.to = at + 1;
        match &mut self.tail {
            Tail::None => false,
            Tail::Run(_, left) => {
                *left -= 1;
                true
            }
            Tail::Block(block) => match block.next(byte) {
                Ok(Some(next)) => {
                    *block = next;
                    true
                }
                _ => false,
            },
        }
    }
}

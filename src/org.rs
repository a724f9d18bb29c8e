//! The Org contract: what a model's text becomes before it may stand in a buffer.
//!
//! A stream takes the text as it comes and gives it back as soon as it is final: Markdown habits have
//! become Org, headings stand below the prompt's, blocks are closed, and whatever Org or Emacs would act on
//! by itself is visible and inert. The result does not depend on how the text was cut, and a second pass
//! changes nothing. `docs/org-contract.md` says what becomes of what.
//!
//! It knows nothing of actions, models or buffers. Its parts, in the order in which a character passes
//! them: `chars` (single characters), `engine` (lines, with `lines`, `blocks`, `tables` and `languages`),
//! `inline` (inside a line, with `spans` and `links`), `writer` and `guard` (the output, with `tex`).

mod blocks;
mod chars;
mod engine;
mod guard;
mod inline;
mod languages;
mod lines;
mod links;
mod report;
mod spans;
mod tables;
mod tex;
mod writer;

use chars::{Chars, Seen};
use engine::Engine;
pub use report::{Change, KINDS, explain};

/// The contract as a stream: text goes in as it comes, text comes out as soon as it is final.
///
/// At most one line is held back, and ordinary words are not.
#[derive(Debug)]
pub struct Stream {
    chars: Chars,
    engine: Engine,
}

impl Stream {
    /// A stream for text that stands under a heading of `level`.
    #[must_use]
    pub fn new(level: usize) -> Self {
        Self { chars: Chars::new(), engine: Engine::new(level) }
    }

    /// Takes `text` and appends to `out` what is final now.
    pub fn push(&mut self, text: &str, out: &mut String) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let words = self.engine.take_words(rest);
            if words > 0 {
                self.chars.skipped(rest.as_bytes()[words - 1]);
                rest = &rest[words..];
                continue;
            }
            rest = &rest[c.len_utf8()..];
            match self.chars.see(c, self.engine.report()) {
                Seen::Char(c) => self.engine.feed(c),
                Seen::Nothing => {}
                Seen::Named(name) => name.chars().for_each(|c| self.engine.feed(c)),
            }
        }
        self.engine.flush(out);
    }

    /// Ends the text: appends the rest to `out` and returns all changes.
    pub fn finish(self, out: &mut String) -> Vec<Change> {
        self.engine.finish(out)
    }
}

/// Applies the contract to a whole text.
#[must_use]
pub fn apply(text: &str, level: usize) -> (String, Vec<Change>) {
    let mut stream = Stream::new(level);
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    stream.push(text, &mut out);
    let changes = stream.finish(&mut out);
    (out, changes)
}

/// The languages that a source block may name, as Org writes them.
pub fn languages() -> impl Iterator<Item = &'static str> {
    languages::names()
}

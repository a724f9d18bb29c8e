//! The Org contract: what a model's text becomes before it may stand in a buffer.
//!
//! A stream takes the text as it comes and gives it back as soon as it is final: Markdown habits have
//! become Org, headings stand below the prompt's, blocks are closed, and whatever Org or Emacs would act on
//! by itself is visible and inert. The result does not depend on how the text was cut, and applying the
//! contract to it changes nothing. `docs/org-contract.md` says what becomes of what.
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
pub mod markdown;
mod links;
mod report;
mod spans;
mod tables;
mod tex;
mod writer;

pub(crate) use chars::is_hidden;
use chars::{Chars, Seen};
use engine::Engine;
pub use report::{Change, KINDS, explain};

/// The contract as a stream: text goes in as it comes, text comes out as soon as it is final.
///
/// At most one line is held back, and ordinary words are not.
#[derive(Debug)]
pub struct Stream {
    /// Each reads what the one before it wrote: a mark or a blank that was put can make Markdown of what was
    /// none.
    readings: [Reading; 2],
    between: String,
}

impl Stream {
    /// A stream for text that stands under a heading of `level`.
    #[must_use]
    pub fn new(level: usize) -> Self {
        Self { readings: [Reading::new(level), Reading::new(level)], between: String::new() }
    }

    /// Takes `text` and appends to `out` what is final now.
    pub fn push(&mut self, text: &str, out: &mut String) {
        let Self { readings: [first, second], between } = self;
        let mut rest = text;
        while !rest.is_empty() {
            // What changes in the second reading is told of the line that the first read.
            let line = first.line();
            rest = first.push_line(rest, between);
            second.push(between, line, out);
            between.clear();
        }
    }

    /// Ends the text: appends the rest to `out` and returns all changes.
    pub fn finish(self, out: &mut String) -> Vec<Change> {
        let Self { readings: [mut first, mut second], mut between } = self;
        let line = first.line();
        let changes = first.engine.finish(&mut between);
        second.push(&between, line, out);
        report::merge(changes, second.engine.finish(out))
    }
}

/// One reading of the text.
#[derive(Debug)]
struct Reading {
    chars: Chars,
    engine: Engine,
}

impl Reading {
    fn new(level: usize) -> Self {
        Self { chars: Chars::new(), engine: Engine::new(level) }
    }

    /// The line of the input that is being read, from 1.
    const fn line(&mut self) -> usize {
        self.engine.report().line
    }

    /// Takes the beginning of `text`, up to the end of a line, and returns the rest.
    fn push_line<'a>(&mut self, mut text: &'a str, out: &mut String) -> &'a str {
        while let Some(ended) = self.step(&mut text) {
            if ended {
                self.engine.report().line += 1;
                break;
            }
        }
        self.engine.flush(out);
        text
    }

    /// Takes all of `text`, which was written for this line of the input.
    fn push(&mut self, mut text: &str, line: usize, out: &mut String) {
        self.engine.report().line = line;
        while self.step(&mut text).is_some() {}
        self.engine.flush(out);
    }

    /// Takes some characters from the front of `text`; whether they end a line. Nothing, if it is empty.
    fn step(&mut self, text: &mut &str) -> Option<bool> {
        let c = text.chars().next()?;
        let words = self.engine.take_words(text);
        let (taken, rest) = text.split_at(if words > 0 { words } else { c.len_utf8() });
        *text = rest;
        if words > 0 {
            self.chars.skipped(taken.as_bytes()[words - 1]);
            return Some(false);
        }
        match self.chars.see(c, self.engine.report()) {
            Seen::Char(c) => {
                self.engine.feed(c);
                return Some(c == '\n');
            }
            Seen::Nothing => {}
            Seen::Named(name) => name.chars().for_each(|c| self.engine.feed(c)),
        }
        Some(false)
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

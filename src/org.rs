//! The Org contract: what a model's text becomes before it may stand in a buffer.

use serde::Serialize;

/// One thing the contract changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The kind, kebab-case.
    pub kind: &'static str,
    /// The 1-based line of the input.
    pub line: usize,
}

/// The contract as a stream: text goes in as it comes, text comes out as soon as it is final.
#[derive(Debug)]
pub struct Stream;

impl Stream {
    /// A stream for text that stands under a heading of `level`.
    #[must_use]
    pub fn new(_level: usize) -> Self {
        Self
    }

    /// Takes `text` and appends to `out` what is final now.
    pub fn push(&mut self, text: &str, out: &mut String) {
        out.push_str(text);
    }

    /// Ends the text: appends the rest to `out` and returns all changes.
    pub fn finish(self, _out: &mut String) -> Vec<Change> {
        Vec::new()
    }
}

/// Applies the contract to a whole text.
#[must_use]
pub fn apply(text: &str, level: usize) -> (String, Vec<Change>) {
    let mut stream = Stream::new(level);
    let mut out = String::with_capacity(text.len());
    stream.push(text, &mut out);
    let changes = stream.finish(&mut out);
    (out, changes)
}

//! What the contract changed, line by line.
//!
//! It knows kinds and lines, not what the change looked like.

use serde::Serialize;

/// One thing the contract changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The kind, kebab-case.
    pub kind: &'static str,
    /// The 1-based line of the input.
    pub line: usize,
}

/// The changes so far; a kind is noted once for a line.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) line: usize,
    changes: Vec<Change>,
}

impl Report {
    pub(super) const fn new() -> Self {
        Self { line: 1, changes: Vec::new() }
    }

    pub(super) fn note(&mut self, kind: &'static str) {
        let line = self.line;
        if !self.changes.iter().rev().take_while(|c| c.line == line).any(|c| c.kind == kind) {
            self.changes.push(Change { kind, line });
        }
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

//! What the contract changed, line by line, and what each kind of change means.
//!
//! It knows kinds and lines, not what the change looked like.

use serde::Serialize;

/// The kinds in alphabetical order, and what was done.
pub const KINDS: &[(&str, &str)] = &[
    ("bold", "Markdown's double or triple stars became Org's bold"),
    ("closed", "a block that was left open was closed"),
    ("code", "code between backticks got Org's marks"),
    ("comma", "a line of code that Org would act on got a comma before it"),
    ("diary-sexp", "Lisp that the agenda would evaluate was made inert"),
    ("drawer", "a drawer's or property's line was made fixed-width"),
    ("export-snippet", "raw text for an exporter was broken up with a space"),
    ("fence", "a fenced block became a block of Org's"),
    ("footnote", "a footnote with a block in it was ended before the block"),
    ("formula", "a table cell that Org would compute was written as code"),
    ("header-arguments", "what stood behind the begin of a block was moved above it, as fixed-width"),
    ("heading", "Markdown's heading became a heading of Org's"),
    ("image", "Markdown's image became a link"),
    ("inline-call", "a call inside a line was broken up with a space"),
    ("inline-source", "source inside a line was broken up with a space"),
    ("invisible", "a character that cannot be seen was written as its code point"),
    ("keyword", "a line that begins with #+ and is not on the list was made fixed-width"),
    ("language", "a block's language was written as in the table, or the block became an example"),
    ("latex", "LaTeX that could read or write files, or smuggle in tags, was broken up with a space"),
    ("level", "a heading was moved below the one that the text stands under"),
    ("line-ending", "a carriage return became a line feed"),
    ("link", "a link that is not on the list was broken up with a space"),
    ("link-markdown", "Markdown's link became a link of Org's"),
    ("local-variables", "what Emacs would read settings from was broken up with a space"),
    ("macro", "a macro was broken up with a space"),
    ("planning", "a planning or clock line was made fixed-width"),
    ("quote", "Markdown's quote became a quote block"),
    ("radio-target", "a radio target was broken up with a space"),
    ("rule", "Markdown's rule became a rule of Org's"),
    ("table", "a row of Markdown's table became a row of Org's"),
];

/// What a change of this kind means.
#[must_use]
pub fn explain(kind: &str) -> Option<&'static str> {
    KINDS.iter().find(|(name, _)| *name == kind).map(|(_, what)| *what)
}

/// One thing the contract changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The kind, kebab-case: one of [`KINDS`].
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
        debug_assert!(explain(kind).is_some(), "{kind} is not in the table");
        let line = self.line;
        if !self.changes.iter().rev().take_while(|c| c.line == line).any(|c| c.kind == kind) {
            self.changes.push(Change { kind, line });
        }
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

/// The changes of both readings by line, each kind once for a line.
pub(super) fn merge(mut first: Vec<Change>, second: Vec<Change>) -> Vec<Change> {
    first.extend(second);
    first.sort_by_key(|change| change.line);
    let mut all: Vec<Change> = Vec::with_capacity(first.len());
    for change in first {
        let mut same = all.iter().rev().take_while(|other| other.line == change.line);
        if !same.any(|other| other.kind == change.kind) {
            all.push(change);
        }
    }
    all
}

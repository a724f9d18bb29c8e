//! Makes skills of notes.

use std::sync::Arc;

use super::{Origin, Shelf};
use crate::lisp::Environment;

/// A note's bytes.
#[derive(Debug)]
pub struct Content {
    pub(super) text: Result<String, String>,
}

impl Content {
    /// The content of a note with these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { text: String::from_utf8(bytes).map_err(|error| error.to_string()) }
    }
}

/// One note as it stands now.
#[derive(Clone, Debug)]
pub struct Given {
    /// Where it comes from.
    pub origin: Origin,
    /// How it is shown to people; no two notes have the same.
    pub file: String,
    /// What is in it. An unchanged note is given with the same content again.
    pub content: Arc<Content>,
}

/// Makes skills of notes, and remembers what worked.
pub struct Workshop {
    env: Arc<dyn Environment>,
}

impl Workshop {
    /// A workshop whose notes see `env`.
    #[must_use]
    pub fn new(env: Arc<dyn Environment>) -> Self {
        Self { env }
    }

    /// The shelf of these notes, given in the order of their sources.
    pub fn update(&mut self, notes: &[Given]) -> Shelf {
        let _ = (&self.env, notes);
        Shelf::default()
    }
}

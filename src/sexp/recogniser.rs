//! The incremental recogniser.

use super::Rejection;
use crate::action::{Action, Row};

/// Reads one reply byte by byte.
#[derive(Debug)]
pub struct Recogniser;

impl Recogniser {
    /// A recogniser that accepts `buffer` beside the name that always means "this session".
    #[must_use]
    pub fn new(_buffer: &str) -> Self {
        Self
    }

    /// Reads the next bytes. After a rejection every further call returns the same one.
    pub fn feed(&mut self, _chunk: &[u8]) -> Result<(), Rejection> {
        Ok(())
    }

    /// The rows that the reply can still become.
    pub fn viable(&self) -> impl Iterator<Item = &'static Row> {
        crate::action::GRAMMAR.iter()
    }

    /// What has been decoded of the payload's `:text` so far.
    #[must_use]
    pub fn text(&self) -> &str {
        ""
    }

    /// Ends the reply.
    pub fn finish(self) -> Result<Action, Rejection> {
        Ok(Action::insert("", ""))
    }
}

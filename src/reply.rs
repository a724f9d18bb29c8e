//! What comes back from a model: pieces of a reply, or a failure.

use crate::record::Usage;

/// A piece of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some text; never empty.
    Text(String),
    /// The reply is complete.
    End(Option<Usage>),
}

/// Why a model gave no complete reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What happened, in one line, without secrets.
    pub message: String,
    /// What to do about it. May be empty.
    pub hint: String,
    /// Whether the same request may succeed if it is sent again soon.
    pub transient: bool,
}

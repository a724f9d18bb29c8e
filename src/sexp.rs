//! S-expressions as this product needs them: the incremental recogniser of the action grammar and the
//! printer of its canonical form.

pub mod printer;
pub mod recogniser;

use serde::Serialize;

/// Why a reply can not be, or become, a valid action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// The kind, kebab-case, for programs.
    pub kind: &'static str,
    /// The 0-based UTF-8 byte at which no continuation could make the reply valid any more.
    pub offset: usize,
    /// What was found and what was expected there, one line.
    pub message: String,
    /// What to do instead, one line.
    pub hint: String,
}

//! The one error type: what failed, why, and what to do about it.
//!
//! It knows nothing of JSON-RPC; `lsp::wire` turns a [`Code`] into the `data.code` of the protocol.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A result with the crate's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of failure a client can tell apart. The names are those of the wire protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request itself is wrong; sending it again changes nothing.
    BadRequest,
    /// The named session, turn or actuation does not exist.
    NotFound,
    /// The caller may not see or do this.
    Unauthorized,
    /// The request contradicts what is already recorded.
    Conflict,
    /// A bounded queue is full; the same request may succeed later.
    Overloaded,
    /// No model can answer: not configured, not reachable, or it refused.
    ModelUnavailable,
    /// Something broke on this side.
    Internal,
}

impl Code {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::Unauthorized => "unauthorized",
            Self::Conflict => "conflict",
            Self::Overloaded => "overloaded",
            Self::ModelUnavailable => "model_unavailable",
            Self::Internal => "internal",
        }
    }
}

/// What failed, why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}{}", Part(": ", .why), Part("\n  hint: ", .hint))]
pub struct Error {
    /// The kind, for programs.
    pub code: Code,
    /// What failed, as a short clause.
    pub what: String,
    /// Why: the cause in the words of what reported it. May be empty.
    pub why: String,
    /// What to do now. May be empty.
    pub hint: String,
}

impl Error {
    /// An error of kind `code`, saying what failed.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), why: String::new(), hint: String::new() }
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = why.to_string();
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The whole error in one line.
    #[must_use]
    pub fn one_line(&self) -> String {
        format!("{}{}{}", self.what, Part(": ", &self.why), Part("; ", &self.hint))
    }

    /// A [`Code::BadRequest`].
    pub fn bad_request(what: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, what)
    }

    /// A [`Code::NotFound`].
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(Code::NotFound, what)
    }

    /// A [`Code::Internal`].
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Code::Internal, what)
    }
}

impl From<getrandom::Error> for Error {
    fn from(error: getrandom::Error) -> Self {
        Self::internal("the operating system gave no random bytes").because(error)
    }
}

/// Prints nothing for an empty text, else the separator and the text.
struct Part<'a>(&'static str, &'a str);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.1.is_empty() { Ok(()) } else { write!(f, "{}{}", self.0, self.1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let error = Error::not_found("no session abc");
        assert_eq!(error.to_string(), "no session abc");
        let error = error.because("it was deleted").hint("list the sessions");
        assert_eq!(error.to_string(), "no session abc: it was deleted\n  hint: list the sessions");
    }
}

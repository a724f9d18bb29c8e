//! What comes back from a model: pieces of a reply, or a failure.

use std::time::Duration;

use crate::record::Usage;

/// A piece of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some text; never empty.
    Text(String),
    /// Some text that the server wrote in another notation.
    Translated {
        /// The text; it may be empty.
        text: String,
        /// What it was written as.
        original: String,
    },
    /// Some of what the model thinks before it answers: no part of the reply. Never empty.
    Thought(String),
    /// The reply is complete.
    End(Option<Usage>),
}

/// Why a model gave no complete reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What it is, in one word.
    pub trouble: Trouble,
    /// What happened, in one line, without secrets.
    pub message: String,
    /// What to do about it. May be empty.
    pub hint: String,
    /// Whether the same request may succeed if it is sent again soon.
    pub transient: bool,
    /// How long the server asks to wait until then.
    pub after: Option<Duration>,
}

impl Failure {
    /// A failure that sending again does not mend, and about which there is nothing to say.
    #[must_use]
    pub fn new(trouble: Trouble, message: impl Into<String>) -> Self {
        Self { trouble, message: message.into(), hint: String::new(), transient: false, after: None }
    }

    /// The same, and what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same, and whether it may pass.
    #[must_use]
    pub const fn transient(mut self, transient: bool) -> Self {
        self.transient = transient;
        self
    }

    /// Message and hint, for people.
    #[must_use]
    pub fn told(&self) -> String {
        if self.hint.is_empty() { self.message.clone() } else { format!("{}; {}", self.message, self.hint) }
    }
}

/// What can go wrong with a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It is not configured as it has to be, or its key cannot be had.
    Configuration,
    /// Its server cannot be reached.
    Unreachable,
    /// The name of its server is not known.
    Dns,
    /// Its server cannot prove who it is.
    Tls,
    /// Nothing came for too long.
    Stalled,
    /// The connection broke, or the stream ended before the reply did.
    Cut,
    /// The key was refused.
    Unauthorized,
    /// The key may not do this.
    Forbidden,
    /// There is no such model, or nothing at this address.
    NotFound,
    /// Too many requests.
    RateLimited,
    /// The account has nothing left.
    NoQuota,
    /// The server has a problem of its own.
    Server,
    /// The server does not take the request.
    Rejected,
    /// The prompt is longer than the model takes.
    TooLong,
    /// What came is no stream of events of an OpenAI-compatible server.
    Garbled,
    /// The server sent more than anything that it should send can have.
    TooMuch,
    /// The reply was cut at its limit of tokens.
    Length,
    /// A filter of the provider's stopped it.
    Filtered,
    /// The reply ended for some other reason than that it is complete.
    Stopped,
    /// What may be spent is spent.
    Spent,
    /// A mistake in this program.
    Internal,
}

impl Trouble {
    /// Its name in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Unreachable => "unreachable",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Stalled => "stalled",
            Self::Cut => "cut",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::RateLimited => "rate-limited",
            Self::NoQuota => "no-quota",
            Self::Server => "server",
            Self::Rejected => "rejected",
            Self::TooLong => "too-long",
            Self::Garbled => "garbled",
            Self::TooMuch => "too-much",
            Self::Length => "length",
            Self::Filtered => "filtered",
            Self::Stopped => "stopped",
            Self::Spent => "spent",
            Self::Internal => "internal",
        }
    }
}

//! The prompt: persona, mandate, history and data, as the messages that a model is sent.

use serde::Serialize;

use crate::record::{Attachment, Outcome};

/// One thing that happened earlier in a session, as the store recalls it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum HistoryItem {
    /// The user said something.
    User {
        /// The words.
        text: String,
        /// What was attached.
        context: Vec<Attachment>,
    },
    /// The model answered with an action.
    Assistant {
        /// Its canonical print.
        sexp: String,
    },
    /// A command that the model asked for was run, or was denied.
    CommandResult {
        /// The command, as the user may have edited it.
        command: String,
        /// What came of it.
        outcome: Outcome,
    },
}

/// Who speaks in a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The kernel.
    System,
    /// The user, and data that is labelled as such.
    User,
    /// The model, as the canonical actions its replies were.
    Assistant,
}

impl Role {
    /// The name that OpenAI-compatible servers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub text: String,
}

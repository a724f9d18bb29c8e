//! The verifier: what a model wrote becomes a [`Verified`] action here, and nowhere else.

use crate::action::Action;
use crate::org::Change;
use crate::sexp::Rejection;

/// Proof that a value went through this module.
///
/// The field is private: no other module can make one. A [`Verified<Action>`] has the right form and its
/// text went through the Org contract; whether it may be carried out is the policy's question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl Verified<Action> {
    /// The action, to look at.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.0
    }
}

/// A reply that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The action, its `:text` after the Org contract.
    pub action: Verified<Action>,
    /// The rest of the preview: with what [`Reading::take_preview`] gave before, it is the action's text.
    pub rest: String,
    /// What the Org contract changed.
    pub changes: Vec<Change>,
}

/// One reply while it is being read.
#[derive(Debug)]
pub struct Reading;

impl Reading {
    /// Reads a reply for a session whose buffer is `buffer`; its text stands under a heading of `level`.
    #[must_use]
    pub fn new(_buffer: &str, _level: usize) -> Self {
        Self
    }

    /// Reads the next bytes; a rejection is final.
    pub fn feed(&mut self, _chunk: &[u8]) -> Result<(), Rejection> {
        Ok(())
    }

    /// The preview text that became showable since the last call: empty until the action must be an
    /// insert or a response.
    pub fn take_preview(&mut self) -> String {
        String::new()
    }

    /// Ends the reply.
    pub fn finish(self) -> Result<Accepted, Rejection> {
        Ok(Accepted { action: Verified(Action::insert("", "")), rest: String::new(), changes: Vec::new() })
    }
}

/// The kernel's own message, with the text that was rejected as fixed-width lines of at most 1,000 bytes.
#[must_use]
pub fn system_error(_message: &str, _rejected: Option<&str>) -> Verified<Action> {
    Verified(Action::insert("", ""))
}

/// A shell action with another command, read again from its canonical print.
pub fn with_command(action: &Verified<Action>, _command: &str) -> Result<Verified<Action>, Rejection> {
    Ok(action.clone())
}

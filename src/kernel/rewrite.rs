//! Rewrites: which can be made, and the sessions that they have.
//!
//! A rewrite that names no session gets one of its own, in a group and under a buffer's name that no chat has, so that
//! no chat goes on in it.

use secrecy::ExposeSecret;

use super::Kernel;
use crate::action::REWRITE_BUFFER;
use crate::error::{Code, Error, Result};
use crate::redact::{Keys, Redactor};
use crate::request::{ChatMessage, NewSession};

/// The name of the model that none is.
const OFFLINE: &str = "offline";

/// The group of the sessions.
const GROUP: &str = "rewrite";

/// A session for one rewrite and those that follow it.
pub(super) fn session() -> NewSession {
    let (buffer, group) = (Some(REWRITE_BUFFER.to_owned()), Some(GROUP.to_owned()));
    NewSession { buffer, group, ..NewSession::default() }
}

impl Kernel {
    /// Refuses a rewrite that could only go wrong, while nothing has been said to a model.
    pub(super) fn may_rewrite(&self, message: &ChatMessage, models: &[String]) -> Result<()> {
        let Some(region) = message.rewritten() else { return Ok(()) };
        if models.iter().all(|name| name == OFFLINE) {
            let what = "the built-in responder rewrites nothing";
            return Err(Error::new(Code::ModelUnavailable, what).hint("configure a model, or choose one"));
        }
        let known = self.known_keys();
        // As replies are masked: the user would lose what the model gave back.
        let mut redactor =
            Redactor::of_keys(&Keys::beginnings(known.iter().map(ExposeSecret::expose_secret)));
        let mut masked = String::new();
        redactor.push(&region.text, &mut masked);
        redactor.finish(&mut masked);
        if masked != region.text {
            return Err(Error::bad_request("context: the region has one of the keys that this server knows")
                .hint("select a part without it"));
        }
        Ok(())
    }
}

//! The wire types of what can be done with a turn beside sending and cancelling it, and their way to the kernel's words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::convert::{identifier, is_org};
use super::{CHAT_MESSAGE, EventParams, change};
use crate::error::Result;
use crate::event::{ChatMessage, SessionTask};
use crate::ids::{SessionId, TurnId};
use crate::record::Attachment;
use crate::request::Change;

/// What would be sent for a message: request.
pub const DRY_RUN: &str = "orgAgent/dryRun";

/// [`DRY_RUN`]: what an [`super::EVENT`] has; its `sensor` and `clientId` mean nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DryRunParams {
    /// The session; absent: the newest of the buffer, or what would be a new one.
    pub session_id: Option<String>,
    /// The buffer.
    pub buffer: Option<String>,
    /// The user's words.
    pub text: String,
    /// The level of the prompt's heading.
    pub level: Option<u64>,
    /// What the user attached.
    pub context: Option<Vec<Attachment>>,
    /// The session's directory.
    pub directory: Option<String>,
    /// The client's name for the machine that the session is on.
    pub host: Option<String>,
    /// The hashes of earlier texts as they stand in the buffer.
    pub turn_hashes: Option<BTreeMap<String, String>>,
    /// `org`: the answer has it as Org text as well, in `org`.
    pub format: Option<String>,
}

/// Another answer to a session's last message: request.
pub const REGENERATE: &str = "orgAgent/sessions/regenerate";
/// The answers to a message: request.
pub const VARIANTS: &str = "orgAgent/sessions/variants";
/// Which of them counts: request.
pub const CHOOSE: &str = "orgAgent/sessions/choose";

/// [`REGENERATE`] and [`VARIANTS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AnswersParams {
    /// Which session.
    pub session_id: String,
    /// The message or an answer to it, by its identifier or what stands for it in buffers; absent: the last message.
    pub message_id: Option<String>,
}

/// [`CHOOSE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ChooseParams {
    /// Which session.
    pub session_id: String,
    /// The turn whose answer counts from now on.
    pub turn_id: String,
}

impl AnswersParams {
    /// Which session, and which message.
    ///
    /// # Errors
    /// `bad_request` for what is no identifier.
    pub fn from_wire(self) -> Result<(SessionId, Option<String>)> {
        let session = identifier("sessionId", self.session_id).map(SessionId)?;
        Ok((session, self.message_id.map(|id| identifier("messageId", id)).transpose()?))
    }
}

impl ChooseParams {
    /// What is to be done.
    ///
    /// # Errors
    /// `bad_request` for what is no identifier.
    pub fn from_wire(self) -> Result<SessionTask> {
        let turn = identifier("turnId", self.turn_id).map(TurnId)?;
        change(self.session_id, Change::Choose(turn))
    }
}

impl DryRunParams {
    /// The message, and whether the answer is wanted as Org.
    ///
    /// # Errors
    /// `bad_request`, naming the field.
    pub fn from_wire(self) -> Result<(ChatMessage, bool)> {
        let org = is_org(self.format.as_deref())?;
        let event = EventParams {
            sensor: CHAT_MESSAGE.to_owned(),
            client_id: "dry-run".to_owned(),
            session_id: self.session_id,
            buffer: self.buffer,
            text: self.text,
            level: self.level,
            context: self.context,
            directory: self.directory,
            host: self.host,
            steers: None,
            turn_hashes: self.turn_hashes,
        };
        Ok((event.from_wire()?, org))
    }
}

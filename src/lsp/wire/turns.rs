//! The wire types of what can be done with a turn beside sending and cancelling it, and their way to the kernel's words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::convert::is_org;
use super::{CHAT_MESSAGE, EventParams};
use crate::error::Result;
use crate::event::ChatMessage;
use crate::record::Attachment;

/// What would be sent for a message: request.
pub const DRY_RUN: &str = "orgAgent/dryRun";

/// [`DRY_RUN`]: what an [`super::EVENT`] has; its `sensor` and `clientId` mean nothing here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
            turn_hashes: self.turn_hashes,
        };
        Ok((event.from_wire()?, org))
    }
}

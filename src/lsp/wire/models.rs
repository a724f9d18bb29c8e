//! The wire types of models.

use serde::{Deserialize, Serialize};

use super::convert::identifier;
use crate::error::Result;
use crate::event::{Page, Query};
use crate::ids::SessionId;
use crate::request::{Change, SessionTask};

/// The models that can be chosen: request.
pub const MODELS: &str = "orgAgent/models/list";
/// Chooses the model of a session: request.
pub const SELECT: &str = "orgAgent/models/select";

/// [`MODELS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ModelsParams {
    /// The session whose model is marked as selected.
    pub session_id: Option<String>,
    /// The most items.
    pub limit: Option<u32>,
    /// `nextCursor` of the part before.
    pub cursor: Option<String>,
    /// Whether to look for model servers on this machine first; no if absent.
    pub look: Option<bool>,
}

impl ModelsParams {
    /// The question.
    ///
    /// # Errors
    /// `bad_request` for what is no identifier.
    pub fn from_wire(self) -> Result<Query> {
        let session = self.session_id.map(|id| identifier("sessionId", id)).transpose()?.map(SessionId);
        let page = Page { limit: self.limit, cursor: self.cursor };
        Ok(Query::Models { session, page, look: self.look.unwrap_or_default() })
    }
}

/// [`SELECT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SelectParams {
    /// Which session.
    pub session_id: String,
    /// The name of the model, as it is listed; absent: the one that is configured.
    pub name: Option<String>,
    /// Whether that is kept beyond the session; without a name: whether what was kept is forgotten. No if absent.
    pub remember: Option<bool>,
}

impl SelectParams {
    /// The task.
    ///
    /// # Errors
    /// `bad_request` for what is no identifier.
    pub fn from_wire(self) -> Result<SessionTask> {
        let session = SessionId(identifier("sessionId", self.session_id)?);
        Ok(SessionTask::Change(
            session,
            Change::Model { name: self.name, remember: self.remember.unwrap_or_default() },
        ))
    }
}

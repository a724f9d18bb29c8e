//! The wire type of a turn's steps that the client has no part in.

use serde::{Deserialize, Serialize};

use crate::outgoing::Step;

/// Such a step: notification to a client that announced `steps`.
pub const STEP: &str = "orgAgent/step";

/// [`STEP`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StepParams {
    /// Which turn.
    pub turn_id: String,
    /// Of which session.
    pub session_id: String,
    /// The action; `orgAgent/why` takes it.
    pub actuation_id: String,
    /// `skill`: a skill, or a file of one, was read for the model.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Who wanted it: `model` or `user`.
    pub by: String,
    /// `loaded` or `refused`.
    pub status: String,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The SHA-256 of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Why it was refused, or more about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl StepParams {
    /// The notification.
    #[must_use]
    pub fn to_wire(step: Step) -> Self {
        let (status, origin, sha256, message) = match step.read {
            Ok((origin, sha256)) => ("loaded", Some(origin.as_str().to_owned()), Some(sha256), step.message),
            Err(why) => ("refused", None, None, Some(why)),
        };
        let by = if step.called { "user" } else { "model" };
        Self {
            turn_id: step.turn.0,
            session_id: step.session.0,
            actuation_id: step.actuation.0,
            kind: "skill".to_owned(),
            name: step.name,
            by: by.to_owned(),
            status: status.to_owned(),
            origin,
            sha256,
            message,
        }
    }
}

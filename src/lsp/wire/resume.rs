//! The wire types of coming back: what a client has, and what it lacks.

use serde::{Deserialize, Serialize};

use super::ActuateParams;

/// What a client that comes back lacks: request.
pub const RESUME: &str = "orgAgent/sessions/resume";

/// [`RESUME`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ResumeParams {
    /// Which session.
    pub session_id: String,
    /// The inserts that the client has.
    pub applied: Option<Vec<String>>,
    /// Interrupted turns to run again.
    pub turns: Option<Vec<String>>,
    /// Interrupted turns that nobody wants an answer to any more.
    pub drop: Option<Vec<String>>,
}

/// The answer to [`RESUME`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ResumeResult {
    /// Which session.
    pub session_id: String,
    /// Inserts that are permitted and not reported as applied, oldest first; their `seq` is 0.
    pub actuations: Vec<ActuateParams>,
    /// Replies that were reported to be in the buffer and are not among those that it has, by what stands for them
    /// there, oldest first: `orgAgent/sessions/export` has them.
    pub missing: Vec<String>,
    /// Turns that were cut off and are not run again.
    pub interrupted: Vec<InterruptedTurn>,
    /// Turns that run again.
    pub resumed: Vec<ResumedTurn>,
    /// Turns that wait or are under way, in their order.
    pub live: Vec<String>,
    /// For each turn of `actuations`, `interrupted`, `resumed` and `live` the message that it answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<AnsweredEvent>,
}

/// Which message a turn answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AnsweredEvent {
    /// Which turn.
    pub turn_id: String,
    /// What stands for the message in buffers.
    pub mark: String,
}

/// A turn that was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct InterruptedTurn {
    /// Which one.
    pub turn_id: String,
    /// The message that it should have answered.
    pub event_id: String,
}

/// A turn that runs again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ResumedTurn {
    /// The turn that was cut off.
    pub from: String,
    /// The turn that runs in its place.
    pub turn_id: String,
}

//! The JSON shapes of the protocol, version 1. `docs/protocol.md` describes each; a test keeps both in step.
//!
//! Only types here: `convert` turns them into the kernel's words and back. Names are camelCase on the wire.
//! Unknown members are ignored, so that a newer client can talk to an older server.

pub mod convert;
mod models;
mod resume;
#[cfg(test)]
mod schema;
mod sessions;
mod skills;
mod steps;
mod turns;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::outgoing::State;
use crate::record::{Attachment, Decision};

pub use models::{MODELS, ModelsParams, SELECT, SelectParams};
pub use resume::{AnsweredEvent, InterruptedTurn, RESUME, ResumeParams, ResumeResult, ResumedTurn};
pub use sessions::{
    ACTIONS, ARCHIVE, ArchiveParams, CHECKPOINT, CHECKPOINTS, COMPLETE, CONTEXT, CREATE, CheckpointParams,
    ContextParams, CreateParams, DELETE, EXPORT, FORK, ForkParams, GET, GetParams, IMPORT, ImportParams,
    ItemsParams, LABEL, LIST, LabelParams, ListParams, MESSAGES, MessagesParams, PAUSE, PauseParams, READ,
    RENAME, RESTORE, ReadParams, RenameParams, SEARCH, SESSIONS_CHANGED, SearchParams, SessionsChangedParams,
    change,
};
pub use skills::{
    CAPABILITIES, CapabilitiesParams, RELOAD, ReloadParams, SKILL, SKILLS, SKILLS_CHANGED, ShelfParams,
    SkillParams, SkillsParams, TRUST, TrustParams, UNTRUSTED, UntrustedParams,
};
pub use steps::{STEP, StepParams};
pub use turns::{AnswersParams, CHOOSE, ChooseParams, DRY_RUN, DryRunParams, REGENERATE, VARIANTS};

/// The version of the protocol.
pub const VERSION: u64 = 1;

/// Requests and notifications from the client, as announced in `initialize`.
pub const METHODS: [&str; 39] = [
    EVENT,
    DRY_RUN,
    CANCEL,
    DECIDE,
    OUTPUT,
    ACTUATED,
    WHY,
    LIST,
    GET,
    MESSAGES,
    ACTIONS,
    RESUME,
    CREATE,
    RENAME,
    ARCHIVE,
    LABEL,
    PAUSE,
    COMPLETE,
    CONTEXT,
    CHECKPOINT,
    CHECKPOINTS,
    RESTORE,
    REGENERATE,
    VARIANTS,
    CHOOSE,
    READ,
    DELETE,
    FORK,
    SEARCH,
    EXPORT,
    IMPORT,
    SKILLS,
    SKILL,
    RELOAD,
    UNTRUSTED,
    TRUST,
    CAPABILITIES,
    MODELS,
    SELECT,
];

/// A sensor event: request.
pub const EVENT: &str = "orgAgent/event";
/// Stops a turn: request.
pub const CANCEL: &str = "orgAgent/cancel";
/// The user's decision: request.
pub const DECIDE: &str = "orgAgent/decide";
/// Live output of a command: notification.
pub const OUTPUT: &str = "orgAgent/output";
/// What came of an action: request.
pub const ACTUATED: &str = "orgAgent/actuated";
/// Everything behind a turn or an action: request.
pub const WHY: &str = "orgAgent/why";

/// A turn's new state: notification to the client.
pub const TURN: &str = "orgAgent/turn";
/// A piece of preview: notification to the client.
pub const DELTA: &str = "orgAgent/delta";
/// A piece of what the model thinks: notification to a client that announced `reasoning`.
pub const THOUGHT: &str = "orgAgent/thought";
/// The end of a preview: notification to the client.
pub const RETRACT: &str = "orgAgent/retract";
/// An action to carry out: request to the client.
pub const ACTUATE: &str = "orgAgent/actuate";
/// A command to stop: request to the client.
pub const ABORT: &str = "orgAgent/abort";

/// The sensor for what the user says in a chat.
pub const CHAT_MESSAGE: &str = "chat-message";
/// The sensor for a region that is to be rewritten.
pub const REWRITE: &str = "rewrite";

/// What puts text at the end of a session's buffer.
pub const INSERT_AT_END: &str = "insertAtEnd";
/// What offers the user new text for a region.
pub const REPLACE_REGION: &str = "replaceRegion";

/// What a client announces in `capabilities.experimental.orgAgent`. What it forgets, it can.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Announcement {
    /// The version it speaks; [`VERSION`] if absent.
    pub version: Option<u64>,
    /// What it can carry out: `insertAtEnd`, `replaceRegion`, `shell`; all if absent.
    pub actuators: Option<Vec<String>>,
    /// Whether it wants previews; yes if absent.
    pub streaming: Option<bool>,
    /// Whether it wants to show what models think, folded; no if absent.
    pub reasoning: Option<bool>,
    /// Whether it wants to be told of a turn's steps that it has no part in; no if absent.
    pub steps: Option<bool>,
}

/// What the server announces in the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// The version it speaks.
    pub version: u64,
    /// The methods it serves.
    pub methods: Vec<String>,
    /// The sensors it knows.
    pub sensors: Vec<String>,
}

/// [`EVENT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventParams {
    /// [`CHAT_MESSAGE`] or [`REWRITE`].
    pub sensor: String,
    /// The client's own identifier for the message, 1 to 256 bytes.
    pub client_id: String,
    /// The session; absent: the newest of the buffer, or a new one.
    pub session_id: Option<String>,
    /// The buffer, 1 to 1,024 bytes.
    pub buffer: Option<String>,
    /// The user's words, at most 1 MiB.
    pub text: String,
    /// The level of the prompt's heading, 1 to 64; 1 if absent.
    pub level: Option<u64>,
    /// What the user attached: at most 32 items, 1 MiB each, 4 MiB together.
    pub context: Option<Vec<Attachment>>,
    /// The session's directory, absolute; with `host` also `~` or `~/…`. On this machine, commands that only read in it
    /// may run unasked.
    pub directory: Option<String>,
    /// The client's name for the machine that the session is on, 1 to 1,024 bytes; absent if it is this one. There
    /// every command is asked, run by the client, and not confined; without `directory`, in the home directory.
    pub host: Option<String>,
    /// The turn that is to make way for it at its next step.
    pub steers: Option<String>,
    /// The SHA-256 in hexadecimal of earlier texts as they stand in the buffer, by what stands for them there: their
    /// `OA_EVENT` or `OA_ACT`. At most 10,000.
    pub turn_hashes: Option<BTreeMap<String, String>>,
}

/// The answer to [`EVENT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EventResult {
    /// The logged event.
    pub event_id: String,
    /// Its session.
    pub session_id: String,
    /// The turn that answers it.
    pub turn_id: String,
    /// Its Lamport time.
    pub lamport: u64,
    /// Whether the same message had been sent before.
    pub duplicate: bool,
    /// Of the texts in `turnHashes`, those that were said with other words. The model is shown what was said;
    /// `orgAgent/sessions/fork` makes a session of what the buffer shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edited: Vec<String>,
}

/// [`CANCEL`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CancelParams {
    /// Which turn.
    pub turn_id: String,
}

/// The answer to [`CANCEL`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CancelResult {
    /// Whether the turn was still running or queued.
    pub cancelled: bool,
}

/// [`DECIDE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DecideParams {
    /// Which action.
    pub actuation_id: String,
    /// What the user chose.
    pub choice: Choice,
    /// The command as the user edited it, at most 262,144 bytes.
    pub command: Option<String>,
    /// The user's words to the model, with a denial, at most 64 KiB.
    pub message: Option<String>,
    /// Whether the user lets it use the network; absent means no.
    #[serde(default)]
    pub network: bool,
    /// Whether the client runs it by itself, outside the sandbox; absent means no.
    #[serde(default)]
    pub unconfined: bool,
}

/// What a user can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// Run it this once.
    Run,
    /// Do not run it.
    Deny,
    /// Run it, and remember.
    Always,
}

/// The answer to [`DECIDE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DecideResult {
    /// Whether it may run.
    pub decision: Decision,
    /// To be given back with the outcome; `null` if it may not run.
    pub token: Option<String>,
    /// The command's parsed steps; `null` if it was not parsed.
    pub steps: Option<Vec<Step>>,
    /// The rule that decided.
    pub rule: String,
    /// With the choice `always`: whether a rule was saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<bool>,
    /// Why none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// One step of a shell command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// What joins it to the step before; `null` for the first.
    pub op: Option<String>,
    /// Its words.
    pub argv: Vec<String>,
}

/// [`OUTPUT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct OutputParams {
    /// Which action.
    pub actuation_id: String,
    /// The number of this piece, from 1.
    pub seq: u64,
    /// Where it was written.
    pub stream: Stream,
    /// The text; over 1 MiB it is cut.
    pub text: String,
}

/// Where a command writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// [`ACTUATED`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ActuatedParams {
    /// Which action.
    pub actuation_id: String,
    /// The token of the decision, if there was one.
    pub token: Option<String>,
    /// How it ended.
    pub status: ActuatedStatus,
    /// The exit code of a command.
    pub exit_code: Option<i64>,
    /// What the command wrote to standard output; over 1 MiB it is cut.
    pub stdout: Option<String>,
    /// What the command wrote to standard error; over 1 MiB it is cut.
    pub stderr: Option<String>,
    /// Whether the client cut any of the two.
    pub truncated: Option<bool>,
    /// The client's or the user's words about it; over 64 KiB they are cut.
    pub message: Option<String>,
    /// Whether a command ran in the sandbox.
    pub sandboxed: Option<bool>,
}

/// How an action ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ActuatedStatus {
    /// Carried out.
    Done,
    /// Refused by the user.
    Denied,
    /// Tried, and failed.
    Failed,
}

/// The answer to [`ACTUATED`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ActuatedResult {}

/// [`WHY`]: one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WhyParams {
    /// Which turn.
    pub turn_id: Option<String>,
    /// Or which action.
    pub actuation_id: Option<String>,
    /// `org`: the answer has it as Org text as well, in `org`.
    pub format: Option<String>,
}

/// [`TURN`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TurnParams {
    /// Which turn.
    pub turn_id: String,
    /// Of which session.
    pub session_id: String,
    /// The turn's message number, from 1.
    pub seq: u64,
    /// The state.
    pub state: TurnStateName,
    /// Why, unless it is plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where a turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(remote = "State", rename_all = "camelCase")]
enum StateName {
    Accepted,
    Thinking,
    Streaming,
    Repairing,
    AwaitingApproval,
    Acting,
    Done,
    Failed,
    Cancelled,
}

/// A turn's state by its name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct TurnStateName(#[serde(with = "StateName")] pub State);

/// [`DELTA`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DeltaParams {
    /// Which turn.
    pub turn_id: String,
    /// Which model call of it, from 1.
    pub attempt: u32,
    /// The turn's message number.
    pub seq: u64,
    /// The text.
    pub text: String,
}

/// [`THOUGHT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ThoughtParams {
    /// Which turn.
    pub turn_id: String,
    /// Which model call of it, from 1.
    pub attempt: u32,
    /// The text, which goes on where the last one of this attempt ended.
    pub text: String,
}

/// [`RETRACT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RetractParams {
    /// Which turn.
    pub turn_id: String,
    /// Which model call of it.
    pub attempt: u32,
    /// The turn's message number.
    pub seq: u64,
    /// Why.
    pub reason: String,
}

/// [`ACTUATE`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ActuateParams {
    /// The action's identifier.
    pub actuation_id: String,
    /// Which turn.
    pub turn_id: String,
    /// Of which session.
    pub session_id: String,
    /// Which model call of the turn; 0 for the server's own message before any.
    pub attempt: u32,
    /// The turn's message number.
    pub seq: u64,
    /// The JSON form of the action.
    #[cfg_attr(test, schemars(with = "schema::Action"))]
    pub action: Value,
    /// Its canonical print.
    pub sexp: String,
    /// `allow`, or `ask`: then the user decides first.
    pub decision: Decision,
    /// To be given back with the outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The rule that decided.
    pub rule: String,
    /// The command's parsed steps; absent if it is more than plain programs. With `allow` these are run, without a
    /// shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<Step>>,
    /// What the choice `always` would save; absent if it can save nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub always: Option<String>,
    /// What the sandbox will permit to a command, or why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Whether a command will be confined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confined: Option<bool>,
    /// The directory in which a command will run, without links as far as the server can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The client's own name for the machine that this is on, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// The client's answer to [`ACTUATE`]: receipt, not outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ActuateResult {
    /// Whether the client will see to it. `false`: never; the turn goes on as if the user had said no.
    pub accepted: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// [`ABORT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AbortParams {
    /// Which action.
    pub actuation_id: String,
}

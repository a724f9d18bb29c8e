//! Whether parameters and results are what the wire types say, bounds included.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::message::Side;
use crate::lsp::wire::convert::{Introduction, read};
use crate::lsp::wire::*;

/// Reads `body` as a `T`.
fn of<T: DeserializeOwned>(body: &Value) -> Result<T, String> {
    read::<T>(&body.to_string()).map_err(|error| said(&error))
}

/// The error in one line.
fn said(error: &crate::error::Error) -> String {
    let why = if error.why.is_empty() { String::new() } else { format!(": {}", error.why) };
    super::message::shorten(&format!("{}{why}", error.what))
}

/// The parameters `$params` of a client, with their bounds if `$bounds`.
macro_rules! bounded {
    ($params:ty, $body:expr, $bounds:expr) => {
        of::<$params>($body).and_then(|params| {
            if $bounds { params.from_wire().map(drop).map_err(|error| said(&error)) } else { Ok(()) }
        })
    };
}

/// What is wrong with the parameters of `method`. Those of methods that are not known are not looked at. Without
/// `bounds` texts are not there, only their lengths.
///
/// # Errors
/// What is wrong, in a few words.
pub fn params(from: Side, method: &str, body: &Value, bounds: bool) -> Result<(), String> {
    match (from, method) {
        (Side::Client, "initialize") => {
            Introduction::from_wire(&body.to_string()).map(drop).map_err(|error| said(&error))
        }
        (Side::Client, EVENT) => bounded!(EventParams, body, bounds),
        (Side::Client, DRY_RUN) => bounded!(DryRunParams, body, bounds),
        (Side::Client, CANCEL) => bounded!(CancelParams, body, bounds),
        (Side::Client, DECIDE) => bounded!(DecideParams, body, bounds),
        (Side::Client, OUTPUT) => bounded!(OutputParams, body, bounds),
        (Side::Client, ACTUATED) => bounded!(ActuatedParams, body, bounds),
        (Side::Client, WHY) => bounded!(WhyParams, body, bounds),
        (Side::Client, LIST) => bounded!(ListParams, body, bounds),
        (Side::Client, GET | COMPLETE | DELETE | EXPORT) => bounded!(GetParams, body, bounds),
        (Side::Client, MESSAGES) => bounded!(MessagesParams, body, bounds),
        (Side::Client, ACTIONS | CHECKPOINTS) => bounded!(ItemsParams, body, bounds),
        (Side::Client, RESUME) => bounded!(ResumeParams, body, bounds),
        (Side::Client, CREATE) => bounded!(CreateParams, body, bounds),
        (Side::Client, RENAME) => bounded!(RenameParams, body, bounds),
        (Side::Client, ARCHIVE) => bounded!(ArchiveParams, body, bounds),
        (Side::Client, LABEL) => bounded!(LabelParams, body, bounds),
        (Side::Client, PAUSE) => bounded!(PauseParams, body, bounds),
        (Side::Client, CONTEXT) => bounded!(ContextParams, body, bounds),
        (Side::Client, CHECKPOINT | RESTORE) => of::<CheckpointParams>(body).map(drop),
        (Side::Client, REGENERATE | VARIANTS) => bounded!(AnswersParams, body, bounds),
        (Side::Client, CHOOSE) => bounded!(ChooseParams, body, bounds),
        (Side::Client, READ) => bounded!(ReadParams, body, bounds),
        (Side::Client, FORK) => bounded!(ForkParams, body, bounds),
        (Side::Client, SEARCH) => bounded!(SearchParams, body, bounds),
        (Side::Client, IMPORT) => bounded!(ImportParams, body, bounds),
        (Side::Client, SKILLS) => bounded!(SkillsParams, body, bounds),
        (Side::Client, SKILL) => bounded!(SkillParams, body, bounds),
        (Side::Client, RELOAD) => of::<ReloadParams>(body).map(drop),
        (Side::Client, UNTRUSTED) => bounded!(UntrustedParams, body, bounds),
        (Side::Client, TRUST) => bounded!(TrustParams, body, bounds),
        (Side::Client, CAPABILITIES) => bounded!(CapabilitiesParams, body, bounds),
        (Side::Client, MODELS) => bounded!(ModelsParams, body, bounds),
        (Side::Client, SELECT) => bounded!(SelectParams, body, bounds),
        (Side::Server, TURN) => of::<TurnParams>(body).map(drop),
        (Side::Server, DELTA) => of::<DeltaParams>(body).map(drop),
        (Side::Server, THOUGHT) => of::<ThoughtParams>(body).map(drop),
        (Side::Server, STEP) => of::<StepParams>(body).map(drop),
        (Side::Server, RETRACT) => of::<RetractParams>(body).map(drop),
        (Side::Server, ACTUATE) => of::<ActuateParams>(body).and_then(|params| action(&params)),
        (Side::Server, ABORT) => of::<AbortParams>(body).map(drop),
        (Side::Server, SKILLS_CHANGED) => of::<ShelfParams>(body).map(drop),
        (Side::Server, SESSIONS_CHANGED) => of::<SessionsChangedParams>(body).map(drop),
        _ => Ok(()),
    }
}

/// Whether the action has what its kind needs.
fn action(params: &ActuateParams) -> Result<(), String> {
    let action = &params.action;
    let text = |path: &str| action.pointer(path).is_some_and(Value::is_string);
    let good = match (action["target"].as_str(), action["payload"]["action"].as_str()) {
        (Some("emacs"), Some("insert-at-end" | "replace-region")) => text("/payload/text"),
        (Some("shell"), None) => text("/payload/cmd"),
        _ => false,
    };
    if good { Ok(()) } else { Err("action: neither an insert, nor a replace-region, nor a command".into()) }
}

/// What is wrong with the result of `method`, which `from` sent.
///
/// # Errors
/// What is wrong, in a few words.
pub fn result(from: Side, method: &str, body: &Value) -> Result<(), String> {
    match (from, method) {
        (Side::Server, "initialize") => match body.pointer("/capabilities/experimental/orgAgent") {
            Some(offer) => of::<Offer>(offer).map(drop),
            None => Err("capabilities.experimental.orgAgent is missing".into()),
        },
        (Side::Server, EVENT) => of::<EventResult>(body).map(drop),
        (Side::Server, CANCEL) => of::<CancelResult>(body).map(drop),
        (Side::Server, DECIDE) => of::<DecideResult>(body).map(drop),
        (Side::Server, ACTUATED) => of::<ActuatedResult>(body).map(drop),
        (Side::Server, RESUME) => of::<ResumeResult>(body).map(drop),
        (Side::Server, RELOAD | TRUST) => of::<ShelfParams>(body).map(drop),
        (
            Side::Server,
            LIST | MESSAGES | ACTIONS | CHECKPOINTS | SEARCH | IMPORT | VARIANTS | SKILLS | UNTRUSTED
            | CAPABILITIES | MODELS,
        ) => match body.get("items") {
            Some(Value::Array(_)) => Ok(()),
            _ => Err("items is no list".into()),
        },
        (
            Side::Server,
            GET | CREATE | RENAME | ARCHIVE | LABEL | PAUSE | COMPLETE | CONTEXT | CHECKPOINT | RESTORE
            | CHOOSE | READ | FORK | SELECT,
        ) => match body.get("id") {
            Some(Value::String(_)) => Ok(()),
            _ => Err("it is no session: id is missing".into()),
        },
        (Side::Server, DRY_RUN | WHY | REGENERATE | DELETE | EXPORT | SKILL) => {
            if body.is_object() {
                Ok(())
            } else {
                Err("it is no object".into())
            }
        }
        (Side::Client, ACTUATE) => of::<ActuateResult>(body).map(drop),
        _ => Ok(()),
    }
}

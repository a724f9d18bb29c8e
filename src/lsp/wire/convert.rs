//! From the wire to the kernel's words (`from_wire`) and back (`to_wire`). All bounds on what a client may
//! send are checked here, so that the kernel never sees a value out of them.

mod actuate;
mod rewrite;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{
    AbortParams, ActuateParams, ActuateResult, ActuatedParams, ActuatedResult, ActuatedStatus, Announcement,
    AnsweredEvent, CHAT_MESSAGE, CancelParams, CancelResult, Choice, DecideParams, DecideResult, DeltaParams,
    EventParams, EventResult, InterruptedTurn, METHODS, Offer, OutputParams, REWRITE, ResumeParams,
    ResumeResult, ResumedTurn, RetractParams, Stream, ThoughtParams, TurnParams, TurnStateName, VERSION,
    WhyParams,
};
use crate::action::MAX_REPLY;
use crate::config::Secrets;
use crate::error::{Error, Result};
use crate::event::{self, Actuated, ChatMessage, Decide, Decided, Output, Query, Receipt, Resume, Resumed};
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::outgoing::{Delta, Notice, Outgoing, Retract, Thought, TurnState};
use crate::record::{Location, Outcome, Status};
use crate::request::MAX_LEVEL;
use crate::skill::Shelved;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// The longest identifier.
const MAX_ID: usize = 256;
/// The longest name of a buffer or an attachment.
pub(super) const MAX_NAME: usize = KIB;
/// The longest text of a message, an attachment, or a command's output.
pub(super) const MAX_TEXT: usize = MIB;
/// The longest message about an action.
const MAX_REMARK: usize = 64 * KIB;
const MAX_CONTEXT_ITEMS: usize = 32;
const MAX_CONTEXT: usize = 4 * MIB;
const MAX_MODE: usize = 100;
/// The most hashes of earlier texts.
const MAX_HASHES: usize = 10_000;
/// The most identifiers in one list.
const MAX_LIST: usize = 100_000;

/// Reads the parameters of a method. `text` is sound JSON.
///
/// # Errors
/// `bad_request`, naming the field that is missing or of the wrong type.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T> {
    let text = if text == "null" { "{}" } else { text };
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Error::bad_request("params must be an object"));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let why = shorten(&error.inner().to_string());
        let error = if path == "." { Error::bad_request("params") } else { Error::bad_request(path) };
        error.because(why).hint("see docs/protocol.md for the fields of this method")
    })
}

/// An error message without the position, which is one in a text that the client never saw, and without
/// most of a long value that it quotes.
fn shorten(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    match message.char_indices().nth(160) {
        Some((at, _)) => format!("{}…", &message[..at]),
        None => message.to_owned(),
    }
}

/// What `initialize` says about the client.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Introduction {
    /// What it announced; a plain editor announces nothing.
    pub announced: Option<Announcement>,
    /// Secrets by name.
    pub secrets: Secrets,
}

impl Introduction {
    /// Reads the parameters of `initialize`. All that is not ours in them is ignored, whatever it is.
    ///
    /// # Errors
    /// `bad_request` for a version that this server does not speak, or for something of ours that is mistyped.
    pub fn from_wire(params: &str) -> Result<Self> {
        let params: InitializeParams = object(params);
        let capabilities: Capabilities = part(params.capabilities);
        let experimental: Experimental = part(capabilities.experimental);
        let announced =
            experimental.org_agent.map(|ours| read::<Announcement>(ours.get())).transpose().map_err(
                |error| Error {
                    what: format!("capabilities.experimental.orgAgent: {}", error.what),
                    ..error
                },
            )?;
        if let Some(version) = announced.as_ref().and_then(|announced| announced.version)
            && version != VERSION
        {
            return Err(Error::bad_request(format!(
                "the client speaks version {version} of the protocol, this server version {VERSION}"
            ))
            .hint("install a client and a server of the same version"));
        }
        let options: Options = part(params.initialization_options);
        let secrets = options.secrets.map_or(Ok(Secrets::new()), |secrets| {
            // The parser's own message could quote a secret.
            serde_json::from_str::<BTreeMap<String, String>>(secrets.get())
                .map(Secrets::from_iter)
                .map_err(|_| Error::bad_request("initializationOptions.secrets must be an object of strings"))
        })?;
        Ok(Self { announced, secrets })
    }
}

/// A part of `initialize` that need not be there, nor be an object.
fn part<'a, T: Default + Deserialize<'a>>(value: Option<&'a RawValue>) -> T {
    object(value.map_or("null", RawValue::get))
}

fn object<'a, T: Default + Deserialize<'a>>(text: &'a str) -> T {
    // The parser would take an array for an object without names.
    if text.starts_with('{') { serde_json::from_str(text).unwrap_or_default() } else { T::default() }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct InitializeParams<'a> {
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow)]
    initialization_options: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Capabilities<'a> {
    #[serde(borrow)]
    experimental: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Experimental<'a> {
    #[serde(borrow)]
    org_agent: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Options<'a> {
    #[serde(borrow)]
    secrets: Option<&'a RawValue>,
}

impl Offer {
    /// What this server offers.
    #[must_use]
    pub fn to_wire() -> Self {
        Self {
            version: VERSION,
            methods: METHODS.map(str::to_owned).to_vec(),
            sensors: vec![CHAT_MESSAGE.to_owned(), REWRITE.to_owned()],
        }
    }
}

impl EventParams {
    /// Checks the bounds.
    ///
    /// # Errors
    /// `bad_request`, naming the field.
    pub fn from_wire(self) -> Result<ChatMessage> {
        let rewrite = match self.sensor.as_str() {
            CHAT_MESSAGE => false,
            REWRITE => true,
            _ => {
                let what = "sensor: this server knows only \"chat-message\" and \"rewrite\"";
                return Err(Error::bad_request(what));
            }
        };
        within("clientId", &self.client_id, 1, MAX_ID)?;
        within("text", &self.text, 0, MAX_TEXT)?;
        if let Some(buffer) = &self.buffer {
            within("buffer", buffer, 1, MAX_NAME)?;
        }
        let level = self.level.unwrap_or(1);
        let level = u32::try_from(level)
            .ok()
            .filter(|level| (1..=MAX_LEVEL).contains(level))
            .ok_or_else(|| Error::bad_request(format!("level: must be 1 to {MAX_LEVEL}")))?;
        let context = self.context.unwrap_or_default();
        if context.len() > MAX_CONTEXT_ITEMS {
            return Err(Error::bad_request(format!("context: more than {MAX_CONTEXT_ITEMS} items")));
        }
        for (at, item) in context.iter().enumerate() {
            within(&format!("context[{at}].name"), &item.name, 0, MAX_NAME)?;
            within(&format!("context[{at}].text"), &item.text, 0, MAX_TEXT)?;
            if let Some(mode) = &item.mode {
                within(&format!("context[{at}].mode"), mode, 1, MAX_MODE)?;
            }
        }
        if context.iter().map(|item| item.text.len()).sum::<usize>() > MAX_CONTEXT {
            return Err(Error::bad_request(format!("context: more than {MAX_CONTEXT} bytes together")));
        }
        if context.is_empty() && self.text.trim().is_empty() {
            return Err(Error::bad_request("text: nothing to say").hint("write something, or attach context"));
        }
        let context = rewrite::context(context, rewrite.then_some(self.text.as_str()))?;
        Ok(ChatMessage {
            client_id: self.client_id,
            session: self.session_id.map(|id| identifier("sessionId", id).map(SessionId)).transpose()?,
            buffer: self.buffer,
            text: self.text,
            level,
            context,
            location: location(self.directory, self.host)?,
            steers: self.steers.map(|id| identifier("steers", id).map(TurnId)).transpose()?,
            hashes: hashes(self.turn_hashes)?,
        })
    }
}

impl EventResult {
    /// The answer for a client.
    #[must_use]
    pub fn to_wire(receipt: Receipt) -> Self {
        Self {
            event_id: receipt.event.0,
            session_id: receipt.session.0,
            turn_id: receipt.turn.0,
            lamport: receipt.lamport,
            duplicate: receipt.duplicate,
            edited: receipt.edited,
        }
    }
}

impl CancelParams {
    /// Which turn.
    ///
    /// # Errors
    /// `bad_request` if it is no identifier.
    pub fn from_wire(self) -> Result<TurnId> {
        identifier("turnId", self.turn_id).map(TurnId)
    }
}

impl CancelResult {
    /// The answer for a client.
    #[must_use]
    pub fn to_wire(cancelled: bool) -> Self {
        Self { cancelled }
    }
}

impl DecideParams {
    /// Checks the bounds.
    ///
    /// # Errors
    /// `bad_request`, naming the field.
    pub fn from_wire(self) -> Result<Decide> {
        if let Some(command) = &self.command {
            within("command", command, 1, MAX_REPLY)?;
        }
        if let Some(message) = &self.message {
            within("message", message, 0, MAX_REMARK)?;
        }
        Ok(Decide {
            actuation: identifier("actuationId", self.actuation_id).map(ActuationId)?,
            choice: match self.choice {
                Choice::Run => event::Choice::Run,
                Choice::Deny => event::Choice::Deny,
                Choice::Always => event::Choice::Always,
            },
            command: self.command,
            message: self.message,
            network: self.network,
            unconfined: self.unconfined,
        })
    }
}

impl DecideResult {
    /// The answer for a client.
    #[must_use]
    pub fn to_wire(decided: Decided) -> Self {
        Self {
            decision: decided.decision,
            token: decided.token,
            steps: decided.steps.as_deref().map(actuate::steps),
            rule: decided.rule,
            saved: decided.saved,
            hint: decided.hint,
        }
    }
}

impl OutputParams {
    /// Cuts what is too long.
    ///
    /// # Errors
    /// `bad_request`, naming the field.
    pub fn from_wire(mut self) -> Result<Output> {
        cut(&mut self.text, MAX_TEXT);
        Ok(Output {
            actuation: identifier("actuationId", self.actuation_id).map(ActuationId)?,
            seq: self.seq,
            stderr: self.stream == Stream::Stderr,
            text: self.text,
        })
    }
}

impl ActuatedParams {
    /// Cuts what is too long: a command was run, and its outcome must not be lost for its size.
    ///
    /// # Errors
    /// `bad_request`, naming the field.
    pub fn from_wire(self) -> Result<Actuated> {
        let mut stdout = self.stdout.unwrap_or_default();
        let mut stderr = self.stderr.unwrap_or_default();
        let mut message = self.message;
        let truncated = [cut(&mut stdout, MAX_TEXT), cut(&mut stderr, MAX_TEXT)].contains(&true);
        if let Some(message) = &mut message {
            cut(message, MAX_REMARK);
        }
        Ok(Actuated {
            actuation: identifier("actuationId", self.actuation_id).map(ActuationId)?,
            token: self.token.map(|token| identifier("token", token)).transpose()?,
            outcome: Outcome {
                status: match self.status {
                    ActuatedStatus::Done => Status::Done,
                    ActuatedStatus::Denied => Status::Denied,
                    ActuatedStatus::Failed => Status::Failed,
                },
                exit_code: self.exit_code,
                stdout,
                stderr,
                truncated: truncated || self.truncated.unwrap_or_default(),
                message,
                origin: None,
                by_policy: false,
                sandboxed: self.sandboxed,
            },
        })
    }
}

impl ActuatedResult {
    /// The answer for a client.
    #[must_use]
    pub fn to_wire((): ()) -> Self {
        Self {}
    }
}

/// Whether an answer is wanted as Org text, too.
pub(super) fn is_org(format: Option<&str>) -> Result<bool> {
    match format {
        None | Some("json") => Ok(false),
        Some("org") => Ok(true),
        Some(_) => Err(Error::bad_request("format: json or org")),
    }
}

impl WhyParams {
    /// Which turn or action.
    ///
    /// # Errors
    /// `bad_request` unless there is exactly one of the two.
    pub fn from_wire(self) -> Result<Query> {
        let org = is_org(self.format.as_deref())?;
        match (self.turn_id, self.actuation_id) {
            (Some(turn), None) => identifier("turnId", turn).map(|id| Query::WhyTurn(TurnId(id), org)),
            (None, Some(action)) => {
                identifier("actuationId", action).map(|id| Query::WhyActuation(ActuationId(id), org))
            }
            _ => Err(Error::bad_request("give turnId or actuationId, one of the two")),
        }
    }
}

impl ResumeParams {
    /// What the client has, and wants.
    ///
    /// # Errors
    /// `bad_request`, naming the field.
    pub fn from_wire(self) -> Result<Resume> {
        Ok(Resume {
            session: identifier("sessionId", self.session_id).map(SessionId)?,
            applied: identifiers("applied", self.applied)?.map(ActuationId).collect(),
            turns: identifiers("turns", self.turns)?.map(TurnId).collect(),
            drop: identifiers("drop", self.drop)?.map(TurnId).collect(),
        })
    }
}

impl ResumeResult {
    /// The answer.
    #[must_use]
    pub fn to_wire(resumed: Resumed) -> Self {
        let interrupted = resumed.interrupted.into_iter();
        let again = resumed.resumed.into_iter();
        let events = resumed.events.into_iter();
        Self {
            session_id: resumed.session.0,
            actuations: resumed.actuations.iter().map(ActuateParams::to_wire).collect(),
            missing: resumed.missing,
            interrupted: interrupted
                .map(|(turn, event)| InterruptedTurn { turn_id: turn.0, event_id: event.0 })
                .collect(),
            resumed: again.map(|(from, turn)| ResumedTurn { from: from.0, turn_id: turn.0 }).collect(),
            live: resumed.live.into_iter().map(|turn| turn.0).collect(),
            events: events.map(|(turn, mark)| AnsweredEvent { turn_id: turn.0, mark }).collect(),
        }
    }
}

/// A notice as what every editor shows: a warning, or a piece of news.
#[must_use]
pub fn shown(notice: &Notice) -> (&'static str, Value) {
    let severity = if notice.warns { 2 } else { 3 };
    ("window/showMessage", serde_json::json!({"type": severity, "message": notice.text}))
}

/// A message to the client as its method and its parameters.
///
/// # Errors
/// If a shape has no JSON form; all have one.
pub fn outgoing(message: &Outgoing) -> serde_json::Result<(&'static str, Value)> {
    Ok(match message.clone() {
        Outgoing::Turn(turn) => (super::TURN, serde_json::to_value(TurnParams::to_wire(turn))?),
        Outgoing::Delta(delta) => (super::DELTA, serde_json::to_value(DeltaParams::to_wire(delta))?),
        Outgoing::Thought(thought) => {
            (super::THOUGHT, serde_json::to_value(ThoughtParams::to_wire(thought))?)
        }
        Outgoing::Step(step) => (super::STEP, serde_json::to_value(super::StepParams::to_wire(step))?),
        Outgoing::Retract(retract) => {
            (super::RETRACT, serde_json::to_value(RetractParams::to_wire(retract))?)
        }
        Outgoing::Actuate(actuation) => {
            (super::ACTUATE, serde_json::to_value(ActuateParams::to_wire(&actuation))?)
        }
        Outgoing::Skills(Shelved { project, shelf }) => {
            let params = super::ShelfParams::to_wire(project.as_deref(), &shelf);
            (super::SKILLS_CHANGED, serde_json::to_value(params)?)
        }
        Outgoing::Session(session, changes) => {
            let params = super::SessionsChangedParams::to_wire(&session, &changes);
            (super::SESSIONS_CHANGED, serde_json::to_value(params)?)
        }
        Outgoing::Notice(notice) => shown(&notice),
        Outgoing::Abort(actuation) => (super::ABORT, serde_json::to_value(AbortParams::to_wire(actuation))?),
    })
}

impl TurnParams {
    /// The notification.
    #[must_use]
    pub fn to_wire(turn: TurnState) -> Self {
        Self {
            turn_id: turn.turn.0,
            session_id: turn.session.0,
            seq: turn.seq,
            state: TurnStateName(turn.state),
            reason: turn.reason,
        }
    }
}

impl DeltaParams {
    /// The notification.
    #[must_use]
    pub fn to_wire(delta: Delta) -> Self {
        Self { turn_id: delta.turn.0, attempt: delta.attempt, seq: delta.seq, text: delta.text }
    }
}

impl ThoughtParams {
    /// The notification.
    #[must_use]
    pub fn to_wire(thought: Thought) -> Self {
        Self { turn_id: thought.turn.0, attempt: thought.attempt, text: thought.text }
    }
}

impl RetractParams {
    /// The notification.
    #[must_use]
    pub fn to_wire(retract: Retract) -> Self {
        Self { turn_id: retract.turn.0, attempt: retract.attempt, seq: retract.seq, reason: retract.reason }
    }
}

impl ActuateResult {
    /// Why the client refused, if it did. An answer of another shape is a receipt all the same.
    #[must_use]
    pub fn from_wire(result: &str) -> Option<String> {
        let result: Self = serde_json::from_str(result).ok()?;
        (!result.accepted).then(|| result.message.unwrap_or_else(|| "the client refused".to_owned()))
    }
}

impl AbortParams {
    /// The request.
    #[must_use]
    pub fn to_wire(actuation: ActuationId) -> Self {
        Self { actuation_id: actuation.0 }
    }
}

fn location(directory: Option<String>, host: Option<String>) -> Result<Option<Location>> {
    if let Some(host) = &host {
        within("host", host, 1, MAX_NAME)?;
    }
    // Of another machine there is always a directory to begin in.
    let Some(directory) = directory.or_else(|| host.is_some().then(|| "~".to_owned())) else {
        return Ok(None);
    };
    within("directory", &directory, 1, MAX_NAME)?;
    let home = host.is_some() && (directory == "~" || directory.starts_with("~/"));
    if !home && !Path::new(&directory).is_absolute() {
        return Err(Error::bad_request("directory: must be absolute"));
    }
    Ok(Some(Location { directory, host }))
}

fn hashes(hashes: Option<BTreeMap<String, String>>) -> Result<BTreeMap<String, String>> {
    let hashes = hashes.unwrap_or_default();
    if hashes.len() > MAX_HASHES {
        return Err(Error::bad_request(format!("turnHashes: more than {MAX_HASHES}")));
    }
    for (mark, hash) in &hashes {
        if mark.len() > MAX_ID || hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::bad_request("turnHashes: each is an identifier and 64 hexadecimal digits"));
        }
    }
    Ok(hashes)
}

pub(super) fn within(field: &str, text: &str, least: usize, most: usize) -> Result<()> {
    match text.len() {
        length if length < least => Err(Error::bad_request(format!("{field}: must not be empty"))),
        length if length > most => Err(Error::bad_request(format!("{field}: more than {most} bytes"))),
        // Emacs cannot read a JSON string with it, and would lose the whole message that shows it again.
        _ if text.contains('\0') => Err(Error::bad_request(format!("{field}: must not contain U+0000"))),
        _ => Ok(()),
    }
}

pub(super) fn identifier(field: &str, id: String) -> Result<String> {
    within(field, &id, 1, MAX_ID).map(|()| id)
}

fn identifiers(field: &str, ids: Option<Vec<String>>) -> Result<impl Iterator<Item = String>> {
    let ids = ids.unwrap_or_default();
    if ids.len() > MAX_LIST {
        return Err(Error::bad_request(format!("{field}: more than {MAX_LIST} items")));
    }
    for (at, id) in ids.iter().enumerate() {
        within(&format!("{field}[{at}]"), id, 1, MAX_ID)?;
    }
    Ok(ids.into_iter())
}

/// Cuts `text` to at most `most` bytes; says whether it did. U+0000 becomes U+FFFD, as in [`within`].
fn cut(text: &mut String, most: usize) -> bool {
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
    let long = text.len() > most;
    if long {
        let at = (0..=most).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        text.truncate(at);
    }
    long
}

#[cfg(test)]
mod tests;

//! Turns: a prompt goes to the kernel, what comes of it to the client, and its end answers the request.

use agent_client_protocol_schema::v1::{
    self, CLIENT_METHOD_NAMES, CancelRequestNotification, ContentChunk, Cost, PromptRequest, PromptResponse,
    ReadTextFileRequest, RequestId, SessionUpdate, StopReason, Usage, UsageUpdate,
};
use serde_json::Value;
use tokio::time::Instant;
use tower_lsp_server::jsonrpc::Id;

use super::prompt::{self, Said};
use super::questions::{Asked, TIME};
use super::server::{Done, Server};
use super::shell::CLOSED;
use super::text::{Rest, Shown};
use super::tools;
use crate::action::Kind;
use crate::error::{Code, Error, Result};
use crate::event::{ChatMessage, Event, Page, Query, Receipt};
use crate::ids::{SessionId, TurnId};
use crate::lsp::wire::{self, EventParams};
use crate::outgoing::{Actuation, Delta, Retract, State, Step, Thought, TurnState};

/// The most prompts that wait for what they name.
const MOST_PENDING: usize = 256;

/// The most turns that are followed at once.
const MOST_TURNS: usize = 4096;

/// A prompt that has no turn yet.
#[derive(Debug)]
pub(super) struct Pending {
    id: Id,
    pub(super) session: SessionId,
    pub(super) said: Said,
    /// How many files are not read yet.
    pub(super) missing: usize,
    /// It is with the kernel.
    is_sent: bool,
    /// It was cancelled.
    is_stopped: bool,
}

/// Whether a turn is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    No,
    Wanted,
    /// The kernel was told.
    Told,
}

/// A turn of a session that is open here.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) session: SessionId,
    /// The session, as the client names it.
    pub(super) id: v1::SessionId,
    /// The request that waits for its end.
    request: Option<Id>,
    stop: Stop,
    attempt: u32,
    shown: Option<Shown>,
    /// Something was said in it that stands.
    has_said: bool,
    /// Texts that are shown end with the next one's beginning.
    is_behind: bool,
}

impl Turn {
    /// Whether it is to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop != Stop::No
    }
}

impl Server {
    pub(super) fn prompt(&mut self, id: &Id, params: PromptRequest) -> Result<()> {
        let (session, open) = self.opened(&params.session_id)?;
        let said = prompt::read(params.prompt, &open.directory)?;
        if self.pending.len() >= MOST_PENDING {
            return Err(Error::new(Code::Overloaded, "too many prompts wait")
                .hint("send the same request again later"));
        }
        let key = self.count();
        let files: Vec<_> = if self.features.is_some_and(|features| features.reads) {
            said.named.iter().map(|(_, path)| path.clone()).collect()
        } else {
            Vec::new()
        };
        let pending = Pending {
            id: id.clone(),
            session: session.clone(),
            said,
            missing: files.len(),
            is_sent: false,
            is_stopped: false,
        };
        self.pending.insert(key, pending);
        for (at, path) in files.into_iter().enumerate() {
            let params = ReadTextFileRequest::new(params.session_id.clone(), path).limit(prompt::FILE_LINES);
            let until = Some(Instant::now() + TIME);
            self.ask(CLIENT_METHOD_NAMES.fs_read_text_file, &params, Asked::File(key, at), until);
        }
        self.send_pending(&session);
        Ok(())
    }

    /// Sends the prompts of a session that are complete, in their order.
    pub(super) fn send_pending(&mut self, session: &SessionId) {
        let ready: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.session == *session && !pending.is_sent)
            .take_while(|(_, pending)| pending.missing == 0)
            .map(|(key, _)| *key)
            .collect();
        for key in ready {
            self.send_one(key);
        }
    }

    fn send_one(&mut self, key: u64) {
        let Some(pending) = self.pending.get_mut(&key) else { return };
        pending.is_sent = true;
        let said = std::mem::take(&mut pending.said);
        let (id, session) = (pending.id.clone(), pending.session.clone());
        let directory = self.sessions.get(&session).map(|open| open.directory.clone());
        let message = match message(said, &session, directory) {
            Ok(message) => message,
            Err(error) => {
                self.pending.remove(&key);
                return self.refuse(&id, &error);
            }
        };
        let receipt = self.tell(|reply| Event::Chat(message, reply));
        self.later(Some(&id), async move {
            let receipt = receipt.await;
            Box::new(move |server: &mut Self| server.received(key, receipt)) as Done
        });
    }

    /// The kernel has a prompt, or refused it.
    fn received(&mut self, key: u64, receipt: Result<Receipt>) {
        let Some(pending) = self.pending.remove(&key) else { return };
        match receipt {
            Ok(receipt) => match self.turn(&receipt.turn, &pending.session) {
                Some(turn) => {
                    turn.request = Some(pending.id);
                    if pending.is_stopped {
                        turn.stop = Stop::Wanted;
                    }
                }
                None => {
                    self.report(|reply| Event::Cancel(receipt.turn, reply));
                    self.answer(&pending.id, &PromptResponse::new(StopReason::Cancelled));
                }
            },
            Err(_) if pending.is_stopped => {
                self.answer(&pending.id, &PromptResponse::new(StopReason::Cancelled));
            }
            Err(error) => self.refuse(&pending.id, &error),
        }
        if pending.is_stopped {
            self.cancel_stopped(&pending.session);
        }
        self.leave(&pending.session);
    }

    /// A turn, if its session is open here.
    fn turn(&mut self, id: &TurnId, session: &SessionId) -> Option<&mut Turn> {
        if !self.turns.contains_key(id) {
            let open = self.sessions.get(session)?;
            if self.turns.len() >= MOST_TURNS {
                tracing::error!("there are too many turns to follow them all");
                return None;
            }
            let turn = Turn {
                session: session.clone(),
                id: open.id.clone(),
                request: None,
                stop: Stop::No,
                attempt: 0,
                shown: None,
                has_said: false,
                is_behind: false,
            };
            self.turns.insert(id.clone(), turn);
        }
        self.turns.get_mut(id)
    }

    /// The user cancels what goes on in a session.
    pub(super) fn cancel(&mut self, session: &v1::SessionId) {
        self.stop_all(&SessionId::from(&*session.0));
    }

    /// Stops all turns of a session, and its prompts.
    pub(super) fn stop_all(&mut self, session: &SessionId) {
        let mut over = Vec::new();
        for (key, pending) in &mut self.pending {
            if pending.session == *session {
                pending.is_stopped = true;
                if !pending.is_sent {
                    over.push(*key);
                }
            }
        }
        for turn in self.turns.values_mut().filter(|turn| turn.session == *session) {
            turn.stop = turn.stop.max(Stop::Wanted);
        }
        for key in over {
            self.stop_pending(key);
        }
        self.cancel_stopped(session);
    }

    /// Cancels what is to be stopped in a session, once all of it has a turn: of what waits none begins meanwhile.
    fn cancel_stopped(&mut self, session: &SessionId) {
        if self.pending.values().any(|pending| pending.session == *session && pending.is_stopped) {
            return;
        }
        let mut turns = Vec::new();
        for (id, turn) in &mut self.turns {
            if turn.session == *session && turn.stop == Stop::Wanted {
                turn.stop = Stop::Told;
                turns.push(id.clone());
            }
        }
        // The last first: identifiers of turns are in the order of time.
        for turn in turns.into_iter().rev() {
            self.report(|reply| Event::Cancel(turn, reply));
        }
    }

    /// A prompt that is not with the kernel yet never gets there.
    fn stop_pending(&mut self, key: u64) {
        if let Some(pending) = self.pending.remove(&key) {
            self.answer(&pending.id, &PromptResponse::new(StopReason::Cancelled));
        }
    }

    /// The client wants no answer to one of its requests; a prompt's turn is cancelled.
    pub(super) fn cancel_request(&mut self, params: &CancelRequestNotification) {
        let is_it = |id: &Id| match (id, &params.request_id) {
            (Id::Number(own), RequestId::Number(number)) => own == number,
            (Id::String(own), RequestId::Str(text)) => own == text,
            _ => false,
        };
        if let Some((key, pending)) = self.pending.iter_mut().find(|(_, pending)| is_it(&pending.id)) {
            pending.is_stopped = true;
            let key = *key;
            if !pending.is_sent {
                self.stop_pending(key);
            }
            return;
        }
        let turn = self.turns.iter().find(|(_, turn)| turn.request.as_ref().is_some_and(is_it));
        if let Some(turn) = turn.map(|(id, _)| id.clone()) {
            self.report(|reply| Event::Cancel(turn, reply));
        }
    }

    /// Says something in a turn.
    fn say(&mut self, turn: &TurnId, text: &str) {
        let Some(found) = self.turns.get_mut(turn) else { return };
        if text.is_empty() {
            return;
        }
        let mut content = String::new();
        if std::mem::take(&mut found.is_behind) {
            content.push_str("\n\n");
        }
        content.push_str(text);
        let message = v1::MessageId::from(format!("{turn}.{}", found.attempt));
        let chunk = ContentChunk::new(content.into()).message_id(message);
        let session = found.id.clone();
        self.update(&session, SessionUpdate::AgentMessageChunk(chunk));
    }

    pub(super) fn delta(&mut self, delta: &Delta) {
        let format = self.format();
        let Some(turn) = self.turns.get_mut(&delta.turn) else { return };
        turn.attempt = delta.attempt;
        let more = turn.shown.get_or_insert_with(|| Shown::new(format)).push(&delta.text);
        if let Some(more) = more {
            self.say(&delta.turn, &more);
        }
    }

    pub(super) fn thought(&mut self, thought: &Thought) {
        let Some(turn) = self.turns.get(&thought.turn) else { return };
        let message = v1::MessageId::from(format!("{}.{}.thought", thought.turn, thought.attempt));
        let chunk = ContentChunk::new(thought.text.as_str().into()).message_id(message);
        let session = turn.id.clone();
        self.update(&session, SessionUpdate::AgentThoughtChunk(chunk));
    }

    pub(super) fn step(&mut self, step: &Step) {
        if let Some(turn) = self.turn(&step.turn, &step.session) {
            let session = turn.id.clone();
            self.update(&session, SessionUpdate::ToolCall(tools::step(step)));
        }
    }

    pub(super) fn retracted(&mut self, retract: &Retract) {
        let shown = self.turns.get_mut(&retract.turn).and_then(|turn| turn.shown.take());
        if shown.is_some_and(|shown| !shown.is_empty()) {
            self.take_back(&retract.turn, &retract.reason);
        }
    }

    /// Says that what was shown last does not count. What was shown can not be taken back here.
    fn take_back(&mut self, turn: &TurnId, reason: &str) {
        let reason: String = tools::line(reason).chars().take(300).collect();
        let text = format!("\n\n[The text above was taken back and is no part of the session: {reason}]");
        self.say(turn, &text);
        if let Some(turn) = self.turns.get_mut(turn) {
            turn.is_behind = true;
        }
    }

    pub(super) fn actuate(&mut self, actuation: &Actuation) {
        let address = actuation.address();
        let id = address.actuation.clone();
        let Some(turn) = self.turn(&address.turn, &address.session) else {
            // Of a session that is not open here: texts wait for whoever opens it, commands are not run.
            if actuation.action().kind() == Kind::Shell {
                self.send(Event::Refused(id, CLOSED.to_owned()));
            }
            return;
        };
        turn.attempt = address.attempt;
        match actuation.action().kind() {
            Kind::Insert | Kind::Response => self.text(actuation),
            Kind::Shell => self.command(actuation),
            Kind::Replace | Kind::Skill | Kind::Log => {
                self.send(Event::Refused(id, "this client does not do that".to_owned()));
            }
        }
    }

    /// A text is complete.
    fn text(&mut self, actuation: &Actuation) {
        let (turn, format) = (&actuation.address().turn, self.format());
        let text = actuation.action().text("text").unwrap_or_default();
        let shown = self.turns.get_mut(turn).and_then(|turn| turn.shown.take());
        match shown.unwrap_or_else(|| Shown::new(format)).finish(text) {
            Rest::More(more) => self.say(turn, &more),
            Rest::Other(all) => {
                self.take_back(turn, "another text came in its place");
                self.say(turn, &all);
            }
        }
        if let Some(turn) = self.turns.get_mut(turn) {
            turn.has_said = true;
            turn.is_behind = true;
        }
        self.applied(actuation);
    }

    /// A turn has a new state.
    pub(super) fn advanced(&mut self, state: &TurnState) {
        if self.turn(&state.turn, &state.session).is_none() || !state.state.is_end() {
            return;
        }
        self.drop_commands(&state.turn, "the turn is over");
        let reason = state.reason.as_deref().unwrap_or_default();
        let Some(turn) = self.turns.get(&state.turn) else { return };
        if state.state == State::Failed && !turn.has_said {
            let text = if reason.is_empty() { "The turn failed." } else { reason }.to_owned();
            self.say(&state.turn, &text);
        }
        let stop = match state.state {
            State::Cancelled => StopReason::Cancelled,
            State::Failed if reason.starts_with("gate:") => StopReason::Refusal,
            _ => StopReason::EndTurn,
        };
        let Some(turn) = self.turns.remove(&state.turn) else { return };
        let session = turn.session.clone();
        self.look_back(turn, stop);
        self.leave(&session);
    }

    /// Answers a prompt, with what it took. What comes next waits for that.
    fn look_back(&mut self, turn: Turn, stop: StopReason) {
        let found = self.tell(|reply| Event::Read(Query::Session(turn.session.clone()), reply));
        let page = Page { limit: Some(1), cursor: None };
        let last = Query::LastMessages(turn.session.clone(), page);
        let last = self.tell(|reply| Event::Read(last, reply));
        let (request, ending) = (turn.request.clone(), self.hold());
        self.later(request.as_ref(), async move {
            let (found, last) = (found.await.unwrap_or_default(), last.await.unwrap_or_default());
            Box::new(move |server: &mut Self| {
                let _until_told = ending;
                let metadata = &last["items"][0]["metadata"];
                server.titled(&turn.session, &found);
                server.tell_usage(&turn, &found, metadata);
                if let Some(id) = &turn.request {
                    server.answer(id, &PromptResponse::new(stop).usage(usage(&metadata["turnTokens"])));
                }
            }) as Done
        });
    }

    /// Says how full the model's context is, if both are known.
    fn tell_usage(&mut self, turn: &Turn, session: &Value, metadata: &Value) {
        let room = self.sessions.get(&turn.session).and_then(|open| open.models.room);
        let count = |key: &str| metadata["tokens"][key].as_u64();
        if let (Some(room), Some(prompt)) = (room, count("prompt")) {
            let used = prompt.saturating_add(count("completion").unwrap_or_default());
            let cost = session["cost"].as_f64().map(|amount| Cost::new(amount, "USD"));
            let update = UsageUpdate::new(used, room).cost(cost);
            self.update(&turn.id, SessionUpdate::UsageUpdate(update));
        }
    }
}

/// The tokens of a turn, if they are known.
fn usage(tokens: &Value) -> Option<Usage> {
    let count = |key: &str| tokens[key].as_u64();
    let (prompt, completion) = (count("prompt")?, count("completion").unwrap_or_default());
    let usage = Usage::new(prompt.saturating_add(completion), prompt, completion)
        .thought_tokens(count("reasoning"))
        .cached_read_tokens(count("cached"));
    Some(usage)
}

/// What is said, as the kernel takes it; within the bounds of every message.
fn message(said: Said, session: &SessionId, directory: Option<String>) -> Result<ChatMessage> {
    let event = EventParams {
        sensor: wire::CHAT_MESSAGE.to_owned(),
        client_id: crate::ids::token()?,
        session_id: Some(session.0.clone()),
        buffer: None,
        text: said.text,
        level: None,
        context: Some(said.context),
        directory,
        host: None,
        steers: None,
        turn_hashes: None,
    };
    event.from_wire()
}

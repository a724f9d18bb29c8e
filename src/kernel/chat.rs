//! Chat messages: to which session one belongs, whether it was sent before, and how it becomes a turn.

use serde_json::Value;

use super::session::{HELD, Session};
use super::{Kernel, rewrite};
use crate::action::CHAT_BUFFER;
use crate::error::{Code, Error, Result};
use crate::event::{ChatMessage, Receipt, Reply};
use crate::ids::{SessionId, TurnId};
use crate::prompt::HistoryItem;
use crate::record::Record;
use crate::request::NewSession;
use crate::sessions;
use crate::store::{UnfinishedTurn, body_hash};
use crate::transcript::{self, NO_TITLE};
use crate::turn::{Subject, Turn};

/// The answer to a message; unless it was sent before, the turn that it starts, and the one that makes way for it.
type Admitted = (Receipt, Option<(Subject, Option<TurnId>)>);

impl Kernel {
    /// Takes a chat message. The answer leaves once the message is durable.
    pub(super) fn chat(&mut self, message: ChatMessage, reply: Reply<Receipt>) {
        match self.admit(message) {
            Ok((receipt, subject)) => {
                let session = receipt.session.clone();
                self.answer(reply, Ok(receipt));
                if let Some((subject, steered)) = subject {
                    self.queue(subject, steered.is_some());
                    if let Some(steered) = steered {
                        self.advance(&steered, Turn::steer);
                    }
                    self.start_next(&session);
                }
            }
            Err(error) => self.answer(reply, Err(error)),
        }
    }

    /// Makes a waiting turn, which comes before the others that wait if it `steers`.
    pub(super) fn queue(&mut self, subject: Subject, steers: bool) {
        let (id, session) = (subject.turn.clone(), subject.session.clone());
        self.turns.insert(id.clone(), Turn::new(subject));
        if let Some(session) = self.sessions.get_mut(&session) {
            session.enqueue(id.clone(), steers);
        }
        self.advance(&id, Turn::accepted);
    }

    fn admit(&mut self, message: ChatMessage) -> Result<Admitted> {
        if let Some(earlier) = self.store.client_message(self.store.author(), &message.client_id)? {
            if earlier.body_hash == body_hash(&message.text, &message.context) {
                let receipt = Receipt {
                    event: earlier.event,
                    session: earlier.session,
                    turn: earlier.turn,
                    lamport: earlier.lamport,
                    duplicate: true,
                    edited: Vec::new(),
                };
                return Ok((receipt, None));
            }
            return Err(Error::new(Code::Conflict, "this clientId was used for another message")
                .hint("use a fresh clientId for each message"));
        }
        if !self.store.has_room() {
            return Err(Error::new(
                Code::Overloaded,
                "the disk does not keep up with what is to be recorded",
            )
            .hint("send the same request again later"));
        }
        // A message that no model can answer is refused while it is still in the editor.
        if let Some(id) = &message.session {
            self.hold(id)?;
        }
        let models = self.models_for(message.session.as_ref())?;
        self.may_rewrite(&message, &models)?;
        let session = self.session_for(&message)?;
        let Some(held) = self.sessions.get(&session) else {
            return Err(Error::internal("the session vanished"));
        };
        if !held.has_room() {
            return Err(Error::new(Code::Overloaded, "too many messages wait in this session")
                .hint("wait for an answer, or cancel a turn"));
        }
        let buffer = held.buffer.clone();
        if held.untitled {
            self.entitle(&session, &message.text)?;
        }
        let turn = TurnId::random()?;
        let record = Record::MessageSent {
            turn: turn.clone(),
            client_id: message.client_id,
            text: message.text.clone(),
            level: message.level,
            context: message.context.clone(),
            location: message.location.clone(),
            mark: None,
        };
        let appended = self.append(&session, &record)?;
        let event = appended.event;
        // One that is over by now needs not make way: then it is a message like any other.
        let running = self.sessions.get(&session).and_then(|session| session.running.clone());
        let steered = message.steers.filter(|steered| running.as_ref() == Some(steered));
        if let Some(steered) = &steered {
            let record = Record::TurnSteered { turn: steered.clone(), by: turn.clone() };
            self.append(&session, &record)?;
        }
        let receipt = Receipt {
            event: event.clone(),
            session: session.clone(),
            turn: turn.clone(),
            lamport: appended.lamport,
            duplicate: false,
            edited: sessions::edited(&self.store, &session, &message.hashes)?,
        };
        let said = HistoryItem::User { text: message.text, context: message.context };
        let around = self.surroundings(message.location.as_ref());
        let level = message.level;
        let subject = Subject { turn, session, mark: event.0, buffer, level, said, again: false, around };
        Ok((receipt, Some((subject, steered))))
    }

    /// Names a session that has no title yet after what is said in it, if that has words.
    fn entitle(&mut self, session: &SessionId, text: &str) -> Result<()> {
        let title = transcript::title(text);
        if title == NO_TITLE {
            return Ok(());
        }
        self.append(session, &Record::SessionRenamed { title })?;
        if let Some(session) = self.sessions.get_mut(session) {
            session.untitled = false;
        }
        Ok(())
    }

    fn session_for(&mut self, message: &ChatMessage) -> Result<SessionId> {
        if let Some(id) = &message.session {
            self.hold(id)?;
            return Ok(id.clone());
        }
        if message.rewritten().is_some() {
            return self.create_session(&rewrite::session(), &message.text);
        }
        let buffer = message.buffer.as_deref().unwrap_or(CHAT_BUFFER);
        for id in self.store.newest_active(buffer)? {
            match self.hold(&id) {
                Ok(()) => return Ok(id),
                // Another server has it: this client gets a session of its own.
                Err(error) if error.code == Code::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        let new = NewSession { buffer: Some(buffer.to_owned()), ..NewSession::default() };
        self.create_session(&new, &message.text)
    }

    /// Makes a recorded session ours, unless another server holds it, with what a dead one left unfinished.
    pub(super) fn hold(&mut self, id: &SessionId) -> Result<()> {
        if self.sessions.contains_key(id) {
            return Ok(());
        }
        // To see whether there is one first, so that no lock is made for what is none; then again under the lease.
        self.store.session(id)?;
        let lease = self
            .store
            .lease(id)?
            .ok_or_else(|| self.held_elsewhere(id).hint("close it there, or start a new session"))?;
        self.store.forget(id);
        let (found, history, unfinished) = self.recorded(id)?;
        let buffer = found["buffer"].as_str().unwrap_or(CHAT_BUFFER).to_owned();
        let mut session = Session::new(buffer, Vec::new(), lease);
        session.read(&found, history);
        self.keep(id, session);
        self.take_over(id, &unfinished)
    }

    /// The error that another server has the session, by its title: its identifier tells the user nothing.
    pub(super) fn held_elsewhere(&self, id: &SessionId) -> Error {
        let found = self.store.session(id).unwrap_or_default();
        let name = match found["title"].as_str() {
            Some(title) if !title.is_empty() => format!("\"{title}\""),
            _ => id.to_string(),
        };
        Error::new(Code::Conflict, format!("session {name} is open in another server"))
    }

    /// What is recorded of a session: how the store tells of it, what was said in it so far, its turns that have not ended.
    pub(super) fn recorded(&self, id: &SessionId) -> Result<(Value, Vec<HistoryItem>, Vec<UnfinishedTurn>)> {
        let found = self.store.session(id)?;
        let mut unfinished = self.store.unfinished_turns()?;
        unfinished.retain(|turn| turn.session == *id);
        // What was said and not begun yet is no history. A turn that answers a message again said nothing.
        let waiting = unfinished.iter().find(|turn| !turn.started && !turn.again);
        let before = waiting.map_or_else(|| TurnId::from(""), |turn| turn.turn.clone());
        let history = self.store.history(id, &before, HELD as u32)?;
        // What another turn was to make way for comes first.
        unfinished.sort_by_key(|turn| !turn.started && !turn.steers);
        Ok((found, history, unfinished))
    }
}

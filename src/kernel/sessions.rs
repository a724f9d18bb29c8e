//! What clients want done with sessions, once what was said before is on disk: it is done to what is recorded.

use serde_json::{Value, json};

use super::Kernel;
use super::session::{HELD, Session};
use crate::action::CHAT_BUFFER;
use crate::chosen::Limit;
use crate::error::{Code, Error, Result};
use crate::event::Reply;
use crate::ids::{SessionId, TurnId};
use crate::outgoing::Outgoing;
use crate::record::{DELETED, Record};
use crate::request::{Change, NewSession, SessionTask};
use crate::sessions;
use crate::store::{Appended, Fork, Lease, Store};
use crate::transcript::{self, NO_TITLE};

/// How much of a transcript is handed to a client in one answer, in bytes.
pub(super) const TRANSCRIPT: usize = 16 << 20;

impl Kernel {
    /// Does a task whose turn has come.
    pub(super) fn session_task(&mut self, task: SessionTask, reply: Reply<Value>) {
        // Its answer precedes what comes of its turn.
        if let SessionTask::Regenerate { session, message } = &task {
            return self.regenerate(session, message.as_deref(), reply);
        }
        match self.done(task) {
            Ok(answer) => self.outbox.answer(self.ticket, move |store| {
                reply.send(store.and_then(answer));
            }),
            Err(error) => self.answer(reply, Err(error)),
        }
    }

    /// Does one task. The answer is made of what is on disk by then.
    fn done(&mut self, task: SessionTask) -> Result<Box<dyn FnOnce(&Store) -> Result<Value> + Send>> {
        match task {
            SessionTask::Create(new) => {
                let id = self.create_session(&new, "")?;
                self.tell_session(&id, &["chat.session.created"]);
                Ok(Box::new(move |store| store.session(&id)))
            }
            SessionTask::Change(id, change) => {
                self.change(&id, &change)?;
                Ok(Box::new(move |store| store.session(&id)))
            }
            SessionTask::Delete(id) => {
                self.hold(&id)?;
                self.resting(&id)?;
                // What is deleted is handed over first: whoever asked may have meant another one.
                let org = transcript::write(&sessions::export(&self.store, &id)?);
                if org.len() > TRANSCRIPT {
                    return Err(Error::bad_request(
                        "the session is too long to be handed over before it goes",
                    )
                    .hint("org-agent session export ID, then org-agent session delete ID"));
                }
                let appended = self.store.delete(&id, "user")?;
                self.ticket = appended.ticket;
                // Nobody may begin with it before it is gone.
                let lease = self.sessions.remove(&id).map(Session::into_lease);
                self.leaving.push((self.ticket, id.clone(), lease));
                self.used.retain(|used| *used != id);
                self.tell_session(&id, &[DELETED]);
                Ok(Box::new(move |_| Ok(json!({"deleted": true, "sessionId": id, "org": org}))))
            }
            SessionTask::Regenerate { .. } => Err(Error::internal("a turn is begun elsewhere")),
            SessionTask::Fork { session, at, edits, new } => {
                let id = self.fork(&session, &Fork { at, edits }, &new)?;
                Ok(Box::new(move |store| store.session(&id)))
            }
            SessionTask::Import { org, name, buffer } => {
                let user = self.persona.user.clone();
                let found = sessions::import(&self.store, &user, &org, &name, buffer.as_deref())?;
                // All of them, or none.
                let leases: Vec<Lease> = found
                    .iter()
                    .map(|imported| self.fresh_lease(&imported.session))
                    .collect::<Result<_>>()?;
                let mut ids = Vec::new();
                for (imported, lease) in found.into_iter().zip(leases) {
                    let appended = self.store.append_all(&imported.session, &imported.records)?;
                    self.appended(&appended);
                    self.tell_session(&imported.session, &["chat.session.created", "chat.session.imported"]);
                    let buffer = buffer.as_deref().unwrap_or(CHAT_BUFFER);
                    self.keep_unread(&imported.session, Session::new(buffer.to_owned(), Vec::new(), lease));
                    self.mirror(&imported.session);
                    ids.push(imported.session);
                }
                Ok(Box::new(move |store| {
                    let items: Result<Vec<Value>> = ids.iter().map(|id| store.session(id)).collect();
                    Ok(json!({"items": items?}))
                }))
            }
        }
    }

    /// Makes an empty session and holds it; unless it has a title it is titled after `text`, or after the first message
    /// with words.
    pub(super) fn create_session(&mut self, new: &NewSession, text: &str) -> Result<SessionId> {
        let id = SessionId::random()?;
        let lease = self.fresh_lease(&id)?;
        let records = sessions::created(&self.persona.user, new, text)?;
        let appended = self.store.append_all(&id, &records)?;
        self.appended(&appended);
        let buffer = new.buffer.clone().unwrap_or_else(|| CHAT_BUFFER.to_owned());
        let mut session = Session::new(buffer, Vec::new(), lease);
        session.untitled = new.title.is_none() && transcript::title(text) == NO_TITLE;
        self.keep(&id, session);
        Ok(id)
    }

    fn change(&mut self, id: &SessionId, change: &Change) -> Result<()> {
        self.hold(id)?;
        if matches!(change, Change::Restore(_) | Change::Choose(_)) {
            self.resting(id)?;
        }
        if let Change::Model { name, remember } = change {
            name.as_deref().map_or(Ok(()), |name| self.may_select(name))?;
            if *remember {
                self.choose_for_good(name.as_deref())?;
            }
        }
        let records = sessions::changed(&self.store, id, change)?;
        if records.is_empty() {
            return Ok(());
        }
        let appended = self.store.append_all(id, &records)?;
        self.appended(&appended);
        let changes: Vec<&str> = records.iter().map(Record::kind).collect();
        self.tell_session(id, &changes);
        let Some(session) = self.sessions.get_mut(id) else { return Ok(()) };
        match change {
            Change::Pause(paused) => {
                session.paused = *paused;
                if !paused {
                    self.start_next(id);
                }
            }
            Change::Rename(_) => session.untitled = false,
            Change::Model { name, .. } => session.model.clone_from(name),
            Change::Context { .. } => {
                if let Some(Record::SessionContext { values }) = records.last() {
                    session.context.values = values.clone();
                }
                self.keep_to_limit(id);
            }
            Change::Restore(_) | Change::Choose(_) => self.counts_anew(id),
            _ => {}
        }
        Ok(())
    }

    /// Has the turn that runs in a session, or begins, keep to what commands may do there now.
    pub(super) fn keep_to_limit(&mut self, id: &SessionId) {
        let Some(session) = self.sessions.get(id) else { return };
        let limit = Limit::of(&session.context.values);
        let Some(turn) = session.running.clone() else { return };
        if self.turns.get_mut(&turn).is_some_and(|turn| turn.limit(limit)) {
            self.tokens.void(&turn, "the sandbox of the session has become stricter since");
        }
    }

    /// Reads sessions of which something is on disk now that this server does not know: they were taken back to a
    /// checkpoint, copied or imported.
    pub(super) fn reread(&mut self) -> Result<()> {
        let ready: Vec<SessionId> = self
            .stale
            .extract_if(.., |(ticket, _)| self.outbox.is_durable(*ticket))
            .map(|(_, id)| id)
            .collect();
        for id in ready {
            // What was said meanwhile and waits may be on disk already, and is no history all the same. A turn that runs
            // again said nothing.
            let waiting = self.sessions.get(&id).and_then(|session| {
                let says = |turn: &&TurnId| self.turns.get(*turn).is_some_and(|turn| !turn.subject().again);
                session.live().find(says).cloned()
            });
            let before = waiting.unwrap_or_else(|| TurnId::from(""));
            let history = self.store.history(&id, &before, HELD as u32)?;
            let found = self.store.session(&id)?;
            if let Some(session) = self.sessions.get_mut(&id) {
                session.read(&found, history);
            }
            self.start_next(&id);
        }
        Ok(())
    }

    fn fork(&mut self, from: &SessionId, fork: &Fork, new: &NewSession) -> Result<SessionId> {
        let found = self.store.session(from)?;
        let word = |key: &str| found[key].as_str().map(str::to_owned);
        let new = NewSession {
            buffer: new.buffer.clone().or_else(|| word("buffer")),
            title: new.title.clone().or_else(|| word("title")),
            group: new.group.clone().or_else(|| word("group")),
            tags: if new.tags.is_empty() { sessions::strings(&found["tags"]) } else { new.tags.clone() },
        };
        let id = SessionId::random()?;
        let lease = self.fresh_lease(&id)?;
        let first = sessions::created(&self.persona.user, &new, "")?;
        let appended = self.store.fork(from, fork, &id, &first)?;
        self.appended(&appended);
        self.tell_session(&id, &["chat.session.created", "chat.session.forked"]);
        let buffer = new.buffer.unwrap_or_else(|| CHAT_BUFFER.to_owned());
        self.keep_unread(&id, Session::new(buffer, Vec::new(), lease));
        self.mirror(&id);
        Ok(id)
    }

    fn fresh_lease(&mut self, id: &SessionId) -> Result<Lease> {
        let lease = self.store.lease(id)?.ok_or_else(|| self.held_elsewhere(id).hint("close it there"))?;
        // Another process may have written to it since this one last did.
        self.store.forget(id);
        Ok(lease)
    }

    /// Takes in a session whose records were appended a moment ago.
    fn keep_unread(&mut self, id: &SessionId, mut session: Session) {
        session.stale = true;
        self.stale.push((self.ticket, id.clone()));
        self.keep(id, session);
    }

    /// That no turn of a session that is ours is under way or waits.
    pub(super) fn resting(&self, id: &SessionId) -> Result<()> {
        match self.sessions.get(id) {
            Some(session) if !session.is_idle() => {
                Err(Error::new(Code::Conflict, format!("a turn of session {id} is under way"))
                    .hint("wait for its end, or cancel it"))
            }
            _ => Ok(()),
        }
    }

    fn appended(&mut self, appended: &[Appended]) {
        if let Some(last) = appended.last() {
            self.ticket = last.ticket;
        }
    }

    /// Tells the client what became of a session, by the types of the events that say so.
    pub(super) fn tell_session(&mut self, id: &SessionId, changes: &[&'static str]) {
        self.outbox.send(self.ticket, Outgoing::Session(id.clone(), changes.to_vec()));
    }
}

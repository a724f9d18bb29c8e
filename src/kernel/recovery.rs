//! Coming back: what an earlier server left unfinished, and what a client that returns lacks.
//!
//! Turns that waited run now. A turn that had begun is over, `failed` with reason `interrupted`; it runs
//! again only if a client says so, as a new turn. A command that had been sent is reported as unknown and
//! never sent again. Text that was permitted and not reported as inserted is offered again.

use super::Kernel;
use crate::config::Secrets;
use crate::error::{Code, Error, Result};
use crate::event::{Reply, Resume, Resumed};
use crate::ids::{SessionId, TurnId};
use crate::outgoing::{Actuation, Address};
use crate::policy;
use crate::prompt::HistoryItem;
use crate::record::{EndState, Outcome, Record, Status};
use crate::store::{PendingInsert, UnfinishedTurn};
use crate::turn::Subject;
use crate::verify::Reading;

impl Kernel {
    /// A client is there: from now on messages may leave.
    pub(super) fn hello(&mut self, secrets: Secrets) {
        self.secrets = secrets;
        self.model = None;
        if std::mem::replace(&mut self.recovered, true) {
            return;
        }
        if let Err(error) = self.recover() {
            tracing::error!(%error, "what an earlier server left could not be read");
        }
    }

    fn recover(&mut self) -> Result<()> {
        let mut waiting: Vec<SessionId> = Vec::new();
        for turn in self.store.unfinished_turns()? {
            match self.hold(&turn.session) {
                Ok(()) => {}
                // Another server is at work on it.
                Err(error) if error.code == Code::Conflict => continue,
                Err(error) => return Err(error),
            }
            if turn.started {
                self.interrupted(&turn)?;
            } else {
                if !waiting.contains(&turn.session) {
                    waiting.push(turn.session.clone());
                }
                let subject = self.subject_of(turn)?;
                self.queue(subject);
            }
        }
        for session in waiting {
            self.start_next(&session);
        }
        Ok(())
    }

    fn interrupted(&mut self, turn: &UnfinishedTurn) -> Result<()> {
        for actuation in self.store.pending_commands(&turn.turn)? {
            let message = Some("the server went away before the outcome was reported".to_owned());
            let outcome = Outcome { status: Status::Unknown, message, ..Outcome::default() };
            self.record(&turn.session, &Record::ActionExecuted { actuation, outcome });
        }
        let reason = Some("interrupted".to_owned());
        let record = Record::TurnEnded { turn: turn.turn.clone(), state: EndState::Failed, reason };
        self.record(&turn.session, &record);
        Ok(())
    }

    fn subject_of(&self, turn: UnfinishedTurn) -> Result<Subject> {
        let session = self.sessions.get(&turn.session).ok_or_else(|| Error::internal("a session is not held"))?;
        Ok(Subject {
            turn: turn.turn,
            buffer: session.buffer.clone(),
            session: turn.session,
            level: turn.level,
            said: HistoryItem::User { text: turn.text, context: turn.context },
        })
    }

    /// Brings a client up to date.
    pub(super) fn resume(&mut self, resume: &Resume, reply: Reply<Resumed>) {
        match self.resumed(resume) {
            Ok(resumed) => {
                let fresh: Vec<TurnId> = resumed.resumed.iter().map(|(_, turn)| turn.clone()).collect();
                self.answer(reply, Ok(resumed));
                // Like an event's answer, this one precedes the messages of the turns it started.
                for turn in &fresh {
                    self.advance(turn, crate::turn::Turn::accepted);
                }
                self.start_next(&resume.session);
            }
            Err(error) => self.answer(reply, Err(error)),
        }
    }

    fn resumed(&mut self, resume: &Resume) -> Result<Resumed> {
        self.hold(&resume.session)?;
        let mut actuations = Vec::new();
        for pending in self.store.pending_inserts(&resume.session)? {
            let ours = self.actuations.contains_key(&pending.actuation);
            if resume.applied.contains(&pending.actuation) {
                let report = crate::event::Actuated {
                    actuation: pending.actuation,
                    token: None,
                    outcome: Outcome::default(),
                };
                self.report(report)?;
            } else if !ours {
                actuations.push(self.again(&resume.session, pending)?);
            }
        }
        let (mut interrupted, mut resumed) = (Vec::new(), Vec::new());
        for found in self.store.interrupted_turns(&resume.session)? {
            if resume.turns.contains(&found.turn) {
                resumed.push(self.run_again(found)?);
            } else {
                interrupted.push((found.turn, found.message));
            }
        }
        let live = self.sessions.get(&resume.session).map(|session| session.live().cloned().collect());
        Ok(Resumed {
            session: resume.session.clone(),
            actuations,
            interrupted,
            resumed,
            live: live.unwrap_or_default(),
        })
    }

    /// A recorded insert, read and judged again: the log is a file, and files can be touched.
    fn again(&self, session: &SessionId, pending: PendingInsert) -> Result<Actuation> {
        let buffer = self.sessions.get(session).map(|session| session.buffer.clone()).unwrap_or_default();
        let broken = || Error::internal(format!("the recorded text of {} does not verify", pending.actuation));
        let mut reading = Reading::new(&buffer, pending.level as usize + 1);
        reading.feed(pending.sexp.as_bytes()).map_err(|rejection| broken().because(rejection.message))?;
        let accepted = reading.finish().map_err(|rejection| broken().because(rejection.message))?;
        let address = Address {
            actuation: pending.actuation.clone(),
            turn: pending.turn,
            session: session.clone(),
            attempt: pending.attempt,
            seq: 0,
        };
        Ok(Actuation::new(address, policy::judge(accepted.action)))
    }

    fn run_again(&mut self, found: UnfinishedTurn) -> Result<(TurnId, TurnId)> {
        let (from, turn) = (found.turn.clone(), TurnId::random()?);
        let record =
            Record::TurnResumed { turn: turn.clone(), from: from.clone(), message: found.message.clone() };
        self.append(&found.session, &record)?;
        let session = found.session.clone();
        let subject = Subject { turn: turn.clone(), ..self.subject_of(found)? };
        self.turns.insert(turn.clone(), crate::turn::Turn::new(subject));
        if let Some(session) = self.sessions.get_mut(&session) {
            session.enqueue(turn.clone());
        }
        Ok((from, turn))
    }
}

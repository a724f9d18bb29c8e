//! Coming back: what an earlier server left unfinished, and what a client that returns lacks.
//!
//! Turns that waited run now. A turn that had begun is over, `failed` with reason `interrupted`; it runs
//! again only if a client says so, as a new turn. A command that had been sent is reported as unknown and
//! never sent again. Text that was permitted and not reported as inserted is offered again.

use super::Kernel;
use crate::config::Secrets;
use crate::error::{Code, Error, Result};
use crate::event::{Reply, Resume, Resumed};
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::known;
use crate::outgoing::{Actuation, Address};
use crate::policy;
use crate::prompt::HistoryItem;
use crate::record::{EndState, Outcome, Record, Status};
use crate::sexp::Rejection;
use crate::store::{self, UnfinishedTurn};
use crate::turn::{Subject, Turn};
use crate::verify::Reading;

impl Kernel {
    /// A client is there: from now on messages may leave. If it is one of ours, what waited runs on; a plain
    /// editor, or a terminal that is there for one question, does not take over the chats of others.
    pub(super) fn hello(&mut self, secrets: Secrets, recover: bool, runs: bool) {
        self.secrets = secrets;
        known::given(self.config.known_keys(&self.secrets), []);
        self.runs_here = !runs;
        self.models.clear();
        if self.shelf.serious().next().is_some() {
            self.tell_skills();
        }
        if recover {
            if let Err(error) = self.recover() {
                tracing::error!(%error, "what an earlier server left could not be read");
            }
            self.retain();
        }
    }

    fn recover(&mut self) -> Result<()> {
        for turn in self.store.unfinished_turns()? {
            match self.hold(&turn.session) {
                Ok(()) => {}
                // Another server is at work on it. If that dies, whoever takes the session finds the rest.
                Err(error) if error.code == Code::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes on with a session that was just taken: `unfinished` are its turns that have not ended, in their order.
    pub(super) fn take_over(&mut self, session: &SessionId, unfinished: &[UnfinishedTurn]) -> Result<()> {
        for turn in unfinished {
            if turn.started {
                self.interrupted(turn)?;
            } else {
                let subject = self.subject(turn, turn.turn.clone(), turn.again);
                self.queue(subject, turn.steers);
            }
        }
        self.start_next(session);
        Ok(())
    }

    fn interrupted(&mut self, turn: &UnfinishedTurn) -> Result<()> {
        for found in self.store.pending_shell(&turn.session)? {
            if found.turn != turn.turn {
                continue;
            }
            let actuation = found.actuation;
            for token in self.store.tokens(&actuation)? {
                self.tokens.revoke_hashed(&token);
            }
            let message = Some("the server went away before the outcome was reported".to_owned());
            let outcome = Outcome { status: Status::Unknown, message, ..Outcome::default() };
            let executed = Record::ActionExecuted { actuation, outcome: outcome.clone() };
            self.record(&turn.session, &executed);
            if let Some(session) = self.sessions.get_mut(&turn.session) {
                let command = found.command.unwrap_or_default();
                session.conclude(&found.sexp, HistoryItem::CommandResult { command, outcome });
            }
        }
        let reason = Some("interrupted".to_owned());
        let record = Record::TurnEnded { turn: turn.turn.clone(), state: EndState::Failed, reason };
        self.record(&turn.session, &record);
        Ok(())
    }

    pub(super) fn subject(&self, found: &UnfinishedTurn, turn: TurnId, again: bool) -> Subject {
        Subject {
            turn,
            session: found.session.clone(),
            mark: found.mark.clone(),
            buffer: found.buffer.clone(),
            level: found.level,
            said: HistoryItem::User { text: found.text.clone(), context: found.context.clone() },
            again,
            around: self.surroundings(found.location.as_ref()),
        }
    }

    /// Lets a client wait until what it asks about is durable. What it is told is read from the views, and those
    /// show only that: above all, which turns were found interrupted a moment ago.
    pub(super) fn come_back(&mut self, resume: Resume, reply: Reply<Resumed>) {
        if let Err(error) = self.hold(&resume.session) {
            return self.answer(reply, Err(error));
        }
        self.returning.push_back((self.ticket, resume, reply));
        self.returned();
    }

    /// Answers the clients whose turn has come.
    pub(super) fn returned(&mut self) {
        while self.returning.front().is_some_and(|(ticket, ..)| self.outbox.is_durable(*ticket)) {
            let Some((_, resume, reply)) = self.returning.pop_front() else { return };
            self.resume(&resume, reply);
            // What the next one is told depends on what this one did.
            for (ticket, ..) in &mut self.returning {
                *ticket = self.ticket;
            }
        }
    }

    /// Brings a client up to date.
    fn resume(&mut self, resume: &Resume, reply: Reply<Resumed>) {
        match self.resumed(resume) {
            Ok(resumed) => {
                let fresh: Vec<TurnId> = resumed.resumed.iter().map(|(_, turn)| turn.clone()).collect();
                self.answer(reply, Ok(resumed));
                // Like an event's answer, this one precedes the messages of the turns it started.
                for turn in &fresh {
                    self.advance(turn, Turn::accepted);
                }
                self.start_next(&resume.session);
            }
            Err(error) => self.answer(reply, Err(error)),
        }
    }

    fn resumed(&mut self, resume: &Resume) -> Result<Resumed> {
        self.hold(&resume.session)?;
        let applied = resume.applied.iter().map(ActuationId::as_str).collect();
        let missing = self.store.missing(&resume.session, &applied)?;
        let mut actuations = Vec::new();
        for pending in self.store.pending_inserts(&resume.session)? {
            if resume.applied.contains(&pending.actuation) {
                let report = crate::event::Actuated {
                    actuation: pending.actuation,
                    token: None,
                    outcome: Outcome::default(),
                };
                self.report(report)?;
            } else {
                actuations.push(self.again(pending)?);
            }
        }
        let (mut interrupted, mut resumed, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for found in self.store.interrupted_turns(&resume.session)? {
            if resume.turns.contains(&found.turn) {
                resumed.push(self.run_again(&found)?);
            } else if resume.drop.contains(&found.turn) {
                self.append(&found.session, &Record::TurnDropped { turn: found.turn })?;
            } else {
                events.push((found.turn.clone(), found.mark));
                interrupted.push((found.turn, found.message));
            }
        }
        let live: Option<Vec<TurnId>> =
            self.sessions.get(&resume.session).map(|session| session.live().cloned().collect());
        let live = live.unwrap_or_default();
        for turn in &live {
            if let Some(turn) = self.turns.get(turn).map(Turn::subject) {
                events.push((turn.turn.clone(), turn.mark.clone()));
            }
        }
        for turn in actuations.iter().map(|actuation| &actuation.address().turn) {
            if events.iter().any(|(known, _)| known == turn) {
                continue;
            }
            if let Some(found) = self.store.answering(turn)? {
                events.push((found.turn, found.mark));
            }
        }
        Ok(Resumed {
            session: resume.session.clone(),
            actuations,
            missing,
            interrupted,
            resumed,
            live,
            events,
        })
    }

    /// A recorded insert, read and judged again: the log is a file, and files can be touched.
    fn again(&self, pending: store::Actuation) -> Result<Actuation> {
        let broken = |rejection: Rejection| {
            Error::internal(format!("the recorded text of {} does not verify", pending.actuation))
                .because(rejection.message)
        };
        let buffer = self.sessions.get(&pending.session).map(|session| session.buffer.clone());
        let level = self.store.find_turn(&pending.turn)?.map_or(1, |turn| turn.level);
        let mut reading = Reading::new(&buffer.unwrap_or_default(), level as usize + 1);
        reading.feed(pending.sexp.as_bytes()).map_err(broken)?;
        let accepted = reading.finish().map_err(broken)?;
        let address = Address {
            actuation: pending.actuation,
            turn: pending.turn,
            session: pending.session,
            attempt: pending.attempt,
            seq: 0,
        };
        Ok(Actuation::new(address, policy::judge(accepted.action, None, None), None))
    }

    fn run_again(&mut self, found: &UnfinishedTurn) -> Result<(TurnId, TurnId)> {
        let (from, turn) = (found.turn.clone(), TurnId::random()?);
        let record =
            Record::TurnResumed { turn: turn.clone(), from: from.clone(), message: found.message.clone() };
        self.append(&found.session, &record)?;
        let subject = self.subject(found, turn.clone(), true);
        self.turns.insert(turn.clone(), Turn::new(subject));
        if let Some(session) = self.sessions.get_mut(&found.session) {
            session.enqueue(turn.clone(), false);
        }
        Ok((from, turn))
    }
}

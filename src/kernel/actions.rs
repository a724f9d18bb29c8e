//! What clients say about actions: decisions, output, outcomes, refusals; and the wish to stop a turn.

use std::collections::HashMap;

use super::Kernel;
use super::secrets::Stream;
use crate::config::RuleSpec;
use crate::error::{Code, Error, Result};
use crate::event::{Actuated, Decide, Decided, Output, Reply};
use crate::ids::{self, ActuationId, TurnId};
use crate::record::{Outcome, Record, Status};
use crate::turn::{self, DecideError, Effect, Effects, Issue, Keep, Refusal, Subject};

/// How much of one output stream is kept, in bytes; the middle goes.
const OUTPUT: usize = 65_536;

/// How long a client's own words about an action may be, in bytes.
const MESSAGE: usize = 4_096;

impl Keep for Kernel {
    fn issue(&mut self, issue: &Issue, subject: &Subject) -> Result<()> {
        self.tokens.issue(&subject.turn, issue, &subject.around)
    }

    fn revoke(&mut self, subject: &Subject) {
        self.tokens.revoke(&subject.turn);
    }

    fn save(&mut self, rules: &[RuleSpec]) -> Result<()> {
        self.save_rules(rules).inspect_err(|error| tracing::error!(%error, "a rule could not be saved"))
    }
}

/// Live output of commands that have not been reported as ended.
#[derive(Debug, Default)]
pub(super) struct Outputs(HashMap<ActuationId, Live>);

/// Live output of one command.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
}

impl Outputs {
    pub(super) fn forget(&mut self, actuation: &ActuationId) {
        self.0.remove(actuation);
    }
}

impl Kernel {
    /// Stops a turn.
    pub(super) fn cancel(&mut self, id: &TurnId, reply: Reply<bool>) {
        let now = self.now();
        if let Some(turn) = self.turns.get_mut(id) {
            let effects = turn.cancel(now);
            let cancelled = effects.is_some();
            self.carry_out(id, effects.unwrap_or_default());
            return self.answer(reply, Ok(cancelled));
        }
        let id = id.clone();
        self.outbox.answer(self.ticket, move |store| {
            reply.send(store.and_then(|store| store.find_turn(&id)).and_then(|turn| match turn {
                Some(_) => Ok(false),
                None => Err(Error::not_found(format!("no turn {id}"))),
            }));
        });
    }

    /// Takes the user's decision about a command.
    pub(super) fn decide(&mut self, decide: &Decide, reply: Reply<Decided>) {
        let result = self.decided(decide);
        match result {
            Ok((turn, decided, effects)) => {
                // The answer stands before the messages that follow from it, and both after the record.
                let at = effects.iter().take_while(|effect| matches!(effect, Effect::Record(_))).count();
                let mut effects = effects;
                let rest = effects.split_off(at);
                self.carry_out(&turn, effects);
                self.answer(reply, Ok(decided));
                self.carry_out(&turn, rest);
            }
            Err(error) => self.answer(reply, Err(error)),
        }
    }

    fn decided(&mut self, decide: &Decide) -> Result<(TurnId, Decided, Effects)> {
        let id = self.turn_of(&decide.actuation)?;
        let (now, token) = (self.now(), ids::token()?);
        let over = || Error::new(Code::Conflict, "this action is not waiting for a decision");
        // For as long as it is asked it is not among the others: what it leaves behind, the kernel keeps.
        let mut turn = self.turns.remove(&id).ok_or_else(over)?;
        let ours = turn.actuation() == Some(&decide.actuation);
        let message = decide.message.as_deref().map(|text| clip(text, MESSAGE).0);
        let decide = Decide { message, ..decide.clone() };
        let decision = if ours { turn.decide(&decide, token, now, self) } else { Err(DecideError::NotNow) };
        self.turns.insert(id.clone(), turn);
        match decision {
            Ok((decided, effects)) => Ok((id, decided, effects)),
            Err(DecideError::NotNow) => Err(over()),
            Err(DecideError::NotKept(error)) => Err(error),
            Err(DecideError::Limited) => Err(Error::bad_request("the sandbox of this session allows that to no command")
                .because("it was made stricter than the configuration")
                .hint("let it run confined and without the network, say no, or choose another sandbox for the session")),
            Err(DecideError::Denied(rule)) => Err(Error::bad_request("the edited command is denied")
                .because(rule)
                .hint("edit it again, or say no")),
            Err(DecideError::Rejected(rejection)) => {
                Err(Error::bad_request("the edited command is not allowed")
                    .because(rejection.message)
                    .hint(rejection.hint))
            }
        }
    }

    /// Keeps what a running command wrote, in case its end is reported without it.
    pub(super) fn output(&mut self, output: &Output) {
        let live = self.actuations.get(&output.actuation).is_some_and(|turn| self.turns.contains_key(turn));
        if !live {
            return;
        }
        if !self.outputs.0.contains_key(&output.actuation) {
            let keys = self.keys();
            let live = Live { stdout: Stream::new(&keys), stderr: Stream::new(&keys) };
            self.outputs.0.insert(output.actuation.clone(), live);
        }
        if let Some(live) = self.outputs.0.get_mut(&output.actuation) {
            let stream = if output.stderr { &mut live.stderr } else { &mut live.stdout };
            stream.push(&output.text, OUTPUT);
        }
    }

    /// Takes the report about an action. Reported twice, it counts once.
    pub(super) fn actuated(&mut self, actuated: Actuated, reply: Reply<()>) {
        let result = self.report(actuated);
        self.answer(reply, result);
    }

    /// Takes a report, whichever way it came.
    pub(super) fn report(&mut self, actuated: Actuated) -> Result<()> {
        let Actuated { actuation, token, outcome } = actuated;
        let Some(id) = self.actuations.get(&actuation).cloned() else {
            return self.late_report(&actuation, outcome);
        };
        let now = self.now();
        let outcome = self.complete(&actuation, outcome);
        let Some(turn) = self.turns.get_mut(&id) else { return Ok(()) };
        if turn.actuation() != Some(&actuation) {
            return Ok(());
        }
        let outcome = self.tokens.known(&id, outcome);
        match turn.actuated(token.as_deref(), outcome, now) {
            Ok(effects) => {
                self.carry_out(&id, effects);
                Ok(())
            }
            Err(Refusal::NotNow) => Ok(()),
            Err(Refusal::WrongToken) => {
                Err(Error::new(Code::Unauthorized, "the token is not the one this action was given")
                    .hint("send back the token that orgAgent/decide answered"))
            }
        }
    }

    /// A report about an action of an earlier server: an insert that is now in the buffer, a command whose
    /// outcome is known after all, or a new text for a region that the user has accepted or rejected since.
    fn late_report(&mut self, actuation: &ActuationId, outcome: Outcome) -> Result<()> {
        let Some(found) = self.store.find_actuation(actuation)? else {
            return Err(Error::not_found(format!("no actuation {actuation}")));
        };
        if found.outcome.as_ref().is_some_and(|outcome| outcome.status != Status::Unknown) {
            return Ok(());
        }
        self.hold(&found.session)?;
        let outcome = self.complete(actuation, outcome);
        if let (Some(session), Some(command)) = (self.sessions.get_mut(&found.session), &found.command) {
            session.learn(command, &outcome);
        }
        if found.replaces() {
            // The turn was interrupted as it waited for nothing but this.
            let (records, state, reason) = turn::settled(actuation, outcome);
            let turn = found.turn.clone();
            for record in records.into_iter().chain([Record::TurnEnded { turn, state, reason }]) {
                self.record(&found.session, &record);
            }
        } else {
            self.record(&found.session, &Record::ActionExecuted { actuation: actuation.clone(), outcome });
        }
        self.actuations.insert(actuation.clone(), found.turn);
        self.settled.push_back(actuation.clone());
        Ok(())
    }

    /// The client has received an action. Of a text for its buffer that is recorded.
    pub(super) fn received(&mut self, actuation: &ActuationId) {
        let turn = self.actuations.get(actuation).and_then(|id| self.turns.get(id));
        let Some(turn) = turn.filter(|turn| turn.is_inserting() && turn.actuation() == Some(actuation))
        else {
            return;
        };
        let session = turn.subject().session.clone();
        self.record(&session, &Record::MessageDelivered { actuation: actuation.clone() });
    }

    /// A client answered no, or with an error, to an actuation.
    pub(super) fn refused(&mut self, actuation: &ActuationId, message: String) {
        let is_insert = |kernel: &Self| {
            let turn = kernel.actuations.get(actuation).and_then(|id| kernel.turns.get(id));
            turn.filter(|turn| turn.actuation() == Some(actuation))
                .is_some_and(|turn| turn.is_inserting() || turn.is_offering())
        };
        let status = if is_insert(self) { Status::Failed } else { Status::Denied };
        let outcome = Outcome { status, message: Some(message), ..Outcome::default() };
        let report = Actuated { actuation: actuation.clone(), token: None, outcome };
        if let Err(error) = self.report(report) {
            tracing::warn!(%error, "a refusal came for nothing that waits");
        }
    }

    fn turn_of(&self, actuation: &ActuationId) -> Result<TurnId> {
        self.actuations.get(actuation).cloned().ok_or_else(|| {
            Error::not_found(format!("no actuation {actuation}")).hint("it may belong to an earlier server")
        })
    }

    /// The outcome without secrets and within its bounds, with the live output if the report had none. Cut last:
    /// of a secret that was cut in its middle, less could be recognised.
    fn complete(&self, actuation: &ActuationId, outcome: Outcome) -> Outcome {
        let live = self.outputs.0.get(actuation);
        let says_nothing =
            outcome.stdout.is_empty() && outcome.stderr.is_empty() && outcome.message.is_none();
        if says_nothing && live.is_none() {
            return outcome;
        }
        let mut outcome = self.masked(live, outcome);
        for stream in [&mut outcome.stdout, &mut outcome.stderr] {
            let (text, cut) = clip(stream, OUTPUT);
            *stream = text;
            outcome.truncated |= cut;
        }
        outcome.message = outcome.message.map(|text| clip(&text, MESSAGE).0);
        outcome
    }
}

/// At most `most` bytes of `text`, without its middle; true if it was cut.
pub(super) fn clip(text: &str, most: usize) -> (String, bool) {
    if text.len() <= most {
        return (text.to_owned(), false);
    }
    let head = text.floor_char_boundary(most / 2);
    let tail = text.ceil_char_boundary(text.len() - most / 2);
    (format!("{}\n[… {} bytes left out …]\n{}", &text[..head], tail - head, &text[tail..]), true)
}

//! What a turn does with a verified action: propose it, insert it, ask about it, go on after it.

use std::time::Duration;

use super::{Effect, Effects, Issue, LAST_STEP, Phase, Turn, approved, permitted};
use crate::action::Kind;
use crate::ids::{self, ActuationId};
use crate::outgoing::{Actuation, Address, Outgoing, State};
use crate::policy::{self, Permit};
use crate::prompt::HistoryItem;
use crate::record::{Decider, Decision, EndState, Outcome, Record, Status};
use crate::verify;

impl Turn {
    pub(super) fn propose(&mut self, permit: Permit, now: Duration, effects: &mut Effects) {
        // What runs unasked has its token from the beginning.
        let unasked = permit.action().kind() == Kind::Shell && permit.decision() == Decision::Allow;
        let token = match unasked.then(ids::token).transpose() {
            Ok(token) => token,
            Err(error) => return self.no_random_bytes(&error, effects),
        };
        let Some(actuation) = self.record_proposal(&permit, token.as_deref(), false, effects) else { return };
        let sexp = crate::sexp::printer::print(permit.action());
        effects.push(Effect::Remember(HistoryItem::Assistant { sexp }));
        match permit.action().kind() {
            // The last of them is offered, and does not come here.
            Kind::Insert | Kind::Response | Kind::Replace => {
                self.insert(actuation, permit, EndState::Done, None, effects);
            }
            Kind::Shell => self.command(actuation, permit, token, now, effects),
            Kind::Log => {
                tracing::info!(turn = %self.subject.turn, "the model logged a note");
                effects
                    .push(Effect::Record(Record::ActionExecuted { actuation, outcome: Outcome::default() }));
                self.end(EndState::Done, None, effects);
            }
            Kind::Skill => {
                let name = permit.action().text("name").unwrap_or_default().to_owned();
                self.phase = Phase::Activating { actuation, name: name.clone() };
                effects.push(Effect::Activate(name));
            }
        }
    }

    /// Runs a command, asks about it, or tells the model that it must not run.
    fn command(
        &mut self,
        actuation: ActuationId,
        permit: Permit,
        token: Option<String>,
        now: Duration,
        effects: &mut Effects,
    ) {
        let command = super::command_of(permit.action());
        self.place = self.subject.around.place(permit.action().text("cwd"));
        match permit.decision() {
            Decision::Allow => {
                effects.push(self.state(State::Acting, None));
                let unasked = (!self.subject.around.runs_here).then(|| permit.verified().clone());
                let (id, expected) = (actuation.clone(), token.clone());
                self.phase = Phase::Running { actuation: id, command, token: expected, unasked };
                let given = token.as_deref().unwrap_or_default();
                let issue =
                    Box::new(Issue { unasked: true, ..*self.issue(&actuation, &permit, given, false) });
                effects.push(Effect::Issue(issue.clone()));
                if self.subject.around.runs_here {
                    effects.push(Effect::Run(issue));
                } else {
                    self.actuate(actuation, permit, token, effects);
                }
            }
            Decision::Ask => {
                effects.push(self.state(State::AwaitingApproval, None));
                self.phase =
                    Phase::Asking { actuation: actuation.clone(), action: permit.verified().clone() };
                self.actuate(actuation, permit, None, effects);
            }
            Decision::Deny => {
                let message = Some(format!("the policy denies it: {}", permit.rule()));
                let outcome =
                    Outcome { status: Status::Denied, message, by_policy: true, ..Outcome::default() };
                self.executed(&actuation, command, outcome, now, effects);
            }
        }
    }

    /// The kernel's own message to the user; the turn fails once the client has it.
    pub(super) fn system_error(
        &mut self,
        message: &str,
        rejected: Option<&str>,
        reason: &str,
        effects: &mut Effects,
    ) {
        let permit = policy::judge(verify::system_error(message, rejected), None, None);
        if let Some(actuation) = self.record_proposal(&permit, None, true, effects) {
            let reason = Some(format!("{reason}: {message}"));
            self.insert(actuation, permit, EndState::Failed, reason, effects);
        }
    }

    pub(super) fn insert(
        &mut self,
        actuation: ActuationId,
        permit: Permit,
        end: EndState,
        reason: Option<String>,
        effects: &mut Effects,
    ) {
        effects.push(self.state(State::Acting, None));
        self.phase = Phase::Inserting { actuation: actuation.clone(), end, reason };
        self.actuate(actuation, permit, None, effects);
    }

    pub(super) fn actuate(
        &mut self,
        actuation: ActuationId,
        permit: Permit,
        token: Option<String>,
        effects: &mut Effects,
    ) {
        let address = Address {
            actuation,
            turn: self.subject.turn.clone(),
            session: self.subject.session.clone(),
            attempt: self.attempt,
            seq: self.next_seq(),
        };
        let shell = permit.action().kind() == Kind::Shell;
        let location = shell.then(|| self.subject.around.location(&self.place));
        let mut actuation = Actuation::new(address, permit, token);
        if let Some(location) = location {
            actuation = actuation.at(location);
        }
        effects.push(Effect::Send(Outgoing::Actuate(Box::new(actuation))));
    }

    /// Records an action and what the policy said. Without random bytes there is no identifier, and then
    /// nothing can be carried out: the turn ends.
    pub(super) fn record_proposal(
        &mut self,
        permit: &Permit,
        token: Option<&str>,
        system: bool,
        effects: &mut Effects,
    ) -> Option<ActuationId> {
        let actuation = match ActuationId::random() {
            Ok(actuation) => actuation,
            Err(error) => {
                self.no_random_bytes(&error, effects);
                return None;
            }
        };
        effects.push(Effect::Record(Record::ActionProposed {
            actuation: actuation.clone(),
            turn: self.subject.turn.clone(),
            attempt: self.attempt,
            action: permit.action().to_json(),
            sexp: crate::sexp::printer::print(permit.action()),
            system,
            mark: None,
        }));
        let decided = (permit.decision(), permit.rule());
        effects.push(permitted(&actuation, decided, Decider::Policy, None, approved(permit, token)));
        Some(actuation)
    }

    pub(super) fn no_random_bytes(&mut self, error: &getrandom::Error, effects: &mut Effects) {
        self.end(EndState::Failed, Some(format!("no random bytes: {error}")), effects);
    }

    /// A command has an outcome: the model gets it and goes on.
    pub(super) fn executed(
        &mut self,
        actuation: &ActuationId,
        command: String,
        outcome: Outcome,
        now: Duration,
        effects: &mut Effects,
    ) {
        effects.push(Effect::Record(Record::ActionExecuted {
            actuation: actuation.clone(),
            outcome: outcome.clone(),
        }));
        effects.push(Effect::Remember(HistoryItem::CommandResult { command, outcome }));
        self.next_step(now, effects);
    }

    pub(super) fn next_step(&mut self, now: Duration, effects: &mut Effects) {
        self.step += 1;
        if self.make_way(effects) {
            return;
        }
        if self.step >= LAST_STEP {
            let message = format!("the model took {} steps without an answer", LAST_STEP - 1);
            self.system_error(&message, None, "steps", effects);
        } else {
            self.ask(State::Thinking, None, now, effects);
        }
    }

    pub(super) fn ask(&mut self, state: State, reason: Option<String>, now: Duration, effects: &mut Effects) {
        if self.make_way(effects) {
            return;
        }
        self.prompt(now);
        effects.push(self.state(state, reason));
        effects.push(Effect::Ask(self.repair.clone()));
    }
}

//! What a client, or its user, does to a turn: stop it, decide about a command, report how an action ended.

use std::time::Duration;

use super::{Effect, Effects, Issue, Keep, Phase, Turn, approved, command_of, permitted};
use crate::error::Error;
use crate::ids::ActuationId;
use crate::outgoing::{Outgoing, State};
use crate::policy::{self, Permit};
use crate::prompt::HistoryItem;
use crate::record::{Approved, Decider, Decision, EndState, Outcome, Record, Status, Verdict};
use crate::request::{Choice, Decide, Decided};
use crate::sexp::Rejection;
use crate::verify;

/// Why a client's message about an action was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The action is not, or no longer, in that state.
    NotNow,
    /// The token is not the one that was given out.
    WrongToken,
}

/// Why a decision was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum DecideError {
    /// Nothing waits for a decision.
    NotNow,
    /// The edited command is not one that the grammar allows.
    Rejected(Rejection),
    /// What was made of the command must not run, by this rule.
    Denied(String),
    /// The session does not allow that much to any command.
    Limited,
    /// What the token would let run could not be written down.
    NotKept(Error),
}

impl Turn {
    /// Stops. `None`: it is too late, the text has already left for the buffer, or the turn has ended.
    #[must_use]
    pub fn cancel(&mut self, now: Duration) -> Option<Effects> {
        let mut effects = Vec::new();
        let stopped =
            |actuation: &ActuationId, command: String, status, message: &str, effects: &mut Effects| {
                let outcome = Outcome { status, message: Some(message.to_owned()), ..Outcome::default() };
                let actuation = actuation.clone();
                effects.push(Effect::Record(Record::ActionExecuted { actuation, outcome: outcome.clone() }));
                effects.push(Effect::Remember(HistoryItem::CommandResult { command, outcome }));
            };
        match &self.phase {
            Phase::Ended | Phase::Inserting { .. } => return None,
            Phase::Queued
            | Phase::BackingOff
            | Phase::Dispatching
            | Phase::Summoning { .. }
            | Phase::Activating { .. } => {}
            Phase::Gating => self.retract("cancelled", &mut effects),
            Phase::Reading(_) | Phase::Consulting(_) => {
                effects.push(Effect::StopModel);
                self.retract("cancelled", &mut effects);
                self.replied(Verdict::Cancelled, None, now, &mut effects);
            }
            Phase::Offering { actuation } => self.withdrawn(actuation, &mut effects),
            Phase::Asking { actuation, action } => {
                let decided = (Decision::Deny, "the user cancelled the turn");
                effects.push(permitted(actuation, decided, Decider::User, None, Approved::default()));
                let command = command_of(action.action());
                stopped(actuation, command, Status::Denied, "cancelled before it ran", &mut effects);
            }
            Phase::Running { actuation, command, .. } => {
                stopped(actuation, command.clone(), Status::Failed, "cancelled while it ran", &mut effects);
                effects.push(Effect::Send(Outgoing::Abort(actuation.clone())));
            }
        }
        self.end(EndState::Cancelled, None, &mut effects);
        Some(effects)
    }

    /// Takes the user's decision about a command. `token` is what the client has to give back; what has to be kept
    /// `keep` gets.
    pub fn decide(
        &mut self,
        decide: &Decide,
        token: String,
        now: Duration,
        keep: &mut dyn Keep,
    ) -> Result<(Decided, Effects), DecideError> {
        let (choice, command) = (decide.choice, decide.command.as_deref());
        let (Phase::Asking { actuation, action } | Phase::Running { actuation, unasked: Some(action), .. }) =
            &self.phase
        else {
            return Err(DecideError::NotNow);
        };
        let actuation = actuation.clone();
        if choice == Choice::Deny {
            let message = decide.message.clone();
            let outcome = Outcome { status: Status::Denied, message, ..Outcome::default() };
            let shown = command_of(action.action());
            return Ok(self.denied(&actuation, shown, (Decider::User, "the user said no"), outcome, now));
        }
        let action = match command {
            Some(command) => verify::with_command(action, command).map_err(DecideError::Rejected)?,
            None => action.clone(),
        };
        let permit = policy::judge(action, Some(&self.subject.around), self.foreign.as_deref());
        if permit.decision() == Decision::Deny {
            if command.is_some() {
                return Err(DecideError::Denied(permit.rule().to_owned()));
            }
            // The session has become stricter since it was asked about: there is nothing left to decide.
            let message = Some(format!("the command is denied now: {}", permit.rule()));
            let outcome = Outcome { status: Status::Denied, message, by_policy: true, ..Outcome::default() };
            let shown = command_of(permit.action());
            return Ok(self.denied(&actuation, shown, (Decider::Policy, permit.rule()), outcome, now));
        }
        let around = &self.subject.around;
        if around.limit.confines() && (decide.network || decide.unconfined) {
            return Err(DecideError::Limited);
        }
        let elsewhere = around.host.is_some();
        let unconfined = decide.unconfined && !elsewhere && !around.runs_here;
        let issue = self.issue(&actuation, &permit, &token, decide.network);
        // What the client runs by itself, it cannot run by the token.
        if unconfined || elsewhere {
            keep.revoke(&self.subject);
        } else {
            keep.issue(&issue, &self.subject).map_err(DecideError::NotKept)?;
        }
        let (mut saved, mut hint) = (None, None);
        let rule = match (choice, permit.narrowest()) {
            (Choice::Always, Some(rules)) => {
                let failed = keep.save(&rules).err();
                saved = Some(failed.is_none());
                hint = failed.map(|error| error.one_line());
                let but =
                    hint.as_ref().map(|why| format!("; it runs once, for this could not be saved: {why}"));
                format!("the user said always: {}{}", permit.rule(), but.unwrap_or_default())
            }
            (Choice::Always, None) => {
                saved = Some(false);
                hint = Some("such a command can only be allowed once".to_owned());
                format!("the user said run once: {}, so nothing is remembered", permit.rule())
            }
            (Choice::Run | Choice::Deny, _) => format!("the user said run: {}", permit.rule()),
        };
        let shown = command_of(permit.action());
        let mut effects = vec![permitted(
            &actuation,
            (Decision::Allow, &rule),
            Decider::User,
            command.map(str::to_owned),
            Approved { network: decide.network, unconfined, ..approved(&permit, Some(&token)) },
        )];
        effects.push(self.state(State::Acting, None));
        self.phase = Phase::Running { actuation, command: shown, token: Some(token.clone()), unasked: None };
        if self.subject.around.runs_here {
            effects.push(Effect::Run(issue));
        }
        let steps = permit.steps().map(<[_]>::to_vec);
        Ok((Decided { decision: Decision::Allow, token: Some(token), steps, rule, saved, hint }, effects))
    }

    /// A command is denied: how that is answered, and what follows.
    fn denied(
        &mut self,
        actuation: &ActuationId,
        command: String,
        (by, rule): (Decider, &str),
        outcome: Outcome,
        now: Duration,
    ) -> (Decided, Effects) {
        let mut effects = vec![permitted(actuation, (Decision::Deny, rule), by, None, Approved::default())];
        self.executed(actuation, command, outcome, now, &mut effects);
        let rule = rule.to_owned();
        (
            Decided { decision: Decision::Deny, token: None, steps: None, rule, saved: None, hint: None },
            effects,
        )
    }

    /// Takes the client's report about the action that is under way.
    pub fn actuated(
        &mut self,
        token: Option<&str>,
        outcome: Outcome,
        now: Duration,
    ) -> Result<Effects, Refusal> {
        let mut effects = Vec::new();
        match &self.phase {
            Phase::Inserting { actuation, end, reason } => {
                let (end, reason) = match outcome.status {
                    Status::Done => (*end, reason.clone()),
                    Status::Denied | Status::Failed | Status::Unknown => {
                        let why = outcome.message.clone().unwrap_or_else(|| "no reason given".to_owned());
                        (EndState::Failed, Some(format!("the client could not insert the text: {why}")))
                    }
                };
                effects
                    .push(Effect::Record(Record::ActionExecuted { actuation: actuation.clone(), outcome }));
                self.end(end, reason, &mut effects);
            }
            Phase::Offering { actuation } => {
                let actuation = actuation.clone();
                self.answered(&actuation, outcome, &mut effects);
            }
            Phase::Asking { actuation, action } => {
                let (actuation, shown) = (actuation.clone(), command_of(action.action()));
                let decision =
                    if outcome.status == Status::Denied { Decision::Deny } else { Decision::Allow };
                let rule = "the client reported an outcome without a decision";
                effects.push(permitted(
                    &actuation,
                    (decision, rule),
                    Decider::Client,
                    None,
                    Approved::default(),
                ));
                self.executed(&actuation, shown, outcome, now, &mut effects);
            }
            Phase::Running { actuation, command, token: expected, .. } => {
                if token.is_some() && token != expected.as_deref() {
                    return Err(Refusal::WrongToken);
                }
                let (actuation, shown) = (actuation.clone(), command.clone());
                self.executed(&actuation, shown, outcome, now, &mut effects);
            }
            Phase::Queued
            | Phase::Dispatching
            | Phase::Summoning { .. }
            | Phase::Consulting(_)
            | Phase::Reading(_)
            | Phase::Gating
            | Phase::Activating { .. }
            | Phase::BackingOff
            | Phase::Ended => return Err(Refusal::NotNow),
        }
        Ok(effects)
    }

    /// What `token` lets run, as `permit` has it. What was not allowed without asking is asked by now.
    pub(super) fn issue(
        &self,
        actuation: &ActuationId,
        permit: &Permit,
        token: &str,
        network: bool,
    ) -> Box<Issue> {
        Box::new(Issue {
            token: token.to_owned(),
            actuation: actuation.clone(),
            action: permit.verified().clone(),
            place: self.place.clone(),
            steps: permit.steps().map(<[_]>::to_vec),
            unasked: false,
            network,
            confined: permit.unconfined().is_none(),
        })
    }
}

//! A turn that rewrites a region: its text is offered to the user, who accepts or rejects it in the editor.
//!
//! That may take hours, like a decision about a command: nothing is timed, and nothing is held but the session.

use super::{Effect, Effects, Phase, Subject, Turn, permission, permitted};
use crate::action::Action;
use crate::ids::ActuationId;
use crate::outgoing::State;
use crate::policy;
use crate::prompt::HistoryItem;
use crate::record::{Approved, Decider, Decision, EndState, Outcome, Record, Status};
use crate::sexp::printer;
use crate::verify::{self, Reading, Verified};

impl Subject {
    /// A fresh reading of a reply to it.
    #[must_use]
    pub fn reading(&self) -> Reading {
        match self.said.rewritten() {
            Some(region) => Reading::rewriting(&self.buffer, &region.text, region.mode.as_deref()),
            None => Reading::new(&self.buffer, self.level as usize + 1),
        }
    }
}

/// What `outcome` of the text `actuation` of a rewrite means: what is recorded of the text, and how its turn ends.
#[must_use]
pub fn settled(actuation: &ActuationId, outcome: Outcome) -> ([Record; 2], EndState, Option<String>) {
    let words = outcome.message.clone();
    let (decision, rule, state, reason) = match outcome.status {
        Status::Done => (Decision::Allow, "the user accepted it", EndState::Done, None),
        Status::Denied => {
            let why = words.unwrap_or_else(|| "the user rejected it".to_owned());
            (Decision::Deny, "the user rejected it", EndState::Cancelled, Some(why))
        }
        Status::Failed | Status::Unknown => {
            let why = words.unwrap_or_else(|| "no reason given".to_owned());
            let why = format!("the client could not replace the region: {why}");
            (Decision::Deny, "the client could not replace the region", EndState::Failed, Some(why))
        }
    };
    let by = if state == EndState::Failed { Decider::Client } else { Decider::User };
    let permitted = permission(actuation, (decision, rule), by, None, Approved::default());
    ([permitted, Record::ActionExecuted { actuation: actuation.clone(), outcome }], state, reason)
}

impl Turn {
    /// Whether a text waits for the user to accept or reject it.
    #[must_use]
    pub fn is_offering(&self) -> bool {
        matches!(self.phase, Phase::Offering { .. })
    }

    /// Offers the text of `action` for the region.
    pub(super) fn offer(&mut self, action: &Verified<Action>, effects: &mut Effects) {
        let Some(replacement) = verify::replacement(action) else {
            let message = "a rewrite is answered with the new text and nothing else";
            return self.system_error(message, None, "rejected", effects);
        };
        let permit = policy::judge(replacement, Some(&self.subject.around), self.foreign.as_deref())
            .noting(&std::mem::take(&mut self.touched));
        let Some(actuation) = self.record_proposal(&permit, None, false, effects) else { return };
        // As the model wrote it: the form in which it is offered is not one that a model may write.
        effects.push(Effect::Remember(HistoryItem::Assistant { sexp: printer::print(action.action()) }));
        effects.push(self.state(State::AwaitingApproval, None));
        self.phase = Phase::Offering { actuation: actuation.clone() };
        self.actuate(actuation, permit, None, effects);
    }

    /// The user accepted or rejected the text, or it could not be put there.
    pub(super) fn answered(&mut self, actuation: &ActuationId, outcome: Outcome, effects: &mut Effects) {
        let (records, state, reason) = settled(actuation, outcome);
        effects.extend(records.into_iter().map(Effect::Record));
        self.end(state, reason, effects);
    }

    /// The turn was stopped while its text waited.
    pub(super) fn withdrawn(&self, actuation: &ActuationId, effects: &mut Effects) {
        let decided = (Decision::Deny, "the user cancelled the turn");
        effects.push(permitted(actuation, decided, Decider::User, None, Approved::default()));
        let outcome = Outcome { status: Status::Denied, ..Outcome::default() };
        effects.push(Effect::Record(Record::ActionExecuted { actuation: actuation.clone(), outcome }));
    }
}

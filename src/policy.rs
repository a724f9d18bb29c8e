//! The policy: which verified action may leave, and how. The only maker of a [`Permit`].
//!
//! First cut: text may go to the session that asked; every shell command is asked.

use crate::action::{Action, Kind};
use crate::record::Decision;
use crate::verify::Verified;

/// Proof that the policy looked at a verified action and did not refuse it.
///
/// A permit of decision `ask` lets the action be shown to the user, who decides; it does not let it run.
#[derive(Clone, Debug)]
pub struct Permit {
    action: Verified<Action>,
    decision: Decision,
    rule: &'static str,
}

impl Permit {
    /// The action.
    #[must_use]
    pub fn action(&self) -> &Action {
        self.action.action()
    }

    /// The action with its proof, for a change that has to be judged again.
    #[must_use]
    pub fn verified(&self) -> &Verified<Action> {
        &self.action
    }

    /// Whether it may be carried out at once or has to be asked.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// The rule that decided, for people.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        self.rule
    }
}

/// Judges `action`.
#[must_use]
pub fn judge(action: Verified<Action>) -> Permit {
    let (decision, rule) = match action.action().kind() {
        Kind::Insert | Kind::Response => (Decision::Allow, "text may go to the session that asked"),
        Kind::Log => (Decision::Allow, "a note may go to the log"),
        Kind::Skill => (Decision::Allow, "a skill may be loaded by its name"),
        Kind::Shell => (Decision::Ask, "every shell command is asked"),
    };
    Permit { action, decision, rule }
}

//! An action on the wire, with what a client needs to show and run a command.

use super::super::{ActuateParams, Step};
use crate::action::Kind;
use crate::config::RuleSpec;
use crate::outgoing::Actuation;
use crate::{sandbox, shell};

impl ActuateParams {
    /// The request.
    #[must_use]
    pub fn to_wire(actuation: &Actuation) -> Self {
        let address = actuation.address().clone();
        let shell = actuation.action().kind() == Kind::Shell;
        Self {
            actuation_id: address.actuation.0,
            turn_id: address.turn.0,
            session_id: address.session.0,
            attempt: address.attempt,
            seq: address.seq,
            action: actuation.action().to_json(),
            sexp: actuation.sexp().to_owned(),
            decision: actuation.decision(),
            token: actuation.token().map(str::to_owned),
            rule: actuation.rule().to_owned(),
            steps: actuation.steps().map(steps),
            always: actuation.always().map(|rules| rules.iter().map(shown).collect::<Vec<_>>().join("\n")),
            sandbox: shell.then(|| sandbox::terms(actuation.unconfined(), actuation.limit())),
            confined: shell.then(|| actuation.unconfined().is_none()),
            directory: actuation.location().map(|location| location.directory.clone()),
            host: actuation.location().and_then(|location| location.host.clone()),
        }
    }
}

/// The steps as they stand on the wire.
pub(super) fn steps(steps: &[shell::Step]) -> Vec<Step> {
    let step =
        |step: &shell::Step| Step { op: step.op.map(|op| op.as_str().to_owned()), argv: step.argv.clone() };
    steps.iter().map(step).collect()
}

/// A rule as it would stand in a file, in one line.
fn shown(rule: &RuleSpec) -> String {
    format!("{} {}", rule.decision.as_str(), serde_json::to_string(&rule.pattern).unwrap_or_default())
}

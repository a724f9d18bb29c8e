//! The policy: which verified action may leave, and how. The only maker of a [`Permit`].
//!
//! Text may go to the session that asked. What may become of a shell command is for `shell` to say, from its
//! parsed shape; here stands what else matters: where it would run, whether it can be confined, and whether
//! the model was shown text that neither the user nor this program wrote.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::action::{Action, Kind};
use crate::config::RuleSpec;
use crate::record::Decision;
use crate::shell::{self, Place, Rule, Step};
use crate::verify::Verified;

/// Proof that the policy looked at a verified action and did not refuse it.
///
/// A permit of decision `ask` lets the action be shown to the user, who decides; it does not let it run. One of
/// decision `deny` lets it be recorded.
#[derive(Clone, Debug)]
pub struct Permit {
    action: Verified<Action>,
    decision: Decision,
    rule: String,
    steps: Option<Vec<Step>>,
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

    /// Whether it may be carried out at once, has to be asked, or must not be carried out.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// The rule that decided, for people.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The programs that a command runs, if that is certain.
    #[must_use]
    pub fn steps(&self) -> Option<&[Step]> {
        self.steps.as_deref()
    }

    /// The narrowest rules that would allow this command another time: one for each of its programs.
    #[must_use]
    pub fn narrowest(&self) -> Option<Vec<RuleSpec>> {
        let steps = self.steps.as_deref().filter(|_| self.decision != Decision::Deny)?;
        Some(steps.iter().map(|step| Rule::exactly(&step.argv)).collect())
    }
}

/// What a command is judged by.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The rules of people.
    pub rules: Arc<Vec<Rule>>,
    /// The session's directory, which is its workspace: absolute, links resolved. Without one nothing runs unasked.
    pub directory: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// Where a path leads.
    pub resolve: fn(&Path) -> Option<PathBuf>,
    /// Whether commands can be confined here; why not.
    pub confined: fn() -> Result<(), String>,
    /// The client does not run commands: this server does.
    pub runs_here: bool,
}

/// Judges `action`. `foreign` names a source of text that the model was shown and that neither the user nor this
/// program wrote.
#[must_use]
pub fn judge(action: Verified<Action>, around: Option<&Surroundings>, foreign: Option<&str>) -> Permit {
    let allow = |rule: &str| (Decision::Allow, rule.to_owned(), None);
    let (decision, rule, steps) = match action.action().kind() {
        Kind::Insert | Kind::Response => allow("text may go to the session that asked"),
        Kind::Log => allow("a note may go to the log"),
        Kind::Skill => allow("a skill may be loaded by its name"),
        Kind::Shell => command(action.action(), around, foreign),
    };
    Permit { action, decision, rule, steps }
}

fn command(
    action: &Action,
    around: Option<&Surroundings>,
    foreign: Option<&str>,
) -> (Decision, String, Option<Vec<Step>>) {
    let command = action.text("cmd").unwrap_or_default();
    let nowhere = Path::new("/nonexistent");
    let workspace = around.and_then(|around| around.directory.as_deref());
    let directory = workspace.unwrap_or(nowhere).join(action.text("cwd").unwrap_or_default());
    let resolve = |path: &Path| around.and_then(|around| (around.resolve)(path));
    let home = around.and_then(|around| around.home.as_deref());
    let place =
        Place { workspace: workspace.unwrap_or(nowhere), directory: &directory, home, resolve: &resolve };
    let rules = around.map_or(&[][..], |around| around.rules.as_slice());
    let verdict = shell::judge(command, rules, &place);
    let ask = |why: String| (Decision::Ask, why, verdict.steps.clone());
    if verdict.decision != Decision::Allow {
        return (verdict.decision, verdict.rule, verdict.steps);
    }
    let Some(workspace) = workspace else {
        return ask("built-in: the session has no directory on this machine".into());
    };
    if home.is_some_and(|home| home.starts_with(workspace)) {
        return ask("built-in: the session's directory is the home directory, or above it".into());
    }
    if !resolve(&directory).is_some_and(|directory| directory.starts_with(workspace)) {
        return ask("built-in: it would run outside the session's directory".into());
    }
    if let Some(foreign) = foreign.filter(|_| !verdict.own) {
        return ask(format!(
            "built-in: the model has read {foreign}, which may tell it what to do; only your own rules allow now"
        ));
    }
    match around.map(|around| (around.confined)()) {
        Some(Ok(())) => (verdict.decision, verdict.rule, verdict.steps),
        Some(Err(why)) => ask(format!("built-in: it cannot be confined: {why}")),
        None => ask("built-in: it cannot be confined".into()),
    }
}

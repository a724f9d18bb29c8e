//! The policy: which verified action may leave, and how. The only maker of a [`Permit`].
//!
//! Text may go to the session that asked. What may become of a shell command is for `shell` to say, from its
//! parsed shape; here stands what else matters: where it would run, whether it can be confined, and whether
//! the model was shown text that neither the user nor this program wrote.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::action::{Action, Kind};
use crate::chosen::Limit;
use crate::config::RuleSpec;
use crate::record::{Decision, Location};
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
    unconfined: Option<String>,
    limit: Limit,
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

    /// With what was changed in a text, in words, for people.
    #[must_use]
    pub fn noting(mut self, touched: &[&str]) -> Self {
        for words in touched {
            self.rule.push_str("; ");
            self.rule.push_str(words);
        }
        self
    }

    /// The programs that a command runs, if that is certain.
    #[must_use]
    pub fn steps(&self) -> Option<&[Step]> {
        self.steps.as_deref()
    }

    /// Why a command would run without a sandbox, for people; nothing if it is confined.
    #[must_use]
    pub fn unconfined(&self) -> Option<&str> {
        self.unconfined.as_deref()
    }

    /// What a command may do at most.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.limit
    }

    /// The narrowest rules that would allow this command another time: one for each of its programs. Where it cannot
    /// be confined there are none, for it would be asked all the same.
    #[must_use]
    pub fn narrowest(&self) -> Option<Vec<RuleSpec>> {
        let steps = self.steps.as_deref().filter(|_| self.decision != Decision::Deny)?;
        if self.unconfined.is_some() {
            return None;
        }
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
    /// Where commands run that name no other directory: the same, or what the client called it if it is not there,
    /// or where this process is.
    pub base: PathBuf,
    /// The session named a directory, and it is not there.
    pub missing: bool,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// Where a path leads.
    pub resolve: fn(&Path) -> Option<PathBuf>,
    /// Whether commands can be confined here; why not.
    pub confined: fn() -> Result<(), String>,
    /// The other machine on which the client would run commands, by its name for people.
    pub host: Option<String>,
    /// The client does not run commands: this server does.
    pub runs_here: bool,
    /// What the commands of the session may do at most.
    pub limit: Limit,
}

impl Surroundings {
    /// The directory that a command names by `cwd`: absolute.
    #[must_use]
    pub fn within(&self, cwd: Option<&str>) -> PathBuf {
        match (cwd, &self.home) {
            (None | Some(""), _) => self.base.clone(),
            (Some("~"), Some(home)) => home.clone(),
            (Some(cwd), home) => match (cwd.strip_prefix("~/"), home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => self.base.join(cwd),
            },
        }
    }

    /// The directory that a command runs in which names it by `cwd`: on this machine without links, as far as it is
    /// there.
    #[must_use]
    pub fn place(&self, cwd: Option<&str>) -> PathBuf {
        let named = self.within(cwd);
        if self.host.is_some() { named } else { (self.resolve)(&named).unwrap_or(named) }
    }

    /// Where that is, for people and clients.
    #[must_use]
    pub fn location(&self, place: &Path) -> Location {
        Location { directory: place.to_string_lossy().into_owned(), host: self.host.clone() }
    }

    /// The directory that a session has, wherever it is.
    pub(crate) fn workspace(&self) -> Option<&Path> {
        if self.host.is_some() { Some(&self.base) } else { self.directory.as_deref() }
    }

    /// Why nothing would be confined.
    pub(crate) fn unconfined(&self) -> Option<String> {
        match &self.host {
            Some(host) => Some(format!("it would run on {host}, and there is no sandbox there")),
            None => (self.confined)().err().map(|why| format!("it cannot be confined: {why}")),
        }
    }
}

/// The most bytes of a command. Linux takes no argument of more than 131,071, and the text is one.
pub const MAX_BYTES: usize = 100_000;

/// A directory that is not there.
const NOWHERE: &str = "/nonexistent";

/// Judges `action`. `foreign` names a source of text that the model was shown and that neither the user nor this
/// program wrote.
#[must_use]
pub fn judge(action: Verified<Action>, around: Option<&Surroundings>, foreign: Option<&str>) -> Permit {
    let allow = |rule: &str| (Decision::Allow, rule.to_owned(), None);
    let mut unconfined = None;
    let (decision, rule, steps) = match action.action().kind() {
        Kind::Insert | Kind::Response => allow("text may go to the session that asked"),
        Kind::Replace => (Decision::Ask, "the user accepts or rejects the new text".to_owned(), None),
        Kind::Log => allow("a note may go to the log"),
        Kind::Skill => allow("a skill may be loaded by its name"),
        Kind::Shell => {
            unconfined =
                around.map_or_else(|| Some("it cannot be confined".to_owned()), Surroundings::unconfined);
            let text = action.action().text("cmd").unwrap_or_default();
            let cwd = action.action().text("cwd");
            let there = around.filter(|around| around.workspace().is_some()).map(|around| around.within(cwd));
            // Without a directory, paths are judged as if it had one that nobody knows.
            let there = there.unwrap_or_else(|| Path::new(NOWHERE).join(cwd.unwrap_or_default()));
            let (decision, rule, steps) = command(text, &there, around, foreign, unconfined.as_deref());
            let missing = around.filter(|around| around.missing && decision == Decision::Ask);
            let missing = missing.map(|around| format!("{rule}; there is no {}", around.base.display()));
            (decision, missing.unwrap_or(rule), steps)
        }
    };
    let limit = around.map(|around| around.limit).unwrap_or_default();
    Permit { action, decision, rule, steps, unconfined, limit }
}

/// Judges a permitted command once more, at the moment when it would run: `text` in the directory `cwd`. What was
/// allowed unasked has to be so still, by the same `unasked` steps; what the user approved must not be denied.
///
/// # Errors
/// In a few words, why it must not run.
pub fn recheck(
    text: &str,
    cwd: &Path,
    unasked: Option<&[Step]>,
    around: &Surroundings,
) -> Result<(), String> {
    let (decision, rule, steps) = command(text, cwd, Some(around), None, None);
    match (decision, unasked) {
        (Decision::Deny, _) => Err(format!("it is denied now: {rule}")),
        (Decision::Ask, Some(_)) => Err(format!("it is not allowed unasked any more: {rule}")),
        (Decision::Allow, Some(judged)) if steps.as_deref() != Some(judged) => {
            Err("its steps are others than were judged".into())
        }
        (Decision::Allow | Decision::Ask, _) => Ok(()),
    }
}

fn command(
    text: &str,
    cwd: &Path,
    around: Option<&Surroundings>,
    foreign: Option<&str>,
    unconfined: Option<&str>,
) -> (Decision, String, Option<Vec<Step>>) {
    if text.len() > MAX_BYTES {
        let rule = format!("built-in: it has {} bytes, and no more than {MAX_BYTES} can be run", text.len());
        return (Decision::Deny, rule, None);
    }
    let nowhere = Path::new(NOWHERE);
    let workspace = around.and_then(Surroundings::workspace);
    let resolve = |path: &Path| around.and_then(|around| (around.resolve)(path));
    let home = around.and_then(|around| around.home.as_deref());
    let place = Place { workspace: workspace.unwrap_or(nowhere), directory: cwd, home, resolve: &resolve };
    let rules = around.map_or(&[][..], |around| around.rules.as_slice());
    let verdict = shell::judge(text, rules, &place);
    let ask = |why: String| (Decision::Ask, why, verdict.steps.clone());
    if let Some(host) = around.filter(|around| around.runs_here).and_then(|around| around.host.as_deref()) {
        let rule = format!("built-in: the directory is on {host}, where this editor runs no commands");
        return (Decision::Deny, rule, verdict.steps);
    }
    if let Some(why) = unconfined
        && around.is_some_and(|around| around.limit.confines())
    {
        let rule = format!("built-in: this session lets nothing run without a sandbox, and {why}");
        return (Decision::Deny, rule, verdict.steps);
    }
    if verdict.decision != Decision::Allow {
        return (verdict.decision, verdict.rule, verdict.steps);
    }
    if let Some(why) = unconfined {
        return ask(format!("built-in: {why}"));
    }
    let Some(workspace) = workspace else {
        return ask("built-in: the session has no directory on this machine".into());
    };
    if home.is_some_and(|home| home.starts_with(workspace)) {
        return ask("built-in: the session's directory is the home directory, or above it".into());
    }
    if !resolve(cwd).is_some_and(|directory| directory.starts_with(workspace)) {
        return ask("built-in: it would run outside the session's directory".into());
    }
    if let Some(foreign) = foreign.filter(|_| !verdict.own) {
        return ask(format!(
            "built-in: the model has read {foreign}, which may tell it what to do; only your own rules allow now"
        ));
    }
    (verdict.decision, verdict.rule, verdict.steps)
}

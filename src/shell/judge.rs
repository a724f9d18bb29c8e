//! The decision about one command: allow, ask or deny, and why.
//!
//! The strictest that applies wins; what nothing applies to is asked.

use super::danger;
use super::place::Place;
use super::rules::Rule;
use super::script::{self, Op, Step};
use super::tools;
use crate::record::Decision;

/// More steps than this are asked.
const MAX_STEPS: usize = 20;

/// What the shell part of the policy says about a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Allow, ask or deny.
    pub decision: Decision,
    /// The rule that decided, for people.
    pub rule: String,
    /// What would run, if that is certain.
    pub steps: Option<Vec<Step>>,
    /// It is allowed by people's own rules alone.
    pub own: bool,
}

/// Judges a command as if it ran in `place`.
#[must_use]
pub fn judge(command: &str, rules: &[Rule], place: &Place<'_>) -> Verdict {
    let script = match script::parse(command) {
        Ok(script) => script,
        Err(why) => return ask(why, None),
    };
    let danger = danger::find(&script, place);
    let steps = match script.plain {
        Ok(steps) => steps,
        Err(why) => {
            return match danger {
                Some(danger) => deny(&danger, None),
                None => ask(&format!("it is more than plain commands: {why}"), None),
            };
        }
    };
    let (mut asked, mut allowed) = (None, Vec::new());
    for (at, step) in steps.iter().enumerate() {
        let mut covering: Vec<&Rule> = rules.iter().filter(|rule| rule.covers(&step.argv, place)).collect();
        covering.sort_by_key(|rule| rule.decision());
        if let Some(rule) = covering.last() {
            match rule.decision() {
                Decision::Deny => return verdict(Decision::Deny, rule.describe(), Some(steps)),
                Decision::Ask => {
                    asked = Some(rule.describe());
                    continue;
                }
                Decision::Allow => {
                    allowed.push(rule.describe());
                    continue;
                }
            }
        }
        let fed = step.op == Some(Op::Pipe) && at > 0;
        match tools::only_reads(&step.argv, fed, place) {
            Ok(()) => {}
            Err(why) => asked = asked.or(Some(built_in(&why))),
        }
    }
    if let Some(danger) = danger {
        return deny(&danger, Some(steps));
    }
    if let Some(rule) = asked {
        return verdict(Decision::Ask, rule, Some(steps));
    }
    if steps.len() > MAX_STEPS {
        return ask(&format!("more than {MAX_STEPS} steps"), Some(steps));
    }
    let rule = match allowed.first() {
        Some(rule) => rule.clone(),
        None => built_in("programs that only read, in the workspace"),
    };
    let own = allowed.len() == steps.len();
    Verdict { own, ..verdict(Decision::Allow, rule, Some(steps)) }
}

fn built_in(why: &str) -> String {
    format!("built-in: {why}")
}

fn verdict(decision: Decision, rule: String, steps: Option<Vec<Step>>) -> Verdict {
    Verdict { decision, rule, steps, own: false }
}

fn ask(why: &str, steps: Option<Vec<Step>>) -> Verdict {
    verdict(Decision::Ask, built_in(why), steps)
}

fn deny(why: &str, steps: Option<Vec<Step>>) -> Verdict {
    verdict(Decision::Deny, built_in(why), steps)
}

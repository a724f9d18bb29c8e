//! What templates have as variables: what is said and attached, and what is known beside it.

use std::sync::{Arc, OnceLock};

use super::World;
use crate::action::{GRAMMAR, Kind};
use crate::lisp::{Datum, Environment, Limits, Mode, Outcome, Shared};
use crate::policy::Surroundings;
use crate::skill::{Shelf, Skill};

/// The skill that says who speaks, if none was chosen.
pub(super) const IDENTITY: &str = "identity";

/// The most tools that a template is told of.
const MAX_TOOLS: usize = 500;

/// What is known of a turn beside its event.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The name of the one who asks.
    pub user: Option<String>,
    /// The name of the one who answers.
    pub assistant: Option<String>,
    /// By what commands are judged, and in which directory they run.
    pub around: Option<Surroundings>,
    /// The skills.
    pub shelf: Option<Arc<Shelf>>,
}

impl Facts {
    /// What the skills say: who speaks, and what can be loaded.
    #[must_use]
    pub fn of(shelf: &Arc<Shelf>, env: &Arc<dyn Environment>) -> Self {
        let [user, assistant] = ["user-name", "assistant-name"].map(|name| says(shelf, env, name));
        Self { user, assistant, around: None, shelf: Some(Arc::clone(shelf)) }
    }
}

/// What a function of the identity skill says without arguments, if that is a name.
#[must_use]
pub fn says(shelf: &Shelf, env: &Arc<dyn Environment>, name: &str) -> Option<String> {
    said(shelf.get(IDENTITY)?, env, name)
}

/// The same of any skill.
pub(super) fn said(skill: &Skill, env: &Arc<dyn Environment>, name: &str) -> Option<String> {
    let program = &skill.program;
    let limits = Limits::of(Mode::Trigger);
    let mut call = program.call(program.function(name)?, Vec::new(), Mode::Trigger, Arc::clone(env), limits);
    match call.run() {
        Ok(Outcome::Value(Datum::Str(name))) if !name.trim().is_empty() => Some(name),
        _ => None,
    }
}

/// What notes see of the world in a turn. The variables of templates are made when the first one wants them.
pub(super) struct Around {
    pub env: Arc<dyn Environment>,
    pub event: Shared,
    pub facts: Facts,
    pub made: OnceLock<Arc<Datum>>,
}

impl Environment for Around {
    fn variable(&self, name: &str) -> Option<String> {
        self.env.variable(name)
    }

    fn context(&self) -> Option<Arc<Datum>> {
        Some(Arc::clone(self.made.get_or_init(|| Arc::new(variables(&self.event.data()[0], &self.facts)))))
    }
}

impl World {
    /// The same with what is known beside the event.
    #[must_use]
    pub fn with(&self, facts: Facts) -> Self {
        let (env, event) = (Arc::clone(&self.env), self.event.clone());
        Self { event: event.clone(), env: Arc::new(Around { env, event, facts, made: OnceLock::new() }) }
    }

    /// The variables of templates.
    #[must_use]
    pub fn context(&self) -> Option<Arc<Datum>> {
        self.env.context()
    }
}

/// The variables. What is not known is not there.
fn variables(event: &Datum, facts: &Facts) -> Datum {
    let mut all: Vec<(&str, Datum)> = Vec::new();
    let mut known = |name, value: Option<Datum>| all.extend(value.map(|value| (name, value)));
    let payload = event.get("payload");
    let of_event = |name: &str| payload.and_then(|payload| payload.get(name)).cloned();
    known("user", facts.user.as_deref().map(Datum::str));
    known("assistant", facts.assistant.as_deref().map(Datum::str));
    let date = of_event("date");
    known("weekday", date.as_ref().and_then(Datum::as_str).and_then(weekday).map(Datum::str));
    known("date", date);
    for name in ["text", "buffer", "history"] {
        known(name, of_event(name));
    }
    let project = facts.around.as_ref().and_then(Surroundings::workspace);
    known("project", project.map(|path| Datum::str(path.to_string_lossy())));
    let attachments = of_event("context").unwrap_or_default();
    let modes = attachments.items().unwrap_or_default().iter().filter_map(|one| one.get("mode"));
    known("mode", modes.clone().next().cloned());
    let is_region = |one: &&Datum| matches!(one.get("kind"), Some(Datum::Keyword(kind)) if matches!(kind.as_str(), "region" | "rewrite"));
    let regions: Vec<Datum> =
        attachments.items().unwrap_or_default().iter().filter(is_region).cloned().collect();
    known("region", regions.first().and_then(|region| region.get("text")).cloned());
    known("regions", Some(Datum::list(regions)));
    known("attachments", Some(attachments));
    known("tools", Some(tools(facts)));
    known("skills", facts.shelf.as_deref().map(skills));
    Datum::plist(all)
}

/// What the model can use: the actions that do something, and the skills that it can load.
fn tools(facts: &Facts) -> Datum {
    let tool = |name: &str, description: &str, state: &str| {
        Datum::plist([
            ("name", Datum::str(name)),
            ("description", Datum::str(description)),
            ("state", Datum::str(state)),
        ])
    };
    let purpose = |kind: Kind| GRAMMAR.iter().find(|row| row.kind == kind).map_or("", |row| row.purpose);
    let confined = facts.around.as_ref().is_none_or(|around| around.unconfined().is_none());
    let mut all = vec![
        tool("insertAtEnd", purpose(Kind::Insert), "ready"),
        tool("shell", purpose(Kind::Shell), if confined { "confined" } else { "asks" }),
    ];
    if let Some(shelf) = &facts.shelf {
        let mut skills: Vec<_> = shelf.skills().iter().filter(|skill| shelf.offers(skill)).collect();
        skills.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        skills.truncate(MAX_TOOLS);
        all.extend(skills.iter().map(|skill| tool(&skill.name, &skill.description, "loadable")));
    }
    Datum::list(all)
}

/// The skills that say something of themselves, by descending priority: what each is for, and how it is asked for.
fn skills(shelf: &Shelf) -> Datum {
    let told = shelf.skills().iter().filter(|skill| skill.declares()).take(MAX_TOOLS);
    Datum::list(told.map(|skill| {
        let triggers = skill.triggers(shelf).into_iter().map(Datum::str);
        Datum::plist([
            ("name", Datum::str(&skill.name)),
            ("description", Datum::str(&skill.description)),
            ("state", Datum::str(skill.state(shelf))),
            ("origin", Datum::str(skill.origin.as_str())),
            ("triggers", Datum::list(triggers)),
            ("permissions", Datum::list(skill.permissions().into_iter().map(Datum::str))),
        ])
    }))
}

/// The day of the week of an ISO date.
fn weekday(date: &str) -> Option<&'static str> {
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (mut year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // Sakamoto's method.
    let offset = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4].get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    if !(0..=9_999).contains(&year) || !(1..=31).contains(&day) {
        return None;
    }
    year -= i64::from(month < 3);
    let number = (year + year / 4 - year / 100 + year / 400 + offset + day).rem_euclid(7);
    let names = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    names.get(usize::try_from(number).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_names() {
        for (date, name) in [
            ("2026-11-27", Some("Friday")),
            ("2000-02-29", Some("Tuesday")),
            ("1999-12-31", Some("Friday")),
            ("2024-01-01", Some("Monday")),
            ("2024-13-01", None),
            ("2024-00-01", None),
            ("2024-01-99", None),
            ("today", None),
            ("", None),
        ] {
            assert_eq!(weekday(date), name, "{date}");
        }
    }
}

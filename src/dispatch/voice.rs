//! As whom the assistant speaks in a session for which a persona was chosen: a skill that declares the capability `:persona`.
//!
//! What its functions say takes the place of the variables that say who speaks, so every note that builds on the identity
//! skill follows, whatever it asks the model.

use std::sync::Arc;

use super::World;
use super::context::{IDENTITY, said};
use crate::lisp::{Datum, Environment};
use crate::skill::Shelf;

/// The variable that has a chosen persona's first paragraph.
const OPENING: &str = "MEMEX_PERSONA";

/// The variables that have the names.
const USER: &str = "MEMEX_USER";
const ASSISTANT: &str = "MEMEX_ASSISTANT";

/// What each function of a persona says, by the variable in whose place that is.
const SAID: [(&str, &str); 3] = [(USER, "user-name"), (ASSISTANT, "assistant-name"), (OPENING, "persona")];

/// The variables as notes see them if the skill `chosen` speaks; and what is to be noted about it.
///
/// # Errors
/// In a few words, why it can not speak: then nothing changes.
pub fn voice(
    shelf: &Shelf,
    env: &Arc<dyn Environment>,
    chosen: &str,
) -> Result<Option<Arc<dyn Environment>>, String> {
    let skill = shelf.get(chosen).filter(|skill| skill.is_persona());
    let skill = skill.ok_or_else(|| format!("there is no persona {chosen:?}"))?;
    if chosen == IDENTITY {
        return Ok(None);
    }
    let says = |(variable, function): (&'static str, &str)| Some((variable, said(skill, env, function)?));
    let said: Vec<_> = SAID.into_iter().filter_map(says).collect();
    if !said.iter().any(|(variable, _)| *variable == OPENING) {
        return Err(format!("the function `persona` of {chosen:?} says nothing"));
    }
    Ok(Some(Arc::new(Voice { env: Arc::clone(env), said })))
}

/// The variables of `env`, with others for who speaks.
struct Voice {
    env: Arc<dyn Environment>,
    said: Vec<(&'static str, String)>,
}

impl Environment for Voice {
    fn variable(&self, name: &str) -> Option<String> {
        let said = self.said.iter().find(|(variable, _)| *variable == name);
        said.map(|(_, said)| said.clone()).or_else(|| self.env.variable(name))
    }

    fn context(&self) -> Option<Arc<Datum>> {
        self.env.context()
    }
}

impl World {
    /// The first paragraph of the system prompt, if a persona was chosen.
    #[must_use]
    pub fn opening(&self) -> Option<String> {
        self.env.variable(OPENING)
    }

    /// The names of the two who speak, as far as a persona that was chosen says them.
    #[must_use]
    pub fn names(&self) -> [Option<String>; 2] {
        [USER, ASSISTANT].map(|name| self.env.variable(name).filter(|_| self.opening().is_some()))
    }
}

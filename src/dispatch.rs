//! Which skills a turn is for, what makes its prompt, and the gates that its actions pass.
//!
//! Pure: it runs functions of notes, within their limits, on data. What a note asks the model comes out as a
//! question; nothing here asks it. A gate that fails in any way refuses: it may be there to stop something.

mod context;
mod data;
mod voice;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::action::{Action, Kind, MAX_REPLY};
use crate::lisp::{Call, Datum, Environment, Function, Limits, LispError, Mode, Outcome, Runner, Shared};
use crate::record::{Look, Looked, Triggered};
use crate::sexp::printer;
use crate::skill::{Shelf, Skill};
use crate::verify::{Reading, Verified};

pub use context::{Facts, says};
pub use data::event;
pub use voice::voice;

/// How long all triggers of one event may take together, and all gates of one action. Who comes after that has little
/// time, which is enough for any that only looks: nobody fails for what others used up.
const TOGETHER: Duration = Duration::from_secs(1);
const LITTLE: Limits =
    Limits { fuel: 50_000, memory: 4 << 20, time: Duration::from_millis(50), depth: 1_000, asks: 0 };

/// The most notes of one function's `kernel-log` that are kept, and of all gates that look at an action.
const NOTES: usize = 20;
const ALL_NOTES: usize = 60;

/// How often gates may replace an action before they are told to agree.
const REPLACEMENTS: usize = 8;

/// How many looks at an action are kept, and how much of what was put in its place, in bytes.
const LOOKS: usize = 500;
const SEXP: usize = 2_000;

/// What a skill's functions are called with.
#[derive(Clone)]
pub struct World {
    event: Shared,
    env: Arc<dyn Environment>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// With an event, as [`event`] makes it, and the variables that a note may see.
    #[must_use]
    pub fn new(event: Datum, env: Arc<dyn Environment>) -> Self {
        Self { event: Shared::new(vec![event]), env }
    }

    fn event(&self) -> Datum {
        self.event.data()[0].clone()
    }
}

/// The skills that an event is for, highest priority first.
#[derive(Clone, Debug, Default)]
pub struct Cast {
    /// Each with why its trigger failed, if it did.
    triggered: Vec<(Arc<Skill>, Option<String>)>,
    notes: Vec<String>,
}

impl Cast {
    /// Asks the triggers. A skill without one is for no event; one whose trigger fails makes no prompt, but its gate
    /// looks at the actions.
    #[must_use]
    pub fn new(shelf: &Shelf, world: &World) -> Self {
        let mut runner = Runner::new(world.event.clone(), Arc::clone(&world.env));
        let end = runner.now() + TOGETHER;
        let (mut triggered, mut all_notes) = (Vec::new(), Vec::new());
        for skill in shelf.skills() {
            let Some(trigger) = skill.trigger else { continue };
            let limits = if runner.now() > end { LITTLE } else { Limits::of(Mode::Trigger) };
            let (value, notes) = runner.call(&skill.program, trigger, Mode::Trigger, limits);
            let room = ALL_NOTES.saturating_sub(all_notes.len()).min(NOTES);
            all_notes.extend(notes.into_iter().take(room).map(|note| format!("{}: {note}", skill.name)));
            match value {
                Ok(value) if !value.is_true() => {}
                Ok(_) => triggered.push((Arc::clone(skill), None)),
                Err(error) => triggered.push((Arc::clone(skill), Some(shown(&error)))),
            }
        }
        Self { triggered, notes: all_notes }
    }

    /// The same with a note beside those of the triggers.
    #[must_use]
    pub fn noting(mut self, note: Option<String>) -> Self {
        self.notes.extend(note);
        self
    }

    /// What the triggers noted, each with the name of its skill, and what was noted beside.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the log keeps of it.
    #[must_use]
    pub fn record(&self) -> Vec<Triggered> {
        let triggered = |(skill, failed): &(Arc<Skill>, Option<String>)| Triggered {
            skill: skill.name.clone(),
            sha256: skill.sha256.clone(),
            failed: failed.clone(),
        };
        self.triggered.iter().map(triggered).collect()
    }

    /// A skill of the cast that `shelf` has no more, or has in another version.
    #[must_use]
    pub fn changed(&self, shelf: &Shelf) -> Option<&str> {
        let same = |skill: &Skill| shelf.get(&skill.name).is_some_and(|now| now.sha256 == skill.sha256);
        self.triggered.iter().find(|(skill, _)| !same(skill)).map(|(skill, _)| skill.name.as_str())
    }

    /// The skill that makes the prompt: of those that do, the one of highest priority.
    #[must_use]
    pub fn lead(&self) -> Option<&Arc<Skill>> {
        let fit = |(skill, failed): &&(Arc<Skill>, Option<String>)| failed.is_none() && skill.neuro.is_some();
        self.triggered.iter().find(fit).map(|(skill, _)| skill)
    }

    /// Has every gate look at `action`, highest priority first. A gate can pass it, refuse it, or put another action
    /// in its place: one of the same form or an insert, verified by what `read` makes. What a gate put there, all
    /// others look at, too, those before it again. Each gate replaces once; who would do so again refuses.
    ///
    /// # Errors
    /// The name of the skill that refused, why, and what it refused.
    pub fn gate(
        &self,
        action: Verified<Action>,
        world: &World,
        read: &dyn Fn() -> Reading,
    ) -> (Result<Verified<Action>, Refused>, Vec<Look>) {
        let gates: Vec<(&Skill, Function)> =
            self.triggered.iter().filter_map(|(skill, _)| Some((skill.as_ref(), skill.symbolic?))).collect();
        let mut looks: Vec<Look> = Vec::new();
        let mut action = action;
        let mut seeing = Seeing::new(action.action(), world);
        let end = seeing.runner.now() + TOGETHER;
        let mut replaced = vec![false; gates.len()];
        // Who put there what is there now stands behind it.
        let mut author = None;
        let (mut at, mut room) = (0, ALL_NOTES);
        while let Some((skill, symbolic)) = gates.get(at) {
            if author == Some(at) {
                at += 1;
                continue;
            }
            let limits = if seeing.runner.now() > end { LITTLE } else { Limits::of(Mode::Gate) };
            let (verdict, mut notes) = seeing.look(skill, *symbolic, limits, read);
            let agreed = !replaced[at] && replaced.iter().filter(|one| **one).count() < REPLACEMENTS;
            let verdict = match verdict {
                Ok(Some(_)) if !agreed => {
                    Err("the gates do not agree on what to put in its place".to_owned())
                }
                verdict => verdict,
            };
            notes.truncate(room);
            room -= notes.len();
            let mut seen =
                Look { skill: skill.name.clone(), result: Looked::Passed, why: None, sexp: None, notes };
            match verdict {
                Ok(None) => at += 1,
                Ok(Some(other)) => {
                    seen.result = Looked::Replaced;
                    seen.sexp = Some(clip(printer::print(other.action())));
                    action = other;
                    seeing = Seeing::new(action.action(), world);
                    replaced[at] = true;
                    author = Some(at);
                    at = 0;
                }
                Err(why) => {
                    let refused = Refused {
                        skill: skill.name.clone(),
                        why: why.clone(),
                        sexp: printer::print(action.action()),
                    };
                    (seen.result, seen.why) = (Looked::Refused, Some(why));
                    looks.push(seen);
                    return (Err(refused), looks);
                }
            }
            if looks.len() < LOOKS {
                looks.push(seen);
            }
        }
        (Ok(action), looks)
    }
}

/// A gate's no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose gate.
    pub skill: String,
    /// Why.
    pub why: String,
    /// The print of what it refused.
    pub sexp: String,
}

/// A prompt in the making: a skill's function that may have asked something.
pub struct Making {
    skill: Arc<Skill>,
    call: Call,
}

impl fmt::Debug for Making {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Making").field("skill", &self.skill.name).finish_non_exhaustive()
    }
}

/// How far a prompt is.
#[derive(Debug)]
pub enum Made {
    /// The model's reply to this is the action.
    Prompt {
        /// What is said.
        prompt: String,
        /// The system prompt, without the mandate.
        system: Option<String>,
    },
    /// The model's reply to this is for the function, which goes on with [`Making::answer`].
    Question {
        /// What is said.
        prompt: String,
        /// The system prompt.
        system: Option<String>,
        /// The function.
        making: Box<Making>,
    },
    /// The function itself says what a model would.
    Speaks(String),
    /// It failed, and why.
    Failed(String),
}

impl Making {
    /// Calls the function of `skill` that makes prompts. A skill without one fails.
    #[must_use]
    pub fn begin(skill: &Arc<Skill>, world: &World) -> (Made, Vec<String>) {
        let Some(neuro) = skill.neuro else {
            return (Made::Failed("it makes no prompts".to_owned()), Vec::new());
        };
        let limits = Limits::of(Mode::Neuro);
        let call =
            skill.program.call(neuro, vec![world.event()], Mode::Neuro, Arc::clone(&world.env), limits);
        Self { skill: Arc::clone(skill), call }.go_on()
    }

    /// Goes on with the model's answer.
    #[must_use]
    pub fn answer(mut self, text: &str) -> (Made, Vec<String>) {
        self.call.answer(text);
        self.go_on()
    }

    /// The skill whose prompt it is.
    #[must_use]
    pub fn skill(&self) -> &Skill {
        &self.skill
    }

    fn go_on(mut self) -> (Made, Vec<String>) {
        let before = self.call.logs().len();
        let outcome = self.call.run();
        let notes = self.call.logs()[before..].iter().take(NOTES).cloned().collect();
        let made = match outcome {
            Ok(Outcome::Ask { prompt, system_prompt: system, tail: true }) => Made::Prompt { prompt, system },
            Ok(Outcome::Ask { prompt, system_prompt: system, tail: false }) => {
                Made::Question { prompt, system, making: Box::new(self) }
            }
            // What is longer is refused by the verifier.
            Ok(Outcome::Value(Datum::Str(text))) => Made::Speaks(text),
            Ok(Outcome::Value(Datum::Nil)) => Made::Failed("its :neuro function returned nil".to_owned()),
            Ok(Outcome::Value(value)) => Made::Speaks(value.print(MAX_REPLY + 1)),
            Err(error) => Made::Failed(shown(&error)),
        };
        (made, notes)
    }
}

/// The beginning of a long print.
fn clip(mut print: String) -> String {
    if print.len() > SEXP {
        print.truncate(print.floor_char_boundary(SEXP));
        print.push('…');
    }
    print
}

/// An action before the gates.
struct Seeing {
    action: Datum,
    kind: Kind,
    runner: Runner,
}

impl Seeing {
    fn new(action: &Action, world: &World) -> Self {
        let kind = action.kind();
        let action = data::action(action);
        let shared = Shared::new(vec![action.clone(), world.event()]);
        Self { action, kind, runner: Runner::new(shared, Arc::clone(&world.env)) }
    }

    /// What a gate makes of it: nothing, another action, or a refusal; and what it noted.
    fn look(
        &mut self,
        skill: &Skill,
        symbolic: Function,
        limits: Limits,
        read: &dyn Fn() -> Reading,
    ) -> (Result<Option<Verified<Action>>, String>, Vec<String>) {
        let (value, mut notes) = self.runner.call(&skill.program, symbolic, Mode::Gate, limits);
        notes.truncate(NOTES);
        let verdict = match value {
            Err(error) => Err(shown(&error)),
            Ok(value) if value == self.action => Ok(None),
            Ok(value) => match refusal(&value) {
                Some(why) => Err(why),
                None => replacement(&value, self.kind, read()).map(Some),
            },
        };
        (verdict, notes)
    }
}

/// The reason in `(:refuse "why")`, or that of nil.
fn refusal(value: &Datum) -> Option<String> {
    match value {
        Datum::Nil => Some("it gave no reason".to_owned()),
        Datum::List(items) if matches!(&items[0], Datum::Keyword(word) if word == "refuse") => {
            let why = items.get(1).and_then(Datum::as_str).filter(|why| !why.trim().is_empty());
            Some(why.map_or("it gave no reason", |why| &why[..why.floor_char_boundary(1_000)]).to_owned())
        }
        _ => None,
    }
}

/// The action that a gate put in the place of one of `kind`.
fn replacement(value: &Datum, kind: Kind, mut reading: Reading) -> Result<Verified<Action>, String> {
    let print = value.print(MAX_REPLY + 1);
    let accepted = reading.feed(print.as_bytes()).and_then(|()| reading.finish());
    let accepted =
        accepted.map_err(|rejection| format!("what it returned is no action: {}", rejection.message))?;
    let found = accepted.action.action().kind();
    if found == kind || found == Kind::Insert {
        Ok(accepted.action)
    } else {
        Err("it returned an action of another form".to_owned())
    }
}

/// An error for people, in one line.
fn shown(error: &LispError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;

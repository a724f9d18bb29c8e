//! The skill language: a pure, total subset of Common Lisp.
//!
//! A note's blocks are loaded once into a [`Program`]; a function of it is run by a [`Call`], which has fuel,
//! memory and time of its own, sees nothing of the world but the variables its [`Environment`] gives it, and
//! leaves the program as it was. `ask-neuro` stops a call with [`Outcome::Ask`]; [`Call::answer`] goes on with it.
//! Nothing recurses on Rust's stack, whatever a note contains. The language: `docs/skill-language.md`.

mod builtin;
mod code;
mod compile;
mod core;
mod datum;
mod fault;
mod hints;
mod load;
mod machine;
mod names;
mod prelude;
mod print;
mod reader;
mod shared;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use datum::{Datum, MAX_DEPTH, MAX_NODES};
pub use fault::{Kind, LispError};
pub use shared::{Runner, Shared};

use code::Unit;
use core::{Core, Store, Val};
use fault::Fault;
use machine::{Machine, Stacks, Stop};
use names::Names;

/// One block of a note.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file's name, for errors.
    pub file: &'a str,
    /// The line of the text's first line in the file, from 1.
    pub line: usize,
    /// The block's text.
    pub text: &'a str,
}

/// What a note may see of the world.
pub trait Environment: Send + Sync {
    /// The variable that `uiop:getenv` asks for; `None` for any that a note may not see.
    fn variable(&self, name: &str) -> Option<String>;

    /// What templates have as variables beside those that they are given, a property list: what is known of the turn.
    fn context(&self) -> Option<Arc<Datum>> {
        None
    }
}

/// The templates that a note can fill in with `render`. What a template is, the language does not know.
pub trait Templates: fmt::Debug + Send + Sync {
    /// Their names, lower case, in order.
    fn names(&self) -> Vec<&str>;

    /// Fills in the template `name` (lower case) with what is given, a property list, and after that with the variables
    /// of the context, for at most so many steps. `None` if there is no such template.
    fn fill(&self, name: &str, given: &Datum, context: Option<Arc<Datum>>, steps: u64) -> Option<Filled>;
}

/// What became of a template, and how many steps it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The text.
    pub text: Result<String, Unfilled>,
    /// The steps.
    pub steps: u64,
}

/// Why nothing became of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfilled {
    /// Something is wrong with it, or missing.
    Wrong {
        /// What, and where.
        message: String,
        /// What to do.
        hint: String,
    },
    /// It takes more steps than there were.
    Steps,
}

/// No variable at all.
impl Environment for () {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

impl Environment for BTreeMap<String, String> {
    fn variable(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// What a load or a call may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Steps.
    pub fuel: u64,
    /// Bytes of values, strings, variables and pending calls.
    pub memory: usize,
    /// Wall-clock time; the time between [`Outcome::Ask`] and [`Call::run`] does not count.
    pub time: Duration,
    /// Pending (not tail) calls.
    pub depth: usize,
    /// `ask-neuro` calls that are not in tail position.
    pub asks: usize,
}

impl Limits {
    /// What a call in `mode` has: 2 million steps, 16 MiB, 250 ms (in [`Mode::Neuro`] one second), 4 questions.
    #[must_use]
    pub const fn of(mode: Mode) -> Self {
        let time = Duration::from_millis(if matches!(mode, Mode::Neuro) { 1_000 } else { 250 });
        Self { fuel: 2_000_000, memory: 16 << 20, time, depth: 20_000, asks: 4 }
    }
}

impl Default for Limits {
    /// Those of a load, a trigger or a gate.
    fn default() -> Self {
        Self::of(Mode::Trigger)
    }
}

/// What a call is for. Only [`Mode::Neuro`] may ask the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Whether a skill is for an event.
    Trigger,
    /// What a gate makes of an action.
    Gate,
    /// The prompt of a skill.
    Neuro,
}

/// A function of one [`Program`]: a name, resolved when it is called, or a lambda. Another program does not call it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Function {
    value: Val,
    of: u64,
}

/// What a `defskill` form said.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The name, lower case.
    pub name: String,
    /// `:priority`, 0 if not given.
    pub priority: i64,
    /// `:trigger`: gets the event, answers whether the skill is for it.
    pub trigger: Option<Function>,
    /// `:neuro` or `:probabilistic`: gets the event, answers the prompt.
    pub neuro: Option<Function>,
    /// `:symbolic` or `:deterministic`: gets the action and the event, answers an action or nil.
    pub symbolic: Option<Function>,
    /// `:dependencies`: names of skills, lower case.
    pub dependencies: Vec<String>,
    /// `:description`.
    pub description: Option<String>,
    /// `:capabilities`: names, lower case.
    pub capabilities: Vec<String>,
    /// The file it stands in.
    pub file: String,
    /// Its line there, from 1.
    pub line: usize,
}

/// A loaded note. Cheap to clone, never changed by a call.
#[derive(Clone)]
pub struct Program(Arc<Loaded>);

/// What a program is made of: one thing for all that a call looks at, so that a thousand programs are soon asked.
#[derive(Debug, Default)]
struct Loaded {
    /// Which load it is from: a function of another is not called.
    id: u64,
    unit: Unit,
    store: Store,
    names: Names,
    functions: Vec<Val>,
    globals: Vec<Val>,
    skills: Vec<Definition>,
    logs: Vec<String>,
    templates: Option<Arc<dyn Templates>>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("skills", &self.0.skills).finish_non_exhaustive()
    }
}

impl Program {
    /// Reads and evaluates the blocks of one note in order.
    ///
    /// # Errors
    /// The first form that can not be read, compiled or evaluated, or that calls what nothing defines.
    pub fn load(
        sources: &[Source<'_>],
        env: Arc<dyn Environment>,
        limits: Limits,
    ) -> Result<Self, LispError> {
        load::load(sources, env, None, &limits).map(|loaded| Self(Arc::new(loaded)))
    }

    /// The same with templates for `render`, if there are any.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(
        sources: &[Source<'_>],
        env: Arc<dyn Environment>,
        templates: Option<Arc<dyn Templates>>,
        limits: Limits,
    ) -> Result<Self, LispError> {
        load::load(sources, env, templates, &limits).map(|loaded| Self(Arc::new(loaded)))
    }

    /// Its templates, if it has any.
    #[must_use]
    pub fn templates(&self) -> Option<&dyn Templates> {
        self.0.templates.as_deref()
    }

    /// What the `defskill` forms said, in order; of two with one name only the later.
    #[must_use]
    pub fn skills(&self) -> &[Definition] {
        &self.0.skills
    }

    /// The function that `defun` gave this name (any case).
    #[must_use]
    pub fn function(&self, name: &str) -> Option<Function> {
        let sym = self.0.names.find(&names::lower(name))?;
        let number = *self.0.unit.functions.get(&sym)?;
        (self.0.functions[number as usize] != Val::Unbound)
            .then_some(Function { value: Val::Sym(sym), of: self.0.id })
    }

    /// The names of the functions that the note defines, lower case, in its order.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.0.unit.function_names.iter().map(|sym| self.0.names.name(*sym))
    }

    /// What `kernel-log` said while the note was loaded.
    #[must_use]
    pub fn logs(&self) -> &[String] {
        &self.0.logs
    }

    /// The value of a global variable after loading; its name in any case. `None` also if it is too large as data.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<Datum> {
        let sym = self.0.names.find(&names::lower(name))?;
        let value = self.0.globals[*self.0.unit.globals.get(&sym)? as usize];
        let mut core = self.core(Arc::new(()), &Limits::default());
        if value == Val::Unbound { None } else { core.export(value).ok() }
    }

    /// About how many bytes its values and its code take.
    #[must_use]
    pub fn size(&self) -> usize {
        let mut core = self.core(Arc::new(()), &Limits::default());
        // The number of the next of each kind is how many there are.
        let next =
            [core.cons(Val::Nil, Val::Nil), core.str(""), core.new_box(Val::Nil), core.closure(0, vec![])];
        let values: usize = next
            .into_iter()
            .map(|next| match next {
                Ok(Val::Cons(count)) => count as usize * size_of::<[Val; 2]>(),
                Ok(Val::Box(count)) => count as usize * size_of::<Val>(),
                Ok(Val::Str(count)) => {
                    (0..count).map(|at| size_of::<core::Text>() + core.text(at).text.len()).sum()
                }
                Ok(Val::Closure(count)) => {
                    let captures = |at| size_of_val(&*core.get_closure(at).captures);
                    (0..count).map(|at| size_of::<core::Closure>() + captures(at)).sum()
                }
                _ => 0,
            })
            .sum();
        let unit = &self.0.unit;
        let text: usize = unit.files.iter().map(|file| file.text.len()).sum();
        values + text + size_of_val(&*unit.codes) + size_of_val(&*unit.spans)
    }

    fn core(&self, env: Arc<dyn Environment>, limits: &Limits) -> Core {
        let names = Names::over(names::Below::Program(Arc::clone(&self.0)));
        Core::new(Arc::clone(&self.0), names, env, limits)
    }

    fn machine(&self, stacks: Stacks, core: Core, mode: Mode, limits: &Limits) -> Machine {
        Machine::new(stacks, core, prelude::Root::get(), Arc::clone(&self.0), (Some(mode), limits))
    }

    /// A call of `function`, not yet started. Arguments that are too large or too deep are reported by [`Call::run`].
    #[must_use]
    pub fn call(
        &self,
        function: Function,
        args: Vec<Datum>,
        mode: Mode,
        env: Arc<dyn Environment>,
        limits: Limits,
    ) -> Call {
        let core = self.core(env, &limits);
        let machine = self.machine(Stacks::default(), core, mode, &limits);
        let state = if function.of == self.0.id { State::New(function, args) } else { State::Foreign };
        Call { machine, state }
    }
}

/// A running call. It may be sent between threads and kept while the model is asked.
pub struct Call {
    machine: Machine,
    state: State,
}

enum State {
    New(Function, Vec<Datum>),
    Foreign,
    Ready,
    Asked,
    Over,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("logs", &self.logs()).finish_non_exhaustive()
    }
}

/// Where a call stopped.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done.
    Value(Datum),
    /// It asks the model. With `tail` nothing remains to be done but to return the answer.
    Ask {
        /// The prompt.
        prompt: String,
        /// `:system-prompt`, if there was one.
        system_prompt: Option<String>,
        /// Whether the model's answer is the function's value.
        tail: bool,
    },
}

impl Call {
    /// Runs until the call is done, asks, or fails. After [`Outcome::Ask`] give an [`answer`](Self::answer) first.
    ///
    /// # Errors
    /// What the function did wrong, or the limit it met. A call that failed or is done fails when run again.
    pub fn run(&mut self) -> Result<Outcome, LispError> {
        let outcome = self.go();
        self.state = if matches!(outcome, Ok(Outcome::Ask { .. })) { State::Asked } else { State::Over };
        outcome
    }

    fn go(&mut self) -> Result<Outcome, LispError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::New(function, args) => self.start(function, &args)?,
            State::Foreign => return Err(misuse("the function is another program's", "Call it in its own.")),
            State::Ready => {}
            State::Asked => return Err(misuse("the call waits for an answer", "Give it with Call::answer.")),
            State::Over => return Err(misuse("the call is over", "Make a new one.")),
        }
        match self.machine.run()? {
            Stop::Ask { prompt, system_prompt, tail } => Ok(Outcome::Ask { prompt, system_prompt, tail }),
            Stop::Value(value) => self.machine.export(value).map(Outcome::Value),
        }
    }

    fn start(&mut self, function: Function, args: &[Datum]) -> Result<(), LispError> {
        let values = self.machine.import(args)?;
        self.machine.start(function.value, &values)
    }

    /// The model's answer to [`Outcome::Ask`]: the value of that `ask-neuro`. Without a question it does nothing.
    pub fn answer(&mut self, text: &str) {
        if matches!(self.state, State::Asked) {
            self.state = State::Ready;
            self.machine.answer(text);
        }
    }

    /// What `kernel-log` said so far: at most 100 lines of at most 1,000 bytes.
    #[must_use]
    pub fn logs(&self) -> &[String] {
        &self.machine.core.logs
    }
}

fn misuse(message: &str, hint: &str) -> LispError {
    let Fault { kind, message, hint } = Fault::new(Kind::Form, message).hint(hint);
    LispError { kind, message, file: String::new(), line: 0, form: String::new(), hint }
}

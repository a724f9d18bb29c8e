//! Many calls of many programs with the same arguments: these are made values once, and the calls follow each other on
//! the same stacks. What a call then costs is little more than what it does, so that a thousand notes can be asked
//! about one event.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::core::{self, Core, Store, Val};
use super::machine::{Machine, Stacks, Stop};
use super::names::{Below, Names};
use super::prelude::Root;
use super::{Datum, Environment, Function, Limits, LispError, Loaded, Mode, Program, misuse};

/// After how many steps of the calls before it a call looks at the clock when it begins. With less, it counts the time of
/// those as its own: a small part of a millisecond.
const CLOCK_AFTER: u64 = 2_000;

/// Arguments for many calls. Cheap to clone.
#[derive(Clone)]
pub struct Shared(Arc<Given>);

struct Given {
    data: Vec<Datum>,
    store: Arc<Store>,
    /// The data in that store; `None` if each program has to make its own of it: there is a name in it that programs
    /// know by numbers of their own, or it is too large, which is then each call's error.
    values: Option<Vec<Val>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.0.data).finish()
    }
}

impl Shared {
    /// `data` as arguments.
    #[must_use]
    pub fn new(data: Vec<Datum>) -> Self {
        let names = &Root::get().names;
        // It is there already, so it is not this that has to bound it.
        let limits = Limits { fuel: u64::MAX, memory: usize::MAX, ..Limits::default() };
        let mut core =
            Core::new(Loaded::nothing(), Names::over(Below::Names(Arc::clone(names))), Arc::new(()), &limits);
        let values: Result<Vec<Val>, _> = data.iter().map(|datum| core.import(datum)).collect();
        let (mut store, known) = core.freeze();
        let mut values = values.ok().filter(|_| known.len() == names.len());
        match &mut values {
            Some(values) => core::shift(&mut store, values),
            None => store = Store::default(),
        }
        Self(Arc::new(Given { data, store: Arc::new(store), values }))
    }

    /// The arguments.
    #[must_use]
    pub fn data(&self) -> &[Datum] {
        &self.0.data
    }

    /// Whether all programs share one copy of them.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.0.values.is_some()
    }
}

/// Calls one function after another. None of them can ask the model.
pub struct Runner {
    shared: Shared,
    env: Arc<dyn Environment>,
    stacks: Stacks,
    now: Instant,
    /// How many steps were taken since `now`.
    steps: u64,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Runner {
    /// One for calls with `shared` as their arguments.
    #[must_use]
    pub fn new(shared: Shared, env: Arc<dyn Environment>) -> Self {
        Self { shared, env, stacks: Stacks::default(), now: Instant::now(), steps: 0 }
    }

    /// What it calls with.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// About what time it is: no more behind than some thousand steps take.
    pub fn now(&mut self) -> Instant {
        if self.steps > CLOCK_AFTER {
            self.steps = 0;
            self.now = Instant::now();
        }
        self.now
    }

    /// Calls a function of `program`: its value, and what `kernel-log` said.
    ///
    /// # Errors
    /// In the value, as those of [`Call::run`](super::Call::run).
    pub fn call(
        &mut self,
        program: &Program,
        function: Function,
        mode: Mode,
        limits: Limits,
    ) -> (Result<Datum, LispError>, Vec<String>) {
        if function.of != program.0.id {
            return (Err(misuse("the function is another program's", "Call it in its own.")), Vec::new());
        }
        let mut core = program.core(Arc::clone(&self.env), &limits);
        core.share(Arc::clone(&self.shared.0.store));
        core.start_clock_at(self.now());
        let stacks = std::mem::take(&mut self.stacks);
        let mut machine = program.machine(stacks, core, mode, &limits);
        let value = run(&mut machine, function, &self.shared.0);
        self.steps = self.steps.saturating_add(machine.core.steps(limits.fuel));
        let logs = std::mem::take(&mut machine.core.logs);
        self.stacks = machine.into_stacks();
        (value, logs)
    }
}

fn run(machine: &mut Machine, function: Function, given: &Given) -> Result<Datum, LispError> {
    let made;
    let values = match &given.values {
        Some(values) => values,
        None => {
            made = machine.import(&given.data)?;
            &made
        }
    };
    machine.start(function.value, values)?;
    match machine.run_on()? {
        Stop::Value(value) => machine.export(value),
        Stop::Ask { .. } => Err(misuse("the call asks the model", "Use Program::call.")),
    }
}

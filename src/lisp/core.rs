//! Values and where they live: arenas that only grow, dropped flat, those of a program below those of a call.
//! Beside both, what many calls of many programs are given: see [`super::shared`].
//!
//! Lists and strings never change once made, so data has no cycles; variables that closures share are boxes.
//! All that takes memory or work is charged here.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::fault::{Fault, Kind};
use super::names::{Names, Sym};
use super::syntax::{Id, Node, Tree};
use super::{Environment, Limits, Loaded, Templates};

pub type Result<T, E = Fault> = std::result::Result<T, E>;

/// A value: itself, or where it lives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Val {
    /// An argument that was not given, a variable without a value.
    Unbound,
    Nil,
    T,
    Sym(Sym),
    Key(Sym),
    Int(i64),
    Float(f64),
    Char(char),
    Str(u32),
    Cons(u32),
    /// A function without captured variables: its code.
    Fun(u32),
    Closure(u32),
    Builtin(u32),
    /// A variable that closures share.
    Box(u32),
    /// A block that can be left: its token.
    Block(u32),
    /// Several values: a list of them; [`NO_VALUES`] of none.
    Values(u32),
    Error(u32),
}

/// Where the list of no values would be.
pub const NO_VALUES: u32 = u32::MAX;

/// The bit that tells the places in the shared store from those of a program and its call.
const SHARED: u32 = 1 << 31;

impl Val {
    pub const fn is_true(self) -> bool {
        !matches!(self, Self::Nil)
    }

    pub const fn bool(is: bool) -> Self {
        if is { Self::T } else { Self::Nil }
    }
}

/// A string and its number of characters.
#[derive(Clone, Debug)]
pub struct Text {
    pub text: Arc<str>,
    pub chars: usize,
}

impl Text {
    pub fn is_ascii(&self) -> bool {
        self.chars == self.text.len()
    }
}

#[derive(Clone, Debug)]
pub struct Closure {
    pub code: u32,
    pub captures: Arc<[Val]>,
}

/// The arenas of one layer.
#[derive(Debug, Default)]
pub struct Store {
    conses: Vec<[Val; 2]>,
    texts: Vec<Text>,
    closures: Vec<Closure>,
    boxes: Vec<Val>,
    errors: Vec<(Kind, u32)>,
}

impl Store {
    /// The store that has nothing.
    pub fn empty() -> Arc<Self> {
        static EMPTY: LazyLock<Arc<Store>> = LazyLock::new(Arc::default);
        Arc::clone(&EMPTY)
    }
}

impl Loaded {
    /// The program that has nothing.
    pub fn nothing() -> Arc<Self> {
        static NOTHING: LazyLock<Arc<Loaded>> = LazyLock::new(Arc::default);
        Arc::clone(&NOTHING)
    }
}

/// A skill as its form was evaluated.
#[derive(Clone, Debug)]
pub struct RawSkill {
    pub name: Val,
    pub pairs: Vec<(Sym, Val)>,
    pub span: usize,
}

/// The most lines that `kernel-log` keeps, and the most bytes of one.
const LOGS: (usize, usize) = (100, 1_000);
/// After how much work the clock is looked at.
const CLOCK_EVERY: u64 = 20_000;

/// All that a call has but its stacks.
pub struct Core {
    program: Arc<Loaded>,
    shared: Arc<Store>,
    own: Store,
    /// The program's boxes, once one of them was set.
    boxes: Option<Vec<Val>>,
    pub names: Names,
    pub env: Arc<dyn Environment>,
    pub fuel: u64,
    memory: usize,
    time: Duration,
    started: Option<Instant>,
    until_clock: u64,
    pub loading: bool,
    pub skills: Vec<RawSkill>,
    pub logs: Vec<String>,
    /// Those of the note while it is loaded; later the program has them.
    pub templates: Option<Arc<dyn Templates>>,
    pub regexes: HashMap<Arc<str>, (Arc<regex::Regex>, u64)>,
}

impl Core {
    pub fn new(program: Arc<Loaded>, names: Names, env: Arc<dyn Environment>, limits: &Limits) -> Self {
        Self {
            program,
            shared: Store::empty(),
            own: Store::default(),
            boxes: None,
            names,
            env,
            fuel: limits.fuel,
            memory: limits.memory,
            time: limits.time,
            started: None,
            until_clock: CLOCK_EVERY,
            loading: false,
            skills: Vec::new(),
            logs: Vec::new(),
            templates: None,
            regexes: HashMap::new(),
        }
    }

    /// What was made, for later calls.
    pub fn freeze(self) -> (Store, Names) {
        (self.own, self.names)
    }

    /// Lets values of `shared` in, as [`shift`] names them.
    pub fn share(&mut self, shared: Arc<Store>) {
        self.shared = shared;
    }

    /// The note's templates.
    pub fn templates(&self) -> Option<Arc<dyn Templates>> {
        self.templates.as_ref().or(self.program.templates.as_ref()).cloned()
    }

    /// How many steps were taken of `all`.
    pub fn steps(&self, all: u64) -> u64 {
        all.saturating_sub(self.fuel)
    }

    pub fn start_clock(&mut self) {
        self.started = Some(Instant::now());
    }

    /// Starts the clock as of `now`, which saves looking at it.
    pub fn start_clock_at(&mut self, now: Instant) {
        self.started = Some(now);
    }

    pub fn stop_clock(&mut self) {
        if let Some(started) = self.started.take() {
            self.time = self.time.saturating_sub(started.elapsed());
        }
    }

    /// Takes `work` steps from the fuel; looks at the clock now and then.
    pub fn charge(&mut self, work: u64) -> Result<()> {
        if self.fuel < work {
            self.fuel = 0;
            return Err(Fault::new(Kind::Fuel, "the call took more steps than it may")
                .hint("Look for a loop without an end, or do less."));
        }
        self.fuel -= work;
        if self.until_clock > work {
            self.until_clock -= work;
            return Ok(());
        }
        self.clock()
    }

    /// Looks at the clock.
    pub fn clock(&mut self) -> Result<()> {
        self.until_clock = CLOCK_EVERY;
        if self.started.is_some_and(|started| started.elapsed() > self.time) {
            return Err(
                Fault::new(Kind::Time, "the call took longer than it may").hint("Do less in one call.")
            );
        }
        Ok(())
    }

    /// Charges for work on so many bytes or elements.
    pub fn charge_size(&mut self, size: usize) -> Result<()> {
        self.charge(1 + size as u64 / 16)
    }

    /// Takes `bytes` from the memory.
    pub fn take(&mut self, bytes: usize) -> Result<()> {
        match self.memory.checked_sub(bytes) {
            Some(left) => {
                self.memory = left;
                Ok(())
            }
            None => Err(Fault::new(Kind::Memory, "the call used more memory than it may")
                .hint("Build less: shorter strings, fewer lists.")),
        }
    }

    /// How many bytes a string may have that is being made.
    pub fn room(&self) -> usize {
        self.memory
    }

    pub fn cons(&mut self, car: Val, cdr: Val) -> Result<Val> {
        self.take(size_of::<[Val; 2]>())?;
        let at = self.program.store.conses.len() + self.own.conses.len();
        self.own.conses.push([car, cdr]);
        Ok(Val::Cons(index(at)?))
    }

    pub fn pair(&self, at: u32) -> [Val; 2] {
        if at & SHARED != 0 {
            return self.shared.conses[(at & !SHARED) as usize];
        }
        let (at, base) = (at as usize, &self.program.store.conses);
        if at < base.len() { base[at] } else { self.own.conses[at - base.len()] }
    }

    /// The first of several values.
    pub fn primary(&self, value: Val) -> Val {
        match value {
            Val::Values(NO_VALUES) => Val::Nil,
            Val::Values(at) => self.pair(at)[0],
            value => value,
        }
    }

    pub fn str(&mut self, text: &str) -> Result<Val> {
        self.take(text.len() + size_of::<Text>() + 16)?;
        self.charge_size(text.len())?;
        self.push_text(Text { text: Arc::from(text), chars: text.chars().count() })
    }

    /// A string whose characters are already counted and paid for, as that of a note.
    pub fn push_text(&mut self, text: Text) -> Result<Val> {
        let at = self.program.store.texts.len() + self.own.texts.len();
        self.own.texts.push(text);
        Ok(Val::Str(index(at)?))
    }

    pub fn text(&self, at: u32) -> &Text {
        if at & SHARED != 0 {
            return &self.shared.texts[(at & !SHARED) as usize];
        }
        let (at, base) = (at as usize, &self.program.store.texts);
        if at < base.len() { &base[at] } else { &self.own.texts[at - base.len()] }
    }

    pub fn closure(&mut self, code: u32, captures: Vec<Val>) -> Result<Val> {
        self.take(size_of::<Closure>() + 32 + captures.len() * size_of::<Val>())?;
        let at = self.program.store.closures.len() + self.own.closures.len();
        self.own.closures.push(Closure { code, captures: Arc::from(captures) });
        Ok(Val::Closure(index(at)?))
    }

    pub fn get_closure(&self, at: u32) -> &Closure {
        let (at, base) = (at as usize, &self.program.store.closures);
        if at < base.len() { &base[at] } else { &self.own.closures[at - base.len()] }
    }

    pub fn new_box(&mut self, value: Val) -> Result<Val> {
        self.take(size_of::<Val>())?;
        let at = self.program.store.boxes.len() + self.own.boxes.len();
        self.own.boxes.push(value);
        Ok(Val::Box(index(at)?))
    }

    pub fn unbox(&self, value: Val) -> Val {
        let Val::Box(at) = value else { return value };
        let (at, base) = (at as usize, self.boxes.as_ref().unwrap_or(&self.program.store.boxes));
        if at < base.len() { base[at] } else { self.own.boxes[at - base.len()] }
    }

    pub fn set_box(&mut self, target: Val, value: Val) -> Result<()> {
        let Val::Box(at) = target else { return Ok(()) };
        let (at, count) = (at as usize, self.program.store.boxes.len());
        if at >= count {
            self.own.boxes[at - count] = value;
            return Ok(());
        }
        if self.boxes.is_none() {
            self.take(count * size_of::<Val>())?;
            self.charge_size(count)?;
        }
        self.boxes.get_or_insert_with(|| self.program.store.boxes.clone())[at] = value;
        Ok(())
    }

    pub fn error(&mut self, kind: Kind, message: &str) -> Result<Val> {
        let Val::Str(text) = self.str(message)? else { return Ok(Val::Nil) };
        self.take(size_of::<(Kind, u32)>())?;
        let at = self.program.store.errors.len() + self.own.errors.len();
        self.own.errors.push((kind, text));
        Ok(Val::Error(index(at)?))
    }

    pub fn get_error(&self, at: u32) -> (Kind, &str) {
        let (at, base) = (at as usize, &self.program.store.errors);
        let (kind, text) = if at < base.len() { base[at] } else { self.own.errors[at - base.len()] };
        (kind, &self.text(text).text)
    }

    pub fn list(&mut self, items: &[Val]) -> Result<Val> {
        self.list_onto(items, Val::Nil)
    }

    /// `items` before `tail`.
    pub fn list_onto(&mut self, items: &[Val], mut tail: Val) -> Result<Val> {
        self.charge(items.len() as u64 / 2)?;
        for item in items.iter().rev() {
            tail = self.cons(*item, tail)?;
        }
        Ok(tail)
    }

    /// The elements of a proper list.
    pub fn items(&mut self, list: Val) -> Result<Vec<Val>> {
        let (items, tail) = self.items_and_tail(list)?;
        if tail == Val::Nil { Ok(items) } else { Err(self.wrong("a proper list", list)) }
    }

    /// The elements of a list, and what stands after the last.
    pub fn items_and_tail(&mut self, list: Val) -> Result<(Vec<Val>, Val)> {
        let (mut items, mut rest) = (Vec::new(), list);
        while let Val::Cons(at) = rest {
            let [car, cdr] = self.pair(at);
            items.push(car);
            rest = cdr;
            if items.len().is_multiple_of(256) {
                self.charge(128)?;
            }
        }
        self.charge(items.len() as u64 % 256 / 2)?;
        Ok((items, rest))
    }

    /// "needs …, got …".
    pub fn wrong(&mut self, what: &str, got: Val) -> Fault {
        match self.show(got, 60) {
            Ok(shown) => Fault::new(Kind::Type, format!("needs {what}, got {shown}")),
            Err(fault) => fault,
        }
    }

    /// Adds a line to the log, if there is room in it.
    pub fn log(&mut self, line: &str) {
        if self.logs.len() < LOGS.0 {
            self.logs.push(line[..line.floor_char_boundary(LOGS.1)].to_owned());
        }
    }

    /// What a form means as data. Depth is bounded by the reader's; the walk has a stack of its own.
    pub fn datum(&mut self, tree: &Tree, root: Id) -> Result<Val> {
        enum Step {
            Visit(Id),
            Build(usize, bool),
        }
        let (mut steps, mut done) = (vec![Step::Visit(root)], Vec::new());
        while let Some(step) = steps.pop() {
            self.charge(1)?;
            match step {
                Step::Visit(id) => {
                    let value = match tree.node(id) {
                        Node::Sym(super::names::NIL) => Val::Nil,
                        Node::Sym(super::names::T) => Val::T,
                        Node::Sym(sym) => Val::Sym(*sym),
                        Node::Key(sym) => Val::Key(*sym),
                        Node::Int(number) => Val::Int(*number),
                        Node::Float(number) => Val::Float(*number),
                        Node::Char(c) => Val::Char(*c),
                        Node::Str(text) => {
                            self.take(text.len() + size_of::<Text>())?;
                            self.push_text(Text { chars: text.chars().count(), text: Arc::clone(text) })?
                        }
                        Node::List(..) | Node::Dotted(..) => {
                            let dotted = tree.dotted(id);
                            let items = dotted.or_else(|| tree.items(id)).unwrap_or(&[]);
                            steps.push(Step::Build(items.len(), dotted.is_some()));
                            steps.extend(items.iter().rev().map(|item| Step::Visit(*item)));
                            continue;
                        }
                    };
                    done.push(value);
                }
                Step::Build(count, dotted) => {
                    let items = done.split_off(done.len() - count);
                    let (items, tail) = match items.split_last() {
                        Some((last, before)) if dotted => (before, *last),
                        _ => (items.as_slice(), Val::Nil),
                    };
                    let list = self.list_onto(items, tail)?;
                    done.push(list);
                }
            }
        }
        Ok(done.pop().unwrap_or(Val::Nil))
    }

    /// `equal`, with `loose` `equalp`: a stack of its own, every comparison charged.
    pub fn equal(&mut self, a: Val, b: Val, loose: bool) -> Result<bool> {
        let mut pairs = vec![(a, b)];
        while let Some((a, b)) = pairs.pop() {
            self.charge(1)?;
            let same = match (a, b) {
                (Val::Cons(x), Val::Cons(y)) => {
                    if x != y {
                        let ([xa, xd], [ya, yd]) = (self.pair(x), self.pair(y));
                        pairs.extend([(xd, yd), (xa, ya)]);
                    }
                    true
                }
                (Val::Str(x), Val::Str(y)) => {
                    let (x, y) = (Arc::clone(&self.text(x).text), Arc::clone(&self.text(y).text));
                    self.charge_size(x.len().min(y.len()))?;
                    if loose {
                        x.chars().map(super::names::lower_char).eq(y.chars().map(super::names::lower_char))
                    } else {
                        x == y
                    }
                }
                (Val::Char(x), Val::Char(y)) if loose => {
                    super::names::lower_char(x) == super::names::lower_char(y)
                }
                (Val::Int(x), Val::Float(y)) | (Val::Float(y), Val::Int(x)) if loose => x as f64 == y,
                _ => a == b,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn index(at: usize) -> Result<u32> {
    let at = u32::try_from(at).ok().filter(|at| at & SHARED == 0);
    at.ok_or_else(|| Fault::new(Kind::Memory, "the call used more memory than it may"))
}

/// A store with nothing but plain data, made one that is shared: its values then have names that no program's have.
pub fn shift(store: &mut Store, values: &mut [Val]) {
    let moved = |value: &mut Val| match value {
        Val::Cons(at) | Val::Str(at) => *at |= SHARED,
        _ => {}
    };
    store.conses.iter_mut().flatten().for_each(moved);
    values.iter_mut().for_each(moved);
}

//! The machine that runs a call: a stack of values, one of frames, one of what can be left. It can stop at a
//! question and go on later, and no call of a note's function is a call of a Rust function.

mod ask;
mod calls;
mod place;

use std::sync::Arc;

pub use place::{clipped, count_fault, locate};

use super::builtin;
use super::code::{Capture, Code, Mode, Op, Unit};
use super::core::{Core, NO_VALUES, Result, Val};
use super::fault::{Fault, Kind, LispError};
use super::prelude::Root;
use super::{Datum, Limits, Loaded, Mode as CallMode};

const NO_CLOSURE: u32 = u32::MAX;

/// How many entries of each stack stay for the next call.
const KEPT: usize = 1_024;

#[derive(Clone, Copy, Debug)]
struct Frame {
    code: u32,
    closure: u32,
    pc: u32,
    /// Where its slots begin, and to where the stack is cut when it returns.
    base: u32,
    floor: u32,
    /// How many of these there were when it began.
    controls: u32,
    dynamics: u32,
    multi: bool,
}

/// A block that can be left, or a handler.
#[derive(Clone, Copy, Debug)]
struct Control {
    token: u32,
    handler: bool,
    frame: u32,
    height: u32,
    dynamics: u32,
    pc: u32,
}

/// How the machine stopped.
pub enum Stop {
    Value(Val),
    Ask { prompt: String, system_prompt: Option<String>, tail: bool },
}

/// The stacks of a machine. Empty between calls, so that one call after another can use the same.
#[derive(Default)]
pub struct Stacks {
    values: Vec<Val>,
    frames: Vec<Frame>,
    controls: Vec<Control>,
    dynamics: Vec<(u32, Val)>,
}

pub struct Machine {
    pub core: Core,
    root: &'static Root,
    program: Arc<Loaded>,
    stack: Vec<Val>,
    frames: Vec<Frame>,
    controls: Vec<Control>,
    dynamics: Vec<(u32, Val)>,
    /// The program's, once one of them was set.
    functions: Option<Vec<Val>>,
    globals: Option<Vec<Val>>,
    tokens: u32,
    mode: Option<CallMode>,
    depth: usize,
    asks: usize,
    pub asking: bool,
    /// How much of the stack's memory is paid for.
    paid: usize,
    /// An error to report when it goes on.
    pending: Option<Fault>,
}

impl Machine {
    pub fn new(
        stacks: Stacks,
        core: Core,
        root: &'static Root,
        program: Arc<Loaded>,
        (mode, limits): (Option<CallMode>, &Limits),
    ) -> Self {
        let Stacks { values: stack, frames, controls, dynamics } = stacks;
        Self {
            core,
            root,
            program,
            stack,
            frames,
            controls,
            dynamics,
            functions: None,
            globals: None,
            tokens: 0,
            mode,
            depth: limits.depth,
            asks: limits.asks,
            asking: false,
            paid: 0,
            pending: None,
        }
    }

    /// Plain data as values.
    pub fn import(&mut self, data: &[Datum]) -> Result<Vec<Val>, LispError> {
        let values: Result<Vec<Val>> = data.iter().map(|datum| self.core.import(datum)).collect();
        values.map_err(|fault| self.located(fault))
    }

    /// A value as plain data.
    pub fn export(&mut self, value: Val) -> Result<Datum, LispError> {
        self.core.export(value).map_err(|fault| self.located(fault))
    }

    /// Begins a call of `function`.
    pub fn start(&mut self, function: Val, args: &[Val]) -> Result<(), LispError> {
        self.stack.extend_from_slice(args);
        let count = args.len();
        self.invoke(function, count, 0, Mode::Single).map_err(|fault| self.located(fault))?;
        if self.asking {
            self.asking = false;
            let fault = Fault::new(Kind::Effect, "ask-neuro itself may not be a skill's function");
            return Err(self.located(fault.hint("Give a function that calls it.")));
        }
        Ok(())
    }

    /// The answer to the question it stopped at. One that takes too much memory is an error when it goes on.
    pub fn answer(&mut self, text: &str) {
        self.asking = false;
        match self.core.str(text) {
            Ok(value) => self.stack.push(value),
            Err(fault) => self.pending = Some(fault),
        }
    }

    /// Runs until it stops.
    pub fn run(&mut self) -> Result<Stop, LispError> {
        self.core.start_clock();
        let outcome = self.run_on();
        self.core.stop_clock();
        outcome
    }

    /// The same by a clock that was started before.
    pub fn run_on(&mut self) -> Result<Stop, LispError> {
        loop {
            match self.pending.take().map_or_else(|| self.go(), Err) {
                Ok(stop) => return Ok(stop),
                Err(fault) => {
                    if let Err(fault) = self.caught(fault) {
                        return Err(self.located(fault));
                    }
                }
            }
        }
    }

    /// Its stacks, for the next.
    pub fn into_stacks(self) -> Stacks {
        let Self { stack: mut values, mut frames, mut controls, mut dynamics, .. } = self;
        values.clear();
        frames.clear();
        controls.clear();
        dynamics.clear();
        // What one call needed much of, others need not keep.
        values.shrink_to(KEPT);
        frames.shrink_to(KEPT);
        controls.shrink_to(KEPT);
        dynamics.shrink_to(KEPT);
        Stacks { values, frames, controls, dynamics }
    }

    /// An error goes to the nearest handler; without one, and at a limit, it is the call's.
    fn caught(&mut self, fault: Fault) -> Result<()> {
        let handler = self.controls.iter().rposition(|control| control.handler);
        let Some(at) = handler.filter(|_| !fault.kind.is_limit()) else { return Err(fault) };
        let value = self.core.error(fault.kind, &fault.message)?;
        self.leave(at, value);
        Ok(())
    }

    /// Leaves to a control, which is gone then, with a value.
    fn leave(&mut self, at: usize, value: Val) {
        let control = self.controls[at];
        self.controls.truncate(at);
        self.frames.truncate(control.frame as usize + 1);
        self.stack.truncate(control.height as usize);
        self.undo(control.dynamics as usize);
        self.stack.push(value);
        if let Some(frame) = self.frames.last_mut() {
            frame.pc = control.pc;
        }
    }

    fn undo(&mut self, to: usize) {
        while self.dynamics.len() > to {
            if let Some((global, old)) = self.dynamics.pop() {
                self.own_globals()[global as usize] = old;
            }
        }
    }

    pub fn located(&self, fault: Fault) -> LispError {
        let own = self.frames.iter().rev().find(|frame| frame.code >= self.root.codes());
        let span = own.and_then(|frame| {
            let code = self.program.unit.codes.get((frame.code - self.root.codes()) as usize)?;
            let span = code.spans.get((frame.pc as usize).saturating_sub(1))?;
            self.program.unit.spans.get(*span as usize).copied()
        });
        locate(&self.program.unit, fault, span)
    }

    fn pop(&mut self) -> Val {
        self.stack.pop().unwrap_or(Val::Nil)
    }

    /// Pays for what the stacks take.
    fn pay(&mut self) -> Result<()> {
        let size = self.stack.len() * size_of::<Val>()
            + self.frames.len() * size_of::<Frame>()
            + self.controls.len() * size_of::<Control>();
        if size > self.paid {
            let more = (size - self.paid).max(4096);
            self.core.take(more)?;
            self.paid += more;
        }
        Ok(())
    }

    fn go(&mut self) -> Result<Stop> {
        let (root, program) = (self.root, Arc::clone(&self.program));
        let unit = &program.unit;
        'frame: loop {
            let Some(&frame) = self.frames.last() else { return Ok(Stop::Value(self.pop())) };
            let of: &Unit = if frame.code < root.codes() { &root.unit } else { unit };
            let code: &Code = &of.codes[(frame.code - of.start) as usize];
            let base = frame.base as usize;
            let mut pc = frame.pc as usize;
            macro_rules! sync {
                () => {
                    if let Some(frame) = self.frames.last_mut() {
                        frame.pc = pc as u32;
                    }
                };
            }
            macro_rules! attempt {
                ($e:expr) => {
                    match $e {
                        Ok(value) => value,
                        Err(fault) => {
                            sync!();
                            return Err(fault);
                        }
                    }
                };
            }
            loop {
                let op = code.ops[pc];
                pc += 1;
                attempt!(self.core.charge(1));
                match op {
                    Op::Nop => {}
                    Op::Nil => self.stack.push(Val::Nil),
                    Op::T => self.stack.push(Val::T),
                    Op::Int(number) => self.stack.push(Val::Int(i64::from(number))),
                    Op::Const(at) => self.stack.push(of.consts[at as usize]),
                    Op::PushFun(number) => self.stack.push(Val::Fun(number)),
                    Op::PushBuiltin(number) => self.stack.push(Val::Builtin(number)),
                    Op::FunGet(number) => {
                        let function = attempt!(self.function(number));
                        self.stack.push(function);
                    }
                    Op::Get(slot) => self.stack.push(self.stack[base + slot as usize]),
                    Op::Set(slot) => self.stack[base + slot as usize] = self.stack[self.stack.len() - 1],
                    Op::Bind(slot) => self.stack[base + slot as usize] = self.pop(),
                    Op::GetBox(slot) => self.stack.push(self.core.unbox(self.stack[base + slot as usize])),
                    Op::SetBox(slot) => {
                        let value = self.stack[self.stack.len() - 1];
                        attempt!(self.core.set_box(self.stack[base + slot as usize], value));
                    }
                    Op::BindBox(slot) => {
                        let value = self.pop();
                        self.stack[base + slot as usize] = attempt!(self.core.new_box(value));
                    }
                    Op::CapGet(at) => {
                        let value = self.core.get_closure(frame.closure).captures[at as usize];
                        self.stack.push(self.core.unbox(value));
                    }
                    Op::CapSet(at) => {
                        let target = self.core.get_closure(frame.closure).captures[at as usize];
                        attempt!(self.core.set_box(target, self.stack[self.stack.len() - 1]));
                    }
                    Op::GlobalGet(global) => match self.global(global) {
                        Val::Unbound => {
                            let name = self.core.names.name(of.global_names[global as usize]).to_owned();
                            let fault =
                                Fault::new(Kind::Undefined, format!("the variable {name} has no value yet"));
                            attempt!(Err(fault.hint("Its defvar stands further down, or gives no value.")));
                        }
                        value => self.stack.push(value),
                    },
                    Op::GlobalSet(global) => {
                        let value = self.stack[self.stack.len() - 1];
                        attempt!(self.set_global(global, value));
                    }
                    Op::GlobalInit(global) => {
                        let value = self.pop();
                        if self.global(global) == Val::Unbound {
                            attempt!(self.set_global(global, value));
                        }
                    }
                    Op::BindDyn(global) => {
                        let value = self.pop();
                        attempt!(self.core.take(size_of::<(u32, Val)>()));
                        self.dynamics.push((global, self.global(global)));
                        attempt!(self.set_global(global, value));
                    }
                    Op::Unbind(count) => self.undo(self.dynamics.len().saturating_sub(count as usize)),
                    Op::Pop => drop(self.stack.pop()),
                    Op::Jump(to) => pc = to as usize,
                    Op::JumpNil(to) => {
                        if !self.pop().is_true() {
                            pc = to as usize;
                        }
                    }
                    Op::JumpNilKeep(to) | Op::JumpTrueKeep(to) => {
                        let top = self.stack[self.stack.len() - 1].is_true();
                        if top == matches!(op, Op::JumpTrueKeep(_)) {
                            pc = to as usize;
                        } else {
                            self.stack.pop();
                        }
                    }
                    Op::Given(slot) => {
                        let given = self.stack[base + slot as usize] != Val::Unbound;
                        self.stack.push(Val::bool(given));
                    }
                    Op::CallBuiltin { target, args, mode } => {
                        let (count, floor) = (args as usize, self.stack.len() - args as usize);
                        if let Some(run) = builtin::native(target, count) {
                            let value = match run(&mut self.core, &self.stack[floor..]) {
                                Ok(value) => value,
                                Err(fault) => {
                                    sync!();
                                    return Err(builtin::named(target, fault));
                                }
                            };
                            self.stack.truncate(floor);
                            self.stack.push(if mode == Mode::Single {
                                self.core.primary(value)
                            } else {
                                value
                            });
                            continue;
                        }
                        sync!();
                        self.invoke(Val::Builtin(target), count, floor, mode)?;
                        if self.asking {
                            return self.question(floor);
                        }
                        continue 'frame;
                    }
                    Op::CallFun { target, args, mode } => {
                        sync!();
                        let function = self.function(target)?;
                        let floor = self.stack.len() - args as usize;
                        self.invoke(function, args as usize, floor, mode)?;
                        if self.asking {
                            return self.question(floor);
                        }
                        continue 'frame;
                    }
                    Op::CallCode { target, args, mode } => {
                        sync!();
                        let floor = self.stack.len() - args as usize;
                        self.enter(target, NO_CLOSURE, args as usize, floor, mode)?;
                        continue 'frame;
                    }
                    Op::Funcall { args, mode } | Op::Apply { args, mode } => {
                        sync!();
                        let mut count = args as usize;
                        let floor = self.stack.len() - count - 1;
                        if matches!(op, Op::Apply { .. }) {
                            count = self.spread(count)?;
                        }
                        self.invoke(self.stack[floor], count, floor, mode)?;
                        if self.asking {
                            return self.question(floor);
                        }
                        continue 'frame;
                    }
                    Op::Return => {
                        let value = self.pop();
                        self.controls.truncate(frame.controls as usize);
                        self.undo(frame.dynamics as usize);
                        self.stack.truncate(frame.floor as usize);
                        self.stack.push(if frame.multi { value } else { self.core.primary(value) });
                        self.frames.pop();
                        continue 'frame;
                    }
                    Op::Closure(number) => {
                        let made = &of.codes[(number - of.start) as usize];
                        let captures = made.captures.iter().map(|capture| match *capture {
                            Capture::Slot(slot) => self.stack[base + slot as usize],
                            Capture::Outer(at) => self.core.get_closure(frame.closure).captures[at as usize],
                        });
                        let captures = captures.collect();
                        let closure = attempt!(self.core.closure(number, captures));
                        self.stack.push(closure);
                    }
                    Op::BlockEnter(to) | Op::HandlerEnter(to) => {
                        self.tokens = self.tokens.wrapping_add(1);
                        let handler = matches!(op, Op::HandlerEnter(_));
                        self.controls.push(Control {
                            token: self.tokens,
                            handler,
                            frame: (self.frames.len() - 1) as u32,
                            height: self.stack.len() as u32,
                            dynamics: self.dynamics.len() as u32,
                            pc: to,
                        });
                        attempt!(self.pay());
                        if !handler {
                            self.stack.push(Val::Block(self.tokens));
                        }
                    }
                    Op::BlockExit | Op::HandlerExit => drop(self.controls.pop()),
                    Op::Primary => {
                        let value = self.pop();
                        self.stack.push(self.core.primary(value));
                    }
                    Op::Exit => {
                        let (token, value) = (self.pop(), self.pop());
                        let found =
                            self.controls.iter().rposition(|c| !c.handler && Val::Block(c.token) == token);
                        let Some(at) = found else {
                            let fault = Fault::new(Kind::Form, "the block to return from is done already");
                            attempt!(Err(fault.hint("Return from it while it runs.")));
                            continue;
                        };
                        attempt!(self.core.charge((self.controls.len() - at) as u64));
                        self.leave(at, value);
                        continue 'frame;
                    }
                    Op::MvBind(count) => {
                        let values = self.pop();
                        let mut rest = match values {
                            Val::Values(NO_VALUES) => Val::Nil,
                            Val::Values(at) => Val::Cons(at),
                            single => {
                                self.stack.push(single);
                                Val::Nil
                            }
                        };
                        let done = usize::from(!matches!(values, Val::Values(_)));
                        for _ in done..count as usize {
                            let (first, next) = match rest {
                                Val::Cons(at) => self.core.pair(at).into(),
                                _ => (Val::Nil, Val::Nil),
                            };
                            self.stack.push(first);
                            rest = next;
                        }
                        if count == 0 && done == 1 {
                            self.stack.pop();
                        }
                    }
                    Op::MvList => {
                        let list = match self.pop() {
                            Val::Values(NO_VALUES) => Val::Nil,
                            Val::Values(at) => Val::Cons(at),
                            single => attempt!(self.core.list(&[single])),
                        };
                        self.stack.push(list);
                    }
                    Op::DefFun(number) => {
                        let function = self.pop();
                        attempt!(self.core.take(size_of::<Val>()));
                        let program = &self.program;
                        let functions = self.functions.get_or_insert_with(|| program.functions.clone());
                        functions[number as usize] = function;
                        self.stack.push(Val::Sym(of.function_names[number as usize]));
                    }
                }
            }
        }
    }
}

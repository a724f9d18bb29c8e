//! The machine that runs a call: a stack of values, one of frames, one of what can be left. It can stop at a
//! question and go on later, and no call of a note's function is a call of a Rust function.

use std::sync::Arc;

use super::builtin::{self, Special};
use super::code::{Capture, Code, Mode, Op, Unit};
use super::core::{Core, Result, Val};
use super::fault::{Fault, Kind, LispError};
use super::names::Sym;
use super::prelude::{Callee, Root};
use super::syntax::Span;
use super::{Limits, Mode as CallMode};

const NO_CLOSURE: u32 = u32::MAX;

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

pub struct Machine {
    pub core: Core,
    root: &'static Root,
    unit: Arc<Unit>,
    stack: Vec<Val>,
    frames: Vec<Frame>,
    controls: Vec<Control>,
    dynamics: Vec<(u32, Val)>,
    pub functions: Arc<Vec<Val>>,
    pub globals: Arc<Vec<Val>>,
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
        core: Core,
        root: &'static Root,
        unit: Arc<Unit>,
        globals: (Arc<Vec<Val>>, Arc<Vec<Val>>),
        mode: Option<CallMode>,
        limits: &Limits,
    ) -> Self {
        Self {
            core,
            root,
            unit,
            stack: Vec::new(),
            frames: Vec::new(),
            controls: Vec::new(),
            dynamics: Vec::new(),
            functions: globals.0,
            globals: globals.1,
            tokens: 0,
            mode,
            depth: limits.depth,
            asks: limits.asks,
            asking: false,
            paid: 0,
            pending: None,
        }
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
        let outcome = loop {
            match self.pending.take().map_or_else(|| self.go(), Err) {
                Ok(stop) => break Ok(stop),
                Err(fault) => {
                    if let Err(fault) = self.caught(fault) {
                        break Err(self.located(fault));
                    }
                }
            }
        };
        self.core.stop_clock();
        outcome
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
                Arc::make_mut(&mut self.globals)[global as usize] = old;
            }
        }
    }

    pub fn located(&self, fault: Fault) -> LispError {
        let own = self.frames.iter().rev().find(|frame| frame.code >= self.root.codes());
        let span = own.and_then(|frame| {
            let code = self.unit.codes.get((frame.code - self.root.codes()) as usize)?;
            let span = code.spans.get((frame.pc as usize).saturating_sub(1))?;
            self.unit.spans.get(*span as usize).copied()
        });
        locate(&self.unit, fault, span)
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
        let (root, unit) = (self.root, Arc::clone(&self.unit));
        'frame: loop {
            let Some(&frame) = self.frames.last() else { return Ok(Stop::Value(self.pop())) };
            let of: &Unit = if frame.code < root.codes() { &root.unit } else { &unit };
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
                    Op::GlobalGet(global) => match self.globals[global as usize] {
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
                        if self.globals[global as usize] == Val::Unbound {
                            attempt!(self.set_global(global, value));
                        }
                    }
                    Op::BindDyn(global) => {
                        let value = self.pop();
                        attempt!(self.core.take(size_of::<(u32, Val)>()));
                        self.dynamics.push((global, self.globals[global as usize]));
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
                            self.stack.push(if mode == Mode::Single { self.primary(value) } else { value });
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
                        self.stack.push(if frame.multi { value } else { self.primary(value) });
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
                        self.stack.push(self.primary(value));
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
                            Val::Values(at) => Val::Cons(at),
                            single => attempt!(self.core.list(&[single])),
                        };
                        self.stack.push(list);
                    }
                    Op::DefFun(number) => {
                        let function = self.pop();
                        attempt!(self.core.take(size_of::<Val>()));
                        Arc::make_mut(&mut self.functions)[number as usize] = function;
                        self.stack.push(Val::Sym(of.function_names[number as usize]));
                    }
                }
            }
        }
    }

    fn primary(&self, value: Val) -> Val {
        match value {
            Val::Values(at) => self.core.pair(at)[0],
            value => value,
        }
    }

    fn function(&self, number: u32) -> Result<Val> {
        match self.functions[number as usize] {
            Val::Unbound => {
                let name = self.core.names.name(self.unit.function_names[number as usize]);
                Err(Fault::new(Kind::Undefined, format!("the function {name} is not defined yet"))
                    .hint("Its defun is evaluated later; move it up."))
            }
            function => Ok(function),
        }
    }

    fn set_global(&mut self, global: u32, value: Val) -> Result<()> {
        if Arc::strong_count(&self.globals) > 1 {
            self.core.take(self.globals.len() * size_of::<Val>())?;
        }
        Arc::make_mut(&mut self.globals)[global as usize] = value;
        Ok(())
    }

    /// The last argument, a list, becomes arguments of its own; says how many there are then.
    fn spread(&mut self, count: usize) -> Result<usize> {
        if count == 0 {
            return Err(
                Fault::new(Kind::Arguments, "apply needs a list of arguments").hint("Write (apply f list).")
            );
        }
        let list = self.pop();
        let items = self.core.items(list)?;
        self.stack.extend_from_slice(&items);
        self.pay()?;
        Ok(count - 1 + items.len())
    }

    /// What a name or a function value stands for.
    pub fn resolve(&self, value: Val) -> Option<Val> {
        match value {
            Val::Fun(_) | Val::Closure(_) | Val::Builtin(_) => Some(value),
            Val::Sym(sym) => {
                if let Some(number) = self.unit.functions.get(&sym) {
                    return Some(self.functions[*number as usize])
                        .filter(|function| *function != Val::Unbound);
                }
                match self.root.callee(sym)? {
                    Callee::Code(number) => Some(Val::Fun(number)),
                    Callee::Builtin(number) => Some(Val::Builtin(number)),
                    Callee::Note(_) => None,
                }
            }
            _ => None,
        }
    }

    /// The names of the note's functions.
    pub fn defined(&self) -> Vec<String> {
        self.unit.function_names.iter().map(|sym| self.core.names.name(*sym).to_owned()).collect()
    }

    /// Calls a function value with the `count` values on top of the stack, which is cut to `floor` when it returns.
    fn invoke(&mut self, function: Val, mut count: usize, floor: usize, mode: Mode) -> Result<()> {
        let mut function = function;
        loop {
            self.core.charge(1)?;
            match function {
                Val::Fun(number) => return self.enter(number, NO_CLOSURE, count, floor, mode),
                Val::Closure(at) => {
                    let code = self.core.get_closure(at).code;
                    return self.enter(code, at, count, floor, mode);
                }
                Val::Builtin(number) => {
                    let base = self.stack.len() - count;
                    match builtin::special(number) {
                        Some(Special::Funcall | Special::Apply) if count == 0 => {
                            return Err(Fault::new(Kind::Arguments, "a function to call is missing"));
                        }
                        Some(special @ (Special::Funcall | Special::Apply)) => {
                            function = self.stack.remove(base);
                            count -= 1;
                            if special == Special::Apply {
                                count = self.spread(count)?;
                            }
                            continue;
                        }
                        Some(Special::Ask) => {
                            self.asking = true;
                            return Ok(());
                        }
                        None => {}
                    }
                    let Some(run) = builtin::native(number, count) else {
                        return Err(builtin::wrong_count(number, count));
                    };
                    let value =
                        run(&mut self.core, &self.stack[base..]).map_err(|f| builtin::named(number, f))?;
                    self.stack.truncate(floor);
                    self.stack.push(if mode == Mode::Single { self.primary(value) } else { value });
                    return Ok(());
                }
                Val::Sym(sym) => match self.resolve(function) {
                    Some(found) => function = found,
                    None => {
                        let name = self.core.names.name(sym);
                        return Err(Fault::new(
                            Kind::Undefined,
                            format!("the function {name} is not defined"),
                        )
                        .hint("Define it with defun."));
                    }
                },
                other => {
                    let fault = self.core.wrong("a function to call", other);
                    return Err(Fault { message: format!("the call {}", fault.message), ..fault });
                }
            }
        }
    }

    /// Begins a function of a note: lays out its arguments and its frame.
    fn enter(&mut self, number: u32, closure: u32, count: usize, floor: usize, mode: Mode) -> Result<()> {
        let (root, unit) = (self.root, Arc::clone(&self.unit));
        let of: &Unit = if number < root.codes() { &root.unit } else { &unit };
        let code = &of.codes[(number - of.start) as usize];
        let (required, optional) = (code.required as usize, code.optional as usize);
        let open = code.rest || code.has_keys;
        if count < required || (!open && count > required + optional) {
            let most = if open { usize::MAX } else { required + optional };
            return Err(count_fault(&shown(&self.core, code.name), required, most, count));
        }
        let mut floor = floor;
        let mut base = self.stack.len() - count;
        let (mut multi, mut replaced) = (mode == Mode::Multi, false);
        // A tail call takes the place of the frame, unless something in it can still be left.
        if mode == Mode::Tail
            && let Some(&frame) = self.frames.last()
        {
            multi = true;
            if self.controls.len() == frame.controls as usize
                && self.dynamics.len() == frame.dynamics as usize
            {
                self.stack.drain(frame.base as usize..base);
                (base, floor, multi) = (frame.base as usize, frame.floor as usize, frame.multi);
                replaced = true;
            }
        }
        if self.frames.len() >= self.depth {
            return Err(Fault::new(
                Kind::Depth,
                format!("more than {} calls wait for each other", self.depth),
            )
            .hint("Recur in tail position, or use a loop."));
        }
        let named = (required + optional).min(count);
        if open || optional > 0 {
            let extra: Vec<Val> = self.stack.split_off(base + named);
            self.stack.resize(base + required + optional + code.keys.len(), Val::Unbound);
            if code.has_keys {
                self.keys(code, &extra, base + required + optional)?;
            }
            if code.rest {
                let list = self.core.list(&extra)?;
                self.stack.push(list);
            }
        }
        self.stack.resize(base + code.slots as usize, Val::Nil);
        for slot in &code.boxed {
            let at = base + *slot as usize;
            self.stack[at] = self.core.new_box(self.stack[at])?;
        }
        // Only now: until here an error is the caller's.
        if replaced {
            self.frames.pop();
        }
        self.frames.push(Frame {
            code: number,
            closure,
            pc: 0,
            base: base as u32,
            floor: floor as u32,
            controls: self.controls.len() as u32,
            dynamics: self.dynamics.len() as u32,
            multi,
        });
        self.core.charge(u64::from(code.slots) / 8)?;
        self.pay()
    }

    /// Lays the values of keys into their slots, of one given twice the first.
    fn keys(&mut self, code: &Code, extra: &[Val], at: usize) -> Result<()> {
        let name = || shown(&self.core, code.name);
        if !extra.len().is_multiple_of(2) {
            let message = format!("{} got a key without a value", name());
            return Err(Fault::new(Kind::Arguments, message).hint("Write :key value."));
        }
        let mut allow = code.allow_other;
        let allowing = |pair: &[Val], core: &Core| {
            matches!(pair[0], Val::Key(key) if core.names.name(key) == "allow-other-keys")
                && pair[1].is_true()
        };
        allow |= extra.chunks_exact(2).any(|pair| allowing(pair, &self.core));
        self.core.charge(extra.len() as u64)?;
        for pair in extra.chunks_exact(2) {
            let known = match pair[0] {
                Val::Key(key) => code.keys.iter().position(|other| *other == key),
                _ => None,
            };
            match known {
                Some(key) if self.stack[at + key] == Val::Unbound => self.stack[at + key] = pair[1],
                Some(_) => {}
                None if allow => {}
                None => {
                    let shown_key = self.core.show(pair[0], 40)?;
                    let mut fault = Fault::new(
                        Kind::Arguments,
                        format!("{} has no key {}", shown(&self.core, code.name), shown_key.to_lowercase()),
                    );
                    let keys: Vec<&str> = code.keys.iter().map(|key| self.core.names.name(*key)).collect();
                    if !keys.is_empty() {
                        fault = fault.hint(format!("It has :{}.", keys.join(" :")));
                    }
                    return Err(fault);
                }
            }
        }
        Ok(())
    }

    /// The question on top of the stack.
    fn question(&mut self, floor: usize) -> Result<Stop> {
        self.asking = false;
        if self.mode != Some(CallMode::Neuro) {
            let place = match self.mode {
                Some(CallMode::Trigger) => "in a trigger",
                Some(CallMode::Gate) => "in a gate",
                _ => "while the note is loaded",
            };
            return Err(Fault::new(Kind::Effect, format!("ask-neuro may not be used {place}"))
                .hint("Ask in the function that the skill gives as :neuro."));
        }
        let mut args = self.stack[floor..].to_vec();
        if matches!(args.first(), Some(Val::Fun(_) | Val::Closure(_) | Val::Builtin(_) | Val::Sym(_))) {
            args.remove(0);
        }
        let usage = || {
            Fault::new(Kind::Arguments, "ask-neuro needs a prompt")
                .hint("Write (ask-neuro prompt :system-prompt text).")
        };
        let mut texts = Vec::new();
        let system = match args.as_slice() {
            [_] => None,
            [_, Val::Key(key), system] if self.core.names.name(*key) == "system-prompt" => Some(*system),
            _ => return Err(usage()),
        };
        for value in [Some(args[0]), system.filter(|value| value.is_true())].into_iter().flatten() {
            let Val::Str(at) = value else {
                return Err(builtin::named_as("ask-neuro", self.core.wrong("a string", value)));
            };
            let text = Arc::clone(&self.core.text(at).text);
            self.core.take(text.len())?;
            texts.push(text.to_string());
        }
        let tail = self.is_tail();
        if !tail {
            let Some(left) = self.asks.checked_sub(1) else {
                return Err(Fault::new(Kind::Effect, "the function asks the model too often")
                    .hint("Put what there is to ask into one prompt."));
            };
            self.asks = left;
        }
        self.stack.truncate(floor);
        self.asking = true;
        let mut texts = texts.into_iter();
        let prompt = texts.next().unwrap_or_default();
        Ok(Stop::Ask { prompt, system_prompt: texts.next(), tail })
    }

    /// Whether nothing is left to be done but to return.
    fn is_tail(&self) -> bool {
        if self.controls.iter().any(|control| control.handler) {
            return false;
        }
        self.frames.iter().all(|frame| {
            let of: &Unit = if frame.code < self.root.codes() { &self.root.unit } else { &self.unit };
            let ops = &of.codes[(frame.code - of.start) as usize].ops;
            let mut pc = frame.pc as usize;
            for _ in 0..64 {
                match ops.get(pc) {
                    Some(Op::Return) => return true,
                    Some(Op::Nop | Op::BlockExit | Op::Unbind(_) | Op::Primary) => pc += 1,
                    Some(Op::Jump(to)) => pc = *to as usize,
                    _ => return false,
                }
            }
            false
        })
    }
}

fn shown(core: &Core, name: Sym) -> String {
    core.names.name(name).to_owned()
}

/// "… takes …, got …".
pub fn count_fault(name: &str, least: usize, most: usize, got: usize) -> Fault {
    let takes = match (least, most) {
        (least, usize::MAX) => format!("at least {least}"),
        (least, most) if least == most => format!("{least}"),
        (least, most) => format!("{least} to {most}"),
    };
    let arguments = if takes == "1" || takes.ends_with(" 1") { "argument" } else { "arguments" };
    Fault::new(Kind::Arguments, format!("{name} takes {takes} {arguments}, got {got}"))
}

/// An error with its place in a note.
pub fn locate(unit: &Unit, fault: Fault, span: Option<Span>) -> LispError {
    let file = span.and_then(|span| unit.files.get(span.text as usize));
    let form = match (file, span) {
        (Some(file), Some(span)) => {
            let start = file.text.floor_char_boundary(span.start as usize);
            let end = file.text.floor_char_boundary((span.end as usize).min(start + 200)).max(start);
            clip(&file.text[start..end])
        }
        _ => String::new(),
    };
    LispError {
        kind: fault.kind,
        message: fault.message,
        file: file.map(|file| file.name.to_string()).unwrap_or_default(),
        line: if file.is_some() { span.map_or(0, |span| span.line as usize) } else { 0 },
        form,
        hint: fault.hint,
    }
}

/// On one line, at most 100 characters.
fn clip(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(100) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

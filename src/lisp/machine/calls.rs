//! Calls: what a function value is, how its arguments are laid out, when a call takes the place of its caller.

use std::sync::Arc;

use super::super::Loaded;
use super::super::builtin::{self, Special};
use super::super::code::{Code, Mode, Unit};
use super::super::core::{Core, Result, Val};
use super::super::fault::{Fault, Kind};
use super::super::names::Sym;
use super::super::prelude::Callee;
use super::{Frame, Machine, NO_CLOSURE, count_fault};

impl Machine {
    pub(super) fn function(&self, number: u32) -> Result<Val> {
        match self.defined_as(number) {
            Val::Unbound => {
                let name = self.core.names.name(self.program.unit.function_names[number as usize]);
                Err(Fault::new(Kind::Undefined, format!("the function {name} is not defined yet"))
                    .hint("Its defun is evaluated later; move it up."))
            }
            function => Ok(function),
        }
    }

    pub(super) fn set_global(&mut self, global: u32, value: Val) -> Result<()> {
        if self.globals.is_none() {
            self.core.take(self.program.globals.len() * size_of::<Val>())?;
        }
        self.own_globals()[global as usize] = value;
        Ok(())
    }

    /// The value of a global variable.
    pub(super) fn global(&self, global: u32) -> Val {
        self.globals.as_ref().unwrap_or(&self.program.globals)[global as usize]
    }

    pub(super) fn own_globals(&mut self) -> &mut Vec<Val> {
        self.globals.get_or_insert_with(|| self.program.globals.clone())
    }

    /// What a function of the note is now.
    fn defined_as(&self, number: u32) -> Val {
        self.functions.as_ref().unwrap_or(&self.program.functions)[number as usize]
    }

    /// The values of its functions and of its global variables, and all else that was made.
    pub fn into_parts(self) -> (Core, Arc<Loaded>, Vec<Val>, Vec<Val>) {
        let functions = self.functions.unwrap_or_else(|| self.program.functions.clone());
        let globals = self.globals.unwrap_or_else(|| self.program.globals.clone());
        (self.core, self.program, functions, globals)
    }

    /// The last argument, a list, becomes arguments of its own; says how many there are then.
    pub(super) fn spread(&mut self, count: usize) -> Result<usize> {
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
                if let Some(number) = self.program.unit.functions.get(&sym) {
                    return Some(self.defined_as(*number)).filter(|function| *function != Val::Unbound);
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
        self.program.unit.function_names.iter().map(|sym| self.core.names.name(*sym).to_owned()).collect()
    }

    /// Calls a function value with the `count` values on top of the stack, which is cut to `floor` when it returns.
    pub(super) fn invoke(&mut self, function: Val, mut count: usize, floor: usize, mode: Mode) -> Result<()> {
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
                    self.stack.push(if mode == Mode::Single { self.core.primary(value) } else { value });
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
    pub(super) fn enter(
        &mut self,
        number: u32,
        closure: u32,
        count: usize,
        floor: usize,
        mode: Mode,
    ) -> Result<()> {
        let (root, program) = (self.root, Arc::clone(&self.program));
        let of: &Unit = if number < root.codes() { &root.unit } else { &program.unit };
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
        // A tail call takes the place of the frame, unless something in it can still be left, or an error in one
        // of the language's own functions would not be known to come from the note's.
        if mode == Mode::Tail
            && let Some(&frame) = self.frames.last()
        {
            multi = true;
            let hides = number < root.codes() && frame.code >= root.codes();
            if !hides
                && self.controls.len() == frame.controls as usize
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
    pub(super) fn keys(&mut self, code: &Code, extra: &[Val], at: usize) -> Result<()> {
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
        self.core.charge(extra.len() as u64 * (1 + code.keys.len() as u64 / 16))?;
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
}

fn shown(core: &Core, name: Sym) -> String {
    super::place::clipped(core.names.name(name), 60)
}

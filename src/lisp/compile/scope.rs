//! Variables, local functions and blocks: what a name means where it stands, and what closures capture.

use std::rc::Rc;

use super::super::code::{Capture, Code, Mode, Op};
use super::super::fault::Kind;
use super::super::hints;
use super::super::names::{self, Sym, near};
use super::super::syntax::{Id, Node};
use super::{Binding, Compiled, Compiler, Place, Space, index};

impl Compiler<'_> {
    pub(super) fn add(&mut self, space: Space, name: Sym) -> u32 {
        let level = self.functions.len() - 1;
        let function = self.current();
        let slot = function.code.slots;
        function.code.slots += 1;
        function.boxed.push(false);
        self.add_at(space, name, level, slot);
        slot
    }

    pub(super) fn add_at(&mut self, space: Space, name: Sym, level: usize, slot: u32) {
        self.visible.entry((space, name)).or_default().push(self.bindings.len());
        self.bindings.push(Binding {
            space,
            name,
            level,
            slot,
            used: false,
            of_function: false,
            takes: None,
        });
    }

    pub(super) fn add_function(&mut self, name: Sym, takes: Option<Rc<Code>>) -> u32 {
        let slot = self.add(Space::Function, name);
        if let Some(last) = self.bindings.last_mut() {
            last.takes = takes;
        }
        slot
    }

    pub(super) fn leave(&mut self, count: usize) {
        while self.bindings.len() > count {
            if let Some(Binding { space, name, .. }) = self.bindings.pop()
                && let Some(numbers) = self.visible.get_mut(&(space, name))
            {
                numbers.pop();
            }
        }
    }

    pub(super) fn find(&self, space: Space, name: Sym) -> Option<usize> {
        self.visible.get(&(space, name))?.last().copied()
    }

    /// Where a binding is found from the current function; functions between capture it.
    pub(super) fn place(&mut self, binding: usize) -> Compiled<Place> {
        let Binding { level, slot, .. } = self.bindings[binding];
        self.charge((self.functions.len() - 1 - level) as u64)?;
        let mut from = Capture::Slot(slot);
        for inner in level + 1..self.functions.len() {
            if let Capture::Slot(slot) = from {
                self.functions[inner - 1].boxed[slot as usize] = true;
            }
            let function = &mut self.functions[inner];
            let next = index(function.code.captures.len());
            let at = *function.captured.entry(binding).or_insert(next);
            if at == next {
                function.code.captures.push(from);
            }
            from = Capture::Outer(at);
        }
        Ok(match from {
            Capture::Slot(slot) => Place::Slot(slot),
            Capture::Outer(at) => Place::Capture(at),
        })
    }

    pub(super) fn get(&mut self, binding: usize) -> Compiled {
        let op = match self.place(binding)? {
            Place::Slot(slot) => Op::Get(slot),
            Place::Capture(at) => Op::CapGet(at),
        };
        self.emit(op)
    }

    /// Takes the top of the stack as the value of a new variable.
    pub(super) fn bind(&mut self, name: Sym) -> Compiled {
        if let Some(global) = self.unit.globals.get(&name) {
            return self.emit(Op::BindDyn(*global));
        }
        let slot = self.add(Space::Variable, name);
        self.emit(Op::Bind(slot))
    }

    pub(super) fn is_global(&self, name: Sym) -> bool {
        self.unit.globals.contains_key(&name)
    }

    pub(super) fn variable_name(&self, id: Id) -> Compiled<Sym> {
        match *self.tree.node(id) {
            Node::Sym(names::NIL | names::T) => self.bad("nil and t are constants", "Use another name."),
            Node::Sym(sym) => Ok(sym),
            Node::Key(sym) => self.bad(
                format!(":{} is a constant, not a variable", self.shown(sym)),
                "Use a name without colon.",
            ),
            _ => self.bad("a variable's name was expected", "Write a symbol."),
        }
    }

    pub(super) fn variable(&mut self, sym: Sym, mode: Mode) -> Compiled {
        match sym {
            names::NIL => self.emit(Op::Nil)?,
            names::T => self.emit(Op::T)?,
            _ => {
                if let Some(binding) = self.find(Space::Variable, sym) {
                    self.get(binding)?;
                } else if let Some(global) = self.unit.globals.get(&sym) {
                    self.emit(Op::GlobalGet(*global))?;
                } else {
                    return self.no_variable(sym);
                }
            }
        }
        self.done(mode)
    }

    pub(super) fn no_variable(&self, sym: Sym) -> Compiled {
        let name = self.shown(sym);
        let others = self.bindings.iter().filter(|binding| binding.space == Space::Variable).map(|b| b.name);
        let others: Vec<Sym> = others.chain(self.unit.global_names.iter().copied()).collect();
        let hint = match near(&name, others.iter().map(|other| self.core.names.name(*other))) {
            _ if hints::sign(&name).is_some() => hints::sign(&name).unwrap_or_default().to_owned(),
            Some(near) => format!("Did you mean {near}?"),
            None => "Bind it with let, or define it with defvar.".to_owned(),
        };
        self.fail(Kind::Undefined, format!("the variable {name} is not defined"), hint)
    }

    pub(super) fn set_variable(&mut self, sym: Sym) -> Compiled {
        let op = if let Some(binding) = self.find(Space::Variable, sym) {
            match self.place(binding)? {
                Place::Slot(slot) => Op::Set(slot),
                Place::Capture(at) => Op::CapSet(at),
            }
        } else if let Some(global) = self.unit.globals.get(&sym) {
            Op::GlobalSet(*global)
        } else {
            return self.no_variable(sym);
        };
        self.emit(op)
    }
}

//! Definitions: functions, global variables, skills.

use super::super::builtin;
use super::super::code::{Mode, Op};
use super::super::core::Val;
use super::super::names::{self, Sym, near};
use super::super::syntax::{Id, Node};
use super::{Compiled, Compiler, Task, act};

/// The keys of `defskill`, and what other names they have.
pub const SKILL_KEYS: &[(&str, &str)] = &[
    ("name", "name"),
    ("priority", "priority"),
    ("trigger", "trigger"),
    ("neuro", "neuro"),
    ("probabilistic", "neuro"),
    ("symbolic", "symbolic"),
    ("deterministic", "symbolic"),
    ("dependencies", "dependencies"),
    ("description", "description"),
    ("capabilities", "capabilities"),
];

impl Compiler<'_> {
    pub(super) fn defun(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let [name, rest @ ..] = args else { return self.usage("(defun name (argument…) form…)") };
        let sym = self.function_name(*name)?;
        let Some(number) = self.unit.functions.get(&sym).copied() else {
            return self.usage("(defun name (argument…) form…)");
        };
        let (rest, outer) = (rest.to_vec(), self.strict);
        self.strict = self.is_last(sym, rest.first());
        self.plan(vec![
            act(move |c| c.lambda(sym, &rest, Some(sym))),
            Task::Op(Op::DefFun(number)),
            act(move |c| {
                c.strict = outer;
                c.done(mode)
            }),
        ]);
        Ok(())
    }

    pub(super) fn defvar(&mut self, args: &[Id], kind: Sym, mode: Mode) -> Compiled {
        let (name, value) = match args {
            [name] if kind == names::DEFVAR => (*name, None),
            [name, value] | [name, value, _] => (*name, Some(*value)),
            _ => return self.usage("(defvar name value)"),
        };
        let sym = self.variable_name(name)?;
        let Some(number) = self.unit.globals.get(&sym).copied() else {
            return self.usage("(defvar name value)");
        };
        let mut tasks = Vec::new();
        if let Some(value) = value {
            tasks.push(Task::Form(value, Mode::Single));
            if kind == names::DEFVAR {
                tasks.push(Task::Op(Op::GlobalInit(number)));
            } else {
                tasks.extend([Task::Op(Op::GlobalSet(number)), Task::Op(Op::Pop)]);
            }
        }
        tasks.push(act(move |c| c.push_constant(Val::Sym(sym), mode)));
        self.plan(tasks);
        Ok(())
    }

    pub(super) fn defskill(&mut self, args: &[Id], id: Id, mode: Mode) -> Compiled {
        let mut tasks = Vec::new();
        let span = self.span;
        tasks.push(act(move |c| {
            c.span = c.tree.span(id);
            c.emit(Op::Nil)?;
            // The place of the form is the place of the operation before it.
            let at = i64::try_from(c.unit.spans.len() - 1).unwrap_or(0);
            c.emit(Op::Pop)?;
            c.push_constant(Val::Int(at), Mode::Single)
        }));
        let pairs = if args.len() % 2 == 1 {
            let key = self.core.names.intern("name");
            tasks.push(act(move |c| c.push_constant(Val::Key(key), Mode::Single)));
            tasks.push(self.skill_value(args[0], true));
            &args[1..]
        } else {
            args
        };
        for pair in pairs.chunks_exact(2) {
            let Node::Key(key) = *self.tree.node(pair[0]) else {
                self.span = self.tree.span(pair[0]);
                return self.bad("a key was expected in defskill", "Write (defskill :name :trigger #'f …).");
            };
            let name = self.shown(key);
            let Some((_, known)) = SKILL_KEYS.iter().find(|(known, _)| *known == name) else {
                self.span = self.tree.span(pair[0]);
                let all: Vec<&str> = SKILL_KEYS.iter().map(|(key, _)| *key).collect();
                let hint = match near(&name, all.iter().copied()) {
                    Some(near) => format!("Did you mean :{near}?"),
                    None => format!("There are :{}.", all.join(" :")),
                };
                return self.bad(format!("defskill has no key :{name}"), hint);
            };
            let key = self.core.names.intern(known);
            tasks.push(act(move |c| c.push_constant(Val::Key(key), Mode::Single)));
            tasks.push(self.skill_value(pair[1], *known == "name"));
        }
        let count = u16::try_from(1 + pairs.len() + 2 * (args.len() % 2)).unwrap_or(u16::MAX);
        let target = builtin::find("%defskill").unwrap_or(0);
        self.span = span;
        tasks.push(Task::Op(Op::CallBuiltin { target, args: count, mode }));
        tasks.push(act(move |c| c.done(mode)));
        self.plan(tasks);
        Ok(())
    }

    /// A value in a `defskill`: a symbol as its name and `#'f` as `'f`, so that the latest definition counts.
    pub(super) fn skill_value(&mut self, id: Id, name: bool) -> Task {
        let quoted = match (self.tree.head(id), self.tree.items(id)) {
            (Some(names::FUNCTION), Some([_, inner])) => self.tree.symbol(*inner).map(|_| *inner),
            _ if name && self.tree.symbol(id).is_some() => Some(id),
            _ => None,
        };
        match quoted {
            Some(inner) => act(move |c| c.push_datum(inner, Mode::Single)),
            None => Task::Form(id, Mode::Single),
        }
    }
}

//! Forms to operations. What is still to be done stands in a list of tasks: nothing here recurses on a form.

mod arity;
mod clauses;
mod control;
mod definitions;
mod forms;
mod lambda;
mod loops;
mod places;
mod quasi;
mod scope;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::builtin;
use super::code::{Code, Mode, Op, Unit};
use super::core::{Core, Text, Val};
use super::fault::{Fault, Kind};
use super::hints;
use super::names::{self, Sym, near, upper};
use super::prelude::{Callee, Root};
use super::syntax::{Id, Node, Span, Tree};

pub use arity::takes_lists;

pub type Compiled<T = ()> = Result<T, (Fault, Span)>;

type Do = Box<dyn FnOnce(&mut Compiler<'_>) -> Compiled>;

pub enum Task {
    Form(Id, Mode),
    Op(Op),
    Label(u32),
    /// Forgets the bindings after so many.
    Scope(usize),
    Do(Do),
}

/// A task that does what the closure does.
fn act(f: impl FnOnce(&mut Compiler<'_>) -> Compiled + 'static) -> Task {
    Task::Do(Box::new(f))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Space {
    Variable,
    Function,
    Block,
}

struct Binding {
    space: Space,
    name: Sym,
    level: usize,
    slot: u32,
    /// Of a block: whether something leaves it with a token; whether its value is the function's.
    used: bool,
    of_function: bool,
    /// Of a function: what it takes.
    takes: Option<Rc<Code>>,
}

/// Where a variable is found from here.
enum Place {
    Slot(u32),
    Capture(u32),
}

/// A function that is being compiled.
#[derive(Default)]
struct Function {
    code: Code,
    labels: Vec<u32>,
    boxed: Vec<bool>,
    /// Which binding each capture is.
    captured: HashMap<usize, u32>,
}

pub struct Compiler<'c> {
    core: &'c mut Core,
    tree: &'c mut Tree,
    pub unit: Unit,
    root: Option<&'static Root>,
    functions: Vec<Function>,
    bindings: Vec<Binding>,
    visible: HashMap<(Space, Sym), Vec<usize>>,
    tasks: Vec<(Task, Span)>,
    symbols: HashMap<(bool, Sym), u32>,
    made: Sym,
    span: Span,
    /// What the note's functions take.
    known: HashMap<Sym, arity::Known>,
    /// Whether what is compiled is in use when the note is loaded.
    strict: bool,
}

impl<'c> Compiler<'c> {
    /// A compiler of the forms in `tree`. Without a root it compiles the root's own functions.
    pub fn new(core: &'c mut Core, tree: &'c mut Tree, root: Option<&'static Root>) -> Self {
        let mut unit = Unit { start: root.map_or(0, Root::codes), ..Unit::default() };
        for list in tree.lists() {
            let head = list.first().and_then(|head| tree.symbol(*head));
            let Some(name) = list.get(1).and_then(|name| tree.symbol(*name)) else { continue };
            let (map, list) = match head {
                Some(names::DEFUN) => (&mut unit.functions, &mut unit.function_names),
                Some(names::DEFVAR | names::DEFPARAMETER | names::DEFCONSTANT) => {
                    (&mut unit.globals, &mut unit.global_names)
                }
                _ => continue,
            };
            map.entry(name).or_insert_with(|| {
                list.push(name);
                index(list.len() - 1)
            });
        }
        if root.is_none() {
            unit.codes.extend(unit.function_names.iter().map(|_| Code::default()));
        }
        Self {
            core,
            tree,
            unit,
            root,
            functions: Vec::new(),
            bindings: Vec::new(),
            visible: HashMap::new(),
            tasks: Vec::new(),
            symbols: HashMap::new(),
            made: Sym::MAX,
            span: Span::default(),
            known: HashMap::new(),
            strict: false,
        }
    }

    /// Compiles `forms` into one function without arguments, the last of the unit.
    pub fn top_level(&mut self, forms: &[Id]) -> Compiled {
        self.learn(forms)?;
        self.functions.push(Function::default());
        self.body(forms, Mode::Tail)?;
        while let Some((task, span)) = self.tasks.pop() {
            self.span = span;
            self.charge(1)?;
            match task {
                Task::Form(id, mode) => self.form(id, mode)?,
                Task::Op(op) => self.emit(op)?,
                Task::Label(label) => self.label(label),
                Task::Scope(count) => self.leave(count),
                Task::Do(f) => f(self)?,
            }
        }
        let code = self.finish()?;
        self.unit.codes.push(code);
        Ok(())
    }

    fn fail<T>(&self, kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Compiled<T> {
        Err((Fault::new(kind, message).hint(hint), self.span))
    }

    fn bad<T>(&self, message: impl Into<String>, hint: impl Into<String>) -> Compiled<T> {
        self.fail(Kind::Form, message, hint)
    }

    fn charge(&mut self, work: u64) -> Compiled {
        self.core.charge(work).map_err(|fault| (fault, self.span))
    }

    fn shown(&self, sym: Sym) -> String {
        super::machine::clipped(self.core.names.name(sym), 60)
    }

    /// Does `tasks` next, in this order.
    fn plan(&mut self, tasks: Vec<Task>) {
        let span = self.span;
        self.tasks.extend(tasks.into_iter().rev().map(|task| (task, span)));
    }

    fn current(&mut self) -> &mut Function {
        if self.functions.is_empty() {
            self.functions.push(Function::default());
        }
        let last = self.functions.len() - 1;
        &mut self.functions[last]
    }

    fn emit(&mut self, op: Op) -> Compiled {
        self.core.take(size_of::<Op>() + 4).map_err(|fault| (fault, self.span))?;
        if self.unit.spans.last() != Some(&self.span) {
            self.unit.spans.push(self.span);
        }
        let span = index(self.unit.spans.len() - 1);
        let code = &mut self.current().code;
        code.ops.push(op);
        code.spans.push(span);
        Ok(())
    }

    fn new_label(&mut self) -> u32 {
        let labels = &mut self.current().labels;
        labels.push(0);
        index(labels.len() - 1)
    }

    fn label(&mut self, label: u32) {
        let function = self.current();
        function.labels[label as usize] = index(function.code.ops.len());
    }

    /// After a value that may be the function's: returns it, if it is.
    fn done(&mut self, mode: Mode) -> Compiled {
        if mode == Mode::Tail { self.emit(Op::Return) } else { Ok(()) }
    }

    fn constant(&mut self, value: Val) -> Compiled<Op> {
        let op = match value {
            Val::Nil => Op::Nil,
            Val::T => Op::T,
            Val::Int(number) if i32::try_from(number).is_ok() => Op::Int(i32::try_from(number).unwrap_or(0)),
            Val::Sym(sym) | Val::Key(sym) => {
                let key = (matches!(value, Val::Key(_)), sym);
                let next = index(self.unit.consts.len());
                let at = *self.symbols.entry(key).or_insert(next);
                if at == next {
                    self.unit.consts.push(value);
                }
                Op::Const(at)
            }
            _ => {
                self.unit.consts.push(value);
                Op::Const(index(self.unit.consts.len() - 1))
            }
        };
        Ok(op)
    }

    fn push_constant(&mut self, value: Val, mode: Mode) -> Compiled {
        let op = self.constant(value)?;
        self.emit(op)?;
        self.done(mode)
    }

    fn push_datum(&mut self, id: Id, mode: Mode) -> Compiled {
        let value = self.core.datum(self.tree, id).map_err(|fault| (fault, self.span))?;
        self.push_constant(value, mode)
    }

    // Forms.

    fn form(&mut self, id: Id, mode: Mode) -> Compiled {
        self.span = self.tree.span(id);
        match self.tree.node(id).clone() {
            Node::Sym(sym) => self.variable(sym, mode),
            Node::Key(sym) => self.push_constant(Val::Key(sym), mode),
            Node::Int(number) => self.push_constant(Val::Int(number), mode),
            Node::Float(number) => self.push_constant(Val::Float(number), mode),
            Node::Char(c) => self.push_constant(Val::Char(c), mode),
            Node::Str(text) => {
                let chars = text.chars().count();
                let value = self
                    .core
                    .take(text.len() + size_of::<Text>())
                    .and_then(|()| self.core.push_text(Text { text: Arc::clone(&text), chars }));
                self.push_constant(value.map_err(|fault| (fault, self.span))?, mode)
            }
            Node::Dotted(..) => self.bad("a call ends in a dot", "Quote it, if it is data."),
            Node::List(..) => {
                let items = self.tree.items(id).unwrap_or(&[]).to_vec();
                let (head, args) = (items[0], items[1..].to_vec());
                match self.tree.symbol(head) {
                    Some(sym) => self.call(sym, head, args, id, mode),
                    None if self.tree.head(head) == Some(names::LAMBDA) => {
                        self.check_lambda(head, &args)?;
                        let mut tasks = vec![Task::Form(head, Mode::Single)];
                        tasks.extend(args.iter().map(|arg| Task::Form(*arg, Mode::Single)));
                        let args = self.count(&args)?;
                        self.finish_call(tasks, Op::Funcall { args, mode }, mode);
                        Ok(())
                    }
                    None => {
                        let shown =
                            self.core.datum(self.tree, head).and_then(|value| self.core.show(value, 40));
                        let shown = shown.map_err(|fault| (fault, self.span))?;
                        self.bad(format!("{shown} is no function"), "Quote the list if it is data.")
                    }
                }
            }
        }
    }

    fn count(&self, args: &[Id]) -> Compiled<u16> {
        match u16::try_from(args.len()) {
            Ok(count) => Ok(count),
            Err(_) => self.bad("a call with more than 65,535 arguments", "Use apply with a list."),
        }
    }

    fn finish_call(&mut self, mut tasks: Vec<Task>, op: Op, mode: Mode) {
        tasks.push(Task::Op(op));
        if mode == Mode::Tail {
            tasks.push(Task::Op(Op::Return));
        }
        self.plan(tasks);
    }

    fn call(&mut self, sym: Sym, head: Id, args: Vec<Id>, id: Id, mode: Mode) -> Compiled {
        let mut tasks: Vec<Task> = Vec::with_capacity(args.len() + 3);
        let count = self.count(&args);
        let forms = |tasks: &mut Vec<Task>, args: &[Id]| {
            tasks.extend(args.iter().map(|arg| Task::Form(*arg, Mode::Single)));
        };
        if let Some(binding) = self.find(Space::Function, sym) {
            self.check_local(binding, &args)?;
            tasks.push(act(move |c| c.get(binding)));
            forms(&mut tasks, &args);
            self.finish_call(tasks, Op::Funcall { args: count?, mode }, mode);
            return Ok(());
        }
        if sym < names::LAST_FORM {
            return self.special(sym, args, id, mode);
        }
        let callee = self.callee(sym, self.tree.is_made(head));
        if let Some(callee) = callee {
            self.check_call(sym, callee, &args)?;
        }
        let op = match callee {
            Some(Callee::Note(target)) => Op::CallFun { target, args: count?, mode },
            Some(Callee::Code(target)) => Op::CallCode { target, args: count?, mode },
            Some(Callee::Builtin(target)) => {
                forms(&mut tasks, &args);
                let op = match builtin::special(target) {
                    Some(builtin::Special::Funcall | builtin::Special::Apply) if args.is_empty() => {
                        return self.fail(Kind::Arguments, "a function to call is missing", "Give it first.");
                    }
                    Some(builtin::Special::Funcall) => Op::Funcall { args: count? - 1, mode },
                    Some(builtin::Special::Apply) => Op::Apply { args: count? - 1, mode },
                    _ => Op::CallBuiltin { target, args: count?, mode },
                };
                self.finish_call(tasks, op, mode);
                return Ok(());
            }
            None => return self.no_function(sym),
        };
        forms(&mut tasks, &args);
        self.finish_call(tasks, op, mode);
        Ok(())
    }

    /// What a global function name stands for.
    fn callee(&self, sym: Sym, made: bool) -> Option<Callee> {
        if let Some(number) = self.unit.functions.get(&sym) {
            return Some(if self.root.is_some() { Callee::Note(*number) } else { Callee::Code(*number) });
        }
        let name = self.core.names.name(sym);
        if name.starts_with('%') && !made && self.root.is_some() {
            return None;
        }
        match self.root {
            Some(root) => root.callee(sym),
            None => builtin::find(name).map(Callee::Builtin),
        }
    }

    fn no_function<T>(&self, sym: Sym) -> Compiled<T> {
        let name = self.shown(sym);
        if let Some(hint) = hints::absent(&name, |other| self.root.is_some_and(|root| root.has(other))) {
            return self.fail(Kind::Unsupported, format!("{name} is not there"), hint);
        }
        let own = self.unit.function_names.iter().map(|own| self.core.names.name(*own));
        let local =
            self.bindings.iter().filter(|b| b.space == Space::Function).map(|b| self.core.names.name(b.name));
        let known = self.root.map(Root::function_names).into_iter().flatten();
        let hint = match near(&name, own.chain(local).chain(known)) {
            _ if hints::sign(&name).is_some() => hints::sign(&name).unwrap_or_default().to_owned(),
            Some(near) => format!("Did you mean {near}?"),
            None => "Define it with defun; docs/skill-language.md lists what is there.".to_owned(),
        };
        self.fail(Kind::Undefined, format!("the function {name} is not defined"), hint)
    }

    /// A name that a function may get: not one of the language's own.
    fn function_name(&self, id: Id) -> Compiled<Sym> {
        let sym = self.variable_name(id)?;
        let name = self.core.names.name(sym);
        if self.root.is_some() && (sym < names::LAST_FORM || builtin::is_common_lisp(name)) {
            return self
                .bad(format!("{} is part of the language", upper(name)), "Give the function another name.");
        }
        Ok(sym)
    }

    /// A body: declarations are skipped, the last form's value counts.
    fn body(&mut self, forms: &[Id], mode: Mode) -> Compiled {
        let forms: Vec<Id> = forms.iter().copied().filter(|form| !self.is_declaration(*form)).collect();
        let Some((last, before)) = forms.split_last() else {
            self.emit(Op::Nil)?;
            return self.done(mode);
        };
        let mut tasks = Vec::with_capacity(forms.len() * 2);
        for form in before {
            tasks.extend([Task::Form(*form, Mode::Single), Task::Op(Op::Pop)]);
        }
        tasks.push(Task::Form(*last, mode));
        self.plan(tasks);
        Ok(())
    }

    fn is_declaration(&self, id: Id) -> bool {
        matches!(
            self.tree.head(id),
            Some(names::DECLARE | names::DECLAIM | names::PROCLAIM | names::IN_PACKAGE)
        )
    }

    // Forms that the compiler makes.

    fn list(&mut self, items: &[Id]) -> Id {
        self.tree.add_list(items, self.span, true, false)
    }

    fn word(&mut self, sym: Sym) -> Id {
        self.tree.add(Node::Sym(sym), self.span, true)
    }

    fn named(&mut self, name: &str) -> Id {
        let sym = self.core.names.intern(name);
        self.word(sym)
    }

    fn nil(&mut self) -> Id {
        self.word(names::NIL)
    }

    fn int(&mut self, number: i64) -> Id {
        self.tree.add(Node::Int(number), self.span, true)
    }

    /// `(head items…)` with a head by name.
    fn make(&mut self, head: &str, items: &[Id]) -> Id {
        let mut all = vec![self.named(head)];
        all.extend_from_slice(items);
        self.list(&all)
    }

    fn quote(&mut self, id: Id) -> Id {
        self.make("quote", &[id])
    }

    /// A variable that no note can name.
    fn fresh(&mut self) -> Id {
        self.made -= 1;
        let sym = self.made;
        self.word(sym)
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

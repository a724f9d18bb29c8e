//! The special forms.

use super::super::code::{Mode, Op};
use super::super::core::Val;
use super::super::fault::Kind;
use super::super::names::{self, Sym};
use super::super::syntax::Id;
use super::{Compiled, Compiler, Space, Task, act};

impl Compiler<'_> {
    pub(super) fn special(&mut self, sym: Sym, args: Vec<Id>, id: Id, mode: Mode) -> Compiled {
        match sym {
            names::QUOTE => match args.as_slice() {
                [datum] => self.push_datum(*datum, mode),
                _ => self.usage("(quote x)"),
            },
            names::FUNCTION => self.function(&args, mode),
            names::LAMBDA => {
                let name = self.core.names.intern("lambda");
                self.plan(vec![act(move |c| c.lambda(name, &args, None)), act(move |c| c.done(mode))]);
                Ok(())
            }
            names::LET => self.let_(&args, mode),
            names::LET_STAR => self.let_star(&args, mode),
            names::FLET | names::LABELS => self.flet(&args, sym == names::LABELS, mode),
            names::IF => self.if_(&args, mode),
            names::WHEN | names::UNLESS => self.when(&args, sym == names::WHEN, mode),
            names::COND => self.cond(&args, mode),
            names::CASE | names::ECASE | names::TYPECASE | names::ETYPECASE => self.case(&args, sym, mode),
            names::AND | names::OR => self.and_or(&args, sym == names::AND, mode),
            names::PROGN | names::LOCALLY => self.body(&args, mode),
            names::EVAL_WHEN | names::THE => match args.split_first() {
                Some((_, body)) => self.body(body, mode),
                None => self.usage("(eval-when (…) form…), (the type form)"),
            },
            names::PROG1 | names::PROG2 => self.prog1(&args, usize::from(sym == names::PROG2), mode),
            names::BLOCK => match args.split_first() {
                Some((name, body)) => {
                    let Some(name) = self.tree.symbol(*name) else {
                        return self.usage("(block name form…)");
                    };
                    self.block(name, body.to_vec(), mode);
                    Ok(())
                }
                None => self.usage("(block name form…)"),
            },
            names::RETURN => match args.as_slice() {
                [] | [_] => self.return_from(names::NIL, args.first().copied()),
                _ => self.usage("(return value)"),
            },
            names::RETURN_FROM => match args.as_slice() {
                [name] | [name, _] => {
                    let Some(name) = self.tree.symbol(*name) else {
                        return self.usage("(return-from name value)");
                    };
                    self.return_from(name, args.get(1).copied())
                }
                _ => self.usage("(return-from name value)"),
            },
            names::DOLIST => self.dolist(&args, mode),
            names::DOTIMES => self.dotimes(&args, mode),
            names::DO | names::DO_STAR => self.do_(&args, sym == names::DO, mode),
            names::LOOP => self.loop_(&args, mode),
            names::WHILE => self.while_(&args, mode),
            names::REPEAT => self.repeat(args),
            names::SETQ | names::SETF => self.setf(&args, mode),
            names::INCF | names::DECF => self.incf(&args, sym == names::INCF, mode),
            names::PUSH => self.push_form(&args, mode),
            names::PUSHNEW => self.pushnew(&args, mode),
            names::POP => self.pop(&args, mode),
            names::DESTRUCTURING_BIND => self.destructuring_bind(&args, mode),
            names::MULTIPLE_VALUE_BIND => self.multiple_value_bind(&args, mode),
            names::MULTIPLE_VALUE_LIST => match args.as_slice() {
                [form] => {
                    self.plan(vec![
                        Task::Form(*form, Mode::Multi),
                        Task::Op(Op::MvList),
                        act(move |c| c.done(mode)),
                    ]);
                    Ok(())
                }
                _ => self.usage("(multiple-value-list form)"),
            },
            names::NTH_VALUE => match args.as_slice() {
                [at, form] => {
                    let list = self.make("multiple-value-list", &[*form]);
                    let form = self.make("nth", &[*at, list]);
                    self.plan(vec![Task::Form(form, mode)]);
                    Ok(())
                }
                _ => self.usage("(nth-value n form)"),
            },
            names::IGNORE_ERRORS => self.ignore_errors(&args, mode),
            names::HANDLER_CASE => self.handler_case(&args, mode),
            names::DEFUN => self.defun(&args, mode),
            names::DEFVAR | names::DEFPARAMETER | names::DEFCONSTANT => self.defvar(&args, sym, mode),
            names::DEFSKILL => self.defskill(&args, id, mode),
            names::QUASIQUOTE => match args.as_slice() {
                [template] => {
                    self.quasi(*template)?;
                    self.after(mode);
                    Ok(())
                }
                _ => self.usage("`(template)"),
            },
            // in-package, declare, declaim, proclaim: accepted, without effect.
            _ => self.push_constant(Val::Nil, mode),
        }
    }

    pub(super) fn usage<T>(&self, usage: &str) -> Compiled<T> {
        self.fail(Kind::Form, "the form is not written as it must be", format!("Write {usage}."))
    }

    /// Adds the return after what was planned last.
    fn after(&mut self, mode: Mode) {
        if mode == Mode::Tail {
            // The planned tasks are on top of the list: the return goes below them.
            let at = self.tasks.len() - 1;
            self.tasks.insert(at, (Task::Op(Op::Return), self.span));
        }
    }

    fn function(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let [what] = args else { return self.usage("#'name or (function (lambda (x) …))") };
        if self.tree.head(*what) == Some(names::LAMBDA) {
            self.plan(vec![Task::Form(*what, mode)]);
            return Ok(());
        }
        let Some(sym) = self.tree.symbol(*what) else { return self.usage("#'name or #'(lambda (x) …)") };
        if let Some(binding) = self.find(Space::Function, sym) {
            self.get(binding)?;
            return self.done(mode);
        }
        if sym < names::LAST_FORM {
            let name = self.shown(sym);
            return self.bad(format!("{name} is a form, not a function"), "Wrap it: (lambda (x) …).");
        }
        use super::super::prelude::Callee;
        match self.callee(sym, self.tree.is_made(*what)) {
            Some(Callee::Note(number)) => self.emit(Op::FunGet(number))?,
            Some(Callee::Code(number)) => self.emit(Op::PushFun(number))?,
            Some(Callee::Builtin(number)) => self.emit(Op::PushBuiltin(number))?,
            None => return self.no_function(sym),
        }
        self.done(mode)
    }

    /// The name and the value of `x`, `(x)` or `(x value)`.
    fn binding(&self, id: Id) -> Compiled<(Sym, Option<Id>)> {
        match self.tree.items(id) {
            None => Ok((self.variable_name(id)?, None)),
            Some([name]) => Ok((self.variable_name(*name)?, None)),
            Some([name, value]) => Ok((self.variable_name(*name)?, Some(*value))),
            Some(_) => self.usage("(let ((name value) …) form…)"),
        }
    }

    fn bindings_of(&self, args: &[Id]) -> Compiled<(Vec<(Sym, Option<Id>)>, Vec<Id>)> {
        let Some((list, body)) = args.split_first() else {
            return self.usage("(let ((name value) …) form…)");
        };
        let Some(list) = self.tree.items(*list) else {
            return self.usage("(let ((name value) …) form…)");
        };
        let bindings = list.iter().map(|id| self.binding(*id)).collect::<Compiled<Vec<_>>>()?;
        Ok((bindings, body.to_vec()))
    }

    /// A body in a scope with these names bound; how many of them are global must be undone after it.
    pub(super) fn scoped(&mut self, scope: usize, globals: u32, body: Vec<Id>, mode: Mode) {
        let mut tasks = vec![act(move |c| c.body(&body, mode)), Task::Scope(scope)];
        if globals > 0 && mode != Mode::Tail {
            tasks.push(Task::Op(Op::Unbind(globals)));
        }
        self.plan(tasks);
    }

    pub(super) fn globals_among(&self, names: impl Iterator<Item = Sym>) -> u32 {
        super::index(names.filter(|name| self.is_global(*name)).count())
    }

    fn let_(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let (bindings, body) = self.bindings_of(args)?;
        let mut tasks: Vec<Task> = bindings
            .iter()
            .map(|(_, value)| value.map_or(Task::Op(Op::Nil), |value| Task::Form(value, Mode::Single)))
            .collect();
        tasks.push(act(move |c| {
            let scope = c.bindings.len();
            for (name, _) in bindings.iter().rev() {
                c.bind(*name)?;
            }
            let globals = c.globals_among(bindings.iter().map(|(name, _)| *name));
            c.scoped(scope, globals, body, mode);
            Ok(())
        }));
        self.plan(tasks);
        Ok(())
    }

    fn let_star(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let (bindings, body) = self.bindings_of(args)?;
        let scope = self.bindings.len();
        let globals = self.globals_among(bindings.iter().map(|(name, _)| *name));
        let mut tasks = Vec::new();
        for (name, value) in bindings {
            tasks.push(value.map_or(Task::Op(Op::Nil), |value| Task::Form(value, Mode::Single)));
            tasks.push(act(move |c| c.bind(name)));
        }
        tasks.push(act(move |c| {
            c.scoped(scope, globals, body, mode);
            Ok(())
        }));
        self.plan(tasks);
        Ok(())
    }

    fn flet(&mut self, args: &[Id], recursive: bool, mode: Mode) -> Compiled {
        let usage = "(flet ((name (argument…) form…) …) form…)";
        let Some((list, body)) = args.split_first() else { return self.usage(usage) };
        let Some(list) = self.tree.items(*list).map(<[Id]>::to_vec) else { return self.usage(usage) };
        let (mut functions, mut signatures) = (Vec::new(), Vec::new());
        for function in list {
            match self.tree.items(function).map(<[Id]>::to_vec) {
                Some(items) if items.len() >= 2 => {
                    let takes = self.local_signature(&items[1..])?;
                    functions.push((self.function_name(items[0])?, items[1..].to_vec()));
                    signatures.push(takes);
                }
                _ => return self.usage(usage),
            }
        }
        let (scope, body) = (self.bindings.len(), body.to_vec());
        let (mut tasks, mut slots) = (Vec::new(), Vec::new());
        if recursive {
            for ((name, _), takes) in functions.iter().zip(&signatures) {
                self.emit(Op::Nil)?;
                let slot = self.add_function(*name, takes.clone());
                self.emit(Op::Bind(slot))?;
                slots.push(slot);
            }
        }
        let names: Vec<Sym> = functions.iter().map(|(name, _)| *name).collect();
        for (at, (name, rest)) in functions.into_iter().enumerate() {
            tasks.push(act(move |c| c.lambda(name, &rest, Some(name))));
            if let Some(slot) = slots.get(at) {
                tasks.extend([Task::Op(Op::Set(*slot)), Task::Op(Op::Pop)]);
            }
        }
        tasks.push(act(move |c| {
            if !recursive {
                for (name, takes) in names.iter().zip(signatures).rev() {
                    let slot = c.add_function(*name, takes);
                    c.emit(Op::Bind(slot))?;
                }
            }
            c.scoped(scope, 0, body, mode);
            Ok(())
        }));
        self.plan(tasks);
        Ok(())
    }

    fn if_(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let (test, then, or) = match args {
            [test, then] => (*test, *then, None),
            [test, then, or] => (*test, *then, Some(*or)),
            _ => return self.usage("(if test then else)"),
        };
        let or = or.unwrap_or_else(|| self.nil());
        self.choice(test, vec![then], vec![or], mode);
        Ok(())
    }

    fn when(&mut self, args: &[Id], positive: bool, mode: Mode) -> Compiled {
        let Some((test, body)) = args.split_first() else { return self.usage("(when test form…)") };
        let (then, or) = if positive { (body.to_vec(), Vec::new()) } else { (Vec::new(), body.to_vec()) };
        self.choice(*test, then, or, mode);
        Ok(())
    }

    fn choice(&mut self, test: Id, then: Vec<Id>, or: Vec<Id>, mode: Mode) {
        let (absent, end) = (self.new_label(), self.new_label());
        let mut tasks = vec![
            Task::Form(test, Mode::Single),
            Task::Op(Op::JumpNil(absent)),
            act(move |c| c.body(&then, mode)),
        ];
        if mode != Mode::Tail {
            tasks.push(Task::Op(Op::Jump(end)));
        }
        tasks.extend([Task::Label(absent), act(move |c| c.body(&or, mode)), Task::Label(end)]);
        self.plan(tasks);
    }

    fn cond(&mut self, clauses: &[Id], mode: Mode) -> Compiled {
        let end = self.new_label();
        let mut tasks = Vec::new();
        for clause in clauses {
            let Some([test, body @ ..]) = self.tree.items(*clause) else {
                return self.usage("(cond (test form…) …)");
            };
            let (test, body) = (*test, body.to_vec());
            tasks.push(Task::Form(test, Mode::Single));
            if body.is_empty() {
                tasks.push(Task::Op(Op::JumpTrueKeep(end)));
                continue;
            }
            let next = self.new_label();
            tasks.push(Task::Op(Op::JumpNil(next)));
            tasks.push(act(move |c| c.body(&body, mode)));
            if mode != Mode::Tail {
                tasks.push(Task::Op(Op::Jump(end)));
            }
            tasks.push(Task::Label(next));
        }
        tasks.extend([Task::Op(Op::Nil), Task::Label(end), act(move |c| c.done(mode))]);
        self.plan(tasks);
        Ok(())
    }

    fn case(&mut self, args: &[Id], kind: Sym, mode: Mode) -> Compiled {
        let usage = "(case key (value form…) ((value value) form…) (otherwise form…))";
        let Some((key, clauses)) = args.split_first() else { return self.usage(usage) };
        let variable = self.fresh();
        let by_type = matches!(kind, names::TYPECASE | names::ETYPECASE);
        let exhaustive = matches!(kind, names::ECASE | names::ETYPECASE);
        let mut made = Vec::new();
        let count = clauses.len();
        for (at, clause) in clauses.iter().enumerate() {
            let Some([keys, body @ ..]) = self.tree.items(*clause) else { return self.usage(usage) };
            let (keys, mut body) = (*keys, body.to_vec());
            let last = at + 1 == count && !exhaustive;
            let test = match self.tree.symbol(keys) {
                Some(names::OTHERWISE | names::T) if last => self.word(names::T),
                _ => {
                    let quoted = self.quote(keys);
                    let list = self.tree.items(keys).is_some();
                    let test = if by_type {
                        "typep"
                    } else if list {
                        "%memql"
                    } else {
                        "eql"
                    };
                    self.make(test, &[variable, quoted])
                }
            };
            if body.is_empty() {
                body.push(self.nil());
            }
            body.insert(0, test);
            made.push(self.list(&body));
        }
        if exhaustive {
            let fail = self.make("%no-case", &[variable]);
            let t = self.word(names::T);
            made.push(self.list(&[t, fail]));
        }
        let cond = self.make("cond", &made);
        let form = self.let_one(variable, *key, &[cond]);
        self.plan(vec![Task::Form(form, mode)]);
        Ok(())
    }

    /// `(let ((variable value)) body…)`.
    pub(super) fn let_one(&mut self, variable: Id, value: Id, body: &[Id]) -> Id {
        let pair = self.list(&[variable, value]);
        let pairs = self.list(&[pair]);
        let mut all = vec![self.word(names::LET), pairs];
        all.extend_from_slice(body);
        self.list(&all)
    }

    fn and_or(&mut self, args: &[Id], and: bool, mode: Mode) -> Compiled {
        let Some((last, before)) = args.split_last() else {
            return self.push_constant(Val::bool(and), mode);
        };
        let end = self.new_label();
        let mut tasks = Vec::new();
        for arg in before {
            let op = if and { Op::JumpNilKeep(end) } else { Op::JumpTrueKeep(end) };
            tasks.extend([Task::Form(*arg, Mode::Single), Task::Op(op)]);
        }
        tasks.extend([Task::Form(*last, mode), Task::Label(end)]);
        if !before.is_empty() {
            tasks.push(act(move |c| c.done(mode)));
        }
        self.plan(tasks);
        Ok(())
    }

    fn prog1(&mut self, args: &[Id], at: usize, mode: Mode) -> Compiled {
        if args.len() <= at {
            return self.usage("(prog1 value form…), (prog2 form value form…)");
        }
        let mut tasks = Vec::new();
        for (number, form) in args.iter().enumerate() {
            tasks.push(Task::Form(*form, Mode::Single));
            if number != at {
                tasks.push(Task::Op(Op::Pop));
            }
        }
        tasks.push(act(move |c| c.done(mode)));
        self.plan(tasks);
        Ok(())
    }
}

//! Forms that are left early, or with several values: blocks, handlers, `multiple-value-bind`.

use super::super::builtin;
use super::super::code::{Mode, Op};
use super::super::fault::Kind;
use super::super::names::{self, Sym};
use super::super::syntax::Id;
use super::{Binding, Compiled, Compiler, Space, Task, act};

impl Compiler<'_> {
    /// A block; one that nothing leaves costs nothing.
    pub(super) fn block(&mut self, name: Sym, body: Vec<Id>, mode: Mode) {
        self.plan(vec![act(move |c| {
            let scope = c.bindings.len();
            let end = c.new_label();
            let at = c.current().code.ops.len();
            c.emit(Op::BlockEnter(end))?;
            let slot = c.add(Space::Block, name);
            if let Some(last) = c.bindings.last_mut() {
                // What leaves it then is the function's value.
                last.of_function = mode == Mode::Tail;
            }
            c.emit(Op::Bind(slot))?;
            c.plan(vec![
                act(move |c| c.body(&body, mode)),
                act(move |c| {
                    let used = c.bindings.get(scope).is_some_and(|binding| binding.used);
                    c.leave(scope);
                    if !used {
                        c.current().code.ops[at..at + 2].fill(Op::Nop);
                        return Ok(());
                    }
                    if mode != Mode::Tail {
                        c.emit(Op::BlockExit)?;
                    }
                    c.label(end);
                    if mode == Mode::Single {
                        c.emit(Op::Primary)?;
                    }
                    c.done(mode)
                }),
            ]);
            Ok(())
        })]);
    }

    pub(super) fn return_from(&mut self, name: Sym, value: Option<Id>) -> Compiled {
        let Some(block) = self.find(Space::Block, name) else {
            let shown = self.shown(name);
            return self.bad(
                format!("there is no block {shown} here to return from"),
                "Put it in a block or a loop.",
            );
        };
        let value = value.unwrap_or_else(|| self.nil());
        let Binding { level, of_function, .. } = self.bindings[block];
        if of_function && level == self.functions.len() - 1 {
            self.plan(vec![Task::Form(value, Mode::Tail)]);
            return Ok(());
        }
        self.bindings[block].used = true;
        self.plan(vec![Task::Form(value, Mode::Multi), act(move |c| c.get(block)), Task::Op(Op::Exit)]);
        Ok(())
    }

    pub(super) fn multiple_value_bind(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let [list, form, body @ ..] = args else {
            return self.usage("(multiple-value-bind (a b) form form…)");
        };
        let Some(list) = self.tree.items(*list) else {
            return self.usage("(multiple-value-bind (a b) form form…)");
        };
        let names = list.iter().map(|id| self.variable_name(*id)).collect::<Compiled<Vec<_>>>()?;
        let body = body.to_vec();
        let count = super::index(names.len());
        self.plan(vec![
            Task::Form(*form, Mode::Multi),
            Task::Op(Op::MvBind(count)),
            act(move |c| {
                let scope = c.bindings.len();
                for name in names.iter().rev() {
                    c.bind(*name)?;
                }
                let globals = c.globals_among(names.iter().copied());
                c.scoped(scope, globals, body, mode);
                Ok(())
            }),
        ]);
        Ok(())
    }

    pub(super) fn ignore_errors(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let (caught, end) = (self.new_label(), self.new_label());
        let body = args.to_vec();
        let inner = if mode == Mode::Single { Mode::Single } else { Mode::Multi };
        let values = builtin::find("%nil-and").unwrap_or(0);
        self.plan(vec![
            Task::Op(Op::HandlerEnter(caught)),
            act(move |c| c.body(&body, inner)),
            Task::Op(Op::HandlerExit),
            Task::Op(Op::Jump(end)),
            Task::Label(caught),
            Task::Op(Op::CallBuiltin { target: values, args: 1, mode: inner }),
            Task::Label(end),
            act(move |c| c.done(mode)),
        ]);
        Ok(())
    }

    pub(super) fn handler_case(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let usage = "(handler-case form (error (e) form…) …)";
        let Some((form, clauses)) = args.split_first() else { return self.usage(usage) };
        let variable = self.fresh();
        let mut made = Vec::new();
        for clause in clauses {
            let Some([kind, params, body @ ..]) = self.tree.items(*clause) else { return self.usage(usage) };
            let (kind, body) = (*kind, body.to_vec());
            let Some(sym) = self.tree.symbol(kind) else { return self.usage(usage) };
            let name = self.shown(sym);
            if !builtin::is_condition(&name) {
                return self.fail(
                    Kind::Unsupported,
                    format!("there is no condition {name}"),
                    "Use error, which is any.",
                );
            }
            let params = self.tree.items(*params).map(<[Id]>::to_vec);
            let form = match params.as_deref() {
                Some([]) => {
                    let mut all = vec![self.word(names::PROGN)];
                    all.extend(body);
                    self.list(&all)
                }
                Some([name]) => self.let_one(*name, variable, &body),
                _ => return self.usage(usage),
            };
            let quoted = self.quote(kind);
            let test = self.make("%condition-is", &[variable, quoted]);
            made.push(self.list(&[test, form]));
        }
        let again = self.make("error", &[variable]);
        let t = self.word(names::T);
        made.push(self.list(&[t, again]));
        let cond = self.make("cond", &made);
        let Some(name) = self.tree.symbol(variable) else { return self.usage(usage) };
        let (caught, end) = (self.new_label(), self.new_label());
        let inner = if mode == Mode::Single { Mode::Single } else { Mode::Multi };
        self.plan(vec![
            Task::Op(Op::HandlerEnter(caught)),
            Task::Form(*form, inner),
            Task::Op(Op::HandlerExit),
            Task::Op(Op::Jump(end)),
            Task::Label(caught),
            act(move |c| {
                let scope = c.bindings.len();
                c.bind(name)?;
                c.plan(vec![
                    Task::Form(cond, inner),
                    Task::Scope(scope),
                    Task::Label(end),
                    act(move |c| c.done(mode)),
                ]);
                Ok(())
            }),
        ]);
        Ok(())
    }
}

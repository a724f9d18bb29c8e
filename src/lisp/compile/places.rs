//! What changes variables: `setf` and its kin. Lists never change, so a place in one is set by making
//! a new list and giving it to the variable it stands in.

use super::super::code::{Mode, Op};
use super::super::core::Val;
use super::super::fault::Kind;
use super::super::names;
use super::super::syntax::{Id, Node};
use super::{Compiled, Compiler, Task, act};

impl Compiler<'_> {
    pub(super) fn setf(&mut self, args: &[Id], mode: Mode) -> Compiled {
        if args.is_empty() {
            return self.push_constant(Val::Nil, mode);
        }
        if !args.len().is_multiple_of(2) {
            return self.usage("(setf place value …)");
        }
        let mut tasks = Vec::new();
        for (at, pair) in args.chunks_exact(2).enumerate() {
            if at > 0 {
                tasks.push(Task::Op(Op::Pop));
            }
            let (place, value) = (pair[0], pair[1]);
            tasks.push(act(move |c| c.set(place, value)));
        }
        tasks.push(act(move |c| c.done(mode)));
        self.plan(tasks);
        Ok(())
    }

    /// Sets one place and leaves the value.
    fn set(&mut self, place: Id, value: Id) -> Compiled {
        if matches!(self.tree.node(place), Node::Sym(_) | Node::Key(_)) {
            let sym = self.variable_name(place)?;
            self.plan(vec![Task::Form(value, Mode::Single), act(move |c| c.set_variable(sym))]);
            return Ok(());
        }
        let result = self.fresh();
        let (inner, new) = self.update(place, result)?;
        let set = self.make("setf", &[inner, new]);
        let form = self.let_one(result, value, &[set, result]);
        self.plan(vec![Task::Form(form, Mode::Single)]);
        Ok(())
    }

    /// For a place in a list: the place of the list, and the list with `value` in it.
    fn update(&mut self, place: Id, value: Id) -> Compiled<(Id, Id)> {
        let items = self.tree.items(place).unwrap_or(&[]).to_vec();
        let head = items.first().and_then(|head| self.tree.symbol(*head)).map(|head| self.shown(head));
        const NUMBERED: &[&str] =
            &["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
        match (head.as_deref().unwrap_or(""), items.as_slice()) {
            ("car" | "first", [_, list]) => {
                let rest = self.make("cdr", &[*list]);
                Ok((*list, self.make("cons", &[value, rest])))
            }
            ("cdr" | "rest", [_, list]) => {
                let first = self.make("car", &[*list]);
                Ok((*list, self.make("cons", &[first, value])))
            }
            ("caar" | "cadr" | "cdar" | "cddr", [_, list]) => {
                let name = head.unwrap_or_default();
                let inner = self.make(if name.ends_with("ar") { "car" } else { "cdr" }, &[*list]);
                let outer = self.make(if name.starts_with("ca") { "car" } else { "cdr" }, &[inner]);
                self.update(outer, value)
            }
            ("nth", [_, at, list]) | ("elt", [_, list, at]) => {
                Ok((*list, self.make("%set-nth", &[*at, *list, value])))
            }
            ("getf", [_, list, key] | [_, list, key, _]) => Ok((*list, self.make("%putf", &[*list, *key, value]))),
            (name, [_, list]) if NUMBERED.contains(&name) => {
                let at = NUMBERED.iter().position(|other| *other == name).unwrap_or(0);
                let at = self.int(i64::try_from(at).unwrap_or(0));
                Ok((*list, self.make("%set-nth", &[at, *list, value])))
            }
            (name, _) => self.fail(
                Kind::Unsupported,
                if name.is_empty() {
                    "only a variable, or a place in one, can be set".to_owned()
                } else {
                    format!("({name} …) is no place that can be set")
                },
                "A variable, getf, car, cdr, nth, elt, first … tenth of a variable can. Lists never change: make a new one.",
            ),
        }
    }

    pub(super) fn incf(&mut self, args: &[Id], up: bool, mode: Mode) -> Compiled {
        let (place, by) = match args {
            [place] => (*place, self.int(1)),
            [place, by] => (*place, *by),
            _ => return self.usage("(incf place amount)"),
        };
        let value = self.make(if up { "+" } else { "-" }, &[place, by]);
        self.set_form(place, value, mode)
    }

    fn set_form(&mut self, place: Id, value: Id, mode: Mode) -> Compiled {
        let form = self.make("setf", &[place, value]);
        self.plan(vec![Task::Form(form, mode)]);
        Ok(())
    }

    pub(super) fn push_form(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let [item, place] = args else { return self.usage("(push item place)") };
        let value = self.make("cons", &[*item, *place]);
        self.set_form(*place, value, mode)
    }

    pub(super) fn pushnew(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let [_, place, ..] = args else { return self.usage("(pushnew item place :test #'equal)") };
        let value = self.make("adjoin", args);
        self.set_form(*place, value, mode)
    }

    pub(super) fn pop(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let [place] = args else { return self.usage("(pop place)") };
        let list = self.fresh();
        let rest = self.make("cdr", &[list]);
        let set = self.make("setf", &[*place, rest]);
        let first = self.make("car", &[list]);
        let form = self.let_one(list, *place, &[set, first]);
        self.plan(vec![Task::Form(form, mode)]);
        Ok(())
    }

    /// A lambda applied to the list; nested patterns are bound one level further in.
    pub(super) fn destructuring_bind(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let usage = "(destructuring-bind (a b &key c) list form…)";
        let [pattern, list, body @ ..] = args else { return self.usage(usage) };
        let dotted = self.tree.dotted(*pattern).map(<[Id]>::to_vec);
        let Some(mut params) = dotted.clone().or_else(|| self.tree.items(*pattern).map(<[Id]>::to_vec))
        else {
            return self.usage(usage);
        };
        if dotted.is_some() {
            let rest = self.word(names::REST);
            params.insert(params.len() - 1, rest);
        }
        let mut body = body.to_vec();
        let required = params.iter().take_while(|id| {
            self.tree.symbol(**id).is_none_or(|sym| !self.core.names.name(sym).starts_with('&'))
        });
        let nested: Vec<usize> = (0..required.count())
            .filter(|at| self.tree.items(params[*at]).is_some() || self.tree.dotted(params[*at]).is_some())
            .collect();
        for at in nested.into_iter().rev() {
            let variable = self.fresh();
            let mut inner = vec![params[at], variable];
            inner.append(&mut body);
            body = vec![self.make("destructuring-bind", &inner)];
            params[at] = variable;
        }
        let params = self.list(&params);
        let mut lambda = vec![self.word(names::LAMBDA), params];
        lambda.extend(body);
        let lambda = self.list(&lambda);
        let form = self.make("apply", &[lambda, *list]);
        self.plan(vec![Task::Form(form, mode)]);
        Ok(())
    }
}

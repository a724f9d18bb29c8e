//! Loops: `dolist`, `dotimes`, `do`, and `loop` with its clauses, made into a bare loop in blocks.

use super::super::code::{Mode, Op};
use super::super::core::Val;
use super::super::names::{self, Sym};
use super::super::syntax::{Id, Node};
use super::{Compiled, Compiler, Task, act};

/// A `loop` form while its clauses are read.
pub(super) struct Loop {
    pub(super) words: Vec<Id>,
    pub(super) at: usize,
    pub(super) name: Sym,
    /// Variables with their first values, in order.
    pub(super) variables: Vec<(Id, Id)>,
    pub(super) initially: Vec<Id>,
    pub(super) body: Vec<Id>,
    pub(super) finally: Vec<Id>,
    /// What the loop collects without a name: the variable, and whether it is a list that was built backwards.
    pub(super) result: Option<(Id, &'static str)>,
    pub(super) value: Option<Id>,
    pub(super) end: Id,
}

impl Compiler<'_> {
    pub(super) fn while_(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let Some((test, body)) = args.split_first() else {
            return self.usage("(loop while test do form…)");
        };
        let (start, end) = (self.new_label(), self.new_label());
        let mut tasks = vec![Task::Label(start), Task::Form(*test, Mode::Single), Task::Op(Op::JumpNil(end))];
        for form in body {
            tasks.extend([Task::Form(*form, Mode::Single), Task::Op(Op::Pop)]);
        }
        tasks.extend([Task::Op(Op::Jump(start)), Task::Label(end)]);
        tasks.push(act(move |c| c.push_constant(Val::Nil, mode)));
        self.plan(tasks);
        Ok(())
    }

    /// A loop without an end: only a block around it ends it.
    pub(super) fn repeat(&mut self, body: Vec<Id>) -> Compiled {
        let start = self.new_label();
        let mut tasks = vec![Task::Label(start)];
        for form in body {
            tasks.extend([Task::Form(form, Mode::Single), Task::Op(Op::Pop)]);
        }
        tasks.push(Task::Op(Op::Jump(start)));
        self.plan(tasks);
        Ok(())
    }

    fn strip(&self, body: &[Id]) -> Vec<Id> {
        body.iter().copied().filter(|form| !self.is_declaration(*form)).collect()
    }

    /// `(block nil form)`.
    fn in_block(&mut self, form: Id, mode: Mode) -> Compiled {
        self.block(names::NIL, vec![form], mode);
        Ok(())
    }

    pub(super) fn dolist(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let usage = "(dolist (x list result) form…)";
        let Some((head, body)) = args.split_first() else { return self.usage(usage) };
        let (name, list, result) = match self.tree.items(*head) {
            Some([name, list]) => (*name, *list, None),
            Some([name, list, result]) => (*name, *list, Some(*result)),
            _ => return self.usage(usage),
        };
        let body = self.strip(body);
        let rest = self.fresh();
        let first = self.make("car", &[rest]);
        let inner = self.let_one(name, first, &body);
        let next = self.make("cdr", &[rest]);
        let step = self.make("setq", &[rest, next]);
        let repeat = self.make("%while", &[rest, inner, step]);
        let nil = self.nil();
        let result = match result {
            Some(result) => self.let_one(name, nil, &[result]),
            None => nil,
        };
        let form = self.let_one(rest, list, &[repeat, result]);
        self.in_block(form, mode)
    }

    pub(super) fn dotimes(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let usage = "(dotimes (i count result) form…)";
        let Some((head, body)) = args.split_first() else { return self.usage(usage) };
        let (name, count, result) = match self.tree.items(*head) {
            Some([name, count]) => (*name, *count, self.nil()),
            Some([name, count, result]) => (*name, *count, *result),
            _ => return self.usage(usage),
        };
        let (limit, zero) = (self.fresh(), self.int(0));
        let mut repeat = vec![self.make("<", &[name, limit])];
        repeat.extend(self.strip(body));
        let next = self.make("1+", &[name]);
        repeat.push(self.make("setq", &[name, next]));
        let repeat = self.make("%while", &repeat);
        let inner = self.let_one(name, zero, &[repeat, result]);
        let form = self.let_one(limit, count, &[inner]);
        self.in_block(form, mode)
    }

    pub(super) fn do_(&mut self, args: &[Id], parallel: bool, mode: Mode) -> Compiled {
        let usage = "(do ((x first next) …) (test result…) form…)";
        let [variables, end, body @ ..] = args else { return self.usage(usage) };
        let (Some(variables), Some([test, result @ ..])) =
            (self.tree.items(*variables), self.tree.items(*end))
        else {
            return self.usage(usage);
        };
        let (test, result) = (*test, result.to_vec());
        let (mut pairs, mut steps) = (Vec::new(), Vec::new());
        let variables = variables.to_vec();
        for variable in variables {
            let (name, first, step) = match self.tree.items(variable) {
                None => (variable, None, None),
                Some([name]) => (*name, None, None),
                Some([name, first]) => (*name, Some(*first), None),
                Some([name, first, step]) => (*name, Some(*first), Some(*step)),
                _ => return self.usage(usage),
            };
            let first = first.unwrap_or_else(|| self.nil());
            pairs.push(self.list(&[name, first]));
            steps.extend(step.map(|step| (name, step)));
        }
        let mut repeat = vec![self.make("not", &[test])];
        repeat.extend(self.strip(body));
        if parallel && steps.len() > 1 {
            let values: Vec<Id> = steps.iter().map(|_| self.fresh()).collect();
            let lets: Vec<Id> =
                steps.iter().zip(&values).map(|((_, step), value)| self.list(&[*value, *step])).collect();
            let mut form = vec![self.list(&lets)];
            for ((name, _), value) in steps.iter().zip(&values) {
                form.push(self.make("setq", &[*name, *value]));
            }
            repeat.push(self.make("let", &form));
        } else {
            for (name, step) in steps {
                repeat.push(self.make("setq", &[name, step]));
            }
        }
        let mut form = vec![self.list(&pairs), self.make("%while", &repeat)];
        form.push(self.make("progn", &result));
        let form = self.make(if parallel { "let" } else { "let*" }, &form);
        self.in_block(form, mode)
    }

    pub(super) fn loop_(&mut self, args: &[Id], mode: Mode) -> Compiled {
        let simple =
            args.iter().all(|arg| self.tree.items(*arg).is_some() && self.tree.symbol(*arg).is_none());
        if simple {
            let form = self.make("%repeat", args);
            return self.in_block(form, mode);
        }
        let end = self.fresh();
        let mut state = Loop {
            words: args.to_vec(),
            at: 0,
            name: names::NIL,
            variables: Vec::new(),
            initially: Vec::new(),
            body: Vec::new(),
            finally: Vec::new(),
            result: None,
            value: None,
            end,
        };
        while let Some(word) = state.words.get(state.at).copied() {
            state.at += 1;
            self.clause(&mut state, word)?;
        }
        let repeat = self.make("%repeat", &state.body);
        let mut whole = state.initially;
        whole.push(self.make("block", &[end, repeat]));
        whole.extend(state.finally);
        let value = match (state.value, state.result) {
            (Some(value), _) => value,
            (None, Some((variable, "list"))) => self.make("nreverse", &[variable]),
            (None, Some((variable, _))) => variable,
            (None, None) => self.nil(),
        };
        whole.push(value);
        let pairs: Vec<Id> =
            state.variables.iter().map(|(name, value)| self.list(&[*name, *value])).collect();
        whole.insert(0, self.list(&pairs));
        let form = self.make("let*", &whole);
        self.block(state.name, vec![form], mode);
        Ok(())
    }

    /// The name of a word of a loop.
    pub(super) fn loop_word(&self, id: Option<Id>) -> String {
        match id.map(|id| self.tree.node(id)) {
            Some(Node::Sym(sym) | Node::Key(sym)) => self.shown(*sym),
            _ => String::new(),
        }
    }

    pub(super) fn next_form(&self, state: &mut Loop, after: &str) -> Compiled<Id> {
        let form = state.words.get(state.at).copied();
        state.at += 1;
        match form {
            Some(form) => Ok(form),
            None => self.bad(format!("a form is missing after {after} in the loop"), "Write the form."),
        }
    }

    /// The forms up to the next word.
    pub(super) fn compound(&self, state: &mut Loop) -> Vec<Id> {
        let start = state.at;
        while state.words.get(state.at).is_some_and(|id| self.tree.symbol(*id).is_none()) {
            state.at += 1;
        }
        state.words[start..state.at].to_vec()
    }

    pub(super) fn leave_loop(&mut self, state: &Loop) -> Id {
        let nil = self.nil();
        self.make("return-from", &[state.end, nil])
    }

    fn clause(&mut self, state: &mut Loop, id: Id) -> Compiled {
        self.span = self.tree.span(id);
        let word = self.loop_word(Some(id));
        match word.as_str() {
            "for" | "as" => loop {
                self.for_clause(state)?;
                if self.loop_word(state.words.get(state.at).copied()) != "and" {
                    return Ok(());
                }
                state.at += 1;
            },
            "with" => loop {
                let name = self.next_form(state, "with")?;
                let mut value = self.nil();
                if self.loop_word(state.words.get(state.at).copied()) == "=" {
                    state.at += 1;
                    value = self.next_form(state, "=")?;
                }
                let parts = self.parts(name, value)?;
                state.variables.extend(parts);
                if self.loop_word(state.words.get(state.at).copied()) != "and" {
                    return Ok(());
                }
                state.at += 1;
            },
            "repeat" => {
                let count = self.next_form(state, "repeat")?;
                let left = self.fresh();
                state.variables.push((left, count));
                let test = self.make("plusp", &[left]);
                let leave = self.leave_loop(state);
                state.body.push(self.make("unless", &[test, leave]));
                state.body.push(self.make("decf", &[left]));
                Ok(())
            }
            "while" | "until" => {
                let test = self.next_form(state, &word)?;
                let leave = self.leave_loop(state);
                state.body.push(self.make(if word == "while" { "unless" } else { "when" }, &[test, leave]));
                Ok(())
            }
            "finally" => {
                if self.loop_word(state.words.get(state.at).copied()) == "return" {
                    state.at += 1;
                    state.value = Some(self.next_form(state, "finally return")?);
                    return Ok(());
                }
                if matches!(self.loop_word(state.words.get(state.at).copied()).as_str(), "do" | "doing") {
                    state.at += 1;
                }
                let forms = self.compound(state);
                state.finally.extend(forms);
                Ok(())
            }
            "initially" => {
                let forms = self.compound(state);
                state.initially.extend(forms);
                Ok(())
            }
            "named" => {
                let name = self.next_form(state, "named")?;
                state.name = self.variable_name(name)?;
                Ok(())
            }
            "always" | "never" => {
                let test = self.next_form(state, &word)?;
                let (nil, t) = (self.nil(), self.word(names::T));
                let name = self.word(state.name);
                let leave = self.make("return-from", &[name, nil]);
                state.body.push(self.make(if word == "always" { "unless" } else { "when" }, &[test, leave]));
                state.result = Some((t, "value"));
                Ok(())
            }
            "thereis" => {
                let test = self.next_form(state, "thereis")?;
                let found = self.fresh();
                let name = self.word(state.name);
                let leave = self.make("return-from", &[name, found]);
                let leave = self.make("when", &[found, leave]);
                state.body.push(self.let_one(found, test, &[leave]));
                Ok(())
            }
            _ => {
                let form = self.action(state, id, 0)?;
                state.body.push(form);
                Ok(())
            }
        }
    }
}

//! Loops: `dolist`, `dotimes`, `do`, and `loop` with its clauses, made into a bare loop in blocks.

use super::super::code::{Mode, Op};
use super::super::core::Val;
use super::super::fault::Kind;
use super::super::names::{self, Sym, near};
use super::super::syntax::{Id, Node};
use super::{Compiled, Compiler, Task, act};

/// How deep `when`, `if` and `unless` clauses of one loop may nest.
const MAX_CLAUSES: usize = 32;

const CLAUSES: &[&str] = &[
    "for",
    "as",
    "with",
    "repeat",
    "while",
    "until",
    "collect",
    "collecting",
    "append",
    "appending",
    "nconc",
    "sum",
    "summing",
    "count",
    "counting",
    "maximize",
    "maximizing",
    "minimize",
    "minimizing",
    "do",
    "doing",
    "when",
    "if",
    "unless",
    "return",
    "always",
    "never",
    "thereis",
    "finally",
    "initially",
    "named",
];

/// A `loop` form while its clauses are read.
struct Loop {
    words: Vec<Id>,
    at: usize,
    name: Sym,
    /// Variables with their first values, in order.
    variables: Vec<(Id, Id)>,
    initially: Vec<Id>,
    body: Vec<Id>,
    finally: Vec<Id>,
    /// What the loop collects without a name: the variable, and whether it is a list that was built backwards.
    result: Option<(Id, &'static str)>,
    value: Option<Id>,
    end: Id,
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
        for variable in variables.to_vec() {
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
    fn loop_word(&self, id: Option<Id>) -> String {
        match id.map(|id| self.tree.node(id)) {
            Some(Node::Sym(sym) | Node::Key(sym)) => self.shown(*sym),
            _ => String::new(),
        }
    }

    fn next_form(&self, state: &mut Loop, after: &str) -> Compiled<Id> {
        let form = state.words.get(state.at).copied();
        state.at += 1;
        match form {
            Some(form) => Ok(form),
            None => self.bad(format!("a form is missing after {after} in the loop"), "Write the form."),
        }
    }

    /// The forms up to the next word.
    fn compound(&self, state: &mut Loop) -> Vec<Id> {
        let start = state.at;
        while state.words.get(state.at).is_some_and(|id| self.tree.symbol(*id).is_none()) {
            state.at += 1;
        }
        state.words[start..state.at].to_vec()
    }

    fn leave_loop(&mut self, state: &Loop) -> Id {
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
                state.variables.push((name, value));
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

    /// A clause that may stand behind `when`: the form that it is.
    fn action(&mut self, state: &mut Loop, id: Id, depth: usize) -> Compiled<Id> {
        let word = self.loop_word(Some(id));
        match word.as_str() {
            "do" | "doing" => {
                let forms = self.compound(state);
                Ok(self.make("progn", &forms))
            }
            "return" => {
                let value = self.next_form(state, "return")?;
                let name = self.word(state.name);
                Ok(self.make("return-from", &[name, value]))
            }
            "when" | "if" | "unless" => {
                if depth >= MAX_CLAUSES {
                    return self
                        .bad(format!("more than {MAX_CLAUSES} conditions nest in one loop"), "Use cond.");
                }
                let test = self.next_form(state, &word)?;
                let then = self.actions(state, depth)?;
                let or = if self.loop_word(state.words.get(state.at).copied()) == "else" {
                    state.at += 1;
                    self.actions(state, depth)?
                } else {
                    self.nil()
                };
                if self.loop_word(state.words.get(state.at).copied()) == "end" {
                    state.at += 1;
                }
                let parts = if word == "unless" { [test, or, then] } else { [test, then, or] };
                Ok(self.make("if", &parts))
            }
            _ => self.accumulate(state, &word),
        }
    }

    fn actions(&mut self, state: &mut Loop, depth: usize) -> Compiled<Id> {
        let mut forms = Vec::new();
        loop {
            let id = self.next_form(state, "when, if or unless")?;
            self.charge(1)?;
            forms.push(self.action(state, id, depth + 1)?);
            if self.loop_word(state.words.get(state.at).copied()) != "and" {
                return Ok(self.make("progn", &forms));
            }
            state.at += 1;
        }
    }

    fn accumulate(&mut self, state: &mut Loop, word: &str) -> Compiled<Id> {
        let kind = match word {
            "collect" | "collecting" | "append" | "appending" | "nconc" | "nconcing" => "list",
            "sum" | "summing" | "count" | "counting" => "sum",
            "maximize" | "maximizing" | "minimize" | "minimizing" => "extreme",
            _ => {
                let hint = match near(word, CLAUSES.iter().copied()) {
                    Some(near) => format!("Did you mean {near}?"),
                    None => format!("There are: {}.", CLAUSES.join(" ")),
                };
                let shown = if word.is_empty() { "a form" } else { word };
                return self.fail(Kind::Unsupported, format!("loop has no clause {shown}"), hint);
            }
        };
        let value = self.next_form(state, word)?;
        let first = if kind == "sum" { self.int(0) } else { self.nil() };
        let named = self.loop_word(state.words.get(state.at).copied()) == "into";
        let variable = if named {
            state.at += 1;
            let name = self.next_form(state, "into")?;
            let sym = self.variable_name(name)?;
            if !state.variables.iter().any(|(other, _)| self.tree.symbol(*other) == Some(sym)) {
                state.variables.push((name, first));
            }
            name
        } else {
            match state.result {
                Some((variable, before)) if before == kind => variable,
                Some(_) => {
                    return self
                        .bad("a loop gathers two kinds of value", "Give one a name: collect x into xs.");
                }
                None => {
                    let variable = self.fresh();
                    state.variables.push((variable, first));
                    state.result = Some((variable, kind));
                    variable
                }
            }
        };
        let new = match (word, kind) {
            ("collect" | "collecting", _) if named => {
                let one = self.make("list", &[value]);
                self.make("append", &[variable, one])
            }
            (_, "list") if named => self.make("append", &[variable, value]),
            ("collect" | "collecting", _) => self.make("cons", &[value, variable]),
            (_, "list") => self.make("revappend", &[value, variable]),
            ("sum" | "summing", _) => self.make("+", &[variable, value]),
            (_, "sum") => {
                let (one, zero) = (self.int(1), self.int(0));
                let amount = self.make("if", &[value, one, zero]);
                self.make("+", &[variable, amount])
            }
            _ => {
                let now = self.fresh();
                let choose = if word.starts_with("max") { "max" } else { "min" };
                let better = self.make(choose, &[variable, now]);
                let form = self.make("if", &[variable, better, now]);
                self.let_one(now, value, &[form])
            }
        };
        Ok(self.make("setq", &[variable, new]))
    }

    fn for_clause(&mut self, state: &mut Loop) -> Compiled {
        let pattern = self.next_form(state, "for")?;
        let word = self.loop_word(state.words.get(state.at).copied());
        let nil = self.nil();
        match word.as_str() {
            "in" | "on" => {
                state.at += 1;
                let list = self.next_form(state, &word)?;
                let rest = self.fresh();
                state.variables.push((rest, list));
                let step = if self.loop_word(state.words.get(state.at).copied()) == "by" {
                    state.at += 1;
                    let by = self.next_form(state, "by")?;
                    let function = self.fresh();
                    state.variables.push((function, by));
                    self.make("funcall", &[function, rest])
                } else {
                    self.make("cdr", &[rest])
                };
                let leave = self.leave_loop(state);
                let done = self.make(if word == "in" { "endp" } else { "atom" }, &[rest]);
                state.body.push(self.make("when", &[done, leave]));
                let value = if word == "in" { self.make("car", &[rest]) } else { rest };
                self.assign(state, pattern, value)?;
                state.body.push(self.make("setq", &[rest, step]));
                Ok(())
            }
            "across" => {
                state.at += 1;
                let text = self.next_form(state, "across")?;
                let (string, at, zero) = (self.fresh(), self.fresh(), self.int(0));
                state.variables.push((string, text));
                state.variables.push((at, zero));
                let length = self.make("length", &[string]);
                let test = self.make("<", &[at, length]);
                let leave = self.leave_loop(state);
                state.body.push(self.make("unless", &[test, leave]));
                let value = self.make("char", &[string, at]);
                self.assign(state, pattern, value)?;
                state.body.push(self.make("incf", &[at]));
                Ok(())
            }
            "=" => {
                state.at += 1;
                let first = self.next_form(state, "=")?;
                if self.loop_word(state.words.get(state.at).copied()) != "then" {
                    return self.assign(state, pattern, first);
                }
                state.at += 1;
                let then = self.next_form(state, "then")?;
                let (started, t) = (self.fresh(), self.word(names::T));
                state.variables.push((started, nil));
                let mark = self.make("setq", &[started, t]);
                let first = self.make("progn", &[mark, first]);
                let value = self.make("if", &[started, then, first]);
                self.assign(state, pattern, value)
            }
            "from" | "upfrom" | "downfrom" | "to" | "upto" | "downto" | "below" | "above" | "by" => {
                self.for_number(state, pattern)
            }
            _ => {
                let shown = if word.is_empty() { "a form" } else { &word };
                self.fail(
                    Kind::Unsupported,
                    format!("loop for has no {shown}"),
                    "There are: in, on, across, =, from, downfrom, to, downto, below, above, by.",
                )
            }
        }
    }

    fn for_number(&mut self, state: &mut Loop, name: Id) -> Compiled {
        let (mut first, mut limit, mut by) = (self.int(0), None, self.int(1));
        let mut down = false;
        loop {
            let word = self.loop_word(state.words.get(state.at).copied());
            if !matches!(
                word.as_str(),
                "from" | "upfrom" | "downfrom" | "to" | "upto" | "downto" | "below" | "above" | "by"
            ) {
                break;
            }
            state.at += 1;
            let form = self.next_form(state, &word)?;
            down |= word.starts_with("down") || word == "above";
            let hold = self.fresh();
            state.variables.push((hold, form));
            match word.as_str() {
                "from" | "upfrom" | "downfrom" => first = hold,
                "by" => by = hold,
                _ => limit = Some((matches!(word.as_str(), "below" | "above"), hold)),
            }
        }
        let count = self.fresh();
        state.variables.push((count, first));
        if let Some((strict, limit)) = limit {
            let test = match (down, strict) {
                (false, false) => ">",
                (false, true) => ">=",
                (true, false) => "<",
                (true, true) => "<=",
            };
            let test = self.make(test, &[count, limit]);
            let leave = self.leave_loop(state);
            state.body.push(self.make("when", &[test, leave]));
        }
        self.assign(state, name, count)?;
        let next = self.make(if down { "-" } else { "+" }, &[count, by]);
        state.body.push(self.make("setq", &[count, next]));
        Ok(())
    }

    /// Gives a variable, or those of a pattern, their values in each round.
    fn assign(&mut self, state: &mut Loop, pattern: Id, value: Id) -> Compiled {
        let mut work = vec![(pattern, value)];
        while let Some((pattern, value)) = work.pop() {
            let nil = self.nil();
            let dotted = self.tree.dotted(pattern).map(<[Id]>::to_vec);
            let items = dotted.clone().or_else(|| self.tree.items(pattern).map(<[Id]>::to_vec));
            let Some(mut items) = items else {
                self.variable_name(pattern)?;
                state.variables.push((pattern, nil));
                state.body.push(self.make("setq", &[pattern, value]));
                continue;
            };
            let whole = self.fresh();
            state.variables.push((whole, nil));
            state.body.push(self.make("setq", &[whole, value]));
            let tail = if dotted.is_some() { items.pop() } else { None };
            let count = items.len();
            let mut parts = Vec::new();
            for (at, item) in items.into_iter().enumerate() {
                if self.tree.symbol(item) != Some(names::NIL) {
                    let at = self.int(i64::try_from(at).unwrap_or(0));
                    parts.push((item, self.make("nth", &[at, whole])));
                }
            }
            if let Some(tail) = tail {
                let at = self.int(i64::try_from(count).unwrap_or(0));
                parts.push((tail, self.make("nthcdr", &[at, whole])));
            }
            work.extend(parts.into_iter().rev());
        }
        Ok(())
    }
}

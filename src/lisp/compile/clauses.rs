//! The clauses of `loop` that run in every round: what is done, gathered, and stepped.

use super::super::fault::Kind;
use super::super::names::{self, near};
use super::super::syntax::Id;
use super::loops::Loop;
use super::{Compiled, Compiler};

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

impl Compiler<'_> {
    /// A clause that may stand behind `when`: the form that it is.
    pub(super) fn action(&mut self, state: &mut Loop, id: Id, depth: usize) -> Compiled<Id> {
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

    pub(super) fn actions(&mut self, state: &mut Loop, depth: usize) -> Compiled<Id> {
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

    pub(super) fn accumulate(&mut self, state: &mut Loop, word: &str) -> Compiled<Id> {
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
            self.charge(state.variables.len() as u64 / 4)?;
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

    pub(super) fn for_clause(&mut self, state: &mut Loop) -> Compiled {
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

    pub(super) fn for_number(&mut self, state: &mut Loop, name: Id) -> Compiled {
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
    pub(super) fn assign(&mut self, state: &mut Loop, pattern: Id, value: Id) -> Compiled {
        for (name, value) in self.parts(pattern, value)? {
            let nil = self.nil();
            state.variables.push((name, nil));
            state.body.push(self.make("setq", &[name, value]));
        }
        Ok(())
    }

    /// The variables of a pattern and their values, each of which may need those before it.
    pub(super) fn parts(&mut self, pattern: Id, value: Id) -> Compiled<Vec<(Id, Id)>> {
        let (mut work, mut found) = (vec![(pattern, value)], Vec::new());
        while let Some((pattern, value)) = work.pop() {
            let dotted = self.tree.dotted(pattern).map(<[Id]>::to_vec);
            let items = dotted.clone().or_else(|| self.tree.items(pattern).map(<[Id]>::to_vec));
            let Some(mut items) = items else {
                self.variable_name(pattern)?;
                found.push((pattern, value));
                continue;
            };
            let whole = self.fresh();
            found.push((whole, value));
            let tail = if dotted.is_some() { items.pop() } else { None };
            let count = items.len();
            let mut inner = Vec::new();
            for (at, item) in items.into_iter().enumerate() {
                if self.tree.symbol(item) != Some(names::NIL) {
                    let at = self.int(i64::try_from(at).unwrap_or(0));
                    inner.push((item, self.make("nth", &[at, whole])));
                }
            }
            if let Some(tail) = tail {
                let at = self.int(i64::try_from(count).unwrap_or(0));
                inner.push((tail, self.make("nthcdr", &[at, whole])));
            }
            work.extend(inner.into_iter().rev());
        }
        Ok(found)
    }
}

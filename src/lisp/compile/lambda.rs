//! Functions: lambda lists, captured variables, the end of a function.

use super::super::code::{Code, Mode, Op};
use super::super::fault::Kind;
use super::super::names::{self, Sym};
use super::super::syntax::{Id, Node};
use super::{Compiled, Compiler, Function, Space, Task, act};

/// The name of slots that no form can name.
const HIDDEN: Sym = Sym::MAX;

/// An argument that may be left out: its variable, default, and the variable that tells whether it was given.
struct Optional {
    name: Sym,
    default: Option<Id>,
    given: Option<Sym>,
    slot: u32,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
enum Part {
    Required,
    Optional,
    Rest,
    Key,
    Allow,
    Aux,
}

impl Compiler<'_> {
    /// Compiles a function and pushes it: `rest` is its lambda list and body.
    pub(super) fn lambda(&mut self, name: Sym, rest: &[Id], block: Option<Sym>) -> Compiled {
        let Some((params, body)) = rest.split_first() else {
            return self.bad("a function without a lambda list", "Write (lambda (x) …) or (defun f (x) …).");
        };
        let Some(params) = self.tree.items(*params).map(<[Id]>::to_vec) else {
            return self.bad("the lambda list is no list", "Write the arguments in parentheses.");
        };
        let scope = self.bindings.len();
        self.functions.push(Function { code: Code { name, ..Code::default() }, ..Function::default() });
        let (required, optionals, aux) = self.parameters(&params)?;
        let mut tasks = Vec::new();
        for sym in required {
            if self.is_global(sym) {
                let at = self.current().code.slots;
                self.add(Space::Variable, HIDDEN);
                self.emit(Op::Get(at))?;
                self.bind(sym)?;
            } else {
                self.add(Space::Variable, sym);
            }
        }
        let slots = optionals.len();
        let first = self.current().code.slots;
        for _ in 0..slots {
            self.charge(1)?;
            self.add(Space::Variable, HIDDEN);
        }
        for Optional { name, default, given, slot } in optionals {
            let slot = first + slot;
            tasks.push(act(move |c| {
                let (absent, end) = (c.new_label(), c.new_label());
                let mut tasks = vec![
                    Task::Op(Op::Given(slot)),
                    Task::Op(Op::JumpNil(absent)),
                    Task::Op(Op::Get(slot)),
                    Task::Op(Op::Jump(end)),
                    Task::Label(absent),
                ];
                tasks.push(default.map_or(Task::Op(Op::Nil), |form| Task::Form(form, Mode::Single)));
                tasks.push(Task::Label(end));
                tasks.push(act(move |c| c.bind(name)));
                if let Some(given) = given {
                    tasks.push(Task::Op(Op::Given(slot)));
                    tasks.push(act(move |c| c.bind(given)));
                }
                c.plan(tasks);
                Ok(())
            }));
        }
        for (name, init) in aux {
            tasks.push(init.map_or(Task::Op(Op::Nil), |form| Task::Form(form, Mode::Single)));
            tasks.push(act(move |c| c.bind(name)));
        }
        if let Some(block) = block {
            self.add(Space::Block, block);
            if let Some(last) = self.bindings.last_mut() {
                last.of_function = true;
            }
        }
        let own_block = block.map(|_| self.bindings.len() - 1);
        let body = self.without_docstring(body);
        tasks.push(act(move |c| c.body(&body, Mode::Tail)));
        tasks.push(act(move |c| {
            c.leave_function_block(own_block)?;
            c.leave(scope);
            let code = c.finish()?;
            let number = c.keep(code);
            let captures = c.captures_of(number);
            c.emit(if captures { Op::Closure(number) } else { Op::PushFun(number) })
        }));
        self.plan(tasks);
        Ok(())
    }

    /// What a function with these parameters takes, without compiling it; `None` if they are not well-formed.
    pub(super) fn lambda_list(&mut self, params: &[Id]) -> Compiled<Option<Code>> {
        self.functions.push(Function::default());
        let read = self.parameters(params);
        let Function { code, .. } = self.functions.pop().unwrap_or_default();
        match read {
            Err((fault, span)) if fault.kind.is_limit() => Err((fault, span)),
            read => Ok(read.is_ok().then_some(code)),
        }
    }

    fn captures_of(&self, number: u32) -> bool {
        !self.unit.codes[(number - self.unit.start) as usize].captures.is_empty()
    }

    /// Puts a finished function where it belongs, and says its number.
    fn keep(&mut self, code: Code) -> u32 {
        if self.root.is_none()
            && self.functions.len() == 1
            && let Some(at) = self.unit.functions.get(&code.name)
        {
            let at = *at;
            self.unit.codes[at as usize] = code;
            return at;
        }
        self.unit.codes.push(code);
        self.unit.start + super::index(self.unit.codes.len() - 1)
    }

    /// A docstring is skipped, unless it is all there is.
    fn without_docstring(&self, body: &[Id]) -> Vec<Id> {
        match body {
            [first, _, ..] if matches!(self.tree.node(*first), Node::Str(_)) => body[1..].to_vec(),
            _ => body.to_vec(),
        }
    }

    /// If a closure leaves the function's own block, the block is entered before all else.
    fn leave_function_block(&mut self, own: Option<usize>) -> Compiled {
        let Some(own) = own else { return Ok(()) };
        if !self.bindings[own].used {
            return Ok(());
        }
        let slot = self.bindings[own].slot;
        let end = self.new_label();
        self.label(end);
        self.emit(Op::Return)?;
        let function = self.current();
        for label in &mut function.labels {
            *label += 2;
        }
        let span = function.code.spans.first().copied().unwrap_or(0);
        function.code.ops.splice(0..0, [Op::BlockEnter(end), Op::Bind(slot)]);
        function.code.spans.splice(0..0, [span, span]);
        Ok(())
    }

    /// The function that is being compiled, its labels and boxes resolved.
    pub(super) fn finish(&mut self) -> Compiled<Code> {
        let Function { mut code, labels, boxed, .. } = self.functions.pop().unwrap_or_default();
        let is_boxed = |slot: u32| boxed.get(slot as usize).copied().unwrap_or(false);
        let target = |label: u32| labels.get(label as usize).copied().unwrap_or(0);
        for op in &mut code.ops {
            *op = match *op {
                Op::Get(slot) if is_boxed(slot) => Op::GetBox(slot),
                Op::Set(slot) if is_boxed(slot) => Op::SetBox(slot),
                Op::Bind(slot) if is_boxed(slot) => Op::BindBox(slot),
                Op::Jump(label) => Op::Jump(target(label)),
                Op::JumpNil(label) => Op::JumpNil(target(label)),
                Op::JumpNilKeep(label) => Op::JumpNilKeep(target(label)),
                Op::JumpTrueKeep(label) => Op::JumpTrueKeep(target(label)),
                Op::BlockEnter(label) => Op::BlockEnter(target(label)),
                Op::HandlerEnter(label) => Op::HandlerEnter(target(label)),
                other => other,
            };
        }
        code.boxed = (0..code.required).filter(|slot| is_boxed(*slot)).collect();
        code.ops.shrink_to_fit();
        code.spans.shrink_to_fit();
        Ok(code)
    }

    /// Reads a lambda list: required names, then what may be left out with the offset of its slot, then `&aux`.
    fn parameters(&mut self, params: &[Id]) -> Compiled<(Vec<Sym>, Vec<Optional>, Vec<(Sym, Option<Id>)>)> {
        let (mut required, mut optional, mut keys, mut aux) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut rest, mut part, mut key_names) = (None, Part::Required, Vec::new());
        for id in params {
            self.charge(1)?;
            let id = *id;
            let next = match self.tree.symbol(id) {
                Some(names::OPTIONAL) => Some(Part::Optional),
                Some(names::REST | names::BODY) => Some(Part::Rest),
                Some(names::KEY) => Some(Part::Key),
                Some(names::ALLOW) => Some(Part::Allow),
                Some(names::AUX) => Some(Part::Aux),
                Some(sym) if self.core.names.name(sym).starts_with('&') => {
                    let name = self.shown(sym);
                    return self
                        .bad(format!("{name} is not there"), "There are &optional, &rest, &key and &aux.");
                }
                _ => None,
            };
            if let Some(next) = next {
                if next <= part {
                    return self.bad(
                        "the lambda list's parts are out of order",
                        "Order: &optional &rest &key &aux.",
                    );
                }
                part = next;
                continue;
            }
            match part {
                Part::Required => required.push(self.variable_name(id)?),
                Part::Rest if rest.is_none() => rest = Some(self.variable_name(id)?),
                Part::Rest | Part::Allow => {
                    return self.bad("a name too many in the lambda list", "Remove it.");
                }
                Part::Optional => {
                    let (name, default, given) = self.with_default(id)?;
                    optional.push((name, default, given));
                }
                Part::Key => {
                    let items = self.tree.items(id).unwrap_or(&[]).to_vec();
                    // ((:key variable) default given)
                    let pair =
                        items.first().and_then(|first| self.tree.items(*first)).unwrap_or(&[]).to_vec();
                    if let [key, variable] = pair.as_slice()
                        && let Node::Key(key) = *self.tree.node(*key)
                    {
                        let name = self.variable_name(*variable)?;
                        let given = items.get(2).map(|given| self.variable_name(*given)).transpose()?;
                        key_names.push(key);
                        keys.push((name, items.get(1).copied(), given));
                    } else {
                        let (name, default, given) = self.with_default(id)?;
                        key_names.push(name);
                        keys.push((name, default, given));
                    }
                }
                Part::Aux => {
                    let (name, default, _) = self.with_default(id)?;
                    aux.push((name, default));
                }
            }
        }
        let has_keys = params.iter().any(|id| self.tree.symbol(*id) == Some(names::KEY));
        let code = &mut self.current().code;
        code.required = super::index(required.len());
        code.optional = super::index(optional.len());
        code.has_keys = has_keys;
        code.allow_other = part == Part::Allow;
        code.rest = rest.is_some();
        code.keys = key_names;
        let all = optional.into_iter().chain(keys);
        let mut out: Vec<Optional> = all
            .enumerate()
            .map(|(at, (name, default, given))| Optional { name, default, given, slot: super::index(at) })
            .collect();
        if let Some(rest) = rest {
            // Its slot is the last; its variable is bound between the optional ones and the keys.
            let slot = super::index(out.len());
            let at = (self.current().code.optional as usize).min(out.len());
            out.insert(at, Optional { name: rest, default: None, given: None, slot });
        }
        Ok((required, out, aux))
    }

    /// `name`, `(name)`, `(name default)` or `(name default given)`.
    fn with_default(&self, id: Id) -> Compiled<(Sym, Option<Id>, Option<Sym>)> {
        if self.tree.symbol(id).is_some() {
            return Ok((self.variable_name(id)?, None, None));
        }
        match self.tree.items(id) {
            Some([name]) => Ok((self.variable_name(*name)?, None, None)),
            Some([name, default]) => Ok((self.variable_name(*name)?, Some(*default), None)),
            Some([name, default, given]) => {
                Ok((self.variable_name(*name)?, Some(*default), Some(self.variable_name(*given)?)))
            }
            _ => self.fail(Kind::Form, "an argument is not written as it must be", "Write (name default)."),
        }
    }
}

//! What functions take, as far as it is known while a note is loaded: a call that can never be right is refused.
//!
//! Of a function that the note defines more than once the last definition counts, as it does in the end: for calls
//! in functions that are in use then. Others, in a stub or at top level, may run before it; they have to be right
//! for one of its definitions only. So have all calls if a definition may come or not come while something runs.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::super::builtin;
use super::super::code::Code;
use super::super::fault::{Fault, Kind};
use super::super::hints;
use super::super::machine::count_fault;
use super::super::names::{self, Sym};
use super::super::prelude::Callee;
use super::super::syntax::{Id, Node};
use super::{Compiled, Compiler, Space};

/// What the definitions of one name take. Of each `Code` here only the lambda list is there.
pub(super) struct Known {
    /// The last definition of those that are evaluated in any case, and its lambda list.
    last: Option<(Id, Code)>,
    /// What at least one of all definitions takes; `None` if that is not known.
    hull: Option<Code>,
    /// How many definitions there are, and how many of them are evaluated in any case.
    count: usize,
    plain: usize,
}

impl Known {
    fn add(&mut self, params: Id, code: Option<Code>, plain: bool, is_last: bool) {
        self.hull = match (&code, self.hull.take(), self.count) {
            (Some(code), None, 0) => Some(lambda_list(code)),
            (Some(code), Some(hull), _) => {
                let fixed = (hull.required + hull.optional).max(code.required + code.optional);
                let required = hull.required.min(code.required);
                let rest = hull.rest || code.rest || code.has_keys;
                Some(Code { required, optional: fixed - required, rest, ..Code::default() })
            }
            _ => None,
        };
        self.count += 1;
        self.plain += usize::from(plain);
        if is_last {
            self.last = code.map(|code| (params, code));
        }
    }
}

/// How many arguments a function takes, without its keys.
fn lambda_list(code: &Code) -> Code {
    let rest = code.rest || code.has_keys;
    Code { required: code.required, optional: code.optional, rest, ..Code::default() }
}

/// Whether there may be so many arguments.
fn fits(code: &Code, got: usize) -> bool {
    let (least, fixed) = (code.required as usize, (code.required + code.optional) as usize);
    got >= least && (code.rest || code.has_keys || got <= fixed)
}

/// That there may not.
fn wrong_count(code: &Code, name: &str, got: usize) -> Fault {
    let open = code.rest || code.has_keys;
    let most = if open { usize::MAX } else { (code.required + code.optional) as usize };
    count_fault(name, code.required as usize, most, got)
}

/// What is wrong with so many arguments that are lists: such are no keys.
pub fn takes_lists(code: &Code, name: &str, got: usize) -> Result<(), Fault> {
    if !fits(code, got) {
        return Err(wrong_count(code, name, got));
    }
    let fixed = (code.required + code.optional) as usize;
    if code.has_keys && got > fixed {
        return Err(count_fault(name, code.required as usize, fixed, got));
    }
    Ok(())
}

impl Compiler<'_> {
    /// Looks at all definitions of functions before anything is compiled.
    pub(super) fn learn(&mut self, forms: &[Id]) -> Compiled {
        if self.root.is_none() {
            return Ok(());
        }
        self.charge(self.tree.len() as u64 / 8)?;
        let mut work: Vec<Id> = forms.iter().rev().copied().collect();
        let (mut plain, mut last) = (HashSet::new(), HashMap::new());
        while let Some(form) = work.pop() {
            let Some([_, args @ ..]) = self.tree.items(form) else { continue };
            match (self.tree.head(form), args) {
                (Some(names::DEFUN), [name, params, ..]) => {
                    if let Some(name) = self.tree.symbol(*name) {
                        plain.insert(*params);
                        last.insert(name, *params);
                    }
                }
                (Some(names::PROGN | names::LOCALLY), _) => work.extend(args.iter().rev()),
                (Some(names::EVAL_WHEN | names::LET | names::LET_STAR), [_, body @ ..]) => {
                    work.extend(body.iter().rev());
                }
                _ => {}
            }
        }
        let is_defun = |list: &&[Id]| list.len() > 2 && self.tree.symbol(list[0]) == Some(names::DEFUN);
        let all = self.tree.lists().filter(is_defun);
        let all: Vec<(Sym, Id)> =
            all.filter_map(|list| Some((self.tree.symbol(list[1])?, list[2]))).collect();
        for (name, params) in all {
            let code = self.signature(params)?;
            let none = || Known { last: None, hull: None, count: 0, plain: 0 };
            let is_last = last.get(&name) == Some(&params);
            self.known.entry(name).or_insert_with(none).add(params, code, plain.contains(&params), is_last);
        }
        Ok(())
    }

    /// What a function with this lambda list takes, if the list is written as it must be.
    pub(super) fn signature(&mut self, params: Id) -> Compiled<Option<Code>> {
        let Some(params) = self.tree.items(params).map(<[Id]>::to_vec) else { return Ok(None) };
        self.lambda_list(&params)
    }

    /// The same for a local function, whose lambda list is the first of `rest`.
    pub(super) fn local_signature(&mut self, rest: &[Id]) -> Compiled<Option<Rc<Code>>> {
        let params = rest.first().copied();
        Ok(params.map(|params| self.signature(params)).transpose()?.flatten().map(Rc::new))
    }

    /// Whether this is the definition that the function has when the note is loaded.
    pub(super) fn is_last(&self, name: Sym, params: Option<&Id>) -> bool {
        let known = self.known.get(&name).filter(|known| known.plain == known.count);
        known.and_then(|known| known.last.as_ref()).is_some_and(|(last, _)| Some(last) == params)
    }

    /// Whether a call of a global function can be right.
    pub(super) fn check_call(&mut self, sym: Sym, callee: Callee, args: &[Id]) -> Compiled {
        let Some(root) = self.root else { return Ok(()) };
        match callee {
            Callee::Code(number) => self.check(&root.unit.codes[number as usize], sym, args),
            Callee::Builtin(number) => self.check_builtin(number, args),
            Callee::Note(_) => {
                let Some(known) = self.known.remove(&sym) else { return Ok(()) };
                let sure = known.plain == known.count && (self.strict || known.count == 1);
                let code = if sure { known.last.as_ref().map(|(_, code)| code) } else { known.hull.as_ref() };
                let checked = code.map_or(Ok(()), |code| self.check(code, sym, args));
                self.known.insert(sym, known);
                checked
            }
        }
    }

    /// Whether a call of a function that takes what `code` says can be right.
    pub(super) fn check(&mut self, code: &Code, name: Sym, args: &[Id]) -> Compiled {
        if !fits(code, args.len()) {
            return self.refuse(wrong_count(code, &self.shown(name), args.len()), args);
        }
        let extra = args.get((code.required + code.optional) as usize..).unwrap_or(&[]);
        if !code.has_keys || extra.is_empty() {
            return Ok(());
        }
        if !extra.len().is_multiple_of(2) {
            let message = format!("{} got a key without a value", self.shown(name));
            return self.fail(Kind::Arguments, message, "Write :key value.");
        }
        if code.allow_other || code.rest {
            return Ok(());
        }
        self.charge(extra.len() as u64 * (1 + code.keys.len() as u64 / 16))?;
        let mut unknown = None;
        for pair in extra.chunks_exact(2) {
            match *self.tree.node(pair[0]) {
                Node::Key(key) if code.keys.contains(&key) => {}
                Node::Key(key) if self.core.names.name(key) != "allow-other-keys" => {
                    unknown = unknown.or(Some(key));
                }
                // A key that allows others, or may be that one.
                _ => return Ok(()),
            }
        }
        let Some(key) = unknown else { return Ok(()) };
        let keys: Vec<&str> = code.keys.iter().map(|key| self.core.names.name(*key)).collect();
        let hint = if keys.is_empty() { String::new() } else { format!("It has :{}.", keys.join(" :")) };
        self.fail(Kind::Arguments, format!("{} has no key :{}", self.shown(name), self.shown(key)), hint)
    }

    /// That the count is wrong; it may be so for what is written as in other Lisps.
    fn refuse(&self, fault: Fault, args: &[Id]) -> Compiled {
        let mut names =
            args.iter().filter_map(|arg| self.tree.symbol(*arg)).map(|sym| self.core.names.name(sym));
        let fault = match names.find_map(hints::sign) {
            Some(hint) => fault.hint(hint),
            None => fault,
        };
        Err((fault, self.span))
    }

    fn check_builtin(&mut self, number: u32, args: &[Id]) -> Compiled {
        let checked = match builtin::special(number) {
            None | Some(builtin::Special::Ask) => builtin::check_count(number, args.len()),
            Some(builtin::Special::Apply) if args.len() == 1 => {
                let fault = Fault::new(Kind::Arguments, "apply needs a list of arguments");
                Err(fault.hint("Write (apply f list)."))
            }
            Some(_) => Ok(()),
        };
        if let Err(fault) = checked {
            return self.refuse(fault, args);
        }
        let mut size = 0;
        let checked = builtin::check_control(number, args.len(), |at| match self.tree.node(*args.get(at)?) {
            Node::Str(text) => {
                size = text.len();
                Some(&**text)
            }
            _ => None,
        });
        checked.map_err(|fault| (fault, self.span))?;
        let named = || match self.tree.node(*args.first()?) {
            Node::Str(name) => Some(&**name),
            _ => None,
        };
        builtin::check_template(number, self.core, named).map_err(|fault| (fault, self.span))?;
        // It is looked through once for each nesting.
        self.charge(size as u64 / 4)?;
        match (builtin::special(number), args) {
            (Some(builtin::Special::Funcall), [function, args @ ..]) => self.check_funcall(*function, args),
            _ => Ok(()),
        }
    }

    /// `(funcall #'f …)`, and the same with `'f` or a lambda.
    fn check_funcall(&mut self, function: Id, args: &[Id]) -> Compiled {
        let (what, local) = match (self.tree.head(function), self.tree.items(function)) {
            (Some(names::LAMBDA), _) => (function, false),
            (Some(head @ (names::FUNCTION | names::QUOTE)), Some([_, what])) => {
                (*what, head == names::FUNCTION)
            }
            _ => return Ok(()),
        };
        if let Some(sym) = self.tree.symbol(what) {
            return match self.find(Space::Function, sym).filter(|_| local) {
                Some(binding) => self.check_local(binding, args),
                None => match self.callee(sym, false) {
                    Some(callee @ (Callee::Note(_) | Callee::Code(_))) => self.check_call(sym, callee, args),
                    Some(Callee::Builtin(number)) if builtin::special(number).is_none() => {
                        self.check_builtin(number, args)
                    }
                    _ => Ok(()),
                },
            };
        }
        self.check_lambda(what, args)
    }

    /// `((lambda (x) …) …)`.
    pub(super) fn check_lambda(&mut self, lambda: Id, args: &[Id]) -> Compiled {
        let Some(&[head, params, ..]) = self.tree.items(lambda) else { return Ok(()) };
        match (self.tree.symbol(head), self.root) {
            (Some(name @ names::LAMBDA), Some(_)) => match self.signature(params)? {
                Some(code) => self.check(&code, name, args),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    pub(super) fn check_local(&mut self, binding: usize, args: &[Id]) -> Compiled {
        let binding = &self.bindings[binding];
        match (binding.takes.clone(), binding.name) {
            (Some(code), name) => self.check(&code, name, args),
            (None, _) => Ok(()),
        }
    }
}

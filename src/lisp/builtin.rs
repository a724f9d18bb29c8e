//! The table of functions that are written in Rust. They call nothing of a note, charge for what they do, and
//! never change a value.

mod format;
mod lists;
mod numbers;
mod regexes;
mod sequences;
mod strings;
mod templates;
mod various;

use std::collections::HashMap;
use std::sync::OnceLock;

use super::core::{Core, Result, Val};
use super::fault::{Fault, Kind};
use super::machine::count_fault;

pub use various::is_condition;

type Run = fn(&mut Core, &[Val]) -> Result<Val>;

/// What only the machine can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    Funcall,
    Apply,
    Ask,
}

/// One function: its name, how many arguments it takes at least and at most, what it does.
struct Builtin(&'static str, u8, u8, Does);

#[derive(Clone, Copy)]
enum Does {
    Run(Run),
    Special(Special),
}

/// Any number.
const ANY: u8 = u8::MAX;

const fn run(name: &'static str, least: u8, most: u8, run: Run) -> Builtin {
    Builtin(name, least, most, Does::Run(run))
}

const MACHINE: &[Builtin] = &[
    Builtin("funcall", 1, ANY, Does::Special(Special::Funcall)),
    Builtin("apply", 1, ANY, Does::Special(Special::Apply)),
    Builtin("ask-neuro", 1, ANY, Does::Special(Special::Ask)),
];

const TABLES: &[&[Builtin]] = &[
    MACHINE,
    lists::TABLE,
    sequences::TABLE,
    numbers::TABLE,
    strings::TABLE,
    regexes::TABLE,
    various::TABLE,
    templates::TABLE,
];

/// The functions that are not Common Lisp's: a note may define them itself.
const OWN: &[&str] = &[
    "string-prefix-p",
    "uiop:string-prefix-p",
    "string-suffix-p",
    "uiop:string-suffix-p",
    "ask-neuro",
    "render",
    "kernel-log",
    "getenv",
    "uiop:getenv",
    "split-string",
    "uiop:split-string",
    "scan",
    "scan-to-strings",
    "all-matches-as-strings",
    "regex-replace",
    "regex-replace-all",
    "split",
];

/// Those after whose required arguments there are keys and values. The names of libraries are without prefix.
const KEYED: &[&str] = &[
    "make-list",
    "make-string",
    "parse-integer",
    "search",
    "string=",
    "string/=",
    "string<",
    "string>",
    "string<=",
    "string>=",
    "string-equal",
    "string-not-equal",
    "string-lessp",
    "string-greaterp",
    "write-to-string",
    "split-string",
    "scan",
    "scan-to-strings",
    "all-matches-as-strings",
    "regex-replace",
    "regex-replace-all",
    "split",
    "ask-neuro",
    "render",
];

fn all() -> &'static [&'static Builtin] {
    static ALL: OnceLock<Vec<&'static Builtin>> = OnceLock::new();
    ALL.get_or_init(|| TABLES.iter().flat_map(|table| table.iter()).collect())
}

/// All names, in the order of their numbers.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().iter().map(|builtin| builtin.0)
}

/// The number of a name.
pub fn find(name: &str) -> Option<u32> {
    static MAP: OnceLock<HashMap<&'static str, u32>> = OnceLock::new();
    MAP.get_or_init(|| names().zip(0..).collect()).get(name).copied()
}

pub fn special(number: u32) -> Option<Special> {
    match all()[number as usize].3 {
        Does::Special(special) => Some(special),
        Does::Run(_) => None,
    }
}

/// What to run, if it may have so many arguments.
pub fn native(number: u32, count: usize) -> Option<Run> {
    match *all()[number as usize] {
        Builtin(_, least, most, Does::Run(run))
            if count >= least as usize && (most == ANY || count <= most as usize) =>
        {
            Some(run)
        }
        _ => None,
    }
}

/// What is wrong with so many arguments.
pub fn check_count(number: u32, count: usize) -> std::result::Result<(), Fault> {
    let Builtin(name, least, most, _) = *all()[number as usize];
    let least = least as usize;
    if count < least || (most != ANY && count > most as usize) {
        return Err(wrong_count(number, count));
    }
    let plain = name.rsplit(':').next().unwrap_or(name);
    if KEYED.contains(&plain) && !(count - least).is_multiple_of(2) {
        let hint = match plain {
            "ask-neuro" => "Write (ask-neuro prompt :system-prompt text).",
            "split-string" => "Write (split-string text :separator \",\").",
            _ => "Write :key value.",
        };
        return Err(Fault::new(Kind::Arguments, format!("{name} got a key without a value")).hint(hint));
    }
    Ok(())
}

pub fn wrong_count(number: u32, got: usize) -> Fault {
    let Builtin(name, least, most, _) = *all()[number as usize];
    count_fault(name, least as usize, if most == ANY { usize::MAX } else { most as usize }, got)
}

/// Whether a function can be called with these arguments, given how many there are and those that are literal
/// strings: one of them may say what the others are.
pub fn check_control<'t>(
    number: u32,
    count: usize,
    literal: impl FnOnce(usize) -> Option<&'t str>,
) -> std::result::Result<(), Fault> {
    let at = match all()[number as usize].0 {
        "format" => 1,
        "error" | "kernel-log" => 0,
        _ => return Ok(()),
    };
    match literal(at) {
        Some(control) => format::check(control, count - at - 1).map_err(|fault| named(number, fault)),
        None => Ok(()),
    }
}

/// Whether the template that a call of `render` names, if this is one, is there.
pub fn check_template<'t>(
    number: u32,
    core: &Core,
    literal: impl FnOnce() -> Option<&'t str>,
) -> std::result::Result<(), Fault> {
    match literal().filter(|_| all()[number as usize].0 == "render") {
        Some(name) => templates::check(core, name),
        None => Ok(()),
    }
}

/// An error of a builtin, with its name before it.
pub fn named(number: u32, fault: Fault) -> Fault {
    named_as(all()[number as usize].0, fault)
}

pub fn named_as(name: &str, fault: Fault) -> Fault {
    match fault.kind {
        Kind::Type | Kind::Arguments | Kind::Arithmetic if !name.starts_with('%') => {
            Fault { message: format!("{name} {}", fault.message), ..fault }
        }
        _ => fault,
    }
}

/// Whether a function name is Common Lisp's, which a note may not redefine.
pub fn is_common_lisp(name: &str) -> bool {
    let root = super::prelude::Root::get();
    !OWN.contains(&name) && root.names.find(name).and_then(|sym| root.callee(sym)).is_some()
}

/// Arguments as they are read, with errors that say what was expected.
impl Core {
    pub fn int(&mut self, value: Val) -> Result<i64> {
        match value {
            Val::Int(number) => Ok(number),
            other => Err(self.wrong("a whole number", other)),
        }
    }

    /// A whole number from 0.
    pub fn size(&mut self, value: Val) -> Result<usize> {
        match value {
            Val::Int(number) if number >= 0 => Ok(usize::try_from(number).unwrap_or(usize::MAX)),
            other => Err(self.wrong("a whole number from 0", other)),
        }
    }

    pub fn char(&mut self, value: Val) -> Result<char> {
        match value {
            Val::Char(c) => Ok(c),
            other => Err(self.wrong("a character", other)),
        }
    }

    /// The text of a string.
    pub fn string(&mut self, value: Val) -> Result<std::sync::Arc<str>> {
        match value {
            Val::Str(at) => Ok(std::sync::Arc::clone(&self.text(at).text)),
            other => Err(self.wrong("a string", other)),
        }
    }

    /// The text of a string, a symbol's name, or a character.
    pub fn designator(&mut self, value: Val) -> Result<std::sync::Arc<str>> {
        match value {
            Val::Nil => Ok("NIL".into()),
            Val::T => Ok("T".into()),
            Val::Sym(sym) | Val::Key(sym) => Ok(super::names::upper(self.names.name(sym)).into()),
            Val::Char(c) => Ok(c.to_string().into()),
            Val::Str(at) => Ok(std::sync::Arc::clone(&self.text(at).text)),
            other => Err(self.wrong("a string, a symbol or a character", other)),
        }
    }

    /// The values of `:key value` arguments, in the order of `names`; what was not given is nil.
    pub fn keywords<const N: usize>(&mut self, args: &[Val], names: [&str; N]) -> Result<[Val; N]> {
        let mut found = [None; N];
        if !args.len().is_multiple_of(2) {
            return Err(Fault::new(Kind::Arguments, "got a key without a value").hint("Write :key value."));
        }
        for pair in args.chunks_exact(2) {
            let at = match pair[0] {
                Val::Key(sym) => names.iter().position(|name| *name == self.names.name(sym)),
                _ => None,
            };
            let Some(at) = at else {
                let shown = self.show(pair[0], 40)?.to_lowercase();
                return Err(Fault::new(Kind::Arguments, format!("has no key {shown}"))
                    .hint(format!("It has :{}.", names.join(" :"))));
            };
            found[at] = found[at].or(Some(pair[1]));
        }
        Ok(found.map(|value| value.unwrap_or(Val::Nil)))
    }

    /// A range of a sequence with so many elements: `start` and `end` may be nil.
    pub fn range(&mut self, start: Val, end: Val, length: usize) -> Result<std::ops::Range<usize>> {
        let from = if start == Val::Nil { 0 } else { self.size(start)? };
        let to = if end == Val::Nil { length } else { self.size(end)? };
        if from <= to && to <= length {
            return Ok(from..to);
        }
        Err(Fault::new(Kind::Type, format!("needs a range within 0 and {length}, got {from} to {to}"))
            .hint("Compare with length first."))
    }
}

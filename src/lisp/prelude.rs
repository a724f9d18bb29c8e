//! The functions of the language that call functions: written in the language itself, so that they run in the
//! machine, with its limits, and can be suspended. Compiled once in a process.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::builtin;
use super::code::Unit;
use super::compile::Compiler;
use super::core::Core;
use super::fault::Fault;
use super::names::{Names, Sym};
use super::reader::Reader;
use super::syntax::{Span, Tree};
use super::{Limits, Loaded};

/// What a name stands for as a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A function of the note, by its number there.
    Note(u32),
    /// A function of this file, by its code.
    Code(u32),
    Builtin(u32),
}

/// What all notes share.
pub struct Root {
    pub unit: Unit,
    pub names: Arc<Names>,
    callees: HashMap<Sym, Callee>,
}

const TEXT: &str = include_str!("prelude.lisp");

/// The names in events and actions: known to all notes by one number, so that an event is made values once for all.
const DATA: &[&str] = &[
    "type",
    "event",
    "payload",
    "sensor",
    "chat-message",
    "text",
    "buffer",
    "session",
    "history",
    "context",
    "date",
    "role",
    "user",
    "assistant",
    "kind",
    "mode",
    "name",
    "region",
    "file",
    "note",
    "request",
    "response",
    "log",
    "target",
    "emacs",
    "shell",
    "skill",
    "action",
    "insert-at-end",
    "cmd",
    "cwd",
    "timeout",
    "explanation",
    "level",
    "debug",
    "info",
    "warn",
    "error",
];

impl Root {
    /// The only one.
    pub fn get() -> &'static Self {
        static ROOT: OnceLock<Root> = OnceLock::new();
        ROOT.get_or_init(|| {
            let mut names = Names::root();
            for name in builtin::names().chain(DATA.iter().copied()) {
                names.intern(name);
            }
            // A text that does not compile would be found by every test of the language.
            let (unit, names) = compile(names).unwrap_or_default();
            let mut callees = HashMap::new();
            for (number, name) in builtin::names().enumerate() {
                callees.extend(names.find(name).map(|sym| (sym, Callee::Builtin(number as u32))));
            }
            for (sym, number) in &unit.functions {
                callees.insert(*sym, Callee::Code(*number));
            }
            Self { unit, names: Arc::new(names), callees }
        })
    }

    /// How many codes there are: those of a note have the numbers after them.
    pub fn codes(&self) -> u32 {
        self.unit.codes.len() as u32
    }

    pub fn callee(&self, sym: Sym) -> Option<Callee> {
        self.callees.get(&sym).copied()
    }

    /// Whether a name may stand in operator position.
    pub fn has(&self, name: &str) -> bool {
        let sym = self.names.find(name).filter(|_| !name.starts_with('%'));
        sym.is_some_and(|sym| sym < super::names::LAST_FORM || self.callee(sym).is_some())
    }

    /// All names that may stand in operator position, without the internal ones.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        let forms = (0..super::names::LAST_FORM).map(|sym| self.names.name(sym));
        let functions = self.callees.keys().map(|sym| self.names.name(*sym));
        forms.chain(functions).filter(|name| !name.starts_with('%'))
    }
}

/// The compiled text and the names in it, or what is wrong with it.
pub fn compile(names: Names) -> Result<(Unit, Names), (Fault, Span)> {
    let limits = Limits { fuel: u64::MAX, memory: usize::MAX, ..Limits::default() };
    let mut core = Core::new(Loaded::nothing(), names, Arc::new(()), &limits);
    let mut tree = Tree::default();
    let forms = Reader::new(TEXT, 0, 1, &mut core, &mut tree).all()?;
    let mut compiler = Compiler::new(&mut core, &mut tree, None);
    compiler.top_level(&forms)?;
    let mut unit = compiler.unit;
    unit.spans.clear();
    unit.spans.shrink_to_fit();
    Ok((unit, core.freeze().1))
}

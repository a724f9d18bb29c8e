//! Names as numbers: a table in layers, those of the language below those of a note below those of a call.

use std::collections::HashMap;
use std::sync::Arc;

use super::Loaded;

/// A name: of a symbol or a keyword, lower case.
pub type Sym = u32;

macro_rules! words {
    ($($id:ident $text:literal,)*) => {
        #[allow(dead_code, non_camel_case_types, clippy::upper_case_acronyms, reason = "they only count")]
        enum Index { $($id),* }
        $(pub const $id: Sym = Index::$id as Sym;)*
        /// The names that the language itself knows, in the order of their numbers.
        const FIXED: &[&str] = &[$($text),*];
    };
}

// The special forms come first, up to LAST_FORM.
words! {
    QUOTE "quote", FUNCTION "function", LAMBDA "lambda", LET "let", LET_STAR "let*", FLET "flet", LABELS "labels",
    IF "if", WHEN "when", UNLESS "unless", COND "cond", CASE "case", ECASE "ecase", TYPECASE "typecase",
    ETYPECASE "etypecase", AND "and", OR "or", PROGN "progn", PROG1 "prog1", PROG2 "prog2", BLOCK "block",
    RETURN_FROM "return-from", RETURN "return", DOLIST "dolist", DOTIMES "dotimes", DO "do", DO_STAR "do*",
    LOOP "loop", SETF "setf", SETQ "setq", INCF "incf", DECF "decf", PUSH "push", POP "pop", PUSHNEW "pushnew",
    DESTRUCTURING_BIND "destructuring-bind", MULTIPLE_VALUE_BIND "multiple-value-bind",
    MULTIPLE_VALUE_LIST "multiple-value-list", NTH_VALUE "nth-value",
    IGNORE_ERRORS "ignore-errors", HANDLER_CASE "handler-case", DEFUN "defun", DEFVAR "defvar",
    DEFPARAMETER "defparameter", DEFCONSTANT "defconstant", DEFSKILL "defskill", IN_PACKAGE "in-package",
    DECLARE "declare", DECLAIM "declaim", PROCLAIM "proclaim", EVAL_WHEN "eval-when", LOCALLY "locally", THE "the",
    QUASIQUOTE "quasiquote", WHILE "%while",
    REPEAT "%repeat", LAST_FORM "%",
    UNQUOTE "unquote", SPLICE "unquote-splicing",
    NIL "nil", T "t", OTHERWISE "otherwise", OPTIONAL "&optional", REST "&rest", BODY "&body", KEY "&key",
    AUX "&aux", ALLOW "&allow-other-keys",
}

/// What is below a layer.
#[derive(Debug)]
pub enum Below {
    /// The language.
    Names(Arc<Names>),
    /// A note.
    Program(Arc<Loaded>),
}

impl Below {
    fn names(&self) -> &Names {
        match self {
            Self::Names(names) => names,
            Self::Program(program) => &program.names,
        }
    }
}

/// One layer over those below it.
#[derive(Debug, Default)]
pub struct Names {
    below: Option<Below>,
    start: Sym,
    list: Vec<Arc<str>>,
    map: HashMap<Arc<str>, Sym>,
}

impl Names {
    /// The lowest layer: the names that the compiler knows.
    pub fn root() -> Self {
        let mut names = Self::default();
        for name in FIXED {
            names.intern(name);
        }
        names
    }

    /// An empty layer over `below`.
    pub fn over(below: Below) -> Self {
        Self { start: below.names().len(), below: Some(below), list: Vec::new(), map: HashMap::new() }
    }

    /// One more than the greatest number.
    pub fn len(&self) -> Sym {
        self.start + Sym::try_from(self.list.len()).unwrap_or(0)
    }

    /// The number of a name that is already there. The name must be lower case.
    pub fn find(&self, name: &str) -> Option<Sym> {
        let mut layer = self;
        loop {
            if let Some(found) = layer.map.get(name) {
                return Some(*found);
            }
            layer = layer.below.as_ref()?.names();
        }
    }

    /// The number of a name, lower case; a new one if it was not there.
    pub fn intern(&mut self, name: &str) -> Sym {
        if let Some(found) = self.find(name) {
            return found;
        }
        let number = self.len();
        let name: Arc<str> = Arc::from(name);
        self.list.push(Arc::clone(&name));
        self.map.insert(name, number);
        number
    }

    /// The name of a number; of the compiler's own variables, which have none, a stand-in.
    pub fn name(&self, sym: Sym) -> &str {
        let mut layer = self;
        while sym < layer.start {
            match &layer.below {
                Some(below) => layer = below.names(),
                None => break,
            }
        }
        layer.list.get((sym.wrapping_sub(layer.start)) as usize).map_or("#:g", |name| name)
    }
}

/// A name as it is compared and stored.
pub fn lower(name: &str) -> String {
    name.chars().map(lower_char).collect()
}

/// A name as it prints.
pub fn upper(name: &str) -> String {
    name.chars().map(upper_char).collect()
}

/// The lower-case character, where that is one.
pub fn lower_char(c: char) -> char {
    single(c.to_lowercase(), c)
}

/// The upper-case character, where that is one that goes back.
pub fn upper_char(c: char) -> char {
    let up = single(c.to_uppercase(), c);
    if lower_char(up) == lower_char(c) { up } else { c }
}

fn single(mut found: impl Iterator<Item = char>, or: char) -> char {
    match (found.next(), found.next()) {
        (Some(c), None) => c,
        _ => or,
    }
}

/// How many names are compared, as each takes a while.
const MOST_NEAR: usize = 1_000;

/// The name nearest to `name`, if one is near.
pub fn near<'n>(name: &str, others: impl Iterator<Item = &'n str>) -> Option<String> {
    // Distances of long names would take long.
    let short = |name: &str| name.len() <= 64;
    let length = name.chars().count();
    let most = |other: usize| 1 + length.min(other) / 4;
    others
        .filter(|other| short(name) && short(other) && !other.starts_with('%') && *other != name)
        .map(|other| (other.chars().count(), other))
        .filter(|(other, _)| length.abs_diff(*other) <= most(*other))
        .take(MOST_NEAR)
        .map(|(count, other)| (strsim::damerau_levenshtein(name, other), count, other))
        .filter(|(distance, count, _)| *distance <= most(*count))
        .min_by_key(|(distance, _, other)| (*distance, *other))
        .map(|(_, _, other)| other.to_owned())
}

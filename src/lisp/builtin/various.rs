//! Everything else: equality, types, values, errors, and the few effects.

use super::super::core::{Core, NO_VALUES, RawSkill, Result, Val};
use super::super::fault::{Fault, Kind};
use super::format::format;
use super::{ANY, Builtin, run};

pub const TABLE: &[Builtin] = &[
    run("eq", 2, 2, |_, a| Ok(Val::bool(a[0] == a[1]))),
    run("eql", 2, 2, |_, a| Ok(Val::bool(a[0] == a[1]))),
    run("equal", 2, 2, |c, a| Ok(Val::bool(c.equal(a[0], a[1], false)?))),
    run("equalp", 2, 2, |c, a| Ok(Val::bool(c.equal(a[0], a[1], true)?))),
    run("not", 1, 1, |_, a| Ok(Val::bool(a[0] == Val::Nil))),
    run("null", 1, 1, |_, a| Ok(Val::bool(a[0] == Val::Nil))),
    run("atom", 1, 1, |_, a| Ok(Val::bool(!matches!(a[0], Val::Cons(_))))),
    run("consp", 1, 1, |_, a| Ok(Val::bool(matches!(a[0], Val::Cons(_))))),
    run("listp", 1, 1, |_, a| Ok(Val::bool(is_list(a[0])))),
    run("endp", 1, 1, |c, a| {
        if is_list(a[0]) { Ok(Val::bool(a[0] == Val::Nil)) } else { Err(c.wrong("a list", a[0])) }
    }),
    run("symbolp", 1, 1, |c, a| is(c, a[0], "symbol")),
    run("keywordp", 1, 1, |c, a| is(c, a[0], "keyword")),
    run("stringp", 1, 1, |c, a| is(c, a[0], "string")),
    run("characterp", 1, 1, |c, a| is(c, a[0], "character")),
    run("numberp", 1, 1, |c, a| is(c, a[0], "number")),
    run("realp", 1, 1, |c, a| is(c, a[0], "number")),
    run("integerp", 1, 1, |c, a| is(c, a[0], "integer")),
    run("floatp", 1, 1, |c, a| is(c, a[0], "float")),
    run("functionp", 1, 1, |c, a| is(c, a[0], "function")),
    run("typep", 2, 2, typep),
    run("identity", 1, 1, |_, a| Ok(a[0])),
    run("values", 0, ANY, values),
    run("values-list", 1, 1, |c, a| {
        let items = c.items(a[0])?;
        values(c, &items)
    }),
    run("format", 2, ANY, format_string),
    run("error", 1, ANY, error),
    run("kernel-log", 1, ANY, kernel_log),
    run("getenv", 1, 1, getenv),
    run("uiop:getenv", 1, 1, getenv),
    run("%nil-and", 1, 1, |c, a| values(c, &[Val::Nil, a[0]])),
    run("%no-case", 1, 1, |c, a| {
        let shown = c.show(a[0], 60)?;
        Err(Fault::new(Kind::Type, format!("no case is for {shown}"))
            .hint("Add an otherwise clause, or use case."))
    }),
    run("%condition-is", 2, 2, condition_is),
    run("%defskill", 1, ANY, defskill),
];

/// The conditions that `handler-case` knows, and the kinds of error they are for; without kinds, all.
const CONDITIONS: &[(&str, &[Kind])] = &[
    ("error", &[]),
    ("condition", &[]),
    ("serious-condition", &[]),
    ("t", &[]),
    ("simple-error", &[Kind::Signalled]),
    ("type-error", &[Kind::Type]),
    ("arithmetic-error", &[Kind::Arithmetic]),
    ("division-by-zero", &[Kind::Arithmetic]),
    ("program-error", &[Kind::Arguments, Kind::Form]),
    ("undefined-function", &[Kind::Undefined]),
    ("unbound-variable", &[Kind::Undefined]),
    ("parse-error", &[Kind::Syntax, Kind::Type]),
    ("reader-error", &[Kind::Syntax]),
    ("control-error", &[Kind::Form]),
];

/// The most skills of one note.
const MAX_SKILLS: usize = 100;

/// Whether `handler-case` knows a condition of this name.
pub fn is_condition(name: &str) -> bool {
    CONDITIONS.iter().any(|(known, _)| *known == name)
}

fn condition_is(core: &mut Core, args: &[Val]) -> Result<Val> {
    let name = match args[1] {
        Val::Sym(sym) => core.names.name(sym),
        _ => "t",
    };
    let kinds = CONDITIONS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, kinds)| kinds);
    let kind = match args[0] {
        Val::Error(at) => core.get_error(at).0,
        _ => Kind::Signalled,
    };
    Ok(Val::bool(kinds.is_empty() || kinds.contains(&kind)))
}

fn is_list(value: Val) -> bool {
    matches!(value, Val::Nil | Val::Cons(_))
}

/// Whether a value is of a type; `None` if there is no such type.
fn of_type(value: Val, name: &str) -> Option<bool> {
    Some(match name {
        "t" => true,
        "nil" => false,
        "null" => value == Val::Nil,
        "list" => is_list(value),
        "cons" => matches!(value, Val::Cons(_)),
        "atom" => !matches!(value, Val::Cons(_)),
        "symbol" => matches!(value, Val::Nil | Val::T | Val::Sym(_) | Val::Key(_)),
        "keyword" => matches!(value, Val::Key(_)),
        "boolean" => matches!(value, Val::Nil | Val::T),
        "string" | "simple-string" => matches!(value, Val::Str(_)),
        "vector" | "array" => matches!(value, Val::Str(_)),
        "sequence" => matches!(value, Val::Nil | Val::Cons(_) | Val::Str(_)),
        "character" | "standard-char" => matches!(value, Val::Char(_)),
        "number" | "real" => matches!(value, Val::Int(_) | Val::Float(_)),
        "integer" | "rational" | "fixnum" => matches!(value, Val::Int(_)),
        "float" | "single-float" | "double-float" => matches!(value, Val::Float(_)),
        "function" => matches!(value, Val::Fun(_) | Val::Closure(_) | Val::Builtin(_)),
        "error" | "condition" => matches!(value, Val::Error(_)),
        _ => return None,
    })
}

fn is(_: &mut Core, value: Val, name: &str) -> Result<Val> {
    Ok(Val::bool(of_type(value, name).unwrap_or(false)))
}

fn typep(core: &mut Core, args: &[Val]) -> Result<Val> {
    // (or a b), (member a b), (eql a), (not a): one level.
    let mut types = vec![args[1]];
    let mut negate = false;
    if let Val::Cons(_) = args[1] {
        let items = core.items(args[1])?;
        let head = match items[0] {
            Val::Sym(sym) => core.names.name(sym).to_owned(),
            _ => String::new(),
        };
        match head.as_str() {
            "or" => types = items[1..].to_vec(),
            "not" => {
                types = items[1..].to_vec();
                negate = true;
            }
            "member" | "eql" => return Ok(Val::bool(items[1..].contains(&args[0]))),
            _ => return Err(no_type(core, args[1])),
        }
    }
    let mut any = false;
    for name in types {
        let found = match name {
            Val::Nil => Some(false),
            Val::T => Some(true),
            Val::Sym(sym) => of_type(args[0], core.names.name(sym)),
            _ => None,
        };
        any |= match found {
            Some(found) => found,
            None => return Err(no_type(core, name)),
        };
    }
    Ok(Val::bool(any != negate))
}

fn no_type(core: &mut Core, name: Val) -> Fault {
    match core.show(name, 60) {
        Ok(shown) => Fault::new(Kind::Unsupported, format!("there is no type {shown}")).hint(
            "There are: string symbol keyword list cons null atom number integer float character function.",
        ),
        Err(fault) => fault,
    }
}

/// Several values: a list that only a multiple-value form takes apart.
pub fn values(core: &mut Core, args: &[Val]) -> Result<Val> {
    match args {
        [] => Ok(Val::Values(NO_VALUES)),
        [one] => Ok(*one),
        _ => match core.list(args)? {
            Val::Cons(at) => Ok(Val::Values(at)),
            other => Ok(other),
        },
    }
}

fn format_string(core: &mut Core, args: &[Val]) -> Result<Val> {
    if args[0] != Val::Nil {
        return Err(Fault::new(Kind::Unsupported, "format writes nothing: its first argument must be nil")
            .hint("Use (format nil …) for a string, (kernel-log …) for the log."));
    }
    let control = core.string(args[1])?;
    let mut out = String::new();
    format(core, &control, &args[2..], &mut out)?;
    core.str(&out)
}

fn error(core: &mut Core, args: &[Val]) -> Result<Val> {
    let message = match args[0] {
        Val::Error(at) => {
            let (kind, message) = core.get_error(at);
            return Err(Fault::new(kind, message));
        }
        Val::Str(_) => {
            let (control, mut out) = (core.string(args[0])?, String::new());
            format(core, &control, &args[1..], &mut out)?;
            out
        }
        _ => {
            // (error 'name :key value): what it says is what it was given.
            let list = core.list(args)?;
            core.show(list, 200)?
        }
    };
    core.take(message.len())?;
    Err(Fault::new(Kind::Signalled, message))
}

fn kernel_log(core: &mut Core, args: &[Val]) -> Result<Val> {
    let mut out = String::new();
    match args[0] {
        Val::Str(_) => {
            let control = core.string(args[0])?;
            format(core, &control, &args[1..], &mut out)?;
        }
        other => core.print(other, false, &mut out)?,
    }
    core.log(&out);
    Ok(Val::Nil)
}

fn getenv(core: &mut Core, args: &[Val]) -> Result<Val> {
    let name = core.string(args[0])?;
    core.charge(50)?;
    match core.env.variable(&name) {
        Some(value) => core.str(&value),
        None => Ok(Val::Nil),
    }
}

/// `%defskill place :key value …`.
fn defskill(core: &mut Core, args: &[Val]) -> Result<Val> {
    if !core.loading {
        return Err(Fault::new(Kind::Effect, "defskill may only be used while the note is loaded")
            .hint("Write it at top level."));
    }
    if core.skills.len() >= MAX_SKILLS {
        return Err(Fault::new(Kind::Form, format!("a note defines more than {MAX_SKILLS} skills"))
            .hint("Split the note."));
    }
    let span = core.size(args[0])?;
    let (mut name, mut pairs) = (None, Vec::new());
    for pair in args[1..].chunks_exact(2) {
        let Val::Key(key) = pair[0] else { continue };
        if core.names.name(key) == "name" {
            name = name.or(Some(pair[1]));
        } else {
            pairs.push((key, pair[1]));
        }
    }
    let Some(name) = name else {
        return Err(Fault::new(Kind::Form, "a skill has no name").hint("Write (defskill :name …)."));
    };
    core.take(size_of::<RawSkill>() + pairs.len() * 24)?;
    core.skills.push(RawSkill { name, pairs, span });
    Ok(name)
}

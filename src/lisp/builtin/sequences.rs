//! Sequences: what is for lists and strings alike.

use std::borrow::Cow;

use super::super::core::{Core, Result, Val};
use super::super::fault::{Fault, Kind};
use super::super::names::lower_char;
use super::{ANY, Builtin, run};

pub const TABLE: &[Builtin] = &[
    run("length", 1, 1, length),
    run("reverse", 1, 1, reverse),
    run("nreverse", 1, 1, reverse),
    run("elt", 2, 2, elt),
    run("subseq", 2, 3, subseq),
    run("copy-seq", 1, 1, |_, a| Ok(a[0])),
    run("search", 2, ANY, search),
    run("mismatch", 2, 2, mismatch),
    run("concatenate", 1, ANY, concatenate),
    run("coerce", 2, 2, coerce),
    run("%items", 1, 3, items),
    run("%like", 2, 2, like),
    run("%position", 5, 5, position),
];

/// The elements of a list or the characters of a string.
fn elements(core: &mut Core, value: Val) -> Result<Vec<Val>> {
    match value {
        Val::Str(at) => {
            let text = core.text(at).clone();
            core.charge_size(text.chars)?;
            if text.chars * size_of::<Val>() > core.room() {
                core.take(text.chars * size_of::<Val>())?;
            }
            Ok(text.text.chars().map(Val::Char).collect())
        }
        Val::Nil | Val::Cons(_) => core.items(value),
        other => Err(core.wrong("a list or a string", other)),
    }
}

fn text_of(core: &mut Core, items: &[Val]) -> Result<Val> {
    let mut out = String::new();
    for item in items {
        out.push(core.char(*item)?);
    }
    core.str(&out)
}

fn length(core: &mut Core, args: &[Val]) -> Result<Val> {
    let count = match args[0] {
        Val::Str(at) => core.text(at).chars,
        Val::Nil => 0,
        Val::Cons(_) => core.items(args[0])?.len(),
        other => return Err(core.wrong("a list or a string", other)),
    };
    Ok(Val::Int(count as i64))
}

fn reverse(core: &mut Core, args: &[Val]) -> Result<Val> {
    match args[0] {
        Val::Str(at) => {
            let text: String = core.text(at).text.chars().rev().collect();
            core.str(&text)
        }
        _ => {
            let mut items = elements(core, args[0])?;
            items.reverse();
            core.list(&items)
        }
    }
}

fn elt(core: &mut Core, args: &[Val]) -> Result<Val> {
    let at = core.size(args[1])?;
    let found = match args[0] {
        Val::Str(text) => char_at(core, text, at)?.map(Val::Char),
        _ => elements(core, args[0])?.get(at).copied(),
    };
    match found {
        Some(found) => Ok(found),
        None => Err(core.wrong("the number of an element", args[1])),
    }
}

/// The character at a position: at once in ASCII text, else counted.
pub fn char_at(core: &mut Core, text: u32, at: usize) -> Result<Option<char>> {
    let text = core.text(text).clone();
    if text.is_ascii() {
        return Ok(text.text.as_bytes().get(at).map(|byte| char::from(*byte)));
    }
    core.charge_size(at)?;
    Ok(text.text.chars().nth(at))
}

/// The byte range of a character range.
pub fn bytes(text: &str, ascii: bool, range: std::ops::Range<usize>) -> std::ops::Range<usize> {
    if ascii {
        return range;
    }
    let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let start = starts.nth(range.start).unwrap_or(text.len());
    let end = if range.is_empty() { start } else { starts.nth(range.len() - 1).unwrap_or(text.len()) };
    start..end
}

fn subseq(core: &mut Core, args: &[Val]) -> Result<Val> {
    let end = args.get(2).copied().unwrap_or(Val::Nil);
    match args[0] {
        Val::Str(at) => {
            let text = core.text(at).clone();
            let range = core.range(args[1], end, text.chars)?;
            core.charge_size(if text.is_ascii() { 0 } else { range.end })?;
            core.str(&text.text[bytes(&text.text, text.is_ascii(), range)])
        }
        _ => {
            let items = elements(core, args[0])?;
            let range = core.range(args[1], end, items.len())?;
            core.list(&items[range])
        }
    }
}

fn items(core: &mut Core, args: &[Val]) -> Result<Val> {
    let (start, end) = (args.get(1).copied().unwrap_or(Val::Nil), args.get(2).copied().unwrap_or(Val::Nil));
    if start == Val::Nil && end == Val::Nil && matches!(args[0], Val::Cons(_) | Val::Nil) {
        return Ok(args[0]);
    }
    let items = elements(core, args[0])?;
    let range = core.range(start, end, items.len())?;
    core.list(&items[range])
}

fn like(core: &mut Core, args: &[Val]) -> Result<Val> {
    if matches!(args[0], Val::Str(_)) {
        let items = core.items(args[1])?;
        return text_of(core, &items);
    }
    Ok(args[1])
}

/// `%position item sequence start end from-end`, by `eql`.
fn position(core: &mut Core, args: &[Val]) -> Result<Val> {
    let items = elements(core, args[1])?;
    let range = core.range(args[2], args[3], items.len())?;
    let start = range.start;
    let mut found = items[range].iter();
    let at = if args[4].is_true() {
        found.rposition(|x| *x == args[0])
    } else {
        found.position(|x| *x == args[0])
    };
    Ok(at.map_or(Val::Nil, |at| Val::Int((start + at) as i64)))
}

/// Whether a test that was given is one that ignores case; another than the known ones is an error.
fn loose(core: &mut Core, test: Val) -> Result<bool> {
    let name = match test {
        Val::Nil => return Ok(false),
        Val::Builtin(number) => super::all()[number as usize].0.to_owned(),
        Val::Sym(sym) => core.names.name(sym).to_owned(),
        _ => String::new(),
    };
    match name.as_str() {
        "char-equal" | "string-equal" | "equalp" => Ok(true),
        "char=" | "string=" | "eql" | "eq" | "equal" | "=" => Ok(false),
        _ => {
            Err(Fault::new(Kind::Arguments, "takes no such test").hint("Use #'char-equal, #'equal or none."))
        }
    }
}

fn search(core: &mut Core, args: &[Val]) -> Result<Val> {
    let names = ["test", "start1", "end1", "start2", "end2", "from-end"];
    let [test, start1, end1, start2, end2, from_end] = core.keywords(&args[2..], names)?;
    let loose = loose(core, test)?;
    if let (Val::Str(x), Val::Str(y)) = (args[0], args[1]) {
        let (x, y) = (core.text(x).clone(), core.text(y).clone());
        let (what, within) = (core.range(start1, end1, x.chars)?, core.range(start2, end2, y.chars)?);
        core.charge_size(x.text.len() + 4 * y.text.len())?;
        let fold = |text| if loose { lowered(text) } else { Cow::Borrowed(text) };
        let start = within.start;
        let what = fold(&x.text[bytes(&x.text, x.is_ascii(), what)]);
        let within = fold(&y.text[bytes(&y.text, y.is_ascii(), within)]);
        let found = if from_end.is_true() { within.rfind(&*what) } else { within.find(&*what) };
        return Ok(found.map_or(Val::Nil, |at| Val::Int((start + within[..at].chars().count()) as i64)));
    }
    let (x, y) = (elements(core, args[0])?, elements(core, args[1])?);
    let (what, within) = (core.range(start1, end1, x.len())?, core.range(start2, end2, y.len())?);
    let (what, start, within) = (&x[what], within.start, &y[within]);
    let last = within.len().checked_sub(what.len());
    let mut places: Vec<usize> = last.map_or(Vec::new(), |last| (0..=last).collect());
    if from_end.is_true() {
        places.reverse();
    }
    let equal = matches!(test, Val::Builtin(number) if super::all()[number as usize].0 == "equal") || loose;
    for at in places {
        let mut same = true;
        for (a, b) in what.iter().zip(&within[at..]) {
            core.charge(1)?;
            same = if equal { core.equal(*a, *b, loose)? } else { a == b };
            if !same {
                break;
            }
        }
        if same {
            return Ok(Val::Int((start + at) as i64));
        }
    }
    Ok(Val::Nil)
}

fn lowered(text: &str) -> Cow<'_, str> {
    Cow::Owned(text.chars().map(lower_char).collect())
}

fn mismatch(core: &mut Core, args: &[Val]) -> Result<Val> {
    let (x, y) = (elements(core, args[0])?, elements(core, args[1])?);
    if x == y {
        return Ok(Val::Nil);
    }
    Ok(Val::Int(x.iter().zip(&y).take_while(|(a, b)| a == b).count() as i64))
}

/// The name of a type: `string`, `list` …
fn type_name(core: &Core, value: Val) -> String {
    match value {
        Val::Sym(sym) => core.names.name(sym).to_owned(),
        Val::Nil => "nil".to_owned(),
        _ => String::new(),
    }
}

fn concatenate(core: &mut Core, args: &[Val]) -> Result<Val> {
    match type_name(core, args[0]).as_str() {
        "string" | "simple-string" => {
            let mut out = String::new();
            for part in &args[1..] {
                match *part {
                    Val::Str(at) => {
                        let text = std::sync::Arc::clone(&core.text(at).text);
                        if out.len() + text.len() > core.room() {
                            core.take(out.len() + text.len())?;
                        }
                        core.charge_size(text.len())?;
                        out.push_str(&text);
                    }
                    other => {
                        for item in elements(core, other)? {
                            out.push(core.char(item)?);
                        }
                    }
                }
            }
            core.str(&out)
        }
        "list" => {
            let mut lists = Vec::new();
            for part in &args[1..] {
                lists.extend(elements(core, *part)?);
                if lists.len() * size_of::<[Val; 2]>() > core.room() {
                    core.take(usize::MAX)?;
                }
            }
            core.list(&lists)
        }
        _ => Err(core.wrong("'string or 'list", args[0])),
    }
}

fn coerce(core: &mut Core, args: &[Val]) -> Result<Val> {
    match (type_name(core, args[1]).as_str(), args[0]) {
        ("t", value) => Ok(value),
        ("string" | "simple-string", Val::Str(_)) => Ok(args[0]),
        ("string" | "simple-string", value) => {
            let items = elements(core, value)?;
            text_of(core, &items)
        }
        ("list", value) => {
            let items = elements(core, value)?;
            core.list(&items)
        }
        ("float" | "single-float" | "double-float", Val::Int(number)) => Ok(Val::Float(number as f64)),
        ("float" | "single-float" | "double-float", Val::Float(_)) => Ok(args[0]),
        ("integer", Val::Int(_)) => Ok(args[0]),
        ("character", value) => {
            let text = core.designator(value)?;
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => Ok(Val::Char(c)),
                _ => Err(core.wrong("one character", value)),
            }
        }
        ("function", value) => Ok(value),
        (name, value) => {
            let what = format!("what can become {}", if name.is_empty() { "that" } else { name });
            Err(core.wrong(&what, value))
        }
    }
}

//! Strings, characters, and the names of symbols.

use std::cmp::Ordering;
use std::sync::Arc;

use super::super::core::{Core, Result, Val};
use super::super::fault::{Fault, Kind};
use super::super::names::{lower, lower_char, upper_char};
use super::{ANY, Builtin, run};

pub const TABLE: &[Builtin] = &[
    run("string=", 2, ANY, |c, a| compare(c, a, false, |o| o == Ordering::Equal)),
    run("string/=", 2, ANY, |c, a| compare(c, a, false, |o| o != Ordering::Equal)),
    run("string-equal", 2, ANY, |c, a| compare(c, a, true, |o| o == Ordering::Equal)),
    run("string-not-equal", 2, ANY, |c, a| compare(c, a, true, |o| o != Ordering::Equal)),
    run("string<", 2, ANY, |c, a| compare(c, a, false, |o| o == Ordering::Less)),
    run("string>", 2, ANY, |c, a| compare(c, a, false, |o| o == Ordering::Greater)),
    run("string<=", 2, ANY, |c, a| compare(c, a, false, |o| o != Ordering::Greater)),
    run("string>=", 2, ANY, |c, a| compare(c, a, false, |o| o != Ordering::Less)),
    run("string-lessp", 2, ANY, |c, a| compare(c, a, true, |o| o == Ordering::Less)),
    run("string-greaterp", 2, ANY, |c, a| compare(c, a, true, |o| o == Ordering::Greater)),
    run("char=", 1, ANY, |c, a| chars(c, a, false, |o| o == Ordering::Equal)),
    run("char/=", 2, 2, |c, a| chars(c, a, false, |o| o != Ordering::Equal)),
    run("char<", 1, ANY, |c, a| chars(c, a, false, |o| o == Ordering::Less)),
    run("char>", 1, ANY, |c, a| chars(c, a, false, |o| o == Ordering::Greater)),
    run("char<=", 1, ANY, |c, a| chars(c, a, false, |o| o != Ordering::Greater)),
    run("char>=", 1, ANY, |c, a| chars(c, a, false, |o| o != Ordering::Less)),
    run("char-equal", 1, ANY, |c, a| chars(c, a, true, |o| o == Ordering::Equal)),
    run("char-upcase", 1, 1, |c, a| Ok(Val::Char(upper_char(c.char(a[0])?)))),
    run("char-downcase", 1, 1, |c, a| Ok(Val::Char(lower_char(c.char(a[0])?)))),
    run("char-code", 1, 1, |c, a| Ok(Val::Int(i64::from(u32::from(c.char(a[0])?))))),
    run("code-char", 1, 1, |c, a| {
        let code = c.size(a[0])?;
        Ok(u32::try_from(code).ok().and_then(char::from_u32).map_or(Val::Nil, Val::Char))
    }),
    run("alpha-char-p", 1, 1, |c, a| Ok(Val::bool(c.char(a[0])?.is_alphabetic()))),
    run("alphanumericp", 1, 1, |c, a| Ok(Val::bool(c.char(a[0])?.is_alphanumeric()))),
    run("upper-case-p", 1, 1, |c, a| Ok(Val::bool(c.char(a[0])?.is_uppercase()))),
    run("lower-case-p", 1, 1, |c, a| Ok(Val::bool(c.char(a[0])?.is_lowercase()))),
    run("digit-char-p", 1, 2, |c, a| {
        let radix = a.get(1).map_or(Ok(10), |radix| c.size(*radix))?;
        let digit = c.char(a[0])?.to_digit(u32::try_from(radix).unwrap_or(10).clamp(2, 36));
        Ok(digit.map_or(Val::Nil, |digit| Val::Int(i64::from(digit))))
    }),
    run("digit-char", 1, 2, |c, a| {
        let radix = a.get(1).map_or(Ok(10), |radix| c.size(*radix))?;
        let (digit, radix) = (c.size(a[0])?, u32::try_from(radix).unwrap_or(10).clamp(2, 36));
        let digit = u32::try_from(digit).ok().and_then(|digit| char::from_digit(digit, radix));
        Ok(digit.map_or(Val::Nil, |digit| Val::Char(digit.to_ascii_uppercase())))
    }),
    run("char", 2, 2, char_of),
    run("schar", 2, 2, char_of),
    run("string", 1, 1, |c, a| match a[0] {
        Val::Str(_) => Ok(a[0]),
        other => {
            let text = c.designator(other)?;
            c.str(&text)
        }
    }),
    run("make-string", 1, 3, make_string),
    run("string-upcase", 1, 1, |c, a| {
        let text = c.designator(a[0])?;
        c.str(&text.chars().map(upper_char).collect::<String>())
    }),
    run("string-downcase", 1, 1, |c, a| {
        let text = c.designator(a[0])?;
        c.str(&lower(&text))
    }),
    run("string-capitalize", 1, 1, |c, a| {
        let text = c.designator(a[0])?;
        c.str(&capitalize(&text))
    }),
    run("string-trim", 2, 2, |c, a| trim(c, a, true, true)),
    run("string-left-trim", 2, 2, |c, a| trim(c, a, true, false)),
    run("string-right-trim", 2, 2, |c, a| trim(c, a, false, true)),
    run("split-string", 1, ANY, split_string),
    run("uiop:split-string", 1, ANY, split_string),
    run("string-prefix-p", 2, 2, |c, a| edge(c, a[0], a[1], true)),
    run("uiop:string-prefix-p", 2, 2, |c, a| edge(c, a[0], a[1], true)),
    run("string-suffix-p", 2, 2, |c, a| edge(c, a[1], a[0], false)),
    run("uiop:string-suffix-p", 2, 2, |c, a| edge(c, a[1], a[0], false)),
    run("symbol-name", 1, 1, |c, a| match a[0] {
        Val::Nil | Val::T | Val::Sym(_) | Val::Key(_) => {
            let name = c.designator(a[0])?;
            c.str(&name)
        }
        other => Err(c.wrong("a symbol", other)),
    }),
    run("intern", 1, 2, intern),
    run("princ-to-string", 1, 1, |c, a| printed(c, a[0], false)),
    run("prin1-to-string", 1, 1, |c, a| printed(c, a[0], true)),
    run("write-to-string", 1, ANY, |c, a| {
        let [escape, _] = c.keywords(&a[1..], ["escape", "pretty"])?;
        let given = a[1..].chunks_exact(2).any(|pair| pair[1] == Val::Nil) && escape == Val::Nil;
        printed(c, a[0], !given)
    }),
    run("read-from-string", 1, ANY, read_from_string),
];

fn compare(core: &mut Core, args: &[Val], loose: bool, holds: fn(Ordering) -> bool) -> Result<Val> {
    let [start1, end1, start2, end2] = core.keywords(&args[2..], ["start1", "end1", "start2", "end2"])?;
    let (x, y) = (core.designator(args[0])?, core.designator(args[1])?);
    core.charge_size(x.len() + y.len())?;
    let (x, x_start) = part(core, &x, start1, end1)?;
    let (y, _) = part(core, &y, start2, end2)?;
    let fold = |c: char| if loose { upper_char(c) } else { c };
    let order = x.chars().map(fold).cmp(y.chars().map(fold));
    let equality = holds(Ordering::Less) == holds(Ordering::Greater);
    if !holds(order) {
        return Ok(Val::Nil);
    }
    if equality && order == Ordering::Equal {
        return Ok(Val::T);
    }
    let same = x.chars().zip(y.chars()).take_while(|(a, b)| fold(*a) == fold(*b)).count();
    Ok(Val::Int((x_start + same) as i64))
}

fn part(core: &mut Core, text: &Arc<str>, start: Val, end: Val) -> Result<(String, usize)> {
    if start == Val::Nil && end == Val::Nil {
        return Ok((text.to_string(), 0));
    }
    let count = text.chars().count();
    let range = core.range(start, end, count)?;
    let from = range.start;
    Ok((text[super::sequences::bytes(text, count == text.len(), range)].to_owned(), from))
}

fn chars(core: &mut Core, args: &[Val], loose: bool, holds: fn(Ordering) -> bool) -> Result<Val> {
    let mut all = true;
    core.char(args[0])?;
    for pair in args.windows(2) {
        let (mut x, mut y) = (core.char(pair[0])?, core.char(pair[1])?);
        if loose {
            (x, y) = (upper_char(x), upper_char(y));
        }
        all &= holds(x.cmp(&y));
    }
    Ok(Val::bool(all))
}

fn char_of(core: &mut Core, args: &[Val]) -> Result<Val> {
    let at = core.size(args[1])?;
    let Val::Str(text) = args[0] else { return Err(core.wrong("a string", args[0])) };
    match super::sequences::char_at(core, text, at)? {
        Some(c) => Ok(Val::Char(c)),
        None => Err(core.wrong("the number of a character", args[1])),
    }
}

fn make_string(core: &mut Core, args: &[Val]) -> Result<Val> {
    let [element] = core.keywords(&args[1..], ["initial-element"])?;
    let c = if element == Val::Nil { ' ' } else { core.char(element)? };
    let count = core.size(args[0])?;
    if count.saturating_mul(c.len_utf8()) > core.room() {
        core.take(usize::MAX)?;
    }
    let text: String = std::iter::repeat_n(c, count).collect();
    core.str(&text)
}

/// The first letter of each word in upper case, all others in lower case.
pub fn capitalize(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .map(|c| {
            let out = if inside { lower_char(c) } else { upper_char(c) };
            inside = c.is_alphanumeric();
            out
        })
        .collect()
}

/// The characters of a string, or of a list of characters.
fn bag(core: &mut Core, value: Val) -> Result<Vec<char>> {
    match value {
        Val::Str(at) => Ok(core.text(at).text.chars().collect()),
        list => core.items(list)?.into_iter().map(|c| core.char(c)).collect(),
    }
}

fn trim(core: &mut Core, args: &[Val], left: bool, right: bool) -> Result<Val> {
    let (bag, text) = (bag(core, args[0])?, core.designator(args[1])?);
    core.charge(1 + (text.len() as u64 / 16).saturating_mul(1 + bag.len() as u64 / 4))?;
    let mut part: &str = &text;
    if left {
        part = part.trim_start_matches(|c| bag.contains(&c));
    }
    if right {
        part = part.trim_end_matches(|c| bag.contains(&c));
    }
    core.str(part)
}

/// Whether a text begins or ends with a part.
fn edge(core: &mut Core, part: Val, text: Val, start: bool) -> Result<Val> {
    let (part, text) = (core.designator(part)?, core.designator(text)?);
    core.charge_size(part.len())?;
    Ok(Val::bool(if start { text.starts_with(&*part) } else { text.ends_with(&*part) }))
}

fn split_string(core: &mut Core, args: &[Val]) -> Result<Val> {
    let [separator, most] = core.keywords(&args[1..], ["separator", "max"])?;
    let text = core.string(args[0])?;
    let separators = match separator {
        Val::Nil => vec![' ', '\t'],
        Val::Char(c) => vec![c],
        other => bag(core, other)?,
    };
    core.charge(1 + (text.len() as u64 / 8).saturating_mul(1 + separators.len() as u64 / 4))?;
    let mut parts: Vec<&str> = text.split(|c| separators.contains(&c)).collect();
    let joined;
    if most != Val::Nil {
        // As in uiop: what is too much stays in the first part.
        let most = core.size(most)?.max(1);
        if parts.len() > most {
            let kept = parts.split_off(parts.len() - (most - 1));
            let end = kept.iter().map(|part| part.len() + 1).sum::<usize>();
            joined = text[..text.len() - end.min(text.len())].to_owned();
            parts = std::iter::once(joined.as_str()).chain(kept).collect();
        }
    }
    strings(core, parts.into_iter())
}

/// A list of strings.
pub fn strings<'t>(core: &mut Core, parts: impl Iterator<Item = &'t str>) -> Result<Val> {
    let mut items = Vec::new();
    for part in parts {
        items.push(core.str(part)?);
    }
    core.list(&items)
}

fn intern(core: &mut Core, args: &[Val]) -> Result<Val> {
    let name = core.string(args[0])?;
    let keyword = match args.get(1) {
        Some(Val::Key(package)) => core.names.name(*package) == "keyword",
        Some(other) => &*core.designator(*other)? == "KEYWORD",
        None => false,
    };
    if !keyword {
        return Err(
            Fault::new(Kind::Unsupported, "intern makes keywords only").hint("Write (intern name :keyword).")
        );
    }
    core.charge_size(name.len())?;
    core.take(2 * name.len() + 128)?;
    Ok(Val::Key(core.names.intern(&lower(&name))))
}

/// A value as a string.
pub fn printed(core: &mut Core, value: Val, escape: bool) -> Result<Val> {
    let mut out = String::new();
    core.print(value, escape, &mut out)?;
    core.str(&out)
}

fn read_from_string(core: &mut Core, args: &[Val]) -> Result<Val> {
    let text = core.string(args[0])?;
    // (read-from-string text error-at-end value-at-end :start n)
    let (plain, keys) = args[1..].split_at(args.len().saturating_sub(1).min(2));
    let [start, end] = core.keywords(keys, ["start", "end"])?;
    let (part, from) = part(core, &text, start, end)?;
    core.charge_size(part.len() * 4)?;
    if part.len().saturating_mul(32) > core.room() {
        core.take(part.len().saturating_mul(32))?;
    }
    let mut tree = super::super::syntax::Tree::default();
    let before = core.names.len();
    let read = super::super::reader::Reader::new(&part, 0, 1, core, &mut tree).one();
    let made = core.names.len() - before;
    core.take(128 * made as usize)?;
    match read {
        Ok((Some(id), stop)) => {
            let value = core.datum(&tree, id)?;
            // A blank that ends a symbol or a number is read with it.
            let blank = part[stop..]
                .chars()
                .next()
                .filter(|c| c.is_whitespace() && !part[..stop].ends_with([')', '"']));
            let stop = stop + blank.map_or(0, char::len_utf8);
            let stop = from + part[..stop].chars().count();
            super::various::values(core, &[value, Val::Int(stop as i64)])
        }
        Ok((None, _)) if plain.first() == Some(&Val::Nil) => Ok(plain.get(1).copied().unwrap_or(Val::Nil)),
        Ok((None, _)) => Err(Fault::new(Kind::Syntax, "read-from-string finds no form in the string")),
        Err((fault, _)) if fault.kind.is_limit() => Err(fault),
        Err((fault, _)) => Err(Fault { message: format!("read-from-string: {}", fault.message), ..fault }),
    }
}

//! Lists: making them, taking them apart.

use super::super::core::{Core, Result, Val};
use super::{ANY, Builtin, run};

pub const TABLE: &[Builtin] = &[
    run("car", 1, 1, |c, a| path(c, a[0], "a")),
    run("cdr", 1, 1, |c, a| path(c, a[0], "d")),
    run("caar", 1, 1, |c, a| path(c, a[0], "aa")),
    run("cadr", 1, 1, |c, a| path(c, a[0], "ad")),
    run("cdar", 1, 1, |c, a| path(c, a[0], "da")),
    run("cddr", 1, 1, |c, a| path(c, a[0], "dd")),
    run("caddr", 1, 1, |c, a| path(c, a[0], "add")),
    run("cdddr", 1, 1, |c, a| path(c, a[0], "ddd")),
    run("cadar", 1, 1, |c, a| path(c, a[0], "ada")),
    run("caadr", 1, 1, |c, a| path(c, a[0], "aad")),
    run("cddar", 1, 1, |c, a| path(c, a[0], "dda")),
    run("cdadr", 1, 1, |c, a| path(c, a[0], "dad")),
    run("caaar", 1, 1, |c, a| path(c, a[0], "aaa")),
    run("cdaar", 1, 1, |c, a| path(c, a[0], "daa")),
    run("cadddr", 1, 1, |c, a| path(c, a[0], "addd")),
    run("cddddr", 1, 1, |c, a| path(c, a[0], "dddd")),
    run("first", 1, 1, |c, a| path(c, a[0], "a")),
    run("rest", 1, 1, |c, a| path(c, a[0], "d")),
    run("second", 1, 1, |c, a| nth_of(c, 1, a[0])),
    run("third", 1, 1, |c, a| nth_of(c, 2, a[0])),
    run("fourth", 1, 1, |c, a| nth_of(c, 3, a[0])),
    run("fifth", 1, 1, |c, a| nth_of(c, 4, a[0])),
    run("sixth", 1, 1, |c, a| nth_of(c, 5, a[0])),
    run("seventh", 1, 1, |c, a| nth_of(c, 6, a[0])),
    run("eighth", 1, 1, |c, a| nth_of(c, 7, a[0])),
    run("ninth", 1, 1, |c, a| nth_of(c, 8, a[0])),
    run("tenth", 1, 1, |c, a| nth_of(c, 9, a[0])),
    run("cons", 2, 2, |c, a| c.cons(a[0], a[1])),
    run("list", 0, ANY, Core::list),
    run("list*", 1, ANY, |c, a| c.list_onto(&a[..a.len() - 1], a[a.len() - 1])),
    run("make-list", 1, 3, make_list),
    run("append", 0, ANY, append),
    run("revappend", 2, 2, revappend),
    run("nth", 2, 2, |c, a| {
        let at = c.size(a[0])?;
        nth_of(c, at, a[1])
    }),
    run("nthcdr", 2, 2, |c, a| {
        let at = c.size(a[0])?;
        nthcdr(c, at, a[1])
    }),
    run("last", 1, 2, last),
    run("butlast", 1, 2, butlast),
    run("list-length", 1, 1, |c, a| Ok(Val::Int(c.items(a[0])?.len() as i64))),
    run("copy-list", 1, 1, |c, a| {
        let (items, tail) = c.items_and_tail(a[0])?;
        c.list_onto(&items, tail)
    }),
    run("copy-tree", 1, 1, |_, a| Ok(a[0])),
    run("copy-alist", 1, 1, |_, a| Ok(a[0])),
    run("getf", 2, 3, getf),
    run("acons", 3, 3, |c, a| {
        let pair = c.cons(a[0], a[1])?;
        c.cons(pair, a[2])
    }),
    run("pairlis", 2, 3, pairlis),
    run("ldiff", 2, 2, ldiff),
    run("tailp", 2, 2, tailp),
    run("%memql", 2, 2, memql),
    run("%putf", 3, 3, putf),
    run("%set-nth", 3, 3, set_nth),
];

/// `cadr` is "ad": the letters between c and r, applied from the last.
fn path(core: &mut Core, value: Val, letters: &str) -> Result<Val> {
    let mut now = value;
    for letter in letters.bytes().rev() {
        now = match now {
            Val::Cons(at) => core.pair(at)[usize::from(letter == b'd')],
            Val::Nil => Val::Nil,
            other => return Err(core.wrong("a list", if letters.len() == 1 { other } else { value })),
        };
    }
    Ok(now)
}

fn nthcdr(core: &mut Core, count: usize, list: Val) -> Result<Val> {
    let (mut rest, mut done) = (list, 0);
    while done < count {
        rest = match rest {
            Val::Cons(at) => core.pair(at)[1],
            Val::Nil => break,
            other => return Err(core.wrong("a proper list", other)),
        };
        done += 1;
        if done % 64 == 0 {
            core.charge(16)?;
        }
    }
    Ok(rest)
}

fn nth_of(core: &mut Core, at: usize, list: Val) -> Result<Val> {
    let rest = nthcdr(core, at, list)?;
    path(core, rest, "a")
}

fn make_list(core: &mut Core, args: &[Val]) -> Result<Val> {
    let [element] = core.keywords(&args[1..], ["initial-element"])?;
    let count = core.size(args[0])?;
    let mut list = Val::Nil;
    for _ in 0..count {
        core.charge(1)?;
        list = core.cons(element, list)?;
    }
    Ok(list)
}

fn append(core: &mut Core, args: &[Val]) -> Result<Val> {
    let Some((last, lists)) = args.split_last() else { return Ok(Val::Nil) };
    let mut tail = *last;
    for list in lists.iter().rev() {
        let items = core.items(*list)?;
        tail = core.list_onto(&items, tail)?;
    }
    Ok(tail)
}

fn revappend(core: &mut Core, args: &[Val]) -> Result<Val> {
    let mut items = core.items(args[0])?;
    items.reverse();
    core.list_onto(&items, args[1])
}

fn count_of(core: &mut Core, args: &[Val]) -> Result<usize> {
    match args.get(1) {
        Some(count) => core.size(*count),
        None => Ok(1),
    }
}

fn last(core: &mut Core, args: &[Val]) -> Result<Val> {
    let count = count_of(core, args)?;
    let (items, _) = core.items_and_tail(args[0])?;
    let skip = items.len().saturating_sub(count);
    let mut rest = args[0];
    for _ in 0..skip {
        rest = path(core, rest, "d")?;
    }
    Ok(rest)
}

fn butlast(core: &mut Core, args: &[Val]) -> Result<Val> {
    let count = count_of(core, args)?;
    let (items, _) = core.items_and_tail(args[0])?;
    core.list(&items[..items.len().saturating_sub(count)])
}

fn getf(core: &mut Core, args: &[Val]) -> Result<Val> {
    let mut rest = args[0];
    let mut count = 0_u64;
    while let Val::Cons(at) = rest {
        let [key, next] = core.pair(at);
        let Val::Cons(next) = next else { break };
        let [value, next] = core.pair(next);
        if key == args[1] {
            return Ok(value);
        }
        rest = next;
        count += 1;
        if count.is_multiple_of(16) {
            core.charge(8)?;
        }
    }
    match rest {
        Val::Nil | Val::Cons(_) => Ok(args.get(2).copied().unwrap_or(Val::Nil)),
        other => Err(core.wrong("a property list", other)),
    }
}

fn putf(core: &mut Core, args: &[Val]) -> Result<Val> {
    let mut items = core.items(args[0])?;
    match items.chunks_exact(2).position(|pair| pair[0] == args[1]) {
        Some(at) => items[at * 2 + 1] = args[2],
        None => drop(items.splice(0..0, [args[1], args[2]])),
    }
    core.list(&items)
}

fn set_nth(core: &mut Core, args: &[Val]) -> Result<Val> {
    let at = core.size(args[0])?;
    let (mut items, tail) = core.items_and_tail(args[1])?;
    match items.get_mut(at) {
        Some(item) => *item = args[2],
        None => return Err(core.wrong("the number of an element", args[0])),
    }
    core.list_onto(&items, tail)
}

fn pairlis(core: &mut Core, args: &[Val]) -> Result<Val> {
    let (keys, values) = (core.items(args[0])?, core.items(args[1])?);
    if keys.len() != values.len() {
        return Err(core.wrong("as many values as keys", args[1]));
    }
    let mut list = args.get(2).copied().unwrap_or(Val::Nil);
    for (key, value) in keys.iter().zip(&values).rev() {
        let pair = core.cons(*key, *value)?;
        list = core.cons(pair, list)?;
    }
    Ok(list)
}

fn ldiff(core: &mut Core, args: &[Val]) -> Result<Val> {
    let (mut items, mut rest) = (Vec::new(), args[0]);
    while let Val::Cons(at) = rest
        && rest != args[1]
    {
        core.charge(1)?;
        let [car, cdr] = core.pair(at);
        items.push(car);
        rest = cdr;
    }
    core.list(&items)
}

fn tailp(core: &mut Core, args: &[Val]) -> Result<Val> {
    let mut rest = args[1];
    while let Val::Cons(at) = rest
        && rest != args[0]
    {
        core.charge(1)?;
        rest = core.pair(at)[1];
    }
    Ok(Val::bool(rest == args[0]))
}

fn memql(core: &mut Core, args: &[Val]) -> Result<Val> {
    let (mut rest, mut count) = (args[1], 0_u64);
    while let Val::Cons(at) = rest {
        let [car, cdr] = core.pair(at);
        if car == args[0] {
            return Ok(rest);
        }
        rest = cdr;
        count += 1;
        if count.is_multiple_of(16) {
            core.charge(8)?;
        }
    }
    if rest == Val::Nil { Ok(Val::Nil) } else { Err(core.wrong("a proper list", args[1])) }
}

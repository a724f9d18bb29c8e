//! Numbers: 64-bit whole numbers, where overflow is an error, and floats, which are always finite.

use std::cmp::Ordering;

use super::super::core::{Core, Result, Val};
use super::super::fault::{Fault, Kind};
use super::{ANY, Builtin, run};

pub const TABLE: &[Builtin] = &[
    run("+", 0, ANY, |c, a| fold(c, a, Val::Int(0), i64::checked_add, |x, y| x + y)),
    run("*", 0, ANY, |c, a| fold(c, a, Val::Int(1), i64::checked_mul, |x, y| x * y)),
    run("-", 1, ANY, minus),
    run("/", 1, ANY, divide),
    run("mod", 2, 2, |c, a| division(c, a, Rounding::Down).map(|(_, rest)| rest)),
    run("rem", 2, 2, |c, a| division(c, a, Rounding::ToZero).map(|(_, rest)| rest)),
    run("floor", 1, 2, |c, a| both(c, a, Rounding::Down)),
    run("ceiling", 1, 2, |c, a| both(c, a, Rounding::Up)),
    run("truncate", 1, 2, |c, a| both(c, a, Rounding::ToZero)),
    run("round", 1, 2, |c, a| both(c, a, Rounding::ToEven)),
    run("abs", 1, 1, |c, a| match a[0] {
        Val::Int(x) => whole(x.checked_abs()),
        other => Ok(Val::Float(float(c, other)?.abs())),
    }),
    run("min", 1, ANY, |c, a| extreme(c, a, Ordering::Less)),
    run("max", 1, ANY, |c, a| extreme(c, a, Ordering::Greater)),
    run("1+", 1, 1, |c, a| fold(c, &[a[0], Val::Int(1)], Val::Int(0), i64::checked_add, |x, y| x + y)),
    run("1-", 1, 1, |c, a| minus(c, &[a[0], Val::Int(1)])),
    run("=", 1, ANY, |c, a| chain(c, a, |o| o == Ordering::Equal)),
    run("<", 1, ANY, |c, a| chain(c, a, |o| o == Ordering::Less)),
    run(">", 1, ANY, |c, a| chain(c, a, |o| o == Ordering::Greater)),
    run("<=", 1, ANY, |c, a| chain(c, a, |o| o != Ordering::Greater)),
    run(">=", 1, ANY, |c, a| chain(c, a, |o| o != Ordering::Less)),
    run("/=", 1, ANY, all_differ),
    run("zerop", 1, 1, |c, a| sign(c, a[0], Ordering::Equal)),
    run("plusp", 1, 1, |c, a| sign(c, a[0], Ordering::Greater)),
    run("minusp", 1, 1, |c, a| sign(c, a[0], Ordering::Less)),
    run("evenp", 1, 1, |c, a| Ok(Val::bool(c.int(a[0])? % 2 == 0))),
    run("oddp", 1, 1, |c, a| Ok(Val::bool(c.int(a[0])? % 2 != 0))),
    run("float", 1, 2, |c, a| Ok(Val::Float(float(c, a[0])?))),
    run("sqrt", 1, 1, |c, a| {
        let root = float(c, a[0])?.sqrt();
        if root.is_nan() { Err(c.wrong("a number that is not negative", a[0])) } else { finite(root) }
    }),
    run("expt", 2, 2, expt),
    run("gcd", 0, ANY, gcd),
    run("signum", 1, 1, |c, a| match a[0] {
        Val::Int(x) => Ok(Val::Int(x.signum())),
        other => {
            let x = float(c, other)?;
            Ok(Val::Float(if x == 0.0 { 0.0 } else { x.signum() }))
        }
    }),
    run("parse-integer", 1, ANY, parse_integer),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Down,
    Up,
    ToZero,
    ToEven,
}

fn overflow() -> Fault {
    Fault::new(Kind::Arithmetic, "has a result with more than 64 bits")
        .hint("Use floats for numbers of that size.")
}

fn whole(number: Option<i64>) -> Result<Val> {
    number.map(Val::Int).ok_or_else(overflow)
}

fn finite(number: f64) -> Result<Val> {
    if number.is_finite() {
        return Ok(Val::Float(number));
    }
    Err(Fault::new(Kind::Arithmetic, "has a result that is too large").hint("Use smaller numbers."))
}

fn by_zero() -> Fault {
    Fault::new(Kind::Arithmetic, "divides by zero").hint("Test with zerop first.")
}

/// A number as a float.
pub fn float(core: &mut Core, value: Val) -> Result<f64> {
    match value {
        Val::Int(number) => Ok(number as f64),
        Val::Float(number) => Ok(number),
        other => Err(core.wrong("a number", other)),
    }
}

fn fold(
    core: &mut Core,
    args: &[Val],
    first: Val,
    ints: fn(i64, i64) -> Option<i64>,
    floats: fn(f64, f64) -> f64,
) -> Result<Val> {
    let mut sum = first;
    for arg in args {
        sum = match (sum, *arg) {
            (Val::Int(x), Val::Int(y)) => whole(ints(x, y))?,
            (x, y) => finite(floats(float(core, x)?, float(core, y)?))?,
        };
    }
    Ok(sum)
}

fn minus(core: &mut Core, args: &[Val]) -> Result<Val> {
    if let [Val::Float(only)] = args {
        return Ok(Val::Float(-only));
    }
    let (first, rest) = match args {
        [only] => (Val::Int(0), std::slice::from_ref(only)),
        _ => (args[0], &args[1..]),
    };
    float(core, first)?;
    fold(core, rest, first, i64::checked_sub, |x, y| x - y)
}

fn divide(core: &mut Core, args: &[Val]) -> Result<Val> {
    let (mut now, rest) = match args {
        [only] => (Val::Int(1), std::slice::from_ref(only)),
        _ => (args[0], &args[1..]),
    };
    for arg in rest {
        let (x, y) = (float(core, now)?, float(core, *arg)?);
        if y == 0.0 {
            return Err(by_zero());
        }
        now = match (now, *arg) {
            (Val::Int(x), Val::Int(y)) if x.checked_rem(y).unwrap_or(0) == 0 => whole(x.checked_div(y))?,
            _ => finite(x / y)?,
        };
    }
    Ok(now)
}

/// Quotient and rest.
fn division(core: &mut Core, args: &[Val], rounding: Rounding) -> Result<(Val, Val)> {
    let by = args.get(1).copied().unwrap_or(Val::Int(1));
    let (x, y) = (float(core, args[0])?, float(core, by)?);
    if y == 0.0 {
        return Err(by_zero());
    }
    if let (Val::Int(x), Val::Int(y)) = (args[0], by) {
        let (x, y) = (i128::from(x), i128::from(y));
        let (quotient, rest) = (x / y, x % y);
        let same = (rest < 0) == (y < 0);
        let up = match rounding {
            _ if rest == 0 => 0,
            Rounding::ToZero => 0,
            Rounding::Down => {
                if same {
                    0
                } else {
                    -1
                }
            }
            Rounding::Up => i128::from(same),
            Rounding::ToEven => {
                let away = if same { 1 } else { -1 };
                match (rest.abs() * 2).cmp(&y.abs()) {
                    Ordering::Less => 0,
                    Ordering::Greater => away,
                    Ordering::Equal => {
                        if quotient % 2 == 0 {
                            0
                        } else {
                            away
                        }
                    }
                }
            }
        };
        let narrow = |number: i128| whole(i64::try_from(number).ok());
        return Ok((narrow(quotient + up)?, narrow(rest - up * y)?));
    }
    let exact = x / y;
    let quotient = match rounding {
        Rounding::Down => exact.floor(),
        Rounding::Up => exact.ceil(),
        Rounding::ToZero => exact.trunc(),
        Rounding::ToEven => exact.round_ties_even(),
    };
    if quotient.abs() >= 9.2e18 {
        return Err(overflow());
    }
    Ok((Val::Int(quotient as i64), finite(x - quotient * y)?))
}

fn both(core: &mut Core, args: &[Val], rounding: Rounding) -> Result<Val> {
    let (quotient, rest) = division(core, args, rounding)?;
    super::various::values(core, &[quotient, rest])
}

fn order(core: &mut Core, x: Val, y: Val) -> Result<Ordering> {
    if let (Val::Int(x), Val::Int(y)) = (x, y) {
        return Ok(x.cmp(&y));
    }
    let (x, y) = (float(core, x)?, float(core, y)?);
    Ok(x.partial_cmp(&y).unwrap_or(Ordering::Equal))
}

fn extreme(core: &mut Core, args: &[Val], wanted: Ordering) -> Result<Val> {
    let mut best = args[0];
    float(core, best)?;
    for arg in &args[1..] {
        if order(core, *arg, best)? == wanted {
            best = *arg;
        }
    }
    Ok(best)
}

fn chain(core: &mut Core, args: &[Val], holds: fn(Ordering) -> bool) -> Result<Val> {
    float(core, args[0])?;
    let mut all = true;
    for pair in args.windows(2) {
        all &= holds(order(core, pair[0], pair[1])?);
    }
    Ok(Val::bool(all))
}

fn all_differ(core: &mut Core, args: &[Val]) -> Result<Val> {
    float(core, args[0])?;
    for (at, x) in args.iter().enumerate() {
        for y in &args[at + 1..] {
            core.charge(1)?;
            if order(core, *x, *y)? == Ordering::Equal {
                return Ok(Val::Nil);
            }
        }
    }
    Ok(Val::T)
}

fn sign(core: &mut Core, value: Val, wanted: Ordering) -> Result<Val> {
    Ok(Val::bool(order(core, value, Val::Int(0))? == wanted))
}

fn expt(core: &mut Core, args: &[Val]) -> Result<Val> {
    if let (Val::Int(base), Val::Int(power @ 0..)) = (args[0], args[1]) {
        return whole(u32::try_from(power).ok().and_then(|power| base.checked_pow(power)).or(match base {
            0 | 1 => Some(base),
            -1 => Some(if power % 2 == 0 { 1 } else { -1 }),
            _ => None,
        }));
    }
    let (base, power) = (float(core, args[0])?, float(core, args[1])?);
    let result = base.powf(power);
    if result.is_nan() { Err(core.wrong("a base that is not negative", args[0])) } else { finite(result) }
}

fn gcd(core: &mut Core, args: &[Val]) -> Result<Val> {
    let mut found = 0_u64;
    for arg in args {
        let mut other = core.int(*arg)?.unsigned_abs();
        while other != 0 {
            (found, other) = (other, found % other);
        }
    }
    whole(i64::try_from(found).ok())
}

fn parse_integer(core: &mut Core, args: &[Val]) -> Result<Val> {
    let names = ["start", "end", "radix", "junk-allowed"];
    let [start, end, radix, junk] = core.keywords(&args[1..], names)?;
    let Val::Str(at) = args[0] else { return Err(core.wrong("a string", args[0])) };
    let text = core.text(at).clone();
    core.charge_size(text.text.len())?;
    let range = core.range(start, end, text.chars)?;
    let radix = if radix == Val::Nil { 10 } else { core.size(radix)? };
    let Some(radix) = u32::try_from(radix).ok().filter(|radix| (2..=36).contains(radix)) else {
        return Err(core.wrong("a radix from 2 to 36", args[0]));
    };
    let from = range.start;
    let part = &text.text[super::sequences::bytes(&text.text, text.is_ascii(), range)];
    let trimmed = part.trim_start();
    let skipped = part.chars().count() - trimmed.chars().count();
    let unsigned = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let digits = unsigned.chars().take_while(|c| c.is_digit(radix)).count();
    let sign = trimmed.len() - unsigned.len();
    let number = &trimmed[..sign + digits];
    let after = trimmed[number.len()..].trim();
    let stop = from + skipped + number.len();
    if digits == 0 || (!after.is_empty() && !junk.is_true()) {
        if junk.is_true() {
            return super::various::values(core, &[Val::Nil, Val::Int((from + skipped + sign) as i64)]);
        }
        let shown = core.show(args[0], 60)?;
        return Err(Fault::new(Kind::Type, format!("finds no whole number in {shown}"))
            .hint("Give :junk-allowed t to get nil instead."));
    }
    let end = if after.is_empty() && !junk.is_true() { from + part.chars().count() } else { stop };
    let Ok(value) = i64::from_str_radix(number, radix) else { return Err(overflow()) };
    super::various::values(core, &[Val::Int(value), Val::Int(end as i64)])
}

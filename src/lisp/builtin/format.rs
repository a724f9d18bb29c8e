//! `format`: the directives that text is made with. Anything else is an error that names the directive.

mod check;

use super::super::core::{Core, Result, Val};
use super::super::fault::{Fault, Kind};
use super::super::names::{lower, upper};

pub use check::check;

/// How deep `~{`, `~[` and `~(` may nest.
const MAX_NESTING: usize = 8;

/// One directive: its parameters, modifiers and letter.
struct Directive {
    params: Vec<Param>,
    colon: bool,
    at: bool,
    letter: char,
}

#[derive(Clone, Copy)]
enum Param {
    None,
    Number(i64),
    Char(char),
    /// `V`: the next argument.
    Argument,
    /// `#`: how many arguments are left.
    Left,
}

/// The arguments, and which is next.
struct Args<'a> {
    all: &'a [Val],
    next: usize,
}

impl Args<'_> {
    fn take(&mut self) -> Result<Val> {
        let value = self.all.get(self.next).copied();
        self.next += 1;
        value.ok_or_else(|| few(None))
    }

    fn left(&self) -> usize {
        self.all.len().saturating_sub(self.next)
    }
}

/// There are fewer arguments than directives; if it is known, how many there have to be, and are.
fn few(counts: Option<(usize, usize)>) -> Fault {
    let counts = counts.map(|(needs, given)| format!(": it takes at least {needs}, got {given}"));
    let message = format!("has more directives than arguments{}", counts.unwrap_or_default());
    Fault::new(Kind::Arguments, message).hint("Give an argument for each.")
}

fn bad<T>(message: impl Into<String>) -> Result<T> {
    Err(Fault::new(Kind::Form, message).hint("docs/skill-language.md lists the directives of format."))
}

/// Adds to `out` what the control string makes of the arguments.
pub fn format(core: &mut Core, control: &str, args: &[Val], out: &mut String) -> Result<()> {
    let mut args = Args { all: args, next: 0 };
    section(core, control, &mut args, out, 0).map(drop)
}

/// One directive at the start of the text after a tilde, and the rest.
fn directive(text: &str) -> Result<(Directive, &str)> {
    let (mut found, mut rest) =
        (Directive { params: Vec::new(), colon: false, at: false, letter: '~' }, text);
    loop {
        let mut chars = rest.chars();
        let Some(c) = chars.next() else { return bad("format's control string ends after a tilde") };
        let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        if count > 0 {
            let end = rest.len() - digits.len() + count;
            match rest[..end].trim_start_matches('+').parse::<i64>() {
                Ok(number) if number.abs() <= 1_000_000 => found.params.push(Param::Number(number)),
                _ => return bad("a number in format's control string is too large"),
            }
            rest = rest[end..].strip_prefix(',').unwrap_or(&rest[end..]);
            continue;
        }
        rest = chars.as_str();
        match c {
            ':' => found.colon = true,
            '@' => found.at = true,
            ',' => found.params.push(Param::None),
            '\'' => {
                let Some(c) = chars.next() else { return bad("format's control string ends after a quote") };
                found.params.push(Param::Char(c));
                rest = chars.as_str();
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            'v' | 'V' | '#' => {
                found.params.push(if c == '#' { Param::Left } else { Param::Argument });
                rest = rest.strip_prefix(',').unwrap_or(rest);
            }
            _ => {
                found.letter = c.to_ascii_lowercase();
                return Ok((found, rest));
            }
        }
        if found.params.len() > 7 {
            return bad("a directive of format has too many parameters");
        }
    }
}

/// What stands before the end of an enclosing directive, cut at its `~;`, and what follows the end.
fn enclosed(text: &str, close: char) -> Result<(Vec<&str>, bool, &str)> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    let mut open = Vec::new();
    let mut default = false;
    while let Some(tilde) = text[at..].find('~') {
        let tilde = at + tilde;
        let (found, rest) = directive(&text[tilde + 1..])?;
        at = text.len() - rest.len();
        match found.letter {
            '{' => open.push('}'),
            '[' => open.push(']'),
            '(' => open.push(')'),
            '<' => open.push('>'),
            ';' if open.is_empty() => {
                parts.push(&text[start..tilde]);
                start = at;
                default = found.colon;
            }
            letter if open.last() == Some(&letter) => drop(open.pop()),
            letter if letter == close && open.is_empty() => {
                parts.push(&text[start..tilde]);
                return Ok((parts, default, rest));
            }
            _ => {}
        }
    }
    bad(format!("a directive of format has no ~{close}"))
}

/// Whether the section ended early, at `~^`.
fn section(
    core: &mut Core,
    control: &str,
    args: &mut Args<'_>,
    out: &mut String,
    depth: usize,
) -> Result<bool> {
    if depth > MAX_NESTING {
        return bad(format!("directives of format nest more than {MAX_NESTING} deep"));
    }
    let mut rest = control;
    loop {
        let Some(tilde) = rest.find('~') else {
            out.push_str(rest);
            core.charge_size(rest.len())?;
            return Ok(false);
        };
        out.push_str(&rest[..tilde]);
        core.charge_size(tilde + 16)?;
        if out.len() > core.room() {
            core.take(out.len())?;
        }
        let (found, after) = directive(&rest[tilde + 1..])?;
        rest = after;
        match found.letter {
            'a' | 's' => {
                let value = args.take_for(&found)?;
                let mut text = String::new();
                if found.colon && value.1 == Val::Nil {
                    text.push_str("()");
                } else {
                    core.print(value.1, found.letter == 's', &mut text)?;
                }
                let (width, pad) = (number(&value.0, 0), padding(&value.0, 3));
                padded(core, &text, width, pad, found.at, out)?;
            }
            'd' | 'b' | 'o' | 'x' => integer(core, &found, args, out)?,
            'f' | '$' => fixed(core, &found, args, out)?,
            'c' => {
                let value = args.take()?;
                let c = core.char(value)?;
                out.push(c);
            }
            '%' | '&' | '~' | '|' => {
                let params = params(&found, args)?;
                let mut times = params.first().map_or(1, |_| number(&params, 0));
                let c = match found.letter {
                    '~' => '~',
                    '|' => '\u{c}',
                    _ => '\n',
                };
                if found.letter == '&' && times > 0 && (out.is_empty() || out.ends_with('\n')) {
                    times -= 1;
                }
                core.charge_size(times)?;
                if times > core.room() {
                    core.take(times)?;
                }
                out.extend(std::iter::repeat_n(c, times));
            }
            '\n' => {
                if found.at {
                    out.push('\n');
                }
                if !found.colon {
                    rest = rest.trim_start();
                }
            }
            'p' => {
                if found.colon {
                    args.next = args.next.saturating_sub(1);
                }
                let one = args.take()? == Val::Int(1);
                out.push_str(match (found.at, one) {
                    (false, true) => "",
                    (false, false) => "s",
                    (true, true) => "y",
                    (true, false) => "ies",
                });
            }
            '*' => {
                let params = params(&found, args)?;
                let count = if params.is_empty() { usize::from(!found.at) } else { number(&params, 0) };
                args.next = match (found.at, found.colon) {
                    (true, _) => count,
                    (false, true) => args.next.saturating_sub(count),
                    (false, false) => args.next + count,
                };
            }
            '^' => {
                if args.left() == 0 {
                    return Ok(true);
                }
            }
            '(' => {
                let (parts, _, after) = enclosed(rest, ')')?;
                rest = after;
                let mut inner = String::new();
                let ended = section(core, parts[0], args, &mut inner, depth + 1)?;
                core.charge_size(inner.len())?;
                out.push_str(&match (found.colon, found.at) {
                    (false, false) => lower(&inner),
                    (true, false) => super::strings::capitalize(&inner),
                    (false, true) => first_upper(&inner),
                    (true, true) => upper(&inner),
                });
                if ended {
                    return Ok(true);
                }
            }
            '[' => {
                let (parts, default, after) = enclosed(rest, ']')?;
                rest = after;
                let chosen = if found.at {
                    let value = args.take()?;
                    if value.is_true() {
                        args.next -= 1;
                    }
                    value.is_true().then_some(0)
                } else if found.colon {
                    Some(usize::from(args.take()?.is_true()))
                } else {
                    let params = params(&found, args)?;
                    let value =
                        if params.is_empty() { args.take()? } else { Val::Int(number(&params, 0) as i64) };
                    let at = usize::try_from(core.int(value)?).ok().filter(|at| *at < parts.len());
                    at.or(default.then(|| parts.len() - 1))
                };
                if let Some(part) = chosen.and_then(|at| parts.get(at))
                    && section(core, part, args, out, depth + 1)?
                {
                    return Ok(true);
                }
            }
            '{' => {
                let (parts, _, after) = enclosed(rest, '}')?;
                rest = after;
                iterate(core, parts[0], &found, args, out, depth)?;
            }
            letter => return bad(format!("format has no directive ~{letter}")),
        }
    }
}

fn iterate(
    core: &mut Core,
    body: &str,
    found: &Directive,
    args: &mut Args<'_>,
    out: &mut String,
    depth: usize,
) -> Result<()> {
    let params = params(found, args)?;
    let most = if params.is_empty() { usize::MAX } else { number(&params, 0) };
    let own = if found.at {
        let rest = args.all.get(args.next..).unwrap_or(&[]).to_vec();
        args.next = args.all.len();
        rest
    } else {
        let list = args.take()?;
        core.items(list)?
    };
    let mut inner = Args { all: &own, next: 0 };
    for _ in 0..most {
        core.charge(2)?;
        if inner.left() == 0 {
            break;
        }
        if found.colon {
            let list = inner.take()?;
            let items = core.items(list)?;
            section(core, body, &mut Args { all: &items, next: 0 }, out, depth + 1)?;
        } else if section(core, body, &mut inner, out, depth + 1)? {
            break;
        }
    }
    Ok(())
}

impl Args<'_> {
    /// The parameters, and the argument after those that they take.
    fn take_for(&mut self, found: &Directive) -> Result<(Vec<Param>, Val)> {
        let params = params(found, self)?;
        Ok((params, self.take()?))
    }
}

/// The parameters with `V` replaced.
fn params(found: &Directive, args: &mut Args<'_>) -> Result<Vec<Param>> {
    let mut out = Vec::new();
    for param in &found.params {
        out.push(match param {
            Param::Argument => match args.take()? {
                Val::Int(number) if (0..=1_000_000).contains(&number) => Param::Number(number),
                Val::Char(c) => Param::Char(c),
                _ => Param::None,
            },
            Param::Left => Param::Number(i64::try_from(args.left()).unwrap_or(i64::MAX)),
            other => *other,
        });
    }
    Ok(out)
}

fn number(params: &[Param], at: usize) -> usize {
    match params.get(at) {
        Some(Param::Number(number)) => usize::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

fn padding(params: &[Param], at: usize) -> char {
    match params.get(at) {
        Some(Param::Char(c)) => *c,
        _ => ' ',
    }
}

fn padded(core: &mut Core, text: &str, width: usize, pad: char, left: bool, out: &mut String) -> Result<()> {
    let missing = width.saturating_sub(text.chars().count());
    core.charge_size(text.len() + missing)?;
    if out.len() + text.len() + missing > core.room() {
        core.take(out.len() + text.len() + missing)?;
    }
    let pad = std::iter::repeat_n(pad, missing);
    if left {
        out.extend(pad);
        out.push_str(text);
    } else {
        out.push_str(text);
        out.extend(pad);
    }
    Ok(())
}

fn integer(core: &mut Core, found: &Directive, args: &mut Args<'_>, out: &mut String) -> Result<()> {
    let (params, value) = args.take_for(found)?;
    let text = match value {
        Val::Int(number) => {
            let digits = match found.letter {
                'b' => format!("{:b}", number.unsigned_abs()),
                'o' => format!("{:o}", number.unsigned_abs()),
                'x' => format!("{:X}", number.unsigned_abs()),
                _ => number.unsigned_abs().to_string(),
            };
            let sign = if number < 0 {
                "-"
            } else if found.at {
                "+"
            } else {
                ""
            };
            format!("{sign}{}", if found.colon { grouped(&digits) } else { digits })
        }
        other => {
            let mut text = String::new();
            core.print(other, false, &mut text)?;
            text
        }
    };
    padded(core, &text, number(&params, 0), padding(&params, 1), true, out)
}

/// Digits with a comma before every third from the right.
fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `~width,digitsF` and `~digits$`.
fn fixed(core: &mut Core, found: &Directive, args: &mut Args<'_>, out: &mut String) -> Result<()> {
    let (params, value) = args.take_for(found)?;
    let number_value = super::numbers::float(core, value)?;
    core.charge(50)?;
    let money = found.letter == '$';
    let (width, at) = if money { (0, 0) } else { (number(&params, 0), 1) };
    let text = match params.get(at) {
        Some(Param::Number(digits)) => rounded(number_value, usize::try_from(*digits).unwrap_or(0).min(100)),
        _ if money => rounded(number_value, 2),
        _ => {
            let text = format!("{number_value}");
            if text.contains('.') { text } else { format!("{text}.0") }
        }
    };
    let sign = if found.at && number_value >= 0.0 { "+" } else { "" };
    padded(core, &format!("{sign}{text}"), width, ' ', true, out)
}

/// With so many digits after the point, a half rounded away from zero. All digits that a float has are looked at.
fn rounded(number: f64, digits: usize) -> String {
    let text = format!("{:.1080}", number.abs());
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let mut all: Vec<u8> =
        whole.bytes().chain(part.bytes().chain(std::iter::repeat(b'0')).take(digits)).collect();
    if part.as_bytes().get(digits).is_some_and(|digit| *digit >= b'5') {
        let mut carry = true;
        for digit in all.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                carry = false;
                break;
            }
            *digit = b'0';
        }
        if carry {
            all.insert(0, b'1');
        }
    }
    let (whole, part) = all.split_at(all.len() - digits);
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}.{}", String::from_utf8_lossy(whole), String::from_utf8_lossy(part))
}

/// All in lower case but the first letter of the first word.
fn first_upper(text: &str) -> String {
    let mut done = false;
    text.chars()
        .map(|c| {
            if c.is_alphanumeric() && !done {
                done = true;
                return super::super::names::upper_char(c);
            }
            super::super::names::lower_char(c)
        })
        .collect()
}

//! The action grammar once more, slow and obvious: every form in every order of its keys, written out.
//!
//! Each way to write a reply is a plain sequence of tokens, tried one after the other; a reply becomes invalid at
//! the byte where the last of them fails. Nothing here is taken from the product but its two limits.

use std::collections::HashSet;
use std::sync::LazyLock;

use org_agent::action::{CHAT_BUFFER, MAX_REPLY};

/// What the reference says: the values of an accepted reply by key, or the offset of the rejection.
pub type Outcome = Result<Vec<(&'static str, String)>, usize>;

#[derive(Clone)]
enum Token {
    Open,
    Close,
    Word(&'static str),
    /// The value of this key.
    String(&'static str, Rule),
    Number(&'static str),
}

#[derive(Clone, PartialEq)]
enum Rule {
    Any,
    /// No invisible characters.
    Clear,
    /// That, and not empty.
    Command,
    Exactly(String),
}

/// How far one way to write a reply goes.
enum Fate {
    Accepted(Vec<(&'static str, String)>),
    Short,
    /// It fails on reading the first byte, and the fault is at the second.
    Fails(usize, usize),
}

use Fate::{Accepted, Fails, Short};

/// The reference for one buffer.
pub struct Reference(Vec<Way>);

/// The name of a form, and one way to write it.
type Way = (&'static str, Vec<Token>);

impl Reference {
    pub fn new(buffer: &str) -> Self {
        use Token::{Number, String, Word};
        let string = |key, rule| vec![Word(key), String(key, rule)];
        let word = |key, value| vec![Word(key), Word(value)];
        let (kind, target) = (|value| word("type", value), |value| word("target", value));
        let text = string("text", Rule::Any);
        let mut ways = Vec::new();
        let mut form = |form, head: Vec<Vec<Token>>, payload: Vec<Vec<Token>>| {
            for payload in orders(&payload) {
                let mut list = vec![Word("payload"), Token::Open];
                list.extend(payload.into_iter().flatten());
                list.push(Token::Close);
                for explained in [false, true] {
                    let mut members = head.clone();
                    members.push(list.clone());
                    if explained {
                        members.push(string("explanation", Rule::Any));
                    }
                    for members in orders(&members) {
                        let inner = members.into_iter().flatten();
                        let way = [Token::Open].into_iter().chain(inner).chain([Token::Close]);
                        ways.push((form, way.collect()));
                    }
                }
            }
        };
        let mut names = vec![CHAT_BUFFER];
        if buffer != CHAT_BUFFER && !buffer.chars().any(|c| forbidden(c as u32)) {
            names.push(buffer);
        }
        for name in names {
            let name = string("buffer", Rule::Exactly(name.to_owned()));
            let action = word("action", "insert-at-end");
            form("Insert", vec![kind("request"), target("emacs")], vec![action, name, text.clone()]);
        }
        let cmd = string("cmd", Rule::Command);
        let cwd = string("cwd", Rule::Clear);
        let timeout = vec![Word("timeout"), Number("timeout")];
        for options in [vec![], vec![cwd.clone()], vec![timeout.clone()], vec![cwd, timeout]] {
            let payload = [vec![cmd.clone()], options].concat();
            form("Shell", vec![kind("request"), target("shell")], payload);
        }
        form("Skill", vec![kind("request"), target("skill")], vec![string("name", Rule::Any)]);
        form("Response", vec![kind("response")], vec![text.clone()]);
        form("Log", vec![kind("log")], vec![text.clone()]);
        for level in ["debug", "info", "warn", "error"] {
            form("Log", vec![kind("log")], vec![text.clone(), word("level", level)]);
        }
        Self(ways)
    }

    pub fn read(&self, reply: &[u8]) -> Outcome {
        let whole = &reply[..reply.len().min(MAX_REPLY)];
        let (mut short, mut last) = (false, (0, 0));
        let mut accepted = None;
        for (_, way) in &self.0 {
            match follow(way, whole) {
                Accepted(values) => accepted = Some(values),
                Short => short = true,
                Fails(seen, fault) => last = last.max((seen, fault)),
            }
        }
        match accepted {
            _ if reply.len() > MAX_REPLY && (short || accepted.is_some()) => Err(MAX_REPLY),
            Some(values) => Ok(values),
            None if short => Err(reply.len()),
            None => Err(last.1),
        }
    }

    /// The forms that a reply beginning like this can become.
    pub fn viable(&self, beginning: &[u8]) -> Vec<&'static str> {
        let possible = self.0.iter().filter(|(_, way)| !matches!(follow(way, beginning), Fails(..)));
        let mut forms: Vec<_> = possible.map(|(form, _)| *form).collect();
        forms.dedup();
        forms
    }
}

/// All orders of `items`.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![vec![]];
    }
    let mut all = Vec::new();
    for first in 0..items.len() {
        let mut others = items.to_vec();
        let item = others.remove(first);
        for mut order in orders(&others) {
            order.insert(0, item.clone());
            all.push(order);
        }
    }
    all
}

fn follow(way: &[Token], reply: &[u8]) -> Fate {
    match try_follow(way, reply) {
        Ok(values) => Accepted(values),
        Err(fate) => fate,
    }
}

fn try_follow(way: &[Token], reply: &[u8]) -> Result<Vec<(&'static str, String)>, Fate> {
    let mut values = Vec::new();
    let mut at = 0;
    // A word or number, and then another: something has to be between them.
    let mut apart = false;
    for token in way {
        let before = at;
        while reply.get(at).is_some_and(|byte| b" \t\r\n".contains(byte)) {
            at += 1;
        }
        let bare = matches!(token, Token::Word(_) | Token::Number(_));
        if apart && bare && at == before {
            return Err(if at == reply.len() { Short } else { Fails(at, at) });
        }
        apart = bare;
        match token {
            Token::Open => literally(reply, &mut at, "(")?,
            Token::Close => literally(reply, &mut at, ")")?,
            Token::Word(word) => literally(reply, &mut at, &format!(":{word}"))?,
            Token::String(key, rule) => values.push((*key, string(reply, &mut at, rule)?)),
            Token::Number(key) => {
                let start = at;
                loop {
                    let digits = std::str::from_utf8(&reply[start..at]).unwrap();
                    match reply.get(at) {
                        Some(b'0'..=b'9') => {
                            let more = std::str::from_utf8(&reply[start..=at]).unwrap();
                            if more.starts_with('0') || more.parse::<u64>().unwrap() > 86_400 {
                                return Err(Fails(at, at));
                            }
                            at += 1;
                        }
                        Some(_) if digits.is_empty() => return Err(Fails(at, at)),
                        None if digits.is_empty() => return Err(Short),
                        _ => {
                            values.push((*key, digits.to_owned()));
                            break;
                        }
                    }
                }
            }
        }
    }
    while reply.get(at).is_some_and(|byte| b" \t\r\n".contains(byte)) {
        at += 1;
    }
    if at < reply.len() { Err(Fails(at, at)) } else { Ok(values) }
}

fn literally(reply: &[u8], at: &mut usize, expected: &str) -> Result<(), Fate> {
    for byte in expected.bytes() {
        match reply.get(*at) {
            None => return Err(Short),
            Some(found) if found.to_ascii_lowercase() == byte => *at += 1,
            Some(_) => return Err(Fails(*at, *at)),
        }
    }
    Ok(())
}

fn string(reply: &[u8], at: &mut usize, rule: &Rule) -> Result<String, Fate> {
    literally(reply, at, "\"")?;
    let mut out = String::new();
    loop {
        // What is left of the name, if the string has to be one.
        let left = match rule {
            Rule::Exactly(name) => Some(name[out.len()..].to_owned()),
            _ => None,
        };
        match reply.get(*at) {
            None => return Err(Short),
            Some(b'"') => {
                if left.is_some_and(|left| !left.is_empty()) || *rule == Rule::Command && out.is_empty() {
                    return Err(Fails(*at, *at));
                }
                *at += 1;
                return Ok(out);
            }
            Some(b'\\') => out.push(escape(reply, at, rule, left.as_deref())?),
            Some(_) => out.push(character(reply, at, rule, left.as_deref())?),
        }
    }
}

/// A literal character, by table 3-7 of the Unicode standard.
fn character(reply: &[u8], at: &mut usize, rule: &Rule, left: Option<&str>) -> Result<char, Fate> {
    let start = *at;
    let ranges: &[(u8, u8)] = match reply[start] {
        0x00..=0x7F => &[],
        0xC2..=0xDF => &[(0x80, 0xBF)],
        0xE0 => &[(0xA0, 0xBF), (0x80, 0xBF)],
        0xE1..=0xEC | 0xEE..=0xEF => &[(0x80, 0xBF), (0x80, 0xBF)],
        0xED => &[(0x80, 0x9F), (0x80, 0xBF)],
        0xF0 => &[(0x90, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
        0xF1..=0xF3 => &[(0x80, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
        0xF4 => &[(0x80, 0x8F), (0x80, 0xBF), (0x80, 0xBF)],
        _ => return Err(Fails(start, start)),
    };
    for index in 0..=ranges.len() {
        let here = start + index;
        let Some(&byte) = reply.get(here) else { return Err(Short) };
        if index > 0 {
            let (least, most) = ranges[index - 1];
            if byte < least || byte > most {
                return Err(Fails(here, start));
            }
        }
        if index == ranges.len() {
            let c = std::str::from_utf8(&reply[start..=here]).unwrap().chars().next().unwrap();
            let hidden = matches!(rule, Rule::Clear | Rule::Command) && invisible(c as u32);
            if forbidden(c as u32) || hidden {
                return Err(Fails(here, start));
            }
        }
        if left.is_some_and(|left| left.as_bytes().get(index) != Some(&byte)) {
            return Err(Fails(here, here));
        }
    }
    *at = start + ranges.len() + 1;
    Ok(std::str::from_utf8(&reply[start..*at]).unwrap().chars().next().unwrap())
}

/// All ways to write one character as an escape are known; the reply has to follow one of them.
fn escape(reply: &[u8], at: &mut usize, rule: &Rule, left: Option<&str>) -> Result<char, Fate> {
    let start = *at;
    let rest = &reply[start..reply.len().min(start + 12)];
    for length in 1..=rest.len() {
        let begun: String = rest[..length].iter().map(|byte| char::from(*byte)).collect();
        // The `u` is lower case, the digits behind it are not.
        let unified: String =
            begun.char_indices().map(|(at, c)| if at % 6 > 1 { c.to_ascii_lowercase() } else { c }).collect();
        let fits = match left {
            Some(left) => left
                .chars()
                .next()
                .is_some_and(|c| spellings(c).iter().any(|spelling| spelling.starts_with(&unified))),
            None if length > 6 => {
                matches!(&unified[2..4], "d8" | "d9" | "da" | "db") && TAILS.contains(&unified[6..])
            }
            None => BEGINNINGS.contains(&unified),
        };
        if !fits {
            return Err(Fails(start + length - 1, start));
        }
        if let Some(c) = whole(&unified) {
            if matches!(rule, Rule::Clear | Rule::Command) && invisible(c as u32) {
                return Err(Fails(start + length - 1, start));
            }
            *at = start + length;
            return Ok(c);
        }
    }
    Err(Short)
}

/// The character that a complete escape stands for.
fn whole(escape: &str) -> Option<char> {
    match escape {
        "\\\\" => Some('\\'),
        "\\\"" => Some('"'),
        "\\n" => Some('\n'),
        "\\t" => Some('\t'),
        "\\r" => Some('\r'),
        _ if escape.len() == 6 => char::from_u32(u32::from_str_radix(&escape[2..], 16).unwrap()),
        _ if escape.len() == 12 => pair(escape),
        _ => None,
    }
}

fn pair(escape: &str) -> Option<char> {
    let unit = |from: usize| u16::from_str_radix(escape.get(from..from + 4)?, 16).ok();
    if !escape.get(6..)?.starts_with("\\u") {
        return None;
    }
    String::from_utf16(&[unit(2)?, unit(8)?]).ok()?.chars().next()
}

/// All escapes that stand for `c`, in lower case.
fn spellings(c: char) -> Vec<String> {
    let mut units = [0; 2];
    let long = c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    let short = match c {
        '\\' => "\\\\",
        '"' => "\\\"",
        '\n' => "\\n",
        '\t' => "\\t",
        '\r' => "\\r",
        _ => return vec![long],
    };
    vec![long, short.to_owned()]
}

/// Every beginning of an allowed escape, but for the second halves of pairs, in lower case.
static BEGINNINGS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let short = ["\\", "\\\\", "\\\"", "\\n", "\\t", "\\r"].map(String::from);
    let units = (0..=0xFFFF).filter(|unit| !forbidden(*unit) && !(0xDC00..=0xDFFF).contains(unit));
    short.into_iter().chain(units.flat_map(beginnings)).collect()
});

/// Every beginning of the second half of a pair, in lower case.
static TAILS: LazyLock<HashSet<String>> = LazyLock::new(|| (0xDC00..=0xDFFF).flat_map(beginnings).collect());

fn beginnings(unit: u32) -> impl Iterator<Item = String> {
    (1..=6).map(move |length| format!("\\u{unit:04x}")[..length].to_owned())
}

fn forbidden(number: u32) -> bool {
    let allowed = [0x09, 0x0A, 0x0D];
    number < 0x20 && !allowed.contains(&number) || number == 0x7F || (0x80..=0x9F).contains(&number)
}

fn invisible(number: u32) -> bool {
    const LIST: [u32; 12] =
        [0x200B, 0x2060, 0xFEFF, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069];
    LIST.contains(&number)
}

//! Regular expressions, as `cl-ppcre` calls them, on an engine that takes linear time. What has no linear time,
//! as looking around and references back, is not there.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use regex::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::HirKind;

use super::super::core::{Core, Result, Val};
use super::super::fault::{Fault, Kind};
use super::{ANY, Builtin, run};

pub const TABLE: &[Builtin] = &[
    run("scan", 2, ANY, scan),
    run("cl-ppcre:scan", 2, ANY, scan),
    run("scan-to-strings", 2, ANY, scan_to_strings),
    run("cl-ppcre:scan-to-strings", 2, ANY, scan_to_strings),
    run("all-matches-as-strings", 2, ANY, all_matches),
    run("cl-ppcre:all-matches-as-strings", 2, ANY, all_matches),
    run("regex-replace", 3, ANY, |c, a| replace(c, a, false)),
    run("cl-ppcre:regex-replace", 3, ANY, |c, a| replace(c, a, false)),
    run("regex-replace-all", 3, ANY, |c, a| replace(c, a, true)),
    run("cl-ppcre:regex-replace-all", 3, ANY, |c, a| replace(c, a, true)),
    run("split", 2, ANY, split),
    run("cl-ppcre:split", 2, ANY, split),
    run("ppcre:scan", 2, ANY, scan),
    run("ppcre:scan-to-strings", 2, ANY, scan_to_strings),
    run("ppcre:all-matches-as-strings", 2, ANY, all_matches),
    run("ppcre:regex-replace", 3, ANY, |c, a| replace(c, a, false)),
    run("ppcre:regex-replace-all", 3, ANY, |c, a| replace(c, a, true)),
    run("ppcre:split", 2, ANY, split),
];

/// The sizes that a compiled expression may have, and what compiling costs then, in 500 steps.
const SIZES: &[(usize, u64)] = &[(8 << 10, 1), (32 << 10, 4), (128 << 10, 16)];
/// How deep an expression may nest.
const NESTING: u32 = 50;
/// The most bytes of an expression.
const MAX_PATTERN: usize = 2_000;
/// The most expressions one call keeps.
const MAX_KEPT: usize = 64;

/// A compiled expression, and what a byte of text costs with it.
fn compile(core: &mut Core, pattern: Val) -> Result<(Arc<Regex>, u64)> {
    let text = core.string(pattern)?;
    if let Some((regex, cost)) = core.regexes.get(&text) {
        return Ok((Arc::clone(regex), *cost));
    }
    if text.len() > MAX_PATTERN {
        return Err(Fault::new(
            Kind::Type,
            format!("needs a regular expression of at most {MAX_PATTERN} bytes"),
        )
        .hint("Search for its parts one after the other."));
    }
    let known = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(&text);
    let mut wrong = None;
    for (size, price) in SIZES {
        core.charge(500 * price + 10 * text.len() as u64)?;
        let built = match &known {
            Some(known) if known.size > *size => continue,
            Some(known) => Ok(known.clone()),
            None => build(&text, *size),
        };
        match built {
            Ok(compiled) => {
                core.take(size * 2)?;
                let found = (compiled.regex, compiled.cost);
                if core.regexes.len() < MAX_KEPT {
                    core.regexes.insert(text, found.clone());
                }
                return Ok(found);
            }
            Err(regex::Error::CompiledTooBig(_)) => {}
            Err(error) => {
                wrong = Some(error.to_string());
                break;
            }
        }
    }
    let why = wrong.as_deref().and_then(|wrong| wrong.lines().last()).unwrap_or("it is too large");
    let why = why.trim_start_matches("error: ");
    let shown = core.show(pattern, 60)?;
    Err(Fault::new(Kind::Type, format!("can not use the regular expression {shown}: {why}"))
        .hint("Looking around and references back are not there; a backslash is written twice in a string."))
}

/// Expressions as they were compiled before, for all calls: triggers look for the same ones in every message, and
/// compiling takes a hundred times longer than the search. What a call pays does not depend on it.
static COMPILED: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);
/// How many bytes these may take, each with its [`LEARNT`].
const MAX_COMPILED: usize = 32 << 20;
/// How many bytes an expression may take for what it learns of texts.
const LEARNT: usize = 256 << 10;

#[derive(Default)]
struct Kept {
    all: HashMap<Arc<str>, Compiled>,
    bytes: usize,
}

#[derive(Clone)]
struct Compiled {
    regex: Arc<Regex>,
    cost: u64,
    /// Which of [`SIZES`] it needs.
    size: usize,
}

impl Kept {
    fn get(&self, text: &str) -> Option<Compiled> {
        self.all.get(text).cloned()
    }

    fn add(&mut self, text: &Arc<str>, compiled: Compiled) {
        let bytes = LEARNT + compiled.size;
        if self.bytes + bytes > MAX_COMPILED {
            // Which are in use shows again at once.
            (self.all, self.bytes) = (HashMap::new(), 0);
        }
        if self.all.insert(Arc::clone(text), compiled).is_none() {
            self.bytes += bytes;
        }
    }
}

fn build(text: &Arc<str>, size: usize) -> Result<Compiled, regex::Error> {
    let regex =
        RegexBuilder::new(text).size_limit(size).dfa_size_limit(LEARNT).nest_limit(NESTING).build()?;
    let cost = cost(text, regex.captures_len());
    let compiled = Compiled { regex: Arc::new(regex), cost, size };
    COMPILED.lock().unwrap_or_else(PoisonError::into_inner).add(text, compiled.clone());
    Ok(compiled)
}

/// How many steps a byte of text costs. No search can be interrupted, so that all the steps of a call must not buy one
/// that takes longer than a call may: a step is a tenth of a microsecond at worst. Where the fast engines give up, all
/// that can match at a place is tried at each byte, and for each the places of all groups may be copied: measured, that
/// takes at most 15 ns, and half a nanosecond a group, for each part of the expression, repetitions written out.
///
/// Only all matches together may take more than linear time, so that the clock is looked at after each.
fn cost(pattern: &str, groups: usize) -> u64 {
    // The engine has read it, with the same limit.
    let Ok(hir) = ParserBuilder::new().nest_limit(NESTING).build().parse(pattern) else { return u64::MAX };
    let (mut left, mut parts) = (vec![(&hir, 1_u64)], 0_u64);
    while let Some((hir, times)) = left.pop() {
        let own = match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => 1,
            HirKind::Literal(literal) => literal.0.len() as u64,
            // As many as the bytes of a character.
            HirKind::Class(_) => 4,
            HirKind::Repetition(repeated) => {
                let most = repeated.max.unwrap_or(repeated.min.saturating_add(1)).max(1);
                left.push((&repeated.sub, times.saturating_mul(u64::from(most))));
                2
            }
            HirKind::Capture(group) => {
                left.push((&group.sub, times));
                2
            }
            HirKind::Concat(all) | HirKind::Alternation(all) => {
                left.extend(all.iter().map(|one| (one, times)));
                1
            }
        };
        parts = parts.saturating_add(times.saturating_mul(own));
    }
    parts.saturating_mul(30 + groups as u64).div_ceil(200)
}

/// The text to search, and its range in bytes.
struct Subject {
    text: Arc<str>,
    ascii: bool,
    range: std::ops::Range<usize>,
}

fn subject(core: &mut Core, value: Val, start: Val, end: Val, cost: u64) -> Result<Subject> {
    let Val::Str(at) = value else { return Err(core.wrong("a string", value)) };
    let text = core.text(at).clone();
    let range = core.range(start, end, text.chars)?;
    let range = super::sequences::bytes(&text.text, text.is_ascii(), range);
    core.charge(1 + (range.len() as u64).saturating_mul(cost))?;
    Ok(Subject { ascii: text.is_ascii(), text: text.text, range })
}

impl Subject {
    fn text(&self) -> &str {
        &self.text[self.range.clone()]
    }

    /// The number of the character at a byte of the range.
    fn place(&self, at: usize) -> Val {
        let at = self.range.start + at;
        Val::Int(if self.ascii { at } else { self.text[..at].chars().count() } as i64)
    }
}

fn scan(core: &mut Core, args: &[Val]) -> Result<Val> {
    let [start, end] = core.keywords(&args[2..], ["start", "end"])?;
    let (regex, cost) = compile(core, args[0])?;
    let subject = subject(core, args[1], start, end, cost)?;
    let Some(found) = regex.captures(subject.text()) else { return Ok(Val::Nil) };
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for group in found.iter().skip(1) {
        starts.push(group.map_or(Val::Nil, |group| subject.place(group.start())));
        ends.push(group.map_or(Val::Nil, |group| subject.place(group.end())));
    }
    let (starts, ends) = (core.list(&starts)?, core.list(&ends)?);
    let (from, to) = found.get(0).map_or((0, 0), |whole| (whole.start(), whole.end()));
    super::various::values(core, &[subject.place(from), subject.place(to), starts, ends])
}

fn scan_to_strings(core: &mut Core, args: &[Val]) -> Result<Val> {
    let [start, end, _] = core.keywords(&args[2..], ["start", "end", "sharedp"])?;
    let (regex, cost) = compile(core, args[0])?;
    let subject = subject(core, args[1], start, end, cost)?;
    let Some(found) = regex.captures(subject.text()) else { return Ok(Val::Nil) };
    let mut groups = Vec::new();
    for group in found.iter().skip(1) {
        groups.push(match group {
            Some(group) => core.str(group.as_str())?,
            None => Val::Nil,
        });
    }
    let whole = core.str(found.get(0).map_or("", |whole| whole.as_str()))?;
    let groups = core.list(&groups)?;
    super::various::values(core, &[whole, groups])
}

fn all_matches(core: &mut Core, args: &[Val]) -> Result<Val> {
    let [start, end, _] = core.keywords(&args[2..], ["start", "end", "sharedp"])?;
    let (regex, cost) = compile(core, args[0])?;
    let subject = subject(core, args[1], start, end, cost)?;
    let mut items = Vec::new();
    for found in regex.find_iter(subject.text()) {
        core.charge(10)?;
        core.clock()?;
        items.push(core.str(found.as_str())?);
    }
    core.list(&items)
}

fn replace(core: &mut Core, args: &[Val], all: bool) -> Result<Val> {
    let names = ["start", "end", "preserve-case", "simple-calls"];
    let [start, end, case, _] = core.keywords(&args[3..], names)?;
    if case.is_true() {
        return Err(Fault::new(Kind::Unsupported, "regex-replace has no :preserve-case here"));
    }
    let (regex, cost) = compile(core, args[0])?;
    let with = core.string(args[2])?;
    let subject = subject(core, args[1], start, end, cost)?;
    let (text, mut out, mut last) = (subject.text(), String::new(), 0);
    let mut any = false;
    for found in regex.captures_iter(text) {
        core.charge(20 + with.len() as u64 / 8)?;
        core.clock()?;
        let Some(whole) = found.get(0) else { break };
        out.push_str(&text[last..whole.start()]);
        expand(&with, &found, &mut out);
        if out.len() > core.room() {
            core.take(out.len())?;
        }
        last = whole.end();
        any = true;
        if !all {
            break;
        }
    }
    out.push_str(&text[last..]);
    let made = if any { core.str(&out)? } else { core.str(text)? };
    super::various::values(core, &[made, Val::bool(any)])
}

/// A replacement: `\1` and `\{1}` are groups, `\&` is the match, `\\` a backslash.
fn expand(with: &str, found: &regex::Captures<'_>, out: &mut String) {
    let group = |number: usize| found.get(number).map_or("", |group| group.as_str());
    let mut rest = with;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            out.push_str(group(after[..digits].parse().unwrap_or(usize::MAX)));
            rest = &after[digits..];
        } else if let Some((number, tail)) = after.strip_prefix('{').and_then(|after| after.split_once('}')) {
            out.push_str(group(number.parse().unwrap_or(usize::MAX)));
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('&') {
            out.push_str(group(0));
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('\\') {
            out.push('\\');
            rest = tail;
        } else {
            out.push('\\');
            rest = after;
        }
    }
    out.push_str(rest);
}

fn split(core: &mut Core, args: &[Val]) -> Result<Val> {
    let names = ["start", "end", "limit", "with-registers-p", "omit-unmatched-p", "sharedp"];
    let [start, end, limit, registers, _, _] = core.keywords(&args[2..], names)?;
    if registers.is_true() {
        return Err(
            Fault::new(Kind::Unsupported, "split has no :with-registers-p here").hint("Use scan-to-strings.")
        );
    }
    let (regex, cost) = compile(core, args[0])?;
    let subject = subject(core, args[1], start, end, cost)?;
    let limit = if limit == Val::Nil { usize::MAX } else { core.size(limit)?.max(1) };
    let (text, mut parts, mut last) = (subject.text(), Vec::new(), 0);
    for found in regex.find_iter(text) {
        core.charge(10)?;
        core.clock()?;
        if parts.len() + 1 >= limit {
            break;
        }
        if found.is_empty() && (found.start() == 0 || found.start() == text.len()) {
            continue;
        }
        parts.push(&text[last..found.start()]);
        last = found.end();
    }
    parts.push(&text[last..]);
    // As in cl-ppcre: without a limit, empty parts at the end are left out.
    while limit == usize::MAX && parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    super::strings::strings(core, parts.into_iter())
}

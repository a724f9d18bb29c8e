//! Checks a record of traffic, line by line.

use std::io::{self, BufRead, Read};

use serde::Serialize;

use super::message::{Detail, Line, Side, line};
use super::rules::Rule;
use super::watch::Watch;

/// The most bytes of a line: a message has at most 32 MiB, and escapes make it longer.
const LONGEST: u64 = 64 << 20;
/// The most that is reported.
pub const MOST: usize = 1_000;

/// What is wrong in a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The line, from 1; that of the end, for what is missing there.
    pub line: u64,
    /// The rule's name.
    pub rule: &'static str,
    /// Who broke it: `the client` or `the server`; nobody of a line that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<&'static str>,
    /// How.
    pub what: String,
    /// The section of `docs/protocol.md` that says what is right.
    pub section: &'static str,
}

/// What a record came to.
#[derive(Debug, Default, Serialize)]
pub struct Checked {
    /// How many messages there were.
    pub messages: u64,
    /// How many turns.
    pub turns: u64,
    /// How many actions.
    pub actions: u64,
    /// Whether the client is a plain editor, which neither announced this protocol nor used it.
    pub plain: bool,
    /// What is wrong, the first thousand.
    pub faults: Vec<Fault>,
    /// How many more there were.
    pub more: u64,
    /// The rules that nothing in the record was about.
    pub untried: Vec<&'static str>,
}

impl Checked {
    fn add(&mut self, line: u64, rule: Rule, side: Option<Side>, what: String) {
        if self.faults.len() >= MOST {
            self.more += 1;
            return;
        }
        let side = side.map(Side::name);
        self.faults.push(Fault { line, rule: rule.name(), side, what, section: rule.section() });
    }
}

/// Checks all of `input`.
///
/// # Errors
/// If it cannot be read.
pub fn check(input: &mut dyn BufRead) -> io::Result<Checked> {
    let mut checked = Checked::default();
    let mut watch = Watch::new(Detail::ALL);
    let mut text = Vec::new();
    let mut number = 0;
    loop {
        text.clear();
        let read = Read::take(&mut *input, LONGEST).read_until(b'\n', &mut text)?;
        if read == 0 {
            break;
        }
        number += 1;
        if read as u64 == LONGEST && !text.ends_with(b"\n") {
            checked.add(number, Rule::Line, None, format!("it has {LONGEST} bytes or more"));
            skip_line(input)?;
            continue;
        }
        match line(&text) {
            Ok(Line::Blank) => {}
            Ok(Line::Head(detail)) if number == 1 => watch = Watch::new(detail),
            Ok(Line::Head(_)) => {
                checked.add(number, Rule::Line, None, "it begins a record in the middle of one".into());
            }
            Ok(Line::Message(message)) => {
                checked.messages += 1;
                for finding in watch.see(&message) {
                    checked.add(number, finding.rule, Some(finding.side), finding.what);
                }
            }
            Err(why) => checked.add(number, Rule::Line, None, why),
        }
    }
    for finding in watch.finish() {
        checked.add(number, finding.rule, Some(finding.side), finding.what);
    }
    checked.plain = watch.is_plain();
    (checked.turns, checked.actions) = watch.counts();
    checked.untried = Rule::ALL
        .into_iter()
        .filter(|rule| *rule != Rule::Line)
        .filter(|rule| watch.judged(*rule, Side::Client) + watch.judged(*rule, Side::Server) == 0)
        .map(Rule::name)
        .collect();
    Ok(checked)
}

/// Goes on behind the next line end.
fn skip_line(input: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let chunk = input.fill_buf()?;
        let (length, ended) = match memchr::memchr(b'\n', chunk) {
            Some(at) => (at + 1, true),
            None => (chunk.len(), chunk.is_empty()),
        };
        input.consume(length);
        if ended {
            return Ok(());
        }
    }
}

//! Reads a prompt back into what was said and done: the labels that `prompt` writes.
//!
//! A user who types a label is read wrongly, and gets a silly answer; nothing else follows from it.

use crate::prompt::{Message, Role};

/// One thing that was said or done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// The user's own words.
    Words(String),
    /// What came of a command.
    Result(Report<'a>),
    /// The user did not let a command run.
    Denied,
    /// Data, or a note of the kernel: not for this responder.
    Other,
}

/// What came of a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report<'a> {
    /// The exit code, if the command ended.
    pub(super) exit: Option<&'a str>,
    /// What the kernel says about it.
    pub(super) notes: Vec<&'a str>,
    /// What it wrote: a label, and lines.
    pub(super) output: Vec<(&'a str, Vec<&'a str>)>,
}

/// All that was said and done to the model, oldest first.
pub(super) fn parts(messages: &[Message]) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for message in messages.iter().filter(|message| message.role == Role::User) {
        let mut lines = message.text.split('\n').peekable();
        let mut words: Vec<&str> = Vec::new();
        while let Some(line) = lines.next() {
            let part = match line.trim_end() {
                line if data(line).is_some() => {
                    skip(line, &mut lines);
                    Part::Other
                }
                "[command result]" => Part::Result(report(&mut lines)),
                "[command denied]" => {
                    report(&mut lines);
                    Part::Denied
                }
                line if line.starts_with("[verifier] ") || line.starts_with("[skill] ") => {
                    report(&mut lines);
                    Part::Other
                }
                _ => {
                    words.push(line);
                    continue;
                }
            };
            said(&mut words, &mut parts);
            parts.push(part);
        }
        said(&mut words, &mut parts);
    }
    parts
}

/// Ends the user's words, if there are any.
fn said(words: &mut Vec<&str>, parts: &mut Vec<Part<'_>>) {
    let text = words.join("\n").trim().to_owned();
    words.clear();
    if !text.is_empty() {
        parts.push(Part::Words(text));
    }
}

/// The label and the end mark of a line that begins data.
fn data(line: &str) -> Option<(&str, &str)> {
    let inside = line.strip_prefix("[data: ")?.strip_suffix(']')?;
    let (label, mark) = inside.rsplit_once("; ends at ")?;
    Some((label.split(';').next()?, mark))
}

/// The lines of the data that `line` begins.
fn skip<'a>(line: &str, lines: &mut impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let end = data(line).map(|(_, mark)| format!("[{mark}]")).unwrap_or_default();
    lines.take_while(|line| line.trim_end() != end).collect()
}

/// The rest of a report, up to an empty line.
fn report<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Report<'a> {
    let mut report = Report::default();
    while let Some(line) = lines.next().map(str::trim_end).filter(|line| !line.is_empty()) {
        if let Some((label, _)) = data(line) {
            report.output.push((label, skip(line, lines)));
        } else if let Some(code) = line.strip_prefix("exit code: ") {
            report.exit = Some(code);
        } else {
            report.notes.push(line);
        }
    }
    report
}

//! What is found in a text, whatever it is written in: headings, and which of them are prompts.

use std::ops::Range;

use super::Prompt;

/// The heading of a prompt.
pub(super) const USER: &str = "USER";
/// The heading of a reply.
pub(super) const ASSISTANT: &str = "ASSISTANT";

/// What a heading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Assistant,
    Other,
}

/// A heading with its drawer or comment.
#[derive(Clone, Debug)]
pub(super) struct Head<'a> {
    /// Its line, with its line end.
    pub line: Range<usize>,
    pub level: usize,
    pub kind: Kind,
    pub title: &'a str,
    pub event: Option<&'a str>,
    pub act: Option<&'a str>,
    pub session: Option<&'a str>,
    /// Where one more property belongs, if it has a drawer.
    pub drawer: Option<usize>,
    /// The byte behind it and its drawer or comment.
    pub body: usize,
}

impl Head<'_> {
    /// Whether it begins a turn or a reply for certain.
    pub(super) const fn is_marked(&self) -> bool {
        match self.kind {
            Kind::User => self.event.is_some(),
            Kind::Assistant => self.act.is_some(),
            Kind::Other => false,
        }
    }
}

/// The properties of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileMark<'a> {
    pub session: Option<&'a str>,
    /// The line that names a session, if there is one; else where a property or a drawer belongs.
    pub line: Range<usize>,
    /// Whether that is inside a drawer.
    pub in_drawer: bool,
    /// Where the text begins behind what belongs to the file.
    pub body: usize,
}

/// What a text has.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    pub file: FileMark<'a>,
    pub heads: Vec<Head<'a>>,
}

/// The prompts among the headings.
pub(super) fn prompts<'a>(text: &str, heads: &[Head<'a>]) -> Vec<Prompt<'a>> {
    let mut prompts: Vec<Prompt<'a>> = Vec::new();
    // What is under a heading of at least this level belongs to a prompt or a reply, and whether the last prompt goes
    // on, and its text.
    let (mut under, mut is_going, mut is_text) = (usize::MAX, false, false);
    for head in heads {
        if is_going && (head.level <= under || head.kind == Kind::User && head.is_marked()) {
            is_going = false;
            if let Some(prompt) = prompts.last_mut() {
                prompt.end = head.line.start;
                if is_text {
                    prompt.body.end = prompt.end;
                }
            }
        }
        if head.level <= under {
            under = usize::MAX;
        }
        match head.kind {
            Kind::User if head.is_marked() || head.level < under => {
                (under, is_going, is_text) = (head.level, true, true);
                prompts.push(Prompt {
                    heading: head.line.clone(),
                    level: head.level,
                    event: head.event,
                    body: head.body..text.len(),
                    end: text.len(),
                    acts: Vec::new(),
                });
            }
            Kind::Assistant => match prompts.last_mut().filter(|_| is_going) {
                Some(prompt) if head.is_marked() || head.level == prompt.level + 1 => {
                    if is_text {
                        (prompt.body.end, is_text) = (head.line.start, false);
                    }
                    prompt.acts.extend(head.act);
                }
                Some(_) => {}
                // A reply of somebody else: what is in it is no prompt.
                None if head.level < under => under = head.level,
                None => {}
            },
            _ => {}
        }
    }
    prompts
}

/// What stands in an input area, without blank lines around it.
pub(super) fn input(text: &str) -> &str {
    let text = text.trim_end_matches([' ', '\t', '\r', '\n']);
    let blank = text.len() - text.trim_start_matches([' ', '\t', '\r', '\n']).len();
    let start = text[..blank].rfind('\n').map_or(0, |at| at + 1);
    &text[start..]
}

/// Headings as they come, and what is open around them.
///
/// A heading in something open is one until that is closed. Then it was text.
#[derive(Debug)]
pub(super) struct Regions<'a, R> {
    heads: Vec<Head<'a>>,
    /// What is open, and how many headings stood before it.
    open: Option<(R, usize)>,
}

impl<R> Default for Regions<'_, R> {
    fn default() -> Self {
        Self { heads: Vec::new(), open: None }
    }
}

impl<'a, R> Regions<'a, R> {
    /// Takes a heading. One with an event or an action ends whatever is open.
    pub(super) fn push(&mut self, head: Head<'a>) {
        if head.is_marked() {
            self.open = None;
        }
        self.heads.push(head);
    }

    /// What is open.
    pub(super) fn inside(&self) -> Option<&R> {
        self.open.as_ref().map(|(region, _)| region)
    }

    /// Opens something. What was open before it was never closed.
    pub(super) fn open(&mut self, region: R) {
        self.open = Some((region, self.heads.len()));
    }

    /// Closes what is open.
    pub(super) fn close(&mut self) {
        if let Some((_, before)) = self.open.take() {
            self.heads.truncate(before);
        }
    }

    /// All headings.
    pub(super) fn finish(self) -> Vec<Head<'a>> {
        self.heads
    }
}

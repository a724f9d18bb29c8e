//! The chat in a file: where its prompts and replies stand, and the edits that make an open prompt a sent one and put
//! in what was answered.
//!
//! In Org, for a prompt with L stars:
//!
//! ```text
//! :PROPERTIES:
//! :OA_SESSION: id
//! :END:
//! * USER
//! :PROPERTIES:
//! :OA_EVENT: id
//! :END:
//! prompt
//! ** ASSISTANT
//! :PROPERTIES:
//! :OA_ACT: id
//! :END:
//! reply
//! ```
//!
//! and in Markdown
//!
//! ```text
//! <!-- OA_SESSION: id -->
//! # USER
//! <!-- OA_EVENT: id -->
//! prompt
//! ## ASSISTANT
//! <!-- OA_ACT: id -->
//! reply
//! ```
//!
//! A file that only these edits made is what the export of its session is, apart from the open prompt at the end and
//! from commands' blocks.
//!
//! A prompt is a heading `USER`. With its event it was sent; without, it is open. It goes as far as its section; a
//! heading `USER` inside that section is text, unless it has an event of its own: nothing that a model writes in a
//! reply becomes a prompt. A heading in a block, a fence, a comment or a drawer that is closed is text as well. In
//! Org, as for Org, a heading with an event or an action is always one, and ends whatever is open above it: code that
//! these edits put in has commas. In Markdown there are none; a fence hides all that is in it, and one that is open
//! where something is put in is closed before that.
//!
//! Pure, and linear in the text.

mod edits;
mod markdown;
mod org;
mod scan;

use std::borrow::Cow;
use std::ops::Range;

use super::text::Language;
pub use edits::apply;
use scan::{Found, Head, Kind};

/// The text of a message that only asks about something.
pub const EXPLAIN: &str = "Explain this.";

/// One change of a text: what stands in `range` becomes `text`.
///
/// A list of them is for one and the same text, in its order, and no two touch each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The bytes that are replaced; empty to put something in.
    pub range: Range<usize>,
    /// What stands there afterwards.
    pub text: String,
}

/// A prompt in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt<'a> {
    /// The line of its heading, with its line end.
    pub heading: Range<usize>,
    /// The level of its heading, from 1.
    pub level: usize,
    /// The event that it was sent as. Nothing: it is open. Empty: sent, and nobody knows as what.
    pub event: Option<&'a str>,
    /// Its text: behind its drawer or comment, up to its first reply.
    pub body: Range<usize>,
    /// The end of its turn, replies included.
    pub end: usize,
    /// The actions of its replies that are in the file.
    pub acts: Vec<&'a str>,
}

impl Prompt<'_> {
    /// Whether it was not sent yet.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.event.is_none()
    }
}

/// A part of a text under one heading, or the part before the first heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// All of it, with its heading and what is under it.
    pub range: Range<usize>,
    /// The words of its heading; nothing if it has none.
    pub heading: Option<&'a str>,
    /// Its own text: without its heading and what belongs to the file as a whole, up to the next heading of any level.
    pub body: Range<usize>,
}

/// What a command to send would send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'t, 'a> {
    /// This open prompt, which has text.
    Prompt(&'t Prompt<'a>),
    /// Free text without a heading, in a file without prompts: it becomes a prompt.
    Free(Section<'a>),
    /// Notes under a heading, in a file without prompts: they go along as context of a prompt at the end.
    Notes(Section<'a>),
    /// Nothing: the open prompts are empty, or the file is.
    Nothing,
}

/// A text, read once.
#[derive(Clone, Debug)]
pub struct Layout<'a> {
    text: &'a str,
    language: Language,
    /// The end of a line, as the text has it.
    line_end: &'static str,
    /// Where the file's own properties are, or belong.
    file: scan::FileMark<'a>,
    heads: Vec<Head<'a>>,
    prompts: Vec<Prompt<'a>>,
}

impl<'a> Layout<'a> {
    /// Reads `text`.
    #[must_use]
    pub fn new(text: &'a str, language: Language) -> Self {
        let Found { file, heads } = match language {
            Language::Org => org::find(text),
            Language::Markdown => markdown::find(text),
        };
        let prompts = scan::prompts(text, &heads);
        let line_end = match text.find('\n') {
            Some(at) if text[..at].ends_with('\r') => "\r\n",
            _ => "\n",
        };
        Self { text, language, line_end, file, heads, prompts }
    }

    /// The end of the text.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.text.len()
    }

    /// The prompts in their order, sent and open.
    #[must_use]
    pub fn prompts(&self) -> &[Prompt<'a>] {
        &self.prompts
    }

    /// The open prompts in their order.
    pub fn open(&self) -> impl DoubleEndedIterator<Item = &Prompt<'a>> {
        self.prompts.iter().filter(|prompt| prompt.is_open())
    }

    /// The prompt whose turn holds the byte `at`.
    #[must_use]
    pub fn prompt_at(&self, at: usize) -> Option<&Prompt<'a>> {
        let before = self.prompts.partition_point(|prompt| prompt.heading.start <= at);
        let prompt = self.prompts[..before].last()?;
        // The place at the very end belongs to it, too: that is where one types.
        (at < prompt.end || at == self.text.len() && prompt.end == at).then_some(prompt)
    }

    /// The open prompt that holds the byte `at`.
    #[must_use]
    pub fn open_at(&self, at: usize) -> Option<&Prompt<'a>> {
        self.prompt_at(at).filter(|prompt| prompt.is_open())
    }

    /// The last open prompt that has text.
    #[must_use]
    pub fn last_open(&self) -> Option<&Prompt<'a>> {
        self.open().rev().find(|prompt| !self.is_empty(prompt))
    }

    /// The prompt that was sent as `event`.
    #[must_use]
    pub fn prompt_of(&self, event: &str) -> Option<&Prompt<'a>> {
        self.prompts.iter().find(|prompt| !event.is_empty() && prompt.event == Some(event))
    }

    /// Whether the reply of this action is in the file.
    #[must_use]
    pub fn has_act(&self, actuation: &str) -> bool {
        !actuation.is_empty()
            && self.heads.iter().any(|head| head.kind == Kind::Assistant && head.act == Some(actuation))
    }

    /// The reply of this action with its heading, up to the next heading that is not under it.
    #[must_use]
    pub fn reply(&self, actuation: &str) -> Option<Range<usize>> {
        let is_it = |head: &Head<'_>| head.kind == Kind::Assistant && head.act == Some(actuation);
        let at = self.heads.iter().position(|head| !actuation.is_empty() && is_it(head))?;
        let (head, rest) = self.heads[at..].split_first()?;
        let next = rest.iter().find(|next| next.level <= head.level || next.is_marked());
        Some(head.line.start..next.map_or(self.text.len(), |next| next.line.start))
    }

    /// Whether a prompt has no text.
    #[must_use]
    pub fn is_empty(&self, prompt: &Prompt<'_>) -> bool {
        self.text.get(prompt.body.clone()).is_none_or(|body| body.trim().is_empty())
    }

    /// What a prompt says: its text without blank lines around it, with `\n` for every line end.
    #[must_use]
    pub fn message(&self, prompt: &Prompt<'_>) -> Cow<'a, str> {
        self.words(prompt.body.clone())
    }

    /// What stands in these bytes, as a message or a context: without blank lines around it, with `\n` for every line
    /// end.
    #[must_use]
    pub fn words(&self, bytes: Range<usize>) -> Cow<'a, str> {
        let text = self.text.get(bytes).map(scan::input).unwrap_or_default();
        if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) }
    }

    /// The section that holds the byte `at`.
    #[must_use]
    pub fn section_at(&self, at: usize) -> Section<'a> {
        let before = self.heads.partition_point(|head| head.line.start <= at);
        let next = self.heads.get(before).map_or(self.text.len(), |head| head.line.start);
        let Some(index) = before.checked_sub(1) else {
            return Section { range: 0..next, heading: None, body: self.file.body.min(next)..next };
        };
        let head = &self.heads[index];
        let end = self.heads[before..].iter().find(|other| other.level <= head.level);
        let end = end.map_or(self.text.len(), |head| head.line.start);
        Section { range: head.line.start..end, heading: Some(head.title), body: head.body..next }
    }

    /// What to send from the byte `at`: the open prompt there, else the last one with text, else, in a file without
    /// any prompt, the section there. Without `at`, the end of the text.
    #[must_use]
    pub fn target(&self, at: Option<usize>) -> Target<'_, 'a> {
        let at = at.unwrap_or(self.text.len());
        let here = self.open_at(at).filter(|prompt| !self.is_empty(prompt));
        if let Some(prompt) = here.or_else(|| self.last_open()) {
            return Target::Prompt(prompt);
        }
        if !self.prompts.is_empty() {
            return Target::Nothing;
        }
        let section = self.section_at(at);
        match section.heading {
            Some(_) => Target::Notes(section),
            None if self.words(section.body.clone()).is_empty() => Target::Nothing,
            None => Target::Free(section),
        }
    }

    /// The session of the file, or else of the nearest heading around the byte `at` that names one.
    #[must_use]
    pub fn session(&self, at: usize) -> Option<&'a str> {
        if let Some(session) = self.file.session.filter(|session| !session.is_empty()) {
            return Some(session);
        }
        let before = self.heads.partition_point(|head| head.line.start <= at);
        let mut level = usize::MAX;
        for head in self.heads[..before].iter().rev().filter(|_| self.language == Language::Org) {
            if head.level < level {
                level = head.level;
                if let Some(session) = head.session.filter(|session| !session.is_empty()) {
                    return Some(session);
                }
            }
        }
        None
    }

    /// Where the turn of `event` ends: where the next block or reply is put in. Nothing if its prompt is not in the
    /// file.
    #[must_use]
    pub fn turn_end(&self, event: &str) -> Option<usize> {
        self.prompt_of(event).map(|prompt| self.place(prompt).start)
    }

    /// Writes the session into the file. No edit if it is there, or if a heading around the byte `at` has it.
    #[must_use]
    pub fn edit_session(&self, session: &str, at: usize) -> Vec<Edit> {
        let mut edits = self.edits();
        self.put_session(session, at, &mut edits);
        edits.finish()
    }

    /// Makes an open prompt a sent one, and writes the session into the file. `text`: what it says from now on; else
    /// its own text stays, without blank lines around it.
    #[must_use]
    pub fn edit_sent(
        &self,
        prompt: &Prompt<'_>,
        event: &str,
        session: &str,
        text: Option<&str>,
    ) -> Vec<Edit> {
        let mut edits = self.edits();
        self.put_session(session, prompt.heading.start, &mut edits);
        self.put_sent(prompt, event, text, &mut edits);
        edits.finish()
    }

    /// Makes free text a sent prompt, and writes the session into the file.
    #[must_use]
    pub fn edit_headed(&self, section: &Section<'_>, event: &str, session: &str) -> Vec<Edit> {
        let mut edits = self.edits();
        self.put_session(session, section.range.start, &mut edits);
        self.put_headed(section, event, &mut edits);
        edits.finish()
    }

    /// Puts in a sent prompt with `text` that stands nowhere yet: under the last open prompt if that is empty, else
    /// under a new one at the end of the file. Writes the session into the file.
    #[must_use]
    pub fn edit_asked(&self, text: &str, event: &str, session: &str) -> Vec<Edit> {
        let mut edits = self.edits();
        if let Some(prompt) = self.open().next_back().filter(|prompt| self.is_empty(prompt)) {
            self.put_session(session, prompt.heading.start, &mut edits);
            self.put_sent(prompt, event, Some(text), &mut edits);
        } else {
            self.put_session(session, self.text.len(), &mut edits);
            self.put_asked(text, event, &mut edits);
        }
        edits.finish()
    }

    /// Puts in a command as a block, at the end of the turn of `event`. Nothing if its prompt is not in the file.
    #[must_use]
    pub fn edit_block(&self, event: &str, command: &str) -> Option<Vec<Edit>> {
        let prompt = self.prompt_of(event)?;
        let mut edits = self.edits();
        self.put_block(prompt, command, &mut edits);
        Some(edits.finish())
    }

    /// Puts in a reply at the end of the turn of `event`, and an open prompt at the end if there is none. `text` is
    /// what the Org contract made, also in Markdown. Nothing if the prompt is not in the file. No edit if the reply is.
    #[must_use]
    pub fn edit_reply(&self, event: &str, actuation: &str, text: &str) -> Option<Vec<Edit>> {
        let mut edits = self.edits();
        if !self.has_act(actuation) {
            let prompt = self.prompt_of(event)?;
            self.put_reply(prompt, actuation, text, &mut edits);
        }
        Some(edits.finish())
    }

    /// Puts an open prompt at the end of the file. No edit if there is an open one.
    #[must_use]
    pub fn edit_fresh(&self) -> Vec<Edit> {
        let mut edits = self.edits();
        if self.open().next().is_none() {
            self.put_fresh(1, &mut edits);
        }
        edits.finish()
    }
}

//! The edits of a layout, and what they write.

use std::borrow::Cow;
use std::ops::Range;

use super::markdown;
use super::scan::{self, ASSISTANT, Head, USER};
use super::{Edit, Language, Layout, Prompt, Section};
use crate::org::markdown as rendered;
use crate::transcript::{put_drawer, put_heading, put_text};

/// `text` after `edits`, which are for it. An edit that is for no place in it is left out.
#[must_use]
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut out = String::with_capacity(text.len() + edits.iter().map(|edit| edit.text.len()).sum::<usize>());
    let mut at = 0;
    for edit in edits {
        let (Some(before), Some(_)) = (text.get(at..edit.range.start), text.get(edit.range.clone())) else {
            continue;
        };
        out.push_str(before);
        out.push_str(&edit.text);
        at = edit.range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Edits that are being made.
pub(super) struct Edits<'a> {
    text: &'a str,
    language: Language,
    line_end: &'static str,
    list: Vec<Edit>,
}

impl Edits<'_> {
    /// Replaces `range` by `new`, which has `\n` for its line ends.
    fn put(&mut self, range: Range<usize>, new: &str) {
        let new = plain_ends(new);
        let text = if self.line_end == "\n" { new.into_owned() } else { new.replace('\n', self.line_end) };
        self.list.push(Edit { range, text });
    }

    /// Replaces `range` by whole lines, behind a line end if there is none.
    fn put_lines(&mut self, range: Range<usize>, new: &str) {
        let before =
            self.list.iter().rev().find(|edit| edit.range.end == range.start && !edit.text.is_empty());
        let is_line = match before {
            Some(edit) => edit.text.ends_with('\n'),
            None => self.is_line_start(range.start),
        };
        if is_line {
            self.put(range, new);
        } else {
            self.put(range, &format!("\n{new}"));
        }
    }

    fn is_line_start(&self, at: usize) -> bool {
        let before = &self.text[..at];
        let is_end = before.ends_with('\n') || self.language == Language::Markdown && before.ends_with('\r');
        is_end || before.is_empty() || before == "\u{feff}"
    }

    /// The edits in the order of the text, those that touch as one, without those that change nothing.
    pub(super) fn finish(mut self) -> Vec<Edit> {
        self.list.sort_by_key(|edit| edit.range.start);
        let mut out: Vec<Edit> = Vec::with_capacity(self.list.len());
        for edit in self.list {
            match out.last_mut().filter(|last| last.range.end >= edit.range.start) {
                Some(last) => {
                    last.range.end = last.range.end.max(edit.range.end);
                    last.text.push_str(&edit.text);
                }
                None => out.push(edit),
            }
        }
        out.retain(|edit| self.text.get(edit.range.clone()) != Some(&edit.text));
        out
    }
}

/// `text` with `\n` for every line end: an editor may take a lone `\r` for one, and so make lines of its own.
fn plain_ends(text: &str) -> Cow<'_, str> {
    match text.contains('\r') {
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(text),
    }
}

impl<'a> Layout<'a> {
    pub(super) const fn edits(&self) -> Edits<'a> {
        Edits { text: self.text, language: self.language, line_end: self.line_end, list: Vec::new() }
    }

    fn head(&self, prompt: &Prompt<'_>) -> Option<&Head<'a>> {
        let index = self.heads.binary_search_by_key(&prompt.heading.start, |head| head.line.start);
        index.ok().map(|index| &self.heads[index])
    }

    /// Whether what begins at `at` needs no blank line before it: a prompt, or nothing.
    fn is_chat(&self, at: usize) -> bool {
        at == self.text.len() || self.prompts.binary_search_by_key(&at, |prompt| prompt.heading.start).is_ok()
    }

    /// What a block or a reply at the end of a turn replaces: the empty lines between the turn and the next one.
    pub(super) fn place(&self, prompt: &Prompt<'_>) -> Range<usize> {
        let end = prompt.end.min(self.text.len());
        let start = behind_text(self.text, prompt.body.start.min(end)..end, &['\n', '\r']);
        start..if self.is_chat(end) { end } else { start }
    }

    /// The same at the end of the file.
    fn tail(&self, edits: &Edits<'_>) -> Range<usize> {
        let end = self.text.len();
        match self.prompts.last().filter(|prompt| prompt.end == end) {
            Some(prompt) if edits.list.iter().all(|edit| edit.range.end < end) => self.place(prompt),
            _ => end..end,
        }
    }

    pub(super) fn put_session(&self, session: &str, at: usize, edits: &mut Edits<'_>) {
        let id = id(session);
        if self.session(at) == Some(id.as_str()) {
            return;
        }
        let line = self.file.line.clone();
        match self.language {
            Language::Org if self.file.in_drawer => edits.put_lines(line, &format!(":OA_SESSION: {id}\n")),
            Language::Org => edits.put_lines(line, &mark(Language::Org, "OA_SESSION", &id)),
            Language::Markdown => edits.put_lines(line, &mark(Language::Markdown, "OA_SESSION", &id)),
        }
    }

    pub(super) fn put_sent(
        &self,
        prompt: &Prompt<'_>,
        event: &str,
        text: Option<&str>,
        edits: &mut Edits<'_>,
    ) {
        self.put_closing_above(prompt.heading.start, edits);
        let id = id(event);
        match self.head(prompt).and_then(|head| head.drawer) {
            Some(at) => edits.put_lines(at..at, &format!(":OA_EVENT: {id}\n")),
            None => {
                edits
                    .put_lines(prompt.heading.end..prompt.heading.end, &mark(self.language, "OA_EVENT", &id));
            }
        }
        self.put_body(prompt.body.clone(), text, true, edits);
    }

    pub(super) fn put_headed(&self, section: &Section<'_>, event: &str, edits: &mut Edits<'_>) {
        let body = section.body.clone();
        let start = body.start + leading(&self.text[body.clone()]);
        // Nothing stands above it but what belongs to the file: then no blank line either.
        let is_top = body.start <= self.file.line.end;
        let from = if is_top { body.start } else { start };
        let mut new = title(self.language, 1, USER);
        new.push_str(&mark(self.language, "OA_EVENT", &id(event)));
        edits.put_lines(from..start, &new);
        self.put_body(start..body.end, None, false, edits);
    }

    /// Makes a text out of what stands in `body`: without blank lines around it, with one line end.
    fn put_body(&self, body: Range<usize>, text: Option<&str>, lead: bool, edits: &mut Edits<'_>) {
        let own = &self.text[body.clone()];
        let start = body.start + leading(own);
        let end = body.start + own.trim_end_matches([' ', '\t', '\r', '\n']).len();
        let end = end.max(start.min(body.end));
        let rest = if self.is_chat(body.end) {
            body.end
        } else {
            self.text[end..body.end].find('\n').map_or(body.end, |at| end + at + 1)
        };
        if let Some(text) = text {
            let mut new = String::new();
            put_text(text, &mut new);
            self.put_closing(text, &mut new);
            edits.put_lines(body.start..rest, &new);
            return;
        }
        if lead {
            edits.put(body.start..start, "");
        }
        let mut new = "\n".to_owned();
        self.put_closing(&self.text[start.min(end)..end], &mut new);
        edits.put(end..rest, &new);
    }

    /// Closes what stands open above the byte `at` in Markdown: it would take in what is put there,
    /// once something closes it.
    fn put_closing_above(&self, at: usize, edits: &mut Edits<'_>) {
        let mut new = String::new();
        self.put_closing(self.text.get(self.file.body..at).unwrap_or_default(), &mut new);
        if !new.is_empty() {
            edits.put_lines(at..at, &new);
        }
    }

    /// Closes what a prompt in Markdown leaves open: it would take in the reply.
    fn put_closing(&self, text: &str, out: &mut String) {
        if self.language == Language::Markdown
            && let Some(line) = markdown::closing(text)
        {
            put_text(&line, out);
        }
    }

    pub(super) fn put_asked(&self, text: &str, event: &str, edits: &mut Edits<'_>) {
        let mut new = title(self.language, 1, USER);
        new.push_str(&mark(self.language, "OA_EVENT", &id(event)));
        put_text(text, &mut new);
        self.put_closing(text, &mut new);
        let range = self.tail(edits);
        self.put_closing_above(range.start, edits);
        edits.put_lines(range, &new);
    }

    pub(super) fn put_block(&self, prompt: &Prompt<'_>, command: &str, edits: &mut Edits<'_>) {
        let command = &plain_ends(command);
        let new = match self.language {
            Language::Org => format!("#+begin_src sh\n{}\n#+end_src\n", commas(command)),
            Language::Markdown => {
                let fence = rendered::fence(command);
                format!("{fence}sh\n{command}\n{fence}\n")
            }
        };
        let place = self.place(prompt);
        self.put_closing_above(place.start, edits);
        edits.put_lines(place, &new);
    }

    pub(super) fn put_reply(&self, prompt: &Prompt<'_>, actuation: &str, text: &str, edits: &mut Edits<'_>) {
        let level = prompt.level + 1;
        let mut new = title(self.language, level, ASSISTANT);
        new.push_str(&mark(self.language, "OA_ACT", &id(actuation)));
        match self.language {
            Language::Org => put_text(text, &mut new),
            Language::Markdown => put_text(&rendered::markdown(text, level), &mut new),
        }
        let place = self.place(prompt);
        self.put_closing_above(place.start, edits);
        edits.put_lines(place, &new);
        if self.open().next().is_none() {
            self.put_fresh_after(prompt, edits);
        }
    }

    /// An open prompt like `prompt`, behind all that stands beside it.
    fn put_fresh_after(&self, prompt: &Prompt<'_>, edits: &mut Edits<'_>) {
        let mut behind = self.heads.iter().filter(|head| head.line.start >= prompt.end);
        match behind.find(|head| head.level < prompt.level).map(|head| head.line.start) {
            Some(at) => edits.put_lines(at..at, &title(self.language, prompt.level, USER)),
            None => self.put_fresh(prompt.level, edits),
        }
    }

    /// An open prompt at the end of the file.
    pub(super) fn put_fresh(&self, level: usize, edits: &mut Edits<'_>) {
        let range = self.tail(edits);
        edits.put_lines(range, &title(self.language, level, USER));
    }
}

/// How many bytes the blank lines at the beginning of `text` have.
fn leading(text: &str) -> usize {
    let words = text.trim_end_matches([' ', '\t', '\r', '\n']);
    match words.is_empty() {
        true => text.len(),
        false => words.len() - scan::input(words).len(),
    }
}

/// Behind the last line of `part` that is not empty, line end included; its beginning if all are.
fn behind_text(text: &str, part: Range<usize>, ends: &[char]) -> usize {
    let own = &text[part.clone()];
    let words = own.trim_end_matches(ends).len();
    match own[words..].find('\n') {
        _ if words == 0 => part.start,
        Some(at) => part.start + words + at + 1,
        None => part.end,
    }
}

/// An identifier as it may stand in a drawer or a comment.
fn id(id: &str) -> String {
    id.chars().filter(|c| !c.is_control() && !c.is_whitespace() && !matches!(c, '<' | '>')).collect()
}

fn title(language: Language, level: usize, title: &str) -> String {
    let mut out = String::new();
    match language {
        Language::Org => put_heading(u32::try_from(level).unwrap_or(u32::MAX), title, &mut out),
        Language::Markdown => {
            out.extend(std::iter::repeat_n('#', level));
            out.push(' ');
            out.push_str(title);
            out.push('\n');
        }
    }
    out
}

fn mark(language: Language, key: &str, id: &str) -> String {
    let mut out = String::new();
    match language {
        Language::Org => put_drawer(key, Some(id), &mut out),
        Language::Markdown => out = format!("<!-- {key}: {id} -->\n"),
    }
    out
}

/// Code as it stands in a block: with a comma before what Org would act on.
fn commas(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    for line in code.split_inclusive('\n') {
        let words = line.trim_start_matches([' ', '\t']);
        let bare = words.trim_start_matches(',');
        out.push_str(&line[..line.len() - words.len()]);
        if bare.starts_with('*') || bare.starts_with("#+") {
            out.push(',');
        }
        out.push_str(words);
    }
    out
}

//! Reads a session out of Org text: the client's own, a part of a larger file, or what was written by hand.
//!
//! The text is passed over a fixed number of times, line by line, and nothing is kept of a heading that is neither a
//! root nor a turn.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem};

use super::{MAX_LEVEL, Problem, Reply, Said, Transcript};

/// The heading of a prompt.
pub(super) const USER: &str = "USER";
/// The heading of a reply.
pub(super) const ASSISTANT: &str = "ASSISTANT";

/// The most bytes that are read.
pub const MAX_BYTES: usize = 64 << 20;

const BLANKS: [char; 3] = [' ', '\t', '\r'];

/// Reads the only session of `text`.
///
/// # Errors
/// A problem if there is none, or more than one, or what [`parse_all`] finds.
pub fn parse(text: &str) -> Result<Transcript, Problem> {
    let mut all = parse_all(text)?;
    match (all.len(), all.pop()) {
        (1, Some(one)) => Ok(one),
        (0, _) | (_, None) => Err(Problem {
            line: 1,
            message: "there is no session".into(),
            hint: "a session has a prompt under a heading `* USER`, and its reply under `** ASSISTANT`"
                .into(),
        }),
        (count, _) => Err(Problem {
            line: 1,
            message: format!("there are {count} sessions"),
            hint: "take them one by one, each from a file of its own".into(),
        }),
    }
}

/// Reads all sessions of `text`, in their order.
///
/// A session is a file whose own drawer has `:OA_SESSION:`, or else each subtree whose drawer has it. Without any, the
/// whole text is one session if it has a turn or a draft. What stands around the turns is left out, and so are other
/// properties. Line ends may be CRLF, if all are.
///
/// # Errors
/// A problem if the text is longer than [`MAX_BYTES`], if it has a NUL, or if a reply has no prompt above it.
pub fn parse_all(text: &str) -> Result<Vec<Transcript>, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem {
            line: 1,
            message: format!("the text has {} bytes, and at most {MAX_BYTES} are read", text.len()),
            hint: "split it".into(),
        });
    }
    let text = plain(text.strip_prefix('\u{feff}').unwrap_or(text));
    if let Some(at) = memchr(0, text.as_bytes()) {
        return Err(Problem {
            line: line(&text, at),
            message: "there is a NUL, so this is no text".into(),
            hint: "save the file as UTF-8".into(),
        });
    }
    if let Some((properties, end)) = drawer(&text, first_drawer(&text))
        && let Some(session) = properties.session
    {
        let root = Root { level: 0, title: None, session: known(session), range: end..text.len() };
        return Ok(vec![session_of(&text, root)?]);
    }
    let mut roots: Vec<Root> = Vec::new();
    // Whether the last of them still goes on.
    let mut open = false;
    for head in Heads::new(&text) {
        if let Some(last) = roots.last_mut().filter(|last| open && head.level <= last.level) {
            (last.range.end, open) = (head.at, false);
        }
        if let Some(session) = head.properties.session.filter(|_| !open) {
            let title = Some(head.title.trim_matches(BLANKS)).filter(|title| !title.is_empty());
            let range = head.body..text.len();
            roots.push(Root { level: head.level, title, session: known(session), range });
            open = true;
        }
    }
    if !roots.is_empty() {
        return roots.into_iter().map(|root| session_of(&text, root)).collect();
    }
    let all = session_of(&text, Root { level: 0, title: None, session: None, range: 0..text.len() })?;
    Ok(if all.turns.is_empty() && all.draft.is_none() { Vec::new() } else { vec![all] })
}

/// Where a session stands.
struct Root<'a> {
    level: u32,
    title: Option<&'a str>,
    session: Option<String>,
    range: Range<usize>,
}

fn session_of(text: &str, root: Root<'_>) -> Result<Transcript, Problem> {
    let part = Part { text, at: root.range.start, own: &text[root.range] };
    let is_marked = Heads::new(part.own).any(|head| head.mark().is_some());
    let (turns, draft) = if is_marked { part.marked()? } else { part.by_hand()? };
    Ok(Transcript { session: root.session, title: root.title.map(str::to_owned), turns, draft })
}

/// The text of one session, within that of its file.
struct Part<'a> {
    text: &'a str,
    at: usize,
    own: &'a str,
}

type Read = Result<(Vec<Said>, Option<String>), Problem>;

impl Part<'_> {
    /// The turns are those headings that have their property, at whatever level. The rest is text.
    fn marked(&self) -> Read {
        let mut turns: Vec<Said> = Vec::new();
        let mut from = None;
        // The heading and the text of what may be the input area.
        let mut input = None;
        for head in Heads::new(self.own) {
            match head.mark() {
                Some(id) => {
                    self.close(&mut turns, from, head.at);
                    self.open(&mut turns, &head, known(id))?;
                    (from, input) = (Some(head.body), None);
                }
                None if head.kind == Kind::User
                    && turns.last().is_some_and(|said| said.level == head.level) =>
                {
                    input = Some((head.at, head.body));
                }
                None => {}
            }
        }
        self.close(&mut turns, from, input.map_or(self.own.len(), |(at, _)| at));
        Ok((turns, input.and_then(|(_, body)| draft(&self.own[body..]))))
    }

    /// The turns are the headings at the level of the first prompt. A heading that is not deeper than a reply ends it:
    /// what is under it is none of the session's.
    fn by_hand(&self) -> Read {
        let mut turns: Vec<Said> = Vec::new();
        let mut from = None;
        let mut reply = None;
        for head in Heads::new(self.own) {
            let below = turns.first().map(|said| head.level.checked_sub(said.level));
            let is_turn = match head.kind {
                Kind::User => matches!(below, None | Some(Some(0))),
                Kind::Assistant => matches!(below, None | Some(Some(0 | 1))),
                Kind::Other => false,
            };
            if is_turn {
                self.close(&mut turns, from, head.at);
                self.open(&mut turns, &head, None)?;
                from = Some(head.body);
                reply = (head.kind == Kind::Assistant).then_some(head.level);
            } else if reply.is_some_and(|reply| head.level <= reply) {
                self.close(&mut turns, from.take(), head.at);
            }
        }
        self.close(&mut turns, from, self.own.len());
        // The last prompt without a reply was not sent.
        let last = turns.pop_if(|said| said.replies.is_empty());
        Ok((turns, last.and_then(|said| draft(&said.text))))
    }

    fn open(&self, turns: &mut Vec<Said>, head: &Head<'_>, id: Option<String>) -> Result<(), Problem> {
        if head.kind == Kind::User {
            turns.push(Said { event: id, level: head.level, ..Said::default() });
            return Ok(());
        }
        let Some(said) = turns.last_mut() else {
            return Err(Problem {
                line: line(self.text, self.at + head.at),
                message: "this reply has no prompt above it".into(),
                hint: "put a heading `USER` with the prompt above it, one level higher, or remove it".into(),
            });
        };
        said.replies.push(Reply { actuation: id, text: String::new() });
        Ok(())
    }

    /// Gives the last turn or reply its text, from `from` on.
    fn close(&self, turns: &mut [Said], from: Option<usize>, to: usize) {
        let (Some(from), Some(said)) = (from, turns.last_mut()) else { return };
        let text = self.own[from..to].trim_end_matches('\n');
        match said.replies.last_mut() {
            Some(reply) => text.clone_into(&mut reply.text),
            None => text.clone_into(&mut said.text),
        }
    }
}

/// What stands in the input area, without blank lines around it.
pub(super) fn input(text: &str) -> &str {
    let text = text.trim_end_matches([' ', '\t', '\r', '\n']);
    let blank = text.len() - text.trim_start_matches([' ', '\t', '\n']).len();
    let start = text[..blank].rfind('\n').map_or(0, |at| at + 1);
    &text[start..]
}

fn draft(text: &str) -> Option<String> {
    Some(input(text)).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Whether `text` begins with a property drawer.
pub(super) fn has_drawer(text: &str) -> bool {
    drawer(text, 0).is_some()
}

/// An identifier, if there is one.
fn known(id: &str) -> Option<String> {
    Some(id).filter(|id| !id.is_empty()).map(str::to_owned)
}

/// With line feeds for all line ends, if all are CRLF.
fn plain(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut ends = memchr_iter(b'\n', bytes).peekable();
    if ends.peek().is_some() && ends.all(|at| at > 0 && bytes[at - 1] == b'\r') {
        return Cow::Owned(text.replace("\r\n", "\n"));
    }
    Cow::Borrowed(text)
}

/// The line of the byte at `at`, from 1.
fn line(text: &str, at: usize) -> usize {
    memchr_iter(b'\n', &text.as_bytes()[..at]).count() + 1
}

/// Where the file's own drawer may begin: behind blank lines and comments.
pub(crate) fn first_drawer(text: &str) -> usize {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let words = line.trim();
        if !words.is_empty() && words != "#" && !words.starts_with("# ") {
            break;
        }
        at += line.len();
    }
    at
}

/// What a heading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Assistant,
    Other,
}

/// A heading with its drawer.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    /// The byte at which its line begins.
    pub(crate) at: usize,
    pub(crate) level: u32,
    pub(crate) kind: Kind,
    pub(crate) title: &'a str,
    pub(crate) properties: Properties<'a>,
    /// The byte behind it and its drawer.
    pub(crate) body: usize,
}

impl<'a> Head<'a> {
    /// The identifier of the turn or reply that begins here; empty if it is not known.
    fn mark(&self) -> Option<&'a str> {
        match self.kind {
            Kind::User => self.properties.event,
            Kind::Assistant => self.properties.act,
            Kind::Other => None,
        }
    }
}

/// Our properties of a drawer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Properties<'a> {
    pub(crate) session: Option<&'a str>,
    pub(crate) event: Option<&'a str>,
    pub(crate) act: Option<&'a str>,
}

/// The headings of a text.
pub(crate) struct Heads<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Heads<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }
}

impl<'a> Iterator for Heads<'a> {
    type Item = Head<'a>;

    fn next(&mut self) -> Option<Head<'a>> {
        loop {
            let rest = self.text.get(self.at..)?;
            let is_start = self.at == 0 || self.text.as_bytes()[self.at - 1] == b'\n';
            let at = match is_start && rest.starts_with('*') {
                true => self.at,
                false => self.at + memmem::find(rest.as_bytes(), b"\n*")? + 1,
            };
            let rest = &self.text[at..];
            let (line, next) = match rest.find('\n') {
                Some(end) => (&rest[..end], at + end + 1),
                None => (rest, self.text.len()),
            };
            let title = line.trim_start_matches('*');
            let stars = line.len() - title.len();
            // The line break before the next heading is looked for, too.
            self.at = next.max(at + 1);
            let Some(title) = title.strip_prefix(' ') else { continue };
            let kind = match title.trim_end_matches(BLANKS) {
                USER if stars <= MAX_LEVEL as usize => Kind::User,
                ASSISTANT if stars <= MAX_LEVEL as usize + 1 => Kind::Assistant,
                _ => Kind::Other,
            };
            let level = u32::try_from(stars).unwrap_or(u32::MAX);
            let (properties, body) = drawer(self.text, next).unwrap_or((Properties::default(), next));
            return Some(Head { at, level, kind, title, properties, body });
        }
    }
}

/// The property drawer at `at`, and where it ends. It has no line that could be a heading, so looking for one twice
/// looks at no line twice.
pub(crate) fn drawer(text: &str, at: usize) -> Option<(Properties<'_>, usize)> {
    let mut found = Properties::default();
    let mut end = at;
    let mut lines = text.get(at..)?.split_inclusive('\n');
    let first = lines.next()?;
    if !first.trim_end_matches('\n').trim_matches(BLANKS).eq_ignore_ascii_case(":PROPERTIES:") {
        return None;
    }
    end += first.len();
    for line in lines {
        end += line.len();
        let line = line.trim_end_matches('\n').trim_matches(BLANKS);
        if line.eq_ignore_ascii_case(":END:") {
            return Some((found, end));
        }
        let (key, value) = line.strip_prefix(':')?.split_once(':')?;
        if key.is_empty() || key.contains(char::is_whitespace) {
            return None;
        }
        let ours =
            [("OA_SESSION", &mut found.session), ("OA_EVENT", &mut found.event), ("OA_ACT", &mut found.act)];
        for (name, place) in ours {
            if key.eq_ignore_ascii_case(name) && place.is_none_or(str::is_empty) {
                *place = Some(value.trim_matches(BLANKS));
            }
        }
    }
    None
}

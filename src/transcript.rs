//! A session as Org text, both ways: what stands in a chat buffer, byte for byte, and what can be read of it.
//!
//! The layout, with L stars for a prompt and one more for its replies:
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
//! If all prompts stand at level two or deeper, the session's root is a heading one level above them, with the same
//! drawer. Texts are verbatim, with exactly one line break at their end. An identifier that nobody knows is left
//! empty, but its property is written: it is what makes a heading the beginning of a turn.
//!
//! The one ambiguity: a line of a text that looks like the beginning of a turn is one. Where turns have their
//! properties, that takes a heading `USER` or `ASSISTANT` with such a property of its own; or, in the last text, a
//! `USER` heading without any at that turn's level, which is then the input area. In what was written by hand, without
//! properties, every heading `USER` or `ASSISTANT` at the session's levels is a turn.
//!
//! Pure: no input or output. Knows nothing of the store, nor of what events and actions are.

mod names;
mod read;

#[cfg(test)]
mod tests;

use std::fmt;

use sha2::{Digest, Sha256};

use crate::ids::hex;
pub use names::{NO_TITLE, file_name, title};
use read::has_drawer;
pub(crate) use read::{Heads, Kind as Part, drawer, first_drawer};
pub use read::{MAX_BYTES, parse, parse_all};

/// The deepest level of a prompt.
pub const MAX_LEVEL: u32 = 64;

/// A session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transcript {
    /// The session's identifier.
    pub session: Option<String>,
    /// The heading of its root, if that is a heading.
    pub title: Option<String>,
    /// The turns in their order.
    pub turns: Vec<Said>,
    /// What was written into the input area and not sent.
    pub draft: Option<String>,
}

/// What the user said, and what was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The event's identifier.
    pub event: Option<String>,
    /// The level of the prompt's heading, 1 to [`MAX_LEVEL`].
    pub level: u32,
    /// The prompt. When read, without line breaks at its end.
    pub text: String,
    /// The replies in their order; none if the turn was cancelled.
    pub replies: Vec<Reply>,
}

/// One reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The action's identifier.
    pub actuation: Option<String>,
    /// Its text. When read, without line breaks at its end.
    pub text: String,
}

/// Why a text is no transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}; {}", self.line, self.message, self.hint)
    }
}

/// The session as Org text.
///
/// The root is a heading only if no text has a heading as high as it: that would end the session for its reader.
/// A NUL, which no reader of Org takes, becomes U+FFFD.
#[must_use]
pub fn write(transcript: &Transcript) -> String {
    let root = root_level(transcript);
    let mut out = String::new();
    if root > 0 {
        let title: String = transcript
            .title
            .as_deref()
            .unwrap_or_default()
            .split(char::is_control)
            .collect::<Vec<_>>()
            .join(" ");
        put_heading(root, if title.trim().is_empty() { NO_TITLE } else { title.trim() }, &mut out);
    }
    put_drawer("OA_SESSION", transcript.session.as_deref(), &mut out);
    for said in &transcript.turns {
        put_heading(level(said), read::USER, &mut out);
        put_drawer("OA_EVENT", said.event.as_deref(), &mut out);
        put_text(&said.text, &mut out);
        for reply in &said.replies {
            put_heading(level(said) + 1, read::ASSISTANT, &mut out);
            put_drawer("OA_ACT", reply.actuation.as_deref(), &mut out);
            put_text(&reply.text, &mut out);
        }
    }
    let draft = transcript.draft.as_deref().map(read::input).unwrap_or_default();
    if !draft.is_empty() {
        put_heading(transcript.turns.last().map_or(1, level), read::USER, &mut out);
        // A drawer of its own would be read as one of ours.
        if has_drawer(draft) {
            out.push_str(":PROPERTIES:\n:END:\n");
        }
        put_text(draft, &mut out);
    }
    out
}

/// The level of the root; 0 if it is the file.
fn root_level(transcript: &Transcript) -> u32 {
    let root = transcript.turns.iter().map(level).min().unwrap_or(1) - 1;
    let replies = transcript.turns.iter().flat_map(|said| &said.replies);
    let texts = transcript.turns.iter().map(|said| said.text.as_str());
    let texts = texts.chain(replies.map(|reply| reply.text.as_str()));
    let mut texts = texts.chain(transcript.draft.as_deref().map(read::input));
    if root == 0 || texts.any(|text| Heads::new(text).any(|head| head.level <= root)) { 0 } else { root }
}

fn level(said: &Said) -> u32 {
    said.level.clamp(1, MAX_LEVEL)
}

/// Writes a heading.
pub(crate) fn put_heading(level: u32, title: &str, out: &mut String) {
    out.extend(std::iter::repeat_n('*', level as usize));
    out.push(' ');
    out.push_str(title);
    out.push('\n');
}

/// Writes a drawer with one property.
pub(crate) fn put_drawer(key: &str, value: Option<&str>, out: &mut String) {
    out.push_str(":PROPERTIES:\n:");
    out.push_str(key);
    out.push(':');
    let value: String = value.unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    if !value.trim().is_empty() {
        out.push(' ');
        out.push_str(value.trim());
    }
    out.push_str("\n:END:\n");
}

/// Writes `text` with exactly one line break at its end.
pub(crate) fn put_text(text: &str, out: &mut String) {
    let text = text.trim_end_matches('\n');
    match text.contains('\0') {
        true => out.push_str(&text.replace('\0', "\u{fffd}")),
        false => out.push_str(text),
    }
    out.push('\n');
}

/// Whether a turn's text was changed in a buffer: `hash`, the SHA-256 of it in hexadecimal, is not that of `stored`
/// verbatim, nor without line breaks at its end, nor with exactly one.
#[must_use]
pub fn edited(stored: &str, hash: &str) -> bool {
    let bare = stored.trim_end_matches('\n');
    let mut digest = Sha256::new();
    digest.update(bare);
    let without = digest.clone().finalize();
    digest.update("\n");
    let with = digest.finalize();
    let is = |digest: &[u8]| hex(digest).eq_ignore_ascii_case(hash);
    !(is(&without) || is(&with) || stored.len() > bare.len() + 1 && is(&Sha256::digest(stored)))
}

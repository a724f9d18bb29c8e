//! The documents that the editor has open, and where in them the user was last.

use std::time::Duration;

use tokio::time::Instant;
use tower_lsp_server::ls_types::{Position, Range};

use super::layout::Layout;
use super::text::{AnchorId, Document, Gravity, Language};
use super::{Plain, Severity, wire};
use crate::ids::{self, SessionId};

/// The most documents.
const MOST: usize = 256;

/// The most bytes of all together.
const MOST_BYTES: usize = 128 << 20;

/// How long an edit that the editor says it made may take to be seen.
pub(super) const SEEN: Duration = Duration::from_secs(3);

/// A document.
pub(super) struct Open {
    pub(super) document: Document,
    /// Where the user was last.
    at: Option<AnchorId>,
    /// Its session, as far as that was seen.
    pub(super) session: Option<SessionId>,
    /// What the kernel has for it is not known yet: until then nothing is put in.
    pub(super) resuming: bool,
    /// An edit was made and is not seen yet.
    pub(super) settling: Option<Settling>,
    /// Something is shown as failed.
    pub(super) diagnosed: bool,
    /// What the kernel calls the buffer. Without a file, others of the same name are other buffers.
    pub(super) buffer: String,
}

/// What is to be seen before the next edit.
pub(super) struct Settling {
    pub(super) mark: Option<Mark>,
    /// The version that the edit was for.
    pub(super) version: i32,
    pub(super) until: Instant,
}

/// By what an edit is known.
#[derive(Clone, Debug)]
pub(super) enum Mark {
    Event(String),
    Act(String),
}

impl Mark {
    pub(super) fn is_in(&self, layout: &Layout<'_>) -> bool {
        match self {
            Self::Event(event) => layout.prompt_of(event).is_some(),
            Self::Act(actuation) => layout.has_act(actuation),
        }
    }
}

impl Open {
    /// Its text, if it is one that chats can be in.
    pub(super) fn text(&self) -> Option<(String, Language)> {
        Some((self.document.text().ok()?, self.document.language()?))
    }

    /// Where the user was last.
    pub(super) fn at(&self) -> Option<usize> {
        self.document.at(self.at?).map(|anchor| anchor.offset)
    }

    fn seen(&mut self, position: Position) {
        let Ok(offset) = self.document.offset(position) else { return };
        if let Some(old) = self.at.take() {
            self.document.release(old);
        }
        self.at = Some(self.document.anchor(offset, Gravity::Behind));
    }

    pub(super) fn settle(&mut self, mark: Option<Mark>, version: i32, now: Instant) {
        self.settling = Some(Settling { mark, version, until: now + SEEN });
        self.look();
    }

    /// Looks whether the last edit is seen.
    fn look(&mut self) {
        let Some(settling) = &self.settling else { return };
        let seen = match (&settling.mark, self.text()) {
            (Some(mark), Some((text, language))) => mark.is_in(&Layout::new(&text, language)),
            _ => self.document.version() != settling.version,
        };
        if seen {
            self.settling = None;
        }
    }
}

impl Plain {
    pub(super) fn opened(&mut self, params: wire::DidOpen, now: Instant) {
        let wire::Opened { uri, language_id, version, text } = params.text_document;
        if self.documents.remove(&uri).is_some() {
            self.grounded(&uri);
        }
        if self.documents.len() >= MOST || self.bytes() + text.len() > MOST_BYTES {
            tracing::warn!(%uri, "too much is open: this document is not looked at");
            self.overfull = true;
            return;
        }
        let buffer = match (path(&uri), ids::token()) {
            (Some(path), _) => path,
            (None, Ok(token)) => format!("{uri} ({})", &token[..token.floor_char_boundary(8)]),
            (None, Err(_)) => uri.clone(),
        };
        let open = Open {
            document: Document::open(&uri, &language_id, version, &text, self.features.encoding),
            at: None,
            session: None,
            resuming: false,
            settling: None,
            diagnosed: false,
            buffer,
        };
        self.documents.insert(uri.clone(), open);
        self.last = Some(uri.clone());
        self.take_up(&uri, now);
    }

    pub(super) fn changed(&mut self, params: wire::DidChange, now: Instant) {
        let wire::Named { uri, version } = params.text_document;
        let flying = self.is_flying(&uri);
        let Some(open) = self.documents.get_mut(&uri) else {
            tracing::warn!(%uri, "a document changed that is not open");
            return;
        };
        let version = version.unwrap_or_else(|| open.document.version().wrapping_add(1));
        open.document.change(version, &params.content_changes);
        // What an edit of ours changed, the user did not.
        if !flying && open.settling.is_none() {
            if let Some(range) = params.content_changes.last().and_then(|change| change.range) {
                let text =
                    params.content_changes.last().map(|change| change.text.as_str()).unwrap_or_default();
                let lines = text.matches('\n').count();
                let line = range.start.line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
                let position = if lines == 0 { range.start } else { Position::new(line, 0) };
                open.seen(position);
            }
            self.last = Some(uri.clone());
        }
        if self.bytes() > MOST_BYTES {
            tracing::warn!(%uri, "the open documents are too large: this one is not looked at any more");
            self.overfull = true;
            self.documents.remove(&uri);
            return;
        }
        if let Some(open) = self.documents.get_mut(&uri) {
            open.look();
        }
        self.look_for_edits(&uri, now);
        self.work(&uri, now);
    }

    pub(super) fn closed(&mut self, params: wire::About, now: Instant) {
        let uri = params.text_document.uri;
        self.documents.remove(&uri);
        self.grounded(&uri);
        if self.last.as_ref() == Some(&uri) {
            self.last = None;
        }
        // It may have been given another name, and be open under that already.
        let mut moved = Vec::new();
        for turn in self.turns.values_mut().filter(|turn| turn.uri == uri && turn.session.is_some()) {
            let other = self.documents.iter().find(|(_, open)| open.session == turn.session);
            if let Some((other, _)) = other {
                turn.uri.clone_from(other);
                moved.push(other.clone());
            }
        }
        for other in moved {
            self.work(&other, now);
        }
    }

    /// The user is in this document, there.
    pub(super) fn seen(&mut self, uri: &str, position: Option<Position>) {
        let Some(open) = self.documents.get_mut(uri) else { return };
        self.last = Some(uri.to_owned());
        if let Some(position) = position {
            open.seen(position);
        }
    }

    /// The document that a command is about: the one it names, else the last one.
    pub(super) fn meant(&mut self, uri: Option<String>) -> Option<String> {
        let only = || (self.documents.len() == 1).then(|| self.documents.keys().next().cloned()).flatten();
        // The user's own key or script may spell the name of the same file in another way than the editor does.
        let known = |uri: String| {
            let same =
                |other: &&String| **other == uri || path(other).is_some_and(|file| path(&uri) == Some(file));
            let found = self.documents.keys().find(same).cloned();
            found.unwrap_or(uri)
        };
        let uri = uri.map(known).or_else(|| self.last.clone()).or_else(only);
        match uri {
            Some(uri) if self.documents.contains_key(&uri) => Some(uri),
            _ => {
                let why = match self.overfull {
                    true => {
                        "This file is not looked at: too much was open when it was opened (at most 256 files, and \
                         128 MiB). Close some, and open it again."
                    }
                    false => "No Org or Markdown file is open here: open one first.",
                };
                self.say(Severity::Warning, why);
                None
            }
        }
    }

    /// The range of some bytes, for the editor.
    pub(super) fn range(&self, uri: &str, bytes: std::ops::Range<usize>) -> Option<Range> {
        self.documents.get(uri)?.document.range(bytes).ok()
    }

    fn bytes(&self) -> usize {
        self.documents.values().map(|open| open.document.size().unwrap_or_default()).sum()
    }
}

/// The path that a `file:` URI stands for.
pub(super) fn path(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = match rest.strip_prefix("//") {
        Some(rest) => &rest[rest.find('/')?..],
        None => rest,
    };
    decoded(path).filter(|path| path.starts_with('/') && !path.contains('\0'))
}

/// What stands behind `%`, decoded. Nothing if that is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|two| two.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.filter(|_| bytes[at] == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (uri, expected) in [
            ("file:///tmp/a.org", Some("/tmp/a.org")),
            ("file:///tmp/Gr%C3%BC%c3%9fe%20%25.org", Some("/tmp/Grüße %.org")),
            ("FILE://host/tmp/a", Some("/tmp/a")),
            ("file:/tmp/a", Some("/tmp/a")),
            ("file:///a%2", Some("/a%2")),
            ("file:///a%zz", Some("/a%zz")),
            ("file:///%ff", None),
            ("file:///%00", None),
            ("file://host", None),
            ("file:a", None),
            ("untitled:Untitled-1", None),
            ("", None),
        ] {
            assert_eq!(path(uri).as_deref(), expected, "{uri}");
        }
    }
}

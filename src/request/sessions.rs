//! What clients want done with sessions.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::ids::{SessionId, TurnId};

/// Something to be done with sessions. The answer is JSON in the shape of the wire protocol.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionTask {
    /// Make one. The answer is the session.
    Create(NewSession),
    /// Change one. The answer is the session.
    Change(SessionId, Change),
    /// Delete one. The answer is `{deleted, sessionId, org}` with its transcript.
    Delete(SessionId),
    /// Copy one, or its beginning. The answer is the copy.
    Fork {
        /// Which one.
        session: SessionId,
        /// The last message of the copy, by its identifier or what stands for it in buffers; nothing: all.
        at: Option<String>,
        /// Other texts for messages, by what stands for them in buffers.
        edits: BTreeMap<String, String>,
        /// The title and the buffer of the copy; without them, those of the session.
        new: NewSession,
    },
    /// Answer the last message of one again. The answer is `{sessionId, messageId, mark, turnId, variants}`.
    Regenerate {
        /// Which one.
        session: SessionId,
        /// The message, or an answer to it, by identifier or what stands for it in buffers.
        message: Option<String>,
    },
    /// Make sessions of transcripts. The answer is `{items}`, the sessions.
    Import {
        /// The text, Org.
        org: String,
        /// What it was read from.
        name: String,
        /// The buffer of the sessions.
        buffer: Option<String>,
    },
}

/// A session to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSession {
    /// Its buffer.
    pub buffer: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A change of a session as a whole.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Another title.
    Rename(String),
    /// Put away, or taken out again.
    Archive(bool),
    /// Another group, if `group` says so, and other tags, if `tags` does.
    Label {
        /// `Some(None)`: no group.
        group: Option<Option<String>>,
        /// All of the tags.
        tags: Option<Vec<String>>,
    },
    /// No turn begins until it goes on, or it goes on.
    Pause(bool),
    /// The user is done with it.
    Complete,
    /// What clients keep with it.
    Context {
        /// All of it; if it is merged, what becomes another, and null what goes.
        values: Map<String, Value>,
        /// Whether what is not named stays.
        merge: bool,
    },
    /// A state to come back to, by its name.
    Checkpoint(String),
    /// Back to the state of this name.
    Restore(String),
    /// Of the answers to its last message, that of this turn counts.
    Choose(TurnId),
    /// The user has seen the messages up to this one.
    Read(String),
    /// Another model answers from now on.
    Model {
        /// Which one; nothing: the one that is configured.
        name: Option<String>,
        /// Whether that is kept beyond the session; with no name: whether what was kept is forgotten.
        remember: bool,
    },
}

/// What to look for in all messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Words; all of them must be there. A last `*` of a word stands for any end, words in double quotes for a phrase.
    pub text: String,
    /// Only in this session.
    pub session: Option<SessionId>,
    /// Only messages of this role.
    pub role: Option<String>,
    /// Only in turns that this skill was for.
    pub skill: Option<String>,
    /// Only messages since this time, Unix milliseconds.
    pub since: Option<u64>,
    /// Only messages before this time, Unix milliseconds.
    pub until: Option<u64>,
    /// The most items; absent: 20, and never more than 100.
    pub limit: Option<u32>,
}

//! The wire types of sessions: lists, what is done with one, and what a client that comes back lacks.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::convert::{MAX_NAME, MAX_TEXT, identifier, within};
use crate::error::{Error, Result};
use crate::event::{Page, Query, SessionTask};
use crate::ids::SessionId;
use crate::request::{Change, NewSession, Search, Sessions};
use crate::transcript;

/// The sessions: request.
pub const LIST: &str = "orgAgent/sessions/list";
/// One session: request.
pub const GET: &str = "orgAgent/sessions/get";
/// A session's messages: request.
pub const MESSAGES: &str = "orgAgent/sessions/messages";
/// A session's actions: request.
pub const ACTIONS: &str = "orgAgent/sessions/actions";
/// A session's checkpoints: request.
pub const CHECKPOINTS: &str = "orgAgent/sessions/checkpoints";
/// Makes a session: request.
pub const CREATE: &str = "orgAgent/sessions/create";
/// Gives a session another title: request.
pub const RENAME: &str = "orgAgent/sessions/rename";
/// Puts a session away: request.
pub const ARCHIVE: &str = "orgAgent/sessions/archive";
/// Gives a session a group and tags: request.
pub const LABEL: &str = "orgAgent/sessions/label";
/// Lets no turn begin: request.
pub const PAUSE: &str = "orgAgent/sessions/pause";
/// The user is done with a session: request.
pub const COMPLETE: &str = "orgAgent/sessions/complete";
/// Keeps values with a session: request.
pub const CONTEXT: &str = "orgAgent/sessions/context";
/// Makes a state to come back to: request.
pub const CHECKPOINT: &str = "orgAgent/sessions/checkpoint";
/// Takes a session back to such a state: request.
pub const RESTORE: &str = "orgAgent/sessions/restore";
/// The user has seen messages: request.
pub const READ: &str = "orgAgent/sessions/read";
/// Deletes a session: request.
pub const DELETE: &str = "orgAgent/sessions/delete";
/// Copies a session: request.
pub const FORK: &str = "orgAgent/sessions/fork";
/// Looks for words in all messages: request.
pub const SEARCH: &str = "orgAgent/sessions/search";
/// A session as Org: request.
pub const EXPORT: &str = "orgAgent/sessions/export";
/// Org as sessions: request.
pub const IMPORT: &str = "orgAgent/sessions/import";
/// Something was done with a session: notification to the client.
pub const SESSIONS_CHANGED: &str = "orgAgent/sessions/changed";

/// The most edits of a fork, and the most bytes of an imported text.
const MAX_EDITS: usize = 1_000;
const MAX_ORG: usize = 16 << 20;

/// [`LIST`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ListParams {
    /// Only sessions of this status: `active`, `running`, `paused`, `completed`, `failed`, or `archived`.
    pub status: Option<String>,
    /// Only sessions of this buffer.
    pub buffer: Option<String>,
    /// Only sessions that are archived, or that are not.
    pub archived: Option<bool>,
    /// Only sessions of this group.
    pub group: Option<String>,
    /// Only sessions with this tag.
    pub tag: Option<String>,
    /// Only sessions with these words in their titles.
    pub title: Option<String>,
    /// Only sessions in which something last happened since this time, Unix milliseconds.
    pub since: Option<u64>,
    /// Only sessions in which something last happened before this time, Unix milliseconds.
    pub until: Option<u64>,
    /// `true`: the one in which something happened last comes first. Absent: the last made.
    pub recent: Option<bool>,
    /// The most items.
    pub limit: Option<u32>,
    /// `nextCursor` of the part before.
    pub cursor: Option<String>,
}

impl ListParams {
    /// The question.
    ///
    /// # Errors
    /// `bad_request` for a status that there is not.
    pub fn from_wire(self) -> Result<Query> {
        const STATUSES: [&str; 6] = ["active", "running", "paused", "completed", "failed", "archived"];
        let page = Page { limit: self.limit, cursor: self.cursor };
        if let Some(status) = &self.status
            && !STATUSES.contains(&status.as_str())
        {
            return Err(Error::bad_request("status: there is no such status")
                .hint(format!("one of {}", STATUSES.join(", "))));
        }
        let Self { status, buffer, archived, group, tag, title, since, until, recent, .. } = self;
        let recent = recent.unwrap_or_default();
        Ok(Query::Sessions {
            which: Sessions { status, buffer, archived, group, tag, title, since, until, recent },
            page,
        })
    }
}

/// [`GET`], [`COMPLETE`], [`DELETE`] and [`EXPORT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct GetParams {
    /// Which session.
    pub session_id: String,
}

impl GetParams {
    /// Which session.
    ///
    /// # Errors
    /// `bad_request` if it is no identifier.
    pub fn session(self) -> Result<SessionId> {
        session(self.session_id)
    }

    /// The question.
    ///
    /// # Errors
    /// `bad_request` if it is no identifier.
    pub fn from_wire(self) -> Result<Query> {
        self.session().map(Query::Session)
    }
}

/// [`ACTIONS`] and [`CHECKPOINTS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ItemsParams {
    /// Which session.
    pub session_id: String,
    /// The most items.
    pub limit: Option<u32>,
    /// `nextCursor` of the part before.
    pub cursor: Option<String>,
}

impl ItemsParams {
    /// Which session, and which part of its list.
    ///
    /// # Errors
    /// `bad_request` if it is no identifier.
    pub fn from_wire(self) -> Result<(SessionId, Page)> {
        let page = Page { limit: self.limit, cursor: self.cursor };
        session(self.session_id).map(|id| (id, page))
    }
}

/// [`MESSAGES`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct MessagesParams {
    /// Which session.
    pub session_id: String,
    /// Whether the parts begin with the last messages and go backwards.
    pub last: Option<bool>,
    /// The most items.
    pub limit: Option<u32>,
    /// `nextCursor` of the part before.
    pub cursor: Option<String>,
}

impl MessagesParams {
    /// The question.
    ///
    /// # Errors
    /// `bad_request` if it is no identifier.
    pub fn from_wire(self) -> Result<Query> {
        let page = Page { limit: self.limit, cursor: self.cursor };
        let id = session(self.session_id)?;
        Ok(if self.last.unwrap_or_default() {
            Query::LastMessages(id, page)
        } else {
            Query::Messages(id, page)
        })
    }
}

/// [`CREATE`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CreateParams {
    /// Its buffer; without it, the chat buffer.
    pub buffer: Option<String>,
    /// Its title; without it, one is made from its first message.
    pub title: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// Its tags.
    pub tags: Option<Vec<String>>,
}

impl CreateParams {
    fn checked(self) -> Result<NewSession> {
        let Self { buffer, title, group, tags } = self;
        if let Some(buffer) = &buffer {
            within("buffer", buffer, 1, MAX_NAME)?;
        }
        Ok(NewSession { buffer, title, group, tags: tags.unwrap_or_default() })
    }

    /// The task.
    ///
    /// # Errors
    /// `bad_request`, naming the field.
    pub fn from_wire(self) -> Result<SessionTask> {
        self.checked().map(SessionTask::Create)
    }
}

/// [`RENAME`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RenameParams {
    /// Which session.
    pub session_id: String,
    /// The title, one line of at most 200 characters.
    pub title: String,
}

/// [`ARCHIVE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ArchiveParams {
    /// Which session.
    pub session_id: String,
    /// `false` takes it out again.
    pub archived: Option<bool>,
}

/// [`LABEL`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LabelParams {
    /// Which session.
    pub session_id: String,
    /// Its group, `null` for none; absent: as it is.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub group: Option<Option<String>>,
    /// All of its tags; absent: as they are.
    pub tags: Option<Vec<String>>,
}

/// [`PAUSE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PauseParams {
    /// Which session.
    pub session_id: String,
    /// `false` lets it go on.
    pub paused: Option<bool>,
}

/// [`CONTEXT`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ContextParams {
    /// Which session.
    pub session_id: String,
    /// All that is kept, at most 64 KiB.
    pub values: Map<String, Value>,
    /// `true`: what is not named in `values` stays as it is, and what is null there goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<bool>,
}

/// [`CHECKPOINT`] and [`RESTORE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CheckpointParams {
    /// Which session.
    pub session_id: String,
    /// The name of the state, one line of at most 100 characters.
    pub name: String,
}

/// [`READ`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReadParams {
    /// Which session.
    pub session_id: String,
    /// The last message that was seen.
    pub message_id: String,
}

/// A change of a session, as its parameters say.
///
/// # Errors
/// `bad_request`, naming the field.
pub fn change(id: String, change: Change) -> Result<SessionTask> {
    Ok(SessionTask::Change(session(id)?, change))
}

macro_rules! changes {
    ($($params:ident => |$value:ident| $change:expr;)*) => {
        $(impl $params {
            /// The task.
            ///
            /// # Errors
            /// `bad_request`, naming the field.
            pub fn from_wire(self) -> Result<SessionTask> {
                let $value = self;
                change($value.session_id, $change)
            }
        })*
    };
}

changes! {
    RenameParams => |it| Change::Rename(it.title);
    ArchiveParams => |it| Change::Archive(it.archived.unwrap_or(true));
    LabelParams => |it| Change::Label { group: it.group, tags: it.tags };
    PauseParams => |it| Change::Pause(it.paused.unwrap_or(true));
    ContextParams => |it| Change::Context { values: it.values, merge: it.merge.unwrap_or_default() };
    ReadParams => |it| Change::Read(it.message_id);
}

/// [`FORK`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ForkParams {
    /// Which session.
    pub session_id: String,
    /// The last message of the copy: its identifier, or what stands for it in the buffer; absent: all that was said.
    pub message_id: Option<String>,
    /// Other texts for messages, by what stands for them in the buffer: at most 1,000, each at most 1 MiB.
    pub edits: Option<BTreeMap<String, String>>,
    /// The copy's title; absent: that of the session.
    pub title: Option<String>,
    /// The copy's buffer; absent: that of the session.
    pub buffer: Option<String>,
}

impl ForkParams {
    /// The task.
    ///
    /// # Errors
    /// `bad_request`, naming the field.
    pub fn from_wire(self) -> Result<SessionTask> {
        let edits = self.edits.unwrap_or_default();
        if edits.len() > MAX_EDITS {
            return Err(Error::bad_request(format!("edits: more than {MAX_EDITS}")));
        }
        for (mark, text) in &edits {
            within(&format!("edits.{mark}"), text, 0, MAX_TEXT)?;
        }
        let new = CreateParams { buffer: self.buffer, title: self.title, ..CreateParams::default() };
        Ok(SessionTask::Fork {
            session: session(self.session_id)?,
            at: self.message_id.map(|id| identifier("messageId", id)).transpose()?,
            edits,
            new: new.checked()?,
        })
    }
}

/// [`SEARCH`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SearchParams {
    /// Words that the messages have, all of them; `word*` for any end, `"two words"` for a phrase.
    pub query: String,
    /// Only in this session.
    pub session_id: Option<String>,
    /// Only messages of this role.
    pub role: Option<String>,
    /// Only in turns that this skill was for.
    pub skill: Option<String>,
    /// Only messages since this time, Unix milliseconds.
    pub since: Option<u64>,
    /// Only messages before this time, Unix milliseconds.
    pub until: Option<u64>,
    /// The most items; 20 if absent, at most 100.
    pub limit: Option<u32>,
    /// `nextCursor` of the part before.
    pub cursor: Option<String>,
}

impl SearchParams {
    /// The question.
    ///
    /// # Errors
    /// `bad_request`, naming the field.
    pub fn from_wire(self) -> Result<Query> {
        within("query", &self.query, 0, MAX_NAME)?;
        let search = Search {
            text: self.query,
            session: self.session_id.map(session).transpose()?,
            role: self.role,
            skill: self.skill,
            since: self.since,
            until: self.until,
            limit: self.limit,
        };
        Ok(Query::Search(search, self.cursor))
    }
}

/// [`IMPORT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ImportParams {
    /// The text, at most 16 MiB.
    pub org: String,
    /// What it was read from, for people.
    pub name: Option<String>,
    /// The buffer of the sessions; without it, the chat buffer.
    pub buffer: Option<String>,
}

impl ImportParams {
    /// The task.
    ///
    /// # Errors
    /// `bad_request`, naming the field.
    pub fn from_wire(self) -> Result<SessionTask> {
        within("org", &self.org, 1, MAX_ORG.min(transcript::MAX_BYTES))?;
        if let Some(buffer) = &self.buffer {
            within("buffer", buffer, 1, MAX_NAME)?;
        }
        let name = self.name.unwrap_or_else(|| "a transcript".to_owned());
        within("name", &name, 1, MAX_NAME)?;
        Ok(SessionTask::Import { org: self.org, name, buffer: self.buffer })
    }
}

/// [`SESSIONS_CHANGED`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SessionsChangedParams {
    /// Which session.
    pub session_id: String,
    /// The types of the events that say what was done.
    pub changes: Vec<String>,
}

impl SessionsChangedParams {
    /// The notification.
    #[must_use]
    pub fn to_wire(session: &SessionId, changes: &[&str]) -> Self {
        Self {
            session_id: session.0.clone(),
            changes: changes.iter().map(|change| (*change).to_owned()).collect(),
        }
    }
}

/// [`super::RESUME`] and others: which session.
pub(super) fn session(id: String) -> Result<SessionId> {
    identifier("sessionId", id).map(SessionId)
}

/// What is there, also if it is `null`.
fn present<'de, D: Deserializer<'de>>(value: D) -> std::result::Result<Option<Option<String>>, D::Error> {
    Option::deserialize(value).map(Some)
}

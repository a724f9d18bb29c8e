//! What clients ask and say, and what they are answered: plain data, no channels and no JSON.

mod sessions;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::ids::{ActuationId, EventId, SessionId, TurnId};
use crate::record::{Attachment, AttachmentKind, Decision, Location, Outcome};
use crate::shell::Step;

pub use sessions::{Change, NewSession, Search, SessionTask};

/// The deepest heading a text may stand under.
pub const MAX_LEVEL: u32 = 64;

/// A chat message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// The client's own identifier for it; sent again, it names the same message.
    pub client_id: String,
    /// The session, if the client knows it.
    pub session: Option<SessionId>,
    /// The buffer it was written in.
    pub buffer: Option<String>,
    /// The user's words.
    pub text: String,
    /// The level of the prompt's heading, 1 to [`MAX_LEVEL`].
    pub level: u32,
    /// What the user attached.
    pub context: Vec<Attachment>,
    /// Where the session is.
    pub location: Option<Location>,
    /// The turn that is to make way for it.
    pub steers: Option<TurnId>,
    /// The SHA-256 of earlier texts as they stand in the client's buffer, by what stands for them there.
    pub hashes: BTreeMap<String, String>,
}

impl ChatMessage {
    /// The region that it is the instruction for, if it is a rewrite.
    #[must_use]
    pub fn rewritten(&self) -> Option<&Attachment> {
        self.context.iter().find(|item| item.kind == AttachmentKind::Rewrite)
    }
}

/// The answer to a chat message, given once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The logged event.
    pub event: EventId,
    /// Its session.
    pub session: SessionId,
    /// The turn that answers it.
    pub turn: TurnId,
    /// Its Lamport time.
    pub lamport: u64,
    /// Whether the same message had been sent before.
    pub duplicate: bool,
    /// Of the earlier texts, those that stand in the buffer with other words than they were said.
    pub edited: Vec<String>,
}

/// The user's decision about an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decide {
    /// Which action.
    pub actuation: ActuationId,
    /// What they chose.
    pub choice: Choice,
    /// The command as they edited it.
    pub command: Option<String>,
    /// Whether they let it use the network.
    pub network: bool,
    /// Whether the client runs it by itself, outside the sandbox.
    pub unconfined: bool,
    /// Their words to the model, with a denial.
    pub message: Option<String>,
}

/// What a user can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Run it this once.
    Run,
    /// Do not run it.
    Deny,
    /// Run it, and remember.
    Always,
}

/// What came of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Allowed, asked again, or denied.
    pub decision: Decision,
    /// Present if it may run: to be given back with the outcome.
    pub token: Option<String>,
    /// The programs that will run, if that is certain.
    pub steps: Option<Vec<Step>>,
    /// The rule that decided.
    pub rule: String,
    /// Whether a rule was saved, if one was to be.
    pub saved: Option<bool>,
    /// Why not.
    pub hint: Option<String>,
}

/// Live output of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Which action.
    pub actuation: ActuationId,
    /// The number of this piece, from 1.
    pub seq: u64,
    /// Whether it is standard error.
    pub stderr: bool,
    /// The text.
    pub text: String,
}

/// A client's report about an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actuated {
    /// Which action.
    pub actuation: ActuationId,
    /// The token of the decision, if there was one.
    pub token: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
}

/// A client that comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The session.
    pub session: SessionId,
    /// The inserts it has.
    pub applied: Vec<ActuationId>,
    /// Interrupted turns to run again, each as a new turn.
    pub turns: Vec<TurnId>,
    /// Interrupted turns that the user wants no answer to.
    pub drop: Vec<TurnId>,
}

/// A question about what is recorded. Answers are JSON in the shape of the wire protocol: they are
/// views, made for reading, and nothing in the kernel depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The sessions, newest first.
    Sessions {
        /// Which of them.
        which: Sessions,
        /// Which part of the list.
        page: Page,
    },
    /// One session.
    Session(SessionId),
    /// A session's messages, oldest first.
    Messages(SessionId, Page),
    /// A session's last messages, oldest first; the parts go backwards.
    LastMessages(SessionId, Page),
    /// The answers to a message of a session, or to its last one.
    Variants(SessionId, Option<String>),
    /// A session's checkpoints, oldest first.
    Checkpoints(SessionId, Page),
    /// A session's actions, oldest first.
    Actions(SessionId, Page),
    /// Messages with these words, and where the last part of the answer ended.
    Search(Search, Option<String>),
    /// A session's transcript as Org.
    Export(SessionId),
    /// Everything behind a turn; as Org as well, if it is wanted.
    WhyTurn(TurnId, bool),
    /// Everything behind an action; as Org as well, if it is wanted.
    WhyActuation(ActuationId, bool),
    /// The models that can be chosen, and which of them answers in a session.
    Models {
        /// The session.
        session: Option<SessionId>,
        /// Which part of the list.
        page: Page,
        /// Whether to look for servers on this machine first.
        look: bool,
    },
    /// The skills, by descending priority: the user's, or those of a session in a directory.
    Skills(Page, Option<PathBuf>),
    /// One skill, by its name; among which, as above.
    Skill(String, Option<PathBuf>),
    /// What the server and its skills say of themselves, as above.
    Capabilities(Page, Option<PathBuf>),
    /// What is to be looked at before it is trusted, in a file or all, of the project in a directory.
    Untrusted(Option<String>, PathBuf),
}

/// Which sessions; without anything, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Only those of this status; `archived` is one here. Those of another one are not archived, unless they are asked
    /// for.
    pub status: Option<String>,
    /// Only those of this buffer.
    pub buffer: Option<String>,
    /// Only those that are, or are not.
    pub archived: Option<bool>,
    /// Only those of this group.
    pub group: Option<String>,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those with these words in the title, the first eight of them, in any case.
    pub title: Option<String>,
    /// Only those in which something happened since this time, Unix milliseconds.
    pub since: Option<u64>,
    /// Only those in which nothing happened since this time, Unix milliseconds.
    pub until: Option<u64>,
    /// The one in which something happened last comes first, not the one that was made last.
    pub recent: bool,
}

/// A decision about a skill of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Where the project is.
    pub directory: PathBuf,
    /// The note or the `SKILL.md`, as it is shown.
    pub file: String,
    /// The hash of what was looked at and is trusted; `None`: it is trusted no more.
    pub sha256: Option<String>,
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The most items; absent: 50, and never more than 500.
    pub limit: Option<u32>,
    /// Where the last part ended.
    pub cursor: Option<String>,
}

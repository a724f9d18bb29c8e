//! Everything that can start work: one closed enum, and the questions and answers it carries.
//!
//! The edge turns requests into events and waits for the [`Reply`]; it never touches the kernel's state.

use std::collections::BTreeMap;

use futures::channel::oneshot;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::ids::{ActuationId, EventId, SessionId, TurnId};
use crate::model::{Failure, Piece};
use crate::outgoing::Actuation;
use crate::record::{Attachment, Decision, Outcome};

/// What the kernel's loop is woken by.
#[derive(Debug)]
pub enum Event {
    /// A client introduced itself. Its secrets live in memory only.
    Hello(BTreeMap<String, String>),
    /// The user said something.
    Chat(ChatMessage, Reply<Receipt>),
    /// A turn is to stop. The answer says whether it was still running or queued.
    Cancel(TurnId, Reply<bool>),
    /// The user decided about an action.
    Decide(Decide, Reply<Decided>),
    /// A running command wrote something.
    Output(Output),
    /// An action was carried out, or not.
    Actuated(Actuated, Reply<()>),
    /// The client answered an actuation with a refusal or an error: for a question that means no.
    Refused(ActuationId, String),
    /// A client wants to read something.
    Read(Query, Reply<Value>),
    /// A client comes back and says what it has.
    Resume(Resume, Reply<Resumed>),
    /// A model wrote something, or ended. `None`: the stream stopped without its end mark.
    Model {
        /// For which turn.
        turn: TurnId,
        /// For which of its model calls.
        attempt: u32,
        /// What came.
        piece: Option<Result<Piece, Failure>>,
    },
    /// The time has come to make a failed model call again.
    Retry(TurnId),
    /// Preview text is due.
    Tick,
    /// The store wrote everything up to this ticket to disk, or could not.
    Committed(Result<u64>),
    /// The line is closing: commit what is pending and stop.
    Stop(Reply<()>),
}

/// Where an answer goes. Dropping it unanswered answers with an internal error at the other end.
#[derive(Debug)]
pub struct Reply<T>(oneshot::Sender<Result<T>>);

/// Where an answer comes from.
#[derive(Debug)]
pub struct Answer<T>(oneshot::Receiver<Result<T>>);

/// A fresh pair.
#[must_use]
pub fn reply<T>() -> (Reply<T>, Answer<T>) {
    let (sender, receiver) = oneshot::channel();
    (Reply(sender), Answer(receiver))
}

impl<T> Reply<T> {
    /// Answers. If nobody waits any more, the answer is dropped.
    pub fn send(self, result: Result<T>) {
        // The receiver may have been cancelled; what was asked for is done and recorded all the same.
        drop(self.0.send(result));
    }
}

impl<T> Answer<T> {
    /// Waits for the answer.
    pub async fn get(self) -> Result<T> {
        self.0.await.unwrap_or_else(|_| {
            Err(Error::internal("the kernel dropped this request").hint("see the log of the server"))
        })
    }
}

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
    /// The level of the prompt's heading, at least 1.
    pub level: u32,
    /// What the user attached.
    pub context: Vec<Attachment>,
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
    /// The rule that decided.
    pub rule: String,
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
}

/// What a client that comes back lacks.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The session.
    pub session: SessionId,
    /// Inserts that are permitted and not reported as applied, oldest first.
    pub actuations: Vec<Actuation>,
    /// Turns that were cut off and are not resumed, with the message each should have answered.
    pub interrupted: Vec<(TurnId, EventId)>,
    /// Turns that run again: the interrupted one and the new one.
    pub resumed: Vec<(TurnId, TurnId)>,
    /// Turns that wait or are under way.
    pub live: Vec<TurnId>,
}

/// A question about what is recorded. Answers are JSON in the shape of the wire protocol: they are
/// views, made for reading, and nothing in the kernel depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The sessions, newest first.
    Sessions {
        /// Only those of this status.
        status: Option<String>,
        /// Only those of this buffer.
        buffer: Option<String>,
        /// Which part of the list.
        page: Page,
    },
    /// One session.
    Session(SessionId),
    /// A session's messages, oldest first.
    Messages(SessionId, Page),
    /// A session's actions, oldest first.
    Actions(SessionId, Page),
    /// Everything behind a turn.
    WhyTurn(TurnId),
    /// Everything behind an action.
    WhyActuation(ActuationId),
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The most items; absent: 50, and never more than 500.
    pub limit: Option<u32>,
    /// Where the last part ended.
    pub cursor: Option<String>,
}

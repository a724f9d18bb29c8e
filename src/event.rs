//! Everything that can start work: one closed enum, and the questions and answers it carries.
//!
//! The edge turns requests into events and waits for the [`Reply`]; it never touches the kernel's state.

use std::sync::Arc;

use futures::channel::oneshot;
use serde_json::Value;

use crate::action::Action;
use crate::config::Secrets;
use crate::dispatch::{Cast, Made, Refused, World};
use crate::error::{Error, Result};
use crate::ids::{ActuationId, EventId, SessionId, TurnId};
use crate::mirror::Outcome;
use crate::model::local;
use crate::outgoing::Actuation;
use crate::record::Look;
use crate::reply::{Failure, Piece};
use crate::skill::{Loaded, Shelf, Shelved};
use crate::verify::Verified;

pub use crate::request::{
    Actuated, ChatMessage, Choice, Decide, Decided, Output, Page, Query, Receipt, Resume, SessionTask, Trust,
};

/// What the kernel's loop is woken by.
#[derive(Debug)]
pub enum Event {
    /// A client introduced itself.
    Hello {
        /// What it knows and the environment does not; kept in memory only.
        secrets: Secrets,
        /// Whether it takes over what an earlier server left unfinished.
        recover: bool,
        /// Whether it runs commands; if not, the server does.
        runs: bool,
    },
    /// Whether the client runs commands, as it turns out later.
    Runs(bool),
    /// The user said something.
    Chat(ChatMessage, Reply<Receipt>),
    /// What would be sent for this is to be shown, and nothing done; as Org as well, if that is wanted.
    Rehearse(ChatMessage, bool, Reply<Value>),
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
    /// The client received an action.
    Received(ActuationId),
    /// A client is done with a session: other servers may have it, unless there is work to do in it.
    Release(SessionId, Reply<()>),
    /// Something is to be done with sessions.
    Session(SessionTask, Reply<Value>),
    /// Transcripts were written into the mirror, or could not be.
    Mirrored(Vec<(SessionId, Result<Outcome>)>),
    /// It was looked which model servers there are on this machine.
    Looked(Vec<local::Found>),
    /// The time has come to look which sessions are kept no longer.
    Retain,
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
    /// The triggers were asked which skills a turn is for, and its prompt was begun. `None`: the evaluator panicked.
    Cast {
        /// Which turn.
        turn: TurnId,
        /// What was found.
        cast: Option<Box<Found>>,
    },
    /// A skill's prompt is one step further.
    Made {
        /// For which turn.
        turn: TurnId,
        /// How far it is.
        made: Made,
    },
    /// Gates looked at an action. `None`: the evaluator panicked.
    Gated {
        /// Of which turn.
        turn: TurnId,
        /// By which of its model calls it was proposed.
        attempt: u32,
        /// What they made of it.
        looked: Option<Box<LookedAt>>,
    },
    /// A skill, or a file of one, was loaded for a turn; or why there is none.
    Loaded {
        /// For which turn.
        turn: TurnId,
        /// What was loaded.
        loaded: std::result::Result<Loaded, String>,
    },
    /// `config.toml` may have changed.
    Configured,
    /// Notes on the disk have changed.
    Skills,
    /// The skills were read again; with who asked for that.
    Shelf(Shelved, Option<Reply<Arc<Shelf>>>),
    /// The user trusts a skill of a project, or no more; the answer is what there is then.
    Trust(Trust, Reply<Arc<Shelf>>),
    /// Notes that changed are to be read; the answer is what there is then.
    Reload(Reply<Arc<Shelf>>),
    /// The time has come to make a failed model call again.
    Retry(TurnId),
    /// Preview text is due.
    Tick,
    /// The store wrote everything up to this ticket to disk, or could not.
    Committed(Result<u64>),
    /// The line is closing: commit what is pending and stop.
    Stop(Reply<()>),
}

/// What came of a dispatch: the skills, what they were called with, which there were, and which of them began the prompt, with how far
/// it came and what it noted.
pub type Found = (Arc<Cast>, World, Shelved, Option<(String, (Made, Vec<String>))>);

/// What came of the gates: the action or who refused it, and what each made of it.
pub type LookedAt = (Result<Verified<Action>, Refused>, Vec<Look>);

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

/// What a client that comes back lacks.
#[derive(Clone, Debug)]
pub struct Resumed {
    /// The session.
    pub session: SessionId,
    /// Inserts that are permitted and not reported as applied, oldest first.
    pub actuations: Vec<Actuation>,
    /// Replies that were reported to be in the buffer and are not, by what stands for them there, oldest first.
    pub missing: Vec<String>,
    /// Turns that were cut off and are not resumed, with the message each should have answered.
    pub interrupted: Vec<(TurnId, EventId)>,
    /// Turns that run again: the interrupted one and the new one.
    pub resumed: Vec<(TurnId, TurnId)>,
    /// Turns that wait or are under way.
    pub live: Vec<TurnId>,
    /// What stands in buffers for the messages that all these turns answer, those of the inserts among them.
    pub events: Vec<(TurnId, String)>,
}

//! The chat in any editor that speaks the language server protocol, without a plugin: prompts are headings in an Org
//! or Markdown file, commands send them, and edits bring what comes.
//!
//! Towards the kernel this is one more client: it sends events and takes what is outgoing, and the kernel knows nothing of
//! it. It belongs to the serve loop, which calls it with whatever happens and owns it; nothing in it waits. What is to be
//! waited for it hands to the loop as futures ([`Plain::take_started`]), each of which ends with a [`Done`]. What it
//! writes it keeps until [`Plain::write`].
//!
//! All is bounded: documents and their bytes, turns, questions to the editor, and the time of each.

pub mod text;
pub mod layout;
pub mod features;

mod approvals;
mod asked;
mod commands;
mod complete;
mod documents;
mod edits;
mod offers;
mod out;
mod resume;
mod turns;
mod wire;

use std::collections::BTreeMap;
use std::pin::Pin;

use serde_json::{Value, json};
use tokio::time::Instant;
use tower_lsp_server::jsonrpc::{Error as RpcError, Id};

use crate::error::Result;
use crate::event::{Decided, Event, Receipt, Reply, Resumed, reply};
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::kernel::Handle;
use crate::outgoing::Outgoing;
use crate::request::{ChatMessage, Choice};

use asked::{Asked, Questions};
pub use features::Features;
use turns::Turn;

/// Something that was waited for.
#[derive(Debug)]
pub enum Done {
    /// What a prompt says was gathered: the message is complete.
    Gathered(u64, Box<ChatMessage>),
    /// A prompt was sent, or not.
    Sent(u64, Result<Receipt>),
    /// A prompt was sent again, as this turn.
    Again(u64, Result<TurnId>),
    /// The user's decision was taken.
    Decided(ActuationId, Choice, Result<Decided>),
    /// The kernel knows what came of an action, or not.
    Reported(Result<()>),
    /// A turn was cancelled.
    Cancelled(Result<bool>),
    /// A session was taken up.
    Resumed(SessionId, Result<Resumed>),
    /// Which messages there are in it.
    Messages(SessionId, Result<Value>),
    /// What is behind a turn.
    Explained(Result<Value>),
    /// What completes.
    Completed(Id, Value),
}

/// What the editor answered: the result, or the message of an error.
pub type Outcome<'a> = std::result::Result<&'a str, &'a String>;

/// What the loop waits for.
pub type Started = Pin<Box<dyn Future<Output = Done>>>;

/// The plain path, for one editor.
pub struct Plain {
    kernel: Handle,
    features: Features,
    documents: BTreeMap<String, documents::Open>,
    /// A document was turned away, as too much was open.
    overfull: bool,
    /// The document that the user was in last.
    last: Option<String>,
    /// By when they began.
    turns: BTreeMap<u64, Turn>,
    begun: u64,
    /// Prompts whose last turn failed, by their marks.
    failed: BTreeMap<String, turns::Failed>,
    /// Turns that are over, by their marks: what can be asked about.
    known: turns::Known,
    questions: Questions,
    /// Requests of the editor that wait for something.
    waiting: Vec<Id>,
    out: out::Out,
    started: Vec<Started>,
}

impl Plain {
    /// For an editor that can do this.
    #[must_use]
    pub fn new(kernel: Handle, features: Features) -> Self {
        Self {
            kernel,
            features,
            documents: BTreeMap::new(),
            overfull: false,
            last: None,
            turns: BTreeMap::new(),
            begun: 0,
            failed: BTreeMap::new(),
            known: turns::Known::default(),
            questions: Questions::default(),
            waiting: Vec::new(),
            out: out::Out::default(),
            started: Vec::new(),
        }
    }

    /// Whether nothing was sent through it yet.
    #[must_use]
    pub const fn is_unused(&self) -> bool {
        self.begun == 0
    }

    /// Takes a call, if it is one for it.
    pub fn call(&mut self, id: Option<&Id>, method: &str, params: &str) -> bool {
        let now = Instant::now();
        let result = match (method, id) {
            ("textDocument/didOpen", None) => wire::read(params).map(|it| self.opened(it, now)),
            ("textDocument/didChange", None) => wire::read(params).map(|it| self.changed(it, now)),
            ("textDocument/didClose", None) => wire::read(params).map(|it| self.closed(it, now)),
            ("textDocument/didSave", None) => Ok(()),
            ("window/workDoneProgress/cancel", None) => {
                wire::read(params).map(|it| self.progress_cancelled(&it))
            }
            ("$/cancelRequest", None) => return self.cancel_request(params),
            ("textDocument/codeAction", Some(id)) => wire::read(params).map(|it| self.code_actions(id, it)),
            ("textDocument/codeLens", Some(id)) => wire::read(params).map(|it| self.lenses(id, &it)),
            ("textDocument/completion", Some(id)) => wire::read(params).map(|it| self.complete(id, it)),
            ("workspace/executeCommand", Some(id)) => {
                wire::read(params).and_then(|it| self.execute(id, it, now))
            }
            _ => return false,
        };
        match (result, id) {
            (Ok(()), _) => {}
            (Err(error), Some(id)) => self.out.answer(id.clone(), Err(error.into()), now),
            (Err(error), None) => tracing::warn!(%error, method, "a notification was dropped"),
        }
        true
    }

    /// Takes an answer, if it is one to a question of its own.
    pub fn answer(&mut self, id: &str, outcome: Outcome<'_>) -> bool {
        let Some(asked) = self.questions.answered(id) else { return asked::is_ours(id) };
        self.answered(&asked, Some(outcome), Instant::now());
        true
    }

    fn answered(&mut self, asked: &Asked, outcome: Option<Outcome<'_>>, now: Instant) {
        match asked {
            Asked::Edit(turn) => self.edited(*turn, outcome, now),
            Asked::Approval(actuation) => self.approved(actuation, outcome),
            Asked::Progress(turn) => self.progress_created(*turn, matches!(outcome, Some(Ok(_)))),
            Asked::Link(link) => {
                if !outcome.is_some_and(|shown| shown.is_ok_and(commands::was_shown)) {
                    self.say(Severity::Info, &format!("This editor opens no links: {link}"));
                }
            }
            Asked::Nothing => {}
        }
    }

    /// Takes what the kernel sends, if it is about a turn of its own. `alone`: nobody else takes it.
    pub fn takes(&mut self, message: &Outgoing, alone: bool) -> bool {
        let (turn, session) = match message {
            Outgoing::Turn(state) => (&state.turn, Some(&state.session)),
            Outgoing::Actuate(actuation) => (&actuation.address().turn, Some(&actuation.address().session)),
            Outgoing::Delta(delta) => (&delta.turn, None),
            Outgoing::Thought(thought) => (&thought.turn, None),
            Outgoing::Retract(retract) => (&retract.turn, None),
            Outgoing::Step(step) => (&step.turn, None),
            Outgoing::Abort(_) | Outgoing::Skills(_) | Outgoing::Notice(_) | Outgoing::Session(..) => {
                return false;
            }
        };
        let known = self.key(turn).is_some();
        let adopted = !known && alone && session.is_some_and(|session| self.adopt(turn, session));
        if !known && !adopted {
            return false;
        }
        let now = Instant::now();
        match message {
            Outgoing::Turn(state) => self.advanced(state, now),
            Outgoing::Actuate(actuation) => self.actuate(actuation, now),
            // Previews and notes stay out of files that can be saved.
            _ => {}
        }
        true
    }

    /// Takes what it waited for.
    pub fn done(&mut self, done: Done) {
        let now = Instant::now();
        match done {
            Done::Gathered(turn, message) => self.gathered(turn, *message),
            Done::Sent(turn, result) => self.sent(turn, result, now),
            Done::Again(turn, result) => self.sent_again(turn, result, now),
            Done::Decided(actuation, choice, result) => self.decided(&actuation, choice, result),
            Done::Reported(result) => {
                if let Err(error) = result {
                    tracing::warn!(%error, "what came of an action could not be reported");
                }
            }
            Done::Cancelled(result) => {
                if let Err(error) = result {
                    self.say(Severity::Warning, &error.one_line());
                }
            }
            Done::Resumed(session, result) => self.resumed(&session, result, now),
            Done::Messages(session, result) => self.listed(&session, result, now),
            Done::Explained(result) => self.explained(result),
            Done::Completed(id, items) => self.respond(&id, Ok(items)),
        }
    }

    /// When something is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [self.questions.deadline(), self.out.deadline(), self.edits_deadline()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn expire(&mut self, now: Instant) {
        for asked in self.questions.expire(now) {
            tracing::warn!(?asked, "the editor did not answer in time");
            self.answered(&asked, None, now);
        }
        self.edits_due(now);
    }

    /// Moves what may be written to `out`.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        self.out.write(out, Instant::now());
    }

    /// What the loop is to wait for.
    pub fn take_started(&mut self) -> Vec<Started> {
        std::mem::take(&mut self.started)
    }

    /// Enqueues an event at once; what becomes of it is waited for.
    fn tell<T: 'static>(
        &mut self,
        event: impl FnOnce(Reply<T>) -> Event,
        done: impl FnOnce(Result<T>) -> Done + 'static,
    ) {
        let (reply, answer) = reply();
        let sent = self.kernel.send(event(reply));
        self.started.push(Box::pin(async move {
            match sent {
                Ok(()) => done(answer.get().await),
                Err(error) => done(Err(error)),
            }
        }));
    }

    /// Asks the editor something; the answer is waited for until then.
    fn ask(&mut self, method: &str, params: &Value, asked: Asked, until: Instant) {
        let (id, oldest) = self.questions.ask(asked, until);
        self.out.call(Some(&id), method, params);
        if let Some(oldest) = oldest {
            self.answered(&oldest, None, Instant::now());
        }
    }

    /// Shows the user a message.
    fn say(&mut self, severity: Severity, message: &str) {
        self.out.call(None, "window/showMessage", &json!({"type": severity as u8, "message": message}));
    }

    /// Answers a request that waited, unless it was cancelled.
    fn respond(&mut self, id: &Id, result: Result<Value>) {
        let Some(at) = self.waiting.iter().position(|waiting| waiting == id) else { return };
        self.waiting.swap_remove(at);
        self.out.answer(id.clone(), result.map_err(Into::into), Instant::now());
    }

    /// The editor wants no answer any more. A turn that was waited for is cancelled.
    fn cancel_request(&mut self, params: &str) -> bool {
        let Ok(wire::Cancel { id }) = wire::read(params) else { return false };
        let Some(at) = self.waiting.iter().position(|waiting| *waiting == id) else { return false };
        self.waiting.swap_remove(at);
        self.out.answer(id.clone(), Err(RpcError::request_cancelled()), Instant::now());
        let held = self.turns.iter().find(|(_, turn)| turn.held.as_ref() == Some(&id)).map(|(key, _)| *key);
        if let Some(key) = held {
            self.stop_turn(key);
        }
        true
    }
}

/// How much a message matters, as its number in the protocol.
#[derive(Clone, Copy, Debug)]
enum Severity {
    Error = 1,
    Warning = 2,
    Info = 3,
}

#[cfg(test)]
mod tests;

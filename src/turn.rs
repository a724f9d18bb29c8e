//! A turn as a state machine: state and input in, effects out.
//!
//! Pure: no clock of its own (times come in as durations since the kernel began), no log, no model, no
//! client. The kernel carries out the effects in their order; a record stands before what it permits, and
//! the kernel lets nothing leave before the records before it are durable.
//!
//! | phase | leaves by |
//! |---|---|
//! | queued | start, cancel |
//! | dispatching | what the skills say, cancel |
//! | summoning | the skill that the user called by its name, cancel |
//! | consulting | the answer to a skill's own question, cancel |
//! | gating | what the gates say, cancel |
//! | reading | the reply's end or failure, its first wrong byte, cancel |
//! | backing off | the time, cancel |
//! | inserting | the client's report |
//! | offering | the client's report, cancel |
//! | asking | the user's decision, the client's report, cancel |
//! | running | the client's report, cancel |
//! | ended | nothing: a turn ends exactly once |
//!
//! A turn that is steered ends where it would ask a model again.

mod act;
mod client;
mod effects;
mod preview;
mod read;
mod rewrite;
mod skills;

use std::path::PathBuf;
use std::time::Duration;

use preview::Preview;
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::chosen::Limit;
use crate::ids::{ActuationId, SessionId, TurnId, hex};
use crate::outgoing::{Delta, Outgoing, Retract, State, TurnState};
use crate::policy::{Permit, Surroundings};
use crate::prompt::HistoryItem;
use crate::record::{Approved, Decider, Decision, EndState, Record};
use crate::reply::{Failure, Piece, Trouble};
use crate::verify::{Reading, Verified};

pub use client::{DecideError, Refusal};
pub use effects::{Dispatched, Effect, Effects, Gated, Issue, Keep, Lead};
pub use rewrite::settled;
pub use skills::{called, told};

/// How often a rejected reply is asked for again.
const REPAIRS: u32 = 2;

/// How often a model call that failed for a passing reason is made again.
const RETRIES: u32 = 2;

/// The step at which a turn is stopped: each action that continues it is a step.
const LAST_STEP: u32 = 9;

/// What a turn is about; it never changes.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its identifier.
    pub turn: TurnId,
    /// Its session.
    pub session: SessionId,
    /// What stands in buffers for the message that it answers.
    pub mark: String,
    /// The session's buffer, as the model may name it.
    pub buffer: String,
    /// The level of the prompt's heading.
    pub level: u32,
    /// What the user said.
    pub said: HistoryItem,
    /// Whether it runs again: then the user said it before.
    pub again: bool,
    /// What its commands are judged by.
    pub around: Surroundings,
}

/// A turn.
#[derive(Debug)]
pub struct Turn {
    subject: Subject,
    phase: Phase,
    /// Numbers the messages to the client.
    seq: u64,
    /// Numbers the model calls.
    attempt: u32,
    step: u32,
    repairs: u32,
    /// What the model is told about its last reply, until one is accepted.
    repair: Option<String>,
    retries: u32,
    /// The models to ask, each if the one before it failed, and which of them is asked now.
    models: Vec<String>,
    model: usize,
    preview: Preview,
    /// What a skill made of the prompt, once one did.
    lead: Option<Lead>,
    /// What the model is being asked for a skill.
    question: Option<Lead>,
    /// The skill whose own words are being read in the place of a model's.
    spoken: Option<String>,
    /// Whether the model is being asked for a summary, and whether it was before: it is asked once a turn.
    summing: bool,
    summed: bool,
    /// A source of text in the prompt that is neither the user's nor ours.
    foreign: Option<String>,
    /// Where the last command that was proposed would run.
    place: PathBuf,
    /// Whether it makes way for another message before it asks a model again.
    steered: bool,
    /// What was changed in the new text of a region, in words.
    touched: Vec<&'static str>,
}

#[derive(Debug)]
enum Phase {
    Queued,
    Dispatching,
    Summoning {
        name: String,
    },
    Consulting(Box<Reply>),
    Reading(Box<Reply>),
    Gating,
    Activating {
        actuation: ActuationId,
        name: String,
    },
    BackingOff,
    Inserting {
        actuation: ActuationId,
        end: EndState,
        reason: Option<String>,
    },
    Offering {
        actuation: ActuationId,
    },
    Asking {
        actuation: ActuationId,
        action: Verified<Action>,
    },
    /// `unasked` is there as long as the client may still ask about what was allowed.
    Running {
        actuation: ActuationId,
        command: String,
        token: Option<String>,
        unasked: Option<Verified<Action>>,
    },
    Ended,
}

/// A reply while it comes.
#[derive(Debug)]
struct Reply {
    reading: Reading,
    raw: Vec<u8>,
    /// What it was written as, if that is another notation.
    original: Option<String>,
    /// The beginning of what the model thought.
    thought: String,
    asked: Duration,
    /// When its first text came, and when anything did.
    first: Option<Duration>,
    begun: Option<Duration>,
}

impl Turn {
    /// A turn that waits for its session.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            phase: Phase::Queued,
            seq: 0,
            attempt: 0,
            step: 0,
            repairs: 0,
            repair: None,
            retries: 0,
            models: Vec::new(),
            model: 0,
            preview: Preview::default(),
            lead: None,
            question: None,
            spoken: None,
            summing: false,
            summed: false,
            foreign: None,
            place: PathBuf::new(),
            steered: false,
            touched: Vec::new(),
        }
    }

    /// Notes what of the prompt is neither the user's words nor ours. What was shown once stays known.
    pub fn prompted(&mut self, foreign: Option<String>) {
        self.foreign = foreign.or(self.foreign.take());
    }

    /// Bounds what its commands may do from when it begins; whether that is less than it was. Once it has begun it gets
    /// less, but never more: what the user was shown holds.
    pub fn limit(&mut self, limit: Limit) -> bool {
        let own = &mut self.subject.around.limit;
        let before = *own;
        *own = if matches!(self.phase, Phase::Queued) { limit } else { before.max(limit) };
        *own > before
    }

    /// Notes which models may be asked, in this order.
    pub fn may_ask(&mut self, models: Vec<String>) {
        (self.models, self.model) = (models, 0);
    }

    /// The model that is asked now, if it was said which may be.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.models.get(self.model).map(String::as_str)
    }

    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The number of the current model call.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The action that the client has to report about, if there is one.
    #[must_use]
    pub fn actuation(&self) -> Option<&ActuationId> {
        match &self.phase {
            Phase::Inserting { actuation, .. }
            | Phase::Offering { actuation }
            | Phase::Asking { actuation, .. }
            | Phase::Running { actuation, .. } => Some(actuation),
            Phase::Queued
            | Phase::Dispatching
            | Phase::Summoning { .. }
            | Phase::Consulting(_)
            | Phase::Reading(_)
            | Phase::Gating
            | Phase::Activating { .. }
            | Phase::BackingOff
            | Phase::Ended => None,
        }
    }

    /// What a skill made of the prompt, if one did.
    #[must_use]
    pub fn lead(&self) -> Option<&Lead> {
        self.lead.as_ref()
    }

    /// Whether text has left for the buffer and the client has not reported it yet.
    #[must_use]
    pub fn is_inserting(&self) -> bool {
        matches!(self.phase, Phase::Inserting { .. })
    }

    /// When [`Self::tick`] has something to send.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.preview.deadline()
    }

    /// Tells the client that the turn waits.
    #[must_use]
    pub fn accepted(&mut self) -> Effects {
        vec![self.state(State::Accepted, None)]
    }

    /// Begins.
    #[must_use]
    pub fn start(&mut self) -> Effects {
        let said = self.subject.said.clone();
        let mut effects = vec![
            Effect::Record(Record::TurnStarted { turn: self.subject.turn.clone() }),
            if self.subject.again { Effect::Recall(said) } else { Effect::Remember(said) },
        ];
        self.step += 1;
        self.phase = Phase::Dispatching;
        effects.push(self.state(State::Thinking, None));
        effects.push(Effect::Dispatch);
        effects
    }

    /// Makes way for another message of the user's: before a model is asked again. What is under way is finished; what was
    /// said and done so far is history for that message.
    #[must_use]
    pub fn steer(&mut self) -> Effects {
        let mut effects = Vec::new();
        self.steered = true;
        if matches!(self.phase, Phase::BackingOff) {
            self.make_way(&mut effects);
        }
        effects
    }

    /// Ends the turn if it is to make way; whether it was.
    fn make_way(&mut self, effects: &mut Effects) -> bool {
        if self.steered {
            self.end(EndState::Done, Some("steered".to_owned()), effects);
        }
        self.steered
    }

    /// Ends the turn before it began or because nothing else can be done, with a message to the user.
    #[must_use]
    pub fn fail(&mut self, message: &str) -> Effects {
        let mut effects = vec![Effect::StopModel];
        self.retract(message, &mut effects);
        self.system_error(message, None, "internal", &mut effects);
        effects
    }

    /// Takes a piece of a model call's reply. Pieces of an earlier call are ignored.
    #[must_use]
    pub fn piece(&mut self, attempt: u32, piece: Option<Result<Piece, Failure>>, now: Duration) -> Effects {
        let mut effects = Vec::new();
        if attempt != self.attempt || !matches!(self.phase, Phase::Reading(_) | Phase::Consulting(_)) {
            return effects;
        }
        match piece {
            Some(Ok(Piece::Text(text))) => self.text(&text, None, now, &mut effects),
            Some(Ok(Piece::Translated { text, original })) => {
                self.text(&text, Some(&original), now, &mut effects);
            }
            Some(Ok(Piece::Thought(text))) => self.thought(&text, now, &mut effects),
            Some(Ok(Piece::End(usage))) => self.end_of_reply(usage, now, &mut effects),
            Some(Err(failure)) => self.broken(failure, now, &mut effects),
            None => {
                let message = "the reply was cut: the model's stream stopped without its end mark";
                self.broken(Failure::new(Trouble::Cut, message).transient(true), now, &mut effects);
            }
        }
        effects
    }

    /// Sends the preview text that is due.
    #[must_use]
    pub fn tick(&mut self, now: Duration) -> Effects {
        let mut effects = Vec::new();
        if let Some(text) = self.preview.due(now) {
            self.delta(text, &mut effects);
        }
        effects
    }

    /// Makes the failed model call again.
    #[must_use]
    pub fn retry(&mut self, now: Duration) -> Effects {
        let mut effects = Vec::new();
        if matches!(self.phase, Phase::BackingOff) {
            match self.question.take() {
                Some(question) => self.consult(question, now, &mut effects),
                None => self.ask(State::Thinking, None, now, &mut effects),
            }
        }
        effects
    }

    // Messages.

    fn end(&mut self, state: EndState, reason: Option<String>, effects: &mut Effects) {
        self.phase = Phase::Ended;
        effects.push(Effect::Record(Record::TurnEnded {
            turn: self.subject.turn.clone(),
            state,
            reason: reason.clone(),
        }));
        let shown = match state {
            EndState::Done => State::Done,
            EndState::Failed => State::Failed,
            EndState::Cancelled => State::Cancelled,
        };
        effects.push(self.state(shown, reason));
        effects.push(Effect::Ended);
    }

    fn retract(&mut self, reason: &str, effects: &mut Effects) {
        if self.preview.discard() {
            let retract = Retract {
                turn: self.subject.turn.clone(),
                attempt: self.attempt,
                seq: self.next_seq(),
                reason: reason.to_owned(),
            };
            effects.push(Effect::Send(Outgoing::Retract(retract)));
        }
    }

    fn delta(&mut self, text: String, effects: &mut Effects) {
        let delta =
            Delta { turn: self.subject.turn.clone(), attempt: self.attempt, seq: self.next_seq(), text };
        effects.push(Effect::Send(Outgoing::Delta(delta)));
    }

    fn state(&mut self, state: State, reason: Option<String>) -> Effect {
        Effect::Send(Outgoing::Turn(TurnState {
            turn: self.subject.turn.clone(),
            session: self.subject.session.clone(),
            seq: self.next_seq(),
            state,
            reason,
        }))
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }
}

fn permitted(
    actuation: &ActuationId,
    decided: (Decision, &str),
    by: Decider,
    command: Option<String>,
    approved: Approved,
) -> Effect {
    Effect::Record(permission(actuation, decided, by, command, approved))
}

fn permission(
    actuation: &ActuationId,
    (decision, rule): (Decision, &str),
    by: Decider,
    command: Option<String>,
    approved: Approved,
) -> Record {
    Record::ActionPermitted {
        actuation: actuation.clone(),
        decision,
        rule: rule.to_owned(),
        by,
        command,
        approved,
    }
}

/// What a permit is about, and the token that was given out for it.
fn approved(permit: &Permit, token: Option<&str>) -> Approved {
    Approved {
        // Strings and lists can always be written.
        steps: permit.steps().and_then(|steps| serde_json::to_value(steps).ok()),
        token: token.map(|token| hex(&Sha256::digest(token.as_bytes()))),
        ..Approved::default()
    }
}

fn command_of(action: &Action) -> String {
    action.text("cmd").unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;

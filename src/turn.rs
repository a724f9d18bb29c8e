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
//! | consulting | the answer to a skill's own question, cancel |
//! | gating | what the gates say, cancel |
//! | reading | the reply's end or failure, its first wrong byte, cancel |
//! | backing off | the time, cancel |
//! | inserting | the client's report |
//! | asking | the user's decision, the client's report, cancel |
//! | running | the client's report, cancel |
//! | ended | nothing: a turn ends exactly once |

mod act;
mod preview;
mod read;
mod skills;

use std::path::PathBuf;
use std::time::Duration;

use preview::Preview;
use sha2::{Digest, Sha256};

use crate::action::Action;
use crate::config::RuleSpec;
use crate::error::Error;
use crate::ids::{ActuationId, SessionId, TurnId, hex};
use crate::outgoing::{Delta, Outgoing, Retract, State, TurnState};
use crate::policy::{self, Permit, Surroundings};
use crate::prompt::HistoryItem;
use crate::record::{Approved, Decider, Decision, EndState, Outcome, Record, Status, Verdict};
use crate::reply::{Failure, Piece};
use crate::request::{Choice, Decide, Decided};
use crate::sexp::Rejection;
use crate::shell::Step;
use crate::verify::{self, Reading, Verified};

/// How often a rejected reply is asked for again.
const REPAIRS: u32 = 2;

/// How often a model call that failed for a passing reason is made again.
const RETRIES: u32 = 2;

/// The step at which a turn is stopped: each action that continues it is a step.
const LAST_STEP: u32 = 9;

/// What the kernel has to do, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Append to the log.
    Record(Record),
    /// Keep for the prompts to come.
    Remember(HistoryItem),
    /// The same for the message of a turn that runs again: the history may end with it already.
    Recall(HistoryItem),
    /// Find out which skills the turn is for, and begin its prompt; then call [`Turn::dispatched`].
    Dispatch,
    /// Ask the model, with this message after the history if the last reply was rejected.
    Ask(Option<String>),
    /// Ask the model what a skill wants to know; its reply is plain text.
    Consult(Lead),
    /// Go on with the skill that asked, with this answer; then call [`Turn::dispatched`].
    Answer(String),
    /// Load the skill of this name for the model; then call [`Turn::activated`].
    Activate(String),
    /// Let the gates of the turn's skills look at an action; then call [`Turn::gated`].
    Gate(Verified<Action>),
    /// Let go of the running model call.
    StopModel,
    /// Call [`Turn::retry`] after this time.
    RetryIn(Duration),
    /// Let whoever has the token run this, once, without a decision.
    Issue(Box<Issue>),
    /// Run a command here, for a client that does not: what its token was issued for.
    Run(Box<Issue>),
    /// Send to the client.
    Send(Outgoing),
    /// The turn is over.
    Ended,
}

/// What a skill makes of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// The system prompt, without the mandate; nothing: the usual one.
    pub system: Option<String>,
    /// What is said in the place of the user's words.
    pub prompt: String,
}

/// What came of a dispatch.
#[derive(Debug)]
pub enum Dispatched {
    /// The model is asked with this, or as usual.
    Lead(Option<Lead>),
    /// The model is asked this first, for the skill.
    Question(Lead),
    /// The skill of this name answers itself, with what a model would write.
    Speaks(String, String),
    /// The skill of this name failed, and why.
    Failed(String, String),
}

/// What the gates made of an action.
#[derive(Debug)]
pub enum Gated {
    /// It may go on to the policy: the same, or another in its place.
    Passed {
        /// The action.
        action: Verified<Action>,
        /// Whether it is another one.
        replaced: bool,
    },
    /// The gate of the skill of this name refused it, and why; with the print of what it refused.
    Refused(String, String, String),
}

/// What a token lets run.
#[derive(Clone, Debug)]
pub struct Issue {
    /// The token.
    pub token: String,
    /// The action that it is about.
    pub actuation: ActuationId,
    /// The action as it was permitted.
    pub action: Verified<Action>,
    /// The directory in which it runs, as it was shown.
    pub place: PathBuf,
    /// The programs, if it is certain which run.
    pub steps: Option<Vec<Step>>,
    /// Whether the policy alone allowed it: then the steps are what runs, and else the text.
    pub unasked: bool,
    /// Whether it may use the network.
    pub network: bool,
    /// Whether it is to be confined.
    pub confined: bool,
}

/// Who keeps what a decision leaves behind. If it cannot be kept, the decision is another one.
pub trait Keep {
    /// Writes down what a token lets run.
    ///
    /// # Errors
    /// Then the command waits on, and the error is the answer.
    fn issue(&mut self, issue: &Issue, subject: &Subject) -> Result<(), Error>;

    /// Lets no token of the turn run anything any more.
    fn revoke(&mut self, subject: &Subject);

    /// Remembers rules of the user.
    ///
    /// # Errors
    /// Then the command runs once, and whoever decided is told.
    fn save(&mut self, rules: &[RuleSpec]) -> Result<(), Error>;
}

/// The effects of one input.
pub type Effects = Vec<Effect>;

/// What a turn is about; it never changes.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its identifier.
    pub turn: TurnId,
    /// Its session.
    pub session: SessionId,
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
    preview: Preview,
    /// What a skill made of the prompt, once one did.
    lead: Option<Lead>,
    /// What the model is being asked for a skill.
    question: Option<Lead>,
    /// The skill whose own words are being read in the place of a model's.
    spoken: Option<String>,
    /// A source of text in the prompt that is neither the user's nor ours.
    foreign: Option<String>,
    /// Where the last command that was proposed would run.
    place: PathBuf,
}

#[derive(Debug)]
enum Phase {
    Queued,
    Dispatching,
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
    asked: Duration,
    first: Option<Duration>,
}

/// Why a client's message about an action was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The action is not, or no longer, in that state.
    NotNow,
    /// The token is not the one that was given out.
    WrongToken,
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
            preview: Preview::default(),
            lead: None,
            question: None,
            spoken: None,
            foreign: None,
            place: PathBuf::new(),
        }
    }

    /// Notes what of the prompt is neither the user's words nor ours. What was shown once stays known.
    pub fn prompted(&mut self, foreign: Option<String>) {
        self.foreign = foreign.or(self.foreign.take());
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
            | Phase::Asking { actuation, .. }
            | Phase::Running { actuation, .. } => Some(actuation),
            Phase::Queued
            | Phase::Dispatching
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
            Some(Ok(Piece::Text(text))) => self.text(&text, now, &mut effects),
            Some(Ok(Piece::End(usage))) => self.end_of_reply(usage, now, &mut effects),
            Some(Err(failure)) => self.broken(failure, now, &mut effects),
            None => {
                let failure = Failure {
                    message: "the reply was cut: the model's stream stopped without its end mark".to_owned(),
                    hint: String::new(),
                    transient: true,
                };
                self.broken(failure, now, &mut effects);
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

    /// Stops. `None`: it is too late, the text has already left for the buffer, or the turn has ended.
    #[must_use]
    pub fn cancel(&mut self, now: Duration) -> Option<Effects> {
        let mut effects = Vec::new();
        let stopped =
            |actuation: &ActuationId, command: String, status, message: &str, effects: &mut Effects| {
                let outcome = Outcome { status, message: Some(message.to_owned()), ..Outcome::default() };
                let actuation = actuation.clone();
                effects.push(Effect::Record(Record::ActionExecuted { actuation, outcome: outcome.clone() }));
                effects.push(Effect::Remember(HistoryItem::CommandResult { command, outcome }));
            };
        match &self.phase {
            Phase::Ended | Phase::Inserting { .. } => return None,
            Phase::Queued | Phase::BackingOff | Phase::Dispatching | Phase::Activating { .. } => {}
            Phase::Gating => self.retract("cancelled", &mut effects),
            Phase::Reading(_) | Phase::Consulting(_) => {
                effects.push(Effect::StopModel);
                self.retract("cancelled", &mut effects);
                self.replied(Verdict::Cancelled, None, now, &mut effects);
            }
            Phase::Asking { actuation, action } => {
                let decided = (Decision::Deny, "the user cancelled the turn");
                effects.push(permitted(actuation, decided, Decider::User, None, Approved::default()));
                let command = command_of(action.action());
                stopped(actuation, command, Status::Denied, "cancelled before it ran", &mut effects);
            }
            Phase::Running { actuation, command, .. } => {
                stopped(actuation, command.clone(), Status::Failed, "cancelled while it ran", &mut effects);
                effects.push(Effect::Send(Outgoing::Abort(actuation.clone())));
            }
        }
        self.end(EndState::Cancelled, None, &mut effects);
        Some(effects)
    }

    /// Takes the user's decision about a command. `token` is what the client has to give back; what has to be kept
    /// `keep` gets.
    pub fn decide(
        &mut self,
        decide: &Decide,
        token: String,
        now: Duration,
        keep: &mut dyn Keep,
    ) -> Result<(Decided, Effects), DecideError> {
        let (choice, command) = (decide.choice, decide.command.as_deref());
        let (Phase::Asking { actuation, action } | Phase::Running { actuation, unasked: Some(action), .. }) =
            &self.phase
        else {
            return Err(DecideError::NotNow);
        };
        let actuation = actuation.clone();
        let mut effects = Vec::new();
        if choice == Choice::Deny {
            let rule = "the user said no";
            let decided = (Decision::Deny, rule);
            effects.push(permitted(&actuation, decided, Decider::User, None, Approved::default()));
            let shown = command_of(action.action());
            let message = decide.message.clone();
            let outcome = Outcome { status: Status::Denied, message, ..Outcome::default() };
            self.executed(&actuation, shown, outcome, now, &mut effects);
            return Ok((
                Decided {
                    decision: Decision::Deny,
                    token: None,
                    steps: None,
                    rule: rule.to_owned(),
                    saved: None,
                    hint: None,
                },
                effects,
            ));
        }
        let action = match command {
            Some(command) => verify::with_command(action, command).map_err(DecideError::Rejected)?,
            None => action.clone(),
        };
        let permit = policy::judge(action, Some(&self.subject.around), self.foreign.as_deref());
        if permit.decision() == Decision::Deny {
            return Err(DecideError::Denied(permit.rule().to_owned()));
        }
        let around = &self.subject.around;
        let elsewhere = around.host.is_some();
        let unconfined = decide.unconfined && !elsewhere && !around.runs_here;
        let issue = self.issue(&actuation, &permit, &token, decide.network);
        // What the client runs by itself, it cannot run by the token.
        if unconfined || elsewhere {
            keep.revoke(&self.subject);
        } else {
            keep.issue(&issue, &self.subject).map_err(DecideError::NotKept)?;
        }
        let (mut saved, mut hint) = (None, None);
        let rule = match (choice, permit.narrowest()) {
            (Choice::Always, Some(rules)) => {
                let failed = keep.save(&rules).err();
                saved = Some(failed.is_none());
                hint = failed.map(|error| error.one_line());
                let but =
                    hint.as_ref().map(|why| format!("; it runs once, for this could not be saved: {why}"));
                format!("the user said always: {}{}", permit.rule(), but.unwrap_or_default())
            }
            (Choice::Always, None) => {
                saved = Some(false);
                hint = Some("such a command can only be allowed once".to_owned());
                format!("the user said run once: {}, so nothing is remembered", permit.rule())
            }
            (Choice::Run | Choice::Deny, _) => format!("the user said run: {}", permit.rule()),
        };
        let shown = command_of(permit.action());
        effects.push(permitted(
            &actuation,
            (Decision::Allow, &rule),
            Decider::User,
            command.map(str::to_owned),
            Approved { network: decide.network, unconfined, ..approved(&permit, Some(&token)) },
        ));
        effects.push(self.state(State::Acting, None));
        self.phase = Phase::Running { actuation, command: shown, token: Some(token.clone()), unasked: None };
        if self.subject.around.runs_here {
            effects.push(Effect::Run(issue));
        }
        let steps = permit.steps().map(<[_]>::to_vec);
        Ok((Decided { decision: Decision::Allow, token: Some(token), steps, rule, saved, hint }, effects))
    }

    /// Takes the client's report about the action that is under way.
    pub fn actuated(
        &mut self,
        token: Option<&str>,
        outcome: Outcome,
        now: Duration,
    ) -> Result<Effects, Refusal> {
        let mut effects = Vec::new();
        match &self.phase {
            Phase::Inserting { actuation, end, reason } => {
                let (end, reason) = match outcome.status {
                    Status::Done => (*end, reason.clone()),
                    Status::Denied | Status::Failed | Status::Unknown => {
                        let why = outcome.message.clone().unwrap_or_else(|| "no reason given".to_owned());
                        (EndState::Failed, Some(format!("the client could not insert the text: {why}")))
                    }
                };
                effects
                    .push(Effect::Record(Record::ActionExecuted { actuation: actuation.clone(), outcome }));
                self.end(end, reason, &mut effects);
            }
            Phase::Asking { actuation, action } => {
                let (actuation, shown) = (actuation.clone(), command_of(action.action()));
                let decision =
                    if outcome.status == Status::Denied { Decision::Deny } else { Decision::Allow };
                let rule = "the client reported an outcome without a decision";
                effects.push(permitted(
                    &actuation,
                    (decision, rule),
                    Decider::Client,
                    None,
                    Approved::default(),
                ));
                self.executed(&actuation, shown, outcome, now, &mut effects);
            }
            Phase::Running { actuation, command, token: expected, .. } => {
                if token.is_some() && token != expected.as_deref() {
                    return Err(Refusal::WrongToken);
                }
                let (actuation, shown) = (actuation.clone(), command.clone());
                self.executed(&actuation, shown, outcome, now, &mut effects);
            }
            Phase::Queued
            | Phase::Dispatching
            | Phase::Consulting(_)
            | Phase::Reading(_)
            | Phase::Gating
            | Phase::Activating { .. }
            | Phase::BackingOff
            | Phase::Ended => return Err(Refusal::NotNow),
        }
        Ok(effects)
    }

    /// What `token` lets run, as `permit` has it. What was not allowed without asking is asked by now.
    fn issue(&self, actuation: &ActuationId, permit: &Permit, token: &str, network: bool) -> Box<Issue> {
        Box::new(Issue {
            token: token.to_owned(),
            actuation: actuation.clone(),
            action: permit.verified().clone(),
            place: self.place.clone(),
            steps: permit.steps().map(<[_]>::to_vec),
            unasked: false,
            network,
            confined: permit.unconfined().is_none(),
        })
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

/// Why a decision was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum DecideError {
    /// Nothing waits for a decision.
    NotNow,
    /// The edited command is not one that the grammar allows.
    Rejected(Rejection),
    /// It must not run, by this rule.
    Denied(String),
    /// What the token would let run could not be written down.
    NotKept(Error),
}

fn permitted(
    actuation: &ActuationId,
    (decision, rule): (Decision, &str),
    by: Decider,
    command: Option<String>,
    approved: Approved,
) -> Effect {
    Effect::Record(Record::ActionPermitted {
        actuation: actuation.clone(),
        decision,
        rule: rule.to_owned(),
        by,
        command,
        approved,
    })
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

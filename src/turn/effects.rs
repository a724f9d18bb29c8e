//! What a turn asks of the kernel, and what the kernel brings back.

use std::path::PathBuf;
use std::time::Duration;

use super::Subject;
use crate::action::Action;
use crate::config::RuleSpec;
use crate::error::Error;
use crate::ids::ActuationId;
use crate::outgoing::Outgoing;
use crate::prompt::HistoryItem;
use crate::record::Record;
use crate::shell::Step;
use crate::verify::Verified;

/// What the kernel has to do, in this order.
#[derive(Debug)]
pub enum Effect {
    /// Append to the log.
    Record(Record),
    /// Keep for the prompts to come.
    Remember(HistoryItem),
    /// The same for the message of a turn that runs again: the history may end with it already.
    Recall(HistoryItem),
    /// Find out which skills the turn is for, and begin its prompt; then call [`super::Turn::dispatched`].
    Dispatch,
    /// Ask the model, with this message after the history if the last reply was rejected.
    Ask(Option<String>),
    /// Ask the model what a skill wants to know; its reply is plain text.
    Consult(Lead),
    /// Keep what the model made of what prompts no longer show: the model call, and its words.
    Summarised(u32, String),
    /// Go on with the skill that asked, with this answer; then call [`super::Turn::dispatched`].
    Answer(String),
    /// Load the skill or the file of this name for the model; then call [`super::Turn::activated`].
    Activate(String),
    /// The same for the user, if there is a skill of this name that they can call.
    Summon(String),
    /// Let the gates of the turn's skills look at an action; then call [`super::Turn::gated`].
    Gate(Verified<Action>),
    /// Let go of the running model call.
    StopModel,
    /// Call [`super::Turn::retry`] after this time.
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

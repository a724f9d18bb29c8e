//! Everything that may be sent to a client unasked: one closed enum.
//!
//! An [`Actuation`] can only be made from a [`Permit`], so nothing that a model wrote can leave as an
//! action without having been verified and permitted.

use crate::action::Action;
use crate::chosen::Limit;
use crate::config::RuleSpec;
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::policy::Permit;
use crate::record::{Decision, Location};
use crate::shell;
use crate::skill::{Origin, Shelved};

/// A message to the client.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// A turn changed its state.
    Turn(TurnState),
    /// A piece of preview.
    Delta(Delta),
    /// A piece of what the model thinks.
    Thought(Thought),
    /// A step of a turn that the client has no part in.
    Step(Step),
    /// What an attempt's deltas showed has to go.
    Retract(Retract),
    /// An action to carry out, or to ask the user about.
    Actuate(Box<Actuation>),
    /// A running command is to be stopped.
    Abort(ActuationId),
    /// Skills changed: what there is now.
    Skills(Shelved),
    /// What the user has to know of the server itself.
    Notice(Notice),
    /// Something was done with a session: which, and the types of the events that say what.
    Session(SessionId, Vec<&'static str>),
}

/// What the user has to know of the server itself, and of no turn.
#[derive(Clone, Debug)]
pub struct Notice {
    /// Whether something is wrong.
    pub warns: bool,
    /// One line.
    pub text: String,
}

/// Where a turn stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Recorded, waiting for its session.
    Accepted,
    /// The model was asked.
    Thinking,
    /// Text of a reply is coming.
    Streaming,
    /// A reply was rejected; the model is asked again.
    Repairing,
    /// The user has to decide.
    AwaitingApproval,
    /// An action is being carried out.
    Acting,
    /// Over, as it should be.
    Done,
    /// Over, with an error that the user was shown.
    Failed,
    /// Over, by the user's wish.
    Cancelled,
}

impl State {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Thinking => "thinking",
            Self::Streaming => "streaming",
            Self::Repairing => "repairing",
            Self::AwaitingApproval => "awaitingApproval",
            Self::Acting => "acting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether a turn ends with it.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A turn's new state.
#[derive(Clone, Debug)]
pub struct TurnState {
    /// Which turn.
    pub turn: TurnId,
    /// Of which session.
    pub session: SessionId,
    /// The turn's message number, from 1.
    pub seq: u64,
    /// The state.
    pub state: State,
    /// Why, unless it is plain.
    pub reason: Option<String>,
}

/// A piece of preview.
#[derive(Clone, Debug)]
pub struct Delta {
    /// Which turn.
    pub turn: TurnId,
    /// Which model call of it, from 1.
    pub attempt: u32,
    /// The turn's message number.
    pub seq: u64,
    /// The text; never empty.
    pub text: String,
}

/// A piece of what the model thinks before it answers: no part of any text, and never fed back.
#[derive(Clone, Debug)]
pub struct Thought {
    /// Which turn.
    pub turn: TurnId,
    /// Which model call of it, from 1.
    pub attempt: u32,
    /// The text; never empty.
    pub text: String,
}

/// A skill, or a file of one, that was read for a turn's model, or was not. It is recorded before.
#[derive(Clone, Debug)]
pub struct Step {
    /// The action that asked for it.
    pub actuation: ActuationId,
    /// Which turn.
    pub turn: TurnId,
    /// Of which session.
    pub session: SessionId,
    /// Whether the user called it, and no model asked for it.
    pub called: bool,
    /// Its name: as it has it, or as it was asked for.
    pub name: String,
    /// What the model is shown of it: where it comes from and the hash of its text; or why there is nothing.
    pub read: Result<(Origin, String), String>,
    /// More about what was read.
    pub message: Option<String>,
}

/// The end of an attempt's preview.
#[derive(Clone, Debug)]
pub struct Retract {
    /// Which turn.
    pub turn: TurnId,
    /// Which model call of it.
    pub attempt: u32,
    /// The turn's message number.
    pub seq: u64,
    /// Why.
    pub reason: String,
}

/// Where an actuation belongs.
#[derive(Clone, Debug)]
pub struct Address {
    /// The actuation's own identifier.
    pub actuation: ActuationId,
    /// Which turn.
    pub turn: TurnId,
    /// Of which session.
    pub session: SessionId,
    /// Which model call of the turn; 0 for the kernel's own message before any.
    pub attempt: u32,
    /// The turn's message number.
    pub seq: u64,
}

/// An action on its way to a client.
#[derive(Clone, Debug)]
pub struct Actuation {
    address: Address,
    permit: Permit,
    /// What the client is to carry out: a response as the insert it becomes.
    delivered: Action,
    sexp: String,
    token: Option<String>,
    location: Option<Location>,
}

impl Actuation {
    /// The only way from an action to a message: through a permit. `token` has to come back with the outcome of a
    /// command that runs unasked.
    #[must_use]
    pub fn new(address: Address, permit: Permit, token: Option<String>) -> Self {
        let action = permit.action();
        let delivered = match (action.kind(), action.text("text")) {
            (crate::action::Kind::Response, Some(text)) => {
                let mut insert = Action::insert(crate::action::CHAT_BUFFER, text);
                insert.explain(action.explanation().map(str::to_owned));
                insert
            }
            _ => action.clone(),
        };
        let sexp = crate::sexp::printer::print(&delivered);
        Self { address, permit, delivered, sexp, token, location: None }
    }

    /// With the place where a command would run.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// Where a command would run.
    #[must_use]
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }

    /// Why a command would run without a sandbox; nothing if it is confined.
    #[must_use]
    pub fn unconfined(&self) -> Option<&str> {
        self.permit.unconfined()
    }

    /// What a command may do at most.
    #[must_use]
    pub fn limit(&self) -> Limit {
        self.permit.limit()
    }

    /// Where it belongs.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What the client is to carry out.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.delivered
    }

    /// The canonical print of [`Self::action`].
    #[must_use]
    pub fn sexp(&self) -> &str {
        &self.sexp
    }

    /// Whether it may be carried out or has to be asked.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.permit.decision()
    }

    /// The rule that decided.
    #[must_use]
    pub fn rule(&self) -> &str {
        self.permit.rule()
    }

    /// The programs that a command runs, if that is certain.
    #[must_use]
    pub fn steps(&self) -> Option<&[shell::Step]> {
        self.permit.steps()
    }

    /// The rules that the choice "always" would save, if it can.
    #[must_use]
    pub fn always(&self) -> Option<Vec<RuleSpec>> {
        self.permit.narrowest().filter(|_| self.decision() == Decision::Ask)
    }

    /// What has to come back with the outcome.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }
}

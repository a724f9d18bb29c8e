//! What the log can hold: one closed enum, a variant per event type, each with its version.
//!
//! A record is the *body* of a logged event; `store::envelope` gives it identity, order and signature.
//! Records are only ever added to: a changed shape is a new version beside the old one.

mod parts;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{ActuationId, EventId, SessionId, TurnId};

pub use parts::*;

/// The body of one logged event.
///
/// Serialised as `{"type": …, …fields}`; the type is also a column of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Record {
    /// A session began.
    #[serde(rename = "chat.session.created")]
    SessionCreated {
        /// Whose session it is.
        user: String,
        /// A title for lists; taken from the first message.
        title: String,
        /// The buffer it belongs to.
        buffer: String,
    },
    /// What follows is a copy of another session, event by event, with turns and actions of its own.
    #[serde(rename = "chat.session.forked")]
    SessionForked {
        /// The session that was copied.
        from: SessionId,
        /// The last message that was copied.
        at: Option<EventId>,
        /// How many of the events after this one are copies.
        events: u64,
        /// The messages that stand here with another text than there, as their buffers mark them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        edited: Vec<String>,
    },
    /// What follows was read from a transcript, not said here.
    #[serde(rename = "chat.session.imported")]
    SessionImported {
        /// What it was read from, as the user named it.
        name: String,
        /// The SHA-256 of its text.
        sha256: String,
        /// How many turns follow.
        turns: u64,
    },
    /// A session has another title.
    #[serde(rename = "chat.session.renamed")]
    SessionRenamed {
        /// The title from now on.
        title: String,
    },
    /// A session was put away, or taken out again.
    #[serde(rename = "chat.session.archived")]
    SessionArchived {
        /// Whether it is put away from now on.
        archived: bool,
    },
    /// A session belongs to a group and has tags; these are all of them.
    #[serde(rename = "chat.session.labelled")]
    SessionLabelled {
        /// The group.
        group: Option<String>,
        /// The tags.
        tags: Vec<String>,
    },
    /// A session takes no turn further, or does again. Messages are still taken, and wait.
    #[serde(rename = "chat.session.paused")]
    SessionPaused {
        /// Whether it is paused from now on.
        paused: bool,
    },
    /// The user is done with a session. Another message makes it active again.
    #[serde(rename = "chat.session.completed")]
    SessionCompleted {},
    /// What clients keep with a session, all of it.
    #[serde(rename = "chat.session.context")]
    SessionContext {
        /// Their values by name.
        values: Map<String, Value>,
    },
    /// A state of a session to which it can be taken back.
    #[serde(rename = "chat.session.checkpointed")]
    SessionCheckpointed {
        /// The name of the state; an earlier one of the same name is gone.
        name: String,
    },
    /// A session was taken back: what was said since is in no view any more.
    #[serde(rename = "chat.session.restored")]
    SessionRestored {
        /// The event that made the checkpoint.
        checkpoint: EventId,
    },
    /// A session is gone. This takes the place of all of its events before.
    #[serde(rename = "chat.session.deleted")]
    SessionDeleted {
        /// How many events there were; this event's number is one more.
        events: u64,
        /// Why: `user`, or `retention`.
        reason: String,
        /// What models cost in it on the day on which it was deleted (in UTC), in millionths of a US dollar.
        #[serde(default, skip_serializing_if = "is_zero")]
        micro_usd: u64,
    },
    /// A client has received a text for its buffer.
    #[serde(rename = "chat.message.delivered")]
    MessageDelivered {
        /// The action that the text is of.
        actuation: ActuationId,
    },
    /// The user has seen a session's messages.
    #[serde(rename = "chat.message.read")]
    MessageRead {
        /// The last of them.
        message: EventId,
    },
    /// The user said something. This is the start of a turn.
    #[serde(rename = "chat.message.sent")]
    MessageSent {
        /// The turn this message starts.
        turn: TurnId,
        /// The client's own identifier; (author, this) is sent at most once.
        client_id: String,
        /// The user's words.
        text: String,
        /// The level of the prompt's heading, at least 1.
        level: u32,
        /// What the user attached: data, not words.
        context: Vec<Attachment>,
        /// Where the session was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<Location>,
        /// What stands for this event in buffers, if that is not its own identifier: it is a copy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<String>,
    },
    /// Work on a turn began.
    #[serde(rename = "turn.started")]
    TurnStarted {
        /// Which one.
        turn: TurnId,
    },
    /// Which skills a turn is for, and which of them makes its prompt.
    #[serde(rename = "turn.dispatched")]
    Dispatched {
        /// The turn.
        turn: TurnId,
        /// The skill that makes the prompt; none: the built-in prompt.
        skill: Option<String>,
        /// Those whose trigger said yes, highest priority first, and those whose trigger failed.
        triggered: Vec<Triggered>,
        /// What the skills noted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// Gates looked at an action.
    #[serde(rename = "turn.gated")]
    Gated {
        /// The turn.
        turn: TurnId,
        /// Which model call proposed it.
        attempt: u32,
        /// What each gate made of it, in the order in which they looked.
        gates: Vec<Look>,
    },
    /// A prompt is about to be sent to a model.
    #[serde(rename = "turn.prompted")]
    Prompted {
        /// Whose prompt.
        turn: TurnId,
        /// The number of the model call within the turn, from 1.
        attempt: u32,
        /// The model asked.
        model: String,
        /// The messages, each by role and the SHA-256 of its text (the texts are blobs).
        messages: Vec<MessageRef>,
        /// What else the model's server is told, as it is sent: how to choose words, how much to write.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        parameters: Value,
        /// How many tokens the messages have, as they were counted before they were sent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tokens: Option<Counted>,
        /// Who speaks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        persona: Option<Speakers>,
    },
    /// A model's reply ended, one way or another.
    #[serde(rename = "turn.replied")]
    Replied {
        /// Whose reply.
        turn: TurnId,
        /// Which model call.
        attempt: u32,
        /// The reply as far as it came, byte for byte (invalid UTF-8 replaced), at most the grammar's limit.
        raw: String,
        /// What the reply was written as, if that is another notation of the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        original: Option<String>,
        /// The beginning of what the model thought before.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        thought: String,
        /// What the verifier or the model port said of it.
        verdict: Verdict,
        /// Tokens, if the model reported them or they could be estimated.
        usage: Option<Usage>,
        /// What it cost, if a price is configured.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cost: Option<Cost>,
        /// Milliseconds from the request to the first byte and to the end.
        latency: Latency,
    },
    /// A model failed, and another one is asked.
    #[serde(rename = "turn.fell_back")]
    FellBack {
        /// The turn.
        turn: TurnId,
        /// The model call that failed.
        attempt: u32,
        /// The model that failed.
        from: String,
        /// The one that is asked from now on in this turn.
        to: String,
        /// Why.
        reason: String,
    },
    /// The user chose the model that answers in a session.
    #[serde(rename = "chat.session.model")]
    ModelSelected {
        /// Its name; nothing: the one that is configured.
        model: Option<String>,
    },
    /// What no longer fits into the prompts of a session was put into a few words, by a model.
    #[serde(rename = "chat.session.summarised")]
    Summarised {
        /// The turn for whose prompt.
        turn: TurnId,
        /// The model call that wrote it.
        attempt: u32,
        /// The summary.
        summary: Summary,
    },
    /// An action was verified.
    #[serde(rename = "chat.action.proposed")]
    ActionProposed {
        /// Its identifier from here on.
        actuation: ActuationId,
        /// The turn it belongs to.
        turn: TurnId,
        /// Which model call proposed it; 0 for the kernel's own system error.
        attempt: u32,
        /// The JSON form, after the Org contract.
        action: Value,
        /// The canonical print of the same.
        sexp: String,
        /// Whether the kernel wrote it (a system error) and no model did.
        system: bool,
        /// What stands for this action in buffers, if that is not its own identifier: it is a copy.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<String>,
    },
    /// An action may be carried out, or the user is to be asked, or it was denied.
    #[serde(rename = "chat.action.permitted")]
    ActionPermitted {
        /// Which one.
        actuation: ActuationId,
        /// `allow`, `ask` or `deny`.
        decision: Decision,
        /// The rule that decided.
        rule: String,
        /// Who decided.
        by: Decider,
        /// The command as the user edited it, if they did.
        command: Option<String>,
        /// What exactly may run.
        #[serde(default, skip_serializing_if = "Approved::is_empty")]
        approved: Approved,
    },
    /// An action was carried out, or failed, or its outcome is unknown.
    #[serde(rename = "chat.action.executed")]
    ActionExecuted {
        /// Which one.
        actuation: ActuationId,
        /// What came of it.
        outcome: Outcome,
    },
    /// A turn is over.
    #[serde(rename = "turn.ended")]
    TurnEnded {
        /// Which one.
        turn: TurnId,
        /// How.
        state: EndState,
        /// Why, unless it is plain.
        reason: Option<String>,
    },
    /// A turn that was interrupted goes on as another one.
    #[serde(rename = "turn.resumed")]
    TurnResumed {
        /// The new turn.
        turn: TurnId,
        /// The one that was interrupted.
        from: TurnId,
        /// The message that both answer.
        message: EventId,
    },
    /// A skill, or a file of one, was read for a turn.
    #[serde(rename = "skill.loaded")]
    SkillLoaded {
        /// The turn.
        turn: TurnId,
        /// The skill's name; for a file, then a slash and its path.
        skill: String,
        /// The SHA-256 of the text, in hexadecimal.
        sha256: String,
        /// Where the skill comes from: `builtin`, `user` or `project`.
        origin: String,
    },
    /// A message is answered again: from now on this turn's answer counts, and those before do not.
    #[serde(rename = "turn.regenerated")]
    TurnRegenerated {
        /// The new turn.
        turn: TurnId,
        /// The one whose answer counted.
        from: TurnId,
        /// The message that both answer.
        message: EventId,
    },
    /// Of several answers to a message, that of this turn counts from now on.
    #[serde(rename = "turn.chosen")]
    TurnChosen {
        /// Which one.
        turn: TurnId,
    },
    /// A turn makes way, before it asks a model again, for a message that the user wants heard now.
    #[serde(rename = "turn.steered")]
    TurnSteered {
        /// Which one.
        turn: TurnId,
        /// The turn of that message, which is the next of its session.
        by: TurnId,
    },
    /// The user wants no answer to a turn that was interrupted.
    #[serde(rename = "turn.dropped")]
    TurnDropped {
        /// Which one.
        turn: TurnId,
    },
}

/// The type of the event that takes the place of a deleted session.
pub const DELETED: &str = "chat.session.deleted";

/// Whether there is nothing to say of a number.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The turn that a record is about, borrowed as the record is.
macro_rules! turn_of {
    ($record:expr) => {
        match $record {
            Self::MessageSent { turn, .. }
            | Self::TurnStarted { turn }
            | Self::Dispatched { turn, .. }
            | Self::Gated { turn, .. }
            | Self::Prompted { turn, .. }
            | Self::Replied { turn, .. }
            | Self::FellBack { turn, .. }
            | Self::Summarised { turn, .. }
            | Self::ActionProposed { turn, .. }
            | Self::TurnEnded { turn, .. }
            | Self::TurnResumed { turn, .. }
            | Self::TurnRegenerated { turn, .. }
            | Self::TurnChosen { turn }
            | Self::TurnSteered { turn, .. }
            | Self::TurnDropped { turn }
            | Self::SkillLoaded { turn, .. } => Some(turn),
            _ => None,
        }
    };
}

impl Record {
    /// The event type.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SessionCreated { .. } => "chat.session.created",
            Self::SessionForked { .. } => "chat.session.forked",
            Self::SessionImported { .. } => "chat.session.imported",
            Self::SessionRenamed { .. } => "chat.session.renamed",
            Self::SessionArchived { .. } => "chat.session.archived",
            Self::SessionLabelled { .. } => "chat.session.labelled",
            Self::SessionPaused { .. } => "chat.session.paused",
            Self::SessionCompleted {} => "chat.session.completed",
            Self::SessionContext { .. } => "chat.session.context",
            Self::SessionCheckpointed { .. } => "chat.session.checkpointed",
            Self::SessionRestored { .. } => "chat.session.restored",
            Self::SessionDeleted { .. } => DELETED,
            Self::MessageSent { .. } => "chat.message.sent",
            Self::MessageDelivered { .. } => "chat.message.delivered",
            Self::MessageRead { .. } => "chat.message.read",
            Self::TurnStarted { .. } => "turn.started",
            Self::Dispatched { .. } => "turn.dispatched",
            Self::Gated { .. } => "turn.gated",
            Self::Prompted { .. } => "turn.prompted",
            Self::Replied { .. } => "turn.replied",
            Self::FellBack { .. } => "turn.fell_back",
            Self::ModelSelected { .. } => "chat.session.model",
            Self::Summarised { .. } => "chat.session.summarised",
            Self::ActionProposed { .. } => "chat.action.proposed",
            Self::ActionPermitted { .. } => "chat.action.permitted",
            Self::ActionExecuted { .. } => "chat.action.executed",
            Self::TurnEnded { .. } => "turn.ended",
            Self::TurnResumed { .. } => "turn.resumed",
            Self::TurnRegenerated { .. } => "turn.regenerated",
            Self::TurnChosen { .. } => "turn.chosen",
            Self::TurnSteered { .. } => "turn.steered",
            Self::TurnDropped { .. } => "turn.dropped",
            Self::SkillLoaded { .. } => "skill.loaded",
        }
    }

    /// The turn that it is about, if it names one.
    #[must_use]
    pub const fn turn(&self) -> Option<&TurnId> {
        turn_of!(self)
    }

    /// The same, to change it.
    pub const fn turn_mut(&mut self) -> Option<&mut TurnId> {
        turn_of!(self)
    }

    /// The version of the event type's shape.
    #[must_use]
    pub const fn version(&self) -> u32 {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_the_kind() {
        let record = Record::TurnEnded {
            turn: "t".into(),
            state: EndState::Failed,
            reason: Some("interrupted".into()),
        };
        let json = serde_json::to_value(&record).unwrap();
        assert_eq!(json["type"], record.kind());
        assert_eq!(serde_json::from_value::<Record>(json).unwrap(), record);
    }
}

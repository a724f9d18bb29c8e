//! What the editor remembers of what it sent and was sent, and what was seen of the servers.

use serde_json::Value;

#[derive(Default)]
pub struct Message {
    pub client_id: String,
    pub buffer: String,
    pub text: String,
    pub sent: u32,
    pub receipt: Option<Receipt>,
    /// How often it was answered as new.
    pub taken: u32,
    /// Which client sent it: the number of those that were killed before.
    pub client: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub event: String,
    pub session: String,
    pub turn: String,
}

/// A text that the server sent.
pub struct Insert {
    pub session: String,
    pub turn: String,
    pub text: String,
    pub delivered: u32,
    /// Whether the server acknowledged the report.
    pub settled: bool,
}

/// A command that the server sent.
#[derive(Default)]
pub struct Command {
    pub turn: String,
    pub cmd: String,
    pub sent: u32,
    /// The token, once it ran.
    pub ran: Option<Value>,
    pub settled: bool,
    /// Which client was sent it.
    pub client: u64,
}

/// What was seen; `moments` are states in which a server was killed.
#[derive(Debug, Default)]
pub struct Counts {
    pub kills: u64,
    pub starting: u64,
    pub before_receipt: u64,
    pub streaming: u64,
    pub before_report: u64,
    pub before_settled: u64,
    pub deciding: u64,
    pub clients: u64,
    pub unacknowledged: u64,
    pub unsaved_prompts: u64,
    pub unsaved_replies: u64,
    /// Replies that no file had any more, and that were read from the record at the end.
    pub from_the_record: u64,
    /// The most sessions with a turn under way at the same time.
    pub at_once: u64,
}

impl Counts {
    pub fn moments(&self) -> [(&'static str, u64); 10] {
        [
            ("while it started", self.starting),
            ("between an event and its answer", self.before_receipt),
            ("while it streamed", self.streaming),
            ("between an actuation and the report", self.before_report),
            ("between a report and its answer", self.before_settled),
            ("between a decision and the report", self.deciding),
            ("with its client", self.clients),
            ("with a client that waited for an answer to an event", self.unacknowledged),
            ("with a client that had not saved a prompt", self.unsaved_prompts),
            ("with a client that had not saved a reply", self.unsaved_replies),
        ]
    }
}

//! What records are made of: the parts of their bodies, in the shapes that are logged.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What exactly a decision about a command is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// The programs that run, each `{op, argv}`, if that is certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Value>,
    /// The SHA-256 of the token that was given out for it, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether the user let it use the network.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub network: bool,
    /// Whether the client runs it by itself, on this machine and outside the sandbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfined: bool,
}

/// A skill that a turn is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triggered {
    /// Its name.
    pub skill: String,
    /// The SHA-256 of its note, in hexadecimal.
    pub sha256: String,
    /// Why its trigger failed, if it did; then its gate looks at actions all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What a gate made of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Whose gate.
    pub skill: String,
    /// What it made of it.
    pub result: Looked,
    /// Why it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The print of what it put in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sexp: Option<String>,
    /// What it noted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a gate can make of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Looked {
    /// It may go on.
    Passed,
    /// Another one goes on.
    Replaced,
    /// It must not.
    Refused,
}

/// Where a session is: a directory, and the machine if it is another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Absolute; on another machine also `~` or what begins with `~/`, in the home directory there.
    pub directory: String,
    /// The client's name for the machine; nothing for this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

impl Approved {
    /// Nothing may run, or nothing is known about it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_none() && self.token.is_none() && !self.network && !self.unconfined
    }
}

/// Something the user attached to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Attachment {
    /// Where it comes from.
    pub kind: AttachmentKind,
    /// Its name: a buffer, a path, a title.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The editor's mode for such text, as it names it; not every editor has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// Where an attachment comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum AttachmentKind {
    /// A part of a buffer.
    Region,
    /// A whole buffer.
    Buffer,
    /// A file.
    File,
    /// An Org note.
    Note,
    /// The part of a buffer that is to be rewritten. A message with one is the instruction for it.
    Rewrite,
}

impl AttachmentKind {
    /// The name on the wire and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Buffer => "buffer",
            Self::File => "file",
            Self::Note => "note",
            Self::Rewrite => "rewrite",
        }
    }
}

/// The names of the two who speak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Speakers {
    /// The user's.
    pub user: String,
    /// The assistant's.
    pub assistant: String,
}

/// A prompt message by reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRef {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The SHA-256 of the text, in hexadecimal.
    pub sha256: String,
}

/// What became of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// It was verified.
    Accept,
    /// It broke the grammar.
    Reject {
        /// The kind of the rejection.
        kind: String,
        /// The byte at which it could no longer become valid.
        offset: usize,
        /// The rule it broke, in words.
        message: String,
        /// If the reply was stopped there: how many more bytes the limit of a reply would have let come. How
        /// many the model would have written, nobody knows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        saved_at_most: Option<usize>,
    },
    /// The model or the connection failed; a reply that was cut is never complete.
    Broken {
        /// What happened.
        message: String,
        /// What that is, in one word.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<String>,
    },
    /// The user cancelled.
    Cancelled,
    /// It was text for a skill that had asked, and no action.
    Plain,
}

/// Tokens as the model's server counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// In the prompt.
    pub prompt_tokens: u64,
    /// In the reply, with those that the model thought.
    pub completion_tokens: u64,
    /// Those of the prompt that the provider had read before, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Those of the reply that the model thought, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// The server did not say: they were counted here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

/// Tokens of a prompt, counted here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// How many.
    pub tokens: u64,
    /// The vocabulary that they were counted with, or `estimate`.
    pub by: String,
}

/// What a model call cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Millionths of a US dollar, rounded up.
    pub micro_usd: u64,
}

impl Cost {
    /// US dollars, as clients are told.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "nobody spends 2^53 of them")]
    pub fn dollars(self) -> f64 {
        self.micro_usd as f64 / 1e6
    }
}

impl std::fmt::Display for Cost {
    /// As `0.0012`: exact, and with two digits at least.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = format!("{:06}", self.micro_usd % 1_000_000);
        let short = digits.trim_end_matches('0');
        write!(f, "{}.{short:0<2}", self.micro_usd / 1_000_000)
    }
}

/// What was said in a session, in a few words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The words, a model's.
    pub text: String,
    /// The last things that it covers: the SHA-256 of what a prompt would show of them.
    pub through: String,
    /// How many things of the session it covers, those of the summary before it included.
    pub items: u64,
    /// The model that wrote it.
    pub model: String,
    /// What of it is neither the user's words nor ours, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<String>,
}

/// Times of a model call, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// To the first that came, of thoughts or of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_ms: Option<u64>,
    /// To the first byte of text; absent if none came.
    pub first_ms: Option<u64>,
    /// To the end.
    pub total_ms: u64,
}

/// What may be done with an action; the later is the stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It may be carried out.
    Allow,
    /// The user has to be asked.
    Ask,
    /// It must not be carried out.
    Deny,
}

impl Decision {
    /// The name on the wire and in rules.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// Who took a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decider {
    /// The policy, by a rule.
    Policy,
    /// The user, through `orgAgent/decide`.
    User,
    /// The client reported an outcome without having asked to decide.
    Client,
}

/// What came of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// The exit code of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// What the command wrote to standard output, bounded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    /// What the command wrote to standard error, bounded.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// Whether any of the two was cut.
    #[serde(default)]
    pub truncated: bool,
    /// The client's or the user's own words about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the client ran the command in the sandbox, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandboxed: Option<bool>,
    /// Where the text of a skill comes from, if it is not the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The policy denied it, not the user.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_policy: bool,
}

/// How an action ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Carried out.
    #[default]
    Done,
    /// Refused by the user.
    Denied,
    /// Tried, and failed.
    Failed,
    /// Sent to a client that never reported back; never sent again.
    Unknown,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndState {
    /// As it should.
    Done,
    /// With an error that the user was shown.
    Failed,
    /// By the user's wish.
    Cancelled,
}

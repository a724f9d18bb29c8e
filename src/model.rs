//! The model port: one trait, one vendor a file.
//!
//! A model turns a prompt into a stream of text. The stream is cancelled by dropping it. Only
//! [`Piece::End`] makes a reply complete: a stream that just stops was cut.

pub mod local;
pub mod offline;
pub mod openai;
pub mod replay;

use std::time::Duration;

use futures::stream::BoxStream;
use secrecy::SecretString;

use crate::config::{Choice, Terms};
use crate::prompt::{Message, Persona};
use crate::skill::is_hidden;
use crate::tokens::Counter;
use offline::Offline;
use openai::OpenAi;
use replay::Replay;

pub use crate::reply::{Failure, Piece, Trouble};

/// The stream of one reply.
pub type Reply = BoxStream<'static, Result<Piece, Failure>>;

/// What a model is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The prompt.
    pub messages: Vec<Message>,
    /// What the reply is to be.
    pub wanted: Wanted,
}

/// What a reply is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One action, for a session of this buffer. Where the server can be made to write nothing else, it is.
    Action {
        /// The session's buffer.
        buffer: String,
    },
    /// Text.
    Text,
}

/// A language model, or what stands in for one.
pub trait Model: Send + Sync + std::fmt::Debug {
    /// The name that the log and `why` show.
    fn name(&self) -> &str;

    /// Asks for a reply. Nothing is sent before the stream is first polled.
    fn reply(&self, ask: Ask) -> Reply;

    /// What a request for this tells the server beside the messages, for the log; nothing if there is no server. Without
    /// secrets, and of a grammar only which it is.
    fn parameters(&self, _wanted: &Wanted) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// How its tokens are counted.
    fn counter(&self) -> Counter {
        Counter::of("")
    }

    /// What it costs and how much it takes; nothing if it is built in.
    fn terms(&self) -> Option<&Terms> {
        None
    }

    /// The secrets it has learned since it was opened, so that they can be kept out of what others write.
    fn keys(&self) -> Vec<SecretString> {
        Vec::new()
    }
}

/// How fast the built-in responder answers a user: some 2,000 bytes a second.
const PACE: Duration = Duration::from_millis(5);

/// The model of `choice`, speaking for `persona`. Nothing is connected yet.
#[must_use]
pub fn open(choice: &Choice, persona: &Persona) -> Box<dyn Model> {
    match choice {
        Choice::Offline => Box::new(open_offline(persona)),
        Choice::Remote(remote) => Box::new(OpenAi::new(remote.as_ref().clone())),
        Choice::Replay(path) => Box::new(Replay::open(path)),
    }
}

/// The built-in responder, speaking for `persona` at its pace.
#[must_use]
pub fn open_offline(persona: &Persona) -> Offline {
    Offline::new(&persona.user, &persona.assistant).pace(PACE)
}

/// `text` as one line of at most `most` characters, of which none is hidden: for words of a stranger in a message.
fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    for (count, c) in text.trim().chars().map(|c| if is_hidden(c) { ' ' } else { c }).enumerate() {
        if count == most {
            line.push('…');
            break;
        }
        if c != ' ' || !line.ends_with(' ') {
            line.push(c);
        }
    }
    line
}

//! The model port: one trait, one vendor a file.
//!
//! A model turns a prompt into a stream of text. The stream is cancelled by dropping it. Only
//! [`Piece::End`] makes a reply complete: a stream that just stops was cut.

pub mod offline;
pub mod openai;
pub mod replay;

use futures::stream::BoxStream;

use crate::prompt::Message;

pub use crate::reply::{Failure, Piece};

/// The stream of one reply.
pub type Reply = BoxStream<'static, Result<Piece, Failure>>;

/// A language model, or what stands in for one.
pub trait Model: Send + Sync + std::fmt::Debug {
    /// The name that the log and `why` show.
    fn name(&self) -> &str;

    /// Asks for a reply to `messages`. Nothing is sent before the stream is first polled.
    fn reply(&self, messages: Vec<Message>) -> Reply;
}

/// `text` as one line of at most `most` characters: for words of a stranger in a message.
fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    for (count, c) in text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).enumerate() {
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

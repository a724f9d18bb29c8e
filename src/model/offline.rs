//! The built-in responder: deterministic, without network, and honest about being no language model.
//!
//! It answers through the same stream of text as a model, so that the whole path runs without one. What it
//! answers is in `answer`, how it reads a prompt in `read`.

mod answer;
mod read;

use std::time::Duration;

use futures::stream::{self, StreamExt};

use super::{Ask, Model, Piece, Reply};
use crate::sexp::printer::print;

/// How many bytes a piece has at most; one character may have more.
const PIECE: usize = 12;

/// The built-in responder.
#[derive(Clone, Debug)]
pub struct Offline {
    user: String,
    assistant: String,
    pace: Duration,
}

impl Offline {
    /// A responder that speaks as `assistant` to `user`, as fast as it is read.
    #[must_use]
    pub fn new(user: &str, assistant: &str) -> Self {
        Self { user: user.to_owned(), assistant: assistant.to_owned(), pace: Duration::ZERO }
    }

    /// Waits this long before each piece, so that a user sees the answer stream in.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }
}

impl Model for Offline {
    fn name(&self) -> &str {
        "offline"
    }

    fn reply(&self, ask: Ask) -> Reply {
        let pace = self.pace;
        let text = print(&answer::answer(&ask.messages, &self.user, &self.assistant));
        let pieces = stream::unfold((text, 0), move |(text, from)| async move {
            if from == text.len() {
                return None;
            }
            // Lets others run between two pieces, as a network would.
            if pace.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(pace).await;
            }
            let first = from + text[from..].chars().next().map_or(0, char::len_utf8);
            let to = text.floor_char_boundary(from + PIECE).max(first);
            let piece = Piece::Text(text[from..to].to_owned());
            Some((Ok(piece), (text, to)))
        });
        pieces.chain(stream::iter([Ok(Piece::End(None))])).boxed()
    }
}

#[cfg(test)]
mod tests;

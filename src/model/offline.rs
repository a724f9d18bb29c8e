//! The built-in responder: deterministic, without network, and honest about being no language model.
//!
//! It answers through the same stream of text as a model, so that the whole path runs without one. What it
//! answers is in `answer`, how it reads a prompt in `read`.

mod answer;
mod read;

use std::time::Duration;

use futures::stream::{self, Stream, StreamExt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{Ask, Failure, Model, Piece, Reply};
use crate::sexp::printer::print;

/// How many bytes a piece has at most; one character may have more.
const PIECE: usize = 12;

/// How long an answer waits for what is being looked for on this machine. What is there answers in milliseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// What can be offered instead of this responder, once it is known; empty: nothing.
pub type Offer = watch::Receiver<Option<String>>;

/// The built-in responder.
#[derive(Clone, Debug)]
pub struct Offline {
    user: String,
    assistant: String,
    pace: Duration,
    offer: Option<Offer>,
}

impl Offline {
    /// A responder that speaks as `assistant` to `user`, as fast as it is read.
    #[must_use]
    pub fn new(user: &str, assistant: &str) -> Self {
        Self { user: user.to_owned(), assistant: assistant.to_owned(), pace: Duration::ZERO, offer: None }
    }

    /// Says what else could answer.
    #[must_use]
    pub fn offering(mut self, offer: Offer) -> Self {
        self.offer = Some(offer);
        self
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
        let this = self.clone();
        let pieces = stream::once(async move {
            let offer = this.offered().await;
            let text = print(&answer::answer(&ask.messages, &this.user, &this.assistant, &offer));
            pieces(text, this.pace)
        });
        pieces.flatten().chain(stream::iter([Ok(Piece::End(None))])).boxed()
    }
}

impl Offline {
    /// What can be offered, as far as it is known soon.
    async fn offered(&self) -> String {
        let Some(mut offer) = self.offer.clone() else { return String::new() };
        // Nobody looks any more, or it takes too long: it is offered next time.
        drop(timeout(PATIENCE, offer.wait_for(Option::is_some)).await);
        let known = offer.borrow().clone();
        known.unwrap_or_default()
    }
}

/// `text` in pieces.
fn pieces(text: String, pace: Duration) -> impl Stream<Item = Result<Piece, Failure>> {
    stream::unfold((text, 0), move |(text, from)| async move {
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
    })
}

#[cfg(test)]
mod tests;

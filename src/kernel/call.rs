//! A model call as a task: it turns a reply stream into events. Dropping the call closes the connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use secrecy::SecretString;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::event::Event;
use crate::ids::TurnId;
use crate::model::{Ask, Failure, Model, Piece, Trouble};

use super::secrets::Veil;

/// How many pieces that are already there become one event.
const BATCH: usize = 256;

/// A running model call.
#[derive(Debug)]
pub(super) struct Call(AbortHandle);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a call. What comes of it arrives as [`Event::Model`], the end exactly once, also if the task panics, and without
/// `keys` and what else the model has for one.
pub(super) fn start(
    model: Arc<dyn Model>,
    ask: Ask,
    (turn, attempt): (TurnId, u32),
    mut keys: Vec<SecretString>,
    events: mpsc::Sender<Event>,
) -> Call {
    let task = tokio::spawn(async move {
        let piece = |piece| Event::Model { turn: turn.clone(), attempt, piece };
        let read = async {
            let mut reply = model.reply(ask).ready_chunks(BATCH);
            let mut veil = None;
            while let Some(batch) = reply.next().await {
                let veil = veil.get_or_insert_with(|| {
                    // By now a command has printed what the server was asked with.
                    keys.extend(model.keys());
                    Veil::new(&keys)
                });
                for item in joined(batch).into_iter().flat_map(|item| veil.pass(item)) {
                    if matches!(item, Ok(Piece::End(_)) | Err(_)) {
                        return Some(item);
                    }
                    if events.send(piece(Some(item))).await.is_err() {
                        return None;
                    }
                }
            }
            for item in veil.map(|mut veil| veil.rest()).unwrap_or_default() {
                if events.send(piece(Some(item))).await.is_err() {
                    return None;
                }
            }
            None
        };
        let last = AssertUnwindSafe(read).catch_unwind().await.unwrap_or_else(|_| {
            let failure = Failure::new(Trouble::Internal, "the model port panicked");
            Some(Err(failure.hint("this is a bug; the log of the server has the place")))
        });
        // If the kernel is gone, nobody waits for the end either.
        drop(events.send(piece(last)).await);
    });
    Call(task.abort_handle())
}

/// `time` and up to a quarter more, by chance: whoever failed together does not come back together.
pub(super) fn spread(time: Duration) -> Duration {
    // Without a source of chance it is `time`: never less than what a server asked for.
    let chance = getrandom::u32().unwrap_or_default();
    time + (time / 4).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

/// The items of a batch, with neighbours of the same kind as one: an event is for many of them.
fn joined(batch: Vec<Result<Piece, Failure>>) -> Vec<Result<Piece, Failure>> {
    let mut items: Vec<Result<Piece, Failure>> = Vec::new();
    for item in batch {
        match (items.last_mut(), item) {
            (Some(Ok(Piece::Text(text))), Ok(Piece::Text(more)))
            | (Some(Ok(Piece::Thought(text))), Ok(Piece::Thought(more))) => text.push_str(&more),
            (
                Some(Ok(Piece::Translated { text, original })),
                Ok(Piece::Translated { text: more, original: said }),
            ) => {
                text.push_str(&more);
                original.push_str(&said);
            }
            (_, item) => items.push(item),
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::model::Reply;

    /// Says a word, and then what the test wants.
    #[derive(Debug)]
    enum Broken {
        Panics,
        Stops,
    }

    impl Model for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }

        fn reply(&self, _ask: Ask) -> Reply {
            let word = stream::iter([Ok(Piece::Text("word".into()))]);
            match self {
                Self::Panics => word.chain(stream::poll_fn(|_| panic!("made to panic"))).boxed(),
                Self::Stops => word.boxed(),
            }
        }
    }

    #[test]
    fn a_wait_is_never_shorter_than_asked_for_and_not_always_the_same() {
        let second = Duration::from_secs(1);
        let waits: Vec<Duration> = (0..100).map(|_| spread(second)).collect();
        let most = Duration::from_millis(1250);
        assert!(waits.iter().all(|wait| (second..=most).contains(wait)), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        assert_eq!(spread(Duration::ZERO), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_call_ends_exactly_once_however_it_ends() {
        for (model, message) in [(Broken::Panics, Some("the model port panicked")), (Broken::Stops, None)] {
            let (events, mut heard) = mpsc::channel(8);
            let ask = Ask { messages: Vec::new(), wanted: crate::model::Wanted::Text };
            let call = start(Arc::new(model), ask, ("t".into(), 1), Vec::new(), events);
            let mut pieces = Vec::new();
            while let Some(Event::Model { piece, .. }) = heard.recv().await {
                pieces.push(piece);
            }
            drop(call);
            let end = pieces.pop().unwrap().map(|end| end.unwrap_err().message);
            assert_eq!(end.as_deref(), message);
            assert!(pieces.iter().all(|piece| matches!(piece, Some(Ok(Piece::Text(_))))), "{pieces:?}");
        }
    }
}

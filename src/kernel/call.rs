//! A model call as a task: it turns a reply stream into events. Dropping the call closes the connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::event::Event;
use crate::ids::TurnId;
use crate::model::{Failure, Model, Piece};
use crate::prompt::Message;

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

/// Starts a call. What comes of it arrives as [`Event::Model`], the end exactly once, also if the task panics.
pub(super) fn start(
    model: Arc<dyn Model>,
    messages: Vec<Message>,
    (turn, attempt): (TurnId, u32),
    events: mpsc::Sender<Event>,
) -> Call {
    let task = tokio::spawn(async move {
        let piece = |piece| Event::Model { turn: turn.clone(), attempt, piece };
        let read = async {
            let mut reply = model.reply(messages).ready_chunks(BATCH);
            while let Some(batch) = reply.next().await {
                let mut text = String::new();
                let mut last = None;
                for item in batch {
                    match item {
                        Ok(Piece::Text(more)) => text.push_str(&more),
                        end => {
                            last = Some(end);
                            break;
                        }
                    }
                }
                if !text.is_empty() && events.send(piece(Some(Ok(Piece::Text(text))))).await.is_err() {
                    return None;
                }
                if last.is_some() {
                    return last;
                }
            }
            None
        };
        let last = AssertUnwindSafe(read).catch_unwind().await.unwrap_or_else(|_| {
            Some(Err(Failure {
                message: "the model port panicked".to_owned(),
                hint: "this is a bug; the log of the server has the place".to_owned(),
                transient: false,
            }))
        });
        // If the kernel is gone, nobody waits for the end either.
        drop(events.send(piece(last)).await);
    });
    Call(task.abort_handle())
}

//! The way into the kernel: a bounded queue.

use tokio::sync::mpsc;

use crate::error::{Code, Error, Result};
use crate::event::Event;

/// How many events may wait for the loop before the edge is told `overloaded`.
pub(super) const QUEUE: usize = 1024;

/// The way into the kernel, for handlers: it enqueues and returns.
#[derive(Clone, Debug)]
pub struct Handle {
    events: mpsc::Sender<Event>,
}

impl Handle {
    /// A handle and the queue behind it.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Event>) {
        let (events, queue) = mpsc::channel(QUEUE);
        (Self { events }, queue)
    }

    /// Enqueues `event`; never waits.
    ///
    /// # Errors
    /// `overloaded` if the queue is full, `internal` if the kernel is gone.
    pub fn send(&self, event: Event) -> Result<()> {
        self.events.try_send(event).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Error::new(Code::Overloaded, "the server has too much to do")
                    .hint("send the same request again later")
            }
            mpsc::error::TrySendError::Closed(_) => {
                Error::internal("the kernel has stopped").hint("restart the server")
            }
        })
    }
}

//! The way into the kernel: a bounded queue.

use tokio::sync::mpsc;

use crate::error::{Code, Error, Result};
use crate::event::{Event, reply};

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

    /// Asks the kernel to commit what is pending and to stop, and waits until it did. While its queue is full, it is
    /// asked again.
    ///
    /// # Errors
    /// `internal` if the kernel is gone, or what it failed with.
    pub async fn stop(self) -> Result<()> {
        loop {
            let (reply, answer) = reply();
            match self.send(Event::Stop(reply)) {
                Ok(()) => return answer.get().await,
                Err(error) if error.code == Code::Overloaded => tokio::task::yield_now().await,
                Err(error) => return Err(error),
            }
        }
    }
}

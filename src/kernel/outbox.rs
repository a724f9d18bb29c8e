//! The outbox: what waits to leave until the log is durable.
//!
//! One queue, one rule: nothing leaves before everything that was appended before it is on disk. That keeps
//! messages and answers in their order as well. It knows nothing of what it carries.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::outgoing::Outgoing;
use crate::store::Store;

/// An answer that is made when its turn comes, from what is durable by then.
type Answer = Box<dyn FnOnce(Result<&Store>) + Send>;

enum Item {
    Send(Outgoing),
    Answer(Answer),
}

/// Behind everything that waited at some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    ticket: u64,
    items: u64,
}

/// What waits to leave.
#[derive(Default)]
pub(super) struct Outbox {
    queue: VecDeque<(u64, Item)>,
    durable: u64,
    /// How many items were ever queued.
    queued: u64,
}

impl Outbox {
    /// Queues a message that may leave once `ticket` is durable.
    pub(super) fn send(&mut self, ticket: u64, message: Outgoing) {
        self.push(ticket, Item::Send(message));
    }

    /// Queues an answer.
    pub(super) fn answer(&mut self, ticket: u64, answer: impl FnOnce(Result<&Store>) + Send + 'static) {
        self.push(ticket, Item::Answer(Box::new(answer)));
    }

    fn push(&mut self, ticket: u64, item: Item) {
        self.queued += 1;
        self.queue.push_back((ticket, item));
    }

    /// The place behind all that waits, and behind `ticket`.
    pub(super) fn place(&self, ticket: u64) -> Place {
        Place { ticket, items: self.queued }
    }

    /// Whether everything before `place` has left, and is on disk.
    pub(super) fn is_past(&self, place: Place) -> bool {
        self.is_durable(place.ticket) && place.items <= self.queued - self.queue.len() as u64
    }

    /// Everything up to `ticket` is on disk.
    pub(super) fn committed(&mut self, ticket: u64) {
        self.durable = self.durable.max(ticket);
    }

    /// Whether everything up to `ticket` is on disk.
    pub(super) fn is_durable(&self, ticket: u64) -> bool {
        ticket <= self.durable
    }

    /// How much waits.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Gives the answers that may be given, up to the first message; true if a message may leave.
    pub(super) fn ready(&mut self, store: &Store) -> bool {
        while let Some((ticket, item)) = self.queue.pop_front() {
            if ticket > self.durable {
                self.queue.push_front((ticket, item));
                return false;
            }
            match item {
                Item::Answer(answer) => answer(Ok(store)),
                Item::Send(message) => {
                    self.queue.push_front((ticket, Item::Send(message)));
                    return true;
                }
            }
        }
        false
    }

    /// Gives every answer that may be given, for the end: no message leaves any more.
    pub(super) fn close(&mut self, store: &Store) {
        for (ticket, item) in self.queue.drain(..) {
            if let Item::Answer(answer) = item
                && ticket <= self.durable
            {
                answer(Ok(store));
            }
        }
    }

    /// Tells all who wait that nothing can be recorded any more.
    pub(super) fn fail(&mut self, error: &Error) {
        for (_, item) in self.queue.drain(..) {
            if let Item::Answer(answer) = item {
                answer(Err(error.clone()));
            }
        }
    }

    /// The next message, if one may leave.
    pub(super) fn next(&mut self) -> Option<Outgoing> {
        match self.queue.pop_front() {
            Some((ticket, Item::Send(message))) if ticket <= self.durable => Some(message),
            Some(other) => {
                self.queue.push_front(other);
                None
            }
            None => None,
        }
    }
}

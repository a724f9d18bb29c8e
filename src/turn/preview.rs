//! The preview of one reply: collects text and says when to send it.
//!
//! The first piece leaves at once, later ones at most once in [`INTERVAL`]: an editor redraws no faster,
//! and one redraw costs more than everything that happens here.

use std::time::Duration;

/// The least time between two deltas of an attempt.
const INTERVAL: Duration = Duration::from_millis(16);

/// Text on its way to the client.
#[derive(Debug, Default)]
pub(super) struct Preview {
    pending: String,
    /// When the last delta left; `None` if none has.
    sent: Option<Duration>,
}

impl Preview {
    /// Adds text.
    pub(super) fn push(&mut self, text: &str) {
        self.pending.push_str(text);
    }

    /// When there will be something to send.
    pub(super) fn deadline(&self) -> Option<Duration> {
        if self.pending.is_empty() {
            None
        } else {
            Some(self.sent.map_or(Duration::ZERO, |sent| sent + INTERVAL))
        }
    }

    /// The text to send now, if it is time.
    pub(super) fn due(&mut self, now: Duration) -> Option<String> {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.sent = Some(now);
            return self.take();
        }
        None
    }

    /// All text that was not sent, to be sent now.
    pub(super) fn rest(&mut self, now: Duration) -> Option<String> {
        let text = self.take();
        if text.is_some() {
            self.sent = Some(now);
        }
        text
    }

    fn take(&mut self) -> Option<String> {
        let text = std::mem::take(&mut self.pending);
        if text.is_empty() { None } else { Some(text) }
    }

    /// The preview has become the action: there is nothing to take back any more.
    pub(super) fn settle(&mut self) {
        *self = Self::default();
    }

    /// Drops what was not sent. True if the client has seen some of it, and has to take it back.
    pub(super) fn discard(&mut self) -> bool {
        let seen = self.sent.is_some();
        *self = Self::default();
        seen
    }
}

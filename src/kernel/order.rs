//! The order of what clients ask: a task with a session is done once what was said before it is on disk and what was
//! asked before it is answered, so that no answer shows what came of a later request. What is asked behind a task that
//! waits, waits as well.

use super::Kernel;
use super::outbox::Place;
use crate::error::Result;
use crate::event::Event;

/// A request that waits for its turn: a task until the outbox has let everything before this place go.
pub(super) type Waiting = (Place, Event);

impl Kernel {
    /// Handles what came, or lets it wait for its turn.
    pub(super) fn take(&mut self, event: Event) -> Result<()> {
        let waits = match &event {
            Event::Session(..) => true,
            // A decision, too: it must not overtake what makes the session stricter.
            Event::Chat(..)
            | Event::Rehearse(..)
            | Event::Read(..)
            | Event::Resume(..)
            | Event::Decide(..)
            | Event::Release(..) => !self.waiting.is_empty(),
            _ => false,
        };
        if !waits {
            return self.handle(event);
        }
        self.waiting.push_back((self.outbox.place(self.ticket), event));
        Ok(())
    }

    /// Handles the first of what waits, if its turn has come; says whether it did.
    pub(super) fn take_next(&mut self) -> Result<bool> {
        let Some((place, event)) = self.waiting.front() else { return Ok(false) };
        if matches!(event, Event::Session(..)) && !self.outbox.is_past(*place) {
            return Ok(false);
        }
        let Some((_, event)) = self.waiting.pop_front() else { return Ok(false) };
        self.handle(event)?;
        // The rest waits for what was appended and asked just now, too.
        let place = self.outbox.place(self.ticket);
        for (waits, _) in &mut self.waiting {
            *waits = place;
        }
        Ok(true)
    }
}

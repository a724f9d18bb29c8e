//! What the kernel does for sessions unasked: their transcripts in the mirror, and the end of those that are kept no
//! longer. Both only if the user configured it.

use std::collections::HashSet;
use std::time::Duration;

use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::sleep;

use super::Kernel;
use crate::error::Result;
use crate::event::Event;
use crate::ids::SessionId;
use crate::mirror::{self, Outcome};
use crate::record::DELETED;
use crate::store::Store;

/// How often it is looked which sessions are kept no longer, and the pause if there are more than go at once.
const OFTEN: Duration = Duration::from_secs(60 * 60);
const SOON: Duration = Duration::from_secs(1);

/// How many sessions go at once: each takes a while, and others wait meanwhile.
const AT_ONCE: usize = 10;

/// What is to be mirrored.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    /// Sessions that changed, with what has to be on disk first.
    changed: Vec<(u64, SessionId)>,
    /// Files that the user changed: told once.
    edited: HashSet<SessionId>,
    busy: bool,
}

/// When it is looked which sessions are kept no longer.
#[derive(Debug, Default)]
pub(super) struct Retention {
    /// Whether that is this server's business at all.
    is_ours: bool,
    /// What comes for it next.
    next: Option<AbortHandle>,
}

impl Kernel {
    /// If whoever wrote last did not come to an end: looks through the database, beside the loop.
    pub(super) fn look_for_damage(&self) {
        if !self.store.was_interrupted() {
            return;
        }
        let data = self.config.paths.data.clone();
        // Nobody waits for it: what it finds, people are told.
        drop(spawn_blocking(move || match Store::open_to_read(&data).and_then(|store| store.damage()) {
            Ok(damage) if damage.is_empty() => {}
            Ok(damage) => tracing::error!(
                "the database is damaged: {}; close the editors, then run: org-agent session recover",
                damage.join("; ")
            ),
            Err(error) => tracing::error!(%error, "the database could not be looked through"),
        }));
    }

    /// Notes that a session has other texts now.
    pub(super) fn mirror(&mut self, session: &SessionId) {
        if self.config.sessions.mirror.is_none() {
            return;
        }
        self.mirror.changed.retain(|(_, id)| id != session);
        self.mirror.changed.push((self.ticket, session.clone()));
    }

    /// Writes the transcripts that changed, beside the loop.
    pub(super) fn write_mirror(&mut self) {
        let Some(directory) = self.config.sessions.mirror.clone() else { return };
        if self.mirror.busy {
            return;
        }
        let outbox = &self.outbox;
        let ready: Vec<SessionId> = self
            .mirror
            .changed
            .extract_if(.., |(ticket, _)| outbox.is_durable(*ticket))
            .map(|(_, id)| id)
            .collect();
        if ready.is_empty() {
            return;
        }
        self.mirror.busy = true;
        let (data, events) = (self.config.paths.data.clone(), self.internal.clone());
        tokio::spawn(async move {
            let written = spawn_blocking(move || -> Vec<(SessionId, Result<Outcome>)> {
                let store = Store::open_to_read(&data);
                ready
                    .into_iter()
                    .map(|id| {
                        let outcome = match &store {
                            Ok(store) => mirror::write(store, &directory, &id),
                            Err(error) => Err(error.clone()),
                        };
                        (id, outcome)
                    })
                    .collect()
            });
            // If the kernel is gone, the next one writes it when the session changes again.
            drop(events.send(Event::Mirrored(written.await.unwrap_or_default())).await);
        });
    }

    /// Takes what became of transcripts.
    pub(super) fn mirrored(&mut self, written: Vec<(SessionId, Result<Outcome>)>) {
        self.mirror.busy = false;
        for (id, outcome) in written {
            match outcome {
                Ok(Outcome::Written(_) | Outcome::Gone) => {}
                Ok(Outcome::Edited(path)) => {
                    if self.mirror.edited.insert(id) {
                        tracing::warn!("{} was changed by hand, and is left as it is", path.display());
                    }
                }
                Err(error) => tracing::error!(%error, session = %id, "the mirror is behind"),
            }
        }
        self.write_mirror();
    }

    /// Deletes sessions that are kept no longer, a few at a time, and looks again later.
    pub(super) fn retain(&mut self) {
        self.retention.is_ours = true;
        let rules = &self.config.sessions;
        if rules.keep.is_none() && rules.max_bytes.is_none() {
            return;
        }
        let expired = self.store.expired(rules.keep, rules.max_bytes).unwrap_or_else(|error| {
            tracing::error!(%error, "which sessions are kept no longer could not be read");
            Vec::new()
        });
        let mut gone = 0;
        for id in expired {
            if gone == AT_ONCE {
                break;
            }
            match self.expire(&id) {
                Ok(true) => gone += 1,
                Ok(false) => {}
                Err(error) => tracing::error!(%error, session = %id, "a session could not be deleted"),
            }
        }
        self.retain_in(if gone == AT_ONCE { SOON } else { OFTEN });
    }

    /// What is kept is said otherwise now: the next look is an hour away, in case it was not meant.
    pub(super) fn retain_later(&mut self) {
        if self.retention.is_ours {
            self.retain_in(OFTEN);
        }
    }

    fn retain_in(&mut self, pause: Duration) {
        let events = self.internal.clone();
        let task = tokio::spawn(async move {
            sleep(pause).await;
            // If the kernel is gone, the next one looks.
            drop(events.send(Event::Retain).await);
        });
        if let Some(before) = self.retention.next.replace(task.abort_handle()) {
            before.abort();
        }
    }

    /// Deletes a session unless somebody works with it.
    fn expire(&mut self, id: &SessionId) -> Result<bool> {
        let lease = match self.sessions.get(id) {
            // It is open here, in a client's buffer perhaps.
            Some(_) => return Ok(false),
            None => self.store.lease(id)?,
        };
        // Another process may have worked with it, or deleted it, before the lease was ours.
        self.store.forget(id);
        let rules = &self.config.sessions;
        if lease.is_none() || !self.store.expired(rules.keep, rules.max_bytes)?.contains(id) {
            return Ok(false);
        }
        let appended = self.store.delete(id, "retention")?;
        self.ticket = appended.ticket;
        self.tell_session(id, &[DELETED]);
        // Nobody may begin with it before it is gone.
        self.leaving.push((appended.ticket, id.clone(), lease));
        Ok(true)
    }
}

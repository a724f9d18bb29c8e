//! The store for a command that changes something: it holds the sessions it changes, and waits until what it appended is
//! on disk before it says so.

use std::sync::mpsc::{Receiver, channel};

use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::ids::SessionId;
use crate::record::Record;
use crate::store::{Lease, Store};

/// The store, and how far it is on disk.
pub(super) struct Book {
    pub(super) store: Store,
    committed: Receiver<Result<u64>>,
}

impl Book {
    /// Opens the store, if there is one.
    ///
    /// # Errors
    /// `not_found` if nothing is recorded yet; those of [`Store::open`].
    pub(super) fn open(config: &Config) -> Result<Self> {
        super::there_is(config)?;
        Self::begin(config)
    }

    /// Opens the store, or makes it.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub(super) fn begin(config: &Config) -> Result<Self> {
        let (report, committed) = channel();
        // Nobody waits any more once the command is over.
        let store = Store::open(&config.paths.data, move |result| drop(report.send(result)))?;
        Ok(Self { store, committed })
    }

    /// Takes the lease of `session`.
    ///
    /// # Errors
    /// `conflict` if another process has it.
    pub(super) fn lease(&self, session: &SessionId) -> Result<Lease> {
        self.store.lease(session)?.ok_or_else(|| {
            Error::new(Code::Conflict, format!("session {} is in use", super::line(session.as_str())))
                .because("an editor or a chat that is running has it open")
                .hint("do it there, or close that one and try again")
        })
    }

    /// Appends to `session`, whose lease the caller holds, and waits until it is on disk.
    ///
    /// # Errors
    /// `internal` if it can not be written.
    pub(super) fn append(&mut self, session: &SessionId, records: &[Record]) -> Result<()> {
        let appended = self.store.append_all(session, records)?;
        self.wait(appended.last().map_or(0, |last| last.ticket))
    }

    /// Waits until `ticket` is on disk.
    ///
    /// # Errors
    /// `internal` if it can not be written.
    pub(super) fn wait(&self, ticket: u64) -> Result<()> {
        let mut reached = 0;
        while reached < ticket {
            reached = self.committed.recv().map_err(|_| {
                Error::internal("it could not be recorded")
                    .because("the store stopped")
                    .hint("check the disk: org-agent doctor")
            })??;
        }
        Ok(())
    }
}

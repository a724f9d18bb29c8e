//! The store: one SQLite file with an append-only log and the views folded from it.
//!
//! [`Store::append`] gives an event its final envelope at once and queues it; the writer thread puts
//! everything that waits on disk in one transaction and reports the highest ticket. Nothing that depends on
//! an event may leave the process before its ticket was reported. Reads see what is on disk, and only that,
//! except for [`Store::client_message`] and [`Store::newest_active`], which also look at what waits.
//!
//! It knows how events are kept and found, not what a turn is or who may ask. Several processes may have one
//! file open; the [`Lease`] of a session sees to it that only one of them appends to it.

mod check;
mod connection;
mod copy;
pub mod envelope;
mod files;
mod key;
mod lease;
mod lists;
pub mod migrations;
mod recall;
mod recover;
mod retention;
mod scorecard;
mod search;
mod spending;
mod texts;
mod variants;
mod views;
mod why;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use rusqlite::{Connection, OptionalExtension};

pub use check::Finding;
pub use copy::{Fork, MAX_COPIED};
pub use lease::Lease;
pub use recall::{Actuation, ClientMessage, Turn, UnfinishedTurn};
pub use recover::{Recovered, recover};
pub use scorecard::{Score, Which};
pub use texts::Text;
pub use variants::Answers;
pub use views::body_hash;

use crate::error::{Error, Result};
use crate::ids::{EventId, SessionId, TurnId, hex};
use crate::record::Record;
use envelope::{Envelope, Place, sha256};
use views::nat;
use writer::{Job, Writer};

/// How many heads of sessions are kept in memory before they are dropped.
const KEPT: usize = 4096;

/// What can be set about a store; the default is right for everything but tests.
pub struct Options {
    /// Unix time in milliseconds.
    pub clock: Box<dyn Fn() -> u64 + Send>,
    /// How long one try of a transaction waits for another process's.
    pub busy: Duration,
    /// For how long it is tried again before the store gives up.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let clock = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        };
        Self { clock: Box::new(clock), busy: Duration::from_secs(5), patience: Duration::from_secs(3600) }
    }
}

/// What an appended event became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its identity.
    pub event: EventId,
    /// Its number within its session, from 1.
    pub seq: u64,
    /// Its Lamport time.
    pub lamport: u64,
    /// It is on disk once this ticket, or a higher one, was reported.
    pub ticket: u64,
}

/// The log, its views, and the key that signs.
pub struct Store {
    // Declared before the writer: the last connection to close is the one that may write, and tidies up.
    reader: Connection,
    /// None: it was opened to read.
    writer: Option<Writer>,
    /// Whether whoever wrote last did not come to an end.
    interrupted: bool,
    /// Says to others that somebody writes.
    shared: Option<std::fs::File>,
    dir: PathBuf,
    key: SigningKey,
    author: String,
    clock: Box<dyn Fn() -> u64 + Send>,
    busy: Duration,
    ticket: u64,
    lamport: u64,
    heads: HashMap<SessionId, Head>,
    /// Texts that wait for the next append.
    blobs: Vec<(String, String)>,
    recent: Vec<Recent>,
}

/// Where a session's chain ends.
#[derive(Clone, Debug, Default)]
struct Head {
    seq: u64,
    id: String,
    lamport: u64,
    ticket: u64,
    /// To be read again, once nothing of this session waits.
    stale: bool,
}

/// What waits to be on disk and is asked for before that.
struct Recent {
    ticket: u64,
    session: SessionId,
    what: Waiting,
}

enum Waiting {
    Session { buffer: String },
    Message { client_id: String, message: ClientMessage },
}

impl Store {
    /// Opens the store in `dir`; makes the directory, the database and the key on the first run.
    ///
    /// `committed` is called on the writer's thread, in order, with the highest ticket that is on disk, or
    /// once with the error after which nothing more is written. It must not wait for the thread that owns the
    /// store: dropping a store waits for the writer.
    ///
    /// # Errors
    /// `internal` if a file cannot be used, is damaged, or belongs to a newer version.
    pub fn open(dir: &Path, committed: impl Fn(Result<u64>) + Send + 'static) -> Result<Self> {
        Self::open_with(dir, Options::default(), committed)
    }

    /// [`Store::open`] with a clock and a patience of one's own.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(
        dir: &Path,
        options: Options,
        committed: impl Fn(Result<u64>) + Send + 'static,
    ) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
            Error::internal(format!("cannot make the data directory {}", dir.display()))
                .because(error)
                .hint("make it yourself, or choose another with ORG_AGENT_HOME")
        })?;
        let key = key::load(&dir.join("key"))?;
        let shared = lease::share(&dir.join("leases"))?;
        let path = dir.join("agent.db");
        // Whoever closes the database last leaves no such file.
        let interrupted = std::fs::metadata(dir.join("agent.db-wal")).is_ok_and(|data| data.len() > 0);
        let mut db = connection::writer(&path, options.busy)?;
        migrations::migrate(&mut db, &path, migrations::LATEST)?;
        catch_up(&mut db)?;
        let reader = connection::reader(&path, options.busy)?;
        let lamport: i64 =
            reader.query_row("SELECT coalesce(max(lamport), 0) FROM log", [], |row| row.get(0))?;
        let writer = Writer::spawn(db, options.patience, committed)
            .map_err(|error| Error::internal("cannot start the store's thread").because(error))?;
        Ok(Self {
            reader,
            writer: Some(writer),
            interrupted,
            shared: Some(shared),
            dir: dir.to_owned(),
            author: hex(key.verifying_key().as_bytes()),
            key,
            clock: options.clock,
            busy: options.busy,
            ticket: 0,
            lamport: nat(lamport),
            heads: HashMap::new(),
            blobs: Vec::new(),
            recent: Vec::new(),
        })
    }

    /// Opens the store in `dir` to read what is in it: nothing is made, migrated or written, so it may be on a medium
    /// that is read-only, and a server may be at work on it.
    ///
    /// # Errors
    /// `not_found` if there is none; `internal` if it is damaged, belongs to a newer version, or to an older one that has
    /// to be migrated first.
    pub fn open_to_read(dir: &Path) -> Result<Self> {
        let (path, options) = (dir.join("agent.db"), Options::default());
        if !path.exists() {
            return Err(Error::not_found(format!("there is no {}", path.display())));
        }
        let path = std::path::absolute(&path).unwrap_or(path);
        let reader = connection::reader(&path, options.busy).or_else(|error| {
            let writable = rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok();
            if writable { Err(error) } else { connection::frozen_reader(&path, options.busy) }
        })?;
        if !migrations::is_current(&reader)? {
            return Err(Error::internal("the database belongs to an older org-agent")
                .hint("start a server once, or say something: org-agent chat \"Hello\"; it is brought up to date then"));
        }
        let key = key::read_only(&dir.join("key"));
        Ok(Self {
            reader,
            writer: None,
            interrupted: false,
            shared: None,
            dir: dir.to_owned(),
            author: hex(key.verifying_key().as_bytes()),
            key,
            clock: options.clock,
            busy: options.busy,
            ticket: 0,
            lamport: 0,
            heads: HashMap::new(),
            blobs: Vec::new(),
            recent: Vec::new(),
        })
    }

    /// Who signs: the public key, 64 hexadecimal digits.
    #[must_use]
    pub fn author(&self) -> &str {
        &self.author
    }

    /// Whether the process that wrote last died, or still writes.
    #[must_use]
    pub fn was_interrupted(&self) -> bool {
        self.interrupted
    }

    /// The highest ticket on disk.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.writer.as_ref().map_or(0, Writer::committed)
    }

    /// Whether no other process writes to the store; then none can begin to until this one is closed.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.shared.as_ref().is_some_and(|file| file.try_lock().is_ok())
    }

    /// How many transactions the writer committed since the store was opened.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.writer.as_ref().map_or(0, Writer::transactions)
    }

    /// Whether the disk keeps up well enough for new work to begin. What has begun is recorded in any case.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::has_room)
    }

    /// Appends one event to `session`.
    ///
    /// # Errors
    /// `internal` if the writer has stopped.
    pub fn append(&mut self, session: &SessionId, record: &Record) -> Result<Appended> {
        let appended = self.append_all(session, std::slice::from_ref(record))?;
        appended.into_iter().next().ok_or_else(|| Error::internal("an append without a result"))
    }

    /// Appends events that belong together: all of them are on disk at the same moment, or none is.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_all(&mut self, session: &SessionId, records: &[Record]) -> Result<Vec<Appended>> {
        let mut records = records.iter().cloned();
        self.append_each(session, &mut |_| records.next())
    }

    /// [`Store::append_all`] of what `next` gives until it gives nothing; it is shown what its last one became.
    fn append_each(
        &mut self,
        session: &SessionId,
        next: &mut dyn FnMut(Option<&Envelope>) -> Option<Record>,
    ) -> Result<Vec<Appended>> {
        let mut head = self.head(session)?;
        let mut lamport = self.lamport;
        let ticket = self.ticket + 1;
        let mut events: Vec<(Envelope, Record)> = Vec::new();
        let mut recent = Vec::new();
        while let Some(record) = next(events.last().map(|(event, _)| event)) {
            lamport = lamport.max(head.lamport) + 1;
            let place = Place { session, seq: head.seq + 1, prev: &head.id, lamport, time: (self.clock)() };
            let event = Envelope::seal(&record, place, &self.key)
                .map_err(|error| Error::internal("an event has no JSON form").because(error))?;
            head = Head { seq: event.seq, id: event.id.0.clone(), lamport, ticket, stale: head.stale };
            recent.extend(Recent::new(&event, &record, ticket));
            events.push((event, record));
        }
        let appended = events
            .iter()
            .map(|(event, _)| Appended {
                event: event.id.clone(),
                seq: event.seq,
                lamport: event.lamport,
                ticket,
            })
            .collect();
        let Some(writer) = &self.writer else {
            return Err(Error::internal("the store was opened to read"));
        };
        let job = Job { ticket, blobs: std::mem::take(&mut self.blobs), events };
        if let Err(refused) = writer.send(job) {
            let (error, job) = *refused;
            self.blobs = job.blobs;
            return Err(error);
        }
        self.ticket = ticket;
        self.lamport = lamport;
        let committed = self.committed();
        if self.heads.len() >= KEPT {
            self.heads.retain(|_, head| head.ticket > committed);
        }
        self.heads.insert(session.clone(), head);
        self.recent.retain(|recent| recent.ticket > committed);
        self.recent.extend(recent);
        Ok(appended)
    }

    /// Keeps `text` under its SHA-256, which is returned; it is on disk with the next append.
    pub fn blob(&mut self, text: &str) -> String {
        let hash = sha256(text);
        // Also if it is on disk: it may go with a deleted session before the event that names it is there.
        self.blobs.push((hash.clone(), text.to_owned()));
        hash
    }

    /// Deletes `session`: its events go, and one that says so takes their place. `reason` is `user` or `retention`.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn delete(&mut self, session: &SessionId, reason: &str) -> Result<Appended> {
        let events = self.head(session)?.seq;
        let micro_usd = self.spent_today(session)?;
        let record = Record::SessionDeleted { events, reason: reason.to_owned(), micro_usd };
        let appended = self.append(session, &record)?;
        // What waited of it is gone, too, for those who ask before it is on disk.
        self.recent.retain(|recent| recent.session != *session);
        Ok(appended)
    }

    /// Forgets where the chain of `session` ends, to be called when its lease is given up: another process may
    /// append to it from then on. Give a lease up only when nothing of its session waits any more.
    pub fn forget(&mut self, session: &SessionId) {
        if let Some(head) = self.heads.get_mut(session) {
            head.stale = true;
        }
    }

    /// Takes the lease of `session` for this process; `None` if another holder has it. Dropping it gives it
    /// back.
    ///
    /// # Errors
    /// `internal` if the lock file cannot be made.
    pub fn lease(&self, session: &SessionId) -> Result<Option<Lease>> {
        lease::take(&self.dir.join("leases"), session)
    }

    /// Makes the views anew from the log. Other writers wait meanwhile: not for a server that is at work.
    ///
    /// # Errors
    /// `internal` if the database is locked for too long or fails.
    pub fn rebuild_views(&self) -> Result<()> {
        let mut db = connection::writer(&self.dir.join("agent.db"), self.busy)?;
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        views::rebuild(&tx, &tx)?;
        Ok(tx.commit()?)
    }

    /// Writes the database anew, without what is not used any more: of what was deleted nothing is left in the file then.
    /// Other writers wait meanwhile.
    ///
    /// # Errors
    /// `internal` if the database is locked for too long, fails, or the disk has no room for a second one.
    pub fn compact(&self) -> Result<()> {
        let db = connection::writer(&self.dir.join("agent.db"), self.busy)?;
        views::compact(&db)?;
        db.execute_batch("VACUUM")?;
        connection::empty_log(&db);
        Ok(())
    }

    /// Writes the views, as they are on disk now, into a new file.
    ///
    /// # Errors
    /// `conflict` if there is such a file; `internal` if it cannot be written.
    pub fn snapshot(&self, file: &Path) -> Result<()> {
        views::snapshot(&connection::writer(&self.dir.join("agent.db"), self.busy)?, file)
    }

    /// Takes the views from a file that [`Store::snapshot`] made, and folds what was logged since.
    ///
    /// # Errors
    /// `bad_request` if the file is no snapshot of this log; `internal` if the database fails.
    pub fn restore_views(&self, file: &Path) -> Result<()> {
        views::restore(&mut connection::writer(&self.dir.join("agent.db"), self.busy)?, file)
    }

    /// Where the chain of `session` ends, from memory or from disk.
    fn head(&self, session: &SessionId) -> Result<Head> {
        if let Some(head) = self.heads.get(session)
            && (!head.stale || head.ticket > self.committed())
        {
            return Ok(head.clone());
        }
        let head = self
            .reader
            .prepare_cached("SELECT seq, id, lamport FROM log WHERE session = ?1 ORDER BY seq DESC LIMIT 1")?
            .query_row([session.as_str()], |row| {
                Ok(Head {
                    seq: nat(row.get(0)?),
                    id: row.get(1)?,
                    lamport: nat(row.get(2)?),
                    ..Head::default()
                })
            })
            .optional()?;
        Ok(head.unwrap_or_default())
    }
}

/// Folds what the views lack: nothing, unless another program wrote to the log.
fn catch_up(db: &mut Connection) -> Result<()> {
    if views::is_behind(db)? {
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        views::catch_up(&tx)?;
        tx.commit()?;
    }
    Ok(())
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the key.
        f.debug_struct("Store").field("dir", &self.dir).field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl Recent {
    fn new(event: &Envelope, record: &Record, ticket: u64) -> Option<Self> {
        let what = match record {
            Record::SessionCreated { buffer, .. } => Waiting::Session { buffer: buffer.clone() },
            Record::MessageSent { turn, client_id, text, context, .. } => Waiting::Message {
                client_id: client_id.clone(),
                message: ClientMessage {
                    body_hash: body_hash(text, context),
                    session: event.session.clone(),
                    event: event.id.clone(),
                    turn: TurnId::clone(turn),
                    lamport: event.lamport,
                },
            },
            _ => return None,
        };
        Some(Self { ticket, session: event.session.clone(), what })
    }
}

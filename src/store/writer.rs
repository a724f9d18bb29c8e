//! The writer thread: it drains everything that waits, writes it in one transaction and tells how far the
//! log is on disk. It knows the order of what comes in and nothing of why.
//!
//! After a failure that does not go away it writes nothing more: an event must not be on disk without the
//! ones before it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};

use super::connection::{self, is_busy};
use super::envelope::Envelope;
use super::views::{self, int};
use crate::error::{Error, Result};
use crate::record::{DELETED, Record};

/// With so many jobs waiting, no new work begins.
const MAX_JOBS: usize = 1024;

/// With so many bytes waiting, no new work begins.
const MAX_BYTES: usize = 64 << 20;

/// The pauses between tries of a transaction that failed because the disk was full; the first of them also if the database
/// was locked for longer than one try waits.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(1000)];

/// For how long at most a process that ends goes on to forget what was deleted.
const FORGETTING: Duration = Duration::from_secs(3);

/// What is written together.
#[derive(Debug)]
pub(super) struct Job {
    /// Rises by one from job to job.
    pub ticket: u64,
    /// Texts by their SHA-256.
    pub blobs: Vec<(String, String)>,
    /// Events, in their order, with what they say.
    pub events: Vec<(Envelope, Record)>,
}

impl Job {
    fn bytes(&self) -> usize {
        let blobs: usize = self.blobs.iter().map(|(_, text)| text.len()).sum();
        let events: usize = self.events.iter().map(|(event, _)| event.body.len()).sum();
        blobs + events
    }
}

/// The way to the writer thread. Dropping it writes what waits and ends the thread.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    gauge: Arc<Gauge>,
    thread: Option<JoinHandle<()>>,
}

/// What both sides look at.
#[derive(Debug, Default)]
struct Gauge {
    jobs: AtomicUsize,
    bytes: AtomicUsize,
    committed: AtomicU64,
    transactions: AtomicU64,
}

impl Writer {
    /// Starts the thread. `committed` is called on it with the highest ticket of each transaction that is on
    /// disk and visible to every connection, or once with what made the writer stop.
    pub(super) fn spawn(
        db: Connection,
        patience: Duration,
        committed: impl Fn(Result<u64>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = channel();
        let gauge = Arc::new(Gauge::default());
        let theirs = Arc::clone(&gauge);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || {
            let run = AssertUnwindSafe(|| run(db, patience, &queue, &theirs, &committed));
            // Whoever waits for a ticket must hear of a bug, too.
            if catch_unwind(run).is_err() {
                committed(Err(Error::internal("the store's writer broke").hint("see the log; restart")));
            }
        })?;
        Ok(Self { jobs: Some(jobs), gauge, thread: Some(thread) })
    }

    /// Whether so little waits that new work may begin.
    pub(super) fn has_room(&self) -> bool {
        self.gauge.jobs.load(Ordering::Acquire) < MAX_JOBS
            && self.gauge.bytes.load(Ordering::Acquire) < MAX_BYTES
    }

    /// Queues `job`; never waits. Work that has begun is always recorded, whatever waits: its amount is bounded by
    /// what was let in.
    ///
    /// # Errors
    /// `internal` if the writer has stopped. The job is given back.
    pub(super) fn send(&self, job: Job) -> Result<(), Box<(Error, Job)>> {
        let bytes = job.bytes();
        self.gauge.jobs.fetch_add(1, Ordering::AcqRel);
        self.gauge.bytes.fetch_add(bytes, Ordering::AcqRel);
        let stopped =
            || Error::internal("nothing can be recorded any more").hint("see the log; restart the server");
        match &self.jobs {
            Some(jobs) => jobs.send(job).map_err(|refused| Box::new((stopped(), refused.0))),
            None => Err(Box::new((stopped(), job))),
        }
    }

    /// The highest ticket on disk.
    pub(super) fn committed(&self) -> u64 {
        self.gauge.committed.load(Ordering::Acquire)
    }

    /// How many transactions were committed.
    pub(super) fn transactions(&self) -> u64 {
        self.gauge.transactions.load(Ordering::Acquire)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            drop(thread.join());
        }
    }
}

fn run(
    mut db: Connection,
    patience: Duration,
    queue: &Receiver<Job>,
    gauge: &Gauge,
    committed: &impl Fn(Result<u64>),
) {
    // What a server left of it that was killed.
    let mut erasure =
        if views::is_to_forget(&db).unwrap_or(false) { Erasure::Begun } else { Erasure::Nothing };
    loop {
        let next = match erasure {
            Erasure::Nothing => queue.recv().map_err(|_| TryRecvError::Disconnected),
            _ => queue.try_recv(),
        };
        let first = match next {
            Ok(first) => first,
            // While nothing waits, deleted words are forgotten, a little at a time.
            Err(TryRecvError::Empty) => {
                erasure = erasure.step(&db);
                continue;
            }
            Err(TryRecvError::Disconnected) => {
                let begun = Instant::now();
                while !matches!(erasure, Erasure::Nothing) && begun.elapsed() < FORGETTING {
                    erasure = erasure.step(&db);
                }
                return;
            }
        };
        let mut batch = vec![first];
        batch.extend(queue.try_iter());
        // It does not wait for more: meanwhile the next events are signed, which takes as long.
        match write(&mut db, &batch, patience) {
            Ok(()) => {
                let ticket = batch.last().map_or(0, |job| job.ticket);
                gauge.transactions.fetch_add(1, Ordering::AcqRel);
                gauge.committed.store(ticket, Ordering::Release);
                gauge.jobs.fetch_sub(batch.len(), Ordering::AcqRel);
                gauge.bytes.fetch_sub(batch.iter().map(Job::bytes).sum(), Ordering::AcqRel);
                committed(Ok(ticket));
                if batch.iter().flat_map(|job| &job.events).any(|(event, _)| event.kind == DELETED) {
                    erasure = Erasure::Begun;
                }
            }
            Err(error) => {
                let mut error = Error::from(error);
                error.what = format!("cannot record what happened: {}", error.what);
                tracing::error!("{error}");
                committed(Err(error));
                return;
            }
        }
    }
}

/// What is still to be done after a deletion: the index of words forgets when its segments are merged, and the write-ahead log
/// when it is emptied.
enum Erasure {
    Nothing,
    Begun,
    Merging,
    Emptying,
}

impl Erasure {
    /// Does a little of it. What does not succeed is left for the next start or deletion, or for `compact`.
    fn step(self, db: &Connection) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Begun => match views::begin_to_forget(db) {
                Ok(()) => Self::Merging,
                Err(error) => Self::given_up(&error),
            },
            Self::Merging => match views::forget_some(db) {
                Ok(true) => Self::Merging,
                Ok(false) => Self::Emptying,
                Err(error) => Self::given_up(&error),
            },
            Self::Emptying => {
                // Who reads at the moment keeps it: then the next deletion, or whoever closes the database last, does it.
                connection::empty_log(db);
                views::forgotten(db).map_or_else(|error| Self::given_up(&error), |()| Self::Nothing)
            }
        }
    }

    fn given_up(error: &rusqlite::Error) -> Self {
        tracing::warn!("words of what was deleted are still in the index: {error}");
        Self::Nothing
    }
}

/// Writes `batch`, patiently. Another process may have much to do, and what waits here is not lost meanwhile: a locked
/// database is waited for as long as `patience` says. A full disk is tried a few times.
fn write(db: &mut Connection, batch: &[Job], patience: Duration) -> rusqlite::Result<()> {
    let begun = Instant::now();
    let mut full = PAUSES.iter();
    loop {
        let (error, pause) = match transact(db, batch) {
            Err(error) if is_busy(&error) && begun.elapsed() < patience => (error, PAUSES[0]),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => match full.next() {
                Some(pause) => (error, *pause),
                None => return Err(error),
            },
            result => return result,
        };
        tracing::warn!("trying again to record {} entries: {error}", batch.len());
        std::thread::sleep(pause);
    }
}

fn transact(db: &mut Connection, batch: &[Job]) -> rusqlite::Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut last = None;
    for job in batch {
        for (sha256, text) in &job.blobs {
            tx.prepare_cached("INSERT OR IGNORE INTO blobs VALUES (?1, ?2)")?.execute([sha256, text])?;
        }
        for (event, record) in &job.events {
            let position = insert(&tx, event)?;
            if event.kind == DELETED {
                views::erase(&tx, event)?;
            }
            views::apply_record(&tx, position, event, record.clone())?;
            last = Some(position);
        }
    }
    if let Some(last) = last {
        views::reached(&tx, last)?;
    }
    tx.commit()
}

/// Appends `event` to the log and returns its position.
pub(super) fn insert(db: &Connection, event: &Envelope) -> rusqlite::Result<i64> {
    db.prepare_cached("INSERT INTO log VALUES (NULL, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)")?.insert(
        params![
            event.id.0,
            event.session.0,
            int(event.seq),
            event.prev,
            int(event.lamport),
            event.author,
            event.kind,
            event.version,
            int(event.time),
            event.body,
            event.signature
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::ids::SessionId;
    use crate::store::envelope::Place;
    use crate::store::migrations::{self, LATEST};

    fn job(ticket: u64, size: usize) -> Job {
        let record =
            Record::SessionCreated { user: "x".repeat(size), title: String::new(), buffer: "b".into() };
        let session = SessionId(format!("s{ticket}"));
        let place = Place { session: &session, seq: 1, prev: "", lamport: ticket, time: 0 };
        let key = ed25519_dalek::SigningKey::from_bytes(&[1; 32]);
        Job {
            ticket,
            blobs: Vec::new(),
            events: vec![(Envelope::seal(&record, place, &key).unwrap(), record)],
        }
    }

    /// Needs no signature.
    fn text(ticket: u64, size: usize) -> Job {
        Job { ticket, blobs: vec![(format!("sha {ticket}"), "x".repeat(size))], events: Vec::new() }
    }

    fn database(dir: &std::path::Path) -> Connection {
        let path = dir.join("agent.db");
        let mut db = connection::writer(&path, Duration::from_millis(10)).unwrap();
        migrations::migrate(&mut db, &path, LATEST).unwrap();
        db
    }

    #[test]
    fn a_full_disk_stops_the_writer_and_leaves_what_was_committed() {
        let dir = tempfile::tempdir().unwrap();
        let db = database(dir.path());
        let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        db.pragma_update(None, "max_page_count", pages + 20).unwrap();
        let (said, hear) = channel();
        let writer = Writer::spawn(db, Duration::ZERO, move |result| drop(said.send(result))).unwrap();
        writer.send(job(1, 10)).unwrap();
        assert_eq!(hear.recv().unwrap().unwrap(), 1);
        writer.send(job(2, 200_000)).unwrap();
        let error = hear.recv().unwrap().unwrap_err();
        assert_eq!(error.code, Code::Internal);
        assert!(error.what.contains("the disk is full"), "{error}");
        assert!(error.hint.contains("free some space"), "{error}");
        // The thread is gone: the channel closes, and nothing more is taken.
        assert!(hear.recv().is_err());
        let (refused, back) = *writer.send(job(3, 10)).unwrap_err();
        assert_eq!((refused.code, back.ticket), (Code::Internal, 3));
        assert_eq!((writer.committed(), writer.transactions()), (1, 1));
        drop(writer);
        let events: i64 =
            database(dir.path()).query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
        assert_eq!(events, 1);
    }

    #[test]
    fn a_queue_that_is_not_drained_has_no_room_and_then_has_some_again() {
        let dir = tempfile::tempdir().unwrap();
        let db = database(dir.path());
        let (said, hear) = channel();
        // The thread stops at its first report until it is let go on.
        let (go, wait) = channel::<()>();
        let writer = Writer::spawn(db, Duration::ZERO, move |result| {
            drop(said.send(result));
            let _ = wait.recv();
        })
        .unwrap();
        writer.send(job(1, 10)).unwrap();
        assert_eq!(hear.recv().unwrap().unwrap(), 1);
        assert!(writer.has_room());
        writer.send(text(2, MAX_BYTES + 1)).unwrap();
        assert!(!writer.has_room(), "too many bytes wait");
        go.send(()).unwrap();
        assert_eq!(hear.recv().unwrap().unwrap(), 2);
        assert!(writer.has_room());
        // What has begun is taken all the same.
        let last = 10 + MAX_JOBS as u64;
        for ticket in 3..=last {
            writer.send(text(ticket, 10)).unwrap();
        }
        assert!(!writer.has_room(), "too many jobs wait");
        drop(go);
        while hear.recv().unwrap().unwrap() < last {}
        assert!(writer.has_room());
    }

    #[test]
    fn a_bug_in_what_is_called_back_is_reported_and_stops_the_writer() {
        let dir = tempfile::tempdir().unwrap();
        let db = database(dir.path());
        let (said, hear) = channel();
        let writer = Writer::spawn(db, Duration::ZERO, move |result| {
            assert!(result.is_err(), "made to fail");
            drop(said.send(result));
        })
        .unwrap();
        writer.send(job(1, 10)).unwrap();
        assert!(hear.recv().unwrap().is_err());
        assert!(hear.recv().is_err());
        drop(writer);
    }
}

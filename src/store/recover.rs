//! A way out of a damaged database: what can be read of the log goes into a new file, event by event, and the views are
//! made of that. The damaged file is kept beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};

use super::envelope::{Envelope, sha256};
use super::views::{self, ENVELOPE, envelope};
use super::writer::insert;
use super::{connection, lease, migrations};
use crate::error::{Code, Error, Result};

/// How many events are read and written at once.
const AT_ONCE: i64 = 500;

/// After so many places in a row of which nothing can be read, where even the end of the log is not known, there is no more.
const MISSES: i64 = 20_000;

/// How long another process may hold the database.
const BUSY: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// How many events are in the new database.
    pub events: u64,
    /// How many could be read and are not what was signed: they are left out.
    pub damaged: u64,
    /// How many places of the log could not be read.
    pub unreadable: u64,
    /// How many texts of prompts are in the new database.
    pub texts: u64,
    /// Where the damaged database is now.
    pub kept: PathBuf,
}

/// Makes a new database in `dir` of what can be read of the one that is there. `progress` is told how many events were
/// looked at so far.
///
/// # Errors
/// `not_found` if there is no database, `conflict` if a server is at work on it, `internal` if nothing of it can be read or
/// the new one not be written: then all is as it was.
pub fn recover(dir: &Path, progress: &mut dyn FnMut(u64)) -> Result<Recovered> {
    let path = dir.join("agent.db");
    if !path.exists() {
        return Err(Error::not_found(format!("there is no {}", path.display())));
    }
    if lease::any_held(&dir.join("leases")) {
        return Err(Error::new(Code::Conflict, "a server is at work on this database")
            .hint("close the editors that use it, then try again"));
    }
    let old = connection::reader(&path, BUSY)?;
    let draft = dir.join("agent.db.recovering");
    remove(&draft)?;
    let mut recovered = Recovered::default();
    {
        let mut new = connection::writer(&draft, BUSY)?;
        migrations::migrate(&mut new, &draft, migrations::LATEST)?;
        let tx = new.transaction()?;
        events(&old, &tx, &mut recovered, progress)?;
        texts(&old, &tx, &mut recovered)?;
        views::rebuild(&tx, &tx)?;
        tx.commit()?;
        // One file, as a whole.
        new.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    }
    drop(old);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    recovered.kept = dir.join(format!("agent.db.damaged-{}", since.as_secs()));
    let moved =
        |error: std::io::Error| {
            Error::internal("the recovered database could not be put in its place")
                .because(error)
                .hint(format!("it is {}; move it to {}", draft.display(), path.display()))
        };
    fs::rename(&path, &recovered.kept).map_err(moved)?;
    for ending in ["-wal", "-shm"] {
        let beside = with(&path, ending);
        if beside.exists() {
            fs::rename(&beside, with(&recovered.kept, ending)).map_err(moved)?;
        }
    }
    fs::rename(&draft, &path).map_err(moved)?;
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(moved)?;
    Ok(recovered)
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn remove(draft: &Path) -> Result<()> {
    for ending in ["", "-wal", "-shm"] {
        match fs::remove_file(with(draft, ending)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::internal(format!("cannot remove {}", draft.display())).because(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Copies events by their place, which needs no index of the old database.
fn events(
    old: &Connection,
    new: &Connection,
    recovered: &mut Recovered,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let last: Option<i64> =
        old.query_row("SELECT coalesce(max(position), 0) FROM log", [], |row| row.get(0)).ok();
    let (mut first, mut misses, mut looked_at) = (1, 0, 0);
    while last.is_none_or(|last| first <= last) && misses < MISSES {
        let found = match read(old, first, first + AT_ONCE - 1) {
            Ok(found) => found,
            // Something there cannot be read: one at a time, then.
            Err(_) => (first..first + AT_ONCE)
                .filter(|place| last.is_none_or(|last| *place <= last))
                .filter_map(|place| match read(old, place, place) {
                    Ok(found) => found.into_iter().next(),
                    Err(_) => {
                        recovered.unreadable += 1;
                        None
                    }
                })
                .collect(),
        };
        misses = if found.is_empty() { misses + AT_ONCE } else { 0 };
        looked_at += found.len() as u64;
        for event in found {
            if event.problem().is_some() || insert(new, &event).is_err() {
                recovered.damaged += 1;
            } else {
                recovered.events += 1;
            }
        }
        progress(looked_at);
        first += AT_ONCE;
    }
    if recovered.events == 0 {
        return Err(Error::internal("no event of the damaged database can be read")
            .hint("restore agent.db from a backup (agent.db.bak-N), or move it away to start anew"));
    }
    Ok(())
}

fn read(old: &Connection, first: i64, last: i64) -> rusqlite::Result<Vec<Envelope>> {
    old.prepare_cached(&format!(
        "SELECT {ENVELOPE} FROM log WHERE position BETWEEN ?1 AND ?2 ORDER BY position"
    ))?
    .query_map([first, last], envelope)?
    .collect()
}

/// Copies the texts of prompts, by the beginnings of their hashes: where one cannot be read, the others can.
fn texts(old: &Connection, new: &Connection, recovered: &mut Recovered) -> Result<()> {
    for beginning in 0..=0xff_u8 {
        let (from, to) = (format!("{beginning:02x}"), format!("{beginning:02x}~"));
        let Ok(mut query) =
            old.prepare_cached("SELECT sha256, text FROM blobs WHERE sha256 >= ?1 AND sha256 < ?2")
        else {
            return Ok(());
        };
        let Ok(mut rows) = query.query([from, to]) else { continue };
        while let Ok(Some(row)) = rows.next() {
            let (Ok(hash), Ok(text)) = (row.get::<_, String>(0), row.get::<_, String>(1)) else { continue };
            if sha256(&text) == hash {
                new.prepare_cached("INSERT OR IGNORE INTO blobs VALUES (?1, ?2)")?
                    .execute(params![hash, text])?;
                recovered.texts += 1;
            }
        }
    }
    Ok(())
}

//! Connections to the database file, with every setting made explicit and read back. It knows nothing of
//! tables.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use super::files::restrict;
use crate::error::{Error, Result};

/// How often the change to WAL is tried while another process makes it, too.
const WAL_TRIES: u32 = 50;

/// Opens the database file for writing; makes it, readable by its owner only, if there is none.
///
/// # Errors
/// `internal` if the file cannot be opened, is no database, or refuses a setting.
pub(super) fn writer(path: &Path, busy: Duration) -> Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(path, flags, busy).and_then(|db| settle(&db).map(|()| db)).map_err(|error| at(error, path))
}

/// Opens the database file for reading only.
///
/// # Errors
/// `internal` if the file cannot be opened or is no database.
pub(super) fn reader(path: &Path, busy: Duration) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(path, flags, busy).map_err(|error| at(error, path))
}

/// Opens the database file for reading where nothing can be written: on a medium that is read-only, SQLite cannot make
/// the files it would share with writers. There are none, so what is in the file is all there is.
///
/// # Errors
/// As [`reader`].
pub(super) fn frozen_reader(path: &Path, busy: Duration) -> Result<Connection> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if std::fs::metadata(Path::new(&log)).is_ok_and(|data| data.len() > 0) {
        return Err(Error::internal(format!(
            "a part of the database {} cannot be read here",
            path.display()
        ))
        .because("its write-ahead log is not folded in, and nothing can be written in its directory")
        .hint("copy the directory to where you can write, and set ORG_AGENT_HOME to that"));
    }
    let url = url::Url::from_file_path(path)
        .map_err(|()| Error::internal(format!("{} is no absolute path", path.display())))?;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let name = format!("{url}?immutable=1");
    open(Path::new(&name), flags, busy).map_err(|error| at(error, path))
}

fn open(path: &Path, flags: OpenFlags, busy: Duration) -> Result<Connection> {
    let db = Connection::open_with_flags(path, flags)?;
    // Before anything is written, and before SQLite makes its two other files with the same mode.
    restrict(path);
    let busy = i64::try_from(busy.as_millis()).unwrap_or(i64::MAX);
    set(&db, "busy_timeout", busy, &busy)?;
    set(&db, "foreign_keys", 1, &1_i64)?;
    // The fold alone has more statements than the cache has places by default.
    db.set_prepared_statement_cache_capacity(48);
    // A file that is no database is told from the first read on.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
    Ok(db)
}

/// Durability: WAL, and every commit on disk before it counts.
fn settle(db: &Connection) -> Result<()> {
    let mut tries = 0;
    loop {
        match set(db, "journal_mode", "wal", &"wal".to_owned()) {
            // SQLite does not wait by itself here, so that two processes cannot wait for each other.
            Err(error) if is_busy(&error) && tries < WAL_TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error.into()),
            Ok(()) => break,
        }
    }
    // 2 is FULL.
    set(db, "synchronous", "FULL", &2_i64)?;
    // What is deleted is overwritten.
    set(db, "secure_delete", 1, &1_i64)?;
    // The indexes take many pages in hand: with more room for them, and with fewer and larger checkpoints, more events a
    // second are written (docs/sessions.md says how many). In pages, and in KiB.
    set(db, "wal_autocheckpoint", 16_000, &16_000_i64)?;
    set(db, "cache_size", -65_536, &-65_536_i64)?;
    Ok(())
}

/// Sets a pragma and reads it back.
fn set<T>(db: &Connection, pragma: &str, value: impl ToSql, expected: &T) -> rusqlite::Result<()>
where
    T: rusqlite::types::FromSql + PartialEq,
{
    // Some pragmas answer with their value, others do not.
    db.pragma_update(None, pragma, value)?;
    let found: T = db.pragma_query_value(None, pragma, |row| row.get(0))?;
    if found == *expected { Ok(()) } else { Err(rusqlite::Error::InvalidParameterName(pragma.to_owned())) }
}

/// Folds the write-ahead log into the database and empties it, without waiting for anybody; whether that was possible.
pub(super) fn empty_log(db: &Connection) -> bool {
    let busy: rusqlite::Result<i64> =
        db.pragma_query_value(None, "busy_timeout", |row| row.get(0)).and_then(|patience: i64| {
            db.busy_timeout(Duration::ZERO)?;
            let busy = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
            db.busy_timeout(Duration::from_millis(u64::try_from(patience).unwrap_or_default()))?;
            busy
        });
    matches!(busy, Ok(0))
}

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn at(mut error: Error, path: &Path) -> Error {
    error.what = format!("cannot use the database {}: {}", path.display(), error.what);
    error
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let (what, hint) = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => ("the disk is full", "free some space and restart"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                ("the database is locked", "end the program that holds it for so long")
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => (
                "the database cannot be opened or written",
                "check that the file and its directory belong to you and are writable",
            ),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
                "the database file is damaged or is no database",
                "keep what can be read with: org-agent session recover; or restore agent.db from a backup (agent.db.bak-N), or move it away to start anew",
            ),
            Some(ErrorCode::SystemIoFailure) => ("the disk failed", "check the disk, then restart"),
            _ => ("the database refused", ""),
        };
        Self::internal(what).because(error).hint(hint)
    }
}

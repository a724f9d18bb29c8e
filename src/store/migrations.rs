//! The schema's history: steps up and down, each in one transaction, a backup before a step on data.
//! It knows the steps' texts and their order, and nothing of what the tables mean.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use super::views;
use crate::error::{Error, Result};

struct Step {
    up: &'static str,
    down: &'static str,
}

macro_rules! step {
    ($name:literal) => {
        Step {
            up: include_str!(concat!("migrations/", $name, ".up.sql")),
            down: include_str!(concat!("migrations/", $name, ".down.sql")),
        }
    };
}

/// The step at index N leads from version N to N + 1 and back.
const STEPS: [Step; 6] = [
    step!("0001_log"),
    step!("0002_views"),
    step!("0003_sessions"),
    step!("0004_models"),
    step!("0005_recent"),
    step!("0006_variants"),
];

/// The version this program works with.
pub const LATEST: usize = STEPS.len();

/// The version at which there is the log and nothing else.
const LOG: usize = 1;

/// Brings the database at `path`, open as `db`, to version `target`; does nothing if it is there. The log is
/// kept, the views are made anew from it. Only this version's views can be made here: on the way to an earlier one the
/// database is left with the log alone, and the program of that version makes its own. Before the first step on a database that holds events, a copy is
/// made: `<path>.bak-<version>`. Processes that race take turns.
///
/// # Errors
/// `internal` if the database is newer than this program or a step fails: then nothing has changed.
pub fn migrate(db: &mut Connection, path: &Path, target: usize) -> Result<()> {
    let target = if target < LATEST { target.min(LOG) } else { target };
    let before = checked_version(db)?;
    if before == target {
        return Ok(());
    }
    if before > 0 && db.query_row("SELECT EXISTS (SELECT 1 FROM log)", [], |row| row.get(0))? {
        back_up(db, path, before)?;
    }
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let mut version = checked_version(&tx)?;
    if version == target {
        return Ok(());
    }
    while version < target {
        tx.execute_batch(STEPS[version].up)?;
        version += 1;
    }
    while version > target {
        version -= 1;
        tx.execute_batch(STEPS[version].down)?;
    }
    if version == LATEST {
        views::rebuild(&tx, &tx)?;
    }
    tx.pragma_update(None, "user_version", i64::try_from(version).unwrap_or(i64::MAX))?;
    tx.commit()?;
    Ok(())
}

/// A database in a temporary file with the schema of `LATEST` and nothing in it.
pub(super) fn scratch() -> Result<Connection> {
    let db = Connection::open("")?;
    for step in &STEPS {
        db.execute_batch(step.up)?;
    }
    Ok(db)
}

/// Whether the database has this program's version; a newer one it cannot have.
///
/// # Errors
/// `internal` if it is newer than this program.
pub(super) fn is_current(db: &Connection) -> Result<bool> {
    Ok(checked_version(db)? == LATEST)
}

fn checked_version(db: &Connection) -> Result<usize> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    usize::try_from(version).ok().filter(|version| *version <= LATEST).ok_or_else(|| {
        Error::internal("the database belongs to a newer org-agent")
            .because(format!("its version is {version}, this program knows {LATEST}"))
            .hint(format!("install the newer org-agent again, or restore the backup agent.db.bak-{LATEST}"))
    })
}

/// Copies the database; the copy appears under its name only when it is complete.
fn back_up(db: &Connection, path: &Path, version: usize) -> Result<()> {
    let with = |suffix: String| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let backup = with(format!(".bak-{version}"));
    let draft = with(format!(".bak-{version}.{}", crate::ids::token()?));
    let fail = |error: std::io::Error| {
        Error::internal(format!("cannot back up the database to {}", backup.display()))
            .because(error)
            .hint("free some space, check that the directory is writable, then restart")
    };
    sweep(&backup);
    // Made here first, so that its mode is ours; SQLite fills an empty file. Locked, so that others see that it is in use.
    let file = super::files::private(&draft).map_err(fail)?;
    let copied = file.try_lock().map_err(std::io::Error::from).map_err(fail).and_then(|()| {
        db.execute("VACUUM INTO ?1", [draft.to_string_lossy()])?;
        file.sync_all().map_err(fail)?;
        std::fs::rename(&draft, &backup).map_err(fail)
    });
    if copied.is_err() {
        drop(std::fs::remove_file(&draft));
    }
    copied
}

/// Removes what is left of copies that were never finished.
fn sweep(backup: &Path) {
    let (Some(directory), Some(name)) = (backup.parent(), backup.file_name().and_then(|name| name.to_str()))
    else {
        return;
    };
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let rest = path.file_name().and_then(|own| own.to_str()?.strip_prefix(name));
        if rest.is_some_and(|rest| rest.starts_with('.'))
            && std::fs::File::open(&path).is_ok_and(|file| file.try_lock().is_ok())
        {
            drop(std::fs::remove_file(&path));
        }
    }
}

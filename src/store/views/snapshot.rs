//! The views as a file and back: to go on from a known state instead of folding everything again.
//!
//! A snapshot is a database with the tables of the views and with the place in the log at which they were taken. It
//! belongs to one log: it is taken back only where that place holds the same event.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::{VIEWS, fold_after, rebuild, reset};
use crate::error::{Error, Result};

/// How many positions of the log are looked at together for words.
const AT_ONCE: usize = 10_000;

/// Writes the views of `db` into the file `path`, which must not be there.
///
/// # Errors
/// `conflict` if the file is there; `internal` if it cannot be written.
pub(in super::super) fn snapshot(db: &Connection, path: &Path) -> Result<()> {
    if path.exists() {
        return Err(Error::new(crate::error::Code::Conflict, format!("{} is there already", path.display()))
            .hint("choose another name"));
    }
    super::super::files::private(path).map_err(|error| unusable(path).because(error))?;
    with_attached(db, path, || {
        // One moment of the database for all tables.
        let tx = db.unchecked_transaction()?;
        for view in VIEWS {
            tx.execute_batch(&format!("CREATE TABLE snapshot.{view} AS SELECT * FROM main.{view}"))?;
        }
        tx.execute_batch(
            "CREATE TABLE snapshot.taken AS SELECT position, (SELECT id FROM log WHERE log.position = folded.position) AS id
             FROM folded",
        )?;
        tx.commit()
    })
}

/// Takes the views of `db` back to those in the file `path`, and folds the events since.
///
/// # Errors
/// `bad_request` if the file is no snapshot of this log.
pub(in super::super) fn restore(db: &mut Connection, path: &Path) -> Result<()> {
    if !path.exists() {
        return Err(Error::not_found(format!("there is no {}", path.display())));
    }
    let belongs = with_attached(db, path, || {
        let tx = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
        let taken: Option<(i64, Option<String>)> = tx
            .query_row("SELECT position, id FROM snapshot.taken", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((position, id)) = taken else { return Ok(false) };
        let here: Option<String> = tx
            .query_row("SELECT id FROM main.log WHERE position = ?1", [position], |row| row.get(0))
            .optional()?;
        // What was deleted since is in the snapshot still: then it is of no use.
        let deleted: bool = tx.query_row(
            "SELECT EXISTS (SELECT 1 FROM main.log WHERE position > ?1 AND type = 'chat.session.deleted')",
            [position],
            |row| row.get(0),
        )?;
        if deleted {
            rebuild(&tx, &tx)?;
        } else if here != id {
            return Ok(false);
        } else {
            reset(&tx)?;
            for view in VIEWS.iter().rev() {
                tx.execute_batch(&format!("INSERT INTO main.{view} SELECT * FROM snapshot.{view}"))?;
            }
            // Their words are in no snapshot.
            tx.execute("UPDATE main.chat_messages SET indexed = -1 WHERE indexed = 1", [])?;
            let last: i64 =
                tx.query_row("SELECT coalesce(max(position), 0) FROM main.chat_messages", [], |row| {
                    row.get(0)
                })?;
            for first in (0..=last).step_by(AT_ONCE) {
                let part = (first, first + AT_ONCE as i64 - 1);
                super::messages::index(&tx, "m.indexed = -1 AND m.position BETWEEN ?1 AND ?2", part)?;
            }
            fold_after(position, &tx, &tx)?;
        }
        tx.commit()?;
        Ok(true)
    })?;
    if belongs {
        return Ok(());
    }
    Err(Error::bad_request(format!("{} was not taken from this log", path.display()))
        .hint("without a snapshot the views are made from the log alone: org-agent session verify --repair"))
}

fn with_attached<T>(db: &Connection, path: &Path, run: impl FnOnce() -> rusqlite::Result<T>) -> Result<T> {
    let failed = |error: rusqlite::Error| unusable(path).because(error);
    db.execute("ATTACH ?1 AS snapshot", [path.to_string_lossy()]).map_err(failed)?;
    let result = run().map_err(failed);
    db.execute_batch("DETACH snapshot").map_err(failed)?;
    result
}

fn unusable(path: &Path) -> Error {
    Error::internal(format!("cannot use the snapshot {}", path.display()))
        .hint("check that the file is a snapshot of org-agent and its directory is writable")
}

//! Whether the log and the views are what they should be: identities, signatures, chains, texts of prompts, and the
//! fold. It reports and repairs nothing.
//!
//! What counts as ours is signed by this store's key, or by one whose public half stands in the file `authors` beside it
//! (one line each): the keys that were there before.

use std::collections::HashSet;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::Store;
use super::envelope::{Envelope, sha256};
use super::migrations;
use super::views::{self, ENVELOPE, VIEWS};
use crate::error::Result;
use crate::ids::SessionId;
use crate::record::{DELETED, Record};

/// The most bytes of the file of earlier keys that are looked at.
const AUTHORS_BYTES: u64 = 1 << 16;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: an event of a session, or a view.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl Store {
    /// Checks the events of `session`: identity, signature, signer, that each follows the one before, and the texts of
    /// its prompts. An end that was cut off whole cannot be seen here.
    ///
    /// # Errors
    /// `internal` if the database cannot be read.
    pub fn verify(&self, session: &SessionId) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        self.chains("WHERE session = ?1", &[session.as_str()], &mut findings, &mut |_| {})?;
        self.texts("WHERE u.session = ?1", &[session.as_str()], &mut findings)?;
        Ok(findings)
    }

    /// Checks all events and texts, and that the views are what the log folds into.
    ///
    /// # Errors
    /// `internal` if the database cannot be read.
    pub fn verify_all(&self) -> Result<Vec<Finding>> {
        self.verify_all_with(&mut |_| {})
    }

    /// [`Store::verify_all`], telling after each event how many were checked so far.
    ///
    /// # Errors
    /// As [`Store::verify_all`].
    pub fn verify_all_with(&self, progress: &mut dyn FnMut(u64)) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        // One moment of the database for both, whatever is being written.
        let snapshot = self.reader.unchecked_transaction()?;
        self.chains("", &[], &mut findings, progress)?;
        self.texts("", &[], &mut findings)?;
        findings.extend(
            self.broken("integrity_check")?
                .into_iter()
                .map(|problem| Finding { place: "the database file".into(), problem }),
        );
        let mut scratch = migrations::scratch()?;
        let fresh = scratch.transaction()?;
        if let Err(error) = views::rebuild(&snapshot, &fresh) {
            findings.push(Finding { place: "the views".into(), problem: format!("cannot be made: {error}") });
            return Ok(findings);
        }
        for view in VIEWS {
            if dump(&snapshot, view)? != dump(&fresh, view)? {
                findings.push(stale(view));
            }
        }
        if words(&snapshot)? != words(&fresh)? {
            findings.push(stale("message_words"));
        }
        Ok(findings)
    }

    /// What is wrong with the file itself, as SQLite sees it: nothing if it is whole. Reads all of it.
    ///
    /// # Errors
    /// `internal` if it cannot be read at all.
    pub fn damage(&self) -> Result<Vec<String>> {
        self.broken("quick_check")
    }

    fn broken(&self, check: &str) -> Result<Vec<String>> {
        // A query has FTS5 look at its index anew. The check alone would take what this connection knew of it before
        // another one changed it, and find damage where there is none (3.54.1). If the index is damaged, the check says so.
        let index = "SELECT rowid FROM message_words WHERE message_words MATCH 'x' LIMIT 1";
        drop(self.one(index, [], |row| row.get::<_, i64>(0)));
        let found = self.all(&format!("PRAGMA {check}(5)"), [], |row| row.get::<_, String>(0))?;
        Ok(found.into_iter().filter(|line| line != "ok").collect())
    }

    /// How many events there are.
    ///
    /// # Errors
    /// `internal` if the database cannot be read.
    pub fn events(&self) -> Result<u64> {
        Ok(self.one("SELECT count(*) FROM log", [], |row| row.get(0))?.map_or(0, views::nat))
    }

    fn chains(
        &self,
        which: &str,
        params: &[&str],
        findings: &mut Vec<Finding>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let known = self.known_authors();
        let sql = format!("SELECT {ENVELOPE}, position FROM log {which} ORDER BY session, seq");
        let mut query = self.reader.prepare(&sql)?;
        let mut rows = query.query(rusqlite::params_from_iter(params))?;
        let mut before: Option<Envelope> = None;
        // Nobody signs where an event stands in the file; the chain says in which order.
        let mut place_before = 0;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            progress(count);
            let position: i64 = row.get(11)?;
            let event = match views::envelope(row) {
                Ok(event) => event,
                Err(error) => {
                    findings
                        .push(Finding { place: "the log".into(), problem: format!("unreadable: {error}") });
                    before = None;
                    continue;
                }
            };
            let place = format!("event {} of session {}", event.seq, event.session);
            let last = before.as_ref().filter(|last| last.session == event.session);
            let mut problems: Vec<&str> = event.problem().into_iter().collect();
            if !known.contains(&event.author) {
                problems.push("its signer is not known here");
            }
            if event.kind == DELETED {
                problems.extend(tombstone(&event, last.is_some()));
            } else {
                problems.extend(link(&event, last));
            }
            if last.is_some() && position <= place_before {
                problems.push("it stands before the event that it follows");
            }
            place_before = position;
            findings.extend(
                problems.into_iter().map(|problem| Finding { place: place.clone(), problem: problem.into() }),
            );
            before = Some(event);
        }
        Ok(())
    }

    /// That the texts of prompts are there and are what their events name.
    fn texts(&self, which: &str, params: &[&str], findings: &mut Vec<Finding>) -> Result<()> {
        let sql = format!(
            "SELECT u.sha256, u.session, b.text FROM blob_uses u LEFT JOIN blobs b ON b.sha256 = u.sha256 {which}
             GROUP BY u.sha256"
        );
        let mut query = self.reader.prepare(&sql)?;
        let mut rows = query.query(rusqlite::params_from_iter(params))?;
        while let Some(row) = rows.next()? {
            let (hash, session): (String, String) = (row.get(0)?, row.get(1)?);
            let problem = match row.get::<_, Option<String>>(2) {
                Ok(Some(text)) if sha256(&text) == hash => continue,
                Ok(Some(_)) => "is not what its hash says",
                Ok(None) => "is missing",
                Err(_) => "is unreadable",
            };
            let place = format!("text {hash} of a prompt of session {session}");
            findings.push(Finding { place, problem: problem.into() });
        }
        Ok(())
    }

    /// Whose signatures count.
    fn known_authors(&self) -> HashSet<String> {
        use std::io::Read;

        let mut known: HashSet<String> = [self.author.clone()].into();
        let mut text = String::new();
        // Most stores have had one key, and there is no such file.
        if let Ok(file) = std::fs::File::open(self.dir.join("authors"))
            && file.take(AUTHORS_BYTES).read_to_string(&mut text).is_ok()
        {
            known.extend(text.lines().map(|line| line.trim().to_owned()));
        }
        known
    }
}

/// What is wrong with the place of `event` after `last`, the one before it in its session.
fn link(event: &Envelope, last: Option<&Envelope>) -> Vec<&'static str> {
    let mut problems = Vec::new();
    let forks = last.is_some_and(|last| event.seq == last.seq || event.prev == last.prev);
    if forks {
        problems.push("the chain forks here: another event stands in the same place");
    } else if event.seq != last.map_or(1, |last| last.seq + 1) {
        problems.push("an event before it is missing");
    }
    if !forks && event.prev != last.map_or("", |last| last.id.as_str()) {
        problems.push("it does not name the event before it");
    }
    if event.lamport <= last.map_or(0, |last| last.lamport) {
        problems.push("its Lamport time is not after that of the event before it");
    }
    problems
}

/// What is wrong with an event that takes the place of all before it.
fn tombstone(event: &Envelope, any_before: bool) -> Option<&'static str> {
    if any_before {
        return Some("it says that what stands before it was deleted");
    }
    match serde_json::from_str(&event.body) {
        Ok(Record::SessionDeleted { events, .. }) if events.checked_add(1) == Some(event.seq) => None,
        _ => Some("it does not stand where a deletion would"),
    }
}

fn stale(view: &str) -> Finding {
    Finding {
        place: format!("view {view}"),
        problem: "it is not what the log folds into; rebuild it: org-agent session verify --repair".into(),
    }
}

/// Which words are in how many messages, and how often, hashed.
fn words(db: &Connection) -> rusqlite::Result<[u8; 32]> {
    db.execute_batch(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.words USING fts5vocab(main, message_words, 'row')",
    )?;
    dump(db, "temp.words")
}

/// All rows of a view in an order that only depends on them, hashed.
fn dump(db: &Connection, view: &str) -> rusqlite::Result<[u8; 32]> {
    use sha2::{Digest, Sha256};

    let mut query = db.prepare(&format!("SELECT * FROM {view} ORDER BY 1, 2"))?;
    let columns = query.column_count();
    let mut rows = query.query([])?;
    let mut hash = Sha256::new();
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            let (tag, bytes) = match row.get_ref(column)? {
                ValueRef::Null => (b'n', Vec::new()),
                ValueRef::Integer(number) => (b'i', number.to_be_bytes().to_vec()),
                ValueRef::Real(number) => (b'r', number.to_be_bytes().to_vec()),
                ValueRef::Text(text) => (b't', text.to_vec()),
                ValueRef::Blob(bytes) => (b'b', bytes.to_vec()),
            };
            hash.update([tag]);
            hash.update(bytes.len().to_be_bytes());
            hash.update(bytes);
        }
    }
    Ok(hash.finalize().into())
}

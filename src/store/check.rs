//! Whether the log and the views are what they should be: identities, signatures, chains, and the fold.
//! It reports and repairs nothing.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::Store;
use super::views::{self, ENVELOPE, VIEWS};
use super::{envelope, migrations};
use crate::error::Result;
use crate::ids::SessionId;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: an event of a session, or a view.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
}

impl Store {
    /// Checks the events of `session`: identity, signature, and that each follows the one before. An end that
    /// was cut off whole cannot be seen here.
    ///
    /// # Errors
    /// `internal` if the database cannot be read.
    pub fn verify(&self, session: &SessionId) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        self.chains("WHERE session = ?1", &[session.as_str()], &mut findings)?;
        Ok(findings)
    }

    /// Checks all events, and that the views are what the log folds into.
    ///
    /// # Errors
    /// `internal` if the database cannot be read.
    pub fn verify_all(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        // One moment of the database for both, whatever is being written.
        let snapshot = self.reader.unchecked_transaction()?;
        self.chains("", &[], &mut findings)?;
        let mut scratch = migrations::scratch()?;
        let fresh = scratch.transaction()?;
        if let Err(error) = views::rebuild(&snapshot, &fresh) {
            findings.push(Finding { place: "the views".into(), problem: format!("cannot be made: {error}") });
            return Ok(findings);
        }
        for view in VIEWS {
            if dump(&snapshot, view)? != dump(&fresh, view)? {
                let problem = "it is not what the log folds into; rebuild the views".to_owned();
                findings.push(Finding { place: format!("view {view}"), problem });
            }
        }
        Ok(findings)
    }

    fn chains(&self, which: &str, params: &[&str], findings: &mut Vec<Finding>) -> Result<()> {
        let sql = format!("SELECT {ENVELOPE} FROM log {which} ORDER BY session, seq");
        let mut query = self.reader.prepare(&sql)?;
        let mut rows = query.query(rusqlite::params_from_iter(params))?;
        let mut before: Option<envelope::Envelope> = None;
        while let Some(row) = rows.next()? {
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
            if event.seq != last.map_or(1, |last| last.seq + 1) {
                problems.push("an event before it is missing");
            }
            if event.prev != last.map_or("", |last| last.id.as_str()) {
                problems.push("it does not name the event before it");
            }
            if event.lamport <= last.map_or(0, |last| last.lamport) {
                problems.push("its Lamport time is not after that of the event before it");
            }
            findings.extend(
                problems.into_iter().map(|problem| Finding { place: place.clone(), problem: problem.into() }),
            );
            before = Some(event);
        }
        Ok(())
    }
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

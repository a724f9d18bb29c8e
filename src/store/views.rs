//! The views: what sessions, messages, actions and turns are, as a fold over the log. It only writes views
//! and only reads what it is given and earlier rows of views, so that the same log always gives the same
//! rows.
//!
//! The fold is total: an event that does not fit what came before changes nothing but its session's time.
//!
//! - [`reset`] empties the views, [`apply`] folds one event, [`rebuild`] does the first and then the second for the
//!   whole log, [`catch_up`] folds what came after the last event that was folded.
//! - The tables are durable with the log, in one transaction: so no start has to fold anything, however long the log.
//! - [`snapshot`] and [`restore`] copy them to a file and back.
//! - `sessions`: what people do with a session; `messages`: what was said; `actions`: what was done;
//!   `erase`: how a deleted session goes.

mod actions;
mod erase;
mod messages;
mod sessions;
mod snapshot;
pub(super) mod variants;

use rusqlite::{Connection, Params, Row, params};
use serde_json::{Value, json};

use super::envelope::{Envelope, sha256};
use crate::ids::{EventId, SessionId, TurnId};
use crate::record::{Attachment, DELETED, EndState, Record};

pub(super) use erase::erase;
pub(super) use snapshot::{restore, snapshot};

/// The tables that are views, those that refer to others first.
pub(super) const VIEWS: [&str; 12] = [
    "turn_choices",
    "blob_uses",
    "turn_events",
    "client_messages",
    "model_calls",
    "deleted_costs",
    "chat_actions",
    "chat_messages",
    "turns",
    "checkpoints",
    "session_contexts",
    "chat_sessions",
];

/// The most that one call adds to a sum: tokens, millionths of a dollar, milliseconds.
const MOST_ADDED: u64 = 1 << 40;

/// The columns of the log that make an [`Envelope`], for [`envelope`].
pub(super) const ENVELOPE: &str =
    "id, session, seq, prev, lamport, author, type, version, time, body, signature";

/// Reads an envelope from the first columns of a row selected by [`ENVELOPE`].
pub(super) fn envelope(row: &Row<'_>) -> rusqlite::Result<Envelope> {
    Ok(Envelope {
        id: EventId(row.get(0)?),
        session: SessionId(row.get(1)?),
        seq: nat(row.get(2)?),
        prev: row.get(3)?,
        lamport: nat(row.get(4)?),
        author: row.get(5)?,
        kind: row.get(6)?,
        version: row.get(7)?,
        time: nat(row.get(8)?),
        body: row.get(9)?,
        signature: row.get(10)?,
    })
}

/// SQLite's integers are signed. None of ours comes near the difference.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// As [`int`], for what is added up: what a server counted may be any number, and sums of these still are integers.
pub(super) fn addend(number: u64) -> i64 {
    int(number.min(MOST_ADDED))
}

/// The other way; what was never written as a natural number becomes 0.
pub(super) fn nat(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The hash that tells a message sent again from another message of the same client id.
#[must_use]
pub fn body_hash(text: &str, context: &[Attachment]) -> String {
    sha256(&json!([text, context]).to_string())
}

/// Empties the views.
pub(super) fn reset(db: &Connection) -> rusqlite::Result<()> {
    db.execute("INSERT INTO message_words (message_words) VALUES ('delete-all')", [])?;
    for view in VIEWS {
        db.execute(&format!("DELETE FROM {view}"), [])?;
    }
    db.execute("UPDATE folded SET position = 0", [])?;
    Ok(())
}

/// Empties the views in `to` and folds the whole log of `from` into them. The two may be one database; the
/// caller holds the transaction.
pub(super) fn rebuild(from: &Connection, to: &Connection) -> rusqlite::Result<()> {
    reset(to)?;
    fold_after(0, from, to)
}

/// Folds the events that the views of `db` do not have yet: another program may have written them.
pub(super) fn catch_up(db: &Connection) -> rusqlite::Result<()> {
    let folded: i64 = db.query_row("SELECT position FROM folded", [], |row| row.get(0))?;
    let last: i64 = db.query_row("SELECT coalesce(max(position), 0) FROM log", [], |row| row.get(0))?;
    if folded > last { rebuild(db, db) } else { fold_after(folded, db, db) }
}

/// Whether the log has events that the views do not have, or the views more than the log.
pub(super) fn is_behind(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT (SELECT position FROM folded) <> coalesce((SELECT max(position) FROM log), 0)",
        [],
        |row| row.get(0),
    )
}

fn fold_after(position: i64, from: &Connection, to: &Connection) -> rusqlite::Result<()> {
    let sql = format!("SELECT {ENVELOPE}, position FROM log WHERE position > ?1 ORDER BY position");
    let mut log = from.prepare(&sql)?;
    let mut rows = log.query([position])?;
    let mut last = position;
    while let Some(row) = rows.next()? {
        last = row.get(11)?;
        apply(to, last, &envelope(row)?)?;
    }
    reached(to, last)
}

/// Makes one segment of the index of words, without those that were taken out.
pub(super) fn compact(db: &Connection) -> rusqlite::Result<()> {
    db.execute("INSERT INTO message_words (message_words) VALUES ('optimize')", [])?;
    Ok(())
}

/// How much of the index of words is written anew in one step, in its pages.
const FORGOTTEN: i64 = 500;

/// Whether deleted words may still be in the index, or in the write-ahead log.
pub(super) fn is_to_forget(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT pending FROM erasure", [], |row| row.get(0))
}

/// Notes that no deleted words are left.
pub(super) fn forgotten(db: &Connection) -> rusqlite::Result<()> {
    db.execute("UPDATE erasure SET pending = 0", []).map(drop)
}

/// Begins to merge the segments of the index of words into one, without those that were taken out.
pub(super) fn begin_to_forget(db: &Connection) -> rusqlite::Result<()> {
    db.execute("INSERT INTO message_words (message_words, rank) VALUES ('merge', ?1)", [-FORGOTTEN])?;
    Ok(())
}

/// Goes on with it; whether there is more to do.
pub(super) fn forget_some(db: &Connection) -> rusqlite::Result<bool> {
    let before = db.total_changes();
    db.execute("INSERT INTO message_words (message_words, rank) VALUES ('merge', ?1)", [FORGOTTEN])?;
    // As the documentation of FTS5 has it: less than two changes, and nothing was left to merge.
    Ok(db.total_changes() - before >= 2)
}

/// Notes how far the log is folded.
pub(super) fn reached(db: &Connection, position: i64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE folded SET position = ?1")?.execute([position])?;
    Ok(())
}

/// Folds the event at `position` of the log into the views.
pub(super) fn apply(db: &Connection, position: i64, event: &Envelope) -> rusqlite::Result<()> {
    match serde_json::from_str(&event.body) {
        Ok(record) => apply_record(db, position, event, record),
        Err(error) => {
            // A type of a later version, or a damaged body: `store::check` tells which.
            tracing::warn!("event {} of type {} is in no view: {error}", event.id, event.kind);
            if event.kind == DELETED { Ok(()) } else { Fold { db, position, event }.session() }
        }
    }
}

/// [`apply`], for those who have the record that the event's body is.
pub(super) fn apply_record(
    db: &Connection,
    position: i64,
    event: &Envelope,
    record: Record,
) -> rusqlite::Result<()> {
    let fold = Fold { db, position, event };
    if !matches!(record, Record::SessionDeleted { .. }) {
        fold.session()?;
    }
    fold.record(record)
}

struct Fold<'a> {
    db: &'a Connection,
    position: i64,
    event: &'a Envelope,
}

impl Fold<'_> {
    fn record(&self, record: Record) -> rusqlite::Result<()> {
        match record {
            Record::SessionCreated { user, title, buffer } => self.run(
                "UPDATE chat_sessions SET user = ?1, title = ?2, buffer = ?3 WHERE id = ?4",
                params![user, title, buffer, self.id()],
            ),
            Record::SessionForked { .. }
            | Record::SessionImported { .. }
            | Record::SessionRenamed { .. }
            | Record::SessionArchived { .. }
            | Record::SessionLabelled { .. }
            | Record::SessionPaused { .. }
            | Record::SessionCompleted {}
            | Record::SessionContext { .. }
            | Record::ModelSelected { .. }
            | Record::SessionCheckpointed { .. }
            | Record::SessionRestored { .. }
            | Record::MessageRead { .. } => self.changed(record),
            Record::SessionDeleted { micro_usd, .. } => self.deleted(micro_usd),
            Record::MessageSent { turn, client_id, text, level, context, location: _, mark } => {
                self.sent(&turn, &client_id, &text, level, &context, mark.as_deref())
            }
            Record::MessageDelivered { actuation } => self.delivered(&actuation),
            Record::TurnStarted { turn } => self.started(&turn),
            Record::Dispatched { turn, skill, .. } => self.dispatched(&turn, skill.as_deref()),
            // What happens on the way stands in the log, for `why`.
            Record::Gated { turn, .. } | Record::SkillLoaded { turn, .. } | Record::FellBack { turn, .. } => {
                self.belongs(&turn)
            }
            Record::Summarised { turn, summary, .. } => {
                self.belongs(&turn)?;
                let mut context = self.context()?;
                context.summary = Some(summary);
                self.remember(&text_of(&context))
            }
            Record::Prompted { turn, attempt, model, messages, persona, .. } => {
                let persona = persona.map(|persona| persona.assistant).unwrap_or_default();
                self.prompted(&turn, attempt, (&model, &persona), &messages)
            }
            Record::Replied { turn, attempt, raw, verdict, usage, latency, cost, .. } => {
                self.replied(&turn, attempt, &verdict, raw.len(), (usage, cost, latency))
            }
            Record::ActionProposed { actuation, turn, attempt, action, sexp: _, system, mark } => {
                self.proposed(&actuation, &turn, attempt, &action, system, mark.as_deref())
            }
            Record::ActionPermitted { actuation, decision, rule, by, command, approved: _ } => {
                self.permitted(&actuation, decision, &rule, by, command.as_deref())
            }
            Record::ActionExecuted { actuation, outcome } => self.executed(&actuation, &outcome),
            Record::TurnDropped { turn } => {
                self.belongs(&turn)?;
                self.run(
                    "UPDATE turns SET reason = 'dropped', updated_at = ?1
                     WHERE id = ?2 AND session = ?3 AND state = 'failed' AND reason = 'interrupted'",
                    params![self.time(), turn.0, self.id()],
                )
            }
            Record::TurnRegenerated { turn, from, message } => self.regenerated(&turn, &from, &message),
            Record::TurnSteered { turn, by } => {
                self.belongs(&turn)?;
                self.belongs(&by)
            }
            Record::TurnChosen { turn } => self.chosen(&turn),
            Record::TurnEnded { turn, state, reason } => self.ended(&turn, state, reason.as_deref()),
            Record::TurnResumed { turn, from, message } => {
                self.belongs(&turn)?;
                self.run(
                    "INSERT OR IGNORE INTO turns
                     SELECT ?1, ?2, place, session, message, level, 'queued', NULL, id, skill, 0, ?3, ?3
                     FROM turns WHERE id = ?4 AND session = ?5 AND message = ?6",
                    params![turn.0, self.position, self.time(), from.0, self.id(), message.0],
                )?;
                self.status()
            }
        }
    }

    fn ended(&self, turn: &TurnId, state: EndState, reason: Option<&str>) -> rusqlite::Result<()> {
        self.belongs(turn)?;
        self.find_message_of(turn)?;
        let state = match state {
            EndState::Done => "done",
            EndState::Failed => "failed",
            EndState::Cancelled => "cancelled",
        };
        let changed = self
            .db
            .prepare_cached(
                "UPDATE turns SET state = ?1, reason = ?2, updated_at = ?3
                 WHERE id = ?4 AND session = ?5 AND (state IN ('queued', 'started')
                    -- What it waited for was reported to a later server.
                    OR state = 'failed' AND reason IN ('interrupted', 'dropped'))",
            )?
            .execute(params![state, reason, self.time(), turn.0, self.id()])?;
        if changed == 0 {
            return Ok(());
        }
        self.run("UPDATE chat_sessions SET ended = ?1 WHERE id = ?2", params![state, self.id()])?;
        self.status()
    }

    fn belongs(&self, turn: &TurnId) -> rusqlite::Result<()> {
        self.run("INSERT OR IGNORE INTO turn_events VALUES (?1, ?2)", params![turn.0, self.position])
    }

    fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute(params)?;
        Ok(())
    }

    /// The session that the event belongs to.
    fn id(&self) -> &str {
        self.event.session.as_str()
    }

    fn time(&self) -> i64 {
        int(self.event.time)
    }
}

/// Reads JSON that the fold wrote itself; what is no such thing counts as empty.
fn parsed<T: serde::de::DeserializeOwned + Default>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_default()
}

/// A value as the views keep it.
fn text_of(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap_or(Value::Null).to_string()
}

//! How a deleted session goes: the one path on which anything leaves the log.
//!
//! The event that says so is appended to the session's own chain first; the database lets the events before it go only
//! because it stands there. What is left of the session is that one event: how many there were, the identity of the last
//! one, who deleted it, when and why, signed.

use rusqlite::{Connection, params};

use super::super::envelope::Envelope;
use super::{Fold, addend, int};

/// Takes out of the log what `tombstone`, which is in it already, takes the place of, and the texts that only prompts of
/// its session held. To be called before the tombstone is folded: the views know which texts those are.
pub(in super::super) fn erase(db: &Connection, tombstone: &Envelope) -> rusqlite::Result<()> {
    let session = tombstone.session.as_str();
    db.execute(
        "DELETE FROM blobs WHERE sha256 IN (SELECT sha256 FROM blob_uses WHERE session = ?1)
             AND NOT EXISTS (SELECT 1 FROM blob_uses u WHERE u.sha256 = blobs.sha256 AND u.session <> ?1)",
        [session],
    )?;
    db.execute("UPDATE erasure SET pending = 1", [])?;
    db.execute("DELETE FROM log WHERE session = ?1 AND seq < ?2", params![session, int(tombstone.seq)])?;
    Ok(())
}

impl Fold<'_> {
    /// No view knows the session any more, but what it cost on the day on which it was deleted: a day's cap is not to be
    /// had again by deleting.
    pub(super) fn deleted(&self, micro_usd: u64) -> rusqlite::Result<()> {
        self.unindex("m.session = ?1", [self.id()])?;
        for statement in [
            "DELETE FROM turn_events WHERE turn IN (SELECT id FROM turns WHERE session = ?1)",
            "DELETE FROM model_calls WHERE turn IN (SELECT id FROM turns WHERE session = ?1)",
            "DELETE FROM client_messages WHERE session = ?1",
            "DELETE FROM blob_uses WHERE session = ?1",
            "DELETE FROM chat_actions WHERE session = ?1",
            "DELETE FROM chat_messages WHERE session = ?1",
            "DELETE FROM turn_choices WHERE session = ?1",
            "DELETE FROM turns WHERE session = ?1",
            "DELETE FROM checkpoints WHERE session = ?1",
            "DELETE FROM session_contexts WHERE session = ?1",
            "DELETE FROM chat_sessions WHERE id = ?1",
        ] {
            self.run(statement, [self.id()])?;
        }
        self.run(
            "INSERT OR REPLACE INTO deleted_costs VALUES (?1, ?2, ?3)",
            params![self.id(), self.time(), addend(micro_usd)],
        )
    }
}

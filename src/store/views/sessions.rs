//! The fold's part about sessions: what people do with one as a whole.
//!
//! A session's status follows from what is known of it: `paused` if it is, else `running` while a turn waits or is
//! under way, else `completed` if the user said so and nothing was said since, else `failed` if the last turn was,
//! else `active`. Being archived is a flag beside it.

use rusqlite::{OptionalExtension, params};

use super::{Fold, int, parsed, text_of};
use crate::context::Context;
use crate::record::Record;

/// Positions of the log that still count, as pairs of first and last; the last pair is open.
type Line = Vec<(i64, i64)>;

impl Fold<'_> {
    /// Every event's session is there, and was last changed by the latest event.
    pub(super) fn session(&self) -> rusqlite::Result<()> {
        let bytes = i64::try_from(self.event.body.len()).unwrap_or(i64::MAX);
        self.run(
            "INSERT INTO chat_sessions (id, position, user, title, status, buffer, archived, paused, completed, ended,
                 tags, line, messages, unread, read, bytes, created_at, updated_at)
             VALUES (?1, ?2, '', '', 'active', '', 0, 0, 0, '', '[]', '[]', 0, 0, 0, ?4, ?3, ?3)
             ON CONFLICT (id) DO UPDATE SET updated_at = max(updated_at, ?3), bytes = bytes + ?4",
            params![self.id(), self.position, self.time(), bytes],
        )
    }

    /// Makes the status of what it follows from.
    pub(super) fn status(&self) -> rusqlite::Result<()> {
        self.run(
            "UPDATE chat_sessions SET status = CASE
                 WHEN paused = 1 THEN 'paused'
                 WHEN EXISTS (SELECT 1 FROM turns WHERE session = ?1 AND state IN ('queued', 'started') AND undone = 0)
                     THEN 'running'
                 WHEN completed = 1 THEN 'completed'
                 WHEN ended = 'failed' THEN 'failed'
                 ELSE 'active' END
             WHERE id = ?1",
            [self.id()],
        )
    }

    /// What was done with the session as a whole.
    pub(super) fn changed(&self, record: Record) -> rusqlite::Result<()> {
        let id = self.id();
        match record {
            Record::SessionForked { from, events, .. } => self.run(
                "UPDATE chat_sessions SET forked_from = ?1, copied_to = ?2 WHERE id = ?3",
                params![from.0, int(self.event.seq.saturating_add(events)), id],
            ),
            Record::SessionImported { name, .. } => {
                self.run("UPDATE chat_sessions SET imported = ?1 WHERE id = ?2", params![name, id])
            }
            Record::SessionRenamed { title } => {
                self.run("UPDATE chat_sessions SET title = ?1 WHERE id = ?2", params![title, id])
            }
            Record::SessionArchived { archived } => {
                self.run("UPDATE chat_sessions SET archived = ?1 WHERE id = ?2", params![archived, id])
            }
            Record::SessionLabelled { group, tags } => self.run(
                "UPDATE chat_sessions SET label_group = ?1, tags = ?2 WHERE id = ?3",
                params![group, text_of(&tags), id],
            ),
            Record::SessionPaused { paused } => {
                self.run("UPDATE chat_sessions SET paused = ?1 WHERE id = ?2", params![paused, id])?;
                self.status()
            }
            Record::SessionCompleted {} => {
                self.run("UPDATE chat_sessions SET completed = 1 WHERE id = ?1", [id])?;
                self.status()
            }
            Record::ModelSelected { model } => {
                self.run("UPDATE chat_sessions SET model = ?1 WHERE id = ?2", params![model, id])
            }
            Record::SessionContext { values } => {
                let mut context = self.context()?;
                context.values = values;
                self.remember(&text_of(&context))
            }
            Record::SessionCheckpointed { name } => self.run(
                "INSERT OR REPLACE INTO checkpoints
                 SELECT id, ?2, ?3, ?4, line, coalesce(context, '{}'), ?5
                 FROM chat_sessions LEFT JOIN session_contexts ON session = id WHERE id = ?1",
                params![id, name, self.event.id.0, self.position, self.time()],
            ),
            Record::SessionRestored { checkpoint } => self.restored(&checkpoint.0),
            Record::MessageRead { message } => self.read(&message.0),
            _ => Ok(()),
        }
    }

    pub(super) fn context(&self) -> rusqlite::Result<Context> {
        let text: String = self
            .db
            .prepare_cached("SELECT context FROM session_contexts WHERE session = ?1")?
            .query_row([self.id()], |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        Ok(parsed(&text))
    }

    /// Keeps what the session remembers from now on.
    pub(super) fn remember(&self, context: &str) -> rusqlite::Result<()> {
        self.run("INSERT OR REPLACE INTO session_contexts VALUES (?1, ?2)", [self.id(), context])
    }

    /// Takes the session back to a checkpoint: what was said since counts no more, and what did not count then does
    /// again.
    fn restored(&self, checkpoint: &str) -> rusqlite::Result<()> {
        let id = self.id();
        let found = self
            .db
            .prepare_cached(
                "SELECT position, line, context FROM checkpoints WHERE session = ?1 AND event = ?2",
            )?
            .query_row([id, checkpoint], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })
            .optional()?;
        let Some((position, line, context)) = found else { return Ok(()) };
        let mut line: Line = parsed(&line);
        let open = line.pop().map_or(0, |(first, _)| first);
        line.push((open, position));
        line.push((self.position, i64::MAX));
        self.run(
            "UPDATE chat_sessions SET line = ?1, completed = 0 WHERE id = ?2",
            params![text_of(&line), id],
        )?;
        self.remember(&context)?;
        // Only what changes is touched: there may be much that does not.
        for (first, last) in gaps(&line) {
            let of_gap = (id, first, last);
            self.unindex("m.session = ?1 AND m.undone = 0 AND m.position BETWEEN ?2 AND ?3", of_gap)?;
            self.undo(true, of_gap)?;
        }
        for (first, last) in &line {
            self.undo(false, (id, *first, *last))?;
        }
        self.run(
            "UPDATE chat_sessions SET ended = coalesce((SELECT state FROM turns WHERE session = ?1 AND undone = 0
                     AND state NOT IN ('queued', 'started') ORDER BY position DESC LIMIT 1), '')
             WHERE id = ?1",
            [id],
        )?;
        // All answers to a message count again now, and only one may.
        self.choose_again()?;
        self.index("m.session = ?1", [id])?;
        self.run(
            "UPDATE chat_sessions SET messages =
                 (SELECT count(*) FROM chat_messages WHERE session = ?1 AND listed = 1 AND undone = 0)
             WHERE id = ?1",
            [id],
        )?;
        self.count_unread()?;
        self.status()
    }

    /// Lets what stands between two positions count no more, or again.
    fn undo(&self, undone: bool, (id, first, last): (&str, i64, i64)) -> rusqlite::Result<()> {
        for (table, at) in [("turns", "place"), ("chat_actions", "position"), ("chat_messages", "position")] {
            self.run(
                &format!(
                    "UPDATE {table} SET undone = ?4 WHERE session = ?1 AND {at} BETWEEN ?2 AND ?3 AND undone <> ?4"
                ),
                params![id, first, last, undone],
            )?;
        }
        Ok(())
    }

    fn read(&self, message: &str) -> rusqlite::Result<()> {
        self.run(
            "UPDATE chat_sessions SET read = max(read, coalesce(
                 (SELECT m.position FROM chat_messages m WHERE m.session = ?2 AND m.position > chat_sessions.read AND m.id = ?1),
                 0))
             WHERE id = ?2",
            [message, self.id()],
        )?;
        self.count_unread()
    }

    pub(super) fn count_unread(&self) -> rusqlite::Result<()> {
        self.run(
            "UPDATE chat_sessions SET unread = (SELECT count(*) FROM chat_messages m WHERE m.session = ?1
                 AND m.position > chat_sessions.read AND m.role <> 'user' AND m.listed = 1 AND m.undone = 0)
             WHERE id = ?1",
            [self.id()],
        )
    }
}

/// What is between the parts of `line`, which is in order.
fn gaps(line: &Line) -> Line {
    let mut gaps = Vec::new();
    let mut next = 0;
    for (first, last) in line {
        if *first > next {
            gaps.push((next, first - 1));
        }
        next = last.saturating_add(1);
    }
    gaps
}

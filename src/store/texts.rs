//! Texts of a session as they stand in its buffer, and what is known of it by name.

use std::collections::HashSet;

use super::Store;
use crate::error::Result;
use crate::ids::{EventId, SessionId};

/// How many missing replies are told of.
const MOST: i64 = 1000;

/// A text that stands in a session's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Where its turn stands in the session; texts of one turn have the same.
    pub place: i64,
    /// What stands for it in the buffer.
    pub mark: String,
    /// The words.
    pub text: String,
    /// The level of its heading if it is the user's, nothing if it is a reply.
    pub level: Option<u32>,
}

/// The texts that are in a buffer, or will be once its client comes back.
const TEXTS: &str =
    "SELECT m.place, m.mark, m.content, CASE WHEN m.kind = 'user' THEN coalesce(t.level, 1) END
     FROM chat_messages m LEFT JOIN turns t ON t.id = m.turn LEFT JOIN chat_actions a ON a.id = m.actuation
     WHERE m.session = ?1 AND m.listed = 1 AND m.undone = 0
         AND (m.kind = 'user' OR (a.action IN ('insert-at-end', 'response') AND a.status <> 'failed'))";

impl Store {
    /// Calls `take` with each text of `session`, in the order of its buffer.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn each_text(&self, session: &SessionId, take: &mut dyn FnMut(Text)) -> Result<()> {
        self.texts_in("m.place, m.position", session, &mut |text| {
            take(text);
            true
        })
    }

    /// Calls `take` with each text of `session`, the last one first, as long as it wants more.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn texts_backwards(&self, session: &SessionId, take: &mut dyn FnMut(Text) -> bool) -> Result<()> {
        self.texts_in("m.place DESC, m.position DESC", session, take)
    }

    fn texts_in(&self, order: &str, session: &SessionId, take: &mut dyn FnMut(Text) -> bool) -> Result<()> {
        let mut query = self.reader.prepare_cached(&format!("{TEXTS} ORDER BY {order}"))?;
        let mut rows = query.query([session.as_str()])?;
        while let Some(row) = rows.next()? {
            if !take(Text { place: row.get(0)?, mark: row.get(1)?, text: row.get(2)?, level: row.get(3)? }) {
                break;
            }
        }
        Ok(())
    }

    /// The replies that a buffer of `session` lacks which has those of `applied`, by what stands for them: those that came
    /// after the last of these and were reported to be in it, oldest first. Earlier ones may have been taken out by hand.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn missing(&self, session: &SessionId, applied: &HashSet<&str>) -> Result<Vec<String>> {
        let mut query = self.reader.prepare_cached(
            "SELECT m.mark, a.id, a.status FROM chat_messages m JOIN chat_actions a ON a.id = m.actuation
             WHERE m.session = ?1 AND m.listed = 1 AND m.undone = 0 AND m.kind <> 'command-result'
                 AND a.action IN ('insert-at-end', 'response') AND a.status <> 'failed'
             ORDER BY m.place DESC, m.position DESC LIMIT ?2",
        )?;
        let mut rows = query.query((session.as_str(), MOST))?;
        let mut missing = Vec::new();
        while let Some(row) = rows.next()? {
            let (mark, id): (String, String) = (row.get(0)?, row.get(1)?);
            if applied.contains(mark.as_str()) || applied.contains(id.as_str()) {
                break;
            }
            if row.get::<_, String>(2)? == "done" {
                missing.push(mark);
            }
        }
        missing.reverse();
        Ok(missing)
    }

    /// The message of `session` with this identifier, or for which this stands in buffers.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn message(&self, session: &SessionId, id: &str) -> Result<Option<EventId>> {
        self.one(
            "SELECT id FROM chat_messages WHERE session = ?1 AND (id = ?2 OR mark = ?2) AND listed = 1 LIMIT 1",
            [session.as_str(), id],
            |row| row.get(0).map(EventId),
        )
    }

    /// The event that made the checkpoint `name` of `session`.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn checkpoint(&self, session: &SessionId, name: &str) -> Result<Option<String>> {
        self.one(
            "SELECT event FROM checkpoints WHERE session = ?1 AND name = ?2",
            [session.as_str(), name],
            |row| row.get(0),
        )
    }

    /// Whether `session` was taken back to the state of this event, and nothing has come since that going back there
    /// would take away.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn is_at(&self, session: &SessionId, checkpoint: &str) -> Result<bool> {
        let last = self.one(
            "SELECT type, body ->> 'checkpoint' FROM log WHERE session = ?1 AND type NOT IN
                 ('chat.session.renamed', 'chat.session.archived', 'chat.session.labelled', 'chat.session.paused',
                  'chat.session.checkpointed', 'chat.message.read', 'chat.message.delivered')
             ORDER BY seq DESC LIMIT 1",
            [session.as_str()],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)),
        )?;
        Ok(last
            .is_some_and(|(kind, to)| kind == "chat.session.restored" && to.as_deref() == Some(checkpoint)))
    }
}

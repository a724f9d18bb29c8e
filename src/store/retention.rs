//! Which sessions are kept no longer.

use std::time::Duration;

use super::Store;
use super::views::int;
use crate::error::Result;
use crate::ids::SessionId;

/// How many are told at a time.
const MOST: usize = 1000;

impl Store {
    /// The sessions that nobody touched for longer than `keep`, and of the others those that nobody touched for longest,
    /// until all that are left have at most `max_bytes` of events; oldest first, at most a thousand. Those with a turn under
    /// way or waiting are never among them.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn expired(&self, keep: Option<Duration>, max_bytes: Option<u64>) -> Result<Vec<SessionId>> {
        let now = int((self.clock)());
        let before = keep.map(|keep| now.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX)));
        let total: i64 = self
            .one("SELECT coalesce(sum(bytes), 0) FROM chat_sessions", [], |row| row.get(0))?
            .unwrap_or_default();
        let mut surplus = max_bytes.map_or(0, |most| total.saturating_sub(int(most)));
        let mut query = self.reader.prepare_cached(
            "SELECT id, updated_at, bytes FROM chat_sessions
             WHERE NOT EXISTS (SELECT 1 FROM turns t WHERE t.session = chat_sessions.id AND t.undone = 0
                 AND t.state IN ('queued', 'started'))
             ORDER BY updated_at, position",
        )?;
        let mut rows = query.query([])?;
        let mut expired = Vec::new();
        while let Some(row) = rows.next()? {
            let (updated, bytes): (i64, i64) = (row.get(1)?, row.get(2)?);
            let old = before.is_some_and(|before| updated < before);
            if !old && surplus <= 0 || expired.len() == MOST {
                break;
            }
            surplus -= bytes;
            expired.push(SessionId(row.get(0)?));
        }
        Ok(expired)
    }
}

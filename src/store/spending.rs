//! What models cost, as far as it is recorded.

use rusqlite::params;

use super::Store;
use super::views::{int, nat};
use crate::error::Result;
use crate::ids::SessionId;

impl Store {
    /// What was spent since a time (Unix milliseconds), and ever in a session; in millionths of a US dollar. What was
    /// asked in a session that is deleted counts no more.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn spent(&self, since: u64, session: &SessionId) -> Result<(u64, u64)> {
        let sum = |condition: &str, params: &[&dyn rusqlite::ToSql]| -> Result<u64> {
            let sql = format!("SELECT coalesce(sum(cost), 0) FROM model_calls WHERE {condition}");
            Ok(nat(self.reader.prepare_cached(&sql)?.query_row(params, |row| row.get(0))?))
        };
        Ok((
            sum("asked_at >= ?1 AND cost IS NOT NULL", params![int(since)])?,
            sum("session = ?1 AND cost IS NOT NULL", params![session.as_str()])?,
        ))
    }
}

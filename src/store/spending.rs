//! What models cost, as far as it is recorded: sums of tokens and of millionths of a US dollar.
//!
//! A copy of a session has the calls of the one that it was made from, and nobody was asked for it: they are in no sum.

use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};

use super::Store;
use super::views::{int, nat};
use crate::error::Result;
use crate::ids::{SessionId, TurnId};
use crate::record::Cost;

/// A day, in milliseconds.
const DAY: u64 = 86_400_000;

/// What calls took together; what none of them says is not known.
pub(super) struct Totals {
    prompt: Option<i64>,
    completion: Option<i64>,
    cached: Option<i64>,
    reasoning: Option<i64>,
    estimated: bool,
    cost: Option<i64>,
}

impl Totals {
    /// Reads six columns from `at` on: tokens of prompts, of replies, cached and thought ones, whether any were estimated,
    /// and the cost.
    pub(super) fn read(row: &Row<'_>, at: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            prompt: row.get(at)?,
            completion: row.get(at + 1)?,
            cached: row.get(at + 2)?,
            reasoning: row.get(at + 3)?,
            estimated: row.get(at + 4)?,
            cost: row.get(at + 5)?,
        })
    }

    /// `{prompt, completion, cached, reasoning, estimated}`; a number that nobody said is null.
    pub(super) fn tokens(&self) -> Value {
        json!({
            "prompt": self.prompt, "completion": self.completion, "cached": self.cached,
            "reasoning": self.reasoning, "estimated": self.estimated,
        })
    }

    /// US dollars, or null: no call has a price.
    pub(super) fn cost(&self) -> Value {
        self.cost.map(|cost| Cost { micro_usd: nat(cost) }.dollars()).into()
    }
}

/// What the calls of a turn took that have ended.
pub(super) fn of_turn(db: &Connection, turn: &TurnId) -> rusqlite::Result<Totals> {
    db.prepare_cached(
        "SELECT sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(reasoning_tokens),
             coalesce(max(estimated), 0), sum(cost)
         FROM model_calls WHERE turn = ?1",
    )?
    .query_row([turn.as_str()], |row| Totals::read(row, 0))
}

impl Store {
    /// What was spent since a time (Unix milliseconds), and ever in a session; in millionths of a US dollar. Of a session
    /// that is deleted only what it cost on the day of its deletion counts, and only for the first of the two, as if all
    /// of it had been spent in the moment of the deletion.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn spent(&self, since: u64, session: &SessionId) -> Result<(u64, u64)> {
        let sum = |sql: &str, param: &dyn rusqlite::ToSql| -> Result<u64> {
            Ok(self.one(sql, [param], |row| row.get::<_, Option<i64>>(0))?.flatten().map_or(0, nat))
        };
        let since = int(since);
        let called = sum("SELECT sum(cost) FROM model_calls WHERE asked_at >= ?1 AND copied = 0", &since)?;
        let deleted = sum("SELECT sum(cost) FROM deleted_costs WHERE time >= ?1", &since)?;
        let own = sum("SELECT cost FROM chat_sessions WHERE id = ?1", &session.as_str())?;
        Ok((called.saturating_add(deleted), own))
    }

    /// What was spent in a session today (in UTC), with what a session of this name that is deleted cost today. What is not
    /// on disk yet is not in it.
    pub(super) fn spent_today(&self, session: &SessionId) -> Result<u64> {
        let today = int((self.clock)() / DAY * DAY);
        let spent = self.one(
            "SELECT coalesce(sum(cost), 0) + coalesce(
                 (SELECT cost FROM deleted_costs WHERE session = ?1 AND time >= ?2), 0)
             FROM model_calls WHERE session = ?1 AND asked_at >= ?2 AND copied = 0",
            params![session.as_str(), today],
            |row| row.get(0),
        )?;
        Ok(spent.map_or(0, nat))
    }
}

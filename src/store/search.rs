//! Messages of all sessions by their words.
//!
//! The newest that match are looked at, a thousand of them, and the best of these come first: what that costs does not
//! depend on how many there are. Whether there are more is said, and where to go on.

use rusqlite::params_from_iter;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};

use super::Store;
use super::views::int;
use crate::error::{Error, Result};
use crate::ids::hex;
use crate::request::Search;
use crate::search::Query;

/// How many of the newest messages that match are ranked.
const CANDIDATES: usize = 1000;

/// How much text is read to rank them, in bytes.
const BYTES: usize = 8 << 20;

/// Items of an answer, unless the client says how many, and at most.
const LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

const MILLIS_PER_DAY: f64 = 86_400_000.0;

/// A message that matches.
struct Candidate {
    position: i64,
    id: String,
    session: String,
    title: String,
    role: String,
    content: String,
    time: i64,
}

impl Store {
    /// Messages with all of the words, the best of the newest thousand first: `{items: [{sessionId, title, messageId,
    /// role, createdAt, snippet, highlights: [[from, to]], score}], complete, nextCursor}`. Places are in characters of
    /// the snippet. If there are more than a thousand, `complete` is false and `nextCursor` leads to the older ones.
    ///
    /// # Errors
    /// `bad_request` if nothing is asked for, or for a cursor that no search gave.
    pub fn search(&self, search: &Search, cursor: Option<&str>) -> Result<Value> {
        let query = Query::new(&search.text);
        if let Some(role) = &search.role
            && !["user", "assistant", "system"].contains(&role.as_str())
        {
            return Err(Error::bad_request("role: there is no such role").hint("user, assistant or system"));
        }
        let narrowed = search.session.is_some() || search.role.is_some() || search.skill.is_some();
        if query.is_empty() && !narrowed {
            return Err(Error::bad_request("query: there is no word in it")
                .hint("write words that the messages have; a* stands for any end, \"a b\" for a phrase"));
        }
        let before = match cursor {
            None => i64::MAX,
            Some(cursor) => cursor
                .strip_prefix('f')
                .and_then(|digits| i64::from_str_radix(digits, 16).ok())
                .ok_or_else(|| {
                    Error::bad_request("this cursor is not one of a search")
                        .hint("send nextCursor, unchanged")
                })?,
        };
        let (found, more) = self.candidates(search, &query, before)?;
        let next = found.last().filter(|_| more).map(|last| format!("f{:x}", last.position));
        let now = int((self.clock)());
        let texts: Vec<(&str, f64)> = found
            .iter()
            .map(|item| (item.content.as_str(), now.saturating_sub(item.time) as f64 / MILLIS_PER_DAY))
            .collect();
        let scores = query.scores(&texts);
        let mut ranked: Vec<(f64, &Candidate)> = scores.into_iter().zip(&found).collect();
        ranked.sort_by(|(one, a), (two, b)| two.total_cmp(one).then(b.position.cmp(&a.position)));
        let limit = search.limit.unwrap_or(LIMIT).clamp(1, MAX_LIMIT) as usize;
        let items: Vec<Value> = ranked
            .into_iter()
            .take(limit)
            .map(|(score, item)| {
                let (snippet, places) = query.snippet(&item.content);
                json!({
                    "sessionId": item.session, "title": item.title, "messageId": item.id, "role": item.role,
                    "createdAt": item.time, "snippet": snippet, "highlights": places,
                    "score": (score * 1000.0).round() / 1000.0,
                })
            })
            .collect();
        Ok(json!({"items": items, "complete": !more, "nextCursor": next}))
    }

    /// The newest messages that match, and whether there are more.
    fn candidates(&self, search: &Search, query: &Query, before: i64) -> Result<(Vec<Candidate>, bool)> {
        let mut expression = Vec::new();
        if !query.is_empty() {
            expression.push(format!("content : ({})", query.expression()));
        }
        let facets = [
            ("role", search.role.as_deref().map(str::to_owned)),
            ("session", search.session.as_ref().map(|id| hex(id.0.as_bytes()))),
            ("skill", search.skill.as_ref().map(|name| hex(name.as_bytes()))),
        ];
        for (facet, value) in facets {
            if let Some(value) = value {
                if !value.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                    return Ok((Vec::new(), false));
                }
                expression.push(format!("facets : \"{facet}{value}\""));
            }
        }
        let mut sql = "SELECT m.position, m.id, m.session, s.title, m.role, m.content, m.created_at
             FROM message_words w CROSS JOIN chat_messages m ON m.position = w.rowid
                 JOIN chat_sessions s ON s.id = m.session
             WHERE message_words MATCH ?1 AND w.rowid < ?2"
            .to_owned();
        let mut params: Vec<Sql> = vec![expression.join(" AND ").into(), before.into()];
        if let Some(since) = search.since {
            // Positions rise with time, so that a bound on them spares looking further back.
            params.push(self.position_at(since)?.into());
            sql.push_str(&format!(" AND w.rowid >= ?{}", params.len()));
            params.push(int(since).into());
            sql.push_str(&format!(" AND m.created_at >= ?{}", params.len()));
        }
        if let Some(until) = search.until {
            params.push(self.position_at(until)?.into());
            sql.push_str(&format!(" AND w.rowid < ?{}", params.len()));
            params.push(int(until).into());
            sql.push_str(&format!(" AND m.created_at < ?{}", params.len()));
        }
        sql.push_str(" ORDER BY w.rowid DESC");
        let mut statement = self.reader.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(params))?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            if found.len() == CANDIDATES || bytes > BYTES {
                return Ok((found, true));
            }
            let candidate = Candidate {
                position: row.get(0)?,
                id: row.get(1)?,
                session: row.get(2)?,
                title: row.get(3)?,
                role: row.get(4)?,
                content: row.get(5)?,
                time: row.get(6)?,
            };
            bytes += candidate.content.len();
            found.push(candidate);
        }
        Ok((found, false))
    }

    /// The first position of the log at which it was `time` or later, as long as clocks run forward.
    fn position_at(&self, time: u64) -> Result<i64> {
        let last = self.one("SELECT coalesce(max(position), 0) FROM log", [], |row| row.get::<_, i64>(0))?;
        let (mut low, mut high) = (1, last.unwrap_or_default().saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let found = self.one(
                "SELECT position, time FROM log WHERE position >= ?1 ORDER BY position LIMIT 1",
                [middle],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
            )?;
            match found {
                Some((position, at)) if at < int(time) => low = position + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }
}

//! How well models answered: per model and persona, from the log.
//!
//! Counted are the calls that asked for an action and have ended. Not counted are calls that a skill made for a text
//! (`plain`), what a session has from the one that it is a copy of, and deleted sessions, of which nothing is left.
//!
//! What the numbers mean:
//! - A call is *judged* if the verifier had the last word on it: its reply was accepted, was rejected, or was cut at its
//!   limit of tokens. A connection that broke or a user who cancelled says nothing about how a model writes.
//! - A call is a *repair* if the model was told of a reply that was wrong: since the turn began, the last action was
//!   accepted, or another model took over, a reply was rejected or cut at its limit of tokens. All others are *first
//!   tries*, also those that were made again after a connection broke.
//! - *Stopped* are the bytes that a rejected reply could still have had when its connection was closed at its first wrong
//!   byte: at most so many were saved.
//! - *First* is the time from the request to the first byte of text; the percentiles are times that occurred (nearest
//!   rank).
//! - *Tokens a second* are those of all calls together from the first that came, of thoughts or of text, to the end.
//!   Thoughts that were counted and not sent came before that, and are left out.

use rusqlite::params_from_iter;
use serde::Serialize;
use std::collections::BTreeMap;

use super::Store;
use super::views::{int, nat};
use crate::error::Result;
use crate::ids::SessionId;
use crate::record::Cost;

/// What is asked for; the default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Only calls since then, in Unix milliseconds.
    pub since: Option<u64>,
    /// Only those of this session.
    pub session: Option<SessionId>,
}

/// How well a model answered for a persona.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// The model's name.
    pub model: String,
    /// The assistant's name; empty if it was not recorded.
    pub persona: String,
    /// Calls.
    pub calls: u64,
    /// First tries that were judged.
    pub first_tries: u64,
    /// Those of them that were accepted.
    pub valid_first: u64,
    /// That in percent; none without a first try.
    pub valid_first_percent: Option<f64>,
    /// Replies that were accepted: each is an action.
    pub accepted: u64,
    /// Replies that were rejected.
    pub rejected: u64,
    /// Repairs that were asked for.
    pub repairs: u64,
    /// That for each accepted action; none without one.
    pub repairs_per_action: Option<f64>,
    /// Bytes that were saved at most.
    pub stopped_bytes: u64,
    /// Failures by what they were (`Trouble` in `reply.rs`; `unknown` if it was not recorded).
    pub failures: BTreeMap<String, u64>,
    /// Calls that the user cancelled.
    pub cancelled: u64,
    /// Milliseconds to the first byte of text, in the middle of all calls that had one.
    pub first_ms_median: Option<u64>,
    /// The same for the 95th of a hundred.
    pub first_ms_p95: Option<u64>,
    /// Tokens a second.
    pub tokens_per_second: Option<f64>,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Those of them that the provider had read before.
    pub cached_tokens: u64,
    /// Tokens of replies, with those that were thought.
    pub completion_tokens: u64,
    /// Whether some of the tokens were counted here.
    pub estimated: bool,
    /// US dollars; none if no call has a price.
    pub cost: Option<f64>,
    /// US dollars for each accepted action; none without one.
    pub cost_per_action: Option<f64>,
}

/// The calls that count, each with its part of its turn: parts begin with the turn, after an accepted reply, and where
/// another model takes over. A call is a repair if a reply of its part before it was wrong.
const CALLS: &str = "
    WITH ended AS (
        SELECT * FROM model_calls WHERE verdict IS NOT NULL AND verdict <> 'plain' AND copied = 0 AND (?1 IS NULL OR session = ?1)
    ), begun AS (
        SELECT *, verdict = 'reject' OR coalesce(trouble, '') = 'length' AS wrong,
            lag(verdict = 'accept', 1, 0) OVER turn OR lag(model, 1, model) OVER turn <> model AS begins
        FROM ended WINDOW turn AS (PARTITION BY turn ORDER BY attempt)
    ), parts AS (
        SELECT *, sum(begins) OVER (PARTITION BY turn ORDER BY attempt) AS part FROM begun
    ), tried AS (
        SELECT *, coalesce(sum(wrong) OVER (PARTITION BY turn, part ORDER BY attempt
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) > 0 AS repair
        FROM parts
    ), calls AS (SELECT * FROM tried WHERE asked_at >= ?2)";

/// A row for each model and persona.
const SCORES: &str = "
    , times AS (
        SELECT model, persona, first_ms,
            row_number() OVER (PARTITION BY model, persona ORDER BY first_ms) AS place,
            count(*) OVER (PARTITION BY model, persona) AS times
        FROM calls WHERE first_ms IS NOT NULL
    ), ranks AS (
        SELECT model, persona, max(CASE WHEN place = (times + 1) / 2 THEN first_ms END) AS median,
            max(CASE WHEN place = (times * 95 + 99) / 100 THEN first_ms END) AS p95
        FROM times GROUP BY model, persona
    )
    SELECT c.model, c.persona, count(*),
        sum(NOT repair AND (verdict = 'accept' OR wrong)), sum(NOT repair AND verdict = 'accept'),
        sum(verdict = 'accept'), sum(verdict = 'reject'), sum(repair), coalesce(sum(saved), 0),
        sum(verdict = 'cancelled'), max(median), max(p95),
        sum(CASE WHEN total_ms > begun_ms THEN
            max(completion_tokens - CASE WHEN begun_ms < first_ms THEN 0 ELSE coalesce(reasoning_tokens, 0) END, 0) END),
        sum(CASE WHEN total_ms > begun_ms AND completion_tokens IS NOT NULL THEN total_ms - begun_ms END),
        coalesce(sum(prompt_tokens), 0), coalesce(sum(cached_tokens), 0), coalesce(sum(completion_tokens), 0),
        max(estimated), sum(cost)
    FROM calls c LEFT JOIN ranks r ON r.model = c.model AND r.persona = c.persona
    GROUP BY c.model, c.persona ORDER BY c.model, c.persona";

/// How often each of them failed with what.
const FAILURES: &str = "
    SELECT model, persona, coalesce(trouble, 'unknown'), count(*) FROM calls WHERE verdict = 'broken' GROUP BY 1, 2, 3";

impl Store {
    /// How well models answered, by name and persona. The head of this file says what is counted, and how.
    ///
    /// # Errors
    /// `internal` if the database fails.
    #[allow(clippy::cast_precision_loss, reason = "nobody has 2^53 of anything here")]
    pub fn scorecard(&self, which: &Which) -> Result<Vec<Score>> {
        let params = || {
            use rusqlite::types::Value;
            let session = which.session.as_ref().map_or(Value::Null, |id| id.0.clone().into());
            params_from_iter([session, int(which.since.unwrap_or_default()).into()])
        };
        let share = |part: f64, of: u64| (of > 0).then(|| part / of as f64);
        let mut scores = self.all(&format!("{CALLS} {SCORES}"), params(), |row| {
            let number = |at| row.get::<_, i64>(at).map(nat);
            let maybe = |at| row.get::<_, Option<i64>>(at).map(|number| number.map(nat));
            let (first_tries, valid_first) = (number(3)?, number(4)?);
            let (accepted, repairs) = (number(5)?, number(7)?);
            let (written, took) = (maybe(12)?.unwrap_or_default(), maybe(13)?.unwrap_or_default());
            let cost = maybe(18)?.map(|micro_usd| Cost { micro_usd }.dollars());
            Ok(Score {
                model: row.get(0)?,
                persona: row.get(1)?,
                calls: number(2)?,
                first_tries,
                valid_first,
                valid_first_percent: share(valid_first as f64 * 100.0, first_tries),
                accepted,
                rejected: number(6)?,
                repairs,
                repairs_per_action: share(repairs as f64, accepted),
                stopped_bytes: number(8)?,
                failures: BTreeMap::new(),
                cancelled: number(9)?,
                first_ms_median: maybe(10)?,
                first_ms_p95: maybe(11)?,
                tokens_per_second: share(written as f64 * 1000.0, took),
                prompt_tokens: number(14)?,
                cached_tokens: number(15)?,
                completion_tokens: number(16)?,
                estimated: row.get(17)?,
                cost,
                cost_per_action: cost.and_then(|cost| share(cost, accepted)),
            })
        })?;
        let failures = self.all(&format!("{CALLS} {FAILURES}"), params(), |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, i64>(3)?,
            ))
        })?;
        for (model, persona, trouble, count) in failures {
            let same = |score: &&mut Score| score.model == model && score.persona == persona;
            if let Some(score) = scores.iter_mut().find(same) {
                score.failures.insert(trouble, nat(count));
            }
        }
        Ok(scores)
    }
}

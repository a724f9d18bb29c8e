//! The views: what sessions, messages, actions and turns are, as a fold over the log. It only writes views
//! and only reads what it is given and earlier rows of views, so that the same log always gives the same
//! rows.
//!
//! The fold is total: an event that does not fit what came before changes nothing but its session's time.
//!
//! - A message sent makes a user message, a queued turn, and the entry that makes sending idempotent.
//! - An action proposed makes a row of `chat_actions` and a message that is not listed yet. It is listed once
//!   the action was permitted; a denied one is listed only if it is a command, because its denial is what the
//!   model is told next.
//! - A command executed, or denied as its outcome, makes a message with its result. The first outcome stands,
//!   unless it was `unknown`: then the next one takes its place.
//! - A turn ends once; what comes later does not change how.

use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde_json::{Value, json};

use super::envelope::{Envelope, sha256};
use crate::ids::{ActuationId, EventId, SessionId, TurnId};
use crate::record::{
    Attachment, Decider, Decision, EndState, Latency, Outcome, Record, Status, Usage, Verdict,
};

/// The tables that are views, those that refer to others first.
pub(super) const VIEWS: [&str; 7] = [
    "turn_events",
    "client_messages",
    "model_calls",
    "chat_actions",
    "chat_messages",
    "turns",
    "chat_sessions",
];

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

/// The other way; what was never written as a natural number becomes 0.
pub(super) fn nat(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The hash that tells a message sent again from another message of the same client id.
#[must_use]
pub fn body_hash(text: &str, context: &[Attachment]) -> String {
    sha256(&json!([text, context]).to_string())
}

/// Empties the views in `to` and folds the whole log of `from` into them. The two may be one database; the
/// caller holds the transaction.
pub(super) fn rebuild(from: &Connection, to: &Connection) -> rusqlite::Result<()> {
    for view in VIEWS {
        to.execute(&format!("DELETE FROM {view}"), [])?;
    }
    let mut log = from.prepare(&format!("SELECT {ENVELOPE}, position FROM log ORDER BY position"))?;
    let mut rows = log.query([])?;
    while let Some(row) = rows.next()? {
        apply(to, row.get(11)?, &envelope(row)?)?;
    }
    Ok(())
}

/// Folds the event at `position` of the log into the views.
pub(super) fn apply(db: &Connection, position: i64, event: &Envelope) -> rusqlite::Result<()> {
    let fold = Fold { db, position, event };
    fold.session()?;
    match serde_json::from_str(&event.body) {
        Ok(record) => fold.record(record),
        Err(error) => {
            // A type of a later version, or a damaged body: `store::check` tells which.
            tracing::warn!("event {} of type {} is in no view: {error}", event.id, event.kind);
            Ok(())
        }
    }
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
                params![user, title, buffer, self.event.session.0],
            ),
            Record::MessageSent { turn, client_id, text, level, context, location: _ } => {
                self.sent(&turn, &client_id, &text, level, &context)
            }
            Record::TurnStarted { turn } => {
                self.belongs(&turn)?;
                self.run(
                    "UPDATE turns SET state = 'started', updated_at = ?1
                     WHERE id = ?2 AND session = ?3 AND state = 'queued'",
                    params![self.time(), turn.0, self.event.session.0],
                )
            }
            // What happens on the way stands in the log, for `why`.
            Record::Dispatched { turn, .. } | Record::Gated { turn, .. } => self.belongs(&turn),
            Record::Prompted { turn, attempt, model, messages: _ } => {
                self.belongs(&turn)?;
                self.run(
                    "INSERT OR IGNORE INTO model_calls (turn, attempt, model) VALUES (?1, ?2, ?3)",
                    params![turn.0, attempt, model],
                )
            }
            Record::Replied { turn, attempt, raw: _, verdict, usage, latency } => {
                self.replied(&turn, attempt, &verdict, usage, latency)
            }
            Record::ActionProposed { actuation, turn, attempt, action, sexp: _, system } => {
                self.proposed(&actuation, &turn, attempt, &action, system)
            }
            Record::ActionPermitted { actuation, decision, rule, by, command, approved: _ } => {
                self.permitted(&actuation, decision, &rule, by, command.as_deref())
            }
            Record::ActionExecuted { actuation, outcome } => self.executed(&actuation, &outcome),
            Record::TurnEnded { turn, state, reason } => {
                self.belongs(&turn)?;
                let state = match state {
                    EndState::Done => "done",
                    EndState::Failed => "failed",
                    EndState::Cancelled => "cancelled",
                };
                self.run(
                    "UPDATE turns SET state = ?1, reason = ?2, updated_at = ?3
                     WHERE id = ?4 AND session = ?5 AND state IN ('queued', 'started')",
                    params![state, reason, self.time(), turn.0, self.event.session.0],
                )
            }
            Record::TurnResumed { turn, from, message } => {
                self.belongs(&turn)?;
                self.run(
                    "INSERT OR IGNORE INTO turns
                     SELECT ?1, ?2, place, session, message, level, 'queued', NULL, id, ?3, ?3
                     FROM turns WHERE id = ?4 AND session = ?5 AND message = ?6",
                    params![turn.0, self.position, self.time(), from.0, self.event.session.0, message.0],
                )
            }
        }
    }

    /// Every event's session is there, and was last changed by the latest event.
    fn session(&self) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO chat_sessions VALUES (?1, ?2, '', '', '{}', 'active', '', ?3, ?3)
             ON CONFLICT (id) DO UPDATE SET updated_at = max(updated_at, ?3)",
            params![self.event.session.0, self.position, self.time()],
        )
    }

    fn sent(
        &self,
        turn: &TurnId,
        client_id: &str,
        text: &str,
        level: u32,
        context: &[Attachment],
    ) -> rusqlite::Result<()> {
        let event = self.event;
        self.belongs(turn)?;
        self.run(
            "INSERT OR IGNORE INTO turns VALUES (?1, ?2, ?2, ?3, ?4, ?5, 'queued', NULL, NULL, ?6, ?6)",
            params![turn.0, self.position, event.session.0, event.id.0, level, self.time()],
        )?;
        self.run(
            // Two servers may have been sent the same message in the same moment; the first one stands.
            "INSERT OR IGNORE INTO client_messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                event.author,
                client_id,
                body_hash(text, context),
                event.session.0,
                event.id.0,
                turn.0,
                int(event.lamport)
            ],
        )?;
        let context: Vec<Value> =
            context.iter().map(|part| json!({"kind": part.kind, "name": part.name})).collect();
        let metadata = json!({
            "kind": "user", "turn": turn, "clientId": client_id, "level": level, "context": context,
        });
        self.message(turn, ("user", "user"), None, text, &metadata, true)
    }

    fn replied(
        &self,
        turn: &TurnId,
        attempt: u32,
        verdict: &Verdict,
        usage: Option<Usage>,
        latency: Latency,
    ) -> rusqlite::Result<()> {
        self.belongs(turn)?;
        let verdict = match verdict {
            Verdict::Accept => "accept",
            Verdict::Reject { .. } => "reject",
            Verdict::Broken { .. } => "broken",
            Verdict::Cancelled => "cancelled",
            Verdict::Plain => "plain",
        };
        self.run(
            "UPDATE model_calls SET verdict = ?1, prompt_tokens = ?2, completion_tokens = ?3, first_ms = ?4,
                 total_ms = ?5
             WHERE turn = ?6 AND attempt = ?7",
            params![
                verdict,
                usage.map(|usage| int(usage.prompt_tokens)),
                usage.map(|usage| int(usage.completion_tokens)),
                latency.first_ms.map(int),
                int(latency.total_ms),
                turn.0,
                attempt
            ],
        )
    }

    fn proposed(
        &self,
        actuation: &ActuationId,
        turn: &TurnId,
        attempt: u32,
        action: &Value,
        system: bool,
    ) -> rusqlite::Result<()> {
        self.belongs(turn)?;
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let payload = &action["payload"];
        // What has no target is for the conversation itself.
        let module = action["target"].as_str().unwrap_or("chat");
        let (name, content) = match module {
            "emacs" => (word(&payload["action"]), word(&payload["text"])),
            "shell" => ("run".to_owned(), word(&payload["cmd"])),
            "skill" => ("load".to_owned(), word(&payload["name"])),
            _ => (word(&action["type"]), word(&payload["text"])),
        };
        let made = self
            .db
            .prepare_cached(
                "INSERT OR IGNORE INTO chat_actions
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL, 'proposed', NULL, NULL, NULL, ?10, NULL)",
            )?
            .execute(params![
                actuation.0,
                self.position,
                self.event.session.0,
                turn.0,
                attempt,
                self.event.id.0,
                module,
                name,
                payload.to_string(),
                self.time()
            ])?;
        if made == 0 {
            return Ok(());
        }
        let (role, kind) = match (system, attempt) {
            (true, _) => ("system", "system-error"),
            // No model call proposed it: the user called a skill.
            (false, 0) => ("user", "action"),
            (false, _) => ("assistant", "action"),
        };
        let mut metadata = json!({
            "kind": kind, "turn": turn, "attempt": attempt, "actuation": actuation,
            "module": module, "action": name,
        });
        if let Some((model, tokens, latency)) = self.model_call(turn, attempt)? {
            metadata["model"] = model.into();
            metadata["tokens"] = tokens;
            metadata["latency"] = latency;
        }
        self.message(turn, (role, kind), Some(actuation), &content, &metadata, false)
    }

    fn permitted(
        &self,
        actuation: &ActuationId,
        decision: Decision,
        rule: &str,
        by: Decider,
        command: Option<&str>,
    ) -> rusqlite::Result<()> {
        let Some(action) = self.action(actuation)? else { return Ok(()) };
        if action.has_outcome {
            return Ok(());
        }
        let (decision, status) = match decision {
            Decision::Allow => ("allow", "allowed"),
            Decision::Ask => ("ask", "asked"),
            Decision::Deny => ("deny", "denied"),
        };
        let by = match by {
            Decider::Policy => "policy",
            Decider::User => "user",
            Decider::Client => "client",
        };
        let input = match command {
            Some(command) => with_command(&action.input, command),
            None => action.input,
        };
        self.run(
            "UPDATE chat_actions SET decision = ?1, status = ?2, rule = ?3, decided_by = ?4, input = ?5
             WHERE id = ?6",
            params![decision, status, rule, by, input, actuation.0],
        )?;
        if status == "denied" && action.module != "shell" {
            return Ok(());
        }
        self.run("UPDATE chat_messages SET listed = 1 WHERE id = ?1", params![action.message])
    }

    fn executed(&self, actuation: &ActuationId, outcome: &Outcome) -> rusqlite::Result<()> {
        let Some(action) = self.action(actuation)? else { return Ok(()) };
        if action.has_outcome && action.status != "unknown" {
            return Ok(());
        }
        let status = match outcome.status {
            Status::Done => "done",
            Status::Denied => "denied",
            Status::Failed => "failed",
            Status::Unknown => "unknown",
        };
        let output = json!(outcome).to_string();
        self.run(
            "UPDATE chat_actions SET status = ?1, output = ?2, executed_at = ?3 WHERE id = ?4",
            params![status, output, self.time(), actuation.0],
        )?;
        if action.module != "shell" {
            return Ok(());
        }
        let turn = TurnId(action.turn);
        let metadata = json!({
            "kind": "command-result", "turn": turn, "attempt": action.attempt, "actuation": actuation,
            "status": status, "exitCode": outcome.exit_code, "truncated": outcome.truncated,
        });
        let content = result_text(outcome);
        if action.has_outcome {
            return self.run(
                "UPDATE chat_messages SET content = ?1, metadata = ?2
                 WHERE session = ?3 AND actuation = ?4 AND kind = 'command-result' AND listed = 1",
                params![content, metadata.to_string(), self.event.session.0, actuation.0],
            );
        }
        self.message(&turn, ("system", "command-result"), Some(actuation), &content, &metadata, true)
    }

    fn message(
        &self,
        turn: &TurnId,
        (role, kind): (&str, &str),
        actuation: Option<&ActuationId>,
        content: &str,
        metadata: &Value,
        listed: bool,
    ) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO chat_messages VALUES (?1, ?2, ?3, ?4,
                 coalesce((SELECT place FROM turns WHERE id = ?4), ?2), ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                self.event.id.0,
                self.position,
                self.event.session.0,
                turn.0,
                role,
                kind,
                actuation.map(ActuationId::as_str),
                content,
                metadata.to_string(),
                listed,
                self.time()
            ],
        )
    }

    fn belongs(&self, turn: &TurnId) -> rusqlite::Result<()> {
        self.run("INSERT OR IGNORE INTO turn_events VALUES (?1, ?2)", params![turn.0, self.position])
    }

    /// The model, tokens and latency behind an attempt, as metadata shows them.
    fn model_call(&self, turn: &TurnId, attempt: u32) -> rusqlite::Result<Option<(String, Value, Value)>> {
        self.db
            .prepare_cached(
                "SELECT model, prompt_tokens, completion_tokens, first_ms, total_ms
                 FROM model_calls WHERE turn = ?1 AND attempt = ?2",
            )?
            .query_row(params![turn.0, attempt], |row| {
                let number = |at| row.get::<_, Option<i64>>(at);
                Ok((
                    row.get(0)?,
                    json!({"prompt": number(1)?, "completion": number(2)?}),
                    json!({"firstMs": number(3)?, "totalMs": number(4)?}),
                ))
            })
            .optional()
    }

    /// The action's row, if it is one of this session; this event then belongs to its turn.
    fn action(&self, actuation: &ActuationId) -> rusqlite::Result<Option<ActionRow>> {
        let action = self
            .db
            .prepare_cached(
                "SELECT turn, attempt, message_id, module, input, status, output IS NOT NULL
                 FROM chat_actions WHERE id = ?1 AND session = ?2",
            )?
            .query_row(params![actuation.0, self.event.session.0], |row| {
                Ok(ActionRow {
                    turn: row.get(0)?,
                    attempt: row.get(1)?,
                    message: row.get(2)?,
                    module: row.get(3)?,
                    input: row.get(4)?,
                    status: row.get(5)?,
                    has_outcome: row.get(6)?,
                })
            })
            .optional()?;
        if let Some(action) = &action {
            self.run(
                "INSERT OR IGNORE INTO turn_events VALUES (?1, ?2)",
                params![action.turn, self.position],
            )?;
        }
        Ok(action)
    }

    fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<()> {
        self.db.prepare_cached(sql)?.execute(params)?;
        Ok(())
    }

    fn time(&self) -> i64 {
        int(self.event.time)
    }
}

/// What the fold needs of an action.
struct ActionRow {
    turn: String,
    attempt: u32,
    message: String,
    module: String,
    input: String,
    status: String,
    has_outcome: bool,
}

/// The payload with the command that the user made of it.
fn with_command(input: &str, command: &str) -> String {
    let mut input: Value = serde_json::from_str(input).unwrap_or_default();
    if let Some(input) = input.as_object_mut() {
        input.insert("cmd".into(), command.into());
    }
    input.to_string()
}

/// What a command's result looks like as a message.
fn result_text(outcome: &Outcome) -> String {
    let message = outcome.message.as_deref().unwrap_or_default();
    [outcome.stdout.as_str(), outcome.stderr.as_str(), message]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

//! The fold's part about actions: what was proposed, decided and done.
//!
//! - An action proposed makes a row of `chat_actions` and a message that is not listed yet. It is listed once
//!   the action was permitted; a denied one is listed only if it is a command, because its denial is what the
//!   model is told next.
//! - A command executed, or denied as its outcome, makes a message with its result. The first outcome stands,
//!   unless it was `unknown`: then the next one takes its place.

use rusqlite::{OptionalExtension, params};
use serde_json::{Value, json};

use super::super::spending::{Totals, of_turn};
use super::{Fold, addend};
use crate::ids::{ActuationId, TurnId};
use crate::record::{Cost, Decider, Decision, Latency, Outcome, Status, Usage, Verdict};

/// The most that a sum of a session's calls comes to.
const MOST: i64 = 1 << 60;

impl Fold<'_> {
    pub(super) fn replied(
        &self,
        turn: &TurnId,
        attempt: u32,
        verdict: &Verdict,
        bytes: usize,
        (usage, cost, latency): (Option<Usage>, Option<Cost>, Latency),
    ) -> rusqlite::Result<()> {
        self.belongs(turn)?;
        let (verdict, trouble, saved) = match verdict {
            Verdict::Accept => ("accept", None, None),
            Verdict::Reject { saved_at_most, .. } => ("reject", None, *saved_at_most),
            Verdict::Broken { trouble, .. } => ("broken", trouble.as_deref(), None),
            Verdict::Cancelled => ("cancelled", None, None),
            Verdict::Plain => ("plain", None, None),
        };
        let size = |size: usize| addend(u64::try_from(size).unwrap_or(u64::MAX));
        let counted = [
            usage.map(|usage| addend(usage.prompt_tokens)),
            usage.map(|usage| addend(usage.completion_tokens)),
            usage.and_then(|usage| usage.cached_tokens).map(addend),
            usage.and_then(|usage| usage.reasoning_tokens).map(addend),
            cost.map(|cost| addend(cost.micro_usd)),
        ];
        let [prompt, completion, cached, reasoning, cost] = counted;
        let estimated = usage.is_some_and(|usage| usage.estimated);
        // A call ends once: only then what it cost is added up once.
        let ended = self
            .db
            .prepare_cached(
                "UPDATE model_calls SET verdict = ?1, trouble = ?2, saved = ?3, bytes = ?4, prompt_tokens = ?5,
                     completion_tokens = ?6, cached_tokens = ?7, reasoning_tokens = ?8, estimated = ?9, cost = ?10,
                     begun_ms = ?11, first_ms = ?12, total_ms = ?13
                 WHERE turn = ?14 AND attempt = ?15 AND session = ?16 AND verdict IS NULL
                 RETURNING copied",
            )?
            .query_row(
                params![
                    verdict,
                    trouble,
                    saved.map(size),
                    size(bytes),
                    prompt,
                    completion,
                    cached,
                    reasoning,
                    estimated,
                    cost,
                    latency.begun_ms.map(addend),
                    latency.first_ms.map(addend),
                    addend(latency.total_ms),
                    turn.0,
                    attempt,
                    self.id()
                ],
                |row| row.get::<_, bool>(0),
            )
            .optional()?;
        if ended != Some(false) {
            return Ok(());
        }
        // A sum stays an integer, whatever servers count.
        self.run(
            "UPDATE chat_sessions SET prompt_tokens = min(coalesce(prompt_tokens + ?1, prompt_tokens, ?1), ?7),
                 completion_tokens = min(coalesce(completion_tokens + ?2, completion_tokens, ?2), ?7),
                 cached_tokens = min(coalesce(cached_tokens + ?3, cached_tokens, ?3), ?7),
                 reasoning_tokens = min(coalesce(reasoning_tokens + ?4, reasoning_tokens, ?4), ?7),
                 cost = min(coalesce(cost + ?5, cost, ?5), ?7), estimated = max(estimated, ?6)
             WHERE id = ?8",
            params![prompt, completion, cached, reasoning, cost, estimated, MOST, self.id()],
        )
    }

    pub(super) fn proposed(
        &self,
        actuation: &ActuationId,
        turn: &TurnId,
        attempt: u32,
        action: &Value,
        system: bool,
        mark: Option<&str>,
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
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL, 'proposed', NULL, NULL, NULL, 0, ?10, NULL)",
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
        self.usage(turn, attempt, &mut metadata)?;
        if let Some(mark) = mark {
            metadata["mark"] = mark.into();
        }
        let mark = mark.unwrap_or(actuation.as_str());
        self.message(turn, (role, kind), (Some(actuation), mark), &content, &metadata, false)
    }

    pub(super) fn permitted(
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
        self.list(action.position)
    }

    pub(super) fn executed(&self, actuation: &ActuationId, outcome: &Outcome) -> rusqlite::Result<()> {
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
            let result =
                "m.session = ?1 AND m.position > ?2 AND m.actuation = ?3 AND m.kind = 'command-result'";
            let of_action = (self.id(), action.position, actuation.as_str());
            self.unindex(result, of_action)?;
            self.run(
                "UPDATE chat_messages SET content = ?1, metadata = ?2
                 WHERE session = ?3 AND position > ?5 AND actuation = ?4 AND kind = 'command-result'",
                params![content, metadata.to_string(), self.id(), actuation.0, action.position],
            )?;
            return self.index(result, of_action);
        }
        // It is no text of a buffer: its own event stands for it.
        let mark = self.event.id.as_str();
        self.message(&turn, ("system", "command-result"), (Some(actuation), mark), &content, &metadata, true)
    }

    /// Puts the model, tokens, cost and latency behind an attempt into metadata, and what the turn took so far.
    fn usage(&self, turn: &TurnId, attempt: u32, metadata: &mut Value) -> rusqlite::Result<()> {
        let call = self
            .db
            .prepare_cached(
                "SELECT prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, estimated, cost, model,
                     begun_ms, first_ms, total_ms
                 FROM model_calls WHERE turn = ?1 AND attempt = ?2",
            )?
            .query_row(params![turn.0, attempt], |row| {
                let number = |at| row.get::<_, Option<i64>>(at);
                let latency =
                    json!({"begunMs": number(7)?, "firstMs": number(8)?, "totalMs": number(9)?});
                Ok((Totals::read(row, 0)?, row.get::<_, String>(6)?, latency))
            })
            .optional()?;
        let Some((totals, model, latency)) = call else { return Ok(()) };
        metadata["model"] = model.into();
        metadata["tokens"] = totals.tokens();
        metadata["cost"] = totals.cost();
        metadata["latency"] = latency;
        let turn = of_turn(self.db, turn)?;
        metadata["turnTokens"] = turn.tokens();
        metadata["turnCost"] = turn.cost();
        Ok(())
    }

    /// The action's row, if it is one of this session; this event then belongs to its turn.
    pub(super) fn action(&self, actuation: &ActuationId) -> rusqlite::Result<Option<ActionRow>> {
        let action = self
            .db
            .prepare_cached(
                "SELECT turn, attempt, position, module, input, status, output IS NOT NULL
                 FROM chat_actions WHERE id = ?1 AND session = ?2",
            )?
            .query_row(params![actuation.0, self.event.session.0], |row| {
                Ok(ActionRow {
                    turn: row.get(0)?,
                    attempt: row.get(1)?,
                    position: row.get(2)?,
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
}

/// What the fold needs of an action.
pub(super) struct ActionRow {
    turn: String,
    attempt: u32,
    /// Also that of its message: one event made both.
    pub(super) position: i64,
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

//! The fold's part about messages: what was said, and the words of it.
//!
//! A message sent makes a user message, a queued turn, and the entry that makes sending idempotent. Listed messages are
//! in `message_words` with what a search may be narrowed to, each as one word: `role…`, and `session…` and `skill…`
//! with the name in hexadecimal.

use rusqlite::{Connection, OptionalExtension, Params, params};
use serde_json::{Value, json};

use super::{Fold, body_hash, int, parsed, text_of};
use crate::ids::{ActuationId, TurnId};
use crate::record::{Attachment, MessageRef};
use crate::search;

impl Fold<'_> {
    pub(super) fn sent(
        &self,
        turn: &TurnId,
        client_id: &str,
        text: &str,
        level: u32,
        context: &[Attachment],
        mark: Option<&str>,
    ) -> rusqlite::Result<()> {
        let event = self.event;
        self.belongs(turn)?;
        self.run(
            "INSERT OR IGNORE INTO turns
             VALUES (?1, ?2, ?2, ?3, ?4, ?5, 'queued', NULL, NULL, NULL, 0, ?6, ?6)",
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
        self.run("UPDATE chat_sessions SET completed = 0 WHERE id = ?1", [self.id()])?;
        let context: Vec<Value> =
            context.iter().map(|part| json!({"kind": part.kind, "name": part.name})).collect();
        let mut metadata = json!({
            "kind": "user", "turn": turn, "clientId": client_id, "level": level, "context": context,
        });
        if let Some(mark) = mark {
            metadata["mark"] = mark.into();
        }
        let mark = mark.unwrap_or(event.id.as_str());
        self.message(turn, ("user", "user"), (None, mark), text, &metadata, true)?;
        self.status()
    }

    /// A turn begins: from now on what it is about is remembered, unless it says something again.
    pub(super) fn started(&self, turn: &TurnId) -> rusqlite::Result<()> {
        self.belongs(turn)?;
        self.run(
            "UPDATE turns SET state = 'started', updated_at = ?1
             WHERE id = ?2 AND session = ?3 AND state = 'queued'",
            params![self.time(), turn.0, self.id()],
        )?;
        let said = self
            .db
            .prepare_cached(
                "SELECT m.content, m.metadata FROM turns t JOIN chat_messages m ON m.position = t.place
                 WHERE t.id = ?1 AND t.session = ?2 AND t.place = t.position",
            )?
            .query_row([turn.as_str(), self.id()], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .optional()?;
        let Some((text, metadata)) = said else { return Ok(()) };
        let metadata: Value = parsed(&metadata);
        let attached = metadata["context"].as_array().into_iter().flatten();
        let attached = attached.filter_map(|item| Some((item["kind"].as_str()?, item["name"].as_str()?)));
        let mut context = self.context()?;
        context.learn(turn, &text, attached);
        self.remember(&text_of(&context))
    }

    /// Which skill a turn is for: its message can be found by it. Only now its words are taken in, so that they need not
    /// be taken out for that.
    pub(super) fn dispatched(&self, turn: &TurnId, skill: Option<&str>) -> rusqlite::Result<()> {
        self.belongs(turn)?;
        if let Some(skill) = skill {
            let params = params![skill, turn.0, self.id()];
            self.run("UPDATE turns SET skill = ?1 WHERE id = ?2 AND session = ?3", params)?;
            self.run(
                "UPDATE chat_messages SET skill = ?1 WHERE indexed = 0
                     AND position = (SELECT place FROM turns WHERE id = ?2 AND session = ?3)",
                params,
            )?;
        }
        self.find_message_of(turn)
    }

    /// Takes in the words of the message that a turn answers, if they are not in.
    pub(super) fn find_message_of(&self, turn: &TurnId) -> rusqlite::Result<()> {
        self.index(
            "m.position = (SELECT place FROM turns WHERE id = ?1 AND session = ?2)",
            [turn.as_str(), self.id()],
        )
    }

    pub(super) fn prompted(
        &self,
        turn: &TurnId,
        attempt: u32,
        (model, persona): (&str, &str),
        messages: &[MessageRef],
    ) -> rusqlite::Result<()> {
        self.belongs(turn)?;
        for message in messages {
            self.run("INSERT OR IGNORE INTO blob_uses VALUES (?1, ?2)", [&message.sha256, self.id()])?;
        }
        self.run(
            "INSERT OR IGNORE INTO model_calls (turn, attempt, session, model, persona, asked_at, estimated, copied)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, (SELECT copied_to >= ?7 FROM chat_sessions WHERE id = ?3))",
            params![turn.0, attempt, self.id(), model, persona, self.time(), int(self.event.seq)],
        )
    }

    pub(super) fn delivered(&self, actuation: &ActuationId) -> rusqlite::Result<()> {
        let Some(action) = self.action(actuation)? else { return Ok(()) };
        self.run(
            "UPDATE chat_messages SET delivered_at = ?1 WHERE position = ?2 AND delivered_at IS NULL",
            params![self.time(), action.position],
        )
    }

    /// Makes a message; `mark` is what stands for it in buffers.
    pub(super) fn message(
        &self,
        turn: &TurnId,
        (role, kind): (&str, &str),
        (actuation, mark): (Option<&ActuationId>, &str),
        content: &str,
        metadata: &Value,
        listed: bool,
    ) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO chat_messages VALUES (?2, ?1, ?3, ?4,
                 coalesce((SELECT place FROM turns WHERE id = ?4), ?2), ?5, ?6, ?7, ?8, ?9, ?10, 0, 0,
                 coalesce((SELECT undone FROM chat_actions WHERE id = ?7), 0),
                 (SELECT skill FROM turns WHERE id = ?4), NULL, ?11)",
            params![
                self.event.id.0,
                self.position,
                self.event.session.0,
                turn.0,
                role,
                kind,
                actuation.map(ActuationId::as_str),
                mark,
                content,
                metadata.to_string(),
                self.time()
            ],
        )?;
        if listed { self.list(self.position) } else { Ok(()) }
    }

    /// Lists the message at `position`, if it is not yet.
    pub(super) fn list(&self, position: i64) -> rusqlite::Result<()> {
        let listed = self
            .db
            .prepare_cached("UPDATE chat_messages SET listed = 1 WHERE position = ?1 AND listed = 0")?
            .execute([position])?;
        if listed == 0 {
            return Ok(());
        }
        self.run(
            "UPDATE chat_sessions SET messages = messages + 1, unread = unread + (m.role <> 'user')
             FROM chat_messages m WHERE m.position = ?1 AND chat_sessions.id = m.session",
            [position],
        )?;
        // The user's are found once their turn began.
        self.index("m.position = ?1 AND m.kind <> 'user'", [position])
    }

    /// Takes in the words of listed messages for which `condition` holds.
    pub(super) fn index(&self, condition: &str, params: impl Params) -> rusqlite::Result<()> {
        index(self.db, condition, params)
    }

    /// Takes out the words of messages for which `condition` holds, before anything of them changes.
    pub(super) fn unindex(&self, condition: &str, params: impl Params) -> rusqlite::Result<()> {
        words(
            self.db,
            &format!("m.indexed = 1 AND {condition}"),
            params,
            (
                0,
                "INSERT INTO message_words (message_words, rowid, content, facets) VALUES ('delete', ?1, ?2, ?3)",
            ),
        )
    }
}

/// Takes in the words of listed messages for which `condition` holds.
pub(super) fn index(db: &Connection, condition: &str, params: impl Params) -> rusqlite::Result<()> {
    words(
        db,
        &format!("m.listed = 1 AND m.undone = 0 AND m.indexed <> 1 AND {condition}"),
        params,
        (1, "INSERT INTO message_words (rowid, content, facets) VALUES (?1, ?2, ?3)"),
    )
}

/// Does `statement` for each message for which `condition` holds, and notes whether its words are in.
fn words(
    db: &Connection,
    condition: &str,
    params: impl Params,
    (indexed, statement): (i64, &str),
) -> rusqlite::Result<()> {
    let mut find = db.prepare_cached(&format!(
        "SELECT m.position, m.content, 'role' || m.role || ' session' || lower(hex(m.session))
             || CASE WHEN m.skill IS NULL THEN '' ELSE ' skill' || lower(hex(m.skill)) END
         FROM chat_messages m WHERE {condition}"
    ))?;
    let found: Vec<(i64, String, String)> = find
        .query_map(params, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut change = db.prepare_cached(statement)?;
    let mut note = db.prepare_cached("UPDATE chat_messages SET indexed = ?1 WHERE position = ?2")?;
    for (position, content, facets) in found {
        change.execute(params![position, search::indexed(&content), facets])?;
        note.execute([indexed, position])?;
    }
    Ok(())
}

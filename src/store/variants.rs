//! Variants as clients are told of them: the answers to one message, of which one counts.

use serde_json::{Value, json};

use super::Store;
use super::views::variants::variants;
use crate::error::{Code, Error, Result};
use crate::ids::{EventId, SessionId, TurnId};

/// The last message of a session that a model was asked about, or will be: one that was cancelled while it waited is
/// history for nobody.
const HEARD: &str = "SELECT coalesce(max(m.place), 0) FROM chat_messages m
     WHERE m.session = ?1 AND m.kind = 'user' AND m.listed = 1 AND m.undone = 0
         AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.id = m.turn AND t.state = 'cancelled'
             AND NOT EXISTS (SELECT 1 FROM model_calls c WHERE c.turn = t.id)
             AND NOT EXISTS (SELECT 1 FROM turns r WHERE r.session = t.session AND r.place = t.place
                 AND r.position > t.position))";

/// The answers to a message.
#[derive(Debug)]
pub struct Answers {
    /// The message.
    pub message: EventId,
    /// What stands for it in buffers.
    pub mark: String,
    /// Whether it is the last one of its session.
    pub last: bool,
    /// The turns of each answer, in their order, and whether it counts.
    pub items: Vec<(Vec<TurnId>, bool)>,
}

impl Answers {
    /// That the message is the last one: what was said later was said upon the answer that it has.
    ///
    /// # Errors
    /// `conflict` if it is not.
    pub fn is_last(&self) -> Result<()> {
        if self.last {
            return Ok(());
        }
        Err(Error::new(Code::Conflict, "other messages were said since")
            .hint("go on from there in a copy: orgAgent/sessions/fork at this message"))
    }
}

impl Store {
    /// The answers to the message of `session` that `name` is, or is an answer to: its identifier, or what stands for it
    /// in buffers. Without a name, to the last one.
    ///
    /// # Errors
    /// `not_found` if there is no such message, `internal` if the database fails.
    pub fn answers(&self, session: &SessionId, name: Option<&str>) -> Result<Answers> {
        // Taken back, a message is none; of an answer that does not count it is known which one it is.
        let place: Option<i64> = match name {
            Some(name) => self.one(
                "SELECT place FROM chat_messages WHERE session = ?1 AND (id = ?2 OR mark = ?2) AND listed = 1
                     AND undone <> 1 ORDER BY position LIMIT 1",
                [session.as_str(), name],
                |row| row.get(0),
            )?,
            None => self
                .one(
                    "SELECT max(place) FROM chat_messages
                 WHERE session = ?1 AND kind = 'user' AND listed = 1 AND undone = 0",
                    [session.as_str()],
                    |row| row.get::<_, Option<i64>>(0),
                )?
                .flatten(),
        };
        let nothing = || {
            let what = name.map_or_else(|| "no message".to_owned(), |name| format!("no message {name}"));
            Error::not_found(format!("there is {what} in session {session}"))
        };
        let place = place.ok_or_else(nothing)?;
        let found = self.one(
            &format!(
                "SELECT id, mark, place >= ({HEARD}) FROM chat_messages
                 WHERE session = ?1 AND position = ?2 AND kind = 'user' AND undone = 0"
            ),
            (session.as_str(), place),
            |row| Ok((EventId(row.get(0)?), row.get(1)?, row.get(2)?)),
        )?;
        let (message, mark, last) = found.ok_or_else(nothing)?;
        let items = variants(&self.reader, session.as_str(), place)?
            .into_iter()
            .map(|variant| (variant.turns.into_iter().map(TurnId).collect(), variant.chosen))
            .collect();
        Ok(Answers { message, mark, last, items })
    }

    /// The same as JSON: `{sessionId, messageId, mark, last, items: [{turnId, state, reason, chosen, model, texts: [{mark,
    /// text}], createdAt}]}`.
    ///
    /// # Errors
    /// Those of [`Self::answers`].
    pub fn answers_told(&self, session: &SessionId, name: Option<&str>) -> Result<Value> {
        let answers = self.answers(session, name)?;
        let mut items = Vec::new();
        for (turns, chosen) in &answers.items {
            let Some(last) = turns.last() else { continue };
            let mut texts = Vec::new();
            for turn in turns {
                texts.extend(self.all(
                    "SELECT m.mark, m.content FROM chat_messages m JOIN chat_actions a ON a.id = m.actuation
                     WHERE m.session = ?1 AND m.turn = ?2 AND m.listed = 1 AND m.undone <> 1
                         AND a.action IN ('insert-at-end', 'response') AND a.status <> 'failed'
                         AND m.kind <> 'command-result'
                     ORDER BY m.position",
                    [session.as_str(), turn.as_str()],
                    |row| Ok(json!({"mark": row.get::<_, String>(0)?, "text": row.get::<_, String>(1)?})),
                )?);
            }
            let told = self.one(
                "SELECT state, reason, created_at, (SELECT model FROM model_calls WHERE turn = ?1
                     ORDER BY attempt DESC LIMIT 1) FROM turns WHERE id = ?1",
                [last.as_str()],
                |row| {
                    Ok(json!({
                        "turnId": last, "state": row.get::<_, String>(0)?, "reason": row.get::<_, Option<String>>(1)?,
                        "chosen": chosen, "model": row.get::<_, Option<String>>(3)?, "texts": texts,
                        "createdAt": row.get::<_, i64>(2)?,
                    }))
                },
            )?;
            items.extend(told);
        }
        Ok(json!({
            "sessionId": session, "messageId": answers.message, "mark": answers.mark, "last": answers.last,
            "items": items,
        }))
    }
}

//! Everything behind a turn or an action: its events as they were logged, the texts of prompts put in.
//! It explains nothing; who shows it chooses.

use serde_json::{Map, Value, json};

use super::Store;
use super::recall::parse;
use super::spending::of_turn;
use super::views::{ENVELOPE, envelope};
use crate::error::{Error, Result};
use crate::ids::{ActuationId, TurnId};

/// Texts of prompts are put in up to this many bytes, then left null: they repeat each other.
const TEXT_BYTES: usize = 8 << 20;

impl Store {
    /// What is behind `turn`, oldest first: `{turnId, sessionId, state, reason, resumes, tokens, cost, events: [{eventId,
    /// seq, lamport, author, time, type, …}]}`. An event has the fields of its record in camelCase; a
    /// prompt's messages are `{role, sha256, text|null}`. `tokens` and `cost` are those of all calls of the turn, as in
    /// [`Store::sessions`].
    ///
    /// # Errors
    /// `not_found` if there is no such turn.
    pub fn why_turn(&self, turn: &TurnId) -> Result<Value> {
        self.why(turn, |_| true)
    }

    /// What is behind `actuation`: as [`Store::why_turn`], with `actuationId` and without the model calls and
    /// actions of the same turn that did not lead to it.
    ///
    /// # Errors
    /// `not_found` if there is no such action.
    pub fn why_actuation(&self, actuation: &ActuationId) -> Result<Value> {
        let found = self
            .find_actuation(actuation)?
            .ok_or_else(|| Error::not_found(format!("there is no actuation {actuation}")))?;
        let attempt = Value::from(found.attempt);
        let mut why = self.why(&found.turn, |event| match event.get("actuation") {
            Some(id) => id == actuation.as_str(),
            None => event.get("attempt").is_none_or(|number| *number == attempt),
        })?;
        why["actuationId"] = actuation.as_str().into();
        Ok(why)
    }

    /// The hashes of the tokens that were given out for `actuation`.
    ///
    /// # Errors
    /// `not_found` if there is no such action.
    pub fn tokens(&self, actuation: &ActuationId) -> Result<Vec<String>> {
        let why = self.why_actuation(actuation)?;
        let events = why["events"].as_array().into_iter().flatten();
        Ok(events.filter_map(|event| event["approved"]["token"].as_str().map(str::to_owned)).collect())
    }

    fn why(&self, turn: &TurnId, keep: impl Fn(&Map<String, Value>) -> bool) -> Result<Value> {
        let found =
            self.find_turn(turn)?.ok_or_else(|| Error::not_found(format!("there is no turn {turn}")))?;
        // A resumed turn answers a message of another one.
        let sql = format!(
            "SELECT {ENVELOPE} FROM log WHERE id = ?2 OR position IN (SELECT position FROM turn_events WHERE turn = ?1)
             ORDER BY position"
        );
        let mut events = Vec::new();
        let mut bytes = 0;
        for event in self.all(&sql, [turn.as_str(), found.message.as_str()], envelope)? {
            let Value::Object(mut body) = parse(&event.body)? else { continue };
            if !keep(&body) {
                continue;
            }
            if event.kind == "turn.prompted" {
                self.put_texts(&mut body, &mut bytes)?;
            }
            let head = json!({
                "eventId": event.id, "seq": event.seq, "lamport": event.lamport, "author": event.author,
                "time": event.time,
            });
            let mut item = head.as_object().cloned().unwrap_or_default();
            item.extend(body);
            events.push(camel_case(Value::Object(item)));
        }
        let totals = of_turn(&self.reader, turn)?;
        Ok(json!({
            "turnId": turn, "sessionId": found.session, "state": found.state, "reason": found.reason,
            "resumes": found.resumes, "tokens": totals.tokens(), "cost": totals.cost(), "events": events,
        }))
    }

    /// Puts the texts into a prompt's messages.
    fn put_texts(&self, prompt: &mut Map<String, Value>, bytes: &mut usize) -> Result<()> {
        let Some(messages) = prompt.get_mut("messages").and_then(Value::as_array_mut) else { return Ok(()) };
        for message in messages.iter_mut().filter_map(Value::as_object_mut) {
            let hash = message.get("sha256").and_then(Value::as_str).unwrap_or_default();
            let text: Option<String> = match *bytes < TEXT_BYTES {
                true => self.one("SELECT text FROM blobs WHERE sha256 = ?1", [hash], |row| row.get(0))?,
                false => None,
            };
            *bytes += text.as_ref().map_or(0, String::len);
            message.insert("text".into(), text.into());
        }
        Ok(())
    }
}

/// The same with the wire's spelling of keys. As deep as JSON was read: at most 128 levels.
pub(super) fn camel_case(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| {
                    let mut words = key.split('_');
                    let mut camel = words.next().unwrap_or_default().to_owned();
                    for word in words {
                        let mut letters = word.chars();
                        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
                        camel.push_str(letters.as_str());
                    }
                    (camel, camel_case(value))
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(camel_case).collect()),
        other => other,
    }
}

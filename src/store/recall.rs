//! What the kernel asks the store: history, duplicates, and what is left to do. It reads views and the log
//! and decides nothing.

use rusqlite::{OptionalExtension, Params, Row};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::views::nat;
use super::{Store, Waiting};
use crate::action::Action;
use crate::error::{Error, Result};
use crate::ids::{ActuationId, EventId, SessionId, TurnId};
use crate::prompt::{self, HistoryItem};
use crate::record::{Attachment, Decision, Location, Outcome, Record, Status};
use crate::sexp::printer;
use crate::skill::{Origin, canonical};

/// History ends where its texts exceed this many bytes; no prompt has room for more.
const HISTORY_BYTES: usize = 4 << 20;

/// How many sessions on disk [`Store::newest_active`] gives at most.
const NEWEST: i64 = 8;

/// A message that a client sent before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMessage {
    /// [`super::body_hash`] of what it said: a message with another hash is another message.
    pub body_hash: String,
    /// Its session.
    pub session: SessionId,
    /// Its event.
    pub event: EventId,
    /// The turn that it started.
    pub turn: TurnId,
    /// Its Lamport time.
    pub lamport: u64,
}

/// A turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its session.
    pub session: SessionId,
    /// The message that it answers.
    pub message: EventId,
    /// The level of the prompt's heading.
    pub level: u32,
    /// `queued`, `started`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// Why it ended so.
    pub reason: Option<String>,
    /// The interrupted turn that it goes on with.
    pub resumes: Option<TurnId>,
}

/// A turn that has not ended, with the message that it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedTurn {
    /// Which one.
    pub turn: TurnId,
    /// Its session.
    pub session: SessionId,
    /// The session's buffer.
    pub buffer: String,
    /// The message that it answers.
    pub message: EventId,
    /// What stands for that in buffers.
    pub mark: String,
    /// The client's identifier of that message.
    pub client_id: String,
    /// The user's words.
    pub text: String,
    /// What the user attached.
    pub context: Vec<Attachment>,
    /// Where the session was.
    pub location: Option<Location>,
    /// The level of the prompt's heading.
    pub level: u32,
    /// Whether work on it had begun.
    pub started: bool,
    /// Whether it answers a message that another turn answered before.
    pub again: bool,
    /// Whether another turn was to make way for it: then it comes before those that wait.
    pub steers: bool,
}

/// An action, as far as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Actuation {
    /// Which one.
    pub actuation: ActuationId,
    /// Its session.
    pub session: SessionId,
    /// Its turn.
    pub turn: TurnId,
    /// The model call that proposed it.
    pub attempt: u32,
    /// The JSON form, as proposed.
    pub action: Value,
    /// The canonical print of the same.
    pub sexp: String,
    /// Whether the kernel wrote it.
    pub system: bool,
    /// `emacs`, `shell` or `skill`; `chat` for what has no target.
    pub module: String,
    /// `proposed`, `allowed`, `asked`, `denied`, `done`, `failed` or `unknown`.
    pub status: String,
    /// The latest decision.
    pub decision: Option<Decision>,
    /// The rule behind it.
    pub rule: Option<String>,
    /// The command, as the user may have edited it; only for `shell`.
    pub command: Option<String>,
    /// What came of it.
    pub outcome: Option<Outcome>,
}

impl Actuation {
    /// Whether it is the new text of a rewrite.
    #[must_use]
    pub fn replaces(&self) -> bool {
        self.action["payload"]["action"] == "replace-region"
    }
}

const TURN: &str = "SELECT session, message, level, state, reason, resumes FROM turns";

const TURN_AND_MESSAGE: &str =
    "SELECT t.id, t.session, s.buffer, t.message, t.level, t.state, t.position <> t.place, l.body,
         EXISTS (SELECT 1 FROM turn_events e JOIN log s ON s.position = e.position
             WHERE e.turn = t.id AND s.type = 'turn.steered' AND s.body ->> 'by' = t.id)
     FROM turns t JOIN chat_sessions s ON s.id = t.session JOIN log l ON l.position = t.place";

const ACTUATION: &str =
    "SELECT a.id, a.session, a.turn, a.attempt, a.module, a.status, a.decision, a.rule, a.input,
     a.output, l.body FROM chat_actions a JOIN log l ON l.position = a.position";

const HISTORY: &str = "SELECT m.kind, l.body, a.input, a.output
     FROM chat_messages m JOIN log l ON l.position = m.position LEFT JOIN chat_actions a ON a.id = m.actuation
     WHERE m.session = ?1 AND m.listed = 1 AND m.undone = 0 AND m.kind IN ('user', 'action', 'command-result')
         AND m.turn <> ?2 AND m.place <= coalesce((SELECT place FROM turns WHERE id = ?2), m.place)
         AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.id = m.turn AND t.state = 'cancelled'
             AND NOT EXISTS (SELECT 1 FROM model_calls c WHERE c.turn = t.id)
             AND NOT EXISTS (SELECT 1 FROM turns r WHERE r.session = t.session AND r.place = t.place
                 AND r.position > t.position))
     ORDER BY m.place DESC, m.position DESC LIMIT ?3";

/// Without the files of folders. The newest are enough: a prompt has room for less.
const SKILLS: &str = "SELECT a.input, a.output FROM chat_actions a LEFT JOIN turns t ON t.id = a.turn
     WHERE a.session = ?1 AND a.module = 'skill' AND a.status = 'done' AND a.undone = 0 AND a.turn <> ?2
         AND a.input NOT LIKE '%/%'
         AND coalesce(t.place, a.position) <= coalesce((SELECT place FROM turns WHERE id = ?2), 9223372036854775807)
     ORDER BY coalesce(t.place, a.position) DESC, a.position DESC LIMIT 32";

impl Store {
    /// The message that `author` sent as `client_id`, also if it is not on disk yet.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn client_message(&self, author: &str, client_id: &str) -> Result<Option<ClientMessage>> {
        let waiting = self.recent.iter().find_map(|recent| match &recent.what {
            Waiting::Message { client_id: id, message } if id == client_id => Some(message.clone()),
            _ => None,
        });
        if waiting.is_some() && author == self.author {
            return Ok(waiting);
        }
        self.one(
            "SELECT body_hash, session, event, turn, lamport FROM client_messages
             WHERE author = ?1 AND client_id = ?2",
            [author, client_id],
            |row| {
                Ok(ClientMessage {
                    body_hash: row.get(0)?,
                    session: SessionId(row.get(1)?),
                    event: EventId(row.get(2)?),
                    turn: TurnId(row.get(3)?),
                    lamport: nat(row.get(4)?),
                })
            },
        )
    }

    /// The sessions of `buffer` that are neither archived nor completed and were made last, newest first: at most
    /// eight, and all that are not on disk yet.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn newest_active(&self, buffer: &str) -> Result<Vec<SessionId>> {
        let mut sessions: Vec<SessionId> = self
            .recent
            .iter()
            .rev()
            .filter(|recent| matches!(&recent.what, Waiting::Session { buffer: own } if own == buffer))
            .map(|recent| recent.session.clone())
            .collect();
        let stored = self.all(
            "SELECT id FROM chat_sessions WHERE buffer = ?1 AND archived = 0 AND completed = 0
             ORDER BY position DESC LIMIT ?2",
            (buffer, NEWEST),
            |row| row.get(0).map(SessionId),
        )?;
        // What was just committed may still be listed as waiting.
        for session in stored {
            if !sessions.contains(&session) {
                sessions.push(session);
            }
        }
        Ok(sessions)
    }

    /// The last `limit` things said and done in `session` before `turn`, oldest first, and not what belongs
    /// to `turn` itself. They stand in the order of the buffer: turn by turn. A turn that is not on disk yet
    /// comes after all others; one that resumes another sees what that one did, its message included. What
    /// the kernel says itself is left out, and so is a message that was cancelled before a model saw it, and the
    /// oldest part of a history of more than 4 MiB.
    ///
    /// # Errors
    /// `internal` if the database fails or is damaged.
    pub fn history(&self, session: &SessionId, turn: &TurnId, limit: u32) -> Result<Vec<HistoryItem>> {
        let mut items = Vec::new();
        let mut bytes = 0;
        let mut query = self.reader.prepare_cached(HISTORY)?;
        let mut rows = query.query((session.as_str(), turn.as_str(), limit))?;
        while let Some(row) = rows.next()? {
            let kind: String = row.get(0)?;
            let item = if kind == "command-result" {
                let (input, output): (String, String) = (row.get(2)?, row.get(3)?);
                bytes += input.len() + output.len();
                let input: Value = parse(&input)?;
                let command = input["cmd"].as_str().unwrap_or_default().to_owned();
                HistoryItem::CommandResult { command, outcome: parse(&output)? }
            } else {
                let body: String = row.get(1)?;
                bytes += body.len();
                match parse(&body)? {
                    Record::MessageSent { text, context, .. } => HistoryItem::User { text, context },
                    Record::ActionProposed { sexp, action, actuation, attempt, .. } => {
                        if action["target"] == "skill" {
                            let name = action["payload"]["name"].as_str().unwrap_or_default();
                            let outcome = self.find_actuation(&actuation)?.and_then(|found| found.outcome);
                            items.push(loaded(name, outcome));
                            // The user called it; no model said a word.
                            if attempt == 0 {
                                continue;
                            }
                        }
                        HistoryItem::Assistant { sexp: written(&action).unwrap_or(sexp) }
                    }
                    _ => continue,
                }
            };
            if bytes > HISTORY_BYTES && !items.is_empty() {
                break;
            }
            items.push(item);
        }
        drop(rows);
        let bodies = self.skills_before(session, turn)?;
        items.reverse();
        let named: Vec<&str> = items.iter().filter_map(HistoryItem::body).collect();
        let missing =
            bodies.into_iter().filter(|item| item.body().is_some_and(|name| !named.contains(&name)));
        let mut history = prompt::keep(missing.collect(), &[]);
        history.append(&mut items);
        Ok(history)
    }

    /// The skills that were loaded in `session` before `turn`, oldest first, whatever was said since.
    fn skills_before(&self, session: &SessionId, turn: &TurnId) -> Result<Vec<HistoryItem>> {
        let rows: Vec<(String, String)> =
            self.all(SKILLS, (session.as_str(), turn.as_str()), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let item = |(input, output): (String, String)| {
            let input: Value = parse(&input)?;
            Ok(loaded(input["name"].as_str().unwrap_or_default(), Some(parse(&output)?)))
        };
        rows.into_iter().rev().map(item).collect()
    }

    /// The turns of all sessions that have not ended, in the order in which they came.
    ///
    /// # Errors
    /// `internal` if the database fails or is damaged.
    pub fn unfinished_turns(&self) -> Result<Vec<UnfinishedTurn>> {
        self.turns("t.state IN ('queued', 'started') AND t.undone = 0 ORDER BY t.position", [])
    }

    /// The turns of `session` that were cut off before what ends a turn was permitted, a text or a note for the log, and
    /// whose messages no later turn answers, in the order in which they came.
    ///
    /// # Errors
    /// `internal` if the database fails or is damaged.
    pub fn interrupted_turns(&self, session: &SessionId) -> Result<Vec<UnfinishedTurn>> {
        self.turns(
            "t.session = ?1 AND t.state = 'failed' AND t.reason = 'interrupted' AND t.undone = 0
                AND NOT EXISTS (SELECT 1 FROM turns r WHERE r.session = ?1 AND r.place = t.place
                    AND r.position > t.position)
                AND NOT EXISTS (SELECT 1 FROM chat_actions a WHERE a.session = ?1 AND a.turn = t.id
                    AND a.status IN ('allowed', 'done') AND a.action IN ('insert-at-end', 'response', 'log'))
             ORDER BY t.position",
            [session.as_str()],
        )
    }

    /// `turn`, with the message that it answers.
    ///
    /// # Errors
    /// `internal` if the database fails or is damaged.
    pub fn answering(&self, turn: &TurnId) -> Result<Option<UnfinishedTurn>> {
        Ok(self.turns("t.id = ?1", [turn.as_str()])?.pop())
    }

    /// The turns for which `condition` holds, with the messages that they answer.
    fn turns(&self, condition: &str, params: impl Params) -> Result<Vec<UnfinishedTurn>> {
        let rows = self.all(&format!("{TURN_AND_MESSAGE} WHERE {condition}"), params, |row| {
            let turn = UnfinishedTurn {
                turn: TurnId(row.get(0)?),
                session: SessionId(row.get(1)?),
                buffer: row.get(2)?,
                message: EventId(row.get(3)?),
                level: row.get(4)?,
                started: row.get::<_, String>(5)? == "started",
                again: row.get(6)?,
                steers: row.get(8)?,
                mark: String::new(),
                client_id: String::new(),
                text: String::new(),
                context: Vec::new(),
                location: None,
            };
            Ok((turn, row.get::<_, String>(7)?))
        })?;
        rows.into_iter()
            .map(|(turn, body)| match parse(&body)? {
                Record::MessageSent { client_id, text, context, location, mark, .. } => {
                    let mark = mark.unwrap_or_else(|| turn.message.0.clone());
                    Ok(UnfinishedTurn { mark, client_id, text, context, location, ..turn })
                }
                _ => Err(damaged(format!("turn {} answers no message", turn.turn))),
            })
            .collect()
    }

    /// The turn `turn`.
    ///
    /// # Errors
    /// `internal` if the database fails.
    pub fn find_turn(&self, turn: &TurnId) -> Result<Option<Turn>> {
        self.one(&format!("{TURN} WHERE id = ?1"), [turn.as_str()], |row| {
            Ok(Turn {
                session: SessionId(row.get(0)?),
                message: EventId(row.get(1)?),
                level: row.get(2)?,
                state: row.get(3)?,
                reason: row.get(4)?,
                resumes: row.get::<_, Option<String>>(5)?.map(TurnId),
            })
        })
    }

    /// The action `actuation`.
    ///
    /// # Errors
    /// `internal` if the database fails or is damaged.
    pub fn find_actuation(&self, actuation: &ActuationId) -> Result<Option<Actuation>> {
        let found = self.one(&format!("{ACTUATION} WHERE a.id = ?1"), [actuation.as_str()], actuation_row)?;
        found.map(ActuationRow::read).transpose()
    }

    /// The texts of `session` that may go to its buffer and are not known to be there, oldest first.
    ///
    /// # Errors
    /// `internal` if the database fails or is damaged.
    pub fn pending_inserts(&self, session: &SessionId) -> Result<Vec<Actuation>> {
        self.actuations(session, "a.status = 'allowed' AND a.action IN ('insert-at-end', 'response')")
    }

    /// The commands of `session` that were asked or allowed and whose outcome is not known, oldest first.
    ///
    /// # Errors
    /// `internal` if the database fails or is damaged.
    pub fn pending_shell(&self, session: &SessionId) -> Result<Vec<Actuation>> {
        self.actuations(session, "a.module = 'shell'")
    }

    /// The open actions of `session` for which `condition` holds.
    fn actuations(&self, session: &SessionId, condition: &str) -> Result<Vec<Actuation>> {
        let sql = format!(
            "{ACTUATION} WHERE a.session = ?1 AND a.undone = 0 AND a.status IN ('allowed', 'asked') AND {condition}
             ORDER BY a.position"
        );
        let rows = self.all(&sql, [session.as_str()], actuation_row)?;
        rows.into_iter().map(ActuationRow::read).collect()
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.reader.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        Ok(self.reader.prepare_cached(sql)?.query_map(params, read)?.collect::<rusqlite::Result<_>>()?)
    }
}

/// An action as it is stored, before its JSON is read.
struct ActuationRow {
    actuation: Actuation,
    input: String,
    output: Option<String>,
    body: String,
}

fn actuation_row(row: &Row<'_>) -> rusqlite::Result<ActuationRow> {
    let decision = match row.get::<_, Option<String>>(6)?.as_deref() {
        Some("allow") => Some(Decision::Allow),
        Some("ask") => Some(Decision::Ask),
        Some("deny") => Some(Decision::Deny),
        _ => None,
    };
    let actuation = Actuation {
        actuation: ActuationId(row.get(0)?),
        session: SessionId(row.get(1)?),
        turn: TurnId(row.get(2)?),
        attempt: row.get(3)?,
        module: row.get(4)?,
        status: row.get(5)?,
        decision,
        rule: row.get(7)?,
        action: Value::Null,
        sexp: String::new(),
        system: false,
        command: None,
        outcome: None,
    };
    Ok(ActuationRow { actuation, input: row.get(8)?, output: row.get(9)?, body: row.get(10)? })
}

impl ActuationRow {
    fn read(self) -> Result<Actuation> {
        let Record::ActionProposed { action, sexp, system, .. } = parse(&self.body)? else {
            return Err(damaged(format!("action {} was never proposed", self.actuation.actuation)));
        };
        let input: Value = parse(&self.input)?;
        let shell = self.actuation.module == "shell";
        let command = input["cmd"].as_str().filter(|_| shell).map(str::to_owned);
        let outcome = self.output.as_deref().map(parse).transpose()?;
        Ok(Actuation { action, sexp, system, command, outcome, ..self.actuation })
    }
}

/// The text of a rewrite as the model wrote it, if `action` is one: the form in which it was offered is not a model's.
fn written(action: &Value) -> Option<String> {
    let payload = Some(&action["payload"]).filter(|payload| payload["action"] == "replace-region")?;
    let mut response = Action::response(payload["text"].as_str()?);
    response.explain(action["explanation"].as_str().map(str::to_owned));
    Some(printer::print(&response))
}

/// What a model was told when a skill was asked for.
fn loaded(name: &str, outcome: Option<Outcome>) -> HistoryItem {
    let name = canonical(name);
    match outcome {
        // One whose text was there already has only a remark.
        Some(Outcome { status: Status::Done, stdout, message: Some(_), .. }) if stdout.is_empty() => {
            HistoryItem::SkillAgain { name }
        }
        Some(Outcome { status: Status::Done, stdout: text, origin, .. }) => {
            let project = Origin::Project;
            let is_project = origin.as_deref() == Some(project.as_str());
            HistoryItem::Skill { name, text, origin: if is_project { project } else { Origin::User } }
        }
        outcome => {
            let why = outcome.and_then(|outcome| outcome.message);
            HistoryItem::NoSkill { why: why.unwrap_or_else(|| format!("{name:?} was not loaded")), name }
        }
    }
}

/// Reads JSON that this program wrote.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| damaged(error.to_string()))
}

fn damaged(why: String) -> Error {
    Error::internal("the database holds something unexpected")
        .because(why)
        .hint("run org-agent session verify")
}

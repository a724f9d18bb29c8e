//! A copy of a session, or of its beginning, as a session of its own: its events again, with turns and actions of their
//! own. The copy needs nothing of what it was made from, so either can be deleted.
//!
//! What stood for a message in buffers stands for its copy, too: a subtree that was copied needs another session in its
//! drawer and nothing else.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::envelope::Envelope;
use super::recall::parse;
use super::views::{ENVELOPE, envelope, int};
use super::{Appended, Store};
use crate::action::{Action, CHAT_BUFFER, MAX_REPLY};
use crate::error::{Error, Result};
use crate::ids::{ActuationId, EventId, SessionId, TurnId};
use crate::record::{Decision, EndState, Outcome, Record};
use crate::sexp::printer;

/// The most events that are copied at once: the copy is one transaction, and others wait meanwhile.
pub const MAX_COPIED: u64 = 20_000;

/// What is to be copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fork {
    /// The last message of the copy, by its identifier or its mark; nothing: all that was said.
    pub at: Option<String>,
    /// Other texts for messages, by what stands for them in buffers.
    pub edits: BTreeMap<String, String>,
}

/// Where a copy ends.
struct Cut {
    /// The turn of the last message.
    turn: TurnId,
    /// Where its turn stands in the session.
    place: i64,
    /// The event that made the message.
    position: i64,
    message: EventId,
    /// Whether it is the message that its turn answers: then nothing of the answer is copied, nor that there was none.
    prompt: bool,
}

impl Store {
    /// Appends to the new session `to` the records `first`, and then a copy of what was said and done in `from`, with the
    /// values that clients keep with it now, wherever the copy ends: so the copy may do no more than its source.
    /// Turns that have not ended are left out, unless the copy ends with one of their messages.
    ///
    /// # Errors
    /// `not_found` if there is no such session or message, `bad_request` for an edit of a message that is not copied or
    /// a session that is too long, `internal` if the database fails.
    pub fn fork(
        &mut self,
        from: &SessionId,
        fork: &Fork,
        to: &SessionId,
        first: &[Record],
    ) -> Result<Vec<Appended>> {
        let cut = fork.at.as_deref().map(|at| self.cut(from, at)).transpose()?;
        let events = self.chosen(from, cut.as_ref())?;
        let mut copier = Copier { edits: fork.edits.clone(), to: to.0.clone(), ..Copier::default() };
        let mut copies: Vec<(EventId, Record)> = Vec::with_capacity(events.len());
        for event in events {
            let record = copier.copy(&event)?;
            copies.push((event.id, record));
        }
        if let Some(mark) = copier.edits.keys().next() {
            return Err(Error::bad_request(format!("no message {mark} is copied")).hint(
                "edits name messages by their OA_EVENT or OA_ACT, up to the message where the fork ends",
            ));
        }
        let open = left_open(&copies);
        copies.extend(open.into_iter().map(|record| (EventId(String::new()), record)));
        if let Some(end) = cut.as_ref().and_then(|cut| self.loose_end(cut, &copies, &copier)) {
            copies.extend(end.into_iter().map(|record| (EventId(String::new()), record)));
        }
        let values = self.session(from)?["context"]["values"].as_object().cloned().unwrap_or_default();
        if !values.is_empty() {
            copies.push((EventId(String::new()), Record::SessionContext { values }));
        }
        let forked = Record::SessionForked {
            from: from.clone(),
            at: cut.map(|cut| cut.message),
            events: copies.len() as u64,
            edited: copier.edited,
        };
        let mut records = first
            .iter()
            .cloned()
            .chain([forked])
            .map(|record| (None, record))
            .chain(copies.into_iter().map(|(was, record)| (Some(was), record)));
        // A resumed turn names its message, and what that is called here is known only once it is appended.
        let mut last: Option<EventId> = None;
        let mut now: HashMap<EventId, EventId> = HashMap::new();
        self.append_each(to, &mut |event| {
            if let (Some(was), Some(event)) = (last.take(), event) {
                now.insert(was, event.id.clone());
            }
            let (was, mut record) = records.next()?;
            last = was;
            if let Record::TurnResumed { message, .. } | Record::TurnRegenerated { message, .. } = &mut record
                && let Some(id) = now.get(message)
            {
                *message = id.clone();
            }
            Some(record)
        })
    }

    /// The message of `session` that `at` names.
    fn cut(&self, session: &SessionId, at: &str) -> Result<Cut> {
        let found = self.one(
            "SELECT turn, place, position, id, kind = 'user' FROM chat_messages
             WHERE session = ?1 AND (id = ?2 OR mark = ?2) AND listed = 1 AND undone = 0
             ORDER BY position LIMIT 1",
            [session.as_str(), at],
            |row| {
                Ok(Cut {
                    turn: TurnId(row.get(0)?),
                    place: row.get(1)?,
                    position: row.get(2)?,
                    message: EventId(row.get(3)?),
                    prompt: row.get(4)?,
                })
            },
        )?;
        found.ok_or_else(|| {
            Error::not_found(format!("there is no message {at} in session {session}"))
                .hint("list them: orgAgent/sessions/messages, or org-agent session show ID --json")
        })
    }

    /// The events of the turns that are copied, and those that say what the session is.
    fn chosen(&self, session: &SessionId, cut: Option<&Cut>) -> Result<Vec<Envelope>> {
        let (place, end) = cut.map_or((i64::MAX, i64::MAX), |cut| (cut.place, cut.position));
        let turns: HashSet<TurnId> = self
            .all(
                // Of the turns that answer one message those that began after the last message are further answers.
                "SELECT id FROM turns WHERE session = ?1 AND undone = 0
                     AND (place < ?2 AND state NOT IN ('queued', 'started') OR place = ?2 AND position <= ?3)",
                (session.as_str(), place, end),
                |row| row.get(0).map(TurnId),
            )?
            .into_iter()
            .collect();
        let count = self.one(
            "SELECT count(*) FROM log WHERE session = ?1 AND position <= ?2",
            (session.as_str(), end),
            |row| row.get::<_, i64>(0),
        )?;
        if count.is_none_or(|count| count > int(MAX_COPIED)) {
            return Err(Error::bad_request(format!(
                "a copy has at most {MAX_COPIED} events, and this session has more up to there"
            ))
            .hint("fork at an earlier message"));
        }
        let sql = format!("SELECT {ENVELOPE}, position FROM log WHERE session = ?1 ORDER BY seq");
        let mut query = self.reader.prepare_cached(&sql)?;
        let mut rows = query.query([session.as_str()])?;
        let mut events = Vec::new();
        // Actions that are copied: what was decided about one comes later, and belongs to it.
        let mut actions: HashSet<ActuationId> = HashSet::new();
        while let Some(row) = rows.next()? {
            let (event, position) = (envelope(row)?, row.get::<_, i64>(11)?);
            let record: Record = parse(&event.body)?;
            let early = |turn: &TurnId| {
                turns.contains(turn) && cut.is_none_or(|cut| cut.turn != *turn || position <= cut.position)
            };
            let wanted = match &record {
                Record::SessionImported { .. } => cut.is_none_or(|cut| position <= cut.position),
                Record::ActionProposed { actuation, turn, .. } => {
                    early(turn) && actions.insert(actuation.clone())
                }
                Record::ActionPermitted { actuation, .. } | Record::ActionExecuted { actuation, .. } => {
                    actions.contains(actuation)
                }
                Record::TurnEnded { turn, .. } => turns.contains(turn) && self.is_whole(cut, turn)?,
                record => record.turn().is_some_and(early),
            };
            if wanted {
                events.push(event);
            }
            if events.len() as u64 > MAX_COPIED {
                break;
            }
        }
        Ok(events)
    }

    /// Whether all of `turn` is copied.
    fn is_whole(&self, cut: Option<&Cut>, turn: &TurnId) -> Result<bool> {
        let Some(cut) = cut.filter(|cut| cut.turn == *turn) else { return Ok(true) };
        if cut.prompt {
            return Ok(false);
        }
        let later = self.one(
            "SELECT 1 FROM chat_messages WHERE turn = ?1 AND session =
                 (SELECT session FROM turns WHERE id = ?1) AND position > ?2 AND listed = 1 AND undone = 0 LIMIT 1",
            (turn.as_str(), cut.position),
            |_| Ok(()),
        )?;
        Ok(later.is_none())
    }

    /// How the turn in which a copy ends is over there, if what ended it is not copied: one that answered something is
    /// done, another can be run again.
    fn loose_end(&self, cut: &Cut, copies: &[(EventId, Record)], copier: &Copier) -> Option<Vec<Record>> {
        let turn = copier.turns.get(&cut.turn)?.clone();
        let has = |wanted: fn(&Record) -> bool| {
            copies.iter().any(|(_, record)| record.turn() == Some(&turn) && wanted(record))
        };
        if has(|record| matches!(record, Record::TurnEnded { .. })) {
            return None;
        }
        let mut records = Vec::new();
        if !has(|record| matches!(record, Record::TurnStarted { .. })) {
            records.push(Record::TurnStarted { turn: turn.clone() });
        }
        let answered = has(|record| matches!(record, Record::ActionProposed { .. }));
        let (state, reason) = match answered {
            true => (EndState::Done, None),
            false => (EndState::Failed, Some("interrupted".to_owned())),
        };
        records.push(Record::TurnEnded { turn, state, reason });
        Some(records)
    }
}

/// The outcomes of texts that were permitted and not reported: they stand in the buffer of the copy as they do in that of
/// the session, so they are not to be offered there.
fn left_open(copies: &[(EventId, Record)]) -> Vec<Record> {
    let mut texts: HashSet<&ActuationId> = HashSet::new();
    let mut open: Vec<&ActuationId> = Vec::new();
    for (_, record) in copies {
        match record {
            Record::ActionProposed { actuation, action, .. } if is_text(action) => {
                texts.insert(actuation);
            }
            Record::ActionPermitted { actuation, decision: Decision::Allow, .. }
                if texts.remove(actuation) =>
            {
                open.push(actuation);
            }
            Record::ActionExecuted { actuation, .. } => open.retain(|id| *id != actuation),
            _ => {}
        }
    }
    let done = |actuation: &ActuationId| Record::ActionExecuted {
        actuation: actuation.clone(),
        outcome: Outcome::default(),
    };
    open.into_iter().map(done).collect()
}

/// Whether the text of an action stands in the session's buffer.
fn is_text(action: &Value) -> bool {
    action["payload"]["action"] == "insert-at-end" || action["type"] == "response"
}

/// Gives turns and actions identifiers of their own, and messages other texts.
#[derive(Default)]
struct Copier {
    turns: HashMap<TurnId, TurnId>,
    actions: HashMap<ActuationId, ActuationId>,
    /// Texts whose messages have not come yet.
    edits: BTreeMap<String, String>,
    edited: Vec<String>,
    /// The session of the copy.
    to: String,
}

impl Copier {
    /// The copy of what `event` says.
    fn copy(&mut self, event: &Envelope) -> Result<Record> {
        let mut record: Record = parse(&event.body)?;
        if let Some(turn) = record.turn_mut() {
            *turn = self.turn(turn)?;
        }
        match &mut record {
            Record::MessageSent { text, client_id, mark, .. } => {
                // A client's identifier names one message, and that is not this one.
                *client_id = format!("copy-{}-{}", self.to, event.seq);
                let name = mark.get_or_insert_with(|| event.id.0.clone());
                if let Some(edit) = self.edits.remove(name) {
                    self.edited.push(name.clone());
                    *text = edit;
                }
            }
            Record::ActionProposed { actuation, action, sexp, mark, .. } => {
                let name = mark.get_or_insert_with(|| actuation.0.clone());
                // Others have no text in a buffer.
                if is_text(action)
                    && let Some(edit) = self.edits.remove(name)
                {
                    if edit.len() > MAX_REPLY {
                        return Err(Error::bad_request(format!("edits.{name}: more than {MAX_REPLY} bytes"))
                            .hint("a reply has no more"));
                    }
                    self.edited.push(name.clone());
                    let edited = Action::insert(CHAT_BUFFER, &edit);
                    (*action, *sexp) = (edited.to_json(), printer::print(&edited));
                }
                *actuation = self.action(actuation)?;
            }
            Record::ActionPermitted { actuation, approved, .. } => {
                // What it let run has run.
                approved.token = None;
                *actuation = self.action(actuation)?;
            }
            Record::ActionExecuted { actuation, .. } => *actuation = self.action(actuation)?,
            Record::TurnSteered { by, .. } => *by = self.turn(by)?,
            Record::TurnResumed { from, .. } | Record::TurnRegenerated { from, .. } => {
                *from = self.turn(from)?;
            }
            _ => {}
        }
        Ok(record)
    }

    fn turn(&mut self, turn: &TurnId) -> Result<TurnId> {
        if let Some(own) = self.turns.get(turn) {
            return Ok(own.clone());
        }
        let own = TurnId::random()?;
        self.turns.insert(turn.clone(), own.clone());
        Ok(own)
    }

    fn action(&mut self, action: &ActuationId) -> Result<ActuationId> {
        if let Some(own) = self.actions.get(action) {
            return Ok(own.clone());
        }
        let own = ActuationId::random()?;
        self.actions.insert(action.clone(), own.clone());
        Ok(own)
    }
}

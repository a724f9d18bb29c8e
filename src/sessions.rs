//! What people do with a session, as records for its log: changes, copies, deletion, transcripts in and out.
//!
//! It checks what it is given and knows which records say it; it holds no state, and asks nobody. Whoever calls holds the
//! session's lease.

mod import;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use import::{Imported, import};

use crate::action::CHAT_BUFFER;
use crate::chosen;
use crate::error::{Code, Error, Result};
use crate::ids::{EventId, SessionId, TurnId};
use crate::record::Record;
use crate::request::{Change, NewSession};
use crate::store::Store;
use crate::transcript::{self, Reply, Said, Transcript};

/// The longest title, in characters.
const TITLE: usize = 200;

/// The longest name of a group, a tag or a checkpoint, in characters.
const NAME: usize = 100;

/// The most tags.
const TAGS: usize = 32;

/// How much clients may keep with a session, in bytes of JSON.
const CONTEXT: usize = 65_536;

/// How deep that may be. Answers have it some levels further down, and readers of JSON have bounds, too.
const DEPTH: usize = 64;

/// How many of a session's last texts are compared with those that a client shows.
const COMPARED: usize = 10_000;

/// The records that make a session of `user`, titled after `text` unless it has a title.
///
/// # Errors
/// `bad_request` for a title, a group or a tag that can be none.
pub fn created(user: &str, new: &NewSession, text: &str) -> Result<Vec<Record>> {
    let title = match &new.title {
        Some(title) => line("title", title, TITLE)?,
        None => transcript::title(text),
    };
    let buffer = new.buffer.clone().unwrap_or_else(|| CHAT_BUFFER.to_owned());
    let mut records = vec![Record::SessionCreated { user: user.to_owned(), title, buffer }];
    if new.group.is_some() || !new.tags.is_empty() {
        records.push(Record::SessionLabelled { group: group(new.group.as_deref())?, tags: tags(&new.tags)? });
    }
    Ok(records)
}

/// The records that make `change` of `session`; none if it is so already.
///
/// # Errors
/// `not_found` if there is no such session, checkpoint or message; `bad_request` for a name that can be none.
pub fn changed(store: &Store, session: &SessionId, change: &Change) -> Result<Vec<Record>> {
    let found = store.session(session)?;
    Ok(match change {
        Change::Rename(title) => {
            let title = line("title", title, TITLE)?;
            if found["title"] == *title { Vec::new() } else { vec![Record::SessionRenamed { title }] }
        }
        Change::Archive(archived) if found["archived"] == *archived => Vec::new(),
        Change::Archive(archived) => vec![Record::SessionArchived { archived: *archived }],
        Change::Label { group: new, tags: all } => {
            let group = match new {
                Some(new) => group(new.as_deref())?,
                None => found["group"].as_str().map(str::to_owned),
            };
            let tags = match all {
                Some(all) => tags(all)?,
                None => strings(&found["tags"]),
            };
            if found["group"] == serde_json::json!(group) && strings(&found["tags"]) == tags {
                return Ok(Vec::new());
            }
            vec![Record::SessionLabelled { group, tags }]
        }
        Change::Pause(paused) if (found["status"] == "paused") == *paused => Vec::new(),
        Change::Pause(paused) => vec![Record::SessionPaused { paused: *paused }],
        Change::Complete if found["status"] == "completed" => Vec::new(),
        Change::Complete => vec![Record::SessionCompleted {}],
        Change::Context { values: said, merge } => {
            let before = found["context"]["values"].as_object().cloned().unwrap_or_default();
            let values = merged(change, &before);
            if *merge && values == before {
                return Ok(Vec::new());
            }
            // Only what was said: what is there already is no reason to refuse something else.
            let said = said.iter().filter(|(_, value)| !*merge || !value.is_null());
            chosen::check(&said.map(|(key, value)| (key.clone(), value.clone())).collect())?;
            if Value::Object(values.clone()).to_string().len() > CONTEXT {
                return Err(Error::bad_request(format!("values: more than {CONTEXT} bytes")));
            }
            if values.values().any(|value| is_deeper(value, DEPTH - 1)) {
                return Err(Error::bad_request(format!("values: more than {DEPTH} levels deep")));
            }
            vec![Record::SessionContext { values }]
        }
        Change::Checkpoint(name) => {
            vec![Record::SessionCheckpointed { name: line("name", name, NAME)? }]
        }
        Change::Model { name, .. } if found["model"] == serde_json::json!(name) => Vec::new(),
        Change::Model { name, .. } => vec![Record::ModelSelected { model: name.clone() }],
        Change::Restore(name) => restored(store, session, name)?,
        Change::Choose(turn) => chosen(store, session, turn)?,
        Change::Read(message) => {
            let message = store.message(session, message)?.ok_or_else(|| {
                Error::not_found(format!("there is no message {message} in session {session}"))
            })?;
            vec![Record::MessageRead { message }]
        }
    })
}

/// What clients keep with a session that kept `before`, after `change`.
fn merged(change: &Change, before: &Map<String, Value>) -> Map<String, Value> {
    let Change::Context { values, merge } = change else { return before.clone() };
    if !merge {
        return values.clone();
    }
    let mut all = before.clone();
    for (key, value) in values {
        match value {
            Value::Null => drop(all.shift_remove(key)),
            value => drop(all.insert(key.clone(), value.clone())),
        }
    }
    all
}

/// Only answers to the last message can be chosen: what was said later was said upon the one that it has.
fn chosen(store: &Store, session: &SessionId, turn: &TurnId) -> Result<Vec<Record>> {
    let unknown = || Error::not_found(format!("turn {turn} is no answer in session {session}"));
    let found = store.find_turn(turn)?.filter(|found| found.session == *session).ok_or_else(unknown)?;
    let answers = store.answers(session, Some(found.message.as_str()))?;
    let (_, is_chosen) = answers.items.iter().find(|(turns, _)| turns.contains(turn)).ok_or_else(unknown)?;
    if *is_chosen {
        return Ok(Vec::new());
    }
    answers.is_last()?;
    Ok(vec![Record::TurnChosen { turn: turn.clone() }])
}

/// The way back is kept: the state that is left gets a checkpoint of its own.
fn restored(store: &Store, session: &SessionId, name: &str) -> Result<Vec<Record>> {
    let name = name.trim();
    let checkpoint = store.checkpoint(session, name)?.ok_or_else(|| {
        let names = store.checkpoints(session, None, None).map(|list| {
            let items = list["items"].as_array().into_iter().flatten();
            items.filter_map(|item| item["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
        });
        let hint = match names.unwrap_or_default() {
            names if names.is_empty() => "it has none; make one before you need it".to_owned(),
            names => format!("there are: {}", names.join(", ")),
        };
        Error::not_found(format!("session {session} has no checkpoint named {name:?}")).hint(hint)
    })?;
    // Asked for again, the way back would lead to where it already is.
    if store.is_at(session, &checkpoint)? {
        return Ok(Vec::new());
    }
    let left: String = format!("before going back to {name}").chars().take(NAME).collect();
    Ok(vec![
        Record::SessionCheckpointed { name: left },
        Record::SessionRestored { checkpoint: EventId(checkpoint) },
    ])
}

/// The transcript of `session` as it stands in its buffer: what was said, and the texts that were permitted. Commands
/// and what came of them are not in buffers.
///
/// # Errors
/// `not_found` if there is no such session, `internal` if the database fails.
pub fn export(store: &Store, session: &SessionId) -> Result<Transcript> {
    let found = store.session(session)?;
    let mut turns: Vec<Said> = Vec::new();
    let mut places: BTreeMap<i64, usize> = BTreeMap::new();
    store.each_text(session, &mut |text| {
        let at = places.get(&text.place).copied();
        match (text.level, at) {
            (Some(level), _) => {
                places.insert(text.place, turns.len());
                turns.push(Said { event: Some(text.mark), level, text: text.text, replies: Vec::new() });
            }
            (None, Some(at)) => {
                turns[at].replies.push(Reply { actuation: Some(text.mark), text: text.text });
            }
            (None, None) => {}
        }
    })?;
    Ok(Transcript {
        session: Some(session.0.clone()),
        title: found["title"].as_str().map(str::to_owned),
        turns,
        draft: None,
    })
}

/// Of the texts whose `hashes` a client gave, by what stands for them in its buffer, those that it shows with other
/// words than they were said. Of what is not known here nothing is said.
///
/// # Errors
/// `internal` if the database fails.
pub fn edited(store: &Store, session: &SessionId, hashes: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut wanted: BTreeMap<&str, &str> =
        hashes.iter().map(|(mark, hash)| (mark.as_str(), hash.as_str())).collect();
    let mut edited = Vec::new();
    if wanted.is_empty() {
        return Ok(edited);
    }
    let mut looked_at = 0;
    store.texts_backwards(session, &mut |text| {
        if let Some(hash) = wanted.remove(text.mark.as_str())
            && transcript::edited(&text.text, hash)
        {
            edited.push(text.mark);
        }
        looked_at += 1;
        !wanted.is_empty() && looked_at < COMPARED
    })?;
    edited.reverse();
    Ok(edited)
}

/// That nothing of `session` is under way or waits, for what must not happen beside a turn.
///
/// # Errors
/// `conflict` if something does.
pub fn at_rest(store: &Store, session: &SessionId) -> Result<()> {
    match store.unfinished_turns()?.iter().any(|turn| turn.session == *session) {
        true => {
            Err(Error::new(Code::Conflict, format!("a turn of session {session} is under way, or waits"))
                .hint("wait for its end, or cancel it"))
        }
        false => Ok(()),
    }
}

/// Whether there are lists or objects in `value` for more than `levels`.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let mut open = vec![(value, 1)];
    while let Some((value, level)) = open.pop() {
        let inside: Vec<&Value> = match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => continue,
        };
        if level > levels {
            return true;
        }
        open.extend(inside.into_iter().map(|value| (value, level + 1)));
    }
    false
}

fn group(name: Option<&str>) -> Result<Option<String>> {
    name.map(|name| line("group", name, NAME)).transpose()
}

/// Tags as Org has them: letters, digits, `_`, `@`, `#` and `%`; each once.
fn tags(names: &[String]) -> Result<Vec<String>> {
    if names.len() > TAGS {
        return Err(Error::bad_request(format!("tags: more than {TAGS}")));
    }
    let mut tags: Vec<String> = Vec::new();
    for name in names {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '%');
        if name.is_empty() || name.chars().count() > NAME || !name.chars().all(plain) {
            return Err(Error::bad_request(format!("tags: {name:?} can be no tag"))
                .hint("a tag has letters, digits, _, @, # and %, as in Org"));
        }
        if !tags.contains(name) {
            tags.push(name.clone());
        }
    }
    Ok(tags)
}

/// The strings of a JSON list.
#[must_use]
pub fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// `text` as a name: one line, not empty.
fn line(field: &str, text: &str, most: usize) -> Result<String> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(Error::bad_request(format!("{field}: must not be empty"))),
        count if count > most => Err(Error::bad_request(format!("{field}: more than {most} characters"))),
        _ if text.chars().any(char::is_control) => {
            Err(Error::bad_request(format!("{field}: must be one line without control characters")))
        }
        _ => Ok(text.to_owned()),
    }
}

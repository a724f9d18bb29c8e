//! A transcript as a session of its own.
//!
//! What was imported may be anybody's words: the session says so, and no command in it runs unasked. What stands for a
//! message in the file stands for it here, so that the export of an import is the same text again. A session that is not
//! here keeps its identifier; of one that is, a copy is made.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::{TITLE, line};
use crate::action::{Action, CHAT_BUFFER, MAX_REPLY};
use crate::error::{Code, Error, Result};
use crate::ids::{ActuationId, SessionId, TurnId, hex};
use crate::record::{Approved, Decider, Decision, EndState, Outcome, Record};
use crate::sexp::printer;
use crate::store::{MAX_COPIED, Store};
use crate::transcript::{self, Said, Transcript};

/// The most sessions of one text: each is locked while it is made.
const SESSIONS: usize = 200;

/// The most prompts of one text: others wait while they are written.
const TURNS: usize = 10_000;

/// The longest identifier that is taken from a file, in bytes.
const MAX_ID: usize = 256;

/// The longest message of a user, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// A session that a transcript becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// Its identifier.
    pub session: SessionId,
    /// What makes it.
    pub records: Vec<Record>,
}

/// The sessions that `text`, read from what the user calls `name`, becomes.
///
/// # Errors
/// `bad_request` with the line of what cannot be read, or if there is too much.
pub fn import(
    store: &Store,
    user: &str,
    text: &str,
    name: &str,
    buffer: Option<&str>,
) -> Result<Vec<Imported>> {
    let found = transcript::parse_all(text).map_err(|problem| {
        Error::bad_request(format!("line {} of {name}: {}", problem.line, problem.message)).hint(problem.hint)
    })?;
    if found.iter().all(|transcript| transcript.turns.is_empty()) {
        return Err(Error::bad_request(format!("there is no session in {name}"))
            .hint("a session has prompts under `* USER` and replies under `** ASSISTANT`"));
    }
    let turns: usize = found.iter().map(|transcript| transcript.turns.len()).sum();
    if found.len() > SESSIONS || turns > TURNS {
        return Err(Error::bad_request(format!(
            "there are more than {SESSIONS} sessions or {TURNS} prompts in {name}"
        ))
        .hint("split it"));
    }
    let name = line("name", name, 200).unwrap_or_else(|_| "a transcript".to_owned());
    let sha256 = hex(&Sha256::digest(text.as_bytes()));
    let mut taken = HashSet::new();
    let mut imported = Vec::new();
    // One in which nothing was said is no session, whatever waits in its input area.
    for mut transcript in found.into_iter().filter(|transcript| !transcript.turns.is_empty()) {
        // One that is here is not overwritten, nor one of the same text. One that was deleted may come back.
        let own = transcript.session.take().filter(|id| is_plain(id)).map(SessionId);
        let session = match own {
            Some(id) if is_free(store, &id)? && taken.insert(id.clone()) => id,
            _ => SessionId::random()?,
        };
        let records = records(user, &session, transcript, &name, &sha256, buffer)?;
        imported.push(Imported { session, records });
    }
    Ok(imported)
}

/// Whether there is no session of this identifier.
fn is_free(store: &Store, id: &SessionId) -> Result<bool> {
    match store.session(id) {
        Ok(_) => Ok(false),
        Err(error) if error.code == Code::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn records(
    user: &str,
    session: &SessionId,
    transcript: Transcript,
    name: &str,
    sha256: &str,
    buffer: Option<&str>,
) -> Result<Vec<Record>> {
    let first = transcript.turns.first().map(|said| said.text.as_str()).unwrap_or_default();
    let title = match transcript.title.as_deref().map(str::trim) {
        // As it is, so that the export has it again; what can be no title is made one.
        Some(title) if !title.is_empty() => {
            line("title", title, TITLE).unwrap_or_else(|_| transcript::title(title))
        }
        _ => transcript::title(first),
    };
    let mut records = vec![
        Record::SessionCreated {
            user: user.to_owned(),
            title,
            buffer: buffer.unwrap_or(CHAT_BUFFER).to_owned(),
        },
        Record::SessionImported {
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            turns: transcript.turns.len() as u64,
        },
    ];
    let mut marks = HashSet::new();
    for (number, mut said) in transcript.turns.into_iter().enumerate() {
        // What stands for a message stands for no other one.
        let mut own = |mark: Option<String>| mark.filter(|mark| is_plain(mark) && marks.insert(mark.clone()));
        said.event = own(said.event);
        for reply in &mut said.replies {
            reply.actuation = own(reply.actuation.take());
        }
        turn(session, number, said, &mut records)?;
        if records.len() as u64 > MAX_COPIED {
            return Err(Error::bad_request(format!("a session of {name} has more than {MAX_COPIED} events"))
                .hint("split it"));
        }
    }
    Ok(records)
}

fn turn(session: &SessionId, number: usize, said: Said, records: &mut Vec<Record>) -> Result<()> {
    let turn = TurnId::random()?;
    let too_long = |what: &str, most: usize| {
        Error::bad_request(format!("{what} {} has more than {most} bytes", number + 1)).hint("shorten it")
    };
    if said.text.len() > MAX_TEXT {
        return Err(too_long("prompt", MAX_TEXT));
    }
    records.push(Record::MessageSent {
        turn: turn.clone(),
        client_id: format!("import-{session}-{}", TurnId::random()?),
        text: said.text,
        level: said.level,
        context: Vec::new(),
        location: None,
        mark: said.event,
    });
    records.push(Record::TurnStarted { turn: turn.clone() });
    let answered = !said.replies.is_empty();
    for reply in said.replies {
        if reply.text.len() > MAX_REPLY {
            return Err(too_long("reply to prompt", MAX_REPLY));
        }
        let actuation = ActuationId::random()?;
        let action = Action::insert(CHAT_BUFFER, &reply.text);
        records.push(Record::ActionProposed {
            actuation: actuation.clone(),
            turn: turn.clone(),
            attempt: 1,
            action: action.to_json(),
            sexp: printer::print(&action),
            system: false,
            mark: reply.actuation,
        });
        records.push(Record::ActionPermitted {
            actuation: actuation.clone(),
            decision: Decision::Allow,
            rule: "it was imported".to_owned(),
            by: Decider::User,
            command: None,
            approved: Approved::default(),
        });
        records.push(Record::ActionExecuted { actuation, outcome: Outcome::default() });
    }
    // What nobody answered was taken back: it is kept, and no model is asked.
    let state = if answered { EndState::Done } else { EndState::Cancelled };
    records.push(Record::TurnEnded { turn, state, reason: None });
    Ok(())
}

/// Whether `id` can be an identifier: visible, and not too long.
fn is_plain(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.chars().all(|c| !c.is_whitespace() && !c.is_control())
}

//! The store over its public interface, on real files. What needs its insides is tested beside them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers included")]

mod deletion;
mod durability;
mod log;
mod model;
mod recall;
mod recover;
mod scorecard;
mod sessions;
mod spending;

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use org_agent::error::{Code, Result};
use org_agent::ids::{EventId, SessionId};
use org_agent::prompt::HistoryItem;
use org_agent::record::{
    Attachment, AttachmentKind, Cost, Decider, Decision, EndState, Latency, MessageRef, Outcome, Record,
    Speakers, Status, Usage, Verdict,
};
use org_agent::request::Sessions;
use org_agent::store::migrations::{LATEST, migrate};
use org_agent::store::{Options, Store, body_hash};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A store in a directory of its own, and what it reported.
struct Home {
    store: Store,
    hear: Receiver<Result<u64>>,
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    fn in_dir(dir: TempDir) -> Self {
        let (store, hear) = open(dir.path());
        Self { store, hear, dir }
    }

    /// Appends and waits until it is on disk.
    fn append(&mut self, session: &str, records: &[Record]) -> Vec<EventId> {
        let appended = self.store.append_all(&session.into(), records).unwrap();
        self.wait(appended.last().unwrap().ticket);
        appended.into_iter().map(|appended| appended.event).collect()
    }

    fn wait(&self, ticket: u64) {
        while self.store.committed() < ticket {
            self.hear.recv_timeout(Duration::from_secs(60)).unwrap().unwrap();
        }
    }

    fn reopen(self) -> Self {
        let Self { store, hear, dir } = self;
        drop(store);
        drop(hear);
        Self::in_dir(dir)
    }

    /// A connection of one's own, beside the store's.
    fn raw(&self) -> Connection {
        raw(self.dir.path())
    }
}

fn raw(dir: &Path) -> Connection {
    let db = Connection::open(dir.join("agent.db")).unwrap();
    db.busy_timeout(Duration::from_secs(60)).unwrap();
    db
}

fn open(dir: &Path) -> (Store, Receiver<Result<u64>>) {
    let (said, hear) = channel();
    let options = Options { clock: ticking(), busy: Duration::from_secs(60), ..Options::default() };
    (Store::open_with(dir, options, move |result| drop(said.send(result))).unwrap(), hear)
}

/// A clock that is one millisecond later at each look.
fn ticking() -> Box<dyn Fn() -> u64 + Send> {
    let ticks = std::cell::Cell::new(1_000);
    Box::new(move || {
        ticks.set(ticks.get() + 1);
        ticks.get()
    })
}

fn created(buffer: &str) -> Record {
    Record::SessionCreated { user: "User".into(), title: "A title".into(), buffer: buffer.into() }
}

fn sent(turn: &str, text: &str) -> Record {
    Record::MessageSent {
        turn: turn.into(),
        client_id: format!("client-{turn}"),
        text: text.into(),
        level: 1,
        context: Vec::new(),
        location: None,
        mark: None,
    }
}

fn started(turn: &str) -> Record {
    Record::TurnStarted { turn: turn.into() }
}

fn ended(turn: &str, state: EndState) -> Record {
    Record::TurnEnded { turn: turn.into(), state, reason: None }
}

fn proposed(actuation: &str, turn: &str, action: Value) -> Record {
    let sexp = format!("({actuation})");
    Record::ActionProposed {
        actuation: actuation.into(),
        turn: turn.into(),
        attempt: 1,
        action,
        sexp,
        system: false,
        mark: None,
    }
}

fn insert(text: &str) -> Value {
    json!({"type": "request", "target": "emacs",
           "payload": {"action": "insert-at-end", "buffer": "*org-agent-chat*", "text": text}})
}

fn shell(cmd: &str) -> Value {
    json!({"type": "request", "target": "shell", "payload": {"cmd": cmd}})
}

fn permitted(actuation: &str, decision: Decision) -> Record {
    Record::ActionPermitted {
        actuation: actuation.into(),
        decision,
        rule: "a rule".into(),
        by: Decider::Policy,
        command: None,
        approved: org_agent::record::Approved::default(),
    }
}

fn asked(turn: &str, attempt: u32, model: &str) -> Record {
    Record::Prompted {
        turn: turn.into(),
        attempt,
        model: model.into(),
        messages: Vec::new(),
        parameters: Value::Null,
        tokens: None,
        persona: Some(Speakers { user: "Ada".into(), assistant: "Jeeves".into() }),
    }
}

fn replied(turn: &str, attempt: u32, verdict: Verdict, counted: Option<(Usage, u64)>) -> Record {
    Record::Replied {
        turn: turn.into(),
        attempt,
        raw: "(a)".into(),
        original: None,
        thought: String::new(),
        verdict,
        usage: counted.map(|(usage, _)| usage),
        cost: counted.map(|(_, micro_usd)| Cost { micro_usd }),
        latency: Latency { begun_ms: Some(100), first_ms: Some(100), total_ms: 1_100 },
    }
}

fn usage(prompt_tokens: u64, completion_tokens: u64) -> Usage {
    Usage { prompt_tokens, completion_tokens, ..Usage::default() }
}

fn broken(trouble: &str) -> Verdict {
    Verdict::Broken { message: "it broke".into(), trouble: Some(trouble.into()) }
}

fn rejected(saved_at_most: Option<usize>) -> Verdict {
    Verdict::Reject { kind: "not-a-list".into(), offset: 0, message: "no list".into(), saved_at_most }
}

fn executed(actuation: &str, status: Status) -> Record {
    let outcome = Outcome { status, exit_code: Some(0), stdout: "out".into(), ..Outcome::default() };
    Record::ActionExecuted { actuation: actuation.into(), outcome }
}

fn ids(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

/// Every row of every view as text.
fn views(db: &Connection) -> Vec<String> {
    let mut rows = Vec::new();
    for view in [
        "chat_sessions",
        "checkpoints",
        "session_contexts",
        "blob_uses",
        "turns",
        "chat_messages",
        "chat_actions",
        "model_calls",
        "deleted_costs",
        "client_messages",
        "turn_events",
    ] {
        let mut query = db.prepare(&format!("SELECT * FROM {view} ORDER BY 1, 2")).unwrap();
        let columns = query.column_count();
        let found = query
            .query_map([], |row| {
                let values: rusqlite::Result<Vec<rusqlite::types::Value>> =
                    (0..columns).map(|at| row.get(at)).collect();
                Ok(format!("{view} {:?}", values?))
            })
            .unwrap();
        rows.extend(found.map(std::result::Result::unwrap));
    }
    rows
}

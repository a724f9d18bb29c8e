//! The store over its public interface, on real files. What needs its insides is tested beside them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers included")]

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use org_agent::error::{Code, Result};
use org_agent::ids::EventId;
use org_agent::prompt::HistoryItem;
use org_agent::record::{
    Attachment, AttachmentKind, Decider, Decision, EndState, Latency, MessageRef, Outcome, Record, Status,
    Usage, Verdict,
};
use org_agent::store::{Options, Store, body_hash};
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
    let ticks = std::cell::Cell::new(1_000);
    let clock = Box::new(move || {
        ticks.set(ticks.get() + 1);
        ticks.get()
    });
    let options = Options { clock, busy: Duration::from_secs(60) };
    (Store::open_with(dir, options, move |result| drop(said.send(result))).unwrap(), hear)
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
    }
}

fn executed(actuation: &str, status: Status) -> Record {
    let outcome = Outcome { status, exit_code: Some(0), stdout: "out".into(), ..Outcome::default() };
    Record::ActionExecuted { actuation: actuation.into(), outcome }
}

#[test]
fn a_turn_is_told_back() {
    let mut home = Home::new();
    let note = Attachment { kind: AttachmentKind::File, name: "a.org".into(), text: "data".into() };
    let system = home.store.blob("be brief");
    let question = home.store.blob("hello");
    let usage = Usage { prompt_tokens: 7, completion_tokens: 3 };
    let latency = Latency { first_ms: Some(5), total_ms: 9 };
    let events = home.append(
        "s",
        &[
            created("b"),
            Record::MessageSent {
                turn: "t".into(),
                client_id: "c".into(),
                text: "hello".into(),
                level: 2,
                context: vec![note.clone()],
            },
            started("t"),
            Record::Prompted {
                turn: "t".into(),
                attempt: 1,
                model: "m".into(),
                messages: vec![
                    MessageRef { role: "system".into(), sha256: system },
                    MessageRef { role: "user".into(), sha256: question },
                ],
            },
            Record::Replied {
                turn: "t".into(),
                attempt: 1,
                raw: "(a)".into(),
                verdict: Verdict::Accept,
                usage: Some(usage),
                latency,
            },
            proposed("a", "t", shell("ls")),
            permitted("a", Decision::Ask),
        ],
    );
    assert_eq!(home.store.pending_shell(&"s".into()).unwrap()[0].command.as_deref(), Some("ls"));
    let decided = Record::ActionPermitted {
        actuation: "a".into(),
        decision: Decision::Allow,
        rule: "the user said so".into(),
        by: Decider::User,
        command: Some("ls -l".into()),
    };
    home.append("s", &[decided]);
    let result = home.append("s", &[executed("a", Status::Done)]).remove(0);
    home.append(
        "s",
        &[
            proposed("b", "t", insert("all is well")),
            permitted("b", Decision::Allow),
            executed("b", Status::Done),
            ended("t", EndState::Done),
        ],
    );
    let store = &home.store;

    let messages = store.messages(&"s".into(), None, None).unwrap();
    let brief: Vec<_> =
        messages["items"].as_array().unwrap().iter().map(|m| (&m["role"], &m["content"])).collect();
    assert_eq!(
        json!(brief),
        json!([["user", "hello"], ["assistant", "ls"], ["system", "out"], ["assistant", "all is well"]])
    );
    assert_eq!(
        messages["items"][0]["metadata"],
        json!({"kind": "user", "turn": "t", "clientId": "c", "level": 2,
               "context": [{"kind": "file", "name": "a.org"}]})
    );
    assert_eq!(
        messages["items"][1]["metadata"],
        json!({"kind": "action", "turn": "t", "attempt": 1, "actuation": "a", "module": "shell", "action": "run",
               "model": "m", "tokens": {"prompt": 7, "completion": 3}, "latency": {"firstMs": 5, "totalMs": 9}})
    );
    assert_eq!(messages["items"][2]["id"], result.as_str());
    assert_eq!(messages["items"][2]["metadata"]["kind"], "command-result");
    assert_eq!(messages["nextCursor"], Value::Null);

    let actions = store.actions(&"s".into(), None, None).unwrap();
    let first = &actions["items"][0];
    assert_eq!(
        *first,
        json!({"id": "a", "messageId": events[5], "module": "shell", "action": "run", "input": {"cmd": "ls -l"},
               "output": {"status": "done", "exit_code": 0, "stdout": "out", "truncated": false},
               "status": "done", "executedAt": 1009, "decision": "allow", "rule": "the user said so",
               "createdAt": 1006})
    );

    let other = "another turn".into();
    assert_eq!(
        store.history(&"s".into(), &other, 50).unwrap(),
        [
            HistoryItem::User { text: "hello".into(), context: vec![note.clone()] },
            HistoryItem::Assistant { sexp: "(a)".into() },
            HistoryItem::CommandResult {
                command: "ls -l".into(),
                outcome: Outcome { exit_code: Some(0), stdout: "out".into(), ..Outcome::default() }
            },
            HistoryItem::Assistant { sexp: "(b)".into() },
        ]
    );
    assert_eq!(store.history(&"s".into(), &"t".into(), 50).unwrap(), []);
    assert_eq!(
        store.history(&"s".into(), &other, 1).unwrap(),
        [HistoryItem::Assistant { sexp: "(b)".into() }]
    );

    let session = store.session(&"s".into()).unwrap();
    assert_eq!(
        session,
        json!({"id": "s", "title": "A title", "status": "active", "buffer": "b", "createdAt": 1001,
               "updatedAt": 1013, "user": "User", "context": {}})
    );
    let turn = store.find_turn(&"t".into()).unwrap().unwrap();
    assert_eq!((turn.state.as_str(), turn.level, &turn.message), ("done", 2, &events[1]));
    assert_eq!(store.find_turn(&"no".into()).unwrap(), None);
    let found = store.find_actuation(&"a".into()).unwrap().unwrap();
    assert_eq!((found.status.as_str(), found.action), ("done", shell("ls")));
    assert_eq!(store.find_actuation(&"no".into()).unwrap(), None);

    let why = store.why_turn(&"t".into()).unwrap();
    let kinds: Vec<_> =
        why["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "chat.message.sent",
            "turn.started",
            "turn.prompted",
            "turn.replied",
            "chat.action.proposed",
            "chat.action.permitted",
            "chat.action.permitted",
            "chat.action.executed",
            "chat.action.proposed",
            "chat.action.permitted",
            "chat.action.executed",
            "turn.ended"
        ]
    );
    assert_eq!(why["events"][2]["messages"][0]["text"], "be brief");
    assert_eq!(why["events"][3]["latency"], json!({"firstMs": 5, "totalMs": 9}));
    assert_eq!(why["events"][7]["outcome"]["exitCode"], 0);
    let why = store.why_actuation(&"a".into()).unwrap();
    assert_eq!(why["actuationId"], "a");
    assert_eq!(why["events"].as_array().unwrap().len(), 9);
    for error in [
        store.why_turn(&"no".into()).unwrap_err(),
        store.why_actuation(&"no".into()).unwrap_err(),
        store.session(&"no".into()).unwrap_err(),
        store.messages(&"no".into(), None, None).unwrap_err(),
        store.actions(&"no".into(), None, None).unwrap_err(),
    ] {
        assert_eq!(error.code, Code::NotFound, "{error}");
    }
    assert_eq!(store.verify_all().unwrap(), []);
}

#[test]
fn only_what_was_permitted_is_listed_and_replayed() {
    let mut home = Home::new();
    let system = Record::ActionProposed {
        actuation: "e".into(),
        turn: "t".into(),
        attempt: 0,
        action: insert("*System Error:*"),
        sexp: "(e)".into(),
        system: true,
    };
    home.append("s", &[created("b"), sent("t", "q"), proposed("p", "t", insert("only proposed"))]);
    home.append("s", &[proposed("d", "t", insert("denied")), permitted("d", Decision::Deny)]);
    home.append("s", &[proposed("c", "t", shell("rm x")), permitted("c", Decision::Deny)]);
    home.append("s", &[executed("c", Status::Denied), system, permitted("e", Decision::Allow)]);
    let messages = home.store.messages(&"s".into(), None, None).unwrap();
    let kinds: Vec<_> = messages["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["metadata"]["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["user", "action", "command-result", "system-error"]);
    let history = home.store.history(&"s".into(), &"later".into(), 50).unwrap();
    assert_eq!(history.len(), 3);
    assert_eq!(history[1], HistoryItem::Assistant { sexp: "(c)".into() });
    assert!(matches!(&history[2], HistoryItem::CommandResult { command, outcome }
        if command == "rm x" && outcome.status == Status::Denied));
    let pending = home.store.pending_inserts(&"s".into()).unwrap();
    let pending: Vec<_> = pending.iter().map(|p| (p.actuation.as_str(), p.system, p.sexp.as_str())).collect();
    assert_eq!(pending, [("e", true, "(e)")]);
    assert!(home.store.pending_shell(&"s".into()).unwrap().is_empty());
}

#[test]
fn history_stands_turn_by_turn() {
    let mut home = Home::new();
    // Two questions are asked before the first is answered; the second turn is interrupted and resumed.
    home.append("s", &[created("b"), sent("t1", "q1"), sent("t2", "q2"), sent("t3", "q3"), started("t1")]);
    home.append(
        "s",
        &[proposed("a1", "t1", insert("r1")), permitted("a1", Decision::Allow), ended("t1", EndState::Done)],
    );
    let question = home.store.find_turn(&"t2".into()).unwrap().unwrap().message;
    home.append("s", &[started("t2"), proposed("a2", "t2", shell("ls")), permitted("a2", Decision::Allow)]);
    home.append("s", &[executed("a2", Status::Unknown), ended("t2", EndState::Failed), started("t3")]);
    home.append(
        "s",
        &[proposed("a3", "t3", insert("r3")), permitted("a3", Decision::Allow), ended("t3", EndState::Done)],
    );
    home.append(
        "s",
        &[Record::TurnResumed { turn: "t4".into(), from: "t2".into(), message: question.clone() }],
    );
    home.append("s", &[sent("t5", "q5")]);
    let said = |turn: &str| -> Vec<String> {
        let items = home.store.history(&"s".into(), &turn.into(), 50).unwrap();
        items
            .into_iter()
            .map(|item| match item {
                HistoryItem::User { text, .. } => text,
                HistoryItem::Assistant { sexp } => sexp,
                HistoryItem::CommandResult { command, .. } => format!("${command}"),
            })
            .collect()
    };
    for (turn, expected) in [
        ("t1", vec![]),
        ("t2", vec!["q1", "(a1)"]),
        ("t3", vec!["q1", "(a1)", "q2", "(a2)", "$ls"]),
        ("t4", vec!["q1", "(a1)", "q2", "(a2)", "$ls"]),
        ("t5", vec!["q1", "(a1)", "q2", "(a2)", "$ls", "q3", "(a3)"]),
        ("not on disk yet", vec!["q1", "(a1)", "q2", "(a2)", "$ls", "q3", "(a3)", "q5"]),
    ] {
        assert_eq!(said(turn), expected, "{turn}");
    }
    let unfinished = home.store.unfinished_turns().unwrap();
    let unfinished: Vec<_> = unfinished
        .iter()
        .map(|turn| {
            (
                turn.turn.as_str(),
                turn.text.as_str(),
                turn.client_id.as_str(),
                turn.started,
                turn.buffer.as_str(),
            )
        })
        .collect();
    assert_eq!(unfinished, [("t4", "q2", "client-t2", false, "b"), ("t5", "q5", "client-t5", false, "b")]);
    let why = home.store.why_turn(&"t4".into()).unwrap();
    assert_eq!((&why["events"][0]["eventId"], &why["resumes"]), (&json!(question), &json!("t2")));
}

#[test]
fn a_message_sent_again_is_found_before_and_after_it_is_on_disk() {
    let mut home = Home::new();
    let author = home.store.author().to_owned();
    let lock = home.raw();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let records = [created("b"), sent("t", "hello")];
    let appended = home.store.append_all(&"s".into(), &records).unwrap();
    let check = |home: &Home| {
        let found = home.store.client_message(&author, "client-t").unwrap().unwrap();
        assert_eq!(found.event, appended[1].event);
        assert_eq!((found.lamport, found.turn.as_str(), found.session.as_str()), (2, "t", "s"));
        assert_eq!(found.body_hash, body_hash("hello", &[]));
        assert_ne!(found.body_hash, body_hash("hello!", &[]));
        assert_eq!(home.store.client_message(&author, "other").unwrap(), None);
        assert_eq!(home.store.client_message("someone else", "client-t").unwrap(), None);
        assert_eq!(home.store.newest_active("b").unwrap(), ["s".into()]);
        assert_eq!(home.store.newest_active("c").unwrap(), []);
    };
    check(&home);
    assert_eq!(home.store.committed(), 0);
    lock.execute_batch("COMMIT").unwrap();
    home.wait(1);
    check(&home);
    let home = home.reopen();
    assert_eq!(home.store.author(), author);
    check(&home);
}

#[test]
fn chains_go_on_where_they_were() {
    let mut home = Home::new();
    let first = home.append("s", &[created("b")]);
    home.append("other", &[created("b"), created("b")]);
    let mut home = home.reopen();
    let next = home.store.append(&"s".into(), &created("b")).unwrap();
    assert_eq!((next.seq, next.lamport, next.ticket), (2, 4, 1));
    home.wait(1);
    // Another process takes the session over, then it comes back.
    let (mut there, reports) = open(home.dir.path());
    home.store.forget(&"s".into());
    assert_eq!(there.append(&"s".into(), &created("b")).unwrap().seq, 3);
    reports.recv().unwrap().unwrap();
    assert_eq!(home.store.append(&"s".into(), &created("b")).unwrap().seq, 4);
    home.wait(2);
    assert_eq!(home.store.verify_all().unwrap(), []);
    let chain: Vec<String> = home
        .raw()
        .prepare("SELECT prev FROM log WHERE session = 's' ORDER BY seq")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(std::result::Result::unwrap)
        .collect();
    assert_eq!((chain[0].as_str(), chain[1].as_str(), chain.len()), ("", first[0].as_str(), 4));
}

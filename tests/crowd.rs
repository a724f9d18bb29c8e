//! Many at once: a hundred turns of one client, and twenty clients on one home. Order is kept, nothing goes to where it
//! does not belong, and nothing is lost. The built-in responder answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "common/client.rs"]
mod client;

use std::collections::HashSet;
use std::path::Path;
use std::thread;

use client::Client;
use org_agent::store::Store;
use serde_json::{Value, json};

const TURNS: usize = 100;
const CLIENTS: usize = 20;
const EACH: usize = 5;

fn server(home: &Path) -> Client {
    Client::new_in(home, &[("ORG_AGENT_MODEL", "offline")])
}

/// A message to the buffer of this number.
fn message(buffer: usize, number: usize) -> Value {
    json!({
        "sensor": "chat-message", "clientId": format!("{buffer}.{number}"), "buffer": format!("*chat {buffer}*"),
        "text": format!("echo: buffer {buffer}, message {number}"),
    })
}

/// What belongs to a turn is its own, in its order, and says this text.
#[track_caller]
fn whole(messages: &[Value], session: &Value, text: &str) {
    let mut shown = String::new();
    for (at, message) in messages.iter().enumerate() {
        let params = &message["params"];
        assert_eq!(params["seq"], at + 1, "{messages:#?}");
        match message["method"].as_str().unwrap() {
            "orgAgent/delta" => shown.push_str(params["text"].as_str().unwrap()),
            "orgAgent/actuate" => {
                assert_eq!(params["action"]["payload"]["text"], text);
                assert_eq!(params["sessionId"], *session);
            }
            _ => assert_eq!(params["sessionId"], *session, "{message}"),
        }
    }
    assert!(shown.is_empty() || shown == text, "{shown:?} was shown of {text:?}");
    let count = |method: &str| messages.iter().filter(|message| message["method"] == method).count();
    assert_eq!(count("orgAgent/actuate"), 1, "{messages:#?}");
    assert_eq!(messages.last().unwrap()["params"]["state"], "done");
}

/// What the session of a buffer has, in the record: prompts and replies, the oldest first.
fn record(client: &mut Client, session: &Value) -> Vec<String> {
    let params = json!({"sessionId": session, "limit": 500});
    let found = client.request("orgAgent/sessions/messages", &params);
    assert_eq!(found["nextCursor"], Value::Null);
    let items = found["items"].as_array().unwrap();
    items.iter().map(|item| item["content"].as_str().unwrap().trim_end().to_owned()).collect()
}

fn expected(buffer: usize, messages: usize) -> Vec<String> {
    let both = |number| {
        let said = format!("buffer {buffer}, message {number}");
        [format!("echo: {said}"), said]
    };
    (0..messages).flat_map(both).collect()
}

#[test]
fn a_hundred_turns_of_one_client_keep_apart() {
    let home = tempfile::tempdir().unwrap();
    let mut client = server(home.path());
    // All are sent before one is answered.
    let asked: Vec<u64> = (0..TURNS).map(|at| client.ask("orgAgent/event", &message(at, 0))).collect();
    let receipts: Vec<Value> = asked.into_iter().map(|id| client.answer(id).unwrap()).collect();
    let different =
        |name: &str| receipts.iter().map(|one| one[name].as_str().unwrap()).collect::<HashSet<_>>();
    for name in ["eventId", "sessionId", "turnId"] {
        assert_eq!(different(name).len(), TURNS, "{name}");
    }
    // The last one first: whatever order they are waited for in.
    for (at, receipt) in receipts.iter().enumerate().rev() {
        let messages = client.turn(receipt["turnId"].as_str().unwrap());
        whole(&messages, &receipt["sessionId"], &format!("buffer {at}, message 0"));
    }
    for (at, receipt) in receipts.iter().enumerate() {
        assert_eq!(record(&mut client, &receipt["sessionId"]), expected(at, 1));
    }
    client.finish_unread();
    assert_eq!(Store::open(home.path(), |_| {}).unwrap().verify_all().unwrap(), []);
}

#[test]
fn messages_that_wait_in_one_session_are_answered_in_their_order() {
    let home = tempfile::tempdir().unwrap();
    let mut client = server(home.path());
    let count = TURNS / 2;
    let asked: Vec<u64> =
        (0..count).map(|number| client.ask("orgAgent/event", &message(0, number))).collect();
    let receipts: Vec<Value> = asked.into_iter().map(|id| client.answer(id).unwrap()).collect();
    let mut ended = Vec::new();
    while ended.len() < count {
        let message = client.next().expect("the server lives");
        let params = &message["params"];
        if message["method"] == "orgAgent/actuate" {
            let done = json!({"actuationId": params["actuationId"], "status": "done"});
            client.ask("orgAgent/actuated", &done);
        }
        if message["method"] == "orgAgent/turn" && params["state"] == "done" {
            ended.push(params["turnId"].clone());
        }
    }
    let order: Vec<Value> = receipts.iter().map(|receipt| receipt["turnId"].clone()).collect();
    assert_eq!(ended, order);
    // All was said before most was answered.
    let prompts_first = |texts: Vec<String>| {
        let (prompts, replies): (Vec<String>, Vec<String>) =
            texts.into_iter().partition(|text| text.starts_with("echo: "));
        [prompts, replies].concat()
    };
    let recorded = record(&mut client, &receipts[0]["sessionId"]);
    assert_eq!(prompts_first(recorded), prompts_first(expected(0, count)));
    client.finish_unread();
}

#[test]
fn twenty_clients_share_a_home() {
    let home = tempfile::tempdir().unwrap();
    let sessions: Vec<Value> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|buffer| {
                let home = home.path();
                scope.spawn(move || {
                    let mut client = server(home);
                    let mut session = Value::Null;
                    for number in 0..EACH {
                        let receipt = client.request("orgAgent/event", &message(buffer, number));
                        let messages = client.turn(receipt["turnId"].as_str().unwrap());
                        whole(
                            &messages,
                            &receipt["sessionId"],
                            &format!("buffer {buffer}, message {number}"),
                        );
                        assert!(session.is_null() || session == receipt["sessionId"], "{receipt}");
                        session = receipt["sessionId"].clone();
                    }
                    client.finish_unread();
                    session
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    // Another one sees all that they did.
    let mut client = server(home.path());
    let listed = client.request("orgAgent/sessions/list", &json!({"limit": 500}));
    assert_eq!(listed["items"].as_array().unwrap().len(), CLIENTS);
    for (buffer, session) in sessions.iter().enumerate() {
        assert_eq!(record(&mut client, session), expected(buffer, EACH));
    }
    client.finish_unread();
    assert_eq!(Store::open(home.path(), |_| {}).unwrap().verify_all().unwrap(), []);
}

//! Sessions over the wire: the real server, driven over its standard input and output. Most tests use the built-in
//! responder; where it matters what a model is shown, a fake one over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod checkpoints;
#[path = "../common/client.rs"]
mod client;
mod copies;
mod deletion;
#[path = "../common/fake_model.rs"]
mod fake_model;
mod forks;
mod hashes;
mod hostile;
mod imports;
mod layout;
mod lifecycle;
mod pause;
mod remembers;
mod search;
mod told;
mod variants;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use client::Client;
use fake_model::FakeModel;
use org_agent::store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A home that outlives its servers.
fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A server with the built-in responder.
fn server(home: &Path) -> Client {
    Client::new_in(home, &[("ORG_AGENT_MODEL", "offline")])
}

/// A plain editor: it announces nothing.
fn plain(home: &Path) -> Client {
    let mut client = Client::start_in(home, &[("ORG_AGENT_MODEL", "offline")]);
    client.request("initialize", &json!({"processId": null, "capabilities": {}}));
    client.notify("initialized", &json!({}));
    client
}

/// A server that asks `model`.
fn asking(model: &FakeModel, home: &Path) -> Client {
    Client::new_in(
        home,
        &[("OPENAI_BASE_URL", &model.base_url()), ("OPENAI_API_KEY", "x"), ("ORG_AGENT_MODEL", "fake-model")],
    )
}

/// An insert as a model writes it; `text` needs no escapes.
fn insert(text: &str) -> String {
    format!(
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "{text}"))"#
    )
}

/// A message that was sent.
#[derive(Clone, Debug)]
struct Sent {
    session: String,
    event: String,
    turn: String,
}

/// Sends a message, to `session` if it is not empty, with what else is in `more`.
fn send(client: &mut Client, session: &str, text: &str, more: &Value) -> Sent {
    let (sent, _) = sent(client, session, text, more);
    sent
}

/// The same, and the answer.
fn sent(client: &mut Client, session: &str, text: &str, more: &Value) -> (Sent, Value) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut params = json!({"sensor": "chat-message", "clientId": format!("m-{number}"), "text": text});
    if !session.is_empty() {
        params["sessionId"] = session.into();
    }
    if let Some(more) = more.as_object() {
        params.as_object_mut().unwrap().extend(more.clone());
    }
    let answer = client.request("orgAgent/event", &params);
    let sent = Sent {
        session: word(&answer["sessionId"]),
        event: word(&answer["eventId"]),
        turn: word(&answer["turnId"]),
    };
    (sent, answer)
}

/// Sends a message and waits for the end of its turn.
fn say(client: &mut Client, session: &str, text: &str) -> Sent {
    let sent = send(client, session, text, &Value::Null);
    client.turn(&sent.turn);
    sent
}

/// Has `model` answer a message with `reply`; the prompt that it was shown, without the system's part.
fn asked(
    (client, model): (&mut Client, &FakeModel),
    session: &str,
    text: &str,
    reply: &str,
) -> (Sent, Vec<(String, String)>) {
    model.reply_with(&insert(reply));
    let sent = say(client, session, text);
    let messages = model.take_request_blocking().messages();
    assert_eq!(messages[0].0, "system");
    (sent, messages[1..].to_vec())
}

/// Asks for something of a session.
fn of(client: &mut Client, method: &str, session: &str, more: &Value) -> Value {
    client.request(&format!("orgAgent/sessions/{method}"), &with(session, more))
}

/// The code of the error that this is answered with.
#[track_caller]
fn refused(client: &mut Client, method: &str, params: &Value) -> String {
    let error = client.try_request(&format!("orgAgent/sessions/{method}"), params);
    let error = error.expect_err(&format!("{method} {params}"));
    // What people get says something.
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}");
    word(&error["data"]["code"])
}

fn with(session: &str, more: &Value) -> Value {
    let mut params = json!({"sessionId": session});
    if let Some(more) = more.as_object() {
        params.as_object_mut().unwrap().extend(more.clone());
    }
    params
}

fn get(client: &mut Client, session: &str) -> Value {
    of(client, "get", session, &Value::Null)
}

/// All of a list, by parts of three.
fn all(client: &mut Client, method: &str, params: &Value) -> Vec<Value> {
    let mut params = params.clone();
    params["limit"] = 3.into();
    let mut items = Vec::new();
    loop {
        let part = client.request(&format!("orgAgent/sessions/{method}"), &params);
        let found = part["items"].as_array().unwrap();
        assert!(found.len() <= 3, "{part}");
        items.extend(found.clone());
        if part["nextCursor"].is_null() {
            return items;
        }
        params["cursor"] = part["nextCursor"].clone();
    }
}

/// Of each item of a list, what it has under `key`.
fn list(client: &mut Client, params: &Value, key: &str) -> Vec<String> {
    all(client, "list", params).iter().map(|item| word(&item[key])).collect()
}

/// What was said in a session: roles and texts.
fn messages(client: &mut Client, session: &str) -> Vec<(String, String)> {
    let items = all(client, "messages", &json!({"sessionId": session}));
    items.iter().map(|item| (word(&item["role"]), word(&item["content"]))).collect()
}

fn texts(client: &mut Client, session: &str) -> Vec<String> {
    messages(client, session).into_iter().map(|(_, text)| text).collect()
}

fn org(client: &mut Client, session: &str) -> String {
    word(&of(client, "export", session, &Value::Null)["org"])
}

fn found(client: &mut Client, params: &Value) -> Vec<Value> {
    client.request("orgAgent/sessions/search", params)["items"].as_array().unwrap().clone()
}

/// A string.
#[track_caller]
fn word(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no string: {value}")).to_owned()
}

/// That hashes, signatures and views are as they should be. No server may have the home.
#[track_caller]
fn sound(home: &Path) {
    assert_eq!(Store::open(home, |_| {}).unwrap().verify_all().unwrap(), []);
}

/// Waits for a command that is proposed in a turn.
fn command(client: &mut Client, turn: &str) -> Value {
    client.wait_for(|message| message["method"] == "orgAgent/actuate" && message["params"]["turnId"] == turn)
        ["params"]
        .clone()
}

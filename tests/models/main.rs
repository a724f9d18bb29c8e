//! Models as clients and users choose them, against the real binary and real servers on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "../common/client.rs"]
mod client;
#[path = "../common/local_server.rs"]
mod local_server;

mod command;
mod consent;
mod found;

use std::path::Path;

use serde_json::{Value, json};

use client::Client;
use local_server::{Asked, LocalServer};

/// What a user writes in these tests: no server that they did not say yes to may see it.
const WORDS: &str = "my cat is called Mia-7391";

/// The buffer of the chats.
const BUFFER: &str = "*org-agent-chat*";

/// `ORG_AGENT_LOCAL_PORTS` for a server that is taken for Ollama.
fn as_ollama(server: &LocalServer) -> String {
    format!("ollama={}", server.port())
}

/// A server in `home` that looks for Ollama where `server` is.
fn start(home: &Path, server: &LocalServer) -> Client {
    Client::new_in(home, &[("ORG_AGENT_LOCAL_PORTS", &as_ollama(server))])
}

/// Says `text` in a session, or in the newest one; the session and what is answered.
fn say(client: &mut Client, session: Option<&str>, text: &str) -> (String, String) {
    let id = format!("{}-{text}", session.unwrap_or("new"));
    let mut params =
        json!({"sensor": "chat-message", "clientId": unique(&id), "buffer": BUFFER, "text": text});
    if let Some(session) = session {
        params["sessionId"] = session.into();
    }
    let receipt = client.request("orgAgent/event", &params);
    let messages = client.turn(receipt["turnId"].as_str().unwrap());
    let last = &messages.last().unwrap()["params"];
    assert_eq!(last["state"], "done", "{messages:#?}");
    let texts = messages.iter().filter(|message| message["method"] == "orgAgent/actuate");
    let texts: Vec<&str> =
        texts.map(|message| message["params"]["action"]["payload"]["text"].as_str().unwrap()).collect();
    (receipt["sessionId"].as_str().unwrap().to_owned(), texts.concat())
}

/// A client identifier that no other message has.
fn unique(text: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};

    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{text}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new session of the buffer.
fn create(client: &mut Client) -> String {
    let session = client.request("orgAgent/sessions/create", &json!({"buffer": BUFFER}));
    session["id"].as_str().unwrap().to_owned()
}

/// The models that are listed.
fn list(client: &mut Client, params: &Value) -> Vec<Value> {
    client.request("orgAgent/models/list", params)["items"].as_array().unwrap().clone()
}

fn names(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// That only lists of models were asked for, or what a server is: without a key, and without a word of the user's.
#[track_caller]
fn assert_only_looked(asked: &[Asked]) {
    for asked in asked {
        assert_eq!(asked.method, "GET", "{asked:?}");
        assert!(asked.authorization.is_none() && asked.body.is_empty(), "{asked:?}");
        assert!(!asked.path.contains("Mia"), "{asked:?}");
    }
}

/// How many replies were asked for.
fn replies(server: &LocalServer) -> usize {
    server.asked().iter().filter(|asked| asked.path == "/v1/chat/completions").count()
}

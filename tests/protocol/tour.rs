//! Sessions of a real server in which every method is used, in both directions.

use std::path::Path;

use org_agent::conformance::message::Side;
use serde_json::{Value, json};

use super::schema::Checker;
use crate::common::client::Client;
use crate::common::fake_model::{FakeModel, Gate, Reply};

/// A reply that inserts `text`.
pub fn insert(text: &str) -> String {
    format!(
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "{text}"))"#
    )
}

/// A reply that wants `cmd` to run.
pub fn command(cmd: &str) -> String {
    format!(r#"(:type :request :target :shell :payload (:cmd "{cmd}"))"#)
}

/// The variables that choose the model at `url`.
pub fn variables(url: &str) -> [(&str, &str); 3] {
    [("OPENAI_BASE_URL", url), ("OPENAI_API_KEY", "key"), ("ORG_AGENT_MODEL", "test-model")]
}

/// What the client can do.
pub fn all() -> Value {
    json!({"version": 1, "actuators": ["insertAtEnd", "replaceRegion", "shell"], "streaming": true, "reasoning": true, "steps": true})
}

/// The parameters of the next actuation.
pub fn actuation(client: &mut Client) -> Value {
    client.wait_for(|message| message["method"] == "orgAgent/actuate")["params"].clone()
}

/// All that passes in a session with the offline responder: what is done with sessions, skills and models.
fn sessions(project: &Path) -> Vec<(Side, Value)> {
    let mut client = Client::start(&[("ORG_AGENT_MODEL", "offline")]);
    client.record = Some(Vec::new());
    client.initialize();
    let made =
        client.request("orgAgent/sessions/create", &json!({"title": "One", "group": "g", "tags": ["a"]}));
    let id = &made["id"];
    let whole = json!({ "sessionId": id });
    let said = json!({"sensor": "chat-message", "clientId": "1", "sessionId": id, "text": "echo: one",
        "context": [{"kind": "note", "name": "n", "text": "t", "mode": "org-mode"}], "directory": project});
    let said = client.request("orgAgent/event", &said);
    client.turn(said["turnId"].as_str().unwrap());
    let again = client.request("orgAgent/sessions/regenerate", &whole);
    client.turn(again["turnId"].as_str().unwrap());
    for (method, params) in [
        ("sessions/variants", json!({})),
        ("sessions/choose", json!({"turnId": said["turnId"]})),
        ("sessions/list", json!({"status": "active", "limit": 5, "recent": true})),
        ("sessions/get", json!({})),
        ("sessions/messages", json!({"last": true})),
        ("sessions/actions", json!({})),
        ("sessions/resume", json!({"applied": []})),
        ("sessions/rename", json!({"title": "Two"})),
        ("sessions/archive", json!({})),
        ("sessions/label", json!({"group": null, "tags": []})),
        ("sessions/pause", json!({"paused": false})),
        ("sessions/complete", json!({})),
        ("sessions/context", json!({"values": {"a": 1}})),
        ("sessions/checkpoint", json!({"name": "c"})),
        ("sessions/checkpoints", json!({})),
        ("sessions/restore", json!({"name": "c"})),
        ("sessions/read", json!({"messageId": said["eventId"]})),
        ("sessions/fork", json!({"messageId": said["eventId"], "edits": {}})),
        ("sessions/search", json!({"query": "echo"})),
        ("sessions/export", json!({})),
        ("dryRun", json!({"text": "echo: two", "format": "org"})),
        ("why", json!({"turnId": said["turnId"], "format": "org"})),
        ("models/list", json!({})),
        ("models/select", json!({"name": "offline"})),
        ("skills/list", json!({"directory": project})),
        ("skills/show", json!({"name": "chat"})),
        ("skills/reload", json!({})),
        ("capabilities", json!({})),
    ] {
        let mut params = params;
        if !["why", "sessions/list", "sessions/search"].contains(&method) && !method.starts_with("skills/") {
            params["sessionId"] = id.clone();
        }
        client.request(&format!("orgAgent/{method}"), &params);
    }
    let deleted = client.request("orgAgent/sessions/delete", &whole);
    client.request("orgAgent/sessions/import", &json!({"org": deleted["org"], "name": "old.org"}));
    let untrusted = client.request("orgAgent/skills/untrusted", &json!({"directory": project}));
    let item = &untrusted["items"][0];
    let trust = json!({"directory": project, "file": item["file"], "sha256": item["sha256"], "trust": true});
    client.request("orgAgent/skills/trust", &trust);
    client.wait_for(|message| message["method"] == "orgAgent/skills/changed");
    client.try_request("orgAgent/sessions/get", &json!({"sessionId": "none"})).unwrap_err();
    client.try_request("orgAgent/sessions/get", &json!({"sessionId": 1})).unwrap_err();
    client.try_request("orgAgent/teapot", &json!({})).unwrap_err();
    leave(client)
}

/// The end of a session: all that passed in it.
fn leave(mut client: Client) -> Vec<(Side, Value)> {
    client.request("shutdown", &Value::Null);
    client.record.take().unwrap()
}

/// All that passes in a session with a model: what turns tell.
fn turns() -> Vec<(Side, Value)> {
    let mut model = FakeModel::start();
    let mut client = Client::start(&variables(&model.base_url()));
    client.record = Some(Vec::new());
    client.initialize_as(&all());
    let thought = json!({"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]});
    let gate = Gate::new();
    let spoilt = Reply::stream().event(&thought).text(&insert("No.")).wait(&gate).text(" and more");
    model.push(spoilt.finish("stop").done());
    model.reply_with(&insert("Yes."));
    let said = client.chat("notes.org", "1", "Repair this");
    client.wait_for(|message| message["method"] == "orgAgent/delta");
    gate.open();
    client.turn(said["turnId"].as_str().unwrap());

    model.reply_with(&command("make all"));
    let said = client.chat("notes.org", "2", "Run it");
    let asked = actuation(&mut client);
    let decide = json!({"actuationId": asked["actuationId"], "choice": "run", "command": "make"});
    let decided = client.request("orgAgent/decide", &decide);
    let piece = json!({"actuationId": asked["actuationId"], "seq": 1, "stream": "stderr", "text": "x"});
    client.notify("orgAgent/output", &piece);
    client.request("orgAgent/cancel", &json!({"turnId": said["turnId"]}));
    client.wait_for(|message| message["method"] == "orgAgent/abort");
    let failed = json!({"actuationId": asked["actuationId"], "token": decided["token"], "status": "failed",
        "exitCode": 2, "stdout": "", "stderr": "x", "truncated": false, "message": "stopped", "sandboxed": false});
    client.request("orgAgent/actuated", &failed);
    client.turn(said["turnId"].as_str().unwrap());

    model.reply_with(r#"(:type :request :target :skill :payload (:name "nowhere"))"#);
    model.reply_with(&insert("There is none."));
    let said = client.chat("notes.org", "4", "Read that");
    client.turn(said["turnId"].as_str().unwrap());

    model.reply_with(r#"(:type :response :payload (:text "short"))"#);
    let rewrite = json!({"sensor": "rewrite", "clientId": "3", "text": "Shorten it",
        "context": [{"kind": "region", "name": "main.c", "text": "long"}]});
    let said = client.request("orgAgent/event", &rewrite);
    let offered = actuation(&mut client);
    client.request("orgAgent/actuated", &json!({"actuationId": offered["actuationId"], "status": "done"}));
    client.wait_for(|message| {
        message["params"]["turnId"] == said["turnId"] && message["params"]["state"] == "done"
    });
    model.take_requests();
    leave(client)
}

#[test]
fn every_message_of_real_sessions_is_as_the_schema_says() {
    let project = tempfile::tempdir().unwrap();
    let skill = project.path().join(".agents/skills/lint");
    std::fs::create_dir_all(&skill).unwrap();
    std::fs::write(skill.join("SKILL.md"), "---\nname: lint\ndescription: Lints.\n---\nLint.\n").unwrap();
    let mut checker = Checker::new();
    checker.check(&sessions(&std::fs::canonicalize(project.path()).unwrap()));
    checker.check(&turns());
    checker.covers_all_but(&[]);
}

#[test]
fn a_message_that_is_wrong_is_not_as_the_schema_says() {
    let delta = json!({"turnId": "t", "attempt": 1, "seq": 1, "text": "x"});
    let message = |params: &Value| json!({"jsonrpc": "2.0", "method": "orgAgent/delta", "params": params});
    Checker::new().check(&[(Side::Server, message(&delta))]);
    for (field, value) in
        [("text", json!("")), ("seq", json!(0)), ("attempt", json!("1")), ("turnId", Value::Null)]
    {
        let mut wrong = delta.clone();
        wrong[field] = value;
        let checked = std::panic::catch_unwind(|| Checker::new().check(&[(Side::Server, message(&wrong))]));
        assert!(checked.is_err(), "{wrong}");
    }
}

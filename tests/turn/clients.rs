//! Clients: what they send twice, to whom it belongs, what they are told is behind a turn, and their secrets.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::Client;
use crate::fake_model::{FakeModel, Gate, Reply};
use crate::scene::Scene;
use crate::{KEY, MODEL, beginning, insert, user};

#[test]
fn a_message_counts_once() {
    let mut scene = Scene::new();
    scene.model.reply_with(&insert("One."));
    let params = json!({"sensor": "chat-message", "clientId": "c", "text": "Once.",
        "context": [{"kind": "note", "name": "n", "text": "t"}]});
    let first = scene.event(&params);
    assert_eq!(first["duplicate"], false);
    let turn = first["turnId"].as_str().unwrap().to_owned();
    let same = |other: &Value| {
        ["eventId", "sessionId", "turnId", "lamport"].iter().all(|name| other[*name] == first[*name])
            && other["duplicate"] == true
    };
    // While it runs, and after.
    assert!(same(&scene.event(&params)));
    scene.end(&turn);
    assert!(same(&scene.event(&params)));
    scene.asked();
    for change in [json!({"text": "Twice."}), json!({"context": []})] {
        let mut other = params.clone();
        other.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = scene.request("orgAgent/event", &other).unwrap_err();
        assert_eq!(error["data"]["code"], "conflict", "{error}");
    }
    scene.finish();
}

#[test]
fn what_does_not_exist_is_not_found() {
    let mut scene = Scene::new();
    let lost = json!({"sensor": "chat-message", "clientId": "d", "sessionId": "none", "text": "x"});
    for (method, params) in [
        ("orgAgent/event", lost),
        ("orgAgent/sessions/resume", json!({"sessionId": "none"})),
        ("orgAgent/sessions/get", json!({"sessionId": "none"})),
        ("orgAgent/sessions/messages", json!({"sessionId": "none"})),
        ("orgAgent/actuated", json!({"actuationId": "none", "status": "done"})),
        ("orgAgent/decide", json!({"actuationId": "none", "choice": "run"})),
        ("orgAgent/why", json!({"turnId": "none"})),
    ] {
        let error = scene.request(method, &params).unwrap_err();
        assert_eq!(error["data"]["code"], "not_found", "{method}: {error}");
    }
    scene.finish();
}

#[test]
fn two_sessions_at_once_keep_apart() {
    let mut scene = Scene::new();
    let gates = [Gate::new(), Gate::new()];
    let buffers = ["a", "b"];
    let mut turns = Vec::new();
    for (buffer, gate) in buffers.iter().zip(&gates) {
        let reply = Reply::stream().text(&beginning(&format!("For {buffer}\\n"))).wait(gate);
        scene.model.push(reply.text("and only for it.\"))").finish("stop").done());
        let text = format!("To {buffer}.");
        let params = json!({"sensor": "chat-message", "clientId": buffer, "buffer": buffer, "text": text});
        let receipt = scene.event(&params);
        assert_eq!(scene.asked(), [user(&text)]);
        turns.push((receipt["turnId"].as_str().unwrap().to_owned(), receipt["sessionId"].clone()));
    }
    assert_ne!(turns[0].1, turns[1].1);
    // Both stream, and end in the other order.
    for (turn, _) in &turns {
        scene.wait(turn, "delta");
    }
    for at in [1, 0] {
        gates[at].open();
        let (turn, session) = &turns[at];
        let text = format!("For {}\nand only for it.", buffers[at]);
        let expected = [format!("delta {text}"), "acting".into(), format!("insert {text}"), "done".into()];
        assert_eq!(scene.end(turn)[3..], expected);
        let named = scene.told(turn).iter().filter_map(|message| message["params"].get("sessionId"));
        assert!(named.clone().count() > 3 && named.clone().all(|own| own == session));
    }
    // The next prompt of a session knows nothing of the other.
    scene.model.reply_with(&insert("Yes."));
    let params =
        json!({"sensor": "chat-message", "clientId": "next", "sessionId": turns[0].1, "text": "On."});
    let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
    let asked = scene.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|(_, text)| !text.contains("For b")), "{asked:?}");
    scene.end(&turn);
    scene.finish();
}

#[test]
fn a_partial_configuration_is_an_error_and_nothing_is_logged() {
    for env in [
        vec![("OPENAI_API_KEY", KEY)],
        vec![("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")],
        vec![("ORG_AGENT_MODEL", MODEL)],
    ] {
        let mut client = Client::new(&env);
        let params = json!({"sensor": "chat-message", "clientId": "c", "text": "Hi."});
        let error = client.try_request("orgAgent/event", &params).unwrap_err();
        assert_eq!(error["data"]["code"], "model_unavailable", "{env:?}: {error}");
        assert_ne!(error["data"]["hint"], "", "{error}");
        assert!(!error.to_string().contains(KEY), "{error}");
        let list = client.request("orgAgent/sessions/list", &json!({}));
        assert_eq!(list["items"], json!([]));
        let db = rusqlite::Connection::open(client.home().join("agent.db")).unwrap();
        let events: i64 = db.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
        assert_eq!(events, 0, "{env:?}");
        client.finish();
    }
}

/// A file under `dir` that contains `needle`.
pub fn find(dir: &Path, needle: &str) -> Option<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).find_map(|path| {
        if path.is_dir() {
            return find(&path, needle);
        }
        let bytes = fs::read(&path).unwrap();
        let there = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        there.then(|| path.display().to_string())
    })
}

#[test]
fn secrets_of_the_client_are_used_and_kept_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let model = FakeModel::start();
    let env = [("ORG_AGENT_LOG", "trace"), ("MEMEX_USER", "Ada"), ("MEMEX_ASSISTANT", "Jeeves")];
    let mut client = Client::start_in(home.path(), &env);
    let secrets =
        json!({"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": model.base_url(), "ORG_AGENT_MODEL": MODEL});
    let params = json!({"processId": null, "capabilities": {"experimental": {"orgAgent": {"version": 1}}},
        "initializationOptions": {"secrets": secrets}});
    let told = client.request("initialize", &params);
    assert!(!told.to_string().contains(KEY));
    client.notify("initialized", &json!({}));
    let mut scene = Scene::of(model, client);
    scene.model.reply_with(&insert("With the key."));
    let turn = scene.say("Hi.");
    // `asked` checks that the key was sent.
    assert_eq!(scene.asked(), [user("Hi.")]);
    scene.end(&turn);
    // A server that repeats what it was sent.
    let echo = format!(r#"{{"error": {{"message": "bad key {KEY}"}}}}"#);
    scene.model.push(Reply::page(401, "application/json", &echo));
    let turn = scene.say("Again.");
    let told = scene.end(&turn);
    assert!(told.last().unwrap().contains("bad key [redacted: live key]"), "{told:?}");
    scene.asked();
    let log = scene.client.log();
    assert!(log.contains("TRACE"), "this proves something only with a full log: {log}");
    assert!(!log.contains(KEY), "{log}");
    // While it runs, and after.
    assert_eq!(find(home.path(), KEY), None);
    scene.finish();
    assert_eq!(find(home.path(), KEY), None);
    assert!(find(home.path(), "With the key.").is_some(), "the search finds what is there");
}

#[test]
fn why_shows_everything_behind_a_turn() {
    let mut scene = Scene::new();
    let wrong = insert("A").replace(":text", ":texts");
    let right = insert("Because.");
    scene.model.push(Reply::complete(&wrong, 1000));
    scene.model.reply_with(&right);
    let turn = scene.say("Why?");
    let prompts = [scene.model.take_request_blocking(), scene.model.take_request_blocking()];
    scene.end(&turn);
    let why = scene.request("orgAgent/why", &json!({"turnId": turn})).unwrap();
    assert_eq!((&why["state"], &why["reason"]), (&json!("done"), &Value::Null));
    let events = why["events"].as_array().unwrap();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "chat.message.sent",
        "turn.started",
        "turn.dispatched",
        "turn.prompted",
        "turn.replied",
        "turn.prompted",
        "turn.replied",
        "turn.gated",
        "chat.action.proposed",
        "chat.action.permitted",
        "chat.message.delivered",
        "chat.action.executed",
        "turn.ended",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(events[0]["text"], "Why?");
    for (event, request) in [(3, &prompts[0]), (5, &prompts[1])] {
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let logged = events[event]["messages"].as_array().unwrap().iter();
        let logged: Vec<_> = logged.map(|one| (word(&one["role"]), word(&one["text"]))).collect();
        // Word for word what the model was sent.
        assert_eq!(logged, request.messages());
        assert_eq!(events[event]["model"], MODEL);
    }
    let verdict = &events[4]["verdict"];
    assert_eq!((&verdict["verdict"], &verdict["kind"]), (&json!("reject"), &json!("bad-key")), "{verdict}");
    assert_eq!(verdict["offset"], wrong.find(":texts").unwrap() + 5);
    assert_eq!(events[4]["raw"], wrong);
    assert_eq!((&events[6]["verdict"]["verdict"], &events[6]["raw"]), (&json!("accept"), &json!(right)));
    assert_eq!(events[6]["usage"], json!({"promptTokens": 7, "completionTokens": 11}));
    assert_eq!(events[8]["sexp"], right);
    assert_eq!((&events[9]["decision"], &events[9]["by"]), (&json!("allow"), &json!("policy")));
    assert_ne!(events[9]["rule"], "");
    // An action has what led to it, and not the reply before.
    let actuation = &events[8]["actuation"];
    let own = scene.request("orgAgent/why", &json!({"actuationId": actuation})).unwrap();
    assert_eq!(own["actuationId"], *actuation);
    let raws = own["events"].as_array().unwrap().iter().filter_map(|event| event.get("raw"));
    assert_eq!(raws.collect::<Vec<_>>(), [&json!(right)]);
    scene.finish();
}

//! What is left of a deleted session: one signed event, and none of its words.

use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::client::Client;
use crate::*;

/// Words that stand nowhere else: of a message, its attachment, a title, a label, a value, a checkpoint, an output.
const WORDS: [&str; 8] = [
    "qzvxwkjyprompt",
    "xkqjvattached",
    "wqxzjtitled",
    "jxqvwgrouped",
    "vkxqztagged",
    "zjqxkvalued",
    "kqzxvcheckpointed",
    "qjxwzprinted",
];

/// A session with all of them.
fn full(client: &mut Client) -> String {
    let context =
        json!({"context": [{"kind": "note", "name": "xkqjvattached-name", "text": "xkqjvattached text"}]});
    let sent = send(client, "", "echo: qzvxwkjyprompt", &context);
    client.turn(&sent.turn);
    let id = sent.session;
    let runs = send(client, &id, "run: true", &Value::Null);
    let asked = command(client, &runs.turn);
    let decided =
        client.request("orgAgent/decide", &json!({"actuationId": asked["actuationId"], "choice": "run"}));
    let report = json!({"actuationId": asked["actuationId"], "token": decided["token"], "status": "done",
        "exitCode": 0, "stdout": "qjxwzprinted"});
    client.request("orgAgent/actuated", &report);
    client.turn(&runs.turn);
    of(client, "rename", &id, &json!({"title": "wqxzjtitled"}));
    of(client, "label", &id, &json!({"group": "jxqvwgrouped", "tags": ["vkxqztagged"]}));
    of(client, "context", &id, &json!({"values": {"a": "zjqxkvalued"}}));
    of(client, "checkpoint", &id, &json!({"name": "kqzxvcheckpointed"}));
    id
}

/// Which of the words are in the files of the database.
fn kept(home: &Path) -> Vec<(String, &'static str)> {
    let mut kept = Vec::new();
    for file in std::fs::read_dir(home).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap().to_ascii_lowercase();
        for word in WORDS {
            // Without its beginning: an index keeps of a word only what the one before it has not.
            let part = &word.as_bytes()[2..];
            if bytes.windows(part.len()).any(|window| window == part) {
                kept.push((path.file_name().unwrap().to_str().unwrap().to_owned(), word));
            }
        }
    }
    kept
}

/// The events of a session in the log.
fn events(home: &Path, session: &str) -> Vec<String> {
    let db = Connection::open(home.join("agent.db")).unwrap();
    let mut query = db.prepare("SELECT type FROM log WHERE session = ?1 ORDER BY seq").unwrap();
    let types = query.query_map([session], |row| row.get(0)).unwrap();
    types.map(Result::unwrap).collect()
}

#[test]
fn one_event_is_left_and_no_word() {
    let home = home();
    let mut client = server(home.path());
    let id = full(&mut client);
    let other = client.request("orgAgent/sessions/create", &json!({}));
    let other = say(&mut client, &word(&other["id"]), "echo: stays").session;
    client.finish_unread();
    // They are all there, so that it says something if they are not.
    let mut there: Vec<&str> = kept(home.path()).iter().map(|(_, word)| *word).collect();
    there.dedup();
    assert_eq!(there, WORDS);
    let count = events(home.path(), &id).len();

    let mut client = server(home.path());
    let before = org(&mut client, &id);
    let turn = word(&all(&mut client, "messages", &json!({"sessionId": id}))[0]["metadata"]["turn"]);
    let deleted = of(&mut client, "delete", &id, &Value::Null);
    assert_eq!((&deleted["deleted"], &deleted["sessionId"]), (&json!(true), &json!(id)));
    assert_eq!(deleted["org"], *before);
    assert_eq!(list(&mut client, &json!({}), "id"), [other.as_str()]);
    for method in
        ["get", "messages", "actions", "checkpoints", "export", "delete", "fork", "resume", "archive"]
    {
        assert_eq!(refused(&mut client, method, &json!({"sessionId": id})), "not_found", "{method}");
    }
    for (method, params) in [
        ("orgAgent/why", json!({"turnId": turn})),
        ("orgAgent/event", json!({"sensor": "chat-message", "clientId": "x", "sessionId": id, "text": "x"})),
    ] {
        assert_eq!(client.try_request(method, &params).unwrap_err()["data"]["code"], "not_found", "{method}");
    }
    for query in ["qzvxwkjyprompt", "qzv*", "qjxwzprinted"] {
        assert_eq!(found(&mut client, &json!({"query": query})), [] as [Value; 0]);
    }
    client.finish_unread();
    assert_eq!(events(home.path(), &id), ["chat.session.deleted"]);
    let db = Connection::open(home.path().join("agent.db")).unwrap();
    let (body, prev): (String, Option<String>) = db
        .query_row("SELECT body, prev FROM log WHERE session = ?1", [&id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    drop(db);
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["events"], &body["reason"]), (&json!(count), &json!("user")));
    assert_eq!(prev.map(|prev| prev.len()), Some(64));
    sound(home.path());
    assert_eq!(kept(home.path()), []);

    // Imported, it is there again, and the one event with it.
    let mut client = server(home.path());
    let items = client.request("orgAgent/sessions/import", &json!({"org": before}));
    assert_eq!(items["items"][0]["id"], *id);
    assert_eq!(org(&mut client, &id), before);
    say(&mut client, &id, "echo: and on");
    of(&mut client, "delete", &id, &Value::Null);
    client.finish_unread();
    assert_eq!(events(home.path(), &id), ["chat.session.deleted"]);
    sound(home.path());
    assert_eq!(kept(home.path()), []);
}

#[test]
fn what_two_sessions_said_stays_with_the_other_one() {
    let home = home();
    let mut client = server(home.path());
    let id = full(&mut client);
    let copy = word(&of(&mut client, "fork", &id, &Value::Null)["id"]);
    let before = json!([
        org(&mut client, &copy),
        all(&mut client, "messages", &json!({"sessionId": copy})),
        all(&mut client, "actions", &json!({"sessionId": copy})),
    ]);
    let turn = all(&mut client, "messages", &json!({"sessionId": copy}))[0]["metadata"]["turn"].clone();
    let why = client.request("orgAgent/why", &json!({"turnId": turn}));
    of(&mut client, "delete", &id, &Value::Null);
    let after = json!([
        org(&mut client, &copy),
        all(&mut client, "messages", &json!({"sessionId": copy})),
        all(&mut client, "actions", &json!({"sessionId": copy})),
    ]);
    assert_eq!(after, before);
    // Its prompts, too.
    assert_eq!(client.request("orgAgent/why", &json!({"turnId": turn})), why);
    assert_eq!(found(&mut client, &json!({"query": "qzvxwkjyprompt", "role": "user"})).len(), 1);
    client.finish_unread();
    sound(home.path());
}

#[test]
fn a_report_that_comes_late_and_a_message_that_comes_again_find_nothing_and_break_nothing() {
    let home = home();
    let mut client = server(home.path());
    let message = json!({"sensor": "chat-message", "clientId": "same", "text": "echo: same"});
    let receipt = client.request("orgAgent/event", &message);
    let turn = word(&receipt["turnId"]);
    let told = client.turn(&turn);
    let insert = told.iter().find(|message| message["method"] == "orgAgent/actuate").unwrap();
    let actuation = insert["params"]["actuationId"].clone();
    of(&mut client, "delete", &word(&receipt["sessionId"]), &Value::Null);
    let report = json!({"actuationId": actuation, "status": "done"});
    let late = client.try_request("orgAgent/actuated", &report);
    assert!(late.is_ok() || late.unwrap_err()["data"]["code"] == "not_found");
    let cancel = client.try_request("orgAgent/cancel", &json!({"turnId": turn})).unwrap_err();
    assert_eq!(cancel["data"]["code"], "not_found");
    let decide = json!({"actuationId": actuation, "choice": "run"});
    assert!(client.try_request("orgAgent/decide", &decide).is_err());
    // The message is a new one, in a new session.
    let again = client.request("orgAgent/event", &message);
    assert_eq!(again["duplicate"], false);
    assert_ne!(again["sessionId"], receipt["sessionId"]);
    client.turn(&word(&again["turnId"]));
    client.finish_unread();
    sound(home.path());
}

#[test]
fn what_a_dead_server_left_under_way_can_be_deleted_at_once() {
    let home = home();
    let mut client = server(home.path());
    let runs = send(&mut client, "", "run: true", &Value::Null);
    command(&mut client, &runs.turn);
    client.kill();
    let mut editor = plain(home.path());
    let deleted = of(&mut editor, "delete", &runs.session, &Value::Null);
    assert!(word(&deleted["org"]).ends_with("\nrun: true\n"), "{deleted}");
    editor.kill();
    assert_eq!(events(home.path(), &runs.session), ["chat.session.deleted"]);
    let mut client = server(home.path());
    assert_eq!(list(&mut client, &json!({}), "id"), [] as [String; 0]);
    client.finish_unread();
    sound(home.path());
}

#[test]
fn after_a_crash_the_next_server_leaves_no_word() {
    let home = home();
    let mut client = server(home.path());
    let id = full(&mut client);
    of(&mut client, "checkpoint", &id, &json!({"name": "kqzxvcheckpointed"}));
    say(&mut client, &id, "echo: qzvxwkjyprompt once more");
    of(&mut client, "restore", &id, &json!({"name": "kqzxvcheckpointed"}));
    of(&mut client, "delete", &id, &Value::Null);
    client.kill();
    server(home.path()).finish_unread();
    assert_eq!(events(home.path(), &id), ["chat.session.deleted"]);
    assert_eq!(kept(home.path()), []);
    sound(home.path());
}

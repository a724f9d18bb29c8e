//! Making, naming, labelling, putting away and finishing sessions, and that all of it is there after a crash.

use serde_json::{Value, json};

use crate::client::Client;
use crate::*;

fn made(client: &mut Client, params: &Value) -> Value {
    client.request("orgAgent/sessions/create", params)
}

#[test]
fn a_session_is_made_as_it_was_wished() {
    let home = home();
    let mut client = server(home.path());
    let plain = made(&mut client, &json!({}));
    for (key, value) in [
        ("title", json!("New chat")),
        ("status", json!("active")),
        ("archived", json!(false)),
        ("buffer", json!("*org-agent-chat*")),
        ("group", Value::Null),
        ("tags", json!([])),
        ("messages", json!(0)),
        ("unread", json!(0)),
        ("forkedFrom", Value::Null),
        ("imported", Value::Null),
        ("context", json!({"entities": [], "intents": [], "values": {}})),
    ] {
        assert_eq!(plain[key], value, "{key}");
    }
    let wished = made(
        &mut client,
        &json!({"buffer": "notes.org", "title": " Ünï 日本 ", "group": "thesis", "tags": ["a", "@b", "a"]}),
    );
    assert_eq!(wished["title"], "Ünï 日本");
    assert_eq!((&wished["buffer"], &wished["group"]), (&json!("notes.org"), &json!("thesis")));
    assert_eq!(wished["tags"], json!(["a", "@b"]));
    assert_eq!(get(&mut client, &word(&wished["id"])), wished);
    // The newest of a buffer is the one that a message without a session goes to.
    let newer = made(&mut client, &json!({}));
    assert_eq!(say(&mut client, "", "echo: hi").session, word(&newer["id"]));
    let sent = send(&mut client, "", "echo: there", &json!({"buffer": "notes.org"}));
    assert_eq!(sent.session, word(&wished["id"]));
    client.turn(&sent.turn);
    assert_eq!(
        org(&mut client, &word(&plain["id"])),
        format!(":PROPERTIES:\n:OA_SESSION: {}\n:END:\n", word(&plain["id"]))
    );
    drop(client);
    sound(home.path());
}

#[test]
fn titles_labels_and_flags_change_and_survive_a_crash() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: first words").session;
    assert_eq!(get(&mut client, &id)["title"], "echo: first words");
    of(&mut client, "rename", &id, &json!({"title": "Mine"}));
    of(&mut client, "label", &id, &json!({"group": "g", "tags": ["x", "y"]}));
    // What is not given stays, and null is none.
    assert_eq!(of(&mut client, "label", &id, &json!({"tags": ["z"]}))["group"], "g");
    assert_eq!(of(&mut client, "label", &id, &json!({"group": "h"}))["tags"], json!(["z"]));
    assert_eq!(of(&mut client, "label", &id, &json!({"group": null}))["group"], Value::Null);
    assert_eq!(of(&mut client, "label", &id, &json!({"tags": []}))["tags"], json!([]));
    of(&mut client, "label", &id, &json!({"group": "g", "tags": ["x"]}));
    of(&mut client, "archive", &id, &Value::Null);
    of(&mut client, "context", &id, &json!({"values": {"a": {"b": [1, null]}}}));
    of(&mut client, "checkpoint", &id, &json!({"name": "here"}));
    let before = of(&mut client, "complete", &id, &Value::Null);
    assert_eq!((&before["status"], &before["archived"]), (&json!("completed"), &json!(true)));
    client.kill();

    let mut client = server(home.path());
    assert_eq!(get(&mut client, &id), before);
    let checkpoints = all(&mut client, "checkpoints", &json!({"sessionId": id}));
    assert_eq!(checkpoints.iter().map(|item| word(&item["name"])).collect::<Vec<_>>(), ["here"]);
    // What is so already is no event.
    let updated = get(&mut client, &id)["updatedAt"].clone();
    for (method, more) in [
        ("rename", json!({"title": "Mine"})),
        ("label", json!({"group": "g", "tags": ["x"]})),
        ("label", json!({})),
        ("archive", json!({"archived": true})),
        ("complete", json!({})),
        ("pause", json!({"paused": false})),
    ] {
        assert_eq!(of(&mut client, method, &id, &more)["updatedAt"], updated, "{method}");
    }
    assert_eq!(of(&mut client, "archive", &id, &json!({"archived": false}))["archived"], false);
    // It is done until something is said.
    assert_eq!(get(&mut client, &id)["status"], "completed");
    assert_ne!(say(&mut client, "", "echo: elsewhere").session, id);
    say(&mut client, &id, "echo: again");
    assert_eq!(get(&mut client, &id)["status"], "active");
    client.finish_unread();
    sound(home.path());
}

#[test]
fn a_list_is_narrowed_by_what_sessions_are() {
    let home = home();
    let mut client = server(home.path());
    let active =
        word(&made(&mut client, &json!({"title": "active", "group": "g", "tags": ["t", "u"]}))["id"]);
    let completed = word(&made(&mut client, &json!({"title": "completed", "group": "g"}))["id"]);
    let paused = word(&made(&mut client, &json!({"title": "paused", "tags": ["t"], "buffer": "b"}))["id"]);
    let away = word(&made(&mut client, &json!({"title": "away", "tags": ["%"]}))["id"]);
    let running = word(&made(&mut client, &json!({"title": "running"}))["id"]);
    let failed = word(&made(&mut client, &json!({"title": "failed"}))["id"]);
    of(&mut client, "complete", &completed, &Value::Null);
    of(&mut client, "pause", &paused, &Value::Null);
    of(&mut client, "archive", &away, &Value::Null);
    let waits = send(&mut client, &running, "run: true", &Value::Null);
    command(&mut client, &waits.turn);
    // A client that cannot take a text has a turn fail.
    client.acknowledge = false;
    let fails = send(&mut client, &failed, "echo: no", &Value::Null);
    let ask = client.wait_for(|message| {
        message["method"] == "orgAgent/actuate" && message["params"]["turnId"] == *fails.turn
    });
    client.send(
        &json!({"jsonrpc": "2.0", "id": ask["id"], "result": {"accepted": false, "message": "read-only"}}),
    );
    client.acknowledge = true;
    client.turn(&fails.turn);

    for (params, titles) in [
        (json!({}), vec!["failed", "running", "away", "paused", "completed", "active"]),
        (json!({"status": "active"}), vec!["active"]),
        (json!({"status": "running"}), vec!["running"]),
        (json!({"status": "paused"}), vec!["paused"]),
        (json!({"status": "completed"}), vec!["completed"]),
        (json!({"status": "failed"}), vec!["failed"]),
        (json!({"status": "archived"}), vec!["away"]),
        (json!({"status": "active", "archived": true}), vec!["away"]),
        (json!({"archived": true}), vec!["away"]),
        (json!({"archived": false}), vec!["failed", "running", "paused", "completed", "active"]),
        (json!({"group": "g"}), vec!["completed", "active"]),
        (json!({"tag": "t"}), vec!["paused", "active"]),
        (json!({"tag": "%"}), vec!["away"]),
        (json!({"tag": "T"}), vec![]),
        (json!({"group": "g", "tag": "t"}), vec!["active"]),
        (json!({"buffer": "b"}), vec!["paused"]),
        (json!({"group": ""}), vec![]),
        (json!({"group": "g' OR 1=1 --"}), vec![]),
    ] {
        assert_eq!(list(&mut client, &params, "title"), titles, "{params}");
    }
    assert_eq!(get(&mut client, &active)["status"], "active");
    drop(client);
    sound(home.path());
}

#[test]
fn the_last_messages_come_first_and_lead_backwards() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: 0").session;
    for number in 1..5 {
        say(&mut client, &id, &format!("echo: {number}"));
    }
    let forward = all(&mut client, "messages", &json!({"sessionId": id}));
    assert_eq!(forward.len(), 10);
    let mut parts = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let part = of(&mut client, "messages", &id, &json!({"last": true, "limit": 3, "cursor": cursor}));
        parts.push(part["items"].as_array().unwrap().clone());
        cursor = part["nextCursor"].clone();
        if cursor.is_null() {
            break;
        }
        // The cursors of the two ways are not each other's.
        let params = json!({"sessionId": id, "cursor": cursor});
        assert_eq!(refused(&mut client, "messages", &params), "bad_request");
    }
    assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3, 1]);
    parts.reverse();
    assert_eq!(parts.concat(), forward);
    client.finish();
}

#[test]
fn a_session_without_a_title_gets_that_of_its_first_message() {
    let home = home();
    let mut client = server(home.path());
    let plain = word(&made(&mut client, &json!({}))["id"]);
    let named = word(&made(&mut client, &json!({"title": "Mine"}))["id"]);
    let renamed = word(&made(&mut client, &json!({}))["id"]);
    of(&mut client, "rename", &renamed, &json!({"title": "Later"}));
    for id in [&plain, &named, &renamed] {
        say(&mut client, id, "echo: *first words*\nmore");
        say(&mut client, id, "echo: second");
    }
    let titles: Vec<Value> =
        [&plain, &named, &renamed].map(|id| get(&mut client, id)["title"].clone()).into();
    assert_eq!(titles, ["echo: *first words", "Mine", "Later"]);
    // Also if a server came between.
    let late = word(&made(&mut client, &json!({}))["id"]);
    client.kill();
    let mut client = server(home.path());
    say(&mut client, &late, "echo: late");
    assert_eq!(get(&mut client, &late)["title"], "echo: late");
    // What the user calls so is called so.
    of(&mut client, "rename", &late, &json!({"title": "New chat"}));
    say(&mut client, &late, "echo: on");
    assert_eq!(get(&mut client, &late)["title"], "New chat");
    client.finish_unread();
    sound(home.path());
}

#[test]
fn an_interrupted_turn_can_be_let_go() {
    let home = home();
    let mut client = server(home.path());
    let receipt = client.chat("b", "1", "run: true");
    let id = word(&receipt["sessionId"]);
    client.wait_for(|message| message["method"] == "orgAgent/actuate");
    client.kill();

    let mut client = server(home.path());
    let found = of(&mut client, "resume", &id, &Value::Null);
    let turn = found["interrupted"][0]["turnId"].clone();
    assert_eq!(turn, receipt["turnId"]);
    let found = of(&mut client, "resume", &id, &json!({"drop": [turn, "nobody"]}));
    assert_eq!(
        (&found["interrupted"], &found["resumed"], &found["live"]),
        (&json!([]), &json!([]), &json!([]))
    );
    // It stays so, and what was said stays.
    client.kill();
    let mut client = server(home.path());
    let found = of(&mut client, "resume", &id, &json!({"turns": [turn]}));
    assert_eq!((&found["interrupted"], &found["resumed"]), (&json!([]), &json!([])));
    assert_eq!(texts(&mut client, &id)[..2], ["run: true", "true"]);
    let why = client.request("orgAgent/why", &json!({"turnId": turn}));
    assert_eq!((&why["state"], &why["reason"]), (&json!("failed"), &json!("dropped")));
    client.finish();
    sound(home.path());
}

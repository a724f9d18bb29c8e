//! What a session remembers: things, questions and values; what was received, and what was seen.

use std::fs;

use serde_json::{Value, json};

use crate::client::Client;
use crate::*;

fn unread(client: &mut Client, session: &str) -> Value {
    get(client, session)["unread"].clone()
}

#[test]
fn what_was_spoken_of_and_asked_is_kept() {
    let home = home();
    let mut client = server(home.path());
    let context =
        json!({"context": [{"kind": "note", "name": "Plan B", "text": "secret stuff in other.org"}]});
    let one = send(&mut client, "", "echo: see src/main.rs and [[https://gnu.org][GNU]]\nmore", &context);
    client.turn(&one.turn);
    let id = one.session.clone();
    let two = say(&mut client, &id, "echo: src/main.rs again");
    let found = get(&mut client, &id)["context"].clone();
    let things: Vec<(String, String, Value, Value)> = found["entities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|thing| {
            (word(&thing["kind"]), word(&thing["name"]), thing["turn"].clone(), thing["times"].clone())
        })
        .collect();
    let thing = |kind: &str, name: &str, turn: &str, times: u64| {
        (kind.to_owned(), name.to_owned(), json!(turn), json!(times))
    };
    assert_eq!(
        things,
        [
            thing("note", "Plan B", &one.turn, 1),
            thing("link", "https://gnu.org", &one.turn, 1),
            thing("file", "src/main.rs", &two.turn, 2),
        ]
    );
    assert_eq!(
        found["intents"],
        json!([
            {"turn": one.turn, "text": "echo: see src/main.rs and [[https://gnu.org][GNU]]"},
            {"turn": two.turn, "text": "echo: src/main.rs again"},
        ])
    );
    // A message that waits is not asked yet.
    of(&mut client, "pause", &id, &Value::Null);
    let waits = send(&mut client, &id, "echo: later.org", &Value::Null);
    assert_eq!(get(&mut client, &id)["context"], found);
    of(&mut client, "pause", &id, &json!({"paused": false}));
    client.turn(&waits.turn);
    assert_eq!(get(&mut client, &id)["context"]["intents"].as_array().unwrap().len(), 3);
    client.finish_unread();
    sound(home.path());
}

/// The last message of a prompt, where what the session remembers stands before the user's words, and those before it.
#[track_caller]
fn apart(shown: &[(String, String)]) -> (&str, Vec<&str>) {
    let ((role, last), rest) = shown.split_last().unwrap();
    assert_eq!(role, "user");
    (last, rest.iter().map(|(_, text)| text.as_str()).collect())
}

#[test]
fn a_prompt_shows_what_no_longer_fits_and_what_clients_keep() {
    let (home, model) = (home(), FakeModel::start());
    // Left out, not summarised: `tests/turn/summaries.rs` is about that.
    fs::write(home.path().join("config.toml"), "[sessions]\nsummarise = false\n").unwrap();
    let mut client = asking(&model, home.path());
    let (one, shown) = asked((&mut client, &model), "", "Where is attic.org?", "Here.");
    let id = one.session.clone();
    assert_eq!(shown, [("user".to_owned(), "Where is attic.org?".to_owned())]);
    of(&mut client, "context", &id, &json!({"values": {"project": "the attic"}}));
    let (_, shown) = asked((&mut client, &model), &id, "Next?", "Yes.");
    let (reminder, rest) = apart(&shown);
    assert!(reminder.contains(r#"Kept with this session: {"project":"the attic"}"#), "{shown:?}");
    assert!(!reminder.contains("Earlier in this session"), "{shown:?}");
    assert!(rest.iter().all(|text| !text.contains("the attic")), "{shown:?}");
    // A long one: the first question does not fit any more.
    for number in 0..26 {
        asked((&mut client, &model), &id, &format!("Question {number}?"), "Yes.");
    }
    let (_, shown) = asked((&mut client, &model), &id, "Last?", "Yes.");
    let (reminder, rest) = apart(&shown);
    assert!(reminder.contains("[data: what this session remembers"), "{reminder}");
    assert!(reminder.contains("- Where is attic.org?\n"), "{reminder}");
    assert!(reminder.contains("file \"attic.org\""), "{reminder}");
    assert!(rest.iter().all(|text| !text.contains("attic.org")), "{shown:?}");
    client.kill();

    // The same after a restart; with other values, these.
    let mut client = asking(&model, home.path());
    let (_, shown) = asked((&mut client, &model), &id, "Still?", "Yes.");
    let (reminder, _) = apart(&shown);
    assert!(reminder.contains("- Where is attic.org?\n") && reminder.contains("the attic"), "{shown:?}");
    of(&mut client, "context", &id, &json!({"values": {"long": "x".repeat(60_000)}}));
    let (_, shown) = asked((&mut client, &model), &id, "Long?", "Yes.");
    let (reminder, _) = apart(&shown);
    assert!(!reminder.contains("the attic") && reminder.len() < 10_000, "{}", reminder.len());
    of(&mut client, "context", &id, &json!({"values": {}}));
    let (_, shown) = asked((&mut client, &model), &id, "None?", "Yes.");
    assert!(!apart(&shown).0.contains("Kept with"), "{shown:?}");
    client.finish_unread();
    sound(home.path());
}

#[test]
fn what_was_not_seen_is_counted() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    say(&mut client, &id, "echo: two");
    assert_eq!(unread(&mut client, &id), 2);
    let said = all(&mut client, "messages", &json!({"sessionId": id}));
    // One's own words are seen by saying them, and reading a prompt leaves its reply.
    of(&mut client, "read", &id, &json!({"messageId": said[0]["id"]}));
    assert_eq!(unread(&mut client, &id), 2);
    of(&mut client, "read", &id, &json!({"messageId": said[1]["metadata"]["actuation"]}));
    assert_eq!(unread(&mut client, &id), 1);
    assert_eq!(of(&mut client, "read", &id, &json!({"messageId": said[3]["id"]}))["unread"], 0);
    // Never backwards.
    of(&mut client, "read", &id, &json!({"messageId": said[0]["id"]}));
    assert_eq!(unread(&mut client, &id), 0);
    // What a command said counts, too.
    let runs = send(&mut client, &id, "run: true", &Value::Null);
    command(&mut client, &runs.turn);
    assert_eq!(unread(&mut client, &id), 1);
    client.request("orgAgent/cancel", &json!({"turnId": runs.turn}));
    client.turn(&runs.turn);
    let before = get(&mut client, &id);
    assert_eq!(list(&mut client, &json!({}), "id"), [id.as_str()]);
    assert_eq!(all(&mut client, "list", &json!({}))[0]["unread"], before["unread"]);
    client.kill();
    let mut client = server(home.path());
    assert_eq!(get(&mut client, &id), before);
    // A message of another session is none of this one.
    let other = client.request("orgAgent/sessions/create", &json!({}));
    let params = json!({"sessionId": other["id"], "messageId": said[0]["id"]});
    assert_eq!(refused(&mut client, "read", &params), "not_found");
    client.finish_unread();
    sound(home.path());
}

#[test]
fn a_text_is_delivered_once_a_client_has_it() {
    let home = home();
    let mut client = server(home.path());
    client.acknowledge = false;
    let sent = send(&mut client, "", "echo: one", &Value::Null);
    let id = sent.session.clone();
    let asked = client.wait_for(|message| message["method"] == "orgAgent/actuate");
    let delivered = |client: &mut Client| -> Vec<Value> {
        let items = all(client, "messages", &json!({"sessionId": id}));
        items.iter().map(|item| item["deliveredAt"].clone()).collect()
    };
    assert_eq!(delivered(&mut client), [Value::Null, Value::Null]);
    client.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"accepted": true}}));
    // What was answered and what is asked are read in their order, but what comes of the first takes its time.
    let before = loop {
        let now = delivered(&mut client);
        if now[1].is_number() {
            break now;
        }
    };
    assert_eq!(before[0], Value::Null);
    assert!(
        before[1].as_u64().unwrap()
            >= all(&mut client, "messages", &json!({"sessionId": id}))[1]["createdAt"].as_u64().unwrap()
    );
    client.acknowledge = true;
    let done = json!({"actuationId": asked["params"]["actuationId"], "status": "done"});
    client.request("orgAgent/actuated", &done);
    client.turn(&sent.turn);
    assert_eq!(delivered(&mut client), before);
    client.kill();
    let mut client = server(home.path());
    assert_eq!(delivered(&mut client), before);
    client.finish_unread();
    sound(home.path());
}

//! Copies: where one ends, what it has of its own, and that the session it was made from stays as it is.

use serde_json::{Value, json};

use crate::client::Client;
use crate::*;

fn items(client: &mut Client, session: &str) -> Vec<Value> {
    all(client, "messages", &json!({"sessionId": session}))
}

fn fork(client: &mut Client, session: &str, more: &Value) -> String {
    let copy = of(client, "fork", session, more);
    assert_eq!(copy["forkedFrom"], *session);
    word(&copy["id"])
}

/// Everything that is known of a session, to see that it did not change.
fn whole(client: &mut Client, session: &str) -> Value {
    json!([
        get(client, session),
        items(client, session),
        all(client, "actions", &json!({"sessionId": session})),
        org(client, session),
    ])
}

#[test]
fn a_fork_at_a_prompt_can_be_answered_again() {
    let home = home();
    let mut client = server(home.path());
    let one = say(&mut client, "", "echo: one");
    let id = one.session.clone();
    let two = say(&mut client, &id, "echo: two");
    say(&mut client, &id, "echo: three");
    of(&mut client, "label", &id, &json!({"group": "g", "tags": ["t"]}));
    let before = whole(&mut client, &id);

    let copy = fork(&mut client, &id, &json!({"messageId": two.event, "title": "Other"}));
    let found = get(&mut client, &copy);
    assert_eq!(
        (&found["title"], &found["group"], &found["tags"], &found["status"]),
        (&json!("Other"), &json!("g"), &json!(["t"]), &json!("failed"))
    );
    assert_eq!(texts(&mut client, &copy), ["echo: one", "one", "echo: two"]);
    let found = of(&mut client, "resume", &copy, &Value::Null);
    assert_eq!(found["interrupted"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!((&found["actuations"], &found["live"]), (&json!([]), &json!([])));
    let cut = found["interrupted"][0].clone();
    assert_ne!(cut["turnId"], *two.turn);
    let found = of(&mut client, "resume", &copy, &json!({"turns": [cut["turnId"]]}));
    client.turn(&word(&found["resumed"][0]["turnId"]));
    assert_eq!(texts(&mut client, &copy), ["echo: one", "one", "echo: two", "two"]);
    assert_eq!(get(&mut client, &copy)["status"], "active");
    // The answer stands under its prompt.
    let text = org(&mut client, &copy);
    assert!(text.ends_with("\ntwo\n"), "{text}");
    assert_eq!(whole(&mut client, &id), before);
    client.kill();
    sound(home.path());
    let mut client = server(home.path());
    assert_eq!(org(&mut client, &copy), text);
    assert_eq!(whole(&mut client, &id), before);
}

#[test]
fn a_fork_at_a_reply_ends_with_it_and_buffers_need_only_another_session() {
    let home = home();
    let mut client = server(home.path());
    let one = say(&mut client, "", "echo: one");
    let id = one.session.clone();
    say(&mut client, &id, "echo: two");
    let said = items(&mut client, &id);
    let reply = &said[1];
    // By its identifier and by its mark.
    for at in [&reply["id"], &reply["metadata"]["actuation"]] {
        let copy = fork(&mut client, &id, &json!({"messageId": at}));
        assert_eq!(texts(&mut client, &copy), ["echo: one", "one"]);
        assert_eq!(get(&mut client, &copy)["status"], "active");
        let text = org(&mut client, &copy);
        assert!(org(&mut client, &id).replace(&id, &copy).starts_with(&text), "{text}");
        assert_eq!(of(&mut client, "resume", &copy, &Value::Null)["interrupted"], json!([]));
    }
    let copy = fork(&mut client, &id, &json!({"buffer": "notes.org"}));
    assert_eq!(get(&mut client, &copy)["buffer"], "notes.org");
    let text = org(&mut client, &copy);
    assert_eq!(org(&mut client, &id).replace(&id, &copy), text);
    // Turns, actions and events are its own all the same.
    let copied = items(&mut client, &copy);
    for (was, is) in said.iter().zip(&copied) {
        assert_eq!((&was["role"], &was["content"]), (&is["role"], &is["content"]));
        assert_ne!(was["id"], is["id"]);
        assert_ne!(was["metadata"]["turn"], is["metadata"]["turn"]);
        let mark = if was["role"] == "user" { &was["id"] } else { &was["metadata"]["actuation"] };
        assert_eq!(is["metadata"]["mark"], *mark);
    }
    assert!(said.iter().all(|item| item["metadata"].get("mark").is_none()), "{said:?}");
    // A copy of a copy has the marks of the first, and its own words behind them.
    say(&mut client, &copy, "echo: here only");
    let again = fork(&mut client, &copy, &Value::Null);
    assert_eq!(org(&mut client, &copy).replace(&copy, &again), org(&mut client, &again));
    let marked = fork(&mut client, &again, &json!({"messageId": said[0]["id"]}));
    assert_eq!(texts(&mut client, &marked), ["echo: one"]);
    // It needs nothing of what it was made from.
    of(&mut client, "delete", &id, &Value::Null);
    of(&mut client, "delete", &copy, &Value::Null);
    assert_eq!(
        texts(&mut client, &again),
        ["echo: one", "one", "echo: two", "two", "echo: here only", "here only"]
    );
    client.finish_unread();
    sound(home.path());
}

#[test]
fn edited_texts_are_what_the_model_is_shown() {
    let (home, model) = (home(), FakeModel::start());
    let mut client = asking(&model, home.path());
    let (one, _) = asked((&mut client, &model), "", "What is 2+2?", "Five.");
    let id = one.session.clone();
    let (two, _) = asked((&mut client, &model), &id, "And doubled?", "Ten.");
    let before = whole(&mut client, &id);
    let reply = word(&items(&mut client, &id)[1]["metadata"]["actuation"]);

    let edits = json!({one.event.as_str(): "What is 2+2, ünder Peano?", reply.as_str(): "Four \"units\"."});
    let copy = fork(&mut client, &id, &json!({"messageId": two.event, "edits": edits}));
    let found = of(&mut client, "resume", &copy, &Value::Null);
    model.reply_with(&insert("Eight."));
    let turn = found["interrupted"][0]["turnId"].clone();
    let found = of(&mut client, "resume", &copy, &json!({"turns": [turn]}));
    client.turn(&word(&found["resumed"][0]["turnId"]));
    let shown = model.take_request_blocking().messages();
    let expected = [
        ("user", "What is 2+2, ünder Peano?".to_owned()),
        ("assistant", insert(r#"Four \"units\"."#)),
        ("user", "And doubled?".to_owned()),
    ];
    let expected: Vec<(String, String)> = expected.map(|(role, text)| (role.to_owned(), text)).to_vec();
    assert_eq!(shown[1..], expected);
    // They stand under the marks of what they took the place of, so another edit finds them.
    let text = org(&mut client, &copy);
    assert!(text.contains(&format!(":OA_ACT: {reply}\n:END:\nFour \"units\".\n")), "{text}");
    let again = fork(&mut client, &copy, &json!({"edits": {reply.as_str(): "4."}}));
    assert_eq!(texts(&mut client, &again)[1], "4.");
    // What is not copied cannot be edited, and nothing is made of it.
    let sessions = list(&mut client, &json!({}), "id");
    for edits in
        [json!({"unknown": "x"}), json!({two.event.as_str(): "later"}), json!({one.turn.as_str(): "x"})]
    {
        let params = with(&id, &json!({"messageId": one.event, "edits": edits}));
        assert_eq!(refused(&mut client, "fork", &params), "bad_request", "{edits}");
    }
    assert_eq!(list(&mut client, &json!({}), "id"), sessions);
    assert_eq!(whole(&mut client, &id), before);
    client.finish_unread();
    sound(home.path());
}

#[test]
fn a_turn_that_is_under_way_is_not_copied_unless_the_copy_ends_with_its_prompt() {
    let home = home();
    let mut client = server(home.path());
    let one = say(&mut client, "", "echo: one");
    let id = one.session.clone();
    let runs = send(&mut client, &id, "run: true", &Value::Null);
    let asked = command(&mut client, &runs.turn);
    send(&mut client, &id, "echo: waits", &Value::Null);
    let copy = fork(&mut client, &id, &Value::Null);
    assert_eq!(texts(&mut client, &copy), ["echo: one", "one"]);
    let copy = fork(&mut client, &id, &json!({"messageId": runs.event}));
    assert_eq!(texts(&mut client, &copy), ["echo: one", "one", "run: true"]);
    let found = of(&mut client, "resume", &copy, &Value::Null);
    assert_eq!(found["interrupted"].as_array().unwrap().len(), 1, "{found}");
    // At the command itself: nothing runs there, and what was asked is not asked again.
    let copy = fork(&mut client, &id, &json!({"messageId": asked["actuationId"]}));
    assert_eq!(texts(&mut client, &copy), ["echo: one", "one", "run: true", "true"]);
    let found = of(&mut client, "resume", &copy, &Value::Null);
    assert_eq!((&found["actuations"], &found["live"]), (&json!([]), &json!([])));
    client.kill();
    sound(home.path());
}

/// Runs the one interrupted turn of a session again.
fn again(client: &mut Client, session: &str) {
    let found = of(client, "resume", session, &Value::Null);
    assert_eq!(found["interrupted"].as_array().unwrap().len(), 1, "{found}");
    let turn = found["interrupted"][0]["turnId"].clone();
    let found = of(client, "resume", session, &json!({"turns": [turn]}));
    client.turn(&word(&found["resumed"][0]["turnId"]));
}

#[test]
fn a_fork_at_a_prompt_is_without_its_answer_however_that_came_about() {
    let home = home();
    let mut client = server(home.path());
    let cut = send(&mut client, "", "run: true", &Value::Null);
    let id = cut.session.clone();
    command(&mut client, &cut.turn);
    client.kill();
    // One that was interrupted and answered by another turn.
    let mut client = server(home.path());
    let found = of(&mut client, "resume", &id, &json!({"turns": [cut.turn]}));
    let turn = word(&found["resumed"][0]["turnId"]);
    let asked = command(&mut client, &turn);
    let report = json!({"actuationId": asked["actuationId"], "status": "done", "exitCode": 0});
    client.request("orgAgent/actuated", &report);
    client.turn(&turn);
    let copy = fork(&mut client, &id, &json!({"messageId": cut.event}));
    assert_eq!(texts(&mut client, &copy), ["run: true"]);
    assert_eq!(of(&mut client, "resume", &copy, &Value::Null)["interrupted"].as_array().unwrap().len(), 1);
    let all_of_it = fork(&mut client, &id, &Value::Null);
    assert_eq!(texts(&mut client, &all_of_it), texts(&mut client, &id));
    assert_eq!(of(&mut client, "resume", &all_of_it, &Value::Null)["interrupted"], json!([]));

    // One that was taken back, with nothing said and in the middle.
    let quiet = send(&mut client, &id, "run: false", &Value::Null);
    command(&mut client, &quiet.turn);
    client.request("orgAgent/cancel", &json!({"turnId": quiet.turn}));
    client.turn(&quiet.turn);
    of(&mut client, "pause", &id, &Value::Null);
    let waits = send(&mut client, &id, "echo: never said", &Value::Null);
    client.request("orgAgent/cancel", &json!({"turnId": waits.turn}));
    client.turn(&waits.turn);
    let copy = fork(&mut client, &id, &json!({"messageId": waits.event}));
    again(&mut client, &copy);
    assert_eq!(texts(&mut client, &copy).last().unwrap(), "never said");

    // One that is done and showed nothing.
    of(&mut client, "pause", &id, &json!({"paused": false}));
    let log = say(&mut client, &id, "log: noted");
    let copy = fork(&mut client, &id, &json!({"messageId": log.event}));
    again(&mut client, &copy);
    client.finish_unread();
    sound(home.path());
}

#[test]
fn only_what_stands_in_a_buffer_is_edited() {
    let home = home();
    let mut client = server(home.path());
    let runs = send(&mut client, "", "run: true", &Value::Null);
    let asked = command(&mut client, &runs.turn);
    let report = json!({"actuationId": asked["actuationId"], "status": "done", "stdout": "out"});
    client.request("orgAgent/actuated", &report);
    client.turn(&runs.turn);
    let command = word(&asked["actuationId"]);
    let outcome = items(&mut client, &runs.session)
        .into_iter()
        .find(|item| item["metadata"]["kind"] == "command-result")
        .unwrap();
    for mark in [command, word(&outcome["id"])] {
        let params = with(&runs.session, &json!({"edits": {mark.as_str(): "rm -rf ~"}}));
        assert_eq!(refused(&mut client, "fork", &params), "bad_request", "{mark}");
    }
    assert_eq!(list(&mut client, &json!({}), "id"), [runs.session]);
    client.finish_unread();
    sound(home.path());
}

#[test]
fn a_copy_keeps_the_values_that_its_session_has_now() {
    let home = home();
    let mut client = server(home.path());
    let one = say(&mut client, "", "echo: one");
    let id = one.session.clone();
    let values = |client: &mut Client, session: &str| get(client, session)["context"]["values"].clone();
    let keep = |client: &mut Client, sandbox: &str| {
        of(client, "context", &id, &json!({"values": {"orgAgent.sandbox": sandbox, "kept": sandbox}}))
    };
    let none = fork(&mut client, &id, &Value::Null);
    assert_eq!(values(&mut client, &none), json!({}));
    // Chosen after the message with which the copy ends.
    keep(&mut client, "read-only");
    let strict = json!({"orgAgent.sandbox": "read-only", "kept": "read-only"});
    let copy = fork(&mut client, &id, &json!({"messageId": one.event}));
    assert_eq!(values(&mut client, &copy), strict);
    // Made looser, and that undone.
    of(&mut client, "checkpoint", &id, &json!({"name": "a"}));
    keep(&mut client, "configured");
    of(&mut client, "restore", &id, &json!({"name": "a"}));
    assert_eq!(values(&mut client, &id), strict);
    let copy = fork(&mut client, &id, &Value::Null);
    assert_eq!(values(&mut client, &copy), strict);
    client.kill();
    sound(home.path());
    let mut client = server(home.path());
    assert_eq!(values(&mut client, &copy), strict);
}

//! States to come back to, and the way forward again.

use serde_json::{Value, json};

use crate::client::Client;
use crate::*;

fn names(client: &mut Client, session: &str) -> Vec<String> {
    all(client, "checkpoints", &json!({"sessionId": session}))
        .iter()
        .map(|item| word(&item["name"]))
        .collect()
}

/// What a session shows that a checkpoint brings back.
fn state(client: &mut Client, session: &str) -> Value {
    let mut found = get(client, session);
    // What was spent since stays spent.
    for key in ["updatedAt", "tokens", "cost"] {
        assert!(found.as_object_mut().unwrap().remove(key).is_some(), "{key} is not in {found}");
    }
    json!([
        found,
        all(client, "messages", &json!({"sessionId": session})),
        all(client, "actions", &json!({"sessionId": session})),
        org(client, session),
        hits(client, session, "word*"),
    ])
}

/// The messages that a search finds. What they score depends on the time.
fn hits(client: &mut Client, session: &str, query: &str) -> Vec<(String, String)> {
    let mut hits: Vec<(String, String)> = found(client, &json!({"query": query, "sessionId": session}))
        .iter()
        .map(|item| (word(&item["messageId"]), word(&item["snippet"])))
        .collect();
    hits.sort();
    hits
}

#[test]
fn everything_goes_back_and_forward_again() {
    let (home, model) = (home(), FakeModel::start());
    let mut client = asking(&model, home.path());
    let (one, _) = asked((&mut client, &model), "", "wordone about plan.org", "Answer one.");
    let id = one.session.clone();
    of(&mut client, "context", &id, &json!({"values": {"kept": "first"}}));
    of(&mut client, "checkpoint", &id, &json!({"name": "one"}));
    let at_one = state(&mut client, &id);
    asked((&mut client, &model), &id, "wordtwo about later.org", "Answer two.");
    of(&mut client, "context", &id, &json!({"values": {"kept": "second"}}));
    of(&mut client, "rename", &id, &json!({"title": "Named"}));
    let at_two = state(&mut client, &id);

    let back = of(&mut client, "restore", &id, &json!({"name": "one"}));
    assert_eq!((&back["messages"], &back["title"]), (&json!(2), &json!("Named")));
    let mut again = state(&mut client, &id);
    again[0]["title"] = at_one[0]["title"].clone();
    assert_eq!(again, at_one);
    assert_eq!(hits(&mut client, &id, "wordtwo"), []);
    assert_eq!(names(&mut client, &id), ["one", "before going back to one"]);
    // The model is shown what counts, and what clients kept then.
    let (three, shown) = asked((&mut client, &model), &id, "wordthree", "Answer three.");
    let shown = format!("{shown:?}");
    assert!(shown.contains("wordone") && shown.contains("Answer one."), "{shown}");
    assert!(!shown.contains("wordtwo") && !shown.contains("Answer two."), "{shown}");
    assert!(shown.contains(r#"{\\\"kept\\\":\\\"first\\\"}"#) || shown.contains("first"), "{shown}");
    assert!(!shown.contains("second"), "{shown}");
    let at_three = state(&mut client, &id);

    // Forward: to what was left, which does not have what came between.
    of(&mut client, "restore", &id, &json!({"name": "before going back to one"}));
    let forward = state(&mut client, &id);
    assert_eq!(forward, at_two);
    assert_eq!(hits(&mut client, &id, "wordthree"), []);
    let (_, shown) = asked((&mut client, &model), &id, "wordfour", "Answer four.");
    let shown = format!("{shown:?}");
    assert!(shown.contains("Answer two.") && !shown.contains("wordthree"), "{shown}");
    assert!(shown.contains("second"), "{shown}");

    // And to the branch beside it.
    of(&mut client, "restore", &id, &json!({"name": "before going back to before going back to one"}));
    assert_eq!(state(&mut client, &id), at_three);
    client.kill();

    let mut client = asking(&model, home.path());
    assert_eq!(state(&mut client, &id), at_three);
    let (_, shown) = asked((&mut client, &model), &id, "wordfive", "Answer five.");
    let shown = format!("{shown:?}");
    assert!(shown.contains("Answer three.") && !shown.contains("Answer two."), "{shown}");
    // The log has all of it.
    let why = client.request("orgAgent/why", &json!({"turnId": three.turn}));
    assert_eq!(why["state"], "done");
    client.finish_unread();
    sound(home.path());
}

#[test]
fn a_checkpoint_of_the_same_name_takes_the_place_of_the_earlier_one() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    of(&mut client, "checkpoint", &id, &json!({"name": "c"}));
    say(&mut client, &id, "echo: two");
    of(&mut client, "checkpoint", &id, &json!({"name": "c"}));
    say(&mut client, &id, "echo: three");
    assert_eq!(names(&mut client, &id), ["c"]);
    of(&mut client, "restore", &id, &json!({"name": "c"}));
    assert_eq!(texts(&mut client, &id), ["echo: one", "one", "echo: two", "two"]);
    // Twice is once: the way back is not lost.
    of(&mut client, "restore", &id, &json!({"name": "c"}));
    of(&mut client, "restore", &id, &json!({"name": "before going back to c"}));
    assert_eq!(texts(&mut client, &id), ["echo: one", "one", "echo: two", "two", "echo: three", "three"]);
    client.finish_unread();
    sound(home.path());
}

#[test]
fn beside_a_turn_nothing_is_taken_back_or_deleted() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    of(&mut client, "checkpoint", &id, &json!({"name": "c"}));
    let runs = send(&mut client, &id, "run: true", &Value::Null);
    command(&mut client, &runs.turn);
    let waits = send(&mut client, &id, "echo: waits", &Value::Null);
    for (method, more) in [("restore", json!({"name": "c"})), ("delete", json!({}))] {
        assert_eq!(refused(&mut client, method, &with(&id, &more)), "conflict", "{method}");
    }
    // A paused one whose messages wait is no other case.
    of(&mut client, "pause", &id, &Value::Null);
    client.request("orgAgent/cancel", &json!({"turnId": runs.turn}));
    client.turn(&runs.turn);
    for (method, more) in [("restore", json!({"name": "c"})), ("delete", json!({}))] {
        assert_eq!(refused(&mut client, method, &with(&id, &more)), "conflict", "{method}");
    }
    assert_eq!(names(&mut client, &id), ["c"]);
    client.request("orgAgent/cancel", &json!({"turnId": waits.turn}));
    client.turn(&waits.turn);
    assert_eq!(of(&mut client, "restore", &id, &json!({"name": "c"}))["messages"], 2);
    assert_eq!(of(&mut client, "delete", &id, &Value::Null)["deleted"], true);
    client.finish_unread();
    sound(home.path());
}

#[test]
fn what_is_said_right_behind_a_restore_or_a_fork_is_shown_once() {
    let (home, model) = (home(), FakeModel::start());
    let mut client = asking(&model, home.path());
    let (one, _) = asked((&mut client, &model), "", "First.", "One.");
    let id = one.session.clone();
    of(&mut client, "checkpoint", &id, &json!({"name": "c"}));
    for round in 0..20 {
        asked((&mut client, &model), &id, "Gone.", "Away.");
        model.reply_with(&insert("Next."));
        let restore = client.ask("orgAgent/sessions/restore", &with(&id, &json!({"name": "c"})));
        let params = json!({"sensor": "chat-message", "sessionId": id, "clientId": format!("r-{round}"), "text": "Behind."});
        let event = client.ask("orgAgent/event", &params);
        // Whether the message came before the restoring or after it, nothing is there twice or half.
        let restored = client.answer(restore);
        let receipt = client.answer(event).unwrap();
        client.turn(&word(&receipt["turnId"]));
        let shown = format!("{:?}", model.take_request_blocking().messages());
        assert_eq!(shown.matches("Behind.").count(), 1, "{round}: {shown}");
        assert_eq!(shown.matches("First.").count(), 1, "{round}: {shown}");
        assert_eq!(shown.contains("Gone."), restored.is_err(), "{round}: {shown}");
        of(&mut client, "restore", &id, &json!({"name": "c"}));
    }
    client.finish_unread();
    sound(home.path());
}

#[test]
fn what_was_taken_back_is_not_run_again() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    of(&mut client, "checkpoint", &id, &json!({"name": "c"}));
    let cut = send(&mut client, &id, "run: true", &Value::Null);
    command(&mut client, &cut.turn);
    client.kill();
    let mut client = server(home.path());
    assert_eq!(of(&mut client, "resume", &id, &Value::Null)["interrupted"][0]["turnId"], *cut.turn);
    assert_eq!(get(&mut client, &id)["status"], "failed");
    of(&mut client, "restore", &id, &json!({"name": "c"}));
    let found = of(&mut client, "resume", &id, &json!({"turns": [cut.turn]}));
    assert_eq!(
        (&found["interrupted"], &found["resumed"], &found["live"]),
        (&json!([]), &json!([]), &json!([]))
    );
    // It is the state of then.
    assert_eq!(get(&mut client, &id)["status"], "active");
    of(&mut client, "restore", &id, &json!({"name": "before going back to c"}));
    assert_eq!(of(&mut client, "resume", &id, &Value::Null)["interrupted"][0]["turnId"], *cut.turn);
    assert_eq!(get(&mut client, &id)["status"], "failed");
    client.finish_unread();
    sound(home.path());
}

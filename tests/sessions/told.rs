//! What a client is told of sessions, and what one server may not do with another one's.

use serde_json::{Value, json};

use crate::*;

const CHANGED: &str = "orgAgent/sessions/changed";

#[test]
fn every_change_that_was_asked_for_is_told_and_a_chat_is_not() {
    let home = home();
    let mut client = server(home.path());
    say(&mut client, "", "echo: a chat makes its session");
    let id = word(&client.request("orgAgent/sessions/create", &json!({"group": "g"}))["id"]);
    say(&mut client, &id, "echo: hello");
    let mut expected = vec![(id.clone(), vec!["chat.session.created"])];
    for (method, more, changes) in [
        ("rename", json!({"title": "t"}), vec!["chat.session.renamed"]),
        ("archive", json!({}), vec!["chat.session.archived"]),
        ("label", json!({"tags": ["x"]}), vec!["chat.session.labelled"]),
        ("pause", json!({}), vec!["chat.session.paused"]),
        ("complete", json!({}), vec!["chat.session.completed"]),
        ("context", json!({"values": {}}), vec!["chat.session.context"]),
        ("checkpoint", json!({"name": "c"}), vec!["chat.session.checkpointed"]),
        ("restore", json!({"name": "c"}), vec!["chat.session.checkpointed", "chat.session.restored"]),
    ] {
        of(&mut client, method, &id, &more);
        expected.push((id.clone(), changes));
    }
    // What changes nothing is not told.
    of(&mut client, "rename", &id, &json!({"title": "t"}));
    let event = all(&mut client, "messages", &json!({"sessionId": id}))[0]["id"].clone();
    of(&mut client, "read", &id, &json!({"messageId": event}));
    expected.push((id.clone(), vec!["chat.message.read"]));
    let copy = word(&of(&mut client, "fork", &id, &Value::Null)["id"]);
    expected.push((copy.clone(), vec!["chat.session.created", "chat.session.forked"]));
    let org = of(&mut client, "delete", &id, &Value::Null)["org"].clone();
    expected.push((id.clone(), vec!["chat.session.deleted"]));
    let items = client.request("orgAgent/sessions/import", &json!({"org": org}));
    assert_eq!(items["items"][0]["id"], *id);
    expected.push((id.clone(), vec!["chat.session.created", "chat.session.imported"]));
    for (method, params) in [
        ("list", json!({})),
        ("get", json!({"sessionId": copy})),
        ("export", json!({"sessionId": copy})),
        ("search", json!({"query": "hello"})),
        ("checkpoints", json!({"sessionId": copy})),
    ] {
        client.request(&format!("orgAgent/sessions/{method}"), &params);
    }
    let told: Vec<Value> = client.finish_unread();
    let told: Vec<(String, Vec<String>)> = told
        .iter()
        .filter(|message| message["method"] == CHANGED)
        .map(|message| {
            let changes = message["params"]["changes"].as_array().unwrap();
            (word(&message["params"]["sessionId"]), changes.iter().map(word).collect())
        })
        .collect();
    let expected: Vec<(String, Vec<String>)> = expected
        .into_iter()
        .map(|(id, changes)| (id, changes.into_iter().map(str::to_owned).collect()))
        .collect();
    assert_eq!(told, expected);
    sound(home.path());
}

#[test]
fn a_session_that_another_server_holds_is_read_and_copied_and_not_changed() {
    let home = home();
    let mut first = server(home.path());
    let said = say(&mut first, "", "echo: mine");
    let id = said.session.clone();
    of(&mut first, "checkpoint", &id, &json!({"name": "c"}));
    let mut second = server(home.path());
    for (method, more) in [
        ("rename", json!({"title": "t"})),
        ("archive", json!({})),
        ("label", json!({"tags": ["x"]})),
        ("pause", json!({})),
        ("complete", json!({})),
        ("context", json!({"values": {"a": 1}})),
        ("checkpoint", json!({"name": "d"})),
        ("restore", json!({"name": "c"})),
        ("read", json!({"messageId": said.event})),
        ("delete", json!({})),
        ("resume", json!({})),
    ] {
        assert_eq!(refused(&mut second, method, &with(&id, &more)), "conflict", "{method}");
    }
    assert_eq!(org(&mut second, &id), org(&mut first, &id));
    let copy = of(&mut second, "fork", &id, &Value::Null);
    assert_eq!(copy["forkedFrom"], *id);
    let before = get(&mut first, &id);
    assert_eq!((&before["title"], &before["context"]["values"]), (&json!("echo: mine"), &json!({})));
    // Its holder is dead: at once it is anybody's.
    first.kill();
    assert_eq!(of(&mut second, "rename", &id, &json!({"title": "taken"}))["title"], "taken");
    drop(second);
    sound(home.path());
}

#[test]
fn a_plain_editor_goes_on_with_what_was_left_by_resume() {
    let home = home();
    let mut client = server(home.path());
    let runs = send(&mut client, "", "run: true", &Value::Null);
    let waits = send(&mut client, &runs.session, "echo: waits", &Value::Null);
    command(&mut client, &runs.turn);
    client.kill();

    let mut editor = plain(home.path());
    let found = of(&mut editor, "resume", &runs.session, &Value::Null);
    assert_eq!(found["interrupted"][0]["turnId"], *runs.turn);
    assert_eq!(found["live"], json!([waits.turn]));
    editor.turn(&waits.turn);
    let found = of(&mut editor, "resume", &runs.session, &Value::Null);
    assert_eq!((&found["live"], &found["actuations"]), (&json!([]), &json!([])));
    editor.finish_unread();
    sound(home.path());
}

#[test]
fn what_another_client_put_into_its_buffer_is_named_as_missing() {
    let home = home();
    let mut client = server(home.path());
    let one = say(&mut client, "", "echo: one");
    let id = one.session.clone();
    say(&mut client, &id, "echo: two");
    say(&mut client, &id, "echo: three");
    let marks: Vec<String> = all(&mut client, "messages", &json!({"sessionId": id}))
        .iter()
        .filter(|item| item["role"] == "assistant")
        .map(|item| word(&item["metadata"]["actuation"]))
        .collect();
    client.finish_unread();
    let mut editor = plain(home.path());
    let mut missing = |session: &str, applied: &[&String]| {
        of(&mut editor, "resume", session, &json!({"applied": applied}))["missing"].clone()
    };
    assert_eq!(missing(&id, &[]), json!(marks));
    assert_eq!(missing(&id, &[&marks[0]]), json!(marks[1..]));
    // One that is gone from the middle was taken out by hand.
    assert_eq!(missing(&id, &[&marks[0], &marks[2]]), json!([]));
    // Of a copy by the marks that its buffer has.
    let copy = word(&of(&mut editor, "fork", &id, &Value::Null)["id"]);
    let found = of(&mut editor, "resume", &copy, &json!({"applied": [marks[1]]}));
    assert_eq!(found["missing"], json!([marks[2]]));
    let text = org(&mut editor, &copy);
    assert!(text.contains(&format!(":OA_ACT: {}\n:END:\nthree\n", marks[2])), "{text}");
    editor.finish_unread();
    sound(home.path());
}

#[test]
fn requests_that_are_sent_at_once_are_done_in_their_order() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    let steps = [
        ("checkpoint", json!({"name": "c"})),
        ("rename", json!({"title": "a"})),
        ("fork", json!({"title": "copy"})),
        ("rename", json!({"title": "b"})),
        ("pause", json!({})),
        ("context", json!({"values": {"a": 1}})),
        ("restore", json!({"name": "c"})),
        ("label", json!({"group": "g"})),
        ("archive", json!({})),
        ("pause", json!({"paused": false})),
        ("delete", json!({})),
        ("delete", json!({})),
        ("rename", json!({"title": "c"})),
    ];
    let asked: Vec<u64> = steps
        .iter()
        .map(|(method, more)| client.ask(&format!("orgAgent/sessions/{method}"), &with(&id, more)))
        .collect();
    let answers: Vec<Result<Value, Value>> = asked.into_iter().map(|id| client.answer(id)).collect();
    let shown = |at: usize, key: &str| answers[at].as_ref().unwrap()[key].clone();
    assert_eq!(
        (shown(1, "title"), shown(2, "title"), shown(3, "title")),
        (json!("a"), json!("copy"), json!("b"))
    );
    assert_eq!((shown(4, "status"), shown(9, "status")), (json!("paused"), json!("active")));
    assert_eq!(shown(5, "context")["values"], json!({"a": 1}));
    assert_eq!((&shown(6, "context")["values"], shown(6, "messages")), (&json!({}), json!(2)));
    assert_eq!((shown(7, "group"), shown(8, "archived")), (json!("g"), json!(true)));
    assert_eq!(shown(10, "deleted"), true);
    for at in [11, 12] {
        let error = answers[at].as_ref().expect_err(&format!("{at}: {answers:?}"));
        assert_eq!(error["data"]["code"], "not_found", "{at}");
    }
    client.finish_unread();
    sound(home.path());
}

#[test]
fn an_answer_shows_what_was_asked_before_and_nothing_behind() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    let mut asked = Vec::new();
    for round in 0..100 {
        for (method, more) in [("rename", json!({"title": format!("t{round}")})), ("get", Value::Null)] {
            asked.push(client.ask(&format!("orgAgent/sessions/{method}"), &with(&id, &more)));
        }
    }
    for (at, asked) in asked.into_iter().enumerate() {
        let found = client.answer(asked).unwrap();
        assert_eq!(found["title"], format!("t{}", at / 2), "{at}");
    }
    client.finish_unread();
    sound(home.path());
}

#[test]
fn what_is_said_behind_a_pause_waits() {
    let home = home();
    let mut client = server(home.path());
    let id = say(&mut client, "", "echo: one").session;
    // The second waits for the first to be on disk, and the message for both.
    let renamed = client.ask("orgAgent/sessions/rename", &with(&id, &json!({"title": "t"})));
    let paused = client.ask("orgAgent/sessions/pause", &with(&id, &Value::Null));
    let said = json!({"sensor": "chat-message", "clientId": "c", "text": "echo: two", "sessionId": id});
    let said = client.ask("orgAgent/event", &said);
    for asked in [renamed, paused] {
        client.answer(asked).unwrap();
    }
    let turn = word(&client.answer(said).unwrap()["turnId"]);
    // If it had begun, that would come before this answer.
    let got = client.ask("orgAgent/sessions/get", &with(&id, &Value::Null));
    let mut states = Vec::new();
    loop {
        let message = client.next().unwrap();
        if message.get("method").is_none() && message["id"] == got {
            assert_eq!(message["result"]["status"], "paused");
            break;
        }
        if message["params"]["turnId"] == *turn {
            states.push(message["params"]["state"].clone());
        }
    }
    assert_eq!(states, ["accepted"]);
    of(&mut client, "pause", &id, &json!({"paused": false}));
    client.turn(&turn);
    client.finish_unread();
    sound(home.path());
}

#[test]
fn who_comes_back_is_told_which_message_each_turn_answers() {
    let home = home();
    let mut client = server(home.path());
    let runs = send(&mut client, "", "run: true", &Value::Null);
    let id = runs.session.clone();
    command(&mut client, &runs.turn);
    let waits = send(&mut client, &id, "echo: two", &Value::Null);
    let known = |sent: &Sent| json!({"turnId": sent.turn, "mark": sent.event});
    let found = of(&mut client, "resume", &id, &Value::Null);
    assert_eq!(found["events"], json!([known(&runs), known(&waits)]));
    client.kill();

    // What was cut off is named with its message already; what runs again is known as what it answers.
    let mut client = server(home.path());
    let found = of(&mut client, "resume", &id, &json!({"turns": [runs.turn]}));
    let again = &found["resumed"][0]["turnId"];
    let events = found["events"].as_array().unwrap();
    assert!(events.contains(&json!({"turnId": again, "mark": runs.event})), "{found}");
    client.turn(&waits.turn);
    client.kill();

    // A copy's are known by the marks that its buffer has.
    let mut client = server(home.path());
    let copy = word(&of(&mut client, "fork", &id, &json!({"messageId": waits.event}))["id"]);
    let found = of(&mut client, "resume", &copy, &Value::Null);
    let answering = |found: &Value| {
        let events = found["events"].as_array().unwrap();
        word(&events.iter().find(|it| it["mark"] == *waits.event).unwrap()["turnId"])
    };
    let cut = answering(&found);
    let interrupted = found["interrupted"].as_array().unwrap();
    let own = interrupted.iter().find(|it| it["turnId"] == *cut).unwrap();
    assert_ne!(own["eventId"], *waits.event);
    let found = of(&mut client, "resume", &copy, &json!({"turns": [cut]}));
    let again = word(&found["resumed"][0]["turnId"]);
    assert_eq!(answering(&found), again);
    client.turn(&again);
    client.finish_unread();
    sound(home.path());
}

#[test]
fn what_comes_behind_a_deletion_or_an_import_finds_what_they_made() {
    let home = home();
    let mut client = server(home.path());
    let org = "* USER\n:PROPERTIES:\n:OA_EVENT: e\n:END:\nHello\n** ASSISTANT\n:PROPERTIES:\n:OA_ACT: a\n:END:\nHi.\n";
    for round in 0..10 {
        let text = format!(":PROPERTIES:\n:OA_SESSION: same\n:END:\n{org}");
        client.request("orgAgent/sessions/import", &json!({"org": text}));
        let fork = client.ask("orgAgent/sessions/fork", &json!({"sessionId": "same", "messageId": "a"}));
        let delete = client.ask("orgAgent/sessions/delete", &json!({"sessionId": "same"}));
        let again = client.ask("orgAgent/sessions/import", &json!({"org": text}));
        for id in [fork, delete, again] {
            let answer = client.answer(id);
            assert!(answer.is_ok(), "{round}: {answer:?}");
        }
        client.request("orgAgent/sessions/delete", &json!({"sessionId": "same"}));
    }
    // What is said to a session that was imported a moment ago is behind what was imported.
    let items = client.request("orgAgent/sessions/import", &json!({"org": org}));
    let id = word(&items["items"][0]["id"]);
    say(&mut client, &id, "echo: on");
    assert_eq!(texts(&mut client, &id), ["Hello", "Hi.", "echo: on", "on"]);
    client.finish_unread();
    sound(home.path());
}

//! Further answers to a message: which of them counts for prompts, lists, search and the transcript, and that nothing is
//! lost by going from one to another.

use serde_json::{Value, json};

use crate::client::Client;
use crate::*;

/// Has `model` answer the last message of `session` again; the answer to that, and the prompt without the system's part.
fn again(
    (client, model): (&mut Client, &FakeModel),
    session: &str,
    reply: &str,
) -> (Value, Vec<(String, String)>) {
    model.reply_with(&insert(reply));
    let answer = of(client, "regenerate", session, &Value::Null);
    client.turn(&word(&answer["turnId"]));
    let messages = model.take_request_blocking().messages();
    (answer, messages[1..].to_vec())
}

/// The texts of all answers to the last message, the one that counts in brackets.
fn variants(client: &mut Client, session: &str) -> Vec<String> {
    let found = of(client, "variants", session, &Value::Null);
    let items = found["items"].as_array().unwrap().iter();
    items
        .map(|item| {
            let texts: Vec<String> =
                item["texts"].as_array().unwrap().iter().map(|text| word(&text["text"])).collect();
            if item["chosen"] == true { format!("[{}]", texts.join("|")) } else { texts.join("|") }
        })
        .collect()
}

fn choose(client: &mut Client, session: &str, number: usize) -> Value {
    let found = of(client, "variants", session, &Value::Null);
    of(client, "choose", session, &json!({"turnId": found["items"][number]["turnId"]}))
}

#[test]
fn the_answer_that_counts_is_the_one_that_is_shown_and_exported() {
    let (home, model) = (home(), FakeModel::start());
    let mut client = asking(&model, home.path());
    let (one, first) = asked((&mut client, &model), "", "Name a river", "The wordone.");
    let id = one.session.clone();
    let before = org(&mut client, &id);
    assert_eq!(variants(&mut client, &id), ["[The wordone.]"]);

    let (answer, shown) = again((&mut client, &model), &id, "The wordtwo.");
    assert_eq!((&answer["mark"], &answer["variants"]), (&json!(one.event), &json!(2)));
    // The model is asked the same, and nothing of the first answer.
    assert_eq!(shown, first);
    assert_eq!(variants(&mut client, &id), ["The wordone.", "[The wordtwo.]"]);
    assert_eq!(texts(&mut client, &id), ["Name a river", "The wordtwo."]);
    assert_eq!(get(&mut client, &id)["messages"], 2);
    let after = org(&mut client, &id);
    assert!(after.ends_with("\nThe wordtwo.\n") && !after.contains("wordone"), "{after}");
    let hits = |client: &mut Client, query: &str| found(client, &json!({"query": query})).len();
    assert_eq!((hits(&mut client, "wordone"), hits(&mut client, "wordtwo")), (0, 1));
    // What was spent stays spent.
    let why = client.request("orgAgent/why", &json!({"turnId": answer["turnId"]}));
    assert!(why["events"].to_string().contains("Name a river"), "{why}");

    // To and fro, by any program that comes later, too.
    choose(&mut client, &id, 0);
    assert_eq!(org(&mut client, &id), before);
    assert_eq!((hits(&mut client, "wordone"), hits(&mut client, "wordtwo")), (1, 0));
    choose(&mut client, &id, 1);
    assert_eq!(org(&mut client, &id), after);
    choose(&mut client, &id, 0);
    client.kill();
    sound(home.path());
    let mut client = asking(&model, home.path());
    assert_eq!(org(&mut client, &id), before);
    assert_eq!(variants(&mut client, &id), ["[The wordone.]", "The wordtwo."]);

    // Later prompts have what counts, and then it is what was answered.
    let (_, shown) = asked((&mut client, &model), &id, "And a lake", "The wordthree.");
    let shown = format!("{shown:?}");
    assert!(shown.contains("wordone") && !shown.contains("wordtwo"), "{shown}");
    let params = with(&id, &json!({"messageId": one.event}));
    assert_eq!(refused(&mut client, "regenerate", &params), "conflict");
    let earlier = client.request("orgAgent/sessions/variants", &params);
    assert_eq!((&earlier["last"], earlier["items"].as_array().unwrap().len()), (&json!(false), 2));
    let other = with(&id, &json!({"turnId": earlier["items"][1]["turnId"]}));
    assert_eq!(refused(&mut client, "choose", &other), "conflict");
    client.kill();
    sound(home.path());
}

#[test]
fn an_answer_in_steps_is_a_variant_as_a_whole_and_nothing_runs_by_choosing() {
    let (home, model) = (home(), FakeModel::start());
    let mut client = asking(&model, home.path());
    model.reply_with("(:type :request :target :shell :payload (:cmd \"make it\"))");
    model.reply_with(&insert("Not made."));
    let sent = send(&mut client, "", "Make it", &Value::Null);
    let question = client.wait_for(|message| message["method"] == "orgAgent/actuate");
    let deny = json!({"actuationId": question["params"]["actuationId"], "choice": "deny"});
    client.request("orgAgent/decide", &deny);
    client.turn(&sent.turn);
    let first = model.take_request_blocking().messages();
    drop(model.take_request_blocking());
    let id = sent.session;

    let (_, shown) = again((&mut client, &model), &id, "No need.");
    assert_eq!(shown, first[1..]);
    assert_eq!(all(&mut client, "actions", &with(&id, &Value::Null)).len(), 1);
    choose(&mut client, &id, 0);
    assert_eq!(all(&mut client, "actions", &with(&id, &Value::Null)).len(), 2);
    let (_, shown) = asked((&mut client, &model), &id, "Why?", "You said no.");
    let shown = format!("{shown:?}");
    assert!(shown.contains("[command denied]") && !shown.contains("No need."), "{shown}");
    let unread = client.kill();
    let ran = unread.iter().any(|message| message["params"]["action"]["target"] == "shell");
    assert!(!ran, "{unread:?}");
    sound(home.path());
}

#[test]
fn what_failed_or_was_cancelled_is_answered_again() {
    let (home, model) = (home(), FakeModel::start());
    let mut client = asking(&model, home.path());
    for _ in 0..3 {
        model.reply_with("No list at all");
    }
    let sent = say(&mut client, "", "Try");
    for _ in 0..3 {
        drop(model.take_request_blocking());
    }
    let id = sent.session.clone();
    assert_eq!(get(&mut client, &id)["status"], "failed");
    assert!(org(&mut client, &id).contains("*System Error:*"));
    let (_, shown) = again((&mut client, &model), &id, "Done.");
    assert_eq!(shown, [("user".to_owned(), "Try".to_owned())]);
    assert!(!org(&mut client, &id).contains("*System Error:*"));
    assert_eq!(get(&mut client, &id)["status"], "active");

    // What was cancelled while it waited was said to nobody: the one before it is still the last.
    of(&mut client, "pause", &id, &Value::Null);
    let unheard = send(&mut client, &id, "Unheard", &Value::Null);
    client.request("orgAgent/cancel", &json!({"turnId": unheard.turn}));
    of(&mut client, "pause", &id, &json!({"paused": false}));
    let first = with(&id, &json!({"messageId": sent.event}));
    assert_eq!(client.request("orgAgent/sessions/variants", &first)["last"], true);
    model.reply_with(&insert("Done again."));
    let answer = client.request("orgAgent/sessions/regenerate", &first);
    client.turn(&word(&answer["turnId"]));
    assert_eq!(model.take_request_blocking().messages()[1..], [("user".to_owned(), "Try".to_owned())]);
    let done = client.request("orgAgent/sessions/variants", &first)["items"][1]["turnId"].clone();
    of(&mut client, "choose", &id, &json!({"turnId": done}));
    assert_eq!(texts(&mut client, &id), ["Try", "Done.", "Unheard"]);

    // One that waited when it was cancelled was never seen by the model.
    of(&mut client, "pause", &id, &Value::Null);
    let waiting = send(&mut client, &id, "Wait", &Value::Null);
    let busy = refused(&mut client, "regenerate", &with(&id, &Value::Null));
    assert_eq!(busy, "conflict");
    client.request("orgAgent/cancel", &json!({"turnId": waiting.turn}));
    of(&mut client, "pause", &id, &json!({"paused": false}));
    let (_, shown) = again((&mut client, &model), &id, "Waited.");
    assert_eq!(shown.last().unwrap(), &("user".to_owned(), "Wait".to_owned()));
    assert_eq!(texts(&mut client, &id), ["Try", "Done.", "Unheard", "Wait", "Waited."]);
    // It is history like any other from then on, also for who reads it anew.
    client.kill();
    let mut client = asking(&model, home.path());
    let (_, shown) = asked((&mut client, &model), &id, "Last", "Lasted.");
    let shown: Vec<&str> =
        shown.iter().map(|(_, text)| text.as_str()).filter(|text| !text.starts_with('(')).collect();
    assert_eq!(shown, ["Try", "Wait", "Last"]);
    client.kill();
    sound(home.path());
}

#[test]
fn a_server_that_dies_leaves_the_choice_and_the_turn_to_the_next() {
    let (home, model) = (home(), FakeModel::start());
    let mut client = asking(&model, home.path());
    let (one, first) = asked((&mut client, &model), "", "Name a river", "One.");
    let id = one.session.clone();
    of(&mut client, "pause", &id, &Value::Null);
    let answer = of(&mut client, "regenerate", &id, &Value::Null);
    client.kill();
    let mut client = asking(&model, home.path());
    assert_eq!(variants(&mut client, &id), ["One.", "[]"]);
    assert!(org(&mut client, &id).ends_with("\nName a river\n"));
    model.reply_with(&insert("Two."));
    of(&mut client, "pause", &id, &json!({"paused": false}));
    client.turn(&word(&answer["turnId"]));
    assert_eq!(model.take_request_blocking().messages()[1..], first);
    assert_eq!(variants(&mut client, &id), ["One.", "[Two.]"]);
    // A client that has the first answer lacks the second.
    let found = of(&mut client, "resume", &id, &json!({"applied": []}));
    assert_eq!((&found["interrupted"], &found["actuations"]), (&json!([]), &json!([])));
    assert_eq!(found["missing"].as_array().unwrap().len(), 1);
    client.kill();
    sound(home.path());
}

#[test]
fn checkpoints_and_copies_have_the_answer_that_counted() {
    let (home, model) = (home(), FakeModel::start());
    let mut client = asking(&model, home.path());
    let (one, _) = asked((&mut client, &model), "", "Name a river", "One.");
    let id = one.session.clone();
    of(&mut client, "checkpoint", &id, &json!({"name": "one"}));
    again((&mut client, &model), &id, "Two.");
    of(&mut client, "checkpoint", &id, &json!({"name": "two"}));
    again((&mut client, &model), &id, "Three.");
    choose(&mut client, &id, 0);
    assert_eq!(variants(&mut client, &id), ["[One.]", "Two.", "Three."]);
    of(&mut client, "restore", &id, &json!({"name": "one"}));
    assert_eq!(variants(&mut client, &id), ["[One.]"]);
    of(&mut client, "restore", &id, &json!({"name": "two"}));
    assert_eq!(variants(&mut client, &id), ["One.", "[Two.]"]);
    assert!(org(&mut client, &id).ends_with("\nTwo.\n"));
    assert_eq!(get(&mut client, &id)["messages"], 2);
    of(&mut client, "restore", &id, &json!({"name": "before going back to one"}));
    assert_eq!(variants(&mut client, &id), ["[One.]", "Two.", "Three."]);

    // A copy has them all, and goes on by itself.
    choose(&mut client, &id, 1);
    let text = org(&mut client, &id);
    let copy = word(&of(&mut client, "fork", &id, &Value::Null)["id"]);
    assert_eq!(org(&mut client, &copy), text.replace(&id, &copy));
    assert_eq!(variants(&mut client, &copy), ["One.", "[Two.]", "Three."]);
    choose(&mut client, &copy, 2);
    assert_eq!(variants(&mut client, &id), ["One.", "[Two.]", "Three."]);
    // At the prompt it is unanswered, whichever answer counts.
    let copy = word(&of(&mut client, "fork", &id, &json!({"messageId": one.event}))["id"]);
    let found = of(&mut client, "resume", &copy, &Value::Null);
    assert_eq!(found["interrupted"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(texts(&mut client, &copy), ["Name a river"]);
    // At an answer that does not count there is nothing to copy.
    let found = of(&mut client, "variants", &id, &Value::Null);
    let hidden = json!({"messageId": found["items"][0]["texts"][0]["mark"]});
    assert_eq!(refused(&mut client, "fork", &with(&id, &hidden)), "not_found");
    of(&mut client, "delete", &id, &Value::Null);
    client.kill();
    sound(home.path());
}

#[test]
fn what_is_no_answer_cannot_be_chosen() {
    let home = home();
    let mut client = server(home.path());
    let one = say(&mut client, "", "echo: one");
    let empty = word(&of(&mut client, "create", "", &Value::Null)["id"]);
    let none = with(&empty, &Value::Null);
    assert_eq!(refused(&mut client, "regenerate", &none), "not_found");
    assert_eq!(refused(&mut client, "variants", &none), "not_found");
    for session in [&empty, &one.session] {
        let other = with(session, &json!({"turnId": "none"}));
        assert_eq!(refused(&mut client, "choose", &other), "not_found");
    }
    assert_eq!(refused(&mut client, "choose", &with(&empty, &json!({"turnId": one.turn}))), "not_found");
    // What counts already counts.
    let seq = get(&mut client, &one.session)["updatedAt"].clone();
    choose(&mut client, &one.session, 0);
    assert_eq!(get(&mut client, &one.session)["updatedAt"], seq);
    client.kill();
    sound(home.path());
}

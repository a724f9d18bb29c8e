//! Dry runs: what they show is what is sent afterwards, and they leave no trace.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::fake_model::FakeModel;
use crate::scene::Scene;
use crate::{KEY, command, insert, variables};

/// A server whose user has a note of this name with this code.
fn scene(name: &str, code: &str) -> (Scene, TempDir) {
    let home = tempfile::tempdir().unwrap();
    if !name.is_empty() {
        fs::create_dir_all(home.path().join("skills")).unwrap();
        let text = format!(
            ":PROPERTIES:\n:ID: {name}-1\n:END:\n#+TITLE: SKILL: {name}\n#+FILETAGS: :skill:\n\nSay it in *rhymes*.\n\n\
             #+begin_src lisp\n{code}\n#+end_src\n"
        );
        fs::write(home.path().join(format!("skills/{name}.org")), text).unwrap();
    }
    let model = FakeModel::start();
    let client = Client::new_in(home.path(), &variables(&model.base_url(), &[]));
    (Scene::of(model, client), home)
}

fn dry(scene: &mut Scene, params: &Value) -> Value {
    scene.request("orgAgent/dryRun", params).unwrap()
}

fn pairs(messages: &Value) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    messages.as_array().unwrap().iter().map(|item| (word(&item["role"]), word(&item["text"]))).collect()
}

/// Rehearses what is said then; the answer, after it was seen that the model is sent just that.
#[track_caller]
fn rehearsed(scene: &mut Scene, session: &str, text: &str, reply: &str) -> (Value, Value) {
    let mut params = json!({"sensor": "chat-message", "clientId": text, "text": text});
    if !session.is_empty() {
        params["sessionId"] = session.into();
    }
    let before = scene.request("orgAgent/sessions/list", &json!({})).unwrap();
    let shown = dry(scene, &params);
    assert_eq!(dry(scene, &params), shown);
    assert_eq!(scene.request("orgAgent/sessions/list", &json!({})).unwrap(), before);
    scene.model.reply_with(reply);
    let receipt = scene.event(&params);
    scene.end(receipt["turnId"].as_str().unwrap());
    let sent = scene.model.take_request_blocking().messages();
    let first = &shown["asksFirst"]["messages"];
    assert_eq!(pairs(if first.is_null() { &shown["messages"] } else { first }), sent);
    (shown, receipt)
}

#[test]
fn what_is_shown_is_what_is_sent() {
    let (mut scene, _home) = scene("", "");
    let (shown, receipt) = rehearsed(&mut scene, "", "What is a fold?", &insert("A function."));
    assert_eq!((&shown["sessionId"], &shown["model"]), (&Value::Null, &json!("fake-model")));
    assert_eq!((&shown["waits"], &shown["cost"], &shown["problem"]), (&json!(0), &Value::Null, &Value::Null));
    assert_eq!(shown["history"], json!({"shown": 1, "summarised": 0, "leftOut": []}));
    assert!(shown["tokens"]["tokens"].as_u64().unwrap() > 300, "{}", shown["tokens"]);
    let session = receipt["sessionId"].as_str().unwrap();
    let (shown, _) = rehearsed(&mut scene, session, "And a map?", &insert("Another."));
    assert_eq!((&shown["sessionId"], &shown["history"]["shown"]), (&json!(session), &json!(3)));

    // What was attached, what was edited, and secrets.
    let shown = dry(
        &mut scene,
        &json!({"text": format!("My key is {KEY}"), "sessionId": session, "format": "org",
            "context": [{"kind": "file", "name": "a.org", "text": "* Attached"}],
            "turnHashes": {receipt["eventId"].as_str().unwrap(): "0".repeat(64)}}),
    );
    assert_eq!(shown["edited"], json!([receipt["eventId"]]));
    let text = shown.to_string();
    assert!(text.contains("* Attached") && text.contains("My key is") && !text.contains(KEY), "{text}");
    let org = shown["org"].as_str().unwrap();
    assert!(org.starts_with("* Dry run “My key is"), "{org}");
    assert!(org.contains("\n,* Attached\n"), "{org}");
    let of_role = |role: &str| org.lines().filter(|line| line.ends_with(&format!("“{role}”"))).count();
    assert_eq!((of_role("system"), of_role("user"), of_role("assistant")), (1, 3, 2), "{org}");
    scene.finish();
}

#[test]
fn what_is_left_out_is_told() {
    let (mut scene, _home) = scene("", "");
    let long = "All about it. ".repeat(2_500);
    let mut session = String::new();
    for number in 1..3 {
        let text = format!("Question {number}: {long}");
        let params = json!({"sensor": "chat-message", "clientId": number.to_string(), "text": text, "sessionId":
            if session.is_empty() { Value::Null } else { session.clone().into() }});
        scene.model.reply_with(&insert("Yes."));
        let receipt = scene.event(&params);
        session = receipt["sessionId"].as_str().unwrap().to_owned();
        scene.end(receipt["turnId"].as_str().unwrap());
        drop(scene.model.take_request_blocking());
    }
    let shown = dry(&mut scene, &json!({"text": long.repeat(2), "sessionId": session}));
    // A summary would be asked for first, and the answer says so and shows it.
    assert_eq!(shown["asksFirst"]["why"], "summary");
    let first = shown["asksFirst"]["messages"].to_string();
    assert!(first.contains("You keep the minutes") && first.contains("Question 1"), "{first}");
    let left_out = shown["history"]["leftOut"].as_array().unwrap();
    assert!(left_out[0]["text"].as_str().unwrap().starts_with("Question 1: All about it."), "{left_out:?}");
    let counted = shown["history"]["shown"].as_u64().unwrap() as usize + left_out.len();
    assert_eq!(counted, 5, "{}", shown["history"]);
    // No model was asked for any of that.
    scene.finish();
}

#[test]
fn a_skill_plays_up_to_where_it_would_ask_the_model() {
    let poet = r#"(defskill :poet :priority 70 :trigger (lambda (event) event t) :neuro (lambda (event)
        (ask-neuro (format nil "Rhyme: ~a" (getf (getf event :payload) :text)) :system-prompt "You are a poet.")))"#;
    let (mut scene, _home) = scene("poet", poet);
    let (shown, _) = rehearsed(&mut scene, "", "on rivers", &insert("Quivers."));
    assert_eq!((&shown["skill"], &shown["asksFirst"]), (&json!("poet"), &Value::Null));
    assert_eq!(pairs(&shown["messages"])[1].1, "Rhyme: on rivers");
    scene.finish();
}

#[test]
fn a_skill_that_is_called_by_its_name_is_read() {
    let (mut scene, _home) = scene("rhymes", "(defskill :rhymes :description \"Verse.\")");
    let (shown, receipt) = rehearsed(&mut scene, "", "/rhymes on lakes", &insert("Wakes."));
    assert!(shown["messages"].to_string().contains("Say it in *rhymes*."), "{shown}");
    let (shown, _) = rehearsed(
        &mut scene,
        receipt["sessionId"].as_str().unwrap(),
        "/rhymes on rivers",
        &insert("Quivers."),
    );
    assert_eq!(shown["messages"].to_string().matches("Say it in *rhymes*.").count(), 1, "{shown}");
    let (shown, _) = rehearsed(&mut scene, "", "/none such", &insert("What?"));
    assert!(pairs(&shown["messages"]).last().unwrap().1.ends_with("/none such"), "{shown}");
    scene.finish();
}

#[test]
fn a_skill_that_asks_first_is_named_with_its_question() {
    let asks = r#"(defskill :asks :priority 70 :trigger (lambda (event) event t) :neuro (lambda (event) event
        (ask-neuro (concatenate 'string "Now: " (ask-neuro "Which?")))))"#;
    let (mut scene, _home) = scene("asks", asks);
    let shown = dry(&mut scene, &json!({"text": "Go", "format": "org"}));
    assert_eq!(shown["asksFirst"]["why"], "skill");
    assert_eq!((&shown["asksFirst"]["skill"], &shown["messages"]), (&json!("asks"), &json!([])));
    assert_eq!(pairs(&shown["asksFirst"]["messages"]), [("user".to_owned(), "Which?".to_owned())]);
    assert!(shown["org"].as_str().unwrap().contains("its program asks the model"), "{shown}");
    // And so it is.
    scene.model.reply_with("This one.");
    scene.model.reply_with(&insert("Done."));
    let turn = scene.say("Go");
    scene.end(&turn);
    assert_eq!(scene.model.take_request_blocking().messages(), pairs(&shown["asksFirst"]["messages"]));
    drop(scene.model.take_request_blocking());
    scene.finish();
}

#[test]
fn a_skill_that_answers_itself_or_fails_is_told() {
    for (neuro, speaks) in [(insert("Said."), true), (String::new(), false)] {
        let value = if speaks { format!("{neuro:?}") } else { "(error \"no rhyme\")".to_owned() };
        let code = format!(
            "(defskill :own :priority 70 :trigger (lambda (event) event t) :neuro (lambda (event) event {value}))"
        );
        let (mut scene, _home) = scene("own", &code);
        let shown = dry(&mut scene, &json!({"text": "Go", "format": "org"}));
        assert_eq!(shown["messages"], json!([]), "{shown}");
        assert_eq!(shown["speaks"], if speaks { json!("own") } else { Value::Null });
        assert_eq!(shown["problem"]["message"].as_str().is_some_and(|why| why.contains("no rhyme")), !speaks);
        scene.finish();
    }
}

#[test]
fn turns_that_come_first_are_counted_and_what_is_wrong_is_refused() {
    let (mut scene, _home) = scene("", "");
    scene.model.reply_with(&command("make"));
    let turn = scene.say("Build it");
    let question = scene.wait(&turn, "run ");
    let waiting = scene.say("Then rest");
    let shown = dry(&mut scene, &json!({"text": "And then?"}));
    assert_eq!(shown["waits"], 2);
    for (params, code) in [
        (json!({"text": ""}), "bad_request"),
        (json!({"text": "x", "format": "html"}), "bad_request"),
        (json!({"text": "x", "sessionId": "none"}), "not_found"),
    ] {
        let error = scene.request("orgAgent/dryRun", &params).unwrap_err();
        assert_eq!(error["data"]["code"], code, "{params}");
    }
    scene.model.reply_with(&insert("Not built."));
    scene.model.reply_with(&insert("Resting."));
    scene.decide(&question, &json!({"choice": "deny"})).unwrap();
    for turn in [turn, waiting] {
        scene.end(&turn);
    }
    for _ in 0..3 {
        drop(scene.model.take_request_blocking());
    }
    scene.finish();
}

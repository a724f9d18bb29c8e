//! Prompts: text streams, turns end, are cancelled, fail and are refused.

use std::fs;

use serde_json::{Value, json};

use crate::client::{Place, chunks, environment, said, stop_reason, updates};
use crate::fake_model::{FakeModel, Gate, Reply};
use crate::{client::Client, insert};

#[test]
fn a_prompt_streams_and_ends() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    let gate = Gate::new();
    let text = insert("The first paragraph is here.\n\nThe *second* one has `code` and =verbatim=.");
    let (head, tail) = text.split_at(text.find("second").unwrap());
    let reply =
        Reply::stream().pieces(head, 5).wait(&gate).pieces(tail, 5).finish("stop").usage(7, 11).done();
    model.push(reply);
    let id = client.prompt(&session, "Hello");
    // Some of it is shown before all of it is there.
    let mut messages = client.until(|message| message["params"]["update"]["content"]["text"].is_string());
    assert!(said(&messages).starts_with("The"), "{messages:?}");
    gate.open();
    messages.extend(client.answered(id));
    assert_eq!(
        said(&messages),
        "The first paragraph is here.\n\nThe **second** one has `code` and `verbatim`."
    );
    let answer = messages.last().unwrap();
    assert_eq!(answer["result"]["stopReason"], "end_turn");
    assert_eq!(answer["result"]["usage"], json!({"totalTokens": 18, "inputTokens": 7, "outputTokens": 11}));
    let titles = updates(&messages, "session_info_update");
    assert_eq!(titles.len(), 1);
    assert_eq!(titles[0]["title"], "Hello");
    let request = model.take_request_blocking();
    assert!(request.messages().last().unwrap().1.contains("Hello"));
    assert!(client.finish().success());
}

#[test]
fn a_client_gets_the_format_that_it_or_the_user_asks_for() {
    let reply = "* A heading\n\nSome *bold* words.";
    let as_org = json!({"_meta": {"orgAgent": {"format": "org"}}});
    let as_markdown = json!({"_meta": {"orgAgent": {"format": "markdown"}}});
    for (name, capabilities, arguments, is_org) in [
        ("agent-shell", json!({}), &[][..], false),
        ("an editor", as_org.clone(), &[], true),
        ("Emacs", as_markdown, &[], false),
        ("an editor", json!({}), &[], false),
        // What the user says counts more.
        ("an editor", as_org, &["--format", "markdown"], false),
        ("an editor", json!({}), &["--format", "org"], true),
    ] {
        let (place, model) = (Place::new(), FakeModel::start());
        let mut client = Client::start_with(place.home.path(), &environment(&model), arguments);
        client.introduce(name, &capabilities);
        let session = client.session(&place.cwd());
        model.reply_with(&insert(reply));
        let text = said(&client.turn(&session, "Hello"));
        model.take_request_blocking();
        assert_eq!(text.contains("*** A heading\n\nSome *bold* words."), is_org, "{name}: {text}");
        assert_eq!(text.contains("## A heading\n\nSome **bold** words."), !is_org, "{name}: {text}");
    }
}

#[test]
fn a_cancelled_turn_answers_cancelled() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    let text = insert("Some words that are shown and more");
    model.push(Reply::stream().pieces(text.strip_suffix("\"))").unwrap(), 5).stall());
    let first = client.prompt(&session, "Hello");
    client.until(|message| message["params"]["update"]["content"]["text"].is_string());
    // One that waits is cancelled with it.
    let second = client.prompt(&session, "And then?");
    client.notify("session/cancel", &json!({"sessionId": session}));
    let mut messages = client.until(|message| message["id"] == first || message["id"] == second);
    messages.extend(client.until(|message| message["id"] == first || message["id"] == second));
    let reasons: Vec<&Value> =
        messages.iter().map(|message| &message["result"]["stopReason"]).filter(|it| it.is_string()).collect();
    assert_eq!(reasons, [&json!("cancelled"), &json!("cancelled")], "{messages:?}");
    assert!(said(&messages).contains("The text above was taken back"), "{messages:?}");
    model.take_request_blocking().closed_blocking();
    // The session goes on.
    model.reply_with(&insert("Back again."));
    let messages = client.turn(&session, "Once more");
    assert_eq!((said(&messages).as_str(), stop_reason(&messages)), ("Back again.", "end_turn"));
    model.take_request_blocking();
}

#[test]
fn a_prompt_can_be_cancelled_by_its_request() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    model.push(Reply::stream().stall());
    let id = client.prompt(&session, "Hello");
    let request = model.take_request_blocking();
    client.notify("$/cancel_request", &json!({"requestId": id}));
    assert_eq!(stop_reason(&client.answered(id)), "cancelled");
    request.closed_blocking();
}

#[test]
fn prompts_wait_for_each_other() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    let gate = Gate::new();
    model.push(Reply::stream().wait(&gate).pieces(&insert("One."), 5).finish("stop").done());
    model.reply_with(&insert("Two."));
    let first = client.prompt(&session, "1");
    let second = client.prompt(&session, "2");
    gate.open();
    assert_eq!(said(&client.answered(first)), "One.");
    assert_eq!(said(&client.answered(second)), "Two.");
    model.take_request_blocking();
    model.take_request_blocking();
}

#[test]
fn what_was_shown_of_a_rejected_reply_is_taken_back() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    let (text, gate) = (insert("This is shown first.\\n\\nAnd this."), Gate::new());
    let reply = Reply::stream().pieces(&text, 5).wait(&gate).text(" and more").finish("stop").done();
    model.push(reply);
    model.reply_with(&insert("This stands."));
    let id = client.prompt(&session, "Hello");
    let mut messages = client.until(|message| said(std::slice::from_ref(message)).contains("And"));
    gate.open();
    messages.extend(client.answered(id));
    let text = said(&messages);
    assert!(text.starts_with("This is shown first."), "{text}");
    assert!(text.contains("[The text above was taken back and is no part of the session: "), "{text}");
    assert!(text.ends_with("\n\nThis stands."), "{text}");
    // Another attempt is another message.
    let mut names: Vec<&str> = updates(&messages, "agent_message_chunk")
        .iter()
        .map(|update| update["messageId"].as_str().unwrap())
        .collect();
    names.dedup();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(stop_reason(&messages), "end_turn");
    model.take_request_blocking();
    model.take_request_blocking();
}

#[test]
fn a_failed_turn_says_why() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    model.push(Reply::page(401, "application/json", r#"{"error": {"message": "no such key"}}"#));
    let messages = client.turn(&session, "Hello");
    assert!(said(&messages).contains("System Error"), "{messages:?}");
    assert_eq!(stop_reason(&messages), "end_turn");
    model.take_request_blocking();
}

#[test]
fn a_gate_that_says_no_is_a_refusal() {
    let (place, model) = (Place::new(), FakeModel::start());
    let skills = place.home.path().join("skills");
    fs::create_dir_all(&skills).unwrap();
    let note = r#":PROPERTIES:
:ID: 5d0a6f0e-7a51-4d53-8c4e-0a2b6f3f9c11
:END:
#+title: No
#+begin_src lisp
(defskill :no
  :priority 90
  :trigger (lambda (context) (equal (getf (getf context :payload) :sensor) :chat-message))
  :symbolic (lambda (action context) nil))
#+end_src
"#;
    fs::write(skills.join("no.org"), note).unwrap();
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    model.reply_with(&insert("Never seen."));
    let messages = client.turn(&session, "Hello");
    model.take_request_blocking();
    assert_eq!(stop_reason(&messages), "refusal", "{messages:?}");
    assert!(said(&messages).contains("refused"), "{messages:?}");
}

#[test]
fn thoughts_are_shown_as_such() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    let thought = json!({"choices": [{"index": 0, "delta": {"reasoning_content": "Let me see"}}]});
    model.push(Reply::stream().event(&thought).pieces(&insert("Yes."), 5).finish("stop").done());
    let messages = client.turn(&session, "Hello");
    model.take_request_blocking();
    assert_eq!(chunks(&messages, "agent_thought_chunk").concat(), "Let me see");
    assert_eq!(said(&messages), "Yes.");
}

#[test]
fn what_is_attached_and_named_reaches_the_model() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = Client::start(place.home.path(), &environment(&model));
    client.initialize(&json!({"fs": {"readTextFile": true}}));
    let cwd = place.cwd();
    let session = client.session(&cwd);
    let uri = |name: &str| format!("file://{}", cwd.join(name).display());
    let id = client.ask(
        "session/prompt",
        &json!({"sessionId": session, "prompt": [
            {"type": "text", "text": "Compare "},
            {"type": "resource", "resource": {"uri": uri("a.txt"), "text": "words of a\n"}},
            {"type": "text", "text": " and "},
            {"type": "resource_link", "name": "b", "uri": uri("b.txt")},
            {"type": "resource_link", "name": "c", "uri": uri("c.txt")},
        ]}),
    );
    let first = client.asked("fs/read_text_file").pop().unwrap();
    let second = client.asked("fs/read_text_file").pop().unwrap();
    assert_eq!(first["params"]["path"], json!(cwd.join("b.txt")));
    model.reply_with(&insert("Done."));
    client.send(
        &json!({"jsonrpc": "2.0", "id": second["id"], "error": {"code": -32002, "message": "no such file"}}),
    );
    client.answer(&first, &json!({"content": "words of b\n"}));
    assert_eq!(said(&client.answered(id)), "Done.");
    let said = model.take_request_blocking().messages().last().unwrap().1.clone();
    for words in ["words of a", "words of b", "Compare a.txt and b.txtc.txt"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn what_no_model_can_be_sent_is_refused() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    for prompt in [
        json!([]),
        json!([{"type": "text", "text": "  "}]),
        json!([{"type": "image", "mimeType": "image/png", "data": ""}]),
        json!([{"type": "text", "text": "x".repeat(1_100_000)}]),
        json!("text"),
    ] {
        let error = client.refused("session/prompt", &json!({"sessionId": session, "prompt": prompt}));
        assert_eq!(error["code"], -32602, "{error}");
    }
    let error = client.refused("session/prompt", &json!({"sessionId": "none", "prompt": []}));
    assert_eq!(error["code"], -32002, "{error}");
}

//! Commands: asked about, run, denied, cancelled, remembered, run unasked, and not run at all.

use std::fs;

use serde_json::{Value, json};

use crate::client::{Client, Place, said, stop_reason, updates};
use crate::fake_model::{FakeModel, Gate, Reply};
use crate::{command, insert};

/// A client whose model proposed `cmd`, with the request and the question.
fn proposed(place: &Place, model: &FakeModel, cmd: &str) -> (Client, String, u64, Value) {
    let mut client = place.client(model);
    let session = client.session(&place.cwd());
    model.reply_with(&command(cmd));
    let id = client.prompt(&session, "Do it");
    let mut messages = client.asked("session/request_permission");
    let question = messages.pop().unwrap();
    let calls = updates(&messages, "tool_call");
    assert_eq!(calls.len(), 1, "{messages:?}");
    assert_eq!(calls[0]["title"], cmd);
    assert_eq!(calls[0]["kind"], "execute");
    assert_eq!(calls[0]["toolCallId"], question["params"]["toolCall"]["toolCallId"]);
    assert_eq!(question["params"]["sessionId"], json!(session));
    model.take_request_blocking();
    (client, session, id, question)
}

/// The names of a question's options, by their kinds.
fn kinds(question: &Value) -> Vec<(&str, &str)> {
    let options = question["params"]["options"].as_array().unwrap();
    options
        .iter()
        .map(|option| (option["optionId"].as_str().unwrap(), option["kind"].as_str().unwrap()))
        .collect()
}

/// How the client was told that a command ended.
fn ending(messages: &[Value]) -> &Value {
    updates(messages, "tool_call_update").pop().expect("the command ended")
}

#[test]
fn a_command_that_is_allowed_runs() {
    let (place, model) = (Place::new(), FakeModel::start());
    let (mut client, _, id, question) = proposed(&place, &model, "touch made && echo out && echo err >&2");
    let kinds = kinds(&question);
    assert_eq!(kinds.first(), Some(&("run", "allow_once")));
    assert!(
        kinds.contains(&("deny", "reject_once")) && kinds.contains(&("cancel", "reject_always")),
        "{kinds:?}"
    );
    assert_eq!(question["params"]["toolCall"]["rawInput"]["cwd"], json!(place.cwd()));
    model.reply_with(&insert("It is made."));
    client.choose(&question, "run");
    let messages = client.answered(id);
    let states: Vec<&str> = updates(&messages, "tool_call_update")
        .iter()
        .filter_map(|update| update["status"].as_str())
        .collect();
    assert_eq!(states, ["in_progress", "completed"], "{messages:?}");
    let shown = ending(&messages)["content"].to_string();
    assert!(shown.contains("out\\n```") && shown.contains("err\\n```"), "{shown}");
    assert_eq!(ending(&messages)["rawOutput"]["exitCode"], 0);
    assert_eq!(said(&messages), "It is made.");
    assert!(place.cwd().join("made").exists());
    let told = model.take_request_blocking().messages().pop().unwrap().1;
    assert!(told.contains("out"), "{told}");
}

#[test]
fn a_command_that_is_denied_does_not_run() {
    let (place, model) = (Place::new(), FakeModel::start());
    for answer in [
        json!({"result": {"outcome": {"outcome": "selected", "optionId": "deny"}}}),
        json!({"result": {"outcome": {"outcome": "selected", "optionId": "yes, please"}}}),
        json!({"result": {"outcome": "run"}}),
        json!({"result": null}),
        json!({"error": {"code": -32601, "message": "no such method"}}),
    ] {
        let (mut client, _, id, question) = proposed(&place, &model, "touch never");
        model.reply_with(&insert("As you wish."));
        let mut answer = answer;
        answer["jsonrpc"] = "2.0".into();
        answer["id"] = question["id"].clone();
        client.send(&answer);
        let messages = client.answered(id);
        assert_eq!(ending(&messages)["status"], "failed", "{messages:?}");
        assert_eq!((said(&messages).as_str(), stop_reason(&messages)), ("As you wish.", "end_turn"));
        assert!(!place.cwd().join("never").exists());
        model.take_request_blocking();
    }
}

#[test]
fn a_question_ends_with_its_turn() {
    let (place, model) = (Place::new(), FakeModel::start());
    for way in ["cancelled", "cancel", "session/cancel"] {
        let (mut client, session, id, question) = proposed(&place, &model, "touch never");
        match way {
            "cancelled" => client.answer(&question, &json!({"outcome": {"outcome": "cancelled"}})),
            "cancel" => client.choose(&question, "cancel"),
            _ => client.notify("session/cancel", &json!({"sessionId": session})),
        }
        let messages = client.answered(id);
        assert_eq!(stop_reason(&messages), "cancelled", "{way}");
        assert_eq!(ending(&messages)["status"], "failed", "{way}: {messages:?}");
        // An answer that comes late runs nothing.
        client.choose(&question, "run");
        model.reply_with(&insert("Hello."));
        assert_eq!(said(&client.turn(&session, "Hi")), "Hello.");
        assert!(!place.cwd().join("never").exists());
        model.take_request_blocking();
    }
}

#[test]
fn what_runs_is_stopped_with_its_turn_and_its_output_is_live() {
    let (place, model) = (Place::new(), FakeModel::start());
    let (mut client, session, id, question) = proposed(&place, &model, "echo begun; sleep 600; touch never");
    client.choose(&question, "run");
    client.until(|message| message["params"]["update"]["content"].to_string().contains("begun"));
    client.notify("session/cancel", &json!({"sessionId": session}));
    let messages = client.answered(id);
    assert_eq!(stop_reason(&messages), "cancelled");
    assert_eq!(ending(&messages)["status"], "failed");
    assert!(client.finish().success());
    assert!(!place.cwd().join("never").exists());
}

#[test]
fn what_is_always_allowed_is_not_asked_again() {
    let (place, model) = (Place::new(), FakeModel::start());
    let (mut client, session, id, question) = proposed(&place, &model, "touch made");
    let always =
        question["params"]["options"].as_array().unwrap().iter().find(|it| it["optionId"] == "always");
    let always = always.expect("it can be remembered");
    assert_eq!(always["kind"], "allow_always");
    assert!(always["name"].as_str().unwrap().contains("touch"), "{always}");
    model.reply_with(&insert("Made."));
    client.choose(&question, "always");
    client.answered(id);
    model.take_request_blocking();
    fs::remove_file(place.cwd().join("made")).unwrap();
    model.reply_with(&command("touch made"));
    model.reply_with(&insert("Made again."));
    let messages = client.turn(&session, "Again");
    assert!(messages.iter().all(|message| message["method"] != "session/request_permission"), "{messages:?}");
    assert_eq!(updates(&messages, "tool_call").len(), 1);
    assert_eq!(ending(&messages)["status"], "completed");
    assert!(place.cwd().join("made").exists());
    model.take_request_blocking();
    model.take_request_blocking();
}

#[test]
fn what_only_reads_runs_unasked_and_is_shown() {
    let (place, model) = (Place::new(), FakeModel::start());
    fs::write(place.cwd().join("note"), "the words of the note\n").unwrap();
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    model.reply_with(&command("cat note"));
    model.reply_with(&insert("I read it."));
    let messages = client.turn(&session, "Read the note");
    assert_eq!(updates(&messages, "tool_call").len(), 1);
    assert!(ending(&messages)["content"].to_string().contains("the words of the note"), "{messages:?}");
    assert_eq!(said(&messages), "I read it.");
    model.take_request_blocking();
    model.take_request_blocking();
}

#[test]
fn a_skill_that_is_called_is_a_command_and_shown() {
    let (place, model) = (Place::new(), FakeModel::start());
    let skill = place.home.path().join("skills/rhyme");
    fs::create_dir_all(&skill).unwrap();
    let text = "---\nname: rhyme\ndescription: Writes verses.\n---\nSay it in rhymes.\n";
    fs::write(skill.join("SKILL.md"), text).unwrap();
    let mut client = place.client(&model);
    client.ask("session/new", &json!({"cwd": place.cwd(), "mcpServers": []}));
    let messages = client.until(|message| crate::client::is_update(message, "available_commands_update"));
    let commands = &updates(&messages, "available_commands_update")[0]["availableCommands"];
    assert_eq!(commands[0]["name"], "rhyme", "{commands}");
    assert_eq!(commands[0]["description"], "Writes verses.");
    let session = messages[0]["result"]["sessionId"].as_str().unwrap().to_owned();
    model.push(Reply::stream().wait(&Gate::new()));
    let id = client.prompt(&session, "/rhyme about bread");
    let told = model.take_request_blocking();
    assert!(
        told.messages().iter().any(|(_, text)| text.contains("Say it in rhymes.")),
        "{:?}",
        told.messages()
    );
    client.notify("session/cancel", &json!({"sessionId": session}));
    let messages = client.answered(id);
    let calls = updates(&messages, "tool_call");
    assert_eq!(calls[0]["title"], "Skill rhyme", "{messages:?}");
    assert_eq!((&calls[0]["kind"], &calls[0]["status"]), (&json!("read"), &json!("completed")));
    let id = client.ask("session/load", &json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []}));
    let messages = client.answered(id);
    assert_eq!(updates(&messages, "tool_call")[0]["title"], "Skill rhyme", "{messages:?}");
    // Another skill is told of when it is there.
    let other = place.home.path().join("skills/prose");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("SKILL.md"), text.replace("rhyme", "prose")).unwrap();
    // What the client was told when it loaded the session may come first.
    client.until(|message| {
        crate::client::is_update(message, "available_commands_update")
            && message.to_string().contains("prose")
    });
}

#[test]
fn a_command_that_is_asked_about_ends_with_its_session() {
    for method in ["session/close", "session/delete"] {
        let (place, model) = (Place::new(), FakeModel::start());
        let (mut client, session, id, question) = proposed(&place, &model, "touch never");
        let over = client.ask(method, &json!({"sessionId": session}));
        let mut messages = client.answered(id);
        assert_eq!(stop_reason(&messages), "cancelled", "{method}");
        assert_eq!(ending(&messages)["status"], "failed", "{method}: {messages:?}");
        messages.extend(client.answered(over));
        let answer = messages.last().unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer}");
        // An answer that comes late runs nothing.
        client.choose(&question, "run");
        let call = &question["params"]["toolCall"]["toolCallId"];
        if method == "session/close" {
            let why = client.request("_orgAgent/why", &json!({"toolCallId": call, "format": "org"}));
            let org = why["org"].as_str().unwrap();
            assert!(org.contains("cancelled before it ran"), "{org}");
            assert_eq!(why["state"], "cancelled", "{why}");
            // Nothing is left of it: another server can have it.
            let mut other = place.client(&model);
            let params = json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []});
            other.request("session/load", &params);
        } else {
            client.refused("_orgAgent/why", &json!({"toolCallId": call}));
        }
        assert!(client.finish().success());
        assert!(!place.cwd().join("never").exists());
    }
}

#[test]
fn a_yes_that_comes_too_late_runs_nothing() {
    for (first, why) in [
        ("session/close", "the session is not open"),
        ("session/cancel", "the turn was cancelled"),
        ("session/set_mode", "the user chose that"),
    ] {
        let (place, model) = (Place::new(), FakeModel::start());
        let (mut client, session, id, question) = proposed(&place, &model, "touch never");
        model.reply_with(&insert("Then not."));
        // In one piece: the kernel has not answered to the prompt when the turns are to stop, so none is cancelled yet.
        let prompt = json!([{"type": "text", "text": "2"}]);
        let mut lines = vec![
            json!({"jsonrpc": "2.0", "id": "f", "method": first, "params": {"sessionId": session, "modeId": "talk"}}),
            json!({"jsonrpc": "2.0", "id": question["id"],
                "result": {"outcome": {"outcome": "selected", "optionId": "run"}}}),
        ];
        if first == "session/cancel" {
            lines[0].as_object_mut().unwrap().remove("id");
        }
        if first != "session/set_mode" {
            let params = json!({"sessionId": session, "prompt": prompt});
            lines.insert(
                0,
                json!({"jsonrpc": "2.0", "id": "p", "method": "session/prompt", "params": params}),
            );
        }
        client.send_raw(lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        let messages = client.answered(id);
        assert_eq!(ending(&messages)["status"], "failed", "{first}: {messages:?}");
        let call = &question["params"]["toolCall"]["toolCallId"];
        let found = client.request("_orgAgent/why", &json!({"toolCallId": call, "format": "org"}));
        let org = found["org"].as_str().unwrap();
        assert!(org.contains(why) && !org.contains("the user said run"), "{first}: {org}");
        assert!(client.finish().success());
        assert!(!place.cwd().join("never").exists(), "{first}");
        model.forget();
    }
}

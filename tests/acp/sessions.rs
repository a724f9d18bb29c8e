//! Sessions: listed, loaded, resumed, let go, copied, deleted, explained, and in use elsewhere.

use std::fs;

use serde_json::{Value, json};

use crate::client::{Place, chunks, is_update, said, stop_reason, updates};
use crate::fake_model::{FakeModel, Gate, Reply};
use crate::{command, insert};

fn listed(answer: &Value) -> Vec<&str> {
    let sessions = answer["sessions"].as_array().unwrap();
    sessions.iter().map(|session| session["sessionId"].as_str().unwrap()).collect()
}

#[test]
fn a_session_is_listed_and_told_again_by_another_server() {
    let (place, model) = (Place::new(), FakeModel::start());
    let cwd = place.cwd();
    fs::write(cwd.join("note"), "the words of the note\n").unwrap();
    let mut client = place.client(&model);
    let empty = client.session(&cwd);
    let session = client.session(&cwd);
    model.reply_with(&command("cat note"));
    model.reply_with(&insert("I read *it*."));
    client.turn(&session, "Read the note");
    model.take_request_blocking();
    model.take_request_blocking();
    assert!(client.finish().success());

    let mut client = place.client(&model);
    let answer = client.request("session/list", &json!({"cwd": cwd}));
    assert_eq!(listed(&answer), [session.as_str()], "{empty} is empty");
    assert_eq!(answer["sessions"][0]["title"], "Read the note");
    assert_eq!(answer["sessions"][0]["cwd"], json!(cwd));
    assert_eq!(listed(&client.request("session/list", &json!({}))), [session.as_str()]);
    assert!(listed(&client.request("session/list", &json!({"cwd": "/elsewhere"}))).is_empty());
    client.refused("session/list", &json!({"cursor": "nonsense"}));

    let id = client.ask("session/load", &json!({"sessionId": session, "cwd": cwd, "mcpServers": []}));
    let messages = client.answered(id);
    assert_eq!(chunks(&messages, "user_message_chunk"), ["Read the note"]);
    assert_eq!(said(&messages), "I read **it**.");
    let calls = updates(&messages, "tool_call");
    assert_eq!(calls.len(), 1);
    assert_eq!((&calls[0]["title"], &calls[0]["status"]), (&json!("cat note"), &json!("completed")));
    assert!(calls[0]["content"].to_string().contains("the words of the note"));
    assert_eq!(messages.last().unwrap()["result"]["modes"]["currentModeId"], "ask");
    // It goes on with what was said.
    model.reply_with(&insert("You are welcome."));
    assert_eq!(said(&client.turn(&session, "Thanks")), "You are welcome.");
    let prompt = model.take_request_blocking().messages();
    assert!(prompt.iter().any(|(_, text)| text.contains("I read *it*.")), "{prompt:?}");
}

#[test]
fn a_resumed_session_is_not_told_again() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    model.reply_with(&insert("One."));
    client.turn(&session, "1");
    model.take_request_blocking();
    // In the middle of the next turn the server is killed.
    model.push(Reply::stream().text("(:type :response :payload (:text \"Two words ").stall());
    client.prompt(&session, "2");
    let request = model.take_request_blocking();
    client.until(|message| is_update(message, "agent_message_chunk"));
    client.kill();
    request.closed_blocking();
    let mut client = place.client(&model);
    let id =
        client.ask("session/resume", &json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []}));
    let messages = client.answered(id);
    assert!(chunks(&messages, "user_message_chunk").is_empty(), "{messages:?}");
    assert!(said(&messages).contains("cut off"), "{messages:?}");
    model.reply_with(&insert("Two."));
    let messages = client.turn(&session, "2, again");
    assert_eq!((said(&messages).as_str(), stop_reason(&messages)), ("Two.", "end_turn"));
    model.take_request_blocking();
}

#[test]
fn a_session_is_in_one_server_at_a_time() {
    let (place, model) = (Place::new(), FakeModel::start());
    let cwd = place.cwd();
    let mut first = place.client(&model);
    let session = first.session(&cwd);
    model.reply_with(&insert("One."));
    first.turn(&session, "1");
    model.take_request_blocking();
    let mut second = place.client(&model);
    let params = json!({"sessionId": session, "cwd": cwd, "mcpServers": []});
    for method in ["session/load", "session/resume"] {
        let error = second.refused(method, &params);
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains("is open in another server") && message.contains("close it there"),
            "{error}"
        );
    }
    first.request("session/close", &json!({"sessionId": session}));
    let error = first.refused("session/prompt", &json!({"sessionId": session, "prompt": []}));
    assert!(error["message"].as_str().unwrap().contains("is not open here"), "{error}");
    let id = second.ask("session/load", &params);
    assert_eq!(said(&second.answered(id)), "One.");
}

#[test]
fn closing_cancels_what_goes_on() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    model.push(Reply::stream().stall());
    let prompt = client.prompt(&session, "Hello");
    let request = model.take_request_blocking();
    let close = client.ask("session/close", &json!({"sessionId": session}));
    let mut messages = client.until(|message| message["id"] == prompt || message["id"] == close);
    messages.extend(client.until(|message| message["id"] == prompt || message["id"] == close));
    let answer = messages.iter().find(|message| message["id"] == prompt).unwrap();
    assert_eq!(answer["result"]["stopReason"], "cancelled");
    request.closed_blocking();
    // It can be opened again.
    client.request("session/resume", &json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []}));
}

#[test]
fn a_deleted_session_is_gone() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    model.reply_with(&insert("One."));
    client.turn(&session, "1");
    model.take_request_blocking();
    client.request("session/delete", &json!({"sessionId": session}));
    assert!(listed(&client.request("session/list", &json!({}))).is_empty());
    let params = json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []});
    assert_eq!(client.refused("session/load", &params)["code"], -32002);
    assert_eq!(client.refused("session/delete", &json!({"sessionId": session}))["code"], -32002);
}

#[test]
fn a_copy_goes_its_own_way() {
    let (place, model) = (Place::new(), FakeModel::start());
    let cwd = place.cwd();
    let mut client = place.client(&model);
    let session = client.session(&cwd);
    model.reply_with(&insert("One."));
    client.turn(&session, "1");
    model.take_request_blocking();
    let params = json!({"sessionId": session, "cwd": cwd, "mcpServers": []});
    let copy = client.request("session/fork", &params)["sessionId"].as_str().unwrap().to_owned();
    assert_ne!(copy, session);
    model.reply_with(&insert("Two."));
    assert_eq!(said(&client.turn(&copy, "2")), "Two.");
    let prompt = model.take_request_blocking().messages();
    assert!(prompt.iter().any(|(_, text)| text.contains("One.")), "{prompt:?}");
    // The same up to a message, by the extension.
    let id = client.ask("session/load", &json!({"sessionId": copy, "cwd": cwd, "mcpServers": []}));
    let messages = client.answered(id);
    let first = updates(&messages, "agent_message_chunk")[0]["messageId"].clone();
    let params = json!({"sessionId": copy, "messageId": first, "title": "Another way"});
    let made = client.request("_orgAgent/fork", &params);
    assert_eq!((&made["title"], &made["forkedFrom"]), (&json!("Another way"), &json!(copy)));
    let id =
        client.ask("session/load", &json!({"sessionId": made["sessionId"], "cwd": cwd, "mcpServers": []}));
    assert_eq!(said(&client.answered(id)), "One.");
    client.refused("_orgAgent/fork", &json!({"sessionId": "none"}));
}

#[test]
fn what_is_behind_a_turn_and_a_tool_call_can_be_asked() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    model.reply_with(&command("ls"));
    model.reply_with(&insert("Listed."));
    let messages = client.turn(&session, "List");
    model.take_request_blocking();
    model.take_request_blocking();
    let call = updates(&messages, "tool_call")[0]["toolCallId"].clone();
    let why = client.request("_orgAgent/why", &json!({"toolCallId": call, "format": "org"}));
    assert_eq!(why["sessionId"], json!(session));
    assert!(why["org"].as_str().unwrap().contains("ls"));
    let turn = why["turnId"].clone();
    let why = client.request("_orgAgent/why", &json!({"turnId": turn}));
    assert_eq!(why["state"], "done");
    for params in [json!({}), json!({"turnId": "none"}), json!({"turnId": turn, "format": "html"})] {
        client.refused("_orgAgent/why", &params);
    }
}

#[test]
fn a_session_is_let_go_or_deleted_right_behind_a_prompt() {
    for method in ["session/close", "session/delete"] {
        let (place, model) = (Place::new(), FakeModel::start());
        let mut client = place.client(&model);
        let session = client.session(&place.cwd());
        model.reply_with(&insert("One."));
        client.turn(&session, "1");
        model.take_request_blocking();
        model.push(Reply::stream().stall());
        // In one piece: when the second is read, the kernel has not answered to the first.
        let prompt = json!([{"type": "text", "text": "2"}]);
        let lines = [
            json!({"jsonrpc": "2.0", "id": "p", "method": "session/prompt",
                "params": {"sessionId": session, "prompt": prompt}}),
            json!({"jsonrpc": "2.0", "id": "c", "method": method, "params": {"sessionId": session}}),
            json!({"jsonrpc": "2.0", "id": "again", "method": method, "params": {"sessionId": session}}),
            json!({"jsonrpc": "2.0", "id": "late", "method": "session/prompt",
                "params": {"sessionId": session, "prompt": prompt}}),
        ];
        client.send_raw(lines.map(|line| format!("{line}\n")).concat());
        let mut answers = std::collections::BTreeMap::new();
        while answers.len() < 4 {
            let message = client.next();
            if message["method"].is_null() {
                answers.insert(message["id"].as_str().unwrap().to_owned(), message);
            }
        }
        assert_eq!(answers["p"]["result"]["stopReason"], "cancelled", "{answers:?}");
        assert!(answers["c"]["error"].is_null(), "{method}: {answers:?}");
        assert!(answers["again"]["result"].is_null(), "{method}: {answers:?}");
        assert!(answers["late"]["result"].is_null(), "{method}: {answers:?}");
        model.forget();
        let mut other = place.client(&model);
        let params = json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []});
        if method == "session/close" {
            let id = other.ask("session/load", &params);
            assert_eq!(said(&other.answered(id)), "One.");
        } else {
            assert_eq!(other.refused("session/load", &params)["code"], -32002);
            let fork = json!({"sessionId": session});
            assert_eq!(client.refused("_orgAgent/fork", &fork)["code"], -32002);
            assert_eq!(client.refused("session/fork", &params)["code"], -32002);
        }
    }
}

#[test]
fn a_session_that_is_closed_right_behind_a_choice_is_let_go() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    model.reply_with(&insert("One."));
    client.turn(&session, "1");
    model.take_request_blocking();
    let choose = |id: &str, value: &str| {
        let params = json!({"sessionId": session, "configId": "sandbox", "value": value});
        json!({"jsonrpc": "2.0", "id": id, "method": "session/set_config_option", "params": params})
    };
    let close =
        json!({"jsonrpc": "2.0", "id": "c", "method": "session/close", "params": {"sessionId": session}});
    let lines = [choose("one", "no-network"), choose("two", "read-only"), close];
    client.send_raw(lines.map(|line| format!("{line}\n")).concat());
    for _ in 0..3 {
        let answer = client.until(|message| message["method"].is_null()).pop().unwrap();
        assert!(answer["error"].is_null(), "{answer}");
    }
    let mut other = place.client(&model);
    other.request("session/load", &json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []}));
}

#[test]
fn what_is_under_way_is_not_told_twice() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    let gate = Gate::new();
    model.push(
        Reply::stream()
            .text("(:type :response :payload (:text \"Two words ")
            .wait(&gate)
            .text("and more.\"))")
            .finish("stop"),
    );
    let id = client.prompt(&session, "Speak");
    client.until(|message| is_update(message, "agent_message_chunk"));
    let params = json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []});
    for method in ["session/load", "session/resume"] {
        let error = client.refused(method, &params);
        assert_eq!(error["code"], -32012, "{error}");
        assert!(error["message"].as_str().unwrap().contains("under way"), "{error}");
    }
    gate.open();
    let messages = client.answered(id);
    assert!(said(&messages).ends_with("and more."), "{messages:?}");
    model.take_request_blocking();
    // Then it can be, and other sessions could all the time.
    let id = client.ask("session/load", &params);
    assert_eq!(said(&client.answered(id)), "Two words and more.");
}

#[test]
fn a_session_that_is_closed_right_behind_its_loading_stays_closed() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    model.reply_with(&insert("One."));
    client.turn(&session, "1");
    model.take_request_blocking();
    for method in ["session/resume", "session/load"] {
        let params = json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": []});
        client.request("session/resume", &params);
        let lines = [
            json!({"jsonrpc": "2.0", "id": "r", "method": method, "params": params}),
            json!({"jsonrpc": "2.0", "id": "c", "method": "session/close", "params": {"sessionId": session}}),
        ];
        client.send_raw(lines.map(|line| format!("{line}\n")).concat());
        let mut answers = std::collections::BTreeMap::new();
        while answers.len() < 2 {
            let message = client.next();
            if message["method"].is_null() {
                answers.insert(message["id"].as_str().unwrap().to_owned(), message);
            }
        }
        assert!(answers["c"]["error"].is_null(), "{method}: {answers:?}");
        let error = answers["r"]["error"]["message"].as_str().unwrap_or_default();
        assert!(error.contains("is being closed"), "{method}: {answers:?}");
        let error = client.refused("session/prompt", &json!({"sessionId": session, "prompt": []}));
        assert!(error["message"].as_str().unwrap().contains("is not open here"), "{method}: {error}");
        // Nothing is left of it: another server can have it.
        let mut other = place.client(&model);
        other.request("session/load", &params);
        other.request("session/close", &json!({"sessionId": session}));
    }
}

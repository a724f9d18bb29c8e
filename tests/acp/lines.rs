//! What is no message, comes in the wrong order, or never ends.

use serde_json::{Value, json};

use crate::client::{Client, Place, environment, said};
use crate::fake_model::{FakeModel, Gate, Reply};
use crate::insert;

#[test]
fn what_is_no_message_is_told_and_the_rest_is_served() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = Client::start(place.home.path(), &environment(&model));
    let mut told = |bytes: &[u8], code: i64| {
        client.send_raw(bytes);
        let message = client.next();
        assert_eq!(message["error"]["code"], code, "{message}");
        assert_eq!(message["id"], Value::Null, "{message}");
    };
    told(b"{\"jsonrpc\": \n", -32700);
    told(b"\xff\xfe\n", -32700);
    told(b"[]\n", -32600);
    told(b"{\"jsonrpc\":\"2.0\"}\n", -32600);
    told(b"\n \r\n7\n", -32600);
    let mut long = vec![b' '; 9 * 1024 * 1024];
    long.push(b'\n');
    told(&long, -32700);
    let deep = format!("{}1{}\n", "[".repeat(100_000), "]".repeat(100_000));
    told(deep.as_bytes(), -32700);
    client.initialize(&json!({}));
    assert!(client.finish().success());
}

#[test]
fn nothing_is_served_before_initialize_and_nothing_that_is_unknown() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = Client::start(place.home.path(), &environment(&model));
    client.notify("session/cancel", &json!({"sessionId": "x"}));
    let error = client.refused("session/new", &json!({"cwd": place.cwd(), "mcpServers": []}));
    assert!(error["message"].as_str().unwrap().contains("send initialize first"), "{error}");
    let answer = client.initialize(&json!({}));
    assert_eq!(answer["protocolVersion"], 1);
    assert_eq!(answer["agentCapabilities"]["loadSession"], true);
    assert_eq!(answer["agentCapabilities"]["promptCapabilities"]["image"], false);
    assert_eq!(client.refused("initialize", &json!({"protocolVersion": 1}))["code"], -32602);
    assert_eq!(client.refused("session/unheard", &json!({}))["code"], -32601);
    assert_eq!(client.refused("authenticate", &json!({"methodId": "x"}))["code"], -32602);
    for cwd in [json!("relative"), json!("/no/such/directory"), json!(7), json!("/tmp\u{0}")] {
        let error = client.refused("session/new", &json!({"cwd": cwd, "mcpServers": []}));
        assert_eq!(error["code"], -32602, "{cwd}: {error}");
    }
    client.notify("session/cancel", &json!({"sessionId": "x"}));
    client.notify("unheard", &json!({}));
    client.answer(&json!({"id": "oa-77"}), &json!({}));
    assert!(client.finish().success());
}

#[test]
fn a_client_that_does_not_read_is_not_drowned() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    let text = "A line of words.\\n\\n".repeat(5_000);
    model.push(Reply::complete(&insert(&text), 50));
    let id = client.prompt(&session, "Much");
    for _ in 0..500 {
        client.notify("unheard", &json!({"x": "y".repeat(1_000)}));
    }
    assert_eq!(said(&client.answered(id)).lines().count(), 2 * 5_000 - 1);
    model.take_request_blocking();
}

#[test]
fn the_server_ends_with_its_client_in_the_middle_of_a_turn() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let session = client.session(&place.cwd());
    let gate = Gate::new();
    model.push(Reply::stream().wait(&gate));
    client.prompt(&session, "Hello");
    let request = model.take_request_blocking();
    assert!(client.finish().success());
    request.closed_blocking();
}

#[test]
fn nonsense_of_a_client_is_answered_and_the_rest_is_served() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = Client::start(place.home.path(), &environment(&model));
    for params in [json!({}), json!([]), json!(null), json!(7), json!({"protocolVersion": "one"})] {
        let id = client.ask("initialize", &params);
        let answer = client.answered(id).pop().unwrap();
        assert!(answer["result"].is_null(), "{params}: {answer}");
    }
    client.initialize(&json!({"terminal": "yes", "fs": 7, "session": [], "_meta": null}));
    let session = client.session(&place.cwd());
    let named = json!({"sessionId": session});
    for (method, params) in [
        ("session/prompt", json!({"sessionId": session, "prompt": []})),
        ("session/prompt", json!({"sessionId": session, "prompt": "Hello"})),
        ("session/prompt", json!({"sessionId": session, "prompt": [{"type": "text"}]})),
        ("session/prompt", json!({"sessionId": [session], "prompt": []})),
        ("session/prompt", named.clone()),
        ("session/set_mode", named.clone()),
        ("session/set_config_option", json!({"sessionId": session, "configId": "mode", "value": true})),
        ("session/set_config_option", json!({"sessionId": session, "configId": "mode", "value": null})),
        ("session/close", json!({"sessionId": ""})),
        ("session/close", json!({"sessionId": "\u{0}"})),
        ("session/delete", json!({"sessionId": "../x"})),
        ("session/load", json!({"sessionId": "x".repeat(100_000), "cwd": place.cwd(), "mcpServers": []})),
        ("session/load", json!({"sessionId": session, "cwd": place.cwd(), "mcpServers": 7})),
        ("session/fork", json!({"sessionId": "nobody", "cwd": place.cwd(), "mcpServers": []})),
        ("session/list", json!({"cwd": 7})),
        ("_orgAgent/fork", json!({"sessionId": session, "messageId": "nothing"})),
        ("_orgAgent/fork", json!({"sessionId": session, "messageId": 7})),
        ("_orgAgent/why", json!({"turnId": {"a": 1}})),
        ("_orgAgent/why", json!({"turnId": "x", "toolCallId": "y"})),
    ] {
        let error = client.refused(method, &params);
        assert!(!error["message"].as_str().unwrap().is_empty(), "{method}: {error}");
    }
    // Answers to nothing that was asked, and cancellations of nothing that runs.
    for id in [json!("oa-0"), json!("oa-18446744073709551616"), json!("oa--1"), json!(1), json!(null)] {
        client.answer(&json!({"id": id}), &json!({"outcome": {"outcome": "selected", "optionId": "run"}}));
    }
    for params in [json!({"requestId": 77}), json!({"requestId": "x"}), json!({"requestId": {}}), json!({})] {
        client.notify("$/cancel_request", &params);
    }
    client.notify("session/cancel", &json!({"sessionId": "nobody"}));
    client.notify("session/cancel", &json!({"sessionId": session}));
    client.notify("session/cancel", &json!([]));
    // One identifier for two requests: both are answered.
    for text in ["1", "2"] {
        model.reply_with(&insert(text));
        let prompt = json!([{"type": "text", "text": text}]);
        client.send(&json!({"jsonrpc": "2.0", "id": "same", "method": "session/prompt",
            "params": {"sessionId": session, "prompt": prompt}}));
    }
    let first = client.until(|message| message["id"] == "same");
    let second = client.until(|message| message["id"] == "same");
    assert_eq!((said(&first), said(&second)), ("1".to_owned(), "2".to_owned()));
    model.take_request_blocking();
    model.take_request_blocking();
    assert!(client.finish().success());
}

#[test]
fn two_sessions_are_cancelled_each_by_itself() {
    let (place, model) = (Place::new(), FakeModel::start());
    let mut client = place.client(&model);
    let (one, two) = (client.session(&place.cwd()), client.session(&place.cwd()));
    model.push(Reply::stream().stall());
    let first = client.prompt(&one, "1");
    let request = model.take_request_blocking();
    let gate = Gate::new();
    let (head, tail) = ("(:type :response :payload (:text \"It ", "stays.\"))");
    model.push(Reply::stream().text(head).wait(&gate).text(tail).finish("stop"));
    let second = client.prompt(&two, "2");
    model.take_request_blocking();
    // Said often, and to both: what was not meant goes on.
    for _ in 0..50 {
        client.notify("session/cancel", &json!({"sessionId": one}));
        client.notify("$/cancel_request", &json!({"requestId": first}));
    }
    let mut messages = client.answered(first);
    assert_eq!(messages.last().unwrap()["result"]["stopReason"], "cancelled");
    request.closed_blocking();
    gate.open();
    messages.extend(client.answered(second));
    assert_eq!(messages.last().unwrap()["result"]["stopReason"], "end_turn");
    assert_eq!(said(&messages), "It stays.");
}

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

//! The transport of the real server: what breaks others must not break it. After every fault the next
//! message is served, every end is prompt, and memory stays bounded.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod common {
    pub mod client;
}

use std::io::Write;
use std::thread;
use std::time::Duration;

use common::client::{Client, SilentModel, frame};
use serde_json::{Value, json};

const LIST: &str = "orgAgent/sessions/list";

fn ping(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": LIST, "params": {}})
}

/// A frame that says nothing true about its length.
fn with_length(length: impl std::fmt::Display, body: &str) -> Vec<u8> {
    format!("Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

fn event(client_id: &str) -> Value {
    json!({"sensor": "chat-message", "clientId": client_id, "buffer": client_id, "text": "hello"})
}

/// Sends `bytes` and a good request behind them, in one piece and byte by byte. The error, if one is
/// expected, comes first, then the answer.
#[track_caller]
fn check(client: &mut Client, bytes: impl AsRef<[u8]>, expected: Option<&(Value, i64)>) {
    let bytes = bytes.as_ref();
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
    for pieces in [1, usize::MAX] {
        let all = [bytes, &frame(&ping(77))].concat();
        // Byte by byte only what a person would send so.
        let size = if pieces == 1 || all.len() > 2_000 { all.len() } else { 1 };
        all.chunks(size).for_each(|chunk| client.send_raw(chunk));
        if let Some((id, code)) = expected {
            let error = client.next().unwrap();
            assert_eq!((&error["id"], &error["error"]["code"]), (id, &json!(code)), "{start}: {error}");
            assert_eq!(error["error"]["data"]["code"], "bad_request", "{start}: {error}");
        }
        let answer = client.next().unwrap();
        assert_eq!((&answer["id"], answer.get("result").is_some()), (&json!(77), true), "{start}: {answer}");
    }
}

#[test]
fn what_is_no_message_is_answered_and_the_next_is_served() {
    let mut client = Client::new(&[]);
    let framed = |body: &str| with_length(body.len(), body);
    let parse_error = Some((Value::Null, -32700));
    for body in
        ["{", "", "nonsense", "{\"a\":1}}", r#"{"x":"\ud800"}"#, r#"{"x":"\udc00\ud800"}"#, "{\"x\":\"\n\"}"]
    {
        check(&mut client, framed(body), parse_error.as_ref());
    }
    check(&mut client, [&with_length(6, "")[..], b"{\"x\":\xff"].concat(), parse_error.as_ref());
    check(&mut client, framed(&"[".repeat(100_000)), parse_error.as_ref());
    check(&mut client, framed(&"{\"a\":".repeat(100_000)), parse_error.as_ref());
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"{LIST}","params":{}1{}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    check(&mut client, framed(&deep), parse_error.as_ref());
    for (body, id) in [
        ("[]", Value::Null),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"shutdown"}]"#, Value::Null),
        ("7", Value::Null),
        (r#"{"id":5,"method":"shutdown"}"#, json!(5)),
        (r#"{"jsonrpc":"1.0","id":"x","method":"shutdown"}"#, json!("x")),
        (r#"{"jsonrpc":"2.0","id":{},"method":"shutdown"}"#, Value::Null),
        (r#"{"jsonrpc":"2.0","id":6}"#, json!(6)),
    ] {
        check(&mut client, framed(body), Some(&(id, -32600)));
    }
    // An answer to nothing, and notifications that nobody knows, are not answered.
    check(&mut client, framed(r#"{"jsonrpc":"2.0","id":"oa-99","result":null}"#), None);
    check(&mut client, framed(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}"#), None);
    check(&mut client, framed(r#"{"jsonrpc":"2.0","method":"$/unknown","params":[1]}"#), None);
    check(&mut client, framed(r#"{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{}}"#), None);
    client.finish();
}

#[test]
fn what_is_no_frame_is_answered_and_the_next_is_served() {
    let mut client = Client::new(&[]);
    let error = Some((Value::Null, -32700));
    let whole = ping(1).to_string();
    for length in ["abc", "-5", "+5", "1e3", "", "33554433", "99999999999", "99999999999999999999999999"] {
        check(&mut client, with_length(length, &whole), error.as_ref());
        check(&mut client, with_length(length, ""), error.as_ref());
    }
    check(&mut client, format!("Content-Type: x\r\n\r\n{whole}"), error.as_ref());
    // Too short by a few bytes, and by most.
    for length in [1, 10, whole.len() / 2, whole.len() - 1] {
        check(&mut client, with_length(length, &whole), error.as_ref());
    }
    // Too long: into the next header, up to its end, over it, over the next message, and beyond all sense.
    for more in [1, 2, 14, 15, 16, 19, 20, 22, 30, 60, 90, 1_000, 1_000_000, 33_000_000] {
        check(&mut client, with_length(whole.len() + more, &whole), error.as_ref());
    }
    // Headers without end.
    check(&mut client, "X: y\r\n".repeat(20_000), error.as_ref());
    check(&mut client, "y".repeat(100_000), error.as_ref());
    // Unusual, and right.
    let body = ping(5).to_string();
    let length = body.len();
    for headers in [
        format!("content-length: {length}\r\n\r\n"),
        format!("CONTENT-LENGTH:{length}\r\n\r\n"),
        format!("Content-Length: {length}\n\n"),
        format!(
            "Content-Type: application/vscode-jsonrpc; charset=utf-8\r\nX-Third: 1\r\nContent-Length: {length}\r\nX-Fourth: 2\r\n\r\n"
        ),
    ] {
        client.send_raw(format!("{headers}{body}"));
        assert!(client.answer(5).is_ok(), "{headers}");
    }
    client.finish();
}

/// The most memory that the server ever had, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory(client: &Client) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", client.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_bounded() {
    const MIB: usize = 1024 * 1024;
    let mut client = Client::new(&[]);
    let before = peak_memory(&client);
    let junk = vec![b'x'; MIB];
    // A header without end, garbage without end, and a length without a body.
    for start in ["X-Header: ", "Content-Length: 33554433\r\n\r\n"] {
        client.send_raw(start);
        for _ in 0..64 {
            client.send_raw(&junk);
        }
        client.send_raw("\r\n");
        let error = client.next().unwrap();
        assert_eq!(error["error"]["code"], -32700, "{error}");
        assert!(client.request(LIST, &json!({})).is_object());
    }
    let grown = peak_memory(&client) - before;
    assert!(grown < 8 * MIB, "skipped input costs nothing, and this cost {grown} bytes");
    client.send_raw("Content-Length: 33554432\r\n\r\n");
    assert!(client.try_request(LIST, &json!({})).is_ok());
    assert_eq!(client.next().unwrap()["error"]["code"], -32700);
    assert!(peak_memory(&client) - before < 8 * MIB, "memory follows what came, not what was announced");
    // A message of many small values that are no field of the method.
    let mut params = String::from("{\"unknown\":[0");
    params.push_str(&",0".repeat(10 * MIB));
    params.push_str("]}");
    let body = format!(r#"{{"jsonrpc":"2.0","id":9,"method":"{LIST}","params":{params}}}"#);
    client.send_raw(with_length(body.len(), &body));
    assert!(client.answer(9).is_ok());
    let grown = peak_memory(&client) - before;
    assert!(grown < 5 * body.len(), "a message of {} bytes cost {grown}", body.len());
    client.finish();
}

#[cfg(debug_assertions)]
#[test]
fn a_handler_that_panics_costs_its_own_request_only() {
    let mut client = Client::new(&[]);
    for _ in 0..3 {
        let panic = json!({"jsonrpc": "2.0", "id": 5, "method": "orgAgent/debug/panic", "params": {}});
        client.send(&panic);
        let error = client.answer(5).unwrap_err();
        assert_eq!((&error["code"], &error["data"]["code"]), (&json!(-32603), &json!("internal")));
        // The same id can be used again.
        client.send(&ping(5));
        assert!(client.answer(5).is_ok());
    }
    assert!(client.log().contains("asked to panic"));
    client.finish();
}

#[test]
fn with_a_hundred_turns_in_flight_others_are_answered_and_all_can_be_stopped() {
    let model = SilentModel::new();
    let mut client = Client::new(&model.env());
    let turns: Vec<String> = (0..100)
        .map(|number| {
            let result = client.request("orgAgent/event", &event(&format!("buffer {number}")));
            result["turnId"].as_str().unwrap().to_owned()
        })
        .collect();
    // Every one of them has reached the model, and is held there.
    let held: Vec<_> = (0..100).map(|_| model.accept()).collect();
    assert_eq!(client.request(LIST, &json!({"limit": 500}))["items"].as_array().unwrap().len(), 100);
    // A request and its cancellation in one piece.
    let cancel = json!({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 7000}});
    client.send_raw([frame(&ping(7000)), frame(&cancel)].concat());
    match client.answer(7000) {
        Ok(result) => assert!(result["items"].is_array()),
        Err(error) => assert_eq!(error["code"], -32800),
    }
    for turn in &turns {
        assert_eq!(client.request("orgAgent/cancel", &json!({"turnId": turn})), json!({"cancelled": true}));
        let messages = client.turn(turn);
        let states: Vec<&str> =
            messages.iter().filter_map(|message| message["params"]["state"].as_str()).collect();
        assert_eq!(states, ["accepted", "thinking", "cancelled"]);
    }
    drop(held);
    client.finish();
}

#[test]
fn the_end_is_prompt_whatever_is_under_way() {
    let check = |leave: &dyn Fn(&mut Client), status: i32| {
        let model = SilentModel::new();
        let mut client = Client::new(&model.env());
        for number in 0..10 {
            client.request("orgAgent/event", &event(&number.to_string()));
        }
        let _held: Vec<_> = (0..10).map(|_| model.accept()).collect();
        leave(&mut client);
        assert_eq!(client.ended().code(), Some(status), "{}", client.log());
    };
    let shutdown = |client: &mut Client| drop(client.request("shutdown", &Value::Null));
    let exit = |client: &mut Client| client.notify("exit", &Value::Null);
    // With the input open, and without it.
    check(&exit, 1);
    check(&|client| (shutdown(client), exit(client)).1, 0);
    check(&Client::close_input, 1);
    check(&|client| (shutdown(client), client.close_input()).1, 0);
    // In the middle of a message.
    check(&|client| (client.send_raw("Content-Length: 50\r\n\r\n{"), client.close_input()).1, 1);
}

#[test]
fn what_was_asked_before_the_end_is_answered() {
    let mut client = Client::new(&[]);
    let mut input = client.take_input();
    for number in 0..50 {
        let params = event(&number.to_string());
        let request =
            json!({"jsonrpc": "2.0", "id": 1000 + number, "method": "orgAgent/event", "params": params});
        input.write_all(&frame(&request)).unwrap();
    }
    drop(input);
    for number in 0..50 {
        client.answer(1000 + number).unwrap();
    }
    assert_eq!(client.ended().code(), Some(1));
}

#[test]
fn a_client_that_reads_no_more_is_left() {
    let mut client = Client::new(&[]);
    client.close_output();
    // Enough that somebody must notice, if nobody reads.
    let mut input = client.take_input();
    while input.write_all(&frame(&json!({"jsonrpc": "2.0", "id": 1, "method": "x"}))).is_ok() {}
    assert_eq!(client.ended().code(), Some(1));
}

#[test]
fn a_client_that_reads_nothing_for_a_while_gets_everything() {
    const REQUESTS: u64 = 30_000;
    let mut client = Client::new(&[]);
    let reading = client.reading();
    let paused = reading.lock().unwrap();
    // Whatever is between us and the server has to fill up: this thread will not get far.
    let mut input = client.take_input();
    let (progress, made) = std::sync::mpsc::channel();
    let sender = thread::spawn(move || {
        for id in 1..=REQUESTS {
            let request = json!({"jsonrpc": "2.0", "id": id + 100_000, "method": "no/such/method"});
            input.write_all(&frame(&request)).unwrap();
            progress.send(()).unwrap();
        }
        input
    });
    let mut sent = 0;
    while made.recv_timeout(Duration::from_millis(500)).is_ok() {
        sent += 1;
    }
    assert!(sent < REQUESTS, "the server took {sent} requests without an answer being read");
    #[cfg(target_os = "linux")]
    assert!(peak_memory(&client) < 100 * 1024 * 1024);
    drop(paused);
    for id in 1..=REQUESTS {
        let answer = client.next().unwrap();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id + 100_000), &json!(-32601)));
    }
    client.give_input(sender.join().unwrap());
    client.finish();
}

#[test]
fn a_client_that_answers_no_request_holds_nothing_up() {
    let mut client = Client::new(&[]);
    client.acknowledge = false;
    let turns: Vec<Value> =
        (0..150).map(|number| client.request("orgAgent/event", &event(&number.to_string()))).collect();
    for _ in &turns {
        client.wait_for(|message| message["method"] == "orgAgent/actuate");
    }
    assert_eq!(client.asked.len(), turns.len());
    assert!(client.request(LIST, &json!({})).is_object());
    for question in std::mem::take(&mut client.asked) {
        let done = json!({"actuationId": question["params"]["actuationId"], "status": "done"});
        assert_eq!(client.request("orgAgent/actuated", &done), json!({}));
    }
    for turn in &turns {
        let is_end = |message: &Value| {
            message["params"]["turnId"] == turn["turnId"] && message["params"]["state"] == "done"
        };
        client.wait_for(is_end);
    }
    client.finish_unread();
}

#[test]
fn requests_keep_their_order_and_their_ids() {
    let mut client = Client::new(&[]);
    let request = |id: u64, client_id: &str| {
        frame(&json!({"jsonrpc": "2.0", "id": id, "method": "orgAgent/event", "params": event(client_id)}))
    };
    let all: Vec<u8> = (100..200).flat_map(|id| request(id, &id.to_string())).collect();
    client.send_raw(all);
    let times: Vec<u64> =
        (100..200).map(|id| client.answer(id).unwrap()["lamport"].as_u64().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    // An id that is in use is refused; the request that has it is not.
    client.send_raw([request(500, "first"), request(500, "second")].concat());
    let answers = [client.answer(500), client.answer(500)];
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let error = answers.iter().find_map(|answer| answer.as_ref().err()).unwrap();
    assert_eq!((&error["code"], &error["data"]["code"]), (&json!(-32600), &json!("bad_request")));
    client.finish_unread();
}

#[test]
fn the_answer_to_an_event_precedes_every_message_of_its_turn() {
    let mut client = Client::new(&[]);
    let requests: Vec<u8> = (1000..1050)
        .flat_map(|id| {
            frame(&json!({"jsonrpc": "2.0", "id": id, "method": "orgAgent/event", "params": event(&id.to_string())}))
        })
        .collect();
    client.send_raw(requests);
    let (mut known, mut ended) = (Vec::new(), 0);
    while ended < 50 {
        let message = client.next().unwrap();
        if let Some(turn) = message["result"].get("turnId") {
            known.push(turn.clone());
        }
        let params = &message["params"];
        if params.get("turnId").is_some() {
            assert!(known.contains(&params["turnId"]), "{message}");
            ended += usize::from(params["state"] == "done");
        }
        if message["method"] == "orgAgent/actuate" {
            client.ask("orgAgent/actuated", &json!({"actuationId": params["actuationId"], "status": "done"}));
        }
    }
    assert_eq!(known.len(), 50);
    client.finish_unread();
}

#[test]
fn the_life_cycle() {
    let code = |result: Result<Value, Value>| result.unwrap_err()["code"].clone();
    let mut client = Client::start(&[]);
    for method in [LIST, "orgAgent/event", "textDocument/hover", "shutdown", "no/such/method"] {
        assert_eq!(code(client.try_request(method, &json!({}))), -32002, "{method}");
    }
    let other = |version: u64| json!({"capabilities": {"experimental": {"orgAgent": {"version": version}}}});
    let error = client.try_request("initialize", &other(2)).unwrap_err();
    assert_eq!((&error["code"], &error["data"]["code"]), (&json!(-32602), &json!("bad_request")));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("version 2") && message.contains("version 1"), "{message}");
    // After a refusal, again, this time as a plain editor that says nothing.
    let result = client.request("initialize", &Value::Null);
    assert_eq!(result["serverInfo"]["name"], "org-agent");
    let offer = &result["capabilities"]["experimental"]["orgAgent"];
    assert_eq!((&offer["version"], &offer["sensors"]), (&json!(1), &json!(["chat-message", "rewrite"])));
    assert_eq!(code(client.try_request("initialize", &other(1))), -32600);
    assert_eq!(code(client.try_request("no/such/method", &json!({}))), -32601);
    assert_eq!(client.request("shutdown", &Value::Null), Value::Null);
    assert_eq!(code(client.try_request(LIST, &json!({}))), -32600);
    client.notify("exit", &Value::Null);
    assert!(client.ended().success());
}

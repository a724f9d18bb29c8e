//! Replies that are none: what each failure says, what it says to do, and whether it may pass.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use org_agent::config::Patience;
use org_agent::model::Trouble;
use org_agent::model::openai::OpenAi;
use serde_json::json;

use crate::fake_model::{FakeModel, Reply};
use crate::{KEY, SHORT, ask, failure, model, remote};

#[tokio::test]
async fn a_broken_reply_is_a_failure_and_is_asked_for_once() {
    let text = || Reply::stream().text("(:type");
    let error = |error: serde_json::Value| text().event(&json!({ "error": error }));
    let echo =
        format!("{{\"error\":{{\"message\":\"Incorrect key {KEY}\\nx\",\"code\":\"invalid_api_key\"}}}}");
    let moved = Reply::page(308, "text/plain", "").header("Location", "http://127.0.0.1:1/elsewhere");
    let quota = r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#;
    // The reply; then parts of message and hint, and whether to try again.
    let cases = [
        (text().drop_connection(), "the model's server broke", "", true),
        (text().reset(), "the model's server broke", "", true),
        (text(), "was cut", "", true),
        (text().done(), "was cut", "", true),
        (text().raw("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}"), "was cut", "", true),
        (Reply::stream().raw("data: {\"choi"), "was cut", "see the log", true),
        (text().raw("data: {\"choices\": [}\n\n"), "a broken chunk", "", true),
        (text().raw("data: 1\n\n"), "a broken chunk", "", true),
        // Also the parser's own words are one short line.
        (
            text().raw(format!("data: {{\"choices\": \"{}\"}}\n\n", "x".repeat(100_000))),
            "a broken chunk: invalid type",
            "",
            true,
        ),
        (text().finish("a\u{202e}\u{200b}b").done(), "finish_reason `a b`", "another model", false),
        (Reply::page(200, "application/json", "{\"error\": null}"), "an unexpected answer: {", "/v1", false),
        (Reply::page(500, "text/plain", ""), "500 Internal Server Error", "later", true),
        (text().raw(b"data: \xff\n\n".to_vec()), "a broken chunk", "", true),
        (text().finish("length").done(), "finish_reason `length`", "shorter", false),
        (text().finish("content_filter").done(), "finish_reason `content_filter`", "filter", false),
        (text().finish("tool_calls").done(), "finish_reason `tool_calls`", "another model", false),
        (text().finish("?\u{1b}\n").done(), "finish_reason `? `", "another model", false),
        (text().finish("error").done(), "finish_reason `error`", "ask again later", true),
        (
            error(json!({"message": "no\nsuch", "code": 404})),
            "reports: no such",
            "the model m (environment",
            false,
        ),
        (error(json!({"message": "later", "type": "overloaded_error"})), "reports: later", "", true),
        (error(json!({"message": "later", "code": 503})), "reports: later", "", true),
        (error(json!({"message": "no", "code": "content_filter"})), "reports: no", "filter", false),
        (error(json!({"message": "no", "code": "401"})), "reports: no", "check the key", false),
        (error(json!("oh")), "reports: oh", "ask again", false),
        // Without the object around it: by the event's name, or as llama.cpp's server says it.
        (
            text().raw("event: error\ndata: {\"message\": \"full\", \"code\": 503}\n\n"),
            "reports: full",
            "ask again later",
            true,
        ),
        (text().raw("event: error\ndata: Out of luck\n\n"), "reports: Out of luck", "ask again", false),
        (text().raw("error: {\"message\": \"slot\", \"code\": 500}\n\n"), "reports: slot", "later", true),
        (Reply::stream().done(), "was cut", "", true),
        (Reply::stream(), "was cut", "", true),
        (
            Reply::page(500, "text/html", "<html>\n<h1>Oops</h1>"),
            "500 Internal Server Error: <html> <h1>",
            "",
            true,
        ),
        (Reply::page(503, "application/json", "{}").header("Retry-After", "7"), "503", "wait 7 s", true),
        (Reply::page(408, "text/plain", "late"), "408 Request Timeout: late", "ask again later", true),
        (Reply::page(402, "text/plain", "pay"), "402 Payment Required: pay", "billing", false),
        (Reply::page(407, "text/plain", ""), "407", "proxy", false),
        (Reply::page(413, "text/plain", ""), "413", "context_tokens", false),
        (Reply::page(429, "application/json", "{\"error\":\"slow down\"}"), "429", "", true),
        (Reply::page(429, "application/json", quota), "pay", "billing", false),
        (
            Reply::page(401, "application/json", &echo),
            "Incorrect key [redacted: live key] x",
            "check the key (environment",
            false,
        ),
        (Reply::page(403, "text/plain", ""), "403 Forbidden", "check the key", false),
        (Reply::page(404, "text/plain", "nope"), "404 Not Found: nope", "the model m (environment", false),
        (
            Reply::page(400, "application/json", "{\"detail\":\"long\"}"),
            "400 Bad Request: long",
            "too long",
            false,
        ),
        (
            Reply::page(
                400,
                "application/json",
                "{\"error\":{\"message\":\"x\",\"code\":\"context_length_exceeded\"}}",
            ),
            "400 Bad Request: x",
            "context_tokens",
            false,
        ),
        (
            Reply::page(
                400,
                "application/json",
                "{\"error\":{\"message\":\"x\",\"code\":\"content_filter\"}}",
            ),
            "400 Bad Request: x",
            "filter",
            false,
        ),
        (
            Reply::page(
                404,
                "application/json",
                "{\"error\":{\"message\":\"x\",\"code\":\"model_not_found\"}}",
            ),
            "404 Not Found: x",
            "check the model m (environment",
            false,
        ),
        // As Google says it.
        (
            Reply::page(
                400,
                "application/json",
                "[{\"error\":{\"code\":400,\"message\":\"API key not valid.\"}}]",
            ),
            "400 Bad Request: API key not valid.",
            "check the key (environment",
            false,
        ),
        (Reply::page(400, "text/plain", "prompt is too long"), "400", "context_tokens", false),
        (moved, "308", "redirects to http://127.0.0.1:1/elsewhere", false),
        (
            Reply::page(200, "text/html; charset=utf-8", "<p>Log in"),
            "an unexpected answer: <p>Log in",
            "OpenAI-compatible",
            false,
        ),
        (
            Reply::page(200, "application/json", "{\"error\":{\"message\":\"no\"}}"),
            "reports: no",
            "ask again",
            false,
        ),
        (
            Reply::page(200, "text/plain", "It works!"),
            "an unexpected answer: It works!",
            "OpenAI-compatible",
            false,
        ),
        // What calls itself a stream and is none.
        (
            Reply::stream().raw("<html>\n<p>Hi\n"),
            "an unexpected answer: <html> <p>Hi",
            "/v1 is missing",
            false,
        ),
        (
            Reply::stream().raw("{\n \"error\": {\"message\": \"no\", \"code\": 429}\n}"),
            "reports: no",
            "ask again later",
            true,
        ),
        (text().flood(vec![b'x'; 65_536]), "a line of more than 4 MiB", "", false),
        (text().flood("data: \n".repeat(9000)), "an event of more than 4 MiB", "", false),
        (text().flood(format!(":{}\n", "x".repeat(65_536))), "a reply of more than 64 MiB", "", false),
        (Reply::page(500, "text/plain", "").flood(vec![b'x'; 65_536]), "500", "", true),
    ];
    let server = FakeModel::start();
    let model = model(&server);
    for (number, (reply, message, hint, transient)) in cases.into_iter().enumerate() {
        server.push(reply);
        let failure = failure(&model).await;
        assert!(!failure.hint.is_empty(), "{number}: nothing says what to do: {failure:?}");
        assert!(failure.message.contains(message), "{number}: {message:?} is not in {failure:?}");
        assert!(failure.hint.contains(hint), "{number}: {hint:?} is not in {failure:?}");
        assert_eq!(failure.transient, transient, "{number}: {failure:?}");
        let shown = format!("{failure:?} {failure} {model:?}");
        assert!(!shown.contains(KEY), "{number}: {shown}");
        assert!(!shown.contains('\u{1b}') && shown.lines().count() == 1, "{number}: {shown}");
        assert!(failure.message.chars().count() < 500, "{number}: {shown}");
        // Another request would stay there and make the server panic.
        server.take_request().await;
    }
}

#[tokio::test]
async fn silence_is_a_failure_and_an_end_mark_is_enough() {
    let server = FakeModel::start();
    let url = server.base_url();
    let patience = Patience { connect: SHORT, first_byte: SHORT, idle: SHORT, after_end: SHORT };
    let mut remote = remote("", &[("ORG_AGENT_MODEL", "m"), ("OPENAI_BASE_URL", &url)]);
    remote.terms.patience = patience;
    let model = OpenAi::new(remote);
    let late = "sent nothing for 0 s; it may be busy or still loading the model";
    let paused = "stopped in the middle of its reply: nothing came for 0 s; ask again; if it only pauses";
    let cases = [
        (Reply::silence(), "", Some(late)),
        (Reply::stream().stall(), "", Some(late)),
        (Reply::stream().text("a").stall(), "a", Some(paused)),
        // A comment is a byte, and the next one is waited for as long as between two.
        (Reply::stream().raw(": wait\n\n").stall(), "", Some(paused)),
        (Reply::page(500, "text/plain", "half").stall(), "", Some("500 Internal Server Error")),
        (Reply::stream().text("a").finish("stop").stall(), "a", None),
        (Reply::stream().text("a").finish("stop").drop_connection(), "a", None),
    ];
    for (reply, text, message) in cases {
        server.push(reply);
        let (said, end) = ask(&model).await;
        assert_eq!(said, text);
        match (end.expect("it ended"), message) {
            (Ok(usage), None) => assert_eq!(usage, None),
            (Err(failure), Some(message)) => {
                assert!(failure.told().contains(message) && failure.transient, "{failure:?}");
            }
            (end, message) => panic!("{end:?}, not {message:?}"),
        }
        server.take_request().await;
    }
}

#[tokio::test]
async fn a_server_that_says_again_and_again_that_it_ended_has_ended() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // An answer before the question is none.
        assert!(stream.read(&mut [0; 16_384]).unwrap() > 0);
        let event = |data: serde_json::Value| format!("data: {data}\n\n");
        let said = event(json!({"choices": [{"delta": {"content": "a"}}]}));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
        stream.write_all(format!("{head}{said}").as_bytes()).unwrap();
        let end = event(json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}));
        // Until nobody listens.
        while stream.write_all(end.as_bytes()).is_ok() {
            std::thread::sleep(SHORT / 10);
        }
    });
    let mut remote = remote("", &[("ORG_AGENT_MODEL", "m"), ("OPENAI_BASE_URL", &url)]);
    remote.terms.patience = Patience { after_end: SHORT, ..Patience::default() };
    let model = OpenAi::new(remote);
    let (said, end) = tokio::time::timeout(Duration::from_secs(30), ask(&model)).await.expect("it ends");
    assert_eq!((said.as_str(), end), ("a", Some(Ok(None))));
    drop(model);
    tokio::task::spawn_blocking(move || server.join().unwrap()).await.unwrap();
}

/// What a server asks to wait, in the three ways in which servers say it.
#[tokio::test]
async fn a_server_may_say_how_long_to_wait() {
    let date = |seconds| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
    let past = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(3600));
    let (soon, late) = (date(30), date(86_400));
    // The headers; the least and the most that is waited, in seconds.
    let cases: [(&[(&str, &str)], _); 12] = [
        (&[], None),
        (&[("Retry-After", "7")], Some((7.0, 7.0))),
        (&[("Retry-After", "0")], Some((0.0, 0.0))),
        (&[("Retry-After", " 1.5 ")], Some((1.5, 1.5))),
        (&[("Retry-After", "3600")], Some((3600.0, 3600.0))),
        (&[("Retry-After", &soon)], Some((0.0, 30.0))),
        (&[("Retry-After", &late)], Some((80_000.0, 86_400.0))),
        (&[("Retry-After", &past)], Some((0.0, 0.0))),
        (&[("Retry-After", "-7")], None),
        (&[("Retry-After", "NaN")], None),
        (&[("Retry-After", "tomorrow")], None),
        // The finer one counts.
        (&[("Retry-After", "9"), ("retry-after-ms", "250")], Some((0.25, 0.25))),
    ];
    let server = FakeModel::start();
    let model = model(&server);
    for status in [429, 503] {
        for (headers, expected) in &cases {
            let reply = Reply::page(status, "text/plain", "busy");
            server.push(headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value)));
            let failure = failure(&model).await;
            let waits = failure.after.map(|after| after.as_secs_f64());
            match (waits, expected) {
                (None, None) => {}
                (Some(wait), Some((least, most))) => {
                    assert!((*least..=*most).contains(&wait), "{headers:?}: {failure:?}");
                }
                _ => panic!("{headers:?}: {failure:?}"),
            }
            let expected = if status == 429 { Trouble::RateLimited } else { Trouble::Server };
            assert!(failure.trouble == expected && failure.transient, "{failure:?}");
            server.take_request().await;
        }
    }
}

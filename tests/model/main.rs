//! The model port against a real HTTP server that misbehaves in every way servers do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "../common/fake_model.rs"]
mod fake_model;
mod dialects;
mod failures;
mod network;
mod options;

use std::time::Duration;

use fake_model::{FakeModel, Gate, Reply};
use futures::StreamExt;
use org_agent::config::{Choice, Config, Paths, Remote};
use org_agent::model::openai::OpenAi;
use org_agent::model::replay::Replay;
use org_agent::model::{Ask, Failure, Model, Piece, Trouble, Wanted};
use org_agent::prompt::{Message, Persona, Role};
use org_agent::record::Usage;
use serde_json::json;

const KEY: &str = "sk-Secret0123456789";

/// So short that a test does not wait, for what never comes.
const SHORT: Duration = Duration::from_millis(100);

/// The server that `file` and `env` choose.
fn remote(file: &str, env: &[(&str, &str)]) -> Remote {
    let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let config = Config::new(Paths { config: "/c".into(), data: "/d".into() }, Some(file), env).unwrap();
    match config.choose_model(&Default::default()).unwrap() {
        Choice::Remote(remote) => *remote,
        other => panic!("{other:?}"),
    }
}

fn model(server: &FakeModel) -> OpenAi {
    let url = server.base_url();
    OpenAi::new(remote("", &[("ORG_AGENT_MODEL", "m"), ("OPENAI_BASE_URL", &url), ("OPENAI_API_KEY", KEY)]))
}

fn messages() -> Vec<Message> {
    let message = |role, text: &str| Message { role, text: text.to_owned() };
    vec![
        message(Role::System, "be \"brief\""),
        message(Role::User, "Grüße\n🦀"),
        message(Role::Assistant, "(x)"),
    ]
}

/// A reply as it came.
#[derive(Debug, Default)]
struct Heard {
    text: String,
    /// What the server wrote, where that is another notation.
    original: String,
    thought: String,
    end: Option<Result<Option<Usage>, Failure>>,
}

/// Asks for a reply that is to be `wanted`. Nothing may follow its end.
async fn hear(model: &dyn Model, wanted: Wanted) -> Heard {
    let mut heard = Heard::default();
    let mut reply = model.reply(Ask { messages: messages(), wanted });
    while let Some(piece) = reply.next().await {
        assert!(heard.end.is_none(), "{piece:?} follows the end");
        match piece {
            Ok(Piece::Text(more)) => {
                assert!(!more.is_empty());
                heard.text.push_str(&more);
            }
            Ok(Piece::Translated { text, original }) => {
                heard.text.push_str(&text);
                heard.original.push_str(&original);
            }
            Ok(Piece::Thought(more)) => {
                assert!(!more.is_empty());
                heard.thought.push_str(&more);
            }
            Ok(Piece::End(usage)) => heard.end = Some(Ok(usage)),
            Err(failure) => heard.end = Some(Err(failure)),
        }
    }
    heard
}

/// The text of a reply, and how it ended.
async fn ask(model: &dyn Model) -> (String, Option<Result<Option<Usage>, Failure>>) {
    let heard = hear(model, Wanted::Text).await;
    assert_eq!(heard.original, "");
    (heard.text, heard.end)
}

/// How a reply failed.
async fn failure(model: &dyn Model) -> Failure {
    ask(model).await.1.expect("it ended").expect_err("it failed")
}

#[tokio::test]
async fn a_request_is_what_servers_expect_and_a_reply_is_read_to_its_end() {
    let server = FakeModel::start();
    server.reply_with("(:type :response) äöü🦀");
    let model = model(&server);
    let (text, end) = ask(&model).await;
    assert_eq!(text, "(:type :response) äöü🦀");
    assert_eq!(end, Some(Ok(Some(Usage { prompt_tokens: 7, completion_tokens: 11, ..Usage::default() }))));
    assert_eq!(model.name(), "m");

    let request = server.take_request().await;
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(
        request.body,
        json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "be \"brief\""},
                {"role": "user", "content": "Grüße\n🦀"},
                {"role": "assistant", "content": "(x)"},
            ],
            "stream": true,
            "stream_options": {"include_usage": true},
        })
    );
}

#[tokio::test]
async fn without_a_key_none_is_sent() {
    let server = FakeModel::start();
    server.reply_with("x");
    let url = format!("{}/", server.base_url());
    let model = OpenAi::new(remote("", &[("ORG_AGENT_MODEL", "m"), ("OPENAI_BASE_URL", &url)]));
    assert_eq!(ask(&model).await.0, "x");
    let request = server.take_request().await;
    assert_eq!((request.header("authorization"), request.path.as_str()), (None, "/v1/chat/completions"));
}

#[tokio::test]
async fn nothing_is_sent_before_the_first_poll() {
    let server = FakeModel::start();
    drop(model(&server).reply(Ask { messages: messages(), wanted: Wanted::Text }));
}

#[tokio::test]
async fn a_stream_may_be_cut_anywhere_and_written_in_any_style() {
    let chunk = |text: &str| json!({"choices": [{"delta": {"content": text}}]}).to_string();
    let stop = r#"{"choices":[{"delta":null,"finish_reason":"stop"}]}"#;
    let streams = [
        // Comments, names, ids, no blank after the colon, values over two lines, absent and null fields, a role
        // first, thinking that is no text, an empty text, CRLF.
        format!(
            ": hello\r\n\r\nevent: message\r\nid: 1\r\nretry: 5\r\ndata:{}\r\n\r\n: ping\r\n\r\ndata: {}\r\n\r\n\
             data: {{\"choices\":\r\ndata: null}}\r\n\r\ndata: {}\r\n\r\ndata: {}\r\n\r\ndata: {}\r\n\r\n\
             data: [DONE]\r\n\r\n",
            json!({"choices": [{"delta": {"role": "assistant", "content": ""}, "finish_reason": ""}]}),
            chunk("ä("),
            json!({"choices": [{"delta": {"content": [{"type": "thinking"}], "reasoning": "hm"}}], "x": [1, {}]}),
            chunk("🦀)"),
            stop,
        ),
        // A byte order mark, LF, the text in the chunk with the end mark, no usage, no [DONE].
        format!(
            "\u{feff}data: {}\n\ndata: {}\n\n",
            chunk("ä("),
            json!({"choices": [{"delta": {"content": "🦀)"}, "finish_reason": "stop"}]}),
        ),
    ];
    let server = FakeModel::start();
    let model = model(&server);
    for stream in &streams {
        for size in (1..40).chain([100, 10_000]) {
            server.push(Reply::stream().raw_cut(stream.as_bytes(), size));
            let (text, end) = ask(&model).await;
            assert_eq!((text.as_str(), end), ("ä(🦀)", Some(Ok(None))), "cut into {size}: {stream:?}");
            server.take_request().await;
        }
    }
}

#[tokio::test]
async fn dropping_a_reply_closes_its_connection() {
    let server = FakeModel::start();
    let model = model(&server);

    server.push(Reply::stream().text("a").stall());
    let mut reply = model.reply(Ask { messages: messages(), wanted: Wanted::Text });
    assert_eq!(reply.next().await, Some(Ok(Piece::Text("a".to_owned()))));
    drop(reply);
    server.take_request().await.closed().await;

    server.push(Reply::silence());
    let reply =
        tokio::spawn(model.reply(Ask { messages: messages(), wanted: Wanted::Text }).collect::<Vec<_>>());
    let request = server.take_request().await;
    reply.abort();
    request.closed().await;
}

#[tokio::test]
async fn text_arrives_when_it_is_sent_and_the_connection_stays_warm() {
    let server = FakeModel::start();
    let model = model(&server);
    let mut connections = Vec::new();
    for _ in 0..10 {
        let (gate, rest) = (Gate::new(), Gate::new());
        // The end of the body comes last of all, after the model port has given back the reply.
        let reply = Reply::stream().text("a").wait(&gate).text("b").finish("stop").done().wait(&rest);
        server.push(reply);
        let mut reply = model.reply(Ask { messages: messages(), wanted: Wanted::Text });
        assert_eq!(reply.next().await, Some(Ok(Piece::Text("a".to_owned()))));
        gate.open();
        assert_eq!(reply.next().await, Some(Ok(Piece::Text("b".to_owned()))));
        assert_eq!(reply.next().await, Some(Ok(Piece::End(None))));
        assert_eq!(reply.next().await, None);
        rest.open();
        connections.push(server.take_request().await.connection);
    }
    assert!(
        connections.iter().max() < Some(&10),
        "every request made a connection of its own: {connections:?}"
    );
}

#[tokio::test]
async fn a_command_prints_the_key_when_it_is_first_needed() {
    let server = FakeModel::start();
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    let file = |command: &str| {
        format!("[[models]]\nmodel = 'm'\nbase_url = '{}'\napi_key_command = {command}", server.base_url())
    };
    let shell = format!("'''echo run >> {}; echo {KEY}; echo noise'''", runs.display());
    let model = OpenAi::new(remote(&file(&shell), &[]));
    assert!(!runs.exists());
    // The key is kept, until the server refuses it.
    for (reply, count) in
        [(Reply::complete("x", 1), 1), (Reply::page(401, "text/plain", ""), 1), (Reply::complete("x", 1), 2)]
    {
        server.push(reply);
        ask(&model).await;
        let request = server.take_request().await;
        assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
        assert_eq!(std::fs::read_to_string(&runs).unwrap().lines().count(), count);
    }

    let cases = [
        ("['printf', 'a$HOME']", Ok("Bearer a$HOME")),
        ("'echo wrong >&2; exit 3'", Err("exit status: 3: wrong")),
        ("'true'", Err("not one word")),
        ("'echo two words'", Err("not one word")),
        ("['/no/such/program']", Err("No such file")),
    ];
    for (command, expected) in cases {
        let model = OpenAi::new(remote(&file(command), &[]));
        match expected {
            Ok(header) => {
                server.reply_with("x");
                assert_eq!(ask(&model).await.0, "x");
                assert_eq!(server.take_request().await.header("authorization"), Some(header));
            }
            Err(why) => {
                let failure = failure(&model).await;
                assert!(failure.message.contains(why) && !failure.transient, "{failure:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_recording_is_said_again() {
    let replay = Replay::parse(
        "{\"text\":\"a\"}\n{\"at_ms\":1,\"text\":\"b\"}\n{\"end\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n\
         {\"text\":\"c\"}\n{\"cut\":true}\n{\"fail\":\"no\",\"transient\":true}\n{\"end\":{}}\n{\"text\":\"d\"}",
    )
    .unwrap();
    let failed = |message: &str, transient| {
        let trouble = if transient { Trouble::Server } else { Trouble::Configuration };
        Some(Err(Failure::new(trouble, message).transient(transient)))
    };
    let usage = Usage { prompt_tokens: 1, completion_tokens: 2, ..Usage::default() };
    let replies = [
        ("ab", Some(Ok(Some(usage)))),
        ("c", None),
        ("", failed("no", true)),
        ("", Some(Ok(None))),
        ("d", None),
        ("", failed("the recording has no more replies", false)),
    ];
    for (text, end) in replies {
        assert_eq!(ask(&replay).await, (text.to_owned(), end));
    }
    for wrong in ["{}", "{\"text\":\"\"}", "{\"text\":\"a\",\"cut\":true}", "x", "{\"txt\":\"a\"}"] {
        assert!(Replay::parse(&format!("\n{wrong}")).unwrap_err().to_string().contains("line 2"), "{wrong}");
    }
}

#[tokio::test]
async fn a_choice_opens_its_model() {
    let dir = tempfile::tempdir().unwrap();
    let recording = dir.path().join("r.jsonl");
    std::fs::write(&recording, "{\"text\":\"hi\"}\n{\"end\":{}}\n").unwrap();
    let persona = Persona { user: "Ada".to_owned(), assistant: "Jeeves".to_owned() };
    let remote = remote("[[models]]\nname = 'Big One'\nmodel = 'm'\nbase_url = 'http://127.0.0.1:1'", &[]);
    let cases = [
        (Choice::Offline, "offline", Some("(:type :request :target :emacs")),
        (Choice::Replay(recording), "replay", Some("hi")),
        (Choice::Replay(dir.path().join("absent")), "replay", None),
        (Choice::Remote(Box::new(remote)), "Big One", None),
    ];
    for (choice, name, text) in cases {
        let model = org_agent::model::open(&choice, &persona);
        assert_eq!(model.name(), name);
        let (said, end) = ask(model.as_ref()).await;
        match text {
            Some(text) => assert!(said.starts_with(text) && end == Some(Ok(None)), "{said} {end:?}"),
            None => assert!(matches!(end, Some(Err(_))), "{end:?}"),
        }
    }
}

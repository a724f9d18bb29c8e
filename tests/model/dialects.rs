//! How a server is told to write an action and nothing else, per dialect, over the wire.

use org_agent::action::{Action, CHAT_BUFFER};
use org_agent::grammar::{Export, MAX_TEXT};
use org_agent::model::openai::OpenAi;
use org_agent::model::{Ask, Model, Wanted};
use org_agent::prompt::{Message, Role};
use org_agent::sexp::printer::print;
use org_agent::verify::Reading;
use serde_json::{Value, json};

use crate::fake_model::{FakeModel, Reply};
use crate::{Heard, hear, remote};

const DIALECTS: [&str; 5] = ["prompt", "llama.cpp", "vllm", "openai-lark", "json-schema"];

fn of(server: &FakeModel, dialect: &str) -> OpenAi {
    let url = server.base_url();
    OpenAi::new(remote(&format!("[[models]]\nmodel = 'm'\nbase_url = '{url}'\ndialect = '{dialect}'"), &[]))
}

fn action() -> Wanted {
    Wanted::Action { buffer: CHAT_BUFFER.to_owned() }
}

/// The exported schema without what only people read.
fn for_machines(mut schema: Value) -> Value {
    let object = schema.as_object_mut().unwrap();
    object.retain(|name, _| !["$comment", "$schema", "title", "description"].contains(&name.as_str()));
    for form in object["anyOf"].as_array_mut().unwrap() {
        form.as_object_mut().unwrap().remove("description").expect("every form has one");
    }
    schema
}

/// Whether the verifier takes what was heard.
fn is_accepted(heard: &Heard) -> bool {
    let mut reading = Reading::new(CHAT_BUFFER, 1);
    reading.feed(heard.text.as_bytes()).and_then(|()| reading.finish()).is_ok()
}

#[tokio::test]
async fn each_dialect_sends_the_exported_grammar_in_its_own_fields() {
    let export = Export::new(CHAT_BUFFER, MAX_TEXT).unwrap();
    let lark = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": export.lark()}});
    let server = FakeModel::start();
    for dialect in DIALECTS {
        let expected = match dialect {
            "llama.cpp" => json!({"grammar": export.gbnf()}),
            "vllm" => json!({"structured_outputs": {"grammar": export.gbnf()}}),
            "json-schema" => json!({"response_format": {"type": "json_schema",
                "json_schema": {"name": "action", "strict": true, "schema": for_machines(export.json_schema())}}}),
            "openai-lark" => json!({
                "tools": [{"type": "custom", "custom": {"name": "act", "format": lark}}],
                "tool_choice": {"type": "custom", "custom": {"name": "act"}},
                "parallel_tool_calls": false,
            }),
            _ => json!({}),
        };
        let model = of(&server, dialect);
        for wanted in [action(), Wanted::Text] {
            server.reply_with("(:type");
            hear(&model, wanted.clone()).await;
            let mut body = server.take_request().await.body;
            let body = body.as_object_mut().unwrap();
            for common in ["model", "messages", "stream", "stream_options"] {
                assert!(body.remove(common).is_some(), "{dialect}: {common}");
            }
            if let Some(tool) = body.get_mut("tools") {
                let words = tool[0]["custom"].as_object_mut().unwrap().remove("description");
                assert!(words.is_some_and(|words| words.as_str().unwrap().contains("one property list")));
            }
            let none = json!({});
            let expected = if matches!(wanted, Wanted::Text) { &none } else { &expected };
            assert_eq!(Value::Object(body.clone()), *expected, "{dialect}");
            // The log tells which grammar it was.
            let kept = model.parameters(&wanted);
            let constrained = expected.as_object().is_some_and(|fields| !fields.is_empty());
            assert_eq!(kept.get("grammarSha256").is_some(), constrained, "{dialect}: {kept}");
            assert_eq!(kept["dialect"], if constrained { dialect } else { "prompt" });
        }
    }
}

#[tokio::test]
async fn a_reply_in_json_is_read_as_the_same_action_and_kept_as_it_came() {
    let server = FakeModel::start();
    let model = of(&server, "json-schema");
    let insert = Action::insert(CHAT_BUFFER, "Grüße \"🦀\"\n\\o/");
    let json = insert.to_json().to_string();
    for size in [1, 7, 1000] {
        server.push(Reply::complete(&json, size));
        let heard = hear(&model, action()).await;
        assert_eq!((&heard.text, &heard.original), (&print(&insert), &json));
        assert!(is_accepted(&heard));
        server.take_request().await;
    }
    // What is wanted as text stays as it is.
    server.push(Reply::complete(&json, 7));
    let heard = hear(&model, Wanted::Text).await;
    assert_eq!((heard.text, heard.original), (json, String::new()));
    server.take_request().await;
}

#[tokio::test]
async fn a_tool_that_is_called_is_the_reply() {
    let server = FakeModel::start();
    let model = of(&server, "openai-lark");
    let insert = print(&Action::insert(CHAT_BUFFER, "Hi."));
    let (first, rest) = insert.split_at(20);
    let call = |input: &str| {
        let call = json!({"index": 0, "type": "custom", "custom": {"name": "act", "input": input}});
        json!({"choices": [{"delta": {"tool_calls": [call]}}]})
    };
    server.push(Reply::stream().event(&call(first)).event(&call(rest)).finish("tool_calls").done());
    let heard = hear(&model, action()).await;
    assert_eq!((heard.text.as_str(), &heard.end), (insert.as_str(), &Some(Ok(None))));
    assert!(is_accepted(&heard));
    server.take_request().await;
}

/// Whatever a server promises: what it wrote is judged here.
#[tokio::test]
async fn a_server_that_ignores_its_grammar_is_not_believed() {
    let server = FakeModel::start();
    let wrong = [
        "Sure! Here is what I know.",
        "{\"type\":\"response\",\"payload\":{\"text\":\"a\"}} and more",
        "{\"type\":\"response\"}",
        "{\"action\":\"rm\"}",
        "",
    ];
    for dialect in DIALECTS {
        let model = of(&server, dialect);
        for reply in wrong {
            server.push(Reply::complete(reply, 5));
            let heard = hear(&model, action()).await;
            assert!(matches!(heard.end, Some(Ok(_))), "{heard:?}");
            assert!(!is_accepted(&heard), "{dialect}: {heard:?}");
            server.take_request().await;
        }
    }
}

#[tokio::test]
async fn a_model_that_writes_json_is_shown_its_earlier_actions_as_json() {
    let server = FakeModel::start();
    let insert = Action::insert(CHAT_BUFFER, "Earlier.");
    let message = |role, text: &str| Message { role, text: text.to_owned() };
    let history = || {
        vec![
            message(Role::System, "Rules."),
            message(Role::User, &print(&insert)),
            message(Role::Assistant, &print(&insert)),
            message(Role::Assistant, "no action"),
        ]
    };
    for dialect in DIALECTS {
        for wanted in [action(), Wanted::Text] {
            let as_json = dialect == "json-schema" && !matches!(wanted, Wanted::Text);
            server.reply_with("x");
            let model = of(&server, dialect);
            let mut reply = model.reply(Ask { messages: history(), wanted });
            while futures::StreamExt::next(&mut reply).await.is_some() {}
            let messages = server.take_request().await.messages();
            let shown = if as_json { insert.to_json().to_string() } else { print(&insert) };
            assert_eq!(messages[2].1, shown, "{dialect}");
            assert_eq!((&messages[1].1, messages[3].1.as_str()), (&print(&insert), "no action"));
            assert_eq!(messages[0].1.contains("written as JSON"), as_json, "{dialect}: {}", messages[0].1);
        }
    }
}

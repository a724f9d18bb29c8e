//! What a request says per provider, how its tokens are counted, and what a model thinks.

use org_agent::model::openai::OpenAi;
use org_agent::model::{Model, Wanted};
use org_agent::record::Usage;
use serde_json::{Value, json};

use crate::fake_model::{FakeModel, Reply};
use crate::{ask, hear, model, remote};

/// The model at `server` with these lines of its table.
fn of(server: &FakeModel, lines: &str) -> OpenAi {
    OpenAi::new(remote(&format!("[[models]]\nmodel = 'm'\nbase_url = '{}'\n{lines}", server.base_url()), &[]))
}

/// The lines of a table, and what a request has beside model and messages.
#[tokio::test]
async fn every_provider_is_asked_with_its_own_fields() {
    let usage = json!({"include_usage": true});
    let usual = json!({"stream": true, "stream_options": usage});
    let cases = [
        ("", usual.clone()),
        ("max_tokens = 9\ntemperature = 0.25", json!({"max_tokens": 9, "temperature": 0.25})),
        ("temperature = 0", json!({"temperature": 0.0})),
        ("provider = 'openai'\nmax_tokens = 9", json!({"max_completion_tokens": 9})),
        ("provider = 'groq'\nmax_tokens = 9", json!({"max_completion_tokens": 9})),
        ("provider = 'anthropic'\nmax_tokens = 9", json!({"max_tokens": 9})),
        ("provider = 'gemini'\nmax_tokens = 9", json!({"max_tokens": 9})),
        ("provider = 'openrouter'\nmax_tokens = 9", json!({"max_tokens": 9})),
        ("provider = 'deepseek'\nmax_tokens = 9", json!({"max_tokens": 9})),
        ("provider = 'ollama'\nmax_tokens = 9", json!({"max_tokens": 9})),
        ("provider = 'mistral'\nmax_tokens = 9", json!({"max_tokens": 9, "stream_options": null})),
    ];
    let server = FakeModel::start();
    for (lines, fields) in cases {
        let mut expected = usual.clone();
        for (name, value) in fields.as_object().unwrap() {
            expected[name] = value.clone();
        }
        let expected: serde_json::Map<String, Value> = expected
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        server.reply_with("x");
        let model = of(&server, lines);
        assert_eq!(ask(&model).await.0, "x");
        let mut body = server.take_request().await.body;
        let body = body.as_object_mut().unwrap();
        assert!(body.remove("messages").is_some() && body.remove("model") == Some(json!("m")));
        assert_eq!(*body, expected, "{lines}");
        // The log keeps what was asked, and where.
        let kept = model.parameters(&Wanted::Text);
        for (name, value) in expected.iter().filter(|(name, _)| *name != "stream_options") {
            assert_eq!(&kept[name], value, "{lines}");
        }
        assert_eq!((&kept["model"], &kept["baseUrl"]), (&json!("m"), &json!(server.base_url())));
    }
}

#[tokio::test]
async fn tokens_are_counted_as_each_provider_says_them() {
    let plain = Usage { prompt_tokens: 9, completion_tokens: 5, ..Usage::default() };
    let counts = json!({"prompt_tokens": 9, "completion_tokens": 5});
    let mut openai = counts.clone();
    openai["prompt_tokens_details"] = json!({"cached_tokens": 4});
    openai["completion_tokens_details"] = json!({"reasoning_tokens": 3});
    let mut deepseek = counts.clone();
    deepseek["prompt_cache_hit_tokens"] = json!(4);
    let end = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    let cases = [
        // After the end mark, with it, before it, with every chunk.
        (
            vec![json!({"choices": [end]}), json!({"choices": [], "usage": openai})],
            Usage { cached_tokens: Some(4), reasoning_tokens: Some(3), ..plain },
        ),
        (vec![json!({"choices": [end], "usage": deepseek})], Usage { cached_tokens: Some(4), ..plain }),
        (vec![json!({"choices": [end], "x_groq": {"id": "1", "usage": counts}})], plain),
        (
            vec![
                json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}),
                json!({"choices": [end], "usage": counts}),
            ],
            plain,
        ),
        (vec![json!({"choices": [], "usage": counts}), json!({"choices": [end], "usage": null})], plain),
    ];
    let server = FakeModel::start();
    let model = model(&server);
    for (events, usage) in cases {
        let reply = events.iter().fold(Reply::stream().text("x"), Reply::event);
        server.push(reply.done());
        assert_eq!(ask(&model).await, ("x".to_owned(), Some(Ok(Some(usage)))), "{events:?}");
        server.take_request().await;
    }
}

#[tokio::test]
async fn what_a_model_thinks_is_no_part_of_its_reply() {
    let delta = |delta: Value| json!({"choices": [{"delta": delta}]});
    let said = delta(json!({"content": "(:a)"}));
    let tagged = |text: &str| -> Vec<Value> {
        text.chars().map(|c| delta(json!({"content": c.to_string()}))).collect()
    };
    let cases = [
        ("", vec![delta(json!({"reasoning_content": "hm"})), said.clone()], "hm", "(:a)"),
        ("", vec![delta(json!({"reasoning": "hm", "content": ""})), said.clone()], "hm", "(:a)"),
        ("", vec![delta(json!({"reasoning_content": "hm", "content": "(:a)"}))], "hm", "(:a)"),
        ("thinks = true", tagged("<think>\nhm\n</think>\n\n(:a)"), "hm", "(:a)"),
        ("thinks = false", tagged("<think>hm</think>(:a)"), "", "<think>hm</think>(:a)"),
        // A model that only thought said nothing.
        ("", vec![delta(json!({"reasoning": "hm"}))], "hm", ""),
    ];
    let server = FakeModel::start();
    for (lines, events, thought, text) in cases {
        let reply = events.iter().fold(Reply::stream(), Reply::event);
        server.push(reply.finish("stop").done());
        let heard = hear(&of(&server, lines), Wanted::Text).await;
        assert_eq!((heard.thought.trim(), heard.text.as_str()), (thought, text), "{events:?}");
        assert_eq!(heard.end, Some(Ok(None)));
        server.take_request().await;
    }
}

//! Models that are asked in the place of one that fails, and the way to a model by a proxy.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::fake_model::{FakeModel, Reply};
use crate::scene::Scene;
use crate::{KEY, insert};

/// A table for a model at `url`.
fn table(name: &str, url: &str, more: &str) -> String {
    format!(
        "[[models]]\nname = '{name}'\nmodel = '{name}-model'\nbase_url = '{url}'\napi_key_env = 'FAKE_KEY'\n{more}\n"
    )
}

/// A scene whose first model has `fallback`; the second one; and the home, which the test keeps.
fn scene(fallback: &str) -> (Scene, FakeModel, TempDir) {
    let (first, second) = (FakeModel::start(), FakeModel::start());
    let config = table("first", &first.base_url(), &format!("fallback = ['{fallback}']"))
        + &table("second", &second.base_url(), "");
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config.toml"), config).unwrap();
    let client = Client::new_in(home.path(), &[("FAKE_KEY", KEY)]);
    (Scene::of(first, client), second, home)
}

/// What the log has about a turn's change of models.
fn fell_back(scene: &mut Scene, turn: &str) -> Vec<Value> {
    let why = scene.request("orgAgent/why", &json!({"turnId": turn})).unwrap();
    let events = why["events"].as_array().unwrap().iter();
    events.filter(|event| event["type"] == "turn.fell_back").cloned().collect()
}

/// How the first model fails and how often it is asked; a part of the reason.
fn cases() -> Vec<(Reply, usize, &'static str)> {
    let busy = |after| Reply::page(500, "text/plain", "out of order").header("Retry-After", after);
    vec![
        (Reply::page(401, "text/plain", "who?"), 1, "401 Unauthorized: who?"),
        (busy("0"), 3, "500 Internal Server Error: out of order"),
        (busy("61"), 1, "500 Internal Server Error: out of order"),
        (Reply::complete("Sure!", 2), 3, "the model's reply was rejected three times: "),
        (Reply::stream().text("(:type").finish("length").done(), 3, "finish_reason `length`"),
    ]
}

#[test]
fn the_next_model_answers_for_one_that_fails() {
    let (mut scene, second, _home) = scene("second");
    for (at, (reply, times, why)) in cases().into_iter().enumerate() {
        (0..times).for_each(|_| scene.model.push(reply.clone()));
        let answer = insert(&format!("Answer {at}."));
        second.reply_with(&answer);
        let turn = scene.say(&format!("Question {at}."));
        let told = scene.end(&turn);
        for _ in 0..times {
            assert_eq!(scene.model.take_request_blocking().body["model"], "first-model");
        }
        let request = second.take_request_blocking();
        assert_eq!(request.body["model"], "second-model");
        // It is asked the question and told nothing of what another one did wrong.
        let asked = request.messages().pop().unwrap().1;
        assert!(asked.ends_with(&format!("Question {at}.")), "{asked}");
        let changes: Vec<&String> = told
            .iter()
            .filter(|line| line.starts_with("thinking: asking second instead of first: "))
            .collect();
        assert!(changes.len() == 1 && changes[0].contains(why), "{why}: {told:?}");
        assert_eq!(told.last().unwrap(), "done");
        assert!(told.contains(&format!("insert Answer {at}.")), "{told:?}");
        let kept = fell_back(&mut scene, &turn);
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!((&kept[0]["from"], &kept[0]["to"]), (&json!("first"), &json!("second")));
        assert_eq!(kept[0]["attempt"], times);
        assert!(kept[0]["reason"].as_str().unwrap().contains(why), "{kept:?}");
    }
    scene.finish();
}

#[test]
fn if_all_fail_the_last_one_is_told() {
    let (mut scene, second, _home) = scene("second");
    scene.model.push(Reply::page(401, "text/plain", "the first"));
    let busy = Reply::page(503, "text/plain", "the second").header("Retry-After", "0");
    (0..3).for_each(|_| second.push(busy.clone()));
    let turn = scene.say("Anyone?");
    let told = scene.end(&turn);
    scene.model.take_request_blocking();
    (0..3).for_each(|_| drop(second.take_request_blocking()));
    let inserts: Vec<&String> = told.iter().filter(|line| line.starts_with("insert ")).collect();
    assert_eq!(inserts.len(), 1, "{told:?}");
    let text = inserts[0];
    assert!(text.contains("503 Service Unavailable: the second (asked 3 times); ask again later"), "{text}");
    assert!(!text.contains("the first"), "{text}");
    assert!(told.last().unwrap().starts_with("failed: model: "), "{told:?}");
    assert_eq!(fell_back(&mut scene, &turn).len(), 1);
    scene.finish();
}

#[test]
fn the_built_in_responder_may_be_the_last() {
    let (mut scene, second, _home) = scene("offline");
    scene.model.push(Reply::page(403, "text/plain", "not you"));
    let turn = scene.say("Anyone?");
    let told = scene.end(&turn);
    scene.model.take_request_blocking();
    let change = told.iter().find(|line| line.starts_with("thinking: asking offline instead of first: "));
    assert!(change.is_some_and(|line| line.contains("403 Forbidden: not you")), "{told:?}");
    assert_eq!(told.last().unwrap(), "done");
    let insert = told.iter().find(|line| line.starts_with("insert ")).unwrap();
    // It says what it is.
    assert!(insert.contains("the built-in responder"), "{insert}");
    assert_eq!(fell_back(&mut scene, &turn)[0]["to"], "offline");
    drop(second);
    scene.finish();
}

/// The address 0.0.0.0 is this machine, but no name of it that would be asked straight in any case.
#[test]
fn a_proxy_of_the_environment_is_used_unless_config_says_otherwise() {
    for line in ["", "proxy = 'none'"] {
        let home = tempfile::tempdir().unwrap();
        let (model, proxy) = (FakeModel::start(), FakeModel::start());
        let url = model.base_url().replace("127.0.0.1", "0.0.0.0");
        std::fs::write(home.path().join("config.toml"), table("first", &url, line)).unwrap();
        let way = proxy.base_url().trim_end_matches("/v1").to_owned();
        let client = Client::new_in(home.path(), &[("FAKE_KEY", KEY), ("HTTP_PROXY", &way)]);
        let asked = if line.is_empty() { &proxy } else { &model };
        asked.reply_with(&insert("Here."));
        let mut scene = Scene::of(FakeModel::start(), client);
        let turn = scene.say("Which way?");
        assert_eq!(scene.end(&turn).last().unwrap(), "done");
        let request = asked.take_request_blocking();
        let expected = if line.is_empty() {
            format!("{url}/chat/completions")
        } else {
            "/v1/chat/completions".to_owned()
        };
        assert_eq!(request.path, expected);
        scene.finish();
    }

    // One that is not there is named.
    let home = tempfile::tempdir().unwrap();
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    std::fs::write(home.path().join("config.toml"), table("first", "http://models.invalid/v1", "")).unwrap();
    let client = Client::new_in(home.path(), &[("FAKE_KEY", KEY), ("http_proxy", &format!("http://{gone}"))]);
    let mut scene = Scene::of(FakeModel::start(), client);
    let turn = scene.say("Which way?");
    let told = scene.end(&turn);
    let hint = "correct the variable HTTP_PROXY, or go past it with proxy = \"none\" in config.toml";
    assert!(told.iter().any(|line| line.starts_with("insert ") && line.contains(hint)), "{told:?}");
    scene.finish();
}

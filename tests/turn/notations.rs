//! Replies in another notation than the verifier's, and what a model thinks before it replies: whole turns.

use org_agent::action::{Action, CHAT_BUFFER};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::fake_model::{FakeModel, Reply};
use crate::scene::Scene;
use crate::{KEY, insert};

/// A scene whose model has `lines` in its table; and the home, which the test keeps.
fn scene(lines: &str) -> (Scene, TempDir) {
    let (model, home) = (FakeModel::start(), tempfile::tempdir().unwrap());
    let table =
        format!("[[models]]\nmodel = 'm'\nbase_url = '{}'\napi_key_env = 'K'\n{lines}\n", model.base_url());
    std::fs::write(home.path().join("config.toml"), table).unwrap();
    let client = Client::new_in(home.path(), &[("K", KEY)]);
    (Scene::of(model, client), home)
}

/// The replies of a turn as the log has them.
fn replies(scene: &mut Scene, turn: &str) -> Vec<Value> {
    let why = scene.request("orgAgent/why", &json!({"turnId": turn})).unwrap();
    let events = why["events"].as_array().unwrap().iter();
    events.filter(|event| event["type"] == "turn.replied").cloned().collect()
}

fn json(text: &str) -> String {
    Action::insert(CHAT_BUFFER, text).to_json().to_string()
}

/// A server that takes the schema and ignores it is found out; one that keeps to it is read.
#[test]
fn a_reply_in_json_is_verified_shown_and_kept() {
    let (mut scene, _home) = scene("dialect = 'json-schema'");
    scene.model.push(Reply::complete("Sure, here is the JSON you asked for: {}", 4));
    scene.model.push(Reply::complete(&json("Two \"words\".\n"), 4));
    let turn = scene.say("Say two words.");
    let told = scene.end(&turn);
    for _ in 0..2 {
        let request = scene.model.take_request_blocking();
        assert_eq!(request.body["response_format"]["type"], "json_schema");
    }
    assert!(told[3].starts_with("repairing: "), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("insert Two \"words\".")), "{told:?}");
    assert_eq!(told.last().unwrap(), "done");
    let replies = replies(&mut scene, &turn);
    assert_eq!(replies.len(), 2, "{replies:?}");
    assert_eq!(replies[0]["verdict"]["verdict"], "reject", "{replies:?}");
    assert!(replies[0]["original"].as_str().is_some_and(|text| text.starts_with("Sure")), "{replies:?}");
    assert_eq!(replies[1]["verdict"]["verdict"], "accept", "{replies:?}");
    assert_eq!(replies[1]["original"], json("Two \"words\".\n"));
    assert!(replies[1]["raw"].as_str().unwrap().starts_with("(:type :request :target :emacs"), "{replies:?}");

    // It is shown what it said as it said it.
    scene.model.push(Reply::complete(&json("Yes."), 100));
    let turn = scene.say("Sure?");
    scene.end(&turn);
    let messages = scene.model.take_request_blocking().messages();
    let said = messages.iter().find(|(role, _)| role == "assistant").unwrap();
    assert!(said.1.starts_with("{\"type\":\"request\""), "{said:?}");
    scene.finish();
}

#[test]
fn a_model_that_only_thinks_sent_an_empty_reply() {
    let (mut scene, _home) = scene("");
    let thinks = |text: &str| json!({"choices": [{"delta": {"reasoning_content": text}}]});
    scene.model.push(Reply::stream().event(&thinks("Hm.")).finish("stop").done());
    let right = Reply::stream().event(&thinks("I see.")).text(&insert("There."));
    scene.model.push(right.finish("stop").done());
    let turn = scene.say("Where?");
    let told = scene.end(&turn);
    assert_eq!(told[2], "repairing: the model only thought, and sent an empty reply");
    assert_eq!(told.last().unwrap(), "done");
    scene.model.take_request_blocking();
    let again = scene.model.take_request_blocking().messages().pop().unwrap().1;
    assert!(again.contains("the model only thought, and sent an empty reply"), "{again}");
    // No model is told what it or another one thought.
    assert!(!again.contains("Hm."), "{again}");
    let thoughts: Vec<Value> =
        replies(&mut scene, &turn).iter().map(|reply| reply["thought"].clone()).collect();
    assert_eq!(thoughts, [json!("Hm."), json!("I see.")]);
    scene.finish();
}

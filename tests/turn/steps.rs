//! What a client is told of skills that are read for a model: only if it wants to know, without a number, and with what
//! leads to the rest.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::fake_model::FakeModel;
use crate::scene::Scene;
use crate::{insert, variables};

const BODY: &str = "Use *qpdf*.";

/// A scene with a skill and a client that announces `steps`.
fn scene(steps: &Value) -> Scene {
    let model = FakeModel::start();
    let mut client = Client::start(&variables(&model.base_url(), &[]));
    let skill = client.home().join("skills/pdf");
    std::fs::create_dir_all(&skill).unwrap();
    let text = format!("---\nname: pdf\ndescription: Works with PDF files.\n---\n\n{BODY}\n");
    std::fs::write(skill.join("SKILL.md"), text).unwrap();
    client.initialize_as(&json!({"version": 1, "streaming": true, "steps": steps}));
    Scene::of(model, client)
}

fn load(name: &str) -> String {
    format!(r#"(:type :request :target :skill :payload (:name "{name}"))"#)
}

/// The steps that came, each without what names it, and their actions.
fn steps(scene: &mut Scene, turn: &str) -> Vec<(Value, String)> {
    let others = std::mem::take(&mut scene.others);
    let (steps, others): (Vec<Value>, _) =
        others.into_iter().partition(|message| message["method"] == "orgAgent/step");
    scene.others = others;
    let session = scene.request("orgAgent/why", &json!({"turnId": turn})).unwrap()["sessionId"].clone();
    let mut told = Vec::new();
    for mut step in steps {
        let params = step["params"].as_object_mut().unwrap();
        assert_eq!(params.remove("turnId").unwrap(), turn);
        assert_eq!(params.remove("sessionId").unwrap(), session);
        let actuation = params.remove("actuationId").unwrap().as_str().unwrap().to_owned();
        told.push((step["params"].take(), actuation));
    }
    told
}

#[test]
fn a_client_that_wants_to_know_is_told_of_skills() {
    let mut scene = scene(&json!(true));
    for reply in [load("PDF"), load("pdf"), load("weather"), insert("Done.")] {
        scene.model.reply_with(&reply);
    }
    let turn = scene.say("Merge them.");
    for _ in 0..4 {
        scene.asked();
    }
    assert_eq!(scene.end(&turn).last().unwrap(), "done");
    let hash: String = Sha256::digest(BODY).iter().map(|byte| format!("{byte:02x}")).collect();
    let told = steps(&mut scene, &turn);
    let shown: Vec<&Value> = told.iter().map(|(step, _)| step).collect();
    let loaded = json!({"kind": "skill", "name": "pdf", "by": "model", "status": "loaded", "origin": "user",
        "sha256": hash});
    assert_eq!(*shown[0], loaded);
    let mut again = loaded.clone();
    again["message"] = json!("its text stands in the conversation already, unchanged");
    assert_eq!(*shown[1], again);
    assert_eq!(shown[2]["message"], "there is no skill named \"weather\"");
    assert_eq!((&shown[2]["status"], &shown[2]["name"]), (&json!("refused"), &json!("weather")));
    assert!(shown[2].get("origin").is_none() && shown[2].get("sha256").is_none(), "{}", shown[2]);
    assert_eq!(shown.len(), 3);
    // Each leads to what is behind it, and is in the list of what was done.
    let session = scene.request("orgAgent/why", &json!({"turnId": turn})).unwrap()["sessionId"].clone();
    let actions = scene.request("orgAgent/sessions/actions", &json!({"sessionId": session})).unwrap();
    let actions: Vec<&Value> =
        actions["items"].as_array().unwrap().iter().filter(|action| action["module"] == "skill").collect();
    assert_eq!(actions.len(), 3);
    for ((_, actuation), action) in told.iter().zip(actions) {
        assert_eq!(action["id"], **actuation, "{action}");
        let why = scene.request("orgAgent/why", &json!({"actuationId": actuation, "format": "org"})).unwrap();
        assert_eq!(why["turnId"], turn);
        assert!(why["org"].as_str().unwrap().contains("skill"), "{why}");
    }

    // The user calls one; what there is not is what was said.
    for (text, count) in [("/pdf and this", 1), ("/none of it", 0)] {
        scene.model.reply_with(&insert("Yes."));
        let turn = scene.say(text);
        scene.asked();
        scene.end(&turn);
        let told = steps(&mut scene, &turn);
        assert_eq!(told.len(), count, "{told:?}");
        for (mut step, _) in told {
            assert_eq!(step["by"].take(), "user");
            step["by"] = json!("model");
            assert_eq!(step, again);
        }
    }
}

#[test]
fn a_client_that_does_not_is_not() {
    for wanted in [json!(false), Value::Null] {
        let mut scene = scene(&wanted);
        scene.model.reply_with(&load("pdf"));
        scene.model.reply_with(&insert("Done."));
        let turn = scene.say("/pdf");
        scene.asked();
        scene.asked();
        assert_eq!(scene.end(&turn).last().unwrap(), "done");
        assert!(steps(&mut scene, &turn).is_empty());
    }
}

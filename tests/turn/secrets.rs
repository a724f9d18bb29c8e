//! A command printed secrets: they are in no file, in no request to the model and in no message to the client.

use serde_json::{Value, json};

use crate::client::Client;
use crate::clients::find;
use crate::fake_model::FakeModel;
use crate::scene::Scene;
use crate::{KEY, command, insert, messages, variables};

/// Made up, of the forms that their names say.
const GITHUB: &str = "ghp_a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8";
const PRINTED: &str = "printed-by-a-command-7c1e";

/// Fails if any of `secrets` stands in `text`.
#[track_caller]
fn lacks(text: &str, secrets: &[&str]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn a_planted_key_is_nowhere() {
    let home = tempfile::tempdir().unwrap();
    let model = FakeModel::start();
    let client = Client::new_in(home.path(), &variables(&model.base_url(), &[]));
    let mut scene = Scene::of(model, client);
    let encoded = "c2stU2VjcmV0MDEyMzQ1Njc4OQ==";
    let all = [KEY, GITHUB, encoded, "736b2d536563726574", "U2VjcmV0", "Secret01234", "a1B2c3D4e5F6"];

    // Live output, cut in the middle of the keys; the report has none of its own.
    scene.model.reply_with(&command("env"));
    let turn = scene.say("Show them.");
    scene.asked();
    let actuation = scene.wait(&turn, "run ");
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    let live = format!("OPENAI_API_KEY={KEY}\nGITHUB_TOKEN={GITHUB}\nBASE64={encoded}\nPATH=/bin\n");
    for stream in ["stdout", "stderr"] {
        for (seq, chunk) in live.as_bytes().chunks(17).enumerate() {
            let text = std::str::from_utf8(chunk).unwrap();
            let output = json!({"actuationId": actuation["actuationId"], "seq": seq + 1, "stream": stream, "text": text});
            scene.client.notify("orgAgent/output", &output);
        }
    }
    scene.model.reply_with(&insert("Seen."));
    let outcome = json!({"status": "failed", "token": decided["token"], "message": format!("no {KEY} here")});
    scene.report(&actuation, &outcome).unwrap();
    let request = scene.model.take_request_blocking();
    lacks(&request.body.to_string(), &all);
    let told = messages(&request).pop().unwrap().1;
    let masked = "OPENAI_API_KEY=[redacted: live key]\nGITHUB_TOKEN=[redacted: github-token]\nBASE64=[redacted: live key]";
    assert_eq!(told.matches(masked).count(), 2, "{told}");
    assert!(told.contains("PATH=/bin") && told.contains("no [redacted: live key] here"), "{told}");
    scene.end(&turn);

    // A report with its own output.
    scene.model.reply_with(&command("env | xxd -p"));
    let turn = scene.say("Once more.");
    scene.asked();
    let actuation = scene.wait(&turn, "run ");
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    scene.model.reply_with(&insert("Seen again."));
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    let outcome = json!({"status": "done", "exitCode": 0, "token": decided["token"],
        "stdout": format!("{}\n{}", &hex[..30], &hex[30..]), "stderr": format!("https://me:{KEY}@host/")});
    scene.report(&actuation, &outcome).unwrap();
    let request = scene.model.take_request_blocking();
    lacks(&request.body.to_string(), &all);
    let told = messages(&request).pop().unwrap().1;
    assert!(told.contains("\n[redacted: live key]\n") && told.contains("https://me:[redacted: "), "{told}");
    scene.end(&turn);

    let session = scene.told(&turn)[0]["params"]["sessionId"].clone();
    for (method, params) in [
        ("orgAgent/sessions/actions", json!({"sessionId": session})),
        ("orgAgent/sessions/messages", json!({"sessionId": session})),
        ("orgAgent/why", json!({"actuationId": actuation["actuationId"]})),
        ("orgAgent/sessions/list", json!({})),
    ] {
        let answer = scene.request(method, &params).unwrap();
        lacks(&answer.to_string(), &all);
    }
    lacks(&Value::from(scene.told(&turn)).to_string(), &all);
    lacks(&scene.client.log(), &all);
    // While it runs, and after.
    for secret in all {
        assert_eq!(find(home.path(), secret), None);
    }
    scene.finish();
    for secret in all {
        assert_eq!(find(home.path(), secret), None);
    }
    assert!(find(home.path(), "[redacted: live key]").is_some(), "the search finds what is there");
}

#[test]
fn a_key_that_a_command_printed_and_one_of_another_model_are_known() {
    let home = tempfile::tempdir().unwrap();
    let model = FakeModel::start();
    let config = format!(
        "[[models]]\nmodel = 'fake-model'\nbase_url = '{}'\napi_key_command = 'echo {PRINTED}'\n\
         [[models]]\nmodel = 'other'\napi_key_env = 'OTHER_KEY'\n",
        model.base_url()
    );
    std::fs::write(home.path().join("config.toml"), config).unwrap();
    let client = Client::new_in(home.path(), &[("OTHER_KEY", "other-models-key-55aa")]);
    let mut scene = Scene::of(model, client);
    scene.model.reply_with(&command("cat notes"));
    let turn = scene.say("Read.");
    let first = scene.model.take_request_blocking();
    assert_eq!(first.header("authorization"), Some(format!("Bearer {PRINTED}").as_str()));
    let actuation = scene.wait(&turn, "run ");
    scene.model.reply_with(&insert("Read."));
    let outcome = json!({"status": "done", "stdout": format!("a {PRINTED} b other-models-key-55aa c")});
    scene.report(&actuation, &outcome).unwrap();
    let body = scene.model.take_request_blocking().body.to_string();
    assert!(body.contains("a [redacted: live key] b [redacted: live key] c"), "{body}");
    lacks(&body, &[PRINTED, "other-models-key-55aa"]);
    scene.end(&turn);
    scene.finish();
}

//! What is chosen for a session over the own protocol: who speaks in it, and what its commands may do at most.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::client::Client;
use crate::fake_model::FakeModel;
use crate::scene::Scene;
use crate::{command, insert, variables};

const CONTEXT: &str = "orgAgent/sessions/context";

/// A session in which something was said.
fn begun(scene: &mut Scene) -> String {
    scene.model.reply_with(&insert("Hello."));
    let params = json!({"sensor": "chat-message", "clientId": "hi", "text": "hi"});
    let receipt = scene.event(&params);
    scene.end(receipt["turnId"].as_str().unwrap());
    scene.model.take_request_blocking();
    receipt["sessionId"].as_str().unwrap().to_owned()
}

/// Keeps a value with a session, and all others that it has.
fn keep(scene: &mut Scene, session: &str, key: &str, value: &str) {
    let params = json!({"sessionId": session, "values": {key: value}, "merge": true});
    scene.request(CONTEXT, &params).unwrap();
}

/// Has a command proposed; its turn and its actuation.
fn propose(scene: &mut Scene, session: &str, cmd: &str, directory: &Path) -> (String, Value) {
    scene.model.reply_with(&command(cmd));
    let turn = say(scene, session, cmd, directory);
    let actuation = scene.wait(&turn, "run ");
    scene.model.take_request_blocking();
    (turn, actuation)
}

fn say(scene: &mut Scene, session: &str, text: &str, directory: &Path) -> String {
    let params = json!({"sensor": "chat-message", "clientId": text, "text": text, "sessionId": session,
        "directory": directory});
    scene.event(&params)["turnId"].as_str().unwrap().to_owned()
}

fn run(scene: &Scene, token: &Value) -> Output {
    let mut sandbox = Command::new(env!("CARGO_BIN_EXE_org-agent"));
    let token = token.as_str().unwrap();
    sandbox.args(["sandbox", "--token", token]).env("ORG_AGENT_HOME", scene.client.home()).output().unwrap()
}

fn finish(scene: &mut Scene, turn: &str, actuation: &Value, token: &Value) {
    scene.model.reply_with(&insert("Done."));
    scene.report(actuation, &json!({"status": "done", "token": token, "exitCode": 1})).unwrap();
    assert_eq!(scene.end(turn).last().unwrap(), "done");
    scene.model.take_request_blocking();
}

#[test]
fn values_are_merged_if_that_is_wanted_and_those_that_are_obeyed_are_checked() {
    let mut scene = Scene::new();
    let session = begun(&mut scene);
    let values = |scene: &mut Scene, values: Value, merge: Option<bool>| {
        let mut params = json!({"sessionId": session, "values": values});
        if let Some(merge) = merge {
            params["merge"] = merge.into();
        }
        scene.request(CONTEXT, &params).map(|session| session["context"]["values"].clone())
    };
    assert_eq!(values(&mut scene, json!({"a": 1, "b": 2}), None).unwrap(), json!({"a": 1, "b": 2}));
    let both = json!({"a": 1, "c": {"d": null}, "orgAgent.sandbox": "read-only"});
    let merged = json!({"b": null, "c": {"d": null}, "orgAgent.sandbox": "read-only"});
    assert_eq!(values(&mut scene, merged, Some(true)).unwrap(), both);
    assert_eq!(values(&mut scene, json!({}), Some(true)).unwrap(), both);
    for bad in [
        json!({"orgAgent.sandbox": "none"}),
        json!({"orgAgent.sandbox": 1}),
        json!({"orgAgent.persona": ""}),
        json!({"e": "x".repeat(70_000)}),
    ] {
        assert_eq!(values(&mut scene, bad, Some(true)).unwrap_err()["data"]["code"], "bad_request");
    }
    assert_eq!(values(&mut scene, json!({"a": 2}), Some(false)).unwrap(), json!({"a": 2}));
}

#[test]
fn a_session_can_allow_less_than_is_configured_and_never_more() {
    let (mut scene, directory) = (Scene::new(), tempfile::tempdir().unwrap());
    let at = directory.path();
    fs::write(at.join("notes.org"), "* Notes\n").unwrap();
    let session = begun(&mut scene);
    keep(&mut scene, &session, "orgAgent.sandbox", "no-network");
    let (turn, actuation) = propose(&mut scene, &session, "touch made", at);
    for wish in [json!({"network": true}), json!({"unconfined": true})] {
        let mut decision = json!({"choice": "run"});
        decision.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
        let error = scene.decide(&actuation, &decision).unwrap_err();
        assert!(error["message"].as_str().unwrap().contains("sandbox of this session"), "{error}");
    }
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    assert!(run(&scene, &decided["token"]).status.success());
    assert!(at.join("made").exists());
    finish(&mut scene, &turn, &actuation, &decided["token"]);

    keep(&mut scene, &session, "orgAgent.sandbox", "read-only");
    for (cmd, is_asked) in [("touch never", true), ("cat notes.org", false)] {
        let (turn, actuation) = propose(&mut scene, &session, cmd, at);
        assert!(
            actuation["sandbox"].as_str().unwrap().contains("nothing but temporary files"),
            "{actuation}"
        );
        let token = if is_asked {
            scene.decide(&actuation, &json!({"choice": "run"})).unwrap()["token"].clone()
        } else {
            actuation["token"].clone()
        };
        assert_eq!(run(&scene, &token).status.success(), !is_asked, "{cmd}");
        finish(&mut scene, &turn, &actuation, &token);
    }
    assert!(!at.join("never").exists());
    // What cannot be confined is not even asked about.
    scene.model.reply_with(&command("make"));
    scene.model.reply_with(&insert("Then not."));
    let params = json!({"sensor": "chat-message", "clientId": "away", "text": "away", "sessionId": session,
        "directory": at, "host": "ssh:box"});
    let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
    assert_eq!(scene.end(&turn).last().unwrap(), "done");
    scene.model.take_request_blocking();
    let told = scene.model.take_request_blocking().messages().pop().unwrap().1;
    assert!(told.contains("lets nothing run without a sandbox"), "{told}");
}

#[test]
fn a_turn_that_runs_gets_less_at_once_but_never_more() {
    let (mut scene, directory) = (Scene::new(), tempfile::tempdir().unwrap());
    let session = begun(&mut scene);
    // While the user is asked, another window makes it stricter.
    let (turn, actuation) = propose(&mut scene, &session, "touch never", directory.path());
    keep(&mut scene, &session, "orgAgent.sandbox", "read-only");
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    assert!(!run(&scene, &decided["token"]).status.success());
    finish(&mut scene, &turn, &actuation, &decided["token"]);
    // It was shown as stricter, and stays so for that turn.
    let (turn, actuation) = propose(&mut scene, &session, "touch never # again", directory.path());
    keep(&mut scene, &session, "orgAgent.sandbox", "configured");
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    assert!(!run(&scene, &decided["token"]).status.success());
    finish(&mut scene, &turn, &actuation, &decided["token"]);
    assert!(!directory.path().join("never").exists());
    // A token that is on its way is worth nothing.
    let (turn, actuation) = propose(&mut scene, &session, "touch never # once more", directory.path());
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    keep(&mut scene, &session, "orgAgent.sandbox", "no-network");
    let output = run(&scene, &decided["token"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    scene.model.reply_with(&insert("Done."));
    scene.report(&actuation, &json!({"status": "done", "token": decided["token"], "exitCode": 125})).unwrap();
    assert_eq!(scene.end(&turn).last().unwrap(), "done");
    let told = scene.model.take_request_blocking().messages().pop().unwrap().1;
    assert!(told.contains("has become stricter"), "{told}");
    assert!(!directory.path().join("never").exists());
}

#[test]
fn what_is_denied_by_the_time_it_is_decided_is_not_asked_again() {
    let (mut scene, directory) = (Scene::new(), tempfile::tempdir().unwrap());
    let session = begun(&mut scene);
    scene.model.reply_with(&command("make"));
    let params = json!({"sensor": "chat-message", "clientId": "away", "text": "away", "sessionId": session,
        "directory": directory.path(), "host": "ssh:box"});
    let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
    let actuation = scene.wait(&turn, "run ");
    scene.model.take_request_blocking();
    keep(&mut scene, &session, "orgAgent.sandbox", "no-network");
    // What the user makes of it may be something else.
    let error = scene.decide(&actuation, &json!({"choice": "run", "command": "make -n"})).unwrap_err();
    assert_eq!(error["message"].as_str().unwrap().split(':').next(), Some("the edited command is denied"));
    scene.model.reply_with(&insert("Then not."));
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    assert_eq!((&decided["decision"], &decided["token"]), (&json!("deny"), &Value::Null));
    assert!(decided["rule"].as_str().unwrap().contains("lets nothing run without a sandbox"), "{decided}");
    assert_eq!(scene.end(&turn).last().unwrap(), "done");
    let told = scene.model.take_request_blocking().messages().pop().unwrap().1;
    assert!(told.contains("the command is denied now") && told.contains("without a sandbox"), "{told}");
}

#[test]
fn a_decision_overtakes_nothing_that_was_chosen_before_it() {
    let (mut scene, directory) = (Scene::new(), tempfile::tempdir().unwrap());
    let session = begun(&mut scene);
    let (turn, actuation) = propose(&mut scene, &session, "touch never", directory.path());
    // Each waits for the one before it to be on disk; nobody waits for their answers.
    for number in 0..20 {
        let params = json!({"sessionId": session, "values": {"number": number}, "merge": true});
        scene.client.ask(CONTEXT, &params);
    }
    let values = json!({"orgAgent.sandbox": "read-only"});
    scene.client.ask(CONTEXT, &json!({"sessionId": session, "values": values, "merge": true}));
    let error = scene.decide(&actuation, &json!({"choice": "run", "network": true})).unwrap_err();
    assert!(error["message"].as_str().unwrap().contains("sandbox of this session"), "{error}");
    let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
    assert_eq!(run(&scene, &decided["token"]).status.code(), Some(1));
    finish(&mut scene, &turn, &actuation, &decided["token"]);
    assert!(!directory.path().join("never").exists());
}

#[test]
fn a_persona_speaks_in_its_session_and_what_is_asked_of_it_is_shown() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("skills")).unwrap();
    let note = |name: &str, code: &str| {
        let text = format!(
            ":PROPERTIES:\n:ID: {name}-1\n:END:\n#+TITLE: SKILL: {name}\n#+DEPENDS_ON: identity\n\n\
             #+begin_src lisp\n{code}\n#+end_src\n"
        );
        fs::write(home.path().join(format!("skills/{name}.org")), text).unwrap();
    };
    note(
        "pirate",
        "(defun user-name () \"Captain\") (defun persona () (format nil \"You sail with ~a.\" (user-name)))\n\
         (defskill :pirate :capabilities '(:persona))",
    );
    note("mute", "(defun persona () nil) (defskill :mute :capabilities '(:persona))");
    // One that asks in its own words, and builds on the identity as all do.
    note(
        "poet",
        "(defskill :poet :priority 70 :trigger (lambda (event) (search \"poem\" (getf (getf event :payload) :text)))\n\
         :neuro (lambda (event) (ask-neuro \"A poem, please.\" :system-prompt (format nil \"~a In rhymes.\" (persona)))))",
    );
    let model = FakeModel::start();
    let client = Client::new_in(home.path(), &variables(&model.base_url(), &[]));
    let mut scene = Scene::of(model, client);
    let session = begun(&mut scene);
    let system = |scene: &mut Scene, text: &str| {
        let dry = json!({"sensor": "chat-message", "clientId": text, "text": text, "sessionId": session});
        let shown = scene.request("orgAgent/dryRun", &dry).unwrap();
        scene.model.reply_with(&insert("Yes."));
        let turn = say(scene, &session, text, home.path());
        scene.end(&turn);
        let system = scene.model.take_request_blocking().messages()[0].1.clone();
        assert_eq!(shown["messages"][0]["text"], system, "what is shown is what is sent");
        let why = scene.request("orgAgent/why", &json!({"turnId": turn})).unwrap();
        let events = why["events"].as_array().unwrap();
        let notes = events.iter().find_map(|event| event["notes"].as_array().cloned());
        let notes: Vec<String> =
            notes.unwrap_or_default().iter().map(|note| note.as_str().unwrap().to_owned()).collect();
        let named = events.iter().find_map(|event| event["persona"]["user"].as_str());
        (system, notes.join("\n"), named.unwrap_or_default().to_owned())
    };
    keep(&mut scene, &session, "orgAgent.persona", "pirate");
    let (told, notes, named) = system(&mut scene, "Hello");
    assert!(!told.contains("pirate") && !told.contains("mute"), "personas are not loaded: {told}");
    assert!(told.starts_with("You sail with Captain."), "{told}");
    assert_eq!(named, "Captain");
    assert!(notes.contains("the persona pirate speaks"), "{notes}");
    let (told, ..) = system(&mut scene, "A poem about ships");
    assert!(told.starts_with("You sail with Captain. In rhymes."), "{told}");
    for (name, why) in
        [("nobody", "there is no persona"), ("poet", "there is no persona"), ("mute", "says nothing")]
    {
        keep(&mut scene, &session, "orgAgent.persona", name);
        let (told, notes, named) = system(&mut scene, &format!("And {name}?"));
        assert!(told.starts_with("You are Jeeves"), "{told}");
        assert!(notes.contains(why), "{notes}");
        assert_eq!(named, "Ada");
    }
    // Also if no skill makes the prompt.
    note("chat", "(defskill :chat)");
    keep(&mut scene, &session, "orgAgent.persona", "nobody");
    let (_, notes, _) = system(&mut scene, "And who leads?");
    assert!(notes.contains("there is no persona"), "{notes}");
}

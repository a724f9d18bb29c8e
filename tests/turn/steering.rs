//! Words that reach a turn while it runs: it makes way at its next safe point, and nothing of it is lost.

use serde_json::{Value, json};

use crate::client::Client;
use crate::fake_model::{FakeModel, Gate, Reply};
use crate::scene::Scene;
use crate::{assistant, command, insert, user, variables};

/// Says something that the running turn `steered` is to make way for.
fn steer(scene: &mut Scene, text: &str, steered: &str) -> Value {
    scene.event(&json!({"sensor": "chat-message", "clientId": text, "text": text, "steers": steered}))
}

fn turn_of(receipt: &Value) -> String {
    receipt["turnId"].as_str().unwrap().to_owned()
}

/// A reply whose end waits for `gate`.
fn held(text: &str, gate: &Gate) -> Reply {
    let (begin, end) = text.split_at(text.len() / 2);
    Reply::stream().text(begin).wait(gate).text(end).finish("stop").done()
}

#[test]
fn a_turn_makes_way_before_its_next_model_call() {
    let mut scene = Scene::new();
    scene.model.reply_with(&command("make"));
    let turn = scene.say("Build it");
    assert_eq!(scene.asked(), [user("Build it")]);
    let question = scene.wait(&turn, "run ");
    let waiting = scene.say("Then rest");
    let first = turn_of(&steer(&mut scene, "Use clang", &turn));
    let second = turn_of(&steer(&mut scene, "And be quiet", &turn));
    // The same words again are the same message.
    let again = steer(&mut scene, "Use clang", &turn);
    assert_eq!((&again["turnId"], &again["duplicate"]), (&json!(first), &json!(true)));

    // What is asked stays asked, and its outcome is known to the next turn.
    for reply in ["With clang.", "Quietly.", "Resting."] {
        scene.model.reply_with(&insert(reply));
    }
    let decided = scene.decide(&question, &json!({"choice": "run"})).unwrap();
    let done =
        json!({"token": decided["token"], "status": "done", "exitCode": 0, "stdout": "built by gcc\n"});
    scene.report(&question, &done).unwrap();
    let story = scene.end(&turn);
    assert_eq!(&story[story.len() - 2..], ["acting", "done: steered"], "{story:?}");
    scene.end(&first);
    let asked = scene.asked();
    assert_eq!(asked[..2], [user("Build it"), assistant(&command("make"))]);
    assert!(asked[2].1.contains("built by gcc") && asked[2].1.ends_with("\n\nUse clang"), "{asked:?}");
    // Those that steer come in their order, and before what waited.
    scene.end(&second);
    assert_eq!(scene.asked().last().unwrap().1, "And be quiet");
    scene.end(&waiting);
    assert_eq!(scene.asked().last().unwrap().1, "Then rest");

    let why = scene.request("orgAgent/why", &json!({"turnId": turn, "format": "org"})).unwrap();
    assert!(why["org"].as_str().unwrap().contains(&format!(": makes way for {first}, +")), "{}", why["org"]);
    let of_first = scene.request("orgAgent/why", &json!({"turnId": first, "format": "org"})).unwrap();
    assert!(
        of_first["org"].as_str().unwrap().contains(&format!(": steers        {turn}\n")),
        "{}",
        of_first["org"]
    );
    let steered: Vec<&Value> =
        why["events"].as_array().unwrap().iter().filter(|event| event["type"] == "turn.steered").collect();
    assert_eq!((steered.len(), &steered[0]["by"]), (2, &json!(first)));
    scene.finish();
}

#[test]
fn the_only_model_call_is_let_to_its_end() {
    let mut scene = Scene::new();
    let gate = Gate::new();
    scene.model.push(held(&insert("A long answer."), &gate));
    let turn = scene.say("Tell me all");
    scene.wait(&turn, "streaming");
    let next = turn_of(&steer(&mut scene, "Shorter", &turn));
    scene.model.reply_with(&insert("Short."));
    gate.open();
    assert_eq!(scene.end(&turn).last().unwrap(), "done");
    scene.end(&next);
    assert_eq!(scene.asked(), [user("Tell me all")]);
    assert_eq!(scene.asked(), [user("Tell me all"), assistant(&insert("A long answer.")), user("Shorter")]);
    scene.finish();
}

#[test]
fn no_reply_is_asked_for_again_once_it_is_steered() {
    let mut scene = Scene::new();
    let gate = Gate::new();
    // No list at all: otherwise it would be asked for again.
    scene.model.push(Reply::stream().wait(&gate).text("Sure!").finish("stop").done());
    let turn = scene.say("Go");
    assert_eq!(scene.asked(), [user("Go")]);
    let next = turn_of(&steer(&mut scene, "Left", &turn));
    scene.model.reply_with(&insert("Left it is."));
    gate.open();
    assert_eq!(scene.end(&turn).last().unwrap(), "done: steered");
    scene.end(&next);
    // Both were said, and neither was answered.
    assert_eq!(scene.asked(), [user("Go\n\nLeft")]);
    scene.finish();
}

#[test]
fn a_call_that_is_to_be_made_again_is_not() {
    let mut scene = Scene::new();
    scene.model.push(Reply::page(503, "text/plain", "busy").header("retry-after", "30"));
    let turn = scene.say("Go");
    assert_eq!(scene.asked(), [user("Go")]);
    scene.wait(&turn, "thinking: trying again");
    scene.model.reply_with(&insert("Left it is."));
    let next = turn_of(&steer(&mut scene, "Left", &turn));
    assert_eq!(scene.end(&turn).last().unwrap(), "done: steered");
    scene.end(&next);
    assert_eq!(scene.asked(), [user("Go\n\nLeft")]);
    scene.finish();
}

#[test]
fn what_comes_too_late_or_to_no_running_turn_waits_its_turn() {
    let mut scene = Scene::new();
    scene.model.reply_with(&insert("One."));
    let over = scene.say("One");
    scene.end(&over);
    drop(scene.asked());
    scene.model.reply_with(&command("make"));
    let running = scene.say("Two");
    let question = scene.wait(&running, "run ");
    drop(scene.asked());
    let waiting = scene.say("Three");
    let late: Vec<String> = [over.as_str(), waiting.as_str(), "none"]
        .iter()
        .map(|steered| turn_of(&steer(&mut scene, &format!("Steers {steered}"), steered)))
        .collect();
    for _ in 0..5 {
        scene.model.reply_with(&insert("So be it."));
    }
    scene.decide(&question, &json!({"choice": "deny"})).unwrap();
    assert_eq!(scene.end(&running).last().unwrap(), "done");
    drop(scene.asked());
    scene.end(&waiting);
    assert_eq!(scene.asked().last().unwrap().1, "Three");
    for turn in late {
        scene.end(&turn);
        assert!(scene.asked().last().unwrap().1.starts_with("Steers "));
    }
    let error = scene.request(
        "orgAgent/event",
        &json!({"sensor": "chat-message", "clientId": "x", "text": "x", "steers": ""}),
    );
    assert_eq!(error.unwrap_err()["data"]["code"], "bad_request");
    scene.finish();
}

#[test]
fn the_next_server_hears_it_first_too() {
    let (home, model) = (tempfile::tempdir().unwrap(), FakeModel::start());
    let url = model.base_url();
    let client = Client::new_in(home.path(), &variables(&url, &[]));
    let mut scene = Scene::of(model, client);
    scene.model.reply_with(&command("make"));
    let turn = scene.say("Build it");
    scene.wait(&turn, "run ");
    drop(scene.asked());
    let waiting = scene.say("Then rest");
    let next = turn_of(&steer(&mut scene, "Use clang", &turn));
    let Scene { model, client, .. } = scene;
    client.kill();
    model.reply_with(&insert("With clang."));
    model.reply_with(&insert("Resting."));
    let client = Client::new_in(home.path(), &variables(&url, &[]));
    let mut scene = Scene::of(model, client);
    scene.end(&next);
    let asked = scene.asked();
    assert_eq!(asked[0], user("Build it"));
    assert!(asked[2].1.contains("unknown") && asked[2].1.ends_with("\n\nUse clang"), "{asked:?}");
    scene.end(&waiting);
    // It stands before the other in the buffer, and so in what is read anew.
    assert!(scene.asked().last().unwrap().1.ends_with("Then rest"));
    scene.finish();
}

//! Replies that are not accepted: repaired, retried or given up, and cancelled turns. A cut reply is never a
//! complete one.

use std::thread;
use std::time::Duration;

use org_agent::action::MAX_REPLY;
use serde_json::json;

use crate::fake_model::{Gate, Reply};
use crate::scene::Scene;
use crate::{BUFFER, assistant, beginning, insert, messages, user};

#[test]
fn a_wrong_reply_is_stopped_at_once_taken_back_and_asked_again() {
    let mut scene = Scene::new();
    let (seen, retracted) = (Gate::new(), Gate::new());
    // After the string a key has to come. The stream would go on for ever.
    let wrong = Reply::stream().text(&beginning("Sure, here is")).wait(&seen).text("\" \"oops").stall();
    scene.model.push(wrong);
    let right = Reply::stream().wait(&retracted).text(&insert("Here it is.")).finish("stop").done();
    scene.model.push(right);
    let turn = scene.say("Do it.");
    let first = scene.model.take_request_blocking();
    assert_eq!(messages(&first), [user("Do it.")]);
    scene.wait(&turn, "delta Sure");
    seen.open();
    // The connection is closed while the model would still be writing.
    first.closed_blocking();
    assert_eq!(scene.wait(&turn, "retract")["attempt"], 1);
    let repairing = scene.wait(&turn, "repairing");
    let rule = repairing["reason"].as_str().unwrap();
    retracted.open();

    let again = scene.asked();
    assert_eq!(again.len(), 1);
    let told = &again[0].1;
    assert!(told.starts_with("Do it.\n\n[verifier] Your last reply was rejected"), "{told}");
    // The rule, the place, and what stands there.
    assert!(told.contains(rule), "{rule} is not in {told}");
    assert!(told.contains("after «") && told.contains("Sure, here is"), "{told}");
    assert!(told.contains("exactly one property list"), "{told}");
    let told = scene.end(&turn);
    let told: Vec<&str> = told.iter().map(|line| line.split(':').next().unwrap()).collect();
    let expected = [
        "accepted",
        "thinking",
        "streaming",
        // What may be the beginning of the key waits for what follows.
        "delta Sure, here i",
        "retract",
        "repairing",
        "streaming",
        "delta Here it is.",
        "acting",
        "insert Here it is.",
        "done",
    ];
    assert_eq!(told, expected);

    // The repair and the rejected reply are no history.
    scene.model.reply_with(&insert("Yes."));
    let turn = scene.say("Sure?");
    assert_eq!(scene.asked(), [user("Do it."), assistant(&insert("Here it is.")), user("Sure?")]);
    scene.end(&turn);
    scene.finish();
}

/// Two thousand tokens of prose: after the first of them there is no connection left to send the others over.
#[test]
fn prose_costs_one_chunk() {
    let mut scene = Scene::new();
    let prose = "Sure, here is what I know about it. ".repeat(230);
    let (first, rest) = prose.split_at(4);
    let never = Gate::new();
    scene.model.push(Reply::stream().text(first).wait(&never).pieces(rest, 4).finish("stop").done());
    let right = insert("It is so.");
    scene.model.reply_with(&right);
    let turn = scene.say("Is it?");
    let request = scene.model.take_request_blocking();
    messages(&request);
    request.closed_blocking();
    scene.asked();
    scene.end(&turn);
    let saved = MAX_REPLY - first.len();
    let events = scene.request("orgAgent/why", &json!({"turnId": turn})).unwrap()["events"].take();
    let replied = events.as_array().unwrap().iter().find(|event| event.get("raw").is_some()).unwrap();
    assert_eq!((&replied["raw"], &replied["verdict"]["offset"]), (&json!(first), &json!(0)));
    assert_eq!(replied["verdict"]["savedAtMost"], saved);
    let log = scene.client.log();
    let line = log.lines().find(|line| line.contains("first wrong byte")).unwrap_or_else(|| panic!("{log}"));
    for part in [format!("at most {saved} bytes saved"), "kind=\"not-a-list\" offset=0 received=4".to_owned()]
    {
        assert!(line.contains(&part), "{line}");
    }
    scene.finish();
}

/// Wrong replies, and a part of what the model is told about each.
#[test]
fn what_is_refused() {
    let cases = [
        ("Sure! (:type :response", "«S»"),
        ("```lisp\n(:type", "«`»"),
        ("'(:type :response", "«'»"),
        (r#"(:type :response :payload (:text "a")) (:type"#, "«(»"),
        (r#"(:type :shell"#, ":type"),
        (r#"(:type :request :target :shell :payload (:cmd ""))"#, "empty"),
        (r#"(:type :response :payload (:text "a" :text"#, ":text"),
        (r#"(:type :response :payload (:text "\q"#, "«\\»"),
        // Another buffer than that of the session.
        (
            r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "init.el" :text "x"))"#,
            "*org-agent-chat*",
        ),
        // A reply that is whole for HTTP, but not as a list.
        (r#"(:type :response :payload (:text "a""#, "the end"),
    ];
    let mut scene = Scene::new();
    for (at, (reply, words)) in cases.into_iter().enumerate() {
        scene.model.push(Reply::complete(reply, 3));
        scene.model.reply_with(&insert("Right."));
        let turn = scene.say(&format!("Say something wrong, way {at}."));
        scene.asked();
        let again = scene.asked();
        let (_, told) = again.last().unwrap().1.split_once("[verifier] ").unwrap();
        assert!(told.contains(words), "{reply}: {told}");
        let told = scene.end(&turn);
        // Nothing of it was left in sight.
        assert!(told.iter().filter(|line| line.starts_with("insert")).eq(["insert Right."]), "{told:?}");
        assert!(told.iter().any(|line| line.starts_with("repairing: ")), "{told:?}");
    }
    scene.finish();
}

#[test]
fn three_wrong_replies_are_a_system_error() {
    let mut scene = Scene::new();
    for reply in ["No list.", "Still no list.", "* A heading\nnor this #+begin_src"] {
        scene.model.reply_with(reply);
    }
    let turn = scene.say("Go.");
    let prompts = [scene.asked(), scene.asked(), scene.asked()];
    assert_eq!(prompts[0], [user("Go.")]);
    for prompt in &prompts[1..] {
        // Each repair speaks of the last reply only.
        assert_eq!(prompt[0].1.matches("[verifier]").count(), 1, "{prompt:?}");
    }
    let actuation = scene.wait(&turn, "insert");
    let text = actuation["action"]["payload"]["text"].as_str().unwrap();
    assert!(text.starts_with("*System Error:* "), "{text}");
    let (message, shown) = text.split_once("\n\n").unwrap();
    assert!(message.contains("rejected three times") && !message.contains('\n'), "{message}");
    assert!(shown.starts_with(": *") && shown.lines().all(|line| line.starts_with(':')), "{shown}");
    scene.report(&actuation, &json!({"status": "done"})).unwrap();
    let told = scene.end(&turn);
    assert!(told.last().unwrap().starts_with("failed: rejected: "), "{told:?}");
    let repairs = told.iter().filter(|line| line.starts_with("repairing")).count();
    assert_eq!((repairs, told.iter().filter(|line| *line == "retract").count()), (2, 0));

    // A system error is no history: `messages` looks for it in every prompt.
    scene.model.reply_with(&insert("Better."));
    let turn = scene.say("Again.");
    assert_eq!(scene.asked(), [user("Go.\n\nAgain.")]);
    scene.end(&turn);
    scene.finish();
}

#[test]
fn a_repair_survives_a_broken_stream() {
    let mut scene = Scene::new();
    scene.model.reply_with("Sure!");
    scene.model.push(Reply::page(503, "text/plain", "busy").header("Retry-After", "0"));
    scene.model.reply_with(&insert("At last."));
    let turn = scene.say("Go.");
    assert_eq!(scene.asked(), [user("Go.")]);
    let (second, third) = (scene.asked(), scene.asked());
    assert!(second[0].1.contains("[verifier]"), "{second:?}");
    assert_eq!(second, third);
    assert_eq!(scene.end(&turn).last().unwrap(), "done");
    scene.finish();
}

#[test]
fn a_turn_that_is_cancelled_leaves_nothing() {
    let mut scene = Scene::new();
    scene.model.push(Reply::stream().text(&beginning("Once upon a time\\n")).stall());
    let turn = scene.say("Tell me.");
    let queued = scene.say("Never mind that.");
    scene.wait(&turn, "delta");
    let request = scene.model.take_request_blocking();
    assert_eq!(messages(&request), [user("Tell me.")]);
    let cancel = |scene: &mut Scene, turn: &str| {
        scene.request("orgAgent/cancel", &json!({"turnId": turn})).unwrap()["cancelled"] == true
    };
    // The one that waits goes without having asked the model.
    assert!(cancel(&mut scene, &queued));
    assert_eq!(scene.end(&queued), ["accepted", "cancelled"]);
    assert!(cancel(&mut scene, &turn));
    request.closed_blocking();
    let told = scene.end(&turn);
    assert_eq!(told[..3], ["accepted", "thinking", "streaming"]);
    assert!(told[3].starts_with("delta Once upon a time"), "{told:?}");
    assert_eq!(told[4..], ["retract", "cancelled"]);
    for turn in [&turn, &queued] {
        assert!(!cancel(&mut scene, turn), "twice");
    }
    let error = scene.request("orgAgent/cancel", &json!({"turnId": "none"})).unwrap_err();
    assert_eq!(error["data"]["code"], "not_found");

    // Before the first byte.
    scene.model.push(Reply::silence());
    let turn = scene.say("Anyone?");
    let request = scene.model.take_request_blocking();
    messages(&request);
    assert!(cancel(&mut scene, &turn));
    request.closed_blocking();
    assert_eq!(scene.end(&turn), ["accepted", "thinking", "cancelled"]);

    // Between two tries: at once, however long the wait is, and nothing more is sent when it is over.
    for seconds in ["50", "1"] {
        scene.model.push(Reply::page(500, "text/plain", "x").header("Retry-After", seconds));
        let turn = scene.say(&format!("Wait for {seconds} s."));
        messages(&scene.model.take_request_blocking());
        let wait = format!("thinking: trying again in {seconds} s, 1 of 2: ");
        scene.wait(&turn, &wait);
        assert!(cancel(&mut scene, &turn));
        let told = scene.end(&turn);
        assert!(told[2].starts_with(&wait) && told[3..] == ["cancelled"], "{told:?}");
    }
    // Longer than the last wait can have been; the next request is then the next turn's.
    thread::sleep(Duration::from_millis(1500));

    // Too late: the text has left for the buffer.
    scene.model.reply_with(&insert("There."));
    let turn = scene.say("And now?");
    let actuation = scene.wait(&turn, "insert");
    assert!(!cancel(&mut scene, &turn));
    scene.report(&actuation, &json!({"status": "done"})).unwrap();
    assert_eq!(scene.end(&turn).last().unwrap(), "done");
    assert!(scene.asked().last().unwrap().1.ends_with("And now?"));
    scene.finish();
}

#[test]
fn a_text_that_the_client_cannot_insert_fails_its_turn() {
    let mut scene = Scene::new();
    scene.model.reply_with(&insert("Lost."));
    let turn = scene.say("Go.");
    let actuation = scene.wait(&turn, "insert");
    let outcome = json!({"status": "failed", "message": format!("{BUFFER} is read-only")});
    scene.report(&actuation, &outcome).unwrap();
    let told = scene.end(&turn);
    let last = told.last().unwrap();
    assert!(last.starts_with("failed: ") && last.contains("is read-only"), "{last}");
    scene.asked();
    scene.finish();
}

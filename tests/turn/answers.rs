//! Replies that are accepted: what the client is shown of each form, however the stream is cut.

use serde_json::json;

use crate::fake_model::{Gate, Reply};
use crate::scene::Scene;
use crate::{BUFFER, KEY, MODEL, assistant, beginning, insert, messages, user};

#[test]
fn a_plain_answer() {
    let mut scene = Scene::new();
    scene.model.reply_with(&insert("Hello, Ada."));
    let turn = scene.say("Hi.");
    assert_eq!(scene.asked(), [user("Hi.")]);
    let actuation = scene.wait(&turn, "insert");
    assert_eq!(actuation["decision"], "allow");
    assert_eq!(actuation["sexp"], insert("Hello, Ada."));
    let action = json!({"type": "request", "target": "emacs",
        "payload": {"action": "insert-at-end", "buffer": BUFFER, "text": "Hello, Ada."}});
    assert_eq!(actuation["action"], action);
    scene.report(&actuation, &json!({"status": "done"})).unwrap();
    let told =
        ["accepted", "thinking", "streaming", "delta Hello, Ada.", "acting", "insert Hello, Ada.", "done"];
    assert_eq!(scene.end(&turn), told);
    scene.finish();
}

/// Each form, cut into pieces of every size that matters: what the turn tells between `streaming` and its end.
#[test]
fn every_form_however_it_is_cut() {
    let long = format!("{}end", "word ".repeat(400));
    let escaped = r#"(:type :response :payload (:text "a \"b\" \\ \u00e9\u20ac\ud83d\ude00\nnext"))"#;
    let said = |text: &str| vec![format!("delta {text}"), "acting".into(), format!("insert {text}")];
    let cases: Vec<(String, Vec<String>)> = vec![
        (insert("Plain."), said("Plain.")),
        (insert(&long), said(&long)),
        ("(:type :response :payload (:text \"Short form.\"))".into(), said("Short form.")),
        (escaped.into(), said("a \"b\" \\ é€😀\nnext")),
        // The keys in another order, in capitals, with blanks where they may stand.
        (
            "\n( :PAYLOAD (:text\t\"held until it must be text\" ) :Type :RESPONSE )\n".into(),
            said("held until it must be text"),
        ),
        (r#"(:explanation "why" :type :response :payload (:text "Explained."))"#.into(), said("Explained.")),
        // What the Org contract makes of it is what is shown and what is inserted.
        (insert("* High\\n**bold**"), said("*** High\n*bold*")),
        (r#"(:type :log :payload (:text "a note" :level :warn))"#.into(), vec![]),
    ];
    for size in [1, 7, 100_000] {
        let mut scene = Scene::new();
        for (at, (reply, told)) in cases.iter().enumerate() {
            scene.model.push(Reply::complete(reply, size));
            let turn = scene.say(&format!("Question {at}."));
            let mut expected = vec!["accepted".to_owned(), "thinking".into(), "streaming".into()];
            expected.extend(told.iter().cloned());
            expected.push("done".into());
            assert_eq!(scene.end(&turn), expected, "{reply} in pieces of {size}");
            scene.asked();
        }
        scene.finish();
    }
}

#[test]
fn text_is_shown_as_it_comes_and_no_sooner_than_it_must_be_text() {
    let mut scene = Scene::new();
    let (first, second, third) = (Gate::new(), Gate::new(), Gate::new());
    let reply = Reply::stream().text("(:payload (:text \"One,\\n").wait(&first).text("two,\\n").wait(&second);
    let reply = reply.text("three\") :type :response ").wait(&third).text(")").finish("stop").done();
    scene.model.push(reply);
    let turn = scene.say("Count.");
    scene.wait(&turn, "streaming");
    first.open();
    second.open();
    // Only :type tells that it is not a note for the log.
    let early = scene.wait(&turn, "delta")["text"].as_str().unwrap().to_owned();
    assert!(early.starts_with("One,\ntwo,\n"), "{early}");
    third.open();
    assert_eq!(scene.end(&turn)[3], "delta One,\ntwo,\nthree");
    scene.asked();

    let gate = Gate::new();
    let reply = Reply::stream().text(&beginning("One,\\ntwo")).wait(&gate);
    scene.model.push(reply.text(", three.\"))").finish("stop").done());
    let turn = scene.say("Again.");
    // The rest has not been sent yet.
    let early = scene.wait(&turn, "delta")["text"].as_str().unwrap().to_owned();
    assert!(early.starts_with("One,"), "{early}");
    gate.open();
    assert_eq!(scene.end(&turn)[3], "delta One,\ntwo, three.");
    scene.asked();
    scene.finish();
}

#[test]
fn a_skill_that_is_not_there() {
    let mut scene = Scene::new();
    let skill = r#"(:type :request :target :skill :payload (:name "weather"))"#;
    scene.model.reply_with(skill);
    scene.model.reply_with(&insert("Without it, then."));
    let turn = scene.say("Will it rain?");
    assert_eq!(scene.asked(), [user("Will it rain?")]);
    let asked = scene.asked();
    assert_eq!(asked[..2], [user("Will it rain?"), assistant(skill)]);
    assert!(asked[2].1.starts_with("[skill] There is no skill named \"weather\""), "{asked:?}");
    let told = scene.end(&turn);
    assert_eq!(told[2..6], ["streaming", "thinking", "streaming", "delta Without it, then."]);
    scene.finish();
}

#[test]
fn the_buffer_of_the_session_may_be_named() {
    let mut scene = Scene::new();
    for (buffer, text) in [("notes.org", "By its name."), (BUFFER, "By the name that always holds.")] {
        scene.model.reply_with(&insert(text).replace(BUFFER, buffer));
        let params = json!({"sensor": "chat-message", "clientId": text, "buffer": "notes.org", "text": text});
        let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
        let actuation = scene.wait(&turn, "insert");
        assert_eq!(actuation["action"]["payload"]["buffer"], buffer);
        scene.report(&actuation, &json!({"status": "done"})).unwrap();
        assert_eq!(scene.end(&turn)[3], format!("delta {text}"));
        scene.asked();
    }
    scene.finish();
}

#[test]
fn the_request_holds_nothing_but_what_is_meant_to_be_there() {
    let mut scene = Scene::new();
    scene.model.reply_with(&insert("Yes."));
    let turn = scene.say("Well?");
    let request = scene.model.take_request_blocking();
    assert_eq!(messages(&request), [user("Well?")]);
    let mut keys: Vec<&String> = request.body.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(keys, ["messages", "model", "stream", "stream_options"]);
    assert_eq!(request.body["stream_options"], json!({"include_usage": true}));
    assert!(!request.body.to_string().contains(KEY) && request.body["model"] == MODEL);
    scene.end(&turn);
    scene.finish();
}

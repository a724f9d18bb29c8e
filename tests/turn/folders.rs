//! Folders with a `SKILL.md` in a turn: what the model is told of them, loads, and keeps.

use super::take_reminder;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::fake_model::FakeModel;
use crate::scene::Scene;
use crate::{assistant, insert, user, variables};

const BODY: &str = "# PDF\n\nUse *qpdf*; forms are in references/forms.md.";

fn put(home: &Path, path: &str, text: &str) {
    let path = home.join("skills").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // As editors do: whole or not at all.
    let fresh = path.with_extension("new");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, path).unwrap();
}

fn pdf(body: &str) -> String {
    format!("---\nname: pdf\ndescription: Works with PDF files.\n---\n\n{body}\n")
}

fn scene() -> (Scene, TempDir) {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), "pdf/SKILL.md", &pdf(BODY));
    put(home.path(), "pdf/references/forms.md", "Fill them with *pdftk*.");
    put(home.path(), "../secret.md", "s3cret");
    let model = FakeModel::start();
    let client = Client::new_in(home.path(), &variables(&model.base_url(), &[]));
    (Scene::of(model, client), home)
}

/// The same session after a restart.
fn again(scene: Scene, home: &Path) -> Scene {
    let Scene { model, client, .. } = scene;
    client.finish_unread();
    let client = Client::new_in(home, &variables(&model.base_url(), &[]));
    Scene::of(model, client)
}

fn load(name: &str) -> String {
    format!(r#"(:type :request :target :skill :payload (:name "{name}"))"#)
}

fn last(messages: &[(String, String)]) -> &str {
    &messages.last().unwrap().1
}

/// How many of the messages hold a text.
fn count(messages: &[(String, String)], part: &str) -> usize {
    messages.iter().map(|(_, text)| text.matches(part).count()).sum()
}

fn events(scene: &mut Scene, turn: &str, kind: &str) -> Vec<Value> {
    let why = scene.request("orgAgent/why", &json!({"turnId": turn})).unwrap();
    why["events"].as_array().unwrap().iter().filter(|event| event["type"] == kind).cloned().collect()
}

#[test]
fn the_model_loads_a_folder_then_a_file_of_it_and_answers() {
    let (mut scene, home) = scene();
    scene.model.reply_with(&load("PDF"));
    scene.model.reply_with(&load("pdf/references/forms.md"));
    scene.model.reply_with(&load("pdf/../../secret.md"));
    scene.model.reply_with(&insert("Filled."));
    let turn = scene.say("Fill the form");
    let system = scene.model.take_request_blocking().messages().remove(0).1;
    let (_, catalogue) = system.split_once("\n\nSkills: ").expect("a catalogue at the end");
    assert!(catalogue.ends_with("\n- pdf: Works with PDF files.\n"), "{catalogue}");
    let second = scene.asked();
    assert_eq!(
        second,
        [
            user("Fill the form"),
            assistant(&load("PDF")),
            user(&format!(
                "[skill] This is the user's skill \"pdf\". Go on as it says.\n{BODY}\n\n[files of this skill; one is \
                 loaded by its path: :name \"pdf/references/forms.md\"]\n- references/forms.md"
            ))
        ]
    );
    let third = scene.asked();
    assert_eq!(
        last(&third),
        "[skill] This is the file \"references/forms.md\" of the user's skill \"pdf\".\nFill them with *pdftk*."
    );
    let fourth = scene.asked();
    assert!(
        last(&fourth)
            .starts_with("[skill] The skill \"pdf\" has no file \"../../secret.md\" to load: only files in"),
        "{fourth:?}"
    );
    assert_eq!(count(&fourth, "s3cret"), 0);
    assert!(scene.end(&turn).contains(&"insert Filled.".to_owned()));
    let executed = events(&mut scene, &turn, "chat.action.executed");
    assert_eq!(executed[1]["outcome"]["stdout"], "Fill them with *pdftk*.");
    // The log says which text that was, and whose.
    let loaded = events(&mut scene, &turn, "skill.loaded");
    let names: Vec<_> = loaded.iter().map(|event| (&event["skill"], &event["origin"])).collect();
    assert_eq!(json!(names), json!([["pdf", "user"], ["pdf/references/forms.md", "user"]]));
    let hash = org_agent::store::envelope::sha256("Fill them with *pdftk*.");
    assert_eq!(loaded[1]["sha256"], hash.as_str());
    // It is history, also after a restart, and no reason to ask about a command that needs no asking.
    let mut scene = again(scene, home.path());
    scene.model.reply_with(&insert("Again."));
    let turn = scene.say("And now?");
    let messages = scene.asked();
    assert_eq!(messages[..fourth.len()], fourth);
    scene.end(&turn);
}

#[test]
fn the_user_calls_a_skill_by_its_name() {
    let (mut scene, home) = scene();
    scene.model.reply_with(&insert("Done."));
    let turn = scene.say("/pdf merge a.pdf and b.pdf");
    let messages = scene.asked();
    assert_eq!(messages.len(), 1, "one request, with the skill in it: {messages:?}");
    assert!(
        last(&messages).starts_with("/pdf merge a.pdf and b.pdf\n\n[skill] This is the user's skill \"pdf\"")
    );
    assert!(last(&messages).contains(BODY));
    assert_eq!(scene.end(&turn)[..2], ["accepted", "thinking"]);
    let permitted = events(&mut scene, &turn, "chat.action.permitted");
    assert_eq!((&permitted[0]["by"], &permitted[0]["decision"]), (&json!("user"), &json!("allow")));
    let session = scene.request("orgAgent/why", &json!({"turnId": turn})).unwrap()["sessionId"].clone();
    let listed = scene.request("orgAgent/sessions/messages", &json!({"sessionId": session}));
    let listed = listed.expect("the messages of the session");
    assert!(
        listed["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["role"] == "user" && one["content"] == "pdf")
    );

    // Once more: it is there already. What only looks like a call is what was said.
    scene.model.reply_with(&insert("Yes."));
    let turn = scene.say("/PDF and c.pdf");
    let messages = scene.asked();
    assert_eq!(count(&messages, BODY), 1);
    assert!(last(&messages).ends_with(
        "/PDF and c.pdf\n\n[skill] You have \"pdf\" already: its text stands above, unchanged. Go on."
    ));
    scene.end(&turn);
    for text in ["/unknown thing", "/etc/passwd is what?", "/chat hello", "/"] {
        scene.model.reply_with(&insert("Text."));
        let turn = scene.say(text);
        assert_eq!(last(&scene.asked()), text);
        assert_eq!(scene.end(&turn).last().unwrap(), "done");
    }
    // The same after a restart, in the order in which it was.
    let before = {
        scene.model.reply_with(&insert("Before."));
        let turn = scene.say("Before?");
        let before = scene.asked();
        scene.end(&turn);
        before
    };
    let mut scene = again(scene, home.path());
    scene.model.reply_with(&insert("After."));
    let turn = scene.say("After?");
    assert_eq!(scene.asked()[..before.len()], before);
    scene.end(&turn);
}

#[test]
fn a_skill_is_said_once_until_it_changes_and_stays_when_the_rest_goes() {
    let (mut scene, home) = scene();
    let turn_of = |scene: &mut Scene, text: &str, replies: &[&str]| -> Vec<Vec<(String, String)>> {
        for reply in replies {
            scene.model.reply_with(reply);
        }
        let turn = scene.say(text);
        let asked = replies.iter().map(|_| {
            let mut asked = scene.asked();
            take_reminder(&mut asked);
            asked
        });
        let asked = asked.collect();
        scene.end(&turn);
        asked
    };
    let (call, answer) = (load("pdf"), insert("Yes."));
    let first = turn_of(&mut scene, "one", &[&call, &call, &answer]);
    assert_eq!(count(&first[2], BODY), 1);
    assert!(last(&first[2]).contains("You have \"pdf\" already"), "{:?}", first[2]);
    // In another version it is said again, and the old one is not.
    put(home.path(), "pdf/SKILL.md", &pdf("Use *mutool*."));
    let second = turn_of(&mut scene, "two", &[&call, &answer]);
    assert_eq!((count(&second[1], BODY), count(&second[1], "*mutool*")), (0, 1), "{:?}", second[1]);
    assert_eq!(count(&second[1], "The text of \"pdf\" that stood here is left out."), 1);
    // After more than a prompt holds, it still stands at the beginning; also after a restart.
    for n in 0..30 {
        if n == 20 {
            scene.model.reply_with("They said much.");
            scene.model.reply_with(&answer);
            let turn = scene.say("message 20");
            assert!(scene.model.take_request_blocking().messages()[0].1.starts_with("You keep the minutes"));
            scene.asked();
            scene.end(&turn);
        } else {
            turn_of(&mut scene, &format!("message {n}"), &[&answer]);
        }
    }
    let kept = turn_of(&mut scene, "kept?", &[&answer]);
    assert_eq!((count(&kept[0], "*mutool*"), count(&kept[0], "\"two\"")), (1, 0));
    assert!(kept[0][0].1.contains("]\n\n[skill] This is the user's skill \"pdf\""), "{:?}", kept[0][0]);
    assert_eq!(count(&kept[0], "message 0\n"), 0);
    let mut scene = again(scene, home.path());
    let after = turn_of(&mut scene, "after?", &[&call, &answer]);
    assert_eq!(count(&after[0], "*mutool*"), 1);
    assert!(after[0][0].1.contains("]\n\n[skill] This is the user's skill \"pdf\""), "{:?}", after[0][0]);
    assert!(last(&after[1]).contains("You have \"pdf\" already"), "{:?}", after[1]);
}

#[test]
fn a_folder_that_is_saved_is_there_for_the_next_message() {
    let (mut scene, home) = scene();
    put(home.path(), "zip/SKILL.md", "---\nname: zip\ndescription: Packs files.\n---\nUse *zip*.\n");
    scene.model.reply_with(&insert("Packed."));
    let turn = scene.say("/zip it");
    let request = scene.model.take_request_blocking().messages();
    assert!(
        request[0].1.ends_with("\n- pdf: Works with PDF files.\n- zip: Packs files.\n"),
        "{}",
        request[0].1
    );
    assert!(last(&request).ends_with("Go on as it says.\nUse *zip*."), "{request:?}");
    scene.end(&turn);
    // A description is no place for instructions, and a skill's own system prompt stands first all the same.
    let poet = "#+TITLE: SKILL: Poet\n#+begin_src lisp\n(defskill :poet :priority 70 :trigger (lambda (event) event t)\n  \
                :neuro (lambda (event) event (ask-neuro \"Rhyme.\" :system-prompt \"You are a poet.\")))\n#+end_src\n";
    put(home.path(), "poet.org", poet);
    scene.model.reply_with(&insert("Packed."));
    let turn = scene.say("/pdf it");
    let request = scene.model.take_request_blocking().messages();
    assert!(request[0].1.starts_with("You are a poet.\n\nAnswer with exactly one"), "{}", request[0].1);
    assert!(request[0].1.ends_with("- zip: Packs files.\n"));
    assert!(last(&request).contains("Rhyme.\n\n[skill] This is the user's skill \"pdf\""), "{request:?}");
    scene.end(&turn);
}

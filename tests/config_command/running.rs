//! A running server and a file that changes.

#[path = "../common/client.rs"]
mod client;
#[path = "../common/fake_model.rs"]
mod fake_model;

use std::fs;
use std::path::Path;

use serde_json::Value;

use client::Client;
use fake_model::{FakeModel, Gate, Reply};

const BUFFER: &str = "notes.org";

fn table(name: &str, model: &FakeModel, more: &str) -> String {
    format!(
        "[[models]]\nname = '{name}'\nmodel = '{name}-model'\nbase_url = '{}'\n{more}\n",
        model.base_url()
    )
}

fn insert(text: &str) -> String {
    format!(
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "{text}"))"#
    )
}

/// Replaces the file, as an editor saves it.
fn save(home: &Path, text: &str) {
    let fresh = home.join("fresh");
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, home.join("config.toml")).unwrap();
}

fn turn_of(receipt: &Value) -> String {
    receipt["turnId"].as_str().unwrap().to_owned()
}

/// Waits until the server says something to its user; how grave it is, and what.
fn told(client: &mut Client) -> (u64, String) {
    let message = client.wait_for(|message| message["method"] == "window/showMessage");
    let params = &message["params"];
    (params["type"].as_u64().unwrap(), params["message"].as_str().unwrap().to_owned())
}

#[test]
fn the_next_turn_has_what_the_file_says_and_one_under_way_has_what_it_said() {
    let (first, second, third) = (FakeModel::start(), FakeModel::start(), FakeModel::start());
    let home = tempfile::tempdir().unwrap();
    save(home.path(), &(table("first", &first, "fallback = ['second']") + &table("second", &second, "")));
    let mut client = Client::new_in(home.path(), &[]);

    let changed = Gate::new();
    first.push(Reply::stream().wait(&changed).text("(:type").finish("length").done());
    // It is tried twice more before the next one is asked, and no longer configured by then.
    (0..2).for_each(|_| first.push(Reply::stream().text("(:type").finish("length").done()));
    second.reply_with(&insert("Kept."));
    let turn = turn_of(&client.chat(BUFFER, "c1", "One?"));
    assert_eq!(first.take_request_blocking().body["model"], "first-model");

    save(
        home.path(),
        &("[persona]\nassistant = 'Jeeves'\n".to_owned()
            + &table("third", &third, "price = { input = 1, output = 1 }")),
    );
    // The message is behind the change: whatever the system tells, it is taken up by then.
    third.reply_with(&insert("New."));
    let other = turn_of(&client.chat("other.org", "c2", "Two?"));
    let request = third.take_request_blocking();
    assert_eq!(request.body["model"], "third-model");
    assert!(request.body.to_string().contains("Jeeves"), "{}", request.body);
    client.turn(&other);

    changed.open();
    for _ in 0..2 {
        assert_eq!(first.take_request_blocking().body["model"], "first-model");
    }
    let request = second.take_request_blocking();
    assert_eq!(request.body["model"], "second-model");
    assert!(!request.body.to_string().contains("Jeeves"), "{}", request.body);
    assert_eq!(client.turn(&turn).last().unwrap()["params"]["state"], "done");

    // A cap holds at once.
    save(
        home.path(),
        &("[spend]\nper_day = 0\n".to_owned() + &table("third", &third, "price = { input = 1, output = 1 }")),
    );
    let turn = turn_of(&client.chat(BUFFER, "c3", "Three?"));
    let end = client.turn(&turn).pop().unwrap();
    assert_eq!(end["params"]["state"], "failed");
    assert!(end["params"]["reason"].as_str().unwrap().contains("no more may be spent today"), "{end}");
    drop(client.finish_unread());
}

#[test]
fn a_file_that_is_wrong_changes_nothing_and_is_told_once() {
    let model = FakeModel::start();
    let home = tempfile::tempdir().unwrap();
    let right = table("first", &model, "");
    save(home.path(), &right);
    let mut client = Client::new_in(home.path(), &[]);
    let ask = |client: &mut Client, id: &str| {
        model.reply_with(&insert("Yes."));
        let turn = turn_of(&client.chat(BUFFER, id, "Is it?"));
        assert_eq!(model.take_request_blocking().body["model"], "first-model");
        assert_eq!(client.turn(&turn).last().unwrap()["params"]["state"], "done");
    };
    ask(&mut client, "c1");

    save(home.path(), "[persona]\nusr = 'sk-Secret0123456789'\n");
    ask(&mut client, "c2");
    ask(&mut client, "c3");
    let (grave, text) = told(&mut client);
    assert_eq!(grave, 2);
    for part in ["config.toml is wrong", "line 2", "`usr`", "did you mean `user`?", "all is as before"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("sk-Secret"), "{text}");

    // A rule that is wrong is no reason to go without rules.
    save(home.path(), &(right.clone() + "[[shell.rules]]\npattern = ['<what>']\ndecision = 'allow'\n"));
    ask(&mut client, "c4");
    assert!(told(&mut client).1.contains("there is no class"));

    save(home.path(), &right);
    ask(&mut client, "c5");
    let (grave, text) = told(&mut client);
    assert_eq!(grave, 3);
    assert!(text.contains("is right again"), "{text}");
    let left = client.finish_unread();
    assert!(left.iter().all(|message| message["method"] != "window/showMessage"), "{left:?}");
}

#[test]
fn a_change_is_taken_up_without_any_message() {
    let home = tempfile::tempdir().unwrap();
    let mut client = Client::new_in(home.path(), &[]);
    save(home.path(), "[persona]\nuser = 5\n");
    let (grave, text) = told(&mut client);
    assert_eq!(grave, 2);
    assert!(text.contains("`user` is a whole number"), "{text}");
    drop(client.finish_unread());
}

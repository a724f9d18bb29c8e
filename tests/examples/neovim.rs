//! The models behind the scenarios of `neovim.lua`. `ORG_AGENT_NEOVIM` names the Neovim; else it is `nvim`.

use super::{
    FakeModel, Gate, Reply, assistant, beginning, client, endless, insert, messages, run, shell, user,
};

fn play(scenario: &str, model: &FakeModel, gates: &[(&str, Gate)]) {
    let work = tempfile::tempdir().unwrap();
    let program = std::env::var("ORG_AGENT_NEOVIM").unwrap_or_else(|_| "nvim".to_owned());
    let mut command = client(&program, work.path(), model);
    command.args(["--headless", "-u", "NONE", "-i", "NONE", "-n"]);
    command.args(["-c", "luafile tests/examples/neovim.lua"]).env("SCENARIO", scenario);
    run(&mut command, &format!("PASS {scenario}"), gates);
}

#[test]
#[ignore = "make test-examples"]
fn stream() {
    let (model, seen) = (FakeModel::start(), Gate::new());
    let reply = Reply::stream().text(&beginning("The first part")).wait(&seen).text(" and the rest.\"))");
    model.push(reply.finish("stop").done());
    play("stream", &model, &[("stream-seen", seen)]);
    assert_eq!(messages(&model.take_request_blocking()), [user("Grüße, stream please.")]);
}

#[test]
#[ignore = "make test-examples"]
fn rejected() {
    let (model, seen, gone) = (FakeModel::start(), Gate::new(), Gate::new());
    model.push(Reply::stream().text(&beginning("Sure, here is")).wait(&seen).text("\" \"oops").stall());
    model.push(Reply::stream().wait(&gone).text(&insert("Repaired.")).finish("stop").done());
    play("rejected", &model, &[("rejected-seen", seen), ("rejected-gone", gone)]);
    let first = model.take_request_blocking();
    assert_eq!(messages(&first), [user("Make a mistake first.")]);
    first.closed_blocking();
    let again = messages(&model.take_request_blocking());
    assert!(
        again[0].1.starts_with("Make a mistake first.\n\n[verifier] Your last reply was rejected"),
        "{again:?}"
    );
}

#[test]
#[ignore = "make test-examples"]
fn typing() {
    let (model, first) = (FakeModel::start(), Gate::new());
    let reply = Reply::stream().text(&beginning("Part one")).wait(&first).text(", and the end.\"))");
    model.push(reply.finish("stop").done());
    play("typing", &model, &[("typing-first", first)]);
    assert_eq!(messages(&model.take_request_blocking()), [user("Take your time.")]);
}

#[test]
#[ignore = "make test-examples"]
fn early() {
    let model = FakeModel::start();
    for _ in 0..5 {
        model.reply_with(&insert("Answer."));
    }
    play("early", &model, &[]);
    for _ in 0..5 {
        assert_eq!(messages(&model.take_request_blocking()), [user("Question")]);
    }
}

/// Plays a scenario in which a command is proposed; what the model is told of it.
fn command(scenario: &str, after: &str) -> String {
    let model = FakeModel::start();
    let proposed = shell("echo marker-$((40+2))");
    model.reply_with(&proposed);
    model.reply_with(&insert(after));
    play(scenario, &model, &[]);
    assert_eq!(messages(&model.take_request_blocking()), [user("Run something.")]);
    let told = messages(&model.take_request_blocking());
    assert_eq!(told[0], user("Run something."));
    told[2].1.clone()
}

#[test]
#[ignore = "make test-examples"]
fn approve() {
    let told = command("approve", "It printed marker-42.");
    assert!(told.starts_with("[command result]\nexit code: 0\n") && told.contains("\nmarker-42\n"), "{told}");
}

#[test]
#[ignore = "make test-examples"]
fn deny() {
    let told = command("deny", "Then not.");
    assert!(told.contains("denied") && !told.contains("marker-42"), "{told}");
}

#[test]
#[ignore = "make test-examples"]
fn edit() {
    let told = command("edit", "It printed marker-43.");
    assert!(told.contains("\nmarker-43\n") && !told.contains("marker-42"), "{told}");
}

/// The client runs commands by their tokens, and ends one whose turn is cancelled.
#[test]
#[ignore = "make test-examples"]
fn own() {
    let model = FakeModel::start();
    for reply in [
        shell("echo marker-$((40+2))"),
        insert("It printed marker-42."),
        shell("touch begun; sleep 987"),
        insert("I am."),
    ] {
        model.reply_with(&reply);
    }
    play("own", &model, &[]);
    assert_eq!(messages(&model.take_request_blocking()), [user("Run something.")]);
    let told = messages(&model.take_request_blocking())[2].1.clone();
    assert!(told.starts_with("[command result]\nexit code: 0\n") && told.contains("\nmarker-42\n"), "{told}");
    assert_eq!(messages(&model.take_request_blocking()).last(), Some(&user("And something long.")));
    let last = messages(&model.take_request_blocking());
    assert!(last.last().unwrap().1.ends_with("Are you well?"), "{last:?}");
}

/// Commands that only read run unasked: here by the server, and by the client.
#[test]
#[ignore = "make test-examples"]
fn allowed() {
    for scenario in ["allowed", "allowed_own"] {
        let model = FakeModel::start();
        model.reply_with(&shell("ls"));
        model.reply_with(&insert("There is marker-44."));
        play(scenario, &model, &[]);
        drop(model.take_request_blocking());
        let told = messages(&model.take_request_blocking())[2].1.clone();
        assert!(told.starts_with("[command result]\nexit code: 0\n") && told.contains("marker-44"), "{told}");
    }
}

#[test]
#[ignore = "make test-examples"]
fn cancel() {
    let model = FakeModel::start();
    model.push(endless("Once upon a time"));
    model.reply_with(&insert("Now."));
    play("cancel", &model, &[]);
    let first = model.take_request_blocking();
    assert_eq!(messages(&first), [user("Never mind.")]);
    first.closed_blocking();
    assert_eq!(messages(&model.take_request_blocking()), [user("Never mind.")]);
}

#[test]
#[ignore = "make test-examples"]
fn failure() {
    let model = FakeModel::start();
    model.push(Reply::page(401, "application/json", r#"{"error":{"message":"no"}}"#));
    model.reply_with(&insert("Better."));
    play("failure", &model, &[]);
    for _ in 0..2 {
        assert_eq!(messages(&model.take_request_blocking()), [user("Fail first.")]);
    }
}

#[test]
#[ignore = "make test-examples"]
fn death() {
    let model = FakeModel::start();
    model.push(endless("Once upon a time"));
    model.reply_with(&insert("Yes."));
    play("death", &model, &[]);
    let first = model.take_request_blocking();
    assert_eq!(messages(&first), [user("Go on for ever.")]);
    first.closed_blocking();
    assert_eq!(messages(&model.take_request_blocking()), [user("Go on for ever.")]);
}

#[test]
#[ignore = "make test-examples"]
fn reopen() {
    let model = FakeModel::start();
    let first = insert("First. vim: set sw=7 :");
    model.reply_with(&first);
    model.push(endless("Once upon a time"));
    model.reply_with(&insert("Second."));
    model.reply_with(&insert("Third."));
    play("reopen", &model, &[]);
    let said = [user("One?"), assistant(&first), user("Two?"), assistant(&insert("Second.")), user("Three?")];
    for count in [1, 3, 3, 5] {
        assert_eq!(messages(&model.take_request_blocking()), said[..count]);
    }
}

#[test]
#[ignore = "make test-examples"]
fn waited() {
    let model = FakeModel::start();
    model.push(endless("Once upon a time"));
    model.reply_with(&insert("Second."));
    model.reply_with(&insert("Third."));
    play("waited", &model, &[]);
    for question in ["One?", "One?\n\nTwo?", "Three?"] {
        assert_eq!(messages(&model.take_request_blocking()).last(), Some(&user(question)));
    }
}

#[test]
#[ignore = "make test-examples"]
fn complete() {
    let model = FakeModel::start();
    model.reply_with(&insert("I read it."));
    play("complete", &model, &[]);
    let told = messages(&model.take_request_blocking())[0].1.clone();
    assert!(
        told.contains("Read @fine-notes.txt and tell.") && told.contains("What is in the file."),
        "{told}"
    );
}

#[test]
#[ignore = "make test-examples"]
fn doctor() {
    let mut model = FakeModel::start();
    model.otherwise(200, "{}");
    play("doctor", &model, &[]);
    assert!(!model.take_requests().is_empty(), "the doctor asks the model's server");
}

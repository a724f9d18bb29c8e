//! A real Emacs, the real server and a fake model over HTTP: what the user of the chat buffer sees.
//!
//! The scenarios themselves stand in `tests/emacs/end-to-end.el`; here is the model of each, and every
//! request that reaches it is checked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "common/fake_model.rs"]
mod fake_model;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use fake_model::{FakeModel, Gate, Reply, Request};

const HEAD: &str =
    r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "#;

/// A reply that says `text`, which needs no escapes.
fn insert(text: &str) -> String {
    format!("{HEAD}\"{text}\"))")
}

/// The beginning of such a reply.
fn beginning(text: &str) -> String {
    format!("{HEAD}\"{text}")
}

fn emacs(load: &str, home: &std::path::Path) -> Command {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut command = Command::new(std::env::var("EMACS").unwrap_or_else(|_| "emacs".into()));
    command.args(["-Q", "--batch", "-L", "emacs", "-L", "tests/emacs", "-l", load]).current_dir(root);
    command.env("ORG_AGENT_PROGRAM", env!("CARGO_BIN_EXE_org-agent")).env("ORG_AGENT_HOME", home);
    command.env("ORG_AGENT_LOCAL_PORTS", "none");
    for name in ["OPENAI_API_KEY", "OPENAI_BASE_URL", "ORG_AGENT_MODEL", "MEMEX_USER", "MEMEX_ASSISTANT"] {
        command.env_remove(name);
    }
    command
}

/// Runs a scenario; a step of Emacs opens the gate of its name.
fn run(scenario: &str, model: &FakeModel, gates: &[(&str, Gate)]) {
    let home = tempfile::tempdir().unwrap();
    let mut child = emacs("tests/emacs/end-to-end.el", home.path())
        .env("ORG_AGENT_SCENARIO", scenario)
        .env("OPENAI_BASE_URL", model.base_url())
        .env("OPENAI_API_KEY", "sk-test")
        .env("ORG_AGENT_MODEL", "fake-model")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Emacs starts; `make test` installs it");
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(step) = line.strip_prefix("STEP ") {
            for (_, gate) in gates.iter().filter(|(name, _)| *name == step) {
                gate.open();
            }
        }
        lines.push(line);
    }
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && lines.contains(&format!("PASS {scenario}")),
        "{}\n{errors}",
        lines.join("\n")
    );
}

/// Checks what every request has, and answers its messages but the first.
#[track_caller]
fn messages(request: &Request) -> Vec<(String, String)> {
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(request.header("authorization"), Some("Bearer sk-test"));
    assert_eq!(request.body["model"], "fake-model");
    assert_eq!(request.body["stream"], true);
    let mut messages = request.messages();
    let (role, system) = messages.remove(0);
    assert_eq!(role, "system");
    for part in
        ["You are Passepartout", "the assistant of User", "exactly one Lisp property list", ":insert-at-end"]
    {
        assert!(system.contains(part), "{part} is not in {system}");
    }
    messages
}

fn user(text: &str) -> (String, String) {
    ("user".to_owned(), text.to_owned())
}

fn assistant(text: &str) -> (String, String) {
    ("assistant".to_owned(), text.to_owned())
}

#[test]
fn stream() {
    let (model, seen) = (FakeModel::start(), Gate::new());
    let rest = " and the rest of it.\"))";
    model.push(
        Reply::stream().text(&beginning("The first part")).wait(&seen).text(rest).finish("stop").done(),
    );
    run("stream", &model, &[("stream-seen", seen)]);
    assert_eq!(messages(&model.take_request_blocking()), [user("Stream, please.")]);
}

#[test]
fn repair() {
    let (model, seen, retracted) = (FakeModel::start(), Gate::new(), Gate::new());
    // The second string where a key has to be can become nothing valid any more.
    model.push(Reply::stream().text(&beginning("Sure, here is")).wait(&seen).text("\" \"oops").stall());
    model.push(Reply::stream().wait(&retracted).text(&insert("Repaired.")).finish("stop").done());
    run("repair", &model, &[("repair-seen", seen), ("repair-retracted", retracted)]);
    let first = model.take_request_blocking();
    assert_eq!(messages(&first), [user("Make a mistake first.")]);
    first.closed_blocking();
    let again = messages(&model.take_request_blocking());
    assert_eq!(again.len(), 1);
    let (role, text) = &again[0];
    assert_eq!(role, "user");
    assert!(text.starts_with("Make a mistake first.\n\n[verifier] Your last reply was rejected"), "{text}");
    assert!(text.contains("oops") || text.contains('"'), "the place is quoted: {text}");
}

#[test]
fn typing() {
    let (model, first, second) = (FakeModel::start(), Gate::new(), Gate::new());
    let reply = Reply::stream().text(&beginning("Part one")).wait(&first).text(", part two").wait(&second);
    model.push(reply.text(", and the end.\"))").finish("stop").done());
    run("typing", &model, &[("typing-first", first), ("typing-second", second)]);
    assert_eq!(messages(&model.take_request_blocking()), [user("Take your time.")]);
}

#[test]
fn shell() {
    let model = FakeModel::start();
    let command = r#"(:type :request :target :shell :payload (:cmd "echo marker-$((40+2))"))"#;
    model.reply_with(command);
    model.reply_with(&insert("It printed marker-42."));
    run("shell", &model, &[]);
    assert_eq!(messages(&model.take_request_blocking()), [user("Run something.")]);
    let after = messages(&model.take_request_blocking());
    assert_eq!(after[..2], [user("Run something."), assistant(command)]);
    let result = &after[2].1;
    assert!(result.starts_with("[command result]\nexit code: 0\n[data: command;"), "{result}");
    assert!(result.contains("[data: standard output;") && result.contains("\nmarker-42\n"), "{result}");
}

#[test]
fn cancel() {
    let model = FakeModel::start();
    model.push(Reply::stream().text(&beginning("Once upon a time")).stall());
    model.reply_with(&insert("Now."));
    run("cancel", &model, &[]);
    let first = model.take_request_blocking();
    assert_eq!(messages(&first), [user("Never mind.")]);
    first.closed_blocking();
    assert_eq!(messages(&model.take_request_blocking()), [user("Never mind.\n\nAnd now?")]);
}

#[test]
fn death() {
    let model = FakeModel::start();
    model.push(Reply::stream().text(&beginning("Once upon a time")).stall());
    model.reply_with(&insert("Yes."));
    run("death", &model, &[]);
    let first = model.take_request_blocking();
    assert_eq!(messages(&first), [user("Go on for ever.")]);
    first.closed_blocking();
    assert_eq!(messages(&model.take_request_blocking()), [user("Go on for ever.\n\nAre you back?")]);
}

#[test]
fn record() {
    let (model, queued) = (FakeModel::start(), Gate::new());
    let text = r"*Ünï* /漢字/ 🙂\n* Heading\n- a\n  - b\n#+begin_src sh\n* ls\n#+end_src\n:PROPERTIES:\n:OA_ACT: x\n:END:\n\n\n";
    model.push(Reply::stream().wait(&queued).text(&insert(text)).finish("stop").done());
    model.reply_with(&insert("Meanwhile."));
    model.push(Reply::page(401, "application/json", r#"{"error":{"message":"no"}}"#));
    model.reply_with(r#"(:type :response :payload (:text "Only that: é."))"#);
    run("record", &model, &[("record-queued", queued)]);
    let prompts = [
        "Grüße, *世界* 🙂\n** A heading\n- [ ] =one=\n#+begin_src sh\n* no heading",
        "And this meanwhile?",
        "Fail, please.",
        "Fail, please.\n\nAnswer me only.",
    ];
    for prompt in prompts {
        assert_eq!(messages(&model.take_request_blocking()).last(), Some(&user(prompt)));
    }
}

#[test]
fn branch() {
    let model = FakeModel::start();
    for text in ["First reply.", "Second.", "Third.", "Fourth."] {
        model.reply_with(&insert(text));
    }
    run("branch", &model, &[]);
    let said = |first: &str, count: usize| -> Vec<(String, String)> {
        let replies = [first, "Second.", "Third."];
        let turns = ["One?", "Two?", "Three?", "Four?"].into_iter().zip(replies.into_iter().chain([""]));
        let all = turns.flat_map(|(prompt, reply)| [user(prompt), assistant(&insert(reply))]);
        all.take(count).collect()
    };
    // The model is shown what was said, until the user goes on from what they made of it.
    for (first, count) in
        [("First reply.", 1), ("First reply.", 3), ("Éditéd reply.", 5), ("Éditéd reply.", 7)]
    {
        assert_eq!(messages(&model.take_request_blocking()), said(first, count));
    }
}

#[test]
fn retake() {
    let (model, answered) = (FakeModel::start(), Gate::new());
    model.reply_with(&insert("First reply."));
    model.push(Reply::stream().wait(&answered).text(&insert("Second.")).finish("stop").done());
    model.reply_with(&insert("Again."));
    run("retake", &model, &[("retake-answered", answered)]);
    assert_eq!(messages(&model.take_request_blocking()), [user("One?")]);
    for first in ["First reply.", "Edited reply."] {
        let said = [user("One?"), assistant(&insert(first)), user("Two?")];
        assert_eq!(messages(&model.take_request_blocking()), said);
    }
}

#[test]
fn skill() {
    let model = FakeModel::start();
    model.reply_with(&insert("I am Passepartout."));
    model.reply_with(&insert("Still me."));
    run("skill", &model, &[]);
    for (said, before) in [("Who are you?", 0), ("And now?", 2)] {
        let messages = model.take_request_blocking().messages();
        let (role, system) = &messages[0];
        assert_eq!(role, "system");
        let opening =
            "You are a helpful agent. You speak only in Lisp.\n\nAnswer with exactly one Lisp property list";
        assert!(system.starts_with(opening), "{system}");
        assert_eq!(messages.len(), before + 2, "{messages:?}");
        let prompt = &messages.last().unwrap().1;
        for part in ["IDENTITY: You are Agent, the assistant of User.", &format!("USER MESSAGE: \"{said}\"")]
        {
            assert!(prompt.contains(part), "{part} is not in {prompt}");
        }
    }
}

/// What `make chat` does where there is no terminal.
#[test]
fn demo() {
    let home = tempfile::tempdir().unwrap();
    let output = emacs("tests/emacs/demo.el", home.path()).output().expect("Emacs starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for part in
        ["* USER\n:PROPERTIES:\n:OA_EVENT: ", "\n** ASSISTANT\n:PROPERTIES:\n:OA_ACT: ", "no language model"]
    {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

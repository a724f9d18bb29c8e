//! The client of `examples/neovim`, as it is, against the real server and a fake model over HTTP.
//!
//! It needs a Neovim, so `make test-examples` runs this. What is done with it stands in `neovim.lua`; the model that
//! answers stands in `neovim.rs`. The client of `examples/vscode` has its tests beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "../common/fake_model.rs"]
mod fake_model;
mod neovim;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use fake_model::{FakeModel, Gate, Reply, Request};

/// A reply that says `text`, which needs no escapes.
fn insert(text: &str) -> String {
    format!("{}\"))", beginning(text))
}

/// The beginning of such a reply.
fn beginning(text: &str) -> String {
    format!(
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "{text}"#
    )
}

/// A reply that wants to run `command`.
fn shell(command: &str) -> String {
    format!(r#"(:type :request :target :shell :payload (:cmd "{command}"))"#)
}

/// A reply that begins with `text` and goes no further.
fn endless(text: &str) -> Reply {
    Reply::stream().text(&beginning(text)).stall()
}

/// The client in the repository, with nothing of this machine in its environment that would change it.
fn client(program: &str, work: &Path, model: &FakeModel) -> Command {
    let mut command = Command::new(program);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env("ORG_AGENT_PROGRAM", env!("CARGO_BIN_EXE_org-agent"));
    command.env("ORG_AGENT_HOME", work.join("home")).env("WORK", work);
    command.env("ORG_AGENT_LOCAL_PORTS", "none");
    command.env("OPENAI_BASE_URL", model.base_url()).env("OPENAI_API_KEY", "sk-test");
    command.env("ORG_AGENT_MODEL", "fake-model");
    for name in ["MEMEX_USER", "MEMEX_ASSISTANT"] {
        command.env_remove(name);
    }
    command
}

/// Runs `command` to its end; a line "STEP name" opens the gate of that name. It has to succeed and to print `passed`.
fn run(command: &mut Command, passed: &str, gates: &[(&str, Gate)]) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some((_, step)) = line.split_once("STEP ") {
            for (_, gate) in gates.iter().filter(|(name, _)| *name == step.trim()) {
                gate.open();
            }
        }
        lines.push(line);
    }
    let output = child.wait_with_output().unwrap();
    let all = lines.join("\n");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && all.contains(passed), "{all}\n{errors}");
}

/// The messages of a request but the first, which is the system's.
#[track_caller]
fn messages(request: &Request) -> Vec<(String, String)> {
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/chat/completions"));
    let mut messages = request.messages();
    assert_eq!(messages.remove(0).0, "system");
    messages
}

fn user(text: &str) -> (String, String) {
    ("user".to_owned(), text.to_owned())
}

fn assistant(text: &str) -> (String, String) {
    ("assistant".to_owned(), text.to_owned())
}

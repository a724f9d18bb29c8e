//! `org-agent session` as a user runs it: the real binary, with what it says, its exit status, and what is recorded then.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod change;
#[path = "../common/client.rs"]
mod client;
mod delete;
#[path = "../common/fake_model.rs"]
mod fake_model;
mod find;
mod scorecard;
mod transcripts;
mod verify;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a command came to.
#[derive(Debug)]
struct Outcome {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// That it went well and said nothing beside its answer; the answer.
    fn good(self) -> String {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{self:?}");
        self.stdout
    }

    /// That it failed with this status, and that its error has these parts.
    fn bad(self, status: i32, parts: &[&str]) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "{part:?} is not in {self:?}");
        }
        self
    }
}

/// A place with a store.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A place in which these texts were said, each in a session of its own; the sessions.
    fn with(texts: &[&str]) -> (Self, Vec<String>) {
        let home = Self::new();
        let ids = texts.iter().map(|text| home.chat(text)).collect();
        (home, ids)
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("ORG_AGENT_HOME", self.path()).env("ORG_AGENT_MODEL", "offline").current_dir(self.path());
        command
    }

    /// Runs `org-agent` with this input.
    fn fed(&self, args: &[&str], input: &str) -> Outcome {
        let mut command = self.command(env!("CARGO_BIN_EXE_org-agent"));
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without reading.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        outcome(&child.wait_with_output().unwrap())
    }

    /// Runs `org-agent session`.
    fn run(&self, args: &[&str]) -> Outcome {
        let mut all = vec!["session"];
        all.extend(args);
        self.fed(&all, "")
    }

    /// Says something in a new session; the session.
    fn chat(&self, text: &str) -> String {
        self.fed(&["chat", "--new", text], "").good();
        self.sessions(&["--all"])[0]["id"].as_str().unwrap().to_owned()
    }

    /// What `list --json` has.
    fn sessions(&self, args: &[&str]) -> Vec<Value> {
        let mut all = vec!["list", "--json"];
        all.extend(args);
        json(&self.run(&all).good())
    }

    fn session(&self, id: &str) -> Value {
        self.sessions(&["--all"]).into_iter().find(|session| session["id"] == id).unwrap()
    }

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path().join("agent.db")).unwrap()
    }
}

fn outcome(output: &std::process::Output) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Outcome {
        status: output.status.code().unwrap(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

fn json(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_command_has_help_with_an_example_and_knows_wrong_usage() {
    let home = Home::new();
    let commands = [
        "list",
        "show",
        "search",
        "export",
        "import",
        "fork",
        "rename",
        "label",
        "archive",
        "pause",
        "complete",
        "checkpoint",
        "restore",
        "delete",
        "verify",
        "recover",
        "compact",
    ];
    for command in commands {
        let help = home.run(&[command, "--help"]).good();
        assert!(help.contains(&format!("\n  org-agent session {command}")), "{help}");
        home.run(&[command, "--no-such-flag"]).bad(2, &["--no-such-flag"]);
    }
    let shown = home.run(&["--help"]).good();
    assert!(commands.iter().all(|command| shown.contains(&format!("\n  {command} "))), "{shown}");
    for wrong in [
        &["show"] as &[&str],
        &["search"],
        &["search", "x", "--role", "nobody"],
        &["search", "x", "--since", "yesterday"],
        &["search", "x", "--limit", "0"],
        &["list", "--all", "--archived"],
        &["list", "--status", "lost"],
        &["export"],
        &["export", "x", "--all", "d"],
        &["import"],
        &["rename", "x"],
        &["label", "x"],
        &["label", "x", "--tag", "a", "--no-tags"],
        &["delete"],
        &["verify", "x", "--repair"],
    ] {
        home.run(wrong).bad(2, &["error: ", "try '--help'"]);
    }
    assert!(!home.path().join("agent.db").exists());
}

#[test]
fn without_a_store_nothing_is_made() {
    let home = Home::new();
    for args in [
        &["list"] as &[&str],
        &["show", "x"],
        &["search", "x"],
        &["export", "x"],
        &["export", "--all", "d"],
        &["fork", "x"],
        &["rename", "x", "y"],
        &["delete", "x", "--yes"],
        &["verify"],
        &["verify", "--repair"],
    ] {
        home.run(args).bad(1, &["nothing is recorded yet", "agent.db", "hint: say something first"]);
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

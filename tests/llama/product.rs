//! The product as a user runs it, with the inference server as its only model, and what its log says afterwards.
//!
//! Everything is under one directory that goes with the value. No command that the model proposes is run: every
//! one has to be asked for, and there is nobody to say yes.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Llama, until};

/// What the product is told about the model.
pub struct Model<'a> {
    /// `llama.cpp` constrains each reply with the exported grammar, `prompt` only asks for it.
    pub dialect: &'a str,
    /// The most tokens of a reply.
    pub max_tokens: u32,
}

pub struct Home(TempDir);

impl Home {
    pub fn new(llama: &Llama, model: &Model) -> Self {
        let home = tempfile::tempdir().unwrap();
        let config = format!(
            "[[models]]\nname = \"tiny\"\nprovider = \"llama.cpp\"\nbase_url = \"{}\"\nmodel = \"tiny\"\n\
             dialect = \"{}\"\nmax_tokens = {}\n\n\
             [[shell.rules]]\npattern = [\"<any>...\"]\ndecision = \"ask\"\n",
            llama.base_url(),
            model.dialect,
            model.max_tokens
        );
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        Self(home)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// `org-agent` with these arguments and nothing else in its environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_org-agent"));
        command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("ORG_AGENT_HOME", self.path()).current_dir(self.path());
        command
    }

    /// One turn of a new session in the terminal.
    pub fn chat(&self, text: &str) -> Chat {
        let ended = run(&mut self.command(&["chat", "--json", "--new", text]));
        let events: Vec<Value> =
            ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!events.is_empty(), "no events\n{}", ended.stderr);
        Chat { ended, events }
    }

    /// Everything that was logged for a turn.
    pub fn why(&self, turn: &str) -> Vec<Value> {
        let ended = run(&mut self.command(&["why", "--json", turn]));
        assert!(ended.success, "{}", ended.stderr);
        let why: Value = serde_json::from_str(&ended.stdout).unwrap();
        why["events"].as_array().unwrap().clone()
    }
}

/// A process that has ended.
pub struct Ended {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Ended {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = Guarded(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
    let (stdout, stderr) = (reader(child.0.stdout.take().unwrap()), reader(child.0.stderr.take().unwrap()));
    let status = until("the end of a command", || child.0.try_wait().unwrap());
    Ended { success: status.success(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// Goes with the value, also when a test fails.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn reader(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        pipe.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    })
}

/// A turn of `org-agent chat`.
pub struct Chat {
    pub ended: Ended,
    pub events: Vec<Value>,
}

impl Chat {
    pub fn turn(&self) -> &str {
        self.events[0]["params"]["turnId"].as_str().unwrap()
    }

    pub fn of<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a Value> {
        self.events.iter().filter(move |event| event["method"] == method).map(|event| &event["params"])
    }

    /// The state in which it ended, and why.
    pub fn end(&self) -> (&str, &str) {
        let last = self.of("orgAgent/turn").last().unwrap();
        (last["state"].as_str().unwrap(), last["reason"].as_str().unwrap_or_default())
    }
}

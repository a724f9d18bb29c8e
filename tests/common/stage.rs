//! A home with a folder of notes in it, a model, and a program that clients start as the server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::fake_model::FakeModel;

/// Everything that a client and the server find.
pub struct Stage {
    home: TempDir,
    pub model: FakeModel,
    /// What clients and servers are given beside what all are.
    pub more: Vec<(&'static str, String)>,
}

impl Stage {
    /// A stage. What clients start is a shell script of `body`, which has the home for `{at}` and the program for
    /// `{program}`; each server notes its process in `{at}/server.pids`.
    pub fn with(prefix: &str, body: &str) -> Self {
        let mut home = tempfile::Builder::new();
        // Emacs's own server listens only where nobody else can look.
        home.prefix(prefix).rand_bytes(5).permissions(Permissions::from_mode(0o700));
        let stage = Self { home: home.tempdir().unwrap(), model: FakeModel::start(), more: Vec::new() };
        fs::create_dir_all(stage.garden()).unwrap();
        fs::create_dir_all(stage.agent_home()).unwrap();
        let body = body
            .replace("{at}", stage.home().to_str().unwrap())
            .replace("{program}", env!("CARGO_BIN_EXE_org-agent"));
        fs::write(stage.program(), format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(stage.program(), Permissions::from_mode(0o755)).unwrap();
        stage
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder with the notes.
    pub fn garden(&self) -> PathBuf {
        self.home().join("Gärten")
    }

    /// `ORG_AGENT_HOME`.
    pub fn agent_home(&self) -> PathBuf {
        self.home().join("org-agent.home")
    }

    /// What clients start as the server.
    pub fn program(&self) -> PathBuf {
        self.home().join("org-agent")
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.garden().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// What clients and servers are given: everything that they could find by themselves stands here.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let all = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("HOME", text(self.home().to_owned())),
            ("XDG_RUNTIME_DIR", text(self.home().to_owned())),
            ("TMPDIR", text(self.home().to_owned())),
            ("LANG", "C.UTF-8".to_owned()),
            ("ORG_AGENT_HOME", text(self.agent_home())),
            ("ORG_AGENT_LOCAL_PORTS", "none".to_owned()),
            ("OPENAI_API_KEY", "secret-of-a-test".to_owned()),
        ];
        all.into_iter().chain(self.more.clone()).collect()
    }

    /// The servers that were started.
    pub fn pids(&self) -> Vec<String> {
        let pids = fs::read_to_string(self.home().join("server.pids")).unwrap_or_default();
        pids.lines().map(str::to_owned).collect()
    }

    /// Whether a server was started that has not ended.
    pub fn runs(&self) -> bool {
        self.pids().iter().any(|pid| is_alive(pid))
    }

    /// The end of these files, at most so many bytes of each: what may explain a failure.
    pub fn ends(&self, names: &[&str], most: usize) -> String {
        let end = |name: &&str| {
            let bytes = fs::read(self.home().join(name)).unwrap_or_default();
            let from = bytes.len().saturating_sub(most);
            format!("--- {name}\n{}\n", String::from_utf8_lossy(&bytes[from..]))
        };
        names.iter().map(end).collect()
    }
}

/// Whether a process of this number runs. One that has ended stays there until its parent has looked.
pub fn is_alive(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

//! A home with a folder of notes in it, a model, and the program that clients start as the agent.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::fake_model::FakeModel;

/// Everything that a client and the agent find.
pub struct Stage {
    home: TempDir,
    pub model: FakeModel,
}

impl Stage {
    /// A stage.
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("acp-").rand_bytes(5).tempdir().unwrap();
        let stage = Self { home, model: FakeModel::start() };
        fs::create_dir_all(stage.garden()).unwrap();
        fs::create_dir_all(stage.agent_home()).unwrap();
        let address = stage.model.base_url();
        let models: String = ["gross", "klein"]
            .map(|name| {
                format!("[[models]]\nname = \"{name}\"\nmodel = \"fake-{name}\"\nbase_url = \"{address}\"\ncontext_tokens = 64000\n")
            })
            .concat();
        fs::write(stage.agent_home().join("config.toml"), models).unwrap();
        // The agent is the process that the client has started: nothing stands between them.
        let (at, program) = (stage.home().display(), env!("CARGO_BIN_EXE_org-agent"));
        let script = format!(
            "#!/bin/sh\necho $$ >> '{at}/server.pids'\nexec '{program}' \"$@\" 2>> '{at}/server.log'\n"
        );
        fs::write(stage.program(), script).unwrap();
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

    /// What clients start as the agent.
    pub fn program(&self) -> PathBuf {
        self.home().join("org-agent")
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.garden().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// What a file of the folder has in it, if there is one.
    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.garden().join(name)).ok()
    }

    /// What the client and the agent are given: everything that they could find by themselves stands here.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        vec![
            ("PATH", std::env::var("PATH").unwrap()),
            ("HOME", text(self.home().to_owned())),
            ("XDG_RUNTIME_DIR", text(self.home().to_owned())),
            ("TMPDIR", text(self.home().to_owned())),
            ("LANG", "C.UTF-8".to_owned()),
            ("ORG_AGENT_HOME", text(self.agent_home())),
            ("ORG_AGENT_LOCAL_PORTS", "none".to_owned()),
            ("OPENAI_API_KEY", "secret-of-a-test".to_owned()),
        ]
    }

    /// How many agents were started.
    pub fn started(&self) -> usize {
        self.pids().len()
    }

    /// Whether an agent was started that has not ended.
    pub fn runs(&self) -> bool {
        self.pids().iter().any(|pid| is_alive(pid))
    }

    /// Kills the agents that run: they have no time for anything.
    pub fn kill(&self) {
        for pid in self.pids().iter().filter(|pid| is_alive(pid)) {
            let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
            // It may have ended just now.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    fn pids(&self) -> Vec<String> {
        let pids = fs::read_to_string(self.home().join("server.pids")).unwrap_or_default();
        pids.lines().map(str::to_owned).collect()
    }

    /// What may explain a failure: the end of what the agent and the client wrote for their users.
    pub fn trouble(&self) -> String {
        let tail = |name: &str| {
            let bytes = fs::read(self.home().join(name)).unwrap_or_default();
            let from = bytes.len().saturating_sub(20_000);
            format!("--- {name}\n{}\n", String::from_utf8_lossy(&bytes[from..]))
        };
        ["client.log", "server.log"].map(tail).concat()
    }
}

/// Whether a process of this number runs. One that has ended stays there until its parent has looked.
pub fn is_alive(pid: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

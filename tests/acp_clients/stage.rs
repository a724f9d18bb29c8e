//! What clients of the Agent Client Protocol and their agent find.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

pub use crate::common_stage::{Stage, is_alive};

impl Stage {
    /// A stage, with two models to choose from.
    pub fn new() -> Self {
        // The agent is the process that the client has started: nothing stands between them.
        let body = "echo $$ >> '{at}/server.pids'\nexec '{program}' \"$@\" 2>> '{at}/server.log'";
        let stage = Self::with("acp-", body);
        let address = stage.model.base_url();
        let models: String = ["gross", "klein"]
            .map(|name| {
                format!("[[models]]\nname = \"{name}\"\nmodel = \"fake-{name}\"\nbase_url = \"{address}\"\ncontext_tokens = 64000\n")
            })
            .concat();
        fs::write(stage.agent_home().join("config.toml"), models).unwrap();
        stage
    }

    /// What a file of the folder has in it, if there is one.
    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.garden().join(name)).ok()
    }

    /// How many agents were started.
    pub fn started(&self) -> usize {
        self.pids().len()
    }

    /// Kills the agents that run: they have no time for anything.
    pub fn kill(&self) {
        for pid in self.pids().iter().filter(|pid| is_alive(pid)) {
            let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
            // It may have ended just now.
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// What may explain a failure: the end of what the agent and the client wrote for their users.
    pub fn trouble(&self) -> String {
        self.ends(&["client.log", "server.log"], 20_000)
    }
}

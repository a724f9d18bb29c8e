//! acpx: a client for the command line. Its sessions have names, and a process in the background keeps the agent between
//! the commands; with `--format json` it prints what goes over the line.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::client::{Client, Lack, More, Offered, wait};
use crate::lines::Lines;
use crate::stage::{Stage, is_alive};

pub struct Acpx {
    command: Box<dyn Fn() -> Command>,
    /// Where it keeps what it knows.
    own: PathBuf,
    log: PathBuf,
    /// How it is to answer when it is asked.
    permissions: Option<&'static str>,
    said: Vec<Value>,
    /// The prompt that was sent last, and what came of it.
    prompt: Option<Lines>,
    result: Option<Value>,
    ready: Value,
    /// Sessions by name and number.
    sessions: Vec<(String, String)>,
    closed: Vec<String>,
}

impl Acpx {
    pub fn start(stage: &Stage, program: PathBuf) -> Self {
        let (environment, garden) = (stage.environment(), stage.garden());
        let agent = format!("{} acp", stage.program().display());
        let command = Box::new(move || {
            let mut command = Command::new(&program);
            command.args(["--format", "json", "--agent", &agent, "--cwd"]).arg(&garden);
            command.current_dir(&garden).env_clear().envs(environment.clone());
            command
        });
        Self {
            command,
            own: stage.home().join(".acpx"),
            log: stage.home().join("client.log"),
            permissions: None,
            said: Vec::new(),
            prompt: None,
            result: None,
            ready: Value::Null,
            sessions: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Runs a command to its end; what it printed.
    #[track_caller]
    fn run(&self, words: &[&str]) -> Vec<Value> {
        let output = (self.command)().args(words).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "acpx {words:?}: {}\n{text}\n{told}", output.status);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The name of a session.
    fn name(&self, session: &str) -> String {
        self.sessions.iter().find(|(_, id)| id == session).unwrap().0.clone()
    }

    /// Takes what it printed: every message that went over the line.
    fn hear(&mut self) {
        let Some(prompt) = &self.prompt else { return };
        let mut heard = prompt.heard();
        for one in &mut heard {
            let params = one["params"].take();
            match one["method"].as_str() {
                Some("session/update") => {
                    self.said.push(json!({"session": params["sessionId"], "update": params["update"]}));
                }
                Some("session/request_permission") => {
                    self.said.push(
                        json!({"question": 0, "call": params["toolCall"], "options": params["options"]}),
                    );
                }
                Some("terminal/create") => {
                    self.said.push(json!({"terminal": [params["command"]], "cwd": params["cwd"]}));
                }
                Some("terminal/release") => self.said.push(json!({"released": params["terminalId"]})),
                Some(_) => {}
                None if one["result"].get("agentInfo").is_some() => self.ready = one["result"].take(),
                None if one["result"].get("stopReason").is_some() || one.get("error").is_some() => {
                    self.result = Some(one.take());
                }
                None => {}
            }
        }
    }

    /// The processes that keep agents.
    fn keepers(&self) -> Vec<i32> {
        let Ok(entries) = std::fs::read_dir(self.own.join("queues")) else { return Vec::new() };
        let files = entries.flatten().filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
        let locks = files.filter_map(|text| serde_json::from_str::<Value>(&text).ok());
        locks.filter_map(|lock| lock["pid"].as_i64()?.try_into().ok()).collect()
    }
}

fn tell_to_end(pids: &[i32]) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // One that has ended already is none to be told.
        let _ = kill_process(pid, Signal::TERM);
    }
}

impl Client for Acpx {
    fn ready(&mut self) -> Value {
        // It is printed with the first prompt.
        wait("what the agent says of itself", || {
            self.hear();
            Some(self.ready.clone()).filter(|ready| !ready.is_null())
        })
    }

    fn new_session(&mut self) -> String {
        let name = format!("beet-{}", self.sessions.len() + 1);
        let made = self.run(&["sessions", "new", "--name", &name]);
        let id = made.iter().find_map(|one| one["acpxRecordId"].as_str()).unwrap().to_owned();
        self.sessions.push((name, id.clone()));
        id
    }

    fn load(&mut self, _session: &str) -> Offered<()> {
        Err(Lack("it resumes sessions where the agent can do that".to_owned()))
    }

    fn resume(&mut self, session: &str) -> Offered<()> {
        // It does so by itself with the next prompt, unless the session was closed.
        if self.closed.iter().any(|closed| closed == session) {
            self.run(&["sessions", "new", "--name", &self.name(session), "--resume-session", session]);
            self.closed.retain(|closed| closed != session);
        }
        Ok(())
    }

    fn list(&mut self) -> Offered<Vec<Value>> {
        let garden = (self.command)().get_current_dir().unwrap().to_str().unwrap().to_owned();
        let listed = self.run(&["sessions", "list", "--filter-cwd", &garden]);
        Ok(listed[0]["sessions"].as_array().unwrap_or_else(|| panic!("{listed:?}")).clone())
    }

    fn close(&mut self, session: &str) -> Offered<()> {
        self.run(&["sessions", "close", &self.name(session)]);
        self.closed.push(session.to_owned());
        Ok(())
    }

    fn delete(&mut self, _session: &str) -> Offered<()> {
        Err(Lack("it deletes only what it keeps itself".to_owned()))
    }

    fn answers(&mut self, kind: Option<&'static str>) -> Offered<()> {
        self.permissions = match kind {
            Some("allow_once") => Some("--approve-all"),
            Some("reject_once") => Some("--deny-all"),
            Some(kind) => return Err(Lack(format!("it picks none of kind {kind} by itself"))),
            None => return Err(Lack("it asks at a terminal only".to_owned())),
        };
        Ok(())
    }

    fn prompt(&mut self, session: &str, text: &str, more: More) -> Offered<()> {
        if !more.embedded.is_empty() || !more.linked.is_empty() {
            return Err(Lack("it sends text".to_owned()));
        }
        let mut command = (self.command)();
        command.args(self.permissions).args(["prompt", "-s", &self.name(session), text]);
        self.result = None;
        self.prompt = Some(Lines::start(command, &self.log));
        Ok(())
    }

    fn turn(&mut self) -> Value {
        wait("the end of the turn", || {
            let is_over = self.prompt.as_mut().unwrap().is_over();
            self.hear();
            assert!(
                !is_over || self.result.is_some(),
                "acpx ended without a word of the turn: {:?}",
                self.said
            );
            self.result.clone().filter(|_| is_over)
        })
    }

    fn cancel(&mut self, session: &str) -> Offered<()> {
        let done = self.run(&["cancel", "-s", &self.name(session)]);
        assert_eq!(done[0]["cancelled"], true, "{done:?}");
        Ok(())
    }

    fn set_mode(&mut self, session: &str, mode: &str) -> Offered<()> {
        self.run(&["set-mode", "-s", &self.name(session), mode]);
        Ok(())
    }

    fn set_option(&mut self, session: &str, option: &str, value: &str) -> Offered<()> {
        self.run(&["set", "-s", &self.name(session), option, value]);
        Ok(())
    }

    fn extension(&mut self, _method: &str, _params: Value) -> Offered<Value> {
        Err(Lack("it calls the methods of the protocol".to_owned()))
    }

    fn unsaved(&mut self, _file: &Path, _text: &str) -> Offered<()> {
        Err(Lack("it edits no files".to_owned()))
    }

    fn said(&mut self) -> &[Value] {
        self.hear();
        &self.said
    }

    fn end(&mut self) {
        let keepers = self.keepers();
        tell_to_end(&keepers);
        wait("the end of acpx", || keepers.iter().all(|pid| !is_alive(&pid.to_string())).then_some(()));
    }

    fn start(&mut self) {
        self.said.clear();
    }
}

impl Drop for Acpx {
    fn drop(&mut self) {
        tell_to_end(&self.keepers());
    }
}

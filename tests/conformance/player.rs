//! A client in little, for the scripted server: it does what a client must, but for one fault that a test wants.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before a test fails instead of hanging.
const GUARD: Duration = Duration::from_secs(60);

/// What a client does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    Garbage,
    NoInitialize,
    AfterShutdown,
    NoShutdown,
    BadShape,
    NoAck,
    TwoAcks,
    Refuses,
    RefusesAgain,
    NoReport,
    Failed,
    TwoOutcomes,
    UnknownAction,
    UnknownMethod,
    RunsUndecided,
    RunsDenied,
    NoToken,
    SameClientId,
    OutputFromTwo,
    OutputLate,
    NoExitCode,
    Floods,
    DeafAfterTheEnd,
    DeafToAbort,
    RunsOn,
    AnswersTheUnknown,
    NothingLacking,
}

pub struct Player<'a> {
    home: &'a Path,
    _work: TempDir,
    child: Child,
    frames: Receiver<Value>,
    fault: Fault,
    next: u64,
    /// What stands in the buffer, by `actuationId`.
    pub buffer: Vec<(String, String)>,
    over: BTreeSet<String>,
    running: HashMap<String, (Child, String)>,
    answers: HashMap<u64, Value>,
    deltas: u32,
    deny: bool,
}

impl<'a> Player<'a> {
    pub fn start(home: &'a Path, fault: Fault, more: &[&str]) -> Self {
        // Not the home: commands do not see what is in that.
        let work = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_org-agent"))
            .args(["conformance", "serve", "--json", "--patience", "2", "--report"])
            .arg(home.join("report"))
            .args(more)
            .env("ORG_AGENT_HOME", home)
            .current_dir(work.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, frames) = channel();
        thread::spawn(move || {
            loop {
                let mut header = String::new();
                if stdout.read_line(&mut header).unwrap_or_default() == 0 {
                    return;
                }
                let length =
                    header.strip_prefix("Content-Length: ").unwrap().trim().parse::<usize>().unwrap();
                let mut body = vec![0; 2 + length];
                stdout.read_exact(&mut body).unwrap();
                if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self {
            home,
            _work: work,
            child,
            frames,
            fault,
            next: 1,
            buffer: Vec::new(),
            over: BTreeSet::new(),
            running: HashMap::new(),
            answers: HashMap::new(),
            deltas: 0,
            deny: false,
        }
    }

    pub fn initialize(&mut self) {
        if self.fault == Fault::NoInitialize {
            self.try_request("orgAgent/sessions/list", &json!({})).ok();
        }
        let ours = json!({"version": 1, "actuators": ["insertAtEnd", "shell"], "streaming": true, "reasoning": true,
            "steps": true});
        self.request("initialize", &json!({"capabilities": {"experimental": {"orgAgent": ours}}}));
        self.send(&json!({"jsonrpc": "2.0", "method": "initialized", "params": {}}));
        match self.fault {
            Fault::Garbage => self.write(b"Content-Length: 3\r\n\r\nabc"),
            Fault::UnknownMethod => drop(self.try_request("orgAgent/teapot", &json!({}))),
            Fault::BadShape => drop(self.try_request("orgAgent/sessions/list", &json!({"limit": "many"}))),
            Fault::UnknownAction => self.report("no-such-action", "done", &json!({})),
            _ => {}
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        self.write(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    }

    fn ask(&mut self, method: &str, params: &Value) -> u64 {
        self.next += 1;
        let id = self.next;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    pub fn request(&mut self, method: &str, params: &Value) -> Value {
        self.try_request(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_request(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let id = self.ask(method, params);
        loop {
            if let Some(answer) = self.answers.remove(&id) {
                return match answer.get("error") {
                    Some(error) => Err(error.clone()),
                    None => Ok(answer["result"].clone()),
                };
            }
            self.pump();
        }
    }

    /// Sends a message and waits for the end of its turn.
    pub fn say(&mut self, text: &str) {
        let id = if self.fault == Fault::SameClientId { "m".into() } else { format!("m-{}", self.next) };
        let params = json!({"sensor": "chat-message", "clientId": id, "text": text, "buffer": "notes.org"});
        self.deltas = 0;
        self.deny = text == "deny";
        match self.try_request("orgAgent/event", &params) {
            Ok(receipt) => {
                let turn = receipt["turnId"].as_str().unwrap().to_owned();
                while !self.over.contains(&turn) {
                    self.pump();
                }
                if text == "late" {
                    self.until_abort();
                }
            }
            Err(error) => {
                assert!(!error["data"]["hint"].as_str().unwrap().is_empty(), "{error}");
                if self.fault == Fault::Floods {
                    (0..10).for_each(|_| drop(self.try_request("orgAgent/event", &params)));
                }
            }
        }
    }

    /// Waits for the question whether this client goes on.
    fn until_abort(&mut self) {
        loop {
            let message = self.frames.recv_timeout(GUARD).expect("a message");
            let asked = message["method"] == "orgAgent/abort";
            self.take(&message);
            if asked {
                return;
            }
        }
    }

    fn pump(&mut self) {
        let message = self.frames.recv_timeout(GUARD).expect("a message");
        self.take(&message);
    }

    fn take(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            None => {
                if let Some(id) = message["id"].as_u64() {
                    self.answers.insert(id, message.clone());
                }
            }
            Some("orgAgent/actuate") => self.actuate(&message["id"], params),
            Some("orgAgent/abort") => self.abort(&message["id"], params["actuationId"].as_str().unwrap()),
            Some("orgAgent/turn") => {
                let state = params["state"].as_str().unwrap();
                if ["done", "failed", "cancelled"].contains(&state) && params["reason"] != "stale" {
                    self.over.insert(params["turnId"].as_str().unwrap().to_owned());
                }
            }
            Some("orgAgent/delta") => {
                self.deltas += 1;
                let text = params["text"].as_str().unwrap();
                if text == "2, " {
                    self.ask("orgAgent/cancel", &json!({"turnId": params["turnId"]}));
                }
            }
            Some(_) if message.get("id").is_some() => {
                let answer = if self.fault == Fault::AnswersTheUnknown {
                    json!({"jsonrpc": "2.0", "id": message["id"], "result": null})
                } else {
                    json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "what?"}})
                };
                self.send(&answer);
            }
            Some(_) => {}
        }
    }

    fn accept(&mut self, id: &Value, accepted: bool) {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "result": {"accepted": accepted}}));
    }

    fn actuate(&mut self, id: &Value, params: &Value) {
        let action = params["actuationId"].as_str().unwrap().to_owned();
        let known = self.buffer.iter().any(|(it, _)| *it == action);
        match self.fault {
            Fault::NoAck => return,
            Fault::Refuses => return self.accept(id, false),
            Fault::RefusesAgain if known => return self.accept(id, false),
            Fault::TwoAcks => self.accept(id, true),
            _ => {}
        }
        self.accept(id, true);
        if params["action"]["target"] == "shell" {
            return self.command(&action, params);
        }
        self.insert(&action, params);
    }

    fn insert(&mut self, action: &str, params: &Value) {
        let text = params["action"]["payload"]["text"].as_str().unwrap();
        if !self.buffer.iter().any(|(it, _)| it == action) {
            self.buffer.push((action.to_owned(), text.to_owned()));
        }
        match self.fault {
            Fault::NoReport => {}
            Fault::Failed => self.report(action, "failed", &json!({})),
            _ => self.report(action, "done", &json!({})),
        }
        if self.fault == Fault::TwoOutcomes {
            self.report(action, "failed", &json!({}));
        }
    }

    fn report(&mut self, action: &str, status: &str, more: &Value) {
        let mut params = json!({"actuationId": action, "status": status});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ask("orgAgent/actuated", &params);
    }

    fn command(&mut self, action: &str, params: &Value) {
        let mut token = params["token"].as_str().map(str::to_owned);
        if params["decision"] == "ask" {
            if self.fault == Fault::RunsUndecided {
                return self.report(action, "done", &json!({"exitCode": 0, "stdout": "conformance\n"}));
            }
            let choice = if self.deny { "deny" } else { "run" };
            let decided = self.request("orgAgent/decide", &json!({"actuationId": action, "choice": choice}));
            if decided["decision"] != "allow" {
                if self.fault == Fault::RunsDenied {
                    self.report(action, "done", &json!({"exitCode": 0}));
                }
                return;
            }
            token = Some(decided["token"].as_str().unwrap().to_owned());
        }
        let token = token.expect("a token");
        let child = Command::new(env!("CARGO_BIN_EXE_org-agent"))
            .args(["sandbox", "--token", &token])
            .env("ORG_AGENT_HOME", self.home)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if params["action"]["payload"]["cmd"] == "sleep 600" {
            self.running.insert(action.to_owned(), (child, token));
            return;
        }
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let piece = |seq: u64| json!({"actuationId": action, "seq": seq, "stream": "stdout", "text": stdout});
        let first = if self.fault == Fault::OutputFromTwo { 2 } else { 1 };
        self.send(&json!({"jsonrpc": "2.0", "method": "orgAgent/output", "params": piece(first)}));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let mut outcome =
            json!({"token": token, "exitCode": output.status.code(), "stdout": stdout, "stderr": stderr});
        match self.fault {
            Fault::NoToken => drop(outcome.as_object_mut().unwrap().remove("token")),
            Fault::NoExitCode => drop(outcome.as_object_mut().unwrap().remove("exitCode")),
            _ => {}
        }
        self.report(action, "done", &outcome);
        if self.fault == Fault::OutputLate {
            self.send(&json!({"jsonrpc": "2.0", "method": "orgAgent/output", "params": piece(2)}));
        }
    }

    fn abort(&mut self, id: &Value, action: &str) {
        let running = self.running.remove(action);
        if running.is_none() && self.fault == Fault::DeafAfterTheEnd {
            return;
        }
        if running.is_none() || self.fault != Fault::DeafToAbort {
            self.accept(id, true);
        }
        let Some((mut child, token)) = running else { return };
        child.kill().unwrap();
        child.wait().unwrap();
        match self.fault {
            Fault::RunsOn => self.report(action, "done", &json!({"token": token, "exitCode": 0})),
            _ => self.report(action, "failed", &json!({"token": token, "message": "stopped"})),
        }
    }

    /// Comes back to a session with what is in the buffer.
    pub fn resume(&mut self, session: &str) -> Value {
        let applied: Vec<&String> = self.buffer.iter().map(|(action, _)| action).collect();
        let applied = json!({"sessionId": session, "applied": applied});
        let resumed = self.request("orgAgent/sessions/resume", &applied);
        for params in resumed["actuations"].as_array().unwrap() {
            if self.fault != Fault::NothingLacking {
                self.insert(params["actuationId"].as_str().unwrap(), params);
            }
        }
        resumed
    }

    /// Leaves; the report and the exit status.
    pub fn leave(mut self) -> (Value, i32) {
        if self.fault != Fault::NoShutdown {
            self.request("shutdown", &Value::Null);
        }
        if self.fault == Fault::AfterShutdown {
            self.try_request("orgAgent/sessions/list", &json!({})).ok();
        }
        self.send(&json!({"jsonrpc": "2.0", "method": "exit"}));
        let status = self.child.wait().unwrap();
        let report = std::fs::read(self.home.join("report")).unwrap();
        (serde_json::from_slice(&report).unwrap(), status.code().unwrap())
    }
}

impl Drop for Player<'_> {
    fn drop(&mut self) {
        // Those that have ended already cannot be killed.
        for (child, _) in self.running.values_mut() {
            child.kill().ok();
            child.wait().ok();
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

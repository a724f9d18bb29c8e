//! A scripted client: drives the real binary over its standard input and output, with a guard against hanging on every
//! wait. It answers nothing by itself.

#![allow(dead_code, reason = "the measurements include this module and use a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake_model::FakeModel;

/// How long anything may take before a test fails instead of hanging.
pub const GUARD: Duration = Duration::from_secs(60);

pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    log: Arc<Mutex<String>>,
    next_id: u64,
}

/// Where a server lives, and where its sessions are.
pub struct Place {
    pub home: TempDir,
    pub work: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), work: tempfile::tempdir().unwrap() }
    }

    /// The directory of the sessions.
    pub fn cwd(&self) -> PathBuf {
        self.work.path().canonicalize().unwrap()
    }

    /// A server here that asks `model`, initialized.
    pub fn client(&self, model: &FakeModel) -> Client {
        let mut client = Client::start(self.home.path(), &environment(model));
        client.initialize(&json!({}));
        client
    }
}

/// What makes a server ask `model`.
pub fn environment(model: &FakeModel) -> Vec<(&'static str, String)> {
    vec![
        ("OPENAI_BASE_URL", model.base_url()),
        ("OPENAI_API_KEY", "sk-Secret0123456789".to_owned()),
        ("ORG_AGENT_MODEL", "fake-model".to_owned()),
    ]
}

impl Client {
    pub fn start(home: &Path, env: &[(&str, String)]) -> Self {
        Self::start_with(home, env, &[])
    }

    pub fn start_with(home: &Path, env: &[(&str, String)], arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_org-agent"))
            .arg("acp")
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ORG_AGENT_HOME", home)
            .env("ORG_AGENT_LOCAL_PORTS", "none")
            .envs(env.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Every line is a message, or the test that waits for one fails.
                let message = serde_json::from_str(&line).unwrap_or_else(|_| json!({"noMessage": line}));
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let log = Arc::<Mutex<String>>::default();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines_of_log = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lines_of_log.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines, log, next_id: 1 }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Introduces itself with these capabilities; the answer.
    pub fn initialize(&mut self, capabilities: &Value) -> Value {
        self.introduce("tests", capabilities)
    }

    pub fn introduce(&mut self, name: &str, capabilities: &Value) -> Value {
        let params = json!({"protocolVersion": 1, "clientCapabilities": capabilities,
            "clientInfo": {"name": name, "version": "1"}});
        self.request("initialize", &params)
    }

    /// A new session in `cwd`, with what is told of it.
    pub fn session(&mut self, cwd: &Path) -> String {
        let answer = self.request("session/new", &json!({"cwd": cwd, "mcpServers": []}));
        self.until(|message| is_update(message, "available_commands_update"));
        answer["sessionId"].as_str().unwrap().to_owned()
    }

    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.stdin.as_mut().expect("the input was closed");
        stdin.write_all(bytes.as_ref()).and_then(|()| stdin.flush()).unwrap();
    }

    pub fn send(&mut self, message: &Value) {
        self.send_raw(format!("{message}\n"));
    }

    pub fn notify(&mut self, method: &str, params: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request; its id.
    pub fn ask(&mut self, method: &str, params: &Value) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    pub fn prompt(&mut self, session: &str, text: &str) -> u64 {
        let prompt = json!([{"type": "text", "text": text}]);
        self.ask("session/prompt", &json!({"sessionId": session, "prompt": prompt}))
    }

    /// Answers a request of the server.
    pub fn answer(&mut self, request: &Value, result: &Value) {
        self.send(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result}));
    }

    /// Answers a question about a command.
    pub fn choose(&mut self, request: &Value, option: &str) {
        self.answer(request, &json!({"outcome": {"outcome": "selected", "optionId": option}}));
    }

    /// The next message.
    pub fn next(&mut self) -> Value {
        let message = self.lines.recv_timeout(GUARD).unwrap_or_else(|_| {
            panic!("nothing comes any more\n{}", self.log.lock().unwrap());
        });
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
        message
    }

    /// The messages up to the first for which `is_it` holds, that included.
    pub fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let message = self.next();
            let is_last = is_it(&message);
            all.push(message);
            if is_last {
                return all;
            }
        }
    }

    /// The messages up to the answer to this request.
    pub fn answered(&mut self, id: u64) -> Vec<Value> {
        self.until(|message| message["id"] == id && message["method"].is_null())
    }

    /// The messages up to the next request of this method.
    pub fn asked(&mut self, method: &str) -> Vec<Value> {
        self.until(|message| message["method"] == method)
    }

    /// Sends a request; its result, which must be none of an error.
    pub fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.ask(method, params);
        let answer = self.answered(id).pop().unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Sends a request; its error.
    pub fn refused(&mut self, method: &str, params: &Value) -> Value {
        let id = self.ask(method, params);
        let answer = self.answered(id).pop().unwrap();
        assert!(answer["result"].is_null(), "{method}: {answer}");
        answer["error"].clone()
    }

    /// Sends a prompt and takes all up to its answer.
    pub fn turn(&mut self, session: &str, text: &str) -> Vec<Value> {
        let id = self.prompt(session, text);
        self.answered(id)
    }

    /// Closes the input; how the server ended.
    pub fn finish(mut self) -> ExitStatus {
        drop(self.stdin.take());
        let started = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < GUARD, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Kills the server.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether a message is an update of this kind.
pub fn is_update(message: &Value, kind: &str) -> bool {
    message["params"]["update"]["sessionUpdate"] == kind
}

/// The updates of this kind.
pub fn updates<'a>(messages: &'a [Value], kind: &str) -> Vec<&'a Value> {
    messages
        .iter()
        .filter(|message| is_update(message, kind))
        .map(|message| &message["params"]["update"])
        .collect()
}

/// What the agent says in these messages.
pub fn said(messages: &[Value]) -> String {
    chunks(messages, "agent_message_chunk").concat()
}

/// The texts of all chunks of a kind.
pub fn chunks(messages: &[Value], kind: &str) -> Vec<String> {
    updates(messages, kind)
        .iter()
        .map(|update| update["content"]["text"].as_str().unwrap().to_owned())
        .collect()
}

/// Why a prompt is over.
pub fn stop_reason(messages: &[Value]) -> &str {
    messages.last().unwrap()["result"]["stopReason"].as_str().unwrap()
}

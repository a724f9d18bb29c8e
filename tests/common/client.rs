//! A client for tests: drives the real binary over its standard input and output, blocking, with a guard
//! against hanging on every wait. It knows frames and JSON-RPC, and that an insert is reported as done.

#![allow(dead_code, reason = "every test file includes this module and uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use org_agent::conformance::message::{Detail, Message, Side};
use org_agent::conformance::rules::Rule;
use org_agent::conformance::watch::Watch;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long anything may take before a test fails instead of hanging.
pub const GUARD: Duration = Duration::from_secs(30);

/// A running server and this side of the line.
pub struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    frames: Receiver<Value>,
    /// Held by a test to make the client read nothing.
    reading: Arc<Mutex<()>>,
    log: Arc<Mutex<String>>,
    /// Every frame that was read, as it came.
    heard: Arc<Mutex<Vec<u8>>>,
    next_id: u64,
    /// What was received and not asked for yet.
    unread: VecDeque<Value>,
    /// Whether requests of the server are acknowledged by themselves.
    pub acknowledge: bool,
    /// Every request of the server so far.
    pub asked: Vec<Value>,
    home: Home,
    /// Holds the server to the rules of the protocol.
    watch: Watch,
    /// Whether something was sent that it did not see.
    unseen: bool,
    /// All that passed, if a test wants it.
    pub record: Option<Vec<(Side, Value)>>,
}

/// `ORG_AGENT_HOME`.
enum Home {
    /// Goes with the client.
    Own(TempDir),
    /// Stays.
    Given(PathBuf),
}

impl Client {
    /// Starts a server with a home of its own and these variables, and initializes it.
    pub fn new(env: &[(&str, &str)]) -> Self {
        let mut client = Self::start(env);
        client.initialize();
        client
    }

    /// Starts a server with a home of its own and these variables.
    pub fn start(env: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        Self::spawn(Home::Own(home), env, &[])
    }

    /// Starts a server with this home, so that a second one can find what the first left; initializes it.
    pub fn new_in(home: &Path, env: &[(&str, &str)]) -> Self {
        let mut client = Self::start_in(home, env);
        client.initialize();
        client
    }

    /// Starts a server with this home.
    pub fn start_in(home: &Path, env: &[(&str, &str)]) -> Self {
        Self::spawn(Home::Given(home.to_owned()), env, &[])
    }

    /// Starts a server with this home and these arguments.
    pub fn start_with(home: &Path, env: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::spawn(Home::Given(home.to_owned()), env, arguments)
    }

    fn spawn(home: Home, env: &[(&str, &str)], arguments: &[&str]) -> Self {
        let path = match &home {
            Home::Own(home) => home.path(),
            Home::Given(home) => home,
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_org-agent"))
            .arg("serve")
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ORG_AGENT_HOME", path)
            // What else runs on this machine is not a part of any test.
            .env("ORG_AGENT_LOCAL_PORTS", "none")
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let reading = Arc::<Mutex<()>>::default();
        let (sender, frames) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let gate = Arc::clone(&reading);
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let all = Arc::clone(&heard);
        thread::spawn(move || read_frames(stdout, &gate, &all, &sender));
        let log = Arc::<Mutex<String>>::default();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let mut log = lines.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let stdin = child.stdin.take();
        Self {
            child,
            stdin,
            frames,
            reading,
            log,
            heard,
            next_id: 1,
            unread: VecDeque::new(),
            acknowledge: true,
            asked: Vec::new(),
            home,
            watch: Watch::new(Detail::ALL),
            unseen: false,
            record: None,
        }
    }

    /// Introduces itself as a client that can do everything; the server's answer.
    pub fn initialize(&mut self) -> Value {
        self.initialize_as(&json!({"version": 1, "actuators": ["insertAtEnd", "shell"], "streaming": true}))
    }

    /// Introduces itself with this announcement.
    pub fn initialize_as(&mut self, ours: &Value) -> Value {
        let params = json!({"processId": null, "capabilities": {"experimental": {"orgAgent": ours}}});
        let result = self.request("initialize", &params);
        self.notify("initialized", &json!({}));
        result
    }

    /// The server's `ORG_AGENT_HOME`.
    pub fn home(&self) -> &Path {
        match &self.home {
            Home::Own(home) => home.path(),
            Home::Given(home) => home,
        }
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// All that the server has sent so far, byte for byte.
    pub fn heard(&self) -> Vec<u8> {
        self.heard.lock().unwrap().clone()
    }

    // Sending

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.unseen = true;
        self.write(bytes.as_ref());
    }

    fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("the input was closed");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).unwrap_or_else(|error| {
            panic!("the server does not read: {error}\n{}", self.log.lock().unwrap());
        });
    }

    /// Sends a message as a frame.
    pub fn send(&mut self, message: &Value) {
        self.see(Side::Client, message);
        self.write(&frame(message));
    }

    fn see(&mut self, from: Side, message: &Value) {
        if let Some(record) = &mut self.record {
            record.push((from, message.clone()));
        }
        let Ok(seen) = Message::from_rpc(from, message.clone()) else {
            assert_eq!(from, Side::Client, "{message}");
            return;
        };
        for finding in self.watch.see(&seen) {
            // What a client does wrong in a test it does on purpose.
            let excused = finding.side == Side::Client || (self.unseen && finding.rule == Rule::Answer);
            assert!(excused, "the server breaks a rule: {finding:?}\n{message}\n{}", self.log());
        }
    }

    /// Sends a notification.
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

    /// Sends a request and waits for its result, which must not be an error.
    pub fn request(&mut self, method: &str, params: &Value) -> Value {
        self.try_request(method, params)
            .unwrap_or_else(|error| panic!("{method} {params} was answered with {error}\n{}", self.log()))
    }

    /// Sends a request and waits for its result or error.
    pub fn try_request(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let id = self.ask(method, params);
        self.answer(id)
    }

    /// Sends no more. The server will end.
    pub fn close_input(&mut self) {
        self.stdin.take();
    }

    /// The way in, for a thread that sends while the test does something else.
    pub fn take_input(&mut self) -> ChildStdin {
        self.unseen = true;
        self.stdin.take().expect("the input was closed")
    }

    /// Gives it back.
    pub fn give_input(&mut self, input: ChildStdin) {
        self.stdin = Some(input);
    }

    // Receiving

    /// Waits for the answer to the request `id`.
    pub fn answer(&mut self, id: u64) -> Result<Value, Value> {
        let answer = self.wait_for(|message| message.get("method").is_none() && message["id"] == id);
        match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(answer["result"].clone()),
        }
    }

    /// Waits for a message and takes it. Those before it stay unread, in their order.
    pub fn wait_for(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        if let Some(at) = self.unread.iter().position(&mut wanted) {
            return self.unread.remove(at).unwrap();
        }
        loop {
            let Some(message) = self.receive() else {
                panic!("the server left; unread: {:#?}\nits log:\n{}", self.unread, self.log())
            };
            if wanted(&message) {
                return message;
            }
            self.unread.push_back(message);
        }
    }

    /// Waits for the next message, unread ones first. `None`: the server closed its output.
    pub fn next(&mut self) -> Option<Value> {
        self.unread.pop_front().or_else(|| self.receive())
    }

    /// The next message that is there by then, unread ones first.
    pub fn poll(&mut self, wait: Duration) -> Option<Value> {
        if let Some(message) = self.unread.pop_front() {
            return Some(message);
        }
        match self.frames.recv_timeout(wait) {
            Ok(message) => Some(self.received(message)),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the server left\n{}", self.log()),
        }
    }

    fn receive(&mut self) -> Option<Value> {
        match self.frames.recv_timeout(GUARD) {
            Ok(message) => Some(self.received(message)),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no message in time; unread: {:#?}\nits log:\n{}", self.unread, self.log())
            }
        }
    }

    fn received(&mut self, message: Value) -> Value {
        self.see(Side::Server, &message);
        if message.get("method").is_some() && message.get("id").is_some() {
            self.asked.push(message.clone());
            if self.acknowledge {
                let id = message["id"].clone();
                self.send(&json!({"jsonrpc": "2.0", "id": id, "result": {"accepted": true}}));
            }
        }
        message
    }

    /// As long as a test holds this lock, nothing that the server writes is read.
    pub fn reading(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.reading)
    }

    /// Reads no more: what the server writes from now on fails.
    pub fn close_output(&mut self) {
        // The thread that reads ends when nobody takes what it read.
        self.frames = channel().1;
        self.ask("no/such/method", &Value::Null);
    }

    // Turns

    /// Sends a chat message from the buffer; the answer.
    pub fn chat(&mut self, buffer: &str, client_id: &str, text: &str) -> Value {
        let params = json!({"sensor": "chat-message", "clientId": client_id, "buffer": buffer, "text": text});
        self.request("orgAgent/event", &params)
    }

    /// Waits for the end of a turn, carrying out its inserts on the way: all its messages, in their order.
    pub fn turn(&mut self, turn_id: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.wait_for(|message| message["params"]["turnId"] == turn_id);
            let params = &message["params"];
            match message["method"].as_str() {
                Some("orgAgent/actuate") if params["action"]["target"] == "emacs" => {
                    let done = json!({"actuationId": params["actuationId"], "status": "done"});
                    self.request("orgAgent/actuated", &done);
                }
                Some("orgAgent/turn") => {
                    let state = params["state"].as_str().unwrap();
                    if ["done", "failed", "cancelled"].contains(&state) {
                        messages.push(message);
                        return messages;
                    }
                }
                _ => {}
            }
            messages.push(message);
        }
    }

    // The end

    /// Leaves as a client should. Nothing may be left unread, and the exit status must be 0.
    pub fn finish(mut self) {
        self.leave();
        assert_eq!(self.unread, [] as [Value; 0], "left unread");
        let status = self.ended();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// Leaves as a client should, whatever is left unread; that.
    pub fn finish_unread(mut self) -> Vec<Value> {
        self.leave();
        let status = self.ended();
        assert!(status.success(), "{status}\n{}", self.log());
        self.unread.drain(..).collect()
    }

    fn leave(&mut self) {
        assert_eq!(self.request("shutdown", &Value::Null), Value::Null);
        self.notify("exit", &Value::Null);
        while let Some(message) = self.receive() {
            self.unread.push_back(message);
        }
    }

    /// Waits for the server's end, which something else must have caused.
    pub fn ended(&mut self) -> ExitStatus {
        while let Some(message) = self.receive() {
            self.unread.push_back(message);
        }
        // Its output is closed, so the process is at its end.
        self.child.wait().unwrap()
    }

    /// Kills the server as `kill -9` does. What it had written by then and was not asked for.
    pub fn kill(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.acknowledge = false;
        self.ended();
        self.unread.drain(..).collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // A server that has ended already cannot be killed; nothing is left to do then.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A message as a frame.
pub fn frame(message: &Value) -> Vec<u8> {
    let body = message.to_string();
    format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// Reads frames of exactly one form: anything else on standard output fails the test that waits.
fn read_frames(mut stdout: impl BufRead, gate: &Mutex<()>, heard: &Mutex<Vec<u8>>, frames: &Sender<Value>) {
    loop {
        drop(gate.lock());
        let mut header = String::new();
        // A server that is killed may leave a part of a frame.
        if stdout.read_line(&mut header).is_err() || !header.ends_with('\n') {
            return;
        }
        let length = header.strip_prefix("Content-Length: ").and_then(|rest| rest.strip_suffix("\r\n"));
        let length = length.unwrap_or_else(|| panic!("on standard output: {header:?}"));
        let length: usize = length.parse().unwrap();
        let mut body = vec![0; 2 + length];
        if stdout.read_exact(&mut body).is_err() {
            return;
        }
        heard.lock().unwrap().extend_from_slice(&[header.as_bytes(), &body].concat());
        let body = body.strip_prefix(b"\r\n").expect("a blank line ends the header");
        let message: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(message["jsonrpc"], "2.0");
        if frames.send(message).is_err() {
            return;
        }
    }
}

/// A model's server that takes every connection and never says a word. The variables that choose it.
pub struct SilentModel {
    url: String,
    taken: Receiver<TcpStream>,
}

impl SilentModel {
    /// Listens on a free port of this machine.
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (sender, taken) = channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { url, taken }
    }

    /// The variables that choose it.
    pub fn env(&self) -> [(&str, &str); 3] {
        [("OPENAI_BASE_URL", &self.url), ("ORG_AGENT_MODEL", "x"), ("OPENAI_API_KEY", "x")]
    }

    /// Waits for the next request to arrive; the connection stays open as long as this is kept.
    pub fn accept(&self) -> TcpStream {
        self.taken.recv_timeout(GUARD).expect("no request reached the model")
    }
}

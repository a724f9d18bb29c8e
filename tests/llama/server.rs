//! llama.cpp's server as a child of a test: on a free port of this machine, with the tiny model, one request at a time.
//!
//! It goes with the value. Every wait has a guard against hanging.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tiny::{self, Habit};

/// How long anything may take before a test fails instead of hanging. Long: the machine may be busy.
pub const GUARD: Duration = Duration::from_secs(180);

/// Waits until `look` finds something; looks again and again.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + GUARD;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

pub struct Llama {
    child: Child,
    address: String,
    log: Arc<Mutex<String>>,
    /// Holds the model's file.
    _files: TempDir,
}

impl Llama {
    /// Starts the server that `ORG_AGENT_LLAMA_SERVER` names, and waits until the model is loaded.
    pub fn start(habit: Habit) -> Self {
        let program = std::env::var("ORG_AGENT_LLAMA_SERVER")
            .expect("ORG_AGENT_LLAMA_SERVER names llama.cpp's llama-server; `make test-llama` builds one");
        let files = tempfile::tempdir().unwrap();
        let model = files.path().join("tiny.gguf");
        std::fs::write(&model, tiny::model(SEED, habit)).unwrap();
        let mut child = Command::new(&program)
            .arg("--model")
            .arg(&model)
            .args(["--host", "127.0.0.1", "--port", "0", "--parallel", "1", "--metrics"])
            // One thread: for so small a model others only wait, and busily.
            .args(["--ctx-size", &tiny::CONTEXT.to_string(), "--threads", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        let log = Arc::<Mutex<String>>::default();
        let (lines, stderr) = (Arc::clone(&log), BufReader::new(child.stderr.take().unwrap()));
        thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                let mut log = lines.lock().unwrap();
                log.push_str(&String::from_utf8_lossy(&line));
                log.push('\n');
            }
        });
        let mut llama = Self { child, address: String::new(), log, _files: files };
        llama.address = until("the inference server's address", || {
            llama.alive();
            let log = llama.log();
            let (_, rest) = log.split_once("listening on http://")?;
            let address = rest.split_once('\n')?.0;
            Some(address.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect())
        });
        until("the model", || {
            llama.alive();
            llama.get("/health").filter(|(status, _)| *status == 200)
        });
        llama
    }

    fn alive(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the inference server ended with {status}:\n{}", self.log());
        }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// All that it wrote so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Whether it is writing a reply.
    pub fn is_busy(&self) -> bool {
        let (_, body) = self.get("/slots").expect("the inference server answers");
        let slots: Value = serde_json::from_str(&body).unwrap();
        slots[0]["is_processing"].as_bool().unwrap_or_else(|| panic!("no state of a slot in {body}"))
    }

    /// How many tokens it wrote so far, in replies that are over.
    pub fn tokens(&self) -> u64 {
        let (_, body) = self.get("/metrics").expect("the inference server answers");
        let number = body.lines().find_map(|line| line.strip_prefix("llamacpp:tokens_predicted_total "));
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no count in {body}"))
    }

    /// A reply of so many tokens to this test and not to the product, and how many came in a second. Nothing but
    /// their number ends it.
    pub fn reply(&self, tokens: u32, grammar: Option<&str>) -> (String, f64) {
        let messages = json!([{"role": "user", "content": "Go on for ever."}]);
        let mut body = json!({"messages": messages, "max_tokens": tokens, "ignore_eos": true});
        if let Some(grammar) = grammar {
            body["grammar"] = grammar.into();
        }
        let (status, answer) = self.ask("POST", "/v1/chat/completions", &body.to_string()).unwrap();
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["usage"]["completion_tokens"], tokens, "{answer}");
        let text = answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        (text, answer["timings"]["predicted_per_second"].as_f64().unwrap())
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        self.ask("GET", path, "")
    }

    /// Status and body of an answer; `None` if there is no connection.
    fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(GUARD)).unwrap();
        // Version 1.0: the answer ends with the connection and is not in chunks.
        let head = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\n", self.address);
        let kind = "Content-Type: application/json\r\n";
        write!(stream, "{head}{kind}Content-Length: {}\r\n\r\n{body}", body.len()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        // A server that has ended already cannot be killed; nothing is left to do then.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Of the model's weights: with this one it says all kinds of actions. The server's dice, which choose each token, fall
/// otherwise every time.
const SEED: u64 = 10;

//! A process whose output is lines of JSON.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use crate::client::wait;

pub struct Lines {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<Value>,
}

impl Lines {
    /// Starts a command; what it says to its user goes to the end of `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; `make test-acp` gets it"));
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                let Ok(line) = line else { return };
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Self { child, input, output: receiver }
    }

    /// Says a line to it.
    pub fn say(&mut self, value: &Value) {
        let line = value.to_string() + "\n";
        self.input.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// What it has said since this was last asked for.
    pub fn heard(&self) -> Vec<Value> {
        self.output.try_iter().collect()
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Ends its input, and waits for its end.
    pub fn end(&mut self) {
        self.input = None;
        wait("the end of the client", || self.child.try_wait().unwrap());
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // One that has ended already is none to be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! The least that each measure could be on this machine at this moment: a bare process, a bare write to the
//! disk, a bare loop over the model's stream.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fake_model::{FakeModel, Gate};
use crate::{TOKEN, TOKENS, process, server};

/// Starts a process that does nothing and waits for its end.
pub fn spawn() -> Duration {
    let begun = Instant::now();
    assert!(Command::new("true").env_clear().status().unwrap().success());
    begun.elapsed()
}

/// A file that is appended to.
pub struct Log(File);

impl Log {
    /// Makes one in `dir`.
    pub fn new(dir: &Path) -> Self {
        Self(OpenOptions::new().create(true).append(true).open(dir.join("bare")).unwrap())
    }

    /// Appends 4 KiB, which are on the disk then.
    pub fn append(&mut self) -> Duration {
        let begun = Instant::now();
        self.0.write_all(&[b'x'; 4096]).unwrap();
        self.0.sync_data().unwrap();
        begun.elapsed()
    }
}

/// Reads the same burst as a server does, with no more than it takes to get the text out: the CPU time.
pub fn read_burst(at_once: bool) -> Duration {
    let (model, gate) = (FakeModel::start(), Gate::new());
    model.push(server::burst(at_once, &gate));
    let address = model.base_url().trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let reader = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        let mut lines = BufReader::with_capacity(16 * 1024, stream);
        let (mut line, mut text) = (String::new(), String::new());
        let before = process::own_cpu();
        while line != "data: [DONE]\n" {
            line.clear();
            assert!(lines.read_line(&mut line).unwrap() > 0);
            // Everything else is HTTP.
            let event = line.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
            let piece = event.as_ref().and_then(|event| event["choices"][0]["delta"]["content"].as_str());
            text.push_str(piece.unwrap_or_default());
        }
        assert_eq!(text.len(), TOKENS * TOKEN);
        process::own_cpu() - before
    });
    drop(model.take_request_blocking());
    gate.open();
    reader.join().unwrap()
}

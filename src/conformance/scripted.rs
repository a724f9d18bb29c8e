//! A server with a part to play, for authors of clients: `org-agent conformance serve`.
//!
//! It speaks the protocol and asks no model. Each message of the user starts a scene, whose turn does what a server may
//! do and clients get wrong, and what the client does is graded: by what the scene waits for, and by the rules of
//! [`super::watch`], which sees everything. One thread reads, one plays; scenes are straight code that sends and waits.

mod answers;
mod grades;
mod play;
mod scenes;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::lsp::framing::{Found, Framing};

pub use grades::Report;
pub use scenes::{SCENES, Scene};

/// How many messages may wait between the threads.
const WAITING: usize = 256;
/// How much is read at once.
const CHUNK: usize = 64 << 10;

/// How to play.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long is waited for what a client does by itself.
    pub patience: Duration,
    /// Where tokens are kept, as of the real server.
    pub data: PathBuf,
    /// Where commands run.
    pub directory: PathBuf,
}

/// What came in.
enum Incoming {
    Message(Value),
    /// Something that is no message.
    Fault(String),
}

/// Plays until the client leaves; what it did. Each message that passes is given to `passed`, as a line of a record.
///
/// # Errors
/// `internal` if no thread can be started.
pub fn serve(
    input: impl Read + Send + 'static,
    output: &mut dyn Write,
    options: &Options,
    passed: &mut dyn FnMut(&str),
) -> Result<Report> {
    let (sender, inbox) = sync_channel(WAITING);
    thread::Builder::new()
        .name("conformance-input".into())
        .spawn(move || read(input, &sender))
        .map_err(|error| Error::internal("no thread for the input").because(error))?;
    Ok(play(&inbox, output, options, passed))
}

fn play(
    inbox: &Receiver<Incoming>,
    output: &mut dyn Write,
    options: &Options,
    passed: &mut dyn FnMut(&str),
) -> Report {
    let mut play = play::Play::new(inbox, output, options, passed);
    // It ends when the client leaves, which is no failure.
    let play::Gone = play.run();
    play.report()
}

fn read(mut input: impl Read, sender: &SyncSender<Incoming>) {
    let mut framing = Framing::new();
    let mut chunk = vec![0; CHUNK];
    let mut found = Vec::new();
    loop {
        let read = match input.read(&mut chunk) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        framing.push(&chunk[..read], |one| found.push(one));
        if read == 0 {
            found.extend(std::mem::take(&mut framing).finish().map(Found::Fault));
        }
        for one in found.drain(..) {
            let incoming = match one {
                Found::Body(body) => match serde_json::from_slice(&body) {
                    Ok(message) => Incoming::Message(message),
                    Err(error) => Incoming::Fault(format!("a body is no JSON: {error}")),
                },
                Found::Fault(fault) => Incoming::Fault(fault.to_string()),
            };
            if sender.send(incoming).is_err() {
                return;
            }
        }
        if read == 0 {
            return;
        }
    }
}

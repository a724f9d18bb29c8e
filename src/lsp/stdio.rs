//! The two threads at the ends of the line. One reads and parses, one owns the output and writes; both are
//! plain threads, so that a read or a write that never returns cannot keep the process from ending.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::thread;

use tokio::sync::{mpsc, oneshot};
use tower_lsp_server::jsonrpc::Id;

use super::framing::{Fault, Found, Framing};
use super::rpc::{self, Incoming};
use crate::error::{Error, Result};

/// How much is read at once. A batch holds what came complete with it: at most one large message.
const CHUNK: usize = 64 * 1024;

/// Something from the client, or a fault in how it was sent.
#[derive(Debug)]
pub enum Input {
    /// A message, or what was none.
    Message(Incoming),
    /// Bytes between two messages that belong to none. After a broken message it is the rest of that.
    Garbage,
}

/// Reads messages until the input ends.
///
/// # Errors
/// `internal` if the system gives no thread.
pub fn read(mut input: impl Read + Send + 'static) -> Result<mpsc::Receiver<Vec<Input>>> {
    // One batch may wait while the next is read: a client that sends faster than it is served has to wait.
    let (sender, receiver) = mpsc::channel(1);
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            let mut framing = Framing::new();
            let mut chunk = vec![0; CHUNK];
            loop {
                let mut batch = Vec::new();
                let length = match input.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => {
                        tracing::error!(%error, "the input could not be read");
                        break;
                    }
                };
                framing.push(&chunk[..length], |found| batch.push(parse(found)));
                if !batch.is_empty() && sender.blocking_send(batch).is_err() {
                    return;
                }
            }
            if let Some(fault) = framing.finish() {
                // If nobody listens any more, nobody has to know.
                drop(sender.blocking_send(vec![parse(Found::Fault(fault))]));
            }
        })
        .map_err(no_thread)?;
    Ok(receiver)
}

fn parse(found: Found) -> Input {
    match found {
        Found::Body(body) => Input::Message(rpc::read(&body)),
        Found::Fault(Fault::Garbage) => Input::Garbage,
        Found::Fault(fault) => Input::Message(Incoming::Bad(Id::Null, rpc::parse_error(&fault.to_string()))),
    }
}

/// The way to the one thread that writes.
#[derive(Debug)]
pub struct Writer {
    /// Takes a batch when the one before it is being written. Closed: the client reads no more.
    pub batches: mpsc::Sender<Vec<u8>>,
    /// Answers once everything is written, after `batches` was dropped.
    pub done: oneshot::Receiver<()>,
}

impl Writer {
    /// Writes what is left, and waits until all is written.
    pub async fn flush(self, out: Vec<u8>) {
        // If the client reads no more, there is nobody to tell.
        if !out.is_empty() && self.batches.send(out).await.is_err() {
            return;
        }
        drop(self.batches);
        self.done.await.ok();
    }
}

/// The next message. Takes a new batch when the last is used up.
pub async fn next<T>(batch: &mut VecDeque<T>, messages: &mut mpsc::Receiver<Vec<T>>) -> Option<T> {
    while batch.is_empty() {
        *batch = messages.recv().await?.into();
    }
    batch.pop_front()
}

/// Writes batches, each with one call and one flush.
///
/// # Errors
/// `internal` if the system gives no thread.
pub fn write(mut output: impl Write + Send + 'static) -> Result<Writer> {
    let (batches, mut receiver) = mpsc::channel::<Vec<u8>>(1);
    let (finished, done) = oneshot::channel();
    thread::Builder::new()
        .name("output".to_owned())
        .spawn(move || {
            while let Some(batch) = receiver.blocking_recv() {
                if let Err(error) = output.write_all(&batch).and_then(|()| output.flush()) {
                    tracing::warn!(%error, "the client does not read any more");
                    return;
                }
            }
            // If nobody waits for this, the process is ending already.
            finished.send(()).ok();
        })
        .map_err(no_thread)?;
    Ok(Writer { batches, done })
}

fn no_thread(error: std::io::Error) -> Error {
    Error::internal("the system gave no thread").because(error)
}

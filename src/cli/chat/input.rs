//! Standard input for the terminal chat: lines as messages, and nothing typed too early as an answer.
//!
//! Does not know what a line means.

use std::io::{self, BufRead};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::error::{Error, Result};

/// The most bytes of a line.
const LINE: usize = 1 << 20;

/// How long nothing must have come for everything typed so far to have arrived.
const QUIET: Duration = Duration::from_millis(150);

/// Lines of standard input. It is not touched before the first one is asked for.
#[derive(Default)]
pub(super) struct Input {
    /// Pieces of at most one line, as they are read.
    pieces: Option<mpsc::Receiver<Vec<u8>>>,
    /// The beginning of a line.
    held: Vec<u8>,
    /// The line is too long; its rest is skipped.
    too_long: bool,
}

impl Input {
    /// The next line without its end; `None` at the end of the input. Cancelled, it loses nothing.
    ///
    /// # Errors
    /// `bad_request` for a line of more than 1 MiB, which is skipped.
    pub(super) async fn line(&mut self) -> Option<Result<String>> {
        loop {
            let piece = self.pieces().recv().await;
            if piece.is_none() && self.held.is_empty() && !self.too_long {
                return None;
            }
            let piece = piece.unwrap_or_else(|| vec![b'\n']);
            let (end, text) = match piece.strip_suffix(b"\n") {
                Some(text) => (true, text),
                None => (false, piece.as_slice()),
            };
            self.too_long |= self.held.len() + text.len() > LINE;
            if self.too_long {
                self.held.clear();
            } else {
                self.held.extend_from_slice(text);
            }
            if end {
                let line = std::mem::take(&mut self.held);
                if std::mem::take(&mut self.too_long) {
                    return Some(Err(Error::bad_request("a line of more than 1 MiB was skipped")
                        .because("a line is one message")
                        .hint("send it in parts")));
                }
                return Some(Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()));
            }
        }
    }

    /// Throws away what was typed at the terminal so far, a line without its end included. True if there was
    /// something; a line without its end may go unnoticed.
    pub(super) async fn discard(&mut self) -> Result<bool> {
        let mut any = !self.held.is_empty();
        // The thread that reads passes on at once what the terminal holds.
        while let Ok(Some(_)) = tokio::time::timeout(QUIET, self.pieces().recv()).await {
            any = true;
        }
        self.held.clear();
        self.too_long = false;
        // The terminal keeps a line back until its end is typed.
        rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush)
            .map_err(|error| Error::internal("what was typed could not be discarded").because(error))?;
        Ok(any)
    }

    fn pieces(&mut self) -> &mut mpsc::Receiver<Vec<u8>> {
        self.pieces.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(1);
            // A thread of its own: a terminal cannot be waited for otherwise without holding up the end of
            // the program.
            std::thread::spawn(move || read(&sender));
            receiver
        })
    }
}

fn read(pieces: &mpsc::Sender<Vec<u8>>) {
    let mut input = io::stdin().lock();
    loop {
        let piece = match input.fill_buf() {
            Ok([]) => return,
            Ok(bytes) => {
                let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1);
                bytes[..end].to_vec()
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        input.consume(piece.len());
        if pieces.blocking_send(piece).is_err() {
            return;
        }
    }
}

//! Lines in: bytes become lines, and lines messages. A line that is too long is skipped to its end and costs no more
//! memory than the longest that is none.

use std::io::{ErrorKind, Read};
use std::thread;

use tokio::sync::mpsc;
use tower_lsp_server::jsonrpc::Id;

use crate::error::{Error, Result};
use crate::lsp::rpc::{self, Incoming};

/// The longest line, in bytes.
pub const MOST: usize = 8 * 1024 * 1024;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// Something that was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A line, without its end; never a blank one.
    Line(&'a [u8]),
    /// A line of more than [`MOST`] bytes.
    TooLong,
}

/// Bytes on their way to be lines.
#[derive(Debug, Default)]
pub struct Lines {
    /// The beginning of a line whose end did not come yet.
    begun: Vec<u8>,
    /// What comes belongs to a line that is too long.
    skips: bool,
}

impl Lines {
    /// Takes bytes; `found` gets each line that ends in them.
    pub fn push(&mut self, mut bytes: &[u8], mut found: impl FnMut(Found<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.begun.is_empty() && !self.skips {
                tell(line, &mut found);
            } else {
                self.extend(line, &mut found);
                self.end(&mut found);
            }
            bytes = rest;
        }
        self.extend(bytes, &mut found);
    }

    /// The input ended: what there is of a line is one.
    pub fn finish(mut self, mut found: impl FnMut(Found<'_>)) {
        self.end(&mut found);
    }

    fn extend(&mut self, bytes: &[u8], found: &mut impl FnMut(Found<'_>)) {
        if self.skips {
            return;
        }
        if self.begun.len() + bytes.len() > MOST {
            self.skips = true;
            self.begun = Vec::new();
            found(Found::TooLong);
        } else {
            self.begun.extend_from_slice(bytes);
        }
    }

    fn end(&mut self, found: &mut impl FnMut(Found<'_>)) {
        let line = std::mem::take(&mut self.begun);
        if !std::mem::take(&mut self.skips) {
            tell(&line, found);
        }
    }
}

fn tell(line: &[u8], found: &mut impl FnMut(Found<'_>)) {
    match line {
        line if line.len() > MOST => found(Found::TooLong),
        line if line.trim_ascii().is_empty() => {}
        line => found(Found::Line(line)),
    }
}

/// Reads messages until the input ends, in a thread of its own: a read that never returns cannot keep the process.
///
/// # Errors
/// `internal` if the system gives no thread.
pub fn read(mut input: impl Read + Send + 'static) -> Result<mpsc::Receiver<Vec<Incoming>>> {
    // One batch may wait while the next is read: a client that sends faster than it is served has to wait.
    let (sender, receiver) = mpsc::channel(1);
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || {
            let mut lines = Lines::default();
            let mut chunk = vec![0; CHUNK];
            loop {
                let length = match input.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => {
                        tracing::error!(%error, "the input could not be read");
                        break;
                    }
                };
                let mut batch = Vec::new();
                lines.push(&chunk[..length], |found| batch.push(parse(&found)));
                if !batch.is_empty() && sender.blocking_send(batch).is_err() {
                    return;
                }
            }
            let mut batch = Vec::new();
            lines.finish(|found| batch.push(parse(&found)));
            if !batch.is_empty() {
                // If nobody listens any more, nobody has to know.
                drop(sender.blocking_send(batch));
            }
        })
        .map_err(|error| Error::internal("the system gave no thread").because(error))?;
    Ok(receiver)
}

fn parse(found: &Found<'_>) -> Incoming {
    match found {
        Found::Line(line) => rpc::read(line),
        Found::TooLong => {
            let error = rpc::parse_error(&format!("a line has more than {MOST} bytes"));
            Incoming::Bad(Id::Null, error)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is found in `bytes`, given in pieces of these sizes.
    fn found(bytes: &[u8], sizes: &[usize]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::default();
        let mut all = Vec::new();
        let mut note = |found: Found<'_>| {
            all.push(match found {
                Found::Line(line) => Some(line.to_vec()),
                Found::TooLong => None,
            });
        };
        let mut rest = bytes;
        for size in sizes.iter().cycle() {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            lines.push(piece, &mut note);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        lines.finish(&mut note);
        all
    }

    proptest! {
        #[test]
        fn lines_are_the_same_however_they_come(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b' '), any::<u8>()], 0..200),
            sizes in proptest::collection::vec(1usize..20, 1..8),
        ) {
            let expected: Vec<_> = bytes
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.trim_ascii().is_empty())
                .map(|line| Some(line.to_vec()))
                .collect();
            prop_assert_eq!(found(&bytes, &sizes), expected);
        }
    }

    #[test]
    fn a_long_line_is_told_once_and_skipped() {
        for size in [CHUNK, MOST + 10] {
            let mut bytes = vec![b'x'; MOST + 1];
            bytes.extend_from_slice(b"\n{}\n");
            assert_eq!(found(&bytes, &[size]), [None, Some(b"{}".to_vec())], "in pieces of {size}");
        }
        let mut whole = vec![b'x'; MOST];
        whole.push(b'\n');
        assert_eq!(found(&whole, &[CHUNK]).len(), 1);
        assert!(found(&whole, &[CHUNK])[0].is_some());
    }
}

//! Runs a command that was allowed: without input, with bounded output and time.
//!
//! Whether it may run is decided elsewhere, and what it is stands in its warrant. What runs is a call of `org-agent
//! sandbox --token`: in the sandbox the whole tree of processes ends with it, and else its process group. Whether that
//! ran anything, the kernel knows.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::action::Action;
use crate::known;
use crate::record::{Outcome, Status};

/// How long a command may run if it names no time itself, in seconds.
const TIMEOUT: u32 = 120;

/// How much of each output stream is kept, in bytes.
const OUTPUT: usize = 65_536;

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What lets it run, and says what it is.
    pub token: String,
    /// Seconds.
    pub timeout: u32,
    /// Whether it is confined.
    pub confined: bool,
}

impl Job {
    /// The job of an action that `token` lets run.
    #[must_use]
    pub fn new(action: &Action, token: String, confined: bool) -> Self {
        Self { token, timeout: action.integer("timeout").unwrap_or(TIMEOUT), confined }
    }
}

/// Runs `job` until it ends, its time is over, or `stop` says why not to go on; `wrote` gets each piece of output,
/// and whether it was standard error.
pub async fn run(
    job: &Job,
    stop: impl Future<Output = String>,
    mut wrote: impl FnMut(bool, &str),
) -> Outcome {
    let failed =
        |message: String| Outcome { status: Status::Failed, message: Some(message), ..Outcome::default() };
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return failed(format!("this program cannot find itself: {error}")),
    };
    let mut command = Command::new(own);
    command.args(["sandbox", "--token", &job.token]).process_group(0);
    // What the command itself gets stands in its warrant. What confines it needs the rest of the environment.
    known::hide_from(command.as_std_mut());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(format!("it could not be started: {error}")),
    };
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return failed("it has no output".to_owned());
    };
    let (mut stdout, mut stderr) = (Text::new(stdout), Text::new(stderr));
    let limit = Duration::from_secs(u64::from(job.timeout));
    let (mut kept, mut errors) = (Kept::default(), Kept::default());
    let finished = tokio::select! {
        code = async {
            let (mut out, mut err) = (true, true);
            while out || err {
                tokio::select! {
                    text = stdout.read(), if out => match text {
                        Some(text) if text.is_empty() => {}
                        Some(text) => { wrote(false, &text); kept.push(&text); }
                        None => out = false,
                    },
                    text = stderr.read(), if err => match text {
                        Some(text) if text.is_empty() => {}
                        Some(text) => { wrote(true, &text); errors.push(&text); }
                        None => err = false,
                    },
                }
            }
            child.wait().await
        } => Ok(code),
        () = tokio::time::sleep(limit) => Err(format!("stopped after {} seconds", limit.as_secs())),
        why = stop => Err(why),
    };
    let mut outcome = match finished {
        Ok(Ok(status)) => Outcome { exit_code: status.code().map(i64::from), ..Outcome::default() },
        Ok(Err(error)) => failed(format!("it could not be waited for: {error}")),
        Err(message) => {
            kill_group(&child).await;
            failed(message)
        }
    };
    outcome.truncated = kept.cut || errors.cut;
    outcome.sandboxed = Some(job.confined);
    (outcome.stdout, outcome.stderr) = (kept.text, errors.text);
    outcome
}

/// Kills a command with everything it started, which shares its process group.
async fn kill_group(child: &Child) {
    if let Some(id) = child.id() {
        let mut kill = Command::new("kill");
        kill.arg("-KILL").arg("--").arg(format!("-{id}"));
        known::hide_from(kill.as_std_mut());
        if let Err(error) = kill.status().await {
            tracing::warn!(%error, "the command could not be killed");
        }
    }
}

/// A stream of bytes as text: no character is torn where a read ends.
struct Text<R> {
    stream: R,
    /// The beginning of a character, if the last read ended in one.
    torn: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Text<R> {
    fn new(stream: R) -> Self {
        Self { stream, torn: Vec::new() }
    }

    /// The next piece, which may be empty; `None` at the end. Cancelled, it loses nothing.
    async fn read(&mut self) -> Option<String> {
        let mut buffer = [0; 8192];
        let length = self.stream.read(&mut buffer).await.unwrap_or(0);
        let mut bytes = std::mem::take(&mut self.torn);
        bytes.extend_from_slice(&buffer[..length]);
        if length > 0 {
            self.torn = bytes.split_off(bytes.len() - torn(&bytes));
        } else if bytes.is_empty() {
            return None;
        }
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// How many bytes at the end of `bytes` begin a character that is not complete.
fn torn(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map_or(&[][..], |chunk| chunk.invalid());
    match std::str::from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len(),
        _ => 0,
    }
}

/// The beginning of a stream.
#[derive(Default)]
struct Kept {
    text: String,
    cut: bool,
}

impl Kept {
    fn push(&mut self, text: &str) {
        if self.cut {
            return;
        }
        let room = OUTPUT.saturating_sub(self.text.len());
        let end = text.floor_char_boundary(room);
        self.text.push_str(&text[..end]);
        self.cut = end < text.len();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;

    #[tokio::test]
    async fn characters_are_whole_however_they_come() {
        let cases: [(&[u8], &str); 5] = [
            ("aä€😀z".as_bytes(), "aä€😀z"),
            (b"", ""),
            (b"a\xffb\xe2\x82c", "a\u{fffd}b\u{fffd}c"),
            (b"end \xf0\x9f\x98", "end \u{fffd}"),
            (b"\x80\xc3\xa4", "\u{fffd}ä"),
        ];
        for (bytes, expected) in cases {
            for size in 1..=bytes.len().max(1) {
                let (mut writer, reader) = tokio::io::duplex(size);
                let write = async move {
                    for piece in bytes.chunks(size) {
                        tokio::io::AsyncWriteExt::write_all(&mut writer, piece).await.unwrap();
                    }
                };
                let read = async {
                    let (mut text, mut all) = (Text::new(reader), String::new());
                    while let Some(piece) = text.read().await {
                        all.push_str(&piece);
                    }
                    all
                };
                assert_eq!(tokio::join!(write, read).1, expected, "in pieces of {size}");
            }
        }
    }
}

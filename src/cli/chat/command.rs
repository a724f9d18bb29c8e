//! Runs a command that the user approved, for the terminal chat: no input, bounded output, a time limit.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::action::Action;
use crate::record::{Outcome, Status};

/// How long a command may run if it names no time itself, in seconds.
const TIMEOUT: u32 = 120;

/// How much of each output stream is kept, in bytes.
const OUTPUT: usize = 65_536;

/// Runs the command of `action`; `wrote` gets each piece of output, and whether it was standard error.
pub(super) async fn run(action: &Action, mut wrote: impl FnMut(bool, &str)) -> Outcome {
    let failed =
        |message: String| Outcome { status: Status::Failed, message: Some(message), ..Outcome::default() };
    let mut command = Command::new("sh");
    command.arg("-c").arg(action.text("cmd").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env("PAGER", "cat").env("TERM", "dumb").process_group(0);
    if let Some(cwd) = action.text("cwd") {
        command.current_dir(cwd);
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return failed(format!("the shell could not be started: {error}")),
    };
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return failed("the shell has no output".to_owned());
    };
    let limit = Duration::from_secs(u64::from(action.integer("timeout").unwrap_or(TIMEOUT)));
    let (mut kept, mut errors) = (Kept::default(), Kept::default());
    let finished = tokio::select! {
        code = async {
            let (mut out, mut err) = (true, true);
            while out || err {
                tokio::select! {
                    text = read(&mut stdout), if out => match text {
                        Some(text) => { wrote(false, &text); kept.push(&text); }
                        None => out = false,
                    },
                    text = read(&mut stderr), if err => match text {
                        Some(text) => { wrote(true, &text); errors.push(&text); }
                        None => err = false,
                    },
                }
            }
            child.wait().await
        } => Ok(code),
        () = tokio::time::sleep(limit) => Err(format!("stopped after {} seconds", limit.as_secs())),
        _ = tokio::signal::ctrl_c() => Err("stopped by the user".to_owned()),
    };
    let mut outcome = match finished {
        Ok(Ok(status)) => Outcome { exit_code: status.code().map(i64::from), ..Outcome::default() },
        Ok(Err(error)) => failed(format!("the command could not be waited for: {error}")),
        Err(message) => {
            kill_group(&child).await;
            failed(message)
        }
    };
    outcome.truncated = kept.cut || errors.cut;
    (outcome.stdout, outcome.stderr) = (kept.text, errors.text);
    outcome
}

/// Kills a command with everything it started, which shares its process group.
async fn kill_group(child: &Child) {
    if let Some(id) = child.id() {
        let kill = Command::new("kill").arg("-KILL").arg("--").arg(format!("-{id}")).status().await;
        if let Err(error) = kill {
            tracing::warn!(%error, "the command could not be killed");
        }
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut buffer = [0; 8192];
    match stream.read(&mut buffer).await {
        Ok(0) | Err(_) => None,
        Ok(length) => Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
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
        let room = OUTPUT.saturating_sub(self.text.len());
        let end = text.floor_char_boundary(room);
        self.text.push_str(&text[..end]);
        self.cut |= end < text.len();
    }
}

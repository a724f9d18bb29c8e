//! The key of a server: given, or printed by a command that runs at the first request.

use std::process::Stdio;
use std::sync::PoisonError;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::config::{Key, KeyCommand, Sourced};
use crate::known;
use crate::model::{Failure, Trouble, one_line};
use crate::redact::{Keys, redact};

/// How long the command may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The most bytes read from the command.
const MAX_OUTPUT: u64 = 64 * 1024;

/// How many printed keys are remembered, so that output can be searched for them.
const SEEN: usize = 8;

/// Keeps the key, once it is known, in memory.
#[derive(Debug)]
pub(super) struct Keeper {
    source: Option<Key>,
    printed: Mutex<Option<SecretString>>,
    /// What was printed so far, oldest first: a key that was refused may still be one.
    seen: std::sync::Mutex<Vec<SecretString>>,
}

impl Keeper {
    pub(super) fn new(source: Option<Sourced<Key>>) -> Self {
        Self {
            source: source.map(|key| key.value),
            printed: Mutex::new(None),
            seen: std::sync::Mutex::default(),
        }
    }

    /// The key; `None` if the server wants none.
    pub(super) async fn get(&self) -> Result<Option<SecretString>, Failure> {
        let command = match &self.source {
            None => return Ok(None),
            Some(Key::Value(key)) => return Ok(Some(key.clone())),
            Some(Key::Command(command)) => command,
        };
        let mut printed = self.printed.lock().await;
        if printed.is_none() {
            let key = run(command).await?;
            known::printed(&key);
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.retain(|other| other.expose_secret() != key.expose_secret());
            let old = seen.len().saturating_sub(SEEN - 1);
            seen.drain(..old);
            seen.push(key.clone());
            *printed = Some(key);
        }
        Ok(printed.clone())
    }

    /// All that is known of this server's keys.
    pub(super) fn all(&self) -> Vec<SecretString> {
        let mut all = self.seen();
        if let Some(Key::Value(key)) = &self.source {
            all.push(key.clone());
        }
        all
    }

    /// The keys that the command printed.
    pub(super) fn seen(&self) -> Vec<SecretString> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets what the command printed: the server refused it, and keys expire.
    pub(super) async fn forget(&self) {
        *self.printed.lock().await = None;
    }
}

/// Runs `command` and returns the first line it prints.
async fn run(command: &KeyCommand) -> Result<SecretString, Failure> {
    let failed = |why: String| {
        let message = format!("the command for the model's key failed: {why}");
        Failure::new(Trouble::Configuration, message).hint(
            "run api_key_command of config.toml by hand; it must print the key within 10 seconds and exit 0",
        )
    };
    let mut process = match command {
        KeyCommand::Shell(text) => {
            let mut process = Command::new("sh");
            process.arg("-c").arg(text);
            process
        }
        KeyCommand::Program(words) => {
            let mut process = Command::new(words.first().map_or("", String::as_str));
            process.args(words.iter().skip(1));
            process
        }
    };
    // It prints a key; the others are none of its business.
    known::hide_from(process.as_std_mut());
    process.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = process.spawn().map_err(|error| failed(error.to_string()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let all = async { tokio::join!(first_line(stdout), first_line(stderr), child.wait()) };
    let (key, complaint, status) = tokio::time::timeout(LIMIT, all)
        .await
        .map_err(|_| failed("it took more than 10 seconds".to_owned()))?;
    let status = status.map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        // It may have printed one all the same, and complain of it.
        let (complaint, _) = redact(&known::masked(&complaint), &Keys::new([key.as_str()]));
        return Err(failed(format!("{status}: {}", one_line(&complaint, 200))));
    }
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(failed("its first line is not one word of visible ASCII".to_owned()));
    }
    Ok(key.into())
}

/// The first line of `pipe`, without blanks around it. All is read, so that the command can end.
async fn first_line(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut kept = Vec::new();
    // What fails to be read is missing, and the caller sees that.
    drop((&mut pipe).take(MAX_OUTPUT).read_to_end(&mut kept).await);
    drop(tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await);
    let text = String::from_utf8_lossy(&kept);
    text.lines().next().unwrap_or_default().trim().to_owned()
}

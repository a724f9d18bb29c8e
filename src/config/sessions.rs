//! What is said about sessions: how long they are kept, and where their transcripts go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::inspect::Fault;

/// The shortest time that may be set: a typing error must not empty the history.
const LEAST: Duration = Duration::from_secs(24 * 60 * 60);

/// `[sessions]`, as it stands in the file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    keep: Option<String>,
    #[serde(default)]
    max_mib: Option<u64>,
    #[serde(default)]
    mirror: Option<String>,
    #[serde(default)]
    summarise: Option<bool>,
}

/// What is kept of sessions, and where. Without anything: all, forever, and nowhere else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// A session that nobody touched for so long is deleted.
    pub keep: Option<Duration>,
    /// When all sessions together have more bytes, those that nobody touched for longest are deleted.
    pub max_bytes: Option<u64>,
    /// The directory in which there is a transcript of each session.
    pub mirror: Option<PathBuf>,
    /// What no longer fits into prompts is just left out, and no model is asked to put it into a few words.
    pub leaves_out: bool,
}

impl Sessions {
    /// What `file` says, and what of it is wrong; `home` is what `~` stands for.
    pub(super) fn new(file: &File, home: Option<&str>) -> (Self, Vec<Fault>) {
        let mut faults = Vec::new();
        let mut wrong = |key, why: &str, hint: &str| {
            faults.push(Fault { table: ("sessions", 0), key, why: why.to_owned(), hint: hint.to_owned() });
            None
        };
        let keep = match file.keep.as_deref().map(str::trim) {
            None | Some("forever") => None,
            Some(text) => match humantime::parse_duration(text) {
                Ok(time) if time >= LEAST => Some(time),
                Ok(_) => wrong(
                    "keep",
                    "sessions.keep is less than a day",
                    "write a longer time: keep = \"90 days\"",
                ),
                Err(_) => wrong(
                    "keep",
                    "sessions.keep is no time",
                    "write keep = \"90 days\" or keep = \"forever\"",
                ),
            },
        };
        let mirror =
            file.mirror.as_deref().map(str::trim).map(|text| match (text.strip_prefix("~/"), home) {
                (Some(rest), Some(home)) => Path::new(home).join(rest),
                _ => PathBuf::from(text),
            });
        if mirror.as_ref().is_some_and(|path| !path.is_absolute()) {
            let hint = "write mirror = \"~/org/chats\"";
            wrong("mirror", "sessions.mirror is no absolute directory", hint);
        }
        let sessions = Self {
            keep,
            max_bytes: file.max_mib.map(|mib| mib.saturating_mul(1 << 20)),
            mirror,
            leaves_out: file.summarise == Some(false),
        };
        (sessions, faults)
    }
}

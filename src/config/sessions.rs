//! What is said about sessions: how long they are kept, and where their transcripts go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};

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
    /// What `file` says; `home` is what `~` stands for, `path` the file for people.
    ///
    /// # Errors
    /// `bad_request`: a time, a size or a directory that can be none.
    pub(super) fn new(file: &File, home: Option<&str>, path: &Path) -> Result<Self> {
        let wrong = |why: &str, hint: &str| {
            Err(Error::bad_request(format!("{} is wrong", path.display())).because(why).hint(hint))
        };
        let keep = match file.keep.as_deref().map(str::trim) {
            None | Some("forever") => None,
            Some(text) => match humantime::parse_duration(text) {
                Ok(time) if time >= LEAST => Some(time),
                Ok(_) => {
                    return wrong(
                        "sessions.keep is less than a day",
                        "write a longer time: keep = \"90 days\"",
                    );
                }
                Err(_) => {
                    return wrong(
                        "sessions.keep is no time",
                        "write keep = \"90 days\" or keep = \"forever\"",
                    );
                }
            },
        };
        if file.max_mib == Some(0) {
            return wrong(
                "sessions.max_mib is 0",
                "write how many MiB are kept, or leave it out to keep all",
            );
        }
        let mirror = match file.mirror.as_deref().map(str::trim) {
            None => None,
            Some(text) => {
                let expanded = match (text.strip_prefix("~/"), home) {
                    (Some(rest), Some(home)) => Path::new(home).join(rest),
                    _ => PathBuf::from(text),
                };
                if !expanded.is_absolute() {
                    return wrong(
                        "sessions.mirror is no absolute directory",
                        "write mirror = \"~/org/chats\"",
                    );
                }
                Some(expanded)
            }
        };
        Ok(Self {
            keep,
            max_bytes: file.max_mib.map(|mib| mib.saturating_mul(1 << 20)),
            mirror,
            leaves_out: file.summarise == Some(false),
        })
    }
}

//! Recorded replies, one after the other: for tests, demonstrations, and to see a reply again.
//!
//! A recording is lines of JSON. `{"at_ms": 12, "text": "…"}` is a piece, at that time from the start of its
//! reply (default: at once); `{"thought": "…"}` is one of what the model thinks. A reply ends with `{"end": {"prompt_tokens": 1, "completion_tokens": 2}}` (or
//! `{"end": {}}`), with `{"fail": "why", "transient": true}`, or cut with `{"cut": true}`; the next line
//! begins the next reply. Empty lines are skipped.

use std::collections::VecDeque;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::{Ask, Failure, Model, Piece, Reply, Trouble, one_line};
use crate::error::Error;
use crate::record::Usage;

/// The most bytes of a recording.
const MAX: u64 = 64 << 20;

/// A model that says what was recorded.
#[derive(Debug)]
pub struct Replay {
    replies: Mutex<VecDeque<Vec<Timed>>>,
}

/// What comes when, in milliseconds from the start of its reply. `None` is a cut.
type Timed = (u64, Option<Result<Piece, Failure>>);

/// One line of a recording: `at_ms` and exactly one of the others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    at_ms: u64,
    text: Option<String>,
    thought: Option<String>,
    end: Option<Tokens>,
    fail: Option<String>,
    #[serde(default)]
    transient: bool,
    #[serde(default)]
    cut: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    cached_tokens: Option<u64>,
}

impl Replay {
    /// Reads a recording.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut replies = VecDeque::new();
        let mut reply = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |why: &str| {
                Error::bad_request(format!("line {} of the recording is wrong", number + 1))
                    .because(why)
                    .hint("see src/model/replay.rs for the lines of a recording")
            };
            let line: Line = serde_json::from_str(line).map_err(|error| wrong(&error.to_string()))?;
            let what = match (line.text, line.thought, line.end, line.fail, line.cut) {
                (Some(text), None, None, None, false) if !text.is_empty() => Some(Ok(Piece::Text(text))),
                (None, Some(text), None, None, false) if !text.is_empty() => Some(Ok(Piece::Thought(text))),
                (None, None, Some(tokens), None, false) => Some(Ok(Piece::End(tokens.usage()))),
                (None, None, None, Some(message), false) => {
                    Some(Err(Failure::new(Trouble::Server, message).transient(line.transient)))
                }
                (None, None, None, None, true) => None,
                _ => {
                    return Err(wrong(
                        "it needs exactly one of text, thought (not empty), end, fail and cut",
                    ));
                }
            };
            let last = !matches!(what, Some(Ok(Piece::Text(_) | Piece::Thought(_))));
            reply.push((line.at_ms, what));
            if last {
                replies.push_back(std::mem::take(&mut reply));
            }
        }
        if !reply.is_empty() {
            replies.push_back(reply);
        }
        Ok(Self { replies: Mutex::new(replies) })
    }

    /// Reads the recording in `path`.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::bad_request(format!("cannot read the recording {}", path.display()))
                .because(why)
                .hint("correct ORG_AGENT_MODEL=replay:FILE")
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
        let length = file.take(MAX + 1).read_to_string(&mut text).map_err(|error| failed(&error))?;
        if length as u64 > MAX {
            return Err(failed(&"it has more than 64 MiB"));
        }
        Self::parse(&text)
    }

    /// The recording in `path`. If it cannot be read, the first reply is a failure that says so.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        Self::load(path).unwrap_or_else(|error| {
            let message = one_line(&format!("{}: {}", error.what, error.why), 300);
            let failure = Failure::new(Trouble::Configuration, message).hint(error.hint);
            Self { replies: Mutex::new(VecDeque::from([vec![(0, Some(Err(failure)))]])) }
        })
    }
}

impl Tokens {
    fn usage(self) -> Option<Usage> {
        Some(Usage {
            prompt_tokens: self.prompt_tokens?,
            completion_tokens: self.completion_tokens?,
            cached_tokens: self.cached_tokens,
            ..Usage::default()
        })
    }
}

impl Model for Replay {
    fn name(&self) -> &str {
        "replay"
    }

    fn reply(&self, _ask: Ask) -> Reply {
        let next = self.replies.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let reply = next.unwrap_or_else(|| {
            let message = "the recording has no more replies".to_owned();
            vec![(0, Some(Err(Failure::new(Trouble::Configuration, message))))]
        });
        stream::unfold((reply.into_iter(), None), |(mut reply, start)| async move {
            let start = start.unwrap_or_else(Instant::now);
            let (at_ms, piece) = reply.next()?;
            if at_ms > 0 {
                sleep_until(start + Duration::from_millis(at_ms)).await;
            }
            Some((piece?, (reply, Some(start))))
        })
        .boxed()
    }
}

//! How skills of projects stand with the user.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Content;

/// The files of a folder, each by its path in it, with the SHA-256 of what it was when the folder was trusted.
pub type Manifest = Arc<BTreeMap<String, [u8; 32]>>;

/// Whether the user trusts something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody was asked yet, or it was taken back.
    Unknown,
    /// It was trusted as it was then; now it is another.
    Changed,
    /// It is trusted as it is.
    Trusted,
}

impl Standing {
    /// The name, for lists and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "untrusted",
            Self::Changed => "changed",
            Self::Trusted => "trusted",
        }
    }
}

/// A skill of a project that is not in use, as nobody trusts it as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted {
    /// Its name, as far as it is written down plainly; else that of its file.
    pub name: String,
    /// What it says it is for.
    pub description: String,
    /// The note or the `SKILL.md`, as it is shown to people.
    pub file: String,
    /// The hash of what it is now, which is what is trusted.
    pub sha256: String,
    /// How it stands.
    pub standing: Standing,
}

impl Untrusted {
    /// What is in `file`.
    #[must_use]
    pub fn new(content: &Content, file: String, sha256: String, standing: Standing) -> Self {
        let read = content.read.as_ref().ok();
        let name = read.and_then(|read| read.names.first().cloned());
        let stem = || {
            let mut parts = file.rsplit(['/', '\\']);
            let last = parts.next().unwrap_or_default();
            last.strip_suffix(".org").or(parts.next()).unwrap_or(last).to_lowercase()
        };
        let name = name.unwrap_or_else(stem);
        let description = read.map(|read| read.described.clone()).unwrap_or_default();
        Self { name, description, file, sha256, standing }
    }

    /// `{name, description, origin, state, file, sha256}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name, "description": self.description, "origin": "project",
            "state": self.standing.as_str(), "file": self.file, "sha256": self.sha256,
        })
    }
}

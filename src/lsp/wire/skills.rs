//! The wire types of skills.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::event::{Page, Query, Trust};
use crate::skill::{Shelf, Untrusted};

/// The skills: request.
pub const SKILLS: &str = "orgAgent/skills/list";
/// One skill: request.
pub const SKILL: &str = "orgAgent/skills/show";
/// Reads notes that changed on disk: request.
pub const RELOAD: &str = "orgAgent/skills/reload";
/// What the server and its skills say of themselves: request.
pub const CAPABILITIES: &str = "orgAgent/capabilities";
/// What a project brings along and nobody trusts: request.
pub const UNTRUSTED: &str = "orgAgent/skills/untrusted";
/// Trusts a skill of a project: request.
pub const TRUST: &str = "orgAgent/skills/trust";
/// Skills changed: notification to the client.
pub const SKILLS_CHANGED: &str = "orgAgent/skills/changed";

/// The longest name of a skill, in bytes.
const MAX_NAME: usize = 256;

/// [`SKILLS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SkillsParams {
    /// The most items.
    pub limit: Option<u32>,
    /// `nextCursor` of the part before.
    pub cursor: Option<String>,
    /// Where the session is whose skills they are; without it, the user's alone.
    pub directory: Option<String>,
}

impl SkillsParams {
    /// The question.
    ///
    /// # Errors
    /// `bad_request` if the directory is not absolute.
    pub fn from_wire(self) -> Result<Query> {
        let directory = self.directory.map(directory).transpose()?;
        Ok(Query::Skills(Page { limit: self.limit, cursor: self.cursor }, directory))
    }
}

/// [`CAPABILITIES`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CapabilitiesParams {
    /// The most skills.
    pub limit: Option<u32>,
    /// `nextCursor` of the part before.
    pub cursor: Option<String>,
    /// As in [`SkillsParams`].
    pub directory: Option<String>,
}

impl CapabilitiesParams {
    /// The question.
    ///
    /// # Errors
    /// `bad_request` if the directory is not absolute.
    pub fn from_wire(self) -> Result<Query> {
        let directory = self.directory.map(directory).transpose()?;
        Ok(Query::Capabilities(Page { limit: self.limit, cursor: self.cursor }, directory))
    }
}

/// [`SKILL`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SkillParams {
    /// Its name, in any case.
    pub name: String,
    /// As in [`SkillsParams`].
    pub directory: Option<String>,
}

impl SkillParams {
    /// The question.
    ///
    /// # Errors
    /// `bad_request` if it can be no name.
    pub fn from_wire(self) -> Result<Query> {
        if self.name.is_empty() || self.name.len() > MAX_NAME {
            return Err(Error::bad_request(format!("name: 1 to {MAX_NAME} bytes")));
        }
        Ok(Query::Skill(self.name, self.directory.map(directory).transpose()?))
    }
}

/// [`UNTRUSTED`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct UntrustedParams {
    /// Where the project is.
    pub directory: String,
    /// The `file` of one skill, trusted or not; without it, all that nobody trusts.
    pub file: Option<String>,
}

impl UntrustedParams {
    /// The question.
    ///
    /// # Errors
    /// `bad_request` if the directory is not absolute.
    pub fn from_wire(self) -> Result<Query> {
        Ok(Query::Untrusted(self.file, directory(self.directory)?))
    }
}

/// [`TRUST`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TrustParams {
    /// Where the project is.
    pub directory: String,
    /// The skill's `file`.
    pub file: String,
    /// The `sha256` of what the user looked at.
    pub sha256: Option<String>,
    /// `false`: it is trusted no more.
    pub trust: Option<bool>,
}

impl TrustParams {
    /// The decision.
    ///
    /// # Errors
    /// `bad_request` if the directory is not absolute, or it is not said what was looked at.
    pub fn from_wire(self) -> Result<Trust> {
        let sha256 = match (self.trust, self.sha256) {
            (Some(false), _) => None,
            (_, Some(sha256)) => Some(sha256),
            (_, None) => {
                return Err(Error::bad_request("sha256: missing")
                    .hint("give the one of what the user looked at; orgAgent/skills/untrusted has it"));
            }
        };
        Ok(Trust { directory: directory(self.directory)?, file: self.file, sha256 })
    }
}

/// A directory that a session can be in.
fn directory(path: String) -> Result<PathBuf> {
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Error::bad_request("directory: not absolute").hint("give the session's directory as a whole path"))
}

/// [`RELOAD`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReloadParams {}

/// [`SKILLS_CHANGED`], and the answer to [`RELOAD`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ShelfParams {
    /// How many skills there are now.
    pub skills: usize,
    /// What is wrong with them, but for what is only about form.
    pub problems: Vec<Value>,
    /// The project that they are of, too.
    pub directory: Option<String>,
    /// The skills of it that are not in use, as nobody trusts them as they are.
    pub untrusted: Vec<Value>,
}

impl ShelfParams {
    /// What is to be told of the skills of a project, or of the user's.
    #[must_use]
    pub fn to_wire(project: Option<&Path>, shelf: &Shelf) -> Self {
        Self {
            directory: project.map(|project| project.to_string_lossy().into_owned()),
            untrusted: shelf.untrusted().iter().map(Untrusted::to_json).collect(),
            skills: shelf.skills().len(),
            problems: shelf.serious().map(|problem| problem.to_json(shelf)).collect(),
        }
    }
}

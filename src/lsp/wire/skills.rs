//! The wire types of skills.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::event::{Page, Query};
use crate::skill::Shelf;

/// The skills: request.
pub const SKILLS: &str = "orgAgent/skills/list";
/// One skill: request.
pub const SKILL: &str = "orgAgent/skills/show";
/// Reads notes that changed on disk: request.
pub const RELOAD: &str = "orgAgent/skills/reload";
/// Skills changed: notification to the client.
pub const SKILLS_CHANGED: &str = "orgAgent/skills/changed";

/// The longest name of a skill, in bytes.
const MAX_NAME: usize = 256;

/// [`SKILLS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkillsParams {
    /// The most items.
    pub limit: Option<u32>,
    /// `nextCursor` of the part before.
    pub cursor: Option<String>,
}

impl SkillsParams {
    /// The question.
    ///
    /// # Errors
    /// None; the signature is that of all others.
    pub fn from_wire(self) -> Result<Query> {
        Ok(Query::Skills(Page { limit: self.limit, cursor: self.cursor }))
    }
}

/// [`SKILL`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkillParams {
    /// Its name, in any case.
    pub name: String,
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
        Ok(Query::Skill(self.name))
    }
}

/// [`RELOAD`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReloadParams {}

/// [`SKILLS_CHANGED`], and the answer to [`RELOAD`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShelfParams {
    /// How many skills there are now.
    pub skills: usize,
    /// What is wrong with them, but for what is only about form.
    pub problems: Vec<Value>,
}

impl ShelfParams {
    /// What is to be told of `shelf`.
    #[must_use]
    pub fn to_wire(shelf: &Shelf) -> Self {
        Self {
            skills: shelf.skills().len(),
            problems: shelf.serious().map(|problem| problem.to_json(shelf)).collect(),
        }
    }
}

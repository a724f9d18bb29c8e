//! What people say about shell commands: rules, as they stand in a file. `crate::shell` checks and applies them.

use serde::{Deserialize, Serialize};

use crate::record::Decision;

/// `[shell]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// `[[shell.rules]]`.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
}

/// One rule, as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// The pattern.
    pub pattern: Vec<Element>,
    /// What it decides.
    pub decision: Decision,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Commands that the pattern must cover, checked when the rule is loaded.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<String>,
    /// Commands that it must not cover.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_match: Vec<String>,
}

/// One element of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Element {
    /// A text, or a class in angles.
    One(String),
    /// One of these texts.
    Among(Vec<String>),
}

//! The shape of `config.toml`, and errors that say which line is wrong and what was meant.
//!
//! No error shows a value of the file: a key may have been pasted in the wrong place.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::inspect;
use super::models::{Spend, Table};
use super::sessions::{self, Sessions};
use super::shell::Shell;
use crate::error::{Error, Result};

/// What is longer, or has more than letters in it, is not taken for the misspelt name of a setting.
const NAME: usize = 30;

/// What to do about a value of another kind than it has to be.
const EXAMPLES: &str = "docs/configuration.md has every setting with an example";

/// The whole file.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) persona: Names,
    #[serde(default)]
    pub(super) shell: Shell,
    #[serde(default)]
    pub(super) sessions: sessions::File,
    #[serde(default)]
    pub(super) models: Vec<Table>,
    #[serde(default)]
    pub(super) spend: Spend,
}

/// `[persona]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    pub(super) user: Option<String>,
    pub(super) assistant: Option<String>,
}

/// A command that prints a key on its first line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum KeyCommand {
    /// For `sh -c`.
    Shell(String),
    /// A program and its arguments; no shell is involved.
    Program(Vec<String>),
}

/// Reads `text`; `home` is what `~` stands for, `path` is only for the error.
pub(super) fn parse(text: &str, home: Option<&str>, path: &Path) -> Result<(File, Sessions)> {
    inspect::read(text, home).map_err(|found| {
        let first = found.into_iter().min_by_key(|problem| problem.at.start);
        first.map_or_else(
            || Error::bad_request(wrong(path)),
            |problem| problem.into_error(text, &path.display().to_string()),
        )
    })
}

/// Reads another file of such a form; `path` is only for the error.
pub(super) fn read<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T> {
    toml::from_str(text).map_err(|error| explain(&error, text, path))
}

fn wrong(path: &Path) -> String {
    format!("{} is wrong", path.display())
}

/// Turns an error of the TOML reader into one with line, cause and hint.
fn explain(error: &toml::de::Error, text: &str, path: &Path) -> Error {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let message = error.message();
    // serde says: unknown field `a`, expected one of `b`, `c`
    let mut names = message.split('`').skip(1).step_by(2);
    let of = |kind: &str| message.starts_with(kind);
    let unknown = (of("unknown field") || of("unknown variant")).then(|| names.next()).flatten();
    let (why, hint) = match unknown {
        Some(_) if of("unknown variant") => {
            let known: Vec<&str> = names.collect();
            ("there is no such value".to_owned(), format!("known here: {}", known.join(", ")))
        }
        Some(key) => inspect::secret(key).unwrap_or_else(|| {
            let known: Vec<&str> = names.collect();
            let hint = match inspect::near(key, &known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let named = if is_name(key) { format!(" `{key}`") } else { " of this name".to_owned() };
            (format!("there is no key{named}"), hint)
        }),
        None => (without_values(message), EXAMPLES.to_owned()),
    };
    Error::bad_request(wrong(path)).because(format!("line {line}: {why}")).hint(hint)
}

/// Whether `text` is the name of a setting, if a misspelt one. What is none is not shown: it may be a secret.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME && text.chars().all(may_name)
}

/// Whether the name of a setting may have this character.
pub(super) fn may_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '-'
}

/// `message` without the file's values: serde quotes them doubly, and what is none of several words with backticks.
pub(super) fn without_values(message: &str) -> String {
    let mut line = message.replace('\n', " ");
    let begins = "unknown variant `";
    if let Some(said) = line.strip_prefix(begins)
        && let Some(end) = said.find("`, expected ")
    {
        line.replace_range(begins.len()..begins.len() + end, "…");
    }
    match (line.find('"'), line.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}\"…\"{}", &line[..first], &line[last + 1..])
        }
        _ => line,
    }
}

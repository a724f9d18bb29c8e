//! The shape of `config.toml`, and errors that say which line is wrong and what was meant.
//!
//! No error shows a value of the file: a key may have been pasted in the wrong place.

use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::models::{self, Spend, Table};
use super::sessions;
use super::shell::Shell;
use crate::error::{Error, Result};

/// What is longer, or has more than letters in it, is not taken for the misspelt name of a setting.
const NAME: usize = 30;

/// What to do about a value of another kind than it has to be.
const EXAMPLES: &str =
    "docs/models.md has every key of [[models]] and [spend], docs/sessions.md those of [sessions]";

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

/// Reads `text`; `path` is only for the error.
pub(super) fn parse(text: &str, path: &Path) -> Result<File> {
    let file: File = read(text, path)?;
    models::check(&file.models, &file.spend).map_err(|error| Error { what: wrong(path), ..error })?;
    Ok(file)
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
        Some(key) if matches!(key, "api_key" | "key" | "secret" | "token" | "password") => (
            format!("`{key}`: a secret may not stand in this file"),
            "name an environment variable with api_key_env = \"OPENAI_API_KEY\", or a command that prints \
             the key with api_key_command = [\"pass\", \"show\", \"openai\"]"
                .to_owned(),
        ),
        Some(key) => {
            let known: Vec<&str> = names.collect();
            let near = known.iter().map(|name| (strsim::jaro_winkler(key, name), *name));
            let near = near.max_by(|one, other| one.0.total_cmp(&other.0));
            let hint = match near {
                Some((likeness, name)) if likeness > 0.75 => format!("did you mean `{name}`?"),
                _ => format!("known here: {}", known.join(", ")),
            };
            // What is no name is not shown: it may be the secret itself.
            let is_name =
                key.len() <= NAME && key.chars().all(|c| c.is_ascii_alphabetic() || "_-".contains(c));
            let named = if is_name { format!(" `{key}`") } else { " of this name".to_owned() };
            (format!("there is no key{named}"), hint)
        }
        None => (without_values(message), EXAMPLES.to_owned()),
    };
    Error::bad_request(wrong(path)).because(format!("line {line}: {why}")).hint(hint)
}

/// `message` without the file's values: serde quotes them doubly, and what is none of several words with backticks.
fn without_values(message: &str) -> String {
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

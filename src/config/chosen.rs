//! `chosen-model.toml`: the model that the user said yes to, which answers if nothing else is said.
//!
//! It names a model of `config.toml` or the built-in responder, or it holds a model of a server on this machine that was
//! found and offered: then it is the consent that chats may go there. It stands apart from `config.toml`, which is the
//! user's own and is never written.

use serde::{Deserialize, Serialize};
use url::Url;

use super::choice::OFFLINE;
use super::file;
use super::models::Table;
use super::{Config, Paths};
use crate::error::{Error, Result};

/// What stands above it.
const HEAD: &str = "\
# The model that you chose: it answers wherever nothing else is said. ORG_AGENT_MODEL and a session's own choice go first.
# To take it back: org-agent model use --forget, or remove this file.

";

/// What was chosen.
#[derive(Clone)]
pub(super) enum Chosen {
    /// A model of `config.toml`, or the built-in responder, by its name.
    Named(String),
    /// A model of a server on this machine.
    Local(Box<Table>),
}

/// The file.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    named: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

impl Chosen {
    /// Reads the file.
    ///
    /// # Errors
    /// It is wrong.
    fn read(text: &str, paths: &Paths) -> Result<Self> {
        let path = paths.chosen_model();
        let contents: Contents = file::read(text, &path)?;
        let wrong = |why: &str| {
            Error::bad_request(format!("{} is wrong", path.display()))
                .because(why)
                .hint("choose again: org-agent model use NAME; or take it back: org-agent model use --forget")
        };
        match contents {
            Contents { named: Some(name), name: None, provider: None, base_url: None, model: None } => {
                Ok(Self::Named(name))
            }
            Contents { named: None, name: Some(name), provider, base_url: Some(url), model: Some(model) } => {
                // Whoever is elsewhere was never offered.
                let here = Url::parse(&url).is_ok_and(|url| super::models::is_here(&url));
                if !here {
                    return Err(wrong(
                        "its base_url is not on this machine; another one belongs in config.toml",
                    ));
                }
                let table = Table {
                    name: Some(name),
                    provider,
                    base_url: Some(url),
                    model,
                    is_chosen: true,
                    ..Table::default()
                };
                table.check().map_err(|error| wrong(&error.why))?;
                Ok(Self::Local(Box::new(table)))
            }
            _ => Err(wrong("it has neither `use` alone, nor name, base_url and model")),
        }
    }
}

impl Config {
    /// The file that has the model of this name answer where nothing else is said: one of `config.toml`, the built-in
    /// responder, or one of a server on this machine, which the user must have said yes to.
    ///
    /// # Errors
    /// `not_found`: the name means none of them.
    pub fn choosing(&self, name: &str) -> Result<String> {
        let contents = if name == OFFLINE || self.is_in_file(name) {
            Contents { named: Some(name.to_owned()), ..Contents::default() }
        } else {
            let table = self.local.table(name).ok_or_else(|| {
                Error::not_found(format!("there is no model named {name:?}"))
                    .hint("see which there are: org-agent model list")
            })?;
            Contents {
                named: None,
                name: table.name,
                provider: table.provider,
                base_url: table.base_url,
                model: Some(table.model),
            }
        };
        let text = toml::to_string(&contents).map_err(|error| {
            Error::internal("the choice of a model cannot be written down").because(error)
        })?;
        Ok(format!("{HEAD}{text}"))
    }

    /// Reads again what the user chose: another process may have written it. Whether it is something else now.
    ///
    /// # Errors
    /// The file cannot be read or is wrong; then what was chosen before stays.
    pub fn refresh(&mut self) -> Result<bool> {
        let text = super::read(&self.paths.chosen_model())?;
        if text == self.chosen_text {
            return Ok(false);
        }
        self.chosen = text.as_deref().map(|text| Chosen::read(text, &self.paths)).transpose()?;
        self.chosen_text = text;
        Ok(true)
    }

    /// The name of what the user chose.
    #[must_use]
    pub fn chosen(&self) -> Option<String> {
        Some(match self.chosen.as_ref()? {
            Chosen::Named(name) => name.clone(),
            Chosen::Local(table) => table.listed(),
        })
    }
}

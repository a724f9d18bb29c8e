//! `chosen-model.toml`: which model the user said is to answer if nothing else is said, and yes to.
//!
//! `use` names a model of `config.toml`, the built-in responder, or the one below. Below is a model of a server on this
//! machine that was found and offered: that is the consent that chats may go there. It stands apart from `config.toml`,
//! which is the user's own and is never written.

use serde::{Deserialize, Serialize};
use url::Url;

use super::choice::OFFLINE;
use super::file;
use super::models::Table;
use super::{Config, Paths};
use crate::error::{Error, Result};

/// What stands above it.
const HEAD: &str = "\
# `use` is the model that you chose to answer wherever nothing else is said; ORG_AGENT_MODEL and a session's own choice go
# first. A model with an address is one on this machine that you said yes to: chats may go there. Without `use`, it answers
# if config.toml has no model.
# To take all of it back: org-agent model use --forget, or remove this file.

";

/// What was chosen.
#[derive(Clone, Default)]
pub(super) struct Chosen {
    /// The name of the model that answers where nothing else is said.
    pub(super) named: Option<String>,
    /// The model of a server on this machine that the user said yes to.
    pub(super) local: Option<Box<Table>>,
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
        let Contents { named, name, provider, base_url, model } = contents;
        let local = match (name, base_url, model) {
            (None, None, None) if provider.is_none() && named.is_some() => None,
            (Some(name), Some(url), Some(model)) => {
                // Whoever is elsewhere was never offered.
                if !Url::parse(&url).is_ok_and(|url| super::models::is_here(&url)) {
                    return Err(wrong(
                        "its base_url is not on this machine; another one belongs in config.toml",
                    ));
                }
                let (name, base_url) = (Some(name), Some(url));
                let table = Table { name, provider, base_url, model, is_chosen: true, ..Table::default() };
                if table.listed() == OFFLINE {
                    return Err(wrong("its name is offline, which is the built-in responder"));
                }
                if table.listed().contains(char::is_control) {
                    return Err(wrong("its name has control characters"));
                }
                table.check().map_err(|error| wrong(&error.why))?;
                Some(Box::new(table))
            }
            _ => return Err(wrong("it has neither `use`, nor all of name, base_url and model")),
        };
        Ok(Self { named, local })
    }
}

impl Config {
    /// The file that says yes to the model of this name: one of `config.toml` or the built-in responder, which then answers
    /// where nothing else is said, or one of a server on this machine, which does so only if it `goes_first`, or if there is
    /// no other. What else was chosen stays.
    ///
    /// # Errors
    /// `not_found`: the name means none of them.
    pub fn choosing(&self, name: &str, goes_first: bool) -> Result<String> {
        let before = self.chosen.clone().unwrap_or_default();
        let is_elsewhere = |name: &str| name == OFFLINE || self.is_in_file(name);
        let (named, local) = if is_elsewhere(name) {
            (Some(name.to_owned()), before.local.map(|table| *table))
        } else {
            let table = self.local.table(name).ok_or_else(|| {
                Error::not_found(format!("there is no model named {name:?}"))
                    .hint("see which there are: org-agent model list")
            })?;
            // If another one of this machine went first, this one does now: there is but one.
            let named = before
                .named
                .map(|named| if goes_first || !is_elsewhere(&named) { name.to_owned() } else { named });
            (named.or_else(|| goes_first.then(|| name.to_owned())), Some(table))
        };
        let local = local.unwrap_or_default();
        let model = Some(local.model).filter(|model| !model.is_empty());
        let contents =
            Contents { named, name: local.name, provider: local.provider, base_url: local.base_url, model };
        let text = toml::to_string(&contents).map_err(|error| {
            Error::internal("the choice of a model cannot be written down").because(error)
        })?;
        Ok(format!("{HEAD}{text}"))
    }

    /// The configuration as the file says it now, with the variables in `env`; nothing if the file says what it said.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn reread(&self, env: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let text = super::read(&self.paths.config_file())?;
        if text == self.text {
            return Ok(None);
        }
        let mut config = Self::new(self.paths.clone(), text.as_deref(), env)?;
        config.refresh()?;
        Ok(Some(config))
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
        let chosen = self.chosen.as_ref()?;
        chosen.named.clone().or_else(|| chosen.local.as_ref().map(|table| table.listed()))
    }
}

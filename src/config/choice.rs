//! Which model answers: decided from the file, the environment and the client, without asking anyone.
//!
//! Two rules. Configured means a model plus a key or a base URL; anything partial is an error and never
//! silently offline. And a key goes only to the server it was given for: `OPENAI_API_KEY` to the server of
//! `OPENAI_BASE_URL` or, without one, to OpenAI; a key named in the file to the server named beside it; that of a
//! provider's own variable to that provider.

use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::models::{Key, Remote, Table, Terms};
use super::providers::{PROVIDERS, Provider};
use super::{Config, Secrets, Source, Sourced};
use crate::error::{Code, Error, Result};

const MODEL: &str = "ORG_AGENT_MODEL";
const BASE_URL: &str = "OPENAI_BASE_URL";
const API_KEY: &str = "OPENAI_API_KEY";

/// The name of the built-in responder.
pub const OFFLINE: &str = "offline";

/// The provider when only a key is given.
const USUAL: &str = "openai";

/// The model that answers.
#[derive(Clone, Debug)]
pub enum Choice {
    /// The built-in responder.
    Offline,
    /// An OpenAI-compatible server.
    Remote(Box<Remote>),
    /// Recorded replies, from `ORG_AGENT_MODEL=replay:FILE`. For tests and demonstrations.
    Replay(PathBuf),
}

impl Choice {
    /// The name to show and to choose it by.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Offline => OFFLINE,
            Self::Remote(remote) => &remote.name,
            Self::Replay(_) => "replay",
        }
    }
}

/// A model that can be chosen.
#[derive(Debug)]
pub struct Offered {
    /// Its name.
    pub name: String,
    /// Whether it is the one that answers if nothing is chosen.
    pub default: bool,
    /// Whether it was found on this machine, and the user has not said yes to it.
    pub found: bool,
    /// What it is, or why it cannot be asked.
    pub choice: Result<Choice>,
}

/// What the environment says about the model.
#[derive(Clone)]
pub(super) struct Variables {
    model: Option<String>,
    base_url: Option<String>,
    key: Option<SecretString>,
}

impl Variables {
    pub(super) fn new(env: impl Fn(&str) -> Option<String>) -> Self {
        Self { model: env(MODEL), base_url: env(BASE_URL), key: env(API_KEY).map(SecretString::from) }
    }
}

impl Config {
    /// The model that file, environment and `secrets` of the client choose. A later one of these wins, but
    /// `ORG_AGENT_MODEL=offline` in the environment cannot be overridden.
    ///
    /// # Errors
    /// `model_unavailable` if the configuration is partial or malformed; the hint names what to set.
    pub fn choose_model(&self, secrets: &Secrets) -> Result<Choice> {
        let client = |name: &str| {
            let value = secrets.get(name)?;
            Some(Sourced { value: value.to_owned(), source: Source::Client(name.to_owned()) })
        };
        let variable = |name: &str, value: Option<&String>| {
            Some(Sourced { value: value?.clone(), source: Source::Variable(name.to_owned()) })
        };
        let said_model = client(MODEL).or_else(|| variable(MODEL, self.variables.model.as_ref()));
        if self.is_offline() || said_model.as_ref().is_some_and(|model| model.value == OFFLINE) {
            return Ok(Choice::Offline);
        }
        if let Some(path) = said_model.as_ref().and_then(|model| model.value.strip_prefix("replay:")) {
            return Ok(Choice::Replay(PathBuf::from(path)));
        }
        let said_url = client(BASE_URL).or_else(|| variable(BASE_URL, self.variables.base_url.as_ref()));
        // A name of the file stands for all that the file says of it.
        let named = said_model.as_ref().and_then(|model| self.table(&model.value));
        if let (Some(table), None) = (named, &said_url) {
            return self.choose_table(table, secrets);
        }
        let entry = self.models.first();
        if let (None, None) = (&said_model, &said_url) {
            let named = self.chosen.as_ref().and_then(|chosen| chosen.named.as_ref());
            if let Some(name) = named {
                return self.choose_chosen(name, secrets);
            }
            if let Some(table) = entry.or(self.chosen_table()) {
                return self.choose_table(table, secrets);
            }
        }
        let said_key = self.said_key(secrets);
        let in_file = |value: Option<&String>| Some(Sourced { value: value?.clone(), source: Source::File });
        let Some(model) = said_model.or_else(|| in_file(entry.map(|entry| &entry.model))) else {
            return match (said_key, said_url) {
                (None, None) => Ok(Choice::Offline),
                (Some(key), None) => Err(partial(&format!("there is a key ({})", key.source), "model")),
                (_, Some(url)) => Err(partial(&format!("there is a base URL ({})", url.source), "model")),
            };
        };
        match (said_url, entry) {
            (Some(url), _) => remote(model, Some(url), said_key.map(value).transpose()?, entry),
            (None, Some(table)) => remote(model, table.url(), self.key_of(table, secrets)?, Some(table)),
            (None, None) => remote(model, None, said_key.map(value).transpose()?, None),
        }
    }

    /// The model of this name: one of the file, or `offline`.
    ///
    /// # Errors
    /// `not_found` if there is none; `conflict` if the environment says that none but the built-in responder answers;
    /// `model_unavailable` if it cannot be asked.
    pub fn choose_named(&self, name: &str, secrets: &Secrets) -> Result<Choice> {
        if name == OFFLINE {
            return Ok(Choice::Offline);
        }
        if self.is_offline() {
            return Err(Error::new(Code::Conflict, "no other model may be asked here")
                .because("ORG_AGENT_MODEL=offline is set in the environment")
                .hint("start the server without it"));
        }
        match self.table(name) {
            Some(table) => self.choose_table(table, secrets),
            // What the environment or the client names is in no file.
            None => match self.choose_model(secrets) {
                Ok(choice) if choice.name() == name => Ok(choice),
                _ => {
                    let known: Vec<String> =
                        self.offered(secrets).into_iter().map(|offered| offered.name).collect();
                    Err(Error::new(Code::NotFound, format!("there is no model named {name:?}"))
                        .hint(format!("choose one of {}, or add it to config.toml", known.join(", "))))
                }
            },
        }
    }

    /// The model of this name, which the user chose for a session: one of the file, `offline`, or one of a server on this
    /// machine. The name of the last is as good as a consent only where the user said it; where else a name is read,
    /// [`Config::choose_named`] knows only those that they said yes to once and for all.
    ///
    /// # Errors
    /// As for [`Config::choose_named`].
    pub fn choose_selected(&self, name: &str, secrets: &Secrets) -> Result<Choice> {
        match (self.choose_named(name, secrets), self.local.table(name)) {
            (Err(error), Some(table)) if error.code == Code::NotFound => self.choose_table(&table, secrets),
            (choice, _) => choice,
        }
    }

    /// All models that can be chosen, the one that answers if nothing is chosen first, the built-in responder last.
    #[must_use]
    pub fn offered(&self, secrets: &Secrets) -> Vec<Offered> {
        let default = self.choose_model(secrets);
        let name = match &default {
            Ok(choice) => choice.name().to_owned(),
            // What cannot be asked has a name all the same.
            Err(_) => {
                let said = secrets.get(MODEL).or(self.variables.model.as_deref()).map(str::to_owned);
                let said = said.or_else(|| self.chosen.as_ref()?.named.clone());
                said.or_else(|| self.models.first().map(Table::listed)).unwrap_or_else(|| USUAL.to_owned())
            }
        };
        let mut offered = vec![Offered { name, default: true, found: false, choice: default }];
        if !self.is_offline() {
            let chosen = self.chosen_table().filter(|table| !self.is_in_file(&table.listed()));
            for table in self.models.iter().chain(chosen) {
                let name = table.listed();
                if name != offered[0].name {
                    let choice = self.choose_table(table, secrets);
                    offered.push(Offered { name, default: false, found: false, choice });
                }
            }
        }
        if offered[0].name != OFFLINE {
            let choice = Ok(Choice::Offline);
            offered.push(Offered { name: OFFLINE.to_owned(), default: false, found: false, choice });
        }
        offered
    }

    /// Whether anybody said which model answers: file, environment, client, or the user when they were asked.
    #[must_use]
    pub fn is_model_configured(&self, secrets: &Secrets) -> bool {
        !matches!(self.choose_model(secrets), Ok(Choice::Offline))
            || self.is_offline()
            || self.chosen.as_ref().is_some_and(|chosen| chosen.named.is_some())
            || secrets.get(MODEL).is_some_and(|model| model == OFFLINE)
    }

    fn is_offline(&self) -> bool {
        self.variables.model.as_deref() == Some(OFFLINE)
    }

    /// What the user said of the model of this name.
    fn table(&self, name: &str) -> Option<&Table> {
        self.models.iter().chain(self.chosen_table()).find(|table| table.listed() == name)
    }

    /// Whether a model of this name stands in the file.
    pub(super) fn is_in_file(&self, name: &str) -> bool {
        self.models.iter().any(|table| table.listed() == name)
    }

    /// The model of a server on this machine that the user said yes to.
    fn chosen_table(&self) -> Option<&Table> {
        self.chosen.as_ref()?.local.as_deref()
    }

    /// The model of this name, which the user chose to answer where nothing else is said.
    fn choose_chosen(&self, name: &str, secrets: &Secrets) -> Result<Choice> {
        match self.table(name) {
            Some(table) => self.choose_table(table, secrets),
            None if name == OFFLINE => Ok(Choice::Offline),
            None => Err(Error::new(
                Code::ModelUnavailable,
                format!("there is no model named {name:?} any more"),
            )
            .because("chosen-model.toml names it, and config.toml does not have it")
            .hint(
                "choose another one: org-agent model use NAME; or take it back: org-agent model use --forget",
            )),
        }
    }

    /// The key that is meant for whoever is asked when the file says nothing of a server.
    fn said_key(&self, secrets: &Secrets) -> Option<Sourced<SecretString>> {
        let client = secrets.get(API_KEY).map(|key| Sourced {
            value: SecretString::from(key.to_owned()),
            source: Source::Client(API_KEY.to_owned()),
        });
        client.or_else(|| {
            let value = self.variables.key.clone()?;
            Some(Sourced { value, source: Source::Variable(API_KEY.to_owned()) })
        })
    }

    /// The model of a table as it stands there.
    fn choose_table(&self, table: &Table, secrets: &Secrets) -> Result<Choice> {
        let model = Sourced { value: table.model.clone(), source: table.source() };
        remote(model, table.url(), self.key_of(table, secrets)?, Some(table))
    }

    /// The key for the server of a table.
    fn key_of(&self, table: &Table, secrets: &Secrets) -> Result<Option<Sourced<Key>>> {
        if table.base_url.is_none() && table.provider.is_none() {
            // It is at OpenAI, and so is that key.
            return match self.said_key(secrets) {
                Some(key) => Ok(Some(value(key)?)),
                None => file_key(table, secrets),
            };
        }
        file_key(table, secrets)
    }

    /// Every secret that the environment and the client gave, also those of models that are not used.
    #[must_use]
    pub fn known_keys(&self, secrets: &Secrets) -> Vec<SecretString> {
        let from_client = secrets.values(&[MODEL, BASE_URL]);
        let from_env = self.models.iter().filter_map(|model| model.key_from_env.clone());
        self.variables.key.iter().cloned().chain(from_env).chain(from_client).collect()
    }

    /// The variables that hold keys, whoever they are for: those of the file and of the providers.
    #[must_use]
    pub fn key_variables(&self) -> Vec<String> {
        let of_file = self.models.iter().filter_map(|model| model.api_key_env.as_deref());
        let of_providers = PROVIDERS.iter().filter_map(|provider| provider.key);
        of_file.chain(of_providers).map(str::to_owned).collect()
    }

    /// Whether `OPENAI_API_KEY` is in the environment but belongs to another server than that of the file.
    #[must_use]
    pub fn withholds_key(&self) -> bool {
        let without = |table: &Table| {
            table.base_url.is_some() && table.api_key_env.is_none() && table.api_key_command.is_none()
        };
        let at_other = self.models.first().is_some_and(without);
        at_other && self.variables.key.is_some() && self.variables.base_url.is_none()
    }
}

impl Table {
    /// Where it is, if it says so.
    fn url(&self) -> Option<Sourced<String>> {
        let of_provider = || self.provider().map(|provider| provider.base_url.to_owned());
        let value = self.base_url.clone().or_else(of_provider)?;
        Some(Sourced { value, source: self.source() })
    }
}

/// `model` at `url`, or at OpenAI, on the terms of `table`.
fn remote(
    model: Sourced<String>,
    url: Option<Sourced<String>>,
    key: Option<Sourced<Key>>,
    table: Option<&Table>,
) -> Result<Choice> {
    if url.is_none() && key.is_none() {
        return Err(partial(
            &format!(
                "the model is {} ({}), but there is neither a key nor a base URL",
                model.value, model.source
            ),
            "server",
        ));
    }
    let openai = || Provider::named(USUAL).map_or("", |provider| provider.base_url).to_owned();
    let url = url.unwrap_or_else(|| Sourced { value: openai(), source: Source::Default });
    if model.value.chars().any(char::is_control) || model.value.len() > super::MAX_MODEL {
        return Err(Error::new(Code::ModelUnavailable, "the model's name is not a name")
            .because("it has control characters or more than 200 bytes")
            .hint(format!("correct it ({})", model.source)));
    }
    let base_url = Sourced { value: base_url(&url)?, source: url.source };
    let mut terms = match table {
        Some(table) => table.terms(&base_url.value)?,
        None => Terms::of(&base_url.value),
    };
    // Another model of the same server costs something else, and so does the same one at another.
    let is_own_server = table.is_some_and(|table| {
        let own = table.url().map_or_else(openai, |url| url.value);
        own.trim_end_matches('/') == url.value.trim_end_matches('/')
    });
    if table.is_some_and(|table| table.model != model.value) || !is_own_server {
        terms.price = None;
    }
    // The name of a table is that of its server's model, and of no other server's.
    let name = table.filter(|_| is_own_server).and_then(Table::own_name);
    Ok(Choice::Remote(Box::new(Remote {
        name: name.unwrap_or_else(|| model.value.clone()),
        model,
        base_url,
        key,
        terms,
    })))
}

/// A partial configuration: `what` is there, and `missing` is not.
fn partial(what: &str, missing: &str) -> Error {
    let hint = match missing {
        "model" => "set ORG_AGENT_MODEL to the name of a model, or to offline for the built-in responder",
        _ => {
            "set OPENAI_API_KEY to ask OpenAI, or OPENAI_BASE_URL to ask another server, \
             or ORG_AGENT_MODEL=offline for the built-in responder"
        }
    };
    Error::new(Code::ModelUnavailable, "the model is only partly configured")
        .because(if missing == "model" { format!("{what}, but no model") } else { what.to_owned() })
        .hint(hint)
}

/// A key that was given as it is. The error does not show it.
fn value(key: Sourced<SecretString>) -> Result<Sourced<Key>> {
    use secrecy::ExposeSecret;

    if key.value.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(Sourced { value: Key::Value(key.value), source: key.source });
    }
    Err(Error::new(Code::ModelUnavailable, "the key is not a key")
        .because("it has a character other than visible ASCII")
        .hint(format!("set it again without blanks and quotes ({})", key.source)))
}

/// The key that a model of the file names: what the client gave for it, else what its variable holds.
fn file_key(table: &Table, secrets: &Secrets) -> Result<Option<Sourced<Key>>> {
    if let Some(command) = &table.api_key_command {
        return Ok(Some(Sourced { value: Key::Command(command.clone()), source: Source::File }));
    }
    let Some(name) = table.key_variable() else { return Ok(None) };
    let client = secrets.get(name).map(|key| Sourced {
        value: SecretString::from(key.to_owned()),
        source: Source::Client(name.to_owned()),
    });
    let own = || {
        let value = table.key_from_env.clone()?;
        Some(Sourced { value, source: Source::Variable(name.to_owned()) })
    };
    match client.or_else(own) {
        Some(key) => value(key).map(Some),
        None => Err(Error::new(Code::ModelUnavailable, "the model's key is missing")
            .because(format!("it is in the variable {name}, and that is not set"))
            .hint(if table.api_key_env.is_some() {
                format!("set {name}, or remove api_key_env if the server wants no key")
            } else {
                format!("set {name}, or write api_key_env or api_key_command beside the model")
            })),
    }
}

/// A proxy's address, checked. The error does not show it: it may hold a password.
///
/// # Errors
/// `model_unavailable`: it is none.
pub(super) fn proxy(text: &str) -> Result<Url> {
    let wrong = |why: &str| {
        Error::new(Code::ModelUnavailable, "the proxy of a model is wrong")
            .because(why)
            .hint("write proxy = \"http://proxy.example:3128\", or proxy = \"none\"")
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("it begins with neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a user name or a password, and none may stand in this file"));
    }
    Ok(url)
}

/// A base URL, checked. The error does not show it: it may hold a password.
pub(super) fn base_url(text: &Sourced<String>) -> Result<Url> {
    let wrong = |why: &str| {
        Error::new(Code::ModelUnavailable, format!("the base URL is wrong ({})", text.source))
            .because(why)
            .hint("write it like https://api.openai.com/v1 or http://localhost:11434/v1")
    };
    let mut url = Url::parse(&text.value).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it begins with neither http:// nor https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a user name or a password; a key belongs in OPENAI_API_KEY"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a part after ? or #"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if path.ends_with("/chat/completions") {
        return Err(wrong("it ends in /chat/completions, which is added to it"));
    }
    url.set_path(&path);
    Ok(url)
}

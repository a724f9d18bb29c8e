//! Which model answers: decided from the file, the environment and the client, without asking anyone.
//!
//! Two rules. Configured means a model plus a key or a base URL; anything partial is an error and never
//! silently offline. And a key goes only to the server it was given for: `OPENAI_API_KEY` to the server of
//! `OPENAI_BASE_URL` or, without one, to OpenAI; a key named in the file to the server named beside it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use super::file::{KeyCommand, Model};
use super::{Config, Source, Sourced};
use crate::error::{Code, Error, Result};

/// Where a model is asked when only a key is given.
const OPENAI: &str = "https://api.openai.com/v1";

const MODEL: &str = "ORG_AGENT_MODEL";
const BASE_URL: &str = "OPENAI_BASE_URL";
const API_KEY: &str = "OPENAI_API_KEY";

/// What a client passed at `initialize`: names of the variables above, and values. Memory only.
pub type Secrets = BTreeMap<String, String>;

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

/// An OpenAI-compatible server and what it is asked for.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The name to show: the file's `name`, else the model.
    pub name: String,
    /// The model, one line.
    pub model: Sourced<String>,
    /// The base URL. It is used as given: `/chat/completions` is added, `/v1` is not.
    pub base_url: Sourced<Url>,
    /// The key, if the server wants one.
    pub key: Option<Sourced<Key>>,
}

impl Remote {
    /// The URL of `path` at this server; `path` begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url.value.as_str().trim_end_matches('/'))
    }

    /// Whether the server is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self.base_url.value.host() {
            Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }
}

/// Where a key comes from.
#[derive(Clone, Debug)]
pub enum Key {
    /// Here it is: visible ASCII characters.
    Value(SecretString),
    /// A command prints it. It runs at the first request.
    Command(KeyCommand),
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
            let value = secrets.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())?;
            Some(Sourced { value: value.to_owned(), source: Source::Client(name.to_owned()) })
        };
        let variable = |name: &str, value: Option<&String>| {
            Some(Sourced { value: value?.clone(), source: Source::Variable(name.to_owned()) })
        };
        let in_file = |value: Option<&String>| Some(Sourced { value: value?.clone(), source: Source::File });
        let entry = self.models.first();

        let model = client(MODEL)
            .or_else(|| variable(MODEL, self.variables.model.as_ref()))
            .or_else(|| in_file(entry.map(|entry| &entry.model)));
        if [self.variables.model.as_deref(), model.as_ref().map(|model| model.value.as_str())]
            .contains(&Some("offline"))
        {
            return Ok(Choice::Offline);
        }
        if let Some(path) = model.as_ref().and_then(|model| model.value.strip_prefix("replay:")) {
            return Ok(Choice::Replay(PathBuf::from(path)));
        }

        let said_key = client(API_KEY)
            .map(|key| Sourced { value: SecretString::from(key.value), source: key.source })
            .or_else(|| {
                let value = self.variables.key.clone()?;
                Some(Sourced { value, source: Source::Variable(API_KEY.to_owned()) })
            });
        let said_url = client(BASE_URL).or_else(|| variable(BASE_URL, self.variables.base_url.as_ref()));
        let file_url = in_file(entry.and_then(|entry| entry.base_url.as_ref()));

        let Some(model) = model else {
            return match (said_key, said_url) {
                (None, None) => Ok(Choice::Offline),
                (Some(key), None) => Err(partial(&format!("there is a key ({})", key.source), "model")),
                (_, Some(url)) => Err(partial(&format!("there is a base URL ({})", url.source), "model")),
            };
        };
        let (url, key) = match (said_url, file_url) {
            (Some(url), _) => (Some(url), said_key.map(value).transpose()?),
            (None, Some(url)) => (Some(url), entry.map(file_key).transpose()?.flatten()),
            (None, None) => match said_key {
                Some(key) => (None, Some(value(key)?)),
                None => (None, entry.map(file_key).transpose()?.flatten()),
            },
        };
        if url.is_none() && key.is_none() {
            return Err(partial(
                &format!(
                    "the model is {} ({}), but there is neither a key nor a base URL",
                    model.value, model.source
                ),
                "server",
            ));
        }
        let url = url.unwrap_or_else(|| Sourced { value: OPENAI.to_owned(), source: Source::Default });
        if model.value.chars().any(char::is_control) || model.value.len() > 200 {
            return Err(Error::new(Code::ModelUnavailable, "the model's name is not a name")
                .because("it has control characters or more than 200 bytes")
                .hint(format!("correct it ({})", model.source)));
        }
        Ok(Choice::Remote(Box::new(Remote {
            name: entry
                .and_then(|entry| entry.name.as_deref().and_then(super::one_line))
                .unwrap_or_else(|| model.value.clone()),
            base_url: Sourced { value: base_url(&url)?, source: url.source },
            model,
            key,
        })))
    }
}

impl Config {
    /// Every secret that the environment and the client gave, also those of models that are not used.
    #[must_use]
    pub fn known_keys(&self, secrets: &Secrets) -> Vec<SecretString> {
        let from_client = secrets.iter().filter(|(name, _)| !matches!(name.as_str(), MODEL | BASE_URL));
        let from_client = from_client.map(|(_, value)| SecretString::from(value.trim().to_owned()));
        let from_env = self.models.iter().filter_map(|model| model.key_from_env.clone());
        self.variables.key.iter().cloned().chain(from_env).chain(from_client).collect()
    }

    /// Whether `OPENAI_API_KEY` is in the environment but belongs to another server than that of the file.
    #[must_use]
    pub fn withholds_key(&self) -> bool {
        let without = |entry: &Model| {
            entry.base_url.is_some() && entry.api_key_env.is_none() && entry.api_key_command.is_none()
        };
        let at_other = self.models.first().is_some_and(without);
        at_other && self.variables.key.is_some() && self.variables.base_url.is_none()
    }
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

/// The key that a model of the file names.
fn file_key(entry: &Model) -> Result<Option<Sourced<Key>>> {
    if let Some(command) = &entry.api_key_command {
        return Ok(Some(Sourced { value: Key::Command(command.clone()), source: Source::File }));
    }
    match (&entry.api_key_env, &entry.key_from_env) {
        (None, _) => Ok(None),
        (Some(name), Some(key)) => {
            value(Sourced { value: key.clone(), source: Source::Variable(name.clone()) }).map(Some)
        }
        (Some(name), None) => Err(Error::new(Code::ModelUnavailable, "the model's key is missing")
            .because(format!("config.toml names the variable {name}, and it is not set"))
            .hint(format!("set {name}, or remove api_key_env if the server wants no key"))),
    }
}

/// A base URL, checked. The error does not show it: it may hold a password.
fn base_url(text: &Sourced<String>) -> Result<Url> {
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

//! `[[models]]` and `[spend]`: the models that can be asked, each at its server, and what may be spent.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::file::KeyCommand;
use super::inspect::Fault;
use super::providers::{Dialect, PROVIDERS, Provider};
use super::{Source, Sourced, choice};
use crate::error::{Error, Result};

/// The most models that a file may have, and fallbacks that a model may have.
const MODELS: usize = 100;
const FALLBACKS: usize = 8;

/// One of `[[models]]`, as it stands in the file.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) name: Option<String>,
    pub(super) provider: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) model: String,
    pub(super) api_key_env: Option<String>,
    pub(super) api_key_command: Option<KeyCommand>,
    /// What the variable with the key held when the configuration was read.
    #[serde(skip)]
    pub(super) key_from_env: Option<SecretString>,
    pub(super) dialect: Option<Dialect>,
    pub(super) price: Option<Price>,
    pub(super) max_tokens: Option<u32>,
    pub(super) context_tokens: Option<u32>,
    pub(super) temperature: Option<f64>,
    pub(super) thinks: Option<bool>,
    pub(super) connect_seconds: Option<u64>,
    pub(super) first_byte_seconds: Option<u64>,
    pub(super) idle_seconds: Option<u64>,
    pub(super) proxy: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) fallback: Vec<String>,
    /// It stands in no `[[models]]`: the user chose it when it was offered.
    #[serde(skip)]
    pub(super) is_chosen: bool,
}

/// What a model costs, in US dollars per million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of the prompt.
    pub input: f64,
    /// Of what the provider has read before; the same as `input` if it is not said.
    pub cached: Option<f64>,
    /// Of the reply.
    pub output: f64,
}

impl Price {
    /// What so many tokens cost, in millionths of a US dollar, rounded up. `cached` of those of the prompt had been read
    /// before.
    #[must_use]
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is positive, and `as` saturates"
    )]
    #[allow(clippy::cast_precision_loss, reason = "nobody pays for 2^53 tokens")]
    pub fn of(&self, prompt: u64, cached: u64, completion: u64) -> u64 {
        let cached = cached.min(prompt);
        let prompt =
            (prompt - cached) as f64 * self.input + cached as f64 * self.cached.unwrap_or(self.input);
        (prompt + completion as f64 * self.output).ceil() as u64
    }
}

/// `[spend]`: what may be spent, in US dollars. Nothing is said: as much as the models cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spend {
    /// On one day, in UTC.
    pub per_day: Option<f64>,
    /// In one session.
    pub per_session: Option<f64>,
}

/// An amount of dollars in digits: two behind the point, or as many as it takes.
#[must_use]
pub fn amount(dollars: f64) -> String {
    let cents = format!("{dollars:.2}");
    if cents.parse() == Ok(dollars) { cents } else { dollars.to_string() }
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the reply's first byte. Long: a local model on a slow machine reads the whole prompt first.
    pub first_byte: Duration,
    /// Between two bytes. Servers that think for long send comment lines meanwhile.
    pub idle: Duration,
    /// For what may follow the end mark: the usage, and the end of the connection's body.
    pub after_end: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(300),
            idle: Duration::from_secs(60),
            after_end: Duration::from_secs(2),
        }
    }
}

/// The way to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proxy {
    /// As the environment says (`HTTPS_PROXY`, `NO_PROXY`); never to this machine.
    #[default]
    Environment,
    /// Straight.
    None,
    /// Through this one.
    Through(Url),
}

/// How a model is asked, and what it costs: what of a model's table is not about where it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// Whose server it is, if that is known.
    pub provider: Option<&'static Provider>,
    /// How its replies are constrained.
    pub dialect: Dialect,
    /// What it costs.
    pub price: Option<Price>,
    /// The most tokens of a reply.
    pub max_tokens: Option<u32>,
    /// How many tokens prompt and reply may have together.
    pub context_tokens: Option<u32>,
    /// How freely it chooses words.
    pub temperature: Option<f64>,
    /// Whether its replies begin with `<think>…</think>`; nothing: as its name says.
    pub thinks: Option<bool>,
    /// How long to wait for what.
    pub patience: Patience,
    /// The way to it.
    pub proxy: Proxy,
    /// Certificates that vouch for it beside those of the system, as PEM.
    pub ca_file: Option<PathBuf>,
    /// The names of models to ask if this one fails, in this order.
    pub fallback: Vec<String>,
}

impl Terms {
    /// The usual ones at `base_url`.
    pub(super) fn of(base_url: &Url) -> Self {
        let provider = Provider::of(base_url);
        let dialect = provider.map(|provider| provider.dialect).unwrap_or_default();
        Self { provider, dialect, ..Self::default() }
    }
}

impl Table {
    /// Its provider, if it names one.
    pub(super) fn provider(&self) -> Option<&'static Provider> {
        Provider::named(self.provider.as_deref()?)
    }

    /// Its name, as it is listed and chosen.
    pub(super) fn listed(&self) -> String {
        self.own_name().unwrap_or_else(|| self.model.clone())
    }

    /// The name that it was given.
    pub(super) fn own_name(&self) -> Option<String> {
        // One that was offered has the model's name in it, which may be long.
        if self.is_chosen { self.name.clone() } else { self.name.as_deref().and_then(super::one_line) }
    }

    /// Where it was said.
    pub(super) fn source(&self) -> Source {
        if self.is_chosen { Source::Chosen } else { Source::File }
    }

    /// The variable that holds its key: the one it names, else its provider's, unless it has a command.
    pub(super) fn key_variable(&self) -> Option<&str> {
        // A key of the provider's is not for another server.
        let own = self.base_url.is_none() && self.api_key_command.is_none();
        self.api_key_env.as_deref().or_else(|| self.provider().filter(|_| own)?.key)
    }

    /// How it is asked at `base_url`.
    ///
    /// # Errors
    /// A proxy that is none.
    pub(super) fn terms(&self, base_url: &Url) -> Result<Terms> {
        let provider = self.provider().or_else(|| Provider::of(base_url));
        let usual = Patience::default();
        let seconds = |said: Option<u64>, usual| said.map_or(usual, Duration::from_secs);
        Ok(Terms {
            provider,
            dialect: self.dialect.or(provider.map(|provider| provider.dialect)).unwrap_or_default(),
            price: self.price,
            max_tokens: self.max_tokens,
            context_tokens: self.context_tokens,
            temperature: self.temperature,
            thinks: self.thinks,
            patience: Patience {
                connect: seconds(self.connect_seconds, usual.connect),
                first_byte: seconds(self.first_byte_seconds, usual.first_byte),
                idle: seconds(self.idle_seconds, usual.idle),
                after_end: usual.after_end,
            },
            proxy: match self.proxy.as_deref().map(str::trim) {
                None | Some("") => Proxy::Environment,
                Some("none") => Proxy::None,
                Some(text) => Proxy::Through(choice::proxy(text)?),
            },
            ca_file: self.ca_file.clone(),
            fallback: self.fallback.clone(),
        })
    }

    /// The one thing that is wrong with it, which [`Table::faults`] tells of the first.
    ///
    /// # Errors
    /// What is wrong and what to write, without any value of the table: a key may have been pasted in the wrong place.
    pub(super) fn check(&self) -> Result<()> {
        match self.faults(0).into_iter().next() {
            Some(Fault { why, hint, .. }) => Err(Error::bad_request("").because(why).hint(hint)),
            None => Ok(()),
        }
    }

    /// What its shape does not say about it, as the table of this number; without any value of the table: a key may have been
    /// pasted in the wrong place.
    pub(super) fn faults(&self, index: usize) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut wrong = |key: &'static str, why: &str, hint: &str| {
            faults.push(Fault { table: ("models", index), key, why: why.to_owned(), hint: hint.to_owned() });
        };
        let is_model = !self.model.trim().is_empty() && self.model.len() <= super::MAX_MODEL;
        if !is_model || self.model.contains(char::is_control) {
            wrong(
                "model",
                "model is empty, or has more than 200 bytes or control characters",
                "write what the server calls it: model = \"gpt-5-mini\"",
            );
        }
        if self.api_key_env.is_some() && self.api_key_command.is_some() {
            wrong("api_key_command", "a model has both api_key_env and api_key_command", "keep one of them");
        }
        if let Some(name) = &self.api_key_env {
            // Upper case only: this refuses nearly every key that was pasted here, before any error can name it.
            let upper = |c: char| c.is_ascii_uppercase() || c == '_';
            let rest = |c: char| upper(c) || c.is_ascii_digit();
            if !name.starts_with(upper) || !name.chars().all(rest) || name.len() > 100 {
                wrong(
                    "api_key_env",
                    "api_key_env is not a variable's name in upper case",
                    "write the name of an environment variable that holds the key, not the key itself: \
                     api_key_env = \"MY_API_KEY\"",
                );
            }
        }
        let empty = match &self.api_key_command {
            None => false,
            Some(KeyCommand::Shell(command)) => command.trim().is_empty(),
            Some(KeyCommand::Program(words)) => words.first().is_none_or(|program| program.trim().is_empty()),
        };
        if empty {
            wrong(
                "api_key_command",
                "api_key_command is empty",
                "write a command that prints the key: api_key_command = [\"pass\", \"show\", \"openai\"]",
            );
        }
        if self.provider.is_some() && self.provider().is_none() {
            let names: Vec<&str> = PROVIDERS.iter().map(|provider| provider.name).collect();
            let hint = format!("write one of {}, or a base_url without a provider", names.join(", "));
            wrong("provider", "a model names a provider that is not known", &hint);
        }
        if let Some(price) = &self.price {
            let all = [Some(price.input), price.cached, Some(price.output)];
            if all.iter().flatten().any(|price| !price.is_finite() || *price < 0.0 || *price > 1e6) {
                wrong(
                    "price",
                    "a price is no price",
                    "write US dollars per million tokens: price = { input = 0.25, cached = 0.025, output = 2.0 }",
                );
            }
        }
        if self.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            let hint = "write a number such as temperature = 0.2";
            wrong("temperature", "temperature is not between 0 and 2", hint);
        }
        if self.max_tokens.zip(self.context_tokens).is_some_and(|(reply, all)| reply >= all) {
            wrong(
                "max_tokens",
                "max_tokens leaves no room for a prompt in context_tokens",
                "write less for max_tokens",
            );
        }
        if self.fallback.len() > FALLBACKS {
            wrong("fallback", "a model has too many fallbacks", "keep at most eight");
        }
        if self.fallback.iter().enumerate().any(|(at, name)| self.fallback[..at].contains(name)) {
            wrong("fallback", "a fallback is named twice", "keep each name once: it is asked once");
        }
        faults
    }

    /// What is wrong with its addresses. A model that is never asked may have wrong ones, so the file is read all the same.
    pub(super) fn addresses(&self, index: usize) -> Vec<Fault> {
        let url = self.base_url.as_ref().map(|url| Sourced { value: url.clone(), source: Source::File });
        let proxy = self.proxy.as_deref().map(str::trim).filter(|text| !matches!(*text, "" | "none"));
        let all = [
            ("base_url", url.and_then(|url| choice::base_url(&url).err())),
            ("proxy", proxy.and_then(|proxy| choice::proxy(proxy).err())),
        ];
        let faults = all.into_iter().filter_map(|(key, error)| {
            let Error { why, hint, .. } = error?;
            Some(Fault { table: ("models", index), key, why: format!("`{key}`: {why}"), hint })
        });
        faults.collect()
    }
}

/// What is wrong with all of them, each by itself and together.
pub(super) fn faults(tables: &[Table], spend: &Spend) -> Vec<Fault> {
    let each = tables.iter().take(MODELS).enumerate().flat_map(|(at, table)| table.faults(at));
    let mut faults: Vec<Fault> = each.collect();
    let mut wrong = |table, key: &'static str, why: &str, hint: &str| {
        faults.push(Fault { table, key, why: why.to_owned(), hint: hint.to_owned() });
    };
    if tables.len() > MODELS {
        wrong(("models", MODELS), "", "there are too many models", "keep at most a hundred");
    }
    for (at, table) in tables.iter().take(MODELS).enumerate() {
        if table.listed() == "offline" {
            let hint = "that is the built-in responder; choose another name";
            wrong(("models", at), "name", "a model is named offline", hint);
        }
        if tables[..at].iter().any(|other| other.listed() == table.listed()) {
            wrong(
                ("models", at),
                "name",
                "two models have the same name",
                "give each a name of its own: name = \"work\"; without one it is the model's",
            );
        }
        let is_other = |name: &String| {
            let known = name == "offline" || tables.iter().any(|other| other.listed() == *name);
            known && *name != table.listed()
        };
        if !table.fallback.iter().all(is_other) {
            wrong(
                ("models", at),
                "fallback",
                "a fallback is not the name of another model",
                "write names of [[models]]: fallback = [\"local\"]",
            );
        }
    }
    let amount = |amount: f64| amount.is_finite() && amount >= 0.0;
    for (key, most) in [("per_day", spend.per_day), ("per_session", spend.per_session)] {
        if most.is_some_and(|most| !amount(most)) {
            let hint = format!("write US dollars: {key} = 2.50");
            wrong(("spend", 0), key, "an amount in [spend] is no amount", &hint);
        }
    }
    faults
}

/// Where a model is asked, and what for.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The name to show and to choose it by: the table's `name`, else the model.
    pub name: String,
    /// The model, one line.
    pub model: Sourced<String>,
    /// The base URL. It is used as given: `/chat/completions` is added, `/v1` is not.
    pub base_url: Sourced<Url>,
    /// The key, if the server wants one.
    pub key: Option<Sourced<Key>>,
    /// How it is asked, and what it costs.
    pub terms: Terms,
}

/// Where a key comes from.
#[derive(Clone, Debug)]
pub enum Key {
    /// Here it is: visible ASCII characters.
    Value(SecretString),
    /// A command prints it. It runs at the first request.
    Command(KeyCommand),
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
        is_here(&self.base_url.value)
    }
}

/// Whether `url` is on this machine.
pub(super) fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

//! Model servers on this machine: whether one answers on its usual port, which it is, and what it has.
//!
//! Each port is asked `GET /v1/models` at 127.0.0.1, all at once, without a key and past any proxy. Several kinds of server
//! answer alike, so each is recognised by what only it says: the owner of its models, or an address of its own. What is no
//! OpenAI-compatible server is left alone after that one question. Nothing that a user wrote is ever sent from here; what
//! is found is offered, and asked for replies only after they said yes to it.

use std::collections::HashSet;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{join_all, select_ok};
use reqwest::{Client, redirect};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::config::{LocalPorts, MAX_MODEL, Provider, local_url};
use crate::skill::is_hidden;

/// How long all of it may take. What is there answers in milliseconds, and what is not is refused at once.
pub const LIMIT: Duration = Duration::from_millis(1_500);

/// The most bytes of an answer.
const MAX_BODY: usize = 1 << 20;

/// The most models of one server.
const MAX_MODELS: usize = 200;

/// How many models an offer names.
const NAMED: usize = 8;

/// The command that says yes, without the name of the model.
pub const YES: &str = "org-agent model use";

/// A server that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which kind it is; nothing: it is OpenAI-compatible, and more is not known.
    pub provider: Option<&'static Provider>,
    /// Its port on this machine.
    pub port: u16,
    /// Where it is asked.
    pub base_url: String,
    /// Its models that can chat, as it names them, in its order.
    pub models: Vec<String>,
}

/// How a kind of server is told from the others.
struct Sign {
    /// Its name in the table of providers.
    provider: &'static str,
    /// What it gives as the owner of its models.
    owner: &'static str,
    /// An address that only it has.
    path: &'static str,
    /// What must be in the answer from there.
    key: &'static str,
}

/// As each project's own source and reference have it. The owner says who speaks, whatever the port; a server without
/// models has no owner, and Ollama's differs with where a model is from.
const SIGNS: [Sign; 4] = [
    Sign { provider: "ollama", owner: "library", path: "/api/version", key: "version" },
    Sign { provider: "llama.cpp", owner: "llamacpp", path: "/props", key: "default_generation_settings" },
    Sign { provider: "lmstudio", owner: "organization_owner", path: "/api/v0/models", key: "data" },
    Sign { provider: "vllm", owner: "vllm", path: "/version", key: "version" },
];

/// Looks for servers on `ports`. Takes at most [`LIMIT`].
pub async fn find(ports: &LocalPorts) -> Vec<Found> {
    let Some(http) = client().await else { return Vec::new() };
    let mut seen = Vec::new();
    let looks = ports.iter().filter(|(_, port)| {
        let first = !seen.contains(port);
        seen.push(*port);
        first
    });
    let looks = looks.map(|(provider, port)| timeout(LIMIT, look(&http, provider, port)));
    join_all(looks).await.into_iter().filter_map(|found| found.ok().flatten()).collect()
}

/// What answers on `port`, where `expected` usually does. Takes at most [`LIMIT`].
pub async fn at(expected: &'static Provider, port: u16) -> Option<Found> {
    let http = client().await?;
    timeout(LIMIT, look(&http, expected, port)).await.ok().flatten()
}

/// Which kind of server answers at `base_url`, which is on this machine. Takes at most [`LIMIT`].
pub async fn recognise(base_url: &Url) -> Option<&'static Provider> {
    let http = client().await?;
    let base = base_url.as_str().trim_end_matches('/');
    let root = base_url.join("/").ok()?;
    let root = root.as_str().trim_end_matches('/');
    let recognised = async {
        let list = ask(&http, &format!("{base}/models")).await;
        if let Some(provider) = list.as_ref().and_then(owner) {
            return Some(provider);
        }
        let signs = SIGNS.iter().map(|sign| has(&http, root, sign).map(|has| has.ok_or(())).boxed());
        select_ok(signs).await.ok().map(|(provider, _)| provider)
    };
    timeout(LIMIT, recognised).await.ok().flatten()
}

/// Asks what listens on `port`, where `expected` usually does.
async fn look(http: &Client, expected: &'static Provider, port: u16) -> Option<Found> {
    let base_url = local_url(port);
    let list = ask(http, &format!("{base_url}/models")).await?;
    // Without any model, Ollama says null.
    let is_list = list["data"].is_array() || list["data"].is_null() && list["object"] == "list";
    if !is_list {
        return None;
    }
    let provider = match owner(&list) {
        Some(provider) => Some(provider),
        None => {
            let sign = SIGNS.iter().find(|sign| sign.provider == expected.name)?;
            has(http, base_url.trim_end_matches("/v1"), sign).await
        }
    };
    let names = list["data"].as_array().into_iter().flatten().filter_map(|model| model["id"].as_str());
    let models = names.filter(|name| can_chat(name)).take(MAX_MODELS);
    // Ollama takes its names without this, and so do its users.
    let models = models.map(|name| match provider {
        Some(provider) if provider.name == "ollama" => name.strip_suffix(":latest").unwrap_or(name),
        _ => name,
    });
    let mut seen = HashSet::new();
    let models = models.filter(|name| seen.insert(*name)).map(str::to_owned).collect();
    Some(Found { provider, port, base_url, models })
}

/// Whether a model of this name may be offered: the name is one, and not that of a model that makes vectors.
fn can_chat(name: &str) -> bool {
    let is_name =
        !name.is_empty() && name.len() <= MAX_MODEL && !name.chars().any(|c| c.is_control() || is_hidden(c));
    is_name && !name.to_ascii_lowercase().contains("embed")
}

/// Whose list of models this is, by their owner.
fn owner(list: &Value) -> Option<&'static Provider> {
    let models = list["data"].as_array()?;
    models.iter().take(MAX_MODELS).find_map(|model| {
        let owner = model["owned_by"].as_str()?;
        Provider::named(SIGNS.iter().find(|sign| sign.owner == owner)?.provider)
    })
}

/// The provider of `sign`, if it shows at `root`.
async fn has(http: &Client, root: &str, sign: &Sign) -> Option<&'static Provider> {
    let answer = ask(http, &format!("{root}{}", sign.path)).await?;
    answer.get(sign.key).and_then(|_| Provider::named(sign.provider))
}

/// The JSON at `url`, if it is there and bounded.
async fn ask(http: &Client, url: &str) -> Option<Value> {
    let mut response = http.get(url).send().await.ok().filter(|response| response.status().is_success())?;
    let mut body = Vec::new();
    while let Some(bytes) = response.chunk().await.ok()? {
        body.extend_from_slice(&bytes);
        if body.len() > MAX_BODY {
            return None;
        }
    }
    serde_json::from_slice(&body).ok()
}

/// A client that goes nowhere but where it is sent.
async fn client() -> Option<Client> {
    let builder = Client::builder()
        .user_agent(concat!("org-agent/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(redirect::Policy::none())
        .tls_certs_only([]);
    // It may read a file of the system's; the loop must not wait for it.
    tokio::task::spawn_blocking(move || builder.build()).await.ok()?.ok()
}

impl Found {
    /// Its name for people.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.provider.map_or("An OpenAI-compatible server of an unknown kind", |provider| provider.title)
    }

    /// The names by which its models are chosen; none if it is not known which kind it is.
    pub fn names<'a>(&'a self, ports: &'a LocalPorts) -> impl Iterator<Item = String> + 'a {
        let named = self
            .provider
            .map(|provider| self.models.iter().map(move |model| ports.name(provider, self.port, model)));
        named.into_iter().flatten()
    }

    /// That it answers, and with what, in one line for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self.models.is_empty() {
            true => format!("{} answers on port {}, and has no model that can chat", self.title(), self.port),
            false => format!("{} answers on port {} with {}", self.title(), self.port, self.some_models()),
        }
    }

    /// What it has, for people: some of its models.
    #[must_use]
    pub fn some_models(&self) -> String {
        let some: Vec<&str> = self.models.iter().take(NAMED).map(String::as_str).collect();
        let more = if self.models.len() > NAMED { ", …" } else { "" };
        format!("{}{more}", some.join(", "))
    }
}

/// The command that has the model of this name answer: what a user can paste into a shell.
#[must_use]
pub fn command(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._:-+@%".contains(c);
    if name.chars().all(plain) {
        return format!("{YES} {name}");
    }
    format!("{YES} '{}'", name.replace('\'', "'\\''"))
}

/// What the built-in responder says of the servers that were found, in Org; nothing: there is none to offer.
#[must_use]
pub fn offer(found: &[Found], ports: &LocalPorts) -> Option<String> {
    let offers: Vec<String> = found
        .iter()
        .filter_map(|found| {
            let first = found.names(ports).next()?;
            Some(format!(
                "{} answers on port {} of this machine, with:\n\n{}\n\nNothing you write goes there before you say yes. To \
                 use it: =M-x org-agent-model=, or in a terminal\n\n#+begin_example\n{}\n#+end_example",
                found.title(),
                found.port,
                listed(found),
                command(&first),
            ))
        })
        .collect();
    (!offers.is_empty()).then(|| offers.join("\n\n"))
}

/// The models of a server as fixed-width lines: nothing in a stranger's name is markup there.
fn listed(found: &Found) -> String {
    let mut lines: Vec<String> = found.models.iter().take(NAMED).map(|name| format!(": {name}")).collect();
    if found.models.len() > NAMED {
        lines.push(format!(": … and {} more", found.models.len() - NAMED));
    }
    lines.join("\n")
}

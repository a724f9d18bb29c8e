//! Model servers on this machine: on which ports they are looked for, and how their models are named.
//!
//! Each listens on a port of its own unless it is told otherwise. `ORG_AGENT_LOCAL_PORTS` says where to look instead, and
//! `OLLAMA_HOST`, which Ollama reads itself, moves Ollama. Only this machine is meant, and nobody is asked here.

use url::{Host, Url};

use super::models::Table;
use super::providers::Provider;
use crate::error::{Error, Result};

/// The variable that says where to look.
const PORTS: &str = "ORG_AGENT_LOCAL_PORTS";
/// The variable that says where Ollama listens and is asked.
const OLLAMA_HOST: &str = "OLLAMA_HOST";

/// The most ports that are looked at.
const MOST: usize = 16;

/// The most bytes of a model's name.
pub const MAX_MODEL: usize = 200;

/// On which ports of this machine to look for which servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPorts(Vec<(&'static Provider, u16)>);

impl LocalPorts {
    /// Those that `env` asks for, else the usual ones.
    ///
    /// # Errors
    /// `ORG_AGENT_LOCAL_PORTS` is not as it should be.
    pub(super) fn new(env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if let Some(said) = env(PORTS) {
            return Self::read(&said);
        }
        let ollama = env(OLLAMA_HOST).and_then(|host| ollama(&host));
        let usual = Provider::local().filter_map(|provider| Some((provider, usual(provider)?)));
        let moved = usual.map(|(provider, port)| match ollama {
            Some(other) if provider.name == "ollama" => (provider, other),
            _ => (provider, port),
        });
        Ok(Self(moved.collect()))
    }

    /// Ports as they are written: `ollama=11434,llama.cpp=8081`, or `none`.
    fn read(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let one = |part: &str| {
            let (name, port) = part.split_once('=')?;
            let provider = Provider::local().find(|provider| provider.name == name.trim())?;
            Some((provider, port.trim().parse().ok().filter(|port| *port > 0)?))
        };
        let ports: Option<Vec<_>> = text.split(',').map(one).collect();
        ports.filter(|ports| ports.len() <= MOST).map(Self).ok_or_else(|| {
            let names: Vec<&str> = Provider::local().map(|provider| provider.name).collect();
            Error::bad_request(format!("{PORTS} is wrong"))
                .because("it names no ports of servers that are known")
                .hint(format!(
                    "write {PORTS}=ollama=11434,llama.cpp=8081, or none; known are {}",
                    names.join(", ")
                ))
        })
    }

    /// Which server is expected on which port.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Provider, u16)> + '_ {
        self.0.iter().copied()
    }

    /// The name of a model of `provider` on `port`: `ollama/llama3.2`, or `llama.cpp:8000/m` if that is not where this
    /// provider is expected.
    #[must_use]
    pub fn name(&self, provider: &Provider, port: u16, model: &str) -> String {
        if self.port_of(provider) == Some(port) {
            format!("{}/{model}", provider.name)
        } else {
            format!("{}:{port}/{model}", provider.name)
        }
    }

    /// What such a name means: whose model, on which port, and its own name.
    #[must_use]
    pub fn meaning<'a>(&self, name: &'a str) -> Option<(&'static Provider, u16, &'a str)> {
        let (server, model) = name.split_once('/')?;
        let (server, port) = match server.split_once(':') {
            Some((server, port)) => (server, Some(port.parse().ok().filter(|port| *port > 0)?)),
            None => (server, None),
        };
        let provider = Provider::local().find(|provider| provider.name == server)?;
        (!model.is_empty() && model.len() <= MAX_MODEL && !model.chars().any(char::is_control)).then_some((
            provider,
            port.or_else(|| self.port_of(provider))?,
            model,
        ))
    }

    /// What is said of the model that such a name means, as a table of a file would say it.
    pub(super) fn table(&self, name: &str) -> Option<Table> {
        let (provider, port, model) = self.meaning(name)?;
        Some(Table {
            name: Some(name.to_owned()),
            provider: Some(provider.name.to_owned()),
            base_url: Some(base_url(port)),
            model: model.to_owned(),
            is_chosen: true,
            ..Table::default()
        })
    }

    /// Where `provider` is expected.
    fn port_of(&self, provider: &Provider) -> Option<u16> {
        self.iter()
            .find(|(other, _)| other.name == provider.name)
            .map(|(_, port)| port)
            .or_else(|| usual(provider))
    }
}

/// The base URL of what listens on `port` of this machine.
#[must_use]
pub fn base_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/v1")
}

/// The port on which a server of one's own listens unless it is told otherwise.
fn usual(provider: &Provider) -> Option<u16> {
    Url::parse(provider.base_url).ok()?.port_or_known_default()
}

/// The port that `OLLAMA_HOST` names, if it names one of this machine: a host, a port or both, with or without a scheme.
fn ollama(host: &str) -> Option<u16> {
    let host = host.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'');
    let (scheme, rest) = host.split_once("://").map_or((None, host), |(scheme, rest)| (Some(scheme), rest));
    let rest = if rest.starts_with(':') { format!("127.0.0.1{rest}") } else { rest.to_owned() };
    // Without a scheme a port of 80 is one that was named; with one it is what the scheme means. What speaks TLS is
    // somebody else's server before it.
    let url = match scheme {
        None => Url::parse(&format!("ollama://{rest}")).ok()?,
        Some("http") => Url::parse(&format!("http://{rest}")).ok()?,
        Some(_) => return None,
    };
    // The host of an unknown scheme is only text so far.
    let host = Host::parse(url.host_str()?).ok()?;
    let here = match &host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback() || address.is_unspecified(),
        Host::Ipv6(address) => address.is_loopback() || address.is_unspecified(),
    };
    here.then(|| url.port_or_known_default())?
}

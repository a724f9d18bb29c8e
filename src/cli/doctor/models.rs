//! What `org-agent doctor` says of models: each configured one, its server, its key and its price, and what else answers
//! on this machine.
//!
//! Servers are asked for lists of their models, all at once, and never for a reply. Only the model that answers if nothing
//! else is said decides whether the chat can work; what is wrong with another one is worth knowing.

use futures::future::join_all;
use tokio::time::timeout;

use super::{Grade, LIMIT, Report};
use crate::config::{
    Choice, Config, Dialect, Key, Offered, Provider, Proxy, Remote, Secrets, Source, amount,
};
use crate::model::local::{self, Found};
use crate::model::openai::{Listing, OpenAi};
use crate::model::replay::Replay;

/// The variables that name proxies.
const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Looks at all models.
pub(super) async fn examine(config: &Config) -> Report {
    let mut report = Report::default();
    let offered = config.offered(&Secrets::new());
    let checks = join_all(offered.iter().map(check));
    let (checked, found) = tokio::join!(checks, local::find(&config.local));
    for part in checked {
        report.findings.extend(part.findings);
    }
    spend(config, &offered, &mut report);
    if config.withholds_key() {
        report.add(
            Grade::Note,
            "key",
            "OPENAI_API_KEY is set, but not sent to the server of config.toml",
            "if it is meant for that server, write api_key_env = \"OPENAI_API_KEY\" beside its base_url",
        );
    }
    here(config, &offered, &found, &mut report);
    report
}

/// One model. What is wrong with it is bad only if it is the one that answers.
async fn check(offered: &Offered) -> Report {
    let mut report = Report::default();
    match &offered.choice {
        Err(error) if offered.default => report.fail("model", error),
        Err(error) => {
            report.add(
                Grade::Note,
                "model",
                format!("{}: {}", offered.name, said(error)),
                error.hint.as_str(),
            );
        }
        Ok(Choice::Offline) if offered.default => {
            report.add(Grade::Good, "model", "the built-in responder, which is no language model", "");
        }
        Ok(Choice::Offline) => {}
        Ok(Choice::Replay(path)) => match Replay::load(path) {
            Ok(_) => report.add(Grade::Good, "model", format!("a recording, {}", path.display()), ""),
            Err(error) => report.fail("model", &error),
        },
        Ok(Choice::Remote(remote)) if offered.default => {
            report.add(Grade::Good, "model", describe(remote), "");
            let fallback = &remote.terms.fallback;
            if !fallback.is_empty() {
                report.add(Grade::Good, "fallback", format!("if it fails: {}", fallback.join(", then ")), "");
            }
            if remote.key.is_some() && remote.base_url.value.scheme() == "http" && !remote.is_local() {
                report.add(Grade::Note, "key", "it travels unencrypted", "use an https:// base URL");
            }
            let (server, kind) = tokio::join!(server(remote), kind(remote));
            report.add(server.0, "server", server.1, server.2);
            dialect(remote, kind, &mut report);
        }
        Ok(Choice::Remote(remote)) => {
            let (grade, answer, hint) = server(remote).await;
            let grade = if grade == Grade::Bad { Grade::Note } else { grade };
            report.add(grade, "model", format!("{}: {}; {answer}", offered.name, describe(remote)), hint);
        }
    }
    report
}

/// What went wrong and why, in one line.
fn said(error: &crate::error::Error) -> String {
    let colon = if error.why.is_empty() { "" } else { ": " };
    format!("{}{colon}{}", error.what, error.why)
}

/// Which model it is, where, with which key, and by which way.
fn describe(remote: &Remote) -> String {
    let (model, url) = (&remote.model, &remote.base_url);
    let key = match &remote.key {
        Some(key) => match &key.value {
            Key::Value(_) => format!("with a key ({})", key.source),
            Key::Command(_) => format!("with the key that api_key_command prints ({})", key.source),
        },
        None => "without a key".to_owned(),
    };
    let mut text =
        format!("{} ({}) at {} ({}), {key}", model.value, model.source, remote.url(""), url.source);
    match &remote.terms.proxy {
        Proxy::Through(proxy) => text.push_str(&format!(", through {proxy}")),
        Proxy::Environment if !remote.is_local() => {
            let set = |name: &&&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
            if let Some(name) = PROXIES.iter().find(set) {
                text.push_str(&format!(", by the proxy of {name} unless NO_PROXY says otherwise"));
            }
        }
        Proxy::Environment | Proxy::None => {}
    }
    if let Some(file) = &remote.terms.ca_file {
        text.push_str(&format!(", with certificates of {}", file.display()));
    }
    text
}

/// Asks a model's server for its list of models: how that is, what it says, and what to do.
async fn server(remote: &Remote) -> (Grade, String, String) {
    let model = remote.model.value.as_str();
    match timeout(LIMIT, OpenAi::new(remote.clone()).models()).await {
        Err(_) => {
            let who = match remote.key.as_ref().map(|key| &key.value) {
                Some(Key::Command(_)) => "it, or the command for its key,",
                _ => "it",
            };
            let hint = format!("start it, or correct the base URL ({})", remote.base_url.source);
            (Grade::Bad, format!("{who} did not answer within {} seconds", LIMIT.as_secs_f32()), hint)
        }
        Ok(Err(failure)) => (Grade::Bad, failure.message, failure.hint),
        Ok(Ok(Listing::None)) => {
            (Grade::Good, "it answers, and does not list its models".to_owned(), String::new())
        }
        Ok(Ok(Listing::Models(names))) => {
            // Ollama lists names with a tag and takes them without.
            let listed = |name: &String| name == model || name.strip_suffix(":latest") == Some(model);
            if names.iter().any(listed) {
                return (Grade::Good, format!("it answers, and lists {model}"), String::new());
            }
            let some = names.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more =
                if names.len() > 8 { format!(", and {} more", names.len() - 8) } else { String::new() };
            let hint =
                if names.is_empty() { "it has none".to_owned() } else { format!("it has {some}{more}") };
            (Grade::Note, format!("it answers, but does not list {model}"), hint)
        }
    }
}

/// Which kind of server it is, if it is on this machine and says so.
async fn kind(remote: &Remote) -> Option<&'static Provider> {
    if !remote.is_local() {
        return None;
    }
    local::recognise(&remote.base_url.value).await
}

/// How a model is made to answer with an action, and whether its server could do better.
fn dialect(remote: &Remote, kind: Option<&'static Provider>, report: &mut Report) {
    let dialect = remote.terms.dialect;
    if let Some(kind) = kind.filter(|kind| kind.dialect != dialect) {
        let text = format!("{}, but what answers is {}", dialect.as_str(), kind.title);
        let (name, url) = (kind.name, remote.url(""));
        let hint = match remote.base_url.source {
            Source::File if remote.terms.provider.is_some() => {
                format!("write provider = \"{name}\" in its place in config.toml, and no dialect")
            }
            Source::File => format!("write provider = \"{name}\" beside its base_url in config.toml"),
            Source::Chosen => "choose again what answers there: org-agent model list".to_owned(),
            _ => format!(
                "write it to config.toml instead: [[models]] with model = {:?}, provider = \"{name}\" and base_url = \
                 \"{url}\"",
                remote.model.value
            ),
        };
        return report.add(Grade::Note, "dialect", text, hint);
    }
    let text = match dialect {
        Dialect::Prompt => "prompt: it is only asked to answer with an action".to_owned(),
        other => format!("{}: it is made to answer with an action", other.as_str()),
    };
    report.add(Grade::Good, "dialect", text, "");
}

/// What may be spent, and what is not counted.
fn spend(config: &Config, offered: &[Offered], report: &mut Report) {
    let limits = [(config.spend.per_day, "a day"), (config.spend.per_session, "a session")];
    let limits: Vec<String> = limits
        .iter()
        .filter_map(|(most, when)| most.map(|most| format!("{} {when}", amount(most))))
        .collect();
    if limits.is_empty() {
        return;
    }
    report.add(Grade::Good, "spend", format!("at most, in US dollars: {}", limits.join(", ")), "");
    let unpriced = offered.iter().filter(|offered| match &offered.choice {
        Ok(Choice::Remote(remote)) => remote.terms.price.is_none() && !remote.is_local(),
        _ => false,
    });
    let names: Vec<&str> = unpriced.map(|offered| offered.name.as_str()).collect();
    if !names.is_empty() {
        let text = format!("what {} costs is not known, so it is not counted", names.join(", "));
        report.add(
            Grade::Note,
            "price",
            text,
            "write price = { input = …, output = … } beside it in config.toml",
        );
    }
}

/// What answers on this machine beside what is configured. It is offered if nothing is.
fn here(config: &Config, offered: &[Offered], found: &[Found], report: &mut Report) {
    let is_configured = config.is_model_configured(&Secrets::new());
    let ports = offered.iter().filter_map(|offered| match &offered.choice {
        Ok(Choice::Remote(remote)) if remote.is_local() => remote.base_url.value.port_or_known_default(),
        _ => None,
    });
    let ports: Vec<u16> = ports.collect();
    for found in found.iter().filter(|found| !ports.contains(&found.port)) {
        let hint = match (is_configured, found.names(&config.local).next(), found.models.first()) {
            (false, Some(name), _) => format!("to use it: {}", local::command(&name)),
            (false, None, Some(model)) => format!(
                "to use it, write to config.toml: [[models]] with model = {model:?} and base_url = \"{}\"",
                found.base_url
            ),
            _ => String::new(),
        };
        report.add(Grade::Good, "this machine", found.sentence(), hint);
    }
    if !is_configured && found.is_empty() {
        let ports: Vec<String> =
            config.local.iter().map(|(provider, port)| format!("{} {port}", provider.title)).collect();
        let text = match ports.is_empty() {
            true => "it was not looked for model servers".to_owned(),
            false => format!("no model server answers on its port ({})", ports.join(", ")),
        };
        report.add(
            Grade::Good,
            "this machine",
            text,
            "for a language model start one of these, or set ORG_AGENT_MODEL with OPENAI_API_KEY or OPENAI_BASE_URL",
        );
    }
}

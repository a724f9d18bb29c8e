//! What a server's errors mean, and what the user can do about them.
//!
//! Every message is one short line without the key, whatever the server wrote: its words are masked before they are cut,
//! since what is left of a key that was cut is not known as one.

use std::env;
use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime};

use async_openai::error::OpenAIError;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::transport::Exchange;
use crate::config::Proxy;
use crate::model::{Failure, Trouble, one_line};
use crate::redact::{Keys, redact};

/// The most characters of a server's own words that are shown.
const WORDS: usize = 300;

/// What to do about what passes.
const LATER: &str = "ask again later, or choose another model";

/// What to do about a connection that did not hold.
const AGAIN: &str =
    "ask again; if it happens again, see the log of the server, or of a proxy on the way to it";

/// What to do about a filter.
const FILTERED: &str = "the server's content filter stopped it; put the question in other words";

/// What to do about a proxy with a password, which has no place here.
const PASSWORD: &str = "the proxy wants a password; set another with proxy in config.toml";

/// Who says which models there are.
const LISTS: &str = "`org-agent doctor` lists what the server has";

/// Of a server's words so many bytes are looked at.
const BEGINNING: usize = 16 << 10;

impl Exchange {
    /// A failure. The server may have echoed the key; that is taken out here.
    pub(super) fn failed(&self, trouble: Trouble, message: &str, hint: &str, transient: bool) -> Failure {
        Failure::new(trouble, self.masked(message)).hint(self.masked(hint)).transient(transient)
    }

    /// `text` without the keys of this server in any encoding, and without what has the form of one.
    fn masked(&self, text: &str) -> String {
        let all = self.keys();
        let (text, _) = redact(text, &Keys::new(all.iter().map(ExposeSecret::expose_secret)));
        match &self.key {
            // Redaction leaves those alone that are shorter than that, since they may be words.
            Some(key) if (4..8).contains(&key.expose_secret().len()) => {
                text.replace(key.expose_secret(), "[key]")
            }
            _ => text,
        }
    }

    /// Words of the server as one line of at most `most` characters, without keys.
    pub(super) fn line(&self, text: &str, most: usize) -> String {
        // A body may be long, and only its beginning is shown.
        let most_bytes = text.floor_char_boundary(text.len().min(BEGINNING));
        one_line(&self.masked(&text[..most_bytes]), most)
    }

    /// The stream ended without its end mark.
    pub(super) fn cut(&self) -> Failure {
        let message = "the model's reply was cut: the connection ended before the reply did";
        self.failed(Trouble::Cut, message, AGAIN, true)
    }

    /// Nothing came for as long as `limit`, before the reply or in the middle of it.
    pub(super) fn stalled(&self, limit: Duration, begun: bool) -> Failure {
        let seconds = limit.as_secs();
        let (message, hint) = if begun {
            (
                format!(
                    "the model's server stopped in the middle of its reply: nothing came for {seconds} s"
                ),
                "ask again; if it only pauses for long, raise idle_seconds in config.toml",
            )
        } else {
            (
                format!("the model's server sent nothing for {seconds} s"),
                "it may be busy or still loading the model; if it is only slow, raise first_byte_seconds in config.toml",
            )
        };
        self.failed(Trouble::Stalled, &message, hint, true)
    }

    /// The reply ended for another reason than that it is complete.
    pub(super) fn stopped(&self, reason: &str) -> Failure {
        let filtered = ["content_filter", "safety", "recitation", "blocklist", "prohibited", "refusal"];
        let (trouble, hint, transient) = match reason.to_ascii_lowercase().as_str() {
            "length" | "max_tokens" | "model_length" => (
                Trouble::Length,
                "ask for something shorter, or raise max_tokens in config.toml or the server's own limit",
                false,
            ),
            reason if filtered.iter().any(|word| reason.contains(word)) => {
                (Trouble::Filtered, FILTERED, false)
            }
            "tool_calls" | "function_call" => (
                Trouble::Stopped,
                "the model called a tool, which it was not offered; try another model",
                false,
            ),
            "error" | "insufficient_system_resource" => (Trouble::Server, LATER, true),
            _ => (Trouble::Stopped, "ask again, or choose another model", false),
        };
        let reason = self.line(reason, 50);
        let message = format!("the model's reply was cut: it ended with finish_reason `{reason}`");
        self.failed(trouble, &message, hint, transient)
    }

    /// The connection could not be made, or broke.
    pub(super) fn broken(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        let mut kinds = Vec::new();
        let mut chain = String::new();
        while let Some(source) = cause.source() {
            cause = source;
            chain.push_str(&cause.to_string().to_ascii_lowercase());
            // One may be in another, and is then no source of it.
            let mut inner = cause.downcast_ref::<io::Error>();
            while let Some(error) = inner {
                kinds.push(error.kind());
                inner = error.get_ref().and_then(|error| error.downcast_ref());
            }
        }
        let cause = self.line(&cause.to_string(), WORDS);
        let base = &self.remote().base_url;
        let check = format!("correct the base URL ({}); `org-agent doctor` checks it", base.source);
        if !error.is_connect() {
            // What it answered begins as no answer of HTTP does.
            if chain.contains("invalid http") {
                let message = format!("what answers at {} does not speak HTTP: {cause}", base.value);
                let hint = format!("if the server has TLS, write https://; else {check}");
                return self.failed(Trouble::Garbled, &message, &hint, false);
            }
            let message = format!("the connection to the model's server broke: {cause}");
            return self.failed(Trouble::Cut, &message, AGAIN, true);
        }
        let (way, start) = self.way();
        let (trouble, hint, transient) = if chain.contains("dns error") {
            // A name may resolve later: networks come back.
            (Trouble::Dns, format!("is there a network? else {check}"), true)
        } else if chain.contains("causedasendentity") {
            let hint = "the server shows the certificate of an authority, which is no server's: make it one of its own \
                        (`openssl req -x509 … -addext basicConstraints=critical,CA:FALSE`)";
            (Trouble::Tls, hint.to_owned(), false)
        } else if kinds.contains(&ErrorKind::InvalidData)
            || ["certificate", "tls", "handshake"].iter().any(|word| chain.contains(word))
        {
            let hint = format!(
                "if its certificate is your own, name it with ca_file in config.toml; a server without TLS has http://, \
                 so else {check}"
            );
            (Trouble::Tls, hint, false)
        } else if chain.contains("proxy authorization required") {
            (Trouble::Unreachable, PASSWORD.to_owned(), false)
        } else if kinds.contains(&ErrorKind::ConnectionRefused) {
            // A port that refuses has no server behind it.
            (Trouble::Unreachable, format!("{start}, or {check}"), false)
        } else if error.is_timeout() || kinds.contains(&ErrorKind::TimedOut) {
            let seconds = self.patience().connect.as_secs();
            let message = format!("cannot connect to {}{way}: no answer within {seconds} s", base.value);
            let hint = format!("is a firewall in the way? {start}, or {check}");
            return self.failed(Trouble::Unreachable, &message, &hint, true);
        } else {
            (Trouble::Unreachable, format!("{start}, or {check}"), true)
        };
        self.failed(trouble, &format!("cannot connect to {}{way}: {cause}", base.value), &hint, transient)
    }

    /// The way to the server where it is not straight, and what to do first if it is barred.
    fn way(&self) -> (String, String) {
        let remote = self.remote();
        let url = &remote.base_url.value;
        let variables = match &remote.terms.proxy {
            Proxy::Through(proxy) => {
                let host = proxy.host_str().unwrap_or_default();
                let port = proxy.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
                let way = format!(" through the proxy {host}{port}");
                return (way, "start the proxy, correct proxy in config.toml".to_owned());
            }
            Proxy::Environment if !remote.is_local() && url.scheme() == "https" => {
                ["HTTPS_PROXY", "ALL_PROXY"]
            }
            Proxy::Environment if !remote.is_local() => ["HTTP_PROXY", "ALL_PROXY"],
            Proxy::Environment | Proxy::None => ["", ""],
        };
        let is_set = |name: &str| {
            !name.is_empty()
                && [name, &name.to_ascii_lowercase()].into_iter().any(|name| env::var_os(name).is_some())
        };
        let start = match variables.into_iter().find(|name| is_set(name)) {
            Some(name) => {
                format!("correct the variable {name}, or go past it with proxy = \"none\" in config.toml")
            }
            None => "start the server".to_owned(),
        };
        (String::new(), start)
    }

    /// What the library says about a chunk or a request.
    pub(super) fn failure(&self, error: &OpenAIError) -> Failure {
        if let Some(failure) = self.found.get() {
            return failure.clone();
        }
        match error {
            OpenAIError::JSONDeserialize(error, content) => {
                // The parser quotes what it was given, however long that is.
                let (error, words) = (self.line(&error.to_string(), 120), self.line(content, 80));
                let message = format!("the model's server sent a broken chunk: {error}: {words}");
                self.failed(Trouble::Garbled, &message, AGAIN, true)
            }
            error => {
                let words = self.line(&error.to_string(), WORDS);
                let message = format!("the request to the model failed: {words}");
                self.failed(Trouble::Internal, &message, "the log of the server may have more", false)
            }
        }
    }

    /// An error in the place of a reply, or in the middle of one.
    pub(super) fn complaint(&self, error: &Value) -> Failure {
        let said = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let code = error.get("code").or_else(|| error.get("status_code"));
        let status = code.and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
        let words = self.line(&words(error).unwrap_or_else(|| error.to_string()), WORDS);
        let busy = |word: &str| {
            ["overloaded", "rate_limit", "server_error", "unavailable", "timeout"]
                .iter()
                .any(|part| word.contains(part))
        };
        let (trouble, hint, transient) = match status.and_then(|status| u16::try_from(status).ok()) {
            Some(status @ 400..=599) => self.meaning(status, said("code"), &words, None),
            _ if busy(said("type")) || busy(said("code")) => (Trouble::Server, LATER.to_owned(), true),
            _ if said("code") == "content_filter" => (Trouble::Filtered, FILTERED.to_owned(), false),
            _ => (Trouble::Server, "ask again, or choose another model".to_owned(), false),
        };
        self.failed(trouble, &format!("the model's server reports: {words}"), &hint, transient)
    }

    /// A status other than success, or a body that is no stream.
    pub(super) fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &str) -> Failure {
        let json: Option<Value> = serde_json::from_str(body).ok();
        // Some wrap it into a list.
        let json = json.as_ref().map(|json| json.get(0).unwrap_or(json));
        let error = json.and_then(|json| json.get("error")).filter(|error| !error.is_null());
        if let (true, Some(error)) = (status.is_success(), error) {
            return self.complaint(error);
        }
        let error = error.or(json);
        let words = error.and_then(words).unwrap_or_else(|| body.to_owned());
        let words = self.line(&words, WORDS);
        let code = error.and_then(|error| error.get("code")?.as_str()).unwrap_or_default();
        let after = after(headers);
        let (trouble, hint, transient) = if status.is_redirection() {
            let to = headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let to = to.map_or_else(|| "another address".to_owned(), |text| self.line(text, 200));
            let hint =
                format!("it redirects to {to}, and a key is not sent on; set the base URL to the final one");
            (Trouble::Garbled, hint, false)
        } else {
            self.meaning(status.as_u16(), code, &words, after)
        };
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        let message = if status.is_success() {
            format!("the model's server gave an unexpected answer{said}")
        } else {
            format!("the model's server refused: {status}{said}")
        };
        Failure { after, ..self.failed(trouble, &message, &hint, transient) }
    }

    /// What a status means that came with these words and this code of the server's own; what to do about it; and
    /// whether it may pass.
    fn meaning(
        &self,
        status: u16,
        code: &str,
        words: &str,
        after: Option<Duration>,
    ) -> (Trouble, String, bool) {
        let remote = self.remote();
        let (base, model) = (&remote.base_url, &remote.model);
        let lower = words.to_ascii_lowercase();
        match status {
            200..=299 => (
                Trouble::Garbled,
                format!(
                    "is {} ({}) the API of an OpenAI-compatible server that streams? Often /v1 is missing",
                    base.value, base.source
                ),
                false,
            ),
            407 => (Trouble::Unreachable, PASSWORD.to_owned(), false),
            // Some say 400 to a key that they do not know.
            400 if lower.contains("api key") => self.unwelcome(false),
            401 | 403 => self.unwelcome(status == 403),
            404 if code == "model_not_found" => (
                Trouble::NotFound,
                format!("check the model {} ({}); {LISTS}", model.value, model.source),
                false,
            ),
            404 => (
                Trouble::NotFound,
                format!(
                    "check the base URL {} ({}) and the model {} ({}); {LISTS}",
                    base.value, base.source, model.value, model.source
                ),
                false,
            ),
            402 => (
                Trouble::NoQuota,
                "the account has nothing left; see the provider's billing page".to_owned(),
                false,
            ),
            429 if code == "insufficient_quota" => (
                Trouble::NoQuota,
                "the account has no quota left; see the provider's billing page".to_owned(),
                false,
            ),
            429 => (Trouble::RateLimited, wait(after), true),
            408 => (Trouble::Stalled, LATER.to_owned(), true),
            500.. => (Trouble::Server, wait(after), true),
            413 => (Trouble::TooLong, too_long(), false),
            _ if code == "content_filter" => (Trouble::Filtered, FILTERED.to_owned(), false),
            _ if code == "context_length_exceeded"
                || ["context", "too long"].iter().any(|word| lower.contains(word)) =>
            {
                (Trouble::TooLong, too_long(), false)
            }
            _ => (
                Trouble::Rejected,
                "the server does not take this request; often the prompt is too long for the model"
                    .to_owned(),
                false,
            ),
        }
    }

    /// What a key that is not known means, or one that may not do this.
    fn unwelcome(&self, forbidden: bool) -> (Trouble, String, bool) {
        let remote = self.remote();
        let hint = match &remote.key {
            Some(key) if forbidden => {
                format!("may the account of this key ({}) use {}? else check the key", key.source, remote.model.value)
            }
            Some(key) => format!("check the key ({})", key.source),
            None => "no key was sent: set OPENAI_API_KEY beside OPENAI_BASE_URL, or api_key_env beside base_url in \
                     config.toml"
                .to_owned(),
        };
        (if forbidden { Trouble::Forbidden } else { Trouble::Unauthorized }, hint, false)
    }
}

/// What to do about a prompt that is too long.
fn too_long() -> String {
    "the prompt is too long for the model: set context_tokens in config.toml, attach less, or begin another session"
        .to_owned()
}

/// How long the server asks to wait, in words, and what to do then.
fn wait(after: Option<Duration>) -> String {
    match after.map(|after| after.as_secs_f64().ceil()).filter(|seconds| *seconds > 0.0) {
        Some(seconds) => format!("the server asks to wait {seconds} s; {LATER}"),
        None => LATER.to_owned(),
    }
}

/// How long the server asks to wait: `Retry-After` as RFC 9110 has it, in seconds or as a date, and OpenAI's
/// `retry-after-ms`.
fn after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let millis = text("retry-after-ms").and_then(|text| text.trim().parse::<u32>().ok());
    if let Some(millis) = millis {
        return Some(Duration::from_millis(millis.into()));
    }
    let text = text(RETRY_AFTER.as_str())?.trim();
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => {
            let date = httpdate::parse_http_date(text).ok()?;
            Some(date.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

/// The words of an error object: a string, or its `message` or `detail`.
fn words(error: &Value) -> Option<String> {
    let text =
        error.as_str().or_else(|| error.get("message")?.as_str()).or_else(|| error.get("detail")?.as_str());
    text.map(str::to_owned)
}

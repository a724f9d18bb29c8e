//! What a server's errors mean, and what the user can do about them.
//!
//! Every message is one short line without the key, whatever the server wrote: its words are masked before they are cut,
//! since what is left of a key that was cut is not known as one.

use std::time::{Duration, SystemTime};

use async_openai::error::OpenAIError;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::transport::Exchange;
use crate::model::{Failure, Trouble, one_line};
use crate::redact::{Keys, redact};

/// The most characters of a server's own words that are shown.
const WORDS: usize = 300;

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
        self.failed(Trouble::Cut, message, "", true)
    }

    /// Nothing came for too long.
    pub(super) fn stalled(&self, seconds: u64) -> Failure {
        self.failed(Trouble::Stalled, &format!("the model's server sent nothing for {seconds} s"), "", true)
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
            reason if filtered.iter().any(|word| reason.contains(word)) => (
                Trouble::Filtered,
                "the server's content filter stopped it; put the question in other words",
                false,
            ),
            "tool_calls" | "function_call" => (
                Trouble::Stopped,
                "the model called a tool, which it was not offered; try another model",
                false,
            ),
            "error" | "insufficient_system_resource" => (Trouble::Server, "", true),
            _ => (Trouble::Stopped, "", false),
        };
        let reason = self.line(reason, 50);
        let message = format!("the model's reply was cut: it ended with finish_reason `{reason}`");
        self.failed(trouble, &message, hint, transient)
    }

    /// The connection could not be made, or broke.
    pub(super) fn broken(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        let mut refused = false;
        let mut chain = String::new();
        while let Some(source) = cause.source() {
            cause = source;
            chain.push_str(&cause.to_string().to_ascii_lowercase());
            refused |= cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        }
        let cause = self.line(&cause.to_string(), WORDS);
        if !error.is_connect() {
            let message = format!("the connection to the model's server broke: {cause}");
            return self.failed(Trouble::Cut, &message, "", true);
        }
        let base = &self.remote().base_url;
        let check = format!("correct the base URL ({}); `org-agent doctor` checks it", base.source);
        let (trouble, hint, transient) = if chain.contains("dns error") {
            // A name may resolve later: networks come back.
            (Trouble::Dns, format!("is there a network? else {check}"), true)
        } else if chain.contains("certificate") || chain.contains("tls") || chain.contains("handshake") {
            let hint = format!(
                "if its certificate is your own, name it with ca_file in config.toml; a server without TLS has http://, \
                 so else {check}"
            );
            (Trouble::Tls, hint, false)
        } else if refused {
            // A port that refuses has no server behind it.
            (Trouble::Unreachable, format!("start the server, or {check}"), false)
        } else {
            (Trouble::Unreachable, format!("start the server, or {check}"), true)
        };
        self.failed(trouble, &format!("cannot connect to {}: {cause}", base.value), &hint, transient)
    }

    /// What the library says about a chunk or a request.
    pub(super) fn failure(&self, error: &OpenAIError) -> Failure {
        if let Some(failure) = self.found.get() {
            return failure.clone();
        }
        match error {
            OpenAIError::JSONDeserialize(error, content) => {
                let words = self.line(content, 80);
                let message = format!("the model's server sent a broken chunk: {error}: {words}");
                self.failed(Trouble::Garbled, &message, "", true)
            }
            error => {
                let words = self.line(&error.to_string(), WORDS);
                let message = format!("the request to the model failed: {words}");
                self.failed(Trouble::Internal, &message, "", false)
            }
        }
    }

    /// An error object in the middle of a stream.
    pub(super) fn complaint(&self, error: &Value) -> Failure {
        let said = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let code = error.get("code").and_then(Value::as_u64).unwrap_or_default();
        let busy = |word: &str| {
            ["overloaded", "rate_limit", "server_error", "unavailable", "timeout"]
                .iter()
                .any(|part| word.contains(part))
        };
        let transient =
            code == 429 || (500..=599).contains(&code) || busy(said("type")) || busy(said("code"));
        let words = words(error).unwrap_or_else(|| error.to_string());
        let message = format!("the model's server reports: {}", self.line(&words, WORDS));
        self.failed(Trouble::Server, &message, "", transient)
    }

    /// A status other than success, or a body that is no stream.
    pub(super) fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &str) -> Failure {
        let json: Option<Value> = serde_json::from_str(body).ok();
        // Some wrap it into a list.
        let json = json.as_ref().map(|json| json.get(0).unwrap_or(json));
        let error = json.map(|json| json.get("error").unwrap_or(json));
        let words = error.and_then(words).unwrap_or_else(|| body.to_owned());
        let words = self.line(&words, WORDS);
        let remote = self.remote();
        let header =
            |name| headers.get(name).and_then(|value| value.to_str().ok()).map(|text| self.line(text, 200));
        let code = error.and_then(|error| error.get("code")?.as_str()).unwrap_or_default();
        let base = &remote.base_url;
        let after = after(headers);
        let (trouble, hint, transient) = match status.as_u16() {
            200..=299 => (
                Trouble::Garbled,
                format!(
                    "is {} ({}) the API of an OpenAI-compatible server that streams? Often /v1 is missing",
                    base.value, base.source
                ),
                false,
            ),
            300..=399 => {
                let to = header(LOCATION).unwrap_or_else(|| "another address".to_owned());
                let hint = format!(
                    "it redirects to {to}, and a key is not sent on; set the base URL to the final one"
                );
                (Trouble::Garbled, hint, false)
            }
            407 => (
                Trouble::Unreachable,
                "the proxy wants a password; set another with proxy in config.toml".to_owned(),
                false,
            ),
            401 | 403 => {
                let hint = match &remote.key {
                    Some(key) if status.as_u16() == 403 => {
                        format!("may the account of this key ({}) use {}? else check the key", key.source, remote.model.value)
                    }
                    Some(key) => format!("check the key ({})", key.source),
                    None => "no key was sent: set OPENAI_API_KEY beside OPENAI_BASE_URL, or api_key_env beside base_url in \
                             config.toml"
                        .to_owned(),
                };
                (if status.as_u16() == 403 { Trouble::Forbidden } else { Trouble::Unauthorized }, hint, false)
            }
            404 => (
                Trouble::NotFound,
                format!(
                    "check the base URL {} ({}) and the model {} ({}); `org-agent doctor` lists what the server has",
                    base.value, base.source, remote.model.value, remote.model.source
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
            408 => (Trouble::Stalled, String::new(), true),
            500.. => (Trouble::Server, wait(after), true),
            413 => (Trouble::TooLong, too_long(), false),
            _ if code == "context_length_exceeded" || words.to_ascii_lowercase().contains("context") => {
                (Trouble::TooLong, too_long(), false)
            }
            _ => (
                Trouble::Rejected,
                "the server does not take this request; often the prompt is too long for the model"
                    .to_owned(),
                false,
            ),
        };
        let message = if status.is_success() {
            format!("the model's server gave an unexpected answer: {words}")
        } else {
            format!("the model's server refused: {status}: {words}")
        };
        Failure { after, ..self.failed(trouble, &message, &hint, transient) }
    }
}

/// What to do about a prompt that is too long.
fn too_long() -> String {
    "the prompt is too long for the model: set context_tokens in config.toml, attach less, or begin another session"
        .to_owned()
}

/// How long the server asks to wait, in words.
fn wait(after: Option<Duration>) -> String {
    after.map(|after| format!("the server asks to wait {} s", after.as_secs_f64().ceil())).unwrap_or_default()
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

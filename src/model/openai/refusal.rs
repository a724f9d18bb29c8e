//! What a server's errors mean, and what the user can do about them.
//!
//! Every message is one short line without the key, whatever the server wrote.

use async_openai::error::OpenAIError;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::transport::Exchange;
use crate::model::{Failure, one_line};

/// The most characters of a server's own words that are shown.
const WORDS: usize = 300;

impl Exchange {
    /// A failure. The server may have echoed the key; that is taken out here.
    pub(super) fn failed(&self, message: &str, hint: &str, transient: bool) -> Failure {
        let clean = |text: &str| match &self.key {
            Some(key) if key.expose_secret().len() >= 4 => text.replace(key.expose_secret(), "[key]"),
            _ => text.to_owned(),
        };
        Failure { message: clean(message), hint: clean(hint), transient }
    }

    /// The stream ended without its end mark.
    pub(super) fn cut(&self) -> Failure {
        self.failed("the model's reply was cut: the connection ended before the reply did", "", true)
    }

    /// Nothing came for too long.
    pub(super) fn stalled(&self, seconds: u64) -> Failure {
        self.failed(&format!("the model's server sent nothing for {seconds} s"), "", true)
    }

    /// The reply ended for another reason than that it is complete.
    pub(super) fn stopped(&self, reason: &str) -> Failure {
        let hint = match reason {
            "length" => "ask for something shorter, or raise the server's limit on the length of a reply",
            "content_filter" => "the server's content filter stopped it; put the question in other words",
            "tool_calls" | "function_call" => {
                "the model called a tool, which it was not offered; try another model"
            }
            _ => "",
        };
        let reason = one_line(reason, 50);
        self.failed(
            &format!("the model's reply was cut: it ended with finish_reason `{reason}`"),
            hint,
            false,
        )
    }

    /// The connection could not be made, or broke.
    pub(super) fn broken(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        let mut refused = false;
        while let Some(source) = cause.source() {
            cause = source;
            refused |= cause
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        }
        let cause = one_line(&cause.to_string(), WORDS);
        if !error.is_connect() {
            return self.failed(&format!("the connection to the model's server broke: {cause}"), "", true);
        }
        let base = &self.remote().base_url;
        self.failed(
            &format!("cannot connect to {}: {cause}", base.value),
            &format!(
                "start the server, or correct the base URL ({}); `org-agent doctor` checks it",
                base.source
            ),
            // A name may resolve and a network may come back; a port that refuses has no server behind it.
            !refused,
        )
    }

    /// What the library says about a chunk or a request.
    pub(super) fn failure(&self, error: &OpenAIError) -> Failure {
        if let Some(failure) = self.found.get() {
            return failure.clone();
        }
        match error {
            OpenAIError::JSONDeserialize(error, content) => {
                let words = one_line(content, 80);
                self.failed(&format!("the model's server sent a broken chunk: {error}: {words}"), "", true)
            }
            error => {
                let words = one_line(&error.to_string(), WORDS);
                self.failed(&format!("the request to the model failed: {words}"), "", false)
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
        self.failed(&format!("the model's server reports: {}", one_line(&words, WORDS)), "", transient)
    }

    /// A status other than success, or a body that is no stream.
    pub(super) fn refused(&self, status: StatusCode, headers: &HeaderMap, body: &str) -> Failure {
        let json: Option<Value> = serde_json::from_str(body).ok();
        let error = json.as_ref().map(|json| json.get("error").unwrap_or(json));
        let words = error.and_then(words).unwrap_or_else(|| body.to_owned());
        let words = one_line(&words, WORDS);
        let remote = self.remote();
        let header =
            |name| headers.get(name).and_then(|value| value.to_str().ok()).map(|text| one_line(text, 200));
        let no_quota =
            error.is_some_and(|error| error.get("code").is_some_and(|code| code == "insufficient_quota"));
        let base = &remote.base_url;
        let (hint, transient) = match status.as_u16() {
            200..=299 => (
                format!("is {} ({}) the API of an OpenAI-compatible server that streams?", base.value, base.source),
                false,
            ),
            300..=399 => {
                let to = header(LOCATION).unwrap_or_else(|| "another address".to_owned());
                (format!("it redirects to {to}, and a key is not sent on; set the base URL to the final one"), false)
            }
            401 | 403 => match &remote.key {
                Some(key) => (format!("check the key ({})", key.source), false),
                None => (
                    "no key was sent: set OPENAI_API_KEY beside OPENAI_BASE_URL, or api_key_env beside base_url in \
                     config.toml"
                        .to_owned(),
                    false,
                ),
            },
            404 => (
                format!(
                    "check the base URL {} ({}) and the model {} ({})",
                    base.value, base.source, remote.model.value, remote.model.source
                ),
                false,
            ),
            429 if no_quota => ("the account has no quota left; see the provider's billing page".to_owned(), false),
            408 | 429 | 500.. => {
                let wait = header(RETRY_AFTER).map(|wait| format!("the server asks to wait: Retry-After {wait}"));
                (wait.unwrap_or_default(), true)
            }
            _ => ("the server does not take this request; often the prompt is too long for the model".to_owned(), false),
        };
        let message = if status.is_success() {
            format!("the model's server gave an unexpected answer: {words}")
        } else {
            format!("the model's server refused: {status}: {words}")
        };
        self.failed(&message, &hint, transient)
    }
}

/// The words of an error object: a string, or its `message` or `detail`.
fn words(error: &Value) -> Option<String> {
    let text =
        error.as_str().or_else(|| error.get("message")?.as_str()).or_else(|| error.get("detail")?.as_str());
    text.map(str::to_owned)
}

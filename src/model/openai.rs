//! Any OpenAI-compatible server, through async-openai.
//!
//! Knows how to ask for a stream, what of a chunk matters, and what ends a reply. The HTTP of it (time limits,
//! bounds) is in `transport`, what a server's errors mean in `refusal`, the key in `key`. Does not retry: the kernel does, where the user sees it.
//! Nothing is built or connected before the first request; after it the connection stays warm.

mod key;
mod refusal;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use async_openai::error::OpenAIError;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::{Failure, Model, Piece, Reply};
use crate::config::Remote;
use crate::prompt::Message;
use crate::record::Usage;
use transport::{Endpoint, Exchange, Service};

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For a connection.
    pub connect: Duration,
    /// For the reply's first byte. Long: a local model on a slow machine reads the whole prompt first.
    pub first_byte: Duration,
    /// Between two bytes. Servers that think for long send comment lines meanwhile.
    pub idle: Duration,
    /// For what may follow the end mark: the usage, and the end of the connection's body.
    pub after_end: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(300),
            idle: Duration::from_secs(60),
            after_end: Duration::from_secs(2),
        }
    }
}

/// A model at an OpenAI-compatible server.
#[derive(Debug)]
pub struct OpenAi {
    server: Arc<Server>,
}

impl OpenAi {
    /// The model that `remote` describes. Nothing is connected yet.
    #[must_use]
    pub fn new(remote: Remote) -> Self {
        Self::with_limits(remote, Limits::default())
    }

    /// The same with other time limits.
    #[must_use]
    pub fn with_limits(remote: Remote, limits: Limits) -> Self {
        let key = key::Keeper::new(remote.key.clone());
        Self { server: Arc::new(Server { remote, limits, key, http: OnceCell::new() }) }
    }
}

/// What a server says about its models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// It has these, one line each.
    Models(Vec<String>),
    /// It answers, but keeps no list.
    None,
}

impl OpenAi {
    /// Asks the server which models it has: the cheapest question that shows whether it is there and takes the
    /// key. Has no time limit of its own but that for the first byte.
    ///
    /// # Errors
    /// As for a reply.
    pub async fn models(&self) -> Result<Listing, Failure> {
        transport::models(Arc::clone(&self.server)).await
    }
}

impl Model for OpenAi {
    fn name(&self) -> &str {
        &self.server.remote.name
    }

    fn reply(&self, messages: Vec<Message>) -> Reply {
        let server = Arc::clone(&self.server);
        stream::once(async move { ask(server, messages).await }).try_flatten().boxed()
    }

    fn parameters(&self) -> Value {
        let mut url = self.server.remote.base_url.value.clone();
        // A name and a password in it are nobody's business. A URL that can have none has none.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        serde_json::json!({"model": self.server.remote.model.value, "baseUrl": url.as_str(), "stream": true})
    }

    fn keys(&self) -> Vec<SecretString> {
        self.server.key.seen()
    }
}

/// The body of a request.
#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: &'a str,
}

/// What matters of a chunk. Everything may be absent or null, and what is not named here is ignored.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Counted>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    content: Option<Content>,
}

/// A piece of the reply. Some servers send lists here while the model thinks; they are not the reply.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Counted {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

impl From<Counted> for Usage {
    fn from(counted: Counted) -> Self {
        Self {
            prompt_tokens: counted.prompt_tokens.unwrap_or_default(),
            completion_tokens: counted.completion_tokens.unwrap_or_default(),
        }
    }
}

/// A server, and what is kept between its requests.
#[derive(Debug)]
struct Server {
    remote: Remote,
    limits: Limits,
    key: key::Keeper,
    http: OnceCell<reqwest::Client>,
}

impl Server {
    /// What a request needs; made at the first one.
    async fn ready(&self) -> Result<(reqwest::Client, Option<SecretString>), Failure> {
        let key = self.key.get().await?;
        let http = self.http.get_or_try_init(|| transport::client(&self.remote, self.limits)).await?;
        Ok((http.clone(), key))
    }
}

/// A reply while it comes.
struct Incoming {
    exchange: Arc<Exchange>,
    chunks: BoxStream<'static, Result<Chunk, OpenAIError>>,
    usage: Option<Usage>,
    /// Set by the end mark: until when to wait for what may follow it.
    until: Option<Instant>,
}

/// Sends the request and returns the stream of its reply.
async fn ask(
    server: Arc<Server>,
    messages: Vec<Message>,
) -> Result<impl Stream<Item = Result<Piece, Failure>>, Failure> {
    let (http, key) = server.ready().await?;
    let exchange = Arc::new(Exchange::new(Arc::clone(&server), key.clone()));
    // A service of our own also turns off the library's silent retries.
    let client = async_openai::Client::build(http.clone(), Endpoint::new(&server.remote, key)?)
        .with_http_service(Service::new(http.clone(), Arc::clone(&exchange)));
    let request = Request {
        model: &server.remote.model.value,
        messages: messages
            .iter()
            .map(|message| Said { role: message.role.as_str(), content: &message.text })
            .collect(),
        stream: true,
        stream_options: StreamOptions { include_usage: true },
    };
    let chunks = client.chat().create_stream_byot::<_, Chunk>(request).await;
    let chunks = chunks.map_err(|error| exchange.failure(&error))?.boxed();
    let incoming = Incoming { exchange, chunks, usage: None, until: None };
    Ok(stream::unfold(Some(incoming), |incoming| async {
        let mut incoming = incoming?;
        let piece = incoming.next().await;
        let goes_on = matches!(piece, Ok(Piece::Text(_)));
        Some((piece, goes_on.then_some(incoming)))
    }))
}

impl Incoming {
    /// The next piece. After the end or a failure there is none.
    async fn next(&mut self) -> Result<Piece, Failure> {
        loop {
            let next = match self.until {
                None => self.chunks.next().await,
                // The usage comes after the end mark, if it comes. A server that sends neither usage nor an
                // end of the stream has still said that the reply is complete.
                Some(until) => timeout_at(until, self.chunks.next()).await.unwrap_or(None),
            };
            let chunk = match next {
                Some(Ok(chunk)) => chunk,
                _ if self.until.is_some() => return Ok(Piece::End(self.usage)),
                Some(Err(error)) => return Err(self.exchange.failure(&error)),
                None => return Err(self.exchange.cut()),
            };
            self.exchange.taken();
            if let Some(error) = chunk.error {
                return Err(self.exchange.complaint(&error));
            }
            self.usage = chunk.usage.map(Usage::from).or(self.usage);
            let Some(choice) = chunk.choices.into_iter().flatten().next() else { continue };
            match choice.finish_reason.as_deref() {
                None | Some("") => {}
                // `eos_token` is what text-generation-inference said for a while.
                Some("stop" | "eos_token") => {
                    self.until = Some(Instant::now() + self.exchange.limits().after_end);
                }
                Some(reason) => return Err(self.exchange.stopped(reason)),
            }
            if let Some(Delta { content: Some(Content::Text(text)) }) = choice.delta
                && !text.is_empty()
            {
                return Ok(Piece::Text(text));
            }
        }
    }
}

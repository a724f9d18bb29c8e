//! Any OpenAI-compatible server, through async-openai.
//!
//! Knows how to ask for a stream, what of a chunk matters, and what ends a reply. The HTTP of it (time limits,
//! bounds) is in `transport`, what a server's errors mean in `refusal`, the key in `key`. Does not retry: the kernel does, where the user sees it.
//! Nothing is built or connected before the first request; after it the connection stays warm.

mod chunk;
mod dialect;
mod key;
mod notation;
mod refusal;
mod thoughts;
mod transport;

use std::sync::Arc;

use async_openai::error::OpenAIError;
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::{Ask, Failure, Model, Piece, Reply, Wanted};
use crate::config::{Remote, Terms};
use crate::record::Usage;
use crate::tokens::Counter;
use chunk::Chunk;
use dialect::Constraint;
use notation::Notation;
use thoughts::Thoughts;
use transport::{Endpoint, Exchange, Service};

/// A model at an OpenAI-compatible server.
#[derive(Debug)]
pub struct OpenAi {
    server: Arc<Server>,
}

impl OpenAi {
    /// The model that `remote` describes. Nothing is connected yet.
    #[must_use]
    pub fn new(remote: Remote) -> Self {
        let key = key::Keeper::new(remote.key.clone());
        Self { server: Arc::new(Server { remote, key, http: OnceCell::new() }) }
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

    fn reply(&self, ask: Ask) -> Reply {
        let server = Arc::clone(&self.server);
        stream::once(async move { send(server, ask).await }).try_flatten().boxed()
    }

    fn parameters(&self, wanted: &Wanted) -> Value {
        let remote = &self.server.remote;
        let mut url = remote.base_url.value.clone();
        // A name and a password in it are nobody's business. A URL that can have none has none.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        let mut parameters = self.server.options();
        parameters.insert("model".to_owned(), remote.model.value.clone().into());
        parameters.insert("baseUrl".to_owned(), url.as_str().into());
        parameters.remove("stream_options");
        parameters.extend(Constraint::new(&remote.terms, wanted).note());
        parameters.into()
    }

    fn counter(&self) -> Counter {
        Counter::of(&self.server.remote.model.value)
    }

    fn terms(&self) -> Option<&Terms> {
        Some(&self.server.remote.terms)
    }

    fn keys(&self) -> Vec<SecretString> {
        self.server.key.seen()
    }
}

/// A server, and what is kept between its requests.
#[derive(Debug)]
struct Server {
    remote: Remote,
    key: key::Keeper,
    http: OnceCell<reqwest::Client>,
}

impl Server {
    /// What a request needs; made at the first one.
    async fn ready(&self) -> Result<(reqwest::Client, Option<SecretString>), Failure> {
        let key = self.key.get().await?;
        let http = self.http.get_or_try_init(|| transport::client(&self.remote)).await?;
        Ok((http.clone(), key))
    }

    /// What a request says beside model and messages, however it is constrained.
    fn options(&self) -> Map<String, Value> {
        let terms = &self.remote.terms;
        let mut options = Map::new();
        options.insert("stream".to_owned(), true.into());
        if !terms.provider.is_some_and(|provider| provider.counts_unasked) {
            options.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        if let Some(most) = terms.max_tokens {
            let name = terms.provider.map_or("max_tokens", |provider| provider.max_tokens);
            options.insert(name.to_owned(), most.into());
        }
        if let Some(temperature) = terms.temperature {
            options.insert("temperature".to_owned(), temperature.into());
        }
        options
    }
}

/// A reply while it comes.
struct Incoming {
    exchange: Arc<Exchange>,
    chunks: BoxStream<'static, Result<Chunk, OpenAIError>>,
    thoughts: Thoughts,
    /// Set if it comes as JSON.
    notation: Option<Notation>,
    /// Whether a call of the tool ends it.
    is_tool: bool,
    usage: Option<Usage>,
    /// What came and was not handed on yet, the last first.
    ready: Vec<Piece>,
    /// Set by the end mark: until when to wait for what may follow it.
    until: Option<Instant>,
}

/// Sends the request and returns the stream of its reply.
async fn send(server: Arc<Server>, ask: Ask) -> Result<impl Stream<Item = Result<Piece, Failure>>, Failure> {
    let (http, key) = server.ready().await?;
    let exchange = Arc::new(Exchange::new(Arc::clone(&server), key.clone()));
    // A service of our own also turns off the library's silent retries.
    let client = async_openai::Client::build(http.clone(), Endpoint::new(&server.remote, key)?)
        .with_http_service(Service::new(http.clone(), Arc::clone(&exchange)));
    let terms = &server.remote.terms;
    let constraint = Constraint::new(terms, &ask.wanted);
    let mut request = Map::new();
    request.insert("model".to_owned(), server.remote.model.value.clone().into());
    let thinks = terms.thinks.unwrap_or_else(|| thoughts::known(&server.remote.model.value));
    let messages = constraint.messages(ask);
    let messages = messages.iter().map(|said| json!({"role": said.role.as_str(), "content": said.text}));
    request.insert("messages".to_owned(), messages.collect());
    request.extend(server.options());
    request.extend(constraint.fields().clone());
    let chunks = client.chat().create_stream_byot::<_, Chunk>(Value::Object(request)).await;
    let chunks = chunks.map_err(|error| exchange.failure(&error))?.boxed();
    let incoming = Incoming {
        exchange,
        chunks,
        thoughts: Thoughts::new(thinks),
        notation: constraint.is_json().then(Notation::default),
        is_tool: constraint.is_tool(),
        usage: None,
        ready: Vec::new(),
        until: None,
    };
    Ok(stream::unfold(Some(incoming), |incoming| async {
        let mut incoming = incoming?;
        let piece = incoming.next().await;
        let goes_on = !matches!(piece, Ok(Piece::End(_)) | Err(_));
        Some((piece, goes_on.then_some(incoming)))
    }))
}

impl Incoming {
    /// The next piece. After the end or a failure there is none.
    async fn next(&mut self) -> Result<Piece, Failure> {
        loop {
            if let Some(piece) = self.ready.pop() {
                return Ok(piece);
            }
            let next = match self.until {
                None => self.chunks.next().await,
                // The usage comes after the end mark, if it comes. A server that sends neither usage nor an
                // end of the stream has still said that the reply is complete.
                Some(until) => timeout_at(until, self.chunks.next()).await.unwrap_or(None),
            };
            let mut chunk = match next {
                Some(Ok(chunk)) => chunk,
                _ if self.until.is_some() => return Ok(Piece::End(self.usage)),
                Some(Err(error)) => return Err(self.exchange.failure(&error)),
                None => return Err(self.exchange.cut()),
            };
            self.exchange.taken();
            if let Some(error) = chunk.error {
                return Err(self.exchange.complaint(&error));
            }
            self.usage = chunk.usage().or(self.usage);
            let Some(choice) = chunk.choice() else { continue };
            let (reasoning, said) = choice.delta.unwrap_or_default().split();
            let (thought, mut said) = self.thoughts.push(&said);
            match choice.finish_reason.as_deref() {
                None | Some("") => {}
                // `eos_token` is what text-generation-inference said for a while.
                Some("stop" | "eos_token") => self.ended(&mut said),
                Some("tool_calls") if self.is_tool => self.ended(&mut said),
                Some(reason) => return Err(self.exchange.stopped(reason)),
            }
            // The last first.
            if let Some(notation) = self.notation.as_mut().filter(|_| !said.is_empty()) {
                self.ready.push(Piece::Translated { text: notation.push(&said), original: said });
            } else if !said.is_empty() {
                self.ready.push(Piece::Text(said));
            }
            self.ready
                .extend([thought, reasoning].into_iter().filter(|text| !text.is_empty()).map(Piece::Thought));
        }
    }

    /// The end mark came; with it what was held back of what is `said`.
    fn ended(&mut self, said: &mut String) {
        said.push_str(&self.thoughts.finish());
        // A second mark does not make it any later.
        let patience = self.exchange.patience().after_end;
        self.until.get_or_insert_with(|| Instant::now() + patience);
    }
}

//! The HTTP under a model: one request, once, with time limits and bounds on what a server may send.
//!
//! The library splits a stream into events with a parser that reads an unfinished line again with every
//! packet, panics on a byte order mark and puts no bound on its queue. So whole events are cut out here, each
//! handed on by itself, and only as fast as they are taken.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use futures::future::BoxFuture;
use futures::stream::{self, Stream};
use memchr::memchr;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Certificate, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{Listing, Server};
use crate::config::{Patience, Proxy, Remote};
use crate::model::{Failure, Trouble, one_line};

/// The most bytes of a reply on the wire. A chunk carries a token in some 300 bytes.
const MAX_BODY: usize = 64 << 20;

/// The most bytes of one event, and of one line.
const MAX_EVENT: usize = 4 << 20;

/// The most bytes of a refusal that are read.
const MAX_REFUSAL: usize = 64 << 10;

/// The most bytes of a list of models that are read.
const MAX_LISTING: usize = 4 << 20;

/// How many events may wait to be taken.
const AHEAD: usize = 1024;

/// What some servers begin a stream with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The most bytes of a file of certificates.
const MAX_CERTIFICATES: u64 = 4 << 20;

/// The HTTP client for `remote`. It connects when it is first used, and keeps the connection.
pub(super) async fn client(remote: &Remote) -> Result<reqwest::Client, Failure> {
    let failed = |why: &str, hint: &str| {
        Failure::new(Trouble::Configuration, format!("cannot prepare connections: {why}")).hint(hint)
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("org-agent/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(remote.terms.patience.connect)
        // A redirect would take the prompt, and maybe the key, to a server that nobody configured.
        .redirect(redirect::Policy::none());
    if remote.terms.provider.is_some_and(|provider| provider.closes) {
        // A request that is sent while the connection is being closed is lost.
        builder = builder.pool_max_idle_per_host(0);
    }
    builder = match &remote.terms.proxy {
        Proxy::Through(url) => {
            let proxy = reqwest::Proxy::all(url.as_str());
            builder.proxy(
                proxy.map_err(|_| failed("the proxy's address is none", "correct proxy in config.toml"))?,
            )
        }
        Proxy::None => builder.no_proxy(),
        Proxy::Environment if remote.is_local() => builder.no_proxy(),
        Proxy::Environment => builder,
    };
    let (url, file) = (remote.base_url.value.clone(), remote.terms.ca_file.clone());
    // Reading certificates takes a while; the loop must not wait for it.
    let built = tokio::task::spawn_blocking(move || {
        // Without TLS and without redirects there is nothing to check certificates for.
        if url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        } else if let Some(file) = file {
            let mut pem = Vec::new();
            let read = File::open(&file).and_then(|file| file.take(MAX_CERTIFICATES).read_to_end(&mut pem));
            let read = read.map_err(|error| error.to_string());
            let bundle =
                read.and_then(|_| Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string()));
            let bundle = bundle.and_then(|all| {
                if all.is_empty() { Err("there is no certificate in it".to_owned()) } else { Ok(all) }
            });
            let bundle = bundle.map_err(|why| {
                (
                    format!("{}: {why}", file.display()),
                    "correct ca_file in config.toml: it names certificates in PEM",
                )
            })?;
            builder = builder.tls_certs_merge(bundle);
        }
        builder
            .build()
            .map_err(|error| (format!("{error:?}"), "check the system's certificates and proxy variables"))
    })
    .await;
    built
        .unwrap_or_else(|error| {
            Err((error.to_string(), "this is a bug; the log of the server has the place"))
        })
        .map_err(|(why, hint)| failed(&one_line(&why, 300), hint))
}

/// Where and as whom the library asks. Its own type reads the environment and panics on a malformed key.
#[derive(Debug)]
pub(super) struct Endpoint {
    base: String,
    key: SecretString,
    headers: HeaderMap,
}

impl Endpoint {
    pub(super) fn new(remote: &Remote, key: Option<SecretString>) -> Result<Self, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &key {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {}", key.expose_secret())).map_err(|_| {
                    Failure::new(Trouble::Configuration, "the key cannot stand in a header")
                        .hint("set it again without blanks and quotes")
                })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self { base: remote.url(""), key: key.unwrap_or_default(), headers })
    }
}

impl async_openai::config::Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base
    }

    fn api_key(&self) -> &SecretString {
        &self.key
    }
}

/// One request and its reply, seen from both ends of the library.
pub(super) struct Exchange {
    server: Arc<Server>,
    pub(super) key: Option<SecretString>,
    /// What went wrong. The library passes errors on as text only.
    pub(super) found: OnceLock<Failure>,
    ahead: Semaphore,
}

impl Exchange {
    pub(super) fn new(server: Arc<Server>, key: Option<SecretString>) -> Self {
        Self { server, key, found: OnceLock::new(), ahead: Semaphore::new(AHEAD) }
    }

    pub(super) fn remote(&self) -> &Remote {
        &self.server.remote
    }

    /// All that is known of this server's keys.
    pub(super) fn keys(&self) -> Vec<SecretString> {
        self.server.key.all()
    }

    pub(super) fn patience(&self) -> Patience {
        self.server.remote.terms.patience
    }

    /// One event was taken: another may be handed on.
    pub(super) fn taken(&self) {
        self.ahead.add_permits(1);
    }

    /// Keeps `failure` for the other end and returns an error to get there. The first one counts.
    fn fail(&self, failure: Failure) -> io::Error {
        self.found.get_or_init(|| failure);
        io::Error::other("the exchange failed")
    }
}

/// Sends a request of the library's, once.
#[derive(Clone)]
pub(super) struct Service {
    http: reqwest::Client,
    exchange: Arc<Exchange>,
}

impl Service {
    pub(super) fn new(http: reqwest::Client, exchange: Arc<Exchange>) -> Self {
        Self { http, exchange }
    }

    /// Sends `request`. A response that is returned is a stream of events.
    async fn send(&self, request: reqwest::Request) -> Result<Response, Failure> {
        let exchange = &self.exchange;
        let limit = exchange.patience().first_byte;
        let response = timeout(limit, self.http.execute(request))
            .await
            .map_err(|_| exchange.stalled(limit, false))?
            .map_err(|error| exchange.broken(&error))?;
        let status = response.status();
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let page = ["text/html", "application/json"].iter().any(|other| kind.starts_with(other));
        if status.is_success() && !page {
            let events = events(response, Arc::clone(exchange));
            return Ok(http::Response::new(Body::wrap_stream(events)).into());
        }
        if status.as_u16() == 401 {
            exchange.server.key.forget().await;
        }
        let headers = response.headers().clone();
        let body =
            timeout(exchange.patience().connect, some(response, MAX_REFUSAL)).await.unwrap_or_default();
        Err(exchange.refused(status, &headers, &String::from_utf8_lossy(&body)))
    }
}

impl tower_service::Service<HttpRequestFactory> for Service {
    type Response = Response;
    type Error = OpenAIError;
    type Future = BoxFuture<'static, Result<Response, OpenAIError>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), OpenAIError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, factory: HttpRequestFactory) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let request = factory.build().await?;
            this.send(request).await.map_err(|failure| OpenAIError::Boxed(this.exchange.fail(failure).into()))
        })
    }
}

/// Asks for the list of models.
pub(super) async fn models(server: Arc<Server>) -> Result<Listing, Failure> {
    let (http, key) = server.ready().await?;
    let url = server.remote.url("/models");
    let endpoint = Endpoint::new(&server.remote, key.clone())?;
    let exchange = Exchange::new(server, key);
    let response = http
        .get(url)
        .headers(endpoint.headers)
        .timeout(exchange.patience().first_byte)
        .send()
        .await
        .map_err(|error| exchange.broken(&error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = some(response, MAX_LISTING).await;
    if matches!(status.as_u16(), 404 | 405) {
        return Ok(Listing::None);
    }
    let body = String::from_utf8_lossy(&body);
    if !status.is_success() {
        return Err(exchange.refused(status, &headers, &body));
    }
    let list: Value = serde_json::from_str(&body).map_err(|_| exchange.refused(status, &headers, &body))?;
    let Some(models) = list.get("data").and_then(Value::as_array) else { return Ok(Listing::None) };
    let name = |model: &Value| Some(exchange.line(model.get("id")?.as_str()?, 100));
    Ok(Listing::Models(models.iter().filter_map(name).collect()))
}

/// The beginning of a body.
async fn some(mut response: Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        body.extend_from_slice(&bytes);
        if body.len() > most {
            body.truncate(most);
            break;
        }
    }
    body
}

/// The events of `response`, one an item.
fn events(response: Response, exchange: Arc<Exchange>) -> impl Stream<Item = io::Result<String>> + Send {
    let events = Events::new(response, exchange);
    stream::unfold(Some(events), |events| async {
        let mut events = events?;
        match events.next().await {
            Ok(Some(event)) => Some((Ok(event), Some(events))),
            Ok(None) => None,
            Err(failure) => Some((Err(events.exchange.fail(failure)), None)),
        }
    })
}

/// Cuts a body into events.
struct Events {
    /// `None` only while it is dropped.
    response: Option<Response>,
    exchange: Arc<Exchange>,
    unread: Vec<u8>,
    /// Where the next line begins in `unread`.
    from: usize,
    total: usize,
    /// Whether a line was read.
    begun: bool,
    /// Whether the last event was `[DONE]`.
    done: bool,
    /// Whether an event was handed on.
    given: bool,
    /// The beginning of what belongs in no stream of events: a page, or an error in plain words.
    foreign: Vec<u8>,
}

impl Events {
    fn new(response: Response, exchange: Arc<Exchange>) -> Self {
        Self {
            response: Some(response),
            exchange,
            unread: Vec::new(),
            from: 0,
            total: 0,
            begun: false,
            done: false,
            given: false,
            foreign: Vec::new(),
        }
    }

    /// The next event that has data: its data lines and a blank line. `None` at the end of the body; what
    /// stands there without a blank line was cut, and is dropped.
    async fn next(&mut self) -> Result<Option<String>, Failure> {
        let mut event = Vec::new();
        let mut is_error = false;
        loop {
            let mark: &[u8] = if self.begun { b"" } else { BYTE_ORDER_MARK };
            let Some(line) = self.line().await? else { return self.ended().map(|()| None) };
            self.begun = true;
            let line = line.strip_prefix(mark).unwrap_or(&line);
            let (name, value) = line.split_at(memchr(b':', line).unwrap_or(line.len()));
            let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
            match name {
                b"data" => {
                    self.done = value == b"[DONE]";
                    event.extend_from_slice(line);
                    event.push(b'\n');
                    if event.len() > MAX_EVENT {
                        return Err(self.too_much("an event", MAX_EVENT));
                    }
                }
                b"" if line.is_empty() && is_error && !event.is_empty() => {
                    let data = event.strip_prefix(b"data:").unwrap_or(&event);
                    return Err(self.complaint(data));
                }
                b"" if line.is_empty() && !event.is_empty() => {
                    event.push(b'\n');
                    self.given = true;
                    if let Ok(permit) = self.exchange.ahead.acquire().await {
                        permit.forget();
                    }
                    return Ok(Some(String::from_utf8_lossy(&event).into_owned()));
                }
                b"event" => is_error = value == b"error",
                // As llama.cpp's server says it.
                b"error" => return Err(self.complaint(value)),
                // Comments keep the connection alive; ids and times mean nothing here.
                b"" | b"id" | b"retry" => {}
                _ => self.misplaced(line),
            }
        }
    }

    /// Keeps the beginning of what belongs in no stream, to show it if nothing else comes.
    fn misplaced(&mut self, line: &[u8]) {
        let room = MAX_REFUSAL.saturating_sub(self.foreign.len());
        if !self.given && room > 0 {
            self.foreign.extend_from_slice(&line[..line.len().min(room)]);
            self.foreign.push(b'\n');
        }
    }

    /// The body is at its end. One without any event may not have been a stream at all.
    fn ended(&mut self) -> Result<(), Failure> {
        let rest = std::mem::take(&mut self.unread);
        if ![&b":"[..], b"data", b"event", b"id", b"retry"].iter().any(|field| rest.starts_with(field)) {
            self.misplaced(&rest);
        }
        if self.given || self.foreign.trim_ascii().is_empty() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&self.foreign);
        Err(self.exchange.refused(StatusCode::OK, &HeaderMap::new(), &words))
    }

    /// An event that says what went wrong, in JSON or in plain words.
    fn complaint(&self, data: &[u8]) -> Failure {
        let text = String::from_utf8_lossy(data);
        let error: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.trim().to_owned()));
        self.exchange.complaint(error.get("error").unwrap_or(&error))
    }

    /// The next line, without its LF or CRLF.
    async fn line(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut searched = self.from;
        loop {
            if let Some(length) = memchr(b'\n', &self.unread[searched..]) {
                let line = &self.unread[self.from..searched + length];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.from = searched + length + 1;
                return Ok(Some(line));
            }
            self.unread.drain(..self.from);
            self.from = 0;
            searched = self.unread.len();
            if searched > MAX_EVENT {
                return Err(self.too_much("a line", MAX_EVENT));
            }
            if !self.read().await? {
                return Ok(None);
            }
        }
    }

    /// Reads more of the body; `false` at its end.
    async fn read(&mut self) -> Result<bool, Failure> {
        let Some(response) = &mut self.response else { return Ok(false) };
        let limits = self.exchange.patience();
        let limit = if self.total == 0 { limits.first_byte } else { limits.idle };
        let bytes = timeout(limit, response.chunk())
            .await
            .map_err(|_| self.exchange.stalled(limit, self.total > 0))?
            .map_err(|error| self.exchange.broken(&error))?;
        let Some(bytes) = bytes else { return Ok(false) };
        self.total += bytes.len();
        if self.total > MAX_BODY {
            return Err(self.too_much("a reply", MAX_BODY));
        }
        self.unread.extend_from_slice(&bytes);
        Ok(true)
    }

    fn too_much(&self, what: &str, limit: usize) -> Failure {
        let message = format!("the model's server sent {what} of more than {} MiB", limit >> 20);
        self.exchange.failed(Trouble::TooMuch, &message, "is this an OpenAI-compatible server?", false)
    }
}

impl Drop for Events {
    /// After `[DONE]` only the end of the body is missing. A connection is kept if that is read, and it saves
    /// the next turn a handshake. Without `[DONE]` the reply was cancelled: the connection closes at once.
    fn drop(&mut self) {
        let (Some(mut response), Ok(runtime)) = (self.response.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        if self.done {
            runtime.spawn(timeout(Duration::from_secs(1), async move {
                // Anything but the end closes the connection.
                drop(response.chunk().await);
            }));
        }
    }
}

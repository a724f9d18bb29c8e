//! A model server for tests: real HTTP on a port of this machine, scripted per request, and strict.
//!
//! It records every request, and a test has to take each one and use up each reply, or dropping the server
//! panics. It knows nothing of the product: only HTTP and the shape of an OpenAI-compatible stream.

#![allow(dead_code, reason = "every test file includes this module and uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

/// How long anything is waited for before a test is taken to hang.
const HANG: Duration = Duration::from_secs(60);

/// How often a waiting thread looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// The server.
pub struct FakeModel {
    address: SocketAddr,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: tokio::sync::Mutex<mpsc::UnboundedReceiver<Request>>,
    stopped: Arc<AtomicBool>,
    /// A status and a text for requests without a reply.
    otherwise: Arc<Mutex<(u16, String)>>,
}

/// A request that reached the server.
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body; null if it is not JSON.
    pub body: Value,
    /// The number of the connection it came over, from 1.
    pub connection: usize,
    closed: oneshot::Receiver<()>,
}

/// What a request is answered with.
#[derive(Clone, Default)]
pub struct Reply {
    /// 0: no head is sent.
    status: u16,
    headers: Vec<(String, String)>,
    steps: Vec<Step>,
    burst: bool,
}

#[derive(Clone)]
enum Step {
    /// One chunk of the body.
    Bytes(Vec<u8>),
    Wait(Gate),
    /// Closes the connection without ending the body.
    Drop,
    /// The same with a TCP reset.
    Reset,
    /// Over and over, until the client closes the connection.
    Flood(Vec<u8>),
}

/// Holds a reply up until a test opens it.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open; false if `over` comes first.
    fn wait(&self, over: &AtomicBool) -> bool {
        let mut open = self.0.0.lock().unwrap();
        while !*open && !over.load(Ordering::Relaxed) {
            open = self.0.1.wait_timeout(open, LOOK).unwrap().0;
        }
        *open
    }
}

impl Reply {
    /// A stream of events, empty so far.
    pub fn stream() -> Self {
        Self { status: 200, ..Self::default() }.header("Content-Type", "text/event-stream")
    }

    /// A complete stream that says `text` in pieces of `size` characters.
    pub fn complete(text: &str, size: usize) -> Self {
        Self::stream().pieces(text, size).finish("stop").usage(7, 11).done()
    }

    /// Nothing at all, not even a status.
    pub fn silence() -> Self {
        Self::default().stall()
    }

    /// No stream, but this body.
    pub fn page(status: u16, content_type: &str, body: &str) -> Self {
        Self { status, ..Self::default() }.header("Content-Type", content_type).raw(body)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One event with a piece of text.
    pub fn text(self, text: &str) -> Self {
        self.event(&json!({"object": "chat.completion.chunk", "choices": [
            {"index": 0, "delta": {"content": text}, "finish_reason": null}], "usage": null}))
    }

    /// Events with `size` characters of `text` each.
    pub fn pieces(mut self, text: &str, size: usize) -> Self {
        let all: Vec<char> = text.chars().collect();
        for piece in all.chunks(size) {
            self = self.text(&piece.iter().collect::<String>());
        }
        self
    }

    /// The end mark.
    pub fn finish(self, reason: &str) -> Self {
        self.event(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
    }

    pub fn usage(self, prompt: u64, completion: u64) -> Self {
        self.event(&json!({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion,
                "total_tokens": prompt + completion}}))
    }

    pub fn event(self, data: &Value) -> Self {
        self.raw(format!("data: {data}\n\n"))
    }

    pub fn done(self) -> Self {
        self.raw("data: [DONE]\n\n")
    }

    /// These bytes of the body, as one chunk of HTTP.
    pub fn raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Bytes(bytes.into()))
    }

    /// These bytes, cut into chunks of HTTP of `size` bytes.
    pub fn raw_cut(mut self, bytes: &[u8], size: usize) -> Self {
        for piece in bytes.chunks(size) {
            self = self.raw(piece);
        }
        self
    }

    /// What follows is sent when `gate` is open.
    pub fn wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Nothing more, and the connection stays open.
    pub fn stall(self) -> Self {
        self.wait(&Gate::new())
    }

    pub fn drop_connection(self) -> Self {
        self.step(Step::Drop)
    }

    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// `bytes` over and over, until the client closes the connection.
    pub fn flood(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Flood(bytes.into()))
    }

    /// Writes as much at once as it can, not chunk by chunk.
    pub fn burst(mut self) -> Self {
        self.burst = true;
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The messages of the prompt: role and content.
    pub fn messages(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().expect("roles and contents are strings").to_owned();
        let messages = self.body["messages"].as_array().expect("there are messages");
        messages.iter().map(|message| (text(&message["role"]), text(&message["content"]))).collect()
    }

    /// Waits until the client closes the connection before the reply was sent to its end.
    pub async fn closed(self) {
        tokio::time::timeout(HANG, self.closed)
            .await
            .expect("the client keeps the connection")
            .expect("the reply was sent to its end");
    }

    /// The same for tests without a runtime.
    pub fn closed_blocking(self) {
        block_on(self.closed());
    }
}

impl FakeModel {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let replies = Arc::new(Mutex::new(VecDeque::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (sender, requests) = mpsc::unbounded_channel();
        let (theirs, over) = (Arc::clone(&replies), Arc::clone(&stopped));
        let otherwise = Arc::new(Mutex::new((500, "no reply was scripted".to_owned())));
        let unscripted = Arc::clone(&otherwise);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let connection = Connection {
                    stream: stream.unwrap(),
                    number: number + 1,
                    replies: Arc::clone(&theirs),
                    requests: sender.clone(),
                    stopped: Arc::clone(&over),
                    otherwise: Arc::clone(&unscripted),
                };
                thread::spawn(move || connection.serve());
            }
        });
        Self { address, replies, requests: tokio::sync::Mutex::new(requests), stopped, otherwise }
    }

    /// What `OPENAI_BASE_URL` has to be.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Answers the next request that has no reply yet with `reply`.
    pub fn push(&self, reply: Reply) {
        self.replies.lock().unwrap().push_back(reply);
    }

    /// Answers requests that have no reply with this from now on.
    pub fn otherwise(&self, status: u16, text: &str) {
        *self.otherwise.lock().unwrap() = (status, text.to_owned());
    }

    /// Forgets replies that will not be asked for, and requests that nobody will look at.
    pub fn forget(&self) {
        self.replies.lock().unwrap().clear();
        let mut requests = block_on(self.requests.lock());
        while requests.try_recv().is_ok() {}
    }

    /// All requests that came and were not taken yet.
    pub fn take_requests(&mut self) -> Vec<Request> {
        std::iter::from_fn(|| self.requests.get_mut().try_recv().ok()).collect()
    }

    /// Answers the next request with `text`, in pieces of five characters.
    pub fn reply_with(&self, text: &str) {
        self.push(Reply::complete(text, 5));
    }

    /// The next request that was not taken yet; waits for it.
    pub async fn take_request(&self) -> Request {
        let mut requests = self.requests.lock().await;
        let request =
            tokio::time::timeout(HANG, requests.recv()).await.expect("a request reaches the server");
        request.expect("the server runs")
    }

    /// The same for tests without a runtime.
    pub fn take_request_blocking(&self) -> Request {
        block_on(self.take_request())
    }

    /// Panics if a request was not taken, or a reply not asked for.
    pub fn assert_all_checked(&mut self) {
        if let Ok(request) = self.requests.get_mut().try_recv() {
            panic!("a request was not checked: {} {} {}", request.method, request.path, request.body);
        }
        let left = self.replies.lock().unwrap().len();
        assert_eq!(left, 0, "replies that nobody asked for");
    }
}

impl Drop for FakeModel {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts; if it cannot, the thread is gone.
        drop(TcpStream::connect(self.address));
        if !thread::panicking() {
            self.assert_all_checked();
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

struct Connection {
    stream: TcpStream,
    number: usize,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: mpsc::UnboundedSender<Request>,
    stopped: Arc<AtomicBool>,
    otherwise: Arc<Mutex<(u16, String)>>,
}

impl Connection {
    /// Serves requests until the client or the test is done.
    fn serve(self) {
        self.stream.set_nodelay(true).unwrap();
        let mut reader = BufReader::new(self.stream.try_clone().unwrap());
        while self.request_comes() {
            let (closed, seen) = oneshot::channel();
            let Some(request) = self.read(&mut reader, seen) else { return };
            let reply = self.replies.lock().unwrap().pop_front();
            // The reply belongs to the request before anyone sees the request.
            drop(self.requests.send(request));
            let reply = reply.unwrap_or_else(|| {
                let (status, text) = self.otherwise.lock().unwrap().clone();
                Reply::page(status, "text/plain", &text)
            });
            if !self.answer(reply, closed) {
                return;
            }
        }
    }

    /// Waits for the first byte of a request; false if there will be none.
    fn request_comes(&self) -> bool {
        self.stream.set_read_timeout(Some(LOOK)).unwrap();
        loop {
            match self.stream.peek(&mut [0]) {
                Ok(0) => return false,
                Ok(_) => {
                    self.stream.set_read_timeout(Some(HANG)).unwrap();
                    return true;
                }
                Err(_) if self.stopped.load(Ordering::Relaxed) => return false,
                Err(error) if is_timeout(&error) => {}
                Err(_) => return false,
            }
        }
    }

    fn read(&self, reader: &mut BufReader<TcpStream>, closed: oneshot::Receiver<()>) -> Option<Request> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let mut first = lines.first()?.split(' ');
        let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
        let headers: Vec<(String, String)> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let length =
            headers.iter().find(|(name, _)| name == "content-length").map(|(_, value)| value.parse());
        let mut body = vec![0; length.transpose().unwrap().unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Some(Request { method, path, headers, body, connection: self.number, closed })
    }

    /// Sends `reply`; false if the connection is over.
    fn answer(&self, reply: Reply, closed: oneshot::Sender<()>) -> bool {
        let over = Arc::new(AtomicBool::new(false));
        let (stream, gone) = (self.stream.try_clone().unwrap(), Arc::clone(&over));
        // The clone shares this time-out; only the connection's own thread sets it.
        self.stream.set_read_timeout(Some(LOOK)).unwrap();
        thread::spawn(move || {
            loop {
                // Looked at last of all: what could not be written was not read either.
                let ended = gone.load(Ordering::Relaxed);
                match stream.peek(&mut [0]) {
                    Err(error) if is_timeout(&error) && !ended => {}
                    Ok(1..) if !ended => thread::sleep(LOOK),
                    Err(error) if is_timeout(&error) => return,
                    Ok(1..) => return,
                    Ok(0) | Err(_) => {
                        gone.store(true, Ordering::Relaxed);
                        // Not every test waits for this.
                        let _ = closed.send(());
                        return;
                    }
                }
            }
        });
        let goes_on = self.send(reply, &over).unwrap_or(false);
        over.store(true, Ordering::Relaxed);
        goes_on
    }

    fn send(&self, reply: Reply, over: &AtomicBool) -> std::io::Result<bool> {
        let mut out = &self.stream;
        let mut head = String::new();
        if reply.status > 0 {
            head = format!("HTTP/1.1 {} Scripted\r\nTransfer-Encoding: chunked\r\n", reply.status);
            for (name, value) in &reply.headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
        }
        let mut unsent = head.into_bytes();
        for step in reply.steps {
            if !(reply.burst && matches!(step, Step::Bytes(_))) {
                out.write_all(&std::mem::take(&mut unsent))?;
            }
            match step {
                Step::Bytes(bytes) => chunk(&bytes, &mut unsent),
                Step::Wait(gate) => {
                    if !gate.wait(over) {
                        return Ok(false);
                    }
                }
                Step::Drop => {
                    out.shutdown(std::net::Shutdown::Both)?;
                    return Ok(false);
                }
                Step::Reset => {
                    socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?;
                    return Ok(false);
                }
                Step::Flood(bytes) => {
                    chunk(&bytes, &mut unsent);
                    while !over.load(Ordering::Relaxed) {
                        out.write_all(&unsent)?;
                    }
                    return Ok(false);
                }
            }
        }
        unsent.extend_from_slice(b"0\r\n\r\n");
        out.write_all(&unsent)?;
        Ok(true)
    }
}

/// Appends `bytes` as one chunk of HTTP to `out`.
fn chunk(bytes: &[u8], out: &mut Vec<u8>) {
    if !bytes.is_empty() {
        out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

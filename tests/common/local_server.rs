//! A model server on this machine for tests: a real listener that answers by path, and remembers what it was asked.

#![allow(dead_code, reason = "every test file includes this module and uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// A server. It goes with the value.
pub struct LocalServer {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    over: Arc<AtomicBool>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub authorization: Option<String>,
    pub body: String,
}

/// A status, a content type and a body, by path.
type Routes = HashMap<&'static str, (u16, &'static str, String)>;

impl LocalServer {
    /// A server that has these pages and no other.
    pub fn start(pages: Vec<(&'static str, u16, &'static str, String)>) -> Self {
        let routes: Routes =
            pages.into_iter().map(|(path, status, kind, body)| (path, (status, kind, body))).collect();
        Self::serve(Some(routes))
    }

    /// A server that takes connections and says nothing.
    pub fn silent() -> Self {
        Self::serve(None)
    }

    /// Ollama with these models. Asked for a reply it says `text`.
    pub fn ollama(models: &[&str], text: &str) -> Self {
        let action = json!({
            "type": "request", "target": "emacs",
            "payload": {"action": "insert-at-end", "buffer": "*org-agent-chat*", "text": text},
        });
        Self::start(vec![
            ("/v1/models", 200, "application/json", list(models, "library")),
            ("/api/version", 200, "application/json", json!({"version": "0.12.3"}).to_string()),
            ("/v1/chat/completions", 200, "text/event-stream", stream(&action.to_string())),
        ])
    }

    /// llama.cpp's server with this model.
    pub fn llama_cpp(model: &str) -> Self {
        Self::start(vec![("/v1/models", 200, "application/json", list(&[model], "llamacpp"))])
    }

    fn serve(routes: Option<Routes>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, over) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<AtomicBool>::default());
        let (seen, ended) = (Arc::clone(&asked), Arc::clone(&over));
        thread::spawn(move || {
            let routes = Arc::new(routes);
            let mut held = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                if routes.is_none() {
                    held.push(stream);
                    continue;
                }
                let (routes, seen) = (Arc::clone(&routes), Arc::clone(&seen));
                thread::spawn(move || answer(stream, routes.as_ref().as_ref(), &seen));
            }
        });
        Self { port, asked, over }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts; if it cannot, the thread is gone.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// A list of models as OpenAI has it.
pub fn list(models: &[&str], owner: &str) -> String {
    let data: Vec<Value> = models
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": owner}))
        .collect();
    json!({"object": "list", "data": data}).to_string()
}

/// A complete reply as a stream of events.
fn stream(text: &str) -> String {
    let delta = json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]});
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    format!("data: {delta}\n\ndata: {end}\n\ndata: [DONE]\n\n")
}

fn answer(mut stream: TcpStream, routes: Option<&Routes>, asked: &Mutex<Vec<Asked>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut first = line.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let (mut length, mut authorization) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = header.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    asked.lock().unwrap().push(Asked { method, path: path.clone(), authorization, body });
    let missing = (404, "text/plain", "no such page".to_owned());
    let (status, kind, body) = routes?.get(path.as_str()).unwrap_or(&missing);
    let head = format!(
        "HTTP/1.1 {status} Scripted\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok()
}

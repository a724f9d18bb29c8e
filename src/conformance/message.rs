//! A message between client and server, and the lines that a record of them has.
//!
//! Two kinds of lines are read: the protocol's own (`{"direction":"out","message":{…}}`), and those that the Emacs package
//! writes (`{"direction":"out","kind":"request","number":1,"method":…,"body":…}`). `out` is from the client.

use serde::Deserialize;
use serde_json::{Value, json};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The editor.
    Client,
    /// `org-agent serve`.
    Server,
}

impl Side {
    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "the client",
            Self::Server => "the server",
        }
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It wants an answer.
    Request,
    /// It wants none.
    Notification,
    /// The answer to a request.
    Result,
    /// The answer to a request that failed.
    Error,
    /// Not a message: the server is gone.
    Died,
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who sent it.
    pub from: Side,
    /// What it is.
    pub kind: Kind,
    /// Of a request and its answer, as JSON text; a record may not have it.
    pub id: Option<String>,
    /// Of a request and a notification, in some records of an answer, too.
    pub method: Option<String>,
    /// Parameters, result or error.
    pub body: Value,
    /// When it was seen, in seconds since the record began.
    pub at: Option<f64>,
}

impl Message {
    /// Takes a JSON-RPC message apart.
    ///
    /// # Errors
    /// Why it is none, in a few words.
    pub fn from_rpc(from: Side, message: Value) -> Result<Self, String> {
        let Value::Object(mut message) = message else { return Err("it is no object".into()) };
        if message.get("jsonrpc") != Some(&json!("2.0")) {
            return Err("jsonrpc is not \"2.0\"".into());
        }
        let id = match message.remove("id") {
            None => None,
            Some(id @ (Value::String(_) | Value::Number(_) | Value::Null)) => Some(id.to_string()),
            Some(_) => return Err("the id is neither a string nor a number".into()),
        };
        let method = match message.remove("method") {
            None => None,
            Some(Value::String(method)) => Some(method),
            Some(_) => return Err("the method is no string".into()),
        };
        let (kind, body) = match (&method, &id, message.remove("result"), message.remove("error")) {
            (Some(_), id, None, None) => {
                let kind = if id.is_some() { Kind::Request } else { Kind::Notification };
                (kind, message.remove("params").unwrap_or(Value::Null))
            }
            (None, Some(_), Some(result), None) => (Kind::Result, result),
            (None, Some(_), None, Some(error)) => (Kind::Error, error),
            _ => return Err("it is neither a request, nor a notification, nor an answer".into()),
        };
        Ok(Self { from, kind, id, method, body, at: None })
    }
}

/// How much a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Whether answers to the server's requests are in it.
    pub acks: bool,
    /// Whether deltas are cut as they were sent.
    pub cuts: bool,
    /// Whether texts are there, not only their lengths.
    pub texts: bool,
}

impl Detail {
    /// All of it.
    pub const ALL: Self = Self { acks: true, cuts: true, texts: true };
}

/// A line of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// What the rest of the record is.
    Head(Detail),
    /// A message.
    Message(Message),
    /// Nothing.
    Blank,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(rename = "org-agent-traffic")]
    head: Option<u64>,
    #[serde(default)]
    shape: bool,
    t: Option<f64>,
    direction: Option<Direction>,
    message: Option<Value>,
    kind: Option<Kind>,
    number: Option<u64>,
    method: Option<String>,
    #[serde(default)]
    body: Value,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    In,
    Out,
}

/// Reads a line.
///
/// # Errors
/// What is wrong with it, in a few words.
pub fn line(text: &[u8]) -> Result<Line, String> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Ok(Line::Blank);
    }
    if !text.starts_with(b"{") {
        return Err("it is no JSON object".into());
    }
    let raw: Raw = serde_json::from_slice(text).map_err(|error| {
        let text = error.to_string();
        let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
        format!("it is no such JSON object: {}, at column {}", shorten(text), error.column())
    })?;
    match raw.head {
        Some(1) => return Ok(Line::Head(Detail { acks: false, cuts: false, texts: !raw.shape })),
        Some(other) => return Err(format!("records of version {other} are not known here, only 1")),
        None => {}
    }
    let Some(direction) = raw.direction else {
        return Err("direction is missing: in, to the client, or out".into());
    };
    // What the Emacs package calls by the client's side.
    let from = match direction {
        Direction::In => Side::Server,
        Direction::Out => Side::Client,
    };
    if let Some(message) = raw.message {
        return Message::from_rpc(from, message)
            .map(|message| Line::Message(Message { at: raw.t, ..message }))
            .map_err(|why| format!("its message is none of JSON-RPC: {why}"));
    }
    let Some(kind) = raw.kind else { return Err("it has neither a message nor a kind".into()) };
    let wants = |what| format!("a {kind:?} has a {what}").to_lowercase();
    if matches!(kind, Kind::Request | Kind::Notification) && raw.method.is_none() {
        return Err(wants("method"));
    }
    if matches!(kind, Kind::Result | Kind::Error) && raw.number.is_none() {
        return Err(wants("number"));
    }
    let id = raw.number.map(|number| number.to_string());
    Ok(Line::Message(Message { from, kind, id, method: raw.method, body: raw.body, at: raw.t }))
}

/// The beginning of a long text, on one line and without what acts on a terminal.
pub(super) fn shorten(text: &str) -> String {
    const MOST: usize = 160;
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut short: String = text.chars().take(MOST).map(clean).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}

/// A message as a line of a record.
#[must_use]
pub fn written(from: Side, message: &Value) -> String {
    let direction = match from {
        Side::Client => "out",
        Side::Server => "in",
    };
    json!({"direction": direction, "message": message}).to_string()
}

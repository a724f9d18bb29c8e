//! Follows the messages between a client and a server, and says which rules one of them breaks.
//!
//! What is kept is bounded: identifiers and hashes of a number of turns and actions, the oldest forgotten first. Of what
//! was forgotten, and of what came before a record began, nothing is said.

mod client;
mod kept;
mod server;

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::message::{Detail, Kind, Message, Side, shorten};
use super::rules::Rule;
use super::shape;
use crate::lsp::wire::{self, Announcement};
use kept::{Kept, key};

/// How long a client may take to answer a request, in seconds.
pub const ACK: f64 = 30.0;

/// The most findings of one message: a hostile one could break a rule many times.
const MOST: usize = 20;
/// The most methods of an offer that are kept.
const OFFERED: usize = 1_000;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub rule: Rule,
    /// By whom.
    pub side: Side,
    /// How.
    pub what: String,
}

/// Where the connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Nothing was said yet.
    New,
    /// `initialize` was asked.
    Asked,
    /// It was answered.
    Ready,
    /// `shutdown` was asked.
    Down,
    /// The client or the server left.
    Over,
}

/// A request that waits.
#[derive(Debug)]
struct Asked {
    method: String,
    /// What it is about: an action, or nothing.
    about: String,
    at: Option<f64>,
}

/// A turn.
#[derive(Debug, Default)]
struct Turn {
    /// Whether all of it was seen, from the answer that named it on.
    whole: bool,
    seq: u64,
    attempt: u64,
    /// The attempt whose deltas are shown, and what they are so far.
    shown: u64,
    text: Sha256,
    characters: u64,
    retracted: u64,
    over: bool,
}

/// What an action is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Insert,
    Replace,
    Shell,
}

/// An action that was sent.
#[derive(Debug)]
struct Action {
    target: Target,
    hash: [u8; 32],
    turn: String,
    token: Option<String>,
    /// Whether it may be carried out.
    may: bool,
    /// Whether the client said that it will see to it.
    accepted: bool,
    reported: Option<String>,
    outputs: u64,
}

/// What the client announced.
#[derive(Debug)]
struct Wants {
    streaming: bool,
    reasoning: bool,
    steps: bool,
    inserts: bool,
    replaces: bool,
    shell: bool,
}

impl Wants {
    fn of(announced: Option<Announcement>) -> Self {
        let plain = announced.is_none();
        let announced = announced.unwrap_or_default();
        let can = |name: &str| announced.actuators.as_ref().is_none_or(|all| all.iter().any(|it| it == name));
        Self {
            streaming: announced.streaming.unwrap_or(true),
            reasoning: announced.reasoning.unwrap_or(plain),
            steps: announced.steps.unwrap_or(plain),
            inserts: can(wire::INSERT_AT_END),
            replaces: can(wire::REPLACE_REGION),
            shell: can("shell"),
        }
    }
}

/// The one who follows.
#[derive(Debug)]
pub struct Watch {
    detail: Detail,
    life: Life,
    /// Whether the connection was seen from its beginning.
    whole: bool,
    orderly: bool,
    wants: Option<Wants>,
    offered: Option<HashSet<String>>,
    /// Requests of the client, and of the server.
    asked: Kept<Asked>,
    asked_back: Kept<Asked>,
    /// Those of the server that are not of this protocol: a person may take their time.
    asked_else: Kept<Asked>,
    /// Whether a client announced or used this protocol.
    ours: bool,
    turns: Kept<Turn>,
    actions: Kept<Action>,
    /// The hash of each message by its `clientId`.
    said: Kept<[u8; 32]>,
    findings: Vec<Finding>,
    judged: BTreeMap<(Rule, bool), u64>,
    clock: Option<f64>,
    turns_seen: u64,
    actions_seen: u64,
}

impl Watch {
    /// One that has seen nothing yet, and can see this much.
    #[must_use]
    pub fn new(detail: Detail) -> Self {
        Self {
            detail,
            life: Life::New,
            whole: false,
            orderly: false,
            wants: None,
            offered: None,
            asked: Kept::default(),
            asked_back: Kept::default(),
            asked_else: Kept::default(),
            ours: false,
            turns: Kept::default(),
            actions: Kept::default(),
            said: Kept::default(),
            findings: Vec::new(),
            judged: BTreeMap::new(),
            clock: None,
            turns_seen: 0,
            actions_seen: 0,
        }
    }

    /// How often `rule` was looked at for `side`.
    #[must_use]
    pub fn judged(&self, rule: Rule, side: Side) -> u64 {
        self.judged.get(&(rule, side == Side::Client)).copied().unwrap_or_default()
    }

    /// Whether all that was seen is of plain editors, which neither announced this protocol nor used it.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.whole && !self.ours
    }

    /// How many turns and actions there were.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.turns_seen, self.actions_seen)
    }

    /// Looks at the next message; what is wrong with it.
    pub fn see(&mut self, message: &Message) -> Vec<Finding> {
        if let (Some(at), clock) = (message.at, self.clock)
            && clock.is_none_or(|clock| at > clock)
        {
            self.clock = Some(at);
            self.overdue(at);
        }
        self.judge(Rule::Line, message.from, true, String::new);
        match (message.from, message.kind) {
            (_, Kind::Died) => self.reset(),
            (from, Kind::Request) => self.request(from, message),
            (from, Kind::Notification) => self.notification(from, message),
            (from, Kind::Result | Kind::Error) => self.answer(from, message),
        }
        self.taken()
    }

    /// The record is over; what was left undone.
    pub fn finish(&mut self) -> Vec<Finding> {
        if self.orderly {
            self.left_undone();
        }
        self.taken()
    }

    fn taken(&mut self) -> Vec<Finding> {
        self.findings.truncate(MOST);
        std::mem::take(&mut self.findings)
    }

    /// Looks at `rule`, which `side` keeps if `good`; otherwise `what` says how it is broken.
    fn judge(&mut self, rule: Rule, side: Side, good: bool, what: impl FnOnce() -> String) {
        *self.judged.entry((rule, side == Side::Client)).or_default() += 1;
        if !good {
            self.findings.push(Finding { rule, side, what: what() });
        }
    }

    /// The server is gone, or another one begins: what waited is not answered, what ran does not go on.
    fn reset(&mut self) {
        self.life = Life::Over;
        self.orderly = false;
        self.wants = None;
        self.offered = None;
        self.asked = Kept::default();
        self.asked_back = Kept::default();
        self.asked_else = Kept::default();
        self.turns = Kept::default();
    }

    fn request(&mut self, from: Side, message: &Message) {
        let method = message.method.as_deref().unwrap_or_default();
        self.lives(from, method, true);
        self.shape_of_params(from, method, &message.body);
        let id = message.id.as_deref().map(key);
        let about = match from {
            Side::Client => self.client_asks(method, &message.body),
            Side::Server => self.server_asks(method, &message.body),
        };
        let Some(id) = id else { return };
        let used = match from {
            Side::Client => self.asked.get(&id),
            Side::Server => self.asked_back.get(&id).or_else(|| self.asked_else.get(&id)),
        };
        let used = used.is_some() || id == "null";
        let open = match from {
            Side::Client => &mut self.asked,
            Side::Server if is_ours(method) => &mut self.asked_back,
            Side::Server => &mut self.asked_else,
        };
        open.put(id.clone(), Asked { method: key(method), about, at: message.at });
        self.judge(Rule::Answer, from, !used, || {
            format!("{} has the id {}, which is in use", named(method), shorten(&id))
        });
    }

    fn notification(&mut self, from: Side, message: &Message) {
        let method = message.method.as_deref().unwrap_or_default();
        self.lives(from, method, false);
        self.shape_of_params(from, method, &message.body);
        match from {
            Side::Client => self.client_says(method, &message.body),
            Side::Server => self.server_says(method, &message.body),
        }
    }

    fn answer(&mut self, from: Side, message: &Message) {
        let failed = message.kind == Kind::Error;
        // What is no message is answered without an id.
        if failed && message.id.as_deref() == Some("null") {
            self.error(&message.body);
            return;
        }
        let id = message.id.as_deref().map(key).unwrap_or_default();
        let (asked, forgot) = match from {
            Side::Client => (
                self.asked_back.take(&id).or_else(|| self.asked_else.take(&id)),
                self.asked_back.forgot || self.asked_else.forgot,
            ),
            Side::Server => (self.asked.take(&id), self.asked.forgot),
        };
        let known = asked.is_some() || !self.whole || forgot;
        self.judge(Rule::Answer, from, known, || {
            format!("there is an answer to {}, and no such request waits", shorten(&id))
        });
        let about = asked.as_ref().map(|asked| asked.about.clone()).unwrap_or_default();
        let asked = asked.map(|asked| (asked.method, asked.at));
        let Some((method, at)) = asked.or_else(|| message.method.clone().map(|method| (method, None))) else {
            return;
        };
        if from == Side::Client && is_ours(&method) {
            let late = at.zip(message.at).is_some_and(|(asked, answered)| answered - asked > ACK);
            self.judge(Rule::Ack, from, !late, || {
                format!("{} was answered after {ACK} seconds", named(&method))
            });
        }
        if failed {
            if from == Side::Server {
                self.error(&message.body);
                if method == "initialize" {
                    self.life = Life::New;
                }
            } else if let Some(action) = self.actions.get_mut(&about) {
                action.accepted = false;
            }
            return;
        }
        // The Emacs package reads an empty object as nothing.
        let empty = Value::Object(serde_json::Map::new());
        let body = if message.body.is_null() && !self.detail.acks { &empty } else { &message.body };
        let shape = shape::result(from, &method, body);
        self.judge(Rule::Shape, from, shape.is_ok(), || {
            format!("the answer to {}: {}", named(&method), shape.err().unwrap_or_default())
        });
        match from {
            Side::Client => self.client_answers(&method, &about, body),
            Side::Server => self.server_answers(&method, &about, body),
        }
    }

    fn shape_of_params(&mut self, from: Side, method: &str, body: &Value) {
        if method != "initialize" && !is_ours(method) {
            return;
        }
        let mut shape = shape::params(from, method, body, self.detail.texts);
        if shape.is_ok() && [wire::DELTA, wire::THOUGHT].contains(&method) && self.detail.cuts {
            let empty = body["text"] == "";
            shape = if empty { Err("text: it is empty".into()) } else { Ok(()) };
        }
        self.judge(Rule::Shape, from, shape.is_ok(), || {
            format!("{}: {}", named(method), shape.err().unwrap_or_default())
        });
    }

    /// The life cycle.
    fn lives(&mut self, from: Side, method: &str, request: bool) {
        let before = self.life;
        match (from, method) {
            (Side::Client, "initialize") => {
                let fresh = matches!(before, Life::New | Life::Over);
                self.judge(Rule::Life, from, fresh, || "initialize was asked twice".into());
                if fresh {
                    self.reset();
                    self.whole = true;
                    self.life = Life::Asked;
                }
                return;
            }
            (Side::Client, "shutdown") if before == Life::Ready => {
                self.life = Life::Down;
                self.orderly = true;
                return;
            }
            (Side::Client, "exit") => {
                let good = before == Life::Down || !self.whole;
                self.judge(Rule::Life, from, good, || "exit was said without shutdown before it".into());
                self.life = Life::Over;
                return;
            }
            _ => {}
        }
        if !self.whole {
            if before == Life::New {
                self.life = Life::Ready;
            }
            return;
        }
        let ours = is_ours(method);
        let good = match (from, before) {
            // What the server had sent by then may come still.
            (Side::Client, Life::Over) => false,
            (Side::Client, Life::Down) => !request,
            (Side::Client, Life::New | Life::Asked) => method.starts_with("$/"),
            (Side::Server, Life::New | Life::Asked) => !ours,
            _ => true,
        };
        self.judge(Rule::Life, from, good, || {
            let when = match before {
                Life::New | Life::Asked => "before initialize was answered",
                Life::Down => "after shutdown",
                _ => "after the end",
            };
            format!("{} comes {when}", named(method))
        });
    }

    /// What a server says of an error.
    fn error(&mut self, error: &Value) {
        const LAYERS: [i64; 4] = [-32700, -32600, -32601, -32002];
        let number = error["code"].as_i64().unwrap_or_default();
        let code = error["data"]["code"].as_str();
        let fits = match code {
            Some("bad_request") => number == -32602 || LAYERS.contains(&number),
            Some("not_found") => number == -32010,
            Some("unauthorized") => number == -32011,
            Some("conflict") => number == -32012,
            Some("overloaded") => number == -32013,
            Some("model_unavailable") => number == -32014,
            Some("internal") => number == -32603,
            _ => number == -32800 && error["data"].is_null(),
        };
        let hint = error["data"]["hint"].is_string() || number == -32800;
        let said = error["message"].as_str().is_some_and(|message| !message.is_empty());
        self.judge(Rule::Error, Side::Server, fits && hint && said, || {
            let code = shorten(code.unwrap_or("no code"));
            format!("an error has the number {number} with {code}, or lacks its message or hint")
        });
    }

    /// Requests of the server that nobody answered in time.
    fn overdue(&mut self, now: f64) {
        if !self.detail.acks {
            return;
        }
        while let Some((id, asked)) = self.asked_back.oldest()
            && asked.at.is_some_and(|at| now - at > ACK)
        {
            let what =
                format!("{} ({}) was not answered in {ACK} seconds", named(&asked.method), shorten(id));
            let id = id.to_owned();
            self.asked_back.take(&id);
            self.judge(Rule::Ack, Side::Client, false, || what);
        }
    }

    fn left_undone(&mut self) {
        if self.detail.acks {
            while let Some((id, asked)) = self.asked_back.oldest() {
                let what = format!("{} ({}) was never answered", named(&asked.method), shorten(id));
                let id = id.to_owned();
                self.asked_back.take(&id);
                self.judge(Rule::Ack, Side::Client, false, || what);
            }
        }
        let mut undone = Vec::new();
        for (id, action) in self.actions.all() {
            // What the user has not decided, and what its turn does not wait for any more, need not be.
            let waits = self.turns.get(&action.turn).is_some_and(|turn| !turn.over);
            if action.accepted && action.may && waits {
                undone.push((action.reported.is_some(), format!("{} was never reported", shorten(id))));
            }
        }
        for (reported, what) in undone {
            self.judge(Rule::Report, Side::Client, reported, || what);
        }
    }
}

/// Whether a method is of this protocol, and not of the one below.
fn is_ours(method: &str) -> bool {
    method.starts_with("orgAgent/")
}

/// A method's name, which may be anything.
fn named(method: &str) -> String {
    shorten(method)
}

/// A text that is compared with another.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

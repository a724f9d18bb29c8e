//! What the server does while its disk is watched: many sessions, a turn in each of them at the same time, through
//! several servers, one after the other, that are killed or leave. It remembers what it asked; what was answered, and
//! when, is read from the trace.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::client::Client;
use crate::rng::Rng;
use crate::shim::Shim;

/// How many sessions are in use at a time: more than an idle server holds.
pub const SESSIONS: usize = 32;

pub struct Message {
    pub client_id: String,
    pub buffer: String,
    pub text: String,
    session: Option<String>,
}

impl Message {
    /// The parameters that send it, without a session.
    pub fn params(&self) -> Value {
        json!({"sensor": "chat-message", "clientId": self.client_id, "buffer": self.buffer, "text": self.text})
    }
}

/// What a request was.
#[derive(Clone, Debug)]
pub enum Asked {
    Event(usize),
    Report(String),
    Resume,
}

pub struct Workload {
    rng: Rng,
    pub messages: Vec<Message>,
    /// By the number of the server, from 0, and the identifier of the request.
    pub asked: HashMap<(usize, u64), Asked>,
    lives: usize,
    /// The inserts that are in the buffers, by session.
    inserts: HashMap<String, Vec<String>>,
    reported: HashSet<String>,
}

/// What is under way with one server.
struct Life {
    client: Client,
    unanswered: HashSet<u64>,
    open: HashSet<String>,
    late: VecDeque<String>,
}

impl Workload {
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng(seed),
            messages: Vec::new(),
            asked: HashMap::new(),
            lives: 0,
            inserts: HashMap::new(),
            reported: HashSet::new(),
        }
    }

    /// Starts a server, sends so many new messages, and kills it while the last of them are under way, or lets it
    /// leave when all is done.
    pub fn live(&mut self, shim: &Shim, count: usize, kill: bool) {
        let env = shim.env();
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut life = Life {
            client: Client::new_in(&shim.home(), &env),
            unanswered: HashSet::new(),
            open: HashSet::new(),
            late: VecDeque::new(),
        };
        let sessions: HashSet<String> = self.messages.iter().filter_map(|one| one.session.clone()).collect();
        for session in sessions {
            let applied = self.inserts.get(&session).cloned().unwrap_or_default();
            let params = json!({"sessionId": session, "applied": applied});
            self.ask(&mut life, "orgAgent/sessions/resume", &params, Asked::Resume);
        }
        for at in 0..self.messages.len() {
            if self.messages[at].session.is_none() {
                self.ask(&mut life, "orgAgent/event", &self.messages[at].params(), Asked::Event(at));
            }
        }
        let mut left = count;
        loop {
            while left > 0 && life.open.len() + life.unanswered.len() < SESSIONS + 8 {
                left -= 1;
                self.say(&mut life);
            }
            let idle = life.open.is_empty() && life.unanswered.is_empty();
            if left == 0 && (kill || idle) {
                break;
            }
            if let Some(id) = life.late.pop_front() {
                if self.rng.chance(30) {
                    self.report(&mut life, id);
                } else {
                    life.late.push_back(id);
                }
            }
            // What is reported late must not keep everything waiting.
            let wait = std::time::Duration::from_millis(if life.late.is_empty() { 30_000 } else { 2 });
            if let Some(message) = life.client.poll(wait) {
                self.take(&mut life, &message);
            }
        }
        self.lives += 1;
        if kill {
            life.client.kill();
        } else {
            let unread = life.client.finish_unread();
            assert!(unread.is_empty(), "{unread:?}");
        }
    }

    fn ask(&mut self, life: &mut Life, method: &str, params: &Value, asked: Asked) {
        let id = life.client.ask(method, params);
        life.unanswered.insert(id);
        self.asked.insert((self.lives, id), asked);
    }

    fn say(&mut self, life: &mut Life) {
        let number = self.messages.len();
        let mut text = format!("echo: answer {number}");
        for word in 0..self.rng.below(20) {
            // So that records are of many sizes.
            write!(text, " {word}").unwrap();
        }
        let buffer = format!("*chat {}*", number % SESSIONS);
        self.messages.push(Message { client_id: format!("message {number}"), buffer, text, session: None });
        self.ask(life, "orgAgent/event", &self.messages[number].params(), Asked::Event(number));
    }

    fn report(&mut self, life: &mut Life, id: String) {
        self.reported.insert(id.clone());
        let params = json!({"actuationId": id, "status": "done"});
        self.ask(life, "orgAgent/actuated", &params, Asked::Report(id));
    }

    fn insert(&mut self, life: &mut Life, params: &Value) {
        let word = |name: &str| params[name].as_str().unwrap().to_owned();
        let id = word("actuationId");
        self.inserts.entry(word("sessionId")).or_default().push(id.clone());
        if self.rng.chance(70) {
            self.report(life, id);
        } else {
            life.late.push_back(id);
        }
    }

    fn take(&mut self, life: &mut Life, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            None => {
                let id = message["id"].as_u64().unwrap();
                if !life.unanswered.remove(&id) {
                    return;
                }
                let result = &message["result"];
                match self.asked[&(self.lives, id)] {
                    Asked::Event(at) => {
                        self.messages[at].session = Some(result["sessionId"].as_str().unwrap().to_owned());
                        // A message that was there before may be answered already.
                        if result["duplicate"] == false {
                            life.open.insert(result["turnId"].as_str().unwrap().to_owned());
                        }
                    }
                    Asked::Report(_) => {}
                    Asked::Resume => {
                        for turn in result["live"].as_array().unwrap() {
                            life.open.insert(turn.as_str().unwrap().to_owned());
                        }
                        for actuation in result["actuations"].as_array().unwrap() {
                            self.insert(life, actuation);
                        }
                    }
                }
            }
            Some("orgAgent/turn") => {
                let state = params["state"].as_str().unwrap();
                if ["done", "failed", "cancelled"].contains(&state) {
                    life.open.remove(params["turnId"].as_str().unwrap());
                }
            }
            Some("orgAgent/actuate") => self.insert(life, params),
            Some(_) => {}
        }
    }
}

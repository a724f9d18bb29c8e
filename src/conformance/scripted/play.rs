//! What scenes are made of: sending, and waiting for what the client does.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::grades::{Check, Grades, Outcome, Report};
use super::scenes::{self, SCENES};
use super::{Incoming, Options};
use crate::conformance::message::{Detail, Message, Side, written};
use crate::conformance::rules::Rule;
use crate::conformance::watch::{ACK, Finding, Watch};
use crate::ids::hex;
use crate::lsp::wire;
use crate::record::Attachment;

/// The client left.
#[derive(Debug)]
pub(super) struct Gone;

/// What goes on until the client leaves.
pub(super) type Played<T = ()> = Result<T, Gone>;

/// The most messages of a user that wait: a client that sends more is told to wait.
const QUEUE: usize = 256;
/// The most that is kept of what a client said.
const KEPT: usize = 10_000;

/// A turn that is played.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) id: String,
    pub(super) session: String,
    pub(super) buffer: String,
    pub(super) client_id: String,
    pub(super) seq: u64,
    pub(super) attempt: u32,
}

/// What is to be played.
#[derive(Debug)]
pub(super) enum Part {
    Scene(&'static str, Turn),
    /// A client that came back lacks this action.
    Resume(String),
}

/// The stage.
pub(super) struct Play<'a> {
    inbox: &'a Receiver<Incoming>,
    output: &'a mut dyn Write,
    pub(super) options: &'a Options,
    passed: &'a mut dyn FnMut(&str),
    watch: Watch,
    pub(super) grades: Grades,
    begun: Instant,
    /// The scene that is played.
    pub(super) scene: &'static str,
    pub(super) parts: VecDeque<Part>,
    /// The answer to each message by its `clientId`, and its hash.
    pub(super) said: HashMap<String, (String, Value)>,
    /// How often each message came.
    pub(super) came: HashMap<String, u32>,
    /// Whether each request was answered, and with what.
    pub(super) acks: HashMap<String, Value>,
    pub(super) reports: HashMap<String, Vec<Value>>,
    /// The text of each command that was sent.
    pub(super) commands: HashMap<String, String>,
    pub(super) decisions: HashMap<String, Value>,
    pub(super) outputs: HashMap<String, String>,
    pub(super) cancelled: HashSet<String>,
    pub(super) resumed: HashSet<String>,
    pub(super) sessions: HashMap<String, String>,
    pub(super) announced: wire::Announcement,
    pub(super) count: u64,
    /// Whether frames are written in small pieces.
    pub(super) odd: bool,
    gone: bool,
}

impl<'a> Play<'a> {
    pub(super) fn new(
        inbox: &'a Receiver<Incoming>,
        output: &'a mut dyn Write,
        options: &'a Options,
        passed: &'a mut dyn FnMut(&str),
    ) -> Self {
        Self {
            inbox,
            output,
            options,
            passed,
            watch: Watch::new(Detail::ALL),
            grades: Grades::default(),
            begun: Instant::now(),
            scene: "the start",
            parts: VecDeque::new(),
            said: HashMap::new(),
            came: HashMap::new(),
            acks: HashMap::new(),
            reports: HashMap::new(),
            commands: HashMap::new(),
            decisions: HashMap::new(),
            outputs: HashMap::new(),
            cancelled: HashSet::new(),
            resumed: HashSet::new(),
            sessions: HashMap::new(),
            announced: wire::Announcement::default(),
            count: 0,
            odd: false,
            gone: false,
        }
    }

    /// Plays until the client leaves.
    pub(super) fn run(&mut self) -> Gone {
        loop {
            let part = self.parts.pop_front();
            let played = match part {
                None => self.receive(None).map(drop),
                Some(Part::Scene(scene, mut turn)) => {
                    self.scene = scene;
                    self.grades.begin(scene);
                    let played = scenes::play(self, scene, &mut turn);
                    self.odd = false;
                    played
                }
                Some(Part::Resume(action)) => {
                    self.scene = "resume";
                    self.grades.begin("resume");
                    scenes::resumed(self, &action)
                }
            };
            if let Err(gone) = played {
                return gone;
            }
        }
    }

    pub(super) fn report(mut self) -> Report {
        for finding in self.watch.finish() {
            if finding.side == Side::Client {
                self.grades.broken(finding, self.scene);
            }
        }
        self.grades.report(&self.watch)
    }

    // Grades

    /// `what` should be so; if it is not, `why` says what was.
    pub(super) fn check(
        &mut self,
        what: &str,
        section: &'static str,
        good: bool,
        why: impl FnOnce() -> String,
    ) {
        if !good && self.gone {
            return self.untried(what, section, "the client left before");
        }
        let outcome = if good { Outcome::Passed } else { Outcome::Failed };
        let why = if good { String::new() } else { why() };
        self.grades.add(self.scene, Check { what: what.to_owned(), outcome, why, section });
    }

    /// `what` could not be seen, because of `why`.
    pub(super) fn untried(&mut self, what: &str, section: &'static str, why: &str) {
        let check =
            Check { what: what.to_owned(), outcome: Outcome::NotExercised, why: why.to_owned(), section };
        self.grades.add(self.scene, check);
    }

    // Sending

    /// Sends a message.
    pub(super) fn send(&mut self, message: &Value) -> Played {
        self.see(Side::Server, message);
        let text = message.to_string();
        // The same text in the two ways in which JSON can say it.
        let body = if self.odd && self.count.is_multiple_of(2) { escaped(&text) } else { text };
        self.count += 1;
        let frame = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let sent =
            if self.odd { self.in_pieces(frame.as_bytes()) } else { self.output.write_all(frame.as_bytes()) };
        sent.and_then(|()| self.output.flush()).map_err(|_| Gone)
    }

    /// Writes `bytes` so that characters are cut.
    fn in_pieces(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let (head, rest) = bytes.split_at(bytes.len().min(9));
        let (middle, end) = rest.split_at(rest.len().saturating_sub(5));
        for piece in [head, middle, end] {
            self.output.write_all(piece)?;
            self.output.flush()?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(super) fn notify(&mut self, method: &str, params: &Value) -> Played {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    /// Sends a request; its id.
    pub(super) fn ask(&mut self, method: &str, params: &Value) -> Played<String> {
        let id = format!("oa-{}", self.count + 1);
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        Ok(id)
    }

    pub(super) fn state(&mut self, turn: &mut Turn, state: &str, reason: Option<&str>) -> Played {
        turn.seq += 1;
        let mut params =
            json!({"turnId": turn.id, "sessionId": turn.session, "seq": turn.seq, "state": state});
        if let Some(reason) = reason {
            params["reason"] = reason.into();
        }
        self.notify(wire::TURN, &params)
    }

    /// Shows `text`, cut into pieces of sizes that go round.
    pub(super) fn deltas(&mut self, turn: &mut Turn, text: &str, sizes: &[usize]) -> Played {
        let all: Vec<char> = text.chars().collect();
        let mut rest = all.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, later) = rest.split_at((*size).clamp(1, rest.len()));
            rest = later;
            self.delta(turn, &piece.iter().collect::<String>())?;
        }
        Ok(())
    }

    pub(super) fn delta(&mut self, turn: &mut Turn, text: &str) -> Played {
        if self.announced.streaming == Some(false) {
            return Ok(());
        }
        turn.seq += 1;
        let params = json!({"turnId": turn.id, "attempt": turn.attempt, "seq": turn.seq, "text": text});
        self.notify(wire::DELTA, &params)
    }

    pub(super) fn retract(&mut self, turn: &mut Turn, reason: &str) -> Played {
        if self.announced.streaming == Some(false) {
            return Ok(());
        }
        turn.seq += 1;
        let params = json!({"turnId": turn.id, "attempt": turn.attempt, "seq": turn.seq, "reason": reason});
        self.notify(wire::RETRACT, &params)
    }

    // Receiving

    /// Waits until `done`, at most so long; whether it came to that.
    pub(super) fn until(&mut self, limit: Option<Duration>, done: impl Fn(&Self) -> bool) -> Played<bool> {
        let end = limit.map(|limit| Instant::now() + limit);
        loop {
            if done(self) {
                return Ok(true);
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(false);
            }
            self.receive(left)?;
        }
    }

    /// The same, at most so long; whether it came to that. If the client leaves instead, that shows at the next
    /// message.
    pub(super) fn look(&mut self, limit: Duration, done: impl Fn(&Self) -> bool) -> bool {
        self.until(Some(limit), &done).unwrap_or_else(|Gone| {
            self.gone = true;
            done(self)
        })
    }

    /// Takes the next message, if one comes in time.
    fn receive(&mut self, limit: Option<Duration>) -> Played {
        if self.gone {
            return Err(Gone);
        }
        let incoming = match limit {
            None => self.inbox.recv().map_err(|_| Gone)?,
            Some(limit) => match self.inbox.recv_timeout(limit) {
                Ok(incoming) => incoming,
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => return Err(Gone),
            },
        };
        match incoming {
            Incoming::Message(message) => self.message(&message),
            Incoming::Fault(why) => self.fault(&why),
        }
    }

    fn fault(&mut self, why: &str) -> Played {
        let finding = Finding { rule: Rule::Line, side: Side::Client, what: why.to_owned() };
        self.grades.broken(finding, self.scene);
        let data = json!({"code": "bad_request", "hint": "see Frames in docs/protocol.md"});
        self.send(&json!({"jsonrpc": "2.0", "id": null,
                          "error": {"code": -32700, "message": why, "data": data}}))
    }

    fn message(&mut self, message: &Value) -> Played {
        let seen = self.see(Side::Client, message);
        let Some(seen) = seen else {
            return self.fault("a message is none of JSON-RPC");
        };
        let method = seen.method.unwrap_or_default();
        if method.is_empty() {
            let answer = message.get("result").or(message.get("error")).cloned().unwrap_or_default();
            if let Some(id) = message["id"].as_str() {
                keep(&mut self.acks, id.to_owned(), answer);
            }
            return Ok(());
        }
        if method == "exit" {
            self.gone = true;
            return Err(Gone);
        }
        match message.get("id") {
            Some(id) => {
                let answer = self.answer(&method, &seen.body);
                let answered = match answer {
                    Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
                    Err(error) => json!({"jsonrpc": "2.0", "error": error, "id": id}),
                };
                self.send(&answered)?;
                self.answered(&method, &answered)
            }
            None => {
                self.told(&method, &seen.body);
                Ok(())
            }
        }
    }

    /// Gives a message to whoever looks.
    fn see(&mut self, from: Side, message: &Value) -> Option<Message> {
        (self.passed)(&written(from, message));
        let mut seen = Message::from_rpc(from, message.clone()).ok()?;
        seen.at = Some(self.begun.elapsed().as_secs_f64());
        for finding in self.watch.see(&seen) {
            // What the server does is in its part.
            if finding.side == Side::Client {
                self.grades.broken(finding, self.scene);
            }
        }
        Some(seen)
    }

    /// The scene that a message starts: the one that it names, or the next.
    pub(super) fn scene_of(&self, text: &str) -> &'static str {
        let word = text.split_whitespace().next().unwrap_or_default().to_lowercase();
        let turns = || SCENES.iter().filter(|scene| scene.by_message);
        let named = turns().find(|scene| scene.name == word);
        let waits = |name: &str| {
            self.parts.iter().any(|part| matches!(part, Part::Scene(scene, _) if *scene == name))
                || self.scene == name
        };
        named
            .or_else(|| turns().find(|scene| !self.grades.played(scene.name) && !waits(scene.name)))
            .map_or("plain", |scene| scene.name)
    }

    pub(super) fn is_full(&self) -> bool {
        self.parts.len() >= QUEUE
    }
}

/// Keeps a value, and not too many.
pub(super) fn keep<T>(map: &mut HashMap<String, T>, id: String, value: T) {
    if map.len() >= KEPT {
        map.clear();
    }
    map.insert(id, value);
}

/// The hash that tells one message from another.
pub(super) fn body_hash(text: &str, context: Option<&Vec<Attachment>>) -> String {
    hex(&Sha256::digest(json!([text, context]).to_string()))
}

/// How long a client may take to acknowledge.
pub(super) fn soon(options: &Options) -> Duration {
    options.patience.min(Duration::from_secs_f64(ACK))
}

/// `json` with an escape for each character that is not ASCII.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_the_same_json() {
        let value = json!({"text": "é 漢 👩‍💻 \" \\ \n", "ü": 1});
        let text = escaped(&value.to_string());
        assert!(text.is_ascii());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}

//! An editor that outlives its servers: it sends, applies inserts once by their identifier, reports late or
//! never, resends what was not acknowledged, and kills. It remembers everything that it was told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::memory::{Command, Counts, Insert, Message, Receipt};
use crate::rng::Rng;

const ENV: [(&str, &str); 1] = [("ORG_AGENT_MODEL", "offline")];

/// How many buffers are in use at a time; after so many messages others take their place.
const BUFFERS: u64 = 3;
const GENERATION: usize = 150;

/// The most turns that are under way when another message is sent.
const BUSY: usize = 20;

/// What an answer is for.
enum Wait {
    Event(usize),
    Report(String),
    Decide(String),
    Resume,
    Cancel,
}

/// One server, from its start to its end.
struct Life {
    /// `None` once it is dead: what it wrote before is read, and nothing is sent any more.
    client: Option<Client>,
    waits: HashMap<u64, Wait>,
    /// Inserts and commands whose report is put off, and those that this life will not report at all.
    withheld: Vec<String>,
    unreported: Vec<String>,
    seqs: HashMap<String, u64>,
    deltas: HashMap<(String, u64), String>,
    /// Everything is reported, decided and resumed at once.
    calm: bool,
    /// Turns that the last answers to `resume` called live, and inserts that they offered.
    left: usize,
}

impl Life {
    fn ask(&mut self, method: &str, params: &Value, wait: Wait) {
        if let Some(client) = &mut self.client {
            let id = client.ask(method, params);
            self.waits.insert(id, wait);
        }
    }
}

pub struct Editor {
    rng: Rng,
    home: PathBuf,
    pub messages: Vec<Message>,
    pub ends: HashMap<String, String>,
    pub interrupted: HashSet<String>,
    /// Turns that are over although this was not told: it was killed with a server.
    over: HashSet<String>,
    sessions: BTreeMap<String, String>,
    pub inserts: BTreeMap<String, Insert>,
    pub commands: BTreeMap<String, Command>,
    pub counts: Counts,
}

impl Editor {
    pub fn new(home: &Path, seed: u64) -> Self {
        Self {
            rng: Rng(seed),
            home: home.to_owned(),
            messages: Vec::new(),
            ends: HashMap::new(),
            interrupted: HashSet::new(),
            over: HashSet::new(),
            sessions: BTreeMap::new(),
            inserts: BTreeMap::new(),
            commands: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// Starts a server, uses it for a while, and kills it.
    pub fn live(&mut self) {
        self.counts.kills += 1;
        if self.rng.chance(8) {
            let mut client = Client::start_in(&self.home, &ENV);
            if self.rng.chance(50) {
                client.ask("initialize", &json!({"processId": null, "capabilities": {}}));
            }
            self.pause(20_000);
            client.kill();
            self.counts.starting += 1;
            return;
        }
        let mut life = self.begin(false);
        // Most lives are long enough for a turn, some for several.
        let most = [30, 300, 300, 300, 800][self.rng.below(5) as usize];
        let end = Instant::now() + Duration::from_millis(self.rng.below(most));
        while Instant::now() < end {
            self.step(&mut life);
        }
        self.end(life);
    }

    /// Starts a last server, lets everything come to its end, and leaves it as a client should.
    pub fn settle(&mut self) {
        let mut life = self.begin(true);
        let guard = Instant::now() + Duration::from_secs(300);
        loop {
            while let Some(message) = life.client.as_mut().unwrap().poll(Duration::from_millis(100)) {
                self.take(&mut life, &message);
            }
            let open = life.waits.len() + self.messages.iter().filter(|one| one.receipt.is_none()).count();
            if open == 0 && life.left == 0 {
                break;
            }
            assert!(Instant::now() < guard, "{open} answers are missing, {} turns do not end", life.left);
            if open == 0 {
                life.left = 0;
                for session in self.sessions.values().cloned().collect::<Vec<_>>() {
                    self.resume(&mut life, &session);
                }
            }
        }
        let unread = life.client.unwrap().finish_unread();
        assert!(unread.is_empty(), "{unread:?}");
    }

    fn begin(&mut self, calm: bool) -> Life {
        let client = Client::new_in(&self.home, &ENV);
        let mut life = Life {
            client: Some(client),
            waits: HashMap::new(),
            withheld: Vec::new(),
            unreported: Vec::new(),
            seqs: HashMap::new(),
            deltas: HashMap::new(),
            calm,
            // To look at least once.
            left: 1,
        };
        let resend_first = self.rng.chance(50);
        if resend_first {
            self.resend(&mut life);
        }
        for session in self.open_sessions(calm) {
            if calm || self.rng.chance(80) {
                self.resume(&mut life, &session);
            }
        }
        if !resend_first {
            self.resend(&mut life);
        }
        // What ran is reported, also to a server that did not ask for it.
        for (id, command) in &self.commands {
            if let (Some(token), false) = (&command.ran, command.settled)
                && (calm || self.rng.chance(50))
            {
                let report = json!({"actuationId": id, "token": token, "status": "done", "exitCode": 0});
                life.ask("orgAgent/actuated", &report, Wait::Report(id.clone()));
            }
        }
        life
    }

    fn end(&mut self, mut life: Life) {
        for wait in life.waits.values() {
            match wait {
                Wait::Event(_) => self.counts.before_receipt += 1,
                Wait::Report(_) => self.counts.before_settled += 1,
                Wait::Decide(_) => self.counts.deciding += 1,
                Wait::Resume | Wait::Cancel => {}
            }
        }
        let unreported = life.withheld.iter().chain(&life.unreported);
        let (commands, inserts): (Vec<_>, Vec<_>) =
            unreported.partition(|id| self.commands.contains_key(*id));
        self.counts.deciding += u64::from(!commands.is_empty());
        self.counts.before_report += u64::from(!inserts.is_empty());
        let streaming = life.deltas.keys().any(|(turn, _)| !self.ends.contains_key(turn));
        self.counts.streaming += u64::from(streaming);
        for message in life.client.take().unwrap().kill() {
            self.take(&mut life, &message);
        }
    }

    fn pause(&mut self, most: u64) {
        sleep(Duration::from_micros(self.rng.below(most)));
    }

    /// The sessions that are in use or have something left to do.
    fn open_sessions(&self, all: bool) -> Vec<String> {
        let recent = self.messages.len().saturating_sub(2 * GENERATION);
        let mut open = BTreeSet::new();
        for (at, message) in self.messages.iter().enumerate() {
            let Some(receipt) = &message.receipt else { continue };
            if all || at >= recent || self.is_open(&receipt.turn) {
                open.insert(receipt.session.clone());
            }
        }
        let unsettled = self.inserts.values().filter(|insert| !insert.settled);
        open.extend(unsettled.map(|insert| insert.session.clone()));
        open.into_iter().collect()
    }

    fn is_open(&self, turn: &str) -> bool {
        !self.ends.contains_key(turn) && !self.interrupted.contains(turn) && !self.over.contains(turn)
    }

    // What it does.

    fn step(&mut self, life: &mut Life) {
        match self.rng.below(100) {
            0..=9 => self.say(life),
            10..=74 => {
                let wait = Duration::from_millis(self.rng.below(20));
                if let Some(message) = life.client.as_mut().unwrap().poll(wait) {
                    self.take(life, &message);
                }
            }
            75..=84 => {
                if !life.withheld.is_empty() {
                    let at = self.rng.below(life.withheld.len() as u64) as usize;
                    let id = life.withheld.swap_remove(at);
                    self.report(life, &id);
                }
            }
            85..=86 => {
                let turns: Vec<String> = self.receipts().map(|receipt| receipt.turn.clone()).collect();
                let last = &turns[turns.len().saturating_sub(10)..];
                if let Some(turn) = self.rng.pick(last) {
                    life.ask("orgAgent/cancel", &json!({"turnId": turn}), Wait::Cancel);
                }
            }
            87..=89 => {
                let most = self.messages.len() as u64;
                if most > 0 {
                    let at = self.rng.below(most) as usize;
                    self.send(life, at);
                }
            }
            90..=91 => {
                let sessions = self.open_sessions(false);
                if let Some(session) = self.rng.pick(&sessions) {
                    let session = session.clone();
                    self.resume(life, &session);
                }
            }
            _ => self.pause(4_000),
        }
    }

    fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.messages.iter().filter_map(|message| message.receipt.as_ref())
    }

    fn say(&mut self, life: &mut Life) {
        let busy = self.messages.iter().rev().take(10 * BUSY);
        let busy = busy.filter(|one| one.receipt.as_ref().is_none_or(|receipt| self.is_open(&receipt.turn)));
        if busy.count() >= BUSY {
            return;
        }
        let number = self.messages.len();
        let text = match self.rng.below(10) {
            0..=4 => format!("echo: answer {number}"),
            5..=6 => format!("run: true {number}"),
            7 => "long: 5".to_owned(),
            8 => format!("log: note {number}"),
            _ => format!("what about {number}?"),
        };
        let buffer = format!("*chat {} {}*", number / GENERATION, self.rng.below(BUFFERS));
        let client_id = format!("message {number}");
        self.messages.push(Message { client_id, buffer, text, ..Message::default() });
        self.send(life, number);
    }

    fn resend(&mut self, life: &mut Life) {
        for at in 0..self.messages.len() {
            if self.messages[at].receipt.is_none() && (life.calm || self.rng.chance(80)) {
                self.send(life, at);
            }
        }
    }

    fn send(&mut self, life: &mut Life, at: usize) {
        let message = &mut self.messages[at];
        message.sent += 1;
        let mut params = json!({"sensor": "chat-message", "clientId": message.client_id,
            "buffer": message.buffer, "text": message.text});
        if let Some(session) = self.sessions.get(&message.buffer)
            && self.rng.chance(50)
        {
            params["sessionId"] = session.as_str().into();
        }
        life.ask("orgAgent/event", &params, Wait::Event(at));
    }

    fn resume(&mut self, life: &mut Life, session: &str) {
        let own = self.inserts.iter().filter(|(_, insert)| insert.session == session);
        let applied: Vec<&String> = own.map(|(id, _)| id).collect();
        let turns: Vec<&String> = self.interrupted.iter().filter(|_| self.rng.chance(40)).collect();
        let mut params = json!({"sessionId": session, "applied": applied, "turns": turns});
        if self.rng.chance(20) {
            // An editor that lost its list: what it has is offered again, and not applied again.
            params["applied"] = json!([]);
        }
        life.ask("orgAgent/sessions/resume", &params, Wait::Resume);
    }

    fn report(&mut self, life: &mut Life, id: &str) {
        let mut report = json!({"actuationId": id, "status": "done"});
        if let Some(command) = self.commands.get(id) {
            report["exitCode"] = 0.into();
            report["stdout"] = format!("ran {}", command.cmd).into();
            if let Some(token) = &command.ran {
                report["token"] = token.clone();
            }
        }
        life.ask("orgAgent/actuated", &report, Wait::Report(id.to_owned()));
    }

    /// Reports now, later, or not in this life.
    fn report_some_time(&mut self, life: &mut Life, id: &str) {
        match self.rng.below(10) {
            _ if life.calm => self.report(life, id),
            0..=4 => self.report(life, id),
            5..=7 => life.withheld.push(id.to_owned()),
            _ => life.unreported.push(id.to_owned()),
        }
    }

    // What it is told.

    fn take(&mut self, life: &mut Life, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str() {
            None => self.answered(life, message),
            Some("orgAgent/turn") => {
                let turn = self.next_of_turn(life, params);
                let state = params["state"].as_str().unwrap();
                if ["done", "failed", "cancelled"].contains(&state) {
                    self.ends.insert(turn, state.to_owned());
                }
            }
            Some("orgAgent/delta") => {
                let turn = self.next_of_turn(life, params);
                let attempt = params["attempt"].as_u64().unwrap();
                let text = params["text"].as_str().unwrap();
                life.deltas.entry((turn, attempt)).or_default().push_str(text);
            }
            Some("orgAgent/retract") => {
                let turn = self.next_of_turn(life, params);
                life.deltas.remove(&(turn, params["attempt"].as_u64().unwrap()));
            }
            Some("orgAgent/actuate") => {
                let turn = self.next_of_turn(life, params);
                if params["action"]["target"] == "shell" {
                    self.command(life, params);
                } else {
                    let shown = life.deltas.remove(&(turn, params["attempt"].as_u64().unwrap()));
                    assert_eq!(shown.as_deref(), params["action"]["payload"]["text"].as_str());
                    self.insert(life, params);
                }
            }
            Some("orgAgent/abort") => {}
            Some(_) => panic!("{message}"),
        }
    }

    /// The turn that a message belongs to, which has not ended and whose messages come in order.
    fn next_of_turn(&self, life: &mut Life, params: &Value) -> String {
        let turn = params["turnId"].as_str().unwrap().to_owned();
        assert!(!self.ends.contains_key(&turn), "after the end of its turn: {params}");
        let seq = life.seqs.entry(turn.clone()).or_default();
        *seq += 1;
        assert_eq!(params["seq"], *seq, "{params}");
        turn
    }

    fn insert(&mut self, life: &mut Life, params: &Value) {
        let id = params["actuationId"].as_str().unwrap().to_owned();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let text = word(&params["action"]["payload"]["text"]);
        let insert = self.inserts.entry(id.clone()).or_insert_with(|| Insert {
            session: word(&params["sessionId"]),
            turn: word(&params["turnId"]),
            text: text.clone(),
            delivered: 0,
            settled: false,
        });
        insert.delivered += 1;
        assert_eq!(insert.text, text, "one actuation, two texts");
        self.report_some_time(life, &id);
    }

    fn command(&mut self, life: &mut Life, params: &Value) {
        let id = params["actuationId"].as_str().unwrap().to_owned();
        let command = self.commands.entry(id.clone()).or_default();
        command.cmd = params["action"]["payload"]["cmd"].as_str().unwrap().to_owned();
        command.turn = params["turnId"].as_str().unwrap().to_owned();
        command.sent += 1;
        let mut decision = json!({"actuationId": id, "choice": "run"});
        match self.rng.below(10) {
            0..=5 => {}
            6 => decision["choice"] = "deny".into(),
            7 => decision["command"] = format!("{} edited", command.cmd).into(),
            8 => return self.report(life, &id),
            // The user has not looked yet.
            _ if !life.calm => return,
            _ => {}
        }
        life.ask("orgAgent/decide", &decision, Wait::Decide(id));
    }

    fn answered(&mut self, life: &mut Life, message: &Value) {
        let Some(wait) = life.waits.remove(&message["id"].as_u64().unwrap()) else {
            // Of the start.
            return;
        };
        let result = &message["result"];
        if let Some(error) = message.get("error") {
            // The turn was cancelled meanwhile.
            let late = matches!(wait, Wait::Decide(_)) && error["data"]["code"] == "conflict";
            assert!(late, "{message}");
            return;
        }
        match wait {
            Wait::Event(at) => self.acknowledged(at, result),
            Wait::Report(id) => {
                if let Some(insert) = self.inserts.get_mut(&id) {
                    insert.settled = true;
                }
                if let Some(command) = self.commands.get_mut(&id) {
                    command.settled = true;
                }
            }
            Wait::Decide(id) if result["decision"] == "allow" => {
                self.commands.get_mut(&id).unwrap().ran = Some(result["token"].clone());
                self.report_some_time(life, &id);
            }
            Wait::Decide(_) | Wait::Cancel => {}
            Wait::Resume => self.resumed(life, result),
        }
    }

    fn acknowledged(&mut self, at: usize, result: &Value) {
        let word = |name: &str| result[name].as_str().unwrap().to_owned();
        let receipt = Receipt { event: word("eventId"), session: word("sessionId"), turn: word("turnId") };
        let message = &mut self.messages[at];
        let again = message.receipt.is_some();
        assert_eq!(*message.receipt.get_or_insert_with(|| receipt.clone()), receipt, "{result}");
        assert!(result["duplicate"] == true || !again, "taken twice: {result}");
        assert!(result["duplicate"] == false || message.sent > 1, "sent once, called a duplicate: {result}");
        let session = self.sessions.entry(message.buffer.clone()).or_insert_with(|| receipt.session.clone());
        assert_eq!(*session, receipt.session, "a second session for {}", message.buffer);
    }

    fn resumed(&mut self, life: &mut Life, result: &Value) {
        let list = |name: &str| result[name].as_array().unwrap().clone();
        for actuation in list("actuations") {
            self.insert(life, &actuation);
        }
        for turn in list("interrupted") {
            self.interrupted.insert(turn["turnId"].as_str().unwrap().to_owned());
        }
        for turn in list("resumed") {
            self.interrupted.insert(turn["from"].as_str().unwrap().to_owned());
        }
        // All turns that were acknowledged before this answer are in it, unless they are over.
        let live = list("live");
        for receipt in self.messages.iter().filter_map(|message| message.receipt.as_ref()) {
            if receipt.session == result["sessionId"].as_str().unwrap()
                && !live.contains(&json!(receipt.turn))
            {
                self.over.insert(receipt.turn.clone());
            }
        }
        life.left += list("live").len() + list("actuations").len();
    }
}

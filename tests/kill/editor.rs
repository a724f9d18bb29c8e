//! An editor that outlives its servers: it sends, applies inserts once by their identifier, reports late or
//! never, resends what was not acknowledged, and kills. Now and then it is killed itself, and comes back with nothing
//! but its saved files. What is kept here for the check at the end is everything that any client was told; what the
//! client acts on is only what it can know.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::file::Files;
use crate::memory::{Command, Counts, Insert, Message, Receipt};
use crate::rng::Rng;

mod told;

const ENV: [(&str, &str); 1] = [("ORG_AGENT_MODEL", "offline")];

/// How many buffers are in use at a time, more than an idle server holds sessions; after so many messages others take
/// their place.
const BUFFERS: u64 = 32;
const GENERATION: usize = 400;

/// The most turns that are under way when another message is sent.
const BUSY: usize = 64;

/// What an answer is for.
enum Wait {
    Event(usize),
    Report(String),
    Decide(String),
    Resume,
    Cancel,
    Sessions,
    /// What was said in a session.
    Record(String),
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
    /// Nothing is reported for now.
    holding: bool,
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
    pub files: Files,
    /// The interrupted turns that this client was told of.
    told: HashSet<String>,
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
            files: Files::default(),
            told: HashSet::new(),
        }
    }

    /// Starts a server, uses it for a while, and kills it.
    pub fn live(&mut self) {
        self.counts.kills += 1;
        if self.rng.chance(15) {
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
        if self.counts.kills == 1 || self.rng.chance(20) {
            self.crowd(&mut life);
        }
        // Most lives are long enough for a turn, some for several.
        let most = [30, 300, 300, 800, 1500][self.rng.below(5) as usize];
        let end = Instant::now() + Duration::from_millis(self.rng.below(most));
        while Instant::now() < end {
            self.step(&mut life);
        }
        if self.rng.chance(35) {
            self.die(life);
        } else {
            self.end(life);
        }
    }

    /// Sends a message from every buffer, and reports nothing before all are acknowledged.
    fn crowd(&mut self, life: &mut Life) {
        life.holding = true;
        for buffer in 0..BUFFERS {
            self.say(life, buffer);
        }
        while life.waits.values().any(|wait| matches!(wait, Wait::Event(_))) {
            let message = life.client.as_mut().unwrap().next().expect("the server lives");
            self.take(life, &message);
        }
        life.holding = false;
        self.count_sessions();
    }

    /// Starts a last server, lets everything come to its end, completes the files from the record, saves them, and
    /// leaves as a client should.
    pub fn settle(&mut self) {
        let mut life = self.begin(true);
        let guard = Instant::now() + Duration::from_secs(300);
        let mut completed = false;
        loop {
            while let Some(message) = life.client.as_mut().unwrap().poll(Duration::from_millis(100)) {
                self.take(&mut life, &message);
            }
            let open = life.waits.len() + self.pending().count();
            assert!(Instant::now() < guard, "{open} answers are missing, {} turns do not end", life.left);
            if open > 0 {
                continue;
            }
            if life.left > 0 {
                life.left = 0;
                for session in self.files.sessions() {
                    self.resume(&mut life, &session);
                }
            } else if completed {
                break;
            } else {
                for session in self.files.sessions() {
                    self.read_record(&mut life, &session);
                }
                completed = true;
                // What was written from the record stands in the files now: the server is told so by one more round.
                life.left = 1;
            }
        }
        self.files.save_all();
        let unread = life.client.unwrap().finish_unread();
        assert!(unread.is_empty(), "{unread:?}");
    }

    /// The messages that this client has to send again until they are acknowledged.
    fn pending(&self) -> impl Iterator<Item = usize> + '_ {
        let pending = |message: &Message| message.receipt.is_none() && message.client == self.counts.clients;
        self.messages.iter().enumerate().filter(move |(_, message)| pending(message)).map(|(at, _)| at)
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
            holding: false,
            // To look at least once.
            left: 1,
        };
        let resend_first = self.rng.chance(50);
        if resend_first {
            self.resend(&mut life);
        }
        if calm {
            self.find_sessions(&mut life);
        }
        for session in self.known_sessions() {
            self.resume(&mut life, &session);
        }
        if !resend_first {
            self.resend(&mut life);
        }
        // What ran is reported, also to a server that did not ask for it.
        for (id, command) in &self.commands {
            if let (Some(token), false) = (&command.ran, command.settled)
                && command.client == self.counts.clients
                && (calm || self.rng.chance(50))
            {
                let report = json!({"actuationId": id, "token": token, "status": "done", "exitCode": 0});
                life.ask("orgAgent/actuated", &report, Wait::Report(id.clone()));
            }
        }
        life
    }

    /// The server is killed; its client reads what it still wrote.
    fn end(&mut self, mut life: Life) {
        self.note_moment(&life);
        for message in life.client.take().unwrap().kill() {
            self.take(&mut life, &message);
        }
    }

    /// The client is killed, its server too or by the end of its input, and another client comes back with the saved
    /// files. What was on its way to it nobody ever reads.
    fn die(&mut self, mut life: Life) {
        self.note_moment(&life);
        let mut client = life.client.take().unwrap();
        if self.rng.chance(50) {
            client.kill();
        } else {
            client.acknowledge = false;
            client.close_input();
            assert_eq!(client.ended().code(), Some(1), "its input was closed");
        }
        let unacknowledged = life.waits.values().any(|wait| matches!(wait, Wait::Event(_)));
        self.counts.unacknowledged += u64::from(unacknowledged);
        let (prompts, replies) = self.files.crash();
        self.counts.unsaved_prompts += u64::from(prompts > 0);
        self.counts.unsaved_replies += u64::from(replies > 0);
        self.counts.clients += 1;
        self.told.clear();
        // What stands in the input areas may have arrived, or not: nobody knows. Sent again it is another message.
        for (buffer, numbers) in self.files.take_inputs() {
            for number in numbers {
                if self.rng.chance(70) {
                    let text = self.messages[number].text.clone();
                    self.compose(buffer.clone(), text);
                }
            }
        }
    }

    fn count_sessions(&mut self) {
        let under_way =
            |message: &&Message| message.receipt.as_ref().is_some_and(|receipt| self.is_open(&receipt.turn));
        let recent = self.messages.iter().rev().take(10 * BUSY).filter(under_way);
        let buffers: HashSet<&str> = recent.map(|message| message.buffer.as_str()).collect();
        self.counts.at_once = self.counts.at_once.max(buffers.len() as u64);
    }

    fn note_moment(&mut self, life: &Life) {
        self.count_sessions();
        for wait in life.waits.values() {
            match wait {
                Wait::Event(_) => self.counts.before_receipt += 1,
                Wait::Report(_) => self.counts.before_settled += 1,
                Wait::Decide(_) => self.counts.deciding += 1,
                Wait::Resume | Wait::Cancel | Wait::Sessions | Wait::Record(_) => {}
            }
        }
        let unreported = life.withheld.iter().chain(&life.unreported);
        let (commands, inserts): (Vec<_>, Vec<_>) =
            unreported.partition(|id| self.commands.contains_key(*id));
        self.counts.deciding += u64::from(!commands.is_empty());
        self.counts.before_report += u64::from(!inserts.is_empty());
        let streaming = life.deltas.keys().any(|(turn, _)| !self.ends.contains_key(turn));
        self.counts.streaming += u64::from(streaming);
    }

    fn pause(&mut self, most: u64) {
        sleep(Duration::from_micros(self.rng.below(most)));
    }

    /// The sessions that this client knows and that are in use or may have something left to do. Others a client
    /// resumes when it visits their files.
    fn known_sessions(&mut self) -> Vec<String> {
        let recent = self.messages.len().saturating_sub(GENERATION);
        let mut open = BTreeSet::new();
        for (at, message) in self.messages.iter().enumerate() {
            let Some(receipt) = &message.receipt else { continue };
            if self.is_open(&receipt.turn) || (at >= recent && self.rng.chance(20)) {
                open.insert(receipt.session.clone());
            }
        }
        let unsettled = self.inserts.values().filter(|insert| !insert.settled);
        open.extend(unsettled.map(|insert| insert.session.clone()));
        open.into_iter().filter(|session| self.files.of(session).is_some()).collect()
    }

    /// Asks for the list of all sessions, so that also those of messages that nobody remembers are looked at.
    fn find_sessions(&mut self, life: &mut Life) {
        life.ask("orgAgent/sessions/list", &json!({"limit": 500}), Wait::Sessions);
    }

    fn read_record(&mut self, life: &mut Life, session: &str) {
        let params = json!({"sessionId": session, "limit": 500});
        life.ask("orgAgent/sessions/messages", &params, Wait::Record(session.to_owned()));
    }

    fn is_open(&self, turn: &str) -> bool {
        !self.ends.contains_key(turn) && !self.interrupted.contains(turn) && !self.over.contains(turn)
    }

    // What it does.

    fn step(&mut self, life: &mut Life) {
        match self.rng.below(100) {
            0..=9 => {
                let buffer = self.rng.below(BUFFERS);
                self.say(life, buffer);
            }
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
            87..=88 => {
                let own = |message: &Message| message.client == self.counts.clients;
                let own: Vec<usize> =
                    (0..self.messages.len()).filter(|at| own(&self.messages[*at])).collect();
                if let Some(at) = self.rng.pick(&own) {
                    self.send(life, *at);
                }
            }
            89 => {
                let buffers: Vec<String> = self.files.now.keys().cloned().collect();
                for buffer in buffers {
                    if self.rng.chance(50) {
                        self.files.save(&buffer);
                    }
                }
            }
            90..=91 => {
                let sessions = self.known_sessions();
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

    fn say(&mut self, life: &mut Life, buffer: u64) {
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
        let buffer = format!("*chat {} {buffer}*", number / GENERATION);
        let at = self.compose(buffer, text);
        self.send(life, at);
    }

    /// Writes a message into the input area of a buffer; its number.
    fn compose(&mut self, buffer: String, text: String) -> usize {
        let number = self.messages.len();
        self.files.page(&buffer).input.push(number);
        let client_id = format!("message {number}");
        let client = self.counts.clients;
        self.messages.push(Message { client_id, buffer, text, client, ..Message::default() });
        number
    }

    fn resend(&mut self, life: &mut Life) {
        for at in self.pending().collect::<Vec<_>>() {
            if life.calm || self.rng.chance(80) {
                self.send(life, at);
            }
        }
    }

    fn send(&mut self, life: &mut Life, at: usize) {
        let message = &mut self.messages[at];
        message.sent += 1;
        let mut params = json!({"sensor": "chat-message", "clientId": message.client_id,
            "buffer": message.buffer, "text": message.text});
        if let Some(session) = &self.files.page(&message.buffer).session
            && self.rng.chance(50)
        {
            params["sessionId"] = session.as_str().into();
        }
        life.ask("orgAgent/event", &params, Wait::Event(at));
    }

    fn resume(&mut self, life: &mut Life, session: &str) {
        let applied = self.files.of(session).map(|page| page.applied.clone()).unwrap_or_default();
        let turns: Vec<String> = self.told.iter().cloned().collect();
        let odds = if life.calm { 100 } else { 40 };
        let turns: Vec<String> = turns.into_iter().filter(|_| self.rng.chance(odds)).collect();
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
            _ if life.holding => life.withheld.push(id.to_owned()),
            0..=4 => self.report(life, id),
            5..=7 => life.withheld.push(id.to_owned()),
            _ => life.unreported.push(id.to_owned()),
        }
    }
}

//! Fills a store with sessions as people have them, through its own front door. It knows what events a turn
//! is made of, and nothing of tables.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use org_agent::ids::{ActuationId, SessionId, TurnId};
use org_agent::record::{Approved, Decider, Decision, EndState, Outcome, Record};
use org_agent::store::{Options, Store};
use serde_json::{Value, json};

use crate::words::{Dice, Words};

/// Messages of an average session.
const SESSION: usize = 500;

/// When the first event was, and how long after it the next one: a million messages are some years.
const BEGAN: u64 = 1_600_000_000_000;
const PAUSE: u64 = 30_000;

/// What the store was filled with.
pub struct Filled {
    /// The session with a tenth of all messages.
    pub longest: SessionId,
    /// Messages, those that answers and commands make included.
    pub messages: usize,
    /// Events.
    pub events: usize,
    /// How long it took.
    pub took: Duration,
}

/// Turns, one after the other.
pub struct Turns {
    words: Words,
    dice: Dice,
}

impl Turns {
    /// The same seed, which must not be 0, gives the same turns.
    pub fn new(seed: u64) -> Self {
        Self { words: Words::new(), dice: Dice::new(seed) }
    }

    /// A turn's events, and how many messages they make: a question and its answer, with a command each
    /// seventh time.
    pub fn turn(&mut self) -> (Vec<Record>, usize) {
        let turn = TurnId::random().unwrap();
        let mut records = vec![
            Record::MessageSent {
                turn: turn.clone(),
                client_id: self.dice.id(),
                text: self.words.text(&mut self.dice),
                level: 1,
                context: Vec::new(),
                location: None,
                mark: None,
            },
            Record::TurnStarted { turn: turn.clone() },
        ];
        let command = self.dice.below(7) == 0;
        if command {
            let output = self.words.text(&mut self.dice);
            let payload = json!({"action": "run", "cmd": "grep -rn TODO src"});
            self.action(&turn, 1, "shell", &payload, &output, &mut records);
        }
        let text = self.words.text(&mut self.dice);
        let payload = json!({"action": "insert-at-end", "buffer": "*org-agent-chat*", "text": text});
        self.action(&turn, 1 + u32::from(command), "emacs", &payload, "", &mut records);
        records.push(Record::TurnEnded { turn, state: EndState::Done, reason: None });
        (records, if command { 4 } else { 2 })
    }

    /// An action from its proposal to its outcome.
    fn action(
        &mut self,
        turn: &TurnId,
        attempt: u32,
        target: &str,
        payload: &Value,
        stdout: &str,
        records: &mut Vec<Record>,
    ) {
        let actuation = ActuationId::random().unwrap();
        records.extend([
            Record::ActionProposed {
                actuation: actuation.clone(),
                turn: turn.clone(),
                attempt,
                sexp: format!("(:type :request :target :{target} :payload {payload})"),
                action: json!({"type": "request", "target": target, "payload": payload}),
                system: false,
                mark: None,
            },
            Record::ActionPermitted {
                actuation: actuation.clone(),
                decision: Decision::Allow,
                rule: "default".into(),
                by: Decider::Policy,
                command: None,
                approved: Approved::default(),
            },
            Record::ActionExecuted {
                actuation,
                outcome: Outcome { stdout: stdout.to_owned(), ..Outcome::default() },
            },
        ]);
    }
}

/// Opens the store in `dir`; what is on disk is told by the receiver.
pub fn open(dir: &Path) -> (Store, Receiver<u64>) {
    open_with(dir, Options::default())
}

fn open_with(dir: &Path, options: Options) -> (Store, Receiver<u64>) {
    let (tell, hear) = channel();
    let told = move |ticket: org_agent::error::Result<u64>| {
        // Nobody listens any more when a store is closed.
        let _ = tell.send(ticket.unwrap());
    };
    let store = Store::open_with(dir, options, told).unwrap();
    (store, hear)
}

/// Begins a session.
pub fn begin(store: &mut Store, session: &SessionId) -> u64 {
    let title = format!("Session {session}");
    let record = Record::SessionCreated { user: "user".into(), title, buffer: "*org-agent-chat*".into() };
    store.append(session, &record).unwrap().ticket
}

/// Makes `messages` messages in `dir`: a tenth in one session, a fiftieth in each of four, the others in
/// many.
pub fn fill(dir: &Path, messages: usize) -> Filled {
    let begun = Instant::now();
    let now = AtomicU64::new(BEGAN);
    let options =
        Options { clock: Box::new(move || now.fetch_add(PAUSE, Ordering::Relaxed)), ..Options::default() };
    let (mut store, hear) = open_with(dir, options);
    let mut dice = Dice::new(0x5e55_1095);
    let sessions: Vec<SessionId> = (0..(messages / SESSION).max(8)).map(|_| SessionId(dice.id())).collect();
    for session in &sessions {
        begin(&mut store, session);
    }
    let mut turns = Turns::new(7);
    let mut filled =
        Filled { longest: sessions[0].clone(), messages: 0, events: sessions.len(), took: Duration::ZERO };
    let mut said = 0;
    while filled.messages < messages {
        let session = match dice.below(50) {
            0..5 => 0,
            place @ 5..9 => place as usize - 4,
            _ => 5 + dice.below(sessions.len() as u64 - 5) as usize,
        };
        let (records, made) = turns.turn();
        let ticket = store.append_all(&sessions[session], &records).unwrap()[0].ticket;
        filled.messages += made;
        filled.events += records.len();
        if !store.has_room() {
            hear.recv().unwrap();
        }
        if filled.messages >= said + 100_000 {
            said = filled.messages;
            let seconds = begun.elapsed().as_secs();
            let mut out = std::io::stderr().lock();
            writeln!(out, "{said} messages after {seconds} s, {} turns wait", ticket - store.committed())
                .unwrap();
        }
    }
    drop(store);
    filled.took = begun.elapsed();
    filled
}

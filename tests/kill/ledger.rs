//! What the log says against what the editor was told, read from the file without a server.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::path::Path;

use org_agent::record::{Decision, EndState, Record, Status};
use org_agent::store::Store;
use rusqlite::Connection;
use serde_json::Value;

use crate::editor::Editor;

/// What came out.
pub struct Verdict {
    acknowledged: usize,
    lost: usize,
    twice: usize,
    counts: String,
    pub problems: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acknowledged, lost, twice, counts, .. } = self;
        write!(f, "acknowledged {acknowledged}, lost {lost}, twice {twice}\n{counts}")
    }
}

#[derive(Default, Debug)]
struct Turn {
    session: String,
    message: String,
    started: bool,
    end: Option<(EndState, Option<String>)>,
    resumes: Option<String>,
}

#[derive(Debug)]
struct Action {
    turn: String,
    body: Value,
    decision: Option<Decision>,
    outcomes: Vec<Status>,
}

impl Action {
    fn is_text(&self) -> bool {
        self.body["payload"]["action"] == "insert-at-end" || self.body["type"] == "response"
    }
}

/// Everything in the log that matters here.
#[derive(Default)]
struct Log {
    /// Event, client id and text of each message, in the order of the log.
    messages: Vec<(String, String, String)>,
    turns: HashMap<String, Turn>,
    /// The turns of each session that wait for their first time, oldest first.
    waiting: HashMap<String, VecDeque<String>>,
    running: HashMap<String, String>,
    actions: BTreeMap<String, Action>,
    problems: Vec<String>,
}

pub fn check(home: &Path, editor: &Editor) -> Verdict {
    let store = Store::open(home, |_| {}).unwrap();
    let findings = store.verify_all().unwrap();
    let log = Log::read(home);
    let mut problems: Vec<String> = findings.iter().map(|finding| format!("{finding:?}")).collect();
    problems.extend(log.problems.iter().cloned());

    // Messages: each acknowledged one is there, each one once.
    let mut times: HashMap<&str, usize> = HashMap::new();
    for (_, client_id, _) in &log.messages {
        *times.entry(client_id).or_default() += 1;
    }
    let mut twice: Vec<String> =
        times.iter().filter(|(_, times)| **times > 1).map(|(id, _)| format!("{id} twice")).collect();
    let mut lost = Vec::new();
    let events: HashMap<&str, (&str, &str)> =
        log.messages.iter().map(|(event, id, text)| (event.as_str(), (id.as_str(), text.as_str()))).collect();
    for message in &editor.messages {
        // Only what a client was killed with was never acknowledged. It is there once or not at all.
        let Some(receipt) = message.receipt.as_ref() else { continue };
        let there = events.get(receipt.event.as_str()) == Some(&(&message.client_id, &message.text))
            && log.turns.get(&receipt.turn).is_some_and(|turn| turn.session == receipt.session);
        if !there {
            lost.push(format!("{}: {receipt:?}", message.client_id));
        }
    }

    // Texts: what was permitted arrived, what was reported is recorded, and no message is answered twice.
    let mut answers: HashMap<&str, usize> = HashMap::new();
    for (id, action) in log.actions.iter().filter(|(_, action)| action.is_text()) {
        let message = log.turns[&action.turn].message.as_str();
        let text = action.body["payload"]["text"].as_str().unwrap();
        match editor.inserts.get(id) {
            Some(insert) => {
                *answers.entry(message).or_default() += 1;
                if insert.text != text || insert.turn != action.turn {
                    problems.push(format!("another text was sent than recorded: {text}"));
                }
            }
            None if action.decision == Some(Decision::Allow) => lost.push(format!("the text {id}: {text}")),
            None => {}
        }
        if let (id, Some(echo)) = (id, events[message].1.strip_prefix("echo: "))
            && text != echo
        {
            problems.push(format!("{id} answers {echo:?} with {text:?}"));
        }
    }
    for id in editor.inserts.keys().chain(editor.commands.keys()) {
        match log.actions.get(id).map(|action| action.outcomes.len()) {
            Some(1) => {}
            // A command may be reported after its outcome was recorded as unknown, or never.
            Some(0 | 2) if editor.commands.contains_key(id) => {}
            other => problems.push(format!("{id} was sent and has {other:?} outcomes")),
        }
    }
    for (id, command) in editor.commands.iter().filter(|(_, command)| command.settled) {
        if log.actions[id].outcomes.last() == Some(&Status::Unknown) {
            lost.push(format!("the outcome of {}", command.cmd));
        }
    }
    // What a model noted in the log stands there once.
    let mut notes: HashMap<&str, usize> = HashMap::new();
    for action in log.actions.values().filter(|action| action.body["type"] == "log") {
        if action.decision == Some(Decision::Allow) {
            *notes.entry(&log.turns[&action.turn].message).or_default() += 1;
        }
    }
    let noted_twice = notes.iter().filter(|(_, times)| **times > 1);
    twice.extend(noted_twice.map(|(message, _)| format!("two notes for {:?}", log.about(message))));
    let answered_twice = answers.iter().filter(|(_, times)| **times > 1);
    twice.extend(answered_twice.map(|(message, _)| format!("two answers to {:?}", events[message])));

    // Files: every prompt and every text stands in one of them, once, and no message has two replies.
    let mut prompts: HashMap<&str, usize> = HashMap::new();
    let mut replies: HashMap<&str, usize> = HashMap::new();
    for page in editor.files.saved() {
        page.prompts.iter().for_each(|event| *prompts.entry(event).or_default() += 1);
        page.applied.iter().for_each(|id| *replies.entry(id).or_default() += 1);
    }
    for (event, id, _) in &log.messages {
        match prompts.remove(event.as_str()) {
            Some(1) => {}
            None => lost.push(format!("no file has {id}")),
            Some(times) => twice.push(format!("{id} stands {times} times in the files")),
        }
    }
    let mut replied: HashMap<&str, usize> = HashMap::new();
    for (id, action) in log.actions.iter().filter(|(_, action)| action.outcomes == [Status::Done]) {
        match replies.remove(id.as_str()) {
            Some(1) => *replied.entry(&log.turns[&action.turn].message).or_default() += 1,
            None if action.is_text() => lost.push(format!("no file has the text {id}: {}", action.body)),
            None => {}
            Some(times) => twice.push(format!("{id} stands {times} times in the files")),
        }
    }
    twice.extend(
        replied
            .iter()
            .filter(|(_, times)| **times > 1)
            .map(|(at, _)| format!("two replies to {at} in a file: {}", log.about(at))),
    );
    problems
        .extend(prompts.keys().map(|event| format!("a file has a prompt that is not in the log: {event}")));
    problems.extend(replies.keys().map(|id| {
        let logged = log.actions.get(*id).map(|action| {
            let end = log.turns.get(&action.turn).map(|turn| format!("{:?}", turn.end));
            format!("decision {:?}, outcomes {:?}, its turn's end {end:?}", action.decision, action.outcomes)
        });
        format!("a file has a text that is not done: {id}, {logged:?}")
    }));

    // Commands: sent once, by their identifier and by their words. Only a turn that the user let run again may
    // propose the same once more.
    let mut sent: HashMap<(&str, &str), u32> = HashMap::new();
    for (id, command) in &editor.commands {
        *sent.entry((&command.turn, &command.cmd)).or_default() += command.sent;
        if command.sent > 1 {
            twice.push(format!("{id} was sent {} times", command.sent));
        }
    }
    let again = sent.iter().filter(|(_, times)| **times > 1);
    twice.extend(again.map(|((_, command), times)| format!("{command} was sent {times} times")));

    // Turns: each came to one end, and the editor was told of it, or that it was interrupted.
    for (id, turn) in &log.turns {
        let state = match &turn.end {
            None => {
                problems.push(format!("turn {id} did not end"));
                continue;
            }
            Some((EndState::Failed, Some(reason))) if reason == "interrupted" => {
                let has_text = |action: &Action| {
                    action.turn == *id && action.is_text() && action.decision == Some(Decision::Allow)
                };
                if !editor.interrupted.contains(id) && !log.actions.values().any(has_text) {
                    problems.push(format!("turn {id} was interrupted and nobody was told"));
                }
                continue;
            }
            Some((EndState::Done, None)) => "done",
            Some((EndState::Cancelled, None)) => "cancelled",
            Some(end) => {
                problems.push(format!("turn {id} ended: {end:?}"));
                continue;
            }
        };
        if editor.ends.get(id).is_some_and(|told| told != state) {
            problems.push(format!("turn {id} is {state}, the editor was told otherwise"));
        }
    }
    let delivered: u32 = editor.inserts.values().map(|insert| insert.delivered).sum();
    let reports = editor.inserts.values().filter(|insert| insert.settled).count()
        + editor.commands.values().filter(|command| command.settled).count();
    let counts = format!(
        "{} messages, {} texts delivered {delivered} times, {} commands, {} turns interrupted, {} resumed; {:?}",
        editor.messages.len(),
        editor.inserts.len(),
        editor.commands.len(),
        log.turns.values().filter(|turn| matches!(turn.end, Some((EndState::Failed, _)))).count(),
        log.turns.values().filter(|turn| turn.resumes.is_some()).count(),
        editor.counts,
    );
    let verdict = Verdict {
        acknowledged: editor.messages.iter().filter(|message| message.receipt.is_some()).count() + reports,
        lost: lost.len(),
        twice: twice.len(),
        counts,
        problems: Vec::new(),
    };
    problems.extend(lost.into_iter().map(|what| format!("lost: {what}")));
    problems.extend(twice.into_iter().map(|what| format!("twice: {what}")));
    Verdict { problems, ..verdict }
}

impl Log {
    /// All that was done about the message of that event.
    fn about(&self, event: &str) -> String {
        let turns = self.turns.iter().filter(|(_, turn)| turn.message == event).collect::<Vec<_>>();
        let actions = self.actions.iter().filter(|(_, action)| self.turns[&action.turn].message == event);
        format!("{turns:#?} {:#?}", actions.collect::<Vec<_>>())
    }

    fn read(home: &Path) -> Self {
        let db = Connection::open(home.join("agent.db")).unwrap();
        let mut rows = db.prepare("SELECT id, session, body FROM log ORDER BY position").unwrap();
        let rows = rows
            .query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })
            .unwrap();
        let mut log = Self::default();
        for row in rows {
            let (event, session, body) = row.unwrap();
            log.event(event, session, serde_json::from_str(&body).unwrap());
        }
        log
    }

    fn event(&mut self, event: String, session: String, record: Record) {
        match record {
            Record::SessionCreated { .. } | Record::MessageDelivered { .. } => {}
            Record::MessageSent { turn, client_id, text, .. } => {
                self.messages.push((event.clone(), client_id, text));
                self.waiting.entry(session.clone()).or_default().push_back(turn.0.clone());
                let new = Turn { session, message: event, ..Turn::default() };
                self.turns.insert(turn.0, new);
            }
            Record::TurnResumed { turn, from, message } => {
                let resumes = Some(from.0.clone());
                let taken = self.turns.values().any(|turn| turn.resumes == resumes);
                let end = self.turns[&from.0].end.as_ref();
                let interrupted = end.is_some_and(|(_, reason)| reason.as_deref() == Some("interrupted"));
                self.demand(!taken, || format!("{from} is resumed twice"));
                self.demand(interrupted, || format!("{from} is resumed and was not interrupted"));
                self.turns.insert(turn.0, Turn { session, message: message.0, resumes, ..Turn::default() });
            }
            Record::TurnStarted { turn } => {
                let running = self.running.insert(session.clone(), turn.0.clone());
                self.demand(running.is_none(), || format!("{turn} starts while {running:?} runs"));
                let first_time = self.turns[&turn.0].resumes.is_none();
                let waiting = self.waiting.get_mut(&session).unwrap();
                let first = if first_time { waiting.pop_front() } else { Some(turn.0.clone()) };
                self.demand(first.as_ref() == Some(&turn.0), || format!("{turn} overtook {first:?}"));
                self.turns.get_mut(&turn.0).unwrap().started = true;
            }
            Record::Dispatched { turn, .. }
            | Record::Gated { turn, .. }
            | Record::Prompted { turn, .. }
            | Record::Replied { turn, .. } => self.works(&turn.0),
            Record::ActionProposed { actuation, turn, action, system, .. } => {
                self.works(&turn.0);
                self.demand(!system, || format!("a system error: {action}"));
                let action = Action { turn: turn.0, body: action, decision: None, outcomes: Vec::new() };
                self.actions.insert(actuation.0, action);
            }
            Record::ActionPermitted { actuation, decision, .. } => {
                let action = self.actions.get_mut(&actuation.0).unwrap();
                action.decision = Some(decision);
                let turn = action.turn.clone();
                self.works(&turn);
            }
            Record::ActionExecuted { actuation, outcome } => {
                let action = self.actions.get_mut(&actuation.0).unwrap();
                action.outcomes.push(outcome.status);
                let outcomes = action.outcomes.clone();
                let sound = outcomes.len() == 1 || outcomes == [Status::Unknown, Status::Done];
                self.demand(sound, || format!("{actuation} has outcomes {outcomes:?}"));
            }
            Record::TurnEnded { turn, state, reason } => {
                if self.running.get(&session) == Some(&turn.0) {
                    self.running.remove(&session);
                }
                self.waiting.get_mut(&session).unwrap().retain(|waiting| *waiting != turn.0);
                let ended = self.turns.get_mut(&turn.0).unwrap().end.replace((state, reason));
                self.demand(ended.is_none(), || format!("{turn} ended twice"));
            }
            other => self.demand(false, || format!("nobody asked for {}", other.kind())),
        }
    }

    /// Nothing is done for a turn before it starts or after it ends.
    fn works(&mut self, turn: &str) {
        let sound = self.turns[turn].started && self.turns[turn].end.is_none();
        self.demand(sound, || format!("{turn} works while it does not run"));
    }

    fn demand(&mut self, sound: bool, problem: impl FnOnce() -> String) {
        if !sound {
            self.problems.push(problem());
        }
    }
}

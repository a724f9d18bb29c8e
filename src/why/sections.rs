//! The sections: which event is shown where, and what of it. Those about model calls stand in `calls`.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::calls;
use super::page::Page;

/// The last second that can be written: 9999-12-31.
const LAST_MS: u64 = 253_402_300_799_000;

/// The events of a turn, put together by what they are about.
pub(super) struct Story<'a> {
    why: &'a Value,
    all: Vec<&'a Value>,
    /// Model calls by their number, in the order in which they began; 0 has what no model did.
    attempts: Vec<(u64, Vec<&'a Value>)>,
    /// When the user said it, in milliseconds since 1970.
    began: u64,
}

impl<'a> Story<'a> {
    pub(super) fn of(why: &'a Value) -> Self {
        let all: Vec<&Value> = why["events"].as_array().into_iter().flatten().collect();
        let began = all.iter().find(|event| kind(event) == "chat.message.sent").or(all.first());
        let began = began.and_then(|event| event["time"].as_u64()).unwrap_or_default();
        let mut story = Self { why, all, attempts: Vec::new(), began };
        // Which model call proposed an action.
        let mut proposed: BTreeMap<&str, u64> = BTreeMap::new();
        let mut places: BTreeMap<u64, usize> = BTreeMap::new();
        for event in &story.all {
            let by_action = event["actuation"].as_str();
            let number = match (event["attempt"].as_u64(), by_action) {
                (Some(number), Some(id)) => *proposed.entry(id).or_insert(number),
                (Some(number), None) => number,
                (None, Some(id)) => proposed.get(id).copied().unwrap_or_default(),
                (None, None) => continue,
            };
            let place = *places.entry(number).or_insert_with(|| {
                story.attempts.push((number, Vec::new()));
                story.attempts.len() - 1
            });
            story.attempts[place].1.push(event);
        }
        story
    }

    /// What the user said.
    pub(super) fn message(&self) -> Option<&'a Value> {
        self.find("chat.message.sent")
    }

    fn find(&self, name: &str) -> Option<&'a Value> {
        self.all.iter().find(|event| kind(event) == name).copied()
    }

    /// How long after the beginning `event` was.
    fn after(&self, event: &Value) -> String {
        let ms = event["time"].as_u64().unwrap_or_default().saturating_sub(self.began);
        match ms {
            0..10_000 => format!("+{ms} ms"),
            _ => format!("+{}.{} s", ms / 1000, ms % 1000 / 100),
        }
    }

    pub(super) fn write(&self, page: &mut Page<'_>) {
        self.event(page);
        self.skills(page);
        for (number, events) in &self.attempts {
            match number {
                0 => page.heading(2, "Without a model", ""),
                number => page.heading(2, &format!("Model call {number}"), ""),
            }
            let is_there = |name: &str| events.iter().any(|event| kind(event) == name);
            if *number > 0 && is_there("turn.replied") && !is_there("turn.prompted") {
                page.fact("model", "none was asked");
            }
            for event in events {
                if page.is_full() {
                    return;
                }
                self.step(page, event);
            }
        }
        calls::together(page, self.why);
        self.end(page);
        page.heading(2, "Times", "");
        for event in &self.all {
            if page.is_full() {
                return;
            }
            page.fact(&self.after(event), kind(event));
        }
    }

    fn event(&self, page: &mut Page<'_>) {
        page.heading(2, "Event", "");
        let Some(event) = self.message() else {
            page.fact("message", "not recorded");
            return;
        };
        page.fact("when", &time(&event["time"]));
        page.fact("event", word(event, "eventId"));
        let location = &event["location"];
        if let Some(directory) = location["directory"].as_str() {
            page.fact("in", &format!("{directory}{}", part(" on ", word(location, "host"))));
        }
        for attached in list(event, "context") {
            if page.is_full() {
                return;
            }
            let (of, name, mode) = (word(attached, "kind"), word(attached, "name"), word(attached, "mode"));
            let bytes = count(word(attached, "text").len());
            page.fact("attached", &format!("{of} {name}, {bytes}{}", part(", mode ", mode)));
        }
        page.text(word(event, "text"));
        if let Some(resumed) = self.find("turn.resumed") {
            page.fact("resumes", &format!("{}, {}", word(resumed, "from"), self.after(resumed)));
        }
        for steered in self.all.iter().filter(|event| kind(event) == "turn.steered") {
            if word(steered, "turn") == word(self.why, "turnId") {
                page.fact("makes way for", &format!("{}, {}", word(steered, "by"), self.after(steered)));
            } else {
                page.fact("steers", word(steered, "turn"));
            }
        }
        if let Some(again) = self.find("turn.regenerated") {
            page.fact("again after", &format!("{}, {}", word(again, "from"), self.after(again)));
        }
    }

    fn skills(&self, page: &mut Page<'_>) {
        let Some(event) = self.find("turn.dispatched") else { return };
        page.heading(2, &format!("Skills, {}", self.after(event)), "");
        let skill = word(event, "skill");
        page.fact("prompt by", if skill.is_empty() { "no skill: the built-in prompt" } else { skill });
        for triggered in list(event, "triggered") {
            if page.is_full() {
                return;
            }
            let (name, hash, failed) =
                (word(triggered, "skill"), word(triggered, "sha256"), word(triggered, "failed"));
            page.fact(
                "triggered",
                &format!("{name}, sha256 {hash}{}", part(", its trigger failed: ", failed)),
            );
        }
        notes(page, event);
    }

    fn step(&self, page: &mut Page<'_>, event: &Value) {
        let after = self.after(event);
        match kind(event) {
            "turn.prompted" => calls::prompt(page, event, &after),
            "turn.replied" => calls::reply(page, event, &after),
            "turn.fell_back" => calls::fell_back(page, event, &after),
            "chat.session.summarised" => calls::summarised(page, event, &after),
            "turn.gated" => {
                page.heading(3, &format!("Gates, {after}"), "");
                for gate in list(event, "gates") {
                    if page.is_full() {
                        return;
                    }
                    let why = part(": ", word(gate, "why"));
                    page.fact("gate", &format!("{}, {}{why}", word(gate, "skill"), word(gate, "result")));
                    notes(page, gate);
                    if let Some(sexp) = gate["sexp"].as_str() {
                        page.text(sexp);
                    }
                }
            }
            "chat.action.proposed" => {
                page.heading(3, &format!("Action proposed, {after}"), "");
                page.fact("action", word(event, "actuation"));
                if event["system"].as_bool() == Some(true) {
                    page.fact("by", "the kernel itself");
                }
                page.text(word(event, "sexp"));
            }
            "chat.action.permitted" => permitted(page, event, &after),
            "chat.action.executed" => executed(page, event, &after),
            _ => {
                page.heading(3, &format!("Event, {after}"), kind(event));
                page.text(&serde_json::to_string_pretty(event).unwrap_or_default());
            }
        }
    }

    fn end(&self, page: &mut Page<'_>) {
        let Some(event) = self.find("turn.ended") else { return };
        page.heading(2, &format!("End, {}", self.after(event)), "");
        page.fact("state", word(event, "state"));
        if let Some(reason) = event["reason"].as_str() {
            page.fact("reason", reason);
        }
    }
}

fn permitted(page: &mut Page<'_>, event: &Value, after: &str) {
    page.heading(3, &format!("Policy, {after}"), "");
    page.fact("decision", word(event, "decision"));
    page.fact("by", word(event, "by"));
    page.fact("rule", word(event, "rule"));
    if let Some(command) = event["command"].as_str() {
        page.fact("edited", "the user changed the command to");
        page.text(command);
    }
    let approved = &event["approved"];
    if let Some(steps) = approved["steps"].as_array().filter(|steps| !steps.is_empty()) {
        page.fact("steps", "what may run");
        let steps = steps.iter().map(|step| format!("{:>2} {}\n", word(step, "op"), step["argv"]));
        page.text(&steps.collect::<String>());
    }
    if approved["network"].as_bool() == Some(true) {
        page.fact("network", "the user let it use it");
    }
    if approved["unconfined"].as_bool() == Some(true) {
        page.fact("sandbox", "none: the client runs it itself");
    }
    if let Some(token) = approved["token"].as_str() {
        page.fact("token", &format!("for one use, sha256 {token}"));
    }
}

fn executed(page: &mut Page<'_>, event: &Value, after: &str) {
    page.heading(3, &format!("Outcome, {after}"), "");
    let outcome = &event["outcome"];
    page.fact("status", word(outcome, "status"));
    if let Some(code) = outcome["exitCode"].as_i64() {
        page.fact("exit code", &code.to_string());
    }
    match outcome["sandboxed"].as_bool() {
        Some(true) => page.fact("sandbox", "the command ran in it"),
        Some(false) => page.fact("sandbox", "the command was not confined"),
        None => {}
    }
    if outcome["byPolicy"].as_bool() == Some(true) {
        page.fact("denied by", "the policy");
    }
    for (name, key) in [("message", "message"), ("origin", "origin")] {
        if let Some(text) = outcome[key].as_str() {
            page.fact(name, text);
        }
    }
    for (name, key) in [("output", "stdout"), ("errors", "stderr")] {
        if let Some(text) = outcome[key].as_str() {
            let cut = if outcome["truncated"].as_bool() == Some(true) { ", maybe cut" } else { "" };
            page.fact(name, &format!("{}{cut}", count(text.len())));
            page.text(text);
        }
    }
}

fn notes(page: &mut Page<'_>, of: &Value) {
    for note in list(of, "notes") {
        if page.is_full() {
            return;
        }
        page.fact("note", note.as_str().unwrap_or_default());
    }
}

pub(super) fn kind(event: &Value) -> &str {
    word(event, "type")
}

pub(super) fn word<'v>(of: &'v Value, key: &str) -> &'v str {
    of[key].as_str().unwrap_or_default()
}

pub(super) fn list<'v>(of: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    of[key].as_array().into_iter().flatten()
}

/// `text` behind `before`, if there is any.
pub(super) fn part(before: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{before}{text}") }
}

pub(super) fn count(bytes: usize) -> String {
    if bytes == 1 { "1 byte".into() } else { format!("{bytes} bytes") }
}

/// Milliseconds since 1970 as a time in UTC.
fn time(millis: &Value) -> String {
    let millis = millis.as_u64().unwrap_or_default().min(LAST_MS);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(millis)).to_string()
}

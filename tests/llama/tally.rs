//! What came of replies, as the log has it, and the table that the tests print.

use std::collections::BTreeMap;

use serde_json::Value;

/// A reply that the log has.
pub struct Reply {
    pub accepted: bool,
    pub raw: String,
    /// What the verifier or the model port said of it.
    pub verdict: Value,
    tokens: Option<f64>,
    first_ms: f64,
    total_ms: f64,
}

/// The replies among the events of a turn that were to be actions, oldest first. A summary is plain text.
pub fn replies(events: &[Value]) -> Vec<Reply> {
    let replied = events
        .iter()
        .filter(|event| event["type"] == "turn.replied" && event["verdict"]["verdict"] != "plain");
    let replies = replied.map(|event| {
        let latency = |name: &str| event["latency"][name].as_f64();
        let total_ms = latency("totalMs").unwrap_or_else(|| panic!("no latency in {event}"));
        Reply {
            accepted: event["verdict"]["verdict"] == "accept",
            raw: event["raw"].as_str().unwrap().to_owned(),
            verdict: event["verdict"].clone(),
            tokens: event["usage"]["completionTokens"].as_f64(),
            first_ms: latency("firstMs").unwrap_or(total_ms),
            total_ms,
        }
    });
    replies.collect()
}

/// A row of the table.
#[derive(Default)]
pub struct Tally {
    name: &'static str,
    turns: usize,
    replies: usize,
    /// Replies to a question that none was given to before: a repair is none.
    first: usize,
    pub first_accepted: usize,
    /// Of the accepted replies: their tokens but the first, and the seconds in which these came.
    tokens: f64,
    seconds: f64,
    waits: Vec<f64>,
    kinds: BTreeMap<String, usize>,
}

impl Tally {
    pub fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Counts a turn's replies.
    pub fn add(&mut self, replies: &[Reply]) {
        self.turns += 1;
        let mut first = true;
        for reply in replies {
            self.replies += 1;
            self.first += usize::from(first);
            self.first_accepted += usize::from(first && reply.accepted);
            // Behind an accepted reply comes the next question, behind another one its repair.
            first = reply.accepted;
            self.waits.push(reply.first_ms);
            if reply.accepted {
                // Of "(:type :log …" the second word, of "(:type :request :target :shell …" the fourth.
                let kind = reply.raw.split(' ').skip(1).find(|word| ![":request", ":target"].contains(word));
                *self.kinds.entry(kind.unwrap_or_default().to_owned()).or_default() += 1;
            }
            // One that was stopped at its first wrong byte took no time worth a measurement.
            if let Some(tokens) = reply.tokens.filter(|_| reply.accepted) {
                self.tokens += tokens - 1.0;
                self.seconds += (reply.total_ms - reply.first_ms) / 1000.0;
            }
        }
    }

    /// Whether every reply was verified at the first try.
    pub fn all_accepted(&self) -> bool {
        self.first > 0 && self.first == self.replies && self.first_accepted == self.replies
    }

    pub fn header() -> String {
        let names =
            ["", "turns", "replies", "verified at first try", "tokens/s", "ms to first text", "actions"];
        format!("| {} |\n|{}", names.join(" | "), "---|".repeat(names.len()))
    }

    pub fn row(&mut self) -> String {
        self.waits.sort_by(f64::total_cmp);
        let median = self.waits.get(self.waits.len() / 2).copied().unwrap_or_default();
        let longest = self.waits.last().copied().unwrap_or_default();
        let kinds: Vec<String> = self.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let speed =
            if self.seconds > 0.0 { format!("{:.0}", self.tokens / self.seconds) } else { "-".into() };
        format!(
            "| {} | {} | {} | {} of {} | {speed} | {median:.0} (median), {longest:.0} (longest) | {} |",
            self.name,
            self.turns,
            self.replies,
            self.first_accepted,
            self.first,
            kinds.join(", ")
        )
    }
}

//! What is to be written to a plain editor. Answers go at once; what is sent unasked comes a moment after the last
//! answer, as an editor may have waited for that answer alone and not look at what arrives together with it.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use tower_lsp_server::jsonrpc::{Error as RpcError, Id, Response};

use super::super::rpc;

/// The moment.
const GAP: Duration = Duration::from_millis(40);

/// How long an editor that asks all the time can put off what is sent unasked.
const LONGEST: Duration = Duration::from_millis(400);

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Out {
    answers: Vec<u8>,
    calls: VecDeque<u8>,
    /// Since when calls wait.
    since: Option<Instant>,
    /// When the last answer was given.
    answered: Option<Instant>,
}

impl Out {
    /// Answers a request.
    pub(super) fn answer(&mut self, id: Id, result: Result<Value, RpcError>, now: Instant) {
        rpc::write_response(&mut self.answers, Response::from_parts(id, result));
        self.answered = Some(now);
    }

    /// Answers a request behind the calls that wait: it ends what they tell of.
    pub(super) fn answer_last(&mut self, id: Id, result: Result<Value, RpcError>) {
        let mut frame = Vec::new();
        rpc::write_response(&mut frame, Response::from_parts(id, result));
        self.push(frame);
    }

    /// Calls a method; a request if there is an `id`.
    pub(super) fn call(&mut self, id: Option<&str>, method: &str, params: &Value) {
        let mut frame = Vec::new();
        rpc::write_call(&mut frame, id, method, params);
        self.push(frame);
    }

    fn push(&mut self, frame: Vec<u8>) {
        self.calls.extend(frame);
        self.since.get_or_insert_with(Instant::now);
    }

    /// When calls that wait may be written.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let since = self.since?;
        Some(self.answered.map_or(since, |answered| (answered + GAP).min(since + LONGEST)))
    }

    /// Moves what may be written to `out`.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, now: Instant) {
        out.append(&mut self.answers);
        if self.deadline().is_some_and(|due| due <= now) {
            out.extend(self.calls.drain(..));
            self.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(out: &mut Out, now: Instant) -> String {
        let mut bytes = Vec::new();
        out.write(&mut bytes, now);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn calls_keep_away_from_answers_but_not_for_ever() {
        let mut out = Out::default();
        out.call(None, "first", &json!({}));
        let start = Instant::now();
        assert!(written(&mut out, start).contains("first"));
        assert_eq!(out.deadline(), None);

        out.answer(Id::Number(1), Ok(Value::Null), start);
        out.call(None, "second", &json!({}));
        let now = written(&mut out, start);
        assert!(now.contains(r#""id":1"#) && !now.contains("second"), "{now}");
        assert_eq!(out.deadline(), Some(start + GAP));
        assert!(written(&mut out, start + GAP).contains("second"));

        out.call(None, "third", &json!({}));
        let late = Instant::now() + LONGEST;
        out.answer(Id::Number(2), Ok(Value::Null), late);
        out.answer_last(Id::Number(3), Ok(Value::Null));
        let all = written(&mut out, late);
        assert!(all.find("third") < all.find(r#""id":3"#) && all.contains("third"), "{all}");
    }
}

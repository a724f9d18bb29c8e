//! How a turn reads a reply: text as it comes, its end, its first wrong byte, its failure.

use std::time::Duration;

use super::{Effect, Effects, Phase, REPAIRS, RETRIES, Turn};
use crate::action::{CHAT_BUFFER, MAX_REPLY};
use crate::outgoing::State;
use crate::record::{Latency, Record, Usage, Verdict};
use crate::reply::Failure;
use crate::sexp::Rejection;
use crate::verify::Reading;

impl Turn {
    pub(super) fn text(&mut self, text: &str, now: Duration, effects: &mut Effects) {
        let reply = match &mut self.phase {
            Phase::Reading(reply) => reply,
            Phase::Consulting(answer) => {
                answer.first.get_or_insert(now);
                answer.raw.extend_from_slice(text.as_bytes());
                if answer.raw.len() > MAX_REPLY {
                    let message = format!("the model's answer to the skill has more than {MAX_REPLY} bytes");
                    let failure = Failure { message, hint: String::new(), transient: false };
                    self.broken(failure, now, effects);
                }
                return;
            }
            _ => return,
        };
        let first = reply.first.is_none();
        reply.first.get_or_insert(now);
        let room = MAX_REPLY.saturating_sub(reply.raw.len());
        reply.raw.extend_from_slice(&text.as_bytes()[..text.len().min(room)]);
        let fed = reply.reading.feed(text.as_bytes());
        let shown = if fed.is_ok() { reply.reading.take_preview() } else { String::new() };
        let received = reply.raw.len();
        if first {
            effects.push(self.state(State::Streaming, None));
        }
        match fed {
            Err(rejection) => {
                effects.push(Effect::StopModel);
                let saved = MAX_REPLY - received;
                tracing::info!(
                    turn = %self.subject.turn,
                    attempt = self.attempt,
                    kind = rejection.kind,
                    offset = rejection.offset,
                    received,
                    "stopped the reply at its first wrong byte and closed the connection: at most {saved} bytes saved"
                );
                self.rejected(&rejection, Some(saved), None, now, effects);
            }
            Ok(()) => {
                self.preview.push(&shown);
                if let Some(text) = self.preview.due(now) {
                    self.delta(text, effects);
                }
            }
        }
    }

    pub(super) fn end_of_reply(&mut self, usage: Option<Usage>, now: Duration, effects: &mut Effects) {
        let reply = match &mut self.phase {
            Phase::Reading(reply) => reply,
            Phase::Consulting(answer) => {
                let text = String::from_utf8_lossy(&answer.raw).into_owned();
                self.replied(Verdict::Plain, usage, now, effects);
                self.retries = 0;
                self.question = None;
                self.phase = Phase::Dispatching;
                effects.push(Effect::Answer(text));
                return;
            }
            _ => return,
        };
        let reading = std::mem::replace(&mut reply.reading, Reading::new(CHAT_BUFFER, 1));
        match reading.finish() {
            Err(rejection) => self.rejected(&rejection, None, usage, now, effects),
            Ok(accepted) => {
                self.preview.push(&accepted.rest);
                if let Some(text) = self.preview.rest(now) {
                    self.delta(text, effects);
                }
                self.replied(Verdict::Accept, usage, now, effects);
                (self.repairs, self.repair, self.retries) = (0, None, 0);
                self.phase = Phase::Gating;
                effects.push(Effect::Gate(accepted.action));
            }
        }
    }

    pub(super) fn rejected(
        &mut self,
        rejection: &Rejection,
        saved: Option<usize>,
        usage: Option<Usage>,
        now: Duration,
        effects: &mut Effects,
    ) {
        let Phase::Reading(reply) = &self.phase else { return };
        let raw = String::from_utf8_lossy(&reply.raw).into_owned();
        self.retract(&rejection.message, effects);
        let verdict = Verdict::Reject {
            kind: rejection.kind.to_owned(),
            offset: rejection.offset,
            message: rejection.message.clone(),
            saved_at_most: saved,
        };
        self.replied(verdict, usage, now, effects);
        if let Some(skill) = self.spoken.take() {
            let message = format!("the skill {skill} gave what is no action: {}", rejection.message);
            self.system_error(&message, Some(&raw), "rejected", effects);
        } else if self.repairs < REPAIRS {
            self.repairs += 1;
            self.repair = Some(crate::prompt::repair(&rejection.for_model(&raw)));
            self.ask(State::Repairing, Some(rejection.message.clone()), now, effects);
        } else {
            let message = format!("the model's reply was rejected three times: {}", rejection.message);
            self.system_error(&message, Some(&raw), "rejected", effects);
        }
    }

    pub(super) fn broken(&mut self, failure: Failure, now: Duration, effects: &mut Effects) {
        effects.push(Effect::StopModel);
        self.retract(&failure.message, effects);
        self.replied(Verdict::Broken { message: failure.message.clone() }, None, now, effects);
        if failure.transient && self.retries < RETRIES {
            self.retries += 1;
            self.phase = Phase::BackingOff;
            effects.push(self.state(State::Thinking, Some(format!("trying again: {}", failure.message))));
            effects.push(Effect::RetryIn(Duration::from_millis(250 << (2 * self.retries))));
        } else {
            let message = if failure.hint.is_empty() {
                failure.message
            } else {
                format!("{}; {}", failure.message, failure.hint)
            };
            self.system_error(&message, None, "model", effects);
        }
    }

    pub(super) fn replied(
        &mut self,
        verdict: Verdict,
        usage: Option<Usage>,
        now: Duration,
        effects: &mut Effects,
    ) {
        let (Phase::Reading(reply) | Phase::Consulting(reply)) = &self.phase else { return };
        let millis = |time: Duration| {
            u64::try_from((time.saturating_sub(reply.asked)).as_millis()).unwrap_or(u64::MAX)
        };
        effects.push(Effect::Record(Record::Replied {
            turn: self.subject.turn.clone(),
            attempt: self.attempt,
            // No JSON string with U+0000 leaves for an editor: Emacs cannot read it.
            raw: String::from_utf8_lossy(&reply.raw).replace('\0', "\u{fffd}"),
            verdict,
            usage,
            latency: Latency { first_ms: reply.first.map(millis), total_ms: millis(now) },
        }));
    }
}

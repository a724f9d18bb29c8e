//! How a turn reads a reply: text as it comes, its end, its first wrong byte, its failure.

use std::time::Duration;

use super::{Effect, Effects, Phase, REPAIRS, RETRIES, Turn};
use crate::action::{CHAT_BUFFER, MAX_REPLY};
use crate::outgoing::{Outgoing, State, Thought};
use crate::record::{Latency, Record, Usage, Verdict};
use crate::reply::{Failure, Trouble};
use crate::sexp::Rejection;
use crate::verify::Reading;

/// How much of what a model thinks is kept and shown, in bytes.
const THOUGHT: usize = 65_536;

/// The longest time that a server may ask to wait before it is asked again.
const LONGEST: Duration = Duration::from_secs(60);

impl Turn {
    /// Takes what the model thinks. It is shown beside the reply, and no model is ever told of it.
    pub(super) fn thought(&mut self, text: &str, now: Duration, effects: &mut Effects) {
        let (Phase::Reading(reply) | Phase::Consulting(reply)) = &mut self.phase else { return };
        reply.begun.get_or_insert(now);
        let room = THOUGHT.saturating_sub(reply.thought.len());
        let text = &text[..text.floor_char_boundary(room.min(text.len()))];
        if text.is_empty() {
            return;
        }
        reply.thought.push_str(text);
        if matches!(self.phase, Phase::Reading(_)) {
            effects.push(Effect::Send(Outgoing::Thought(Thought {
                turn: self.subject.turn.clone(),
                attempt: self.attempt,
                text: text.to_owned(),
            })));
        }
    }

    /// Takes some text, and what it was written as if that is another notation.
    pub(super) fn text(&mut self, text: &str, original: Option<&str>, now: Duration, effects: &mut Effects) {
        let reply = match &mut self.phase {
            Phase::Reading(reply) => reply,
            Phase::Consulting(answer) => {
                answer.first.get_or_insert(now);
                answer.begun.get_or_insert(now);
                answer.raw.extend_from_slice(text.as_bytes());
                if answer.raw.len() > MAX_REPLY {
                    let message = format!("the model's answer to the skill has more than {MAX_REPLY} bytes");
                    self.broken(Failure::new(Trouble::TooMuch, message), now, effects);
                }
                return;
            }
            _ => return,
        };
        reply.begun.get_or_insert(now);
        if let Some(original) = original {
            let kept = reply.original.get_or_insert_default();
            let room = (2 * MAX_REPLY).saturating_sub(kept.len());
            kept.push_str(&original[..original.floor_char_boundary(room.min(original.len()))]);
            if text.is_empty() {
                return;
            }
        }
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
                if std::mem::take(&mut self.summing) {
                    effects.push(Effect::Summarised(self.attempt, text));
                    self.ask(State::Thinking, None, now, effects);
                    return;
                }
                self.question = None;
                self.phase = Phase::Dispatching;
                effects.push(Effect::Answer(text));
                return;
            }
            _ => return,
        };
        let reading = std::mem::replace(&mut reply.reading, Reading::new(CHAT_BUFFER, 1));
        match reading.finish() {
            Err(mut rejection) => {
                if reply.raw.trim_ascii().is_empty() {
                    let thought = if reply.thought.is_empty() { "" } else { "only thought, and " };
                    rejection.message = format!("the model {thought}sent an empty reply");
                }
                self.rejected(&rejection, None, usage, now, effects);
            }
            Ok(accepted) => {
                if accepted.astray {
                    self.retract("what was shown of the text is no part of it", effects);
                }
                self.touched = accepted.touched;
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
            if !self.fall_back(&message, now, effects) {
                let message = format!("{message}; ask in other words, or choose another model");
                let shown = Some(raw.as_str()).filter(|raw| !raw.trim().is_empty());
                self.system_error(&message, shown, "rejected", effects);
            }
        }
    }

    pub(super) fn broken(&mut self, failure: Failure, now: Duration, effects: &mut Effects) {
        effects.push(Effect::StopModel);
        self.retract(&failure.message, effects);
        let trouble = Some(failure.trouble.as_str().to_owned());
        let verdict = Verdict::Broken { message: failure.message.clone(), trouble };
        self.replied(verdict, None, now, effects);
        if std::mem::take(&mut self.summing) {
            let reason = format!("going on without a summary: {}", failure.message);
            self.ask(State::Thinking, Some(reason), now, effects);
            return;
        }
        let is_action = matches!(self.phase, Phase::Reading(_));
        if failure.transient && self.make_way(effects) {
            return;
        }
        // Less than all of it is no new text for a region.
        let shorter = is_action && self.subject.said.rewritten().is_none();
        if failure.trouble == Trouble::Length && shorter && self.repairs < REPAIRS {
            self.repairs += 1;
            self.repair = Some(crate::prompt::shorter());
            self.ask(State::Repairing, Some(failure.message), now, effects);
            return;
        }
        // The second wait is four times the first; whoever waits adds a little by chance.
        let wait = failure.after.unwrap_or(Duration::from_millis(250 << (2 * (self.retries + 1))));
        if failure.transient && self.retries < RETRIES && wait <= LONGEST {
            self.retries += 1;
            self.phase = Phase::BackingOff;
            let reason = format!(
                "trying again in {} s, {} of {RETRIES}: {}",
                wait.as_secs_f64().ceil(),
                self.retries,
                failure.message
            );
            effects.push(self.state(State::Thinking, Some(reason)));
            effects.push(Effect::RetryIn(wait));
        } else if !self.fall_back(&failure.message, now, effects) {
            let mut told = failure;
            if self.retries > 0 {
                told.message.push_str(&format!(" (asked {} times)", self.retries + 1));
            }
            self.system_error(&told.told(), None, "model", effects);
        }
    }

    /// Asks the next model, if there is one; false if there is none.
    fn fall_back(&mut self, why: &str, now: Duration, effects: &mut Effects) -> bool {
        let (Some(from), Some(to)) = (self.models.get(self.model), self.models.get(self.model + 1)) else {
            return false;
        };
        if self.steered {
            return self.make_way(effects);
        }
        let reason = format!("asking {to} instead of {from}: {why}");
        effects.push(Effect::Record(Record::FellBack {
            turn: self.subject.turn.clone(),
            attempt: self.attempt,
            from: from.clone(),
            to: to.clone(),
            reason: why.to_owned(),
        }));
        self.model += 1;
        (self.retries, self.repairs, self.repair) = (0, 0, None);
        match self.question.take() {
            Some(question) => self.consult(question, now, effects),
            None => self.ask(State::Thinking, Some(reason), now, effects),
        }
        true
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
            original: reply.original.as_ref().map(|text| text.replace('\0', "\u{fffd}")),
            thought: reply.thought.replace('\0', "\u{fffd}"),
            verdict,
            usage,
            cost: None,
            latency: Latency {
                begun_ms: reply.begun.map(millis),
                first_ms: reply.first.map(millis),
                total_ms: millis(now),
            },
        }));
    }
}

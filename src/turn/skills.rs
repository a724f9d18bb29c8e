//! A turn and the skills it is for: what makes its prompt, and the gates that its actions pass.

use std::time::Duration;

use super::{Dispatched, Effect, Effects, Gated, Lead, Phase, Reply, Turn};
use crate::outgoing::State;
use crate::policy;
use crate::prompt::HistoryItem;
use crate::record::{Outcome, Record, Status};
use crate::verify::Reading;

/// How much of a skill's prose the model is given, in bytes.
const PROSE: usize = 32_768;

impl Turn {
    /// Takes what the skills made of the prompt. Nothing happens if the turn does not wait for it.
    #[must_use]
    pub fn dispatched(&mut self, dispatched: Dispatched, now: Duration) -> Effects {
        let mut effects = Vec::new();
        if !matches!(self.phase, Phase::Dispatching) {
            return effects;
        }
        match dispatched {
            Dispatched::Lead(lead) => {
                self.lead = lead;
                self.prompt(now);
                effects.push(Effect::Ask(None));
            }
            Dispatched::Question(question) => self.consult(question, now, &mut effects),
            Dispatched::Speaks(skill, text) => {
                self.prompt(now);
                self.spoken = Some(skill);
                self.text(&text, now, &mut effects);
                self.end_of_reply(None, now, &mut effects);
                self.spoken = None;
            }
            Dispatched::Failed(skill, why) => {
                let message = format!("the skill {skill} failed: {why}");
                self.system_error(&message, None, "skill", &mut effects);
            }
        }
        effects
    }

    /// Takes what the gates made of the last action. Nothing happens if the turn does not wait for it.
    #[must_use]
    pub fn gated(&mut self, gated: Gated, now: Duration) -> Effects {
        let mut effects = Vec::new();
        if !matches!(self.phase, Phase::Gating) {
            return effects;
        }
        match gated {
            Gated::Passed { action, replaced } => {
                if replaced {
                    self.retract("a skill put another action in its place", &mut effects);
                }
                self.preview.settle();
                let permit = policy::judge(action, Some(&self.subject.around), self.foreign.as_deref());
                self.propose(permit, now, &mut effects);
            }
            Gated::Refused(skill, why, print) => {
                let message = format!("the gate of the skill {skill} refused this: {why}");
                self.retract(&message, &mut effects);
                self.system_error(&message, Some(&print), "gate", &mut effects);
            }
        }
        effects
    }

    /// Takes what the skill says that the model wanted to load; nothing if there is none of that name.
    #[must_use]
    pub fn activated(&mut self, prose: Option<String>, now: Duration) -> Effects {
        let mut effects = Vec::new();
        let Phase::Activating { actuation, name } = &self.phase else { return effects };
        let (actuation, name) = (actuation.clone(), name.clone());
        let (outcome, item) = match prose {
            Some(mut text) => {
                text.truncate(text.floor_char_boundary(PROSE));
                let outcome = Outcome { stdout: text.clone(), ..Outcome::default() };
                (outcome, HistoryItem::Skill { name, text })
            }
            None => {
                let message = Some(format!("there is no skill named {name:?}"));
                let outcome = Outcome { status: Status::Failed, message, ..Outcome::default() };
                (outcome, HistoryItem::NoSkill { name })
            }
        };
        effects.push(Effect::Record(Record::ActionExecuted { actuation, outcome }));
        effects.push(Effect::Remember(item));
        self.next_step(now, &mut effects);
        effects
    }

    /// Asks the model what a skill wants to know.
    pub(super) fn consult(&mut self, question: Lead, now: Duration, effects: &mut Effects) {
        self.attempt += 1;
        self.phase = Phase::Consulting(Box::new(self.fresh_reply(now)));
        self.question = Some(question.clone());
        effects.push(self.state(State::Thinking, Some("a skill asks the model".to_owned())));
        effects.push(Effect::Consult(question));
    }

    /// The next attempt begins.
    pub(super) fn prompt(&mut self, now: Duration) {
        self.attempt += 1;
        self.preview = super::Preview::default();
        self.phase = Phase::Reading(Box::new(self.fresh_reply(now)));
    }

    fn fresh_reply(&self, now: Duration) -> Reply {
        Reply {
            reading: Reading::new(&self.subject.buffer, self.subject.level as usize + 1),
            raw: Vec::new(),
            asked: now,
            first: None,
        }
    }
}

//! Summaries in the loop: when not all of a session fits into a prompt any more, its model is asked to put the oldest part
//! into a few words, before it is asked for the action.

use super::Kernel;
use crate::ids::TurnId;
use crate::model::Model;
use crate::prompt::{self, BUDGET, Room};
use crate::record::Record;
use crate::turn::Lead;

/// Tokens that are kept free for the system prompt and what stands around the history, and for a reply if nothing is said
/// of its length.
const AROUND: usize = 2_500;
const REPLY: usize = 1_024;

/// The least that a history has.
const LEAST: usize = 500;

impl Kernel {
    /// How much of the history fits into a prompt of a turn.
    pub(super) fn room_of(&mut self, id: &TurnId) -> Room {
        self.model_of(id).map_or_else(Room::default, |model| self.room_for(model.as_ref()))
    }

    /// The same for a prompt that `model` is to be asked with.
    pub(super) fn room_for(&self, model: &dyn Model) -> Room {
        let all = model.terms().and_then(|terms| {
            Some((terms.context_tokens? as usize, terms.max_tokens.map_or(REPLY, |most| most as usize)))
        });
        let tokens = match all {
            Some((all, reply)) => all.saturating_sub(reply + AROUND).clamp(LEAST, BUDGET),
            None => BUDGET,
        };
        Room { tokens, counter: self.counters.ready(model.counter()) }
    }

    /// Asks the model for a summary, if one is due; whether it does.
    pub(super) fn summarise(&mut self, id: &TurnId) -> bool {
        let Some(turn) = self.turns.get(id).filter(|turn| turn.may_summarise()) else { return false };
        let session = turn.subject().session.clone();
        if self.config.sessions.leaves_out {
            return false;
        }
        // What is built in has no words for it.
        let Some(model) = self.model_of(id).filter(|model| model.terms().is_some()) else { return false };
        let room = self.room_of(id);
        let Some(session) = self.sessions.get_mut(&session) else { return false };
        let last = session.context.summary.clone();
        let Some(mut due) = prompt::due(session.history(), last.as_ref(), &room) else { return false };
        due.summary.model = model.name().to_owned();
        self.summaries.insert(id.clone(), due.summary);
        let question = Lead { system: Some(due.system), prompt: due.prompt };
        let now = self.now();
        self.advance(id, |turn| turn.summarise(question, now));
        true
    }

    /// Keeps a summary. Without words it is none, and the next turn asks again.
    pub(super) fn summarised(&mut self, id: &TurnId, attempt: u32, text: &str) {
        let Some(mut summary) = self.summaries.remove(id) else { return };
        let Some(session) = self.turns.get(id).map(|turn| turn.subject().session.clone()) else { return };
        let Some(words) = prompt::words(text) else { return };
        summary.text = words;
        self.record(&session, &Record::Summarised { turn: id.clone(), attempt, summary: summary.clone() });
        if let Some(session) = self.sessions.get_mut(&session) {
            session.context.summary = Some(summary);
        }
    }
}

//! A session in memory: its history as prompts need it, its queue, and the lease that makes it ours.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::Value;

use crate::context::Context;
use crate::ids::TurnId;
use crate::prompt::{self, HistoryItem, MESSAGES};
use crate::record::{Outcome, Status};
use crate::store::Lease;
use crate::transcript::NO_TITLE;

/// How many turns may wait in one session.
const QUEUE: usize = 64;

/// How many things that were said and done are kept in memory: what a prompt may have no room for is to be put into a few
/// words yet.
pub(super) const HELD: usize = 2 * MESSAGES;

/// How much history is kept in memory, in bytes; a prompt has room for less.
const HISTORY: usize = 1 << 19;

/// A session that this server holds.
#[derive(Debug)]
pub(super) struct Session {
    /// The buffer it belongs to.
    pub(super) buffer: String,
    history: VecDeque<HistoryItem>,
    /// Those that wait, each with whether another one makes way for it: these are the first.
    queue: VecDeque<(TurnId, bool)>,
    /// The turn that runs.
    pub(super) running: Option<TurnId>,
    /// The model that the user chose for it.
    pub(super) model: Option<String>,
    /// The user wants no turn to begin.
    pub(super) paused: bool,
    /// It has no title yet, as nothing was said: the first message with words gives it one.
    pub(super) untitled: bool,
    /// What is recorded of it is to be read again; until then no turn begins.
    pub(super) stale: bool,
    /// What it remembers beyond its history.
    pub(super) context: Context,
    /// What its text was imported from, if it was: then it is not certain whose words it has.
    imported: Option<String>,
    lease: Lease,
}

impl Session {
    /// A session with what was said in it so far, oldest first.
    pub(super) fn new(buffer: String, history: Vec<HistoryItem>, lease: Lease) -> Self {
        Self {
            buffer,
            history: history.into(),
            queue: VecDeque::new(),
            running: None,
            model: None,
            paused: false,
            untitled: false,
            stale: false,
            context: Context::default(),
            imported: None,
            lease,
        }
    }

    /// Its lease, for its end.
    pub(super) fn into_lease(self) -> Lease {
        self.lease
    }

    /// Takes what is recorded: `found` as the store tells of a session, and what was said in it so far.
    pub(super) fn read(&mut self, found: &Value, history: Vec<HistoryItem>) {
        self.history = history.into();
        self.model = found["model"].as_str().map(str::to_owned);
        self.paused = found["status"] == "paused";
        self.untitled = found["title"] == NO_TITLE && found["messages"] == 0;
        self.context = Context::deserialize(&found["context"]).unwrap_or_default();
        self.imported = found["imported"].as_str().map(str::to_owned);
        self.stale = false;
    }

    /// Keeps `item` for the prompts to come; what is too old or too much for any prompt goes, but never the last words
    /// of the user, nor the skills that were loaded.
    pub(super) fn remember(&mut self, item: HistoryItem) {
        self.history.push_back(item);
        let mut bytes: usize = self.history.iter().map(HistoryItem::size).sum();
        let last = self.history.iter().rposition(|item| matches!(item, HistoryItem::User { .. }));
        let mut left_out = Vec::new();
        for _ in 0..last.unwrap_or_default() {
            if self.history.len() <= HELD && bytes <= HISTORY {
                break;
            }
            let Some(oldest) = self.history.pop_front() else { break };
            bytes -= oldest.size();
            left_out.push(oldest);
        }
        let kept = prompt::keep(left_out, self.history.make_contiguous());
        kept.into_iter().rev().for_each(|item| self.history.push_front(item));
    }

    /// Notes what the user speaks of in `turn`, which begins.
    pub(super) fn learn_of(&mut self, turn: &TurnId, item: &HistoryItem) {
        if let HistoryItem::User { text, context } = item {
            let attached = context.iter().map(|item| (item.kind.as_str(), item.name.as_str()));
            self.context.learn(turn, text, attached);
        }
    }

    /// What it has that may be anybody's words, in a few words: the transcript that it was imported from.
    pub(super) fn imported(&self) -> Option<String> {
        let name = self.imported.as_deref()?;
        Some(format!("the imported transcript {:?}", &name[..name.floor_char_boundary(60)]))
    }

    /// Whether it has nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.queue.is_empty()
    }

    /// Keeps `item`, which the user said before, unless the history ends with it and what came of it. It never
    /// ends with the model's own words: there is nothing to answer to them.
    pub(super) fn recall(&mut self, item: HistoryItem) {
        let last = self.history.iter().rev().find(|item| matches!(item, HistoryItem::User { .. }));
        let answered = matches!(self.history.back(), Some(HistoryItem::Assistant { .. }));
        if answered || last != Some(&item) {
            self.remember(item);
        }
    }

    /// Puts what came of the action `sexp` behind it. A turn that ran again stands where its message was said, so what
    /// came of it need not be the last thing in the history.
    pub(super) fn conclude(&mut self, sexp: &str, item: HistoryItem) {
        let proposed =
            |item: &HistoryItem| matches!(item, HistoryItem::Assistant { sexp: own } if own == sexp);
        match self.history.iter().rposition(proposed) {
            Some(at) => self.history.insert(at + 1, item),
            None => self.remember(item),
        }
    }

    /// Puts the outcome of `command` in the place of the last one that was unknown.
    pub(super) fn learn(&mut self, command: &str, outcome: &Outcome) {
        let unknown = self.history.iter_mut().rev().find_map(|item| match item {
            HistoryItem::CommandResult { command: own, outcome } if own == command => Some(outcome),
            _ => None,
        });
        if let Some(unknown) = unknown.filter(|outcome| outcome.status == Status::Unknown) {
            *unknown = outcome.clone();
        }
    }

    /// What was said, oldest first.
    pub(super) fn history(&mut self) -> &[HistoryItem] {
        self.history.make_contiguous()
    }

    /// Whether another turn may wait.
    pub(super) fn has_room(&self) -> bool {
        self.queue.len() < QUEUE
    }

    /// Puts a turn at the end of the queue, or of those at its beginning that steer.
    pub(super) fn enqueue(&mut self, turn: TurnId, steers: bool) {
        let at = if steers {
            self.queue.iter().take_while(|(_, steers)| *steers).count()
        } else {
            self.queue.len()
        };
        self.queue.insert(at, (turn, steers));
    }

    /// The next turn, if none runs; it runs from now on.
    pub(super) fn next(&mut self) -> Option<TurnId> {
        if self.running.is_some() || self.paused || self.stale {
            return None;
        }
        self.running = self.queue.pop_front().map(|(turn, _)| turn);
        self.running.clone()
    }

    /// Forgets a turn that ended.
    pub(super) fn ended(&mut self, turn: &TurnId) {
        if self.running.as_ref() == Some(turn) {
            self.running = None;
        }
        self.queue.retain(|(waiting, _)| waiting != turn);
    }

    /// The turns that run or wait, in their order.
    pub(super) fn live(&self) -> impl Iterator<Item = &TurnId> {
        self.running.iter().chain(self.queue.iter().map(|(turn, _)| turn))
    }
}

//! What is put into files: one edit at a time in each document, computed for its newest version. An edit that the
//! editor refuses is computed again and tried again, and then kept until the user asks for it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::asked::{Asked, TIME};
use super::documents::{Mark, SEEN};
use super::layout::{self, Layout, Prompt, Section};
use super::turns::{Origin, Turn};
use super::{Plain, Severity, wire};
use crate::ids::ActuationId;

/// How often an edit is tried before it is kept.
const TRIES: u32 = 3;

/// How long after a refusal the next try is.
const PAUSE: Duration = Duration::from_millis(150);

/// Something that is to be put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// What stands for the prompt's event, and the session.
    Mark,
    /// A command, as a block.
    Block { command: String },
    /// A reply.
    Reply { actuation: ActuationId, text: String },
    /// A place to type.
    Fresh,
}

/// An edit that the editor was asked for.
#[derive(Debug)]
pub(super) struct Flight {
    version: i32,
    mark: Option<Mark>,
}

/// What an edit comes to.
enum Plan {
    /// These changes.
    Make(Vec<layout::Edit>),
    /// Nothing: it is there.
    There,
    /// The prompt has to be marked before.
    MarkFirst,
    /// Nobody knows which prompt it belongs to.
    Nowhere,
    /// The file is another chat's, or may be.
    Foreign,
}

impl Edit {
    fn mark(&self, turn: &Turn) -> Option<Mark> {
        match self {
            Self::Mark => turn.event.clone().map(Mark::Event),
            Self::Reply { actuation, .. } => Some(Mark::Act(actuation.0.clone())),
            Self::Block { .. } | Self::Fresh => None,
        }
    }
}

impl Plain {
    /// Whether an edit of this document is under way.
    pub(super) fn is_flying(&self, uri: &str) -> bool {
        self.turns.values().any(|turn| turn.uri == uri && turn.flight.is_some())
    }

    /// Asks for the next edit of a document, if it is ready for one.
    pub(super) fn work(&mut self, uri: &str, now: Instant) {
        loop {
            let ready = self.documents.get(uri).is_some_and(|open| !open.resuming && open.settling.is_none());
            if !ready || self.is_flying(uri) {
                return;
            }
            let waits = |turn: &Turn| {
                turn.uri == uri
                    && !turn.edits.is_empty()
                    && !turn.refused
                    && turn.retry.is_none_or(|retry| retry <= now)
            };
            let Some(key) = self.turns.iter().find(|(_, turn)| waits(turn)).map(|(key, _)| *key) else {
                return;
            };
            if !self.start_edit(key, now) {
                return;
            }
        }
    }

    /// Asks for a turn's next edit; true if nothing had to be asked, so that another one may follow.
    fn start_edit(&mut self, key: u64, now: Instant) -> bool {
        let Some(turn) = self.turns.get(&key) else { return false };
        let (Some(edit), uri) = (turn.edits.front().cloned(), turn.uri.clone()) else { return false };
        let Some(open) = self.documents.get(&uri) else { return false };
        let Some((text, language)) = open.text() else {
            self.keep(key, "this file is too large, or no Org or Markdown file any more");
            return true;
        };
        match plan(&edit, turn, &Layout::new(&text, language), open) {
            Plan::There => self.landed(key, now),
            Plan::Nowhere => self.keep(key, "the session has too many messages since its prompt"),
            Plan::Foreign => self.keep(key, "nothing in this file is of its chat"),
            Plan::MarkFirst if turn.tries >= TRIES => self.keep(key, "its prompt is gone"),
            Plan::MarkFirst => {
                if let Some(turn) = self.turns.get_mut(&key) {
                    turn.tries += 1;
                    turn.edits.push_front(Edit::Mark);
                }
            }
            Plan::Make(changes) => {
                let version = open.document.version();
                let changes: Vec<Value> = changes
                    .into_iter()
                    .map(|change| {
                        json!({"range": open.document.range(change.range).unwrap_or_default(), "newText": change.text})
                    })
                    .collect();
                let edit_of_all = if self.features.versions {
                    json!({"documentChanges": [{"textDocument": {"uri": uri, "version": version}, "edits": changes}]})
                } else {
                    json!({"changes": {uri.as_str(): changes}})
                };
                let mark = edit.mark(turn);
                if let Some(turn) = self.turns.get_mut(&key) {
                    turn.flight = Some(Flight { version, mark });
                    turn.retry = None;
                }
                let params = json!({"label": "org-agent", "edit": edit_of_all});
                self.ask("workspace/applyEdit", &params, Asked::Edit(key), now + TIME);
                return false;
            }
        }
        true
    }

    /// The editor answered about an edit, or did not in time.
    pub(super) fn edited(&mut self, key: u64, outcome: Option<super::Outcome<'_>>, now: Instant) {
        let Some(turn) = self.turns.get_mut(&key) else { return };
        let Some(flight) = turn.flight.take() else { return };
        let uri = turn.uri.clone();
        let newer = self.documents.get(&uri).is_some_and(|open| open.document.version() != flight.version);
        // Neovim says of an edit for an older version that it was applied, and makes none.
        let doubtful = newer && flight.mark.is_some() && self.features.versions;
        let why = match outcome {
            Some(Ok(result)) => match wire::read::<wire::Applied>(result) {
                Ok(wire::Applied { applied: true, .. }) if doubtful => {
                    if let Some(open) = self.documents.get_mut(&uri) {
                        open.settle(flight.mark, flight.version, now);
                    }
                    turn.tries += 1;
                    if turn.tries >= TRIES {
                        self.keep(key, "the text was changed meanwhile, and it is not seen in it");
                    } else {
                        // If it is seen by then, there is nothing more to be made.
                        turn.retry = Some(now + SEEN);
                    }
                    return self.work(&uri, now);
                }
                Ok(wire::Applied { applied: true, .. }) => None,
                Ok(wire::Applied { failure_reason, .. }) => {
                    Some(failure_reason.unwrap_or_else(|| "it gave no reason".to_owned()))
                }
                Err(error) => Some(error.one_line()),
            },
            Some(Err(error)) => Some(error.clone()),
            None => Some("it did not answer".to_owned()),
        };
        match why {
            None => {
                if let Some(open) = self.documents.get_mut(&uri) {
                    open.settle(flight.mark, flight.version, now);
                }
                self.landed(key, now);
            }
            Some(why) => {
                let why: String = why.chars().take(300).collect();
                tracing::warn!(%why, "the editor refused an edit");
                turn.tries += 1;
                // An edit without an answer may still be made: to make it twice would be worse.
                if turn.tries >= TRIES || outcome.is_none() {
                    self.keep(key, &why);
                } else {
                    turn.retry = Some(now + PAUSE);
                }
            }
        }
        self.work(&uri, now);
    }

    /// A turn's edit is in the file.
    fn landed(&mut self, key: u64, now: Instant) {
        let Some(turn) = self.turns.get_mut(&key) else { return };
        let Some(edit) = turn.edits.pop_front() else { return };
        if edit != Edit::Mark {
            turn.tries = 0;
        }
        (turn.refused, turn.retry) = (false, None);
        match edit {
            Edit::Mark => {
                let (uri, session, turn_is_over) = (turn.uri.clone(), turn.session.clone(), turn.over);
                if let Some(open) = self.documents.get_mut(&uri) {
                    open.session = session;
                }
                if turn_is_over {
                    self.diagnose(&uri);
                }
                self.refresh(now);
            }
            Edit::Reply { actuation, .. } => {
                turn.replies.push(actuation.clone());
                self.applied(actuation);
            }
            Edit::Block { .. } | Edit::Fresh => {}
        }
        self.tidy(key);
    }

    /// Keeps a turn's edits until the user asks for them.
    fn keep(&mut self, key: u64, why: &str) {
        let Some(turn) = self.turns.get_mut(&key) else { return };
        turn.retry = None;
        if matches!(turn.edits.front(), Some(Edit::Fresh | Edit::Block { .. })) {
            // Nobody misses a place to type, and a command is shown where the user is asked about it.
            turn.edits.pop_front();
            turn.tries = 0;
            return self.tidy(key);
        }
        turn.refused = true;
        let replies = turn.edits.iter().any(|edit| matches!(edit, Edit::Reply { .. }));
        let message = format!(
            "The editor did not take an edit of org-agent ({why}). It is kept: run org-agent.apply, \
             or choose \"Insert the answer of org-agent\"."
        );
        self.say(Severity::Warning, &message);
        if replies {
            self.end_progress(key, "kept: run org-agent.apply", Ok(()));
        }
    }

    /// The user wants what is kept for this document, else the one they were in last, whatever its text is by now.
    pub(super) fn wanted_here(&mut self, uri: Option<&str>) {
        let uri = uri.or(self.last.as_deref());
        for turn in self.turns.values_mut().filter(|turn| Some(turn.uri.as_str()) == uri) {
            turn.astray &= !turn.refused;
        }
    }

    /// Tries what was refused again, in a document or in all; whether there was something.
    pub(super) fn try_again(&mut self, uri: Option<&str>, actuation: Option<&str>, now: Instant) -> bool {
        let mut found = Vec::new();
        for turn in self.turns.values_mut() {
            let is_meant = |edit: &Edit| match (edit, actuation) {
                (Edit::Reply { actuation, .. }, Some(meant)) => actuation.as_str() == meant,
                (_, Some(_)) => false,
                (_, None) => true,
            };
            let meant = uri.is_none_or(|uri| turn.uri == uri) && turn.edits.iter().any(is_meant);
            if turn.refused && meant {
                (turn.refused, turn.tries, turn.retry) = (false, 0, None);
                if !found.contains(&turn.uri) {
                    found.push(turn.uri.clone());
                }
            }
        }
        for uri in &found {
            self.work(uri, now);
        }
        !found.is_empty()
    }

    /// Whether something for a document was refused.
    pub(super) fn has_refused(&self, uri: &str) -> bool {
        self.turns.values().any(|turn| turn.uri == uri && turn.refused)
    }

    /// A document is not open any more: what was under way there will not be answered for.
    pub(super) fn grounded(&mut self, uri: &str) {
        for (key, turn) in self.turns.iter_mut().filter(|(_, turn)| turn.uri == uri) {
            if turn.flight.take().is_some() {
                self.questions.withdraw(&Asked::Edit(*key));
            }
            (turn.refused, turn.tries, turn.retry) = (false, 0, None);
            turn.origin = Origin::Nowhere;
            turn.astray = true;
        }
    }

    /// Looks whether what was asked for, or refused, is in the file after all.
    pub(super) fn look_for_edits(&mut self, uri: &str, now: Instant) {
        let looks =
            |turn: &Turn| turn.uri == uri && (turn.refused || turn.retry.is_some() || turn.flight.is_some());
        if !self.turns.values().any(looks) {
            return;
        }
        let Some(open) = self.documents.get(uri) else { return };
        let Some((text, language)) = open.text() else { return };
        let layout = Layout::new(&text, language);
        let mut found = Vec::new();
        for (key, turn) in self.turns.iter().filter(|(_, turn)| looks(turn)) {
            let mark = turn.edits.front().and_then(|edit| edit.mark(turn));
            if mark.is_some_and(|mark| mark.is_in(&layout)) {
                found.push(*key);
            }
        }
        for key in found {
            if let Some(turn) = self.turns.get_mut(&key) {
                turn.flight = None;
            }
            self.questions.withdraw(&Asked::Edit(key));
            self.landed(key, now);
        }
    }

    /// When an edit is due.
    pub(super) fn edits_deadline(&self) -> Option<Instant> {
        let retries = self.turns.values().filter_map(|turn| turn.retry);
        let seen = self.documents.values().filter_map(|open| open.settling.as_ref());
        retries.chain(seen.map(|settling| settling.until)).min()
    }

    /// Does what is due.
    pub(super) fn edits_due(&mut self, now: Instant) {
        let mut due = Vec::new();
        for (uri, open) in &mut self.documents {
            if open.settling.as_ref().is_some_and(|settling| settling.until <= now) {
                open.settling = None;
                due.push(uri.clone());
            }
        }
        for turn in self.turns.values_mut() {
            if turn.retry.is_some_and(|retry| retry <= now) {
                turn.retry = None;
                due.push(turn.uri.clone());
            }
        }
        for uri in due {
            self.work(&uri, now);
        }
    }
}

/// With `changes`, which put something in, these replies go.
fn without(
    replies: &[ActuationId],
    mut changes: Vec<layout::Edit>,
    layout: &Layout<'_>,
) -> Vec<layout::Edit> {
    if changes.is_empty() {
        return changes;
    }
    for gone in replies.iter().filter_map(|reply| layout.reply(reply.as_str())) {
        let touches =
            |change: &layout::Edit| change.range.start <= gone.end && gone.start <= change.range.end;
        match changes.iter_mut().find(|change| touches(change)) {
            Some(change) => {
                change.range = change.range.start.min(gone.start)..change.range.end.max(gone.end);
            }
            None => changes.push(layout::Edit { range: gone, text: String::new() }),
        }
    }
    changes.sort_by_key(|change| change.range.start);
    changes
}

/// What an edit comes to in a text.
fn plan(edit: &Edit, turn: &Turn, layout: &Layout<'_>, open: &super::documents::Open) -> Plan {
    let made =
        |changes: Vec<layout::Edit>| if changes.is_empty() { Plan::There } else { Plan::Make(changes) };
    let (Some(event), Some(session)) = (&turn.event, &turn.session) else { return Plan::Nowhere };
    match edit {
        Edit::Mark if layout.prompt_of(event).is_some() => Plan::There,
        Edit::Mark => {
            let anchor = match turn.origin {
                Origin::Prompt(anchor) | Origin::Free(anchor) => open.document.at(anchor),
                Origin::Nowhere => None,
            };
            let here = anchor.filter(|anchor| !anchor.lost);
            // A file that names another session is that one's.
            let is_ours = |at: usize| layout.session(at).is_none_or(|named| named == session.as_str());
            let same = |prompt: &&Prompt<'_>| {
                !turn.text.is_empty() && layout.message(prompt) == turn.text && is_ours(prompt.heading.start)
            };
            let prompt = here.and_then(|anchor| layout.open_at(anchor.offset));
            let prompt = prompt.filter(|prompt| is_ours(prompt.heading.start));
            if let Some(prompt) = prompt.or_else(|| layout.open().find(same)) {
                return made(layout.edit_sent(prompt, event, session.as_str(), None));
            }
            // After it was closed, another text may have its name.
            if !is_ours(layout.end()) || turn.astray && layout.session(layout.end()).is_none() {
                return Plan::Foreign;
            }
            let free = here.filter(|_| matches!(turn.origin, Origin::Free(_)) && layout.prompts().is_empty());
            let section = free.map(|anchor| layout.section_at(anchor.offset));
            let is_free = |section: &Section<'_>| {
                section.heading.is_none() && !layout.words(section.body.clone()).is_empty()
            };
            made(match section.filter(is_free) {
                Some(section) => layout.edit_headed(&section, event, session.as_str()),
                None => layout.edit_asked(&turn.text, event, session.as_str()),
            })
        }
        Edit::Block { command } => layout.edit_block(event, command).map_or(Plan::MarkFirst, made),
        Edit::Reply { actuation, text } => {
            let changes = layout.edit_reply(event, actuation.as_str(), text);
            changes.map_or(Plan::MarkFirst, |changes| made(without(&turn.replaces, changes, layout)))
        }
        // Where its prompt is gone, nobody misses it.
        Edit::Fresh if layout.prompt_of(event).is_none() => Plan::There,
        Edit::Fresh => made(layout.edit_fresh()),
    }
}

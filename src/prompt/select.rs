//! What of a session's history a prompt shows: the newest of what was said and done, and the skills that were loaded.
//!
//! A skill holds for the rest of the session, however much was said since. So the newest text of each is kept when what
//! stood around it is left out, as long as all of them fit into a budget of their own.

use std::collections::HashSet;

use super::{HistoryItem, MESSAGES, Message, Role, Room, estimate, render, summary, user};
use crate::record::Summary;

/// The tokens that the texts of skills may take together, by [`estimate`]; the newest are kept.
pub const SKILLS: usize = 12_000;

/// Room that a prompt still needs beyond what it is now, when it is asked what it will show.
const RESERVE: usize = 1_000;

/// An item that a prompt shows.
pub(super) struct Pick<'h> {
    pub item: &'h HistoryItem,
    pub message: Message,
    /// Whether all of it is shown.
    whole: bool,
}

/// What a prompt shows, the newest first: of what was said last, and of the skills that were loaded before that.
pub(super) struct Selection<'h> {
    pub recent: Vec<Pick<'h>>,
    pub kept: Vec<Pick<'h>>,
}

/// The skills whose texts are shown.
#[derive(Default)]
struct Bodies<'h> {
    names: HashSet<&'h str>,
    spent: usize,
}

impl<'h> Bodies<'h> {
    /// Whether this text is shown: it is the newest of its skill, and there is room or it is `needed`.
    fn take(&mut self, name: &'h str, message: &Message, needed: bool) -> bool {
        let size = estimate(&message.text);
        let fits = self.names.insert(name) && (needed || self.spent + size <= SKILLS);
        if fits {
            self.spent += size;
        }
        fits
    }
}

/// Chooses from a history whose prompt has `spent` tokens already, and of which what stands before `from` is told in other
/// words; `said` stands in the place of the user's last words.
pub(super) fn select<'h>(
    history: &'h [HistoryItem],
    from: usize,
    said: Option<&str>,
    mut spent: usize,
    room: &Room,
) -> Selection<'h> {
    let mut recent = Vec::new();
    let mut bodies = Bodies::default();
    // What is to be answered, and all that was done about it so far, is never left out.
    let asked = history.iter().rev().position(|item| matches!(item, HistoryItem::User { .. }));
    for (at, item) in history[from..].iter().rev().take(MESSAGES).enumerate() {
        let needed = asked.is_some_and(|asked| at <= asked);
        let mut message = match (item, said) {
            (HistoryItem::User { context, .. }, Some(said)) if asked == Some(at) => user(said, context),
            _ => render(item),
        };
        let mut whole = true;
        if let Some(name) = item.body() {
            whole = bodies.take(name, &message, needed);
            if !whole {
                // Its request stands before it and has to have an answer.
                let text = format!("[skill] The text of {name:?} that stood here is left out.");
                message = Message { role: Role::User, text };
            }
        }
        if !(whole && item.body().is_some()) {
            spent += room.count(&message.text);
        }
        if spent > room.tokens && !needed {
            break;
        }
        recent.push(Pick { item, message, whole });
    }
    let older = &history[..history.len() - recent.len()];
    let kept = older.iter().rev().filter_map(|item| {
        let message = render(item);
        bodies.take(item.body()?, &message, false).then_some(Pick { item, message, whole: true })
    });
    let kept = kept.collect();
    Selection { recent, kept }
}

/// Whether the next prompt shows this text of a skill, or of one of its files, as the newest of its name.
#[must_use]
pub fn shows(history: &[HistoryItem], last: Option<&Summary>, room: &Room, name: &str, text: &str) -> bool {
    let newest = history.iter().rev().find_map(|item| match item {
        HistoryItem::Skill { name: own, text, .. } if own == name => Some(text),
        _ => None,
    });
    if newest.is_none_or(|newest| newest != text) {
        return false;
    }
    let Selection { recent, kept } = select(history, summary::begin(history, last), None, RESERVE, room);
    recent.iter().chain(&kept).any(|pick| {
        let own = matches!(pick.item, HistoryItem::Skill { name: own, text: shown, .. } if own == name && shown == text);
        own && pick.whole
    })
}

/// Of what is left out of a history from now on, in order, what prompts may still show: the newest text of each skill
/// that `rest` has none of.
pub fn keep(left_out: Vec<HistoryItem>, rest: &[HistoryItem]) -> Vec<HistoryItem> {
    let mut names: HashSet<String> = rest.iter().filter_map(HistoryItem::body).map(str::to_owned).collect();
    let mut kept: Vec<HistoryItem> = Vec::new();
    let mut spent = 0;
    for item in left_out.into_iter().rev() {
        let Some(name) = item.body() else { continue };
        let size = estimate(&render(&item).text);
        if names.insert(name.to_owned()) && spent + size <= SKILLS {
            spent += size;
            kept.push(item);
        }
    }
    kept.reverse();
    kept
}

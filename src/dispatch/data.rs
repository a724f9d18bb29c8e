//! Events and actions as the data that functions of notes get.

use serde_json::Value;

use crate::action::Action;
use crate::lisp::Datum;
use crate::prompt::HistoryItem;
use crate::record::{Attachment, AttachmentKind};
use crate::sexp::recogniser::Recogniser;

/// How much of the text of earlier turns a function gets, in bytes; the oldest go first.
const HISTORY: usize = 256 << 10;

/// The event of a chat message: what was said and attached, in which session and buffer, what was said before, oldest
/// first, and on which day, if that is known. Of `history` only what stands before the message is taken.
///
/// `(:type :event :payload (:sensor :chat-message :text … :buffer … :session … :history ((:role … :text …) …)
/// :context ((:kind … :name … :text …) …) :date …))`
#[must_use]
pub fn event(
    said: &HistoryItem,
    history: &[HistoryItem],
    buffer: &str,
    session: &str,
    date: Option<&str>,
) -> Datum {
    let (text, context) = match said {
        HistoryItem::User { text, context } => (text.as_str(), context.as_slice()),
        _ => ("", &[][..]),
    };
    let last = history.iter().rposition(|item| item == said).unwrap_or(history.len());
    let mut room = HISTORY;
    let mut turns: Vec<Datum> = Vec::new();
    for item in history[..last].iter().rev() {
        let Some((role, text)) = words(item, buffer) else { continue };
        let Some(rest) = room.checked_sub(text.len()) else { break };
        room = rest;
        turns.push(Datum::plist([("role", Datum::keyword(role)), ("text", Datum::str(text))]));
    }
    turns.reverse();
    let mut payload = vec![
        ("sensor", Datum::keyword(if said.rewritten().is_some() { "rewrite" } else { "chat-message" })),
        ("text", Datum::str(text)),
        ("buffer", Datum::str(buffer)),
        ("session", Datum::str(session)),
        ("history", Datum::list(turns)),
        ("context", Datum::list(context.iter().map(attachment))),
    ];
    payload.extend(date.map(|date| ("date", Datum::str(date))));
    Datum::plist([("type", Datum::keyword("event")), ("payload", Datum::plist(payload))])
}

fn attachment(item: &Attachment) -> Datum {
    let kind = match item.kind {
        AttachmentKind::Region => "region",
        AttachmentKind::Buffer => "buffer",
        AttachmentKind::File => "file",
        AttachmentKind::Note => "note",
        AttachmentKind::Rewrite => "rewrite",
    };
    let mut parts = vec![
        ("kind", Datum::keyword(kind)),
        ("name", Datum::str(&item.name)),
        ("text", Datum::str(&item.text)),
    ];
    parts.extend(item.mode.as_deref().map(|mode| ("mode", Datum::str(mode))));
    Datum::plist(parts)
}

/// Who said what.
fn words(item: &HistoryItem, buffer: &str) -> Option<(&'static str, String)> {
    match item {
        HistoryItem::User { text, .. } => Some(("user", text.clone())),
        HistoryItem::Assistant { sexp } => {
            let mut recogniser = Recogniser::new(buffer);
            let action = recogniser.feed(sexp.as_bytes()).and_then(|()| recogniser.finish());
            let text = action.ok().and_then(|action| action.text("text").map(str::to_owned));
            Some(("assistant", text.unwrap_or_else(|| sexp.clone())))
        }
        HistoryItem::CommandResult { .. }
        | HistoryItem::NoSkill { .. }
        | HistoryItem::Skill { .. }
        | HistoryItem::SkillAgain { .. } => None,
    }
}

/// An action as the property list that it is.
pub(super) fn action(action: &Action) -> Datum {
    list(&action.to_json())
}

/// A JSON object of an action as a property list. Actions nest two levels deep.
fn list(value: &Value) -> Datum {
    let Value::Object(fields) = value else { return Datum::Nil };
    let pairs = fields.iter().map(|(key, value)| {
        let datum = match value {
            Value::String(word) if matches!(key.as_str(), "type" | "target" | "action" | "level") => {
                Datum::keyword(word)
            }
            Value::String(text) => Datum::str(text),
            Value::Number(number) => number.as_i64().map_or(Datum::Nil, Datum::Int),
            Value::Object(_) => list(value),
            _ => Datum::Nil,
        };
        (key.as_str(), datum)
    });
    Datum::plist(pairs)
}

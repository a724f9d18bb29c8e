//! Everything behind a turn or an action as an Org document for people, and with its secrets masked.
//!
//! It takes what `Store::why_turn` and `Store::why_actuation` answer, and shows it section by section: what the user
//! said, which skills were asked, each model call with its prompt, reply and verdict, the gates, the action, who
//! decided, and what came of it. `docs/why.md` describes it.
//!
//! All of that was written by others. It stands in example blocks and fixed-width lines, or as a few plain words in a
//! heading or a drawer, and always after the Org contract saw it: nothing of it is a heading, a block or a link.
//!
//! Pure: no input or output. Knows the shape of records as JSON, and shows what it does not know as it is.

mod calls;
mod page;
mod rehearsal;
mod sections;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use rehearsal::rehearsal;

use crate::redact::{Keys, redact};
use crate::transcript;
use page::Page;
use sections::Story;

/// From how many bytes on nothing more is written to a page.
const PAGE: usize = 16 << 20;

/// The most bytes of strings that [`masked`] keeps.
const STRINGS: usize = 32 << 20;

/// `why` as an Org document. Secrets are masked: those that have the form of one, and `keys`. It has at most some
/// 16 MiB, and each text in it at most 1 MiB.
#[must_use]
pub fn org(why: &Value, keys: &Keys) -> String {
    org_within(why, keys, PAGE)
}

fn org_within(why: &Value, keys: &Keys, most: usize) -> String {
    let mut page = Page::new(keys, most);
    let story = Story::of(why);
    let said = story.message().and_then(|event| event["text"].as_str()).unwrap_or_default();
    page.heading(1, "Why", &transcript::title(&page.masked(said)));
    let word = |key: &str| why[key].as_str().unwrap_or_default();
    page.drawer(&[
        ("TURN", word("turnId")),
        ("SESSION", word("sessionId")),
        ("ACTUATION", word("actuationId")),
        ("STATE", word("state")),
        ("REASON", word("reason")),
        ("RESUMES", word("resumes")),
    ]);
    story.write(&mut page);
    page.finish()
}

/// `why` with the secrets in all its strings masked: those that have the form of one, and `keys`. Of more than 32 MiB
/// of strings the rest is left out, and says so.
#[must_use]
pub fn masked(why: Value, keys: &Keys) -> Value {
    masked_within(why, keys, STRINGS)
}

fn masked_within(mut why: Value, keys: &Keys, most: usize) -> Value {
    let mut left = most;
    let mut open = vec![&mut why];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => {
                let size = text.len();
                *text = match size <= left {
                    true => redact(text, keys).0,
                    false => format!("[left out: {size} bytes]"),
                };
                left = left.saturating_sub(size);
            }
            Value::Array(items) => open.extend(items.iter_mut().rev()),
            Value::Object(map) => {
                if map.keys().any(|key| redact(key, keys).1 > 0) {
                    let renamed: Map<_, _> = std::mem::take(map)
                        .into_iter()
                        .map(|(key, value)| (redact(&key, keys).0, value))
                        .collect();
                    *map = renamed;
                }
                open.extend(map.values_mut().rev());
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    why
}

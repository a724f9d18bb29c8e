//! What a session remembers beyond its history: the things that were spoken of, what was asked, and what clients keep.
//!
//! Pure. A prompt has room for the last part of a long session only; this is what is left of the rest. Things are found
//! by their shape alone (attachments, links, addresses, file names), so the same words always give the same things. It
//! is bounded: the newest things and questions stay.

use std::collections::VecDeque;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::ids::TurnId;
use crate::record::Summary;

/// How many things are remembered.
const ENTITIES: usize = 40;

/// How many questions are remembered.
const INTENTS: usize = 40;

/// How much of a question is remembered, in characters.
const INTENT: usize = 120;

/// The longest name of a thing, in bytes.
const NAME: usize = 200;

/// How much of a message is looked through for things, in bytes.
const LOOKED_AT: usize = 16_384;

/// How much a prompt is told of values that clients keep, in bytes of JSON.
const VALUES: usize = 2_000;

/// What a session remembers: `{"entities": [{"kind", "name", "turn", "times"}], "intents": [{"turn", "text"}],
/// "values": {…}, "summary": {"text", "through", "items", "model"}}`, each list with the newest last. What is not as it is
/// here, from a newer program, is forgotten by itself: the values, of which the server obeys some, stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// The things that were spoken of.
    #[serde(default, deserialize_with = "if_known")]
    pub entities: VecDeque<Entity>,
    /// What the user asked, in their own words.
    #[serde(default, deserialize_with = "if_known")]
    pub intents: VecDeque<Intent>,
    /// What clients keep.
    #[serde(default)]
    pub values: Map<String, Value>,
    /// What prompts no longer show, in a few words.
    #[serde(default, deserialize_with = "if_known", skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// A thing that was spoken of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    /// `link`, `file`, or what kind of attachment it was.
    pub kind: String,
    /// Its name as it was written.
    pub name: String,
    /// The last turn that spoke of it.
    pub turn: TurnId,
    /// How many messages spoke of it.
    pub times: u32,
}

/// What the user asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// In which turn.
    pub turn: TurnId,
    /// The first line of their words.
    pub text: String,
}

/// What `from` has, or nothing if it has another shape.
fn if_known<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(from: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(from)?).unwrap_or_default())
}

impl Context {
    /// Takes in what the user said in `turn`, with kinds and names of what they attached.
    pub fn learn<'t>(
        &mut self,
        turn: &TurnId,
        text: &'t str,
        attached: impl Iterator<Item = (&'t str, &'t str)>,
    ) {
        let mut found: Vec<(&str, &str)> = attached.collect();
        things(&text[..text.floor_char_boundary(LOOKED_AT)], &mut found);
        for (kind, name) in found {
            self.spoken_of(turn, kind, &name[..name.floor_char_boundary(NAME)]);
        }
        let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        if !line.is_empty() {
            let text = match line.char_indices().nth(INTENT) {
                Some((end, _)) => format!("{}…", &line[..end]),
                None => line.to_owned(),
            };
            self.intents.push_back(Intent { turn: turn.clone(), text });
        }
        while self.intents.len() > INTENTS {
            self.intents.pop_front();
        }
        while self.entities.len() > ENTITIES {
            self.entities.pop_front();
        }
    }

    fn spoken_of(&mut self, turn: &TurnId, kind: &str, name: &str) {
        if name.is_empty() {
            return;
        }
        let at = self.entities.iter().position(|entity| entity.kind == kind && entity.name == name);
        let mut entity = at.and_then(|at| self.entities.remove(at)).unwrap_or_else(|| Entity {
            kind: kind.to_owned(),
            name: name.to_owned(),
            turn: turn.clone(),
            times: 0,
        });
        if entity.times == 0 || entity.turn != *turn {
            entity.times = entity.times.saturating_add(1);
        }
        entity.turn = turn.clone();
        self.entities.push_back(entity);
    }

    /// What a prompt is told that shows the last `shown` messages of the user; nothing if it shows all there was and
    /// clients keep nothing.
    #[must_use]
    pub fn reminder(&self, shown: usize) -> Option<String> {
        let earlier = self.intents.len().saturating_sub(shown);
        let mut lines = Vec::new();
        if earlier > 0 {
            lines.push("Earlier in this session the user asked:".to_owned());
            lines.extend(self.intents.iter().take(earlier).map(|intent| format!("- {}", intent.text)));
            if !self.entities.is_empty() {
                let names = self.entities.iter().map(|entity| format!("{} {:?}", entity.kind, entity.name));
                lines.push(format!("Spoken of so far: {}", names.collect::<Vec<_>>().join(", ")));
            }
        }
        if !self.values.is_empty() {
            let values = Value::Object(self.values.clone()).to_string();
            let end = values.floor_char_boundary(VALUES);
            let cut = if end < values.len() { " …" } else { "" };
            lines.push(format!("Kept with this session: {}{cut}", &values[..end]));
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// Finds links and files in `text`, in their order.
fn things<'t>(text: &'t str, found: &mut Vec<(&'t str, &'t str)>) {
    let mut rest = text;
    // Org links first: what is in them is no word of its own.
    while let Some(start) = rest.find("[[") {
        words(&rest[..start], found);
        let inside = &rest[start + 2..];
        let Some(end) = inside.find("]]") else {
            words(inside, found);
            return;
        };
        let target = inside[..end].split("][").next().unwrap_or_default();
        if !target.is_empty() && !target.contains('\n') {
            found.push(("link", target));
        }
        rest = &inside[end + 2..];
    }
    words(rest, found);
}

fn words<'t>(text: &'t str, found: &mut Vec<(&'t str, &'t str)>) {
    let outside = |c: char| {
        c.is_whitespace()
            || matches!(c, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | '|')
    };
    for word in text.split(outside) {
        let word =
            word.trim_matches(|c: char| matches!(c, ',' | ';' | ':' | '!' | '?' | '*' | '=' | '+' | '…'));
        let word = word.trim_end_matches('.');
        if word.starts_with("https://") || word.starts_with("http://") {
            if word.len() > "https://".len() {
                found.push(("link", word));
            }
        } else if is_file(word) {
            found.push(("file", word));
        }
    }
}

/// Whether a word looks like the name of a file: a path, or a name with a suffix of letters.
fn is_file(word: &str) -> bool {
    if word.contains("://") || word.len() < 3 {
        return false;
    }
    if ["/", "~/", "./", "../"].iter().any(|start| word.starts_with(start)) {
        return word.bytes().any(|byte| byte.is_ascii_alphanumeric());
    }
    let name = word.rsplit('/').next().unwrap_or_default();
    let Some((stem, suffix)) = name.rsplit_once('.') else { return false };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    stem.chars().any(char::is_alphanumeric)
        && stem.chars().all(plain)
        && (2..=5).contains(&suffix.len())
        && suffix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        && suffix.bytes().any(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(context: &Context) -> Vec<(&str, &str, u32)> {
        context.entities.iter().map(|entity| (&*entity.kind, &*entity.name, entity.times)).collect()
    }

    #[test]
    fn things_are_found_by_their_shape() {
        let mut context = Context::default();
        let text = "Compare [[file:a b.org][my notes]] with ~/notes/todo.org, src/main.rs and https://gnu.org/x.\n\
                    Not e.g. this, 3.14, and/or, or v1.2.";
        context.learn(&"t".into(), text, [("note", "Plan")].into_iter());
        assert_eq!(
            names(&context),
            [
                ("note", "Plan", 1),
                ("link", "file:a b.org", 1),
                ("file", "~/notes/todo.org", 1),
                ("file", "src/main.rs", 1),
                ("link", "https://gnu.org/x", 1)
            ]
        );
        assert_eq!(context.intents[0].text, text.lines().next().unwrap());
        context.learn(&"u".into(), "and src/main.rs, src/main.rs?", std::iter::empty());
        assert_eq!(names(&context).last(), Some(&("file", "src/main.rs", 2)));
        assert_eq!(context.entities.len(), 5);
    }

    #[test]
    fn a_prompt_is_told_what_it_does_not_show() {
        let mut context = Context::default();
        assert_eq!(context.reminder(0), None);
        for (turn, text) in [("1", "Where is plan.org?"), ("2", "Who wrote it?"), ("3", "When?")] {
            context.learn(&turn.into(), text, std::iter::empty());
        }
        assert_eq!(context.reminder(3), None);
        assert_eq!(
            context.reminder(1).unwrap(),
            "Earlier in this session the user asked:\n- Where is plan.org?\n- Who wrote it?\nSpoken of so far: file \"plan.org\""
        );
        context.values.insert("project".into(), "attic".into());
        assert_eq!(context.reminder(3).unwrap(), "Kept with this session: {\"project\":\"attic\"}");
    }

    #[test]
    fn the_values_stay_whatever_a_newer_program_wrote_beside_them() {
        let values = serde_json::json!({"orgAgent.sandbox": "read-only"});
        for strange in [serde_json::json!(7), serde_json::json!([{"new": 1}]), serde_json::json!({"new": []})]
        {
            let text = serde_json::json!({"entities": strange, "intents": strange, "values": values,
                "summary": strange, "more": strange});
            let found: Context = serde_json::from_value(text).unwrap();
            let expected = Context { values: values.as_object().unwrap().clone(), ..Context::default() };
            assert_eq!(found, expected);
        }
    }

    proptest! {
        #[test]
        fn it_stays_small_whatever_is_said(texts in prop::collection::vec("\\PC{0,400}|(\\[\\[|\\]\\[|/[a-z]|x\\.rs| ){0,200}", 0..60)) {
            let mut context = Context::default();
            for (at, text) in texts.iter().enumerate() {
                context.learn(&TurnId(at.to_string()), text, std::iter::empty());
            }
            prop_assert!(context.entities.len() <= ENTITIES && context.intents.len() <= INTENTS);
            let text = serde_json::to_string(&context).unwrap();
            prop_assert!(text.len() < 64_000);
            prop_assert_eq!(serde_json::from_str::<Context>(&text).unwrap(), context);
        }
    }
}

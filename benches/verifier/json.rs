//! `serde_json` on the equivalent JSON: into a struct that knows the keys, and the same check.

use org_agent::action::{Action, GRAMMAR, Value};
use serde::Deserialize;

use crate::lisp;

/// Any reply. It is looser than the grammar: which keys go together is not checked while reading.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    r#type: String,
    target: Option<String>,
    explanation: Option<String>,
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    action: Option<String>,
    buffer: Option<String>,
    text: Option<String>,
    cmd: Option<String>,
    cwd: Option<String>,
    timeout: Option<u32>,
    name: Option<String>,
    level: Option<String>,
}

/// Reads and checks; to see that it reads the same action.
pub fn read(text: &str, buffer: &str) -> Option<Action> {
    let Reply { r#type, target, explanation, payload } = serde_json::from_str(text).ok()?;
    let row = GRAMMAR.iter().find(|row| row.type_ == r#type && row.target == target.as_deref())?;
    let strings = [
        ("action", payload.action),
        ("buffer", payload.buffer),
        ("text", payload.text),
        ("cmd", payload.cmd),
        ("cwd", payload.cwd),
        ("name", payload.name),
        ("level", payload.level),
    ];
    let mut action = Action::new(row);
    for (key, text) in strings.into_iter().filter_map(|(key, text)| Some((key, text?))) {
        let field = row.payload.iter().find(|field| field.key == key)?;
        action.set(key, lisp::checked(field.shape, Value::Text(text), buffer)?);
    }
    if let Some(seconds) = payload.timeout {
        let field = row.payload.iter().find(|field| field.key == "timeout")?;
        action.set("timeout", lisp::checked(field.shape, Value::Integer(seconds), buffer)?);
    }
    action.explain(explanation);
    Some(action)
}

//! The canonical print of an action: one line, table order, lower-case keywords, the fewest escapes.
//!
//! What the recogniser accepts, printed here, it accepts again as the same action.

use std::fmt::Write as _;

use crate::action::{Action, Value};

/// Prints `action` in the order of its JSON form: `:type`, `:target`, `:explanation`, `:payload`.
#[must_use]
pub fn print(action: &Action) -> String {
    let row = action.row();
    let mut out = format!("(:type :{}", row.type_);
    if let Some(target) = row.target {
        out.push_str(" :target :");
        out.push_str(target);
    }
    if let Some(explanation) = action.explanation() {
        out.push_str(" :explanation ");
        string(explanation, &mut out);
    }
    out.push_str(" :payload (");
    for (at, (key, value)) in action.payload().enumerate() {
        out.push_str(if at == 0 { ":" } else { " :" });
        out.push_str(key);
        out.push(' ');
        match value {
            Value::Text(text) => string(text, &mut out),
            Value::Keyword(word) => {
                out.push(':');
                out.push_str(word);
            }
            // Writing to a String can not fail.
            Value::Integer(number) => drop(write!(out, "{number}")),
        }
    }
    out.push_str("))");
    out
}

/// Prints `text` as a string: quotes and backslashes escaped, line breaks and tabs as their short escapes.
fn string(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\', '\n', '\t', '\r']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\t' => "\\t",
            _ => "\\r",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

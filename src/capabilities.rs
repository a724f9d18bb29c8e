//! What this server says of itself: the actions that may come of a message, and the skills, each with what it is for, when
//! it acts, and what it can do at most. Skills that say nothing of themselves are not told of.

use serde_json::{Value, json};

use crate::action::{CHAT_BUFFER, GRAMMAR, Kind, Row};
use crate::error::Result;
use crate::grammar::Export;
use crate::skill::{Shelf, Skill};

/// The most characters of an action's text that the schema of its parameters allows.
const MAX_TEXT: usize = 32_768;

/// `{sensors, actions, items, nextCursor}`: all actions, and `limit` skills from the number `from` on.
///
/// # Errors
/// None that a caller could cause; the grammar's own.
pub fn describe(shelf: &Shelf, from: usize, limit: usize) -> Result<Value> {
    let schema = Export::new(CHAT_BUFFER, MAX_TEXT)?.json_schema();
    let actions: Vec<Value> = GRAMMAR
        .iter()
        .enumerate()
        .map(|(at, row)| action(row, &schema["anyOf"][at]["properties"]["payload"]))
        .collect();
    let told: Vec<&Skill> =
        shelf.skills().iter().map(AsRef::as_ref).filter(|skill| skill.declares()).collect();
    let items: Vec<Value> = told.iter().skip(from).take(limit).map(|skill| one(skill, shelf)).collect();
    let next = from + items.len();
    Ok(json!({
        "sensors": ["chat-message", "rewrite"],
        "actions": actions,
        "items": items,
        "nextCursor": (next < told.len()).then(|| next.to_string()),
    }))
}

fn one(skill: &Skill, shelf: &Shelf) -> Value {
    json!({
        "name": skill.name, "description": skill.description, "capabilities": skill.capabilities,
        "triggers": skill.triggers(shelf), "permissions": skill.permissions(),
        "state": skill.state(shelf), "origin": skill.origin.as_str(), "format": skill.format.as_str(),
    })
}

/// An action as one would describe a function.
fn action(row: &Row, parameters: &Value) -> Value {
    let text = json!({"type": "string"});
    let (name, permissions, method, returns) = match row.kind {
        Kind::Insert => ("insert-at-end", vec![], Some("orgAgent/actuate"), status()),
        Kind::Response => ("response", vec![], Some("orgAgent/actuate"), status()),
        Kind::Replace => ("replace-region", vec!["user"], Some("orgAgent/actuate"), status()),
        Kind::Shell => ("shell", vec!["policy", "user"], Some("orgAgent/actuate"), command()),
        Kind::Skill => ("load-skill", vec![], None, text),
        Kind::Log => ("log", vec![], None, json!({"type": "null"})),
    };
    json!({
        "name": name, "description": row.purpose, "form": row.form(), "parameters": parameters, "returns": returns,
        "permissions": permissions, "method": method,
    })
}

/// What comes of an insert.
fn status() -> Value {
    json!({
        "type": "object",
        "properties": {"status": {"enum": ["done", "failed"]}, "message": {"type": "string"}},
        "required": ["status"],
    })
}

/// What comes of a command.
fn command() -> Value {
    json!({
        "type": "object",
        "properties": {
            "status": {"enum": ["done", "denied", "failed", "unknown"]},
            "exitCode": {"type": "integer"}, "stdout": {"type": "string"}, "stderr": {"type": "string"},
            "truncated": {"type": "boolean"}, "message": {"type": "string"},
        },
        "required": ["status"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_described_with_a_schema_of_its_own() {
        let all = describe(&Shelf::default(), 0, 10).unwrap();
        let actions = all["actions"].as_array().unwrap();
        let names: Vec<&str> = actions.iter().map(|action| action["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["insert-at-end", "shell", "load-skill", "response", "log"]);
        for action in actions {
            let schema = &action["parameters"];
            assert!(
                jsonschema::meta::is_valid(schema) && jsonschema::meta::is_valid(&action["returns"]),
                "{action}"
            );
            assert!(!action["description"].as_str().unwrap().is_empty());
        }
        let shell = jsonschema::validator_for(&actions[1]["parameters"]).unwrap();
        assert!(
            shell.is_valid(&json!({"cmd": "ls", "timeout": 5})) && !shell.is_valid(&json!({"timeout": 5}))
        );
    }
}

//! JSON Schema, draft 2020-12, of the JSON form of actions.
//!
//! Only what every engine knows is used, with these exceptions:
//! - Strict mode of OpenAI's structured outputs takes no `anyOf` at the root and wants every key required. It
//!   can not have this schema as it is; a custom tool can have the Lark grammar.
//! - xgrammar and llama.cpp (so Ollama, too) ignore `maxLength` where there is a `pattern`. What becomes too
//!   long is refused by the reader.
//! - llama.cpp copies the classes of a `pattern` between JSON's quotes as they are. It has the GBNF grammar.
//!
//! `x-guidance` is read by llguidance alone: JSON without blanks and without needless escapes, so that what
//! it generates fits into a reply.

use serde_json::{Map, Value, json};

use super::{EXPLANATION, Export, Kind, Strings};
use crate::action::{Field, Row, Shape};

pub(super) fn schema(export: &Export) -> Value {
    let rows: Vec<Value> = export.table.iter().map(|row| form(export, row)).collect();
    json!({
        "$comment": export.origin("json-schema"),
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Action",
        "description": "The one action that answers.",
        "x-guidance": {"whitespace_flexible": false, "json_allowed_escapes": "nrt\\\""},
        "anyOf": rows,
    })
}

fn form(export: &Export, row: &Row) -> Value {
    let payload = row.payload.iter().map(|field| (field.key, value(export, field), field.required));
    let members = [
        Some(("type", json!({"const": row.type_}), true)),
        row.target.map(|target| ("target", json!({"const": target}), true)),
        Some(("explanation", string(EXPLANATION.strings(export)), false)),
        Some(("payload", object(payload), true)),
    ];
    let mut schema = json!({"description": row.purpose});
    if let (Value::Object(schema), Value::Object(rest)) = (&mut schema, object(members.into_iter().flatten()))
    {
        schema.extend(rest);
    }
    schema
}

/// An object of these keys with the schema of each and whether it has to be there.
fn object<'a>(members: impl Iterator<Item = (&'a str, Value, bool)>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (key, schema, needed) in members {
        properties.insert(key.to_owned(), schema);
        if needed {
            required.push(key);
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn value(export: &Export, field: &Field) -> Value {
    match field.shape {
        Shape::Keyword([word]) => json!({"const": word}),
        Shape::Keyword(words) => json!({"enum": words}),
        Shape::Buffer => json!({"enum": export.names}),
        Shape::Seconds(most) => json!({"type": "integer", "minimum": 1, "maximum": most}),
        Shape::Text | Shape::Command | Shape::Path | Shape::Name => {
            string(Kind::of(field.shape).strings(export))
        }
    }
}

fn string(Strings { class, least, most }: Strings) -> Value {
    let times = if least == 0 { "*" } else { "+" };
    let mut schema = json!({"type": "string"});
    if least > 0 {
        schema["minLength"] = least.into();
    }
    schema["maxLength"] = most.into();
    schema["pattern"] = format!("^{}{times}$", class.negated()).into();
    schema
}

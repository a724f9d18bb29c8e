//! The bounds that the schema gives, against a real server: what is out of them is refused, what is at them is not.

use serde_json::{Map, Value, json};

use super::schema::schema;
use super::tour::all;
use crate::common::client::Client;

const DOC: &str = include_str!("../../docs/protocol.md");

/// The example of a method's parameters in the document.
fn example(method: &str) -> Value {
    let section = DOC.split(&format!("\n### `{method}`")).nth(1).unwrap();
    let block = section.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    serde_json::from_str(block).expect(method)
}

/// A value at a bound, one over it, and one under the other; none where there is no such bound.
fn values(property: &Value) -> Vec<(Value, bool)> {
    let number = |name: &str| property[name].as_u64();
    let text = |length: u64| Value::String("0".repeat(usize::try_from(length).unwrap()));
    let mut all = Vec::new();
    let is = |name: &str| {
        property["type"] == name || property["type"].as_array().is_some_and(|it| it.contains(&json!(name)))
    };
    if is("string") {
        if let Some(most) = number("maxLength") {
            all.extend([(text(most), true), (text(most + 1), false)]);
        }
        if let Some(least @ 1..) = number("minLength") {
            all.push((text(least - 1), false));
        }
    }
    if is("integer") && number("maximum").is_some() {
        all.extend([
            (json!(number("maximum").unwrap()), true),
            (json!(number("maximum").unwrap() + 1), false),
        ]);
        all.push((json!(number("minimum").unwrap() - 1), false));
    }
    if let Some(values) = property["enum"].as_array() {
        all.extend(values.iter().map(|value| (value.clone(), true)));
        all.push((json!("teapot"), false));
    }
    if let Some(most) = number("maxProperties") {
        let of = |count: u64| -> Value {
            (0..count).map(|at| (at.to_string(), text(64))).collect::<Map<_, _>>().into()
        };
        all.extend([(of(most), true), (of(most + 1), false)]);
    }
    if let Some(most) = number("maxItems") {
        let item = if property["items"].get("$ref").is_some() {
            json!({"kind": "note", "name": "n", "text": ""})
        } else {
            json!("x")
        };
        let of = |count: u64| Value::Array(vec![item.clone(); usize::try_from(count).unwrap()]);
        all.extend([(of(most), true), (of(most + 1), false)]);
    }
    all
}

#[test]
fn the_bounds_of_the_schema_are_those_of_the_server() {
    let schema = schema();
    let mut client = Client::start(&[("ORG_AGENT_MODEL", "offline")]);
    client.initialize_as(&all());
    let mut tried = 0;
    for (method, entry) in schema["methods"].as_object().unwrap() {
        if entry["direction"] != "clientToServer" || entry["kind"] != "request" || method == "initialize" {
            continue;
        }
        let name = entry["params"]["$ref"].as_str().unwrap().trim_start_matches("#/$defs/");
        let example = example(method);
        for (field, property) in schema["$defs"][name]["properties"].as_object().into_iter().flatten() {
            for (value, good) in values(property) {
                let mut params = example.clone();
                let value = match value.as_str() {
                    Some(text) if field == "directory" && !text.is_empty() => {
                        json!("/".to_owned() + &text[1..])
                    }
                    _ => value,
                };
                // One message is one: another text under the same identifier is something else.
                if method == "orgAgent/event" && field != "clientId" {
                    params["clientId"] = format!("c-{tried}").into();
                }
                // A session that is not there is not_found, after the bounds were looked at.
                params[field] = value.clone();
                if field == "sensor" && value == "rewrite" {
                    params["context"] = json!([{"kind": "region", "name": "n", "text": "t"}]);
                }
                if method == "orgAgent/why" && field == "actuationId" {
                    params.as_object_mut().unwrap().remove("turnId");
                }
                let error = client.try_request(method, &params).err().unwrap_or_default();
                let names = error["message"].as_str().is_some_and(|text| text.starts_with(field.as_str()));
                let refused = error["code"] == -32602 && (names || error["message"] == "turnHashes");
                let size = value.to_string().len();
                assert_eq!(refused, !good, "{method}, {field} with {size} bytes: {error}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
}

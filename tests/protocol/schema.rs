//! The schema, and what of some traffic it covers.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use org_agent::conformance::message::Side;
use serde_json::{Value, json};

/// The file.
pub fn schema() -> Value {
    serde_json::from_str(include_str!("../../docs/protocol.schema.json")).unwrap()
}

/// What validates messages.
pub struct Checker {
    schema: Value,
    validators: BTreeMap<String, Validator>,
    /// Which parts of which methods were seen.
    pub seen: BTreeSet<(String, &'static str)>,
}

impl Checker {
    pub fn new() -> Self {
        let schema = schema();
        jsonschema::meta::validate(&schema).expect("it is no schema");
        Self { schema, validators: BTreeMap::new(), seen: BTreeSet::new() }
    }

    /// Validates all that passed between a client and a server. A client may send what is wrong if it is told so.
    pub fn check(&mut self, passed: &[(Side, Value)]) {
        let mut asked = BTreeMap::new();
        let refused: BTreeSet<String> = passed
            .iter()
            .filter(|(from, message)| *from == Side::Server && message.get("error").is_some())
            .map(|(_, message)| message["id"].to_string())
            .collect();
        for (from, message) in passed {
            let id = message.get("id").map(ToString::to_string);
            let Some(method) = message["method"].as_str() else {
                if let Some(error) = message.get("error").filter(|_| *from == Side::Server) {
                    self.valid("error", &json!({"$ref": "#/$defs/ErrorData"}), &error["data"]);
                    continue;
                }
                let other = if *from == Side::Client { Side::Server } else { Side::Client };
                let method: String = asked.remove(&(other == Side::Client, id.unwrap())).expect("a request");
                self.part(&method, other, "result", &message["result"]);
                continue;
            };
            if let Some(id) = &id {
                asked.insert((*from == Side::Client, id.clone()), method.to_owned());
            }
            if *from == Side::Client && id.is_some_and(|id| refused.contains(&id)) {
                continue;
            }
            self.part(method, *from, "params", message.get("params").unwrap_or(&json!({})));
        }
    }

    /// Validates the parameters or the result of a method that `from` asked.
    fn part(&mut self, method: &str, from: Side, part: &'static str, value: &Value) {
        let Some(entry) = self.schema["methods"].get(method).cloned() else {
            assert!(!method.starts_with("orgAgent/"), "{method} is not in the schema");
            return;
        };
        let direction = if from == Side::Client { "clientToServer" } else { "serverToClient" };
        assert_eq!(entry["direction"], direction, "{method}");
        let ours = |path: &str| value.pointer(path).cloned().unwrap_or(Value::Null);
        let value = match (method, part) {
            ("initialize", "params") => &ours("/capabilities/experimental/orgAgent"),
            ("initialize", _) => &ours("/capabilities/experimental/orgAgent"),
            _ => value,
        };
        self.valid(&format!("{method} {part}"), &entry[part], value);
        self.seen.insert((method.to_owned(), part));
    }

    fn valid(&mut self, place: &str, schema: &Value, value: &Value) {
        let defs = &self.schema["$defs"];
        let validator = self.validators.entry(place.to_owned()).or_insert_with(|| {
            let mut schema = schema.clone();
            if let Some(schema) = schema.as_object_mut() {
                schema.insert("$defs".into(), defs.clone());
            }
            jsonschema::draft202012::new(&schema).expect(place)
        });
        if let Err(error) = validator.validate(value) {
            panic!("{place}, at {}: {error}\n{value:#}", error.instance_path());
        }
    }

    /// Every part of every method was seen, but for these.
    pub fn covers_all_but(&self, but: &[(&str, &str)]) {
        let mut missing = BTreeSet::new();
        for (method, entry) in self.schema["methods"].as_object().unwrap() {
            for part in ["params", "result"] {
                if entry.get(part).is_some() && !self.seen.iter().any(|(it, p)| it == method && *p == part) {
                    missing.insert((method.as_str(), part));
                }
            }
        }
        assert_eq!(missing, but.iter().copied().collect());
    }
}

//! The JSON Schema, with a validator and with llguidance.

use jsonschema::Validator;
use llguidance::api::TopLevelGrammar;
use org_agent::action::{GRAMMAR, Kind, MAX_REPLY};
use org_agent::grammar::{Export, MAX_TEXT};
use org_agent::verify::json;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;

use crate::actions::{BUFFERS, Tape, action, config, is_within};
use crate::json::damage;
use crate::llguidance::Engine;

const MOST: usize = 7;

fn schema(buffer: &str, max_text: usize) -> Value {
    Export::new(buffer, max_text).unwrap().json_schema()
}

fn validator(buffer: &str, max_text: usize) -> Validator {
    jsonschema::draft202012::new(&schema(buffer, max_text)).unwrap()
}

thread_local! {
    static VALIDATORS: [Validator; 6] = BUFFERS.map(|buffer| validator(buffer, MOST));
    static ENGINES: [Engine; 6] =
        BUFFERS.map(|buffer| Engine::new(TopLevelGrammar::from_json_schema(schema(buffer, MOST))));
}

fn is_valid(which: usize, value: &Value) -> bool {
    VALIDATORS.with(|validators| validators[which].is_valid(value))
}

#[test]
fn it_is_a_schema_with_the_keys_in_the_order_of_the_table() {
    let schema = schema("notes", MAX_TEXT);
    assert!(jsonschema::meta::is_valid(&schema));
    assert_eq!(schema.as_object().unwrap().keys().next().unwrap(), "$comment");
    let forms = schema["anyOf"].as_array().unwrap();
    assert_eq!(forms.len(), GRAMMAR.len());
    for (form, row) in forms.iter().zip(&GRAMMAR) {
        let keys: Vec<_> = form["properties"]["payload"]["properties"].as_object().unwrap().keys().collect();
        assert_eq!(keys, row.payload.iter().map(|field| field.key).collect::<Vec<_>>());
        let keys: Vec<_> = form["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            keys.iter().filter(|key| **key != "target").collect::<Vec<_>>(),
            [&"type", &"explanation", &"payload"]
        );
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn the_json_form_of_every_action_validates(which in 0..6usize, tape in vec(any::<u16>(), 60)) {
        let json = Tape::new(&tape).action(BUFFERS[which], MOST).to_json();
        prop_assert!(is_valid(which, &json), "{json}");
    }

    #[test]
    fn what_validates_is_what_the_reader_accepts(which in 0..6usize, tape in vec(any::<u16>(), 300)) {
        let mut tape = Tape::new(&tape);
        let mut json = tape.action(BUFFERS[which], MOST).to_json();
        for _ in 0..=tape.below(2) {
            damage(&mut json, &mut tape);
        }
        let read = json::read(json.to_string().as_bytes(), BUFFERS[which]);
        let expected = read.as_ref().is_ok_and(|action| is_within(action, MOST));
        prop_assert_eq!(is_valid(which, &json), expected, "{}\n{:?}", json, read);
    }
}

proptest! {
    // A walk asks for the mask at every byte.
    #![proptest_config(config(250))]

    #[test]
    fn what_llguidance_generates_is_accepted(which in 0..6usize, tape in vec(any::<u16>(), 400)) {
        let reply = ENGINES.with(|engines| engines[which].walk(&mut Tape::new(&tape)));
        let shown = String::from_utf8_lossy(&reply);
        let action = json::read(&reply, BUFFERS[which]);
        prop_assert!(action.is_ok(), "{shown}\n{action:?}");
        prop_assert!(is_within(&action.unwrap(), MOST), "{shown}");
    }

    #[test]
    fn llguidance_accepts_the_json_form(which in 0..6usize, tape in vec(any::<u16>(), 60)) {
        let json = Tape::new(&tape).action(BUFFERS[which], MOST).to_json().to_string();
        prop_assert!(ENGINES.with(|engines| engines[which].accepts(json.as_bytes())), "{json}");
    }
}

#[test]
fn the_bounds_are_exact() {
    for max_text in [600, 5_000, MAX_TEXT] {
        let validator = validator("notes", max_text);
        for (kind, key, cap) in
            [(Kind::Response, "text", usize::MAX), (Kind::Shell, "cmd", 16_384), (Kind::Skill, "name", 4_096)]
        {
            let most = max_text.min(cap);
            for (length, expected) in [(most, true), (most + 1, false)] {
                let json = action(kind, &[(key, &"\u{10FFFF}".repeat(length))]).to_json();
                assert_eq!(validator.is_valid(&json), expected, "{key} {length}");
                assert!(!expected || json.to_string().len() <= MAX_REPLY);
            }
        }
    }
}

//! `docs/grammar.md` against the table, the limits and the verifier.

use org_agent::action::{GRAMMAR, MAX_REPLY, Shape};
use org_agent::grammar::{MAX_COMMAND, MAX_OTHER, MAX_TEXT};
use org_agent::sexp::recogniser::Recogniser;
use org_agent::sexp::{Rejection, kind};
use org_agent::verify::json;

const DOC: &str = include_str!("../../docs/grammar.md");

fn block(language: &str) -> &'static str {
    let start = DOC.split(&format!("```{language}\n")).nth(1).unwrap();
    start.split("```").next().unwrap()
}

#[test]
fn the_forms_are_those_of_the_table() {
    let forms: Vec<String> = GRAMMAR.iter().map(org_agent::action::Row::form).collect();
    assert_eq!(block("lisp").lines().collect::<Vec<_>>(), forms);
}

#[test]
fn the_numbers_are_those_of_the_program() {
    let seconds = GRAMMAR.iter().flat_map(|row| row.payload).find_map(|field| match field.shape {
        Shape::Seconds(most) => Some(most),
        _ => None,
    });
    for expected in [
        format!("at most {MAX_REPLY} bytes"),
        format!("more than {MAX_REPLY} bytes"),
        format!(
            "(default {MAX_TEXT}), a command at most {MAX_COMMAND} of them, other strings at most {MAX_OTHER}."
        ),
        format!("from 1 to {}", seconds.unwrap()),
    ] {
        assert!(DOC.contains(&expected), "{expected}");
    }
}

#[test]
fn every_kind_of_rejection_has_an_example_that_is_one() {
    let rows: Vec<Vec<&str>> = DOC
        .split("| kind | example |")
        .nth(1)
        .unwrap()
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let kinds: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(kinds, kind::ALL);
    for row in rows {
        let expected = (row[0].trim_matches('`'), row[2].parse().unwrap());
        let reply: Vec<u8> = match row[1].split('`').nth(1) {
            None => vec![b' '; MAX_REPLY + 1],
            // What can not stand in a page is shown as something else.
            Some(example) => {
                let example = example.replace('␀', "\0");
                match example.split_once('\u{FFFD}') {
                    Some((before, behind)) => [before.as_bytes(), b"\xFF", behind.as_bytes()].concat(),
                    None => example.into_bytes(),
                }
            }
        };
        let rejection: Rejection = if row[1].contains("JSON") {
            json::read(&reply, "notes").unwrap_err()
        } else {
            let mut recogniser = Recogniser::new("notes");
            recogniser.feed(&reply).and_then(|()| recogniser.finish()).unwrap_err()
        };
        assert_eq!((rejection.kind, rejection.offset), expected, "{row:?}");
    }
}

#[test]
fn the_json_example_is_an_action() {
    let example = block("json").trim();
    let action = json::read(example.as_bytes(), "notes").unwrap();
    assert_eq!(action.to_json().to_string(), example);
}

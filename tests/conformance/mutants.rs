//! Records with lines that are left out, doubled or exchanged: what has to be found is, and nothing makes the checker
//! fail.

use std::io::{BufReader, Read};

use org_agent::conformance::check::{MOST, check};
use org_agent::conformance::message::line;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::check::{text, transcript};

fn faults(lines: &[Value]) -> Vec<&'static str> {
    let checked = check(&mut text(lines).as_slice()).unwrap();
    checked.faults.iter().map(|fault| fault.rule).collect()
}

/// Whether a message is numbered, and so cannot be missing, come twice or come early.
fn is_numbered(line: &Value) -> bool {
    line["message"]["params"]["seq"].is_u64() && line["direction"] == "in"
}

fn is_answer(line: &Value) -> bool {
    line["message"].get("id").is_some() && line["message"].get("method").is_none()
}

#[test]
fn a_numbered_message_that_is_left_out_is_missed() {
    let mut lines = transcript();
    // To a client that wants no previews the numbers have gaps.
    lines.truncate(lines.iter().rposition(|line| line["message"]["method"] == "initialize").unwrap());
    for at in (0..lines.len()).filter(|at| is_numbered(&lines[*at])) {
        let mut without = lines.clone();
        let message = without.remove(at)["message"].clone();
        // Behind the last of a turn nothing shows that it is missing.
        let turn = &message["params"]["turnId"];
        let is_last = !without[at..]
            .iter()
            .any(|line| line["message"]["params"]["turnId"] == *turn && is_numbered(line));
        assert!(is_last || !faults(&without).is_empty(), "{message}");
    }
}

#[test]
fn a_numbered_message_or_an_answer_that_comes_twice_is_noticed() {
    let lines = transcript();
    for at in (0..lines.len()).filter(|at| is_numbered(&lines[*at]) || is_answer(&lines[*at])) {
        let mut twice = lines.clone();
        twice.insert(at, lines[at].clone());
        assert!(!faults(&twice).is_empty(), "{}", lines[at]);
    }
}

#[test]
fn two_messages_of_a_turn_that_change_places_are_noticed() {
    let lines = transcript();
    let numbered: Vec<usize> = (0..lines.len()).filter(|at| is_numbered(&lines[*at])).collect();
    for pair in numbered.windows(2) {
        let turn = |at: usize| &lines[at]["message"]["params"]["turnId"];
        if turn(pair[0]) == turn(pair[1]) {
            let mut changed = lines.clone();
            changed.swap(pair[0], pair[1]);
            assert!(!faults(&changed).is_empty(), "{}", lines[pair[0]]);
        }
    }
}

#[test]
fn an_answer_before_its_request_is_noticed() {
    let lines = transcript();
    for at in (0..lines.len()).filter(|at| is_answer(&lines[*at])) {
        let message = &lines[at]["message"];
        let asked = lines[..at].iter().rposition(|line| {
            line["message"]["id"] == message["id"]
                && line["message"].get("method").is_some()
                && line["direction"] != lines[at]["direction"]
        });
        let mut changed = lines.clone();
        let answer = changed.remove(at);
        changed.insert(asked.unwrap(), answer);
        assert!(!faults(&changed).is_empty(), "{message}");
    }
}

#[test]
fn what_is_reported_is_bounded() {
    let lines = vec![json!({"direction": "in", "message": 1}); MOST + 10];
    let checked = check(&mut text(&lines).as_slice()).unwrap();
    assert_eq!((checked.faults.len(), checked.more), (MOST, 10));
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    // One byte of it stands for each: nothing of that size is in memory but the line itself.
    let endless = std::io::repeat(b'x').take((64 << 20) + 100);
    let rest = [b"\n", text(&transcript()).as_slice()].concat();
    let checked = check(&mut BufReader::new(endless.chain(rest.as_slice()))).unwrap();
    assert_eq!((checked.faults.len(), checked.faults[0].line), (1, 1), "{:?}", checked.faults);
    assert_eq!(checked.faults[0].what, "it has 67108864 bytes or more");
}

proptest! {
    #[test]
    fn any_change_of_a_record_is_checked_to_its_end(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4_u8), 1..12)
    ) {
        let mut lines = transcript();
        for (from, to, what) in changes {
            let (from, to) = (from.index(lines.len()), to.index(lines.len()));
            match what {
                0 => drop(lines.remove(from)),
                1 => lines.insert(to, lines[from].clone()),
                2 => lines.swap(from, to),
                _ => lines[from]["message"]["params"] = lines[to]["message"]["params"].clone(),
            }
        }
        let checked = check(&mut text(&lines).as_slice()).unwrap();
        prop_assert!(checked.faults.iter().all(|fault| (1..=lines.len() as u64).contains(&fault.line)));
        prop_assert!(checked.messages <= lines.len() as u64);
        // The same again: nothing depends on anything else.
        prop_assert_eq!(check(&mut text(&lines).as_slice()).unwrap().faults, checked.faults);
    }

    #[test]
    fn any_bytes_are_a_message_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(why) = line(&bytes) {
            prop_assert!(!why.is_empty() && !why.contains('\n'));
        }
    }
}

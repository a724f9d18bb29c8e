//! The Lark grammar, with llguidance.

use llguidance::api::TopLevelGrammar;
use org_agent::action::Kind;
use org_agent::grammar::{Export, MAX_TEXT};
use org_agent::sexp::printer::print;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::actions::{BUFFERS, Tape, action, config, is_canonical, read};
use crate::llguidance::Engine;

fn engine(buffer: &str, max_text: usize) -> Engine {
    let grammar = Export::new(buffer, max_text).unwrap().lark();
    Engine::new(TopLevelGrammar::from_lark(grammar))
}

/// So short that a random walk ends.
const MOST: usize = 7;

/// So long that a string has blocks.
const LONG: usize = 600;

thread_local! {
    static ENGINES: [Engine; 6] = BUFFERS.map(|buffer| engine(buffer, MOST));
    static LONGER: Engine = engine(BUFFERS[1], LONG);
}

/// Runs `judge` with an engine, the limit of its texts and its buffer; the seventh is the one with blocks.
fn with_engine<T>(which: usize, judge: impl FnOnce(&Engine, usize, &'static str) -> T) -> T {
    match BUFFERS.get(which) {
        Some(buffer) => ENGINES.with(|engines| judge(&engines[which], MOST, buffer)),
        None => LONGER.with(|engine| judge(engine, LONG, BUFFERS[1])),
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn what_is_printed_is_accepted(which in 0..7usize, tape in vec(any::<u16>(), 60)) {
        with_engine(which, |engine, most, buffer| {
            let reply = print(&Tape::new(&tape).action(buffer, most));
            prop_assert!(engine.accepts(reply.as_bytes()), "{}", reply);
            Ok(())
        })?;
    }

    #[test]
    fn damage_is_judged_as_the_verifier_does(which in 0..7usize, tape in vec(any::<u16>(), 80)) {
        with_engine(which, |engine, most, buffer| {
            let mut tape = Tape::new(&tape);
            let mut reply = print(&tape.action(buffer, most)).into_bytes();
            tape.damage(&mut reply);
            let shown = String::from_utf8_lossy(&reply);
            prop_assert_eq!(engine.accepts(&reply), is_canonical(&reply, buffer, most), "{}", shown);
            Ok(())
        })?;
    }
}

proptest! {
    // A walk asks for the mask at every byte.
    #![proptest_config(config(250))]

    #[test]
    fn what_is_generated_is_canonical(which in 0..6usize, tape in vec(any::<u16>(), 400)) {
        let reply = ENGINES.with(|engines| engines[which].walk(&mut Tape::new(&tape)));
        let shown = String::from_utf8_lossy(&reply);
        prop_assert!(read(&reply, BUFFERS[which]).is_some(), "{shown}");
        prop_assert!(is_canonical(&reply, BUFFERS[which], MOST), "{shown}");
    }
}

#[test]
fn the_bounds_are_exact() {
    for (max_text, kind, key, most) in [
        (600, Kind::Response, "text", 600),
        (600, Kind::Log, "explanation", 600),
        (5_000, Kind::Shell, "cmd", 5_000),
        (5_000, Kind::Skill, "name", 4_096),
        (MAX_TEXT, Kind::Shell, "cmd", 16_384),
        (MAX_TEXT, Kind::Response, "text", MAX_TEXT),
    ] {
        let engine = engine("notes", max_text);
        for (length, expected) in [(most, true), (most + 1, false)] {
            // The later value of a key counts.
            let reply = print(&action(kind, &[("text", ""), (key, &"\u{10FFFF}".repeat(length))]));
            assert_eq!(engine.accepts(reply.as_bytes()), expected, "{max_text} {key} {length}");
        }
    }
}

#[test]
fn blocks_leave_no_length_out() {
    LONGER.with(|engine| {
        for (kind, key) in [(Kind::Response, "text"), (Kind::Skill, "name"), (Kind::Shell, "cmd")] {
            for length in [0, 1, 255, 256, 257, 511, 512, 513, 599, 600, 601, 767, 768, 769, 1_025] {
                for text in ["x", "\"", "\u{10FFFF}"] {
                    let reply = print(&action(kind, &[(key, &text.repeat(length))]));
                    let expected = length <= LONG && (length > 0 || key != "cmd");
                    assert_eq!(engine.accepts(reply.as_bytes()), expected, "{key} {length} {text}");
                }
            }
        }
    });
}

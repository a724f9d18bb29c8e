//! Any text as a note: it loads or is refused; what it defines runs, within small limits, to a value, a question or an
//! error.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use org_agent::lisp::{Datum, Limits, Mode, Outcome, Program, Source};

fuzz_target!(|text: &str| {
    let limits = Limits { fuel: 50_000, memory: 4 << 20, time: Duration::from_secs(5), depth: 500, asks: 4 };
    let (first, second) = text.split_at(text.floor_char_boundary(text.len() / 2));
    let whole = [Source { file: "a.org", line: 1, text }];
    let parts =
        [Source { file: "a.org", line: 1, text: first }, Source { file: "b.org", line: 9, text: second }];
    for sources in [&whole[..], &parts[..]] {
        let program = match Program::load(sources, Arc::new(()), limits) {
            Ok(program) => program,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                continue;
            }
        };
        let named = program.functions().filter_map(|name| program.function(name));
        let skills = program.skills().iter().flat_map(|skill| [skill.trigger, skill.neuro, skill.symbolic]);
        let functions: Vec<_> = named.chain(skills.flatten()).take(8).collect();
        for function in functions {
            let event = Datum::plist([("text", Datum::str("x")), ("n", Datum::Int(1))]);
            let mut call = program.call(function, vec![event], Mode::Neuro, Arc::new(()), limits);
            let mut asked = 0;
            while let Ok(outcome) = call.run() {
                match outcome {
                    Outcome::Ask { .. } => call.answer("(a 1 \"b\")"),
                    Outcome::Value(value) => {
                        drop(value.print(10_000));
                        break;
                    }
                }
                asked += 1;
                assert!(asked < 10);
            }
        }
    }
});

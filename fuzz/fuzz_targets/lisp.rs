//! Any text as a note: it loads or is refused; what it defines runs, within small limits, to a value, a question or an
//! error; and a call on shared arguments is what it is alone.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use org_agent::lisp::{Datum, Limits, Mode, Outcome, Program, Runner, Shared, Source};

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
        let event = Datum::plist([("text", Datum::str("x")), ("session", Datum::Int(1))]);
        let mut runner = Runner::new(Shared::new(vec![event.clone()]), Arc::new(()));
        for function in functions {
            let event = event.clone();
            // On shared arguments it is what it is alone, unless it comes to a limit: they cost nothing there.
            let alone = program.call(function, vec![event.clone()], Mode::Gate, Arc::new(()), limits).run();
            let (shared, _) = runner.call(&program, function, Mode::Gate, limits);
            if let (Ok(Outcome::Value(alone)), Ok(shared)) = (alone, shared) {
                assert_eq!(alone.print(10_000), shared.print(10_000));
            }
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

//! Any text as a command: a decision, and what is plain means the same once it is quoted.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use org_agent::record::Decision;
use org_agent::shell::{Place, Step, judge, parse};

/// The steps as a careful person would write them.
fn quoted(steps: &[Step]) -> String {
    let step = |step: &Step| {
        let words = step.argv.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''")));
        let op = step.op.map_or(String::new(), |op| format!(" {} ", op.as_str()));
        format!("{op}{}", words.collect::<Vec<_>>().join(" "))
    };
    steps.iter().map(step).collect()
}

fuzz_target!(|text: &str| {
    let place = Place {
        workspace: Path::new("/home/me/project"),
        directory: Path::new("/home/me/project"),
        home: Some(Path::new("/home/me")),
        resolve: &|path| Some(path.to_owned()),
    };
    let verdict = judge(text, &[], &place);
    if verdict.decision == Decision::Allow {
        assert!(verdict.steps.as_ref().is_some_and(|steps| !steps.is_empty()));
    }
    let Some(steps) = parse(text).ok().and_then(|script| script.plain.ok()) else {
        assert_ne!(verdict.decision, Decision::Allow);
        return;
    };
    let again = quoted(&steps);
    // Longer than the text, it may be too long; and what looks like a comment is never plain.
    if let Some(same) = parse(&again).ok().and_then(|script| script.plain.ok()) {
        assert_eq!(same, steps);
    }
});

//! Any text as a transcript: refused in a line that there is, or read, and what is written of it stays the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use org_agent::transcript::{Transcript, edited, file_name, parse, parse_all, title, write};

fuzz_target!(|text: &str| {
    let name = title(text);
    assert!((1..=60).contains(&name.chars().count()) && !name.contains(char::is_control));
    let file = file_name(text, text);
    assert!(file.strip_suffix(".org").is_some_and(|stem| {
        stem.len() < 50 && stem.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    }));
    assert!(edited(text, text));
    let all = match parse_all(text) {
        Err(problem) => {
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&problem.line) && !problem.hint.is_empty());
            return;
        }
        Ok(all) => all,
    };
    for one in all {
        // A line that looked like the input area and was text, as others came behind it, may be the last one now.
        let one = Transcript { draft: None, ..one };
        let last = one.turns.last().map(|said| said.replies.last().map_or(&said.text, |reply| &reply.text));
        let ends_bare =
            last.is_some_and(|text| text.lines().any(|line| line.trim_start_matches('*').trim() == "USER"));
        let written = write(&one);
        let read = parse(&written).unwrap_or_else(|problem| panic!("{problem}\n{written}"));
        if ends_bare || one.turns.iter().any(holds_turn) {
            continue;
        }
        assert_eq!(read.turns, one.turns, "{written}");
        assert_eq!(write(&read), written);
    }
});

/// Whether a text has what could be read as the beginning of a turn: read by hand, without properties, it may.
fn holds_turn(said: &org_agent::transcript::Said) -> bool {
    let texts = std::iter::once(&said.text).chain(said.replies.iter().map(|reply| &reply.text));
    texts.into_iter().any(|text| {
        let upper = text.to_ascii_uppercase();
        upper.contains(":OA_EVENT:") || upper.contains(":OA_ACT:")
    })
}

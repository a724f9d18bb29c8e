//! Any `SKILL.md`: a bounded record or a reason in a line that there is, and the same again from its own frontmatter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use org_agent::skill::folder::{self, MAX_NAME};

fuzz_target!(|data: &[u8]| {
    let lines = data.split(|byte| *byte == b'\n').count();
    let text = match folder::parse(data, "fuzz") {
        Err(error) => {
            assert!(error.line <= lines && !error.message.is_empty() && !error.hint.is_empty());
            return;
        }
        Ok(text) => text,
    };
    assert!(text.warnings.len() <= 20 && text.warnings.iter().all(|warning| warning.line <= lines));
    assert!((1..=MAX_NAME).contains(&text.name.chars().count()));
    assert!(!text.name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/'));
    assert!((1..=1_024).contains(&text.description.chars().count()));
    assert!(!text.description.contains(char::is_control));
    // What was read says the same when it is written plainly.
    let quoted = text.description.replace('\'', "''");
    let plain = format!("---\nname: '{}'\ndescription: '{quoted}'\n---\n{}\n", text.name, text.body);
    let again = folder::parse(plain.as_bytes(), "fuzz").expect("it was read before");
    assert_eq!((&again.name, &again.description, &again.body), (&text.name, &text.description, &text.body));
});

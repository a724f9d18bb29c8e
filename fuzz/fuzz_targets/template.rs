//! Any text as a template: an error in a line that there is, or a text of bounded size, and the same each time.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use org_agent::lisp::{Datum, Unfilled};
use org_agent::skill::template::{MAX_OUTPUT, Template};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.split('\n').count();
    let template = match Template::new("fuzz", 1, text.to_owned()) {
        Err(error) => {
            assert!((1..=lines).contains(&error.line) && !error.message.is_empty() && !error.hint.is_empty());
            return;
        }
        Ok(template) => template,
    };
    let tool = Datum::plist([("name", Datum::str("shell")), ("state", Datum::str("confined"))]);
    let context = Arc::new(Datum::plist([
        ("user", Datum::str("Ada")),
        ("text", Datum::str("one\ntwo")),
        ("number", Datum::Int(3)),
        ("words", Datum::list(["a", "b"].map(Datum::str))),
        ("tools", Datum::list([tool])),
    ]));
    let fill = || template.fill("fuzz.org", &Datum::Nil, Some(Arc::clone(&context)), 2_000_000);
    let filled = fill();
    assert!(filled.steps <= 2_000_000);
    match &filled.text {
        Ok(text) => assert!(text.len() <= MAX_OUTPUT),
        Err(Unfilled::Wrong { message, hint }) => assert!(!message.is_empty() && !hint.is_empty()),
        Err(Unfilled::Steps) => panic!("there were more steps than it can take"),
    }
    assert_eq!(fill(), filled);
});

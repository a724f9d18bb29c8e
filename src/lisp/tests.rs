//! Tests of the skill language.

mod asks;
mod atoms;
mod checks;
mod common;
mod hints;
mod limits;
mod odd;
mod own;
mod runs;
mod tables;
mod templates;

use std::sync::Arc;

use super::{hints as table, *};

/// The usual limits, but time enough for a slow machine: what ends is ended by its steps.
pub fn roomy() -> Limits {
    Limits { time: Duration::from_secs(300), ..Limits::default() }
}

pub fn load(text: &str) -> Result<Program, LispError> {
    Program::load(&[Source { file: "note.org", line: 1, text }], Arc::new(()), roomy())
}

/// The printed value of `form`, or the error.
pub fn eval(form: &str) -> Result<String, LispError> {
    let program = load(&format!("(defun main () (prin1-to-string (progn {form}\n)))"))?;
    let main = program.function("main").unwrap();
    match program.call(main, Vec::new(), Mode::Gate, Arc::new(()), roomy()).run()? {
        Outcome::Value(Datum::Str(text)) => Ok(text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_prelude_compiles() {
    let mut names = Names::root();
    for name in builtin::names() {
        names.intern(name);
    }
    let compiled = prelude::compile(names)
        .map(|(unit, _)| unit.codes.len())
        .map_err(|(fault, span)| (fault.message, span));
    assert!(compiled.is_ok_and(|count| count > 50));
}

#[test]
fn the_reference_names_all_that_is_there() {
    let text = include_str!("../../docs/skill-language.md");
    let missing: Vec<&str> =
        prelude::Root::get().function_names().filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/skill-language.md does not name {missing:?}");
}

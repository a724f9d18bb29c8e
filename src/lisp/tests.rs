//! Tests of the skill language.

use std::sync::Arc;

use super::*;

pub fn load(text: &str) -> Result<Program, LispError> {
    Program::load(&[Source { file: "note.org", line: 1, text }], Arc::new(()), Limits::default())
}

/// The printed value of `form`, or the error.
pub fn eval(form: &str) -> Result<String, LispError> {
    let program = load(&format!("(defun main () (prin1-to-string (progn {form}\n)))"))?;
    let main = program.function("main").unwrap();
    match program.call(main, Vec::new(), Mode::Gate, Arc::new(()), Limits::default()).run()? {
        Outcome::Value(Datum::Str(text)) => Ok(text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn first() {
    let mut names = names::Names::root();
    for name in builtin::names() {
        names.intern(name);
    }
    if let Err((fault, span)) = prelude::compile(names) {
        panic!("{fault:?} {span:?}");
    }
    assert_eq!(eval("(+ 1 2)").unwrap(), "3");
}

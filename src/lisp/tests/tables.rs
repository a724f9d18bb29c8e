//! The tables of forms, here and in SBCL.

use std::process::{Command, Stdio};

use super::eval;
use super::{atoms, common, odd};

const TABLES: &[&[(&str, &str)]] =
    &[common::FORMS, common::LOOPS, common::LISTS, atoms::NUMBERS, atoms::STRINGS, odd::ODD];

/// What the standard leaves open, or SBCL prints otherwise.
const OPEN: &[&str] = &["(function car)", "#\\Space", "(float 3)"];

pub fn check(tables: &[&[(&str, &str)]]) {
    let mut wrong = Vec::new();
    for (form, expected) in tables.iter().flat_map(|table| table.iter()) {
        let found = match eval(form) {
            Ok(text) => text,
            Err(_) if *expected == "ERROR" => continue,
            Err(error) => error.to_string(),
        };
        if found != *expected {
            wrong.push(format!("{form}\n  is       {found}\n  expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn common_forms() {
    check(TABLES);
}

#[test]
fn the_same_in_sbcl() {
    if Command::new("sbcl").arg("--version").stdout(Stdio::null()).status().is_err() {
        // Skipped: there is no sbcl. The table itself is checked above.
        return;
    }
    let mut script = String::from(
        "(setf *read-default-float-format* 'double-float *print-right-margin* 100000)\n\
         (declaim (sb-ext:muffle-conditions warning))\n\
         (defun show (text) (format t \"~a~c\" (handler-case (let ((*error-output* (make-broadcast-stream)))\
         (prin1-to-string (eval (read-from-string text)))) (error () \"ERROR\")) (code-char 30)))\n",
    );
    let forms: Vec<_> =
        TABLES.iter().flat_map(|table| table.iter()).filter(|(form, _)| !OPEN.contains(form)).collect();
    for (form, _) in &forms {
        let quoted = form.replace('\\', "\\\\").replace('"', "\\\"");
        script.push_str(&format!("(show \"{quoted}\")\n"));
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), script).unwrap();
    let out = Command::new("sbcl").arg("--script").arg(file.path()).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    let lines: Vec<&str> = text.split_terminator('\u{1e}').collect();
    assert_eq!(lines.len(), forms.len(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut wrong = Vec::new();
    for ((form, expected), line) in forms.iter().zip(lines) {
        if *expected != line {
            wrong.push(format!("{form}\n  is in sbcl {line}\n  expected   {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

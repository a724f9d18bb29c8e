//! Where an error happened, and how that is shown.

use super::super::code::Unit;
use super::super::fault::{Fault, Kind, LispError};
use super::super::syntax::Span;

/// "… takes …, got …".
pub fn count_fault(name: &str, least: usize, most: usize, got: usize) -> Fault {
    let takes = match (least, most) {
        (least, usize::MAX) => format!("at least {least}"),
        (least, most) if least == most => format!("{least}"),
        (least, most) => format!("{least} to {most}"),
    };
    let arguments = if takes == "1" || takes.ends_with(" 1") { "argument" } else { "arguments" };
    Fault::new(Kind::Arguments, format!("{name} takes {takes} {arguments}, got {got}"))
}

/// An error with its place in a note.
pub fn locate(unit: &Unit, fault: Fault, span: Option<Span>) -> LispError {
    let file = span.and_then(|span| unit.files.get(span.text as usize));
    let form = match (file, span) {
        (Some(file), Some(span)) => {
            let start = file.text.floor_char_boundary(span.start as usize);
            let end = file.text.floor_char_boundary((span.end as usize).min(start + 200)).max(start);
            clip(&file.text[start..end])
        }
        _ => String::new(),
    };
    LispError {
        kind: fault.kind,
        message: clipped(&fault.message, 1_000),
        file: file.map(|file| file.name.to_string()).unwrap_or_default(),
        line: if file.is_some() { span.map_or(0, |span| span.line as usize) } else { 0 },
        form,
        hint: fault.hint,
    }
}

/// On one line, at most 100 characters.
fn clip(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    clipped(&words.join(" "), 100)
}

/// At most so many characters.
pub fn clipped(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

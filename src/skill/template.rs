//! Templates of prompts: a small part of Jinja, in named blocks of notes and in the bodies of `SKILL.md`s that ask for it.
//!
//! The engine is minijinja; what a template may say is less than it can. Each instruction and each byte is paid for with
//! its fuel, but not all that its operators and filters do with lists: a repeated list, or one that is in itself many
//! times, takes minutes and gigabytes for a few steps. So nothing in a template makes lists, texts grow only by being
//! written, and the filters are our own. That is checked on the engine's own tokens before it parses them, with bounds on
//! how deep they nest, since it recurses on them.

mod check;
mod filters;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, escape_formatter};

use super::note::NoteError;
use crate::lisp::{Datum, Filled, Templates, Unfilled};
use values::{Variables, is_text};

/// The most bytes of a template: the engine counts lines and columns with 16 bits.
pub const MAX_TEXT: usize = 32 << 10;

/// The most bytes of what becomes of one.
pub const MAX_OUTPUT: usize = 256 << 10;

/// What filling one in may cost, in instructions; 64 bytes cost as much as one.
pub const FUEL: u64 = 20_000;

/// How many steps of a call are paid for one instruction.
const STEPS: u64 = 4;

/// How deep rendering may nest.
const DEPTH: usize = 100;

/// About how many bytes a template takes for each byte of its text.
const SIZE: usize = 12;

/// The name of the template that is the body of a `SKILL.md`.
pub const BODY: &str = "skill.md";

/// A template that can be filled in.
pub struct Template {
    /// Its name, lower case.
    name: String,
    /// The line of its first line of text in the note, from 1.
    line: usize,
    engine: Environment<'static>,
    size: usize,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("name", &self.name).field("line", &self.line).finish_non_exhaustive()
    }
}

/// Blocks take no lines of their own, and `{% … %}` may be indented.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default()
}

/// The engine without any template.
static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_syntax(syntax());
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_recursion_limit(DEPTH);
    engine.set_fuel(Some(FUEL));
    engine.set_formatter(|out, state, value| {
        if is_text(value) {
            return escape_formatter(out, state, value);
        }
        let what = format!("a {} is no text; use a loop over it, or the filter join", value.kind());
        Err(Error::new(ErrorKind::InvalidOperation, what))
    });
    for name in ["escape", "e", "safe"] {
        engine.remove_filter(name);
    }
    filters::add(&mut engine);
    engine
});

impl Template {
    /// The template `text`, which begins in line `line` of its note.
    ///
    /// # Errors
    /// It is too long, does not parse, or says what templates here can not.
    pub fn new(name: &str, line: usize, text: String) -> Result<Self, NoteError> {
        let wrong = |at: usize, message: String, hint| NoteError {
            line: line + at.saturating_sub(1),
            message: format!("the template {name:?}: {message}"),
            hint,
        };
        if text.len() > MAX_TEXT {
            let message = format!("it has more than {} KiB", MAX_TEXT >> 10);
            return Err(wrong(1, message, "Make several templates of it."));
        }
        check::check(&text, syntax()).map_err(|no| wrong(no.line, no.message, no.hint))?;
        let size = size_of::<Environment<'_>>() + SIZE * text.len();
        let mut engine = ENGINE.clone();
        engine.add_template_owned(name.to_owned(), text).map_err(|error| {
            wrong(error.line().unwrap_or(1), said(&error), "See \"Templates\" in docs/skills.md.")
        })?;
        Ok(Self { name: name.to_owned(), line, engine, size })
    }

    /// Fills it in for at most so many steps of a call. `file` is where it stands.
    #[must_use]
    pub fn fill(&self, file: &str, given: &Datum, context: Option<Arc<Datum>>, steps: u64) -> Filled {
        let fuel = (steps / STEPS).min(FUEL);
        let less = (fuel < FUEL).then(|| {
            let mut engine = self.engine.clone();
            engine.set_fuel(Some(fuel));
            engine
        });
        let engine = less.as_ref().unwrap_or(&self.engine);
        let variables = match Variables::new(given, context) {
            Ok(variables) => variables,
            Err(why) => return self.unfilled(file, 0, &why, "Give it less.", fuel),
        };
        let rendered = engine.get_template(&self.name).and_then(|it| it.render_captured(variables.value()));
        match rendered {
            Ok(captured) => {
                let used = captured.state().fuel_levels().map_or(fuel, |(used, _)| used);
                let text = captured.into_output();
                if text.len() > MAX_OUTPUT {
                    let message = format!("what becomes of it has more than {} KiB", MAX_OUTPUT >> 10);
                    return self.unfilled(file, 0, &message, "Put less into it.", fuel);
                }
                Filled { text: Ok(text), steps: STEPS * (used + 1) }
            }
            Err(error) if error.kind() == ErrorKind::OutOfFuel && fuel < FUEL => {
                Filled { text: Err(Unfilled::Steps), steps }
            }
            Err(error) => {
                let hint = match error.kind() {
                    ErrorKind::UndefinedError => {
                        "Give it to render, or write {{ NAME | default(\"\") }} or {% if NAME is defined %}."
                    }
                    ErrorKind::OutOfFuel => "Let it write and repeat less.",
                    _ => "See \"Templates\" in docs/skills.md.",
                };
                self.unfilled(file, error.line().unwrap_or(0), &said(&error), hint, fuel)
            }
        }
    }

    /// A failure. It is paid for as if all had been used: how much it was is not known.
    fn unfilled(&self, file: &str, line: usize, why: &str, hint: &str, fuel: u64) -> Filled {
        let line = self.line + line.saturating_sub(1);
        let message = format!("the template {:?} ({file}:{line}): {why}", self.name);
        Filled { text: Err(Unfilled::Wrong { message, hint: hint.to_owned() }), steps: STEPS * fuel }
    }
}

/// What the engine says, in our words.
fn said(error: &Error) -> String {
    let detail = error.detail().unwrap_or_default();
    match error.kind() {
        ErrorKind::UndefinedError if !detail.is_empty() => detail.replace(" is undefined", " is not there"),
        ErrorKind::OutOfFuel => "it takes too much to fill it in".to_owned(),
        _ if detail.is_empty() => error.kind().to_string(),
        ErrorKind::SyntaxError | ErrorKind::InvalidOperation => detail.to_owned(),
        kind => format!("{kind}: {detail}"),
    }
}

/// The templates that a note can fill in: its own, and those of the notes that it builds on.
#[derive(Debug, Default)]
pub struct Set(BTreeMap<String, (Arc<str>, Arc<Template>)>);

impl Set {
    /// Adds those of a file. Of one name the later counts.
    pub fn add(&mut self, file: &str, templates: &[Arc<Template>]) {
        let file: Arc<str> = Arc::from(file);
        for template in templates {
            self.0.insert(template.name.clone(), (Arc::clone(&file), Arc::clone(template)));
        }
    }

    /// It as a program takes it; nothing if there is no template in it.
    #[must_use]
    pub fn shared(self) -> Option<Arc<dyn Templates>> {
        (!self.0.is_empty()).then(|| Arc::new(self) as Arc<dyn Templates>)
    }
}

/// About how many bytes templates take.
#[must_use]
pub fn size(templates: &[Arc<Template>]) -> usize {
    templates.iter().map(|template| template.size).sum()
}

impl Templates for Set {
    fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    fn fill(&self, name: &str, given: &Datum, context: Option<Arc<Datum>>, steps: u64) -> Option<Filled> {
        let (file, template) = self.0.get(name)?;
        Some(template.fill(file, given, context, steps))
    }
}

#[cfg(test)]
mod tests;

//! What is said when a note can not be loaded or a call goes wrong.

use std::fmt;

/// The kinds of error, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The text is no sequence of forms.
    Syntax,
    /// A form that is not written as it must be.
    Form,
    /// Something of Common Lisp that this language does not have.
    Unsupported,
    /// A name that stands for nothing.
    Undefined,
    /// Too few or too many arguments, or unknown keys.
    Arguments,
    /// A value of the wrong type or out of range.
    Type,
    /// Overflow, division by zero.
    Arithmetic,
    /// The note called `error`.
    Signalled,
    /// Something that may not be done here, as asking the model in a gate.
    Effect,
    /// A template that is not there, or can not be filled in.
    Template,
    /// More steps than a call has.
    Fuel,
    /// More memory than a call has.
    Memory,
    /// More time than a call has.
    Time,
    /// Calls nested deeper than they may.
    Depth,
}

impl Kind {
    /// Whether it is a limit: `ignore-errors` and `handler-case` do not catch it.
    #[must_use]
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::Fuel | Self::Memory | Self::Time | Self::Depth)
    }
}

/// What failed, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LispError {
    /// The kind, for programs.
    pub kind: Kind,
    /// What failed, one line.
    pub message: String,
    /// The file of the form, as its source named it; empty if there is none.
    pub file: String,
    /// The form's line in that file, from 1; 0 if there is none.
    pub line: usize,
    /// The offending form as it stands in the note, clipped.
    pub form: String,
    /// What to do now; may be empty.
    pub hint: String,
}

impl fmt::Display for LispError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:{}: ", self.file, self.line)?;
        }
        f.write_str(&self.message)?;
        if !self.form.is_empty() {
            write!(f, "\n  in: {}", self.form)?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for LispError {}

/// An error before it is known where it happened.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub kind: Kind,
    pub message: String,
    pub hint: String,
}

impl Fault {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: String::new() }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

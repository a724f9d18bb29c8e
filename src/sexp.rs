//! S-expressions as this product needs them: the incremental recogniser of the action grammar, the
//! printer of its canonical form, and what is said about a reply that was refused.
//!
//! It knows the grammar table and nothing of sessions, Org or policy.

pub mod printer;
pub mod recogniser;
pub mod report;
mod strings;
mod table;

use serde::Serialize;

/// Why a reply can not be, or become, a valid action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    /// The kind, kebab-case, for programs: one of [`kind`].
    pub kind: &'static str,
    /// The 0-based UTF-8 byte at which no continuation could make the reply valid any more.
    pub offset: usize,
    /// What was found and what was expected there, one line.
    pub message: String,
    /// What to do instead, one line.
    pub hint: String,
}

/// Every [`Rejection::kind`](super::Rejection::kind). The names are part of the product's surface.
pub mod kind {
    /// Something other than a blank stands before the list.
    pub const NOT_A_LIST: &str = "not-a-list";
    /// A key was expected and something else came.
    pub const EXPECTED_KEY: &str = "expected-key";
    /// A key that can not stand here: unknown, given twice, or of another form than the rest.
    pub const BAD_KEY: &str = "bad-key";
    /// The list is closed before all its keys were given.
    pub const MISSING_KEY: &str = "missing-key";
    /// A value was expected and something else came.
    pub const EXPECTED_VALUE: &str = "expected-value";
    /// A keyword that this key can not have as its value.
    pub const BAD_VALUE: &str = "bad-value";
    /// A number that is not a whole number of seconds in the range.
    pub const BAD_INTEGER: &str = "bad-integer";
    /// A buffer other than the session's own.
    pub const BAD_BUFFER: &str = "bad-buffer";
    /// An empty command.
    pub const EMPTY_COMMAND: &str = "empty-command";
    /// An escape that is not one of the allowed ones, or stands for a forbidden character.
    pub const BAD_ESCAPE: &str = "bad-escape";
    /// A control character, or in a command an invisible one.
    pub const BAD_CHARACTER: &str = "bad-character";
    /// Bytes in a string that are not UTF-8.
    pub const BAD_UTF8: &str = "bad-utf8";
    /// A reply in JSON that is none.
    pub const BAD_JSON: &str = "bad-json";
    /// The reply goes on after its list.
    pub const TRAILING: &str = "trailing";
    /// The reply ends before its list does.
    pub const TOO_SHORT: &str = "too-short";
    /// The reply has more bytes than [`MAX_REPLY`](crate::action::MAX_REPLY).
    pub const TOO_LONG: &str = "too-long";

    /// All of them.
    pub const ALL: [&str; 16] = [
        NOT_A_LIST,
        EXPECTED_KEY,
        BAD_KEY,
        MISSING_KEY,
        EXPECTED_VALUE,
        BAD_VALUE,
        BAD_INTEGER,
        BAD_BUFFER,
        EMPTY_COMMAND,
        BAD_ESCAPE,
        BAD_CHARACTER,
        BAD_UTF8,
        BAD_JSON,
        TRAILING,
        TOO_SHORT,
        TOO_LONG,
    ];
}

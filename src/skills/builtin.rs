//! The notes that are embedded in the program.

/// Name and text of each, in the order of their names.
pub const NOTES: &[(&str, &str)] = &[
    ("chat.org", include_str!("../../skills/chat.org")),
    ("identity.org", include_str!("../../skills/identity.org")),
    ("shell.org", include_str!("../../skills/shell.org")),
];

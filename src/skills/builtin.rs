//! The notes that are embedded in the program.

/// Name and text of each, in the order of their names.
pub const NOTES: &[(&str, &str)] = &[
    ("abilities.org", include_str!("../../skills/abilities.org")),
    ("chat.org", include_str!("../../skills/chat.org")),
    ("commit-message.org", include_str!("../../skills/commit-message.org")),
    ("daily-digest.org", include_str!("../../skills/daily-digest.org")),
    ("explain-region.org", include_str!("../../skills/explain-region.org")),
    ("identity.org", include_str!("../../skills/identity.org")),
    ("org-capture.org", include_str!("../../skills/org-capture.org")),
    ("requests.org", include_str!("../../skills/requests.org")),
    ("shell.org", include_str!("../../skills/shell.org")),
    ("skill-author.org", include_str!("../../skills/skill-author.org")),
    ("summarize-buffer.org", include_str!("../../skills/summarize-buffer.org")),
];

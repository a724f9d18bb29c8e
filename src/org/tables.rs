//! Rows of pipe tables.
//!
//! It knows one row at a time.

/// A row without the blanks around it, from its first `|` on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row<'a> {
    /// A rule as Org writes it.
    OrgRule,
    /// A Markdown delimiter row, as Org writes it.
    Rule(String),
    /// Cells, each from behind its `|`; whether the row must not begin with `|-`, and whether it is closed.
    Cells { cells: Vec<&'a str>, spaced: bool, closed: bool },
}

/// Reads a row.
pub(super) fn row(line: &str) -> Row<'_> {
    let body = line.strip_prefix('|').unwrap_or(line);
    if body.starts_with('-')
        && body.bytes().all(|b| matches!(b, b'-' | b'+' | b'|'))
        && !body.trim_end_matches('|').contains('|')
    {
        return Row::OrgRule;
    }
    if body.contains('-') && body.bytes().all(|b| matches!(b, b'-' | b':' | b'|' | b' ' | b'\t' | b'+')) {
        return Row::Rule(rule(body));
    }
    let closed = body.ends_with('|') && !body.ends_with("\\|");
    let body = if closed { &body[..body.len() - 1] } else { body };
    Row::Cells { cells: cells(body), spaced: body.starts_with('-'), closed }
}

fn rule(body: &str) -> String {
    let inner = body.trim_end_matches('|');
    let line: String = inner.chars().map(|c| if matches!(c, '|' | '+') { '+' } else { '-' }).collect();
    format!("|{line}|")
}

/// Splits at every `|` that is not escaped.
fn cells(body: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut from = 0;
    let mut escaped = false;
    for (at, b) in body.bytes().enumerate() {
        if b == b'|' && !escaped {
            cells.push(&body[from..at]);
            from = at + 1;
        }
        escaped = b == b'\\' && !escaped;
    }
    cells.push(&body[from..]);
    cells
}

/// Whether Org would take the cell for a formula: it is then written as code.
pub(super) fn is_formula(cell: &str) -> bool {
    let cell = cell.trim();
    let formula = cell.strip_prefix(':').unwrap_or(cell).strip_prefix('=');
    formula.is_some_and(|f| !f.is_empty() && !f.ends_with('='))
}

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
    let inner = body.trim_end_matches('|');
    if inner.starts_with('-') && inner.bytes().all(|b| matches!(b, b'-' | b'+')) {
        return Row::OrgRule;
    }
    if inner.split('|').all(is_delimiter) {
        let rules: Vec<String> = inner.split('|').map(|cell| "-".repeat(cell.len())).collect();
        return Row::Rule(format!("|{}|", rules.join("+")));
    }
    let closed = body.ends_with('|') && !body.ends_with("\\|");
    let body = if closed { &body[..body.len() - 1] } else { body };
    Row::Cells { cells: cells(body), spaced: body.starts_with('-'), closed }
}

/// Dashes, with a colon at either end for the alignment.
fn is_delimiter(cell: &str) -> bool {
    let cell = cell.trim_matches([' ', '\t']);
    let dashes = cell.strip_prefix(':').unwrap_or(cell);
    let dashes = dashes.strip_suffix(':').unwrap_or(dashes);
    !dashes.is_empty() && dashes.bytes().all(|b| b == b'-')
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
    let cell = cell.trim_matches([' ', '\t']);
    let formula = cell.strip_prefix(':').unwrap_or(cell).strip_prefix('=');
    formula.is_some_and(|f| !f.is_empty() && !f.ends_with('='))
}

//! The canonical print of an action.

use crate::action::Action;

/// Prints `action` in the table's order with lower-case keywords.
#[must_use]
pub fn print(_action: &Action) -> String {
    String::new()
}

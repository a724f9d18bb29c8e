//! The notes that are embedded in the program.

/// Name and text of each.
pub const NOTES: &[(&str, &str)] = &[];

//! How replies begin that are written as the prompt asks for: read once, and known from then on.

use super::{Recogniser, Rows, State, Table, Taken, Value};
use crate::action::{Row, Shape};

/// The beginning of a form's canonical print, up to its first value that is not always the same, and where a
/// recogniser stands behind it.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) text: String,
    pub(super) rows: Rows,
    pub(super) state: State,
    pub(super) top: Taken,
    pub(super) keys: Taken,
    pub(super) values: Vec<(&'static str, Value)>,
}

impl Opening {
    /// The openings of a table's forms, each read by a recogniser that knows none.
    pub(super) fn all(table: &'static Table) -> Vec<Self> {
        table.rows.iter().filter_map(|row| Self::of(table, text(row))).collect()
    }

    fn of(table: &'static Table, text: String) -> Option<Self> {
        let mut reader = Recogniser::of(table, &[], "");
        reader.feed(text.as_bytes()).ok()?;
        let Recogniser { rows, state, top, keys, values, .. } = reader;
        Some(Self { text, rows, state, top, keys, values })
    }
}

fn text(row: &Row) -> String {
    let mut text = format!("(:type :{}", row.type_);
    if let Some(target) = row.target {
        text.push_str(" :target :");
        text.push_str(target);
    }
    text.push_str(" :payload (");
    for field in row.payload {
        text.push(':');
        text.push_str(field.key);
        text.push(' ');
        let Shape::Keyword([word]) = field.shape else { break };
        text.push(':');
        text.push_str(word);
        text.push(' ');
    }
    text
}

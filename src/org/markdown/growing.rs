//! The Markdown of a text that grows: of the lines that are complete nothing is rendered twice.

use super::Writer;

/// What was rendered so far, and what decides how the next line is.
#[derive(Debug)]
pub struct Growing {
    writer: Writer,
}

impl Growing {
    /// Nothing, under a heading of `level`.
    #[must_use]
    pub fn new(level: usize) -> Self {
        Self { writer: Writer::new(level, 0) }
    }

    /// Renders complete lines. What is rendered as a whole, a block or a table, has to be in them as a whole. What can
    /// be said now and was not before; the end of its last line comes with the next one.
    pub fn lines(&mut self, lines: &str) -> String {
        self.writer.lines(lines);
        let end = self.writer.out.trim_end_matches('\n').len();
        let rest = self.writer.out.split_off(end);
        std::mem::replace(&mut self.writer.out, rest)
    }

    /// What would come next if the text ended with `rest`, without the end of the last line.
    #[must_use]
    pub fn with(&self, rest: &str) -> String {
        let mut writer = self.writer.clone();
        writer.lines(rest);
        let mut shown = writer.finish();
        shown.truncate(shown.trim_end_matches('\n').len());
        shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::org::markdown;

    proptest! {
        #[test]
        fn in_pieces_it_is_what_it_is_at_once(
            lines in proptest::collection::vec("( {0,3}([-+*]|[0-9]\\.) )?[a-z*/|:> ]{0,9}(\\\\\\\\)?", 0..12),
            at in 0usize..12,
        ) {
            // A table or fixed-width lines across the border would be two.
            let is_part = |line: &String| line.contains(['|', ':']);
            let borders = (at.min(lines.len())..=lines.len()).find(|&at| {
                at == 0 || at == lines.len() || !(is_part(&lines[at - 1]) && is_part(&lines[at]))
            });
            let at = borders.unwrap_or(lines.len());
            let ended = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let mut growing = Growing::new(1);
            let first = growing.lines(&ended(&lines[..at]));
            let rest = growing.with(&ended(&lines[at..]));
            let all = markdown::markdown(&ended(&lines), 1);
            prop_assert_eq!(first + &rest, all.trim_end_matches('\n'));
        }
    }
}

//! Single characters: line ends become LF, and what cannot be seen becomes its code point.
//!
//! It knows no lines and no syntax. Joiners and variation selectors stay where a script or a symbol
//! needs them.

use super::report::Report;

/// The state between two characters.
#[derive(Debug)]
pub(super) struct Chars {
    prev: char,
    after_cr: bool,
}

/// What becomes of a character.
pub(super) enum Seen {
    /// It stays, or is a line end.
    Char(char),
    /// The second half of a line end.
    Nothing,
    /// It would not be seen: its code point is written instead.
    Named(String),
}

impl Chars {
    pub(super) const fn new() -> Self {
        Self { prev: '\n', after_cr: false }
    }

    /// Notes that a run of plain ASCII, none of it CR or LF, went by.
    pub(super) const fn skipped(&mut self, last: u8) {
        self.prev = last as char;
        self.after_cr = false;
    }

    pub(super) fn see(&mut self, c: char, report: &mut Report) -> Seen {
        let after_cr = std::mem::replace(&mut self.after_cr, c == '\r');
        let prev = std::mem::replace(&mut self.prev, c);
        match c {
            '\r' => {
                report.note("line-ending");
                self.prev = '\n';
                Seen::Char('\n')
            }
            '\n' if after_cr => Seen::Nothing,
            '\n' | '\t' | ' '..='~' => Seen::Char(c),
            _ if is_hidden(c, prev) => {
                self.prev = '>';
                report.note("invisible");
                Seen::Named(format!("<U+{:04X}>", u32::from(c)))
            }
            _ => Seen::Char(c),
        }
    }
}

/// Whether `c` after `prev` would not be seen, or would change the order in which others are seen.
pub(crate) fn is_hidden(c: char, prev: char) -> bool {
    match c {
        // A joiner belongs between letters of a joining script, or between two symbols.
        '\u{200c}' => !joins(prev),
        '\u{200d}' => !joins(prev) && !is_symbol(prev) && prev != '\u{fe0f}',
        '\u{fe0e}' | '\u{fe0f}' => !is_symbol(prev) && !matches!(prev, '0'..='9' | '#' | '©' | '®'),
        '\u{e0100}'..='\u{e01ef}' => !is_han(prev),
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' => true,
        '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' => true,
        '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// Scripts whose letters take joiners: Arabic and its kin, Mongolian, the scripts of India and around.
const fn joins(c: char) -> bool {
    matches!(c, '\u{600}'..='\u{61b}' | '\u{61d}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17b3}' | '\u{17b6}'..='\u{17ff}' | '\u{1820}'..='\u{18af}' | '\u{fb50}'..='\u{fdff}')
}

/// Symbols that have a text and an emoji form, and those that join to one.
const fn is_symbol(c: char) -> bool {
    matches!(c, '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{27ff}'
        | '\u{2801}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

const fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

//! Which characters a string may have, as ranges and as the classes of regular expressions.

use std::fmt::Write as _;

/// A set of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// All but control characters.
    Any,
    /// All but those and invisible ones.
    Clear,
}

/// C0 without TAB, line feed and carriage return; DEL and C1.
const CONTROL: [(u32, u32); 4] = [(0x00, 0x08), (0x0B, 0x0C), (0x0E, 0x1F), (0x7F, 0x9F)];
/// What could hide in a command.
const INVISIBLE: [(u32, u32); 5] =
    [(0x200B, 0x200B), (0x202A, 0x202E), (0x2060, 0x2060), (0x2066, 0x2069), (0xFEFF, 0xFEFF)];
/// No characters.
const SURROGATES: (u32, u32) = (0xD800, 0xDFFF);
/// Behind the last character.
const BEYOND: (u32, u32) = (0x11_0000, u32::MAX - 1);
/// What is printed as an escape.
const ESCAPED: [(u32, u32); 4] = [(0x09, 0x0A), (0x0D, 0x0D), (0x22, 0x22), (0x5C, 0x5C)];

impl Class {
    /// In names of rules.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Clear => "clear",
        }
    }

    fn forbidden(self) -> Vec<(u32, u32)> {
        match self {
            Self::Any => CONTROL.to_vec(),
            Self::Clear => [&CONTROL[..], &INVISIBLE].concat(),
        }
    }

    /// The characters that are printed as they are: a class of GBNF and of regular expressions, without its
    /// brackets. It is positive, for a negated one lets bytes through that are no UTF-8, and every bound is
    /// an escape that llama.cpp, Rust and Python read alike.
    pub(super) fn literal(self) -> String {
        let mut class = String::new();
        for (first, last) in self.ranges() {
            class.push_str(&escape(first));
            if last > first {
                class.push('-');
                class.push_str(&escape(last));
            }
        }
        class
    }

    /// The characters that are printed as they are.
    pub(super) fn ranges(self) -> impl Iterator<Item = (char, char)> {
        let mut out = [self.forbidden(), vec![SURROGATES], ESCAPED.to_vec(), vec![BEYOND]].concat();
        out.sort_unstable();
        let mut next = 0;
        out.into_iter().filter_map(move |(first, last)| {
            let before = std::mem::replace(&mut next, last + 1);
            let range = (before < first).then(|| (before, first - 1))?;
            Some((char::from_u32(range.0)?, char::from_u32(range.1)?))
        })
    }

    /// A negated class of all that may not be in the string, for the decoded strings of a JSON Schema. A
    /// positive one would need characters outside the BMP, which JavaScript writes in another way than
    /// Python and Rust; this one is the same in all of them.
    pub(super) fn negated(self) -> String {
        let mut class = String::from("[^");
        for (first, last) in self.forbidden() {
            let _ = write!(class, "\\u{first:04X}");
            if last > first {
                let _ = write!(class, "-\\u{last:04X}");
            }
        }
        class + "]"
    }
}

fn escape(c: char) -> String {
    match u32::from(c) {
        number @ 0..0x80 => format!("\\x{number:02X}"),
        number @ 0x80..0x1_0000 => format!("\\u{number:04X}"),
        number => format!("\\U{number:08X}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_written_out() {
        assert_eq!(Class::Any.literal(), r"\x20-\x21\x23-\x5B\x5D-\x7E\u00A0-\uD7FF\uE000-\U0010FFFF");
        assert_eq!(
            Class::Clear.literal(),
            r"\x20-\x21\x23-\x5B\x5D-\x7E\u00A0-\u200A\u200C-\u2029\u202F-\u205F\u2061-\u2065\u206A-\uD7FF\uE000-\uFEFE\uFF00-\U0010FFFF"
        );
        assert_eq!(Class::Any.negated(), r"[^\u0000-\u0008\u000B-\u000C\u000E-\u001F\u007F-\u009F]");
    }
}

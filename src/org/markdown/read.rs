//! What a line of Org is, for Markdown.

use std::borrow::Cow;

use super::super::blocks::{self, Kind};
use super::BLANKS;

/// The beginning of a list's item.
pub(super) struct Item<'a> {
    /// Its bullet here, with the blank behind it.
    pub(super) bullet: String,
    pub(super) is_ordered: bool,
    /// It has a number, which is not the first.
    pub(super) is_later: bool,
    /// What stands in its box.
    pub(super) mark: Option<char>,
    pub(super) text: &'a str,
}

impl<'a> Item<'a> {
    pub(super) fn new(line: &'a str, indent: usize) -> Option<Self> {
        let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (bullet, text) = match line.as_bytes() {
            [b'-' | b'+', ..] => line.split_at(1),
            [b'*', ..] if indent > 0 => line.split_at(1),
            bytes if (1..10).contains(&digits) && matches!(bytes.get(digits), Some(b'.' | b')')) => {
                line.split_at(digits + 1)
            }
            _ => return None,
        };
        if !(text.is_empty() || text.starts_with(BLANKS)) {
            return None;
        }
        let mut text = text.trim_start_matches(BLANKS);
        let is_ordered = digits > 0;
        let mut bullet = if is_ordered { bullet.to_owned() } else { "-".to_owned() };
        if let Some((number, rest)) = text.strip_prefix("[@").and_then(|rest| rest.split_once(']'))
            && is_ordered
            && (1..10).contains(&number.len())
            && number.bytes().all(|b| b.is_ascii_digit())
        {
            bullet = format!("{number}{}", bullet.trim_start_matches(|c: char| c.is_ascii_digit()));
            text = rest.trim_start_matches(BLANKS);
        }
        bullet.push(' ');
        let mark = match text.as_bytes() {
            [b'[', mark @ (b' ' | b'X' | b'-'), b']']
            | [b'[', mark @ (b' ' | b'X' | b'-'), b']', b' ' | b'\t', ..] => {
                Some(char::from(mark.to_ascii_lowercase()))
            }
            _ => None,
        };
        if mark.is_some() {
            text = text[3..].trim_start_matches(BLANKS);
        }
        let is_later = is_ordered && !matches!(bullet.as_str(), "1. " | "1) ");
        Some(Self { bullet, is_ordered, is_later, mark, text })
    }
}

/// The stars and the title of a heading.
pub(super) fn heading(line: &str) -> Option<(usize, &str)> {
    let title = line.trim_start_matches('*');
    let stars = line.len() - title.len();
    (stars > 0 && title.starts_with(' ')).then(|| (stars, title.trim_matches(BLANKS)))
}

/// The kind of block that a line begins, and what stands behind that.
pub(super) fn begin_of(line: &str) -> Option<(Kind, &str)> {
    let (mark, rest) = line.split_at_checked("#+begin_".len())?;
    let (name, behind) = rest.split_once(BLANKS).unwrap_or((rest, ""));
    let kind = Kind::from_name(name).filter(|_| mark.eq_ignore_ascii_case("#+begin_"))?;
    Some((kind, behind.trim_start_matches(BLANKS)))
}

/// The kind of block that a line ends.
pub(super) fn end_of(line: &str) -> Option<Kind> {
    blocks::end_name(line).and_then(Kind::from_name)
}

/// What a fixed-width line holds.
pub(super) fn fixed(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(':')?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(' ') }
}

pub(super) fn is_rule(line: &str) -> bool {
    line.len() >= 5 && line.bytes().all(|b| b == b'-')
}

/// The words of a caption that has some.
pub(super) fn caption(line: &str) -> Option<&str> {
    let (key, words) = line.split_at_checked("#+caption:".len())?;
    let words = words.trim_matches(BLANKS);
    (key.eq_ignore_ascii_case("#+caption:") && !words.is_empty()).then_some(words)
}

/// A line of code without the comma that Org needs.
pub(super) fn without_comma(line: &str) -> Cow<'_, str> {
    let words = line.trim_start_matches(BLANKS);
    let bare = words.trim_start_matches(',');
    if bare.len() == words.len() || !(bare.starts_with('*') || bare.starts_with("#+")) {
        return Cow::Borrowed(line);
    }
    Cow::Owned(format!("{}{}", &line[..line.len() - words.len()], &words[1..]))
}

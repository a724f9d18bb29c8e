//! What is said about a rejected reply: to people with line, column and caret, to the model in short.
//!
//! Whatever is quoted from the reply is bounded and has its control characters made visible, so that it
//! can be shown in a terminal or sent to a model as it is.

use unicode_width::UnicodeWidthStr;

use super::Rejection;

/// The most characters of the reply that are shown on each side of the caret.
const AROUND: usize = 60;
/// The most bytes of what the model is told.
const FOR_MODEL: usize = 599;

/// A place in a reply, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Rejection {
    /// Where in `reply` it is.
    #[must_use]
    pub fn place(&self, reply: impl AsRef<[u8]>) -> Place {
        place(reply.as_ref(), self.offset)
    }

    /// For people: kind, place, the line with a caret under the place, what to do. Ends with a line break.
    #[must_use]
    pub fn render(&self, reply: impl AsRef<[u8]>) -> String {
        let (kind, message, hint) = (self.kind, &self.message, &self.hint);
        let pointed = pointed(reply.as_ref(), self.offset);
        let margin = " ".repeat(pointed.bytes().take_while(|byte| *byte == b' ').count());
        format!("rejected ({kind}): {message}\n{pointed}{margin} = hint: {hint}\n")
    }

    /// For the model: what is wrong, the text around the place, what to do. One line, less than 600 bytes.
    #[must_use]
    pub fn for_model(&self, reply: impl AsRef<[u8]>) -> String {
        let reply = reply.as_ref();
        let Place { line, column } = self.place(reply);
        let (before, behind) = split(reply, self.offset);
        let before = &before[before.len().saturating_sub(AROUND)..];
        // A cut may fall inside a character; its rest is left out.
        let whole = before.iter().position(|byte| byte & 0xC0 != 0x80).unwrap_or(0);
        let quoted = |bytes: &[u8]| clip(&visible(&String::from_utf8_lossy(bytes)), 2 * AROUND).to_owned();
        let near = quoted(&before[whole..]);
        let near = if near.is_empty() { "at the beginning".into() } else { format!("after «{near}»") };
        let found = match characters(&behind[..behind.len().min(4)]).next() {
            Some(c) => format!("«{}»", visible(&c.to_string())),
            None => "the end".to_owned(),
        };
        let text = format!(
            "Your reply was rejected: {}. Line {line}, column {column}, {near}: {found}. {}",
            visible(&self.message),
            visible(&self.hint)
        );
        clip(&text, FOR_MODEL).to_owned()
    }
}

/// Where in `reply` the byte at `offset` is.
fn place(reply: &[u8], offset: usize) -> Place {
    let (before, _) = split(reply, offset);
    let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    Place { line, column: characters(&before[start..]).count() + 1 }
}

/// The place of the byte at `offset` for people: line, column and byte, then the line of `reply` with a caret under
/// it, as far as it is near. Ends with a line break.
#[must_use]
pub fn pointed(reply: &[u8], offset: usize) -> String {
    let Place { line, column } = place(reply, offset);
    let (before, behind) = split(reply, offset);
    let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let end = memchr::memchr(b'\n', behind).unwrap_or(behind.len());
    // What cannot be seen takes a cell, too.
    let cells: Vec<char> = characters(&before[start..]).map(cell).collect();
    let cut = cells.len().saturating_sub(AROUND);
    let mut source = String::from(if cut > 0 { "…" } else { "" });
    source.extend(&cells[cut..]);
    let indent = " ".repeat(source.width());
    // So many bytes hold at least that many characters, if there are so many.
    let near = &behind[..end.min(4 * (AROUND + 1))];
    source.extend(characters(near).map(cell).take(AROUND));
    if characters(near).nth(AROUND).is_some() {
        source.push('…');
    }
    let margin = " ".repeat(line.to_string().len());
    format!(
        "{margin}--> line {line}, column {column} (byte {offset})\n{margin} |\n\
         {line} | {source}\n{margin} | {indent}^\n"
    )
}

/// `text` with everything a reader could not see made visible as `\n`, `\t`, `\r` or `\u{…}`.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_unseen(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// At most the first `most` bytes of `text`, whole characters.
#[must_use]
pub fn clip(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A byte that stood where it may not, in words that do not depend on what follows it.
pub(super) fn found(byte: u8) -> String {
    match byte {
        b' ' => "a space".into(),
        b'\n' => "a line break".into(),
        b'\t' => "a TAB".into(),
        b'\r' => "a carriage return".into(),
        0x21..=0x7E => format!("`{}`", char::from(byte)),
        0x80.. => "a character outside ASCII".into(),
        _ => format!("the control character U+{byte:04X}"),
    }
}

/// `a`, `a or b`, `a, b or c`; each once.
pub(super) fn alternatives(words: impl IntoIterator<Item = String>) -> String {
    let mut once: Vec<String> = Vec::new();
    for word in words {
        if !once.contains(&word) {
            once.push(word);
        }
    }
    match once.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

fn split(reply: &[u8], offset: usize) -> (&[u8], &[u8]) {
    reply.split_at(offset.min(reply.len()))
}

/// The characters of `bytes`; what is not UTF-8 counts as one replacement character a sequence.
fn characters(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let bad = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        chunk.valid().chars().chain(bad)
    })
}

/// What stands for `c` in a line with a caret under it.
fn cell(c: char) -> char {
    match c {
        // The control pictures.
        '\0'..='\x1F' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('?'),
        '\x7F' => '\u{2421}',
        c if is_unseen(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Control characters, and what is not seen, or changes how others are seen.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}')
        || matches!(c, '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}')
        || matches!(c, '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}')
        || matches!(c, '\u{FFF0}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use crate::sexp::recogniser::Recogniser;

    fn check(reply: &[u8], expected: &str) {
        let mut recogniser = Recogniser::new("notes");
        let rejection = recogniser.feed(reply).and_then(|()| recogniser.finish()).unwrap_err();
        assert_eq!(rejection.for_model(reply), expected);
    }

    #[test]
    fn the_model_is_told_what_is_wrong_where_and_what_to_do() {
        let far = format!("(:type :log :payload (:text \"{}\u{7}", "é".repeat(100));
        let near = format!("«{}»", "é".repeat(30));
        for (reply, expected) in [
            (
                &b"Sure!"[..],
                "Your reply was rejected: found `S` before the property list, expected `(`. Line 1, column 1, at the \
                 beginning: «S». Begin the reply with `(`: no words, no quote and no code fence before it.",
            ),
            (
                b"(:type :log\n\t:pay\x1B",
                "Your reply was rejected: found `:pay` and then the control character U+001B, expected :explanation or \
                 :payload. Line 2, column 6, after «(:type :log\\n\\t:pay»: «\\u{1b}». Each key once, and only the keys \
                 of one form; here may stand :explanation or :payload.",
            ),
            (
                b"(:type :response :payload (:text \"a\" :x",
                "Your reply was rejected: found another key, expected `)`. Line 1, column 38, after «(:type :response \
                 :payload (:text \"a\" »: «:». Each key once, and only the keys of one form; here may stand `)`.",
            ),
            (
                b"(:payload (:text \"",
                "Your reply was rejected: the reply ends inside a string that is the value of :text. Line 1, column 19, \
                 after «(:payload (:text \"»: the end. Write one whole property list; close every string and every \
                 parenthesis.",
            ),
            (
                far.as_bytes(),
                &format!(
                    "Your reply was rejected: found the control character U+0007 in a string. Line 1, column 130, after \
                     {near}: «\\u{{7}}». In strings only line feed, TAB and carriage return are allowed of the control \
                     characters."
                ),
            ),
        ] {
            check(reply, expected);
        }
    }
}

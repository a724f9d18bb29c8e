//! The plain contract: what becomes of a text that is to take the place of a region.
//!
//! Code is not Org: the text stays as it was written, but for three things that models do in spite of all that they are
//! told. A code fence around the whole of it is taken off; it ends with as many line breaks as the region; a carriage
//! return becomes a line feed. Each is reported. What would not be seen, or would change the order in which other
//! characters are seen, is refused, unless the region has it.
//!
//! It knows nothing of actions or models.

use std::collections::BTreeSet;

use crate::org::is_hidden;

/// The mark of a fence, at least.
const FENCE: &str = "```";

/// Reported when a fence was taken off.
const UNFENCED: &str = "the code fence around it was taken off";
/// Reported when line breaks at its end were added or taken away.
const ENDING: &str = "it ends with as many line breaks as the region";
/// Reported when a carriage return became a line feed.
const RETURNS: &str = "carriage returns became line feeds";

/// A text for a region as it comes.
#[derive(Debug)]
pub(super) struct Stream {
    /// What cannot be seen and stands in the region.
    known: BTreeSet<char>,
    /// How many line breaks the region ends with.
    breaks: usize,
    /// Which fences can be around a whole text: none in the place of a text that begins with one.
    fences: Fences,
    text: String,
    prev: char,
    after_return: bool,
    returns: bool,
    /// Where the part begins that was given out, once that is known, and where it ends.
    start: Option<usize>,
    out: usize,
}

/// Which fences around a whole text are taken off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fences {
    None,
    /// Only what says that it is Markdown: in Markdown, others are text.
    Markdown,
    All,
}

/// A text at its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finished {
    /// The text.
    pub text: String,
    /// What of it was not given out yet; nothing if what was given out is no beginning of it.
    pub rest: Option<String>,
    /// What was changed, in words.
    pub touched: Vec<&'static str>,
}

impl Stream {
    /// A stream for what takes the place of `region`, which is in the editor's `mode`.
    pub(super) fn new(region: &str, mode: Option<&str>) -> Self {
        let mut prev = '\n';
        let mut hidden = |c: char| {
            let before = std::mem::replace(&mut prev, c);
            !matches!(c, '\n' | '\t') && is_hidden(c, before)
        };
        let markdown = mode.is_some_and(|mode| mode.contains("markdown") || mode.starts_with("gfm"));
        let fences = match (region.trim_start().starts_with(FENCE), markdown) {
            (true, _) => Fences::None,
            (false, true) => Fences::Markdown,
            (false, false) => Fences::All,
        };
        Self {
            known: region.chars().filter(|c| hidden(*c)).collect(),
            breaks: region.len() - region.trim_end_matches('\n').len(),
            fences,
            text: String::new(),
            prev: '\n',
            after_return: false,
            returns: false,
            start: None,
            out: 0,
        }
    }

    /// Takes more of the text.
    ///
    /// # Errors
    /// The first character that may not stand there.
    pub(super) fn take(&mut self, text: &str) -> Result<(), char> {
        for c in text.chars() {
            let after_return = std::mem::replace(&mut self.after_return, c == '\r');
            let prev = std::mem::replace(&mut self.prev, c);
            match c {
                '\r' if !self.known.contains(&c) => {
                    self.returns = true;
                    self.text.push('\n');
                }
                '\n' if after_return && !self.known.contains(&'\r') => {}
                '\n' | '\t' => self.text.push(c),
                _ if is_hidden(c, prev) && !self.known.contains(&c) => return Err(c),
                _ => self.text.push(c),
            }
        }
        Ok(())
    }

    /// Appends to `out` what will most likely stay.
    pub(super) fn show(&mut self, out: &mut String) {
        let Some(start) = self.start() else { return };
        let text = &self.text[start..];
        let mut end = text.trim_end_matches('\n');
        if start > 0 {
            let line = end.rfind('\n').map_or(0, |at| at + 1);
            if end[line..].bytes().all(|byte| byte == b'`') {
                end = end[..line].trim_end_matches('\n');
            }
        }
        if let Some(more) = end.get(self.out..) {
            out.push_str(more);
            self.out = end.len().max(self.out);
        }
    }

    /// Where the text begins, behind a fence if one is around it; nothing if that is not known yet.
    fn start(&mut self) -> Option<usize> {
        if self.start.is_none() {
            let line = self.text.find('\n');
            self.start = if self.fences == Fences::None || !begins_alike(&self.text, FENCE) {
                Some(0)
            } else if self.text.len() < FENCE.len() {
                None
            } else {
                line.map(|at| if self.opens(&self.text[..at]).is_some() { at + 1 } else { 0 })
            };
        }
        self.start
    }

    /// How many backticks `line` opens a fence with that is taken off.
    fn opens(&self, line: &str) -> Option<usize> {
        let info = line.trim_start_matches('`');
        let ticks = line.len() - info.len();
        let language = info.trim();
        let named = match self.fences {
            Fences::None => false,
            Fences::Markdown => matches!(language, "markdown" | "md"),
            Fences::All => !language.contains(char::is_whitespace) && !language.contains('`'),
        };
        (ticks >= FENCE.len() && named).then_some(ticks)
    }

    /// The text inside a fence that is around the whole of it.
    fn inside(&self) -> Option<&str> {
        let whole = self.text.trim_end_matches(['\n', ' ']);
        let (first, rest) = whole.split_once('\n')?;
        let ticks = self.opens(first)?;
        let last = rest.rfind('\n').map_or(0, |at| at + 1);
        let (body, end) = rest.split_at(last);
        let closes = |line: &str| line.len() >= ticks && line.bytes().all(|byte| byte == b'`');
        // Fences inside come in pairs, and what closes one of them does not close the one around them.
        let mut open = false;
        for line in body.lines().map(str::trim) {
            if closes(line) {
                if !open {
                    return None;
                }
                open = false;
            } else if line.starts_with(FENCE) {
                open = true;
            }
        }
        (closes(end) && !open).then_some(body)
    }

    /// Ends the text.
    pub(super) fn finish(mut self) -> Finished {
        let start = self.start().unwrap_or_default();
        let mut touched = Vec::new();
        let inside = self.inside();
        if inside.is_some() {
            touched.push(UNFENCED);
        }
        let written = inside.unwrap_or(&self.text);
        let words = written.trim_end_matches('\n');
        let mut text = words.to_owned();
        // No text at all is no line either.
        if !text.is_empty() {
            text.extend(std::iter::repeat_n('\n', self.breaks));
        }
        // What stands before the end of a fence is a line, whatever the region is.
        if text != written && (inside.is_none() || self.breaks > 1) {
            touched.push(ENDING);
        }
        if self.returns {
            touched.push(RETURNS);
        }
        let shown = self.text.get(start..start + self.out).unwrap_or_default();
        let rest = text.strip_prefix(shown).map(str::to_owned);
        Finished { text, rest, touched }
    }
}

/// Whether one of the two begins with the other.
fn begins_alike(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of `text` in the place of `region`, however it is cut.
    #[track_caller]
    fn made(region: &str, mode: &str, text: &str) -> (String, Vec<&'static str>) {
        let whole = cut(region, mode, text, text.len().max(1));
        for size in 1..8 {
            assert_eq!(cut(region, mode, text, size), whole, "in pieces of {size}");
        }
        whole
    }

    #[track_caller]
    fn cut(region: &str, mode: &str, text: &str, size: usize) -> (String, Vec<&'static str>) {
        let mut stream = Stream::new(region, Some(mode));
        let mut shown = String::new();
        let chars: Vec<char> = text.chars().collect();
        for piece in chars.chunks(size) {
            stream.take(&piece.iter().collect::<String>()).unwrap();
            stream.show(&mut shown);
        }
        let finished = stream.finish();
        match finished.rest {
            Some(rest) => assert_eq!(shown + &rest, finished.text),
            None => assert!(!finished.text.starts_with(&shown), "{shown:?} of {:?}", finished.text),
        }
        (finished.text, finished.touched)
    }

    #[test]
    fn code_stays_as_it_was_written() {
        for text in [
            "# heading\n* item\n\tx = \"**y**\"\n",
            "  indented\n\n\n  more `\n",
            "``\n",
            "#+name: x\n:END:\n",
        ] {
            assert_eq!(made("a\n", "c-mode", text), (text.to_owned(), vec![]));
        }
    }

    #[test]
    fn a_fence_around_the_whole_is_taken_off_once() {
        let taken = |text: &str| (text.to_owned(), vec![UNFENCED]);
        assert_eq!(made("a\n", "c-mode", "```c\nint x;\n```"), taken("int x;\n"));
        assert_eq!(made("a\n", "c-mode", "```\nint x;\n```\n"), taken("int x;\n"));
        assert_eq!(made("a", "c-mode", "````c\nint x;\n\nint y;\n````"), taken("int x;\n\nint y;"));
        assert_eq!(made("a", "text-mode", "```\n```sh\nls\n```\n```"), taken("```sh\nls\n```"));
        assert_eq!(made("a\n", "c-mode", "```c\n```"), taken(""));
    }

    #[test]
    fn a_fence_that_is_not_around_the_whole_stays() {
        for text in [
            "```sh\nls\n```\nlists\n",
            "```sh\nls\n```\n```sh\npwd\n```\n",
            "see\n```sh\nls\n```\n",
            "```sh\nls\n",
            "```sh ls\n```\n",
            "```\n",
            "`````\nls\n```\n",
        ] {
            assert_eq!(made("a\n", "text-mode", text), (text.to_owned(), vec![]), "{text}");
        }
        // In Markdown a fence is text, and in the place of one, too.
        let block = "```sh\nls\n```\n";
        assert_eq!(made("ls\n", "markdown-mode", block), (block.to_owned(), vec![]));
        assert_eq!(made("```\nls\n```\n", "text-mode", block), (block.to_owned(), vec![]));
        assert_eq!(
            made("ls\n", "gfm-mode", "```markdown\n*ls*\n```\n"),
            ("*ls*\n".to_owned(), vec![UNFENCED])
        );
    }

    #[test]
    fn it_ends_as_the_region_does() {
        let ended = |text: &str| (text.to_owned(), vec![ENDING]);
        assert_eq!(made("word", "c-mode", "words\n"), ended("words"));
        assert_eq!(made("line\n", "c-mode", "lines"), ended("lines\n"));
        assert_eq!(made("part\n\n", "c-mode", "parts\n"), ended("parts\n\n"));
        assert_eq!(made("line\n", "c-mode", ""), (String::new(), vec![]));
        assert_eq!(made("a\n", "c-mode", "b\r\nc\rd\n"), ("b\nc\nd\n".to_owned(), vec![RETURNS]));
        assert_eq!(made("a\r\n", "c-mode", "b\r\nc\r\n"), ("b\r\nc\r\n".to_owned(), vec![]));
    }

    #[test]
    fn what_cannot_be_seen_is_refused_unless_the_region_has_it() {
        let hidden = [
            '\u{202e}',
            '\u{2066}',
            '\u{2069}',
            '\u{200b}',
            '\u{200f}',
            '\u{feff}',
            '\u{61c}',
            '\u{ad}',
            '\u{0}',
            '\u{1b}',
            '\u{c}',
            '\u{7f}',
            '\u{2028}',
            '\u{e0041}',
            '\u{3164}',
            '\u{200c}',
            '\u{200d}',
        ];
        for c in hidden {
            let text = format!("if ok {c}{{");
            assert_eq!(Stream::new("if ok {", None).take(&text), Err(c), "{c:?}");
            assert_eq!(Stream::new(&format!("a{c}b"), None).take(&text), Ok(()), "{c:?}");
        }
        // One does not let in another.
        assert_eq!(Stream::new("\u{202e}", None).take("\u{202d}"), Err('\u{202d}'));
        // What a script or a symbol needs is seen.
        for text in ["می\u{200c}خواهم", "👨\u{200d}👩", "❤\u{fe0f}", "שלום", "naïve"] {
            assert_eq!(Stream::new("a", None).take(text), Ok(()), "{text}");
        }
    }
}

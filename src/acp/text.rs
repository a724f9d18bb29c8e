//! The text of a reply on its way to a client that can only add to what it shows.
//!
//! A preview is Org text that grows. Of its Markdown a client gets only what can not change any more, whatever follows:
//! whole lines outside of what is rendered as a whole, and of the last line the words before all that could become a
//! mark. Whether that holds is looked at each time: if it does not, nothing more is sent until the text is complete.

use std::borrow::Cow;

use crate::org::markdown::{self, Growing};

/// The level of the heading that replies stand under.
const LEVEL: usize = 1;

/// The longest line that is shown before it is complete: each piece means to render it anew.
const LONGEST: usize = 8192;

/// How a client shows text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// As Markdown.
    Markdown,
    /// As Org.
    Org,
}

impl Format {
    /// A whole text.
    #[must_use]
    pub fn whole(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Org => Cow::Borrowed(text.trim_end_matches('\n')),
            Self::Markdown => {
                let mut shown = markdown::markdown(text, LEVEL);
                shown.truncate(shown.trim_end_matches('\n').len());
                Cow::Owned(shown)
            }
        }
    }

    /// Text that is shown as it is, in a block of its own.
    #[must_use]
    pub fn verbatim(self, text: &str) -> String {
        let text = text.trim_end_matches('\n');
        match self {
            Self::Org => text.to_owned(),
            Self::Markdown => {
                let fence = markdown::fence(text);
                format!("{fence}\n{text}\n{fence}")
            }
        }
    }
}

/// What is left to be sent of a complete text.
#[derive(Debug, PartialEq, Eq)]
pub enum Rest {
    /// This, behind what was sent.
    More(String),
    /// What was sent is no beginning of it: all of it.
    Other(String),
}

/// One text.
#[derive(Debug)]
pub struct Shown {
    format: Format,
    /// What is not rendered yet: what begins with the first line that may still be shown otherwise.
    open: String,
    lines: Lines,
    growing: Growing,
    sent: String,
    /// How much of the end of `sent` comes from `open`.
    ahead: usize,
    /// What was sent did not stay.
    is_stuck: bool,
}

impl Shown {
    /// Nothing yet.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self {
            format,
            open: String::new(),
            lines: Lines::default(),
            growing: Growing::new(LEVEL),
            sent: String::new(),
            ahead: 0,
            is_stuck: false,
        }
    }

    /// Whether nothing of it was sent.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Takes the next piece; what can be sent now.
    pub fn push(&mut self, piece: &str) -> Option<String> {
        if self.is_stuck {
            return None;
        }
        self.open.push_str(piece);
        match self.format {
            Format::Org => {
                let end = self.open.trim_end_matches('\n').len();
                let rest = self.open.split_off(end);
                let more = std::mem::replace(&mut self.open, rest);
                self.sent.push_str(&more);
                Some(more).filter(|more| !more.is_empty())
            }
            Format::Markdown => self.render(),
        }
    }

    /// Renders what can not change any more.
    fn render(&mut self) -> Option<String> {
        let settled = self.lines.settle(&self.open);
        if settled == 0 && self.open.len() > LONGEST {
            return None;
        }
        let mut shown = if settled > 0 { self.growing.lines(&self.open[..settled]) } else { String::new() };
        self.open.drain(..settled);
        self.lines.forget(settled);
        let rest = if self.lines.is_held() { 0 } else { sure(&self.open) };
        let (stays, next) = (shown.len(), self.growing.with(&self.open[..rest]));
        shown.push_str(&next);
        let ahead = &self.sent[self.sent.len() - self.ahead..];
        let Some(more) = shown.strip_prefix(ahead) else {
            tracing::debug!("a preview is held back: what was sent of it is shown otherwise now");
            self.is_stuck = true;
            return None;
        };
        let more = more.to_owned();
        self.sent.push_str(&more);
        self.ahead = shown.len() - stays;
        Some(more).filter(|more| !more.is_empty())
    }

    /// The text is complete, and it is this.
    #[must_use]
    pub fn finish(self, text: &str) -> Rest {
        let whole = self.format.whole(text);
        match whole.strip_prefix(self.sent.as_str()) {
            Some(more) => Rest::More(more.to_owned()),
            None => Rest::Other(whole.into_owned()),
        }
    }
}

/// How far lines are complete, and rendered the same whatever follows them.
#[derive(Debug, Default)]
struct Lines {
    /// What was looked at.
    seen: usize,
    /// The name of the block that is open.
    block: Option<String>,
    /// Where that begins which is rendered as a whole, and is not complete.
    held: Option<usize>,
}

impl Lines {
    /// Looks at the lines of `text` that are complete now; how much of it is settled.
    fn settle(&mut self, text: &str) -> usize {
        let whole = self.seen + text[self.seen..].rfind('\n').map_or(0, |at| at + 1);
        for line in text[self.seen..whole].split_inclusive('\n') {
            let words = bare(line.trim_matches([' ', '\t', '\r', '\n']));
            match &self.block {
                Some(kind) => {
                    if block(words, "#+end_").is_some_and(|end| end.eq_ignore_ascii_case(kind)) {
                        (self.block, self.held) = (None, None);
                    }
                }
                None => match block(words, "#+begin_") {
                    Some(kind) => {
                        self.held = self.held.or(Some(self.seen));
                        self.block = Some(kind.to_owned());
                    }
                    // Rows of a table are made as wide as the widest; what is verbatim is fenced as a whole.
                    None if words.starts_with(['|', ':']) => self.held = self.held.or(Some(self.seen)),
                    None => self.held = None,
                },
            }
            self.seen += line.len();
        }
        self.held.unwrap_or(whole)
    }

    /// The first `settled` bytes of the text are gone.
    fn forget(&mut self, settled: usize) {
        self.seen -= settled;
        self.held = self.held.map(|at| at - settled);
    }

    const fn is_held(&self) -> bool {
        self.held.is_some()
    }
}

/// A line behind the bullets of lists.
fn bare(mut words: &str) -> &str {
    loop {
        let rest = words.trim_start_matches(|c: char| c.is_ascii_digit());
        let rest = match rest.as_bytes() {
            [b'.' | b')', b' ' | b'\t', ..] if rest.len() < words.len() => &rest[2..],
            [b'-' | b'+' | b'*', b' ' | b'\t', ..] if rest.len() == words.len() => &rest[2..],
            _ => return words,
        };
        words = rest.trim_start_matches([' ', '\t']);
        if let [b'[', _, b']', b' ' | b'\t', ..] = words.as_bytes() {
            words = words[3..].trim_start_matches([' ', '\t']);
        }
    }
}

/// The name of a block, if that is how a line begins.
fn block<'a>(words: &'a str, mark: &str) -> Option<&'a str> {
    let (head, rest) = words.split_at_checked(mark.len())?;
    head.eq_ignore_ascii_case(mark).then(|| rest.split([' ', '\t']).next().unwrap_or(rest))
}

/// How much of a line that is not complete is words, whatever follows.
fn sure(line: &str) -> usize {
    // What begins with anything else may be an item, a heading, a rule.
    if !line.trim_start_matches([' ', '\t']).starts_with(char::is_alphabetic) {
        return 0;
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | ',' | '.' | ';' | '?' | '\'' | '(' | ')');
    let end = line.find(|c| !plain(c)).unwrap_or(line.len());
    // The last word may go on, and a mark before it would have to be seen first.
    line[..end].rfind(' ').map_or(0, |at| line[..at].trim_end_matches(' ').len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::org;

    /// What is sent of `text` in pieces of `size` bytes, and what is left.
    fn sent(text: &str, size: usize) -> (Vec<String>, Rest) {
        let mut shown = Shown::new(Format::Markdown);
        let mut all = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
            all.extend(shown.push(piece));
            rest = after;
        }
        (all, shown.finish(text))
    }

    #[test]
    fn words_come_before_their_line_ends() {
        let (sent, rest) = sent("One two three four.\n\nMore *bold* words.\n", 4);
        assert!(sent.len() > 3, "{sent:?}");
        assert_eq!(sent[0], "One");
        let Rest::More(rest) = rest else { panic!("{rest:?}") };
        assert_eq!(sent.concat() + &rest, "One two three four.\n\nMore **bold** words.");
    }

    #[test]
    fn what_is_rendered_as_a_whole_waits_for_its_end() {
        for text in
            ["#+begin_src sh\nls\n``` \n#+end_src\nx\n", "| a |\n| b | c |\n\nx\n", ": a\n: ```\n\nx\n"]
        {
            let first = text.find('\n').map_or(0, |at| at + 1);
            assert_eq!(Lines::default().settle(&text[..first]), 0, "{text:?}");
            let (sent, rest) = sent(text, 1);
            assert!(!sent.is_empty(), "{text:?}");
            assert!(matches!(rest, Rest::More(_)), "{text:?}: {sent:?} {rest:?}");
        }
    }

    #[test]
    fn another_text_is_told_from_more_of_it() {
        let mut shown = Shown::new(Format::Markdown);
        assert_eq!(shown.push("First line.\n").as_deref(), Some("First line."));
        assert_eq!(shown.finish("Second line.\n"), Rest::Other("Second line.".to_owned()));
        let mut shown = Shown::new(Format::Org);
        assert_eq!(shown.push("* a\n"), Some("* a".to_owned()));
        assert_eq!(shown.finish("* a\nb\n"), Rest::More("\nb".to_owned()));
    }

    fn line() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-z]{1,6}",
            3 => Just(" ".to_owned()),
            1 => prop::sample::select(vec![
                "*", "/", "_", "=", "~", "+", "[[", "]]", "][", "|", ":", "#", "\\", "`", "<", ">", "-", "1.", "&", "!", ".", ",",
                "- ", "+ ", "  ", "\t", "#+begin_src ", "#+end_src", "#+begin_quote", "#+end_quote", "#+begin_verse", "#+end_verse",
                "#+begin_example", "#+end_example", "** ", "* ", "| a | b |", "|---|", ": ", "-----", "[ ] ", "[@3] ", "\\\\", " :: ",
                "#+caption: ", "www.a.b", "https://a.b ", "www.", "ä", "€", "😀", "(", ")", "'", "?", ";", "\r",
            ])
            .prop_map(str::to_owned),
        ];
        proptest::collection::vec(piece, 0..7).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn what_was_sent_stays(lines in proptest::collection::vec(line(), 0..9), size in 1usize..30) {
            let (text, _) = org::apply(&lines.join("\n"), 1);
            let mut shown = Shown::new(Format::Markdown);
            let mut rest: &str = &text;
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.ceil_char_boundary(size.min(rest.len())));
                shown.push(piece);
                prop_assert!(!shown.is_stuck, "{text:?}: {:?}", shown.sent);
                rest = after;
            }
            let rest = shown.finish(&text);
            prop_assert!(matches!(rest, Rest::More(_)), "{text:?}: {rest:?}");
        }
    }
}

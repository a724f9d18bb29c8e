//! The document as it grows: headings, drawers, facts and texts, each inert and bounded.
//!
//! Knows nothing of turns.

use crate::org;
use crate::redact::{Keys, redact};
use crate::sexp::report::{clip, is_unseen, visible};

/// The most bytes of one text; of more, the middle is left out.
const TEXT: usize = 1 << 20;
/// The most bytes of a fact.
const FACT: usize = 1_000;
/// The most bytes of others in a heading or a drawer.
const WORDS: usize = 200;
/// How wide the names of facts are.
const NAME: usize = 13;

pub(super) struct Page<'a> {
    keys: &'a Keys,
    /// From how many bytes on nothing more is written.
    most: usize,
    out: String,
}

impl<'a> Page<'a> {
    pub(super) const fn new(keys: &'a Keys, most: usize) -> Self {
        Self { keys, most, out: String::new() }
    }

    /// Whether nothing more fits.
    pub(super) const fn is_full(&self) -> bool {
        self.out.len() >= self.most
    }

    pub(super) fn masked(&self, text: &str) -> String {
        redact(text, self.keys).0
    }

    /// A heading: words of ours, then those of others in quotation marks, which also keep them from being tags.
    pub(super) fn heading(&mut self, level: usize, ours: &str, others: &str) {
        if !self.out.is_empty() && !self.is_full() {
            self.out.push('\n');
        }
        let others = if others.is_empty() { String::new() } else { format!(" “{}”", self.words(others)) };
        self.put(&format!("{} {ours}{others}\n", "*".repeat(level)));
    }

    /// The drawer of the heading above it, without what is empty. The keys are ours.
    pub(super) fn drawer(&mut self, properties: &[(&str, &str)]) {
        let mut out = String::from(":PROPERTIES:\n");
        for (key, value) in properties.iter().filter(|(_, value)| !value.is_empty()) {
            out.push_str(&format!(":{key}: {}\n", self.words(value)));
        }
        self.put(&format!("{out}:END:\n"));
    }

    /// One line, fixed-width: a name of ours and a value of others.
    pub(super) fn fact(&mut self, name: &str, value: &str) {
        let value = self.masked(value);
        let value = visible(&value.split_whitespace().collect::<Vec<_>>().join(" "));
        let short = clip(&value, FACT);
        let more = if short.len() < value.len() { "…" } else { "" };
        let line = format!(": {name:NAME$} {short}{more}");
        self.put(&format!("{}\n", org::apply(line.trim_end(), 1).0.trim_end()));
    }

    /// A text of others in an example block.
    pub(super) fn text(&mut self, text: &str) {
        self.masked_text(&self.masked(text));
    }

    /// The same for one that is masked already.
    pub(super) fn masked_text(&mut self, text: &str) {
        if self.is_full() {
            return;
        }
        if text.trim().is_empty() {
            self.put(if text.is_empty() { ": (empty)\n" } else { ": (blank)\n" });
            return;
        }
        let text = middle_out(text).replace("\r\n", "\n").replace('\r', "\n");
        let mut block = String::with_capacity(text.len() + 64);
        block.push_str("#+begin_example\n");
        for line in text.trim_end_matches('\n').split('\n') {
            let code = line.trim_start_matches([' ', '\t']);
            let bare = code.trim_start_matches(',');
            let (indent, code) = line.split_at(line.len() - code.len());
            block.push_str(indent);
            if bare.starts_with('*') || bare.starts_with("#+") {
                block.push(',');
            }
            block.push_str(code);
            block.push('\n');
        }
        block.push_str("#+end_example\n");
        let (block, _) = org::apply(&block, 1);
        self.put(&block);
    }

    pub(super) fn finish(mut self) -> String {
        if self.is_full() {
            self.out.push_str("\n: The rest is left out: the page is too long.\n");
        }
        self.out
    }

    fn put(&mut self, text: &str) {
        if !self.is_full() {
            self.out.push_str(text);
        }
    }

    /// A few words of others, for a place where Org reads objects: what could begin one is another character, or is
    /// parted by a blank.
    fn words(&self, text: &str) -> String {
        let text = self.masked(text);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut out = String::from("x ");
        let mut before = ' ';
        let mut rest = clip(&text, WORDS).chars().peekable();
        while let Some(c) = rest.next() {
            out.push(match c {
                '[' | '{' => '(',
                ']' | '}' => ')',
                '<' => '‹',
                '>' => '›',
                '\\' => '⧵',
                '$' => '＄',
                '|' => '¦',
                c if is_unseen(c) => char::REPLACEMENT_CHARACTER,
                c => c,
            });
            // Neither a link, nor a tag, nor the end of an item's term.
            if c == ':' && !before.is_ascii_digit() && rest.peek().is_some_and(|next| *next != ' ') {
                out.push(' ');
            }
            before = c;
        }
        if text.len() > WORDS {
            out.push('…');
        }
        let (out, _) = org::apply(&out, 1);
        let out = out.split_whitespace().collect::<Vec<_>>().join(" ");
        out.strip_prefix("x ").unwrap_or_default().to_owned()
    }
}

/// `text`, without its middle if it is too long.
fn middle_out(text: &str) -> String {
    if text.len() <= TEXT {
        return text.to_owned();
    }
    let head = text.floor_char_boundary(TEXT / 2);
    let tail = text.ceil_char_boundary(text.len() - TEXT / 2);
    format!("{}\n[… {} bytes left out …]\n{}", &text[..head], tail - head, &text[tail..])
}

//! What stands inside a line: Markdown's emphasis, code, links and images become Org, and bracket links
//! that may not be live are broken up.
//!
//! It is fed one character at a time and knows no lines but the end of its own. What may still change is
//! marked in the writer, never scanned again; a span that turns out to have no end is fed once more, and
//! then known to have none, so that the work stays linear in the length of the line.

mod code;

use std::collections::VecDeque;

use super::guard::Mode;
use super::links;
use super::spans::{self, Code, LONGEST_RUN, Target, Verbatim, endless};
use super::writer::Writer;

/// A bracket whose partner decides what both become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bracket {
    /// `[` or `![`: where it was written, its bytes, whether a bracket may not take its place, and whether a link
    /// begins right behind it.
    Markdown { at: usize, length: usize, behind: bool, before_link: bool },
    /// An Org link's `[[path][`.
    Description,
}

/// What the characters just before may still become.
#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    /// Inside a plain web address: nothing of Markdown's begins here.
    Address,
    /// A backslash.
    Escape,
    /// A run of stars, and whether an address goes on behind it.
    Stars {
        run: usize,
        address: bool,
    },
    Bang,
    /// `[`, whether as an image, whether escaped.
    Bracket {
        image: bool,
        escaped: bool,
    },
    /// Behind `[[`.
    Path(String),
    /// Behind `[[path]`.
    PathEnd(String),
    /// `]`, where a bracket is open.
    Close,
    /// Behind `](`.
    Target(Target),
    /// A run of backticks.
    Ticks(usize),
    Code(Code),
    /// A `=` or `~` that may begin Org's verbatim.
    Mark(char),
    Verbatim(Verbatim),
}

/// The state inside a line.
#[derive(Debug, Default)]
pub(super) struct Inline {
    /// Whether Markdown's habits are looked for.
    markdown: bool,
    cell: bool,
    /// The first line of a list item: Org reads its term apart from the rest.
    pub(super) item: bool,
    /// Whether nothing was written yet.
    fresh: bool,
    /// Whether an object of Org's may have begun in this paragraph that could reach over a verbatim mark:
    /// then code in a line may be text to Org.
    risky: bool,
    after_colon: bool,
    state: State,
    /// Where runs of two, and of three, stars were written that may open emphasis.
    stars: [Vec<usize>; 2],
    brackets: Vec<Bracket>,
    /// Inside an Org link's description, where no other link may stand.
    described: bool,
    /// Where the last link was written.
    last_link: Option<usize>,
    /// Whether the first bracket of `[[` was escaped.
    escaped: bool,
    /// Behind `](`, where a backtick showed that there is no target: backticks stay up to the next `)`, lest what
    /// they become make a target after all.
    no_target: bool,
    /// What has no end in this line: runs of backticks by length, `=`, `~`, titles.
    endless: [bool; LONGEST_RUN + 4],
    /// Characters to be fed, the next one first.
    queue: VecDeque<char>,
}

impl Inline {
    /// Begins a line or a table cell; `continues` if a paragraph of the line above goes on in it.
    pub(super) fn begin(&mut self, markdown: bool, continues: bool) {
        let risky = self.risky && continues;
        *self = Self { markdown, risky, fresh: true, ..Self::default() };
    }

    /// Takes nothing for code: where Org has a comment, it follows links even in code.
    pub(super) const fn distrust(&mut self) {
        self.risky = true;
    }

    /// A heading's title or a table's cell; a cell that begins with `=` could be a formula.
    pub(super) fn whole(&mut self, text: &str, cell: bool, w: &mut Writer) {
        self.begin(true, false);
        self.cell = cell;
        text.chars().for_each(|c| self.feed(c, w));
        self.end(w);
    }

    /// Whether something written may still change.
    pub(super) fn is_open(&self) -> bool {
        !(self.brackets.is_empty() && self.stars.iter().all(Vec::is_empty))
    }

    /// Whether ordinary characters may go by.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.state, State::Text)
    }

    /// Whether `b` is ordinary: nothing begins with it.
    pub(super) const fn passes(b: u8) -> bool {
        !matches!(b, b'*' | b'`' | b'[' | b']' | b'!' | b'=' | b'~' | b'\\' | b':')
    }

    /// Notes that ordinary characters went by.
    pub(super) fn passed(&mut self, text: &str) {
        self.fresh = false;
        self.no_target &= !text.contains(')');
        self.risky |= std::mem::take(&mut self.after_colon) && !text.starts_with(' ');
        self.risky = self.risky || text.bytes().any(|b| spans::begins_object(b as char));
    }

    pub(super) fn feed(&mut self, c: char, w: &mut Writer) {
        self.step(c, w);
        self.drain(w);
    }

    /// Ends the line: whatever is undecided is text.
    pub(super) fn end(&mut self, w: &mut Writer) {
        loop {
            match std::mem::take(&mut self.state) {
                State::Text | State::Address => break,
                State::Escape => self.text('\\', w),
                State::Stars { run, address } => self.end_stars(run, address, None, w),
                State::Bang => self.text('!', w),
                State::Bracket { image, escaped } => self.open_bracket(image, escaped, w),
                State::Path(path) => self.no_link(&path, "", true, w),
                State::PathEnd(path) => self.no_link(&path, "]", true, w),
                State::Close => self.close_bracket(w),
                State::Target(target) => {
                    if target.in_title() {
                        self.endless[endless('"')] = true;
                    }
                    self.no_target(&target.text(), w);
                }
                State::Ticks(run) => self.literal('`', run, w),
                State::Code(code) if code.is_closed() => self.end_code(&code, None, w),
                State::Code(code) => {
                    self.endless[code.run] = true;
                    self.literal('`', code.run, w);
                    self.requeue(&code.text());
                }
                State::Mark(mark) => self.text(mark, w),
                State::Verbatim(v) if v.closing => self.end_verbatim(&v, None, w),
                State::Verbatim(v) => {
                    self.endless[endless(v.mark)] = true;
                    self.text(v.mark, w);
                    self.requeue(&v.raw);
                }
            }
            self.drain(w);
        }
        self.brackets.clear();
        self.stars.iter_mut().for_each(Vec::clear);
    }

    fn drain(&mut self, w: &mut Writer) {
        while let Some(c) = self.queue.pop_front() {
            self.step(c, w);
        }
    }

    /// Feeds `text` again, before anything else.
    fn requeue(&mut self, text: &str) {
        text.chars().rev().for_each(|c| self.queue.push_front(c));
    }

    fn step(&mut self, c: char, w: &mut Writer) {
        match std::mem::take(&mut self.state) {
            State::Text => self.begin_span(c, w),
            State::Address => match c {
                '*' => self.state = State::Stars { run: 1, address: true },
                ' ' | '\t' | '<' | '>' | '[' | ']' | '"' | '`' | ')' | '\\' => self.begin_span(c, w),
                _ => self.address(c, w),
            },
            State::Escape => {
                self.text('\\', w);
                match c {
                    '[' => self.state = State::Bracket { image: false, escaped: true },
                    _ if c.is_ascii_punctuation() => self.text(c, w),
                    _ => self.begin_span(c, w),
                }
            }
            State::Stars { run, address } if c == '*' => self.state = State::Stars { run: run + 1, address },
            State::Stars { run, address } => {
                self.end_stars(run, address, Some(c), w);
                self.step(c, w);
            }
            State::Bang if c == '[' => self.state = State::Bracket { image: true, escaped: false },
            State::Bang => {
                self.text('!', w);
                self.begin_span(c, w);
            }
            State::Bracket { image, escaped } if c == '[' => {
                self.escaped = escaped;
                if image {
                    self.text('!', w);
                }
                self.state = State::Path(String::new());
            }
            State::Bracket { image, escaped } => {
                self.open_bracket(image, escaped, w);
                self.begin_span(c, w);
            }
            State::Path(path) if c == ']' => self.state = State::PathEnd(path),
            State::Path(path) if c == '[' && path.is_empty() => {
                let escaped = std::mem::take(&mut self.escaped);
                self.open_bracket(false, escaped, w);
                self.state = State::Path(path);
            }
            State::Path(path) if c == '[' => self.no_link(&path, "[", false, w),
            State::Path(mut path) => {
                path.push(c);
                self.state = State::Path(path);
            }
            State::PathEnd(path) => self.end_path(&path, c, w),
            State::Close => self.after_close(c, w),
            State::Target(mut target) => match target.feed(c) {
                None => self.state = State::Target(target),
                Some(true) => self.link(&target, w),
                Some(false) => {
                    self.no_target = c == '`';
                    self.no_target(&target.text(), w);
                }
            },
            State::Ticks(run) if c == '`' => self.state = State::Ticks(run + 1),
            State::Ticks(run) => {
                if run > LONGEST_RUN || self.endless[run] {
                    self.literal('`', run, w);
                    self.begin_span(c, w);
                } else {
                    self.state = State::Code(Code::new(run, c));
                }
            }
            State::Code(mut code) => {
                if code.feed(c) {
                    self.end_code(&code, Some(c), w);
                    self.begin_span(c, w);
                } else {
                    self.state = State::Code(code);
                }
            }
            State::Mark(mark) => match Verbatim::begin(mark, c, &w.guard) {
                Some(verbatim) => self.state = State::Verbatim(verbatim),
                None => {
                    self.text(mark, w);
                    self.begin_span(c, w);
                }
            },
            State::Verbatim(mut v) => {
                if v.feed(c) {
                    self.end_verbatim(&v, Some(c), w);
                    self.begin_span(c, w);
                } else {
                    self.state = State::Verbatim(v);
                }
            }
        }
    }

    /// Takes a character where nothing is undecided.
    fn begin_span(&mut self, c: char, w: &mut Writer) {
        match c {
            '[' => self.state = State::Bracket { image: false, escaped: false },
            ']' if !self.brackets.is_empty() => self.state = State::Close,
            '=' | '~' if self.may_begin(w) && !self.endless[endless(c)] => {
                self.state = State::Mark(c);
            }
            ':' if links::ends_with_web(w.guard.tail()) => self.address(c, w),
            '*' if self.markdown => self.state = State::Stars { run: 1, address: false },
            '!' if self.markdown => self.state = State::Bang,
            '`' if self.markdown && !self.no_target => self.state = State::Ticks(1),
            '\\' if self.markdown => self.state = State::Escape,
            _ => self.text(c, w),
        }
    }

    /// Writes a character as text.
    fn text(&mut self, c: char, w: &mut Writer) {
        self.fresh = false;
        self.risky |= spans::begins_object(c) || self.after_colon && !spans::is_blank(c);
        self.after_colon = c == ':';
        self.no_target &= c != ')';
        w.put_char(c, Mode::Text);
    }

    /// Writes a character of an address, which goes on unless the guard puts a blank before it.
    fn address(&mut self, c: char, w: &mut Writer) {
        let before = w.end();
        self.text(c, w);
        if w.end() - before == c.len_utf8() {
            self.state = State::Address;
        }
    }

    fn literal(&mut self, c: char, run: usize, w: &mut Writer) {
        (0..run).for_each(|_| self.text(c, w));
    }

    /// Whether a verbatim mark may stand here.
    fn may_begin(&self, w: &Writer) -> bool {
        self.fresh || w.guard.last_before(b'=').is_none_or(spans::may_precede)
    }

    fn end_stars(&mut self, run: usize, address: bool, next: Option<char>, w: &mut Writer) {
        if address {
            self.state = State::Address;
        }
        let fits = self.markdown && (run == 2 || run == 3);
        let behind = !self.fresh && w.guard.last_before(b'*').is_some_and(|b| !matches!(b, b' ' | b'\t'));
        let stars = &mut self.stars[usize::from(run == 3)];
        if let Some(from) = if fits && behind { stars.pop() } else { None } {
            let (open, close) = if run == 2 { ("*", "*") } else { ("*/", "/*") };
            w.report.note("bold");
            w.patch(from, run, open);
            self.text_all(close, w);
            return;
        }
        self.literal('*', run, w);
        if fits && !address && next.is_some_and(|c| !spans::is_blank(c)) {
            self.stars[usize::from(run == 3)].push(w.end() - run);
        }
    }

    fn text_all(&mut self, text: &str, w: &mut Writer) {
        text.chars().for_each(|c| self.text(c, w));
    }

    fn open_bracket(&mut self, image: bool, escaped: bool, w: &mut Writer) {
        let mark = if image { "![" } else { "[" };
        let before = w.end();
        let behind = w.guard.last() == Some(b']') || w.guard.ends_with_clock();
        self.text_all(mark, w);
        // The guard may have put a blank before the bracket.
        let apart = w.end() - before > mark.len();
        if self.markdown && (!escaped || apart) {
            let length = if apart { 1 } else { mark.len() };
            let at = w.end() - length;
            self.brackets.push(Bracket::Markdown { at, length, behind, before_link: false });
        }
    }

    /// `]`, and what follows it.
    fn after_close(&mut self, c: char, w: &mut Writer) {
        match self.brackets.last() {
            Some(Bracket::Markdown { .. }) if c == '(' => {
                self.state = State::Target(Target::new(!self.endless[endless('"')]));
            }
            Some(Bracket::Description) if c == ']' => {
                self.brackets.pop();
                self.described = false;
                self.text_all("]]", w);
                self.last_link = Some(w.end());
            }
            Some(Bracket::Description) => {
                self.text(']', w);
                self.begin_span(c, w);
            }
            _ => {
                self.close_bracket(w);
                self.begin_span(c, w);
            }
        }
    }

    /// Writes a `]` that ends no link.
    fn close_bracket(&mut self, w: &mut Writer) {
        self.brackets.pop_if(|bracket| *bracket != Bracket::Description);
        self.text(']', w);
    }

    /// `](`, and then no target: both are text.
    fn no_target(&mut self, text: &str, w: &mut Writer) {
        self.close_bracket(w);
        self.requeue(text);
    }

    /// `[text](target)`, complete.
    fn link(&mut self, target: &Target, w: &mut Writer) {
        let (Some(path), Some(Bracket::Markdown { at, length, behind, before_link })) =
            (links::from_markdown(&target.path).filter(|_| !self.described), self.brackets.last().copied())
        else {
            return self.no_target(&target.text(), w);
        };
        self.brackets.pop();
        w.report.note(if length == 2 { "image" } else { "link-markdown" });
        let place = w.end();
        // Without its `!`, an image could join what is before it to a link, or to a clock.
        let open = if behind && length == 2 { " " } else { "" };
        // Links cannot be nested: the inner one goes first.
        let nested = self.last_link.is_some_and(|link| link > at);
        if nested && !before_link {
            // Without its bracket, what stands behind it would join what stands before it, unguarded.
            self.text(']', w);
            w.put(&format!(" [[{path}]]"), Mode::Code);
        } else if nested {
            w.patch(at, length, open);
            w.put(&format!(" [[{path}]]"), Mode::Code);
            self.begins_link(at);
        } else if place == at + length {
            w.patch(at, length, open);
            w.put(&format!("[[{path}]]"), Mode::Code);
            self.begins_link(at);
        } else {
            w.patch(at, length, format!("{open}[[{path}]["));
            let apart = w.guard.last() == Some(b']') || w.guard.parts(']');
            w.put(if apart { " ]]" } else { "]]" }, Mode::Code);
            self.begins_link(at);
        }
        self.fresh = false;
        self.last_link = Some(w.end());
        if let Some(title) = target.title() {
            self.requeue(&format!(" ({title})"));
        }
    }

    /// Notes that a link begins at `at`, for the bracket just before it.
    fn begins_link(&mut self, begin: usize) {
        if let Some(Bracket::Markdown { at, length, before_link, .. }) = self.brackets.last_mut()
            && *at + *length == begin
        {
            *before_link = true;
        }
    }

    /// `[[path]` and the character behind it.
    fn end_path(&mut self, path: &str, c: char, w: &mut Writer) {
        if path.is_empty() || !matches!(c, ']' | '[') {
            return self.no_link(path, &format!("]{c}"), path.contains(':'), w);
        }
        // Org's description ends at the first `]]`, so a link inside one would be text.
        if !links::is_live(path) || self.described {
            return self.no_link(path, &format!("]{c}"), true, w);
        }
        self.risky = true;
        self.fresh = false;
        self.escaped = false;
        w.put("[[", Mode::Text);
        self.begins_link(w.end() - 2);
        w.put(path, Mode::Code);
        w.put(if c == ']' { "]]" } else { "][" }, Mode::Code);
        if c == ']' {
            self.last_link = Some(w.end());
        } else {
            self.brackets.push(Bracket::Description);
            self.described = true;
        }
    }

    /// `[[path` is text, broken up if Org might see a link.
    fn no_link(&mut self, path: &str, behind: &str, broken: bool, w: &mut Writer) {
        let escaped = std::mem::take(&mut self.escaped);
        self.open_bracket(false, escaped, w);
        if broken {
            w.report.note("link");
            self.text(' ', w);
        }
        self.open_bracket(false, false, w);
        self.requeue(behind);
        self.requeue(path);
    }
}

//! The machine over lines: it decides what each line is as early as it can, and writes it.
//!
//! It sees characters that were made visible before, and writes through the guard. It knows no chunks: it
//! is fed one character at a time, or a run of ordinary ones. What becomes of a line that is needed as a
//! whole is in `whole`.

mod whole;

use super::blocks::{Block, Ends, Kind};
use super::guard::Mode;
use super::inline::Inline;
use super::lines::{self, Context, Look};
use super::report::{Change, Report};
use super::writer::Writer;

/// Where in a line the stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Inside an open quote, before the mark that continues it.
    Mark,
    /// Behind the mark: one blank belongs to it.
    BehindMark,
    /// At the beginning: still open what the line is.
    Head,
    /// The line is needed as a whole.
    Whole,
    /// Inside a line of text.
    Text,
    /// Inside a line that passes as it is.
    Raw,
}

/// The state of a stream between two characters.
#[derive(Debug)]
pub(super) struct Engine {
    level: usize,
    /// What is added to every heading's level, once the first was seen.
    shift: Option<usize>,
    place: Place,
    /// The line so far, as long as it is undecided; its blanks in front.
    head: String,
    indent: usize,
    blocks: Vec<Block>,
    context: Context,
    /// The line above is text that may go on in this one.
    continues: bool,
    /// Inside a footnote definition.
    footnote: bool,
    /// Blank lines just above, or an indented code block.
    blanks: usize,
    after_code: bool,
    inline: Inline,
    w: Writer,
}

impl Engine {
    pub(super) fn new(level: usize) -> Self {
        let context = Context { after_heading: true, may_quote: true, ..Context::default() };
        Self {
            level,
            shift: None,
            place: Place::Head,
            head: String::new(),
            indent: 0,
            blocks: Vec::new(),
            context,
            continues: false,
            footnote: false,
            blanks: 1,
            after_code: false,
            inline: Inline::default(),
            w: Writer::new(),
        }
    }

    pub(super) const fn report(&mut self) -> &mut Report {
        &mut self.w.report
    }

    /// Moves what is final to `out`.
    pub(super) fn flush(&mut self, out: &mut String) {
        if !self.inline.is_open() {
            self.w.flush(out);
        }
    }

    /// Takes the ordinary characters at the beginning of `text`, if the line is past all decisions; returns
    /// how many bytes it took.
    pub(super) fn take_words(&mut self, text: &str) -> usize {
        let mode = match self.place {
            Place::Text if self.inline.is_idle() => Mode::Text,
            Place::Raw => Mode::Code,
            _ => return 0,
        };
        let raw = self.place != Place::Text;
        let ordinary = |b: &u8| matches!(b, b' '..=b'~') && (raw || Inline::passes(*b));
        let length = text.bytes().take_while(ordinary).count();
        if length > 0 {
            self.w.put(&text[..length], mode);
            if !raw {
                self.inline.passed(&text[..length]);
            }
        }
        length
    }

    pub(super) fn feed(&mut self, c: char) {
        if c == '\n' {
            self.end_line();
            self.w.newline();
            self.begin_line();
            return;
        }
        match self.place {
            Place::Mark => {
                self.head.push(c);
                match c {
                    ' ' | '\t' => {}
                    '>' => self.pass_mark(),
                    _ => {
                        self.close_quote();
                        self.reread_head();
                    }
                }
            }
            Place::BehindMark => {
                self.place = Place::Head;
                self.indent_quoted();
                if c != ' ' && c != '\t' {
                    self.feed(c);
                }
            }
            Place::Head => {
                self.head.push(c);
                if self.indent + c.len_utf8() == self.head.len() && matches!(c, ' ' | '\t') {
                    self.indent += 1;
                } else {
                    self.look();
                }
            }
            Place::Whole => self.head.push(c),
            Place::Text => self.inline.feed(c, &mut self.w),
            Place::Raw => self.w.put_char(c, Mode::Code),
        }
    }

    /// Ends the text; blocks that are still open are closed.
    pub(super) fn finish(mut self, out: &mut String) -> Vec<Change> {
        if !(self.head.is_empty() && matches!(self.place, Place::Mark | Place::Head)) {
            self.end_line();
        }
        let ended = self.w.guard.at_line_start();
        if !self.blocks.is_empty() {
            if !ended {
                self.w.newline();
            }
            while let Some(block) = self.blocks.pop() {
                self.note_close(&block);
                self.w.put(&block.end_line(), Mode::Code);
                if ended || !self.blocks.is_empty() {
                    self.w.newline();
                }
            }
        }
        self.w.finish(out)
    }

    fn begin_line(&mut self) {
        let quote = self.blocks.iter().any(|b| b.ends == Ends::Marks);
        self.place = if quote { Place::Mark } else { Place::Head };
        self.head.clear();
        self.indent = 0;
    }

    fn top(&self) -> Option<&Block> {
        self.blocks.last()
    }

    fn in_code(&self) -> bool {
        self.top().is_some_and(|b| b.kind.is_code())
    }

    fn is_open(&self, kind: Kind) -> bool {
        self.blocks.iter().any(|b| b.kind == kind)
    }

    /// What the lines above say about the next one.
    fn context(&self) -> Context {
        let opaque = self.top().is_some_and(|b| matches!(b.kind, Kind::Verse | Kind::Environment));
        let quoted = self.is_open(Kind::Quote) && !self.blocks.iter().any(|b| b.ends == Ends::Marks);
        Context { opaque, may_quote: !(opaque || quoted), ..self.context }
    }

    /// Drops a quote's mark; a mark inside a quote is dropped, too, as Org cannot nest them.
    fn pass_mark(&mut self) {
        self.w.report.note("quote");
        self.head.clear();
        self.indent = 0;
        self.place = Place::BehindMark;
    }

    /// Begins a quoted line below the quote's own beginning: in a list, it belongs to the item.
    fn indent_quoted(&mut self) {
        if let Some(quote) = self.blocks.iter().find(|b| b.ends == Ends::Marks) {
            self.head.push_str(&quote.indent);
            self.indent = self.head.len();
        }
    }

    /// Closes the quote that marks keep open, with everything in it.
    fn close_quote(&mut self) {
        if let Some(at) = self.blocks.iter().position(|b| b.ends == Ends::Marks) {
            self.close_from(at);
        }
        self.place = Place::Head;
    }

    /// Takes the head again, one character after the other, as the beginning of a line.
    fn reread_head(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.indent = 0;
        head.chars().for_each(|c| self.feed(c));
    }

    fn look(&mut self) {
        if self.in_code() {
            return self.look_code();
        }
        if self.top().is_some_and(|b| b.kind == Kind::Environment) {
            self.place = Place::Whole;
            return;
        }
        let context = self.context();
        match lines::look(&self.head[self.indent..], self.indent, context) {
            Look::More => {}
            Look::Whole => self.place = Place::Whole,
            Look::Fixed => self.begin_fixed(),
            Look::Text => self.begin_text(),
            Look::Quote => {
                if !self.blocks.iter().any(|b| b.ends == Ends::Marks) {
                    let indent = self.head[..self.indent].to_owned();
                    self.open(Kind::Quote, Ends::Marks, indent, "#+begin_quote", "");
                }
                self.pass_mark();
            }
        }
    }

    /// The beginning of a line of code: it may end the block, or need a comma.
    fn look_code(&mut self) {
        let rest = &self.head[self.indent..];
        let fence = match self.top().map(|b| &b.ends) {
            Some(Ends::Fence(mark, _)) => Some(*mark),
            _ => None,
        };
        let commas = fence.is_some() && rest.starts_with(',');
        if commas && rest.ends_with(',') {
            return;
        }
        // Org drops a comma in front of what needs one, also of what has some: in a fence they are code.
        let code = if commas { rest.trim_start_matches(',') } else { rest };
        let comma = match code.as_bytes() {
            [b'#'] => return,
            [b'#', b'+'] if fence.is_none() => {
                self.place = Place::Whole;
                return;
            }
            [b'#', b'+'] => true,
            [b'*'] => self.indent == 0 || commas,
            _ => false,
        };
        if !comma && fence.is_some_and(|mark| rest.trim_end_matches([' ', '\t']).chars().all(|c| c == mark)) {
            self.place = Place::Whole;
            return;
        }
        self.write_code(comma);
        self.place = Place::Raw;
    }

    fn write_code(&mut self, comma: bool) {
        let (blanks, rest) = self.head.split_at(self.indent);
        self.w.put(blanks, Mode::Code);
        if comma {
            self.w.report.note("comma");
            self.w.put(",", Mode::Code);
        }
        self.w.put(rest, Mode::Code);
    }

    fn begin_fixed(&mut self) {
        if self.context().opaque {
            return self.begin_text();
        }
        self.interrupt();
        self.w.put(&self.head, Mode::Code);
        self.place = Place::Raw;
        self.note_line(false);
    }

    /// Lets the head go as text; the rest of the line follows it.
    fn begin_text(&mut self) {
        let (blanks, rest) = self.head.split_at(self.indent);
        let opaque = self.context().opaque;
        let bullet = if opaque { None } else { lines::item(rest) };
        let item = bullet.is_some();
        let deep = self.indent >= 4 || blanks.contains('\t');
        let code = deep && !self.context.in_list && !item && (self.blanks > 0 || self.after_code);
        if self.indent == 0 && rest.len() >= 4 && lines::begins_footnote(rest) {
            self.footnote = true;
        }
        let continues = opaque || self.continues && !item;
        if !continues {
            self.w.guard.end_paragraph();
        }
        self.context.in_list = item || self.context.in_list && self.indent > 0;
        // Ticks that open nothing must not become a fence when code behind them loses its own.
        let ticks = self.place == Place::Whole && lines::opens_ticks(&rest[bullet.unwrap_or(0)..]);
        self.inline.begin(!(opaque || code || ticks), continues);
        self.inline.item = item;
        if lines::is_comment(rest) {
            self.inline.distrust();
        }
        self.w.put(blanks, Mode::Text);
        rest.chars().for_each(|c| self.inline.feed(c, &mut self.w));
        self.place = Place::Text;
        self.note_line(!item && !code);
        self.after_code = code;
        self.continues = true;
    }

    /// Notes for the lines below that this one is not blank, and whether it is a paragraph's.
    const fn note_line(&mut self, text: bool) {
        self.context.after_text = text;
        self.context.after_heading = false;
        self.blanks = 0;
        self.after_code = false;
        self.continues = false;
    }

    /// Ends the paragraph above: no object of Org's reaches from it into this line.
    const fn interrupt(&mut self) {
        self.continues = false;
        self.w.guard.end_paragraph();
    }

    /// Ends the line, but for its newline.
    fn end_line(&mut self) {
        match self.place {
            Place::Mark => {
                self.close_quote();
                self.write_line();
            }
            Place::BehindMark | Place::Head | Place::Whole => self.write_line(),
            Place::Text => self.inline.end(&mut self.w),
            Place::Raw => {}
        }
    }
}

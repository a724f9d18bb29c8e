//! What a line becomes that is known as a whole: headings, keywords, blocks, tables.
//!
//! It is the second half of the machine and knows its state; the first calls it at a line's end.

use super::{Engine, Place};
use crate::org::blocks::{Block, Ends, Kind, end_name};
use crate::org::guard::Mode;
use crate::org::languages;
use crate::org::lines::{self, Fence, Line};
use crate::org::spans;
use crate::org::tables::{self, Row};

impl Engine {
    /// Writes a line that is known as a whole.
    pub(super) fn write_line(&mut self) {
        let line = std::mem::take(&mut self.head);
        if self.leaves_environment(&line) {
            self.close_from(self.blocks.len() - 1);
            self.place = Place::Head;
            self.head = line;
            self.reread_head();
            return self.end_line();
        }
        if self.in_code() {
            self.code_line(&line);
        } else {
            self.text_line(&line);
        }
        self.head = line;
    }

    /// Whether `line` is no longer in the list item that an environment stands in: to Org, the environment
    /// had no end then, and its lines were anything.
    fn leaves_environment(&self, line: &str) -> bool {
        let Some(block) = self.top().filter(|b| b.kind == Kind::Environment && self.context.in_list) else {
            return false;
        };
        let (indent, rest) = line.split_at(lines::indentation(line));
        if rest.is_empty() {
            return self.blanks > 0;
        }
        lines::item(rest).is_some() || !indent.starts_with(&block.indent)
    }

    fn code_line(&mut self, line: &str) {
        let Some(block) = self.blocks.pop_if(|block| block.is_ended_by(line)) else {
            let rest = &line[lines::indentation(line)..];
            let comma = rest.starts_with("#+");
            self.head = line.to_owned();
            self.write_code(comma);
            return;
        };
        match block.ends {
            Ends::Org(kind) if kind == block.kind => self.w.put(line, Mode::Code),
            _ => self.w.put(&block.end_line(), Mode::Code),
        }
        self.note_line(false);
    }

    fn text_line(&mut self, line: &str) {
        let context = self.context();
        let indent = &line[..lines::indentation(line)];
        let class = lines::classify(line, context);
        if !(context.opaque || class == Line::Text) {
            self.interrupt();
        }
        match class {
            Line::Blank => {
                if !self.blocks.iter().any(|b| b.ends == Ends::Marks) {
                    self.w.put(line, Mode::Text);
                }
                self.blanks += 1;
                self.footnote &= self.blanks < 2;
                self.context.after_text = false;
                self.context.after_heading = false;
            }
            Line::Heading { level, markdown, title } => self.heading(level, markdown, title),
            Line::Keyword(keyword) => self.keyword(line, indent, keyword),
            Line::Inert(kind) => self.inert(line, kind),
            Line::Fixed if context.opaque => self.write_text(line),
            Line::Fixed => {
                self.w.put(line, Mode::Code);
                self.note_line(false);
            }
            Line::Fence(fence) => self.open_fence(fence, indent.to_owned()),
            Line::ItemFence(bullet, fence) => {
                self.end_footnote();
                self.context.in_list = true;
                self.w.put(indent, Mode::Code);
                self.w.line(bullet);
                let width = indent.len() + bullet.len();
                self.open_fence(fence, " ".repeat(width));
            }
            Line::Table => self.table(indent, &line[indent.len()..]),
            Line::OrgRule => {
                self.w.put(line, Mode::Code);
                self.note_line(false);
            }
            Line::Rule => {
                self.w.report.note("rule");
                self.w.put(indent, Mode::Code);
                self.w.put("-----", Mode::Code);
                self.note_line(false);
            }
            Line::Environment(name) => {
                if !context.opaque {
                    let ends = Ends::Environment(name.to_owned());
                    self.end_footnote();
                    self.blocks.push(Block { kind: Kind::Environment, ends, indent: indent.to_owned() });
                }
                self.write_text(line);
            }
            Line::Text => self.write_text(line),
        }
    }

    /// Writes a whole line as text.
    fn write_text(&mut self, line: &str) {
        self.indent = lines::indentation(line);
        self.head = line.to_owned();
        let at = self.w.end();
        self.begin_text();
        self.inline.end(&mut self.w);
        // As Org will read it: the guard may have parted the end of an environment.
        let written = self.w.since(at);
        let whole = self.w.guard.pending() == 0;
        self.blocks.pop_if(|b| b.kind == Kind::Environment && whole && b.is_ended_by(written));
    }

    fn heading(&mut self, own: usize, markdown: bool, title: &str) {
        self.close_from(0);
        let floor = self.level + 1;
        let shift = *self.shift.get_or_insert(floor.saturating_sub(own));
        let level = (own + shift).max(floor);
        if markdown {
            self.w.report.note("heading");
        } else if level != own {
            self.w.report.note("level");
        }
        self.w.put(&"*".repeat(level), Mode::Code);
        self.w.put(" ", Mode::Code);
        self.inline.whole(title, false, &mut self.w);
        self.note_line(false);
        self.context.after_heading = true;
        self.context.in_list = false;
        self.footnote = false;
    }

    /// A line that begins with `#+`.
    fn keyword(&mut self, line: &str, indent: &str, keyword: &str) {
        let (word, args) = keyword.split_once([' ', '\t']).unwrap_or((keyword, ""));
        let begins = word.split_at_checked(6).filter(|(begin, _)| begin.eq_ignore_ascii_case("begin_"));
        if let Some(kind) = begins.and_then(|(_, name)| Kind::from_name(name)) {
            if !(self.is_open(Kind::Verse) || self.is_open(kind)) {
                self.open(kind, Ends::Org(kind), indent.to_owned(), &format!("#+{word}"), args);
                return;
            }
        } else if let Some(kind) =
            end_name(line[indent.len()..].trim_end_matches([' ', '\t'])).and_then(Kind::from_name)
        {
            let ends = Ends::Org(kind);
            if let Some(at) = self.blocks.iter().rposition(|b| b.ends == ends) {
                self.close_from(at + 1);
                self.blocks.pop();
                self.w.put(line, Mode::Code);
                self.note_line(false);
                return;
            }
        } else if word.get(..8).is_some_and(|w| w.eq_ignore_ascii_case("caption:")) && !self.context().opaque
        {
            self.write_text(line);
            self.note_line(false);
            return;
        }
        self.inert(line, "keyword");
    }

    /// Writes a line as fixed-width.
    fn inert(&mut self, line: &str, kind: &'static str) {
        let (blanks, rest) = line.split_at(lines::indentation(line));
        let line = format!("{blanks}: {rest}");
        self.w.report.note(kind);
        if self.context().opaque {
            return self.write_text(&line);
        }
        self.w.put(&line, Mode::Code);
        self.note_line(false);
    }

    fn open_fence(&mut self, fence: Fence<'_>, indent: String) {
        self.w.report.note("fence");
        let ends = Ends::Fence(fence.mark, fence.length);
        self.open(Kind::Src, ends, indent, "#+begin_src", fence.info);
    }

    /// Opens a block with a line like `begin`; what may not stand behind it goes above it.
    pub(super) fn open(&mut self, kind: Kind, ends: Ends, indent: String, begin: &str, args: &str) {
        if self.top().is_some_and(|b| b.kind == Kind::Environment) {
            self.close_from(self.blocks.len() - 1);
        }
        self.end_footnote();
        let mut rest = args.trim_matches([' ', '\t']);
        let mut kind = kind;
        let mut begin = begin.to_owned();
        if kind == Kind::Src {
            let end = rest.find([' ', '\t', ',', '{', ':', ';']).unwrap_or(rest.len());
            let (name, more) = rest.split_at(end);
            let more = more.trim_start_matches([' ', '\t', ',']);
            if let Some(language) = languages::lookup(name) {
                rest = more;
                begin = format!("{begin} {language}");
                if language != args && ends == Ends::Org(kind) {
                    self.w.report.note("language");
                }
            } else {
                if languages::is_plain(name) {
                    rest = more;
                }
                kind = Kind::Example;
                "#+begin_example".clone_into(&mut begin);
                if ends == Ends::Org(Kind::Src) {
                    self.w.report.note("language");
                }
            }
        }
        if !rest.is_empty() || kind != Kind::Src && !args.is_empty() && ends == Ends::Org(kind) {
            self.w.report.note("header-arguments");
        }
        if !rest.is_empty() {
            self.w.line(&format!("{indent}: {rest}"));
        }
        self.w.put(&indent, Mode::Code);
        self.w.put(&begin, Mode::Code);
        if ends == Ends::Marks {
            self.w.newline();
        }
        self.blocks.push(Block { kind, ends, indent });
        self.interrupt();
        self.note_line(false);
    }

    /// Ends a footnote's definition, which takes two blank lines: one that holds a block would end at two
    /// blank lines inside it, and the rest of the block would be read as text.
    pub(super) fn end_footnote(&mut self) {
        if std::mem::take(&mut self.footnote) {
            self.w.report.note("footnote");
            for _ in self.blanks..2 {
                self.w.newline();
            }
        }
    }

    /// Closes the blocks from number `at` on, innermost first.
    pub(super) fn close_from(&mut self, at: usize) {
        while self.blocks.len() > at {
            if let Some(block) = self.blocks.pop() {
                self.note_close(&block);
                self.w.line(&block.end_line());
                self.note_line(false);
                // Like its own end, which a second pass sees.
                self.continues = block.kind == Kind::Environment;
            }
        }
    }

    pub(super) fn note_close(&mut self, block: &Block) {
        if block.ends != Ends::Marks {
            self.w.report.note("closed");
        }
    }

    fn table(&mut self, indent: &str, line: &str) {
        self.note_line(false);
        self.w.put(indent, Mode::Code);
        let row = line.trim_end_matches([' ', '\t']);
        match tables::row(row) {
            Row::OrgRule => self.w.put(row, Mode::Code),
            Row::Rule(rule) => {
                self.w.report.note("table");
                self.w.put(&rule, Mode::Code);
            }
            Row::Cells { cells, spaced, closed } => {
                if spaced {
                    self.w.report.note("table");
                }
                for (number, cell) in cells.iter().enumerate() {
                    self.w.put(if number == 0 && spaced { "| " } else { "|" }, Mode::Code);
                    self.cell(cell);
                }
                if closed {
                    self.w.put("|", Mode::Code);
                }
            }
        }
        self.w.put(&line[row.len()..], Mode::Code);
    }

    fn cell(&mut self, cell: &str) {
        if cell.contains("\\|") {
            self.w.report.note("table");
        }
        let mut cell = cell.replace("\\|", spans::PIPE);
        if tables::is_formula(&cell) {
            self.w.report.note("formula");
            let inner = cell.trim_matches([' ', '\t']);
            cell = cell.replacen(inner, &format!("~{inner}~"), 1);
        }
        self.inline.whole(&cell, true, &mut self.w);
    }
}

//! How a line's code is written: with Org's marks, where Org can read it as code, and guarded where it may
//! read something else.
//!
//! It knows where code ends, not how that was found.

use super::super::guard::Mode;
use super::super::links;
use super::super::spans::{self, Code, Verbatim};
use super::super::writer::Writer;
use super::{Inline, endless};

impl Inline {
    pub(super) fn end_code(&mut self, code: &Code, next: Option<char>, w: &mut Writer) {
        let parted = |c| matches!(c, '(' | '{') && w.would_part(&format!("{}`", code.raw), c as u8);
        let fits = self.may_begin(w) && next.is_none_or(|c| spans::may_follow(c) || parted(c));
        // A mark that was left open before could reach into the code.
        let marks = if self.cell { "~" } else { "~=" };
        let marks = marks.chars().filter(|mark| !self.endless[endless(*mark)]);
        let marked = code.marked(marks).filter(|_| fits);
        let pieces =
            marked.filter(|_| self.cell).map_or_else(Vec::new, |(_, content)| spans::pieces(content));
        match marked {
            Some((mark, content)) if !self.cell || pieces.len() == 1 => {
                w.report.note("code");
                self.put_verbatim(mark, content, self.is_sure(next), w);
            }
            _ if !pieces.is_empty() => {
                w.report.note("code");
                self.put_pieces(&pieces, w);
            }
            _ => {
                self.literal('`', code.run, w);
                put_code(&code.raw, false, w);
                self.risky = true;
                self.literal('`', code.run, w);
            }
        }
    }

    pub(super) fn end_verbatim(&mut self, v: &Verbatim, next: Option<char>, w: &mut Writer) {
        self.put_verbatim(v.mark, &v.raw, self.is_sure(next) && !v.parted, w);
    }

    /// Writes a cell's code that holds pipes, each piece between them with marks of its own.
    fn put_pieces(&mut self, pieces: &[&str], w: &mut Writer) {
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                self.text_all(spans::PIPE, w);
            }
            let core = piece.trim_matches(spans::is_blank);
            if core.is_empty() {
                self.text_all(piece, w);
            } else {
                let (before, after) = piece.split_once(core).unwrap_or_default();
                self.text_all(before, w);
                self.put_verbatim('~', core, false, w);
                self.text_all(after, w);
            }
        }
    }

    /// Writes code with Org's marks around it; `sure` if Org can only read it as such.
    fn put_verbatim(&mut self, mark: char, content: &str, sure: bool, w: &mut Writer) {
        let sure = sure && !(self.item && spans::ends_term(content));
        w.put_char(mark, Mode::Text);
        put_code(content, sure, w);
        w.put_char(mark, if sure { Mode::Code } else { Mode::Text });
        self.fresh = false;
        self.after_colon = false;
        self.risky |= !sure;
    }

    fn is_sure(&self, next: Option<char>) -> bool {
        !self.risky && next.is_none_or(spans::ends_verbatim)
    }
}

/// Writes what the author marked as code, without its marks; `sure` if Org will read it as such.
fn put_code(code: &str, sure: bool, w: &mut Writer) {
    if sure {
        w.put(code, Mode::Code);
    } else {
        let text = links::defuse(code, &mut w.report);
        w.put(&text, Mode::Text);
    }
}

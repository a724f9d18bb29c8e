//! The spans inside a line while they are being read: code, verbatim, link targets.
//!
//! It knows their ends, and which characters may stand beside them; it writes nothing.

use super::guard::Guard;

/// The longest run of backticks that may open code.
pub(super) const LONGEST_RUN: usize = 8;

/// The place of a verbatim mark, or of a title's quote, behind those of the runs of backticks: for what has no end
/// in a line.
pub(super) const fn endless(mark: char) -> usize {
    LONGEST_RUN
        + match mark {
            '=' => 1,
            '~' => 2,
            _ => 3,
        }
}

pub(super) const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Whether Org takes `c` for white space beside a mark.
pub(super) const fn is_space(c: char) -> bool {
    is_blank(c) || matches!(c, '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

/// Whether an object of Org's may begin with `c`.
pub(super) const fn begins_object(c: char) -> bool {
    matches!(c, '*' | '/' | '_' | '+' | '[' | '<' | '$' | '\\' | '{' | '@' | '^' | '=' | '~')
}

/// Whether a verbatim mark may follow `b`: as Org has it, and inside brackets and emphasis.
pub(super) const fn may_precede(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'-' | b'(' | b'\'' | b'"' | b'{' | b'[' | b'*' | b'/')
}

/// Whether `c` may follow a verbatim mark as Org has it.
pub(super) const fn ends_verbatim(c: char) -> bool {
    is_space(c) || matches!(c, '-' | '.' | ',' | ':' | '!' | '?' | ';' | '\'' | '"' | ')' | '}' | '\\' | '[')
}

/// The same, with the ends of brackets and emphasis.
pub(super) const fn may_follow(c: char) -> bool {
    ends_verbatim(c) || matches!(c, ']' | '*' | '/')
}

/// Whether ` :: ` stands in `code`: in a list item, Org would end the item's term there.
pub(super) fn ends_term(code: &str) -> bool {
    code.match_indices("::").any(|(at, mark)| {
        code[..at].ends_with(is_blank) && code[at + mark.len()..].chars().next().is_none_or(is_blank)
    })
}

/// Code between runs of backticks.
#[derive(Debug)]
pub(super) struct Code {
    /// The length of the opening run.
    pub(super) run: usize,
    pub(super) raw: String,
    /// Backticks at the end, not in `raw` yet.
    ticks: usize,
}

impl Code {
    pub(super) fn new(run: usize, first: char) -> Self {
        Self { run, raw: first.to_string(), ticks: 0 }
    }

    /// Takes `c`; true if the code ended before it.
    pub(super) fn feed(&mut self, c: char) -> bool {
        if c == '`' {
            self.ticks += 1;
            return false;
        }
        if self.is_closed() {
            return true;
        }
        self.raw.extend(std::iter::repeat_n('`', std::mem::take(&mut self.ticks)));
        self.raw.push(c);
        false
    }

    pub(super) const fn is_closed(&self) -> bool {
        self.ticks == self.run
    }

    /// All that came after the opening run.
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.raw, "`".repeat(self.ticks))
    }

    /// The mark that Org can put around it, out of `marks`, and its content.
    pub(super) fn marked(&self, marks: impl IntoIterator<Item = char>) -> Option<(char, &str)> {
        let inner = self.raw.strip_prefix(' ').and_then(|raw| raw.strip_suffix(' '));
        let content = inner.filter(|inner| !inner.trim().is_empty()).unwrap_or(&self.raw);
        // Behind `<<<` the guard would put a blank before the mark.
        let edges =
            !content.starts_with(is_space) && !content.ends_with(is_space) && !content.ends_with("<<<");
        let mark = marks.into_iter().find(|mark| !content.contains(*mark))?;
        (edges && !content.is_empty()).then_some((mark, content))
    }
}

/// What stands for a `|` inside a table's cell.
pub(super) const PIPE: &str = "\\vert{}";

/// The pieces of a cell's code between its pipes, if each can be marked for itself: Org reads no entity
/// inside code.
pub(super) fn pieces(code: &str) -> Vec<&str> {
    // As the guard may have left one.
    if code.contains("\\vert {") {
        return Vec::new();
    }
    let pieces: Vec<&str> = code.split(PIPE).collect();
    let last = pieces.len() - 1;
    let fits = |(number, piece): (usize, &&str)| {
        let core = piece.trim_matches(is_blank);
        let before = number == 0 || piece.starts_with(is_blank);
        let behind = number == last || piece.ends_with(is_blank);
        let edges = !(core.starts_with(is_space) || core.ends_with(is_space) || core.contains('~'));
        piece.is_empty() || before && behind && edges
    };
    if last == 0 || pieces.iter().enumerate().all(fits) { pieces } else { Vec::new() }
}

/// Org's own code or verbatim.
#[derive(Debug)]
pub(super) struct Verbatim {
    pub(super) mark: char,
    pub(super) raw: String,
    /// A mark that ends it if the next character allows it.
    pub(super) closing: bool,
    /// Org would have seen its end before, where the guard puts a blank.
    pub(super) parted: bool,
    /// What the guard will have seen of it, if it is written as text.
    guard: Guard,
}

impl Verbatim {
    /// Begins with `first` behind `mark`, unless Org sees a blank between them.
    pub(super) fn begin(mark: char, first: char, guard: &Guard) -> Option<Self> {
        let mut guard = guard.clone();
        guard.try_char(mark);
        if is_space(first) || guard.parts(first) {
            return None;
        }
        guard.try_char(first);
        Some(Self { mark, raw: first.to_string(), closing: false, parted: false, guard })
    }

    /// Takes `c`; true if the verbatim ended before it.
    pub(super) fn feed(&mut self, c: char) -> bool {
        // Where the guard puts a blank, Org sees one.
        let parted = self.guard.parts(c);
        if self.closing {
            if may_follow(c) || parted {
                return true;
            }
            self.raw.push(self.mark);
            self.closing = false;
        }
        let ends = c == self.mark && !self.raw.ends_with(is_space);
        if ends && !parted {
            self.closing = true;
        } else {
            self.parted |= ends;
            self.raw.push(c);
        }
        self.guard.try_char(c);
        false
    }
}

/// A Markdown link's target, behind its `(`.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) path: String,
    /// What stands behind the path: blanks, and a title in quotes.
    rest: String,
    depth: usize,
    /// Quotes seen of a title.
    quotes: usize,
    titles: bool,
}

impl Target {
    pub(super) const fn new(titles: bool) -> Self {
        Self { path: String::new(), rest: String::new(), depth: 0, quotes: 0, titles }
    }

    /// Takes `c`; true if it completes the target, false if there is none. Then `c` is in [`Target::text`].
    pub(super) fn feed(&mut self, c: char) -> Option<bool> {
        if self.rest.is_empty() && !is_blank(c) {
            self.path.push(c);
            match c {
                '(' => self.depth += 1,
                ')' if self.depth == 0 => {
                    self.path.pop();
                    self.rest.push(c);
                    return Some(!self.path.is_empty());
                }
                ')' => self.depth -= 1,
                '[' | ']' | '`' => return Some(false),
                _ => {}
            }
            return None;
        }
        self.rest.push(c);
        match (self.quotes, c) {
            (0 | 2, ')') => Some(self.depth == 0 && !self.path.is_empty()),
            (0, '"') if self.titles => {
                self.quotes = 1;
                None
            }
            (1, '"') => {
                self.quotes = 2;
                None
            }
            (1, _) => None,
            (_, c) if is_blank(c) => None,
            _ => Some(false),
        }
    }

    pub(super) const fn in_title(&self) -> bool {
        self.quotes == 1
    }

    pub(super) fn title(&self) -> Option<&str> {
        let title = self.rest.split('"').nth(1)?;
        (!title.trim().is_empty()).then_some(title)
    }

    /// All that was read, from the `(` on.
    pub(super) fn text(&self) -> String {
        format!("({}{}", self.path, self.rest)
    }
}

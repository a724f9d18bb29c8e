//! The last thing before the output: short sequences that Org or Emacs would act on are broken up.
//!
//! It sees the output as one stream of bytes and knows no lines of input, no blocks and no Markdown.
//! Every rule inserts one space at the byte that would complete a sequence, so nothing is lost, nothing
//! is held back but a name of some bytes, and a second pass finds nothing to do.

use super::links;
use super::report::Report;

/// How the text being put is read by Org.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// As text: every rule holds.
    Text,
    /// As code or fixed-width: only what acts wherever it stands is broken up.
    Code,
}

/// TeX commands that read, write or run something, or leave the page.
const TEX: &[&str] = &[
    "catcode",
    "csname",
    "directlua",
    "documentclass",
    "href",
    "immediate",
    "import",
    "include",
    "includegraphics",
    "includeonly",
    "includepdf",
    "input",
    "inputminted",
    "latelua",
    "lstinputlisting",
    "luaexec",
    "newwrite",
    "openin",
    "openout",
    "read",
    "readline",
    "require",
    "RequirePackage",
    "scantokens",
    "special",
    "subfile",
    "subimport",
    "usepackage",
    "verbatiminput",
    "write",
];

/// The longest name in [`TEX`], and the bytes of output kept to look back at.
const LONGEST: usize = 15;
const LOOK_BACK: usize = 32;

/// How far a sequence of several parts has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    None,
    /// The opening was seen.
    Open,
    /// And at least one byte of the name.
    Named,
}

/// Where a plain `file:` path was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum File {
    #[default]
    None,
    Plain,
    Angle,
}

/// The state between two bytes of output.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// The last bytes of the line.
    tail: Vec<u8>,
    /// Bytes put so far in this line, and lines before it.
    column: usize,
    line: usize,
    /// A colon, or a backslash with letters, whose follower decides.
    pend: Vec<u8>,
    src: Part,
    call: Part,
    snippet: Part,
    file: File,
    /// A LaTeX fragment may be open in this paragraph: exports would pass its tags on.
    tex: bool,
    /// Length of the run of equal `{`, `<` or `^` that ends the output.
    run: usize,
}

impl Guard {
    pub(super) const fn new() -> Self {
        Self {
            tail: Vec::new(),
            column: 0,
            line: 0,
            pend: Vec::new(),
            src: Part::None,
            call: Part::None,
            snippet: Part::None,
            file: File::None,
            tex: false,
            run: 0,
        }
    }

    /// Whether the output stands at the beginning of a line.
    pub(super) const fn at_line_start(&self) -> bool {
        self.column == 0 && self.pend.is_empty()
    }

    /// The last byte of this line of output.
    pub(super) fn last(&self) -> Option<u8> {
        self.pend.last().or(self.tail.last()).copied()
    }

    /// The byte that `next`, put as text, would follow.
    pub(super) fn last_before(&self, next: u8) -> Option<u8> {
        if self.breaks(next, Mode::Text).is_some() { Some(b' ') } else { self.last() }
    }

    /// Bytes that are held back.
    pub(super) fn pending(&self) -> usize {
        self.pend.len()
    }

    /// The last bytes of this line of output.
    pub(super) fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// Puts `text`, guarded, at the end of `out`.
    pub(super) fn put(&mut self, text: &str, mode: Mode, out: &mut String, report: &mut Report) {
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let length =
                if self.is_alert() { 0 } else { rest.bytes().take_while(|b| !SPECIAL[*b as usize]).count() };
            let (plain, more) = rest.split_at(length);
            if length > 0 {
                self.plain(plain, out);
                rest = more;
            } else {
                let (first, more) = rest.split_at(c.len_utf8());
                self.special(first.as_bytes()[0], first, mode, out, report);
                rest = more;
            }
        }
    }

    /// Lets go of what is held back: its name is complete.
    pub(super) fn settle(&mut self, out: &mut String, report: &mut Report) {
        if TEX.iter().any(|name| self.pend.strip_prefix(b"\\") == Some(name.as_bytes())) {
            report.note("latex");
            self.pend.insert(1, b' ');
        }
        let pend = std::mem::take(&mut self.pend);
        self.plain(&String::from_utf8_lossy(&pend), out);
    }

    /// Forgets what a paragraph left open.
    pub(super) const fn end_paragraph(&mut self) {
        self.file = File::None;
        self.tex = false;
    }

    fn is_alert(&self) -> bool {
        !self.pend.is_empty()
            || self.src != Part::None
            || self.call != Part::None
            || self.snippet != Part::None
            || self.file != File::None
            || self.run > 0
    }

    fn plain(&mut self, text: &str, out: &mut String) {
        out.push_str(text);
        self.column += text.len();
        let bytes = text.as_bytes();
        if self.tail.len() + bytes.len() > 2 * LOOK_BACK {
            let keep = LOOK_BACK.saturating_sub(bytes.len()).min(self.tail.len());
            self.tail.drain(..self.tail.len() - keep);
        }
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(LOOK_BACK)..]);
    }

    /// Puts one character, `b` its first byte.
    fn special(&mut self, b: u8, c: &str, mode: Mode, out: &mut String, report: &mut Report) {
        if !self.pend.is_empty() && self.resolve(b, out, report) {
            return;
        }
        if let Some(kind) = self.breaks(b, mode) {
            report.note(kind);
            self.plain(" ", out);
            self.run = 0;
        }
        self.track(b);
        if mode == Mode::Text && (b == b'\\' || b == b':' && self.ends_with_type()) {
            self.pend.push(b);
            return;
        }
        self.plain(c, out);
        if b == b'\n' {
            self.tail.clear();
            self.column = 0;
            self.line += 1;
        }
    }

    /// Lets the byte after a pending colon or TeX name decide; true if it was taken in.
    fn resolve(&mut self, b: u8, out: &mut String, report: &mut Report) -> bool {
        if self.pend == b":" {
            if !b.is_ascii_whitespace() {
                report.note("link");
                self.plain(" ", out);
            }
        } else if b.is_ascii_alphabetic() && self.pend.len() <= LONGEST {
            self.pend.push(b);
            return true;
        } else if b.is_ascii_alphabetic() {
            // Too long a name to be one of ours.
            let pend = std::mem::take(&mut self.pend);
            self.plain(&String::from_utf8_lossy(&pend), out);
            return false;
        }
        self.settle(out, report);
        false
    }

    /// The kind of sequence that `b` would complete.
    fn breaks(&self, b: u8, mode: Mode) -> Option<&'static str> {
        let tail = self.tail.as_slice();
        match b {
            b'(' if tail.ends_with(b"<%%") => return Some("diary-sexp"),
            b'(' if self.column == tail.len() && matches!(tail, b"%%" | b"&%%") => return Some("diary-sexp"),
            b':' if ends_with_any_case(tail, b"local variables") => return Some("local-variables"),
            b'-' if self.line < 2 && ends_mode_line(tail) => return Some("local-variables"),
            _ => {}
        }
        if mode == Mode::Code {
            return None;
        }
        match b {
            b'{' | b'[' if self.src == Part::Named => Some("inline-source"),
            b'(' | b'[' if self.call == Part::Named => Some("inline-call"),
            b':' if self.snippet == Part::Named => Some("export-snippet"),
            b':' if self.file != File::None && tail.last() != Some(&b' ') => Some("link"),
            b':' if self.angle_of_type() => Some("link"),
            _ if self.run > 0 => match tail.last() {
                Some(b'<') if self.tex && (b.is_ascii_alphabetic() || matches!(b, b'/' | b'!' | b'?')) => {
                    Some("latex")
                }
                Some(b'{') if self.run >= 3 && is_name(b) => Some("macro"),
                Some(b'<') if self.run >= 3 && !matches!(b, b' ' | b'\t' | b'\n' | b'<' | b'>') => {
                    Some("radio-target")
                }
                Some(b'^') if self.run >= 2 && b.is_ascii_hexdigit() => Some("latex"),
                _ => None,
            },
            _ => None,
        }
    }

    /// Follows the sequences of several parts.
    fn track(&mut self, b: u8) {
        let tail = self.tail.as_slice();
        let next = |part: Part, ends: bool| match part {
            _ if ends => Part::None,
            Part::None => Part::None,
            _ => Part::Named,
        };
        let blank = matches!(b, b' ' | b'\t' | b'\n');
        self.src = next(self.src, blank || matches!(b, b'[' | b'{'));
        self.call = next(self.call, blank || matches!(b, b'[' | b'('));
        self.snippet = next(self.snippet, !(b.is_ascii_alphanumeric() || b == b'-'));
        self.file = match self.file {
            File::Plain if blank || matches!(b, b'<' | b'>' | b'[' | b']') => File::None,
            File::Angle if b == b'>' => File::None,
            file => file,
        };
        let before = |word: &[u8]| {
            tail.strip_suffix(word).is_some_and(|rest| !rest.last().is_some_and(u8::is_ascii_alphanumeric))
        };
        match b {
            b'_' if self.src == Part::None && before(b"src") => self.src = Part::Open,
            b'_' if self.call == Part::None && before(b"call") => self.call = Part::Open,
            b'@' if tail.last() == Some(&b'@') => self.snippet = Part::Open,
            b'$' | b'\\' => self.tex = true,
            b':' if ends_with_any_case(tail, b"file") => {
                let rest = &tail[..tail.len() - 4];
                if rest.last() == Some(&b'<') {
                    self.file = File::Angle;
                } else if !rest.last().is_some_and(u8::is_ascii_alphanumeric) && self.file == File::None {
                    self.file = File::Plain;
                }
            }
            _ => {}
        }
        self.run = match b {
            b'{' | b'<' | b'^' if tail.last() == Some(&b) => self.run + 1,
            b'{' | b'<' | b'^' => 1,
            _ => 0,
        };
    }

    /// Whether the line ends with a link type that may not be live.
    fn ends_with_type(&self) -> bool {
        links::ends_with_type(&self.tail).is_some()
    }

    fn angle_of_type(&self) -> bool {
        links::ends_with_type(&self.tail).is_some_and(|at| self.tail[..at].last() == Some(&b'<'))
    }
}

const fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')
}

fn ends_with_any_case(tail: &[u8], word: &[u8]) -> bool {
    tail.len() >= word.len() && tail[tail.len() - word.len()..].eq_ignore_ascii_case(word)
}

/// Whether `tail` ends like the beginning of `-*-`.
fn ends_mode_line(tail: &[u8]) -> bool {
    tail.iter().rev().find(|b| **b != b'*') == Some(&b'-') && tail.last() == Some(&b'*')
}

/// The bytes at which something may begin or be completed.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let bytes = b"{[(:@-<_^$\\\n";
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] = true;
        i += 1;
    }
    table
};

//! The last thing before the output: short sequences that Org or Emacs would act on are broken up.
//!
//! It sees the output as one stream of bytes and knows no lines of input, no blocks and no Markdown.
//! Every rule inserts one space at the byte that would complete a sequence, so nothing is lost, nothing
//! is held back but a name of some bytes, and a second pass finds nothing to do.

use super::links;
use super::report::Report;
use super::tex;

/// How the text being put is read by Org.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// As text: every rule holds.
    Text,
    /// As code or fixed-width: only what acts wherever it stands is broken up.
    Code,
}

/// The bytes of output kept to look back at.
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

/// The part of an address. Exports pass a quote on as it is, but in the path of a web address; in its host
/// even one that is written with a `%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// So many slashes before the host.
    Slashes(usize),
    Exposed,
    Path,
}

/// A web address or a `file:` path outside brackets, as far as Org may read it.
#[derive(Clone, Copy, Debug)]
struct Address {
    /// It goes on to the next `>`, over blanks.
    angle: bool,
    file: bool,
    /// How exports take what it holds.
    part: Reach,
    /// A quote was seen where an export would end the link's attribute with it.
    quote: bool,
    /// Org can only read all of it up to here as one link.
    whole: bool,
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
    address: Option<Address>,
    /// Inside the braces of `\begin{`.
    begin: bool,
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
            address: None,
            begin: false,
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

    /// Whether a blank would be put before `next`, as text.
    pub(super) fn parts(&self, next: char) -> bool {
        let first = next.encode_utf8(&mut [0; 4]).as_bytes()[0];
        self.pend == b":" && !first.is_ascii_whitespace() || self.breaks(first, Mode::Text).is_some()
    }

    /// Takes `c`, put as text, nowhere.
    pub(super) fn try_char(&mut self, c: char) {
        self.put(c.encode_utf8(&mut [0; 4]), Mode::Text, &mut String::new(), &mut Report::new());
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
        let pend = std::mem::take(&mut self.pend);
        let pend = String::from_utf8_lossy(&pend);
        match pend.strip_prefix('\\') {
            Some(name) if tex::acts(name) => self.part_command(name, out, report),
            _ => self.plain(&pend, out),
        }
    }

    fn part_command(&mut self, name: &str, out: &mut String, report: &mut Report) {
        report.note("latex");
        self.plain("\\", out);
        self.part(out);
        for b in name.bytes() {
            self.track(b, Mode::Text);
        }
        self.plain(name, out);
    }

    /// Puts a blank, which ends what a blank ends.
    fn part(&mut self, out: &mut String) {
        self.track(b' ', Mode::Text);
        self.plain(" ", out);
    }

    /// Forgets what a paragraph left open.
    pub(super) const fn end_paragraph(&mut self) {
        self.address = None;
        self.begin = false;
        self.tex = false;
    }

    fn is_alert(&self) -> bool {
        !self.pend.is_empty()
            || self.src != Part::None
            || self.call != Part::None
            || self.snippet != Part::None
            || self.address.is_some()
            || self.begin
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
        if (mode == Mode::Text || b == b'\n') && self.ends_angle(b) {
            // A blank would not end this one.
            report.note("link");
            self.plain(">", out);
            (self.run, self.address) = (0, None);
        } else if let Some(kind) = self.breaks(b, mode) {
            report.note(kind);
            self.part(out);
        }
        self.track(b, mode);
        let whole = self.address.is_some_and(|address| address.whole);
        if mode == Mode::Text && (b == b'\\' || b == b':' && !whole && self.ends_with_type()) {
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
            if !b.is_ascii_whitespace() || self.ends_angle(b) {
                report.note("link");
                self.part(out);
                self.track(b':', Mode::Text);
            }
        } else if b.is_ascii_alphabetic() && self.pend.len() <= tex::LONGEST {
            self.pend.push(b);
            return true;
        } else if b.is_ascii_alphabetic() {
            // Too long a name to be one of ours.
            let pend = std::mem::take(&mut self.pend);
            self.plain(&String::from_utf8_lossy(&pend), out);
            return false;
        } else if self.pend == b"\\begin" {
            // What else would follow could make up any name.
            self.begin = b == b'{' && self.src != Part::Named;
            if !self.begin {
                self.pend.clear();
                self.part_command("begin", out, report);
            }
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
            // Whoever clocks in is asked about every open clock, wherever the line stands.
            b'[' if self.ends_with_clock() => return Some("planning"),
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
            _ if self.address.is_some_and(|a| !a.angle && a.is_ended_by(b)) => Some("link"),
            b'}' if self.begin && self.names_acting() => Some("latex"),
            b'\\' | b'%' | b'#' | b'~' if self.begin => Some("latex"),
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
    fn track(&mut self, b: u8, mode: Mode) {
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
        let ends = |a: &Address| b == b'>' || !a.angle && (blank || matches!(b, b'<' | b'[' | b']'));
        self.address = self.address.filter(|a| !ends(a)).map(|a| Address {
            part: a.part_behind(b),
            quote: a.part == Reach::Exposed && (a.quote || b == b'"'),
            whole: a.whole && mode == Mode::Text && keeps_whole(tail.last(), b),
            ..a
        });
        self.begin &= b == b'{' && tail.ends_with(b"\\begin") || b.is_ascii_alphanumeric() || b == b'*';
        let before = |word: &[u8]| {
            tail.strip_suffix(word).is_some_and(|rest| !rest.last().is_some_and(u8::is_ascii_alphanumeric))
        };
        match b {
            b'_' if self.src == Part::None && before(b"src") => self.src = Part::Open,
            b'_' if self.call == Part::None && before(b"call") => self.call = Part::Open,
            b'@' if tail.last() == Some(&b'@') => self.snippet = Part::Open,
            b'$' | b'\\' => self.tex = true,
            b':' if mode == Mode::Text => self.address = open_address(self.address, tail),
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

    /// Whether the name in the braces that end the output is an acting command's.
    fn names_acting(&self) -> bool {
        let name = self.tail.rsplit(|b| *b == b'{').next().unwrap_or_default();
        tex::acts(&String::from_utf8_lossy(name))
    }

    /// Whether an address in angles must be closed before `b`.
    fn ends_angle(&self, b: u8) -> bool {
        self.address.is_some_and(|a| a.angle && a.is_ended_by(b))
    }

    /// Whether a bracket would make an open clock of what the line ends with.
    pub(super) fn ends_with_clock(&self) -> bool {
        ends_with_any_case(&self.tail, b"clock: ")
    }

    fn angle_of_type(&self) -> bool {
        links::ends_with_type(&self.tail).is_some_and(|at| self.tail[..at].last() == Some(&b'<'))
    }
}

/// The address that a colon behind `tail` opens, or goes on with.
fn open_address(open: Option<Address>, tail: &[u8]) -> Option<Address> {
    let file = ends_with_any_case(tail, b"file");
    let Some(length) =
        [(file, 4), (ends_with_any_case(tail, b"https"), 5), (ends_with_any_case(tail, b"http"), 4)]
            .into_iter()
            .find_map(|(ends, length)| ends.then_some(length))
    else {
        return open;
    };
    let before = tail[..tail.len() - length].last();
    let angle = before == Some(&b'<');
    match open {
        _ if before.is_some_and(u8::is_ascii_alphanumeric) => open,
        Some(a) if a.whole && !angle => open,
        open => {
            let exact = tail.ends_with(b"http") || tail.ends_with(b"https");
            let plain = exact && before.is_none_or(|b| b" \t(".contains(b));
            let (angle, file) =
                (angle || open.is_some_and(|a| a.angle), file || open.is_some_and(|a| a.file));
            let part = if file { Reach::Exposed } else { Reach::Slashes(0) };
            let whole = plain && !angle && open.is_none();
            Some(Address { angle, file, part, quote: false, whole })
        }
    }
}

impl Address {
    /// The part behind `b`.
    const fn part_behind(&self, b: u8) -> Reach {
        match (self.part, b) {
            (Reach::Slashes(0), b'/') => Reach::Slashes(1),
            (Reach::Slashes(1), b'/') => Reach::Exposed,
            (Reach::Exposed, b'/' | b'?' | b'#') if !self.file => Reach::Path,
            (Reach::Slashes(_), _) => Reach::Path,
            (part, _) => part,
        }
    }

    /// Whether it must end before `b`, lest a file be on another machine, or an export put more than an
    /// address into an attribute.
    const fn is_ended_by(&self, b: u8) -> bool {
        let quoted = if self.angle { matches!(b, b'"' | b'\n') } else { self.quote && goes_on(b) };
        let other = if self.file { matches!(b, b':' | b'$') } else { b == b'%' };
        matches!(self.part, Reach::Exposed) && (quoted || other)
    }
}

/// Whether an address that was one link up to `prev` is still one behind `b`: no emphasis ends there.
fn keeps_whole(prev: Option<&u8>, b: u8) -> bool {
    let ends = prev.is_some_and(|prev| b"*/_+=~".contains(prev)) && b"-.,:;!?".contains(&b);
    (b.is_ascii_alphanumeric() || b"/.-_~%?&=#+:,;!".contains(&b)) && !ends
}

/// Whether an address goes on with `b`, other than as punctuation behind it.
const fn goes_on(b: u8) -> bool {
    b.is_ascii_alphanumeric() || !b.is_ascii() || matches!(b, b'/' | b'(')
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

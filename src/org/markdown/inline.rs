//! The inside of a line: emphasis, code, links, and a backslash before all that Markdown would act on.
//!
//! It goes over the line once. What may begin an emphasis is noted and decided when its end is found; of each mark at
//! most one is open, so nothing is looked for twice.

use std::ops::Range;

use super::super::links;
use super::longest_ticks;

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A line of a paragraph, from its beginning.
    Line,
    /// The same, behind its beginning.
    Inner,
    Heading,
    /// Inside bold.
    Bold,
    Cell,
    /// The description of a link.
    Link,
}

/// A part of the result.
enum Part {
    /// These bytes of the text that was made.
    Made(Range<usize>),
    /// A mark of Org's, and whether it is one of Markdown's by now.
    Mark(usize, bool),
}

/// The longest formula, in bytes.
const LONGEST_FORMULA: usize = 64;

/// The marks of emphasis: Org's, Markdown's, and Org's as text.
const MARKS: [(char, &str, &str); 4] =
    [('*', "**", "\\*"), ('/', "_", "/"), ('_', "*", "\\_"), ('+', "~~", "+")];

/// Writes a line, or a part of it.
pub(super) fn write(text: &str, place: Place) -> String {
    let mut line = Line::new(text, place);
    while line.at < text.len() {
        line.step();
    }
    line.finish()
}

struct Line<'a> {
    text: &'a str,
    place: Place,
    at: usize,
    made: String,
    /// Where what was made and is in no part yet begins.
    from: usize,
    parts: Vec<Part>,
    /// The marks that are open, and their parts; the innermost last.
    open: Vec<(usize, usize)>,
    /// Where the hashes at the end begin.
    hashes: usize,
    /// A mark of code that no mark ends from here on; an end of links that there is not.
    no_end: [bool; 3],
}

impl<'a> Line<'a> {
    fn new(text: &'a str, place: Place) -> Self {
        Self {
            text,
            place,
            at: 0,
            made: String::new(),
            from: 0,
            parts: Vec::new(),
            open: Vec::new(),
            hashes: text.trim_end_matches('#').len(),
            no_end: [false; 3],
        }
    }

    fn finish(mut self) -> String {
        self.close_part();
        let mut out = String::with_capacity(self.made.len() + 2 * self.parts.len());
        for part in self.parts {
            match part {
                Part::Made(range) => out.push_str(&self.made[range]),
                Part::Mark(mark, true) => out.push_str(MARKS[mark].1),
                Part::Mark(mark, false) => out.push_str(MARKS[mark].2),
            }
        }
        out
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn before(&self) -> Option<char> {
        self.text[..self.at].chars().next_back()
    }

    /// Takes what stands at the front.
    fn step(&mut self) {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else { return };
        let length = match c {
            '=' | '~' => self.code(c),
            '$' => self.formula(),
            '[' if self.place != Place::Link => self.link(),
            'h' | 'm' | '<' if self.place != Place::Link => self.address(c),
            '\\' if rest.starts_with("\\vert{}") => {
                self.made.push_str("\\|");
                Some("\\vert{}".len())
            }
            _ => self.mark(c),
        };
        match length {
            Some(length) => self.at += length,
            None => {
                self.literal(c);
                self.at += c.len_utf8();
            }
        }
    }

    /// A short formula in which nothing else can begin or end. A renderer that knows formulas would take any two dollars for
    /// one, also when the second stands in code, whose opening mark then is none.
    fn formula(&mut self) -> Option<usize> {
        let inner = self.rest().get(1..)?;
        let length = inner.bytes().take(LONGEST_FORMULA).position(|byte| byte == b'$')?;
        let formula = &inner[..length];
        let is_plain =
            |c: char| c.is_alphanumeric() || matches!(c, '^' | ' ' | '.' | ',' | '(' | ')' | '-' | '\'');
        let behind = inner[length + 1..].chars().next();
        let is_one = !formula.is_empty()
            && formula.chars().all(is_plain)
            && !formula.starts_with(' ')
            && !formula.ends_with(' ')
            && !self.before().is_some_and(char::is_alphanumeric)
            && !behind.is_some_and(char::is_alphanumeric);
        is_one.then(|| {
            self.made.push_str(&self.text[self.at..self.at + length + 2]);
            length + 2
        })
    }

    fn close_part(&mut self) {
        if self.from < self.made.len() {
            self.parts.push(Part::Made(self.from..self.made.len()));
            self.from = self.made.len();
        }
    }

    /// A mark of emphasis, if `c` is one here.
    fn mark(&mut self, c: char) -> Option<usize> {
        let mark = MARKS.iter().position(|(mark, ..)| *mark == c)?;
        if mark == 0 && self.place == Place::Bold {
            return None;
        }
        let before = self.before();
        let behind = self.rest()[c.len_utf8()..].chars().next();
        let open = self.open.iter().position(|(open, _)| *open == mark);
        match open {
            Some(index) => {
                let part = self.open[index].1;
                self.close_part();
                let is_empty = self.parts.len() == part + 1;
                if is_empty || before.is_none_or(is_space) || !self.may_follow(behind, index) {
                    return None;
                }
                self.open.truncate(index);
                self.parts[part] = Part::Mark(mark, true);
                self.parts.push(Part::Mark(mark, true));
            }
            None => {
                if !self.may_precede(before) || behind.is_none_or(is_space) {
                    return None;
                }
                self.close_part();
                self.open.push((mark, self.parts.len()));
                self.parts.push(Part::Mark(mark, false));
            }
        }
        Some(c.len_utf8())
    }

    /// Whether an object may begin behind `c`.
    fn may_precede(&self, c: Option<char>) -> bool {
        let Some(c) = c else { return true };
        // Directly behind a mark that is open, as at the beginning of what it marks.
        let is_open = || {
            self.from == self.made.len()
                && self
                    .open
                    .last()
                    .is_some_and(|(mark, part)| MARKS[*mark].0 == c && part + 1 == self.parts.len())
        };
        is_space(c) || "-–—('\"{".contains(c) || is_open()
    }

    /// Whether an object may end before `c`, inside of the first `outer` open marks.
    fn may_follow(&self, c: Option<char>, outer: usize) -> bool {
        let Some(c) = c else { return true };
        is_space(c)
            || "-–—.,:;!?'\")}\\[".contains(c)
            || self.open[..outer].iter().any(|(mark, _)| MARKS[*mark].0 == c)
    }

    /// Code or verbatim.
    fn code(&mut self, mark: char) -> Option<usize> {
        let dead = usize::from(mark == '~');
        if self.no_end[dead] || !self.may_precede(self.before()) {
            return None;
        }
        let rest = &self.rest()[1..];
        let first = rest.chars().next().filter(|c| !is_space(*c))?;
        let end = rest.match_indices(mark).map(|(at, _)| at).find(|at| {
            let behind = rest[at + 1..].chars().next();
            *at >= first.len_utf8()
                && rest[..*at].chars().next_back().is_some_and(|c| !is_space(c))
                && self.may_follow(behind, self.open.len())
        });
        let Some(end) = end else {
            self.no_end[dead] = true;
            return None;
        };
        let code = &rest[..end];
        // A row of marks underlines what is above it.
        if code.chars().all(|c| c == mark) {
            return None;
        }
        let ticks = "`".repeat(longest_ticks(code) + 1);
        let blank = if code.starts_with('`') || code.ends_with('`') { " " } else { "" };
        for piece in [&ticks, blank, code, blank, &ticks] {
            self.made.push_str(piece);
        }
        Some(end + 2)
    }

    /// A link in brackets, if it may lead somewhere; the words of one that leads inside Org.
    fn link(&mut self) -> Option<usize> {
        let rest = self.rest().strip_prefix("[[")?;
        if self.no_end[2] {
            return None;
        }
        let end = rest.find(['[', ']'])?;
        let target = &rest[..end];
        if target.is_empty() || !links::is_live(target) {
            return None;
        }
        let (words, length) = if rest[end..].starts_with("]]") {
            (target, end + 4)
        } else {
            let words = rest[end..].strip_prefix("][")?;
            let Some(close) = words.find("]]") else {
                self.no_end[2] = true;
                return None;
            };
            (&words[..close], end + close + 6)
        };
        if words.is_empty() {
            return None;
        }
        let words = write(words, Place::Link);
        match destination(target) {
            Some(to) => self.made.push_str(&format!("[{words}]({to})")),
            None => self.made.push_str(&words),
        }
        Some(length)
    }

    /// A web address, or one for mail in angles.
    fn address(&mut self, c: char) -> Option<usize> {
        let angle = usize::from(c == '<');
        let rest = &self.rest()[angle..];
        if self.before().is_some_and(char::is_alphanumeric) {
            return None;
        }
        let kind = ["https://", "http://", "mailto:"].into_iter().find(|kind| rest.starts_with(kind))?;
        let ends = |c: char| {
            is_space(c)
                || c.is_control()
                || !c.is_ascii_graphic() && c.is_ascii()
                || "<>[]`\"|\\{}".contains(c)
        };
        // What is before the `@` ends where another address could begin.
        if kind == "mailto:" {
            let name = rest[kind.len()..].find(|c| c == '@' || c == ':' || ends(c))?;
            if !rest[kind.len() + name..].starts_with('@') {
                return None;
            }
        }
        let whole = rest.find(ends).unwrap_or(rest.len());
        let is_closed = rest[whole..].starts_with('>');
        let length = match angle == 1 && is_closed {
            true => whole,
            false => trimmed(&rest[..whole]),
        };
        if angle == 1 && !is_closed
            || length <= kind.len()
            || kind == "mailto:" && !rest[..length].contains('@')
        {
            return None;
        }
        self.made.push('<');
        self.made.push_str(&rest[..length]);
        self.made.push('>');
        Some(length + 2 * angle)
    }

    /// A character as text.
    fn literal(&mut self, c: char) {
        let behind = self.rest()[c.len_utf8()..].chars().next();
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let needs = match c {
            '\\' | '`' | '*' | '[' | ']' | '~' | '|' | '$' => true,
            '_' => !(is_word(self.before()) && is_word(behind)),
            '<' => behind.is_some_and(|c| !is_space(c)),
            '&' => behind.is_some_and(|c| c == '#' || c.is_ascii_alphanumeric()),
            '!' => behind == Some('['),
            '{' => self.place == Place::Heading,
            // Markdown takes hashes at the end for decoration.
            '#' if self.place == Place::Heading => self.at == self.hashes,
            _ => self.place == Place::Line && self.begins_block(c, behind),
        };
        if needs {
            self.made.push('\\');
        }
        self.made.push(c);
    }

    /// Whether `c` at this place of a line would begin a block.
    fn begins_block(&self, c: char, behind: Option<char>) -> bool {
        match c {
            '#' | '>' | '-' | '+' | '=' => self.at == 0,
            ':' => self.at == 0 && behind.is_some_and(|c| matches!(c, '-' | ' ')),
            '.' | ')' => {
                let digits = &self.text[..self.at];
                (1..10).contains(&digits.len())
                    && digits.bytes().all(|b| b.is_ascii_digit())
                    && behind.is_none_or(is_space)
            }
            _ => false,
        }
    }
}

fn is_space(c: char) -> bool {
    c.is_whitespace()
}

/// How much of a web address is one: not the punctuation of the sentence it stands in.
fn trimmed(address: &str) -> usize {
    let count = |mark: char| address.matches(mark).count();
    // How many are closed here and were opened in the sentence.
    let mut closed = count(')').saturating_sub(count('('));
    let mut end = address;
    loop {
        let bare = end.trim_end_matches(['.', ',', ':', ';', '!', '?', '\'', '*', '_', '~', '+', '=']);
        match bare.strip_suffix(')').filter(|_| closed > 0) {
            Some(inside) => (end, closed) = (inside, closed - 1),
            None => return bare.len(),
        }
    }
}

/// The destination of a link to `target`, as it stands between parentheses. Nothing if Markdown cannot go there.
fn destination(target: &str) -> Option<String> {
    let path = match target.split_once(':') {
        Some(("http" | "https" | "mailto", _)) => target,
        Some(("file", path)) => local(path)?,
        None if target.starts_with("./") || target.starts_with("../") => local(target)?,
        _ => return None,
    };
    let mut out = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '(' | ')' | '&' => {
                out.push('\\');
                out.push(c);
            }
            ' ' | '<' | '>' | '"' | '`' | '\\' | '|' | '{' | '}' | '^' => {
                out.push_str(&format!("%{:02X}", u32::from(c)));
            }
            c if c.is_control() || c.is_whitespace() => {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|b| out.push_str(&format!("%{b:02X}")));
            }
            c => out.push(c),
        }
    }
    Some(out)
}

/// A local path that is one for Markdown, too, without what is to be looked for in the file.
fn local(path: &str) -> Option<&str> {
    let path = path.split_once("::").map_or(path, |(path, _)| path);
    let path = path.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(path);
    let is_plain = !path.is_empty() && !path.starts_with("//") && !path.starts_with('~');
    (is_plain && !path.contains([':', '\\', '?', '#'])).then_some(path)
}

//! Text to forms, with a stack of its own: bounded in size, depth and number of elements.

use std::sync::Arc;

use super::core::Core;
use super::fault::{Fault, Kind};
use super::hints;
use super::names::{self, Sym, lower_char};
use super::syntax::{Id, Node, Span, Tree};

/// The most bytes of one text.
pub const MAX_TEXT: usize = 1 << 20;
/// How deep forms may nest, quotes included.
pub const MAX_NESTING: usize = 512;
/// How many elements one load or one `read-from-string` may have.
pub const MAX_ELEMENTS: usize = 400_000;

/// Libraries whose names are known with their prefix.
const LIBRARIES: &[&str] = &["uiop", "cl-ppcre", "ppcre"];

enum Open {
    /// A list, and after its dot how many elements stood before it.
    List(Option<usize>),
    /// `'`, `#'`, a backquote, `,` or `,@` as the symbol it stands for.
    Prefix(Sym),
}

struct Level {
    open: Open,
    span: Span,
    /// Where its children start among the pending ones.
    from: usize,
}

pub struct Reader<'r> {
    text: &'r str,
    number: u32,
    at: usize,
    line: u32,
    core: &'r mut Core,
    tree: &'r mut Tree,
    levels: Vec<Level>,
    pending: Vec<Id>,
    /// Stop after one form.
    one: bool,
}

type Read<T> = Result<T, (Fault, Span)>;

fn is_blank(c: char) -> bool {
    c.is_whitespace()
}

fn ends_token(c: char) -> bool {
    is_blank(c) || matches!(c, '(' | ')' | '"' | ';' | '\'' | '`' | ',')
}

impl<'r> Reader<'r> {
    /// A reader of a text, whose work `core` pays for.
    pub fn new(text: &'r str, number: u32, line: u32, core: &'r mut Core, tree: &'r mut Tree) -> Self {
        Self { text, number, at: 0, line, core, tree, levels: Vec::new(), pending: Vec::new(), one: false }
    }

    /// The first form, if there is one, and where it ends.
    pub fn one(mut self) -> Read<(Option<Id>, usize)> {
        self.one = true;
        self.read()?;
        Ok((self.pending.first().copied(), self.at))
    }

    /// All forms.
    pub fn all(mut self) -> Read<Vec<Id>> {
        self.read()?;
        Ok(self.pending)
    }

    fn here(&self) -> Span {
        let at = u32::try_from(self.at).unwrap_or(u32::MAX);
        Span { text: self.number, line: self.line, start: at, end: at }
    }

    fn fail<T>(&self, span: Span, message: impl Into<String>, hint: &str) -> Read<T> {
        Err((Fault::new(Kind::Syntax, message).hint(hint), self.closed(span)))
    }

    fn missing<T>(&self, span: Span, what: &str, hint: &str) -> Read<T> {
        Err((Fault::new(Kind::Unsupported, format!("{what} is not there")).hint(hint), self.closed(span)))
    }

    fn charge(&mut self, work: usize) -> Read<()> {
        self.core.charge(work as u64).map_err(|fault| (fault, self.here()))
    }

    fn closed(&self, span: Span) -> Span {
        Span { end: u32::try_from(self.at).unwrap_or(u32::MAX).max(span.start), ..span }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        self.line += u32::from(c == '\n');
        Some(c)
    }

    fn read(&mut self) -> Read<()> {
        if self.text.len() > MAX_TEXT {
            return self.fail(self.here(), "the text has more than 1 MiB", "Split the note.");
        }
        while let Some(c) = self.peek() {
            let span = self.here();
            match c {
                _ if is_blank(c) => drop(self.next()),
                ';' => while self.next().is_some_and(|c| c != '\n') {},
                '(' => {
                    self.next();
                    self.open(Open::List(None), span)?;
                }
                ')' => {
                    self.next();
                    self.close(span)?;
                }
                '\'' => {
                    self.next();
                    self.open(Open::Prefix(names::QUOTE), span)?;
                }
                '`' => {
                    self.next();
                    self.open(Open::Prefix(names::QUASIQUOTE), span)?;
                }
                ',' => {
                    self.next();
                    let splice = self.peek() == Some('@');
                    if splice {
                        self.next();
                    }
                    self.open(Open::Prefix(if splice { names::SPLICE } else { names::UNQUOTE }), span)?;
                }
                '"' => {
                    self.next();
                    self.string(span)?;
                }
                '#' => {
                    self.next();
                    self.sharp(span)?;
                }
                _ => self.token(span)?,
            }
            if self.one && self.levels.is_empty() && !self.pending.is_empty() {
                return Ok(());
            }
        }
        match self.levels.pop() {
            None => Ok(()),
            Some(Level { open: Open::List(_), span, .. }) => self.fail(
                Span { end: u32::try_from(self.text.len()).unwrap_or(u32::MAX), ..span },
                format!("the list that opens in line {} is not closed", span.line),
                "Add the missing closing parenthesis.",
            ),
            Some(level) => {
                self.fail(level.span, "nothing follows a quote", "Write the quoted form after it.")
            }
        }
    }

    fn open(&mut self, open: Open, span: Span) -> Read<()> {
        if self.levels.len() >= MAX_NESTING {
            return self.fail(
                span,
                format!("forms nest more than {MAX_NESTING} deep"),
                "Give inner parts names.",
            );
        }
        self.levels.push(Level { open, span, from: self.pending.len() });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Read<()> {
        match self.levels.pop() {
            Some(Level { open: Open::List(dot), span: start, from }) => {
                let whole = self.closed(start);
                let count = self.pending.len() - from;
                self.charge(count / 8)?;
                if dot.is_some_and(|before| count != before + 1) {
                    return self.fail(whole, "after a dot stands one form", "Write (a . b).");
                }
                let id = if count == 0 {
                    self.tree.add(Node::Sym(names::NIL), whole, false)
                } else {
                    // A tail that is a list itself makes one list.
                    let tail = dot.and_then(|_| self.pending.last().copied());
                    let inner = tail.and_then(|tail| self.tree.items(tail).map(<[Id]>::to_vec));
                    let quoted = tail.and_then(|tail| self.tree.head(tail));
                    let quoted = matches!(quoted, Some(names::UNQUOTE | names::SPLICE));
                    match inner {
                        Some(inner) if !quoted => {
                            // Its elements are copied, perhaps once more at each level around it.
                            self.charge(inner.len())?;
                            self.pending.pop();
                            self.pending.extend(inner);
                            self.tree.add_list(&self.pending[from..], whole, false, false)
                        }
                        _ => self.tree.add_list(&self.pending[from..], whole, false, dot.is_some()),
                    }
                };
                self.pending.truncate(from);
                self.push(id)
            }
            Some(_) => self.fail(span, "nothing follows a quote", "Write the quoted form after it."),
            None => self.fail(span, "a closing parenthesis too many", "Remove it, or open a list before it."),
        }
    }

    /// A form is complete: it goes to its list, after what quotes it.
    fn push(&mut self, mut id: Id) -> Read<()> {
        self.charge(1)?;
        if self.tree.len() > MAX_ELEMENTS {
            return self.fail(self.here(), format!("more than {MAX_ELEMENTS} elements"), "Split the note.");
        }
        while let Some(Level { open: Open::Prefix(_), .. }) = self.levels.last() {
            let Some(Level { open: Open::Prefix(sym), span, .. }) = self.levels.pop() else { break };
            self.charge(2)?;
            let span = self.closed(span);
            let word = self.tree.add(Node::Sym(sym), span, false);
            id = self.tree.add_list(&[word, id], span, false, false);
        }
        self.pending.push(id);
        Ok(())
    }

    fn atom(&mut self, node: Node, span: Span) -> Read<()> {
        let span = self.closed(span);
        let id = self.tree.add(node, span, false);
        self.push(id)
    }

    fn string(&mut self, span: Span) -> Read<()> {
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return self.atom(Node::Str(Arc::from(text)), span),
                Some('\\') => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some(c) => text.push(c),
                    None => break,
                },
                Some(c) => text.push(c),
                None => break,
            }
        }
        self.fail(
            span,
            format!("the string that opens in line {} is not closed", span.line),
            "Add the closing quote.",
        )
    }

    fn sharp(&mut self, span: Span) -> Read<()> {
        match self.peek() {
            Some('\'') => {
                self.next();
                self.open(Open::Prefix(names::FUNCTION), span)
            }
            Some(':') => {
                self.next();
                self.token(span)
            }
            Some('|') => self.comment(span),
            Some('\\') => {
                self.next();
                self.character(span)
            }
            Some('(') => self.missing(span, "a vector, #(", "Use a list: '(…)."),
            Some('.') => self.missing(span, "#. (evaluation while reading)", "Write the value itself."),
            Some('+' | '-') => {
                self.missing(span, "#+ and #- (features)", "Write the one form that is meant.")
            }
            Some(c) => {
                let hint = hints::sharp(&self.text[self.at..]);
                self.next();
                while self.peek().is_some_and(|c| !ends_token(c)) {
                    self.next();
                }
                self.missing(span, &format!("the syntax #{c}"), &hint)
            }
            None => self.fail(span, "the text ends after #", "Remove it."),
        }
    }

    fn comment(&mut self, span: Span) -> Read<()> {
        self.next();
        let (mut depth, mut last) = (1_usize, ' ');
        while let Some(c) = self.next() {
            match (last, c) {
                ('|', '#') => depth -= 1,
                ('#', '|') => depth += 1,
                _ => {
                    last = c;
                    continue;
                }
            }
            last = ' ';
            if depth == 0 {
                return Ok(());
            }
        }
        self.fail(span, "the comment #| is not closed", "Add |#.")
    }

    fn character(&mut self, span: Span) -> Read<()> {
        let from = self.at;
        let Some(first) = self.next() else {
            return self.fail(span, "the text ends after #\\", "Write a character.");
        };
        while self.peek().is_some_and(|c| !ends_token(c)) {
            self.next();
        }
        let word = &self.text[from..self.at];
        let c = if word.chars().nth(1).is_none() {
            first
        } else {
            match names::lower(word).as_str() {
                "space" => ' ',
                "newline" | "linefeed" => '\n',
                "tab" => '\t',
                "return" => '\r',
                "page" => '\u{c}',
                "backspace" => '\u{8}',
                "rubout" | "delete" => '\u{7f}',
                "nul" | "null" => '\0',
                _ => {
                    return self.fail(
                        span,
                        format!("no character is called {}", clip(word)),
                        "Try #\\Space or #\\Newline.",
                    );
                }
            }
        };
        self.atom(Node::Char(c), span)
    }

    /// A number, a symbol or a keyword. Parts between bars may hold any character.
    fn token(&mut self, span: Span) -> Read<()> {
        let (mut name, mut escaped, mut colon) = (String::new(), false, None);
        while let Some(c) = self.peek() {
            match c {
                '|' => {
                    self.next();
                    escaped = true;
                    loop {
                        match self.next() {
                            Some('|') => break,
                            Some('\\') => name.extend(self.next().map(lower_char)),
                            Some(c) => name.push(lower_char(c)),
                            None => return self.fail(span, "a symbol's | is not closed", "Add |."),
                        }
                    }
                }
                '\\' => {
                    self.next();
                    escaped = true;
                    name.extend(self.next().map(lower_char));
                }
                _ if ends_token(c) => break,
                _ => {
                    self.next();
                    if c == ':' && !escaped {
                        colon = Some(name.len());
                    }
                    name.push(lower_char(c));
                }
            }
        }
        if !escaped {
            if name == "." {
                return self.dot(span);
            }
            if let Some(number) = self.number(&name, span)? {
                return self.atom(number, span);
            }
        }
        let node = match colon {
            None => Node::Sym(self.core.names.intern(&name)),
            Some(at) => {
                let (package, word) = (name[..at].trim_end_matches(':'), &name[at + 1..]);
                if word.is_empty() && !escaped {
                    return self.fail(
                        span,
                        format!("no name follows the colon in {}", clip(&name)),
                        "Write :name.",
                    );
                }
                let full = format!("{package}:{word}");
                if package.is_empty() || package == "keyword" {
                    Node::Key(self.core.names.intern(word))
                } else if LIBRARIES.contains(&package) && self.core.names.find(&full).is_some() {
                    Node::Sym(self.core.names.intern(&full))
                } else {
                    Node::Sym(self.core.names.intern(word))
                }
            }
        };
        self.atom(node, span)
    }

    fn dot(&mut self, span: Span) -> Read<()> {
        let count = self.pending.len();
        match self.levels.last_mut() {
            Some(Level { open: Open::List(dot @ None), from, .. }) if count > *from => {
                *dot = Some(count - *from);
                Ok(())
            }
            _ => self.fail(span, "a dot stands where none may", "Write (a . b)."),
        }
    }

    fn number(&self, word: &str, span: Span) -> Read<Option<Node>> {
        match number(word) {
            Number::No => Ok(None),
            Number::Int(number) => Ok(Some(Node::Int(number))),
            Number::Float(number) => Ok(Some(Node::Float(number))),
            Number::Ratio => {
                self.missing(span, &format!("the ratio {}", clip(word)), "Use a float: 1/2 is 0.5.")
            }
            Number::Large => self.fail(
                span,
                format!("{} has more than 64 bits", clip(word)),
                "Use a float, or a smaller one.",
            ),
        }
    }
}

/// What a word is as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    No,
    Int(i64),
    Float(f64),
    Ratio,
    Large,
}

/// Reads a word, lower case, as a number.
pub fn number(word: &str) -> Number {
    let digits = word.strip_prefix(['+', '-']).unwrap_or(word);
    let sign = if word.starts_with('-') { "-" } else { "" };
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Number::No;
    }
    let whole = digits.strip_suffix('.').unwrap_or(digits);
    if !whole.is_empty() && all_digits(whole) {
        return format!("{sign}{whole}").parse().map_or(Number::Large, Number::Int);
    }
    if let Some((over, under)) = digits.split_once('/')
        && [over, under].iter().all(|part| !part.is_empty() && all_digits(part))
    {
        return Number::Ratio;
    }
    let (mantissa, exponent) = match digits.find(['e', 'd', 'f', 's', 'l']) {
        Some(at) => (&digits[..at], &digits[at + 1..]),
        None => (digits, "0"),
    };
    let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_number = [before, after, power].iter().all(|part| all_digits(part))
        && !(after.is_empty() || power.is_empty())
        && (mantissa.contains('.') || digits.len() > mantissa.len())
        && (!before.is_empty() || mantissa.contains('.'));
    if !is_number {
        return Number::No;
    }
    match format!("{sign}{before}.{after}e{exponent}").parse::<f64>() {
        Ok(number) if number.is_finite() => Number::Float(number),
        _ => Number::Large,
    }
}

fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(40)]
}

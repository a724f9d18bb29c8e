//! Plain data that goes into a call and comes out of it, and its bounded printer.

use std::fmt::Write as _;

/// How deep data that crosses the border may nest.
pub const MAX_DEPTH: usize = 128;

/// How many nodes data that crosses the border may have.
pub const MAX_NODES: usize = 200_000;

/// A value without identity: no functions but as their printed name, no sharing, no cycles.
///
/// Names of symbols and keywords are lower case; keywords without the colon.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Datum {
    /// The empty list, and false.
    #[default]
    Nil,
    /// True.
    T,
    /// A symbol, lower case.
    Symbol(String),
    /// A keyword, lower case, without the colon.
    Keyword(String),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// One character.
    Char(char),
    /// Text.
    Str(String),
    /// A list that is not empty ([`Datum::list`] turns an empty one into [`Datum::Nil`]).
    List(Vec<Datum>),
    /// A list that ends in something other than nil: `(a b . c)`.
    Dotted(Vec<Datum>, Box<Datum>),
    /// What is no data, as it prints: `#<function F>`.
    Opaque(String),
}

impl Datum {
    /// A keyword; its name is lowered.
    pub fn keyword(name: &str) -> Self {
        Self::Keyword(super::names::lower(name))
    }

    /// A string.
    pub fn str(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }

    /// A list; an empty one is nil.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        let items: Vec<Self> = items.into_iter().collect();
        if items.is_empty() { Self::Nil } else { Self::List(items) }
    }

    /// `(:key value …)`.
    pub fn plist<'k>(pairs: impl IntoIterator<Item = (&'k str, Self)>) -> Self {
        Self::list(pairs.into_iter().flat_map(|(key, value)| [Self::keyword(key), value]))
    }

    /// T or nil.
    #[must_use]
    pub const fn bool(is: bool) -> Self {
        if is { Self::T } else { Self::Nil }
    }

    /// Whether this is anything but nil, which is what counts as true.
    #[must_use]
    pub const fn is_true(&self) -> bool {
        !matches!(self, Self::Nil)
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The elements: of nil none, of anything but a proper list nothing.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match self {
            Self::Nil => Some(&[]),
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value after the keyword `key` (lower case, no colon) in a property list; the first wins, as with `getf`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.items()?
            .chunks_exact(2)
            .find(|pair| matches!(&pair[0], Self::Keyword(name) if name == key))
            .map(|pair| &pair[1])
    }

    /// As an s-expression on one line, names in lower case, at most about `limit` bytes: what is beyond is `…`.
    #[must_use]
    pub fn print(&self, limit: usize) -> String {
        enum Step<'d> {
            Show(&'d Datum),
            Text(&'static str),
        }
        let mut out = String::new();
        let mut steps = vec![Step::Show(self)];
        while let Some(step) = steps.pop() {
            if out.len() > limit {
                out.truncate(out.floor_char_boundary(limit));
                out.push('…');
                break;
            }
            match step {
                Step::Text(text) => out.push_str(text),
                Step::Show(Self::List(items)) => {
                    steps.push(Step::Text(")"));
                    items_of(items, &mut steps);
                    out.push('(');
                }
                Step::Show(Self::Dotted(items, tail)) => {
                    steps.extend([Step::Text(")"), Step::Show(tail), Step::Text(" . ")]);
                    items_of(items, &mut steps);
                    out.push('(');
                }
                Step::Show(atom) => atom.print_atom(limit, &mut out),
            }
        }
        fn items_of<'d>(items: &'d [Datum], steps: &mut Vec<Step<'d>>) {
            for (at, item) in items.iter().enumerate().rev() {
                steps.push(Step::Show(item));
                if at > 0 {
                    steps.push(Step::Text(" "));
                }
            }
        }
        out
    }

    fn print_atom(&self, limit: usize, out: &mut String) {
        match self {
            Self::Nil | Self::List(_) | Self::Dotted(..) => out.push_str("nil"),
            Self::T => out.push('t'),
            Self::Symbol(name) | Self::Opaque(name) => out.push_str(name),
            Self::Keyword(name) => {
                out.push(':');
                out.push_str(name);
            }
            // Writing to a String can not fail.
            Self::Int(number) => drop(write!(out, "{number}")),
            Self::Float(number) => drop(write!(out, "{number:?}")),
            Self::Char(c) => drop(write!(out, "#\\{c}")),
            Self::Str(text) => {
                out.push('"');
                for c in text.chars() {
                    if out.len() > limit {
                        return;
                    }
                    if matches!(c, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(c);
                }
                out.push('"');
            }
        }
    }
}

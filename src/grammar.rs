//! The exported grammars: what a model may answer, in the languages of engines that constrain decoding.
//!
//! They describe the canonical form and nothing else: what they generate the verifier accepts, and what
//! the printer prints they accept, up to the limits below. All of it is made from the grammar table; a new
//! row needs no change here.

mod characters;
mod gbnf;
mod json_schema;
mod lark;
mod seconds;

use crate::action::{Action, CHAT_BUFFER, Field, GRAMMAR, MAX_REPLY, Row, Shape, Value};
use crate::error::{Error, Result};
use crate::sexp::printer::print;
use crate::sexp::recogniser::Recogniser;
use characters::Class;

/// The most characters of a text, unless another number is asked for.
pub const MAX_TEXT: usize = 49_152;
/// The most characters of a command.
pub const MAX_COMMAND: usize = 16_384;
/// The most characters of any other string.
pub const MAX_OTHER: usize = 4_096;
/// The most bytes of a buffer's name, as it is printed.
const MAX_NAME: usize = 1_024;
/// The most bytes of a character, as it is printed.
const WIDEST: usize = 4;

/// The characters of a block: engines count long strings in blocks.
const BLOCK: usize = 256;

/// What to export.
#[derive(Debug)]
pub struct Export {
    table: &'static [Row],
    /// The session's buffer, as it was given.
    buffer: String,
    /// The names that stand for it.
    names: Vec<String>,
    max_text: usize,
}

/// How many of which characters a string has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Strings {
    class: Class,
    least: usize,
    most: usize,
}

/// A piece of the canonical form.
#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(String),
    /// A string in its quotes.
    Text(Strings),
    /// A number from 1 to this.
    Seconds(u32),
    Optional(Vec<Part>),
    Either(Vec<Vec<Part>>),
}

impl Export {
    /// The grammar for a session whose buffer is `buffer`, with at most `max_text` characters in a text.
    /// A buffer with a control character in its name can not be written, so it is no choice.
    ///
    /// # Errors
    /// `bad_request` if what the grammar generates could be longer than a reply may be.
    pub fn new(buffer: &str, max_text: usize) -> Result<Self> {
        Self::of(&GRAMMAR, buffer, max_text)
    }

    fn of(table: &'static [Row], buffer: &str, max_text: usize) -> Result<Self> {
        let mut names = vec![CHAT_BUFFER.to_owned()];
        if buffer != CHAT_BUFFER && is_writable(buffer) {
            names.push(buffer.to_owned());
        }
        let export = Self { table, buffer: buffer.to_owned(), names, max_text };
        let longest = export.names.iter().map(|name| printed(name).len()).max().unwrap_or_default();
        if longest > MAX_NAME {
            return Err(Error::bad_request("the buffer's name is too long for a grammar")
                .because(format!("it takes {longest} bytes, and at most {MAX_NAME} are allowed"))
                .hint(format!("leave --buffer out: {CHAT_BUFFER} always means this session")));
        }
        if max_text == 0 {
            return Err(Error::bad_request("--max-text 0 leaves no room for a command")
                .hint(format!("give a number from 1 to {}", export.limit())));
        }
        if !export.fits() {
            let limit = export.limit();
            return Err(Error::bad_request(format!("--max-text {max_text} is too large"))
                .because(format!(
                    "a reply has at most {MAX_REPLY} bytes, and this many characters may take more"
                ))
                .hint(format!("give a number from 1 to {limit}")));
        }
        Ok(export)
    }

    /// For llama.cpp: GBNF.
    #[must_use]
    pub fn gbnf(&self) -> String {
        gbnf::write(self)
    }

    /// For llguidance, which OpenAI's custom tools and vLLM use, too: Lark.
    #[must_use]
    pub fn lark(&self) -> String {
        lark::write(self)
    }

    /// For everything that takes a JSON Schema: the JSON form of the actions.
    #[must_use]
    pub fn json_schema(&self) -> serde_json::Value {
        json_schema::schema(self)
    }

    /// The largest number of characters in a text with which every form fits into a reply.
    fn limit(&self) -> usize {
        let (mut good, mut bad) = (0, MAX_REPLY);
        while bad - good > 1 {
            let max_text = good.midpoint(bad);
            let export =
                Self { table: self.table, buffer: String::new(), names: self.names.clone(), max_text };
            if export.fits() {
                good = max_text;
            } else {
                bad = max_text;
            }
        }
        good
    }

    fn fits(&self) -> bool {
        self.max_text <= MAX_REPLY && self.table.iter().all(|row| self.longest(row) <= MAX_REPLY)
    }

    /// How many bytes an action of this form can have, as a property list or as JSON.
    fn longest(&self, row: &'static Row) -> usize {
        let mut action = Action::new(row);
        action.explain(Some(String::new()));
        let mut characters = EXPLANATION.most(self);
        for field in row.payload {
            let longest = |words: &mut dyn Iterator<Item = &str>| {
                words.max_by_key(|word| printed(word).len()).unwrap_or_default().to_owned()
            };
            let value = match field.shape {
                Shape::Keyword(words) => {
                    Value::Keyword(words.iter().copied().max_by_key(|word| word.len()).unwrap_or_default())
                }
                Shape::Seconds(most) => Value::Integer(most),
                Shape::Buffer => Value::Text(longest(&mut self.names.iter().map(String::as_str))),
                Shape::Text | Shape::Command | Shape::Path | Shape::Name => {
                    characters += Kind::of(field.shape).most(self);
                    Value::Text(String::new())
                }
            };
            action.set(field.key, value);
        }
        print(&action).len().max(action.to_json().to_string().len()) + WIDEST * characters
    }

    /// The canonical form of a row.
    fn form(&self, row: &Row) -> Vec<Part> {
        let target = row.target.map_or_else(String::new, |target| format!(" :target :{target}"));
        let explanation = vec![Part::literal(" :explanation "), Part::Text(EXPLANATION.strings(self))];
        let mut parts = vec![
            Part::Literal(format!("(:type :{}{target}", row.type_)),
            Part::Optional(explanation),
            Part::literal(" :payload ("),
        ];
        append(&mut parts, self.fields(row.payload));
        append(&mut parts, vec![Part::literal("))")]);
        parts
    }

    /// Keys and values with one space between them, whichever of the optional ones are there.
    fn fields(&self, fields: &[Field]) -> Vec<Part> {
        let behind = |parts: &mut Vec<Part>, fields: &[Field]| {
            for field in fields {
                let mut next = vec![Part::literal(" ")];
                append(&mut next, self.field(field));
                append(parts, if field.required { next } else { vec![Part::Optional(next)] });
            }
        };
        if let Some(first) = fields.iter().position(|field| field.required) {
            let mut parts = Vec::new();
            for field in &fields[..first] {
                let mut before = self.field(field);
                append(&mut before, vec![Part::literal(" ")]);
                parts.push(Part::Optional(before));
            }
            append(&mut parts, self.field(&fields[first]));
            behind(&mut parts, &fields[first + 1..]);
            return parts;
        }
        // None has to be there: which comes first decides where the spaces are.
        let begin_with = |first: usize| {
            let mut parts = self.field(&fields[first]);
            behind(&mut parts, &fields[first + 1..]);
            parts
        };
        match fields.len() {
            0 => Vec::new(),
            count => vec![Part::Optional(vec![Part::Either((0..count).map(begin_with).collect())])],
        }
    }

    fn field(&self, field: &Field) -> Vec<Part> {
        let either = |words: Vec<String>| {
            Part::Either(words.into_iter().map(|word| vec![Part::Literal(word)]).collect())
        };
        let value = match field.shape {
            Shape::Keyword(words) => either(words.iter().map(|word| format!(":{word}")).collect()),
            Shape::Buffer => either(self.names.iter().map(|name| printed(name)).collect()),
            Shape::Seconds(most) => Part::Seconds(most),
            Shape::Text | Shape::Command | Shape::Path | Shape::Name => {
                Part::Text(Kind::of(field.shape).strings(self))
            }
        };
        let mut parts = vec![Part::Literal(format!(":{} ", field.key))];
        append(&mut parts, vec![value]);
        parts
    }

    /// One line that says what an export is and the command that made it, for a comment.
    fn origin(&self, format: &str) -> String {
        format!(
            "The canonical form of org-agent's actions; made by: org-agent grammar --format {format} --buffer={} \
             --max-text {}{}",
            shell(&self.buffer),
            self.max_text,
            if self.names.contains(&self.buffer) {
                ""
            } else {
                " (without that buffer: its name cannot be written)"
            }
        )
    }
}

/// What a string is for, as far as its limits go.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Command,
    Path,
    Other,
}

const EXPLANATION: Kind = Kind::Other;

impl Kind {
    fn of(shape: Shape) -> Self {
        match shape {
            Shape::Text => Self::Text,
            Shape::Command => Self::Command,
            Shape::Path => Self::Path,
            Shape::Name | Shape::Buffer | Shape::Keyword(_) | Shape::Seconds(_) => Self::Other,
        }
    }

    fn most(self, export: &Export) -> usize {
        export.max_text.min(match self {
            Self::Text => usize::MAX,
            Self::Command => MAX_COMMAND,
            Self::Path | Self::Other => MAX_OTHER,
        })
    }

    fn strings(self, export: &Export) -> Strings {
        let class = match self {
            Self::Text | Self::Other => Class::Any,
            Self::Command | Self::Path => Class::Clear,
        };
        Strings { class, least: usize::from(matches!(self, Self::Command)), most: self.most(export) }
    }
}

impl Part {
    fn literal(text: &str) -> Self {
        Self::Literal(text.to_owned())
    }
}

/// Appends `more`; what is literal at the seam becomes one, and so does a choice of one literal.
fn append(parts: &mut Vec<Part>, more: Vec<Part>) {
    for part in more {
        let part = match part {
            Part::Either(mut ways) if ways.len() == 1 => {
                append(parts, ways.remove(0));
                continue;
            }
            part => part,
        };
        match (parts.last_mut(), part) {
            (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(&text),
            (_, part) => parts.push(part),
        }
    }
}

/// The name of each row's rule, in order. They all begin with `action`, which no other rule does.
fn rule_names(table: &[Row], separator: char) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (number, row) in table.iter().enumerate() {
        let words = [Some("action"), Some(row.type_), row.target];
        let mut name = words.into_iter().flatten().collect::<Vec<_>>().join("-");
        name = name.replace('-', &separator.to_string());
        if names.contains(&name) {
            name = format!("{name}{separator}{}", number + 1);
        }
        names.push(name);
    }
    names
}

/// Whether the verifier reads `buffer` back as it is printed.
fn is_writable(buffer: &str) -> bool {
    let mut recogniser = Recogniser::new(buffer);
    let fed = recogniser.feed(print(&Action::insert(buffer, "")).as_bytes());
    fed.and_then(|()| recogniser.finish()).is_ok()
}

/// `text` as the printer prints it.
fn printed(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `text` inside double quotes with quotes and backslashes escaped: a literal of GBNF and of Lark. What is
/// printed has no line breaks in it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// `text` as one word of a shell, in one line.
fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if !text.contains('\'') && text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return format!("'{text}'");
    }
    let mut out = String::from("$'");
    for c in text.chars() {
        match c {
            '\\' | '\'' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests;

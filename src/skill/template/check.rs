//! What a template may say: looked at by the engine's own tokens, before it parses them.

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

/// The most tokens of one `{{ … }}` or `{% … %}`, and how deep brackets nest in it.
const TOKENS: usize = 200;
const BRACKETS: usize = 16;

/// How deep blocks nest, and how many `elif`s there are: each stands inside of the one before.
const BLOCKS: usize = 24;
const ELIFS: usize = 64;

/// The tags that there are, and whether they end with one of their own.
const TAGS: &[(&str, bool)] = &[
    ("if", true),
    ("elif", false),
    ("else", false),
    ("for", true),
    ("set", false),
    ("with", true),
    ("filter", true),
    ("endif", false),
    ("endfor", false),
    ("endset", false),
    ("endwith", false),
    ("endfilter", false),
];

const SEE: &str = "See \"Templates\" in docs/skills.md.";

/// What is wrong, and in which line of the template, from 1.
#[derive(Debug)]
pub struct No {
    pub line: usize,
    pub message: String,
    pub hint: &'static str,
}

/// What brackets hold.
#[derive(Clone, Copy, PartialEq)]
enum Bracket {
    /// `f(a, b)`
    Call,
    /// `(a)`
    Group,
    /// `a[b]`
    Index,
}

/// A tag that is being looked at.
#[derive(Default)]
struct Tag {
    tokens: usize,
    /// Whether what came last can be called, or has parts.
    value: bool,
    brackets: Vec<Bracket>,
    /// Its first word, in a block.
    word: Option<String>,
    block: bool,
    /// Whether a `set` gives a value by `=`.
    assigns: bool,
}

/// Looks through a template.
///
/// # Errors
/// The first thing that it may not say.
pub fn check(text: &str, syntax: SyntaxConfig) -> Result<(), No> {
    let (mut tag, mut depth, mut elifs) = (Tag::default(), 0_usize, 0);
    for token in tokenize(text, false, syntax) {
        let (token, span) = token.map_err(|error| No {
            line: error.line().unwrap_or(1),
            message: super::said(&error),
            hint: SEE,
        })?;
        let line = usize::from(span.start_line);
        let no = |message: String, hint| Err(No { line, message, hint });
        match token {
            Token::TemplateData(_) => {}
            Token::VariableStart => tag = Tag::default(),
            Token::BlockStart => tag = Tag { block: true, ..Tag::default() },
            Token::VariableEnd => {}
            Token::BlockEnd => {
                let word = tag.word.as_deref().unwrap_or_default();
                let opens = TAGS.iter().any(|(name, opens)| *opens && *name == word);
                if opens || (word == "set" && !tag.assigns) {
                    depth += 1;
                } else if word.starts_with("end") {
                    depth = depth.saturating_sub(1);
                }
                elifs += usize::from(word == "elif");
                if depth > BLOCKS || elifs > ELIFS {
                    return no(
                        format!("blocks nest deeper than {BLOCKS}, or there are more than {ELIFS} elifs"),
                        "Make several templates of it.",
                    );
                }
            }
            token => {
                if let Err((message, hint)) = tag.take(&token) {
                    return no(message, hint);
                }
            }
        }
    }
    Ok(())
}

impl Tag {
    fn take(&mut self, token: &Token<'_>) -> Result<(), (String, &'static str)> {
        self.tokens += 1;
        if self.tokens > TOKENS {
            return Err((
                format!("one tag has more than {TOKENS} words and signs"),
                "Divide it, with {% set NAME = … %}.",
            ));
        }
        let value = std::mem::take(&mut self.value);
        match token {
            Token::Ident(word) if self.block && self.word.is_none() => {
                if !TAGS.iter().any(|(name, _)| name == word) {
                    let word = super::super::content::clip_to(word, 40);
                    return Err((
                        format!("there is no tag {word}"),
                        "There are: if, elif, else, for, set, with, filter, and raw.",
                    ));
                }
                self.word = Some((*word).to_owned());
            }
            // After these a bracket begins a value, and is no call.
            Token::Ident("in" | "and" | "or" | "not" | "if" | "else" | "is" | "recursive") => {}
            Token::Ident(_) | Token::Str(_) | Token::String(_) => self.value = true,
            Token::Int(_) | Token::Int128(_) | Token::Float(_) | Token::Minus => {}
            Token::Dot | Token::Pipe => {}
            Token::Eq | Token::Ne | Token::Gt | Token::Gte | Token::Lt | Token::Lte => {}
            Token::Assign => self.assigns |= self.brackets.is_empty(),
            Token::ParenOpen => self.open(if value { Bracket::Call } else { Bracket::Group })?,
            Token::BracketOpen if value => self.open(Bracket::Index)?,
            Token::ParenClose | Token::BracketClose => {
                self.brackets.pop();
                self.value = true;
            }
            Token::Comma if self.brackets.last() == Some(&Bracket::Call) => {}
            Token::Comma | Token::BracketOpen | Token::BraceOpen | Token::BraceClose | Token::Colon => {
                return Err((
                    format!("{token} makes a list, which templates can not"),
                    "Make it in Lisp, and give it to render.",
                ));
            }
            _ => {
                return Err((
                    format!("templates do not calculate: {token}"),
                    "Do it in Lisp, and give the result to render.",
                ));
            }
        }
        Ok(())
    }

    fn open(&mut self, bracket: Bracket) -> Result<(), (String, &'static str)> {
        self.brackets.push(bracket);
        if self.brackets.len() > BRACKETS {
            return Err((
                format!("brackets nest deeper than {BRACKETS}"),
                "Divide it, with {% set NAME = … %}.",
            ));
        }
        Ok(())
    }
}

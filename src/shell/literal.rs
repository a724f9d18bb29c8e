//! One word of a shell command, and what it is if it always means the same.
//!
//! A word is literal if a shell puts nothing in the place of any part of it: what is left once quotes are
//! removed is what the program gets. Everything that could be more than that is not literal, and why not is
//! said in a few words. It knows one word and no command.

/// A word as it was written, and what it stands for if that is always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it was written, quotes and all.
    pub raw: String,
    /// What a program gets; or why that cannot be told.
    pub literal: Result<String, &'static str>,
}

impl Word {
    /// Reads a word.
    #[must_use]
    pub fn new(raw: &str) -> Self {
        Self { raw: raw.to_owned(), literal: literal(raw) }
    }

    /// What a program gets, if that is known.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.literal.as_deref().ok()
    }
}

const CONTROL: &str = "a control character";
const FOREIGN: &str = "a character that may not be what it looks like";

/// The word without its quotes.
fn literal(raw: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => loop {
                match chars.next() {
                    None => return Err("a quote without an end"),
                    Some('\'') => break,
                    Some(c) => out.push(quoted(c)?),
                }
            },
            '"' => loop {
                match chars.next() {
                    None => return Err("a quote without an end"),
                    Some('"') => break,
                    Some('$') => return Err("an expansion"),
                    Some('`') => return Err("a command substitution"),
                    Some('\\') => match chars.next() {
                        Some(c @ ('$' | '`' | '"' | '\\')) => out.push(c),
                        Some('\n') | None => return Err("a line that goes on"),
                        Some(c) => {
                            out.push('\\');
                            out.push(quoted(c)?);
                        }
                    },
                    Some(c) => out.push(quoted(c)?),
                }
            },
            '\\' => match chars.next() {
                Some(c @ '!'..='~') => out.push(c),
                Some(' ') => out.push(' '),
                Some('\n') | None => return Err("a line that goes on"),
                Some(_) => return Err(FOREIGN),
            },
            '$' => return Err("an expansion"),
            '`' => return Err("a command substitution"),
            '*' | '?' | '[' => return Err("a pattern for file names"),
            // Alone, they are what `find` takes; otherwise they may be braces to expand.
            '{' | '}' if raw != "{}" => return Err("braces"),
            '(' | ')' | '<' | '>' | '|' | '&' | ';' => return Err("an operator inside a word"),
            '~' if out.is_empty() || out.ends_with([':', '=']) => return Err("a home directory"),
            '#' if out.is_empty() => return Err("a comment"),
            // Inside a word it is a sign like any other, but not to every shell and mode.
            '^' => return Err("a sign that shells read differently"),
            c @ '!'..='~' => out.push(c),
            c if c.is_control() || c == ' ' => return Err(CONTROL),
            _ => return Err(FOREIGN),
        }
    }
    Ok(out)
}

/// A character inside quotes.
fn quoted(c: char) -> Result<char, &'static str> {
    match c {
        ' '..='~' => Ok(c),
        _ if c.is_control() => Err(CONTROL),
        // Letters and digits of any script show what they are; blanks, joiners and directions do not.
        _ if c.is_alphanumeric() => Ok(c),
        _ => Err(FOREIGN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_removed_and_nothing_else_is() {
        for (raw, expected) in [
            ("ls", "ls"),
            ("'a b'", "a b"),
            (r#""a \"b\" \\ \n""#, r#"a "b" \ \n"#),
            (r"a\ b", "a b"),
            (r"r\m", "rm"),
            ("''", ""),
            ("a'b'\"c\"d", "abcd"),
            ("{}", "{}"),
            (r"\;", ";"),
            ("--color=auto", "--color=auto"),
            ("'é'", "é"),
            ("a#b", "a#b"),
            ("a~b", "a~b"),
        ] {
            assert_eq!(literal(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn what_could_be_more_is_not_literal() {
        for raw in [
            "$x",
            "\"$x\"",
            "`id`",
            "\"`id`\"",
            "*",
            "a?",
            "[ab]",
            "{a,b}",
            "~",
            "~root",
            "a=~",
            "a:~",
            "#a",
            "'a",
            "\"a",
            "a\\",
            "é",
            "a\tb",
            "'a\tb'",
            "'a\u{200b}b'",
            "a\u{a0}b",
            "<(id)",
            "$'a'",
            "^a",
            "'\u{202e}'",
        ] {
            assert!(literal(raw).is_err(), "{raw}");
        }
    }
}

//! What a note's `defskill` forms say before they are evaluated: the names of the skills, and what they depend on.
//!
//! What a skill depends on is evaluated before it, so it has to be known first. This reads just enough of Lisp to find
//! it where it is written down plainly; the form is what counts, and it is compared with this once it was evaluated.

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The names of the skills, lower case.
    pub names: Vec<String>,
    /// The names in `:dependencies`, lower case, each with its line in the text, from 0.
    pub dependencies: Vec<(usize, String)>,
    /// Whether there is a `defskill` form at all.
    pub defines: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'t> {
    Open,
    Close,
    /// A quote mark of any kind.
    Mark,
    /// A symbol, keyword, number or string, without colons or quotes before it.
    Word(&'t str),
}

/// Looks through the text of a block.
pub fn scan(text: &str) -> Scan {
    let mut found = Scan::default();
    let mut tokens = Tokens { text, at: 0, counted: 0, line: 0 };
    let mut depth = 0_usize;
    // The depth inside the defskill form, the word that a value is awaited for, the depth of that value if it is a list.
    let mut form: Option<usize> = None;
    let mut list: Option<usize> = None;
    let mut awaiting = false;
    let mut opened = false;
    while let Some(token) = tokens.next() {
        let first = std::mem::replace(&mut opened, token == Token::Open);
        match token {
            Token::Open => {
                depth += 1;
                if awaiting {
                    list = Some(depth);
                    awaiting = false;
                }
            }
            Token::Close => {
                list = list.filter(|inner| *inner != depth);
                form = form.filter(|inner| *inner != depth);
                depth = depth.saturating_sub(1);
            }
            Token::Mark => opened = first,
            Token::Word(word) => {
                let word = word.to_lowercase();
                if first && word == "defskill" {
                    found.defines = true;
                    form = Some(depth);
                    // The name comes next.
                    if let Some(Token::Word(name)) = tokens.peek() {
                        found.names.push(name.to_lowercase());
                    }
                } else if awaiting || list.is_some() {
                    if !(first && matches!(word.as_str(), "list" | "quote")) && word != "nil" {
                        found.dependencies.push((tokens.line, word));
                    }
                    awaiting = false;
                } else if form == Some(depth) && word == "dependencies" {
                    awaiting = true;
                }
            }
        }
    }
    found
}

struct Tokens<'t> {
    text: &'t str,
    at: usize,
    /// Up to where lines were counted.
    counted: usize,
    line: usize,
}

impl<'t> Tokens<'t> {
    fn peek(&mut self) -> Option<Token<'t>> {
        let before = (self.at, self.counted, self.line);
        let mut token = self.next();
        while token == Some(Token::Mark) {
            token = self.next();
        }
        (self.at, self.counted, self.line) = before;
        token
    }

    fn next(&mut self) -> Option<Token<'t>> {
        let bytes = self.text.as_bytes();
        loop {
            let byte = *bytes.get(self.at)?;
            let start = self.at;
            self.line += memchr::memchr_iter(b'\n', &bytes[self.counted..start]).count();
            self.counted = start;
            self.at += 1;
            match byte {
                b';' => {
                    self.at = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |end| start + end);
                }
                b'#' if bytes.get(self.at) == Some(&b'|') => self.comment(),
                b'#' if bytes.get(self.at) == Some(&b'\\') => {
                    // A character: the one behind the backslash, whatever it is, and a name.
                    self.at = (start + 2 + self.text[start + 2..].chars().next().map_or(0, char::len_utf8))
                        .min(bytes.len());
                    self.word();
                }
                b'"' => {
                    let inside = self.at;
                    while let Some(byte) = bytes.get(self.at) {
                        match byte {
                            b'"' => break,
                            b'\\' => self.at += 2,
                            _ => self.at += 1,
                        }
                    }
                    let end = self.at.min(bytes.len());
                    self.at = (end + 1).min(bytes.len());
                    return Some(Token::Word(self.text.get(inside..end).unwrap_or_default()));
                }
                b'(' => return Some(Token::Open),
                b')' => return Some(Token::Close),
                b'\'' | b'`' | b',' | b'#' | b'@' => return Some(Token::Mark),
                _ => {
                    let first = self.text[start..].chars().next()?;
                    self.at = start + first.len_utf8();
                    if !first.is_whitespace() {
                        self.word();
                        return Some(Token::Word(self.text[start..self.at].trim_start_matches(':')));
                    }
                }
            }
        }
    }

    fn word(&mut self) {
        let rest = &self.text[self.at..];
        let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '\'' | ';' | '`' | ',');
        self.at += rest.find(ends).unwrap_or(rest.len());
    }

    /// Skips the rest of a `#| … |#`, which may be nested.
    fn comment(&mut self) {
        let bytes = self.text.as_bytes();
        let mut depth = 1;
        self.at += 1;
        while depth > 0 && self.at < bytes.len() {
            match (bytes[self.at], bytes.get(self.at + 1)) {
                (b'|', Some(b'#')) => (depth, self.at) = (depth - 1, self.at + 2),
                (b'#', Some(b'|')) => (depth, self.at) = (depth + 1, self.at + 2),
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::scan;

    #[test]
    fn names_and_dependencies_are_found_where_they_are_written_down() {
        let cases: &[(&str, bool, &[&str], &[(usize, &str)])] = &[
            ("", false, &[], &[]),
            ("(defun f () \"(defskill :no)\")", false, &[], &[]),
            ("; (defskill :no)\n#| (defskill #| |# :no) |#", false, &[], &[]),
            ("(defskill :Chat :priority 5)", true, &["chat"], &[]),
            (
                "(defskill 'chat\n :dependencies '(:a b\n \"C\"))",
                true,
                &["chat"],
                &[(1, "a"), (1, "b"), (2, "c")],
            ),
            ("(DEFSKILL \"x\" :DEPENDENCIES (list :a))", true, &["x"], &[(0, "a")]),
            ("(defskill :x :dependencies nil :trigger #'f)", true, &["x"], &[]),
            ("(defskill :x :dependencies :y :trigger #'f)", true, &["x"], &[(0, "y")]),
            ("(defskill :x :dependencies (quote (a)) :trigger 'f)", true, &["x"], &[(0, "a")]),
            ("(defskill :x :dependencies '() :trigger 'f)(defskill :y)", true, &["x", "y"], &[]),
            ("(defskill :x :trigger (lambda (c) '(:dependencies :no)))", true, &["x"], &[]),
            ("(list #\\( #\\\" #\\; #\\é) (defskill :x)", true, &["x"], &[]),
            (")))(defskill :x", true, &["x"], &[]),
            ("(defskill", true, &[], &[]),
            ("(defskill \"x\\", true, &["x\\"], &[]),
            ("#\\", false, &[], &[]),
        ];
        for (text, defines, names, dependencies) in cases {
            let found = scan(text);
            assert_eq!(found.defines, *defines, "{text}");
            assert_eq!(found.names, *names, "{text}");
            let needs: Vec<_> =
                found.dependencies.iter().map(|(line, name)| (*line, name.as_str())).collect();
            assert_eq!(needs, *dependencies, "{text}");
        }
    }
}

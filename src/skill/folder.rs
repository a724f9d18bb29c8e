//! Reads a `SKILL.md`: the frontmatter that says what a skill is for, and the instructions below it.
//!
//! The format is that of agentskills.io. What can be understood is read, and a warning says what is not as the format
//! wants it; only what no model could use is refused. Pure: bytes in, a record and warnings out.

mod yaml;

use std::collections::BTreeMap;

use super::MAX_DESCRIPTION;
use super::content::{clip, clip_to};
use super::note::NoteError;
use yaml::{Kind, Node, Tree};

/// The most bytes of a `SKILL.md`.
pub const MAX_FILE: usize = 1 << 20;

/// The most characters of a name.
pub const MAX_NAME: usize = 64;

/// The most characters of what is said about the surroundings that a skill needs.
const MAX_COMPATIBILITY: usize = 500;

/// The most warnings about one file.
const MAX_WARNINGS: usize = 20;

/// The most entries of `metadata`, and the most tools.
const MAX_ENTRIES: usize = 100;

/// The most characters of an unknown key that are repeated.
const MAX_KEY: usize = 60;

/// What stands in a `SKILL.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// The name under which it is loaded.
    pub name: String,
    /// What it is for, on one line.
    pub description: String,
    /// Under which terms it may be used.
    pub license: Option<String>,
    /// What it needs around it.
    pub compatibility: Option<String>,
    /// What else its author says.
    pub metadata: BTreeMap<String, String>,
    /// The tools that it names; that grants nothing.
    pub allowed_tools: Vec<String>,
    /// The instructions.
    pub body: String,
    /// The line of their first line in the file, from 1.
    pub line: usize,
    /// What is not as the format wants it.
    pub warnings: Vec<NoteError>,
}

/// Reads the bytes of the `SKILL.md` in a directory of this name.
///
/// # Errors
/// It is too large, no UTF-8, has no frontmatter or one that is no YAML, or says not what it is for.
pub fn parse(bytes: &[u8], directory: &str) -> Result<Text, NoteError> {
    let wrong = |line, message: String, hint| NoteError { line, message, hint };
    if bytes.len() > MAX_FILE {
        let hint = "Move what is not always needed into files beside it; the model can load them one by one.";
        return Err(wrong(0, "SKILL.md has more than 1 MiB".to_owned(), hint));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + memchr::memchr_iter(b'\n', &bytes[..error.valid_up_to()]).count();
        wrong(line, "SKILL.md is no UTF-8 text".to_owned(), "Save it in the encoding utf-8.")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Front { start, frontmatter, body } = front(text)?;
    if frontmatter.len() > yaml::MAX_BYTES {
        let message = format!("the frontmatter has more than {} KiB", yaml::MAX_BYTES >> 10);
        return Err(wrong(start, message, "Put the instructions below its second line of ---."));
    }
    let tree = Tree::read(frontmatter).map_err(|error| {
        let message = format!("the frontmatter can not be read: {}", error.message);
        wrong(
            start + error.line,
            message,
            "It is YAML: one KEY: VALUE a line. Put odd values in double quotes.",
        )
    })?;
    let Some(root) = tree.root().filter(|root| matches!(root.kind, Kind::Map(_))) else {
        let message = "the frontmatter has no KEY: VALUE lines".to_owned();
        return Err(wrong(start, message, "Begin with a line of name: and one of description:."));
    };
    let mut reader = Reader { tree: &tree, start, text: Text::default() };
    for line in &tree.repaired {
        reader.warn(
            *line,
            "the value in this line is no YAML; it is taken as text, as it stands".to_owned(),
            "Put it in double quotes.",
        );
    }
    reader.fields(root, directory)?;
    let skipped;
    (reader.text.body, skipped) = plain_lines(body);
    reader.text.line =
        1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..text.len() - body.len()]).count() + skipped;
    if reader.text.body.is_empty() {
        let message = "there are no instructions below the frontmatter".to_owned();
        reader.text.warnings.push(wrong(0, message, "Say below the second --- what to do."));
    }
    reader.text.warnings.truncate(MAX_WARNINGS);
    Ok(reader.text)
}

/// A file in its two parts.
struct Front<'t> {
    /// The line of the first `---`, from 1.
    start: usize,
    frontmatter: &'t str,
    body: &'t str,
}

/// Divides a file. The frontmatter ends at the first line that is `---` and nothing more, wherever else that stands.
fn front(text: &str) -> Result<Front<'_>, NoteError> {
    let hint = "Begin it with a line of ---, then name: and description:, and another line of ---.";
    let is_mark = |line: &str| line.trim_end() == "---";
    let (mut begin, mut start) = (0, 1);
    let mut lines = text.split_inclusive('\n');
    for line in lines.by_ref() {
        begin += line.len();
        if is_mark(line) {
            break;
        }
        if !line.trim().is_empty() {
            let message = "SKILL.md has no frontmatter: it does not begin with ---".to_owned();
            return Err(NoteError { line: start, message, hint });
        }
        start += 1;
    }
    let mut end = begin;
    for line in lines {
        if is_mark(line) {
            return Ok(Front { start, frontmatter: &text[begin..end], body: &text[end + line.len()..] });
        }
        end += line.len();
    }
    let (line, message) = if text.trim().is_empty() {
        (0, "SKILL.md is empty")
    } else {
        (start, "the frontmatter that begins here is not closed")
    };
    Err(NoteError { line, message: message.to_owned(), hint })
}

/// A text with plain ends of lines, without empty lines around it, and how many there were before it.
fn plain_lines(text: &str) -> (String, usize) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let begin = text.find(|c: char| !c.is_whitespace()).map_or(0, |first| {
        // What stands in the first line stays where it stands.
        text[..first].rfind('\n').map_or(0, |end| end + 1)
    });
    (text[begin..].trim_end().to_owned(), memchr::memchr_iter(b'\n', &text.as_bytes()[..begin]).count())
}

/// Whether a name is one that can be said in one word, and is not longer than names may be.
fn is_word(name: &str) -> bool {
    let fits = |c: char| c == '-' || (c.is_alphanumeric() && !c.is_uppercase());
    !name.is_empty()
        && name.chars().count() <= MAX_NAME
        && name.chars().all(fits)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// Whether a name is one that the format allows.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.is_ascii() && is_word(name)
}

/// The word that is nearest to a name.
fn as_word(name: &str) -> String {
    let mut word = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() && !c.is_uppercase() {
            word.push(c);
        } else if !word.is_empty() && !word.ends_with('-') {
            word.push('-');
        }
    }
    let word: String = word.chars().take(MAX_NAME).collect();
    let word = word.trim_end_matches('-');
    if word.is_empty() { "skill".to_owned() } else { word.to_owned() }
}

struct Reader<'t> {
    tree: &'t Tree,
    /// The line of the first `---`.
    start: usize,
    text: Text,
}

impl Reader<'_> {
    /// Notes what is not as it should be in a line of the frontmatter.
    fn warn(&mut self, line: usize, message: String, hint: &'static str) {
        if self.text.warnings.len() < MAX_WARNINGS {
            self.text.warnings.push(NoteError { line: self.start + line, message, hint });
        }
    }

    fn fields(&mut self, root: &Node, directory: &str) -> Result<(), NoteError> {
        let tree = self.tree;
        let mut name = None;
        let mut description = None;
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in tree.pairs(root) {
            let word = tree.shown(key);
            if seen.contains(&word) {
                let word = clip_to(word, MAX_KEY);
                self.warn(key.line, format!("{word} is there twice; the first counts"), "Take one out.");
                continue;
            }
            match word {
                "name" => name = Some(value),
                "description" => description = Some(value),
                "license" => self.text.license = self.line(value, "license", MAX_DESCRIPTION),
                "compatibility" => {
                    self.text.compatibility = self.line(value, "compatibility", MAX_COMPATIBILITY);
                }
                "metadata" => self.metadata(value),
                "allowed-tools" => self.tools(value),
                other => {
                    let other = clip_to(other, MAX_KEY);
                    let message = format!("the key {other} is none of the format's; it means nothing here");
                    self.warn(key.line, message, "What is your own goes under metadata.");
                }
            }
            if seen.len() < MAX_ENTRIES {
                seen.push(word);
            }
        }
        let hint = "Add a line description: that says what the skill does and when to use it.";
        let missing = |line, message: &str| NoteError { line, message: message.to_owned(), hint };
        let Some(value) = description else {
            return Err(missing(self.start, "there is no description, so no model could choose it"));
        };
        let line = self.start + value.line;
        let Kind::Scalar(said, _) = &value.kind else {
            return Err(missing(line, "the description is a list or a mapping, and no text"));
        };
        self.text.description = clip(said);
        if self.text.description.is_empty() {
            return Err(missing(line, "the description is empty, so no model could choose it"));
        }
        let length = said.trim().chars().count();
        if length > MAX_DESCRIPTION {
            let message = format!(
                "the description has {length} characters; those after {MAX_DESCRIPTION} are left out"
            );
            self.warn(value.line, message, "Say it shorter; details belong below the frontmatter.");
        }
        self.name(name, directory);
        Ok(())
    }

    /// The name that is said, if it can be one; else that of the directory.
    fn name(&mut self, value: Option<&Node>, directory: &str) {
        let said = value.map(|value| self.tree.shown(value).trim().to_owned()).unwrap_or_default();
        let line = value.map_or(0, |value| value.line);
        let hint = "A name has lower-case letters, digits and single hyphens, and is that of the directory.";
        self.text.name = if is_word(&said) { said.clone() } else { as_word(directory) };
        let name = self.text.name.clone();
        if said.is_empty() {
            self.warn(line, format!("there is no name; it is loaded as {name}"), hint);
        } else if !is_word(&said) {
            let count = said.chars().count();
            let said = clip_to(&said, MAX_NAME);
            let why =
                if count > MAX_NAME { "is too long" } else { "has other characters than a name may have" };
            self.warn(line, format!("the name {said} {why}; it is loaded as {name}"), hint);
        } else if !said.is_ascii() {
            self.warn(line, format!("the name {said} has letters other than a to z"), hint);
        } else if said != directory {
            let directory = clip_to(directory, MAX_NAME);
            self.warn(line, format!("the name {said} is not that of the directory, {directory}"), hint);
        }
    }

    /// A value on one line of at most this many characters.
    fn line(&mut self, value: &Node, key: &str, most: usize) -> Option<String> {
        let text = clip_to(self.tree.shown(value), most);
        if !matches!(value.kind, Kind::Scalar(..)) {
            self.warn(value.line, format!("{key} is no text"), "Write it as one line of text.");
        } else if text.is_empty() {
            self.warn(value.line, format!("{key} is empty"), "Say it, or take the line out.");
        } else if self.tree.shown(value).trim().chars().count() > most {
            let message = format!("{key} has more than {most} characters; the rest is left out");
            self.warn(value.line, message, "Say it shorter.");
        }
        (!text.is_empty()).then_some(text)
    }

    fn metadata(&mut self, value: &Node) {
        let tree = self.tree;
        if !matches!(value.kind, Kind::Map(_) | Kind::Scalar(_, true)) {
            let message = "metadata is no mapping; it is left out".to_owned();
            return self.warn(value.line, message, "Write one KEY: VALUE a line, further in.");
        }
        for (key, value) in tree.pairs(value) {
            if self.text.metadata.len() == MAX_ENTRIES {
                let message = format!("metadata has more than {MAX_ENTRIES} entries; the rest is left out");
                return self.warn(key.line, message, "Keep it short.");
            }
            let name = clip_to(tree.shown(key), MAX_KEY);
            self.text.metadata.entry(name).or_insert_with(|| clip(tree.shown(value)));
        }
    }

    fn tools(&mut self, value: &Node) {
        let tree = self.tree;
        let mut tools: Vec<String> = match &value.kind {
            Kind::Scalar(text, _) => words(text).into_iter().map(|word| clip_to(word, MAX_KEY)).collect(),
            Kind::List(items) => items
                .iter()
                .filter_map(|at| tree.node(*at))
                .map(|item| clip_to(tree.shown(item), MAX_KEY))
                .collect(),
            Kind::Map(_) => {
                let message = "allowed-tools is a mapping; it is left out".to_owned();
                return self.warn(value.line, message, "Write the names of tools between blanks.");
            }
        };
        if tools.len() > MAX_ENTRIES {
            let message = format!("there are more than {MAX_ENTRIES} allowed-tools; the rest is left out");
            self.warn(value.line, message, "They grant nothing here anyway.");
            tools.truncate(MAX_ENTRIES);
        }
        tools.retain(|tool| !tool.is_empty());
        self.text.allowed_tools = tools;
    }
}

/// The words of a text, between blanks or commas; what stands in brackets belongs to its word: `Bash(git add:*)`.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut begin, mut depth) = (0, 0_usize);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 && (c.is_whitespace() || c == ',') => {
                words.push(&text[begin..at]);
                begin = at + c.len_utf8();
            }
            _ => {}
        }
    }
    words.push(&text[begin..]);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests;

//! Reads a literate Org note: its keywords and drawer, its Lisp blocks with their lines, and its prose.
//!
//! Blocks begin and end where Org's own parser has them: a heading ends one that is open, an example block holds
//! no code, what stands under a `COMMENT` heading is none. One pass, no recursion; nothing is evaluated.

use std::collections::HashMap;

/// The most bytes of a note.
pub const MAX_NOTE: usize = 1 << 20;

/// The most Lisp blocks of a note.
pub const MAX_BLOCKS: usize = 1_000;

/// The most notes that a note may name as what it depends on.
pub const MAX_DEPENDENCIES: usize = 64;

/// The most bytes that are kept of what names or describes a note: no fewer than a description may have, and one more.
const MAX_KEPT: usize = 4 * (super::MAX_DESCRIPTION + 1);

/// The most tags that are kept.
const MAX_TAGS: usize = 64;

/// Blocks whose text Org reads as it stands.
const VERBATIM: &[&str] = &["src", "example", "export", "comment", "verse"];

/// The languages whose blocks are evaluated.
const LANGUAGES: &[&str] = &["lisp", "common-lisp"];

/// The languages whose blocks are templates, if they have a name.
const TEMPLATES: &[&str] = &["jinja", "jinja2", "template"];

/// The most templates of a note.
pub const MAX_TEMPLATES: usize = 100;

/// What stands in a note.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// `#+TITLE:`, without `SKILL:`.
    pub title: String,
    /// Whether the title began with `SKILL:`.
    pub says_skill: bool,
    /// The first `:ID:` in a properties drawer.
    pub id: Option<String>,
    /// `#+FILETAGS:`.
    pub tags: Vec<String>,
    /// `#+DEPENDS_ON:`, in order.
    pub depends: Vec<Dependency>,
    /// `#+DESCRIPTION:`.
    pub description: String,
    /// The first paragraph of the prose, on one line; no more of it than a description may have.
    pub paragraph: String,
    /// The Lisp blocks, in order.
    pub blocks: Vec<Block>,
    /// The templates, in order.
    pub templates: Vec<Named>,
    /// The note without its code, drawers and the keywords above.
    pub prose: String,
}

/// A Lisp block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its first line of text, from 1.
    pub line: usize,
    /// Its text, without common indentation and Org's commas; as many lines as in the note.
    pub text: String,
}

/// A template: a block with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What `#+name:` says, lower case.
    pub name: String,
    /// The block.
    pub block: Block,
}

/// Another note that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Where it is said, from 1.
    pub line: usize,
    /// `id:…` or a name, lower case.
    pub target: String,
}

/// What is wrong with a note as a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteError {
    /// The line, from 1; 0 if it is about the whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

impl NoteError {
    pub(super) fn new(line: usize, message: impl Into<String>, hint: &'static str) -> Self {
        Self { line, message: message.into(), hint }
    }
}

/// Reads the bytes of a note.
///
/// # Errors
/// What is too large, no UTF-8, or a Lisp block that is not closed.
pub fn parse_bytes(bytes: &[u8]) -> Result<Note, NoteError> {
    if bytes.len() > MAX_NOTE {
        return Err(too_large());
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        NoteError::new(line, "the note is no UTF-8 text", "Save it in the encoding utf-8.")
    })?;
    parse(text)
}

/// Reads the text of a note.
///
/// # Errors
/// What is too large, or a Lisp block that is not closed.
pub fn parse(text: &str) -> Result<Note, NoteError> {
    if text.len() > MAX_NOTE {
        return Err(too_large());
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let mut reader = Reader {
        ends: Ends::of(&lines),
        lines: &lines,
        at: 0,
        commented: None,
        named: None,
        note: Note::default(),
    };
    reader.run()?;
    Ok(reader.note)
}

fn too_large() -> NoteError {
    NoteError::new(0, "the note has more than 1 MiB", "Split it; one note can depend on another.")
}

/// Where blocks may end.
struct Ends {
    /// The lines of `#+end_KIND`, by kind.
    by_kind: HashMap<&'static str, Vec<usize>>,
    headings: Vec<usize>,
}

impl Ends {
    fn of(lines: &[&str]) -> Self {
        let mut ends = Self { by_kind: HashMap::new(), headings: Vec::new() };
        for (at, line) in lines.iter().enumerate() {
            if heading(line).is_some() {
                ends.headings.push(at);
            } else if let Some((kind, "")) = delimiter(line, "#+end_") {
                ends.by_kind.entry(kind).or_default().push(at);
            }
        }
        ends
    }

    /// The line that ends a block of `kind` which begins before `at`.
    fn find(&self, kind: &str, at: usize) -> Option<usize> {
        let end = after(self.by_kind.get(kind)?, at)?;
        after(&self.headings, at).is_none_or(|heading| heading > end).then_some(end)
    }
}

/// The first of `sorted` that is not before `at`.
fn after(sorted: &[usize], at: usize) -> Option<usize> {
    sorted.get(sorted.partition_point(|line| *line < at)).copied()
}

struct Reader<'t> {
    lines: &'t [&'t str],
    ends: Ends,
    at: usize,
    /// The level of the `COMMENT` heading that this is under.
    commented: Option<usize>,
    /// The name for the block that follows, and how long the prose was before it.
    named: Option<(String, usize)>,
    note: Note,
}

impl Reader<'_> {
    fn run(&mut self) -> Result<(), NoteError> {
        let mut paragraph = Paragraph::Before;
        while let Some(&line) = self.lines.get(self.at) {
            let number = self.at;
            self.at += 1;
            self.name(line);
            if let Some((level, title)) = heading(line) {
                if self.commented.is_none_or(|outer| level <= outer) {
                    let comment = title == "COMMENT" || title.starts_with("COMMENT ");
                    self.commented = comment.then_some(level);
                }
                paragraph.end();
                self.keep(line);
            } else if let Some((kind, arguments)) = delimiter(line, "#+begin_") {
                paragraph.end();
                self.block(number, kind, arguments)?;
            } else if self.drawer(number) || self.keyword(number, line)? {
                paragraph.end();
            } else {
                let prose = line.trim();
                if self.commented.is_some() || prose.is_empty() || prose.starts_with(['#', ':', '|']) {
                    paragraph.end();
                } else if paragraph.take() {
                    push_words(&mut self.note.paragraph, prose);
                }
                self.keep(line);
            }
        }
        self.note.prose.truncate(self.note.prose.trim_end().len());
        Ok(())
    }

    /// Remembers what `#+name:` says until the block that it stands before: other keywords may stand between.
    fn name(&mut self, line: &str) {
        let line = line.trim();
        let keyword = line.strip_prefix("#+").and_then(|rest| rest.split_once(':'));
        match keyword.filter(|(key, _)| !key.contains(char::is_whitespace)) {
            Some((key, value)) if key.eq_ignore_ascii_case("name") => {
                let name = short(value.trim()).to_lowercase();
                self.named = (!name.is_empty()).then_some((name, self.note.prose.len()));
            }
            Some(_) => {}
            None if delimiter(line, "#+begin_").is_some() => {}
            None => self.named = None,
        }
    }

    /// Adds a line to the prose, but no second empty one.
    fn keep(&mut self, line: &str) {
        let prose = &mut self.note.prose;
        let line = line.trim_end();
        if !line.is_empty() || !(prose.is_empty() || prose.ends_with("\n\n")) {
            prose.push_str(line);
            prose.push('\n');
        }
    }

    /// The block of `kind` that begins in line `begin`.
    fn block(&mut self, begin: usize, kind: &str, arguments: &str) -> Result<(), NoteError> {
        let language = arguments.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        let code = kind == "src" && self.commented.is_none();
        let lisp = code && LANGUAGES.contains(&language.as_str());
        let named = self.named.take().filter(|_| code && TEMPLATES.contains(&language.as_str()));
        let Some(end) = self.ends.find(kind, self.at) else {
            if lisp || named.is_some() {
                return Err(NoteError::new(
                    begin + 1,
                    "the block that begins here is not closed",
                    "End it with #+end_src. A line of it that begins with a star is written with a comma: ,*",
                ));
            }
            // Org takes it for a line of text.
            self.keep(self.lines[begin]);
            return Ok(());
        };
        let inside = &self.lines[self.at..end];
        self.at = end + 1;
        if !lisp && named.is_none() {
            for line in &self.lines[begin..=end] {
                self.keep(line);
            }
            return Ok(());
        }
        if let Some(inner) = inside.iter().position(|line| delimiter(line, "#+begin_").is_some()) {
            return Err(NoteError::new(
                begin + 1,
                format!(
                    "the block that begins here is not closed before the next, in line {}",
                    begin + inner + 2
                ),
                "End it with #+end_src, or write the inner line with a comma: ,#+begin_src",
            ));
        }
        if self.note.blocks.len() == MAX_BLOCKS {
            return Err(NoteError::new(
                begin + 1,
                format!("the note has more than {MAX_BLOCKS} blocks"),
                "Split it; one note can depend on another.",
            ));
        }
        let block = Block { line: begin + 2, text: plain(inside) };
        let Some((name, prose)) = named else {
            self.note.blocks.push(block);
            return Ok(());
        };
        if self.note.templates.len() == MAX_TEMPLATES {
            return Err(NoteError::new(
                begin + 1,
                format!("the note has more than {MAX_TEMPLATES} templates"),
                "Split it; one note can depend on another.",
            ));
        }
        // Its name and what else stands before it goes with it.
        self.note.prose.truncate(prose);
        self.note.templates.push(Named { name, block });
        Ok(())
    }

    /// Reads the properties drawer that begins in line `begin`, if one does.
    fn drawer(&mut self, begin: usize) -> bool {
        if !self.lines[begin].trim().eq_ignore_ascii_case(":properties:") {
            return false;
        }
        let mut id = None;
        for (offset, line) in self.lines[begin + 1..].iter().enumerate() {
            let Some((key, value)) = line.trim().strip_prefix(':').and_then(|rest| rest.split_once(':'))
            else {
                return false;
            };
            if key.eq_ignore_ascii_case("end") && value.is_empty() {
                self.at = begin + offset + 2;
                if self.note.id.is_none() {
                    self.note.id = id;
                }
                return true;
            }
            if key.is_empty() || key.contains(char::is_whitespace) || key.eq_ignore_ascii_case("properties") {
                return false;
            }
            let value = value.trim();
            if key.eq_ignore_ascii_case("id") && !value.is_empty() && id.is_none() {
                id = Some(short(value).to_owned());
            }
        }
        false
    }

    /// Reads a keyword, if the line is one that notes have.
    fn keyword(&mut self, number: usize, line: &str) -> Result<bool, NoteError> {
        let Some((key, value)) = line.trim().strip_prefix("#+").and_then(|rest| rest.split_once(':')) else {
            return Ok(false);
        };
        let value = value.trim();
        let note = &mut self.note;
        match key.to_ascii_lowercase().as_str() {
            "title" if note.title.is_empty() => {
                let marked = value.get(..6).is_some_and(|head| head.eq_ignore_ascii_case("skill:"));
                note.says_skill = marked;
                short(if marked { value[6..].trim() } else { value }).clone_into(&mut note.title);
            }
            "title" => {}
            "filetags" => {
                let tags = short(value).split([':', ' ', '\t']).filter(|tag| !tag.is_empty());
                note.tags.extend(tags.take(MAX_TAGS - note.tags.len()).map(str::to_owned));
            }
            "description" => push_words(&mut note.description, value),
            "depends_on" => {
                for target in targets(value) {
                    if note.depends.len() == MAX_DEPENDENCIES {
                        return Err(NoteError::new(
                            number + 1,
                            format!("the note depends on more than {MAX_DEPENDENCIES} others"),
                            "Name only those whose functions it calls.",
                        ));
                    }
                    note.depends.push(Dependency { line: number + 1, target });
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Where the first paragraph is.
#[derive(PartialEq)]
enum Paragraph {
    Before,
    Inside,
    Behind,
}

impl Paragraph {
    /// Whether a line of text belongs to it.
    fn take(&mut self) -> bool {
        if *self == Self::Before {
            *self = Self::Inside;
        }
        *self == Self::Inside
    }

    fn end(&mut self) {
        if *self == Self::Inside {
            *self = Self::Behind;
        }
    }
}

/// Level and title of a heading.
fn heading(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start_matches('*');
    let level = line.len() - rest.len();
    (level > 0 && rest.starts_with([' ', '\t'])).then(|| (level, rest.trim()))
}

/// The kind of block that a line begins or ends, if Org reads its inside as it stands, and what follows.
fn delimiter<'l>(line: &'l str, mark: &str) -> Option<(&'static str, &'l str)> {
    let line = line.trim();
    let rest = line.get(mark.len()..).filter(|_| line[..mark.len()].eq_ignore_ascii_case(mark))?;
    let word = rest.split_whitespace().next().filter(|_| !rest.starts_with(char::is_whitespace))?;
    let kind = VERBATIM.iter().find(|kind| kind.eq_ignore_ascii_case(word))?;
    Some((kind, rest[word.len()..].trim()))
}

/// What `#+DEPENDS_ON:` names: words, or Org links, between blanks or commas.
fn targets(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return found;
        }
        let link = rest.strip_prefix("[[").and_then(|inner| Some((inner, inner.find("]]")?)));
        let (word, next) = match link {
            Some((inner, end)) => (inner[..end].split(']').next().unwrap_or_default(), &inner[end + 2..]),
            None => rest.split_at(rest.find([' ', '\t', ',']).unwrap_or(rest.len())),
        };
        rest = next;
        let word = word.trim().trim_start_matches(':').to_lowercase();
        if !word.is_empty() {
            found.push(word);
        }
    }
}

/// The text of a block: without the indentation that its lines share, and without the commas that Org needs.
fn plain(lines: &[&str]) -> String {
    let blank = |line: &&&str| !line.trim().is_empty();
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let shared = lines.iter().filter(blank).map(|line| indent(line)).min().unwrap_or(0);
    let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
    for line in lines {
        let line = line.get(shared..).unwrap_or_default();
        let at = indent(line);
        let marked = line[at..].trim_start_matches(',');
        let escaped = line[at..].starts_with(',') && (marked.starts_with('*') || marked.starts_with("#+"));
        text.push_str(&line[..at]);
        text.push_str(&line[at + usize::from(escaped)..]);
        text.push('\n');
    }
    text
}

/// Adds words to a text of which no more is kept than is needed.
fn push_words(text: &mut String, words: &str) {
    for word in words.split_whitespace() {
        let room = MAX_KEPT.saturating_sub(text.len());
        if room == 0 {
            return;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&word[..word.floor_char_boundary(room)]);
    }
}

/// The beginning of a text, as much as is kept of it.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_KEPT)]
}

#[cfg(test)]
mod tests;

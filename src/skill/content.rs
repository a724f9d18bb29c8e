//! What is in one note's file, looked at once and shared by all who need it.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::MAX_DESCRIPTION;
use super::note::{self, Note, NoteError};
use super::scan::{Scan, scan};

/// What is in a note's file. Made once for the same bytes.
#[derive(Debug)]
pub struct Content {
    pub(super) sha256: [u8; 32],
    pub(super) read: Result<Read, NoteError>,
}

/// A note that could be read.
#[derive(Debug)]
pub(super) struct Read {
    /// What stands in it but its prose.
    pub note: Note,
    /// The note without its code, one text for all its skills.
    pub prose: Arc<str>,
    /// What it says it is for, for skills that do not say it themselves.
    pub described: String,
    /// The names of its skills, as far as they are written down plainly.
    pub names: Vec<String>,
    /// What it builds on, each once.
    pub needs: Vec<Need>,
    /// Whether there is a `defskill` in it.
    pub defines: bool,
}

/// What a note builds on.
#[derive(Clone, Debug)]
pub(super) struct Need {
    /// The line that says so, from 1.
    pub line: usize,
    /// `id:…` or a name, lower case.
    pub target: String,
}

impl Content {
    /// What is in a file with these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self { sha256: Sha256::digest(bytes).into(), read: note::parse_bytes(bytes).map(Read::new) }
    }

    /// What can not be read: `message` says why, `hint` what to do.
    #[must_use]
    pub fn unreadable(message: String, hint: &'static str) -> Self {
        Self {
            sha256: Sha256::digest(message.as_bytes()).into(),
            read: Err(NoteError { line: 0, message, hint }),
        }
    }

    /// SHA-256 of the bytes.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Whether it says nothing of being a skill: people keep other notes beside them.
    #[must_use]
    pub fn is_something_else(&self) -> bool {
        self.read.as_ref().is_ok_and(|read| read.note.blocks.is_empty() && !read.note.says_skill)
    }
}

impl Read {
    fn new(mut note: Note) -> Self {
        let mut names = Vec::new();
        let mut needs: Vec<Need> = Vec::new();
        let mut defines = false;
        let mut need = |line, target: String| {
            if !needs.iter().any(|other| other.target == target) {
                needs.push(Need { line, target });
            }
        };
        for depends in &note.depends {
            need(depends.line, depends.target.clone());
        }
        let room = note::MAX_DEPENDENCIES;
        for block in &note.blocks {
            let Scan { names: found, dependencies, defines: one } = scan(&block.text);
            names.extend(found);
            defines |= one;
            for (offset, target) in dependencies.into_iter().take(room) {
                need(block.line + offset, target);
            }
        }
        needs.truncate(2 * room);
        let described = [&note.description, &note.paragraph].map(|text| clip(text));
        let described = described.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        let prose = Arc::from(std::mem::take(&mut note.prose));
        Self { note, prose, described, names, needs, defines }
    }
}

/// `text` on one line without control characters, of at most [`MAX_DESCRIPTION`] characters. No more of it is looked at.
pub(super) fn clip(text: &str) -> String {
    let mut line = String::new();
    let mut room = MAX_DESCRIPTION;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        for c in (!line.is_empty()).then_some(' ').into_iter().chain(word.chars()) {
            if room == 0 {
                line.pop();
                line.push('…');
                return line;
            }
            line.push(c);
            room -= 1;
        }
    }
    line
}

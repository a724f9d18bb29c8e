//! What is in one note's file, or in a `SKILL.md`, looked at once and shared by all who need it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::folder::{self, Text};
use super::note::{self, Named, Note, NoteError};
use super::scan::{Scan, scan};
use super::template::{self, Template};
use super::{Folder, MAX_DESCRIPTION, Manifest};

/// What is in a note's file. Made once for the same bytes.
#[derive(Debug)]
pub struct Content {
    pub(super) sha256: [u8; 32],
    pub(super) read: Result<Read, NoteError>,
}

/// A note or a `SKILL.md` that could be read.
#[derive(Debug)]
pub(super) struct Read {
    /// What only a folder has, and what is not as its format wants it. Then there is nothing in the note.
    pub folder: Option<(Folder, Vec<NoteError>)>,
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
    /// Its templates, ready to be filled in; of a `SKILL.md` that asks for it, its body.
    pub templates: Vec<Arc<Template>>,
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
        Self { sha256: Sha256::digest(bytes).into(), read: note::parse_bytes(bytes).and_then(Read::new) }
    }

    /// What is in a folder whose `SKILL.md` has these bytes.
    #[must_use]
    pub fn folder(root: &Path, bytes: &[u8]) -> Self {
        let directory = root.file_name().unwrap_or_default().to_string_lossy();
        let read = folder::parse(bytes, &directory).and_then(|text| Read::of_folder(root, text));
        Self { sha256: Sha256::digest(bytes).into(), read }
    }

    /// The same of a project's folder that was trusted with `files` and with others that stay hidden; its hash is that of
    /// all of them.
    #[must_use]
    pub fn trusted_folder(
        root: &Path,
        bytes: &[u8],
        files: Manifest,
        hidden: &BTreeMap<String, [u8; 32]>,
    ) -> Self {
        let mut content = Self::folder(root, bytes);
        let mut all = Sha256::new();
        // One list after the other, so that no file can go from one to the other.
        all.update((files.len() as u64).to_le_bytes());
        for (name, hash) in files.iter().chain(hidden) {
            all.update((name.len() as u64).to_le_bytes());
            all.update(name);
            all.update(hash);
        }
        content.sha256 = all.finalize().into();
        if let Ok(Read { folder: Some((folder, _)), .. }) = &mut content.read {
            folder.files = Some(files);
        }
        content
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
        let nothing =
            |read: &Read| read.folder.is_none() && read.note.blocks.is_empty() && !read.note.says_skill;
        self.read.as_ref().is_ok_and(nothing)
    }
}

impl Read {
    fn new(mut note: Note) -> Result<Self, NoteError> {
        let template = |one: Named| Template::new(&one.name, one.block.line, one.block.text).map(Arc::new);
        let templates = std::mem::take(&mut note.templates).into_iter().map(template);
        let templates = templates.collect::<Result<Vec<_>, _>>()?;
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
        Ok(Self { folder: None, note, prose, described, names, needs, defines, templates })
    }

    fn of_folder(root: &Path, text: Text) -> Result<Self, NoteError> {
        let Text { name, description, license, compatibility, metadata, allowed_tools, body, line, warnings } =
            text;
        let templates = match metadata.get("template").map(String::as_str) {
            Some("jinja") => vec![Arc::new(Template::new(template::BODY, line, body.clone())?)],
            _ => Vec::new(),
        };
        let folder =
            Folder { root: root.to_owned(), license, compatibility, metadata, allowed_tools, files: None };
        Ok(Self {
            folder: Some((folder, warnings)),
            note: Note::default(),
            prose: Arc::from(body),
            described: description,
            names: vec![name],
            needs: Vec::new(),
            defines: false,
            templates,
        })
    }
}

/// `text` on one line without control characters, of at most [`MAX_DESCRIPTION`] characters. No more of it is looked at.
pub(super) fn clip(text: &str) -> String {
    clip_to(text, MAX_DESCRIPTION)
}

/// The same with another limit, which is not 0.
pub(super) fn clip_to(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut room = most;
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

//! What a project brings along: skills that are inert until the user trusts them as they are.
//!
//! A project is somebody's. Nothing of it is evaluated or given to a model before the user trusted it: a note by the hash
//! of its bytes, a folder by that of all its files. A link may lead to another place in the project, never out of it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use similar::TextDiff;

use super::files::{self, FOLDER, Stamp};
use super::resources;
use super::trust::Trust;
use crate::ids::hex;
use crate::skill::note::MAX_NOTE;
use crate::skill::{Content, Given, Origin, Standing, Untrusted};

/// Where a project has skills; of one name the later counts.
pub const DIRECTORIES: [&str; 2] = [".org-agent/skills", ".agents/skills"];

/// The most skills of one directory, the most files of a folder, and the most bytes of them together.
const MAX_SKILLS: usize = 256;
const MAX_FILES: usize = 1_000;
const MAX_BYTES: usize = 8 << 20;

/// The most files of all kinds beside them.
const MAX_ENTRIES: usize = 4 * MAX_SKILLS;

/// How much is read of a project at one look, in bytes.
const MAX_READ: usize = 64 << 20;

/// How much of a file is shown for review, and of all files of a folder, in bytes.
const SHOWN: usize = 256 << 10;
const ALL_SHOWN: usize = 1 << 20;

/// How long a diff is looked for; then it is said less well.
const PATIENCE: Duration = Duration::from_millis(500);

/// A project.
pub struct Project {
    root: PathBuf,
    known: HashMap<String, Known>,
}

struct Known {
    stamps: Vec<Stamp>,
    settled: bool,
    content: Arc<Content>,
}

/// What the user looks at before they trust it.
#[derive(Debug)]
pub struct Review {
    /// What it is, as a list has it.
    pub skill: Untrusted,
    /// What it is now: a note, or all files of a folder.
    pub text: String,
    /// What it was when it was trusted, if it was.
    pub before: Option<String>,
}

impl Review {
    /// What changed since it was trusted, as a unified diff.
    #[must_use]
    pub fn diff(&self) -> Option<String> {
        let before = self.before.as_deref().filter(|_| self.skill.standing == Standing::Changed)?;
        if before == self.text {
            return None;
        }
        let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(before, &self.text);
        Some(diff.unified_diff().header("as you trusted it", "as it is now").to_string())
    }

    /// The same without text and diff: they are null.
    #[must_use]
    pub fn without_text(skill: &Untrusted) -> serde_json::Value {
        let mut object = skill.to_json();
        object["text"] = serde_json::Value::Null;
        object["diff"] = serde_json::Value::Null;
        object
    }

    /// `{name, description, origin, state, file, sha256, text, diff}`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut object = self.skill.to_json();
        object["text"] = self.text.as_str().into();
        object["diff"] = self.diff().into();
        object
    }
}

impl Project {
    /// The project in this directory, if it brings any skills along.
    pub fn find(root: &Path) -> Option<Self> {
        let root = root.canonicalize().ok()?;
        let has = DIRECTORIES.iter().any(|directory| root.join(directory).is_dir());
        has.then(|| Self { root, known: HashMap::new() })
    }

    /// Adds what is trusted to `notes`, with what can not be read; the others.
    pub fn read(&mut self, trust: &mut Trust, notes: &mut Vec<Given>) -> Vec<Untrusted> {
        let mut before = std::mem::take(&mut self.known);
        let mut untrusted = Vec::new();
        let mut wrong = |file: &Path, why: String, hint| {
            let content = Arc::new(Content::unreadable(why, hint));
            notes.push(Given { origin: Origin::Project, file: files::shown(file), content });
        };
        if let Some(why) = trust.refresh() {
            wrong(&self.root, why.to_owned(), "No skill of a project is in use until then.");
        }
        let mut found = Vec::new();
        for directory in DIRECTORIES {
            match self.list(directory) {
                Ok(paths) => found.extend(paths),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => wrong(
                    &self.root.join(directory),
                    format!("the project's skills can not be read: {error}"),
                    "A directory of the project, with at most 256 skills.",
                ),
            }
        }
        let mut room = MAX_READ;
        for path in found {
            let file = files::shown(&self.root.join(&path));
            match self.look(&path, before.remove(&path), &mut room) {
                Err(error) => {
                    let why = format!("it can not be read: {error}");
                    let content = Content::unreadable(why, "Nobody can trust it as it is.");
                    notes.push(Given { origin: Origin::Project, file, content: Arc::new(content) });
                }
                Ok(known) => {
                    let content = &known.content;
                    let sha256 = content.sha256();
                    match trust.standing(&file, sha256) {
                        _ if content.is_something_else() => {}
                        Standing::Trusted => {
                            let content = Arc::clone(content);
                            notes.push(Given { origin: Origin::Project, file, content });
                        }
                        standing => untrusted.push(Untrusted::new(content, file, hex(sha256), standing)),
                    }
                    self.known.insert(path, known);
                }
            }
        }
        untrusted
    }

    /// What there is to look at in `file`, as it is shown, before it is trusted; and its hash.
    pub fn review(&self, trust: &Trust, file: &str) -> io::Result<(Review, [u8; 32])> {
        let mut paths = DIRECTORIES.iter().flat_map(|directory| self.list(directory).unwrap_or_default());
        let path = paths.find(|path| files::shown(&self.root.join(path)) == file);
        let path = path.ok_or_else(|| io::Error::other("the project has no such skill"))?;
        let mut text = String::new();
        let content = self.content(&path, Some(&mut text))?;
        let standing = trust.standing(file, content.sha256());
        let skill = Untrusted::new(&content, file.to_owned(), hex(content.sha256()), standing);
        Ok((Review { skill, text, before: trust.before(file) }, *content.sha256()))
    }

    /// Whether a file, as it is shown, is in this project.
    pub fn has(&self, file: &str) -> bool {
        Path::new(file).starts_with(&self.root)
    }

    /// The paths in the project of its notes and of the `SKILL.md`s, in order.
    fn list(&self, directory: &str) -> io::Result<Vec<String>> {
        let place = self.root.join(directory);
        if !place.canonicalize()?.starts_with(&self.root) {
            return Err(io::Error::other("a link leads out of the project"));
        }
        let (mut folders, mut notes) = (Vec::new(), Vec::new());
        for (number, entry) in fs::read_dir(&place)?.enumerate() {
            // What is left out could be a gate.
            if number >= MAX_ENTRIES {
                return Err(io::Error::other(format!("there are more than {MAX_ENTRIES} files in it")));
            }
            let name = entry?.file_name();
            let Some(name) = name.to_str().filter(|name| !name.contains(char::is_control)) else { continue };
            if name.starts_with(['.', '#']) {
                continue;
            }
            let inner = FOLDER.iter().map(|file| format!("{name}/{file}"));
            if let Some(inner) = inner.into_iter().find(|inner| place.join(inner).exists()) {
                folders.push(format!("{directory}/{inner}"));
            } else if place.join(format!("{name}/{name}.org")).exists() {
                notes.push(format!("{directory}/{name}/{name}.org"));
            } else if name.ends_with(".org") && !place.join(name).is_dir() {
                notes.push(format!("{directory}/{name}"));
            }
        }
        folders.sort_unstable();
        notes.sort_unstable();
        folders.extend(notes);
        if folders.len() > MAX_SKILLS {
            return Err(io::Error::other(format!("there are more than {MAX_SKILLS}")));
        }
        Ok(folders)
    }

    /// What is at a path, read again only if anything about it changed.
    fn look(&self, path: &str, before: Option<Known>, room: &mut usize) -> io::Result<Known> {
        let files = self.files(path)?;
        let (mut stamps, mut bytes) = (Vec::with_capacity(files.len()), 0_usize);
        for file in &files {
            let data = fs::metadata(self.root.join(file))?;
            bytes = bytes.saturating_add(usize::try_from(data.len()).unwrap_or(usize::MAX));
            stamps.push(Stamp::of(&data));
        }
        if let Some(before) = before.filter(|before| before.settled && before.stamps == stamps) {
            return Ok(before);
        }
        *room = room.checked_sub(bytes).ok_or_else(|| {
            io::Error::other(format!("the skills of the project have more than {} MiB", MAX_READ >> 20))
        })?;
        let settled = stamps.iter().all(Stamp::is_settled);
        Ok(Known { settled, stamps, content: self.content(path, None)? })
    }

    /// The files of what is at a path, that itself first.
    fn files(&self, path: &str) -> io::Result<Vec<String>> {
        let mut files = vec![path.to_owned()];
        if let Some(directory) = folder(path) {
            let (paths, more) = resources::list_to(&self.root.join(directory), MAX_FILES);
            if more {
                return Err(io::Error::other(format!("it has more than {MAX_FILES} files")));
            }
            files.extend(paths.into_iter().map(|file| format!("{directory}/{file}")));
        }
        Ok(files)
    }

    /// Reads what is at a path, and writes it to `shown` for people.
    fn content(&self, path: &str, mut shown: Option<&mut String>) -> io::Result<Arc<Content>> {
        let Some(directory) = folder(path) else {
            let bytes = self.bytes(path, MAX_NOTE)?;
            if let Some(shown) = shown {
                shown.push_str(&String::from_utf8_lossy(&bytes));
            }
            return Ok(Arc::new(Content::new(&bytes)));
        };
        let (mut main, mut room, mut to_show) = (Vec::new(), MAX_BYTES, ALL_SHOWN);
        let (mut files, mut hidden) = (BTreeMap::new(), BTreeMap::new());
        for file in self.files(path)? {
            let bytes = self.bytes(&file, room)?;
            room -= bytes.len();
            let name = file.strip_prefix(directory).unwrap_or(&file).trim_start_matches('/').to_owned();
            let hash: [u8; 32] = Sha256::digest(&bytes).into();
            let text = std::str::from_utf8(&bytes).ok().filter(|text| text.len() <= SHOWN.min(to_show));
            if let Some(shown) = shown.as_deref_mut() {
                show(&name, bytes.len(), text, &hash, shown);
            }
            // What the user can not look at is part of what is trusted, but no model is given it.
            match text {
                Some(text) => {
                    to_show -= text.len();
                    files.insert(name, hash);
                }
                None if file == path => {
                    let most = SHOWN >> 10;
                    return Err(io::Error::other(format!("it is no UTF-8 text of at most {most} KiB")));
                }
                None => drop(hidden.insert(name, hash)),
            }
            if file == path {
                main = bytes;
            }
        }
        let content = Content::trusted_folder(&self.root.join(directory), &main, Arc::new(files), &hidden);
        Ok(Arc::new(content))
    }

    /// The bytes of a file in the project, at most so many.
    fn bytes(&self, path: &str, most: usize) -> io::Result<Vec<u8>> {
        let (file, length) = resources::open(&self.root, path)?;
        let large = || io::Error::other(format!("{path} is too large"));
        if length > most as u64 {
            return Err(large());
        }
        let mut bytes = Vec::new();
        file.take(most as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > most { Err(large()) } else { Ok(bytes) }
    }
}

/// The directory of a `SKILL.md`.
fn folder(path: &str) -> Option<&str> {
    path.rsplit_once('/').filter(|(_, name)| FOLDER.contains(name)).map(|(directory, _)| directory)
}

/// A file of a folder, for people.
fn show(name: &str, bytes: usize, text: Option<&str>, hash: &[u8; 32], shown: &mut String) {
    let hash = hex(hash);
    shown.push_str(&format!("==> {}, {bytes} bytes, SHA-256 {} <==\n", name.escape_debug(), &hash[..16]));
    match text {
        Some(text) => {
            shown.push_str(text);
            if !text.ends_with('\n') {
                shown.push('\n');
            }
        }
        None => shown.push_str("(not shown, and not given to a model)\n"),
    }
    shown.push('\n');
}

//! What a model gets of a skill: its text with the list of its files, or one of these.
//!
//! Whoever asks for a file is a model, which may have been told what to ask for. So a path leads to a regular file in the
//! folder and nowhere else: it is resolved by the system below the folder, or step by step without links, and what was
//! opened is what is looked at.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::lisp::{Datum, Unfilled};
use crate::skill::{Folder, Loaded, Shelf, Skill, template};

/// How much of a text a model is given, in bytes.
const TEXT: usize = 32_768;

/// The most bytes of a file that is read at all.
const MAX_FILE: u64 = 256 << 10;

/// The most files that are listed, the most bytes of the list, and of one path in it.
const LISTED: usize = 100;
const LIST: usize = 8_192;
const PATH: usize = 256;

/// How much of a folder is looked through for its list.
const LOOKED_AT: usize = 10_000;
const DEPTH: usize = 8;

/// The text for `NAME`, or for `NAME/PATH` of a folder. `context` makes the variables for a text that is a template.
///
/// # Errors
/// Why there is none, for the model.
pub fn load(
    shelf: &Shelf,
    name: &str,
    context: impl FnOnce() -> Option<Arc<Datum>>,
) -> Result<Loaded, String> {
    if let Some(skill) = shelf.get(name) {
        let text = body(skill, context)?;
        return Ok(Loaded { name: skill.name.clone(), text, origin: skill.origin });
    }
    let unknown = || format!("there is no skill named {name:?}");
    let (skill, path) = name.trim().split_once('/').ok_or_else(unknown)?;
    let skill = shelf.get(skill).ok_or_else(unknown)?;
    let text = skill
        .folder()
        .ok_or_else(|| "it is a note and has no files".to_owned())
        .and_then(|folder| file(folder, path).map_err(|error| error.to_string()))
        .map_err(|why| format!("the skill {:?} has no file {path:?} to load: {why}", skill.name))?;
    Ok(Loaded { name: format!("{}/{path}", skill.name), text, origin: skill.origin })
}

/// What a skill says, and which files it has.
fn body(skill: &Skill, context: impl FnOnce() -> Option<Arc<Datum>>) -> Result<String, String> {
    let Some(folder) = skill.folder() else { return Ok(clip(&skill.prose)) };
    let template = skill.program.templates();
    let filled = template.and_then(|it| it.fill(template::BODY, &Datum::Nil, context(), u64::MAX));
    let mut text = match filled.map(|filled| filled.text) {
        None => clip(&skill.prose),
        Some(Ok(text)) => clip(&text),
        Some(Err(Unfilled::Wrong { message, .. })) => return Err(message),
        Some(Err(Unfilled::Steps)) => return Err("its text takes too much to fill in".to_owned()),
    };
    let (paths, more) = of(folder);
    let Some(first) = paths.first() else { return Ok(text) };
    text.push_str(&format!(
        "\n\n[files of this skill; one is loaded by its path: :name \"{}/{first}\"]",
        skill.name
    ));
    let mut left = paths.len();
    for path in &paths {
        if text.len() + path.len() > TEXT + LIST {
            break;
        }
        text.push_str(&format!("\n- {path}"));
        left -= 1;
    }
    if more || left > 0 {
        text.push_str("\n… and more");
    }
    Ok(text)
}

/// The beginning of a text, and how much more there is.
fn clip(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT);
    match text.len() - end {
        0 => text.to_owned(),
        rest => format!("{}\n[… {rest} bytes more, which are left out …]", &text[..end]),
    }
}

/// The files of a folder by their paths in it, in order, and whether there are more: regular ones and links to such, none
/// that is hidden, and not the `SKILL.md` itself.
#[must_use]
pub fn list(root: &Path) -> (Vec<String>, bool) {
    list_to(root, LISTED)
}

/// The same with at most so many files.
#[must_use]
pub fn list_to(root: &Path, most: usize) -> (Vec<String>, bool) {
    let (mut paths, mut more) = (Vec::new(), false);
    let mut directories = vec![(String::new(), 0)];
    let mut room = LOOKED_AT;
    while let Some((directory, depth)) = directories.pop() {
        for entry in fs::read_dir(root.join(&directory)).into_iter().flatten().flatten() {
            if room == 0 {
                more = true;
                break;
            }
            room -= 1;
            let name = entry.file_name();
            let Some(path) = name.to_str().map(|name| format!("{directory}{name}")) else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            let own = depth == 0 && path.eq_ignore_ascii_case("SKILL.md");
            if own || path.len() > PATH || check(&path).is_err() {
                continue;
            }
            if kind.is_dir() {
                if depth < DEPTH {
                    directories.push((format!("{path}/"), depth + 1));
                }
            } else if kind.is_file() || (kind.is_symlink() && open(root, &path).is_ok()) {
                paths.push(path);
            }
        }
    }
    paths.sort_unstable();
    more |= paths.len() > most;
    paths.truncate(most);
    (paths, more)
}

/// The files of a folder, and whether there are more: of a project's, those that it was trusted with.
#[must_use]
pub fn of(folder: &Folder) -> (Vec<String>, bool) {
    let Some(files) = &folder.files else { return list(&folder.root) };
    let mut paths: Vec<String> =
        files.keys().filter(|path| !path.eq_ignore_ascii_case("SKILL.md")).cloned().collect();
    let more = paths.len() > LISTED;
    paths.truncate(LISTED);
    (paths, more)
}

/// The text of a file in a folder.
fn file(folder: &Folder, path: &str) -> io::Result<String> {
    check(path)?;
    let trusted = match &folder.files {
        None => None,
        Some(files) => {
            let unknown = || io::Error::other("it is not among the files that the user trusted");
            Some(files.get(path).ok_or_else(unknown)?)
        }
    };
    let (file, length) = open(&folder.root, path)?;
    let large = || io::Error::other(format!("it has more than {} KiB", MAX_FILE >> 10));
    if length > MAX_FILE {
        return Err(large());
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    // It may have grown since.
    if bytes.len() as u64 > MAX_FILE {
        return Err(large());
    }
    if trusted.is_some_and(|hash| Sha256::digest(&bytes).as_slice() != hash) {
        return Err(io::Error::other("it has changed since the user trusted it"));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is no UTF-8 text"))?;
    Ok(clip(text.strip_prefix('\u{feff}').unwrap_or(&text)))
}

/// Whether a path can be one of a file in a folder.
fn check(path: &str) -> io::Result<()> {
    let wrong = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if path.is_empty() || path.contains(|c: char| c.is_control() || c == '\\') {
        return wrong("its path is none");
    }
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return wrong("only files in its own folder can be loaded");
    }
    if path.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return wrong("its path has an empty or a hidden part");
    }
    Ok(())
}

/// Opens a regular file below a directory; and its length.
pub fn open(root: &Path, path: &str) -> io::Result<(File, u64)> {
    let file = below(root, path)?;
    let data = file.metadata()?;
    if data.is_file() { Ok((file, data.len())) } else { Err(io::Error::other("it is not a regular file")) }
}

/// Opens what is at a path below a directory, without waiting for anybody. The path was checked.
#[cfg(unix)]
fn below(root: &Path, path: &str) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let directory = rustix::fs::open(root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        use rustix::io::Errno;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&directory, path, FLAGS, Mode::empty(), resolve) {
            Ok(file) => return Ok(file.into()),
            Err(Errno::XDEV) => return Err(io::Error::other("a link leads out of the folder")),
            // An old kernel, a filter that knows no such call, or something was renamed meanwhile: the other way is stricter.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    step_by_step(directory, path)
}

#[cfg(unix)]
const FLAGS: rustix::fs::OFlags =
    rustix::fs::OFlags::NONBLOCK.union(rustix::fs::OFlags::NOCTTY).union(rustix::fs::OFlags::CLOEXEC);

/// The same without links, one part of the path after the other.
#[cfg(unix)]
fn step_by_step(directory: rustix::fd::OwnedFd, path: &str) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, openat};
    let no_link = |error| match error {
        rustix::io::Errno::LOOP | rustix::io::Errno::MLINK => io::Error::other("it is a link"),
        error => error.into(),
    };
    let mut directory = directory;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let flags = FLAGS | OFlags::NOFOLLOW | if last { OFlags::empty() } else { OFlags::DIRECTORY };
        let next = openat(&directory, part, flags, Mode::empty()).map_err(no_link)?;
        if last {
            return Ok(next.into());
        }
        directory = next;
    }
    Err(io::ErrorKind::NotFound.into())
}

#[cfg(not(unix))]
fn below(_root: &Path, _path: &str) -> io::Result<File> {
    Err(io::Error::other("files of skills can not be read safely on this system"))
}

#[cfg(test)]
mod tests;

//! Reads the notes and folders of a directory, and only those again that changed.
//!
//! A note is a `*.org` file in the directory, or `NAME/NAME.org`; a folder is a directory in it with a `SKILL.md`. Links
//! are followed wherever they lead: the directory is the user's own, and dotfile managers make such links. What is no
//! regular file is never opened for long, and names that begin with `.` or `#` are editors' own.

use std::collections::HashMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::skill::note::MAX_NOTE;
use crate::skill::{Content, Given, Origin};

/// The most notes and folders of a directory.
pub const MAX_NOTES: usize = 4_096;

/// The files that make a directory a skill; the first counts.
pub const FOLDER: [&str; 2] = ["SKILL.md", "skill.md"];

/// How long after a change a file is read again whatever its time says: a second change may bear the same time.
const UNSETTLED: Duration = Duration::from_secs(2);

/// What was read, by path.
#[derive(Default)]
pub struct Files {
    known: HashMap<PathBuf, Known>,
}

struct Known {
    stamp: Stamp,
    settled: bool,
    content: Arc<Content>,
}

/// What tells that a file is another than before.
#[derive(PartialEq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    /// Device, inode, and the time of the last change of either.
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Stamp {
    pub fn of(data: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Self {
            modified: data.modified().ok(),
            length: data.len(),
            #[cfg(unix)]
            inode: (data.dev(), data.ino(), data.ctime(), data.ctime_nsec()),
        }
    }

    /// Whether another change would show.
    pub fn is_settled(&self) -> bool {
        let now = SystemTime::now();
        let age = self.modified.and_then(|time| now.duration_since(time).ok());
        // A time that is still to come says nothing; when the file was changed last, the system says, too.
        #[cfg(unix)]
        let age = age.or_else(|| {
            let changed = Duration::from_secs(u64::try_from(self.inode.2).ok()?);
            now.duration_since(SystemTime::UNIX_EPOCH + changed).ok()
        });
        age.is_some_and(|age| age > UNSETTLED)
    }
}

impl Files {
    /// Adds what is in `directory` to `notes`: the folders by name, then the notes. Of one name the later counts, and a
    /// note may have a gate, which no folder has. A directory that does not exist has none.
    pub fn read(&mut self, directory: &Path, origin: Origin, notes: &mut Vec<Given>) {
        let mut before = std::mem::take(&mut self.known);
        let mut add = |path: &Path, content| {
            notes.push(Given { origin, file: shown(path), content });
        };
        let mut paths = match list(directory) {
            Ok(paths) => paths,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let message = format!("the directory of skills can not be read: {error}");
                add(
                    directory,
                    Arc::new(Content::unreadable(message, "Make it a directory that you may read.")),
                );
                Vec::new()
            }
        };
        paths.sort_unstable_by(|one, other| {
            is_folder(other).cmp(&is_folder(one)).then_with(|| one.as_os_str().cmp(other.as_os_str()))
        });
        if paths.len() > MAX_NOTES {
            let message = format!("there are {} notes, and only the first {MAX_NOTES} are used", paths.len());
            add(directory, Arc::new(Content::unreadable(message, "Move some of them elsewhere.")));
            paths.truncate(MAX_NOTES);
        }
        for path in paths {
            let (known, content) = look(&path, before.remove(&path));
            add(&path, content);
            if let Some(known) = known {
                self.known.insert(path, known);
            }
        }
    }
}

/// The path of a note as people see it.
pub fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.contains(char::is_control) { text.escape_debug().to_string() } else { text.into_owned() }
}

/// What is in the file, whether it changed or not.
pub fn content(path: &Path) -> Arc<Content> {
    look(path, None).1
}

/// What is in the file, read only if it changed. Nothing is remembered of one that can not be read.
fn look(path: &Path, before: Option<Known>) -> (Option<Known>, Arc<Content>) {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    let outcome = match text {
        None => Err(io::Error::other("its name is not plain UTF-8; rename it")),
        Some(_) => fs::metadata(path).and_then(|data| {
            let stamp = Stamp::of(&data);
            match before {
                Some(before) if before.settled && before.stamp == stamp => Ok(before),
                before => read(path).map(|(data, bytes)| Known::new(path, &data, &bytes, before)),
            }
        }),
    };
    match outcome {
        Ok(known) => {
            let content = Arc::clone(&known.content);
            (Some(known), content)
        }
        Err(error) => {
            let what = if is_folder(path) { "SKILL.md" } else { "the note" };
            let message = format!("{what} can not be read: {error}");
            (None, Arc::new(Content::unreadable(message, "Make it a file that you may read.")))
        }
    }
}

impl Known {
    fn new(path: &Path, data: &Metadata, bytes: &[u8], before: Option<Self>) -> Self {
        let content = if is_folder(path) { Content::folder(&root(path), bytes) } else { Content::new(bytes) };
        let content = match before {
            Some(before) if before.content.sha256() == content.sha256() => before.content,
            _ => Arc::new(content),
        };
        let stamp = Stamp::of(data);
        Self { settled: stamp.is_settled(), stamp, content }
    }
}

/// Whether a file makes the directory that it is in a skill.
fn is_folder(path: &Path) -> bool {
    path.file_name().is_some_and(|name| FOLDER.iter().any(|own| name == *own))
}

/// The file that makes this directory a skill. If there is none, it is that which should be there.
pub fn in_folder(directory: &Path) -> PathBuf {
    let mut paths = FOLDER.iter().map(|name| directory.join(name));
    paths.clone().find(|path| path.exists()).or_else(|| paths.next()).unwrap_or_default()
}

/// The directory of a `SKILL.md`, by its name.
fn root(path: &Path) -> PathBuf {
    let directory = path.parent().unwrap_or(path);
    if directory.file_name().is_some() {
        return directory.to_owned();
    }
    // As in `skill check .`: where that is has the name.
    std::path::absolute(path)
        .and_then(|path| path.parent().unwrap_or(&path).canonicalize())
        .unwrap_or_else(|_| directory.to_owned())
}

/// The notes and folders of a directory, in no order; some more than the most at most.
fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)?.take(4 * MAX_NOTES) {
        let entry = entry?;
        let name = entry.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b".") || bytes.starts_with(b"#") {
            continue;
        }
        // What went away just now is told of by the next change.
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if !kind.is_file() {
            // Only a directory has anything in it.
            let folder = in_folder(&path);
            let is_folder = folder.exists();
            if is_folder {
                paths.push(folder);
            }
            let inner = path.join(&name).with_added_extension("org");
            if inner.exists() {
                paths.push(inner);
                continue;
            }
            if is_folder {
                continue;
            }
            if path.is_dir() {
                continue;
            }
        }
        if !bytes.ends_with(b".org") {
            continue;
        }
        paths.push(path);
    }
    Ok(paths)
}

/// The content of a regular file, a little more than a note may have at most.
///
/// # Errors
/// It can not be opened or read, or is something else than a file.
pub fn read(path: &Path) -> io::Result<(Metadata, Vec<u8>)> {
    let mut file = open(path)?;
    let data = file.metadata()?;
    if !data.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(data.len()).unwrap_or(0).min(MAX_NOTE));
    file.by_ref().take(MAX_NOTE as u64 + 1).read_to_end(&mut bytes)?;
    Ok((data, bytes))
}

/// Opens without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

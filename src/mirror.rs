//! The mirror: a directory with a transcript of each session as an Org file that the user owns.
//!
//! A file is named once, after its session's title and the beginning of its identifier, and keeps that name. What the user
//! changed in one is never written over: from then on the file is theirs.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::ids::SessionId;
use crate::sessions;
use crate::store::Store;
use crate::store::envelope::sha256;
use crate::transcript::{self, Transcript};
use crate::whole;

/// How large a file is that is looked at, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// In how much of its beginning a file says which session it is of, in bytes.
const HEAD: u64 = 4096;

/// What became of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in this file.
    Written(PathBuf),
    /// This file was changed by hand, and is left as it is.
    Edited(PathBuf),
    /// There is no such session any more; its file, if there is one, stays.
    Gone,
}

/// Writes the transcript of `session` into `directory`, which is made if it is not there.
///
/// # Errors
/// `internal` if the store cannot be read or the file not be written.
pub fn write(store: &Store, directory: &Path, session: &SessionId) -> Result<Outcome> {
    let transcript = match sessions::export(store, session) {
        Err(error) if error.code == crate::error::Code::NotFound => return Ok(Outcome::Gone),
        found => found?,
    };
    let failed = |path: &Path, error: std::io::Error| {
        Error::internal(format!("cannot write the transcript {}", path.display()))
            .because(error)
            .hint("check that the directory of sessions.mirror in config.toml is writable and has room")
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
    let title = transcript.title.as_deref().unwrap_or_default();
    let fresh = transcript::file_name(title, &session.0);
    let text = transcript::write(&transcript);
    let path = match named(directory, &fresh, session) {
        Some(path) => path,
        None if !directory.join(&fresh).exists() => directory.join(&fresh),
        // Another session's identifier begins as this one's does.
        None => directory.join(transcript::file_name(title, &sha256(&session.0))),
    };
    match fs::symlink_metadata(&path) {
        Ok(data) if !data.is_file() || data.len() > MAX_BYTES => return Ok(Outcome::Edited(path)),
        Ok(_) => {
            let there = fs::read(&path).map_err(|error| failed(&path, error))?;
            if there == text.as_bytes() {
                return Ok(Outcome::Written(path));
            }
            if !String::from_utf8(there).is_ok_and(|there| is_ours(&there, &transcript)) {
                return Ok(Outcome::Edited(path));
            }
        }
        Err(_) => {}
    }
    whole::write(&path, &text).map_err(|error| failed(&path, error))?;
    Ok(Outcome::Written(path))
}

/// The file in `directory` that has the same ending of its name as `fresh`, and is of `session`.
fn named(directory: &Path, fresh: &str, session: &SessionId) -> Option<PathBuf> {
    let endings = [fresh.rfind('-').map(|at| fresh[at..].to_owned())?, {
        let other = transcript::file_name("", &sha256(&session.0));
        other[other.rfind('-')?..].to_owned()
    }];
    let head = format!(":OA_SESSION: {session}\n");
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let name = name.to_str()?;
            let ours = endings.iter().any(|ending| name.ends_with(ending)) && !name.starts_with('.');
            (ours && entry.file_type().ok()?.is_file()).then(|| directory.join(name))
        })
        .filter(|path| begins_with(path, &head))
        .collect();
    found.sort();
    found.into_iter().next()
}

/// Whether the beginning of the file has this line.
fn begins_with(path: &Path, line: &str) -> bool {
    let mut beginning = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut beginning));
    read.is_ok() && String::from_utf8_lossy(&beginning).contains(line)
}

/// Whether `there` is what was written here earlier: the same session, the same words where it has the same turns, and
/// nothing that has no identifier.
fn is_ours(there: &str, now: &Transcript) -> bool {
    let Ok(old) = transcript::parse(there) else { return false };
    if transcript::write(&old) != there || old.session != now.session || old.draft.is_some() {
        return false;
    }
    let mut texts: HashMap<&str, &str> = HashMap::new();
    for said in &now.turns {
        texts.extend(said.event.as_deref().map(|id| (id, said.text.trim_end_matches('\n'))));
        for reply in &said.replies {
            texts.extend(reply.actuation.as_deref().map(|id| (id, reply.text.trim_end_matches('\n'))));
        }
    }
    // One that is not there any more is one that the session was taken back from.
    let same = |id: Option<&str>, text: &str| {
        id.is_some_and(|id| texts.get(id).is_none_or(|now| *now == text.trim_end_matches('\n')))
    };
    old.turns.iter().all(|said| {
        same(said.event.as_deref(), &said.text)
            && said.replies.iter().all(|reply| same(reply.actuation.as_deref(), &reply.text))
    })
}

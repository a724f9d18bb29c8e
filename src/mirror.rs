//! The mirror: a directory with a transcript of each session as an Org file that the user owns.
//!
//! A file is named once, after its session's title and the beginning of its identifier, and keeps that name. What the user
//! changed in one is never written over: from then on the file is theirs.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::ids::SessionId;
use crate::sessions;
use crate::store::Store;
use crate::transcript::{self, Transcript};
use crate::whole;

/// How large a file is that is looked at, in bytes.
const MAX_BYTES: u64 = 64 << 20;

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
    let fresh = transcript::file_name(transcript.title.as_deref().unwrap_or_default(), &session.0);
    let path = named(directory, &fresh).unwrap_or_else(|| directory.join(&fresh));
    let text = transcript::write(&transcript);
    match fs::metadata(&path) {
        Ok(data) if data.len() > MAX_BYTES => return Ok(Outcome::Edited(path)),
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

/// The file in `directory` that has the same session's identifier in its name as `fresh`.
fn named(directory: &Path, fresh: &str) -> Option<PathBuf> {
    let ending = fresh.rfind('-').map(|at| &fresh[at..])?;
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| {
            let name = entry.ok()?.file_name();
            let name = name.to_str()?;
            (name.ends_with(ending) && !name.starts_with('.')).then(|| directory.join(name))
        })
        .collect();
    found.sort();
    found.into_iter().next()
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

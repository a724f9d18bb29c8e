//! `org-agent session export`: sessions as Org files. A file is written whole or not at all.

use std::collections::HashSet;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::{all, count, find, line, say};
use crate::error::{Code, Error, Result};
use crate::ids::SessionId;
use crate::request::Sessions;
use crate::sessions;
use crate::store::Store;
use crate::transcript;
use crate::whole;

const HELP: &str = "\
Examples:
  org-agent session export 3f99
  org-agent session export 3f99 chat.org
  org-agent session export --all ~/org/chats

What was said is exported as it stands in a chat buffer; commands and their outcomes are not in it. It can be imported \
again: org-agent session import FILE.";

/// Write a session as Org, to standard output or a file; or all of them
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// The session's identifier, or its beginning
    #[arg(required_unless_present = "all")]
    id: Option<String>,
    /// The file; without it, or with -, standard output
    file: Option<PathBuf>,
    /// Write every session, archived ones too, into this directory, each into a file of its own
    #[arg(long, value_name = "DIR", conflicts_with_all = ["id", "file"])]
    all: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
}

/// Exports.
///
/// # Errors
/// `not_found` if there is no such session; `conflict` if a file is there already; `bad_request` if it can not be
/// written; `internal` if the database fails.
pub(super) fn run(args: &Args, store: &Store, stdout: &mut dyn Write) -> Result<u8> {
    if let Some(directory) = &args.all {
        let number = every(store, directory, args.force)?;
        say(stdout, &format!("{} in {}\n", count(number, "session"), line(&directory.to_string_lossy())))?;
        return Ok(0);
    }
    let id = find(store, args.id.as_deref().unwrap_or_default())?;
    let org = org(store, &id)?;
    match args.file.as_deref().filter(|file| file.as_os_str() != "-") {
        None => say(stdout, &org)?,
        Some(file) => save(file, &org, args.force)?,
    }
    Ok(0)
}

/// A session as Org.
///
/// # Errors
/// As `sessions::export`.
pub(super) fn org(store: &Store, id: &SessionId) -> Result<String> {
    Ok(transcript::write(&sessions::export(store, id)?))
}

/// Writes every session; how many there are.
fn every(store: &Store, directory: &Path, force: bool) -> Result<u64> {
    let mut found: Vec<(SessionId, String)> = Vec::new();
    all(
        |cursor| store.sessions(&Sessions::default(), None, cursor),
        |session| {
            let text = |key: &str| session[key].as_str().unwrap_or_default().to_owned();
            found.push((SessionId(text("id")), text("title")));
            Ok(())
        },
    )?;
    // From the oldest on: of two that would have one name, the older one keeps it.
    found.reverse();
    let mut taken = HashSet::new();
    let files: Vec<(SessionId, PathBuf)> = found
        .into_iter()
        .map(|(id, title)| {
            let name = transcript::file_name(&title, id.as_str());
            let mut free = name.clone();
            let mut number = 1;
            while !taken.insert(free.clone()) {
                number += 1;
                free = format!("{}-{number}.org", name.trim_end_matches(".org"));
            }
            (id, directory.join(free))
        })
        .collect();
    let there = files.iter().filter(|(_, file)| file.symlink_metadata().is_ok()).count();
    if there > 0 && !force {
        return Err(Error::new(
            Code::Conflict,
            format!("{there} of the {} files are in {} already", files.len(), directory.display()),
        )
        .hint("take another directory, or write over them: --force; nothing was written"));
    }
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    let mut stderr = io::stderr();
    let shown = stderr.is_terminal();
    let mut number = 0;
    for (at, (id, file)) in files.iter().enumerate() {
        if shown {
            // Who sees no progress still gets the files.
            drop(write!(stderr, "\r{} of {}", at + 1, files.len()));
        }
        match org(store, id) {
            Ok(org) => save(file, &org, force)?,
            // It was deleted a moment ago.
            Err(error) if error.code == Code::NotFound => continue,
            Err(error) => return Err(error),
        }
        number += 1;
    }
    if shown {
        drop(write!(stderr, "\r\u{1b}[K"));
    }
    Ok(number)
}

/// Writes `text` into the file `path`, whole or not at all, and for good. What is there stays, unless `force` says
/// otherwise.
///
/// # Errors
/// `conflict` if it is there; `bad_request` if it can not be written.
pub(super) fn save(path: &Path, text: &str, force: bool) -> Result<()> {
    if !force && path.symlink_metadata().is_ok() {
        return Err(there(path));
    }
    let real = match fs::metadata(path) {
        Ok(data) if !data.is_file() => return Err(failed(path, &"it is no regular file")),
        // Behind a link stands the file that is meant.
        Ok(_) => fs::canonicalize(path).map_err(|error| failed(path, &error))?,
        Err(_) => path.to_owned(),
    };
    whole::write(&real, text).map_err(|error| failed(path, &error))
}

fn there(path: &Path) -> Error {
    Error::new(Code::Conflict, format!("{} is there already", path.display()))
        .hint("take another name, or write over it: --force")
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::bad_request(format!("{} could not be written", path.display()))
        .because(error)
        .hint("name a file in a directory that you may write, on a disk that has room")
}

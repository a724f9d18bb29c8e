//! `org-agent session import`: Org transcripts as sessions.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::book::Book;
use super::{line, remark, say};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::sessions;
use crate::transcript;

/// Make sessions of Org files: of exported ones, or of prompts under `* USER` with replies under `** ASSISTANT`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  org-agent session import chat.org\n  cat chat.org | org-agent session import -\n\n\
                  The identifier of each session is printed. One that is here already is not touched: what is imported \
                  gets an identifier of its own then. As its words may be anybody's, no command of it runs unasked."
)]
pub(super) struct Args {
    /// The files; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The buffer that they belong to
    #[arg(long)]
    buffer: Option<String>,
}

/// Imports them, all that are in one file or none of them.
///
/// # Errors
/// `bad_request` if a file can not be read or is no transcript; `internal` if it can not be recorded.
pub(super) fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let mut texts: Vec<(String, String)> = Vec::new();
    for file in &args.files {
        let name = match file.as_os_str() == "-" {
            true => "standard input".to_owned(),
            false => line(&file.to_string_lossy()),
        };
        let text = read(file).map_err(|error| {
            Error::bad_request(format!("{name} could not be read")).because(error).hint("name an Org file")
        })?;
        texts.push((name, text));
    }
    let mut book = Book::begin(config)?;
    for (name, text) in texts {
        let user = &config.persona.user.value;
        let found = sessions::import(&book.store, user, &text, &name, args.buffer.as_deref())?;
        // What they were called there: it was read once already, so it can be read.
        let mut there = transcript::parse_all(&text).unwrap_or_default();
        there.retain(|transcript| !transcript.turns.is_empty());
        for (number, imported) in found.iter().enumerate() {
            let id = &imported.session;
            let was = there.get(number).and_then(|transcript| transcript.session.as_ref());
            let was = was.filter(|was| **was != id.0);
            let here = was.is_some_and(|was| book.store.session(&was.as_str().into()).is_ok());
            let why = if here { "is here already" } else { "has no usable identifier" };
            let _lease = book.lease(id)?;
            if book.store.session(id).is_ok() {
                return Err(Error::new(
                    Code::Conflict,
                    format!("session {} was made meanwhile", line(&id.0)),
                )
                .hint("import it again"));
            }
            book.append(id, &imported.records)?;
            say(stdout, &format!("{}\n", line(&id.0)))?;
            if let Some(was) = was {
                remark(&format!("session {} of {name} {why}; it is {} now", line(was), line(&id.0)));
            }
        }
    }
    Ok(0)
}

/// The text of a file, and never much more than a transcript may have.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let most = transcript::MAX_BYTES as u64 + 1;
    match path.as_os_str() == "-" {
        true => io::stdin().lock().take(most).read_to_string(&mut text)?,
        false => File::open(path)?.take(most).read_to_string(&mut text)?,
    };
    Ok(text)
}

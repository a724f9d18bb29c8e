//! `org-agent session delete`: sessions, their messages and all that was done in them, once they were exported or the user
//! said that they need not be.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use rustix::termios::{QueueSelector, tcflush};

use super::book::Book;
use super::{count, export, find, line, remark, say, word};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::ids::SessionId;
use crate::store::Lease;
use crate::transcript;

const HELP: &str = "\
Examples:
  org-agent session delete 3f99
  org-agent session delete 3f99 --export chat.org
  org-agent session delete 3f99 8c01 --export ~/org/chats
  org-agent session delete 3f99 --yes

At a terminal you are asked whether to export each one first. Elsewhere say --export or --yes. What was exported can be imported \
again, without the commands that ran. What is deleted is overwritten where it stood; org-agent session compact leaves nothing of it in the file. Backups (agent.db.bak-N) and mirrored transcripts are yours to delete. That it was deleted, and when, is kept.";

/// The most bytes of an answer.
const ANSWER: u64 = 8192;

/// Delete sessions for good
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// The sessions' identifiers, or their beginnings
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Export them first: one session into this file, any number into this directory
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Delete them without asking, and without an export unless --export says so
    #[arg(long)]
    yes: bool,
}

/// What becomes of a session before it is deleted.
enum Before {
    Export(PathBuf),
    Nothing,
    /// It is not deleted.
    Stop,
}

/// Deletes them; 1 if one was not, because the user said so; 2 if nothing says what is to happen.
///
/// # Errors
/// `not_found` if there is no such session; `conflict` if another process holds one, or the file of an export is there;
/// `bad_request` if an export can not be written; `internal` if it can not be recorded. What was deleted before the error
/// was printed.
pub(super) fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let asks = args.export.is_none() && !args.yes;
    if asks && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let error = Error::bad_request("nothing was deleted")
            .because("nobody can be asked whether to export it first, without a terminal")
            .hint("export it first with --export FILE, or delete it without with --yes");
        remark(&error.to_string());
        return Ok(2);
    }
    let several = args.ids.len() > 1;
    if several && args.export.as_ref().is_some_and(|file| !file.is_dir()) {
        let error = Error::bad_request("nothing was deleted")
            .because("several sessions can not be exported into one file")
            .hint("name a directory that is there, or delete them one by one");
        remark(&error.to_string());
        return Ok(2);
    }
    let mut book = Book::open(config)?;
    let mut held: Vec<(SessionId, Lease)> = Vec::new();
    for begin in &args.ids {
        let id = find(&book.store, begin)?;
        if held.iter().all(|(other, _)| *other != id) {
            let lease = book.lease(&id)?;
            held.push((id, lease));
        }
    }
    for (id, _lease) in &held {
        let session = book.store.session(id)?;
        let own = transcript::file_name(session["title"].as_str().unwrap_or_default(), id.as_str());
        let org = export::org(&book.store, id)?;
        let before = match &args.export {
            Some(directory) if directory.is_dir() => Before::Export(directory.join(own)),
            Some(file) => Before::Export(file.clone()),
            None if args.yes => Before::Nothing,
            None => {
                let about = format!(
                    "{}  “{}”, {}",
                    line(id.as_str()),
                    word(&session, "title"),
                    count(session["messages"].as_u64().unwrap_or_default(), "message")
                );
                ask(&about, &own, &org)?
            }
        };
        match before {
            Before::Stop => {
                remark("it was not deleted");
                return Ok(1);
            }
            Before::Export(file) => {
                // At the terminal it was written already: there, another name can be given.
                if !asks {
                    export::save(&file, &org, false)?;
                }
                say(stdout, &format!("{}: exported to {}\n", line(&id.0), line(&file.to_string_lossy())))?;
            }
            Before::Nothing => {}
        }
        let appended = book.store.delete(id, "user")?;
        book.wait(appended.ticket)?;
        say(stdout, &format!("{}: deleted\n", line(&id.0)))?;
    }
    Ok(0)
}

/// Asks whether to export a session first, and does it.
fn ask(about: &str, own: &str, org: &str) -> Result<Before> {
    let cannot = |error: io::Error| Error::internal("you could not be asked").because(error);
    let mut stderr = io::stderr();
    writeln!(stderr, "{about}").map_err(cannot)?;
    loop {
        // Nothing that was typed before the question is an answer.
        tcflush(io::stdin(), QueueSelector::IFlush).map_err(|error| cannot(error.into()))?;
        write!(stderr, "Export it first? [file name, y for {own} / n to delete without / q] ")
            .and_then(|()| stderr.flush())
            .map_err(cannot)?;
        let mut answer = String::new();
        let read = io::Read::take(io::stdin().lock(), ANSWER).read_line(&mut answer).map_err(cannot)?;
        if read == 0 {
            writeln!(stderr).map_err(cannot)?;
            return Ok(Before::Stop);
        }
        let file = match answer.trim() {
            "" => continue,
            "q" | "Q" => return Ok(Before::Stop),
            "n" | "N" => return Ok(Before::Nothing),
            "y" | "Y" => Path::new(own),
            name => Path::new(name),
        };
        let file = if file.is_dir() { file.join(own) } else { file.to_owned() };
        match export::save(&file, org, false) {
            Ok(()) => return Ok(Before::Export(file)),
            Err(error) => remark(&error.to_string()),
        }
    }
}

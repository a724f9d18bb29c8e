//! `org-agent session compact`: the database written anew, without what is not used any more.

use std::io::Write;

use super::{open, say};
use crate::config::Config;
use crate::error::{Code, Error, Result};

const HELP: &str = "\
Example:
  org-agent session compact

The database is written anew: it takes no more room than it needs, and of sessions that were deleted nothing is left in the file. \
It needs as much room again meanwhile. Close the editors that use it first.";

/// Write the database anew, so that nothing of deleted sessions is left in the file
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {}

/// Does it, and says what came of it.
///
/// # Errors
/// `not_found` if nothing is recorded; `conflict` if another process is at work; `internal` if the disk has no room.
pub(super) fn run(config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let store = open(config)?;
    if !store.is_alone() {
        return Err(Error::new(Code::Conflict, "something is at work here")
            .because("an editor or a chat that is running has the database open")
            .hint("close it, then try again"));
    }
    let size = || std::fs::metadata(config.paths.database()).map_or(0, |data| data.len());
    let before = size();
    store.compact()?;
    say(stdout, &format!("{} KiB were {} KiB\n", size() >> 10, before >> 10))?;
    Ok(0)
}

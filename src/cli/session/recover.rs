//! `org-agent session recover`: a way out of a damaged database.

use std::io::{self, IsTerminal, Write};

use super::{count, say};
use crate::config::Config;
use crate::error::Result;
use crate::store;

const HELP: &str = "\
Example:
  org-agent session recover

What can be read of the log, and is what was signed, goes into a new database event by event; lists and messages are made of \
that. The damaged file is kept beside it, as agent.db.damaged-TIME. Nothing is changed if nothing can be read. Close the editors \
that use it first.";

/// After how many events progress is shown.
const STEP: u64 = 1_000;

/// Make a new database of what can be read of a damaged one
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {}

/// Recovers; 1 if something is lost.
///
/// # Errors
/// Those of [`store::recover`].
pub(super) fn run(config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let mut stderr = io::stderr().lock();
    let shown = stderr.is_terminal();
    let mut last = 0;
    let recovered = store::recover(&config.paths.data, &mut |events| {
        if shown && events >= last + STEP {
            last = events;
            // Progress that cannot be shown is no reason to stop.
            drop(write!(stderr, "\r{events} events"));
        }
    });
    if shown && last > 0 {
        drop(writeln!(stderr));
    }
    let recovered = recovered?;
    let lost = recovered.damaged + recovered.unreadable;
    say(
        stdout,
        &format!(
            "{} and {} of prompts are in the new database.\n",
            count(recovered.events, "event"),
            count(recovered.texts, "text")
        ),
    )?;
    if lost > 0 {
        say(
            stdout,
            &format!(
                "{} could not be read, {} not what was signed; org-agent session verify says in which sessions \
                 something is missing.\n",
                count(recovered.unreadable, "event"),
                if recovered.damaged == 1 { "1 is".to_owned() } else { format!("{} are", recovered.damaged) }
            ),
        )?;
    }
    say(stdout, &format!("The old one is {}\n", recovered.kept.display()))?;
    Ok(u8::from(lost > 0))
}

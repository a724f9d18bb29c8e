//! `org-agent man`: manual pages, made from the command line itself.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::error::{Error, Result};

const EXAMPLE: &str = "\
Examples:
  org-agent man | man -l -
  org-agent man --dir ~/.local/share/man/man1

Exit status: 0 the pages were written, 1 they could not be, 2 wrong usage.";

/// Print the manual page, or write one for every command
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// Write org-agent.1 and a page for every command there; it is made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the command; answers the exit status.
///
/// # Errors
/// `internal` if `stdout` or the directory can not be written.
pub(super) fn run(args: &Args, stdout: &mut dyn Write) -> Result<u8> {
    // The short version: a page says what a program can do, not how it was built.
    let command = super::Cli::command().long_version(None::<&str>).disable_help_subcommand(true);
    let Some(dir) = &args.dir else {
        let page = clap_mangen::Man::new(command);
        return super::written(page.render(stdout).and_then(|()| stdout.flush()), "the page").map(|()| 0);
    };
    fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir)).map_err(|error| {
        Error::internal(format!("the pages could not be written to {}", dir.display()))
            .because(error)
            .hint("name a directory that you can write to")
    })?;
    Ok(0)
}

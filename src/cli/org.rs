//! `org-agent org`: commands about Org text.
//!
//! They need no configuration, no store and no model.

pub mod check;

use std::io::{BufRead, Write};

use clap::Subcommand;

use crate::error::Result;

/// Work with Org text
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  org-agent org check reply.md")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
}

/// Runs the command that the arguments name.
///
/// # Errors
/// Those of the command.
pub fn run(
    args: &Args,
    stdin: &mut dyn BufRead,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<()> {
    match &args.command {
        Command::Check(args) => check::run(args, stdin, stdout, stderr),
    }
}

//! `org-agent org`: commands about Org text.
//!
//! They need no configuration, no store and no model.

pub mod check;
pub mod markdown;

use std::io::{BufRead, Write};

use clap::Subcommand;

use crate::error::Result;

/// Work with Org text
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent org check reply.md\n  org-agent org markdown reply.org")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Markdown(markdown::Args),
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
        Command::Markdown(args) => markdown::run(args, stdin, stdout),
    }
}

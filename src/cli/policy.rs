//! `org-agent policy`: what the policy says, and why.

mod check;

use std::io::{BufRead, Write};

use clap::Subcommand;

use crate::config::Config;
use crate::error::Result;

/// Ask the policy about shell commands
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  org-agent policy check 'rm -rf /'")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
}

/// Runs the command that the arguments name; the exit status.
///
/// # Errors
/// Those of the command.
pub fn run(args: &Args, config: &Config, stdin: &mut dyn BufRead, stdout: &mut dyn Write) -> Result<u8> {
    match &args.command {
        Command::Check(args) => check::run(args, config, stdin, stdout),
    }
}

//! `org-agent model`: which models there are, and which of them answers if nobody says otherwise.
//!
//! It knows how models are named on a command line and how they are shown. Which there are is made of the configuration;
//! no model is asked for a reply.

mod choose;
mod list;

use std::io::Write;

use clap::Subcommand;

use super::{config, unchosen_config};
use crate::error::Result;

/// List models, and choose which of them answers
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent model list\n  org-agent model use ollama/llama3.2")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    #[command(name = "use")]
    Use(choose::Args),
}

/// Runs the command that the arguments name; the exit status.
///
/// # Errors
/// Those of the command.
pub(super) fn run(args: &Args, stdout: &mut dyn Write) -> Result<u8> {
    match &args.command {
        Command::List(args) => list::run(args, &config()?, stdout),
        Command::Use(args) => choose::run(args, unchosen_config()?, stdout),
    }
}

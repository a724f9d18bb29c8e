//! `org-agent model`: which models there are, which of them answers if nobody says otherwise, and how well they did.
//!
//! It knows how models are named on a command line and how they are shown. Which there are is made of the configuration and
//! of what is found on this machine, and how well they did of the log; no model is asked for a reply.

mod choose;
mod list;
mod scorecard;

use std::io::Write;

use clap::Subcommand;

use super::{config, unchosen_config};
use crate::error::Result;

/// List models, choose which of them answers, and see how well they did
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
    Scorecard(scorecard::Args),
}

/// Runs the command that the arguments name; the exit status.
///
/// # Errors
/// Those of the command.
pub(super) fn run(args: &Args, stdout: &mut dyn Write) -> Result<u8> {
    match &args.command {
        Command::List(args) => list::run(args, &config()?, stdout),
        Command::Use(args) => choose::run(args, unchosen_config()?, stdout),
        Command::Scorecard(args) => scorecard::run(args, &config()?, stdout),
    }
}

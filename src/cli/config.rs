//! `org-agent config`: what is configured, whether it is right, and a way to change it.

mod check;
mod edit;
mod show;

use std::io::Write;

use clap::Subcommand;

use super::written;
use crate::config::{Paths, sample};
use crate::error::Result;

/// Show, check and edit what is configured
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent config show\n  org-agent config show models\n  \
                  org-agent config check\n  org-agent config edit\n\n\
                  Every setting: docs/configuration.md")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(show::Args),
    Check(check::Args),
    Edit(edit::Args),
    Sample(SampleArgs),
}

/// Print a config.toml with every setting, commented out and explained
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  org-agent config sample | less")]
struct SampleArgs {}

/// Runs the command that the arguments name; the exit status.
///
/// # Errors
/// Those of the command; `internal` if `stdout` can not be written.
pub fn run(args: &Args, stdout: &mut dyn Write) -> Result<u8> {
    let (text, status) = match &args.command {
        Command::Show(args) => (show::text(args, &super::config()?)?, 0),
        Command::Check(args) => check::text(args, &paths()?)?,
        Command::Edit(args) => return edit::run(args, &paths()?, stdout),
        Command::Sample(SampleArgs {}) => (sample(), 0),
    };
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the configuration")?;
    Ok(status)
}

/// Where the files of this process's environment lie, whatever stands in them.
fn paths() -> Result<Paths> {
    Paths::new(variable)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

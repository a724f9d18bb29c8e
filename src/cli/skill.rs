//! `org-agent skill`: for those who write skills.

mod cases;
mod check;
mod list;
mod new;
mod show;
mod test;
mod trust;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use clap::Subcommand;

use super::written;
use crate::config::Config;
use crate::error::Result;
use crate::lisp::Environment;
use crate::skill::is_hidden;
use crate::skills::{self, Library};

/// Look at skills, check them, and begin new ones
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  org-agent skill new greet\n  org-agent skill check\n  org-agent skill list\n\n\
                  What a skill is, and how to write one: docs/skills.md"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Check(check::Args),
    New(new::Args),
    Test(test::Args),
    Trust(trust::Args),
}

/// Runs the command that the arguments name; the exit status.
///
/// # Errors
/// Those of the command; `internal` if `stdout` can not be written.
pub fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let (text, status) = match &args.command {
        Command::Test(args) => return test::run(args, config, stdout),
        Command::Trust(args) => return trust::run(args, config, stdout),
        Command::List(args) => (list::text(args, &library(config)), 0),
        Command::Show(args) => (show::text(args, &library(config))?, 0),
        Command::Check(args) => check::text(args, &mut library(config)),
        Command::New(args) => (new::write(args, config)?, 0),
    };
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the skills")?;
    Ok(status)
}

/// The skills as they stand now, with those of the project here.
fn library(config: &Config) -> Library {
    Library::of_project(&config.paths, environment(config), Path::new("."))
        .unwrap_or_else(|| Library::open(&config.paths, environment(config)))
}

/// What notes see of the world.
fn environment(config: &Config) -> Arc<dyn Environment> {
    skills::environment(config, |name| std::env::var(name).ok())
}

/// `text` without what would act on a terminal, and with what nobody would see written out.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c if is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

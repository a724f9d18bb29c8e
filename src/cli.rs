//! The command line: what can be asked for, and the exit status.
//!
//! 0 is ok, 1 a negative answer, 2 wrong usage; `sandbox` and `steps` have their commands'. Errors go to
//! standard error as what failed, why, and what to do.

mod acp;
mod chat;
pub mod check;
mod config;
mod completions;
mod conformance;
mod doctor;
pub mod grammar;
mod jsonl;
mod man;
mod model;
pub mod org;
mod policy;
mod sandbox;
mod serve;
mod session;
mod skill;
mod why;
mod steps;
mod version;

use std::borrow::Cow;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Secrets};
use crate::error::{Error, Result};
use crate::known;

/// The agent that Emacs users trust with their notes and their shell.
///
/// The model proposes, the verifier disposes: nothing a model wrote reaches a buffer or a shell before it
/// was parsed, checked and permitted.
#[derive(Debug, Parser)]
#[command(
    name = "org-agent",
    version,
    long_version = version::LONG,
    propagate_version = true,
    after_help = "Example:\n  org-agent chat \"Hello\""
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Args),
    Acp(acp::Args),
    Chat(chat::Args),
    Check(check::Args),
    Org(org::Args),
    Grammar(grammar::Args),
    Policy(policy::Args),
    Sandbox(sandbox::Args),
    Session(session::Args),
    Skill(skill::Args),
    Model(model::Args),
    Config(config::Args),
    Why(why::Args),
    Steps(steps::Args),
    Conformance(conformance::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    crate::logging::mask_panics();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap knows whether this is help for standard output or an error, and its status.
            let status = if error.use_stderr() { 2 } else { 0 };
            drop(error.print());
            return ExitCode::from(status);
        }
    };
    let result = match cli.command {
        Command::Serve(args) => serve::main(&args),
        Command::Acp(args) => acp::main(&args).map(|()| 0),
        Command::Chat(args) => chat::main(&args),
        Command::Check(args) => {
            check::run(&args, &mut io::stdin().lock(), &mut io::stdout().lock()).map(|good| u8::from(!good))
        }
        Command::Org(args) => {
            org::run(&args, &mut io::stdin().lock(), &mut io::stdout().lock(), &mut io::stderr().lock())
                .map(|()| 0)
        }
        Command::Grammar(args) => grammar::run(&args, &mut io::stdout().lock(), &mut io::stderr().lock()),
        Command::Policy(args) => config().and_then(|config| {
            policy::run(&args, &config, &mut io::stdin().lock(), &mut io::stdout().lock())
        }),
        Command::Session(args) => {
            config().and_then(|config| session::run(&args, &config, &mut io::stdout().lock()))
        }
        Command::Skill(args) => {
            config().and_then(|config| skill::run(&args, &config, &mut io::stdout().lock()))
        }
        Command::Model(args) => model::run(&args, &mut io::stdout().lock()),
        Command::Config(args) => config::run(&args, &mut io::stdout().lock()),
        Command::Why(args) => {
            config().and_then(|config| why::run(&args, &config, &mut io::stdout().lock())).map(|()| 0)
        }
        Command::Sandbox(args) => Ok(sandbox::main(args, config)),
        Command::Steps(args) => Ok(steps::main(&args)),
        Command::Conformance(args) => conformance::run(args),
        Command::Doctor(args) => doctor::main(&args),
        Command::Completions(args) => completions::run(&args, &mut io::stdout().lock()),
        Command::Man(args) => man::run(&args, &mut io::stdout().lock()),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            // Without standard error there is nobody left to tell.
            drop(writeln!(io::stderr(), "org-agent: {error}"));
            ExitCode::from(1)
        }
    }
}

/// What writing to standard output came to. A reader that has enough and leaves is no error.
///
/// # Errors
/// `internal`: `what` could not be written.
fn written(outcome: io::Result<()>, what: &str) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::internal(format!("{what} could not be written"))
                .because(error)
                .hint("check that standard output is open and its disk has room"))
        }
        _ => Ok(()),
    }
}

/// `text` for a terminal: control characters could make it do anything, so all but LF and TAB are shown as JSON writes
/// them.
fn visible(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if acts(c) {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The configuration of this process's environment. From then on its keys are kept out of the log and of children.
fn config() -> Result<Config> {
    Config::load(|name| std::env::var(name).ok()).map(noted)
}

/// The same without the model that the user chose.
fn unchosen_config() -> Result<Config> {
    Config::load_unchosen(|name| std::env::var(name).ok()).map(noted)
}

/// `config`, once it is known which secrets no log may show and no child may have.
fn noted(config: Config) -> Config {
    known::given(config.known_keys(&Secrets::new()), config.key_variables());
    config
}

/// The runtime of a command: one thread. See `docs/architecture.md` for why.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::internal("the runtime could not be started").because(error))
}

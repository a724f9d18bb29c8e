//! `org-agent why`: everything behind one turn or one action, as it was logged.

use std::io::Write;

use super::{session, written};
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::ids::{ActuationId, TurnId};

/// Show everything behind a turn or an action: prompts, replies, decisions, outcomes
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  org-agent why e60f2a31-1b33-4aa6-ae2a-77434c56525a")]
pub struct Args {
    /// The identifier of an action (the OA_ACT property of a reply) or of a turn
    id: String,
}

/// Runs the command.
///
/// # Errors
/// `not_found` if there is neither; `internal` if `stdout` can not be written.
pub fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<()> {
    let store = session::open(config)?;
    let found = match store.why_actuation(&ActuationId(args.id.clone())) {
        Err(error) if error.code == Code::NotFound => store.why_turn(&TurnId(args.id.clone())),
        found => found,
    };
    let why = found.map_err(|error| match error.code {
        Code::NotFound => Error::not_found(format!("there is no action and no turn {}", args.id))
            .hint("list the actions of a session: org-agent session show ID --actions"),
        _ => error,
    })?;
    let text = serde_json::to_string_pretty(&why)
        .map_err(|error| Error::internal("it could not be written as JSON").because(error))?;
    written(writeln!(stdout, "{text}"), "what is behind it")
}

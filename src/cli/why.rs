//! `org-agent why`: everything behind one turn or one action, as it was logged, without its secrets.

use std::io::Write;

use secrecy::ExposeSecret;

use super::{session, written};
use crate::config::{Config, Secrets};
use crate::error::{Code, Error, Result};
use crate::ids::{ActuationId, TurnId};
use crate::redact::Keys;
use crate::why;

/// Show everything behind a turn or an action: prompts, replies, decisions, outcomes
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent why e60f2a31-1b33-4aa6-ae2a-77434c56525a > why.org\n  \
                        org-agent why e60f2a31-1b33-4aa6-ae2a-77434c56525a --json")]
pub struct Args {
    /// The identifier of an action (the OA_ACT property of a reply) or of a turn
    id: String,
    /// As JSON, with every field of the log, instead of an Org document
    #[arg(long)]
    json: bool,
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
    let found = found.map_err(|error| match error.code {
        Code::NotFound => Error::not_found(format!("there is no action and no turn {}", args.id))
            .hint("list the actions of a session: org-agent session show ID --actions"),
        _ => error,
    })?;
    let known = config.known_keys(&Secrets::new());
    let keys = Keys::new(known.iter().map(ExposeSecret::expose_secret));
    let text = if args.json {
        let text = serde_json::to_string_pretty(&why::masked(found, &keys))
            .map_err(|error| Error::internal("it could not be written as JSON").because(error))?;
        format!("{text}\n")
    } else {
        why::org(&found, &keys)
    };
    written(stdout.write_all(text.as_bytes()), "what is behind it")
}

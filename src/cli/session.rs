//! `org-agent session`: what is recorded, for people. It only reads.

mod show;

use std::io::Write;

use clap::Subcommand;
use serde_json::Value;

use super::written;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::request::Sessions;
use crate::store::Store;

/// Look at sessions
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent session list\n  org-agent session show 3f99 --actions")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the sessions, newest first
    List {
        /// As JSON lines
        #[arg(long)]
        json: bool,
    },
    Show(show::Args),
}

/// Runs the command that the arguments name.
///
/// # Errors
/// `not_found` if nothing is recorded, or no such session; `internal` if `stdout` can not be written.
pub fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<()> {
    let store = open(config)?;
    let out = match &args.command {
        Command::List { json } => list(&store, *json)?,
        Command::Show(args) => show::text(args, &store)?,
    };
    written(stdout.write_all(out.as_bytes()), "the session")
}

/// The store, if there is one: looking at it makes none.
pub(super) fn open(config: &Config) -> Result<Store> {
    if !config.paths.database().exists() {
        return Err(Error::not_found("nothing is recorded yet")
            .because(format!("there is no {}", config.paths.database().display()))
            .hint("say something first: org-agent chat \"Hello\""));
    }
    Store::open(&config.paths.data, |_| {})
}

fn list(store: &Store, json: bool) -> Result<String> {
    let mut out = String::new();
    all(
        |cursor| store.sessions(&Sessions::default(), None, cursor),
        |session| {
            if json {
                out.push_str(&format!("{session}\n"));
                return;
            }
            let word = |key: &str| session[key].as_str().unwrap_or_default();
            let updated = time(&session["updatedAt"]);
            out.push_str(&format!("{}  {updated}  {:<9}  {}\n", word("id"), word("status"), word("title")));
        },
    )?;
    Ok(out)
}

/// Reads all parts of a list.
fn all(part: impl Fn(Option<&str>) -> Result<Value>, mut take: impl FnMut(&Value)) -> Result<()> {
    let mut cursor: Option<String> = None;
    loop {
        let page = part(cursor.as_deref())?;
        page["items"].as_array().into_iter().flatten().for_each(&mut take);
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(()),
        }
    }
}

/// Milliseconds since 1970 as a time in UTC, to the second.
fn time(millis: &Value) -> String {
    let since = std::time::Duration::from_millis(millis.as_u64().unwrap_or_default());
    let text = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string();
    text.replace('T', " ").trim_end_matches('Z').to_owned()
}

//! `org-agent session`: what is recorded, for people: to look at, to find, to change, to take along and to check.
//!
//! It knows how sessions are named on a command line and how they are shown. What is done to one is made of what
//! `sessions` and the store offer, by whoever holds the session's lease; the kernel is not asked.

mod book;
mod change;
mod compact;
mod delete;
mod export;
mod fork;
mod import;
mod list;
mod recover;
pub(super) mod search;
mod show;
mod verify;

use std::io::Write;

use clap::Subcommand;
use serde_json::Value;

use super::{visible, written};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::ids::SessionId;
use crate::request::{Change, Sessions};
use crate::skill::is_hidden;
use crate::store::Store;

/// How many beginnings of identifiers an error names.
const NAMED: usize = 5;

/// List, find, show, change, take along and check sessions
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  org-agent session list\n  org-agent session search lease --since 30d\n  \
                  org-agent session export 3f99 chat.org\n\nID is a session's identifier, or its beginning."
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Search(search::Args),
    Export(export::Args),
    Import(import::Args),
    Fork(fork::Args),
    Rename(change::Rename),
    Label(change::Label),
    Archive(change::Archive),
    Pause(change::Pause),
    Complete(change::Complete),
    Checkpoint(change::Checkpoint),
    Restore(change::Restore),
    Delete(delete::Args),
    Verify(verify::Args),
    Compact(compact::Args),
    Recover(recover::Args),
}

/// Runs the command that the arguments name; the exit status.
///
/// # Errors
/// `not_found` if nothing is recorded, or no such session; `conflict` if another process holds a session that is to be
/// changed; `internal` if it can not be recorded, or `stdout` not be written; those of the command.
pub fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    match &args.command {
        Command::List(args) => list::run(args, &open(config)?, stdout),
        Command::Show(args) => show::run(args, &open(config)?, stdout),
        Command::Search(args) => search::run(args, &open(config)?, stdout),
        Command::Export(args) => export::run(args, &open(config)?, stdout),
        Command::Import(args) => import::run(args, config, stdout),
        Command::Fork(args) => fork::run(args, config, stdout),
        Command::Rename(args) => change::run(&args.id, &Change::Rename(args.title.join(" ")), config, stdout),
        Command::Label(args) => change::run(&args.id, &args.change(), config, stdout),
        Command::Archive(args) => change::run(&args.id, &Change::Archive(!args.undo), config, stdout),
        Command::Pause(args) => change::run(&args.id, &Change::Pause(!args.undo), config, stdout),
        Command::Complete(args) => change::run(&args.id, &Change::Complete, config, stdout),
        Command::Checkpoint(args) => {
            change::run(&args.id, &Change::Checkpoint(args.name.join(" ")), config, stdout)
        }
        Command::Restore(args) => {
            change::run(&args.id, &Change::Restore(args.name.join(" ")), config, stdout)
        }
        Command::Delete(args) => delete::run(args, config, stdout),
        Command::Verify(args) => verify::run(args, &open(config)?, stdout),
        Command::Compact(compact::Args {}) => compact::run(config, stdout),
        Command::Recover(recover::Args {}) => recover::run(config, stdout),
    }
}

/// The store, if there is one: looking at it makes none. Where nothing can be written, as it is.
pub(super) fn open(config: &Config) -> Result<Store> {
    there_is(config)?;
    let data = &config.paths.data;
    match rustix::fs::access(data, rustix::fs::Access::WRITE_OK) {
        Ok(()) => Store::open(data, |_| {}),
        Err(_) => Store::open_to_read(data),
    }
}

/// That something is recorded.
fn there_is(config: &Config) -> Result<()> {
    if config.paths.database().exists() {
        return Ok(());
    }
    Err(Error::not_found("nothing is recorded yet")
        .because(format!("there is no {}", config.paths.database().display()))
        .hint("say something first: org-agent chat \"Hello\""))
}

/// The session that `begin` names: its identifier, or a beginning that no other one has.
pub(super) fn find(store: &Store, begin: &str) -> Result<SessionId> {
    const LIST: &str = "see which there are: org-agent session list --all";
    if begin.is_empty() {
        return Err(Error::bad_request("the identifier of the session is empty").hint(LIST));
    }
    let whole = SessionId::from(begin);
    if store.session(&whole).is_ok() {
        return Ok(whole);
    }
    let mut found = Vec::new();
    all(
        |cursor| store.sessions(&Sessions::default(), None, cursor),
        |session| {
            let id = session["id"].as_str().unwrap_or_default();
            if id.starts_with(begin) {
                found.push(id.to_owned());
            }
            Ok(())
        },
    )?;
    match found.as_slice() {
        [one] => Ok(SessionId(one.clone())),
        [] => Err(Error::not_found(format!("no session begins with {begin:?}")).hint(LIST)),
        several => {
            let some: Vec<String> = several.iter().take(NAMED).map(|id| line(id)).collect();
            let more = if several.len() > NAMED { ", …" } else { "" };
            Err(Error::bad_request(format!("{} sessions begin with {begin:?}", several.len()))
                .because(format!("{}{more}", some.join(", ")))
                .hint("give more of the identifier"))
        }
    }
}

/// Reads all parts of a list.
fn all(
    part: impl Fn(Option<&str>) -> Result<Value>,
    mut take: impl FnMut(&Value) -> Result<()>,
) -> Result<()> {
    let mut cursor: Option<String> = None;
    loop {
        let page = part(cursor.as_deref())?;
        page["items"].as_array().into_iter().flatten().try_for_each(&mut take)?;
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(()),
        }
    }
}

/// Writes what a command has to say.
fn say(stdout: &mut dyn Write, text: &str) -> Result<()> {
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the answer")
}

/// Writes a value as a line of JSON that acts on no terminal: its readers get the same value.
fn say_json(stdout: &mut dyn Write, value: &Value) -> Result<()> {
    say(stdout, &format!("{}\n", visible(&value.to_string())))
}

/// A remark that is not a part of the answer.
fn remark(text: &str) {
    // Without standard error there is nobody left to tell.
    drop(writeln!(std::io::stderr(), "org-agent: {text}"));
}

/// `text` as a part of a line: nothing in it acts on a terminal or hides something.
pub(super) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// A text of a value, as a part of a line.
fn word(value: &Value, key: &str) -> String {
    line(value[key].as_str().unwrap_or_default())
}

/// The texts in a list of a value, each as a part of a line.
fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(line)).collect()
}

/// `5 messages`, `1 message`.
fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Milliseconds since 1970 as a time in UTC, to the second.
fn time(millis: &Value) -> String {
    let since = std::time::Duration::from_millis(millis.as_u64().unwrap_or_default());
    let text = humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since).to_string();
    text.replace('T', " ").trim_end_matches('Z').to_owned()
}

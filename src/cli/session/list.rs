//! `org-agent session list`: which sessions there are.

use std::io::Write;

use super::{all, say, say_json, time, word, words};
use crate::error::Result;
use crate::request::Sessions;
use crate::store::Store;

const HELP: &str = "\
Examples:
  org-agent session list
  org-agent session list --status failed
  org-agent session list --archived --group work --json

A line has the identifier, the time of the last change (UTC), the status, the number of messages, with * if you have not seen \
all of them, the title, the group and the tags.";

/// List the sessions, newest first, without archived ones
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// Only those of this status
    #[arg(long, value_parser = ["active", "running", "paused", "completed", "failed", "archived"])]
    status: Option<String>,
    /// Only archived ones
    #[arg(long, conflicts_with = "all")]
    archived: bool,
    /// Archived ones, too
    #[arg(long)]
    all: bool,
    /// Only those of this group
    #[arg(long)]
    group: Option<String>,
    /// Only those with this tag
    #[arg(long)]
    tag: Option<String>,
    /// As JSON lines
    #[arg(long)]
    json: bool,
}

/// Lists them.
///
/// # Errors
/// `internal` if the database fails or `stdout` can not be written.
pub(super) fn run(args: &Args, store: &Store, stdout: &mut dyn Write) -> Result<u8> {
    let archived = args.archived || args.status.as_deref() == Some("archived");
    let status = args.status.clone().filter(|status| status != "archived");
    // Those of a status are either archived or not: the others come after.
    let parts: &[Option<bool>] = match (archived, args.all, &status) {
        (true, ..) => &[Some(true)],
        (false, true, None) => &[None],
        (false, true, Some(_)) => &[Some(false), Some(true)],
        (false, false, _) => &[Some(false)],
    };
    let width = if archived || args.all { "completed, archived".len() } else { "completed".len() };
    for archived in parts {
        let which = Sessions {
            status: status.clone(),
            buffer: None,
            archived: *archived,
            group: args.group.clone(),
            tag: args.tag.clone(),
            ..Sessions::default()
        };
        all(
            |cursor| store.sessions(&which, None, cursor),
            |session| {
                if args.json {
                    return say_json(stdout, session);
                }
                let unread = session["unread"].as_u64().is_some_and(|unread| unread > 0);
                let mut out = format!(
                    "{}  {}  {:<width$}  {:>4}{} {}",
                    word(session, "id"),
                    time(&session["updatedAt"]),
                    status_of(session),
                    session["messages"],
                    if unread { '*' } else { ' ' },
                    word(session, "title"),
                );
                if session["group"].is_string() {
                    out.push_str(&format!("  [{}]", word(session, "group")));
                }
                let tags = words(&session["tags"]);
                if !tags.is_empty() {
                    out.push_str(&format!("  :{}:", tags.join(":")));
                }
                out.push('\n');
                say(stdout, &out)
            },
        )?;
    }
    Ok(0)
}

/// The status of a session, and whether it is archived.
pub(super) fn status_of(session: &serde_json::Value) -> String {
    let archived = if session["archived"] == true { ", archived" } else { "" };
    format!("{}{archived}", word(session, "status"))
}

//! `org-agent session fork`: a copy of a session, or of its beginning.

use std::io::Write;

use super::book::Book;
use super::{all, find, say};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::ids::SessionId;
use crate::request::NewSession;
use crate::sessions;
use crate::store::{Fork, Store};

/// Copy a session, or its beginning, to go on from there
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent session fork 3f99\n  \
                  org-agent session fork 3f99 --at 5f0c12ab90ef --title \"Another way\"\n\n\
                  The identifier of the copy is printed. The session stays as it is, and may be open meanwhile.")]
pub(super) struct Args {
    /// The session's identifier, or its beginning
    id: String,
    /// The last message of the copy: its identifier, or its beginning, as `show` has it; without it, all is copied
    #[arg(long, value_name = "MESSAGE")]
    at: Option<String>,
    /// The title of the copy; without it, that of the session
    #[arg(long)]
    title: Option<String>,
}

/// Copies it.
///
/// # Errors
/// `not_found` if there is no such session or message; `bad_request` for a title that can be none or a session that is too
/// long; `internal` if it can not be recorded.
pub(super) fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let mut book = Book::open(config)?;
    let from = find(&book.store, &args.id)?;
    let at = args.at.as_deref().map(|at| message(&book.store, &from, at)).transpose()?;
    let found = book.store.session(&from)?;
    let text = |key: &str| found[key].as_str().map(str::to_owned);
    let new = NewSession {
        buffer: text("buffer"),
        title: args.title.clone().or_else(|| text("title")),
        group: text("group"),
        tags: sessions::strings(&found["tags"]),
    };
    let id = SessionId::random()?;
    let _lease = book.lease(&id)?;
    let first = sessions::created(&text("user").unwrap_or_default(), &new, "")?;
    let appended = book.store.fork(&from, &Fork { at, ..Fork::default() }, &id, &first)?;
    book.wait(appended.last().map_or(0, |last| last.ticket))?;
    say(stdout, &format!("{id}\n"))?;
    Ok(0)
}

/// The message whose identifier begins with `begin`; if there is none, `begin` may be what stands for it in buffers.
fn message(store: &Store, session: &SessionId, begin: &str) -> Result<String> {
    let mut found: Vec<String> = Vec::new();
    all(
        |cursor| store.messages(session, None, cursor),
        |message| {
            let id = message["id"].as_str().unwrap_or_default();
            if id.starts_with(begin) {
                found.push(id.to_owned());
            }
            Ok(())
        },
    )?;
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Ok(begin.to_owned()),
        several => Err(Error::bad_request(format!("{} messages begin with {begin:?}", several.len()))
            .hint("give more of the identifier: org-agent session show ID")),
    }
}

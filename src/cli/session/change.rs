//! Changes of a session as a whole: `org-agent session rename`, `label`, `archive`, `pause`, `complete`, `checkpoint` and
//! `restore`.

use std::io::Write;

use super::book::Book;
use super::{find, line, say};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::record::Record;
use crate::request::Change;
use crate::sessions;

/// Give a session another title
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  org-agent session rename 3f99 A journey to Rome")]
pub(super) struct Rename {
    /// The session's identifier, or its beginning
    pub(super) id: String,
    /// The title; several words need no quotes
    #[arg(required = true)]
    pub(super) title: Vec<String>,
}

/// Put a session into a group, and give it tags
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  org-agent session label 3f99 --group work --tag rust --tag lsp\n  \
                  org-agent session label 3f99 --no-group --no-tags",
    group = clap::ArgGroup::new("labels").args(["group", "no_group", "tags", "no_tags"]).required(true).multiple(true)
)]
pub(super) struct Label {
    /// The session's identifier, or its beginning
    pub(super) id: String,
    /// The group
    #[arg(long, conflicts_with = "no_group")]
    group: Option<String>,
    /// No group
    #[arg(long)]
    no_group: bool,
    /// A tag; those that are given take the place of those that it has
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "no_tags")]
    tags: Vec<String>,
    /// No tags
    #[arg(long)]
    no_tags: bool,
}

impl Label {
    /// What it asks for.
    pub(super) fn change(&self) -> Change {
        let group = (self.no_group || self.group.is_some()).then(|| self.group.clone());
        let tags = (self.no_tags || !self.tags.is_empty()).then(|| self.tags.clone());
        Change::Label { group, tags }
    }
}

/// Put a session away: lists leave it out, and nothing of it is lost
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  org-agent session archive 3f99\n  org-agent session archive 3f99 --undo"
)]
pub(super) struct Archive {
    /// The session's identifier, or its beginning
    pub(super) id: String,
    /// Take it out again
    #[arg(long)]
    pub(super) undo: bool,
}

/// Let no turn of a session begin until it goes on
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent session pause 3f99\n  org-agent session pause 3f99 --undo")]
pub(super) struct Pause {
    /// The session's identifier, or its beginning
    pub(super) id: String,
    /// Let it go on
    #[arg(long)]
    pub(super) undo: bool,
}

/// Note that you are done with a session, until something is said in it again
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  org-agent session complete 3f99")]
pub(super) struct Complete {
    /// The session's identifier, or its beginning
    pub(super) id: String,
}

/// Remember the state of a session under a name, to come back to
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  org-agent session checkpoint 3f99 before the rewrite")]
pub(super) struct Checkpoint {
    /// The session's identifier, or its beginning
    pub(super) id: String,
    /// The name; several words need no quotes
    #[arg(required = true)]
    pub(super) name: Vec<String>,
}

/// Go back to a checkpoint of a session; the state that is left gets one of its own
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  org-agent session restore 3f99 before the rewrite\n\n\
                  What was said since then counts no more, but is kept: the way back is a checkpoint, too. \
                  org-agent session show ID lists them. Commands that ran are not undone.")]
pub(super) struct Restore {
    /// The session's identifier, or its beginning
    pub(super) id: String,
    /// The checkpoint's name; several words need no quotes
    #[arg(required = true)]
    pub(super) name: Vec<String>,
}

/// Makes `change` of the session whose identifier begins with `begin`.
///
/// # Errors
/// `not_found` if there is no such session or checkpoint; `bad_request` for a name that can be none; `conflict` if another
/// process holds the session, or a turn of it has not ended; `internal` if it can not be recorded.
pub(super) fn run(begin: &str, change: &Change, config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let mut book = Book::open(config)?;
    let id = find(&book.store, begin)?;
    let _lease = book.lease(&id)?;
    if matches!(change, Change::Restore(_)) {
        // Nobody is at work on it, as the lease is ours: a server that is gone left it so.
        sessions::at_rest(&book.store, &id).map_err(|error| Error {
            why: "a server that went away left it unfinished".into(),
            hint: format!("let it end first: org-agent chat --session {}", line(id.as_str())),
            ..error
        })?;
    }
    let records = sessions::changed(&book.store, &id, change)?;
    if records.is_empty() {
        say(stdout, &format!("{}: it is so already\n", line(id.as_str())))?;
        return Ok(0);
    }
    book.append(&id, &records)?;
    let done: Vec<String> = records.iter().map(done).collect();
    say(stdout, &format!("{}: {}\n", line(id.as_str()), done.join(", ")))?;
    Ok(0)
}

/// What a record says was done.
fn done(record: &Record) -> String {
    let quoted = |text: &str| format!("“{}”", line(text));
    match record {
        Record::SessionRenamed { title } => format!("its title is {}", quoted(title)),
        Record::SessionArchived { archived: true } => "archived".into(),
        Record::SessionArchived { archived: false } => "not archived any more".into(),
        Record::SessionLabelled { group, tags } => {
            let group =
                group.as_deref().map_or_else(|| "no group".to_owned(), |group| format!("group {group}"));
            let tags = if tags.is_empty() { "no tags".into() } else { format!("tags {}", tags.join(" ")) };
            line(&format!("{group}, {tags}"))
        }
        Record::SessionPaused { paused: true } => "paused".into(),
        Record::SessionPaused { paused: false } => "goes on".into(),
        Record::SessionCompleted {} => "completed".into(),
        Record::SessionCheckpointed { name } => format!("checkpoint {}", quoted(name)),
        Record::SessionRestored { .. } => "taken back".into(),
        other => other.kind().into(),
    }
}

//! `org-agent session verify`: whether what is recorded is sound.

use std::io::{self, IsTerminal, Write};

use super::{all, count, find, line, say, visible};
use crate::error::{Code, Error, Result};
use crate::ids::SessionId;
use crate::request::Sessions;
use crate::store::{Finding, Store};

const HELP: &str = "\
Examples:
  org-agent session verify
  org-agent session verify 3f99
  org-agent session verify --repair

Each event must be what its hash and its signature say, signed by the key here or one in the file `authors` beside it, and follow \
the one before it; texts of prompts must be what their hashes say; and without ID, lists and messages must be what the log folds \
into. Each finding is printed, and the exit status is 1 if there are any. --repair makes lists and messages anew; the log is never \
changed.";

/// After how many events progress is shown.
const STEP: u64 = 10_000;

/// Check hashes, signatures, chains, texts of prompts, and that lists and messages are what was logged
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// Only the events of this session: its identifier, or its beginning
    id: Option<String>,
    /// Make lists and messages anew from the log, then check
    #[arg(long, conflicts_with = "id")]
    repair: bool,
}

/// Checks; 1 if anything is not as it should be.
///
/// # Errors
/// `not_found` if there is no such session; `conflict` if something is to be repaired and another process is at work;
/// `internal` if the database can not be read.
pub(super) fn run(args: &Args, store: &Store, stdout: &mut dyn Write) -> Result<u8> {
    let (findings, sound) = match &args.id {
        Some(id) => {
            let id = find(store, id)?;
            (store.verify(&id)?, format!("session {} is sound", line(id.as_str())))
        }
        None => {
            if args.repair {
                alone(store)?;
            }
            let mut findings = whole(store)?;
            if args.repair {
                // Of a log that is not what was signed nothing good can be made.
                if findings.iter().all(|finding| finding.place.starts_with("view ")) {
                    store.rebuild_views()?;
                    say(stdout, "lists and messages were made anew from the log\n")?;
                    findings = whole(store)?;
                } else {
                    say(stdout, "nothing was made anew: first the log has to be sound\n")?;
                }
            }
            let mut sessions = 0;
            each(store, |_| {
                sessions += 1;
                Ok(())
            })?;
            let events = count(store.events()?, "event");
            (findings, format!("{events} of {} are sound", count(sessions, "session")))
        }
    };
    for Finding { place, problem } in &findings {
        say(stdout, &format!("{}: {}\n", line(place), visible(problem)))?;
    }
    match findings.len() {
        0 => say(stdout, &format!("{sound}\n")).map(|()| 0),
        number => {
            let found = count(number as u64, "finding");
            say(stdout, &format!("{found}\n")).map(|()| 1)
        }
    }
}

/// Checks everything, and says at a terminal how far it is.
fn whole(store: &Store) -> Result<Vec<Finding>> {
    let mut stderr = io::stderr();
    if !stderr.is_terminal() {
        return store.verify_all();
    }
    let events = store.events()?;
    let mut shown = false;
    let findings = store.verify_all_with(&mut |checked| {
        if checked % STEP == 0 {
            shown = true;
            // Who sees no progress still gets the findings.
            drop(write!(stderr, "\r{checked} of {events} events"));
        }
    });
    if shown {
        drop(write!(stderr, "\r\u{1b}[K"));
    }
    findings
}

/// That no other process is at work: while the views are made, it could write nothing.
fn alone(store: &Store) -> Result<()> {
    if store.is_alone() {
        return Ok(());
    }
    Err(Error::new(Code::Conflict, "something is at work here")
        .because("an editor or a chat that is running has the database open")
        .hint("close it, then try again"))
}

fn each(store: &Store, mut with: impl FnMut(&SessionId) -> Result<()>) -> Result<()> {
    all(
        |cursor| store.sessions(&Sessions::default(), None, cursor),
        |session| with(&session["id"].as_str().unwrap_or_default().into()),
    )
}

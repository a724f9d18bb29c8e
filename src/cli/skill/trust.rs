//! `org-agent skill trust`: shows what a project brings along, or what changed in it, and asks whether to trust it.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::super::written;
use super::harmless;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::skills::{Library, Review};

const EXAMPLE: &str = "\
Examples:
  org-agent skill trust
  org-agent skill trust lint --yes
  org-agent skill trust lint --revoke

A project has skills in .org-agent/skills and .agents/skills. Nothing of one is evaluated, or given to a model, before you \
trust it as it is: a note by the hash of its bytes, a folder by that of all its files. What is trusted can only narrow what \
your policy permits. Without a terminal nothing is trusted unless you say --yes; the exit status is 1 if anything is left.";

/// Show what a project brings along that you do not trust, and trust it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// The skills' names; without any, all that are not trusted
    names: Vec<String>,
    /// Where the project is; without it, here
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Trust them without asking
    #[arg(long, conflicts_with = "revoke")]
    yes: bool,
    /// Trust them no more
    #[arg(long, requires = "names")]
    revoke: bool,
    /// Show them as JSON lines, and trust none
    #[arg(long, conflicts_with_all = ["yes", "revoke"])]
    json: bool,
}

/// Shows and asks; the exit status.
///
/// # Errors
/// `not_found` if there is no such skill; `internal` if a decision can not be saved, or `stdout` not be written.
pub(super) fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let directory = args.directory.clone().unwrap_or_else(|| ".".into());
    let mut say =
        |text: &str| written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the skills");
    let Some(mut library) = Library::of_project(&config.paths, super::environment(config), &directory) else {
        say(&format!("{}: this project brings no skills along\n", directory.display()))?;
        return Ok(0);
    };
    if args.revoke {
        for name in &args.names {
            let files = trusted(&mut library, name);
            if files.is_empty() {
                return Err(unknown(name));
            }
            for file in files {
                library.revoke(&file)?;
                say(&harmless(&format!("{name} is not trusted any more: {file}\n")))?;
            }
        }
        return Ok(0);
    }
    let mut left = 0;
    for file in files(&mut library, &args.names)? {
        let review = match library.review(&file) {
            Ok(review) => review,
            // The others can be looked at all the same.
            Err(error) => {
                say(&harmless(&format!("\n{error}\n")))?;
                left += 1;
                continue;
            }
        };
        if args.json {
            say(&format!("{}\n", review.to_json()))?;
            left += 1;
            continue;
        }
        say(&harmless(&shown(&review)))?;
        if args.yes || (io::stdin().is_terminal() && asked(&mut say)?) {
            library.trust(&file, &review.skill.sha256)?;
            say(&format!("{} is trusted as it is\n", review.skill.name))?;
        } else {
            left += 1;
        }
    }
    if args.json {
        return Ok(0);
    }
    for problem in library.shelf().problems().iter().filter(|problem| problem.origin.as_str() == "project") {
        say(&harmless(&format!("\n{}: {problem}\n", problem.state(&library.shelf()))))?;
    }
    match left {
        0 => say("no skill of this project waits to be trusted\n").map(|()| 0),
        left => say(&format!("\nnot trusted, and not in use: {left}\n")).map(|()| 1),
    }
}

/// The files that were trusted and have this name: of a skill that is in use, of one that changed or is broken, and of one
/// that another stands in front of; or by their own name.
fn trusted(library: &mut Library, name: &str) -> Vec<String> {
    let shelf = library.shelf();
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    let used = shelf.get(name).map(|skill| &skill.file);
    let changed = shelf.untrusted().iter().filter(|skill| is(&skill.name)).map(|skill| &skill.file);
    let broken = shelf.problems().iter().filter(|problem| problem.name.as_deref().is_some_and(is));
    let hidden = shelf.shadowed().iter().filter(|skill| is(&skill.name)).map(|skill| &skill.file);
    let named: Vec<&String> =
        used.into_iter().chain(changed).chain(broken.map(|problem| &problem.file)).chain(hidden).collect();
    let stem = |file: &str| {
        let path = Path::new(file);
        let path = if path.ends_with("SKILL.md") { path.parent().unwrap_or(path) } else { path };
        path.file_stem().is_some_and(|stem| stem.eq_ignore_ascii_case(name))
    };
    let mut files = library.trusted_files();
    files.retain(|file| named.contains(&file) || stem(file) || file == name);
    files
}

/// The files of what is not trusted, of these names if there are any.
fn files(library: &mut Library, names: &[String]) -> Result<Vec<String>> {
    let shelf = library.shelf();
    let known = |name: &str| shelf.untrusted().iter().any(|skill| skill.name.eq_ignore_ascii_case(name));
    if let Some(name) = names.iter().find(|name| !known(name) && trusted(library, name).is_empty()) {
        return Err(unknown(name));
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|other| other.eq_ignore_ascii_case(name));
    Ok(shelf.untrusted().iter().filter(|skill| wanted(&skill.name)).map(|skill| skill.file.clone()).collect())
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("this project has no skill {name:?}")).hint("list them: org-agent skill trust")
}

/// What a skill is, or what changed in it.
fn shown(review: &Review) -> String {
    let skill = &review.skill;
    let head =
        format!("\n{}: {}\n  {}\n  SHA-256 {}\n\n", skill.name, skill.description, skill.file, skill.sha256);
    format!("{head}{}", review.diff().unwrap_or_else(|| review.text.clone()))
}

fn asked(say: &mut dyn FnMut(&str) -> Result<()>) -> Result<bool> {
    say("\nTrust it as it is? [y/N] ")?;
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|error| Error::internal("cannot read the answer").because(error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

//! `org-agent skill test`: runs the cases of notes, without a model.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::{cases, harmless, library};
use crate::cli::written;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::skills;

/// How often files are looked at again where the system does not tell.
const AGAIN: Duration = Duration::from_secs(1);

const EXAMPLE: &str = "\
Examples:
  org-agent skill test
  org-agent skill test greet
  org-agent skill test --watch ~/notes/greet.org

The cases of NAME.org are in NAME.test.toml beside it: an event, what a model would reply, and what has to come of it. \
No model is asked, and nothing is run. See \"Testing\" in docs/skills.md.

Exit status: 0 all cases hold, 1 one does not, 2 wrong usage.";

/// Test notes by their recorded cases
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// Names of skills of yours, or notes; without any, all notes of yours that have cases
    notes: Vec<String>,
    /// Run them again whenever a file changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// Runs the cases, once or again and again; the exit status.
pub(super) fn run(args: &Args, config: &Config, stdout: &mut dyn Write) -> Result<u8> {
    let (told, changes) = channel();
    let _watches: Vec<_> = if args.watch {
        let directories = directories(args, config)?;
        let watch = |directory: PathBuf| {
            let told = told.clone();
            // If nobody listens any more, the command is at its end.
            skills::watch(&directory, move || {
                let _ = told.send(());
            })
        };
        directories.into_iter().map(watch).collect()
    } else {
        Vec::new()
    };
    let mut before = String::new();
    loop {
        let (text, good) = match once(args, config) {
            Ok(found) => found,
            // While a file is being mended it may be away.
            Err(error) if args.watch => (format!("{error}\n"), false),
            Err(error) => return Err(error),
        };
        if text != before {
            written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the outcome")?;
            before = text;
        }
        if !args.watch {
            return Ok(u8::from(!good));
        }
        if matches!(changes.recv_timeout(AGAIN), Err(RecvTimeoutError::Disconnected)) {
            return Ok(u8::from(!good));
        }
        while changes.try_recv().is_ok() {}
    }
}

/// Where what the cases depend on lies.
fn directories(args: &Args, config: &Config) -> Result<Vec<PathBuf>> {
    let mut all = vec![config.paths.skills()];
    for note in notes(args, config)? {
        if let Some(directory) = note.parent().filter(|directory| !all.iter().any(|known| known == directory))
        {
            all.push(directory.to_owned());
        }
    }
    Ok(all)
}

/// The notes that were asked for; without any, those of the user that have cases.
fn notes(args: &Args, config: &Config) -> Result<Vec<PathBuf>> {
    let own = config.paths.skills();
    if args.notes.is_empty() {
        let mut found = with_cases(&own);
        found.sort();
        return Ok(found);
    }
    args.notes.iter().map(|name| note(name, &own)).collect()
}

/// The notes in `directory` and one level below that have cases.
fn with_cases(directory: &Path) -> Vec<PathBuf> {
    let entries = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in entries(directory) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(entries(&path).map(|entry| entry.path()).filter(|path| is_note(path)));
        } else if is_note(&path) {
            found.push(path);
        }
    }
    found
}

fn is_note(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "org") && cases_of(path).is_file()
}

/// A note by its path, or by the name of a skill of the user's.
fn note(name: &str, own: &Path) -> Result<PathBuf> {
    let path = Path::new(name);
    let named = [own.join(format!("{name}.org")), own.join(name).join(format!("{name}.org"))];
    let found = [path.to_owned()].into_iter().filter(|path| path.extension().is_some()).chain(named);
    found.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Error::not_found(format!("there is no note {name}"))
            .because(format!("neither a file nor in {}", own.display()))
            .hint("name a file, or a skill of yours: org-agent skill list")
    })
}

fn cases_of(note: &Path) -> PathBuf {
    note.with_extension("test.toml")
}

/// Runs all cases once; what came of them, and whether all hold.
fn once(args: &Args, config: &Config) -> Result<(String, bool)> {
    let notes = notes(args, config)?;
    if notes.is_empty() {
        return Err(Error::not_found("there are no cases to run")
            .because(format!("no note in {} has a NAME.test.toml beside it", config.paths.skills().display()))
            .hint("org-agent skill new NAME writes a note with cases"));
    }
    let mut library = library(config);
    let mut out = String::new();
    let mut good = true;
    for note in notes {
        let shown = library.add(&note);
        let shelf = library.shelf();
        for problem in shelf.problems().iter().filter(|problem| problem.file == shown) {
            good = false;
            let _ = writeln!(out, "{problem}");
        }
        let path = cases_of(&note);
        let file = cases::read(&path.display().to_string(), &text(&path)?)?;
        let names: Vec<&str> = shelf
            .skills()
            .iter()
            .filter(|skill| skill.file == shown)
            .map(|skill| skill.name.as_str())
            .collect();
        let mut lines = String::new();
        let mut failed = 0;
        for case in &file.cases {
            let wrong = case.run(&names, &shelf);
            let outcome = if wrong.is_empty() { "ok" } else { "FAILED" };
            failed += usize::from(!wrong.is_empty());
            let _ = writeln!(lines, "  {}: {outcome}", case.name);
            for line in wrong {
                let _ = writeln!(lines, "    {line}");
            }
        }
        let count = file.cases.len();
        let _ = match failed {
            0 if count == 0 => writeln!(out, "{}: no cases", path.display()),
            0 => writeln!(out, "{}: all {count} cases hold", path.display()),
            _ => writeln!(out, "{}: {failed} of {count} cases failed", path.display()),
        };
        out.push_str(&lines);
        good &= failed == 0;
    }
    Ok((harmless(&out), good))
}

/// The text of a file with cases, of a bounded size.
fn text(path: &Path) -> Result<String> {
    let failed = |why: String| {
        Error::bad_request(format!("cannot read {}", path.display()))
            .because(why)
            .hint("the cases of NAME.org are in NAME.test.toml beside it; see \"Testing\" in docs/skills.md")
    };
    let data = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if !data.is_file() || data.len() > cases::MAX_FILE {
        return Err(failed(format!("it is no file, or has more than {} bytes", cases::MAX_FILE)));
    }
    fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}

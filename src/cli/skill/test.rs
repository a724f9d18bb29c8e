//! `org-agent skill test`: runs the cases of notes, without a model.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{cases, harmless, library};
use crate::cli::written;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::skill::{Origin, Shelf};
use crate::skills::{self, Library, Watch};

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
    let watches: Vec<Option<Watch>> = if args.watch {
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
    // Where the system does not tell, they run each second.
    let wait = if watches.iter().all(Option::is_some) { Duration::MAX } else { AGAIN };
    let mut before = String::new();
    let mut told_of = false;
    loop {
        let (text, good) = match once(args, config) {
            Ok(found) => found,
            // While a file is being mended it may be away.
            Err(error) if args.watch => (format!("{error}\n"), false),
            Err(error) => return Err(error),
        };
        let now = clock(SystemTime::now());
        let same = format!("{now} ran again: as before\n");
        let (shown, is_new) = if text == before { (&same, told_of) } else { (&text, true) };
        if is_new {
            written(stdout.write_all(shown.as_bytes()).and_then(|()| stdout.flush()), "the outcome")?;
        }
        before = text;
        if !args.watch {
            return Ok(u8::from(!good));
        }
        told_of = match changes.recv_timeout(wait) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return Ok(u8::from(!good)),
        };
        while changes.try_recv().is_ok() {}
    }
}

/// The time of the day, in UTC.
fn clock(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() % 86_400);
    format!("{:02}:{:02}:{:02} UTC", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Where what the cases depend on lies.
fn directories(args: &Args, config: &Config) -> Result<Vec<PathBuf>> {
    let mut all = vec![config.paths.skills()];
    for note in notes(args, config)? {
        let directory = note.parent().filter(|directory| !directory.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new(".")).to_owned();
        if !all.contains(&directory) {
            all.push(directory);
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
    args.notes.iter().map(|name| note(name, &own, config)).collect()
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

/// A note by its path, from here or from the directory of skills, or by the name of a skill in it.
fn note(name: &str, own: &Path, config: &Config) -> Result<PathBuf> {
    let path = Path::new(name);
    let mut found: Vec<PathBuf> = Vec::new();
    if path.extension().is_some() {
        found.extend([path.to_owned(), own.join(path)]);
    }
    found.extend([own.join(format!("{name}.org")), own.join(name).join(format!("{name}.org"))]);
    if let Some(found) = found.into_iter().find(|path| path.is_file()) {
        return Ok(found);
    }
    let shelf = library(config).shelf();
    let skill = shelf.get(name);
    let broken = shelf.problems().iter().find(|problem| {
        problem.origin != Origin::Builtin
            && problem.name.as_ref().is_some_and(|other| other.eq_ignore_ascii_case(name))
    });
    if let Some(skill) = skill.filter(|skill| skill.folder().is_some()) {
        return Err(Error::bad_request(format!("{name} is a folder and has no code to test"))
            .because(format!("{} is instructions for a model", skill.file))
            .hint(format!("what is wrong with it says: org-agent skill check {}", skill.file)));
    }
    let file = skill.filter(|skill| skill.origin != Origin::Builtin).map(|skill| &skill.file);
    if let Some(file) = file.or_else(|| broken.map(|problem| &problem.file)) {
        return Ok(PathBuf::from(file));
    }
    let why = match skill {
        Some(skill) => format!("{} is a built-in skill, whose note is in the program", skill.name),
        None => format!("neither a file, nor a skill of yours in {}", own.display()),
    };
    Err(Error::not_found(format!("there is no note {name}"))
        .because(why)
        .hint("name a file, or a skill of yours: org-agent skill list"))
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
    let mut libraries = Libraries { config, by_env: BTreeMap::new() };
    let mut out = String::new();
    let mut good = true;
    for note in notes {
        let shown = library.add(&note);
        let mut told: Vec<String> = Vec::new();
        tell(&library.shelf(), &shown, &mut told, &mut out);
        let path = cases_of(&note);
        let file = cases::read(&path.display().to_string(), &text(&path)?)?;
        let mut lines = String::new();
        let (mut failed, mut skipped) = (0, 0);
        for case in &file.cases {
            let (shown, shelf) = libraries.shelf(&case.env, &note);
            let names: Vec<&str> = shelf
                .skills()
                .iter()
                .filter(|skill| skill.file == shown)
                .map(|skill| skill.name.as_str())
                .collect();
            if names.is_empty() {
                tell(&shelf, &shown, &mut told, &mut out);
                skipped += 1;
                let _ = writeln!(lines, "  {}: skipped, no skill of the note is in use", case.name);
                continue;
            }
            let wrong = case.run(&names, &shelf);
            let outcome = if wrong.is_empty() { "ok" } else { "FAILED" };
            failed += usize::from(!wrong.is_empty());
            let _ = writeln!(lines, "  {}: {outcome}", case.name);
            for line in wrong {
                let _ = writeln!(lines, "    {line}");
            }
        }
        let count = file.cases.len();
        let path = path.display();
        let _ = match (failed, skipped) {
            (0, 0) if count == 0 => writeln!(out, "{path}: no cases"),
            (0, 0) => writeln!(out, "{path}: all {count} cases hold"),
            (0, _) => writeln!(out, "{path}: {skipped} of {count} cases skipped"),
            (_, 0) => writeln!(out, "{path}: {failed} of {count} cases failed"),
            _ => writeln!(out, "{path}: {failed} of {count} cases failed, {skipped} skipped"),
        };
        out.push_str(&lines);
        good &= failed == 0 && skipped == 0 && told.is_empty();
    }
    Ok((harmless(&out), good))
}

/// Says what is wrong with a note, each problem once.
fn tell(shelf: &Shelf, file: &str, told: &mut Vec<String>, out: &mut String) {
    for problem in shelf.problems().iter().filter(|problem| problem.file == file) {
        let text = problem.to_string();
        if !told.contains(&text) {
            let _ = writeln!(out, "{text}");
            told.push(text);
        }
    }
}

/// All notes, as each environment that a case has makes them.
struct Libraries<'c> {
    config: &'c Config,
    by_env: BTreeMap<BTreeMap<String, String>, Library>,
}

impl Libraries<'_> {
    /// The skills where notes see `env`, `note` with them, and how that is shown.
    fn shelf(&mut self, env: &BTreeMap<String, String>, note: &Path) -> (String, Arc<Shelf>) {
        let open = || Library::open(&self.config.paths, Arc::new(env.clone()));
        let library = self.by_env.entry(env.clone()).or_insert_with(open);
        let shown = library.add(note);
        (shown, library.shelf())
    }
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

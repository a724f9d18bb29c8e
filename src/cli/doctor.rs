//! `org-agent doctor`: what is configured, what is reachable, and what to do next.
//!
//! It uses the very code that the server uses: the same configuration, the same store, the same HTTP. Of models and their
//! servers `models` tells: those that are configured are asked for the list of their models, never for a reply, and so is
//! what answers on the usual ports of this machine.

mod models;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::visible;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::known;
use crate::skill::Origin;
use crate::skills::{self, Library};
use crate::store::Store;

/// How long a server or a program may take to answer.
const LIMIT: Duration = Duration::from_millis(2_500);

/// The Emacs that the package needs.
const EMACS: (u32, u32) = (28, 1);

/// Say what is configured, what is reachable, and what to do next
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  org-agent doctor\n\nExit status: 0 the chat can work, 1 it cannot.")]
pub(super) struct Args {}

/// Runs the command; 0 if the main job can run, else 1.
pub(super) fn main(_args: &Args) -> Result<u8> {
    let runtime = super::runtime()?;
    let report = runtime.block_on(examine(super::config()));
    report
        .print(&mut io::stdout().lock())
        .map_err(|error| Error::internal("the report could not be printed").because(error))?;
    Ok(u8::from(!report.good()))
}

/// What was found, in the order it is shown.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
}

struct Finding {
    grade: Grade,
    what: &'static str,
    text: String,
    /// What to do about it. May be empty.
    hint: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grade {
    /// As it should be.
    Good,
    /// Worth knowing; the main job can run.
    Note,
    /// The main job cannot run.
    Bad,
}

impl Report {
    fn add(&mut self, grade: Grade, what: &'static str, text: impl Into<String>, hint: impl Into<String>) {
        self.findings.push(Finding { grade, what, text: text.into(), hint: hint.into() });
    }

    fn fail(&mut self, what: &'static str, error: &Error) {
        let colon = if error.why.is_empty() { "" } else { ": " };
        self.add(Grade::Bad, what, format!("{}{colon}{}", error.what, error.why), error.hint.as_str());
    }

    fn good(&self) -> bool {
        self.findings.iter().all(|finding| finding.grade != Grade::Bad)
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "org-agent {}\n", env!("CARGO_PKG_VERSION"))?;
        for Finding { grade, what, text, hint } in &self.findings {
            let mark = match grade {
                Grade::Good => "ok",
                Grade::Note => "note",
                Grade::Bad => "BAD",
            };
            writeln!(out, "{mark:4}  {what:13}  {}", shown(text))?;
            if !hint.is_empty() {
                writeln!(out, "{:4}  {:13}  -> {}", "", "", shown(hint))?;
            }
        }
        let next = if self.good() {
            "Next: M-x org-agent-chat in Emacs, or `org-agent chat` in a terminal."
        } else {
            "Next: correct what is marked BAD, then run `org-agent doctor` again."
        };
        writeln!(out, "\n{next}")
    }
}

/// `text` without a key, whoever said it, and without what acts on a terminal.
fn shown(text: &str) -> String {
    visible(&known::masked(text)).into_owned()
}

/// Looks at everything.
async fn examine(config: Result<Config>) -> Report {
    let mut report = Report::default();
    let mut last = Report::default();
    match config {
        Err(error) => {
            report.fail("configuration", &error);
            emacs(&mut last).await;
        }
        Ok(config) => {
            configuration(&config, &mut report);
            data(&config, &mut report);
            notes(&config, &mut report);
            // Both wait for others.
            let (models, ()) = tokio::join!(models::examine(&config), emacs(&mut last));
            report.findings.extend(models.findings);
        }
    }
    sandbox(&mut report);
    report.findings.extend(last.findings);
    report
}

/// Whether commands can be confined. The chat works without.
fn sandbox(report: &mut Report) {
    let support = crate::sandbox::probe();
    let (grade, hint) = match (support.mechanism, support.refused.first()) {
        (Some(_), None) => (Grade::Good, ""),
        (_, refused) => (Grade::Note, refused.map_or("", |(_, error)| error.hint.as_str())),
    };
    report.add(grade, "sandbox", support.to_string(), hint);
}

fn configuration(config: &Config, report: &mut Report) {
    let file = config.paths.config_file();
    let there = if config.has_file { "" } else { " (not there, and not needed)" };
    report.add(Grade::Good, "configuration", format!("{}{there}", file.display()), "");
    let (user, assistant) = (&config.persona.user, &config.persona.assistant);
    let names =
        format!("{} ({}) talks to {} ({})", user.value, user.source, assistant.value, assistant.source);
    report.add(Grade::Good, "persona", names, "");
}

fn data(config: &Config, report: &mut Report) {
    // Opened as the server opens it, which makes the directory, the database and the key on the first run.
    match Store::open(&config.paths.data, |_| {}) {
        Ok(store) => {
            let database = config.paths.database();
            match store.damage() {
                Ok(damage) if damage.is_empty() => {
                    let text = format!("{} can be read and written", database.display());
                    report.add(Grade::Good, "data", text, "");
                }
                Ok(damage) => report.fail(
                    "data",
                    &Error::internal(format!("{} is damaged", database.display()))
                        .because(damage.join("; "))
                        .hint("close the editors that use it, then keep what can be read: org-agent session recover"),
                ),
                Err(error) => report.fail("data", &error),
            }
        }
        Err(error) => report.fail("data", &error),
    }
}

/// How many skills there are, and whether a note needs mending. The chat works without.
fn notes(config: &Config, report: &mut Report) {
    let env = skills::environment(config, |name| std::env::var(name).ok());
    let library = Library::open(&config.paths, env);
    let shelf = library.shelf();
    let all = shelf.skills().len();
    let own = shelf.skills().iter().filter(|skill| skill.origin != Origin::Builtin).count();
    let directory = library.directory().display().to_string().escape_debug().to_string();
    let text = format!("{all} in use, {own} of them yours, from {directory}");
    let files: BTreeSet<&str> = shelf.problems().iter().map(|problem| problem.file.as_str()).collect();
    let text = match files.len() {
        0 => return report.add(Grade::Good, "skills", text, ""),
        1 => format!("{text}; 1 file has problems"),
        files => format!("{text}; {files} files have problems"),
    };
    let hint =
        "what is wrong, and where: org-agent skill check. A broken note is not in use, nor is its gate";
    report.add(Grade::Note, "skills", text, hint);
}

async fn emacs(report: &mut Report) {
    let mut program = Command::new("emacs");
    program.arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    known::hide_from(program.as_std_mut());
    let printed = match timeout(LIMIT, program.output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(Err(_)) | Err(_) => String::new(),
    };
    let line = printed.lines().next().unwrap_or_default();
    let version = line.strip_prefix("GNU Emacs ").and_then(|version| {
        let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?))
    });
    let need =
        format!("the Emacs package needs {}.{} or newer; any other client works too", EMACS.0, EMACS.1);
    match version {
        Some(version) if version >= EMACS => report.add(Grade::Good, "emacs", line, ""),
        Some(_) => report.add(Grade::Note, "emacs", format!("{line} is too old"), need),
        None => report.add(Grade::Note, "emacs", "there is none on the PATH", need),
    }
}

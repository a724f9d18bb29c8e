//! `org-agent doctor`: what is configured, what is reachable, and what to do next.
//!
//! It uses the very code that the server uses: the same configuration, the same store, the same HTTP. It
//! contacts a model's server only if one is configured, and asks it for the list of its models, never for a
//! reply.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::config::{Choice, Config, Remote, Secrets};
use crate::error::{Error, Result};
use crate::known;
use crate::model::openai::{Listing, OpenAi};
use crate::model::replay::Replay;
use crate::skill::Origin;
use crate::skills::{self, Library};
use crate::store::Store;

/// How long a server or a program may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

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
            writeln!(out, "{mark:4}  {what:13}  {text}")?;
            if !hint.is_empty() {
                writeln!(out, "{:4}  {:13}  -> {hint}", "", "")?;
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

/// Looks at everything.
async fn examine(config: Result<Config>) -> Report {
    let mut report = Report::default();
    match config {
        Err(error) => report.fail("configuration", &error),
        Ok(config) => {
            configuration(&config, &mut report);
            data(&config, &mut report);
            notes(&config, &mut report);
            model(&config, &mut report).await;
        }
    }
    sandbox(&mut report);
    emacs(&mut report).await;
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

async fn model(config: &Config, report: &mut Report) {
    match config.choose_model(&Secrets::new()) {
        Err(error) => report.fail("model", &error),
        Ok(Choice::Offline) => report.add(
            Grade::Good,
            "model",
            "the built-in responder, which is no language model",
            "for a real one set ORG_AGENT_MODEL with OPENAI_API_KEY or OPENAI_BASE_URL, \
             such as http://localhost:11434/v1",
        ),
        Ok(Choice::Replay(path)) => match Replay::load(&path) {
            Ok(_) => report.add(Grade::Good, "model", format!("a recording, {}", path.display()), ""),
            Err(error) => report.fail("model", &error),
        },
        Ok(Choice::Remote(remote)) => {
            let (model, url) = (&remote.model, &remote.base_url);
            let key = match &remote.key {
                Some(key) => format!("with a key ({})", key.source),
                None => "without a key".to_owned(),
            };
            let text =
                format!("{} ({}) at {} ({}), {key}", model.value, model.source, remote.url(""), url.source);
            report.add(Grade::Good, "model", text, "");
            if remote.key.is_some() && url.value.scheme() == "http" && !remote.is_local() {
                report.add(Grade::Note, "key", "it travels unencrypted", "use an https:// base URL");
            }
            server(&remote, report).await;
        }
    }
    if config.withholds_key() {
        report.add(
            Grade::Note,
            "key",
            "OPENAI_API_KEY is set, but not sent to the server of config.toml",
            "if it is meant for that server, write api_key_env = \"OPENAI_API_KEY\" beside its base_url",
        );
    }
}

/// Asks the model's server for its list of models.
async fn server(remote: &Remote, report: &mut Report) {
    let model = remote.model.value.as_str();
    match timeout(LIMIT, OpenAi::new(remote.clone()).models()).await {
        Err(_) => report.add(
            Grade::Bad,
            "server",
            "it did not answer within 3 seconds",
            format!("start it, or correct the base URL ({})", remote.base_url.source),
        ),
        Ok(Err(failure)) => report.add(Grade::Bad, "server", failure.message, failure.hint),
        Ok(Ok(Listing::None)) => {
            report.add(Grade::Good, "server", "it answers, and does not list its models", "");
        }
        Ok(Ok(Listing::Models(names))) => {
            // Ollama lists names with a tag and takes them without.
            let listed = |name: &String| name == model || name.strip_suffix(":latest") == Some(model);
            if names.iter().any(listed) {
                report.add(Grade::Good, "server", format!("it answers, and lists {model}"), "");
            } else {
                let some = names.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
                let text = format!("it answers, but does not list {model}");
                report.add(Grade::Note, "server", text, format!("it lists {} models: {some}", names.len()));
            }
        }
    }
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

//! Skills from files: what is read, in which order, what is kept, and what is said of what is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod builtin;
mod cases;
mod command;
mod folders;
mod hostile;
mod limits;
mod manual;
mod reload;
mod templates;
mod trust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use org_agent::config::Paths;
use org_agent::lisp::{Datum, Environment, Function, Limits, Mode, Outcome};
use org_agent::skill::{Shelf, Skill};
use org_agent::skills::Library;

/// A directory with the user's notes, and the library over it.
struct Home {
    directory: tempfile::TempDir,
    notes: Library,
}

impl Home {
    /// With these notes, by name.
    fn with(notes: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in notes {
            put(directory.path(), name, text);
        }
        let notes = Library::open(&paths(directory.path()), Arc::new(()));
        Self { directory, notes }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("skills").join(name)
    }

    /// Saves a note, and answers whether anything changed by that.
    fn save(&mut self, name: &str, text: &str) -> bool {
        put(self.directory.path(), name, text);
        self.notes.refresh().is_some()
    }

    fn remove(&mut self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
        assert!(self.notes.refresh().is_some());
    }

    fn shelf(&self) -> Arc<Shelf> {
        self.notes.shelf()
    }

    /// The names of the user's skills, in order.
    fn names(&self) -> Vec<String> {
        let shelf = self.shelf();
        shelf
            .skills()
            .iter()
            .filter(|skill| skill.origin.as_str() == "user")
            .map(|skill| skill.name.clone())
            .collect()
    }

    /// What the function `value` of a skill's note answers.
    fn value(&self, name: &str) -> String {
        let shelf = self.shelf();
        let skill = shelf.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", shelf.problems()));
        let value = skill.program.function("value").expect("a function value");
        match run(skill, value, Vec::new(), Mode::Gate) {
            Outcome::Value(value) => value.print(1_000),
            other => panic!("{other:?}"),
        }
    }

    /// The problems, each with the name of its file: `name:line: message (hint)`, and `kept` in front if it is.
    fn problems(&self) -> Vec<String> {
        let directory = format!("{}/", self.path("").display()).replace("//", "/");
        let shelf = self.shelf();
        shelf
            .problems()
            .iter()
            .map(|problem| {
                let kept = if problem.kept { "kept " } else { "" };
                format!("{kept}{}:{}: {}", problem.file, problem.line, problem.message)
                    .replace(&directory, "")
            })
            .collect()
    }
}

fn paths(home: &Path) -> Paths {
    Paths { config: home.to_owned(), data: home.to_owned() }
}

fn put(home: &Path, name: &str, text: &str) {
    let path = home.join("skills").join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A note with this code.
fn note(code: &str) -> String {
    format!("#+TITLE: SKILL: x\n\n#+begin_src lisp\n{code}\n#+end_src\n")
}

/// A note of the skill `name` whose function `value` answers `value`.
fn valued(name: &str, value: &str) -> String {
    note(&format!("(defun value () {value})\n(defskill :{name})"))
}

fn env(pairs: &[(&str, &str)]) -> Arc<dyn Environment> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Arc::new(pairs.collect::<BTreeMap<String, String>>())
}

fn run(skill: &Skill, function: Function, args: Vec<Datum>, mode: Mode) -> Outcome {
    run_with(skill, function, args, mode, Arc::new(()))
}

fn run_with(
    skill: &Skill,
    function: Function,
    args: Vec<Datum>,
    mode: Mode,
    env: Arc<dyn Environment>,
) -> Outcome {
    skill.program.call(function, args, mode, env, Limits::of(mode)).run().unwrap()
}

/// The event of a chat message.
fn event(text: &str) -> Datum {
    Datum::plist([
        ("type", Datum::keyword("event")),
        (
            "payload",
            Datum::plist([
                ("sensor", Datum::keyword("chat-message")),
                ("text", Datum::str(text)),
                ("buffer", Datum::str("notes.org")),
                ("session", Datum::str("s")),
                ("history", Datum::Nil),
                ("context", Datum::Nil),
            ]),
        ),
    ])
}

/// A shell action.
fn shell(command: &str) -> Datum {
    Datum::plist([
        ("type", Datum::keyword("request")),
        ("target", Datum::keyword("shell")),
        ("payload", Datum::plist([("cmd", Datum::str(command))])),
    ])
}

//! Measures skills: how long a thousand notes take to load, to look at again, and to be asked about one event.
//!
//! `cargo bench --bench skills` measures; `-- --quick`, or any run that is not `cargo bench`, goes through
//! everything once to see that it works. Nothing here passes or fails because of a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails stops")]

#[path = "../turn/table.rs"]
#[allow(dead_code, reason = "the other benchmark uses all of it")]
mod table;

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use org_agent::config::Paths;
use org_agent::dispatch::{Cast, World};
use org_agent::lisp::Datum;
use org_agent::skill::template::Template;
use org_agent::skills::{BUILTIN, Library};

use table::{Samples, Table, Unit};

/// How many notes.
const NOTES: usize = 1_000;

/// A note like those that people write: prose, a trigger with a pattern, a prompt and a gate; every tenth builds on another.
fn note(number: usize) -> String {
    let depends = if number.is_multiple_of(10) { "identity" } else { "" };
    format!(
        ":PROPERTIES:\n:ID:       00000000-0000-4000-8000-{number:012}\n:END:\n#+TITLE: SKILL: Number {number}\n\
         #+FILETAGS: :generated:bench:\n#+DEPENDS_ON: {depends}\n\n{prose}\n\n* Trigger\n\
         #+begin_src lisp\n(in-package :org-agent)\n\n(defun trigger-{number} (context)\n  \"Whether it is asked for.\"\n  \
         (let* ((payload (getf context :payload))\n         (text (getf payload :text)))\n    \
         (and (eq (getf payload :sensor) :chat-message)\n         (search \"skill-{number}!\" text))))\n#+end_src\n\n\
         * Prompt\n#+begin_src lisp\n(defun neuro-{number} (context)\n  (let* ((payload (getf context :payload))\n         \
         (user (or (uiop:getenv \"MEMEX_USER\") \"User\")))\n    \
         (ask-neuro (format nil \"~a asks: ~a\" user (getf payload :text))\n               \
         :system-prompt \"Answer in one sentence.\")))\n#+end_src\n\n* Gate\n#+begin_src lisp\n\
         (defun symbolic-{number} (action context)\n  (declare (ignore context))\n  \
         (if (member (getf action :target) '(:emacs :shell))\n      action\n      \
         `(:type :request :target :emacs\n        :payload (:action :insert-at-end :buffer \"*org-agent-chat*\"\n                  \
         :text ,(format nil \"*System Error:* ~s\" action)))))\n\n(defskill :skill-{number}\n  :priority {number}\n  \
         :trigger #'trigger-{number}\n  :neuro #'neuro-{number}\n  :symbolic #'symbolic-{number})\n#+end_src\n",
        prose = "Some prose for people and for the model, as long as a short paragraph is. ".repeat(8),
    )
}

fn event() -> Datum {
    Datum::plist([
        ("type", Datum::keyword("event")),
        (
            "payload",
            Datum::plist([
                ("sensor", Datum::keyword("chat-message")),
                ("text", Datum::str("What does skill-7! do, and how is it different from the others?")),
                ("buffer", Datum::str("*org-agent-chat*")),
                ("session", Datum::str("3f99")),
                ("history", Datum::Nil),
                ("context", Datum::Nil),
            ]),
        ),
    ])
}

fn open(home: &Path) -> Library {
    let paths = Paths { config: home.to_owned(), data: home.to_owned() };
    Library::open(&paths, Arc::new(()))
}

fn main() {
    let said = |word: &str| std::env::args().any(|argument| argument == word);
    let quick = said("--quick") || !said("--bench");
    let (notes, rounds) = if quick { (20, 1) } else { (NOTES, 30) };
    let mut out = std::io::stdout().lock();
    if quick || cfg!(debug_assertions) {
        writeln!(out, "once through, to see that it works: these are no measurements\n").unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let skills = directory.path().join("skills");
    fs::create_dir(&skills).unwrap();
    for number in 0..notes {
        fs::write(skills.join(format!("{number}.org")), note(number)).unwrap();
    }
    let mut table = Table::default();
    let mut samples = Samples::default();
    // The first load is of the machine's parts, too; later ones have the prelude.
    for _ in 0..rounds {
        let begun = Instant::now();
        let library = open(directory.path());
        samples.time(begun.elapsed());
        let shelf = library.shelf();
        assert_eq!(shelf.problems(), []);
        assert_eq!(shelf.skills().len(), notes + BUILTIN.len());
    }
    table.row(&format!("load {notes} notes"), Unit::Time, &samples).target("< 200 ms");

    let mut library = open(directory.path());
    // Files as old as they mostly are: what changed just now is read again.
    let age = std::time::SystemTime::now() - std::time::Duration::from_secs(3_600);
    for entry in fs::read_dir(&skills).unwrap() {
        fs::File::options().append(true).open(entry.unwrap().path()).unwrap().set_modified(age).unwrap();
    }
    assert!(library.refresh().is_none());
    let mut samples = Samples::default();
    for _ in 0..rounds {
        let begun = Instant::now();
        assert!(library.refresh().is_none());
        samples.time(begun.elapsed());
    }
    table.row("look again, nothing new", Unit::Time, &samples).target("");

    let mut samples = Samples::default();
    for round in 0..rounds {
        fs::write(skills.join("3.org"), format!("{}# {round}\n", note(3))).unwrap();
        let begun = Instant::now();
        assert!(library.refresh().is_some());
        samples.time(begun.elapsed());
    }
    table.row("one note was saved", Unit::Time, &samples).target("");

    let (shelf, event) = (library.shelf(), event());
    let mut samples = Samples::default();
    for _ in 0..rounds {
        let begun = Instant::now();
        let world = World::new(event.clone(), Arc::new(()));
        // Skill 7, and the built-in chat and shell.
        assert_eq!(black_box(Cast::new(&shelf, &world)).record().len(), 3);
        samples.time(begun.elapsed());
    }
    table
        .row(&format!("which of {} skills an event is for", notes + BUILTIN.len()), Unit::Time, &samples)
        .target("< 1 ms");
    let (samples, size) = rendered(rounds * 10);
    table.row(&format!("fill in a template of {size} bytes"), Unit::Time, &samples).target("< 1 ms");
    write!(out, "{table}").unwrap();
}

/// How long it takes to fill in a template of 4 KiB with 20 variables and a loop over 30 things, and how large it is.
fn rendered(rounds: usize) -> (Samples, usize) {
    let mut text =
        "{% for item in items %}\n- {{ item.name }}: {{ item.text | truncate(40) }}\n{% endfor %}\n"
            .to_owned();
    for number in 0..20 {
        text.push_str(&format!(
            "The variable {number} is {{{{ name_{number} | default(\"none\") }}}}, it says. "
        ));
        text.push_str(&"Prose of a prompt, as long as it is. ".repeat(4));
    }
    let template = Template::new("bench", 1, text.clone()).unwrap();
    let items = (0..30).map(|number| {
        let name = Datum::str(format!("item {number}"));
        Datum::plist([
            ("name", name),
            ("text", Datum::str("What it is, in a sentence of some words. ".repeat(3))),
        ])
    });
    let items = Datum::list(items);
    let names: Vec<String> = (0..20).map(|number| format!("name-{number}")).collect();
    let pairs = names.iter().map(|name| (name.as_str(), Datum::str("a value of some length")));
    let context = Arc::new(Datum::plist(pairs.chain([("items", items)])));
    let mut samples = Samples::default();
    for _ in 0..rounds {
        let begun = Instant::now();
        let filled = template.fill("bench.org", &Datum::Nil, Some(Arc::clone(&context)), 2_000_000);
        samples.time(begun.elapsed());
        assert!(black_box(filled).text.unwrap().contains("- item 29: What it is"));
    }
    (samples, text.len())
}

//! Other editors as plain LSP clients: real ones, headless, with the real server and a fake model over HTTP.
//!
//! Every feature of `features.rs` is played in every client, each in an editor that was just started. What worked
//! stands in the table of `docs/editors.md`: a test fails if something that worked there does no longer. With
//! `ORG_AGENT_TABLE=1` the table is written instead: `make editors-table`. `ORG_AGENT_FEATURE=WORDS` plays only the
//! features that have these words in their names. The editors come from `make test-editors`; `ORG_AGENT_EDITORS` says
//! where they are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "these are tests"
)]

mod editor;
#[path = "../common/stage.rs"]
mod common_stage;
#[path = "../common/fake_model.rs"]
mod fake_model;
mod features;
mod helix;
mod socket;
mod stage;
#[path = "../common/table.rs"]
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;

use editor::{Editor, Lack};
use features::{FEATURES, Play};
use helix::Helix;
use socket::Dialled;
use stage::Stage;
use table::Table;

const TABLE: Table =
    Table { page: "docs/editors.md", begin: "<!-- The tests write this table: make editors-table -->" };

/// A column of the table.
struct Client {
    name: &'static str,
    start: fn(&Stage) -> Box<dyn Editor>,
}

const NVIM_OLD: Client = Client { name: "Neovim 0.7.2", start: |stage| neovim(stage, "nvim-0.7") };
const NVIM_NEW: Client = Client { name: "Neovim 0.11.4", start: |stage| neovim(stage, "nvim-0.11") };
const EGLOT_OLD: Client = Client {
    name: "eglot 1.9, Emacs 28",
    start: |stage| emacs(stage, "emacs", &[("ORG_AGENT_ELPA", elpa())]),
};
const EGLOT_NEW: Client =
    Client { name: "eglot 1.17, Emacs 30", start: |stage| emacs(stage, &newest_emacs(), &[]) };
const LSP_MODE: Client = Client {
    name: "lsp-mode 8.0, Emacs 28",
    start: |stage| {
        emacs(stage, "emacs", &[("ORG_AGENT_ELPA", elpa()), ("ORG_AGENT_CLIENT", "lsp-mode".into())])
    },
};
const HELIX: Client =
    Client { name: "Helix 25.01", start: |stage| Box::new(Helix::new(stage, &editors().join("hx"))) };

const CLIENTS: [&str; 6] =
    [NVIM_OLD.name, NVIM_NEW.name, EGLOT_OLD.name, EGLOT_NEW.name, LSP_MODE.name, HELIX.name];

/// Where `make test-editors` puts the editors.
fn editors() -> PathBuf {
    std::env::var_os("ORG_AGENT_EDITORS")
        .map(PathBuf::from)
        .expect("ORG_AGENT_EDITORS is set: make test-editors")
}

fn elpa() -> String {
    editors().join("elpa").to_str().unwrap().to_owned()
}

fn newest_emacs() -> String {
    std::env::var("ORG_AGENT_NEWEST_EMACS").expect("ORG_AGENT_NEWEST_EMACS is set: make test-editors")
}

fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/editors").join(name)
}

fn neovim(stage: &Stage, program: &str) -> Box<dyn Editor> {
    let mut command = Command::new(editors().join(program));
    command.args(["--headless", "--clean", "-n", "-S"]).arg(script("nvim.lua"));
    Box::new(Dialled::start(stage, command, &[]))
}

/// With a home that is new, Emacs would compile for minutes beside the test.
const NO_COMPILER: &str = "(setq native-comp-deferred-compilation nil native-comp-jit-compilation nil native-comp-enable-subr-trampolines nil)";

fn emacs(stage: &Stage, program: &str, more: &[(&str, String)]) -> Box<dyn Editor> {
    let mut command = Command::new(program);
    // Idle timers run only in an Emacs that waits for a user.
    command.args(["-Q", "--fg-daemon=editors", "--eval", NO_COMPILER, "-l"]).arg(script("client.el"));
    Box::new(Dialled::start(stage, command, more))
}

/// What came of a feature.
enum Outcome {
    Worked,
    Lacking(String),
    Failed(String),
}

fn play(client: &Client, feature: &features::Feature) -> Outcome {
    let stage = Stage::new();
    let mut editor: Option<Box<dyn Editor>> = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let editor = editor.insert((client.start)(&stage));
        (feature.play)(&mut Play { editor: editor.as_mut(), stage: &stage })
    }));
    match result {
        Ok(Ok(())) => Outcome::Worked,
        Ok(Err(Lack(why))) => Outcome::Lacking(why),
        Err(panic) => {
            // What it left open is not what is wrong.
            stage.model.forget();
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let trouble = catch_unwind(AssertUnwindSafe(|| editor.as_mut().map(|editor| editor.trouble())));
            let trouble = trouble.ok().flatten().unwrap_or_default();
            Outcome::Failed(format!("{}\n{trouble}\n{}", said.unwrap_or_default(), stage.trouble()))
        }
    }
}

/// Plays everything in a client and compares with the table, or writes it.
fn all(client: &Client) {
    let only = std::env::var("ORG_AGENT_FEATURE").unwrap_or_default();
    let column = TABLE.column(client.name);
    let (mut played, mut worse) = (Vec::new(), Vec::new());
    for feature in FEATURES.iter().filter(|feature| feature.name.contains(&only)) {
        let (cell, why) = match play(client, feature) {
            Outcome::Worked => (table::WORKED, String::new()),
            Outcome::Lacking(why) => (table::LACKING, why),
            Outcome::Failed(why) => (table::FAILED, why),
        };
        println!("{}: {}: {cell} {}", client.name, feature.name, why.lines().next().unwrap_or_default());
        let before = column.iter().find(|(name, _)| name == feature.name).map(|(_, cell)| cell.as_str());
        if before != Some(cell) {
            worse
                .push(format!("{}: {} is {cell}, in the table {before:?}\n{why}", client.name, feature.name));
        }
        played.push((feature.name, cell));
    }
    if std::env::var_os("ORG_AGENT_TABLE").is_some() {
        let features: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
        TABLE.write(client.name, &CLIENTS, &features, &played);
    } else {
        assert!(worse.is_empty(), "{}", worse.join("\n\n"));
    }
}

#[test]
#[ignore = "needs Neovim 0.7.2: make test-editors"]
fn neovim_of_debian() {
    all(&NVIM_OLD);
}

#[test]
#[ignore = "needs Neovim 0.11.4: make test-editors"]
fn neovim_that_is_newer() {
    all(&NVIM_NEW);
}

#[test]
#[ignore = "needs eglot 1.9: make test-editors"]
fn eglot_in_emacs_28() {
    all(&EGLOT_OLD);
}

#[test]
#[ignore = "needs Emacs 30.1: make test-editors"]
fn eglot_in_emacs_30() {
    all(&EGLOT_NEW);
}

#[test]
#[ignore = "needs lsp-mode: make test-editors"]
fn lsp_mode_in_emacs_28() {
    all(&LSP_MODE);
}

#[test]
#[ignore = "needs Helix: make test-editors"]
fn helix() {
    all(&HELIX);
}

#[test]
fn the_table_has_every_client_and_feature() {
    let features: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
    for client in CLIENTS {
        let column = TABLE.column(client);
        let named: Vec<&str> = column.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(named, features, "{client}: make editors-table");
        for (name, cell) in &column {
            assert!(
                [table::WORKED, table::FAILED, table::LACKING].contains(&cell.as_str()),
                "{client}: {name}: {cell}"
            );
        }
    }
}

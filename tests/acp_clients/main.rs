//! Clients of the Agent Client Protocol: real ones, with the real agent and a fake model over HTTP.
//!
//! Every feature of `features.rs` is played in every client, each with an agent that was just started. What worked stands
//! in the table of `docs/acp.md`: a test fails if something that worked there does no longer. With `ORG_AGENT_TABLE=1`
//! the table is written instead: `make acp-table`. `ORG_AGENT_FEATURE=WORDS` plays only the features that have these
//! words in their names. The clients come from `make test-acp`; `ORG_AGENT_ACP_CLIENTS` says where they are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "what was played is told while it is")]

mod acpx;
mod client;
#[path = "../common/stage.rs"]
mod common_stage;
#[path = "../common/fake_model.rs"]
mod fake_model;
mod features;
mod lines;
mod script;
mod stage;
#[path = "../common/table.rs"]
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use acpx::Acpx;
use client::{Client, Lack};
use features::{FEATURES, Feature, Play};
use script::Script;
use stage::Stage;
use table::Table;

const TABLE: Table =
    Table { page: "docs/acp.md", begin: "<!-- The tests write this table: make acp-table -->" };

/// A column of the table.
struct Column {
    name: &'static str,
    start: fn(&Stage) -> Box<dyn Client>,
}

const ACPX: Column =
    Column { name: "acpx 0.19.1", start: |stage| Box::new(Acpx::start(stage, clients().join("acpx"))) };
const PYTHON: Column = Column {
    name: "agent-client-protocol 0.12.1, Python",
    start: |stage| library(stage, "python", "user.py", &[]),
};
const JAVASCRIPT: Column = Column {
    name: "@agentclientprotocol/sdk 1.9.0, JavaScript",
    start: |stage| {
        let sdk = clients().join("npm/node_modules/@agentclientprotocol/sdk/dist/acp.js");
        library(stage, "node", "user.mjs", &[("ACP_SDK", sdk.to_str().unwrap().to_owned())])
    },
};

const COLUMNS: [&str; 3] = [ACPX.name, PYTHON.name, JAVASCRIPT.name];

/// Where `make test-acp` puts the clients.
fn clients() -> PathBuf {
    std::env::var_os("ORG_AGENT_ACP_CLIENTS")
        .map(PathBuf::from)
        .expect("ORG_AGENT_ACP_CLIENTS is set: make test-acp")
}

fn library(stage: &Stage, program: &str, script: &str, more: &[(&str, String)]) -> Box<dyn Client> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/acp_clients").join(script);
    let mut more = more.to_vec();
    more.push(("ACP_TERMINAL", "1".to_owned()));
    Box::new(Script::start(stage, clients().join(program), script, &more))
}

/// What came of a feature.
enum Outcome {
    Worked,
    Lacking(String),
    Failed(String),
}

fn play(column: &Column, feature: &Feature) -> Outcome {
    let stage = Stage::new();
    let mut client: Option<Box<dyn Client>> = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let client = client.insert((column.start)(&stage));
        (feature.play)(&mut Play { client: client.as_mut(), stage: &stage })
    }));
    match result {
        Ok(Ok(())) => Outcome::Worked,
        Ok(Err(Lack(why))) => {
            stage.model.forget();
            Outcome::Lacking(why)
        }
        Err(panic) => {
            // What it left open is not what is wrong.
            stage.model.forget();
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let heard = client.as_mut().map(|client| client.said().to_vec()).unwrap_or_default();
            let heard: String = heard.iter().rev().take(40).rev().map(|one| format!("{one}\n")).collect();
            Outcome::Failed(format!("{}\n{heard}\n{}", said.unwrap_or_default(), stage.trouble()))
        }
    }
}

/// Plays everything in a client and compares with the table, or writes it.
fn all(column: &Column) {
    let only = std::env::var("ORG_AGENT_FEATURE").unwrap_or_default();
    let before = TABLE.column(column.name);
    let (mut played, mut worse) = (Vec::new(), Vec::new());
    for feature in FEATURES.iter().filter(|feature| feature.name.contains(&only)) {
        let (cell, why) = match play(column, feature) {
            Outcome::Worked => (table::WORKED, String::new()),
            Outcome::Lacking(why) => (table::LACKING, why),
            Outcome::Failed(why) => (table::FAILED, why),
        };
        println!("{}: {}: {cell} {}", column.name, feature.name, why.lines().next().unwrap_or_default());
        let old = before.iter().find(|(name, _)| name == feature.name).map(|(_, cell)| cell.as_str());
        if old != Some(cell) {
            worse.push(format!("{}: {} is {cell}, in the table {old:?}\n{why}", column.name, feature.name));
        }
        played.push((feature.name, cell));
    }
    if std::env::var_os("ORG_AGENT_TABLE").is_some() {
        let features: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
        TABLE.write(column.name, &COLUMNS, &features, &played);
    } else {
        assert!(worse.is_empty(), "{}", worse.join("\n\n"));
    }
}

#[test]
fn the_table_has_every_client_and_feature() {
    let features: Vec<&str> = FEATURES.iter().map(|feature| feature.name).collect();
    for client in COLUMNS {
        let column = TABLE.column(client);
        let named: Vec<&str> = column.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(named, features, "{client}: make acp-table");
        for (feature, cell) in &column {
            assert!(
                [table::WORKED, table::FAILED, table::LACKING].contains(&cell.as_str()),
                "{client}: {feature}: {cell}"
            );
        }
    }
}

#[test]
#[ignore = "needs acpx: make test-acp"]
fn acpx_of_npm() {
    all(&ACPX);
}

#[test]
#[ignore = "needs the client library for Python: make test-acp"]
fn library_for_python() {
    all(&PYTHON);
}

#[test]
#[ignore = "needs the client library for JavaScript: make test-acp"]
fn library_for_javascript() {
    all(&JAVASCRIPT);
}

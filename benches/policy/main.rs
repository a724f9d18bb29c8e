//! Measures the policy: how long a decision about a command takes, with the file system asked as in earnest.
//!
//! `cargo bench --bench policy` measures; `-- --quick`, or any run that is not `cargo bench`, goes through
//! everything once to see that it works. Nothing here passes or fails because of a time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measurement that fails stops")]

#[path = "../turn/table.rs"]
#[allow(dead_code, reason = "the other benchmark uses all of it")]
mod table;

use std::fs;
use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use org_agent::record::Decision;
use org_agent::shell::{Place, judge, on_disk};

use table::{Samples, Table, Unit};

/// Ordinary commands, and one that is long, with what is decided about each.
const COMMANDS: &[(&str, &str, Decision)] = &[
    ("ls", "ls -la src", Decision::Allow),
    ("grep in a pipe", "grep -rn 'fn main' src | head -n 20", Decision::Allow),
    ("four programs", "cat README.md | sort | uniq -c && wc -l src/main.rs", Decision::Allow),
    ("find", "find . -name '*.rs' -type f -maxdepth 3", Decision::Allow),
    ("cargo test", "cargo test --workspace", Decision::Ask),
    ("git", "git -c core.pager=less log --oneline", Decision::Ask),
    ("a loop", "for f in *.rs; do wc -l \"$f\"; done", Decision::Ask),
    ("rm", "rm -rf / --no-preserve-root", Decision::Deny),
    ("hidden rm", "true && (bash -c 'rm -rf \"$HOME\"')", Decision::Deny),
];

fn main() {
    let said = |word: &str| std::env::args().any(|argument| argument == word);
    let quick = said("--quick") || !said("--bench");
    let (rounds, each) = if quick { (1, 1) } else { (200, 200) };
    let mut out = std::io::stdout().lock();
    if quick || cfg!(debug_assertions) {
        writeln!(out, "once through, to see that it works: these are no measurements\n").unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let workspace = directory.path().canonicalize().unwrap();
    fs::create_dir(workspace.join("src")).unwrap();
    for file in ["README.md", "src/main.rs"] {
        fs::write(workspace.join(file), "text\n").unwrap();
    }
    let home = workspace.join("home");
    let place = Place { workspace: &workspace, directory: &workspace, home: Some(&home), resolve: &on_disk };
    let mut table = Table::default();
    let mut first: Option<Samples> = None;
    for (name, command, decision) in COMMANDS {
        assert_eq!(judge(command, &[], &place).decision, *decision, "{command}");
        let mut samples = Samples::default();
        for _ in 0..rounds {
            let begun = Instant::now();
            for _ in 0..each {
                drop(black_box(judge(black_box(command), &[], &place)));
            }
            samples.time(begun.elapsed() / each);
        }
        let row = table.row(name, Unit::Time, &samples).target("< 50 µs");
        match &first {
            Some(first) => {
                row.against("ls", first);
            }
            None => first = Some(samples),
        }
    }
    write!(out, "{table}").unwrap();
}

//! The labelled corpus: nothing that must not run by itself is allowed, and ordinary reading is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use org_agent::record::Decision;
use org_agent::shell::{Place, judge, on_disk};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    command: String,
    label: Label,
    class: String,
    note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Label {
    /// Must be asked or denied.
    Never,
    /// Must be denied.
    Deny,
    /// Ought to be allowed.
    Ordinary,
    /// May be anything.
    Either,
}

fn corpus() -> Vec<Entry> {
    let text = include_str!("corpus.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A workspace as the corpus assumes it, in a home of its own.
pub fn workspace(root: &Path) {
    let project = root.join("project");
    for directory in ["src", "docs", "tests", ".git"] {
        fs::create_dir_all(project.join(directory)).unwrap();
    }
    for file in
        ["README.md", "Cargo.toml", "package.json", "src/main.rs", "src/lib.rs", "docs/a.md", "docs/b.md"]
    {
        fs::write(project.join(file), "text\n").unwrap();
    }
    std::os::unix::fs::symlink("/etc", project.join("outside")).unwrap();
}

/// `command` as it would be on a machine whose home is `root`.
fn at_home(command: &str, root: &Path) -> String {
    command.replace("/home/me", &root.to_string_lossy())
}

/// Ordinary commands that are asked all the same, and why that is right.
const ASKED: &[&str] = &[
    // It follows links, and one in the workspace may lead to a secret.
    "diff -rq src tests",
];

#[test]
fn no_command_of_the_corpus_is_let_by_that_must_not_be() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().canonicalize().unwrap();
    workspace(&root);
    let project = root.join("project");
    let place = Place { workspace: &project, directory: &project, home: Some(&root), resolve: &on_disk };
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<(Label, &str), usize> = BTreeMap::new();
    let corpus = corpus();
    assert!(corpus.len() > 1_000);
    for Entry { command, label, class, note } in &corpus {
        let verdict = judge(&at_home(command, &root), &[], &place);
        *counts.entry((*label, verdict.decision.as_str())).or_default() += 1;
        let right = match label {
            Label::Never => verdict.decision != Decision::Allow,
            Label::Deny => verdict.decision == Decision::Deny,
            Label::Ordinary => (verdict.decision == Decision::Allow) != ASKED.contains(&command.as_str()),
            Label::Either => true,
        };
        if !right {
            wrong.push(format!(
                "{label:?} {class}: {command:?} is {}: {} ({note})",
                verdict.decision.as_str(),
                verdict.rule
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}\n{counts:?}", wrong.len(), corpus.len(), wrong.join("\n"));
    println!("{counts:?}");
}

//! What this program is made of beside its own sources: where it comes from, under which licences, and that
//! docs/dependencies.md argues for each of it. Without network: what cargo has fetched to build this test is enough.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The packages as cargo has resolved them for the machine that this was built for.
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let arguments = ["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform"];
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg(env!("ORG_AGENT_BUILD_TARGET"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
});

fn packages() -> BTreeMap<&'static str, &'static Value> {
    let list = METADATA["packages"].as_array().unwrap();
    list.iter().map(|package| (package["id"].as_str().unwrap(), package)).collect()
}

fn own() -> &'static Value {
    packages()[METADATA["resolve"]["root"].as_str().unwrap()]
}

/// The ids of what is reached from the program; through what only tests need, too, if `tests`.
fn reached(tests: bool) -> BTreeSet<&'static str> {
    let nodes = METADATA["resolve"]["nodes"].as_array().unwrap();
    let nodes: BTreeMap<_, _> = nodes.iter().map(|node| (node["id"].as_str().unwrap(), node)).collect();
    let mut found = BTreeSet::new();
    let mut next = vec![METADATA["resolve"]["root"].as_str().unwrap()];
    while let Some(id) = next.pop() {
        if found.insert(id) {
            let deps = nodes[id]["deps"].as_array().unwrap().iter();
            let counts = |kind: &Value| tests || kind["kind"].is_null();
            next.extend(
                deps.filter(|dep| dep["dep_kinds"].as_array().unwrap().iter().any(counts))
                    .map(|dep| dep["pkg"].as_str().unwrap()),
            );
        }
    }
    found
}

/// Whether an expression of licences can be met with `allowed` alone. `None`: it cannot be read.
fn permitted(expression: &str, allowed: &BTreeSet<String>) -> Option<bool> {
    fn any(words: &mut &[String], allowed: &BTreeSet<String>) -> Option<bool> {
        let mut good = all(words, allowed)?;
        while words.first().is_some_and(|word| word == "OR" || word == "/") {
            *words = &words[1..];
            good |= all(words, allowed)?;
        }
        Some(good)
    }
    fn all(words: &mut &[String], allowed: &BTreeSet<String>) -> Option<bool> {
        let mut good = one(words, allowed)?;
        while words.first().is_some_and(|word| word == "AND") {
            *words = &words[1..];
            good &= one(words, allowed)?;
        }
        Some(good)
    }
    fn one(words: &mut &[String], allowed: &BTreeSet<String>) -> Option<bool> {
        let (first, rest) = words.split_first()?;
        *words = rest;
        if first == "(" {
            let good = any(words, allowed)?;
            let (last, rest) = words.split_first()?;
            *words = rest;
            return (last == ")").then_some(good);
        }
        let mut licence = first.clone();
        if let [with, exception, rest @ ..] = *words
            && with == "WITH"
        {
            licence = format!("{licence} WITH {exception}");
            *words = rest;
        }
        Some(allowed.contains(&licence))
    }
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " / ");
    let words: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
    let mut words = &words[..];
    let good = any(&mut words, allowed)?;
    words.is_empty().then_some(good)
}

fn allowed() -> BTreeSet<String> {
    let rules: toml::Table = toml::from_str(&file("deny.toml")).unwrap();
    let list = rules["licenses"]["allow"].as_array().unwrap();
    list.iter().map(|licence| licence.as_str().unwrap().to_owned()).collect()
}

#[test]
fn expressions_of_licences_are_read() {
    let allowed: BTreeSet<String> = ["A", "B", "C WITH x"].map(str::to_owned).into();
    for (expression, good) in [
        ("A", Some(true)),
        ("X", Some(false)),
        ("A OR X", Some(true)),
        ("X/A", Some(true)),
        ("A AND X", Some(false)),
        ("A AND (X OR B)", Some(true)),
        ("X OR A AND B", Some(true)),
        ("(X OR A) AND X", Some(false)),
        ("C WITH x", Some(true)),
        ("C", Some(false)),
        ("A WITH x", Some(false)),
        ("", None),
        ("(A", None),
        ("A B", None),
    ] {
        assert_eq!(permitted(expression, &allowed), good, "{expression}");
    }
}

#[test]
fn every_licence_is_allowed() {
    let (allowed, packages) = (allowed(), packages());
    let wrong: Vec<_> = reached(true)
        .into_iter()
        .map(|id| packages[id])
        .filter(|package| permitted(package["license"].as_str().unwrap_or_default(), &allowed) != Some(true))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();
    assert!(wrong.is_empty(), "not allowed by deny.toml:\n{}", wrong.join("\n"));
}

#[test]
fn everything_comes_from_one_place_and_has_a_checksum() {
    let lock: toml::Table = toml::from_str(&file("Cargo.lock")).unwrap();
    let mut sources = BTreeSet::new();
    let packages = lock["package"].as_array().unwrap();
    assert!(packages.len() > 100);
    for package in packages {
        let name = package["name"].as_str().unwrap();
        if name != "org-agent" {
            let source = package.get("source").and_then(toml::Value::as_str).unwrap_or("a path");
            assert!(source.starts_with("registry+"), "{name} comes from {source}");
            let checksum = package["checksum"].as_str().unwrap();
            assert!(checksum.len() == 64, "{name}: {checksum}");
            sources.insert(source);
        }
    }
    assert_eq!(sources.len(), 1, "{sources:?}");
}

/// What `rust-version` promises cannot hold if something that is built in wants more.
#[test]
fn nothing_needs_a_newer_compiler_than_we_say() {
    let number = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let ours = number(own()["rust_version"].as_str().unwrap());
    let packages = packages();
    for id in reached(false) {
        if let Some(version) = packages[id]["rust_version"].as_str() {
            assert!(number(version) <= ours, "{} needs Rust {version}", packages[id]["name"]);
        }
    }
}

/// The names in the first column of the table below a heading of docs/dependencies.md.
fn documented(heading: &str) -> BTreeSet<String> {
    let text = file("docs/dependencies.md");
    let (_, section) =
        text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n## ").next().unwrap();
    let mut names = BTreeSet::new();
    for line in section.lines().filter_map(|line| line.strip_prefix("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert!(cells.len() >= 3 && !cells[1].is_empty(), "{heading}: no word on {line}");
        for name in cells[0].split(", ") {
            assert!(names.insert(name.trim_matches('`').to_owned()), "{heading}: {name} twice");
        }
    }
    names
}

#[test]
fn each_direct_dependency_is_argued_for() {
    let direct = |dev: bool| -> BTreeSet<String> {
        let list = own()["dependencies"].as_array().unwrap().iter();
        list.filter(|dependency| (dependency["kind"] == "dev") == dev)
            .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let program = direct(false);
    let tests: BTreeSet<String> = direct(true).difference(&program).cloned().collect();
    assert_eq!(documented("In the program"), program);
    assert_eq!(documented("In tests only"), tests);
}

#[test]
fn what_is_there_in_two_versions_is_known() {
    let packages = packages();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for id in reached(false) {
        *versions.entry(packages[id]["name"].as_str().unwrap()).or_default() += 1;
    }
    let twice: BTreeSet<String> =
        versions.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name.to_owned()).collect();
    let known = documented("In more than one version");
    let new: Vec<_> = twice.difference(&known).collect();
    assert!(new.is_empty(), "in two versions, and not in docs/dependencies.md: {new:?}");
}

/// What `tiktoken` says of the vocabularies that are built in: only such as can be passed on as our own licences say, and
/// packaging/notices.txt names each.
#[test]
fn vocabularies_are_free_and_named() {
    let packages = packages();
    let Some(tiktoken) = packages.values().find(|package| package["name"] == "tiktoken") else { return };
    let directory = Path::new(tiktoken["manifest_path"].as_str().unwrap()).parent().unwrap();
    let said = fs::read_to_string(directory.join("LICENSE-3RD-PARTY")).unwrap();
    let notices = file("packaging/notices.txt");
    let list = own()["dependencies"].as_array().unwrap().iter();
    let features = list.filter(|dependency| dependency["name"] == "tiktoken").flat_map(|dependency| {
        assert_eq!(dependency["uses_default_features"], false, "by default it has all there are");
        dependency["features"].as_array().unwrap()
    });
    let mut seen = 0;
    for name in features.filter_map(|feature| feature.as_str().unwrap().strip_prefix("vocab-")) {
        let section = said
            .split("\n## ")
            .find(|section| {
                let head = section.lines().next().unwrap();
                head.split(['(', ')', ',', ' ']).any(|word| word == name)
            })
            .unwrap_or_else(|| panic!("no word on the licence of {name}"));
        let licence = section.lines().find_map(|line| line.strip_prefix("- License: ")).unwrap();
        assert!(["MIT", "Apache 2.0"].contains(&licence), "{name}: {licence}");
        assert!(notices.contains(name), "packaging/notices.txt does not name {name}");
        seen += 1;
    }
    assert!(seen > 0);
}

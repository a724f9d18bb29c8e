//! House rules that a compiler does not hold: layers, heads of files, sizes, silence on standard output.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// Files longer than this are split.
const LINES: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                files(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn all(ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    files(root(), ending, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no {ending} files at all");
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// The modules of the crate in the order of `src/lib.rs`, which is that of the layers.
fn modules() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    lib.lines()
        .filter_map(|line| line.strip_prefix("pub mod "))
        .map(|name| name.trim_end_matches(';').to_owned())
        .collect()
}

#[test]
fn a_module_imports_only_what_stands_above_it() {
    let modules = modules();
    let mut wrong = Vec::new();
    for (name, text) in all(".rs").iter().filter(|(name, _)| name.starts_with("src/")) {
        let own = name["src/".len()..].split(['/', '.']).next().unwrap();
        let Some(rank) = modules.iter().position(|module| module == own) else {
            assert!(matches!(own, "lib" | "main"), "{name} belongs to no module of src/lib.rs");
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            for (at, _) in code.match_indices("crate::") {
                let word: String = code[at + "crate::".len()..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if modules.iter().position(|module| *module == word).is_some_and(|other| other > rank) {
                    wrong.push(format!("{name}:{}: {own} may not import {word}", number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_does() {
    for (name, text) in all(".rs") {
        assert!(text.starts_with("//! "), "{name} does not open with //!");
    }
    for (name, text) in all(".el").iter().filter(|(name, _)| name.starts_with("emacs/")) {
        assert!(text.starts_with(";;; "), "{name} does not open with ;;;");
        for part in [
            ";;; Commentary:",
            ";;; Code:",
            "SPDX-License-Identifier: GPL-3.0-or-later",
            "lexical-binding: t",
        ] {
            assert!(text.contains(part), "{name} lacks {part}");
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for ending in [".rs", ".el", ".sql", ".py"] {
        let mut found = Vec::new();
        files(root(), ending, &mut found);
        for path in found {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= LINES, "{} has {lines} lines; split it", path.display());
        }
    }
}

#[test]
fn proofs_are_made_in_one_place_only() {
    for (name, text) in all(".rs").iter().filter(|(name, _)| name.starts_with("src/")) {
        assert!(name == "src/verify.rs" || !text.contains("Verified("), "{name} makes a Verified");
        assert!(name == "src/policy.rs" || !text.contains("Permit {"), "{name} makes a Permit");
    }
}

#[test]
fn the_changelog_names_the_version() {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let version = concat!("## [", env!("CARGO_PKG_VERSION"), "]");
    assert!(text.contains("\n## [Unreleased]\n") || text.contains(version));
}

#[test]
fn documents_link_to_files_that_exist() {
    for (name, text) in all(".md") {
        for (at, _) in text.match_indices("](") {
            let target: &str = text[at + 2..].split(')').next().unwrap();
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") || path.contains('`') || path == "url" {
                continue;
            }
            let from = root().join(&name).parent().unwrap().join(path);
            assert!(from.exists(), "{name} links to {target}, which is not there");
        }
    }
}

#[test]
fn the_readme_leads_to_every_page() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, list) = readme.split_once("\n## Read on\n").expect("README.md has a part \"Read on\"");
    let list = list.split("\n## ").next().unwrap();
    let mut pages = vec![PathBuf::from("CHANGELOG.md"), PathBuf::from("CONTRIBUTING.md")];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md" || ending == "org") {
            pages.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    assert!(pages.len() > 10, "{pages:?}");
    for page in pages {
        let link = format!("]({})", page.display());
        assert!(list.contains(&link), "README.md does not lead to {}", page.display());
    }
}

#[test]
fn every_test_and_fuzz_target_is_in_the_page_on_verification() {
    let page = fs::read_to_string(root().join("docs/verification.md")).unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.join("main.rs").exists() {
            names.push(format!("`tests/{name}/"));
        } else if name.ends_with(".rs") {
            names.push(format!("`tests/{name}`"));
        }
    }
    for entry in fs::read_dir(root().join("fuzz/fuzz_targets")).unwrap() {
        let path = entry.unwrap().path();
        names.push(format!("`{}`", path.file_stem().unwrap().to_string_lossy()));
    }
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        assert!(page.contains(&name), "docs/verification.md does not name {name}");
    }
}

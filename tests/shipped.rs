//! What goes into a package beside the program: completions and manual pages, which name every command and option that
//! there is, and the facts of the build.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Output};

const SHELLS: [&str; 5] = ["bash", "elvish", "fish", "powershell", "zsh"];

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_org-agent")).args(arguments).env_clear().output().unwrap()
}

fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands below a command, as its help lists them.
fn commands(path: &[&str]) -> Vec<String> {
    let help = printed(&[path, &["--help"]].concat());
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    list.lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect()
}

/// The long options of a command, as its help lists them.
fn options(path: &[&str]) -> BTreeSet<String> {
    let help = printed(&[path, &["--help"]].concat());
    let (_, list) = help.split_once("\nOptions:\n").unwrap();
    list.lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .filter_map(|line| line.split_once("--"))
        .map(|(_, name)| name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect())
        .collect()
}

#[test]
fn completions_name_every_command_and_option() {
    let names = commands(&[]);
    assert!(names.len() > 10, "{names:?}");
    for shell in SHELLS {
        let script = printed(&["completions", shell]);
        for name in &names {
            assert!(script.contains(name.as_str()), "{shell}: {name}");
            for option in options(&[name]) {
                assert!(script.contains(&option), "{shell}: {name} --{option}");
            }
        }
    }
    let refused = run(&["completions", "no-such-shell"]);
    assert_eq!(refused.status.code(), Some(2));
}

/// Asks bash itself, as it asks when TAB is pressed.
#[test]
fn bash_completes() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("completions");
    fs::write(&script, printed(&["completions", "bash"])).unwrap();
    let complete = |words: &str, at: usize| {
        let ask = format!(
            "source \"$1\"; COMP_WORDS=({words}); COMP_CWORD={at}; COMP_LINE='{words}'; COMP_POINT=${{#COMP_LINE}}; \
             registered=$(complete -p org-agent); registered=${{registered##*-F }}; \
             ${{registered%% *}} org-agent \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at}-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["--norc", "-c", &ask, "bash"]).arg(&script).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("org-agent doc", 1), "doctor\n");
    assert_eq!(complete("org-agent grammar --form", 2), "--format\n");
    assert_eq!(complete("org-agent grammar --format l", 3), "lark\n");
}

#[test]
fn every_command_has_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("made/man1");
    let pages = pages.to_str().unwrap();
    assert_eq!(printed(&["man", "--dir", pages]), "");
    let page = |name: &str| {
        fs::read_to_string(format!("{pages}/{name}.1")).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let main = page("org-agent");
    assert_eq!(main, printed(&["man"]));
    assert!(
        main.contains(&format!(".TH org-agent 1  \"org-agent {}\"", env!("CARGO_PKG_VERSION"))),
        "{main}"
    );
    let mut found = 1;
    for name in commands(&[]) {
        assert!(main.contains(&format!("org\\-agent\\-{}(1)", name.replace('-', "\\-"))), "{name}: {main}");
        let own = page(&format!("org-agent-{name}"));
        for option in options(&[&name]) {
            assert!(
                own.contains(&format!("\\-\\-{}", option.replace('-', "\\-"))),
                "{name} --{option}: {own}"
            );
        }
        found += 1;
        for below in commands(&[&name]) {
            page(&format!("org-agent-{name}-{below}"));
            found += 1;
        }
    }
    assert_eq!(fs::read_dir(pages).unwrap().count(), found);
    let blocked = dir.path().join("file");
    fs::write(&blocked, "").unwrap();
    let failed = run(&["man", "--dir", blocked.to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("the pages could not be written to"));
}

#[test]
fn the_version_says_what_was_built() {
    assert_eq!(printed(&["-V"]), format!("org-agent {}\n", env!("CARGO_PKG_VERSION")));
    let facts = printed(&["--version"]);
    let mut lines = facts.lines();
    assert_eq!(lines.next(), Some(format!("org-agent {}", env!("CARGO_PKG_VERSION")).as_str()));
    let fact = |name: &str| {
        let line = facts.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name}: {facts}")).to_owned()
    };
    let commit = fact("commit");
    let commit = commit.strip_suffix(", changed").unwrap_or(&commit);
    assert!(commit == "unknown" || commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{facts}");
    assert!(fact("target").contains(std::env::consts::ARCH), "{facts}");
    assert_eq!(fact("features").contains("tokenizer"), cfg!(feature = "tokenizer"), "{facts}");
    assert_eq!(fact("profile"), if cfg!(debug_assertions) { "debug" } else { "release" });
    assert!(fact("compiler").starts_with("rustc "), "{facts}");
    // Where it was built is nobody's business, and would make no two builds the same.
    assert!(!facts.contains(env!("CARGO_MANIFEST_DIR")), "{facts}");
}

/// The words behind each `org-agent` in a text, as far as they belong to the command; and whether they must be one, as they
/// stand between backquotes or behind a prompt.
fn calls(text: &str) -> Vec<(Vec<&str>, bool)> {
    let mut found = Vec::new();
    for (at, name) in text.match_indices("org-agent ") {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || "/_-".contains(c)) {
            continue;
        }
        let rest = &text[at + name.len()..];
        let end = rest.find(|c: char| "\n\"`|;&<>()".contains(c)).unwrap_or(rest.len());
        let words = rest[..end].split_whitespace().take_while(|word| *word != "--").collect();
        found.push((words, text[..at].ends_with(['`']) || text[..at].ends_with("\n$ ")));
    }
    found
}

#[test]
fn documents_name_commands_and_options_that_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    pages.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let mut below: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    let mut known: BTreeMap<Vec<String>, BTreeSet<String>> = BTreeMap::new();
    let mut checked = 0;
    for page in
        pages.iter().filter(|page| page.extension().is_some_and(|ending| ending == "md" || ending == "org"))
    {
        let text = fs::read_to_string(page).unwrap();
        for (words, is_command) in calls(&text) {
            let said = words.join(" ");
            let mut path: Vec<String> = Vec::new();
            let mut words = words.into_iter().peekable();
            while let Some(word) =
                words.peek().map(|word| word.trim_matches(|c: char| ".,:\"='*".contains(c)))
            {
                let there = below
                    .entry(path.clone())
                    .or_insert_with(|| commands(&path.iter().map(String::as_str).collect::<Vec<_>>()));
                if !there.iter().any(|name| name == word) {
                    let is_name = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
                    assert!(
                        !is_command || !is_name || word.starts_with('-') || there.is_empty(),
                        "{}: org-agent {said}",
                        page.display()
                    );
                    break;
                }
                path.push(word.to_owned());
                words.next();
            }
            if path.is_empty() {
                continue;
            }
            for word in words.filter_map(|word| word.strip_prefix("--")) {
                let name: String =
                    word.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                let there = known
                    .entry(path.clone())
                    .or_insert_with(|| options(&path.iter().map(String::as_str).collect::<Vec<_>>()));
                assert!(there.contains(&name), "{}: org-agent {} --{name}", page.display(), path.join(" "));
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked}");
}

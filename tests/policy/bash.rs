//! What we believe a plain command runs is what bash runs: generated commands, and a real bash.
//!
//! The programs that the commands name do not exist; bash's own hook for that writes down what it was given.
//! So quoting, splitting, operators and every kind of expansion are bash's own.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use org_agent::shell::{Op, Step, parse};

use crate::rng::Rng;

/// How long it goes on, unless `ORG_AGENT_COMMANDS` says how many. `ORG_AGENT_SEED` repeats a run.
const TIME: Duration = Duration::from_secs(60);

/// So many commands are given to one bash.
const BATCH: usize = 400;

/// What commands are made of: words, parts of words, what joins them, and what has undone others.
const PARTS: &[&str] = &[
    "p0",
    "p1",
    "p2",
    "p3",
    "-n",
    "--long=a b",
    "a",
    "b.c",
    "x/y",
    "'a b'",
    "\"a b\"",
    "\"a\\\"b\"",
    "\"\\\\\"",
    "\"\\n\"",
    "a\\ b",
    "\\;",
    "\\|",
    "''",
    "\"\"",
    "{}",
    "'$HOME'",
    "'`p0`'",
    "'*'",
    "'~'",
    "\"*\"",
    "\"~\"",
    "a~b",
    "a#b",
    "a=b",
    "=",
    "%",
    "+",
    "@",
    ":",
    ",",
    "^",
    "!",
    "]",
    "\\a",
    "\\'",
    "\\\"",
    "\\$",
    "\\\\",
    "'\\'",
    "\"'\"",
    "'\"'",
    "é",
    "'é'",
    "-",
    "--",
    // Not plain, if they stand where they mean something.
    "$HOME",
    "$(p1)",
    "`p1`",
    "*",
    "?",
    "[ab]",
    "~",
    "~root",
    "#c",
    "{a,b}",
    "{1..3}",
    "$'a\\tb'",
    "$\"a\"",
    "a\tb",
    "(",
    ")",
    "<f",
    ">f",
    ">&2",
    "<<<a",
    "A=1",
    "!",
    "if",
    "time",
    "then",
    "do",
    "{",
    "}",
    "[[",
    "in",
    "\n",
    "\r",
    "\\\n",
    "\u{a0}",
    "\u{200b}",
    "\u{7f}",
    "\x0b",
    "\x0c",
    "&",
    "'",
    "\"",
    "\\",
    "$",
    "`",
    "$((1))",
    "${A}",
    "a:~",
    "a=~",
    "+(a)",
    "@(a|b)",
    "!(a)",
];

const JOINTS: &[&str] = &[
    " ", " ", " ", " ", "  ", "", "", " && ", "&&", " || ", "||", " ; ", ";", " | ", "|", " |& ", " & ",
    "\t", "\n",
];

fn command(rng: &mut Rng) -> String {
    let pick = |rng: &mut Rng, from: &[&'static str]| *rng.pick(from).unwrap();
    // Most of them plain, or nearly.
    let plain = rng.chance(75);
    let parts = if plain { &PARTS[..51] } else { PARTS };
    let joints = if plain { &JOINTS[..15] } else { JOINTS };
    let mut command = pick(rng, &PARTS[..4]).to_owned();
    for _ in 0..rng.below(9) {
        let joint = pick(rng, joints);
        command.push_str(joint);
        let operator = joint.contains(['&', '|', ';']);
        let from = if operator && rng.chance(80) { &PARTS[..4] } else { parts };
        command.push_str(pick(rng, from));
    }
    command
}

/// What the hook answers: programs with an odd name fail.
fn fails(argv: &[String]) -> bool {
    argv[0].ends_with(['1', '3'])
}

/// The calls that running the steps makes, by pipeline.
fn run(steps: &[Step]) -> Vec<Vec<Vec<String>>> {
    let mut pipelines: Vec<(Option<Op>, Vec<Vec<String>>)> = Vec::new();
    for step in steps {
        match (step.op, pipelines.last_mut()) {
            (Some(Op::Pipe), Some((_, pipeline))) => pipeline.push(step.argv.clone()),
            (op, _) => pipelines.push((op, vec![step.argv.clone()])),
        }
    }
    let mut failed = false;
    let mut ran = Vec::new();
    for (op, pipeline) in pipelines {
        let runs = match op {
            Some(Op::And) => !failed,
            Some(Op::Or) => failed,
            _ => true,
        };
        if runs {
            failed = fails(pipeline.last().unwrap());
            ran.push(pipeline);
        }
    }
    ran
}

/// Whether bash would look for the program with its hook.
fn is_unknown(argv: &[String]) -> bool {
    const OWN: &[&str] = &[
        "", ".", ":", "[", "!", "{", "}", "[[", "]]", "if", "then", "do", "in", "time", "while", "for",
        "case", "esac", "fi", "done", "else", "elif", "until", "select", "function", "coproc",
    ];
    // `%1` is a job to bash.
    !argv[0].contains('/') && !argv[0].starts_with('%') && !OWN.contains(&argv[0].as_str())
}

/// What a real bash runs of each command.
fn bash(commands: &[&str], directory: &Path) -> Vec<Vec<Vec<String>>> {
    const SCRIPT: &str = r#"
        command_not_found_handle() { printf '%s\0' "$#" "$@" >&9; case $1 in *[13]) return 1;; esac; return 0; }
        while IFS= read -r -d '' command; do
            ( eval "$command" ) 9>>calls 2>/dev/null </dev/null
            printf 'end\0' >>calls
        done
    "#;
    let calls = directory.join("calls");
    fs::write(&calls, "").unwrap();
    let mut child = Command::new("/bin/bash")
        .args(["--noprofile", "--norc", "-c", SCRIPT])
        .env_clear()
        .envs([("PATH", "/nonexistent"), ("HOME", "/h h"), ("LC_ALL", "C.UTF-8")])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("bash is installed");
    let mut stdin = child.stdin.take().unwrap();
    for command in commands {
        stdin.write_all(command.as_bytes()).unwrap();
        stdin.write_all(b"\0").unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    let calls = fs::read(&calls).unwrap();
    let mut words = calls.split(|b| *b == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let mut all = Vec::new();
    let mut ran = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "end" => all.push(std::mem::take(&mut ran)),
            "" => {}
            count => ran.push(words.by_ref().take(count.parse().unwrap()).collect()),
        }
    }
    assert_eq!(all.len(), commands.len());
    all
}

#[test]
fn what_a_plain_command_runs_is_what_bash_runs() {
    let wanted: Option<usize> = std::env::var("ORG_AGENT_COMMANDS").ok().map(|count| count.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    // For patterns to find something.
    for name in ["a", "b.c", "ab", "p0"] {
        fs::write(directory.path().join(name), "").unwrap();
    }
    let seed = std::env::var("ORG_AGENT_SEED")
        .map_or_else(|_| RandomState::new().build_hasher().finish(), |seed| seed.parse().unwrap());
    let mut rng = Rng(seed);
    let begun = Instant::now();
    let (mut generated, mut compared) = (0, 0);
    while wanted.map_or(begun.elapsed() < TIME, |wanted| compared < wanted) {
        let commands: Vec<String> = (0..BATCH).map(|_| command(&mut rng)).collect();
        generated += commands.len();
        let plain: Vec<(&str, Vec<Step>)> = commands
            .iter()
            .filter_map(|command| Some((command.as_str(), parse(command).ok()?.plain.ok()?)))
            .filter(|(_, steps)| steps.iter().all(|step| is_unknown(&step.argv)))
            .collect();
        let texts: Vec<&str> = plain.iter().map(|(text, _)| *text).collect();
        for ((text, steps), calls) in plain.iter().zip(bash(&texts, directory.path())) {
            let mut calls = calls.into_iter();
            let mut believed = Vec::new();
            let mut ran = Vec::new();
            for mut pipeline in run(steps) {
                // The programs of a pipeline run at once.
                let mut same: Vec<_> = calls.by_ref().take(pipeline.len()).collect();
                pipeline.sort();
                same.sort();
                believed.push(pipeline);
                ran.push(same);
            }
            let more: Vec<_> = calls.collect();
            assert_eq!((&ran, more.len()), (&believed, 0), "seed {seed}: {text:?} also runs {more:?}");
        }
        compared += plain.len();
    }
    println!("seed {seed}: {generated} generated, {compared} of them plain, no disagreement");
    assert!(compared * 5 > generated, "only {compared} of {generated} commands were plain");
}

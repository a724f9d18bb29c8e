//! `org-agent steps` does what bash does with the same steps: the same output, the same exit status.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use org_agent::shell::parse;
use tempfile::TempDir;

/// A directory with a program that cannot be run, and one in a directory of its own.
fn workspace() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("place/bin")).unwrap();
    fs::create_dir(at("bin")).unwrap();
    for name in ["place/plain", "bin/plain"] {
        fs::write(at(name), "#!/bin/sh\necho run\n").unwrap();
    }
    for (name, text) in [
        ("place/bin/planted", "#!/bin/sh\necho planted\n"),
        ("place/program", "#!/bin/sh\necho \"$0 $1\"\nexit 7\n"),
        ("bin/ends", "#!/bin/sh\nkill -\"$1\" $$\n"),
        ("bin/textual", "echo no kernel runs this\n"),
        ("bin/homeless", "#!/no/such/interpreter\n"),
    ] {
        fs::write(at(name), text).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::os::unix::fs::symlink(at("place/bin/planted"), at("bin/linked")).unwrap();
    dir
}

/// The variable PATH: with what is to be found, and before it what is not to be.
fn path(dir: &Path) -> String {
    let dir = dir.display();
    format!("bin:.::{dir}/place/bin:{dir}/bin:/usr/local/bin:/usr/bin:/bin")
}

fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_org-agent"));
    command.arg("steps").current_dir(dir.join("place")).env("PATH", path(dir)).stdin(Stdio::null());
    command
}

/// The steps of a plain command as JSON.
fn steps(text: &str) -> String {
    serde_json::to_string(&parse(text).unwrap().plain.unwrap()).unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn steps_do_what_bash_does() {
    let dir = workspace();
    for text in [
        "printf a",
        "printf '%s|' a 'b c' '' '$HOME' '*' '~' '\\'",
        "cat",
        "false",
        "/bin/false",
        "sh -c 'exit 42'",
        "ends KILL",
        "ends TERM",
        "ends PIPE",
        "./program a",
        "../place/program a",
        // Lists.
        "true && printf a",
        "false && printf a",
        "true || printf a",
        "false || printf a",
        "false ; printf a",
        "printf a ; false",
        "true && false || printf a",
        "false && printf a || printf b",
        "true || printf a && printf b",
        "false || printf a && printf b",
        "false && printf a && printf b || printf c ; printf d",
        "true || printf a || printf b && printf c ; false && printf d",
        "false || false ; true && false",
        "false ; false && printf a ; printf b || printf c",
        "printf a && sh -c 'exit 3' || sh -c 'exit 4' || sh -c 'exit 5'",
        // Pipelines.
        "printf 'b\\na\\n' | sort",
        "printf 'b\\na\\nb\\n' | sort | uniq -c",
        "printf abc | tr a x | tr b y | tr c z",
        "false | true",
        "true | false",
        "false | printf a && printf b",
        "printf a | false || printf b | cat",
        "printf a | cat && printf b | cat ; printf c | cat",
        "true && printf a | tr a b || printf c | cat",
        "false && printf a | tr a b || printf c | cat",
        "sh -c 'exit 9' | cat | sh -c 'exit 8'",
        "yes | head -1",
        "yes | head -100000 | tail -1",
        "cat | cat | cat",
        "true | cat",
        "ends KILL | cat",
        "cat | ends SEGV",
        "seq 20000 | sort -rn | head -2",
        "sh -c 'yes; printf end >&2' | true",
        // Not found, and not to be run.
        "no-such-program",
        "no-such-program && printf a",
        "no-such-program || printf a",
        "no-such-program ; printf a",
        "no-such-program | cat",
        "no-such-program | wc -c",
        "yes | no-such-program",
        "yes | no-such-program | cat",
        "printf a | no-such-program || printf b",
        "./no-such-program",
        "no-such-directory/program || printf a",
        "plain",
        "./plain || printf a",
        "./plain | cat",
        "./bin",
        "plain/below",
        "homeless",
        "'' || printf a",
    ] {
        let bash = Command::new("/bin/bash")
            .args(["--noprofile", "--norc", "-c", text])
            .current_dir(dir.path().join("place"))
            // Without the entries that only a shell looks into, for what is built into it.
            .env("PATH", format!("{}/bin:/usr/local/bin:/usr/bin:/bin", dir.path().display()))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let ours = program(dir.path()).arg(steps(text)).output().unwrap();
        let ((code, stdout, stderr), (expected, printed, _)) = (said(&ours), said(&bash));
        // Of one program alone bash makes itself, and ends by its signal.
        let expected = expected.or(bash.status.signal().map(|number| 128 + number));
        assert_eq!((code, &stdout), (expected, &printed), "{text}: {stderr}");
        if matches!(code, Some(126 | 127)) {
            assert!(stderr.starts_with("org-agent: "), "{text}: {stderr}");
        }
    }
}

#[test]
fn the_first_program_reads_what_this_one_is_given() {
    let dir = workspace();
    let file = dir.path().join("input");
    fs::write(&file, "one\ntwo\nthree\n").unwrap();
    for (text, expected) in [
        ("cat", "one\ntwo\nthree\n"),
        ("head -1 | cat", "one\n"),
        ("printf a && cat", "aone\ntwo\nthree\n"),
        ("true | cat ; cat", "one\ntwo\nthree\n"),
    ] {
        let output =
            program(dir.path()).arg(steps(text)).stdin(fs::File::open(&file).unwrap()).output().unwrap();
        assert_eq!(said(&output), (Some(0), expected.to_owned(), String::new()), "{text}");
    }
    // Closed, and not merely at its end: that is an empty one, too.
    let script = "exec \"$0\" steps \"$1\" <&-";
    let mut command = Command::new("/bin/bash");
    command.args(["-c", script, env!("CARGO_BIN_EXE_org-agent"), &steps("cat | wc -c && printf a")]);
    assert_eq!(said(&command.output().unwrap()), (Some(0), "0\na".to_owned(), String::new()));
}

#[test]
fn programs_of_a_pipeline_run_at_once() {
    let dir = workspace();
    let begun = Instant::now();
    let output = program(dir.path()).arg(steps("sleep 2 | sleep 2 | sleep 2")).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(2), "it waits for all of them");
    assert!(begun.elapsed() < Duration::from_secs(5), "they ran one after the other");
    // Also for those that are not the last.
    let begun = Instant::now();
    assert_eq!(program(dir.path()).arg(steps("sleep 1 | true")).output().unwrap().status.code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[test]
fn programs_in_the_current_directory_are_not_looked_up() {
    let dir = workspace();
    for name in ["planted", "linked", "program"] {
        let (code, stdout, stderr) = said(&program(dir.path()).arg(steps(name)).output().unwrap());
        assert_eq!((code, stdout.as_str()), (Some(127), ""), "{name}");
        assert!(stderr.starts_with(&format!("org-agent: {name}: command not found")), "{stderr}");
    }
    // Elsewhere they are, but not from a directory below the one that was judged.
    let elsewhere = program(dir.path()).arg(steps("planted")).current_dir("/").output().unwrap();
    assert_eq!(elsewhere.status.code(), Some(127), "everything is inside /");
    let elsewhere =
        program(dir.path()).arg(steps("planted")).current_dir("/tmp/..").env("PATH", "/usr/bin").output();
    assert_eq!(elsewhere.unwrap().status.code(), Some(127));
    let elsewhere = program(dir.path()).arg(steps("planted")).current_dir(dir.path().join("bin")).output();
    assert_eq!(said(&elsewhere.unwrap()), (Some(0), "planted\n".to_owned(), String::new()));
    let below = program(dir.path()).args(["--dir", "bin", &steps("planted")]).output().unwrap();
    assert_eq!(below.status.code(), Some(127));
    // What no kernel runs is not given to a shell.
    assert_eq!(program(dir.path()).arg(steps("textual")).output().unwrap().status.code(), Some(126));
    let unset = program(dir.path()).arg(steps("true")).env_remove("PATH").output().unwrap();
    assert_eq!(unset.status.code(), Some(127));
}

#[test]
fn it_starts_where_it_is_told_to() {
    let dir = workspace();
    let output = program(dir.path()).args(["--dir", "bin", &steps("pwd -P && ls")]).output().unwrap();
    let real = dir.path().canonicalize().unwrap();
    assert_eq!(said(&output), (Some(0), format!("{}/place/bin\nplanted\n", real.display()), String::new()));
}

#[test]
fn what_is_no_list_of_steps_is_refused() {
    let dir = workspace();
    let many = |count: usize| {
        let more = ",{\"op\":\";\",\"argv\":[\"printf\",\"a\"]}".repeat(count - 1);
        format!("[{{\"op\":null,\"argv\":[\"printf\",\"a\"]}}{more}]")
    };
    for (json, why) in [
        ("", "EOF"),
        ("ls", "expected value"),
        ("[]", "there is none"),
        ("{}", "invalid type"),
        ("null", "invalid type"),
        ("[{\"op\":null,\"argv\":[\"printf\",\"a\"]}] x", "trailing"),
        ("[{\"op\":null,\"argv\":[]}]", "step 1 names no program"),
        ("[{\"op\":null}]", "argv"),
        ("[{\"op\":null,\"argv\":\"ls\"}]", "invalid type"),
        ("[{\"op\":null,\"argv\":[1]}]", "invalid type"),
        ("[{\"op\":null,\"argv\":[\"printf\",\"a\\u0000b\"]}]", "null character"),
        ("[{\"op\":null,\"argv\":[\"printf\",\"a\"],\"env\":{}}]", "unknown field"),
        ("[{\"op\":\";\",\"argv\":[\"printf\",\"a\"]}]", "joined to nothing"),
        ("[{\"op\":null,\"argv\":[\"printf\",\"a\"]},{\"op\":null,\"argv\":[\"ls\"]}]", "step 2"),
        ("[{\"op\":null,\"argv\":[\"printf\",\"a\"]},{\"op\":\"&\",\"argv\":[\"ls\"]}]", "unknown variant"),
        (&many(1_001), "there are 1001"),
    ] {
        let (code, stdout, stderr) = said(&program(dir.path()).arg(json).output().unwrap());
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{json}: {stderr}");
        assert!(stderr.contains(why) && stderr.contains("hint:"), "{json}: {stderr}");
    }
    let good = steps("printf a");
    for args in [&[][..], &["--dir", "no-such-directory", &good], &[&good, "more"]] {
        assert_eq!(program(dir.path()).args(args).output().unwrap().status.code(), Some(2), "{args:?}");
    }
    assert_eq!(program(dir.path()).arg(many(1_000)).output().unwrap().stdout.len(), 1_000);
}

#[test]
fn the_help_has_an_example_that_works() {
    let help = Command::new(env!("CARGO_BIN_EXE_org-agent")).args(["steps", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let example = help.lines().find_map(|line| line.trim().strip_prefix("org-agent steps '")).unwrap();
    let dir = workspace();
    let output = program(dir.path()).arg(example.trim_end_matches('\'')).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout.iter().filter(|b| **b == b'\n').count(), 3);
}

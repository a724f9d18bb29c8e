//! `org-agent chat` as a user runs it: the binary with pipes, and at a terminal that `script` makes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

/// How long anything is waited for before a test is taken to hang.
const HANG: Duration = Duration::from_secs(60);

const OFFLINE: &[(&str, &str)] = &[("ORG_AGENT_MODEL", "offline")];

/// A command with nothing in its environment but `home` and `env`.
fn command(program: &str, home: &Path, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
    // Beside what commands may write, not above it.
    command.env("ORG_AGENT_HOME", home.join("agent")).env("ORG_AGENT_LOCAL_PORTS", "none");
    command.envs(env.iter().copied()).current_dir(home);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit status, standard output and standard error of a chat that gets `input` through a pipe.
fn chat(args: &[&str], env: &[(&str, &str)], input: &[u8]) -> (i32, String, String) {
    let home = tempfile::tempdir().unwrap();
    let mut chat = command(env!("CARGO_BIN_EXE_org-agent"), home.path(), env);
    let mut chat = chat.arg("chat").args(args).spawn().unwrap();
    // It may end without reading.
    drop(chat.stdin.take().unwrap().write_all(input));
    let output = chat.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn without_a_terminal_it_says_what_it_is_asked_for() {
    let long = [b"echo: first\n".to_vec(), vec![b'x'; 3 << 20], b"\necho: last\n".to_vec()].concat();
    let skipped: &[&str] = &["a line of more than 1 MiB was skipped", "hint: send it in parts"];
    let empty: &[&str] = &["nothing to say", "hint: write something"];
    let denied: &[&str] =
        &["command: touch ran", "  in: /", "  sandbox: ", "not at a terminal, so the answer is no"];
    let partial: &[&str] = &["only partly configured", "hint: set ORG_AGENT_MODEL"];
    let key = &[("OPENAI_API_KEY", "sk-x")];
    // Arguments, environment, input; status, standard output, and parts of standard error, if any.
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [u8], i32, &'a str, &'a [&'a str]);
    let cases: &[Case] = &[
        (&["echo: one"], OFFLINE, b"", 0, "one\n", &[]),
        (&["echo:", "more", "words"], OFFLINE, b"not read\n", 0, "more words\n", &[]),
        (&[], OFFLINE, b"echo: one\n\n \necho: two\r\necho: no end", 0, "one\ntwo\nno end\n", &[]),
        (&[], OFFLINE, b"", 0, "", &[]),
        (&[], OFFLINE, &long, 1, "first\nlast\n", skipped),
        (&[], OFFLINE, &long[..2 << 20], 1, "first\n", skipped),
        (&[""], OFFLINE, b"echo: not read\n", 1, "", empty),
        (&[" ", "\n"], OFFLINE, b"echo: not read\n", 1, "", empty),
        (&["hello"], key, b"", 1, "", partial),
    ];
    for &(args, env, input, status, stdout, stderr) in cases {
        let said = chat(args, env, input);
        assert_eq!((said.0, said.1.as_str()), (status, stdout), "{args:?}: {said:?}");
        assert_eq!(said.2.is_empty(), stderr.is_empty(), "{args:?}: {said:?}");
        for part in stderr {
            assert!(said.2.contains(part), "{args:?}: {part:?} is not in {}", said.2);
        }
    }
    let (status, stdout, stderr) = chat(&[], OFFLINE, b"run: touch ran\ny\n");
    assert_eq!(status, 0, "{stderr}");
    assert!(stdout.contains("did not let it run"), "{stdout}");
    for part in denied {
        assert!(stderr.contains(part), "{part:?} is not in {stderr}");
    }
}

#[test]
fn json_is_one_event_a_line_and_ends_with_the_turn() {
    let (status, stdout, stderr) = chat(&["--json", "echo: one"], OFFLINE, b"");
    assert_eq!(status, 0, "{stderr}");
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!((&last["method"], &last["params"]["state"]), (&"orgAgent/turn".into(), &"done".into()));
    let actuate: Vec<_> = lines.iter().filter(|line| line["method"] == "orgAgent/actuate").collect();
    assert_eq!(actuate.len(), 1, "{stdout}");
    assert_eq!(actuate[0]["params"]["action"]["payload"]["text"], "one", "{stdout}");
}

#[test]
fn a_skill_that_was_read_is_told() {
    let home = tempfile::tempdir().unwrap();
    let skill = home.path().join("agent/skills/pdf");
    std::fs::create_dir_all(&skill).unwrap();
    std::fs::write(skill.join("SKILL.md"), "---\nname: pdf\ndescription: PDF files.\n---\n\nUse qpdf.\n")
        .unwrap();
    let said = |args: &[&str]| {
        let mut chat = command(env!("CARGO_BIN_EXE_org-agent"), home.path(), OFFLINE);
        let output = chat.arg("chat").args(args).arg("/pdf merge them").output().unwrap();
        assert!(output.status.success(), "{output:?}");
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let [stdout, _] = said(&["--json"]);
    let lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps: Vec<&Value> = lines.iter().filter(|line| line["method"] == "orgAgent/step").collect();
    assert_eq!(steps.len(), 1, "{stdout}");
    assert_eq!(
        ["name", "by", "status", "origin"].map(|key| steps[0]["params"][key].as_str().unwrap()),
        ["pdf", "user", "loaded", "user"]
    );
    let [_, stderr] = said(&[]);
    assert!(stderr.contains("you called the skill pdf"), "{stderr}");
}

/// A chat at a terminal.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    pieces: Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

impl Terminal {
    /// `None` where there is no `script` of util-linux.
    fn open(home: &Path) -> Option<Self> {
        let version = Command::new("script").arg("--version").output().ok()?;
        String::from_utf8_lossy(&version.stdout).contains("util-linux").then_some(())?;
        let chat = concat!("'", env!("CARGO_BIN_EXE_org-agent"), "' chat");
        let mut script = command("script", home, OFFLINE);
        let mut script = script.args(["-qec", chat, "/dev/null"]).spawn().unwrap();
        let (keys, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let (sender, pieces) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Some(Self { script, keys, pieces, seen: Vec::new() })
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for `text`; what the screen showed up to and with it.
    fn await_text(&mut self, text: &str) -> String {
        loop {
            let seen = String::from_utf8_lossy(&self.seen).into_owned();
            if let Some(at) = seen.find(text) {
                let rest = seen[at + text.len()..].to_owned();
                self.seen = rest.into_bytes();
                return seen[..at + text.len()].to_owned();
            }
            match self.pieces.recv_timeout(HANG) {
                Ok(piece) => self.seen.extend(piece),
                Err(error) => panic!("{text:?} does not come ({error}): {seen}"),
            }
        }
    }

    /// Waits for the end; its status.
    fn end(mut self) -> i32 {
        while self.pieces.recv_timeout(HANG).is_ok() {}
        self.script.wait().unwrap().code().unwrap()
    }
}

const QUESTION: &str = "Run it? [y/N] ";
const DISCARDED: &str = "what was typed before this question was discarded";

#[test]
fn only_an_answer_typed_after_the_question_lets_a_command_run() {
    // Typed before the question, after it, whether a whole line was discarded, whether the command ran.
    let cases = [
        ("run: touch ran\n", "y\n", false, true),
        ("run: touch ran\n", "yes\n", false, true),
        ("run: touch ran\n", "n\n", false, false),
        ("run: touch ran\n", "\n", false, false),
        ("run: touch ran\n", " y\n", false, false),
        ("run: touch ran\n", "yy\n", false, false),
        ("run: touch ran\ny\n", "\n", true, false),
        ("run: touch ran\ny\ny\nyes\ny\n", "no\n", true, false),
        ("run: touch ran\ny", "\n", false, false),
        ("run: touch ran\ny\u{4}", "\n", true, false),
        ("run: touch ran\ny\n", "y\n", true, true),
    ];
    for (before, after, discarded, ran) in cases {
        let home = tempfile::tempdir().unwrap();
        let Some(mut terminal) = Terminal::open(home.path()) else { return };
        terminal.press(before);
        let shown = terminal.await_text(QUESTION);
        assert_eq!(shown.contains(DISCARDED), discarded, "{before:?}: {shown}");
        assert!(!home.path().join("ran").exists(), "{before:?} was taken for an answer");
        terminal.press(after);
        terminal.await_text(if ran { "exit code 0" } else { "did not let it run" });
        assert_eq!(home.path().join("ran").exists(), ran, "{before:?}, {after:?}");
        terminal.await_text("> ");
        terminal.press("\u{4}");
        assert_eq!(terminal.end(), 0, "{before:?}, {after:?}");
    }
}

#[test]
fn ctrl_c_cancels_at_the_question_and_ends_at_the_prompt() {
    let home = tempfile::tempdir().unwrap();
    let Some(mut terminal) = Terminal::open(home.path()) else { return };
    terminal.await_text("> ");
    terminal.press("run: touch ran\n");
    terminal.await_text(QUESTION);
    terminal.press("\u{3}");
    terminal.await_text("cancelled");
    terminal.await_text("> ");
    terminal.press("echo: still here\n");
    terminal.await_text("echo: still here");
    terminal.await_text("still here");
    terminal.await_text("> ");
    terminal.press("\u{3}");
    assert_eq!(terminal.end(), 130);
    assert!(!home.path().join("ran").exists());
}

#[test]
fn command_output_cannot_steer_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let Some(mut terminal) = Terminal::open(home.path()) else { return };
    terminal.await_text("> ");
    terminal.press("run: printf '\\033]0;title\\007\\302\\233red'\n");
    terminal.await_text(QUESTION);
    terminal.press("y\n");
    let shown = terminal.await_text("\\u001b]0;title\\u0007\\u009bred");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    terminal.await_text("> ");
    terminal.press("\u{4}");
    assert_eq!(terminal.end(), 0);
}

//! `delete`: nothing goes before it was exported, or the user said that it need not be.

use std::fs;
use std::io::Read;
use std::process::{Child, ChildStdin};

use super::*;

#[test]
fn without_a_terminal_it_must_be_said() {
    let (home, ids) = Home::with(&["echo: one", "echo: two"]);
    let hint = "hint: export it first with --export FILE, or delete it without with --yes";
    home.run(&["delete", &ids[0]]).bad(2, &["nothing was deleted", hint]);
    home.fed(&["session", "delete", &ids[0]], "n\n").bad(2, &[hint]);
    fs::write(home.path().join("there.org"), "mine").unwrap();
    home.run(&["delete", &ids[0], "--export", "there.org"]).bad(1, &["there.org is there already"]);
    home.run(&["delete", &ids[0], "--export", "there.org", "--yes"]).bad(1, &["there.org is there already"]);
    home.run(&["delete", &ids[0], "--export", "no/x.org"]).bad(1, &["could not be written"]);
    home.run(&["delete", &ids[0], &ids[1], "--export", "x.org"]).bad(2, &["into one file"]);
    home.run(&["delete", &ids[0], "zzz", "--yes"]).bad(1, &["no session begins with"]);
    assert_eq!(home.sessions(&[]).len(), 2);
    assert_eq!(fs::read_to_string(home.path().join("there.org")).unwrap(), "mine");
    home.run(&["delete", &ids[0], "--yes"]).good();
    assert_eq!(home.sessions(&[]).len(), 1);
    home.run(&["verify"]).good();
}

#[test]
fn several_go_into_a_directory() {
    let (home, ids) = Home::with(&["echo: quokka", "echo: two", "echo: three"]);
    fs::create_dir(home.path().join("kept")).unwrap();
    // Named twice, it goes once.
    let args = ["delete", &ids[0], &ids[1], &ids[0][..8], "--export", "kept"];
    let answer = home.run(&args).good();
    assert_eq!(answer.matches(": deleted\n").count(), 2, "{answer}");
    assert_eq!(fs::read_dir(home.path().join("kept")).unwrap().count(), 2);
    assert_eq!(home.sessions(&[]).len(), 1);
    let db = home.database();
    let words: i64 =
        db.query_row("SELECT count(*) FROM log WHERE body LIKE '%quokka%'", [], |row| row.get(0)).unwrap();
    assert_eq!(words, 0);
}

/// A command at a terminal that `script` makes.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    seen: String,
}

impl Terminal {
    /// `None` where there is no `script` of util-linux.
    fn open(home: &Home, args: &str) -> Option<Self> {
        let version = Command::new("script").arg("--version").output().ok()?;
        String::from_utf8_lossy(&version.stdout).contains("util-linux").then_some(())?;
        let line = format!("'{}' session {args}", env!("CARGO_BIN_EXE_org-agent"));
        let mut script = home.command("script");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().unwrap();
        let keys = script.stdin.take().unwrap();
        Some(Self { script, keys, seen: String::new() })
    }

    /// Waits until the question was asked `times` times, and answers.
    fn answer(&mut self, times: usize, keys: &str) {
        let question = "Export it first?";
        let stdout = self.script.stdout.as_mut().unwrap();
        let mut byte = [0; 256];
        while self.seen.matches(question).count() < times || !self.seen.ends_with("q] ") {
            let length = stdout.read(&mut byte).unwrap();
            assert_ne!(length, 0, "{}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&byte[..length]));
        }
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end: its status, and all that was shown.
    fn end(mut self) -> (i32, String) {
        let mut rest = Vec::new();
        self.script.stdout.as_mut().unwrap().read_to_end(&mut rest).unwrap();
        self.seen.push_str(&String::from_utf8_lossy(&rest));
        (self.script.wait().unwrap().code().unwrap(), self.seen)
    }
}

#[test]
fn at_a_terminal_the_export_is_offered_first() {
    // The answers; the exit status, the file with the export, and whether the session is gone.
    let cases: &[(&[&str], i32, Option<&str>, bool)] = &[
        (&["q\n"], 1, None, false),
        (&["\u{4}"], 1, None, false),
        (&["n\n"], 0, None, true),
        (&["kept.org\n"], 0, Some("kept.org"), true),
        (&["y\n"], 0, Some("own"), true),
        (&["\n", "there.org\n", "no/x.org\n", "q\n"], 1, None, false),
        (&["there.org\n", "kept.org\n"], 0, Some("kept.org"), true),
        (&["dir\n"], 0, Some("dir/own"), true),
    ];
    for (answers, status, file, gone) in cases {
        let (home, ids) = Home::with(&["echo: one"]);
        fs::write(home.path().join("there.org"), "mine").unwrap();
        fs::create_dir(home.path().join("dir")).unwrap();
        let org = home.run(&["export", &ids[0]]).good();
        let Some(mut terminal) = Terminal::open(&home, &format!("delete {}", &ids[0][..8])) else { return };
        for (at, answer) in answers.iter().enumerate() {
            terminal.answer(at + 1, answer);
        }
        let (ended, shown) = terminal.end();
        assert_eq!(ended, *status, "{answers:?}: {shown}");
        assert!(shown.contains("“echo: one”, 2 messages"), "{shown}");
        assert_eq!(home.sessions(&[]).is_empty(), *gone, "{answers:?}: {shown}");
        if let Some(file) = file {
            let file = file.replace("own", &format!("echo-one-{}.org", &ids[0][..8]));
            assert_eq!(fs::read_to_string(home.path().join(file)).unwrap(), org, "{answers:?}");
        }
        assert_eq!(fs::read_to_string(home.path().join("there.org")).unwrap(), "mine");
    }
}

#[test]
fn at_a_terminal_what_was_found_is_bold() {
    let (home, _) = Home::with(&["echo: one fox"]);
    let Some(terminal) = Terminal::open(&home, "search fox --role assistant") else { return };
    let (status, shown) = terminal.end();
    assert_eq!(status, 0, "{shown}");
    assert!(shown.contains("one \u{1b}[1mfox\u{1b}[22m"), "{shown:?}");
}

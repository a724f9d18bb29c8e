//! `org-agent skill` as a user runs it.

use std::process::Command;

use serde_json::Value;

use super::*;

/// Status, standard output and standard error of `org-agent skill`.
pub fn skill(home: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_org-agent"));
    command.env_clear().env("ORG_AGENT_HOME", home).current_dir(home);
    let output = command.arg("skill").args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_list_has_every_skill_and_what_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    let (status, out, _) = skill(home.path(), &["list"]);
    assert_eq!(status, 0);
    assert!(out.starts_with("shell                 90  builtin  ok    Explains"), "{out}");
    assert!(out.contains("begin one with: org-agent skill new NAME"), "{out}");
    put(home.path(), "chat.org", &note("(defskill :chat :description \"mine\u{1b}[31m\")"));
    put(home.path(), "broken.org", &note("(defskill :broken :trigger #'x)"));
    put(home.path(), "gap.org", &format!("#+DEPENDS_ON: gone\n{}", valued("gap", "1")));
    let (status, out, _) = skill(home.path(), &["list"]);
    assert_eq!(status, 0);
    for part in [
        "chat                   0  user     ok    mine [31m\n",
        "gap                    0  user     warn",
        "broken.org:4: the skill's :trigger names x, which is not defined\n  in: (defskill",
        "note: chat: the user skill of",
    ] {
        assert!(out.contains(part), "{part:?} is not in {out}");
    }
    let (status, out, _) = skill(home.path(), &["list", "--json"]);
    assert_eq!(status, 0);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let states: Vec<String> = lines
        .iter()
        .map(|line| format!("{} {}", line["name"].as_str().unwrap(), line["state"].as_str().unwrap()))
        .collect();
    let chat = states.iter().position(|state| state == "chat ok").unwrap();
    assert_eq!(
        [states.first().unwrap(), &states[chat - 1], states.last().unwrap()],
        ["shell ok", "gap warn", "broken broken"]
    );
    assert_eq!(lines[chat]["shadows"][0]["origin"], "builtin");
    assert_eq!(lines.last().unwrap()["problem"]["line"], 4);
}

#[test]
fn one_skill_is_shown_with_its_prose() {
    let home = tempfile::tempdir().unwrap();
    let (status, out, _) = skill(home.path(), &["show", "Chat"]);
    assert_eq!(status, 0);
    for part in [
        "chat: Answers any message",
        "priority      50",
        "has           trigger, neuro, symbolic",
        "persona",
        "The conversation itself.",
    ] {
        assert!(out.contains(part), "{part:?} is not in {out}");
    }
    assert!(!out.contains("(defun "), "{out}");
    let (_, out, _) = skill(home.path(), &["show", "identity", "--json"]);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["functions"], serde_json::json!(["user-name", "assistant-name", "persona"]));
    assert_eq!(shown["sha256"].as_str().unwrap().len(), 64);
    let (status, out, error) = skill(home.path(), &["show", "chta"]);
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(error.contains("there is no skill \"chta\"") && error.contains("hint: "), "{error}");
}

#[test]
fn a_check_says_file_line_form_and_hint() {
    let home = tempfile::tempdir().unwrap();
    let (status, out, _) = skill(home.path(), &["check"]);
    assert_eq!(status, 0);
    assert!(out.starts_with("all work: shell, ") && out.ends_with(", chat, requests, identity\n"), "{out}");
    put(home.path(), "good.org", &valued("good", "1"));
    put(home.path(), "bad.org", &valued("bad", "(lenght \"x\")"));
    put(home.path(), "text.org", "text");
    std::fs::write(home.path().join("other.org"), format!("#+DEPENDS_ON: good\n{}", valued("other", "1")))
        .unwrap();
    let bad = home.path().join("skills/bad.org").display().to_string();
    let said = format!(
        "{bad}:4: the function lenght is not defined\n  in: (lenght \"x\")\n  hint: Did you mean length?\n"
    );
    let (status, out, _) = skill(home.path(), &["check"]);
    assert_eq!((status, &out), (1, &said));
    let (status, out, _) = skill(home.path(), &["check", "skills/bad.org", "skills/good.org"]);
    assert_eq!((status, &out), (1, &said));
    let (status, out, _) = skill(home.path(), &["check", "skills/good.org"]);
    assert_eq!((status, out.as_str()), (0, "1 skill works: good\n"));
    let (status, out, _) = skill(home.path(), &["check", "other.org"]);
    assert_eq!((status, out.as_str()), (0, "1 skill works: other\n"));
    let (status, out, _) = skill(home.path(), &["check", "skills/text.org"]);
    assert!(status == 1 && out.contains("it is not read as a skill"), "{out}");
    let (status, out, _) = skill(home.path(), &["check", "gone.org"]);
    assert!(status == 1 && out.starts_with("gone.org: the note can not be read: No such file"), "{out}");
}

#[test]
fn a_new_skill_works_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let (status, out, error) = skill(home.path(), &["new", "greet-all"]);
    assert_eq!(status, 0, "{error}");
    assert!(out.contains("org-agent skill check") && out.contains("org-agent skill test greet-all"), "{out}");
    let (status, out, _) = skill(home.path(), &["check", "skills/greet-all.org"]);
    assert_eq!((status, out.as_str()), (0, "1 skill works: greet-all\n"));
    let cases = std::fs::read_to_string(home.path().join("skills/greet-all.test.toml")).unwrap();
    assert!(cases.contains("greet-all: what is Org?") && !cases.contains("NAME"));
    let library = Library::open(&paths(home.path()), Arc::new(()));
    let shelf = library.shelf();
    let new = &shelf.skills()[1];
    assert_eq!((new.name.as_str(), new.priority), ("greet-all", 60));
    let triggered = |text| match run(new, new.trigger.unwrap(), vec![event(text)], Mode::Trigger) {
        Outcome::Value(value) => value.is_true(),
        other => panic!("{other:?}"),
    };
    assert!(triggered("Greet-all: hi") && !triggered("hello"));
    match run(new, new.neuro.unwrap(), vec![event("greet-all: hi")], Mode::Neuro) {
        Outcome::Ask { prompt, system_prompt, tail: true } => {
            assert_eq!(prompt, "Answer in one sentence: hi");
            assert!(system_prompt.unwrap().starts_with("You are Passepartout"));
        }
        other => panic!("{other:?}"),
    }
    let refused = run(new, new.symbolic.unwrap(), vec![shell("ls"), event("x")], Mode::Gate);
    assert_eq!(
        refused,
        Outcome::Value(Datum::plist([("refuse", Datum::str("greet-all only answers; it runs nothing"))]))
    );
    // No other skill is replaced unawares.
    for (name, of) in [("chat", "builtin one of built-in/chat.org"), ("greet-all", "user one of ")] {
        let (status, _, error) = skill(home.path(), &["new", name, "--dir", "copies"]);
        assert!(status == 1 && error.contains(of) && error.contains("would replace"), "{error}");
        assert!(error.contains("--replace") && !home.path().join("copies").exists(), "{error}");
    }
    let (status, _, error) = skill(home.path(), &["new", "shell", "--replace", "--dir", "copies"]);
    assert!(status == 0 && home.path().join("copies/shell.org").exists(), "{error}");
    // Nothing is written over.
    let before = std::fs::read_to_string(home.path().join("skills/greet-all.org")).unwrap();
    let (status, _, error) = skill(home.path(), &["new", "greet-all"]);
    assert!(status == 1 && error.contains("is there already"), "{error}");
    assert_eq!(std::fs::read_to_string(home.path().join("skills/greet-all.org")).unwrap(), before);
    let (status, _, error) = skill(home.path(), &["new", "x", "--dir", "elsewhere/deep"]);
    assert!(status == 0 && home.path().join("elsewhere/deep/x.org").exists(), "{error}");
    for name in ["", "-x", "x-", "A", "a/b", "../a", "1a", "a b", &"a".repeat(65)] {
        assert_eq!(skill(home.path(), &["new", "--", name]).0, 2, "{name}");
    }
}

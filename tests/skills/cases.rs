//! `org-agent skill test`: what holds, what does not and how that is shown, and files that change meanwhile.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::command::skill;
use super::*;

const ECHO: &str = "(defun echo-neuro (event) (ask-neuro (format nil \"Echo ~a\" (getf (getf event :payload) :text))
  :system-prompt (format nil \"For ~a\" (or (uiop:getenv \"MEMEX_USER\") \"nobody\"))))
(defskill :echo :priority 60 :trigger (lambda (e) (search \"echo\" (getf (getf e :payload) :text)))
  :neuro #'echo-neuro :symbolic (lambda (a e) e (if (eq (getf a :target) :shell) '(:refuse \"no commands\") a)))";

fn cases(home: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(home.join("skills")).unwrap();
    std::fs::write(home.join("skills").join(format!("{name}.test.toml")), text).unwrap();
}

#[test]
fn the_cases_of_the_builtin_notes_hold() {
    let home = tempfile::tempdir().unwrap();
    let skills = Path::new(env!("CARGO_MANIFEST_DIR")).join("skills");
    let mut count = 0;
    for entry in std::fs::read_dir(skills).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "org") {
            let (status, out, err) = skill(home.path(), &["test", path.to_str().unwrap()]);
            assert_eq!(status, 0, "{out}{err}");
            assert!(out.contains("cases hold"), "{out}");
            count += 1;
        }
    }
    assert!(count >= 10);
}

#[test]
fn what_does_not_hold_is_shown_as_a_difference() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), "echo.org", &note(ECHO));
    cases(
        home.path(),
        "echo",
        r#"
[[case]]
name = "good"
text = "echo this"
env = { MEMEX_USER = "Ada" }
reply = '(:type :response :payload (:text "this"))'
[case.expect]
triggered = true
skill = "echo"
prompt = ["Echo echo this"]
prompt_not = ["secret"]
system = ["For Ada"]
questions = []
verdict = "accept"
action = '(:payload (:text "this") :TYPE :response)'

[[case]]
name = "bad in every way"
text = "nothing"
reply = '(:type :request :target :shell :payload (:cmd "ls"))'
[case.expect]
triggered = true
skill = "echo"
prompt = ["Echo"]
system = ["For Ada"]
questions = ["why"]
verdict = "refuse"
reason = "no commands"
action = '(:type :nonsense)'
"#,
    );
    let (status, out, err) = skill(home.path(), &["test", "echo"]);
    assert_eq!((status, err.as_str()), (1, ""), "{out}");
    for part in [
        "echo.test.toml: 1 of 2 cases failed\n  good: ok\n  bad in every way: FAILED\n",
        "    triggered\n    - echo\n    + shell, chat\n",
        "    skill\n    - echo\n    + chat\n",
        "    prompt\n    - …Echo…\n    + nothing\n",
        "    system prompt\n    - …For Ada…\n    + You are Passepartout",
        "    questions\n    - why\n    + none\n",
        "    verdict\n    - refuse\n    + accept\n",
        "    reason\n    - …no commands…\n    + accept\n",
        "    action\n    - an action that the grammar accepts\n    + ",
    ] {
        assert!(out.contains(part), "{part:?} is not in\n{out}");
    }
    // A skill that fails fails its case, though nothing is expected.
    put(home.path(), "echo.org", &note(&ECHO.replace("(ask-neuro (format", "(ask-neuro (format (car 1)")));
    cases(home.path(), "echo", "[[case]]\nname = \"one\"\ntext = \"echo\"\n");
    let (status, out, _) = skill(home.path(), &["test"]);
    assert!(status == 1 && out.contains("    + fail: "), "{out}");
}

#[test]
fn wrong_files_are_errors_that_say_where() {
    let home = tempfile::tempdir().unwrap();
    let (status, _, err) = skill(home.path(), &["test"]);
    assert!(status == 1 && err.contains("no cases to run") && err.contains("skill new"), "{err}");
    let (status, _, err) = skill(home.path(), &["test", "nosuch"]);
    assert!(status == 1 && err.contains("there is no note nosuch"), "{err}");
    put(home.path(), "echo.org", &note(ECHO));
    let (status, _, err) = skill(home.path(), &["test", "echo"]);
    assert!(status == 1 && err.contains("echo.test.toml") && err.contains("hint:"), "{err}");
    for (text, why) in [
        ("[[case]]\nname = 1\n", "echo.test.toml:2"),
        ("[[case]]\nname = \"a\"\nexpct = 1\n", "echo.test.toml:3"),
        ("[[case]]\nname = \"a\"\n[case.expect]\nverdict = \"maybe\"\n", "echo.test.toml:4"),
        ("case = [", "echo.test.toml:1"),
        (&"[".repeat(100_000), "echo.test.toml"),
    ] {
        cases(home.path(), "echo", text);
        let (status, _, err) = skill(home.path(), &["test", "echo"]);
        assert!(status == 1 && err.contains(why), "{text:.60}: {err}");
    }
    // What is wrong with the note is told as well.
    cases(home.path(), "echo", "[[case]]\nname = \"a\"\n");
    put(home.path(), "echo.org", &note(&ECHO.replace("ask-neuro", "ask-nero")));
    let (status, out, _) = skill(home.path(), &["test", "echo"]);
    assert!(status == 1 && out.contains("echo.org:4: ") && out.contains("ask-neuro"), "{out}");
}

#[test]
fn a_note_is_found_by_its_skill_and_by_its_file_here_and_there() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), "other.org", &note(ECHO));
    cases(
        home.path(),
        "other",
        "[[case]]\nname = \"one\"\ntext = \"echo\"\n[case.expect]\nskill = \"echo\"\n",
    );
    for name in ["echo", "ECHO", "other", "other.org", "skills/other.org", "./skills/other.org"] {
        let (status, out, err) = skill(home.path(), &["test", name]);
        assert!(status == 0 && out.contains("one: ok"), "{name}: {out}{err}");
    }
    let (status, _, err) = skill(home.path(), &["test", "chat"]);
    assert!(status == 1 && err.contains("chat is a built-in skill"), "{err}");
}

#[test]
fn a_case_has_its_environment_also_while_notes_are_loaded() {
    let home = tempfile::tempdir().unwrap();
    let code = "(defvar *who* (or (uiop:getenv \"MEMEX_USER\") \"nobody\"))
(when (equal *who* \"Bob\") (error \"not for Bob\"))
(defun who-neuro (event) event (ask-neuro *who*))
(defskill :who :priority 60 :trigger (lambda (e) e t) :neuro #'who-neuro)";
    put(home.path(), "who.org", &note(code));
    let case = |env: &str, who: &str| {
        format!("[[case]]\nname = \"{who}\"\ntext = \"x\"\n{env}[case.expect]\nprompt = [\"{who}\"]\n")
    };
    let ada = case("env = { MEMEX_USER = \"Ada\" }\n", "Ada");
    cases(home.path(), "who", &format!("{ada}{}", case("", "nobody")));
    let (status, out, err) = skill(home.path(), &["test", "who"]);
    assert!(status == 0 && out.contains("Ada: ok\n  nobody: ok"), "{out}{err}");
    // Where it does not load, its cases are not run: the chat would answer.
    cases(home.path(), "who", &format!("{ada}{}", case("env = { MEMEX_USER = \"Bob\" }\n", "Bob")));
    let (status, out, _) = skill(home.path(), &["test", "who"]);
    let skipped =
        "who.test.toml: 1 of 2 cases skipped\n  Ada: ok\n  Bob: skipped, no skill of the note is in use\n";
    assert!(status == 1 && out.contains("not for Bob") && out.contains(skipped), "{out}");
    put(home.path(), "who.org", &note(&code.replace("(or (uiop", "(orr (uiop")));
    let (status, out, _) = skill(home.path(), &["test", "who"]);
    assert!(status == 1 && out.contains("2 of 2 cases skipped") && !out.contains("prompt"), "{out}");
    assert_eq!(out.matches("orr is not defined").count(), 1, "{out}");
}

#[test]
fn while_it_watches_the_cases_run_again_when_a_file_changes() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), "echo.org", &note(ECHO));
    let case = |prompt: &str| {
        format!("[[case]]\nname = \"one\"\ntext = \"echo\"\n[case.expect]\nprompt = [\"{prompt}\"]\n")
    };
    cases(home.path(), "echo", &case("Echo echo"));
    let mut child = Command::new(env!("CARGO_BIN_EXE_org-agent"))
        .env_clear()
        .env("ORG_AGENT_HOME", home.path())
        .args(["skill", "test", "--watch", "echo"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut until = |wanted: &str| {
        for line in lines.by_ref() {
            if line.unwrap().contains(wanted) {
                return;
            }
        }
        panic!("it ended before it said {wanted:?}");
    };
    until("one: ok");
    // That nothing changed by a change is told, with the time.
    cases(home.path(), "echo", &format!("# x\n{}", case("Echo echo")));
    until(" UTC ran again: as before");
    cases(home.path(), "echo", &case("Shout"));
    until("one: FAILED");
    put(home.path(), "echo.org", &note(&ECHO.replace("Echo", "Shout")));
    until("one: ok");
    std::fs::remove_file(home.path().join("skills/echo.test.toml")).unwrap();
    until("cannot read");
    cases(home.path(), "echo", &case("Shout"));
    until("one: ok");
    child.kill().unwrap();
    child.wait().unwrap();
}

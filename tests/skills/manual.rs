//! docs/skills.md works as it is written: its note with its cases, and its tutorial step by step.

use super::command::skill;
use super::*;

const MANUAL: &str = include_str!("../../docs/skills.md");

/// The blocks of `language` in `text`, without the indentation of their first line.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let (mut blocks, mut open): (Vec<String>, Option<usize>) = (Vec::new(), None);
    for line in text.lines() {
        let code = line.trim_start();
        match open {
            None if code == format!("```{language}") => {
                open = Some(line.len() - code.len());
                blocks.push(String::new());
            }
            Some(_) if code == "```" => open = None,
            Some(indent) => {
                let block = blocks.last_mut().unwrap();
                block.push_str(line.get(indent..).unwrap_or_default());
                block.push('\n');
            }
            None => {}
        }
    }
    blocks
}

/// The text of the section with this heading.
fn section(heading: &str) -> &'static str {
    let (_, after) = MANUAL.split_once(&format!("\n## {heading}\n")).unwrap();
    after.split("\n## ").next().unwrap()
}

/// `text` with the top-level form that begins with `head` replaced.
fn with_form(text: &str, head: &str, form: &str) -> String {
    let (before, after) = text.split_once(head).unwrap_or_else(|| panic!("no {head} in {text}"));
    let (_, after) = after.split_once("\n#+end_src").unwrap();
    format!("{before}{}\n#+end_src{after}", form.trim_end())
}

#[test]
fn the_cases_fit_the_note_and_are_reported_as_shown() {
    let home = tempfile::tempdir().unwrap();
    let note = &blocks(section("A note"), "org")[0];
    let testing = section("Testing");
    let shown = blocks(testing, "text");
    std::fs::write(home.path().join("haiku.org"), note).unwrap();
    std::fs::write(home.path().join("haiku.test.toml"), &blocks(testing, "toml")[0]).unwrap();
    let (status, out, err) = skill(home.path(), &["test", "haiku.org"]);
    let expected = shown[0].strip_prefix("$ org-agent skill test haiku.org\n").unwrap();
    assert_eq!((status, out.as_str(), err.as_str()), (0, expected, ""));
    let open = note.replace("(eq (getf action :target) :shell)", "nil");
    std::fs::write(home.path().join("haiku.org"), open).unwrap();
    let (status, out, _) = skill(home.path(), &["test", "haiku.org"]);
    assert_eq!((status, &out), (1, &shown[1]));
}

#[test]
fn the_steps_of_the_tutorial_end_with_all_cases_ok() {
    let home = tempfile::tempdir().unwrap();
    let tutorial = section("From an empty file to a tested skill");
    let (lisp, cases) = (blocks(tutorial, "lisp"), blocks(tutorial, "toml"));
    assert_eq!((lisp.len(), cases.len()), (2, 2));
    let passes = |count: usize| {
        let (status, out, err) = skill(home.path(), &["test", "meeting"]);
        assert_eq!(status, 0, "{out}{err}");
        assert_eq!(out.matches(": ok").count(), count, "{out}");
    };
    assert_eq!(skill(home.path(), &["new", "meeting"]).0, 0);
    passes(3);
    let path = home.path().join("skills/meeting.org");
    let edit = |head: &str, form: &str| {
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, with_form(&text, head, form)).unwrap();
    };
    edit("(defun meeting-neuro", &lisp[0]);
    put(home.path(), "meeting.test.toml", &cases[0]);
    passes(1);
    edit("(defun meeting-symbolic", &lisp[1]);
    put(home.path(), "meeting.test.toml", &cases.join("\n"));
    passes(2);
}

#[test]
fn the_template_is_filled_in_as_it_is_said() {
    let home = tempfile::tempdir().unwrap();
    let note = &blocks(section("Templates"), "org")[0];
    put(home.path(), "guide.org", note);
    let case = r#"[[case]]
name = "all of it"
text = "guide: why?"
date = "2026-11-27"
env = { MEMEX_USER = "Ada" }
context = [{ kind = "region", name = "a.txt", text = "one\ntwo" }]
[case.expect]
skill = "guide"
system = [
  "You are Passepartout, and Ada asks you, on Friday, 2026-11-27.\nYou can use:\n- insertAtEnd (ready): ",
  "- shell (confined): ",
  "From a.txt, line by line:\n  one\n  two\nAnswer in Spanish.",
]
"#;
    put(home.path(), "guide.test.toml", case);
    let (status, out, err) = skill(home.path(), &["test", "guide"]);
    assert_eq!((status, err.as_str()), (0, ""), "{out}");
    // The error that the text shows.
    put(home.path(), "guide.test.toml", &case.replace("date = \"2026-11-27\"\n", ""));
    let (_, out, _) = skill(home.path(), &["test", "guide"]);
    let shown = section("Templates").lines().find(|line| line.starts_with("    guide.org:")).unwrap().trim();
    let (line, why) = shown.split_once(": ").unwrap();
    let why = why.replace("(guide.org:", &format!("({}/skills/guide.org:", home.path().display()));
    assert!(out.contains(&format!("{line}: ")) && out.contains(&why), "{line} {why}\n{out}");
}

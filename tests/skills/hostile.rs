//! Files that are no notes, or try to be a burden.

use std::time::{Duration, Instant};

use org_agent::skill::{Content, Given, Origin, Workshop};
use proptest::prelude::*;

use super::*;

#[test]
fn other_files_are_left_alone() {
    let skill = valued("no", "1");
    let home = Home::with(&[
        ("notes.org", "* Shopping\n#+begin_src sh\nls\n#+end_src\n"),
        (".#a.org", &skill),
        ("#a.org#", &skill),
        ("a.org~", &skill),
        ("a.txt", &skill),
        ("a.test.toml", "x"),
        ("deep/er/er.org", &skill),
        ("deep/other.org", &skill),
        ("empty.org", ""),
    ]);
    assert_eq!((home.names(), home.problems()), (vec![], vec![]));
}

#[test]
fn notes_that_make_no_skill_say_why() {
    let big = "x".repeat((1 << 20) + 1);
    let home = Home::with(&[
        ("a.org", "#+TITLE: SKILL: A\n"),
        ("b.org", "#+begin_src lisp\n(defun f () 1)\n#+end_src\n"),
        ("c.org", "#+begin_src lisp\n(when nil (defskill :c))\n#+end_src\n"),
        ("d.org", &big),
        ("e.org", "\n#+begin_src lisp\n(defskill :e\n#+end_src\n"),
        ("f.org", &note("(defskill :f :trigger #'nobody)")),
        ("g.org", &note("(defun g () (ask-neuro \"x\"))\n(g)\n(defskill :g)")),
    ]);
    let problems = home.problems();
    let starts = [
        "a.org:0: the title says SKILL, but there is no Lisp block",
        "b.org:2: the note defines no skill",
        "c.org:2: ",
        "d.org:0: the note has more than 1 MiB",
        "e.org:3: ",
        "f.org:4: the skill's :trigger names nobody, which is not defined",
        "g.org:",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn bombs_end_in_problems_soon() {
    let begun = Instant::now();
    let home = Home::with(&[
        ("loop.org", &note("(loop) (defskill :a)")),
        ("deep.org", &note("(defun f (x) (+ 1 (f x))) (f 1) (defskill :b)")),
        (
            "memory.org",
            &note("(let ((s \"xxxxxxxx\")) (loop (setq s (concatenate 'string s s)))) (defskill :c)"),
        ),
        ("quotes.org", &note(&format!("{}x (defskill :d)", "'".repeat(9_500)))),
        ("list.org", &note(&format!("'({}) (defskill :e)", "x ".repeat(33_000)))),
        ("regex.org", &note("(cl-ppcre:scan \"(a{1000}){1000}\" \"a\") (defskill :f)")),
        ("open.org", &note(&"(".repeat(100_000))),
    ]);
    let elapsed = begun.elapsed();
    let problems = home.problems();
    for name in ["loop", "deep", "memory", "quotes", "regex", "open"] {
        assert!(problems.iter().any(|problem| problem.starts_with(name)), "{name}: {problems:#?}");
    }
    assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
}

#[cfg(unix)]
#[test]
fn links_lead_anywhere_and_pipes_nowhere() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("target.txt");
    std::fs::write(&target, valued("linked", "1")).unwrap();
    std::fs::create_dir(elsewhere.path().join("package")).unwrap();
    std::fs::write(elsewhere.path().join("package/folder.org"), valued("folder", "2")).unwrap();
    let mut home = Home::with(&[("a.org", &valued("a", "1"))]);
    symlink(&target, home.path("linked.org")).unwrap();
    symlink(elsewhere.path().join("package"), home.path("folder")).unwrap();
    symlink(elsewhere.path().join("gone"), home.path("gone.org")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(home.path("pipe.org")).status().unwrap();
    assert!(made.success());
    assert!(home.notes.refresh().is_some());
    assert_eq!((home.value("linked"), home.value("folder")), ("1".into(), "2".into()));
    let problems = home.problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].starts_with("gone.org:0: the note can not be read: No such file"), "{problems:#?}");
    assert_eq!(problems[1], "pipe.org:0: the note can not be read: it is not a regular file");
    // A target that changes is seen at the next look.
    std::fs::write(&target, valued("linked", "3")).unwrap();
    assert!(home.notes.refresh().is_some());
    assert_eq!(home.value("linked"), "3");
    // Unreadable, unless this runs as root.
    std::fs::set_permissions(home.path("a.org"), std::fs::Permissions::from_mode(0o000)).unwrap();
    drop(home.notes.refresh());
    assert_eq!(home.value("a"), "1");
}

/// Notes `n0` to `n9` that build on each other at random, some of them broken.
fn web() -> impl Strategy<Value = Vec<(Vec<usize>, bool)>> {
    prop::collection::vec((prop::collection::vec(0_usize..11, 0..4), prop::bool::weighted(0.9)), 1..10)
}

fn given(web: &[(Vec<usize>, bool)], odd: bool) -> Vec<Given> {
    let notes = web.iter().enumerate().map(|(at, (on, works))| {
        let on: Vec<String> = on.iter().map(|other| format!("n{other}")).collect();
        let value = if *works && !(odd && at % 2 == 1) { "1" } else { "(oops)" };
        let text = format!("#+DEPENDS_ON: {}\n{}", on.join(" "), valued(&format!("n{at}"), value));
        let content = Arc::new(Content::new(text.as_bytes()));
        Given { origin: Origin::User, file: format!("f{at}.org"), content }
    });
    notes.collect()
}

proptest! {
    #[test]
    fn each_note_makes_its_skill_or_says_why(web in web()) {
        let mut workshop = Workshop::new(Arc::new(()));
        let first = workshop.update(&given(&web, false), Instant::now());
        for at in 0..web.len() {
            let (name, file) = (format!("n{at}"), format!("f{at}.org"));
            let problems = first.problems().iter().filter(|problem| problem.file == file).count();
            prop_assert!(problems <= 1);
            prop_assert!(first.get(&name).is_some() || problems == 1, "{name} is lost");
        }
        let seen = |shelf: &Shelf| {
            let skills: Vec<_> =
                shelf.skills().iter().map(|skill| (skill.name.clone(), skill.sha256.clone())).collect();
            (skills, shelf.problems().to_vec())
        };
        // Nothing changed, nothing changes; what broke keeps what worked; mended, all is as it was.
        prop_assert_eq!(seen(&workshop.update(&given(&web, false), Instant::now())), seen(&first));
        let broken = workshop.update(&given(&web, true), Instant::now());
        for skill in first.skills() {
            prop_assert!(broken.get(&skill.name).is_some(), "{} did not stay", skill.name);
        }
        prop_assert_eq!(seen(&workshop.update(&given(&web, false), Instant::now())), seen(&first));
    }
}

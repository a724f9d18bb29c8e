//! Notes that change: saved, broken, mended, removed, shadowed, and notes that others build on.

use std::sync::mpsc::channel;
use std::time::Duration;

use org_agent::skills::watch;

use super::*;

#[test]
fn a_saved_note_takes_effect_and_a_broken_one_keeps_the_last_that_worked() {
    let mut home = Home::with(&[("a.org", &valued("a", "1"))]);
    assert_eq!((home.value("a"), home.problems()), ("1".into(), vec![]));
    assert!(home.notes.refresh().is_none());
    assert!(home.save("a.org", &valued("a", "2")));
    assert_eq!(home.value("a"), "2");
    let sha = home.shelf().get("a").unwrap().sha256.clone();
    // Broken in the code, in the block, and as text.
    assert!(home.save("a.org", &valued("a", "(cra 1)")));
    assert_eq!(home.value("a"), "2");
    assert_eq!(home.problems(), ["kept a.org:4: the function cra is not defined"]);
    let shelf = home.shelf();
    let problem = &shelf.problems()[0];
    assert_eq!((problem.name.as_deref(), problem.form.as_str()), (Some("a"), "(cra 1)"));
    assert!(problem.hint.contains("car"), "{}", problem.hint);
    assert!(!home.save("a.org", &valued("a", "(cra 1)")), "the same again is no change");
    assert!(home.save("a.org", "#+begin_src lisp\n(defskill :a)\n"));
    assert_eq!(home.problems(), ["kept a.org:1: the block that begins here is not closed"]);
    assert_eq!(home.value("a"), "2");
    std::fs::write(home.path("a.org"), b"\xff").unwrap();
    assert!(home.notes.refresh().is_some());
    assert_eq!(home.problems(), ["kept a.org:1: the note is no UTF-8 text"]);
    assert_eq!(home.value("a"), "2");
    // As it was.
    assert!(home.save("a.org", &valued("a", "2")));
    assert_eq!((home.value("a"), home.problems()), ("2".into(), vec![]));
    assert_eq!(home.shelf().get("a").unwrap().sha256, sha);
    assert!(home.save("a.org", &valued("a", "3")));
    assert_eq!(home.value("a"), "3");
    home.remove("a.org");
    assert_eq!((home.names(), home.problems()), (vec![], vec![]));
}

#[test]
fn a_note_that_is_empty_for_a_moment_keeps_its_skill_until_the_file_is_gone() {
    let mut home = Home::with(&[("a.org", &valued("a", "1")), ("b.org", "just a note")]);
    for (text, problem) in [
        ("", "kept a.org:0: the note says nothing of a skill any more"),
        ("#+TITLE", "kept a.org:0: the note says nothing of a skill any more"),
        ("#+TITLE: SKILL: x\n", "kept a.org:0: the title says SKILL, but there is no Lisp block"),
        (
            "#+TITLE: SKILL: x\n\n#+begin_src lisp\n(def",
            "kept a.org:3: the block that begins here is not closed",
        ),
        ("just a note", "kept a.org:0: the note says nothing of a skill any more"),
    ] {
        assert!(home.save("a.org", text));
        assert_eq!((home.value("a"), home.problems()), ("1".into(), vec![problem.to_owned()]), "{text}");
        assert_eq!(home.shelf().get("a").unwrap().state(&home.shelf()), "kept");
    }
    assert!(home.shelf().problems()[0].hint.contains("Delete the file"));
    // What builds on it goes on, too.
    let top = format!("#+DEPENDS_ON: a\n{}", note("(defun top () (value)) (defskill :top)"));
    home.save("top.org", &top);
    assert_eq!((home.names(), home.problems().len()), (vec!["top".to_owned(), "a".to_owned()], 1));
    home.remove("top.org");
    home.save("a.org", &valued("a", "2"));
    assert_eq!((home.value("a"), home.problems()), ("2".into(), vec![]));
    home.save("a.org", "");
    home.remove("a.org");
    assert_eq!((home.names(), home.problems()), (vec![], vec![]));
}

#[test]
fn an_editor_that_removes_and_writes_again_loses_nothing() {
    let mut home = Home::with(&[("a.org", &valued("a", "1"))]);
    home.remove("a.org");
    assert_eq!(home.names(), [""; 0]);
    home.save("a.org", &valued("a", ")"));
    assert_eq!(home.value("a"), "1");
    assert!(home.problems()[0].starts_with("kept a.org:4: "), "{:?}", home.problems());
}

#[test]
fn a_users_note_takes_the_place_of_a_builtin_one_of_the_same_name() {
    let mut home =
        Home::with(&[("mine.org", &note("(defun persona () \"You are Bob.\")\n(defskill :IDENTITY)"))]);
    let shelf = home.shelf();
    let shadowed: Vec<String> = shelf.shadowed().iter().map(ToString::to_string).collect();
    let mine = home.path("mine.org").display().to_string();
    assert_eq!(
        shadowed,
        [format!(
            "identity: the user skill of {mine} is used instead of the builtin one of built-in/identity.org"
        )]
    );
    assert_eq!(shelf.get("identity").unwrap().origin.as_str(), "user");
    // The chat names the built-in one by its identifier, which this note does not have; it gets this one all the same.
    let persona = |home: &Home| {
        let shelf = home.shelf();
        let chat = shelf.get("chat").unwrap();
        match run(chat, chat.neuro.unwrap(), vec![event("x")], Mode::Neuro) {
            Outcome::Ask { system_prompt, .. } => system_prompt.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(persona(&home), "You are Bob.");
    let id = ":PROPERTIES:\n:ID: 5b0f6c1e-2a44-4d0e-9f5e-6a3d1c7b8e01\n:END:\n";
    home.save(
        "mine.org",
        &format!("{id}{}", note("(defun persona () \"You are Bob.\")\n(defskill :identity)")),
    );
    assert_eq!(persona(&home), "You are Bob.");
    // Broken it keeps its last version; away, or broken from the start, the built-in one is in its place.
    home.save("mine.org", &format!("{id}{}", note("(defun persona () \"You are\"")));
    assert_eq!(persona(&home), "You are Bob.");
    assert!(home.problems()[0].starts_with("kept mine.org:"), "{:?}", home.problems());
    home.remove("mine.org");
    assert!(persona(&home).starts_with("You are Passepartout"));
    let home = Home::with(&[("mine.org", &format!("{id}{}", note("(defskill :identity")))]);
    assert!(persona(&home).starts_with("You are Passepartout"));
    assert_eq!(home.problems().len(), 1);
}

#[test]
fn of_two_with_one_name_the_later_file_counts_and_ties_go_to_the_later() {
    let home = Home::with(&[
        ("a.org", &valued("x", "1")),
        ("b/b.org", &valued("x", "2")),
        ("c.org", &note("(defskill :low :priority -1) (defskill :high :priority 99) (defskill :same)")),
        ("d.org", &note("(defskill :same-too)")),
    ]);
    assert_eq!(home.value("x"), "2");
    assert_eq!(home.names(), ["high", "same-too", "same", "x", "low"]);
    let shelf = home.shelf();
    assert_eq!(shelf.shadowed().len(), 1);
    // Two notes of one place: that is told, and names both.
    let by = home.path("b/b.org").display().to_string();
    assert_eq!(
        home.problems(),
        [format!("a.org:5: its skill x is not in use: {by} defines one of the same name")
            .replace(&format!("{}/", home.path("").display()).replace("//", "/"), "")]
    );
    assert_eq!(shelf.problems()[0].state(&shelf), "warn");
    assert_eq!(shelf.get("x").unwrap().state(&shelf), "ok");
}

#[test]
fn what_others_build_on_is_evaluated_first_and_again_when_it_changes() {
    let base = |value: &str| {
        format!(
            ":PROPERTIES:\n:ID: B-1\n:END:\n{}",
            note(&format!("(defun base () {value})\n(defskill :base)"))
        )
    };
    let middle =
        format!("#+DEPENDS_ON: id:b-1\n{}", note("(defun middle () (+ 10 (base)))\n(defskill :middle)"));
    let top = note("(defskill :top :dependencies '(:middle))\n(defun value () (+ 100 (middle)))");
    let mut home = Home::with(&[("a-top.org", &top), ("middle.org", &middle), ("z-base.org", &base("1"))]);
    assert_eq!(home.problems(), [""; 0]);
    assert_eq!(home.value("top"), "111");
    // Each note's own skills only, though it holds the others' definitions.
    assert_eq!(home.names().len(), 3);
    let shelf = home.shelf();
    let sha = |name: &str| shelf.get(name).unwrap().sha256.clone();
    let (was_top, was_base) = (sha("top"), sha("base"));
    assert_eq!(shelf.get("top").unwrap().dependencies, ["middle"]);
    home.save("z-base.org", &base("2"));
    assert_eq!(home.value("top"), "112");
    let shelf = home.shelf();
    assert_ne!(shelf.get("top").unwrap().sha256, was_top);
    assert_ne!(shelf.get("base").unwrap().sha256, was_base);
    // Broken below: everything goes on with the last that worked.
    home.save("z-base.org", &base("(oops)"));
    assert_eq!(home.value("top"), "112");
    assert_eq!(home.problems(), ["kept z-base.org:7: the function oops is not defined"]);
    // It works, but not for what builds on it.
    home.save("z-base.org", &format!(":PROPERTIES:\n:ID: B-1\n:END:\n{}", note("(defskill :base)")));
    assert_eq!(home.value("top"), "112");
    assert_eq!(home.problems(), ["kept middle.org:5: the function base is not defined"]);
    home.save("z-base.org", &base("3"));
    assert_eq!((home.value("top"), home.problems()), ("113".into(), vec![]));
}

#[test]
fn circles_gaps_and_long_ways_are_named() {
    let on = |name: &str, on: &str| format!("#+DEPENDS_ON: {on}\n{}", valued(name, "1"));
    let home = Home::with(&[
        ("a.org", &on("a", "b")),
        ("b.org", &on("b", "c")),
        ("c.org", &on("c", "a")),
        ("d.org", &on("d", "a")),
        ("self.org", &on("self", "self")),
    ]);
    let circle = "notes depend on each other in a circle: a -> b -> c -> a";
    assert_eq!(
        home.problems(),
        [
            format!("a.org:1: {circle}"),
            format!("b.org:1: {circle}"),
            format!("c.org:1: {circle}"),
            format!("d.org:1: the note depends on a, which does not work: a.org:1: {circle}"),
            "self.org:1: the note depends on itself: self".to_owned(),
        ]
    );
    // What is missing is said, but may not be needed.
    let gap = format!("#+DEPENDS_ON: gone, id:gone\n{}", valued("gap", "1"));
    let needs = format!("#+DEPENDS_ON: gone\n{}", valued("needs", "(gone)"));
    let mut home = Home::with(&[("gap.org", &gap), ("needs.org", &needs)]);
    assert_eq!(
        home.problems(),
        [
            "gap.org:1: a note is missing: gap -> gone; this one works without it",
            "needs.org:5: the function gone is not defined"
        ]
    );
    assert!(home.shelf().problems()[1].hint.starts_with("a note is missing: needs -> gone. "));
    assert_eq!(home.value("gap"), "1");
    home.save(
        "gone.org",
        &format!(":PROPERTIES:\n:ID: gone\n:END:\n{}", note("(defun gone () 7) (defskill :x)")),
    );
    assert_eq!((home.value("needs"), home.problems()), ("7".into(), vec![]));
    // Eight may stand below one.
    let mut notes = vec![("n0".to_owned(), valued("n0", "1"))];
    notes.extend((1..=10).map(|n| (format!("n{n}"), on(&format!("n{n}"), &format!("n{}", n - 1)))));
    let notes: Vec<(String, String)> = notes.into_iter().map(|(name, text)| (name + ".org", text)).collect();
    let notes: Vec<(&str, &str)> = notes.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let home = Home::with(&notes);
    assert_eq!(home.names().len(), 9);
    let problems = home.problems();
    assert_eq!(problems.len(), 2);
    assert_eq!(
        problems.iter().find(|problem| problem.starts_with("n9")).unwrap(),
        "n9.org:1: the note builds on more than 8 notes in a row: n9 -> n8 -> n7 -> n6 -> n5 -> n4 -> n3 -> n2 -> n1 -> n0"
    );
}

#[test]
fn dependencies_that_only_the_evaluated_form_tells_are_found_too() {
    let base = note("(defun base () 5) (defskill :base)");
    let top = note(
        "(defun value () 1) (defskill :top :dependencies (append '(:ba) nil (list (intern \"BASE\" :keyword))))",
    );
    let home = Home::with(&[("base.org", &base), ("top.org", &top)]);
    let shelf = home.shelf();
    assert!(shelf.get("top").is_some(), "{:?}", home.problems());
    let known = &shelf.get("top").unwrap().dependencies;
    assert!(known.contains(&"base".to_owned()), "{known:?}");
}

#[test]
fn a_watched_directory_tells_of_changes_even_if_it_comes_later() {
    let directory = tempfile::tempdir().unwrap();
    let skills = directory.path().join("agent").join("skills");
    let (sender, told) = channel();
    let watch = watch(&skills, move || {
        let _ = sender.send(());
    })
    .expect("inotify, or its like");
    let expect = |what: &str| {
        told.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| panic!("not told of {what}"));
        // What belongs to the same change.
        while told.recv_timeout(Duration::from_millis(400)).is_ok() {}
    };
    std::fs::create_dir_all(&skills).unwrap();
    expect("the new directory");
    std::fs::write(skills.join("a.org"), "x").unwrap();
    expect("a new note");
    std::fs::write(skills.join("a.org"), "xy").unwrap();
    expect("a changed note");
    std::fs::create_dir(skills.join("b")).unwrap();
    expect("a new directory inside");
    std::fs::write(skills.join("b").join("b.org"), "x").unwrap();
    expect("a note in it");
    std::fs::rename(skills.join("a.org"), skills.join("c.org")).unwrap();
    expect("a renamed note");
    std::fs::remove_dir_all(&skills).unwrap();
    expect("the removed directory");
    std::fs::create_dir_all(&skills).unwrap();
    expect("the directory made again");
    std::fs::write(skills.join("a.org"), "x").unwrap();
    expect("a note in the directory made again");
    drop(watch);
    drop(std::fs::write(skills.join("a.org"), "xyz"));
    // Its thread ends, and the sender with it.
    while told.recv_timeout(Duration::from_secs(30)).is_ok() {}
    assert!(matches!(told.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected)));
}

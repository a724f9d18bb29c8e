//! What notes may take: time for one and for all, memory for all together, and what is kept of a large one.

use std::time::{Duration, Instant};

use org_agent::lisp::Limits;
use org_agent::skill::{Allowance, Content, Given, MAX_DESCRIPTION, Origin, Workshop};

use super::*;

fn given(notes: &[(&str, String)]) -> Vec<Given> {
    let given = |(file, text): &(&str, String)| Given {
        origin: Origin::User,
        file: (*file).to_owned(),
        content: Arc::new(Content::new(text.as_bytes())),
    };
    notes.iter().map(given).collect()
}

/// The names of the skills, sorted, and the problems.
fn seen(shelf: &Shelf) -> (Vec<String>, Vec<String>) {
    let mut names: Vec<String> = shelf.skills().iter().map(|skill| skill.name.clone()).collect();
    names.sort();
    let kept = |kept| if kept { "kept " } else { "" };
    let problems = shelf.problems().iter();
    (names, problems.map(|it| format!("{}{}: {}", kept(it.kept), it.file, it.message)).collect())
}

#[test]
fn a_note_for_which_the_machine_was_too_busy_is_tried_again() {
    let hurried =
        Allowance { load: Limits { time: Duration::ZERO, ..Limits::default() }, ..Allowance::default() };
    let mut workshop = Workshop::within(hurried, Arc::new(()));
    let work = |value: &str| {
        vec![("a.org", note(&format!("(defun value () {value}) (dotimes (i 50000) i) (defskill :a)")))]
    };
    let shelf = workshop.update(&given(&work("1")), Instant::now());
    assert_eq!(seen(&shelf), (vec![], vec!["a.org: the call took longer than it may".to_owned()]));
    assert!(workshop.is_due());
    workshop.allow(Allowance::default());
    let shelf = workshop.update(&given(&work("1")), Instant::now());
    assert_eq!(seen(&shelf), (vec!["a".to_owned()], vec![]));
    assert!(!workshop.is_due());
    // What worked goes on meanwhile.
    workshop.allow(hurried);
    let shelf = workshop.update(&given(&work("2")), Instant::now());
    assert_eq!(
        seen(&shelf),
        (vec!["a".to_owned()], vec!["kept a.org: the call took longer than it may".to_owned()])
    );
    assert!(Allowance::default().load.time >= Duration::from_secs(2));
}

#[test]
fn an_update_ends_when_its_time_is_over_and_the_next_goes_on() {
    let late = "not read: the notes before it took all the time";
    let short = Allowance { evaluation: Duration::ZERO, ..Allowance::default() };
    let mut workshop = Workshop::within(short, Arc::new(()));
    let notes = |value: &str| {
        let on_c = format!("#+DEPENDS_ON: c\n{}", valued("d", value));
        vec![
            ("a.org", valued("a", value)),
            ("b.org", valued("b", value)),
            ("c.org", valued("c", value)),
            ("d.org", on_c),
        ]
    };
    let first = seen(&workshop.update(&given(&notes("1")), Instant::now()));
    assert_eq!(first.0, ["a"]);
    assert_eq!(first.1[..2], [format!("b.org: {late}"), format!("c.org: {late}")]);
    assert_eq!(first.1[2], format!("d.org: the note depends on c, which does not work: c.org:0: {late}"));
    let mut steps = 1;
    while workshop.is_due() {
        assert!(steps < 10, "it makes no progress");
        workshop.update(&given(&notes("1")), Instant::now());
        steps += 1;
    }
    let all = workshop.update(&given(&notes("1")), Instant::now());
    assert_eq!((seen(&all).0.len(), seen(&all).1.len(), steps), (4, 0, 4));
    // What changed and was not read keeps its last version.
    let changed = seen(&workshop.update(&given(&notes("2")), Instant::now()));
    assert_eq!(changed.0, ["a", "b", "c", "d"]);
    assert!(changed.1.contains(&format!("kept b.org: {late}")), "{changed:?}");
}

#[test]
fn a_library_tries_again_though_no_file_changed() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), "a.org", &valued("a", "1"));
    let short = Allowance { evaluation: Duration::ZERO, ..Allowance::default() };
    let mut library = Library::open_in(&paths(home.path()), Workshop::within(short, Arc::new(())));
    assert_eq!(library.shelf().skills().len(), 1);
    let mut steps = 0;
    while library.refresh().is_some() {
        steps += 1;
        assert!(steps < 20, "it does not end");
    }
    let (names, problems) = seen(&library.shelf());
    assert_eq!((names.len(), problems), (1 + org_agent::skills::BUILTIN.len(), vec![]));
    assert!(names.contains(&"a".to_owned()));
}

#[test]
fn all_notes_together_have_only_so_much_memory() {
    // Each takes half a MiB.
    let big = |name: &str, double: usize| {
        let grow = format!("(dotimes (i {double}) (setq *x* (concatenate 'string *x* *x*)))");
        note(&format!("(defvar *x* \"xxxxxxxx\") {grow} (defskill :{name})"))
    };
    let names = ["a", "b", "c", "d", "e"];
    let files = ["a.org", "b.org", "c.org", "d.org", "e.org"];
    let notes = |double: usize| -> Vec<(&str, String)> {
        files.into_iter().zip(names.map(|name| big(name, double))).collect()
    };
    let small = Allowance { memory: 2 << 20, ..Allowance::default() };
    let mut workshop = Workshop::within(small, Arc::new(()));
    let much = "not used: with it all notes would take more than 2 MiB";
    let all = given(&notes(15));
    let shelf = workshop.update(&all, Instant::now());
    let size = shelf.skills()[0].program.size();
    assert!((500_000..600_000).contains(&size), "{size}");
    let expected = (
        vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
        vec![format!("d.org: {much}"), format!("e.org: {much}")],
    );
    assert_eq!(seen(&shelf), expected);
    // Where one goes away, the next takes its place; what grows too large keeps its last version.
    let (names, problems) = seen(&workshop.update(&all[1..], Instant::now()));
    assert_eq!((names.join(""), problems), ("bcd".to_owned(), vec![format!("e.org: {much}")]));
    let mut grown = given(&[("b.org", big("b", 17))]);
    grown.extend_from_slice(&all[2..4]);
    let (names, problems) = seen(&workshop.update(&grown, Instant::now()));
    assert_eq!((names.join(""), problems), ("bcd".to_owned(), vec![format!("kept b.org: {much}")]));
}

#[test]
fn many_skills_of_one_large_note_share_its_text() {
    let skills: String = (0..100).map(|n| format!("(defskill :s{n})\n")).collect();
    let words = "é word ".repeat(100_000);
    let text =
        format!("#+TITLE: SKILL: {}\n{words}\n#+begin_src lisp\n{skills}#+end_src\n", "t".repeat(100_000));
    let begun = Instant::now();
    let shelf = Workshop::new(Arc::new(())).update(&given(&[("a.org", text)]), Instant::now());
    let elapsed = begun.elapsed();
    assert_eq!((shelf.skills().len(), shelf.problems().len()), (100, 0), "{:?}", shelf.problems());
    let first = &shelf.skills()[0];
    assert_eq!(first.description.chars().count(), MAX_DESCRIPTION);
    assert!(first.description.starts_with("é word é") && first.description.ends_with('…'));
    assert!(first.title.len() < 10_000);
    assert!(shelf.skills().iter().all(|skill| Arc::ptr_eq(&skill.prose, &first.prose)));
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
}

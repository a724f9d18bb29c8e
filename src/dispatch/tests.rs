//! Dispatch over skills of one block each.

use super::*;
use crate::lisp::{Program, Source};
use crate::prompt::HistoryItem;
use crate::record::{Attachment, AttachmentKind};
use crate::skill::{Format, Origin};
use crate::verify::Reading;

const BUFFER: &str = "*notes*";

fn skills(text: &str) -> Vec<Arc<Skill>> {
    let source = Source { file: "note.org", line: 1, text };
    let program = Program::load(&[source], Arc::new(()), Limits::default()).unwrap();
    let skill = |definition: &crate::lisp::Definition| {
        Arc::new(Skill {
            name: definition.name.clone(),
            format: Format::Note,
            priority: definition.priority,
            description: String::new(),
            title: String::new(),
            id: None,
            tags: Vec::new(),
            capabilities: Vec::new(),
            dependencies: Vec::new(),
            origin: Origin::User,
            file: "note.org".into(),
            line: definition.line,
            sha256: "00".into(),
            program: program.clone(),
            trigger: definition.trigger,
            neuro: definition.neuro,
            symbolic: definition.symbolic,
            prose: "".into(),
        })
    };
    program.skills().iter().map(skill).collect()
}

fn world() -> World {
    let said = HistoryItem::User {
        text: "hello".into(),
        context: vec![Attachment {
            kind: AttachmentKind::File,
            name: "a.txt".into(),
            text: "content".into(),
            mode: None,
        }],
    };
    let history = [
        HistoryItem::User { text: "before".into(), context: Vec::new() },
        HistoryItem::Assistant { sexp: r#"(:type :response :payload (:text "yes"))"#.into() },
        said.clone(),
    ];
    World::new(event(&said, &history, BUFFER, "s-1", Some("2026-11-27")), Arc::new(()))
}

fn cast(text: &str) -> Cast {
    Cast::new(&Shelf::new(skills(text), Vec::new()), &world())
}

fn verified(reply: &str) -> Verified<Action> {
    let mut reading = Reading::new(BUFFER, 2);
    reading.feed(reply.as_bytes()).unwrap();
    reading.finish().unwrap().action
}

const INSERT: &str =
    r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*notes*" :text "Hi."))"#;
const SHELL: &str = r#"(:type :request :target :shell :payload (:cmd "make"))"#;

/// What the gates make of `reply`: the print of what goes on, or who refused and why; and how each looked.
fn gate(cast: &Cast, reply: &str) -> (Result<String, (String, String)>, Vec<String>) {
    let (verdict, looks) = cast.gate(verified(reply), &world(), &|| Reading::new(BUFFER, 2));
    let looks = looks.iter().map(|look| format!("{} {:?}", look.skill, look.result).to_lowercase()).collect();
    let verdict = verdict.map(|action| printer::print(action.action())).map_err(|no| (no.skill, no.why));
    (verdict, looks)
}

#[test]
fn an_event_is_what_the_contract_says() {
    assert_eq!(
        world().event().print(10_000),
        "(:type :event :payload (:sensor :chat-message :text \"hello\" :buffer \"*notes*\" :session \"s-1\" \
         :history ((:role :user :text \"before\") (:role :assistant :text \"yes\")) \
         :context ((:kind :file :name \"a.txt\" :text \"content\")) :date \"2026-11-27\"))"
    );
}

#[test]
fn of_the_triggered_skills_the_one_of_highest_priority_leads_and_ties_go_to_the_later() {
    let yes = "(lambda (event) (eq (getf (getf event :payload) :sensor) :chat-message))";
    let neuro = "(lambda (event) (ask-neuro \"a\"))";
    let cast = cast(&format!(
        "(defskill :low :priority 1 :trigger {yes} :neuro {neuro})
         (defskill :first :priority 5 :trigger {yes} :neuro {neuro})
         (defskill :second :priority 5 :trigger {yes} :neuro {neuro})
         (defskill :guard :priority 9 :trigger {yes})
         (defskill :other :priority 99 :trigger (lambda (event) nil) :neuro {neuro})
         (defskill :broken :priority 50 :trigger (lambda (event) (car 1)) :neuro {neuro})
         (defskill :endless :priority 40 :trigger (lambda (event) (loop)) :neuro {neuro})
         (defskill :idle :priority 60 :neuro {neuro})"
    ));
    let names: Vec<String> = cast.record().iter().map(|triggered| triggered.skill.clone()).collect();
    assert_eq!(names, ["broken", "endless", "guard", "second", "first", "low"]);
    let failed = |name: &str| {
        cast.record().iter().find(|triggered| triggered.skill == name).and_then(|one| one.failed.clone())
    };
    assert!(failed("broken").unwrap().contains("note.org:6"), "{:?}", failed("broken"));
    assert!(failed("endless").is_some() && failed("guard").is_none());
    assert_eq!(cast.lead().unwrap().name, "second");
    assert!(Cast::default().lead().is_none());
}

#[test]
fn a_prompt_is_made_asked_about_or_spoken() {
    let made = |neuro: &str| {
        let skill = skills(&format!("(defskill :s :trigger (lambda (e) t) :neuro (lambda (event) {neuro}))"));
        Making::begin(&skill[0], &world()).0
    };
    let text = "(getf (getf event :payload) :text)";
    let Made::Prompt { prompt, system } =
        made(&format!("(ask-neuro (format nil \"They said ~a.\" {text}) :system-prompt \"You are kind.\")"))
    else {
        panic!("no prompt");
    };
    assert_eq!((prompt.as_str(), system.as_deref()), ("They said hello.", Some("You are kind.")));

    let Made::Question { prompt, system, making } =
        made("(let ((a (ask-neuro \"which?\"))) (ask-neuro (concatenate 'string a \"!\")))")
    else {
        panic!("no question");
    };
    assert_eq!((prompt.as_str(), system), ("which?", None));
    let (Made::Prompt { prompt, .. }, _) = making.answer("this") else { panic!("no prompt") };
    assert_eq!(prompt, "this!");

    assert!(matches!(made("\"(:type :log)\""), Made::Speaks(text) if text == "(:type :log)"));
    let list = made("`(:type :response :payload (:text ,(string-upcase \"a\\\"b\")))");
    assert!(matches!(list, Made::Speaks(text) if text == "(:type :response :payload (:text \"A\\\"B\"))"));
    assert!(matches!(made("nil"), Made::Failed(_)));
    assert!(matches!(made("(error \"no ~a\" 1)"), Made::Failed(why) if why.contains("no 1")));
    assert!(matches!(made("(loop)"), Made::Failed(_)));
}

#[test]
fn every_gate_looks_and_passes_refuses_or_replaces() {
    let gates = |bodies: &[&str]| {
        let note: String = bodies
            .iter()
            .enumerate()
            .map(|(at, body)| {
                format!(
                    "(defskill :g{at} :priority {} :trigger (lambda (e) t) :symbolic (lambda (action event) {body}))\n",
                    100 - at
                )
            })
            .collect();
        cast(&note)
    };
    let pass = "action";
    let (verdict, looks) = gate(&gates(&[pass, "(progn event action)"]), INSERT);
    assert_eq!((verdict.unwrap().as_str(), looks), (INSERT, vec!["g0 passed".into(), "g1 passed".into()]));

    // Refused: nil, no action, a crash, no end, too deep, a reason.
    for (body, why) in [
        ("nil", "no reason"),
        ("t", "no action"),
        ("42", "no action"),
        ("\"text\"", "no action"),
        ("'(:type :request)", "no action"),
        ("(car 1)", "note.org:2"),
        ("(loop)", ""),
        ("(labels ((f (n) (+ 1 (f n)))) (f 1))", ""),
        ("(ask-neuro \"may I?\")", "ask-neuro"),
        ("'(:refuse \"not on Sundays\")", "not on Sundays"),
        ("'(:refuse)", "no reason"),
        ("'(:type :request :target :shell :payload (:cmd \"rm -rf x\"))", "another form"),
        ("'(:type :log :payload (:text \"hidden\"))", "another form"),
    ] {
        let (verdict, looks) = gate(&gates(&[pass, body, pass]), INSERT);
        let (skill, reason) = verdict.unwrap_err();
        assert!(skill == "g1" && reason.contains(why), "{body}: {skill} {reason}");
        assert_eq!(looks, ["g0 passed", "g1 refused"], "{body}");
    }

    // Replaced: the others look at what is there now, those before it again.
    let other = "`(:type :request :target :emacs :payload (:action :insert-at-end :buffer \"*notes*\" :text \"No.\"))";
    let (verdict, looks) = gate(&gates(&[pass, other, pass]), SHELL);
    assert!(verdict.unwrap().ends_with(":text \"No.\"))"));
    assert_eq!(looks, ["g0 passed", "g1 replaced", "g0 passed", "g2 passed"]);
    let (verdict, looks) = gate(&gates(&["(if (eq (getf action :target) :shell) action nil)", other]), SHELL);
    assert_eq!(verdict.unwrap_err().0, "g0", "it sees what the other put there");
    assert_eq!(looks, ["g0 passed", "g1 replaced", "g0 refused"]);
    // Two that never agree come to an end, and a lower one has no last word.
    let quarrel = |cmd: &str| format!("'(:type :request :target :shell :payload (:cmd \"{cmd}\"))");
    let (verdict, looks) = gate(&gates(&[&quarrel("a"), &quarrel("b")]), SHELL);
    let (skill, why) = verdict.unwrap_err();
    assert!(skill == "g0" && why.contains("do not agree"), "{why}");
    assert_eq!(looks, ["g0 replaced", "g1 replaced", "g0 refused"]);
    // Another buffer than the session's is no action.
    let elsewhere = other.replace("*notes*", "init.el");
    assert!(gate(&gates(&[&elsewhere]), INSERT).0.unwrap_err().1.contains("no action"));
    // What replaces text is held to the Org contract.
    let heading = other.replace("No.", "* Top");
    assert!(gate(&gates(&[&heading]), INSERT).0.unwrap().contains("*** Top"));
}

#[test]
fn a_gate_whose_trigger_failed_looks_all_the_same() {
    let cast =
        cast("(defskill :g :trigger (lambda (e) (car 1)) :symbolic (lambda (a e) '(:refuse \"never\")))");
    assert_eq!(gate(&cast, INSERT).0.unwrap_err(), ("g".to_owned(), "never".to_owned()));
}

#[test]
fn nobody_fails_for_the_time_that_others_used_up() {
    let slow =
        "(defskill :slow~ :priority 90 :trigger (lambda (e) (loop)) :symbolic (lambda (a e) (loop)))\n";
    let mut note: String = (0..40).map(|at| slow.replace('~', &at.to_string())).collect();
    note.push_str("(defskill :quick :priority 1 :trigger (lambda (e) (kernel-log \"looked\") t) :neuro (lambda (e) \"x\"))\n");
    note.push_str("(defskill :other :priority 1 :trigger (lambda (e) nil) :symbolic (lambda (a e) nil))\n");
    let cast = cast(&note);
    assert_eq!(cast.lead().unwrap().name, "quick");
    assert!(cast.record().iter().all(|one| one.skill != "other"));
    assert_eq!(cast.notes(), ["quick: looked"]);
}

#[test]
fn what_gates_note_and_replace_is_kept_within_bounds() {
    let chatty = "(defskill :c~ :priority ~ :trigger (lambda (e) t) :symbolic (lambda (a e) (dotimes (i 50) (kernel-log \"~a\" i)) a))\n";
    let note: String = (10..40)
        .map(|at| {
            chatty.replace(":c~", &format!(":c{at}")).replace(":priority ~", &format!(":priority {at}"))
        })
        .collect();
    let (_, looks) = cast(&note).gate(verified(INSERT), &world(), &|| Reading::new(BUFFER, 2));
    assert_eq!(looks.len(), 30);
    assert_eq!(looks.iter().map(|look| look.notes.len()).sum::<usize>(), ALL_NOTES);
    let failing =
        "(defskill :f :trigger (lambda (e) t) :symbolic (lambda (a e) (kernel-log \"here\") (car 1)))";
    let (_, looks) = cast(failing).gate(verified(INSERT), &world(), &|| Reading::new(BUFFER, 2));
    assert_eq!(looks[0].notes, ["here"], "what a gate noted before it failed");
}

#[test]
fn the_mode_of_what_is_attached_is_known_to_notes_and_templates() {
    let attachment = |name: &str, mode: Option<&str>| Attachment {
        kind: AttachmentKind::Region,
        name: name.into(),
        text: "x".into(),
        mode: mode.map(str::to_owned),
    };
    let mode = |context| {
        let said = HistoryItem::User { text: "explain".into(), context };
        let event = event(&said, std::slice::from_ref(&said), BUFFER, "s", None);
        let world = World::new(event, Arc::new(())).with(Facts::default());
        assert!(Seeing::new(verified(INSERT).action(), &world).runner.shared().is_one());
        (world.event().print(1_000), world.context().unwrap().get("mode").cloned())
    };
    let (event, known) = mode(vec![attachment("a", None), attachment("b.py", Some("python-mode"))]);
    assert_eq!(known, Some(Datum::str("python-mode")));
    assert!(event.contains("(:kind :region :name \"b.py\" :text \"x\" :mode \"python-mode\")"), "{event}");
    assert_eq!(mode(vec![attachment("a", None)]).1, None);
}

/// What every trigger and gate is given is made once for all of them: no name in it is unknown to the language.
#[test]
fn events_and_actions_are_shared_by_all_notes() {
    for reply in [INSERT, SHELL, r#"(:type :log :payload (:text "a" :level :warn) :explanation "b")"#] {
        let seeing = Seeing::new(verified(reply).action(), &world());
        assert!(seeing.runner.shared().is_one(), "{reply}");
    }
    let skill = r#"(:type :request :target :skill :payload (:name "a"))"#;
    let shell = r#"(:type :request :target :shell :payload (:cmd "a" :cwd "b" :timeout 5))"#;
    for reply in [skill, shell, r#"(:type :response :payload (:text "a"))"#] {
        assert!(Seeing::new(verified(reply).action(), &world()).runner.shared().is_one(), "{reply}");
    }
}

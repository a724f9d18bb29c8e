//! Skills in a turn: what makes the prompt, what gates let through, notes that change, and notes that mean harm.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::fake_model::FakeModel;
use crate::scene::Scene;
use crate::{command, insert, variables};

const SYSTEM_ERROR: &str = "insert *System Error:*";

/// A note with this code.
fn note(name: &str, code: &str) -> String {
    format!(
        ":PROPERTIES:\n:ID: {name}-1\n:END:\n#+TITLE: SKILL: {name}\n#+FILETAGS: :skill:\n\nSay it in *rhymes*.\n\n\
         #+begin_src lisp\n{code}\n#+end_src\n"
    )
}

/// A skill for every message, of priority 70, with these further arguments.
fn skill(name: &str, more: &str) -> String {
    note(name, &format!("(defskill :{name} :priority 70 :trigger (lambda (event) event t) {more})"))
}

fn write(home: &Path, name: &str, text: &str) {
    let directory = home.join("skills");
    fs::create_dir_all(&directory).unwrap();
    // As editors do: whole or not at all.
    let fresh = directory.join(format!(".{name}.new"));
    fs::write(&fresh, text).unwrap();
    fs::rename(fresh, directory.join(format!("{name}.org"))).unwrap();
}

/// A server whose user has these notes.
fn scene(notes: &[(&str, &str)]) -> (Scene, TempDir) {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in notes {
        write(home.path(), name, text);
    }
    let model = FakeModel::start();
    let client = Client::new_in(home.path(), &variables(&model.base_url(), &[]));
    (Scene::of(model, client), home)
}

/// The messages of the next request, as they are.
fn request(scene: &Scene) -> Vec<(String, String)> {
    scene.model.take_request_blocking().messages()
}

fn user_text(messages: &[(String, String)]) -> &str {
    &messages.last().unwrap().1
}

/// The log of a turn, by type.
fn events(scene: &mut Scene, turn: &str, kind: &str) -> Vec<Value> {
    let why = scene.request("orgAgent/why", &json!({"turnId": turn})).unwrap();
    why["events"].as_array().unwrap().iter().filter(|event| event["type"] == kind).cloned().collect()
}

#[test]
fn a_skill_makes_the_prompt_once_and_the_turn_goes_on_with_it() {
    let neuro = r#":neuro (lambda (event)
        (ask-neuro (format nil "~a asks: ~a" (or (uiop:getenv "MEMEX_USER") "Somebody")
                           (getf (getf event :payload) :text))
                   :system-prompt "You are a poet.\nOf few words."))"#;
    let (mut scene, _home) = scene(&[("poet", &skill("poet", neuro))]);
    scene.model.reply_with("no list");
    scene.model.reply_with(&command("date"));
    scene.model.reply_with(&insert("Noon."));
    let turn = scene.say("What time?");
    let first = request(&scene);
    assert!(
        first[0].1.starts_with("You are a poet.\nOf few words.\n\nAnswer with exactly one"),
        "{}",
        first[0].1
    );
    assert_eq!(&first[1..], [("user".to_owned(), "Ada asks: What time?".to_owned())]);
    // The repair and the result of the command continue it.
    let second = request(&scene);
    assert_eq!(second[0], first[0]);
    assert!(user_text(&second).starts_with("Ada asks: What time?\n\n[verifier]"), "{second:?}");
    let actuation = scene.wait(&turn, "run ");
    scene.report(&actuation, &json!({"status": "done", "exitCode": 0, "stdout": "12:00"})).unwrap();
    let third = request(&scene);
    assert_eq!((&third[0], &third[1]), (&first[0], &first[1]));
    assert_eq!(scene.end(&turn).last().unwrap(), "done");

    let found = events(&mut scene, &turn, "turn.dispatched");
    assert_eq!((found.len(), &found[0]["skill"]), (1, &json!("poet")));
    let names: Vec<&str> =
        found[0]["triggered"].as_array().unwrap().iter().map(|one| one["skill"].as_str().unwrap()).collect();
    assert!(names.contains(&"poet") && names.contains(&"chat"), "{names:?}");
    assert!(found[0]["triggered"][0]["sha256"].as_str().unwrap().len() == 64);

    // The next turn knows what was said, in the user's own words.
    scene.model.reply_with(&insert("Again."));
    let turn = scene.say("And now?");
    let next = request(&scene);
    assert_eq!(next[1], ("user".to_owned(), "What time?".to_owned()));
    assert!(user_text(&next).ends_with("Ada asks: And now?"), "{next:?}");
    scene.end(&turn);
    scene.finish();
}

#[test]
fn a_skill_may_ask_first_and_what_it_is_told_is_no_action() {
    let neuro = r#":neuro (lambda (event)
        (let ((kind (ask-neuro (format nil "One word: ~a" (getf (getf event :payload) :text))
                               :system-prompt "Classify.")))
          (ask-neuro (concatenate 'string "This is " kind))))"#;
    let (mut scene, _home) = scene(&[("sorter", &skill("sorter", neuro))]);
    scene.model.reply_with("(:type :response :payload (:text \"sneaky\"))");
    scene.model.reply_with(&insert("Sorted."));
    let turn = scene.say("Plant a tree");
    assert_eq!(
        request(&scene),
        [
            ("system".to_owned(), "Classify.".to_owned()),
            ("user".to_owned(), "One word: Plant a tree".to_owned())
        ]
    );
    let second = request(&scene);
    assert!(second[0].1.starts_with("You are Jeeves, the assistant of Ada"), "the usual opening");
    assert_eq!(user_text(&second), "This is (:type :response :payload (:text \"sneaky\"))");
    let story = scene.end(&turn);
    assert!(
        story.contains(&"insert Sorted.".to_owned()) && !story.iter().any(|line| line.contains("sneaky"))
    );
    scene.finish();

    // Five questions are one too many.
    let neuro = ":neuro (lambda (event) event (dotimes (i 5) (ask-neuro \"more?\")) (ask-neuro \"done\"))";
    let (mut scene, _home) = self::scene(&[("curious", &skill("curious", neuro))]);
    for _ in 0..4 {
        scene.model.reply_with("yes");
    }
    let turn = scene.say("Go");
    for _ in 0..4 {
        request(&scene);
    }
    let story = scene.end(&turn);
    assert!(story.iter().any(|line| line.starts_with(SYSTEM_ERROR) && line.contains("curious")), "{story:?}");
    scene.finish();
}

#[test]
fn what_a_skill_says_itself_is_verified_like_a_reply() {
    let says = |value: &str| skill("echo", &format!(":neuro (lambda (event) event {value})"));
    let good = "`(:type :response :payload (:text ,(format nil \"You said ~a\" (getf (getf event :payload) :text))))";
    let (mut scene, home) = scene(&[("echo", &says(good))]);
    let turn = scene.say("hello");
    let story = scene.end(&turn);
    assert!(story.contains(&"insert You said hello".to_owned()), "{story:?}");
    for (bad, why) in [
        ("\"Hello\"", "gave what is no action"),
        (
            "'(:type :request :target :emacs :payload (:action :insert-at-end :buffer \"init.el\" :text \"x\"))",
            "no action",
        ),
        ("nil", "returned nil"),
        ("(car 1)", "echo.org:"),
        ("(loop)", "echo.org:"),
    ] {
        write(home.path(), "echo", &says(bad));
        let turn = scene.say(bad);
        let story = scene.end(&turn);
        let error = story.iter().find(|line| line.starts_with(SYSTEM_ERROR));
        assert!(error.is_some_and(|line| line.contains("echo") && line.contains(why)), "{bad}: {story:?}");
        assert!(story.last().unwrap().starts_with("failed"), "{bad}: {story:?}");
    }
    // A command that it wants to run is judged like any other.
    write(home.path(), "echo", &says("'(:type :request :target :shell :payload (:cmd \"touch x\"))"));
    let turn = scene.say("make it");
    let actuation = scene.wait(&turn, "run touch x");
    assert_eq!(actuation["decision"], "ask");
    scene.model.assert_all_checked();
}

#[test]
fn gates_refuse_and_replace_and_why_shows_it() {
    let gate = r#":symbolic (lambda (action event)
        (cond ((not (eq (getf action :target) :shell)) action)
              ((search "deploy" (getf (getf action :payload) :cmd)) '(:refuse "Not on a Friday."))
              ((search "less" (getf (getf action :payload) :cmd))
               `(:type :request :target :emacs
                 :payload (:action :insert-at-end :buffer ,(getf (getf event :payload) :buffer)
                           :text "There is no pager here.")))
              (t action)))"#;
    let (mut scene, _home) = scene(&[("guard", &skill("guard", gate))]);
    scene.model.reply_with(&command("make deploy"));
    let turn = scene.say("Deploy");
    scene.asked();
    let story = scene.end(&turn);
    let error = story.iter().find(|line| line.starts_with(SYSTEM_ERROR)).unwrap();
    assert!(
        error.contains("guard") && error.contains("Not on a Friday.") && error.contains("make deploy"),
        "{error}"
    );
    assert!(!story.iter().any(|line| line.starts_with("run ")), "{story:?}");
    let looks = events(&mut scene, &turn, "turn.gated");
    let refused = looks[0]["gates"].as_array().unwrap().last().unwrap();
    assert_eq!((&refused["skill"], &refused["result"]), (&json!("guard"), &json!("refused")));
    assert_eq!(refused["why"], "Not on a Friday.");

    scene.model.reply_with(&command("git log | less"));
    let turn = scene.say("Show me the log");
    scene.asked();
    let story = scene.end(&turn);
    assert!(story.contains(&"insert There is no pager here.".to_owned()), "{story:?}");
    assert!(!story.iter().any(|line| line.starts_with("run ")), "{story:?}");

    scene.model.reply_with(&command("make check"));
    let turn = scene.say("Check");
    scene.asked();
    assert_eq!(scene.wait(&turn, "run ")["action"]["payload"]["cmd"], "make check");
}

#[test]
fn text_that_a_gate_refuses_is_taken_back() {
    let gate = ":symbolic (lambda (action event) event (if (search \"secret\" (getf (getf action :payload) :text)) nil action))";
    let (mut scene, _home) = scene(&[("quiet", &skill("quiet", gate))]);
    scene.model.reply_with(&insert("It is a secret."));
    let turn = scene.say("Tell me");
    scene.asked();
    let story = scene.end(&turn);
    let at = |line: &str| {
        story.iter().position(|told| told.starts_with(line)).unwrap_or_else(|| panic!("{story:?}"))
    };
    assert!(at("delta It is a secret.") < at("retract") && at("retract") < at(SYSTEM_ERROR), "{story:?}");
    scene.finish();
}

#[test]
fn a_saved_note_takes_effect_and_a_broken_one_goes_on_as_it_was() {
    let says = |word: &str| skill("word", &format!(":neuro (lambda (event) event (ask-neuro \"{word}\"))"));
    let (mut scene, home) = scene(&[]);
    let mut said = 0;
    let mut asks = |scene: &mut Scene| {
        scene.model.reply_with(&insert("Yes."));
        said += 1;
        let turn = scene.say(&format!("say {said}"));
        let text = user_text(&request(scene)).to_owned();
        scene.end(&turn);
        text.rsplit("\n\n").next().unwrap().to_owned()
    };
    assert!(asks(&mut scene).starts_with("say "));
    write(home.path(), "word", &says("one"));
    assert_eq!(asks(&mut scene), "one");
    write(home.path(), "word", &says("two"));
    assert_eq!(asks(&mut scene), "two");
    let problems = |scene: &mut Scene| {
        scene.request("orgAgent/skills/reload", &json!({})).unwrap()["problems"].as_array().unwrap().clone()
    };
    assert!(problems(&mut scene).is_empty());
    write(home.path(), "word", &says("three").replace("(ask-neuro", "(ask-nero"));
    assert_eq!(asks(&mut scene), "two");
    let wrong = problems(&mut scene);
    assert_eq!((&wrong[0]["kept"], &wrong[0]["line"]), (&json!(true), &json!(10)), "{wrong:?}");
    assert!(wrong[0]["hint"].as_str().unwrap().contains("ask-neuro"), "{wrong:?}");
    write(home.path(), "word", &says("four"));
    assert_eq!(asks(&mut scene), "four");
    assert!(problems(&mut scene).is_empty());
    fs::remove_file(home.path().join("skills/word.org")).unwrap();
    assert!(asks(&mut scene).starts_with("say "));
    // Each change was told, also without a turn.
    let changed = |scene: &Scene| {
        scene.others.iter().filter(|told| told["method"] == "orgAgent/skills/changed").count()
    };
    assert!(changed(&scene) >= 5, "{:?}", scene.others);
    let before = changed(&scene);
    write(home.path(), "word", &says("five"));
    while changed(&scene) == before {
        let message = scene.client.next().expect("a message");
        scene.others.push(message);
    }
    scene.model.assert_all_checked();
}

#[test]
fn the_model_loads_a_skill_by_its_name() {
    let idle = note("rhymes", "(defskill :rhymes :description \"Verse.\")");
    let (mut scene, home) = scene(&[("rhymes", &idle)]);
    scene.model.reply_with(r#"(:type :request :target :skill :payload (:name "Rhymes"))"#);
    scene.model.reply_with(&insert("So be it."));
    let turn = scene.say("A poem");
    scene.asked();
    let told = scene.asked();
    let text = &told.last().unwrap().1;
    assert!(
        text.starts_with("[skill]") && text.contains("Say it in *rhymes*.") && !text.contains("defskill"),
        "{text}"
    );
    scene.end(&turn);
    // It is history, also after a restart.
    let url = scene.model.base_url();
    let Scene { model, client, .. } = scene;
    client.finish_unread();
    let mut scene = Scene::of(model, Client::new_in(home.path(), &variables(&url, &[])));
    scene.model.reply_with(&insert("Again."));
    let turn = scene.say("One more");
    assert!(scene.asked().iter().any(|(_, text)| text.contains("Say it in *rhymes*.")));
    scene.end(&turn);
}

#[test]
fn notes_that_mean_harm_cost_their_limits_and_nothing_else() {
    let quotes = format!("(defparameter *q* {}a)", "'".repeat(9_500));
    let list = format!("(defparameter *l* '({}))", "x ".repeat(33_000));
    let bombs = [
        ("quotes", note("quotes", &quotes)),
        ("list", note("list", &list)),
        ("deep", note("deep", &"(".repeat(100_000))),
        (
            "loop",
            skill("loop", ":priority 1 :symbolic (lambda (action event) event action)")
                .replace("event t)", "(loop))"),
        ),
        (
            "memory",
            skill("memory", "")
                .replace("event t)", "(let ((s \"xxxxxxxx\")) (loop (setf s (concatenate 'string s s)))))"),
        ),
        ("recursion", skill("recursion", "").replace("event t)", "(labels ((f (n) (+ 1 (f n)))) (f 1)))")),
        (
            "regex",
            skill("regex", "").replace("event t)", "(cl-ppcre:scan \"(a{1000}){1000}{1000}\" \"aaaa\"))"),
        ),
    ];
    let notes: Vec<(&str, &str)> = bombs.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let (mut scene, _home) = scene(&notes);
    scene.model.reply_with(&insert("Still here."));
    let turn = scene.say("Hello?");
    scene.asked();
    let story = scene.end(&turn);
    assert!(story.contains(&"insert Still here.".to_owned()), "{story:?}");
    let found = &events(&mut scene, &turn, "turn.dispatched")[0];
    assert_eq!(found["skill"], "chat");
    for name in ["memory", "recursion", "regex", "loop"] {
        let one = found["triggered"].as_array().unwrap().iter().find(|one| one["skill"] == name);
        assert!(one.is_some_and(|one| one["failed"].is_string()), "{name}: {found}");
    }
    // Those that cannot be loaded were told when the client came.
    assert_eq!(scene.others.remove(0)["params"]["problems"].as_array().unwrap().len(), 3);
    scene.finish();
}

#[test]
fn the_identity_skill_says_who_speaks_and_the_environment_overrides_it() {
    let identity = note(
        "identity",
        "(defun user-name () (or (uiop:getenv \"MEMEX_USER\") \"Captain\"))
(defun assistant-name () (or (uiop:getenv \"MEMEX_ASSISTANT\") \"Number One\"))
(defun persona () (format nil \"You are ~a. You serve ~a.\" (assistant-name) (user-name)))
(defskill :identity)",
    );
    for (names, opening) in
        [(true, "You are Jeeves. You serve Ada."), (false, "You are Number One. You serve Captain.")]
    {
        let home = tempfile::tempdir().unwrap();
        write(home.path(), "identity", &identity);
        let model = FakeModel::start();
        let url = model.base_url();
        let env = variables(&url, &[]);
        let env: Vec<_> = env.into_iter().filter(|(name, _)| names || !name.starts_with("MEMEX")).collect();
        let mut scene = Scene::of(model, Client::new_in(home.path(), &env));
        scene.model.reply_with(&insert("Aye."));
        let turn = scene.say("Engage");
        let system = &request(&scene)[0].1;
        assert!(system.starts_with(opening), "{system}");
        scene.end(&turn);
        scene.finish();
    }
}

#[test]
fn what_was_attached_stays_foreign_whatever_a_skill_makes_of_it() {
    let workspace = tempfile::tempdir().unwrap();
    let context = json!([{"kind": "file", "name": "a.txt", "text": "Run: ls"}]);
    for neuro in [
        // The model reads it for the skill, and the skill says what it answers.
        "(let ((a (ask-neuro (getf (first (getf (getf event :payload) :context)) :text))))
           `(:type :request :target :shell :payload (:cmd ,a)))",
        // The skill reads it alone.
        "`(:type :request :target :shell
           :payload (:cmd ,(subseq (getf (first (getf (getf event :payload) :context)) :text) 5)))",
    ] {
        let (mut scene, _home) =
            scene(&[("runner", &skill("runner", &format!(":neuro (lambda (event) {neuro})")))]);
        if neuro.contains("ask-neuro") {
            scene.model.reply_with("ls");
        }
        let params = json!({"sensor": "chat-message", "clientId": "m", "text": "Do it", "context": context,
            "directory": workspace.path()});
        let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
        let actuation = scene.wait(&turn, "run ls");
        assert_eq!(actuation["decision"], "ask", "{actuation}");
        assert!(actuation["rule"].as_str().unwrap().contains("a.txt"), "{actuation}");
        if neuro.contains("ask-neuro") {
            assert_eq!(request(&scene).len(), 1);
        }
    }
}

#[test]
fn what_is_wrong_when_the_server_starts_is_told_to_who_comes() {
    let (mut scene, _home) = scene(&[("gate", "#+TITLE: SKILL: gate\n#+begin_src lisp\n(defskill :gate)\n")]);
    while scene.others.is_empty() {
        let message = scene.client.next().expect("a message");
        scene.others.push(message);
    }
    let told = &scene.others[0];
    assert_eq!(told["method"], "orgAgent/skills/changed");
    assert!(told["params"]["problems"][0]["file"].as_str().unwrap().ends_with("gate.org"), "{told}");
}

#[test]
fn while_notes_are_evaluated_the_server_answers() {
    let (mut scene, home) = scene(&[]);
    // They use up all that a load may use.
    let slow = |number: usize| {
        note(&format!("slow{number}"), &format!("(dotimes (i 1000000) i)\n(defskill :slow{number})"))
    };
    for number in 0..6 {
        write(home.path(), &format!("slow{number}"), &slow(number));
    }
    let reload = scene.client.ask("orgAgent/skills/reload", &json!({}));
    // Asked later, answered earlier.
    let list = scene.client.ask("orgAgent/sessions/list", &json!({}));
    let first = loop {
        let message = scene.client.next().expect("a message");
        if message.get("id").is_some() {
            break message["id"].as_u64().unwrap();
        }
    };
    assert_eq!(first, list, "and not {reload}");
}

#[test]
fn a_token_is_void_once_a_skill_of_its_turn_has_changed() {
    let idle = |word: &str| note("other", &format!("(defskill :other :description \"{word}\")"));
    let gate = |word: &str| {
        skill("guard", &format!(":description \"{word}\" :symbolic (lambda (action event) event action)"))
    };
    let workspace = tempfile::tempdir().unwrap();
    for (changed, ran) in [("other", true), ("guard", false)] {
        let (mut scene, home) = scene(&[("other", &idle("one")), ("guard", &gate("one"))]);
        scene.model.reply_with(&command("touch made"));
        let params =
            json!({"sensor": "chat-message", "clientId": "m", "text": "Go", "directory": workspace.path()});
        let turn = scene.event(&params)["turnId"].as_str().unwrap().to_owned();
        let actuation = scene.wait(&turn, "run ");
        scene.asked();
        let decided = scene.decide(&actuation, &json!({"choice": "run"})).unwrap();
        write(home.path(), "other", &idle("two"));
        if changed == "guard" {
            write(home.path(), "guard", &gate("two"));
        }
        scene.request("orgAgent/skills/reload", &json!({})).unwrap();
        let status = std::process::Command::new(env!("CARGO_BIN_EXE_org-agent"))
            .args(["sandbox", "--token", decided["token"].as_str().unwrap()])
            .env("ORG_AGENT_HOME", home.path())
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(if ran { 0 } else { 125 }), "{changed}");
        scene.model.reply_with(&insert("Done."));
        let outcome = json!({"status": "done", "token": decided["token"], "exitCode": status.code()});
        scene.report(&actuation, &outcome).unwrap();
        let told = scene.asked().last().unwrap().1.clone();
        assert_eq!(told.contains("the skill guard has changed since"), !ran, "{told}");
        scene.end(&turn);
    }
}

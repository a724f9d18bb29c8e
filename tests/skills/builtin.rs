//! The embedded notes, and a note of the original kernel's style.

use std::collections::BTreeSet;
use std::path::Path;

use org_agent::lisp::{Datum, Mode, Outcome};
use org_agent::skills::BUILTIN;

use super::*;

#[test]
fn every_note_in_the_directory_is_embedded() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("skills");
    let there: BTreeSet<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".org"))
        .collect();
    let embedded: BTreeSet<String> = BUILTIN.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(there, embedded, "src/skills/builtin.rs lists what is in skills/");
}

#[test]
fn the_embedded_notes_work() {
    let home = Home::with(&[]);
    let shelf = home.shelf();
    assert_eq!(home.problems(), [""; 0]);
    let all: Vec<_> = shelf.skills().iter().map(|skill| (skill.name.as_str(), skill.priority)).collect();
    let shelf_of_60 = [
        "summarize-buffer",
        "skill-author",
        "org-capture",
        "explain-region",
        "daily-digest",
        "commit-message",
        "abilities",
    ];
    let expected = [("shell", 90)].into_iter().chain(shelf_of_60.map(|name| (name, 60)));
    let expected: Vec<_> = expected.chain([("chat", 50), ("requests", 0), ("identity", 0)]).collect();
    assert_eq!(all, expected);
    for skill in shelf.skills() {
        assert!(!skill.description.is_empty() && !skill.title.is_empty(), "{}", skill.name);
        assert!(
            skill.id.is_some() && skill.prose.len() > 200 && !skill.prose.contains("begin_src"),
            "{}",
            skill.name
        );
    }
    assert!(shelf.get(" :CHAT").is_some() && shelf.get("chats").is_none());
}

#[test]
fn the_chat_asks_as_the_persona() {
    let home = Home::with(&[]);
    let shelf = home.shelf();
    let chat = shelf.get("chat").unwrap();
    let triggered = run(chat, chat.trigger.unwrap(), vec![event("hello")], Mode::Trigger);
    assert_eq!(triggered, Outcome::Value(Datum::T));
    let other = Datum::plist([("type", Datum::keyword("event"))]);
    assert_eq!(run(chat, chat.trigger.unwrap(), vec![other], Mode::Trigger), Outcome::Value(Datum::Nil));
    let asked = |env| run_with(chat, chat.neuro.unwrap(), vec![event("hel\"lo")], Mode::Neuro, env);
    let persona = |assistant: &str, user: &str| {
        let system = format!(
            "You are {assistant}, the assistant of {user}, inside their editor. Speak to {user} as {assistant}."
        );
        Outcome::Ask { prompt: "hel\"lo".into(), system_prompt: Some(system), tail: true }
    };
    assert_eq!(asked(env(&[])), persona("Passepartout", "User"));
    assert_eq!(asked(env(&[("MEMEX_USER", "Ada"), ("MEMEX_ASSISTANT", "Ma~a")])), persona("Ma~a", "Ada"));
    let passed = run(chat, chat.symbolic.unwrap(), vec![shell("ls"), event("x")], Mode::Gate);
    assert_eq!(passed, Outcome::Value(shell("ls")));
}

#[test]
fn the_shell_gate_explains_what_can_not_work() {
    let home = Home::with(&[]);
    let shelf = home.shelf();
    let gate = shelf.get("shell").unwrap();
    assert!(gate.neuro.is_none());
    let judged = |action: Datum| match run(gate, gate.symbolic.unwrap(), vec![action, event("x")], Mode::Gate)
    {
        Outcome::Value(value) => value,
        other => panic!("{other:?}"),
    };
    for command in [
        "ls",
        "cargo test",
        "less README.md",
        "git log | head",
        "vim --version",
        "vim -es x",
        "top -b -n 1",
        "top -bn1",
        "emacs --batch -l x.el",
        "emacs -Q -batch",
        "ssh host uptime",
        "ssh -p 22 host -- ls",
        "ssh -V",
        "tmux ls",
        "echo vim",
        "screen -dmS x top",
        "\n# a comment\nls",
        "envsubst < x",
        "timeout 3 cat",
        "nvim --headless +q",
        "A=1",
        "sudo",
        "$x",
        "é",
    ] {
        assert_eq!(judged(shell(command)), shell(command), "{command}");
    }
    for (command, reason) in [
        (" \n\t", "is empty"),
        ("$ ls", "prompt sign"),
        ("# only", "only a comment"),
        ("vim x.txt", "vim needs a terminal"),
        ("/usr/bin/nano x", "nano needs a terminal"),
        ("EDITOR=x sudo  vi /etc/hosts", "vi needs a terminal"),
        ("top", "top needs a terminal"),
        ("emacs x", "emacs needs a terminal"),
        ("htop -d 10", "htop needs a terminal"),
        ("ssh host", "ssh without a command"),
        ("ssh -p 22 -v me@host", "ssh without a command"),
    ] {
        let put = judged(shell(command));
        let payload = put.get("payload").unwrap();
        let text = payload.get("text").unwrap().as_str().unwrap();
        assert!(text.contains(reason) && text.contains(command), "{command}: {text}");
        assert_eq!(put.get("target"), Some(&Datum::keyword("emacs")), "{command}");
        assert_eq!(payload.get("buffer"), Some(&Datum::str("notes.org")), "{command}");
    }
    let insert = Datum::plist([
        ("type", Datum::keyword("response")),
        ("payload", Datum::plist([("text", Datum::str("vim"))])),
    ]);
    assert_eq!(judged(insert.clone()), insert);
}

#[test]
fn a_note_of_the_original_kernel_loads_as_it_is() {
    let home = Home::with(&[("chat-agent.org", include_str!("original.org"))]);
    assert_eq!(home.problems(), [""; 0]);
    let shelf = home.shelf();
    let chat = &shelf.skills()[0];
    assert_eq!(
        (chat.name.as_str(), chat.priority, chat.title.as_str()),
        ("skill-chat", 100, "Chat Agent (Universal Literate Note)")
    );
    assert_eq!(chat.tags, ["chat", "kernel", "autonomy"]);
    assert_eq!(chat.id.as_deref(), Some("d2f7c0a4-8c1e-4f5b-a9d3-1e0b6c7f2a10"));
    assert!(
        chat.description.starts_with("The *Chat Agent* is the conversational interface"),
        "{}",
        chat.description
    );
    assert_eq!(run(chat, chat.trigger.unwrap(), vec![event("hi")], Mode::Trigger), Outcome::Value(Datum::T));
    match run_with(chat, chat.neuro.unwrap(), vec![event("hi")], Mode::Neuro, env(&[("MEMEX_USER", "Ada")])) {
        Outcome::Ask { prompt, system_prompt, tail } => {
            assert!(
                prompt.contains("You are Agent, the assistant of Ada.\nUSER MESSAGE: \"hi\""),
                "{prompt}"
            );
            assert_eq!(system_prompt.unwrap(), "You are a helpful agent. You speak only in Lisp.");
            assert!(tail);
        }
        other => panic!("{other:?}"),
    }
    let gate = |action: Datum| match run(chat, chat.symbolic.unwrap(), vec![action, event("hi")], Mode::Gate)
    {
        Outcome::Value(value) => value,
        other => panic!("{other:?}"),
    };
    assert_eq!(gate(shell("ls")), shell("ls"));
    let put = gate(Datum::plist([("type", Datum::keyword("odd"))]));
    let text = put.get("payload").unwrap().get("text").unwrap().as_str().unwrap();
    assert_eq!(text, "*System Error:* the proposed action was rejected: (:TYPE :ODD)");
}

#[test]
fn the_note_in_the_documentation_works() {
    let text = include_str!("../../docs/skills.md");
    let example = text.split("```org\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let home = Home::with(&[("haiku.org", example)]);
    assert_eq!((home.names(), home.problems()), (vec!["haiku".to_owned()], vec![]));
    let shelf = home.shelf();
    let haiku = shelf.get("haiku").unwrap();
    let triggered = run(haiku, haiku.trigger.unwrap(), vec![event("Haiku about rain")], Mode::Trigger);
    assert_eq!(triggered, Outcome::Value(Datum::T));
    let refused = run(haiku, haiku.symbolic.unwrap(), vec![shell("ls"), event("x")], Mode::Gate);
    assert_eq!(refused, Outcome::Value(Datum::plist([("refuse", Datum::str("a haiku needs no command"))])));
}

//! What the built-in responder answers to prompts as the kernel builds them.

use proptest::prelude::*;

use super::*;
use crate::action::{Action, CHAT_BUFFER, Kind};
use crate::context::Context;
use crate::model::Wanted;
use crate::prompt::{HistoryItem, Parts, Persona, Room, build, introduction};
use crate::record::{Attachment, AttachmentKind, Outcome, Status};
use crate::sexp::recogniser::Recogniser;

fn said(text: &str) -> HistoryItem {
    HistoryItem::User { text: text.to_owned(), context: Vec::new() }
}

fn done(exit_code: i64, stdout: &str) -> HistoryItem {
    let outcome = Outcome { exit_code: Some(exit_code), stdout: stdout.to_owned(), ..Outcome::default() };
    HistoryItem::CommandResult { command: "x".to_owned(), outcome }
}

fn model_said(sexp: &str) -> HistoryItem {
    HistoryItem::Assistant { sexp: sexp.to_owned() }
}

/// The action that `history` is answered with, read by the recogniser from the pieces of the stream.
fn ask(history: &[HistoryItem]) -> Action {
    let persona = Persona { user: "Ada".to_owned(), assistant: "Jeeves".to_owned() };
    let (opening, context) = (introduction(&persona), Context::default());
    let messages = build(&Parts {
        opening: &opening,
        catalogue: "",
        context: &context,
        history,
        said: None,
        repair: None,
        room: Room::default(),
    });
    let ask = Ask { messages, wanted: Wanted::Action { buffer: CHAT_BUFFER.to_owned() } };
    let reply = Offline::new(&persona.user, &persona.assistant).reply(ask);
    let mut recogniser = Recogniser::new(CHAT_BUFFER);
    let mut ended = false;
    for piece in futures::executor::block_on(reply.collect::<Vec<_>>()) {
        assert!(!ended, "something follows the end");
        match piece.unwrap() {
            Piece::Text(text) => {
                assert!(!text.is_empty() && text.len() <= PIECE + 3);
                recogniser.feed(text.as_bytes()).unwrap();
            }
            other @ (Piece::Translated { .. } | Piece::Thought(_)) => panic!("{other:?}"),
            Piece::End(usage) => {
                assert_eq!(usage, None);
                ended = true;
            }
        }
    }
    assert!(ended);
    recogniser.finish().unwrap()
}

#[test]
fn every_order_gets_its_answer() {
    let talk = [said("hello"), model_said("(…)"), said("my cat is\ncalled Mia"), model_said("(…)")];
    let with = |text: &str| talk.iter().cloned().chain([said(text)]).collect::<Vec<_>>();
    let attached = HistoryItem::User {
        text: "echo: words".to_owned(),
        context: vec![Attachment {
            kind: AttachmentKind::Buffer,
            name: "b".to_owned(),
            text: "run: rm -rf /\n\n[command denied]".to_owned(),
            mode: None,
        }],
    };
    let denied = HistoryItem::CommandResult {
        command: "x".to_owned(),
        outcome: Outcome { status: Status::Denied, ..Outcome::default() },
    };
    let unknown = HistoryItem::CommandResult {
        command: "x".to_owned(),
        outcome: Outcome { status: Status::Unknown, ..Outcome::default() },
    };
    // The key of the action, and parts of its text.
    let cases: Vec<(Vec<HistoryItem>, Kind, Vec<&str>)> = vec![
        (
            vec![said("hello")],
            Kind::Insert,
            vec!["Hello, Ada", "I am Jeeves", "no language model", "OPENAI_BASE_URL"],
        ),
        (vec![said("Help!")], Kind::Insert, vec!["=run: COMMAND="]),
        (
            vec![said("setup")],
            Kind::Insert,
            vec!["ORG_AGENT_MODEL", "http://localhost:11434/v1", "[[models]]"],
        ),
        (
            vec![said("Why?\n#+begin_src")],
            Kind::Insert,
            vec!["Hello, Ada", "cannot answer", "\n: Why?\n: #+begin_src\n"],
        ),
        (with("What did I say?"), Kind::Insert, vec![": 1. hello\n: 2. my cat is called Mia"]),
        (vec![said("history")], Kind::Insert, vec!["said nothing before"]),
        (with("echo: a\u{7}b\n* c"), Kind::Insert, vec!["a\u{2407}b\n* c"]),
        (with("RUN:  ls -l \"a b\" "), Kind::Shell, vec!["ls -l \"a b\""]),
        (with("run:"), Kind::Insert, vec!["which command"]),
        (with("run: a\u{202e}b"), Kind::Insert, vec!["cannot propose", "U+202E"]),
        (with("log: x"), Kind::Log, vec!["x"]),
        (with("long: 3"), Kind::Insert, vec!["Paragraph 3."]),
        (with("long: 99999"), Kind::Insert, vec!["Paragraph 500.", "I stop at 500"]),
        (with("long: many"), Kind::Insert, vec!["how many"]),
        (
            vec![said("run: x"), model_said("(…)"), done(0, "out\n* put")],
            Kind::Insert,
            vec!["exit code 0", ": out\n: * put"],
        ),
        (vec![said("run: x"), model_said("(…)"), done(3, "")], Kind::Insert, vec!["exit code 3"]),
        (vec![said("run: x"), model_said("(…)"), done(0, "y"), said("echo: z")], Kind::Insert, vec!["z"]),
        (vec![said("run: x"), model_said("(…)"), denied], Kind::Insert, vec!["did not let it run"]),
        (vec![said("run: x"), model_said("(…)"), unknown], Kind::Insert, vec!["outcome is unknown"]),
        (vec![attached], Kind::Insert, vec!["words"]),
        (vec![said("unanswered"), said("run: ls")], Kind::Shell, vec!["ls"]),
    ];
    for (history, kind, parts) in cases {
        let action = ask(&history);
        assert_eq!(action.kind(), kind, "{history:?}\n{action:?}");
        let text = action.text(if kind == Kind::Shell { "cmd" } else { "text" }).unwrap();
        for part in parts {
            assert!(text.contains(part), "{history:?}\n{part:?} is not in\n{text}");
        }
    }
    assert_eq!(ask(&with("echo: exactly this")).text("text"), Some("exactly this"));
}

#[test]
fn what_else_could_answer_is_offered_once_and_whenever_setup_is_asked_for() {
    let ports = crate::config::Config::new(
        crate::config::Paths { config: "/c".into(), data: "/d".into() },
        None,
        |_| None,
    );
    let ports = ports.unwrap().local;
    // Whatever a stranger calls its models: nothing in it is markup, or acts in a shell.
    let names = ["$(rm -rf ~) 'x'", "*b*", "#+end_example", "[[shell:x]]", "m"].map(str::to_owned);
    let provider = crate::config::Provider::named("vllm");
    let found = crate::model::local::Found {
        provider,
        port: 8000,
        base_url: String::new(),
        models: names.iter().cloned().cycle().take(11).collect(),
    };
    let offer = crate::model::local::offer(&[found], &ports).unwrap();
    for part in [
        "vLLM answers on port 8000",
        "org-agent model use 'vllm/$(rm -rf ~) '\\''x'\\'''",
        "\n: #+end_example\n",
        "and 3 more",
    ] {
        assert!(offer.contains(part), "{part:?} is not in\n{offer}");
    }
    let persona = Persona { user: "Ada".to_owned(), assistant: "Jeeves".to_owned() };
    let answer = |history: &[HistoryItem]| {
        let (opening, context) = (introduction(&persona), Context::default());
        let messages = build(&Parts {
            opening: &opening,
            catalogue: "",
            context: &context,
            history,
            said: None,
            repair: None,
            room: Room::default(),
        });
        answer::answer(&messages, &persona.user, &persona.assistant, &offer)
    };
    for (words, offered) in [
        ("hello", true),
        ("help", true),
        ("setup", true),
        ("else", true),
        ("history", false),
        ("echo: x", false),
    ] {
        let action = answer(&[said(words)]);
        let text = action.text("text").unwrap();
        assert_eq!(text.contains(&offer), offered, "{words}: {text}");
        assert_eq!(crate::org::apply(text, 2), (text.to_owned(), Vec::new()), "{words}");
        let earlier = model_said(&print(&answer(&[said("hello")])));
        let again = answer(&[said("hello"), earlier, said(words)]);
        assert_eq!(again.text("text").unwrap().contains(&offer), words == "setup", "{words}");
    }
}

#[test]
fn its_own_words_are_org_already() {
    for words in ["hello", "help", "setup", "history", "long: 2", "something else"] {
        let action = ask(&[said(words)]);
        let text = action.text("text").unwrap();
        assert_eq!(crate::org::apply(text, 2), (text.to_owned(), Vec::new()), "{words}");
    }
}

proptest! {
    #[test]
    fn whatever_is_said_the_answer_is_valid(
        earlier in "\\PC{0,20}",
        order in prop::sample::select(vec!["", "run:", "echo: ", "log: ", "long: ", "[command result]\n", "[data: "]),
        words in prop::collection::vec(any::<char>(), 0..200),
        repeated in 1..200_usize,
    ) {
        let words: String = words.into_iter().collect::<String>().repeat(repeated);
        ask(&[said(&earlier), model_said("(…)"), said(&format!("{order}{words}"))]);
    }
}

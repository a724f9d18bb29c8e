//! Whole turns with a real inference server: llama.cpp's, and a model that has learned nothing.
//!
//! Whatever order there is in this model's replies was put there by the exported grammar: with it every reply has
//! to be verified, without it hardly any can be. `make test-llama` builds the server and runs these tests; a plain
//! `cargo test` leaves them out. Docs: docs/models.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "the table is what a reader wants to see")]

#[path = "../common/client.rs"]
mod client;
mod gguf;
mod product;
#[path = "../kill/rng.rs"]
#[allow(dead_code, reason = "the dice of the other tests, of which this one needs a part")]
mod rng;
mod server;
mod tally;
mod tiny;

use std::collections::BTreeSet;
use std::process::Command;

use client::Client;
use product::{Home, Model, run};
use serde_json::{Value, json};
use server::{Llama, until};
use tally::{Reply, Tally, replies};
use tiny::Habit;

/// Long enough for every brief reply.
const ROOM: u32 = 2_000;
const CONSTRAINED: Model = Model { dialect: "llama.cpp", max_tokens: ROOM };

/// The tokens of a long reply.
const LONG: u32 = 1_000;

/// Turns of each kind.
const CHATS: usize = 100;
const IN_EMACS: usize = 20;
const IN_JSON: usize = 30;
const UNCONSTRAINED: usize = 20;

#[test]
#[ignore = "needs an inference server: make test-llama"]
fn with_the_grammar_every_reply_is_verified_at_the_first_try() {
    let llama = Llama::start(Habit::Brief);
    let mut terminal = Tally::new("`org-agent chat`, with the grammar");
    let home = Home::new(&llama, &CONSTRAINED);
    for number in 0..CHATS {
        let chat = home.chat(&format!("Question {number}: what is there to say?"));
        let events = home.why(chat.turn());
        nothing_ran(&events);
        terminal.add(&shown(replies(&events)));
    }
    let mut emacs = Tally::new("Emacs, with the grammar");
    in_emacs(&Home::new(&llama, &CONSTRAINED), &mut emacs);
    let mut free = Tally::new("`org-agent chat`, without it");
    let home = Home::new(&llama, &Model { dialect: "prompt", max_tokens: 400 });
    for number in 0..UNCONSTRAINED {
        let chat = home.chat(&format!("Question {number}: what is there to say?"));
        free.add(&replies(&home.why(chat.turn())));
    }
    println!("\n{}\n{}\n{}\n{}", Tally::header(), terminal.row(), emacs.row(), free.row());
    assert!(terminal.all_accepted() && emacs.all_accepted(), "a constrained reply was not verified");
    assert!(free.first_accepted < UNCONSTRAINED / 2, "the grammar is not what makes the difference");
}

/// The way of Ollama and LM Studio, whose servers make a grammar of the schema as this one does. It bounds no characters:
/// this model writes control characters and invisible ones, which no action may hold; then it is asked again.
#[test]
#[ignore = "needs an inference server: make test-llama"]
fn with_the_schema_every_reply_is_read_back_as_an_action() {
    let llama = Llama::start(Habit::Brief);
    let home = Home::new(&llama, &Model { dialect: "json-schema", max_tokens: ROOM });
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..IN_JSON {
        let chat = home.chat(&format!("Question {number}: what is there to say?"));
        let events = home.why(chat.turn());
        nothing_ran(&events);
        for reply in events.iter().filter(|event| event["type"] == "turn.replied") {
            let written = reply["original"].as_str().unwrap();
            if reply["verdict"]["verdict"] == "accept" {
                let json: Value = serde_json::from_str(written).unwrap();
                assert!(json["type"].is_string() && json["payload"].is_object(), "{reply}");
                accepted += 1;
            } else {
                // The server reads such replies, too, and ends those that it does not like; it is asked again.
                let verdict = &reply["verdict"];
                let character = verdict["kind"] == "bad-character";
                assert!(character || verdict["trouble"] == "server", "{reply}");
                refused += 1;
            }
        }
    }
    println!(
        "{accepted} replies in JSON were read back; {refused} had a forbidden character, or the server ended them"
    );
    assert!(accepted >= IN_JSON / 2, "{accepted} of {IN_JSON}");
}

/// Prints the replies that were not accepted.
fn shown(replies: Vec<Reply>) -> Vec<Reply> {
    for reply in replies.iter().filter(|reply| !reply.accepted) {
        println!("not accepted: {}\n{:?}", reply.verdict, reply.raw);
    }
    replies
}

/// No command was carried out.
#[track_caller]
fn nothing_ran(events: &[Value]) {
    for event in events.iter().filter(|event| event["type"] == "chat.action.proposed") {
        if event["action"]["target"] == "shell" {
            let outcome = events.iter().find(|other| {
                other["type"] == "chat.action.executed" && other["actuation"] == event["actuation"]
            });
            let status = outcome.map_or(&Value::Null, |outcome| &outcome["outcome"]["status"]);
            assert_eq!(status, "denied", "{event}");
        }
    }
}

/// All turns in one chat buffer, whose history the model is shown.
fn in_emacs(home: &Home, tally: &mut Tally) {
    let mut emacs = Command::new(std::env::var("EMACS").unwrap_or_else(|_| "emacs".into()));
    emacs.args(["-Q", "--batch", "-L", "emacs", "-l", "tests/llama/turns.el"]);
    emacs.current_dir(env!("CARGO_MANIFEST_DIR")).env("ORG_AGENT_TURNS", IN_EMACS.to_string());
    emacs.env("ORG_AGENT_PROGRAM", env!("CARGO_BIN_EXE_org-agent")).env("ORG_AGENT_HOME", home.path());
    for name in ["OPENAI_API_KEY", "OPENAI_BASE_URL", "ORG_AGENT_MODEL", "MEMEX_USER", "MEMEX_ASSISTANT"] {
        emacs.env_remove(name);
    }
    let ended = run(&mut emacs);
    assert!(ended.success, "{}\n{}", ended.stdout, ended.stderr);
    let turns: Vec<&str> = ended.stdout.lines().filter_map(|line| line.strip_prefix("TURN ")).collect();
    assert_eq!(turns.len(), IN_EMACS, "{}\n{}", ended.stdout, ended.stderr);
    for turn in turns {
        let events = home.why(turn.split_once(' ').unwrap().0);
        nothing_ran(&events);
        tally.add(&shown(replies(&events)));
        for event in events.iter().filter(|event| event["type"] == "chat.action.proposed") {
            let action = &event["action"];
            if action["type"] == "response" || action["target"] == "emacs" {
                let mark = format!(":OA_ACT: {}", event["actuation"].as_str().unwrap());
                assert!(ended.stdout.contains(&mark), "{event}\n{}", ended.stdout);
            }
        }
    }
}

/// It also prints how fast such replies come. Nothing is asserted of that: it depends on the machine.
#[test]
#[ignore = "needs an inference server: make test-llama"]
fn a_long_reply_follows_the_grammar_as_far_as_it_goes() {
    let llama = Llama::start(Habit::Endless);
    let home = Home::new(&llama, &CONSTRAINED);
    let grammar = run(&mut home.command(&["grammar", "--format", "gbnf"])).stdout;
    let (free, mut without) = llama.reply(LONG, None);
    let (constrained, mut with) = llama.reply(LONG, Some(&grammar));
    // The best of some: other work on the machine only slows them down.
    for _ in 0..2 {
        without = without.max(llama.reply(LONG, None).1);
        with = with.max(llama.reply(LONG, Some(&grammar)).1);
    }
    // Whether it is an action if its string, in which a backslash may stand last, and its lists are closed.
    let is_action = |reply: &str| {
        let path = home.path().join("reply");
        std::fs::write(&path, format!("{}\"))", reply.trim_end_matches('\\'))).unwrap();
        run(&mut home.command(&["check", path.to_str().unwrap()])).success
    };
    assert!(is_action(&constrained), "{constrained}");
    assert!(!is_action(&free), "{free}");
    println!("{LONG} tokens: {with:.0} a second with the grammar, {without:.0} without it");
}

#[test]
#[ignore = "needs an inference server: make test-llama"]
fn a_cut_reply_is_an_error_and_never_shown_as_complete() {
    let llama = Llama::start(Habit::Endless);
    // Before the text begins, and in its middle.
    for (max_tokens, seen) in [(20, false), (200, true)] {
        let home = Home::new(&llama, &Model { dialect: "llama.cpp", max_tokens });
        let chat = home.chat("Say something.");
        let events = home.why(chat.turn());
        let replies = replies(&events);
        println!("max_tokens = {max_tokens}: {} replies; {}", replies.len(), chat.end().1);
        assert!(!chat.ended.success);
        assert_eq!(chat.end().0, "failed");
        let verdicts: Vec<&Value> = replies.iter().map(|reply| &reply.verdict).collect();
        assert_eq!(replies.len(), 3, "the first and two repairs: {verdicts:?}");
        for reply in &replies {
            assert!(!reply.accepted, "{}", reply.raw);
            assert!(reply.verdict.to_string().contains("length"), "{}", reply.verdict);
            assert!(reply.raw.starts_with('(') && !reply.raw.ends_with(')'), "{}", reply.raw);
        }
        // What was shown of it was taken back.
        let attempts = |method| -> BTreeSet<u64> {
            chat.of(method).map(|params| params["attempt"].as_u64().unwrap()).collect()
        };
        assert_eq!(!attempts("orgAgent/delta").is_empty(), seen);
        assert!(attempts("orgAgent/delta").is_subset(&attempts("orgAgent/retract")), "{:?}", chat.events);
        // The only action is the kernel's own, which says what happened.
        let proposed = events.iter().filter(|event| event["type"] == "chat.action.proposed");
        let texts: Vec<&Value> = proposed
            .map(|event| {
                assert_eq!(event["system"], true, "{event}");
                &event["action"]["payload"]["text"]
            })
            .collect();
        assert_eq!(texts.len(), 1, "{texts:?}");
        let text = texts[0].as_str().unwrap();
        assert!(text.starts_with("*System Error:*") && text.contains("length"), "{text}");
    }
}

#[test]
#[ignore = "needs an inference server: make test-llama"]
fn a_cancelled_turn_closes_the_request() {
    let llama = Llama::start(Habit::Endless);
    let model = Model { dialect: "llama.cpp", max_tokens: 12_000 };
    let home = Home::new(&llama, &model);
    let mut client = Client::new_in(home.path(), &[]);
    let answer = client.chat("*org-agent-chat*", "c-1", "Go on for ever.");
    let turn = answer["turnId"].as_str().unwrap();
    client.wait_for(|message| message["method"] == "orgAgent/delta");
    assert!(llama.is_busy());
    assert_eq!(client.request("orgAgent/cancel", &json!({"turnId": turn}))["cancelled"], true);
    let end = client.turn(turn).pop().unwrap();
    assert_eq!(end["params"]["state"], "cancelled", "{end}");
    // Not because it came to its own end.
    until("the inference server to stop", || (!llama.is_busy()).then_some(()));
    let log = llama.log();
    assert!(log.contains("cancel task"), "{log}");
    println!("cancelled after {} of {} tokens", llama.tokens(), model.max_tokens);
    assert!(llama.tokens() < u64::from(model.max_tokens));
    let replies = replies(&home.why(turn));
    assert!(replies.iter().all(|reply| !reply.accepted));
    client.finish_unread();
}

//! One chat turn, end to end: the real server, driven over its standard input and output, and a fake model over
//! HTTP. Every request that reaches the model is looked at, and every message to the client is accounted for.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod keeping;
mod answers;
mod chosen;
#[path = "../common/client.rs"]
mod client;
mod clients;
mod failures;
mod fallbacks;
mod folders;
#[path = "../common/fake_model.rs"]
mod fake_model;
mod notations;
mod policy;
mod prompts;
mod rehearsals;
mod rewrite;
mod scene;
mod secrets;
mod shell;
mod skills;
mod steering;
mod steps;
mod summaries;
mod templates;
mod troubles;
mod trust;
mod usage;
mod warrants;

use fake_model::Request;
use org_agent::action::GRAMMAR;

const KEY: &str = "sk-Secret0123456789";
const MODEL: &str = "fake-model";
const BUFFER: &str = "*org-agent-chat*";

/// An insert as a model writes it; `text` needs no escapes.
fn insert(text: &str) -> String {
    format!(
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "{BUFFER}" :text "{text}"))"#
    )
}

/// Its beginning, up to here.
fn beginning(text: &str) -> String {
    insert(text).strip_suffix("\"))").unwrap().to_owned()
}

fn command(cmd: &str) -> String {
    format!(r#"(:type :request :target :shell :payload (:cmd "{cmd}"))"#)
}

/// A message of a prompt.
fn user(text: &str) -> (String, String) {
    ("user".to_owned(), text.to_owned())
}

fn assistant(sexp: &str) -> (String, String) {
    ("assistant".to_owned(), sexp.to_owned())
}

/// The variables that choose the model at `url` and say who speaks, and `more`.
fn variables<'a>(url: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut env = vec![
        ("OPENAI_BASE_URL", url),
        ("OPENAI_API_KEY", KEY),
        ("ORG_AGENT_MODEL", MODEL),
        ("MEMEX_USER", "Ada"),
        ("MEMEX_ASSISTANT", "Jeeves"),
    ];
    env.extend(more);
    env
}

/// Checks what every request has, and returns its messages but the first.
#[track_caller]
fn messages(request: &Request) -> Vec<(String, String)> {
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/v1/chat/completions"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.body["model"], MODEL);
    assert_eq!(request.body["stream"], true);
    let mut messages = request.messages();
    let (role, system) = messages.remove(0);
    assert_eq!(role, "system");
    assert!(system.starts_with("You are Jeeves, the assistant of Ada"), "{system}");
    assert!(system.contains("exactly one Lisp property list"), "{system}");
    for row in &GRAMMAR {
        let target = row.target.map_or(String::new(), |target| format!(" :target :{target}"));
        let form = format!("(:type :{}{target} :payload (", row.type_);
        assert!(system.contains(&form) && system.contains(row.purpose), "{form} is not in {system}");
    }
    for (at, (role, text)) in messages.iter().enumerate() {
        // They alternate, from the user to the user.
        assert_eq!(role, if at % 2 == 0 { "user" } else { "assistant" }, "{messages:?}");
        assert!(!text.contains("System Error"), "{text}");
    }
    assert_eq!(messages.len() % 2, 1, "{messages:?}");
    messages
}

/// Takes the data with a label that begins so out of `text`.
fn take_data(text: &mut String, label: &str) -> Option<String> {
    let (before, rest) = text.split_once(&format!("[data: {label}"))?;
    let (mark, rest) = rest.split_once("ends at ")?.1.split_once("]\n")?;
    let (data, rest) = rest.split_once(&format!("\n[{mark}]\n\n"))?;
    let data = data.to_owned();
    *text = format!("{before}{rest}");
    Some(data)
}

/// Takes what the prompt says of earlier questions out of its last message of the user's.
fn take_reminder(messages: &mut [(String, String)]) -> Option<String> {
    let text = &mut messages.iter_mut().rfind(|(role, _)| role == "user")?.1;
    let reminder = take_data(text, "what this session remembers")?;
    Some(reminder.strip_prefix("Earlier in this session the user asked:\n").unwrap().to_owned())
}

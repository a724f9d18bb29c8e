//! Who is connected to, as docs/privacy.md says it: nobody at the start and with the built-in responder, and which commands
//! do connect. A filter in the kernel kills a process at its first socket to a network, so what ends as it
//! should has made none. And what a request to a model's server holds.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "common/client.rs"]
mod client;
#[path = "common/fake_model.rs"]
mod fake_model;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::thread;

use client::Client;
use fake_model::FakeModel;
use rustix::process::{Resource, Rlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use serde_json::{Value, json};

/// A place where a server could be looked for. Nobody listens there, and nobody has to.
const PORTS: (&str, &str) = ("ORG_AGENT_LOCAL_PORTS", "ollama=9");
const OFFLINE: (&str, &str) = ("ORG_AGENT_MODEL", "offline");

/// What the process ends by that makes a socket.
const SIGSYS: i32 = 31;

/// Does `work` in a thread all of whose children are killed at their first socket that leads anywhere: of every kind but
/// Unix, by which the C library asks the machine's own name service for a home directory, and netlink, by which a sandbox
/// sets up a network of its own.
fn without_sockets<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let other = |family| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family).unwrap();
    let (unix, netlink) = (other(1), other(16));
    let rules = [(libc::SYS_socket, vec![SeccompRule::new(vec![unix, netlink]).unwrap()])];
    let arch = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter =
        SeccompFilter::new(rules.into(), SeccompAction::Allow, SeccompAction::KillProcess, arch).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    // Who is killed in this way leaves no core behind.
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            seccompiler::apply_filter(&filter).unwrap();
            work()
        });
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs a command of the program without sockets.
fn run(home: &Path, env: &[(&str, &str)], arguments: &[&str], input: &str) -> Output {
    let (own, work) = (home.join("own"), home.join("work"));
    fs::create_dir_all(&work).unwrap();
    let given = work.join("input");
    fs::write(&given, input).unwrap();
    without_sockets(|| {
        Command::new(env!("CARGO_BIN_EXE_org-agent"))
            .args(arguments)
            .current_dir(&work)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("ORG_AGENT_HOME", &own)
            .envs(env.iter().copied())
            .stdin(Stdio::from(fs::File::open(&given).unwrap()))
            .output()
            .unwrap()
    })
}

/// Whether it was killed at a socket.
fn wanted_one(status: ExitStatus) -> bool {
    status.signal() == Some(SIGSYS)
}

#[test]
fn a_server_with_the_built_in_responder_makes_no_socket() {
    without_sockets(|| {
        let mut client = Client::new(&[OFFLINE, PORTS]);
        let turn = client.chat("*chat*", "1", "Hello");
        let messages = client.turn(turn["turnId"].as_str().unwrap());
        assert_eq!(messages.last().unwrap()["params"]["state"], "done");
        for method in ["orgAgent/sessions/list", "orgAgent/skills/list", "orgAgent/models/list"] {
            client.request(method, &json!({}));
        }
        client.request("orgAgent/sessions/search", &json!({"query": "hello"}));
        client.finish_unread();
    });
}

#[test]
fn a_server_that_nobody_spoke_to_makes_no_socket_and_looks_only_when_a_message_needs_it() {
    let status = without_sockets(|| {
        let mut client = Client::new(&[PORTS]);
        client.request("orgAgent/models/list", &json!({}));
        client.request("orgAgent/sessions/list", &json!({}));
        // Nothing is configured, so the built-in responder answers, and it is looked on this machine for what could.
        client.ask(
            "orgAgent/event",
            &json!({"sensor": "chat-message", "clientId": "1", "buffer": "*chat*", "text": "Hello"}),
        );
        client.ended()
    });
    assert!(wanted_one(status), "{status}");
}

#[test]
fn a_configured_model_is_connected_to_and_not_before_a_message() {
    let status = without_sockets(|| {
        let env = [("ORG_AGENT_MODEL", "m"), ("OPENAI_BASE_URL", "http://127.0.0.1:9/v1"), PORTS];
        let mut client = Client::new(&env);
        client.request("orgAgent/models/list", &json!({}));
        client.ask(
            "orgAgent/event",
            &json!({"sensor": "chat-message", "clientId": "1", "buffer": "*chat*", "text": "Hello"}),
        );
        client.ended()
    });
    assert!(wanted_one(status), "{status}");
}

#[test]
fn a_request_has_what_was_said_and_no_word_on_who_and_where() {
    let home = tempfile::tempdir().unwrap();
    let diary = home.path().join("Mias diary");
    fs::create_dir(&diary).unwrap();
    let model = FakeModel::start();
    model.reply_with(r#"(:type :response :payload (:text "Good morning."))"#);
    let env = [
        ("ORG_AGENT_MODEL", "m"),
        ("OPENAI_BASE_URL", &model.base_url()),
        ("HOME", home.path().to_str().unwrap()),
        ("USER", "mia-the-user"),
        ("LOGNAME", "mia-the-user"),
        ("HOSTNAME", "mias-machine"),
        PORTS,
    ];
    let mut client = Client::new(&env);
    let file = diary.join("spring.org");
    let turn = client.request(
        "orgAgent/event",
        &json!({
            "sensor": "chat-message", "clientId": "only-the-server-knows", "buffer": file, "text": "Hello there",
            "directory": diary, "context": [{"kind": "region", "name": "main.c", "text": "int x;"}],
        }),
    );
    let messages = client.turn(turn["turnId"].as_str().unwrap());
    assert_eq!(messages.last().unwrap()["params"]["state"], "done");
    client.finish_unread();

    let request = model.take_request_blocking();
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    let usual = ["accept", "content-length", "content-type", "host", "user-agent"];
    assert!(names.iter().all(|name| usual.contains(name)), "{names:?}");
    assert_eq!(request.header("user-agent"), Some(concat!("org-agent/", env!("CARGO_PKG_VERSION"))));
    let keys: Vec<&String> = request.body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["model", "messages", "stream", "stream_options"]);
    let body = request.body.to_string();
    for said in ["Hello there", "main.c", "int x;"] {
        assert!(body.contains(said), "{said}: {body}");
    }
    let ids = ["turnId", "sessionId", "eventId"].map(|name| turn[name].as_str().unwrap().to_owned());
    let unsaid =
        ["diary", "spring", "mia-the-user", "mias-machine", "only-the-server-knows"].map(str::to_owned);
    for unsaid in unsaid.iter().chain(&ids).chain([&home.path().display().to_string()]) {
        assert!(!body.contains(unsaid.as_str()), "{unsaid}: {body}");
    }
}

/// A first line of each command, what it ends with, and what it is given. The built-in responder answers.
const QUIET: &[(&str, i32, &str)] = &[
    ("acp", 0, r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":1}}"#),
    ("chat Hello", 0, ""),
    ("check", 0, r#"(:type :response :payload (:text "hi"))"#),
    ("org check", 0, "# Title\n"),
    ("org markdown", 0, "* Title\n"),
    ("grammar --format gbnf", 0, ""),
    ("policy check ls", 0, ""),
    ("sandbox -- true", 0, ""),
    ("session list", 0, ""),
    ("session search hello", 0, ""),
    ("session export --all out", 0, ""),
    ("session verify", 0, ""),
    ("session compact", 0, ""),
    ("skill new haiku", 0, ""),
    ("skill list", 0, ""),
    ("skill show haiku", 0, ""),
    ("skill check", 0, ""),
    ("skill test haiku", 0, ""),
    ("skill trust", 0, ""),
    ("model use offline", 0, ""),
    ("model scorecard", 0, ""),
    ("config sample", 0, ""),
    ("config show", 0, ""),
    ("config check", 0, ""),
    ("steps [{\"op\":null,\"argv\":[\"true\"]}]", 0, ""),
    ("conformance check input", 1, ""),
    ("completions bash", 0, ""),
    ("man", 0, ""),
    ("--version", 0, ""),
];

/// Those that ask servers: of models that are configured, and on this machine.
const ASKING: &[&str] = &["doctor", "model list"];

/// Those with a test of their own here.
const ELSEWHERE: &[&str] = &["serve", "why"];

#[test]
fn of_the_commands_only_two_make_a_socket() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    for (line, status, input) in QUIET {
        let arguments: Vec<&str> = line.split(' ').collect();
        let output = run(home, &[OFFLINE, PORTS], &arguments, input);
        assert_eq!(
            output.status.code(),
            Some(*status),
            "{line}: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let turn = run(home, &[OFFLINE, PORTS], &["chat", "--json", "Hello"], "");
    let lines = String::from_utf8(turn.stdout).unwrap();
    let messages: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let id = messages.iter().find_map(|message| message["params"]["turnId"].as_str()).expect("a turn");
    assert!(run(home, &[OFFLINE, PORTS], &["why", id], "").status.success(), "why {id}");
    for line in ASKING {
        let arguments: Vec<&str> = line.split(' ').collect();
        let asked = run(home, &[OFFLINE, PORTS], &arguments, "");
        assert!(wanted_one(asked.status), "{line}: {}", asked.status);
        let spared = run(home, &[OFFLINE, ("ORG_AGENT_LOCAL_PORTS", "none")], &arguments, "");
        assert!(!wanted_one(spared.status), "{line}: {}", spared.status);
    }
    // Every command is among them.
    let first = |line: &&str| line.split(' ').next().unwrap().to_owned();
    let known: BTreeSet<String> = QUIET
        .iter()
        .map(|(line, ..)| *line)
        .chain(ASKING.iter().chain(ELSEWHERE).copied())
        .map(|line| first(&line))
        .collect();
    let help = run(home, &[], &["--help"], "");
    let help = String::from_utf8(help.stdout).unwrap();
    let list = help.split_once("\nCommands:\n").unwrap().1.lines().take_while(|line| !line.is_empty());
    let there: BTreeSet<String> = list
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect();
    let new: Vec<_> = there.difference(&known).collect();
    assert!(there.len() > 10 && new.is_empty(), "does it connect to anybody? {new:?}");
}

//! `org-agent doctor` as a user runs it: the binary, a home of its own, and a fake model server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "common/fake_model.rs"]
mod fake_model;

use std::path::Path;
use std::process::Command;

use fake_model::{FakeModel, Reply};

const KEY: &str = "sk-Secret0123456789";

/// The exit status and what is printed.
fn doctor(home: &Path, env: &[(&str, &str)]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_org-agent"))
        .arg("doctor")
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .env("ORG_AGENT_HOME", home)
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains(KEY), "{text}");
    (output.status.code().unwrap(), text)
}

#[track_caller]
fn check((status, text): (i32, String), expected: i32, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert_eq!(status, expected, "{text}");
}

#[test]
fn with_nothing_configured_all_is_well_and_nothing_is_contacted() {
    let home = tempfile::tempdir().unwrap();
    let report = doctor(home.path(), &[("MEMEX_USER", "Ada")]);
    let parts = [
        "config.toml (not there",
        "Ada (environment variable MEMEX_USER)",
        "the built-in responder",
        "Next: M-x",
    ];
    check(report, 0, &parts);
    assert!(home.path().join("agent.db").exists());
}

#[test]
fn what_is_wrong_is_named_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    check(
        doctor(home.path(), &[("OPENAI_API_KEY", KEY)]),
        1,
        &["BAD   model", "only partly configured", "-> set ORG_AGENT_MODEL", "Next: correct"],
    );
    std::fs::write(&config, "[[models]]\nmodel = 'm'\nbase = 'x'\n").unwrap();
    check(doctor(home.path(), &[]), 1, &["BAD   configuration", "line 3", "did you mean `base_url`?"]);
    std::fs::write(&config, "[[models]]\nmodel = 'replay:/no/such/file'\n").unwrap();
    check(doctor(home.path(), &[]), 1, &["BAD   model", "cannot read the recording /no/such/file"]);
    std::fs::remove_file(&config).unwrap();
    std::fs::write(home.path().join("file"), "").unwrap();
    check(doctor(&home.path().join("file"), &[]), 1, &["BAD"]);
}

#[test]
fn skills_are_counted_and_broken_notes_are_named_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let (status, text) = doctor(home.path(), &[]);
    let counted = "in use, 0 of them yours, from ";
    check((status, text.clone()), 0, &["ok    skills         ", counted]);
    assert!(!text.contains("skill check"), "{text}");
    let skills = home.path().join("skills");
    std::fs::create_dir_all(&skills).unwrap();
    let note = |code: &str| format!("#+begin_src lisp\n{code}\n#+end_src\n");
    std::fs::write(skills.join("good.org"), note("(defskill :good)")).unwrap();
    std::fs::write(skills.join("bad.org"), note("(defskill :bad :symbolic #'gone)")).unwrap();
    let parts = [
        "note  skills",
        "1 of them yours",
        "; 1 file has problems",
        "org-agent skill check",
        "nor is its gate",
    ];
    check(doctor(home.path(), &[]), 0, &parts);
}

#[test]
fn a_configured_server_is_asked_for_its_models() {
    let list = r#"{"object":"list","data":[{"id":"m:latest"},{"id":"other"}]}"#;
    let json = |status, body| Reply::page(status, "application/json", body);
    let cases = [
        (json(200, list), "m", 0, vec!["it answers, and lists m\n"]),
        (json(200, list), "x", 0, vec!["does not list x", "-> it lists 2 models: m:latest, other"]),
        (json(404, "{}"), "m", 0, vec!["does not list its models"]),
        (json(401, "{\"error\":\"bad key\"}"), "m", 1, vec!["401 Unauthorized: bad key", "-> check the key"]),
        (Reply::page(200, "text/html", "<p>"), "m", 1, vec!["BAD   server", "unexpected answer"]),
        (Reply::silence(), "m", 1, vec!["did not answer within 3 seconds"]),
    ];
    let home = tempfile::tempdir().unwrap();
    let server = FakeModel::start();
    let url = server.base_url();
    for (reply, model, status, parts) in cases {
        server.push(reply);
        let env = [("ORG_AGENT_MODEL", model), ("OPENAI_BASE_URL", &url), ("OPENAI_API_KEY", KEY)];
        check(doctor(home.path(), &env), status, &parts);
        let request = server.take_request_blocking();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/models"));
        assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    }

    // A key from the environment is not sent to a server that the file names.
    std::fs::write(home.path().join("config.toml"), format!("[[models]]\nmodel = 'm'\nbase_url = '{url}'\n"))
        .unwrap();
    server.push(json(200, list));
    let parts = [
        "without a key",
        "note  key",
        "OPENAI_API_KEY is set, but not sent",
        "api_key_env = \"OPENAI_API_KEY\"",
    ];
    check(doctor(home.path(), &[("OPENAI_API_KEY", KEY)]), 0, &parts);
    assert_eq!(server.take_request_blocking().header("authorization"), None);
}

#[test]
fn a_server_that_is_not_there_is_bad() {
    let home = tempfile::tempdir().unwrap();
    let url = {
        let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/v1", gone.local_addr().unwrap())
    };
    let report = doctor(home.path(), &[("ORG_AGENT_MODEL", "m"), ("OPENAI_BASE_URL", &url)]);
    check(report, 1, &["BAD   server", "cannot connect to", "-> start the server"]);
}

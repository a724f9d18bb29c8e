//! `org-agent doctor` as a user runs it: the binary, a home of its own, and real servers on this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "common/local_server.rs"]
mod local_server;

use std::path::Path;
use std::process::Command;

use local_server::{LocalServer, list};

const KEY: &str = "sk-Secret0123456789";

/// The exit status and what is printed. Nobody else's servers are looked for.
fn doctor(home: &Path, env: &[(&str, &str)]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_org-agent"))
        .arg("doctor")
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default())
        .env("ORG_AGENT_HOME", home)
        .env("ORG_AGENT_LOCAL_PORTS", "none")
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

/// A port on which nobody listens.
fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn with_nothing_all_is_well() {
    let home = tempfile::tempdir().unwrap();
    let ports = format!("ollama={},llama.cpp={}", closed_port(), closed_port());
    let report = doctor(home.path(), &[("MEMEX_USER", "Ada"), ("ORG_AGENT_LOCAL_PORTS", &ports)]);
    let parts = [
        "config.toml (not there",
        "Ada (environment variable MEMEX_USER)",
        "the built-in responder",
        "no model server answers on its port (Ollama ",
        "-> for a language model start one of these",
        "Next: M-x",
    ];
    check(report, 0, &parts);
    assert!(home.path().join("agent.db").exists());
    check(
        doctor(home.path(), &[("ORG_AGENT_LOCAL_PORTS", "mine=1")]),
        1,
        &["ORG_AGENT_LOCAL_PORTS is wrong"],
    );
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
    std::fs::remove_file(&config).unwrap();
    let recording = [("ORG_AGENT_MODEL", "replay:/no/such/file")];
    check(doctor(home.path(), &recording), 1, &["BAD   model", "cannot read the recording /no/such/file"]);
    let chosen = home.path().join("chosen-model.toml");
    std::fs::write(&chosen, "use = 'gone'\n").unwrap();
    check(doctor(home.path(), &[]), 1, &["BAD   model", "\"gone\"", "-> choose another one", "--forget"]);
    std::fs::write(&chosen, "name = 'a/m'\nmodel = 'm'\nbase_url = 'https://a.example/v1'\n").unwrap();
    check(doctor(home.path(), &[]), 1, &["BAD   configuration", "not on this machine", "--forget"]);
    std::fs::remove_file(&chosen).unwrap();
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
    let json = |status, body: &str| {
        LocalServer::start(vec![("/v1/models", status, "application/json", body.to_owned())])
    };
    let models = list(&["m:latest", "other"], "somebody");
    let cases = [
        (json(200, &models), "m", 0, vec!["it answers, and lists m\n", "ok    dialect        prompt"]),
        (json(200, &models), "x", 0, vec!["does not list x", "-> it has m:latest, other"]),
        (json(404, "{}"), "m", 0, vec!["does not list its models"]),
        (
            json(401, "{\"error\":\"bad key\"}"),
            "m",
            1,
            vec!["401 Unauthorized: bad key", "-> check the key (environment variable OPENAI_API_KEY)"],
        ),
        (
            LocalServer::start(vec![("/v1/models", 200, "text/html", "<p>".to_owned())]),
            "m",
            1,
            vec!["BAD   server", "unexpected answer"],
        ),
        (
            LocalServer::silent(),
            "m",
            1,
            vec!["BAD   server", "did not answer within 2.5 seconds", "-> start it"],
        ),
    ];
    let home = tempfile::tempdir().unwrap();
    for (server, model, status, parts) in cases {
        let url = server.base_url();
        let env = [("ORG_AGENT_MODEL", model), ("OPENAI_BASE_URL", &url), ("OPENAI_API_KEY", KEY)];
        check(doctor(home.path(), &env), status, &parts);
        let asked = server.asked();
        assert!(asked.iter().all(|asked| asked.method == "GET" && asked.body.is_empty()), "{asked:?}");
        let authorized: Vec<_> =
            asked.iter().filter_map(|asked| Some((asked.authorization.as_deref()?, &asked.path))).collect();
        let expected = (format!("Bearer {KEY}"), "/v1/models".to_owned());
        // Once with the key, and what only asks which kind of server this is has none.
        if !asked.is_empty() {
            assert_eq!(authorized, [(expected.0.as_str(), &expected.1)], "{asked:?}");
        }
    }

    // A key from the environment is not sent to a server that the file names.
    let server = json(200, &models);
    let url = server.base_url();
    std::fs::write(home.path().join("config.toml"), format!("[[models]]\nmodel = 'm'\nbase_url = '{url}'\n"))
        .unwrap();
    let parts = [
        "without a key",
        "note  key",
        "OPENAI_API_KEY is set, but not sent",
        "api_key_env = \"OPENAI_API_KEY\"",
    ];
    check(doctor(home.path(), &[("OPENAI_API_KEY", KEY)]), 0, &parts);
    let asked = server.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.authorization.is_none()), "{asked:?}");
}

#[test]
fn a_server_that_is_not_there_is_bad() {
    let home = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}/v1", closed_port());
    let report = doctor(home.path(), &[("ORG_AGENT_MODEL", "m"), ("OPENAI_BASE_URL", &url)]);
    check(report, 1, &["BAD   server", "cannot connect to", "-> start the server"]);
}

#[test]
fn all_models_are_looked_at_and_the_first_one_decides() {
    let home = tempfile::tempdir().unwrap();
    let (good, silent) = (LocalServer::ollama(&["llama3.2:latest"], "x"), LocalServer::silent());
    let tables = format!(
        "[spend]\nper_day = 2.5\n\n\
         [[models]]\nname = 'first'\nmodel = 'llama3.2'\nprovider = 'ollama'\nbase_url = '{}'\nfallback = ['slow', 'gone']\n\n\
         [[models]]\nname = 'slow'\nmodel = 'm'\nbase_url = '{}'\n\n\
         [[models]]\nname = 'stuck'\nmodel = 'm'\nbase_url = '{}'\n\n\
         [[models]]\nname = 'gone'\nmodel = 'm'\nbase_url = 'http://127.0.0.1:{}/v1'\n\n\
         [[models]]\nname = 'far'\nmodel = 'm'\nprovider = 'openrouter'\n\n\
         [[models]]\nname = 'tunnel'\nmodel = 'm'\nbase_url = 'https://127.0.0.1:{}/v1'\nca_file = '/no/such.pem'\n",
        good.base_url(),
        silent.base_url(),
        silent.base_url(),
        closed_port(),
        closed_port(),
    );
    std::fs::write(home.path().join("config.toml"), &tables).unwrap();
    let parts = [
        "ok    model          llama3.2 (config.toml) at ",
        "ok    fallback       if it fails: slow, then gone",
        "ok    server         it answers, and lists llama3.2",
        "ok    dialect        json-schema",
        "note  model          slow: m (config.toml)",
        "did not answer within 2.5 seconds",
        "note  model          gone: m (config.toml)",
        "cannot connect to",
        "note  model          far: the model's key is missing",
        "-> set OPENROUTER_API_KEY",
        "note  model          tunnel: ",
        "/no/such.pem",
        "ok    spend          at most, in US dollars: 2.50 a day",
    ];
    check(doctor(home.path(), &[]), 0, &parts);

    // The one that answers if nothing is said decides; what it costs is asked for only where something is to be counted.
    let env = [("ORG_AGENT_MODEL", "gone"), ("OPENROUTER_API_KEY", KEY)];
    let far = tables.replace("provider = 'openrouter'", "base_url = 'http://192.0.2.1:9/v1'");
    std::fs::write(home.path().join("config.toml"), &far).unwrap();
    check(
        doctor(home.path(), &env),
        1,
        &["BAD   server", "note  price          what far costs is not known"],
    );
    std::fs::write(home.path().join("config.toml"), far.replace("per_day = 2.5\n", "")).unwrap();
    let (_, text) = doctor(home.path(), &env);
    assert!(!text.contains("  price  ") && !text.contains("  spend  "), "{text}");
}

#[test]
fn a_server_on_this_machine_is_offered_and_its_dialect_is_told() {
    let home = tempfile::tempdir().unwrap();
    let ollama = LocalServer::ollama(&["llama3.2:latest", "nomic-embed-text:latest", "qwen3:8b"], "x");
    let (llama, silent) = (LocalServer::llama_cpp("my model.gguf"), LocalServer::silent());
    let page = LocalServer::start(vec![("/v1/models", 200, "text/html", "<h1>Tomcat</h1>".to_owned())]);
    let other = LocalServer::start(vec![("/v1/models", 200, "application/json", list(&["x"], "sglang"))]);
    let ports = format!(
        "ollama={},vllm={},llama.cpp={},lmstudio={},vllm={}",
        ollama.port(),
        llama.port(),
        page.port(),
        silent.port(),
        other.port()
    );
    let env = [("ORG_AGENT_LOCAL_PORTS", ports.as_str())];
    let report = doctor(home.path(), &env);
    let port = llama.port();
    let named = format!("-> to use it: org-agent model use 'llama.cpp:{port}/my model.gguf'");
    let unknown = format!(
        "-> to use it, write to config.toml: [[models]] with model = \"x\" and base_url = \"{}\"",
        other.base_url()
    );
    let parts = [
        "the built-in responder",
        &format!("Ollama answers on port {} with llama3.2, qwen3:8b", ollama.port()),
        "-> to use it: org-agent model use ollama/llama3.2\n",
        &format!("llama.cpp answers on port {port} with my model.gguf"),
        &named,
        "of an unknown kind answers",
        &unknown,
    ];
    let (status, text) = report;
    assert!(!text.contains(&page.port().to_string()) && !text.contains(&silent.port().to_string()), "{text}");
    check((status, text), 0, &parts);

    // Configured, and reachable.
    let url = llama.base_url();
    let ask = [("ORG_AGENT_MODEL", "my model.gguf"), ("OPENAI_BASE_URL", url.as_str()), env[0]];
    let (status, text) = doctor(home.path(), &ask);
    assert!(!text.contains("to use it"), "{text}");
    let parts = [
        "it answers, and lists my model.gguf",
        "note  dialect        prompt, but what answers is llama.cpp",
        "provider = \"llama.cpp\"",
    ];
    check((status, text), 0, &parts);
    let table = format!("[[models]]\nmodel = 'my model.gguf'\nprovider = 'llama.cpp'\nbase_url = '{url}'\n");
    std::fs::write(home.path().join("config.toml"), table).unwrap();
    check(doctor(home.path(), &env), 0, &["ok    dialect        llama.cpp: it is made to answer"]);
    for server in [&ollama, &llama, &page, &other] {
        let asked = server.asked();
        let quiet = |asked: &local_server::Asked| asked.method == "GET" && asked.authorization.is_none();
        assert!(asked.iter().all(quiet), "{asked:?}");
    }
}

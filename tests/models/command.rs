//! `org-agent model` as a user runs it.

use std::process::Command;

use super::*;

/// The exit status, standard output and standard error of `org-agent model`.
fn model(home: &Path, args: &[&str], env: &[(&str, &str)]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_org-agent"))
        .arg("model")
        .args(args)
        .env_clear()
        .env("ORG_AGENT_HOME", home)
        .env("ORG_AGENT_LOCAL_PORTS", "none")
        .envs(env.iter().copied())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_model_is_listed_and_chosen_and_a_running_server_follows() {
    let home = tempfile::tempdir().unwrap();
    let server = LocalServer::ollama(&["llama3.2:latest", "a b$(x)"], "From the model on this machine.");
    let ports = as_ollama(&server);
    let env = [("ORG_AGENT_LOCAL_PORTS", ports.as_str())];
    let mut client = start(home.path(), &server);
    let session = create(&mut client);
    assert!(say(&mut client, Some(&session), WORDS).1.contains("no language model"));

    let (status, table, remarks) = model(home.path(), &["list"], &env);
    assert_eq!(status, 0);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "MODEL", "PROVIDER", "DIALECT", "PRICE"], "{table}");
    assert_eq!(rows[1], ["offline", "-", "-", "-", "-", "default"], "{table}");
    assert_eq!(rows[2], ["ollama/llama3.2", "llama3.2", "Ollama", "json-schema", "-", "found"], "{table}");
    assert!(remarks.contains("org-agent model use NAME"), "{remarks}");
    let (_, lines, _) = model(home.path(), &["list", "--json"], &env);
    let items: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(names(&items), ["offline", "ollama/llama3.2", "ollama/a b$(x)"]);

    let (status, text, _) = model(home.path(), &["use", "ollama/llama3.2:latest"], &env);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("ollama/llama3.2 answers from now on") && text.contains("--forget"), "{text}");
    assert_eq!(say(&mut client, Some(&session), WORDS).1, "From the model on this machine.");
    let (_, table, _) = model(home.path(), &["list"], &env);
    assert!(table.lines().nth(1).unwrap().starts_with("ollama/llama3.2 "), "{table}");

    let (status, text, _) = model(home.path(), &["use", "--forget"], &env);
    assert_eq!(
        (status, text.as_str()),
        (0, "ollama/llama3.2 is chosen no more.\nWhat answers now: offline\n")
    );
    assert!(say(&mut client, Some(&session), WORDS).1.contains("no language model"));
    assert_eq!(model(home.path(), &["use", "--forget"], &env).1.lines().next(), Some("Nothing was chosen."));
    std::fs::write(home.path().join("chosen-model.toml"), "?").unwrap();
    let forgotten = model(home.path(), &["use", "--forget"], &env).1;
    assert_eq!(forgotten.lines().next(), Some("What was chosen is forgotten."));
    client.finish_unread();
    assert_eq!(replies(&server), 1);
}

#[test]
fn what_cannot_be_chosen_is_said_with_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let server = LocalServer::ollama(&["llama3.2:latest"], "x");
    let llama = LocalServer::llama_cpp("m");
    let ports = format!("ollama={},vllm={}", server.port(), llama.port());
    let env = [("ORG_AGENT_LOCAL_PORTS", ports.as_str())];
    let cases = [
        ("nothing", vec!["there is no model named \"nothing\"", "org-agent model list"]),
        ("ollama/qwen3", vec!["no model named", "Ollama answers on port", "it has llama3.2"]),
        ("vllm/m", vec!["no model named", "llama.cpp answers on port", "org-agent model list"]),
        ("lmstudio:9/m", vec!["LM Studio does not answer on port 9", "start it"]),
        ("openai/gpt-5", vec!["there is no model named", "org-agent model list"]),
    ];
    for (name, parts) in cases {
        let (status, _, error) = model(home.path(), &["use", name], &env);
        assert_eq!(status, 1, "{name}: {error}");
        for part in parts {
            assert!(error.contains(part), "{name}: {part:?} is not in\n{error}");
        }
    }
    assert_eq!(model(home.path(), &["use"], &env).0, 2);
    assert_eq!(model(home.path(), &["use", "offline", "--forget"], &env).0, 2);
    assert!(!home.path().join("chosen-model.toml").exists());
    assert_only_looked(&server.asked());
}

#[test]
fn a_configured_model_or_the_built_in_responder_can_be_chosen() {
    let home = tempfile::tempdir().unwrap();
    let tables = "[[models]]\nname = 'one'\nmodel = 'a'\nbase_url = 'http://127.0.0.1:9/v1'\n\n\
                  [[models]]\nname = 'two'\nmodel = 'b'\nprovider = 'openrouter'\nprice = { input = 0.5, output = 2 }\n";
    std::fs::write(home.path().join("config.toml"), tables).unwrap();
    let first = |env: &[(&str, &str)]| {
        let (_, table, _) = model(home.path(), &["list"], env);
        table.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned()
    };
    assert_eq!(first(&[]), "one");
    let (status, text, _) = model(home.path(), &["use", "two"], &[]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("cannot be asked yet") && text.contains("OPENROUTER_API_KEY"), "{text}");
    let key = [("OPENROUTER_API_KEY", "sk-or-1")];
    assert_eq!(first(&key), "two");
    let (_, table, _) = model(home.path(), &["list"], &key);
    assert!(table.contains("0.5/2 ") && table.contains("OpenRouter"), "{table}");
    let text = model(home.path(), &["use", "offline"], &[("ORG_AGENT_MODEL", "one")]).1;
    assert!(text.contains("But the environment goes first, and here it says: one"), "{text}");
    assert_eq!((first(&[]), first(&[("ORG_AGENT_MODEL", "two"), key[0]])), ("offline".into(), "two".into()));
    // A choice that means nothing any more is said, and can be taken back.
    let chosen = home.path().join("chosen-model.toml");
    for wrong in [
        "use = 'three'\n",
        "name = 'one'\nmodel = 'x'\n",
        "usr = 'one'\n",
        "name = 'x'\nmodel = 'x'\nbase_url = 'https://a.example'\n",
    ] {
        std::fs::write(&chosen, wrong).unwrap();
        let (_, out, error) = model(home.path(), &["list"], &[]);
        assert!(format!("{out}{error}").contains("chosen-model.toml"), "{wrong}: {out}{error}");
        assert_eq!(model(home.path(), &["use", "--forget"], &[]).0, 0, "{wrong}");
        assert_eq!(first(&[]), "one");
    }
}

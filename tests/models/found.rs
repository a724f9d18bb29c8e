//! What is found on this machine, when it is looked, and that nothing else is done.

use super::*;
use local_server::list as models;

#[test]
fn a_list_names_what_was_found_only_if_it_was_to_be_looked() {
    let home = tempfile::tempdir().unwrap();
    let server = LocalServer::ollama(&["llama3.2:latest", "all-minilm-embed", "qwen3:8b"], "x");
    let mut client = start(home.path(), &server);
    assert_eq!(names(&list(&mut client, &json!({}))), ["offline"]);
    assert!(server.asked().is_empty(), "{:?}", server.asked());

    let items = list(&mut client, &json!({"look": true}));
    assert_eq!(names(&items), ["offline", "ollama/llama3.2", "ollama/qwen3:8b"]);
    let [offline, found, _] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!((&offline["found"], &offline["default"]), (&json!(false), &json!(true)));
    for (key, value) in [
        ("found", json!(true)),
        ("default", json!(false)),
        ("selected", json!(false)),
        ("model", json!("llama3.2")),
        ("provider", json!("Ollama")),
        ("dialect", json!("json-schema")),
        ("local", json!(true)),
        ("baseUrl", json!(server.base_url())),
        ("problem", Value::Null),
    ] {
        assert_eq!(found[key], value, "{key}");
    }
    assert_only_looked(&server.asked());

    // In parts, too.
    let part = client.request("orgAgent/models/list", &json!({"look": true, "limit": 2}));
    assert_eq!(names(part["items"].as_array().unwrap()), ["offline", "ollama/llama3.2"]);
    let part = client.request("orgAgent/models/list", &json!({"look": true, "cursor": part["nextCursor"]}));
    assert_eq!(names(part["items"].as_array().unwrap()), ["ollama/qwen3:8b"]);
    client.finish();
}

#[test]
fn each_server_is_recognised_by_what_only_it_says() {
    let json = |body: String| (200, "application/json", body);
    let page = |path, (status, kind, body): (u16, &'static str, String)| (path, status, kind, body);
    let object = |text: &str| json(text.to_owned());
    // The owner of the models wins over the port; a server without models shows by an address of its own.
    let llama = LocalServer::llama_cpp("m");
    let vllm = LocalServer::start(vec![page("/v1/models", json(models(&["org/m"], "vllm")))]);
    let studio = LocalServer::start(vec![page("/v1/models", json(models(&["q/m"], "organization_owner")))]);
    let own = LocalServer::start(vec![
        page("/v1/models", json(models(&["mine:latest"], "ada"))),
        page("/api/version", object("{\"version\":\"0.12\"}")),
    ]);
    let props = LocalServer::start(vec![
        page("/v1/models", json(models(&["m"], "me"))),
        page("/props", object("{\"default_generation_settings\":{}}")),
    ]);
    let empty = LocalServer::start(vec![
        page("/v1/models", object("{\"object\":\"list\",\"data\":null}")),
        page("/api/version", object("{\"version\":\"0.12\"}")),
    ]);
    // None of these is one, or it cannot be told which.
    let strangers = [
        LocalServer::start(vec![page("/v1/models", json(models(&["m"], "sglang")))]),
        LocalServer::start(vec![page("/v1/models", (200, "text/html", "<h1>It works</h1>".to_owned()))]),
        LocalServer::start(vec![page("/v1/models", object("{\"data\":null}"))]),
        LocalServer::start(vec![page("/v1/models", (401, "application/json", models(&["m"], "vllm")))]),
        LocalServer::start(vec![page("/v1/models", json(models(&["m\u{202e}x", "a\nb", ""], "vllm")))]),
        LocalServer::start(vec![page("/v1/models", object(&"[".repeat(100_000)))]),
        LocalServer::start(vec![page("/v1/models", json(" ".repeat(2 << 20) + &models(&["m"], "vllm")))]),
        LocalServer::silent(),
    ];
    let mut ports = format!(
        "vllm={},llama.cpp={},vllm={},lmstudio={},ollama={},llama.cpp={},ollama={}",
        llama.port(),
        llama.port(),
        vllm.port(),
        studio.port(),
        own.port(),
        props.port(),
        empty.port(),
    );
    for stranger in &strangers {
        ports.push_str(&format!(",vllm={}", stranger.port()));
    }
    let home = tempfile::tempdir().unwrap();
    let mut client = Client::new_in(home.path(), &[("ORG_AGENT_LOCAL_PORTS", &ports)]);
    let items = list(&mut client, &json!({"look": true}));
    let expected = [
        "offline".to_owned(),
        // The first port of its kind needs not be named.
        "llama.cpp/m".to_owned(),
        format!("vllm:{}/org/m", vllm.port()),
        "lmstudio/q/m".to_owned(),
        "ollama/mine".to_owned(),
        format!("llama.cpp:{}/m", props.port()),
    ];
    assert_eq!(names(&items), expected);
    client.finish();
}

#[test]
fn the_loop_goes_on_while_it_is_looked() {
    let home = tempfile::tempdir().unwrap();
    let silent = LocalServer::silent();
    let mut client = start(home.path(), &silent);
    // A machine may be so slow that the look is over first; not every time.
    let went_on = (0..5).any(|_| {
        let looks = client.ask("orgAgent/models/list", &json!({"look": true}));
        let other = client.ask("orgAgent/sessions/list", &json!({}));
        let is_answer = |message: &Value| message["id"] == looks || message["id"] == other;
        let first = client.wait_for(is_answer)["id"].clone();
        client.wait_for(is_answer);
        first == other
    });
    assert!(went_on, "what was asked later was answered later, each time");
    client.finish();
}

#[test]
fn nothing_is_looked_for_beside_a_configured_model() {
    let server = LocalServer::ollama(&["llama3.2"], "x");
    let asked = LocalServer::ollama(&["m"], "From the model that is configured.");
    let ports = as_ollama(&server);
    let url = asked.base_url();
    let table = format!("[[models]]\nmodel = 'm'\nprovider = 'ollama'\nbase_url = '{url}'\n");
    for (config, env, answer) in [
        (table.as_str(), vec![], "From the model that is configured."),
        ("", vec![("ORG_AGENT_MODEL", "offline")], "no language model"),
    ] {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), config).unwrap();
        let env: Vec<_> = env.into_iter().chain([("ORG_AGENT_LOCAL_PORTS", ports.as_str())]).collect();
        let mut client = Client::new_in(home.path(), &env);
        let (session, text) = say(&mut client, None, WORDS);
        assert!(text.contains(answer), "{text}");
        let (_, text) = say(&mut client, Some(&session), "setup");
        assert!(!text.contains("org-agent model use"), "{text}");
        list(&mut client, &json!({"sessionId": session}));
        client.finish_unread();
        assert!(server.asked().is_empty(), "{:?}", server.asked());
    }
    // Nor if the built-in responder is what a session's user chose.
    let home = tempfile::tempdir().unwrap();
    let mut client = start(home.path(), &server);
    let session = create(&mut client);
    client.request(
        "orgAgent/models/select",
        &json!({"sessionId": session, "name": "offline", "remember": true}),
    );
    say(&mut client, Some(&session), WORDS);
    client.finish_unread();
    assert!(server.asked().is_empty(), "{:?}", server.asked());
}

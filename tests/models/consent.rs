//! Yes, said once: what the built-in responder offers, and where chats go before and after.

use super::*;

const ANSWER: &str = "From the model on this machine.";

/// Whether an answer offers the model of the tests' server.
fn offers(text: &str) -> bool {
    text.contains("org-agent model use ollama/llama3.2")
}

#[test]
fn the_built_in_responder_offers_what_answers_once_in_a_session_and_tells_it_nothing() {
    let home = tempfile::tempdir().unwrap();
    let server = LocalServer::ollama(&["llama3.2:latest", "qwen3"], ANSWER);
    let mut client = start(home.path(), &server);
    // What was not found in time for the first answer is in the next one.
    let mut session = None;
    let mut said = Vec::new();
    while !said.iter().any(|text: &String| offers(text)) {
        assert!(said.len() < 50, "{said:#?}");
        let (id, text) = say(&mut client, session.as_deref(), WORDS);
        (session, said) = (Some(id), [said, vec![text]].concat());
    }
    let session = session.unwrap();
    let text = said.last().unwrap();
    let words = [format!("Ollama answers on port {}", server.port()), ": llama3.2\n: qwen3".to_owned()];
    assert!(words.iter().all(|words| text.contains(words)), "{text}");
    assert!(text.contains("no language model"), "{text}");
    for (text, offered) in [(WORDS, false), ("help", false), ("setup", true)] {
        assert_eq!(offers(&say(&mut client, Some(&session), text).1), offered, "{text}");
    }
    let other = create(&mut client);
    assert!(offers(&say(&mut client, Some(&other), "hello").1));
    client.finish_unread();
    // Looked once, and never asked for anything.
    assert_only_looked(&server.asked());
    assert_eq!(server.asked().len(), 1, "{:?}", server.asked());
}

#[test]
fn without_a_server_nothing_is_offered() {
    let home = tempfile::tempdir().unwrap();
    let silent = LocalServer::silent();
    let page = LocalServer::start(vec![("/v1/models", 200, "text/html", "<p>".to_owned())]);
    let ports = format!("ollama={},llama.cpp={}", silent.port(), page.port());
    let mut client = Client::new_in(home.path(), &[("ORG_AGENT_LOCAL_PORTS", &ports)]);
    let (session, text) = say(&mut client, None, "hello");
    assert!(text.contains("no language model"), "{text}");
    // By then it was looked.
    list(&mut client, &json!({"look": true}));
    let (_, text) = say(&mut client, Some(&session), "setup");
    assert!(!text.contains("org-agent model use") && text.contains("ORG_AGENT_MODEL"), "{text}");
    client.finish_unread();
}

#[test]
fn yes_for_a_session_holds_for_it_alone_and_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let server = LocalServer::ollama(&["llama3.2:latest"], ANSWER);
    let mut client = start(home.path(), &server);
    let (yes, no) = (create(&mut client), create(&mut client));
    let select = json!({"sessionId": yes, "name": "ollama/llama3.2"});
    // It was not looked yet, so nobody was offered it; and some are not there at all.
    let error = client.try_request("orgAgent/models/select", &select).unwrap_err();
    assert_eq!(error["data"]["code"], "not_found", "{error}");
    assert!(error["data"]["hint"].as_str().unwrap().contains("look"), "{error}");
    list(&mut client, &json!({"look": true}));
    for name in ["ollama/other", "vllm/llama3.2", "ollama", "llama3.2", "ollama:1/llama3.2"] {
        let select = json!({"sessionId": yes, "name": name});
        let error = client.try_request("orgAgent/models/select", &select).unwrap_err();
        assert_eq!(error["data"]["code"], "not_found", "{name}: {error}");
    }
    client.request("orgAgent/models/select", &select);
    assert_eq!(say(&mut client, Some(&yes), WORDS).1, ANSWER);
    assert!(say(&mut client, Some(&no), WORDS).1.contains("no language model"));
    assert_eq!(replies(&server), 1);
    let selected = |items: &[Value]| {
        let item = items.iter().find(|item| item["selected"] == true).unwrap();
        (item["name"].clone(), item["problem"].clone())
    };
    let items = list(&mut client, &json!({"sessionId": yes}));
    assert_eq!(selected(&items), (json!("ollama/llama3.2"), Value::Null));
    client.finish_unread();
    assert!(!home.path().join("chosen-model.toml").exists());

    let mut client = start(home.path(), &server);
    assert_eq!(say(&mut client, Some(&yes), WORDS).1, ANSWER);
    assert!(say(&mut client, Some(&no), WORDS).1.contains("no language model"));
    let items = list(&mut client, &json!({"sessionId": yes}));
    assert_eq!(selected(&items), (json!("ollama/llama3.2"), Value::Null));
    // And taken back.
    client.request("orgAgent/models/select", &json!({"sessionId": yes}));
    assert!(say(&mut client, Some(&yes), WORDS).1.contains("no language model"));
    assert_eq!(replies(&server), 2);
    client.finish_unread();
}

#[test]
fn yes_once_and_for_all_holds_everywhere_until_it_is_taken_back() {
    let home = tempfile::tempdir().unwrap();
    let server = LocalServer::ollama(&["llama3.2:latest"], ANSWER);
    let mut client = start(home.path(), &server);
    let session = create(&mut client);
    list(&mut client, &json!({"look": true}));
    let select = json!({"sessionId": session, "name": "ollama/llama3.2", "remember": true});
    client.request("orgAgent/models/select", &select);
    let file = std::fs::read_to_string(home.path().join("chosen-model.toml")).unwrap();
    for part in
        ["you said yes to", "org-agent model use --forget", "model = \"llama3.2\"", &server.base_url()]
    {
        assert!(file.contains(part), "{part:?} is not in\n{file}");
    }
    let other = create(&mut client);
    assert_eq!(say(&mut client, Some(&other), WORDS).1, ANSWER);
    let items = list(&mut client, &json!({"look": true}));
    assert_eq!(names(&items), ["ollama/llama3.2", "offline"]);
    assert_eq!((&items[0]["found"], &items[0]["default"]), (&json!(false), &json!(true)));
    client.finish_unread();

    // Wherever else a server is told to look: it is this one that was meant.
    let elsewhere = [("ORG_AGENT_LOCAL_PORTS", "none")];
    let mut client = Client::new_in(home.path(), &elsewhere);
    assert_eq!(say(&mut client, Some(&other), WORDS).1, ANSWER);
    client.finish_unread();

    // The environment goes first.
    let mut client = Client::new_in(home.path(), &[("ORG_AGENT_MODEL", "offline")]);
    assert!(say(&mut client, Some(&other), WORDS).1.contains("no language model"));
    let error = client.try_request("orgAgent/models/select", &select).unwrap_err();
    assert_eq!(error["data"]["code"], "conflict", "{error}");
    client.finish_unread();

    let mut client = start(home.path(), &server);
    client.request("orgAgent/models/select", &json!({"sessionId": other, "remember": true}));
    assert!(!home.path().join("chosen-model.toml").exists());
    assert!(say(&mut client, Some(&other), WORDS).1.contains("no language model"));
    client.finish_unread();
    assert_eq!(replies(&server), 2);
}

#[test]
fn a_yes_leaves_the_configured_model_where_it_is() {
    let home = tempfile::tempdir().unwrap();
    let server = LocalServer::ollama(&["llama3.2:latest"], ANSWER);
    let configured = LocalServer::ollama(&["m"], "From the configured model.");
    let table =
        format!("[[models]]\nmodel = 'm'\nprovider = 'ollama'\nbase_url = '{}'\n", configured.base_url());
    std::fs::write(home.path().join("config.toml"), table).unwrap();
    let mut client = start(home.path(), &server);
    let (yes, other) = (create(&mut client), create(&mut client));
    let items = list(&mut client, &json!({"look": true}));
    assert_eq!(names(&items), ["m", "offline", "ollama/llama3.2"]);
    let select = json!({"sessionId": yes, "name": "ollama/llama3.2", "remember": true});
    client.request("orgAgent/models/select", &select);
    assert_eq!(say(&mut client, Some(&yes), WORDS).1, ANSWER);
    assert_eq!(say(&mut client, Some(&other), WORDS).1, "From the configured model.");
    client.finish_unread();
    let mut client = start(home.path(), &server);
    assert_eq!(say(&mut client, Some(&other), WORDS).1, "From the configured model.");
    // It was said already, so it needs not be looked again.
    let select = json!({"sessionId": other, "name": "ollama/llama3.2"});
    client.request("orgAgent/models/select", &select);
    assert_eq!(say(&mut client, Some(&other), WORDS).1, ANSWER);
    client.finish_unread();
}

//! Where servers on this machine are looked for, what their models' names mean, and what the user chose.

use super::*;

/// The ports, as names and numbers.
fn ports(env: Pairs<'_>) -> Result<Vec<(&'static str, u16)>> {
    config("", env).map(|config| config.local.iter().map(|(provider, port)| (provider.name, port)).collect())
}

#[test]
fn ports_are_the_usual_ones_unless_something_else_is_said() {
    let usual = [("ollama", 11434), ("llama.cpp", 8080), ("lmstudio", 1234), ("vllm", 8000)];
    assert_eq!(ports(&[]).unwrap(), usual);
    let said = |text| ports(&[("ORG_AGENT_LOCAL_PORTS", text), ("OLLAMA_HOST", "127.0.0.1:9")]);
    assert_eq!(said("none").unwrap(), []);
    assert_eq!(said("vllm=1, vllm = 2,ollama=65535").unwrap(), [("vllm", 1), ("vllm", 2), ("ollama", 65535)]);
    for wrong in [
        "ollama",
        "ollama=",
        "ollama=0",
        "ollama=65536",
        "ollama=-1",
        "openai=1",
        "ollama=1,",
        "11434",
        &"vllm=1,".repeat(16),
    ] {
        let error = said(wrong).unwrap_err();
        assert!(error.hint.contains("ollama, llama.cpp, lmstudio, vllm"), "{wrong}: {error}");
    }

    // Ollama's own variable counts if it names a port of this machine.
    let ollama = |host| ports(&[("OLLAMA_HOST", host)]).unwrap()[0].1;
    for (host, port) in [
        ("127.0.0.1:11500", 11500),
        ("0.0.0.0:11500", 11500),
        (":11500", 11500),
        ("localhost:11500", 11500),
        ("[::1]:11500", 11500),
        ("[::]:11500", 11500),
        ("http://localhost:11500/", 11500),
        ("\"127.0.0.1:11500\"", 11500),
        ("127.0.0.1:80", 80),
        ("http://localhost", 80),
        // No port, another machine, or nothing that can be asked here.
        ("0.0.0.0", 11434),
        ("localhost", 11434),
        ("192.168.1.5:11500", 11434),
        ("gpu.example:11500", 11434),
        ("https://localhost:11500", 11434),
        ("localhost:", 11434),
        ("localhost:99999", 11434),
        ("://", 11434),
        ("[", 11434),
    ] {
        assert_eq!(ollama(host), port, "{host}");
    }
}

#[test]
fn a_name_means_a_server_of_this_machine_and_its_model() {
    let local = config("", &[("ORG_AGENT_LOCAL_PORTS", "vllm=9000,vllm=9001")]).unwrap().local;
    let vllm = Provider::named("vllm").unwrap();
    for (port, name) in [(9000, "vllm/org/m:1"), (9001, "vllm:9001/org/m:1"), (8000, "vllm:8000/org/m:1")] {
        assert_eq!(local.name(vllm, port, "org/m:1"), name);
        assert_eq!(local.meaning(name), Some((vllm, port, "org/m:1")), "{name}");
    }
    // Where nothing is said it is the usual port.
    assert_eq!(local.meaning("ollama/m").map(|(_, port, _)| port), Some(11434));
    let long = format!("ollama/{}", "x".repeat(MAX_MODEL + 1));
    for none in [
        "ollama",
        "ollama/",
        "/m",
        "m",
        "openai/m",
        "ollama:/m",
        "ollama:0/m",
        "ollama:x/m",
        "ollama/a\nb",
        &long,
    ] {
        assert_eq!(local.meaning(none), None, "{none}");
    }
}

/// The configuration of a home with these files.
fn home(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Config>) {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(home.path().join(name), text).unwrap();
    }
    let path = home.path().to_str().unwrap().to_owned();
    let config = Config::load(move |name| (name == "ORG_AGENT_HOME").then(|| path.clone()));
    (home, config)
}

#[test]
fn what_was_chosen_answers_and_is_read_back_as_it_was_written() {
    let tables = "[[models]]\nname = 'one'\nmodel = 'a'\nprovider = 'ollama'\n\n[[models]]\nname = 'two'\nmodel = 'b'\nprovider = 'vllm'\n";
    let secrets = Secrets::new();
    let (_home, config) = home(&[("config.toml", tables)]);
    let config = config.unwrap();
    assert_eq!(config.choose_model(&secrets).unwrap().name(), "one");
    for name in ["two", "offline", "lmstudio/q/\"m\"", "llama.cpp:9/m"] {
        let text = config.choosing(name, true).unwrap();
        let (_home, chosen) = home(&[("config.toml", tables), ("chosen-model.toml", &text)]);
        let chosen = chosen.unwrap();
        assert_eq!(chosen.choose_model(&secrets).unwrap().name(), name, "{text}");
        assert_eq!(chosen.choose_named(name, &secrets).unwrap().name(), name);
        assert!(chosen.is_model_configured(&secrets));
        assert_eq!(chosen.offered(&secrets)[0].name, name);
        assert_eq!(chosen.offered(&secrets).iter().filter(|offered| offered.name == name).count(), 1);
    }
    assert_eq!(config.choosing("three", true).unwrap_err().code, crate::error::Code::NotFound);
    let Choice::Remote(remote) = config.choose_selected("llama.cpp:9/m", &secrets).unwrap() else { panic!() };
    assert_eq!(remote.url(""), "http://127.0.0.1:9/v1");
    assert_eq!((remote.terms.dialect, remote.key.is_none()), (Dialect::LlamaCpp, true));
    // A name by itself is no consent.
    let error = config.choose_named("llama.cpp:9/m", &secrets).unwrap_err();
    assert_eq!(error.code, crate::error::Code::NotFound);
    // With nothing else to say, the user's choice goes before a key without a model.
    let text = config.choosing("ollama/m", false).unwrap();
    let (_home, chosen) = home(&[("chosen-model.toml", &text)]);
    let key = Secrets::from_iter([("OPENAI_API_KEY".to_owned(), SECRET.to_owned())]);
    let Choice::Remote(remote) = chosen.unwrap().choose_model(&key).unwrap() else { panic!() };
    assert!(remote.key.is_none() && remote.is_local());
}

#[test]
fn a_choice_of_another_machine_or_none_is_refused() {
    let local = "name = 'ollama/m'\nmodel = 'm'\nprovider = 'ollama'\n";
    let cases = [
        (format!("{local}base_url = 'https://a.example/v1'\n"), "not on this machine"),
        (format!("{local}base_url = 'http://127.0.0.1.example/v1'\n"), "not on this machine"),
        (format!("{local}base_url = 'x'\n"), "not on this machine"),
        (local.to_owned(), "neither `use`"),
        ("use = 'one'\nname = 'x'\n".to_owned(), "neither `use`"),
        (String::new(), "neither `use`"),
        (format!("api_key = '{SECRET}'\n"), "a secret may not stand in this file"),
        (format!("{local}base_url = 'http://127.0.0.1:1/v1'\napi_key_env = 'X'\n"), "no key `api_key_env`"),
        ("use = 1\n".to_owned(), "line 1"),
        (
            "name = 'offline'\nmodel = 'm'\nbase_url = 'http://127.0.0.1:1/v1'\n".to_owned(),
            "the built-in responder",
        ),
        (
            "name = \"a\\u001bb\"\nmodel = 'm'\nbase_url = 'http://127.0.0.1:1/v1'\n".to_owned(),
            "control characters",
        ),
    ];
    for (text, why) in cases {
        let (_home, config) = home(&[("chosen-model.toml", &text)]);
        let error = config.unwrap_err();
        assert!(error.why.contains(why) && error.what.contains("chosen-model.toml"), "{text}\n{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
}

#[test]
fn a_yes_to_a_server_of_this_machine_takes_no_place() {
    let table = "[[models]]\nname = 'one'\nmodel = 'a'\nprovider = 'vllm'\n";
    let secrets = Secrets::new();
    // After what was chosen, what answers, and to what the user has said yes.
    let mut file = String::new();
    for (name, goes_first, answers, known) in [
        ("ollama/a", false, "one", "ollama/a"),
        ("ollama/b", true, "ollama/b", "ollama/b"),
        ("ollama/c", false, "ollama/c", "ollama/c"),
        ("offline", true, "offline", "ollama/c"),
        ("ollama/d", false, "offline", "ollama/d"),
        ("one", false, "one", "ollama/d"),
        ("ollama/e", true, "ollama/e", "ollama/e"),
    ] {
        let before = [("config.toml", table), ("chosen-model.toml", file.as_str())];
        let before = home(if file.is_empty() { &before[..1] } else { &before });
        file = before.1.unwrap().choosing(name, goes_first).unwrap();
        let (_home, config) = home(&[("config.toml", table), ("chosen-model.toml", &file)]);
        let config = config.unwrap();
        assert_eq!(config.choose_model(&secrets).unwrap().name(), answers, "{name}\n{file}");
        assert!(config.choose_named(known, &secrets).is_ok(), "{name}\n{file}");
    }
}

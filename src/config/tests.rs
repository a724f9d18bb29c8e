//! What files and variables become: one `check` per question, the cases as data.

use super::*;

mod local;
mod models;
mod table;

const SECRET: &str = "sk-Secret0123456789";

/// Names and values.
type Pairs<'a> = &'a [(&'a str, &'a str)];

fn config(file: &str, env: Pairs<'_>) -> Result<Config> {
    let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Config::new(Paths { config: "/c".into(), data: "/d".into() }, Some(file), env)
}

#[test]
fn paths_follow_the_environment() {
    let cases: &[(Pairs<'_>, &str, &str)] = &[
        (&[("ORG_AGENT_HOME", "/x"), ("HOME", "/h")], "/x/config.toml", "/x/agent.db"),
        (&[("HOME", "/h")], "/h/.config/org-agent/config.toml", "/h/.local/share/org-agent/agent.db"),
        (
            &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c"), ("XDG_DATA_HOME", "/d")],
            "/c/org-agent/config.toml",
            "/d/org-agent/agent.db",
        ),
        (
            &[("HOME", "/h"), ("XDG_CONFIG_HOME", "relative"), ("ORG_AGENT_HOME", " ")],
            "/h/.config/org-agent/config.toml",
            "/h/.local/share/org-agent/agent.db",
        ),
    ];
    for (env, file, database) in cases {
        let paths =
            Paths::new(|name| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
                .unwrap();
        assert_eq!((paths.config_file(), paths.database()), (file.into(), database.into()), "{env:?}");
    }
    let error = Paths::new(|_| None).unwrap_err();
    assert!(error.to_string().contains("ORG_AGENT_HOME"), "{error}");
}

#[test]
fn names_are_one_short_line() {
    let long = "x".repeat(300);
    let cases = [
        ("", None, "User", Source::Default),
        ("[persona]\nuser = 'Ada'", None, "Ada", Source::File),
        ("[persona]\nuser = 'Ada'", Some("Bob"), "Bob", Source::Variable("MEMEX_USER".into())),
        ("[persona]\nuser = 'Ada'", Some(" \t"), "Ada", Source::File),
        ("[persona]\nuser = ' '", None, "User", Source::Default),
        ("", Some("a\u{1b}[1m\n* b"), "a [1m * b", Source::Variable("MEMEX_USER".into())),
        ("", Some(&long), &long[..100], Source::Variable("MEMEX_USER".into())),
    ];
    for (file, variable, expected, source) in cases {
        let env: Vec<_> = variable.map(|name| ("MEMEX_USER", name)).into_iter().collect();
        let user = config(file, &env).unwrap().persona.user;
        assert_eq!((user.value.as_str(), user.source), (expected, source), "{file:?} {variable:?}");
    }
    assert_eq!(config("", &[]).unwrap().persona.assistant.value, "Passepartout");
}

#[test]
fn a_wrong_file_is_explained_without_its_values() {
    let model = "[[models]]\nmodel = 'm'\n";
    let cases = [
        ("\n[persona]\nusr = 'x'", vec!["/c/config.toml", "line 3", "`usr`", "did you mean `user`?"]),
        ("[[model]]\n", vec!["line 1", "`model`", "did you mean `models`?"]),
        ("zzzzzzzzzz = 1", vec!["known here: persona, models, spend, sessions, shell"]),
        ("[persona\n", vec!["line 1"]),
        ("[[models]]\nname = 'x'", vec!["line 1", "[[models]] has no `model`"]),
        (&format!("{model}api_key = '{SECRET}'"), vec!["line 3", "api_key_env", "api_key_command"]),
        (&format!("{model}api_key_env = '{SECRET}'"), vec!["api_key_env", "not the key itself"]),
        (&format!("models = '{SECRET}'"), vec!["line 1", "`models` is a text"]),
        (&format!("{model}api_key_command = ''"), vec!["api_key_command is empty"]),
        (&format!("{model}api_key_command = []"), vec!["api_key_command is empty"]),
        (&format!("{model}api_key_command = 'x'\napi_key_env = 'X'"), vec!["keep one of them"]),
    ];
    for (file, parts) in cases {
        let error = config(file, &[]).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{file:?}: {part:?} is not in\n{error}");
        }
        assert!(!error.contains(SECRET), "{error}");
    }
}

/// What was chosen, in one line; of an error, what it says.
fn choose(file: &str, env: Pairs<'_>, client: Pairs<'_>) -> String {
    use secrecy::ExposeSecret;

    let secrets = client.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let config = config(file, env).unwrap();
    let chosen = config.choose_model(&secrets);
    let shown = format!("{config:?} {chosen:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    match chosen {
        Err(error) => {
            assert_eq!(error.code, crate::error::Code::ModelUnavailable);
            assert!(!error.hint.is_empty());
            format!("error: {} | {}", error.why, error.hint)
        }
        Ok(Choice::Offline) => "offline".to_owned(),
        Ok(Choice::Replay(path)) => format!("replay {}", path.display()),
        Ok(Choice::Remote(remote)) => {
            let key = match remote.key.as_ref().map(|key| &key.value) {
                None => "none".to_owned(),
                Some(Key::Value(key)) => key.expose_secret().replace(SECRET, "SECRET"),
                Some(Key::Command(command)) => format!("{command:?}"),
            };
            format!("{} at {} key {key}", remote.model.value, remote.url(""))
        }
    }
}

#[test]
fn the_model_is_chosen_and_never_guessed() {
    const M: (&str, &str) = ("ORG_AGENT_MODEL", "m");
    const K: (&str, &str) = ("OPENAI_API_KEY", SECRET);
    const U: (&str, &str) = ("OPENAI_BASE_URL", "http://localhost:11434/v1/");
    let entry = "[[models]]\nmodel = 'f'\n";
    let local = "[[models]]\nmodel = 'f'\nbase_url = 'http://127.0.0.1:1'\n";
    let with_env = "[[models]]\nmodel = 'f'\nbase_url = 'https://a.example/api'\napi_key_env = 'A_KEY'\n";
    let command = "[[models]]\nmodel = 'f'\napi_key_command = ['pass', 'x']\n";
    let no_model = "but no model | set ORG_AGENT_MODEL";
    #[rustfmt::skip]
    let cases: Vec<(&str, Pairs<'_>, Pairs<'_>, &str)> = vec![
        ("", &[], &[], "offline"),
        ("", &[("ORG_AGENT_MODEL", " "), ("OPENAI_API_KEY", "")], &[("OPENAI_API_KEY", " ")], "offline"),
        ("", &[M, K], &[], "m at https://api.openai.com/v1 key SECRET"),
        ("", &[M, U], &[], "m at http://localhost:11434/v1 key none"),
        ("", &[M, U, K], &[], "m at http://localhost:11434/v1 key SECRET"),
        ("", &[M], &[K], "m at https://api.openai.com/v1 key SECRET"),
        ("", &[M, ("OPENAI_API_KEY", "other")], &[K], "m at https://api.openai.com/v1 key SECRET"),
        ("", &[("ORG_AGENT_MODEL", "offline"), K], &[M], "offline"),
        ("", &[M, K], &[("ORG_AGENT_MODEL", "offline")], "offline"),
        ("", &[("ORG_AGENT_MODEL", "replay:/tmp/x.jsonl")], &[], "replay /tmp/x.jsonl"),
        // Partial.
        ("", &[M], &[], "neither a key nor a base URL | set OPENAI_API_KEY"),
        ("", &[K], &[], no_model),
        ("", &[U], &[], no_model),
        ("", &[U, K], &[], no_model),
        ("", &[], &[K], no_model),
        (entry, &[], &[], "neither a key nor a base URL"),
        (with_env, &[], &[], "in the variable A_KEY, and that is not set | set A_KEY"),
        // The file.
        (entry, &[K], &[], "f at https://api.openai.com/v1 key SECRET"),
        (local, &[], &[], "f at http://127.0.0.1:1 key none"),
        (local, &[M], &[], "m at http://127.0.0.1:1 key none"),
        (command, &[], &[], "f at https://api.openai.com/v1 key Program([\"pass\", \"x\"])"),
        (command, &[K], &[], "f at https://api.openai.com/v1 key SECRET"),
        (with_env, &[("A_KEY", "a")], &[], "f at https://a.example/api key a"),
        // A key goes only to the server it was given for.
        (local, &[K], &[], "f at http://127.0.0.1:1 key none"),
        (with_env, &[("A_KEY", "a"), K], &[], "f at https://a.example/api key a"),
        (with_env, &[("A_KEY", "a"), U], &[], "f at http://localhost:11434/v1 key none"),
        // Malformed.
        ("", &[M, ("OPENAI_BASE_URL", "localhost:1")], &[], "neither http:// nor https://"),
        ("", &[M, ("OPENAI_BASE_URL", "http://")], &[], "empty host"),
        ("", &[M, ("OPENAI_BASE_URL", "https://u:sk-Secret0123456789@h/")], &[], "a user name or a password"),
        ("", &[M, ("OPENAI_BASE_URL", "https://h/?key=sk-Secret0123456789")], &[], "a part after ?"),
        ("", &[M, ("OPENAI_BASE_URL", "https://h/v1/chat/completions")], &[], "ends in /chat/completions"),
        ("", &[M, ("OPENAI_API_KEY", "sk-Secret0123456789\nx")], &[], "visible ASCII"),
        ("", &[("ORG_AGENT_MODEL", "a\u{1b}b"), K], &[], "control characters"),
    ];
    for (file, env, client, expected) in cases {
        let chosen = choose(file, env, client);
        let exact = !chosen.starts_with("error");
        assert!(
            if exact { chosen == expected } else { chosen.contains(expected) },
            "{file:?} {env:?} {client:?}\n expected {expected}\n chosen   {chosen}"
        );
    }
}

#[test]
fn a_missing_file_is_no_error_and_a_huge_one_is() {
    let home = tempfile::tempdir().unwrap();
    let env = |name: &str| (name == "ORG_AGENT_HOME").then(|| home.path().to_str().unwrap().to_owned());
    assert!(!Config::load(env).unwrap().has_file);
    let file = home.path().join("config.toml");
    std::fs::write(&file, "[persona]\nassistant = 'Jeeves'\n").unwrap();
    assert_eq!(Config::load(env).unwrap().persona.assistant.value, "Jeeves");
    std::fs::write(&file, "#".repeat(2 << 20)).unwrap();
    assert!(Config::load(env).unwrap_err().to_string().contains("1 MiB"));
    std::fs::write(&file, b"\xff").unwrap();
    assert!(Config::load(env).unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn what_is_kept_of_sessions() {
    let read = |text: &str| {
        let paths = Paths { config: "/c".into(), data: "/d".into() };
        let env = |name: &str| (name == "HOME").then(|| "/home/ada".to_owned());
        Config::new(paths, Some(text), env).map(|config| config.sessions)
    };
    assert_eq!(read("").unwrap(), Sessions::default());
    let all = read("[sessions]\nkeep = \"90 days\"\nmax_mib = 2\nmirror = \"~/org/chats\"").unwrap();
    assert_eq!(all.keep, Some(std::time::Duration::from_secs(90 * 86_400)));
    assert_eq!((all.max_bytes, all.mirror), (Some(2 << 20), Some("/home/ada/org/chats".into())));
    assert_eq!(read("[sessions]\nkeep = \"forever\"").unwrap(), Sessions::default());
    for (text, why) in [
        ("keep = \"90 minutes\"", "less than a day"),
        ("keep = \"long\"", "no time"),
        ("keep = 90", "`keep` is a whole number"),
        ("max_mib = 0", "out of range"),
        ("max_mib = -1", "line 2"),
        ("mirror = \"chats\"", "no absolute directory"),
        ("mirrors = \"/x\"", "no key `mirrors`"),
    ] {
        let error = read(&format!("[sessions]\n{text}")).unwrap_err();
        assert!(error.to_string().contains(why), "{text}: {error}");
    }
}

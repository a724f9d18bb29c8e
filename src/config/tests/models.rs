//! What `[[models]]` and `[spend]` become, and what is refused of them without showing it.

use super::*;

/// The file and the environment, as a configuration; what it says of the model of this name, without the client.
fn named(file: &str, env: Pairs<'_>, name: &str) -> Result<Remote> {
    with_client(file, env, &[], name)
}

fn with_client(file: &str, env: Pairs<'_>, client: Pairs<'_>, name: &str) -> Result<Remote> {
    let secrets = client.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    match config(file, env)?.choose_named(name, &secrets)? {
        Choice::Remote(remote) => Ok(*remote),
        other => panic!("{other:?}"),
    }
}

/// The key of a model, and where it is from.
fn key(remote: &Remote) -> (String, String) {
    use secrecy::ExposeSecret;

    match &remote.key {
        None => ("none".to_owned(), String::new()),
        Some(Sourced { value: Key::Value(key), source }) => {
            (key.expose_secret().to_owned(), source.to_string())
        }
        Some(Sourced { value: Key::Command(_), source }) => ("command".to_owned(), source.to_string()),
    }
}

#[test]
fn the_document_has_the_providers_and_every_key() {
    let doc = include_str!("../../../docs/models.md");
    let rows: Vec<&str> = doc
        .split("| `provider` |")
        .nth(1)
        .unwrap()
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let expected: Vec<String> = PROVIDERS
        .iter()
        .map(|provider| {
            let key = provider.key.map_or("none".to_owned(), |key| format!("`{key}`"));
            let (name, url) = (provider.name, provider.base_url);
            format!("| `{name}` | `{url}` | {key} | `{}` |", provider.dialect.as_str())
        })
        .collect();
    assert_eq!(rows, expected);

    let example = doc.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let read = config(example, &[("OPENAI_API_KEY", SECRET)]).unwrap();
    assert!(read.offered(&Secrets::new()).iter().all(|offered| offered.choice.is_ok()));
    // What the reader of the file knows, as it says itself.
    for (table, one) in
        [("[[models]]\n", "model"), ("[[models]]\nmodel = 'm'\nprice.", "input"), ("[spend]\n", "per_day")]
    {
        let error = config(&format!("{table}qqqqqqqq = 1\n"), &[]).unwrap_err();
        let known = error.hint.strip_prefix("known here: ").unwrap();
        assert!(known.split(", ").any(|key| key == one), "{known}");
        for key in known.split(", ") {
            assert!(example.contains(&format!("{key} = ")), "the example lacks {key}");
        }
    }
}

#[test]
fn a_provider_says_where_how_and_with_which_key() {
    for provider in &PROVIDERS {
        let file = format!("[[models]]\nmodel = 'm'\nprovider = '{}'\n", provider.name);
        let variable = provider.key.unwrap_or("UNUSED_KEY");
        let remote = named(&file, &[(variable, SECRET)], "m").unwrap();
        assert_eq!(remote.url(""), provider.base_url);
        assert_eq!(remote.is_local(), provider.is_local(), "{}", provider.name);
        assert_eq!((remote.terms.provider, remote.terms.dialect), (Some(provider), provider.dialect));
        let expected = provider.key.map_or(("none".to_owned(), String::new()), |variable| {
            (SECRET.to_owned(), format!("environment variable {variable}"))
        });
        assert_eq!(key(&remote), expected, "{}", provider.name);
        if provider.key.is_some() {
            let error = named(&file, &[], "m").unwrap_err().to_string();
            assert!(error.contains(variable) && error.contains("that is not set"), "{error}");
        }
    }
    // What is said beside it goes first.
    let file = "[[models]]\nmodel = 'm'\nprovider = 'ollama'\nbase_url = 'http://127.0.0.1:1/v1'\ndialect = 'prompt'\n";
    let remote = named(file, &[], "m").unwrap();
    assert_eq!((remote.url("").as_str(), remote.terms.dialect), ("http://127.0.0.1:1/v1", Dialect::Prompt));
    // Without its name, a provider is known by its host, and what is on this machine by nothing.
    let at = |url: &str| {
        let file = format!("[[models]]\nmodel = 'm'\nbase_url = '{url}'\n");
        named(&file, &[], "m").unwrap().terms.provider.map(|provider| provider.name)
    };
    assert_eq!(at("https://api.groq.com/other"), Some("groq"));
    assert_eq!(at("http://localhost:11434/v1"), None);
    assert_eq!(at("https://api.groq.com.example/v1"), None);
}

#[test]
fn a_key_goes_only_where_it_is_meant_to() {
    let keys: Pairs<'_> =
        &[("OPENROUTER_API_KEY", SECRET), ("OPENAI_API_KEY", "sk-other"), ("MY_KEY", "mine")];
    let table = "[[models]]\nmodel = 'm'\nprovider = 'openrouter'\n";
    let cases = [
        (table.to_owned(), SECRET),
        (format!("{table}base_url = 'https://elsewhere.example/v1'\n"), "none"),
        (
            format!("{table}base_url = 'https://elsewhere.example/v1'\napi_key_env = 'OPENROUTER_API_KEY'\n"),
            SECRET,
        ),
        (format!("{table}api_key_env = 'MY_KEY'\n"), "mine"),
        (format!("{table}api_key_command = 'pass'\n"), "command"),
        ("[[models]]\nmodel = 'm'\nbase_url = 'https://openrouter.ai/api/v1'\n".to_owned(), "none"),
        ("[[models]]\nmodel = 'm'\nprovider = 'ollama'\n".to_owned(), "none"),
        ("[[models]]\nmodel = 'm'\n".to_owned(), "sk-other"),
    ];
    for (file, expected) in cases {
        assert_eq!(key(&named(&file, keys, "m").unwrap()).0, expected, "{file}");
    }
    // A client gives a key under the name of the variable, and that goes first.
    let remote = with_client(table, keys, &[("OPENROUTER_API_KEY", " from-client ")], "m").unwrap();
    assert_eq!(key(&remote), ("from-client".to_owned(), "OPENROUTER_API_KEY from the client".to_owned()));
    let remote = with_client(table, &[], &[("OPENROUTER_API_KEY", "x"), ("MY_KEY", "y")], "m").unwrap();
    assert_eq!(key(&remote).0, "x");
    let error = with_client(table, &[], &[("OPENAI_API_KEY", SECRET)], "m").unwrap_err().to_string();
    assert!(error.contains("OPENROUTER_API_KEY") && !error.contains(SECRET), "{error}");
}

#[test]
fn a_variable_names_a_table_or_another_model_of_the_first_ones_server() {
    let file = "[[models]]\nname = 'work'\nmodel = 'w'\nprovider = 'groq'\nprice = { input = 1, output = 2 }\n\n\
                [[models]]\nname = 'home'\nmodel = 'h'\nprovider = 'ollama'\n";
    let chosen = |model: &str| {
        let config = config(file, &[("ORG_AGENT_MODEL", model), ("GROQ_API_KEY", "g")]).unwrap();
        match config.choose_model(&Secrets::new()).unwrap() {
            Choice::Remote(remote) => (remote.name.clone(), remote.model.value, remote.terms.price.is_some()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(chosen("home"), ("home".into(), "h".into(), false));
    assert_eq!(chosen("work"), ("work".into(), "w".into(), true));
    // A name and a price are those of the table's own server.
    let url = ("OPENAI_BASE_URL", "http://127.0.0.1:1/v1");
    for (url, name, priced) in [(url, "w", false), ((url.0, "https://api.groq.com/openai/v1/"), "work", true)]
    {
        match config(file, &[url]).unwrap().choose_model(&Secrets::new()).unwrap() {
            Choice::Remote(remote) => {
                assert_eq!((remote.name.as_str(), remote.terms.price.is_some()), (name, priced));
            }
            other => panic!("{other:?}"),
        }
    }
    let (_, model, priced) = chosen("other");
    assert_eq!((model.as_str(), priced), ("other", false));
    let error =
        config(file, &[("GROQ_API_KEY", "g")]).unwrap().choose_named("gone", &Secrets::new()).unwrap_err();
    assert!(error.hint.contains("work, home, offline"), "{error}");
}

#[test]
fn all_that_a_table_says_is_kept() {
    let file = "[[models]]\nname = 'a'\nmodel = 'm'\nprovider = 'mistral'\nmax_tokens = 100\ncontext_tokens = 2000\n\
                temperature = 0.5\nthinks = true\nconnect_seconds = 1\nfirst_byte_seconds = 2\nidle_seconds = 3\n\
                proxy = 'http://proxy.example:3128'\nca_file = '/etc/ca.pem'\nfallback = ['b', 'offline']\n\
                price = { input = 0.5, output = 2.0 }\n\n\
                [[models]]\nname = 'b'\nmodel = 'm'\nprovider = 'vllm'\nproxy = 'none'\n\n\
                [spend]\nper_day = 2.5\nper_session = 0\n";
    let env: Pairs<'_> = &[("MISTRAL_API_KEY", "k")];
    let terms = named(file, env, "a").unwrap().terms;
    let seconds = std::time::Duration::from_secs;
    assert_eq!((terms.max_tokens, terms.context_tokens), (Some(100), Some(2000)));
    assert_eq!((terms.temperature, terms.thinks), (Some(0.5), Some(true)));
    let patience = terms.patience;
    assert_eq!((patience.connect, patience.first_byte, patience.idle), (seconds(1), seconds(2), seconds(3)));
    assert!(matches!(terms.proxy, Proxy::Through(url) if url.as_str() == "http://proxy.example:3128/"));
    assert_eq!(terms.ca_file, Some("/etc/ca.pem".into()));
    assert_eq!(terms.fallback, ["b", "offline"]);
    let price = terms.price.unwrap();
    // In millionths of a dollar; what was read before costs the same if nothing is said, and there is no more of it than
    // there is.
    assert_eq!((price.of(1_000_000, 0, 0), price.of(0, 0, 1_000_000)), (500_000, 2_000_000));
    assert_eq!((price.of(10, 1_000, 0), price.of(1, 0, 0), price.of(0, 0, 0)), (5, 1, 0));
    let cached = Price { cached: Some(0.1), ..price };
    assert_eq!(cached.of(1_000, 900, 0), 140);
    assert_eq!(named(file, env, "b").unwrap().terms.proxy, Proxy::None);
    let spend = config(file, env).unwrap().spend;
    assert_eq!((spend.per_day, spend.per_session), (Some(2.5), Some(0.0)));
    assert_eq!([2.5, 0.0, 0.001, 1e9].map(amount), ["2.50", "0.00", "0.001", "1000000000.00"]);
}

#[test]
fn what_cannot_be_meant_is_refused_without_its_values() {
    let model = "[[models]]\nmodel = 'm'\n";
    let two = "[[models]]\nname = 'a'\nmodel = 'm'\n\n[[models]]\nname = 'b'\nmodel = 'm'\n";
    let many: String = (0..101).map(|at| format!("[[models]]\nmodel = 'm{at}'\n")).collect();
    let names: Vec<String> = (0..9).map(|at| format!("'m{at}'")).collect();
    let cases = [
        (format!("{model}{model}"), "two models have the same name", "name = \"work\""),
        (
            format!("{two}fallback = ['c']\n"),
            "a fallback is not the name of another model",
            "fallback = [\"local\"]",
        ),
        (format!("{two}fallback = ['b']\n"), "a fallback is not the name of another model", "write names"),
        (format!("{two}fallback = ['m']\n"), "a fallback is not the name of another model", "write names"),
        (format!("{two}fallback = ['a', 'offline', 'a']\n"), "a fallback is named twice", "once"),
        ("[[models]]\nmodel = ' '\n".to_owned(), "model is empty", "gpt-5-mini"),
        ("[[models]]\nmodel = \"a\\nb\"\n".to_owned(), "control characters", "gpt-5-mini"),
        (format!("{many}\n"), "too many models", "at most a hundred"),
        (format!("{model}fallback = [{}]\n", names.join(", ")), "too many fallbacks", "at most eight"),
        (format!("{model}name = 'offline'\n"), "named offline", "another name"),
        (
            format!("{model}provider = '{SECRET}'\n"),
            "a provider that is not known",
            "openai, anthropic, gemini",
        ),
        (format!("{model}provider = 'OpenAI'\n"), "a provider that is not known", "openai"),
        (
            format!("{model}price = {{ input = -1, output = 2 }}\n"),
            "a price is no price",
            "per million tokens",
        ),
        (
            format!("{model}price = {{ input = 1, cached = nan, output = 2 }}\n"),
            "a price is no price",
            "US dollars",
        ),
        (format!("{model}price = {{ input = 1, output = 1e9 }}\n"), "a price is no price", "US dollars"),
        (format!("{model}price = {{ input = 1 }}\n"), "has no `output`", ""),
        (
            format!("{model}price = {{ input = 1, zzz = 2 }}\n"),
            "no key `zzz`",
            "known here: input, cached, output",
        ),
        (format!("{model}price = {{ input = 1, ouput = 2 }}\n"), "no key `ouput`", "did you mean `output`?"),
        (format!("{model}temperature = 3\n"), "temperature is not between 0 and 2", "0.2"),
        (format!("{model}temperature = nan\n"), "temperature is not between 0 and 2", "0.2"),
        (format!("{model}max_tokens = 0\n"), "`max_tokens` is out of range", "from 1 on"),
        (format!("{model}max_tokens = 10\ncontext_tokens = 10\n"), "no room for a prompt", "max_tokens"),
        (format!("{model}idle_seconds = 0\n"), "`idle_seconds` is out of range", "from 1 to 3600"),
        (format!("{model}connect_seconds = 3601\n"), "`connect_seconds` is out of range", "from 1 to 3600"),
        (format!("{model}first_byte_seconds = -1\n"), "line 3", ""),
        (format!("{model}dialect = '{SECRET}'\n"), "line 3", ""),
        (format!("{model}base_ulr = '{SECRET}'\n"), "no key `base_ulr`", "did you mean `base_url`?"),
        (format!("{model}fallbacks = ['{SECRET}']\n"), "no key `fallbacks`", "did you mean `fallback`?"),
        (format!("{model}token = '{SECRET}'\n"), "a secret may not stand in this file", "api_key_env"),
        ("[spend]\nper_day = -1\n".to_owned(), "an amount in [spend] is no amount", "per_day = 2.50"),
        ("[spend]\nper_session = inf\n".to_owned(), "an amount in [spend] is no amount", "US dollars"),
        ("[spend]\nper_week = 1\n".to_owned(), "no key `per_week`", "per_day"),
    ];
    for (file, why, hint) in cases {
        let error = config(&file, &[]).unwrap_err();
        assert!(error.why.contains(why) && error.hint.contains(hint), "{file}\n{error}");
        assert!(!error.to_string().contains(SECRET), "{error}");
    }
    // What is checked when it is asked.
    for proxy in [
        format!("http://ada:{SECRET}@proxy.example"),
        format!("http://{SECRET}@proxy.example"),
        format!("ftp://{SECRET}.example"),
        format!("{SECRET}:3128"),
        "proxy.example:3128".to_owned(),
    ] {
        let file = format!("{model}base_url = 'https://a.example'\nproxy = '{proxy}'\n");
        let error = named(&file, &[], "m").unwrap_err();
        assert_eq!(error.what, "the proxy of a model is wrong", "{proxy}: {error}");
        assert!(!error.to_string().contains(SECRET) && error.hint.contains("proxy = \"none\""), "{error}");
    }
}

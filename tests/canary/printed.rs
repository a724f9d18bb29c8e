//! What is printed for people who look for mistakes: the words of a panic, and values as `{:?}` shows them.

use std::path::PathBuf;
use std::process::Command;

use org_agent::config::{Config, Paths, Secrets};
use org_agent::event::Event;
use org_agent::model::openai::OpenAi;
use org_agent::{known, logging};
use secrecy::SecretString;

use crate::search::{MASK, Sink, leaks, shown};
use crate::world::KEYS;

/// Set for the process that panics.
const PANICS: &str = "ORG_AGENT_TEST_PANICS";

#[test]
fn a_panic_shows_no_key() {
    let key = KEYS[0].1;
    if std::env::var_os(PANICS).is_some() {
        known::given([SecretString::from(key)], []);
        logging::mask_panics();
        panic!("made to panic with {}", shown(key).join(" "));
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "printed::a_panic_shows_no_key", "--nocapture"])
        .env(PANICS, "1")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("made to panic with")
            && said.contains("tests/canary/printed.rs")
            && said.contains(MASK),
        "{said}"
    );
    assert_eq!(leaks(&KEYS, &[Sink::new("standard error", output.stderr)]), [] as [String; 0]);
}

#[test]
fn no_value_shows_a_key() {
    let [usual, named, _, handed, ..] = KEYS.map(|(_, key)| key);
    let file = "[[models]]\nmodel = 'a'\n[[models]]\nmodel = 'b'\nbase_url = 'http://b/v1'\napi_key_env = 'CANARY_NAMED'\n\
                [[models]]\nmodel = 'c'\nbase_url = 'http://c/v1'\napi_key_env = 'CANARY_HANDED'\n";
    let env = |name: &str| match name {
        "OPENAI_API_KEY" => Some(usual.to_owned()),
        "CANARY_NAMED" => Some(named.to_owned()),
        _ => None,
    };
    let place = PathBuf::from("/p");
    let config = Config::new(Paths { config: place.clone(), data: place }, Some(file), env).unwrap();
    let secrets: Secrets = [("CANARY_HANDED".to_owned(), handed.to_owned())].into_iter().collect();
    let mut shown =
        format!("{config:?} {:?} {secrets:?} {:?}", config.offered(&secrets), config.known_keys(&secrets));
    for name in ["a", "b", "c"] {
        let choice = config.choose_named(name, &secrets).unwrap();
        let org_agent::config::Choice::Remote(remote) = &choice else { panic!("{choice:?}") };
        shown.push_str(&format!("{choice:?} {:#?} {:?}", remote.key, OpenAi::new(remote.as_ref().clone())));
    }
    shown.push_str(&format!("{:?}", Event::Hello { secrets, recover: false, runs: false }));
    assert!(shown.contains("CANARY_HANDED") && shown.contains(r#"Domain("b")"#), "{shown}");
    assert_eq!(leaks(&KEYS, &[Sink::new("values", shown)]), [] as [String; 0]);
}

#[test]
fn a_key_in_the_wrong_place_of_the_configuration_is_refused_and_not_shown() {
    let key = KEYS[0].1;
    let model = "[[models]]\nmodel = 'm'\n";
    let wrong = [
        format!("{model}api_key = '{key}'"),
        format!("{model}api_key_env = '{key}'"),
        format!("{model}api_key_env = ['{key}']"),
        format!("{model}api_key_command = {{ key = '{key}' }}"),
        format!("{model}provider = '{key}'"),
        format!("{model}dialect = '{key}'"),
        format!("{model}price = '{key}'"),
        format!("{model}thinks = '{key}'"),
        format!("{model}max_tokens = \"{key}\""),
        format!("{model}fallback = '{key}'"),
        format!("{model}fallback = ['{key}']"),
        format!("{model}{key}"),
        format!("{model}{key} = true"),
        format!("{model}api_key_env = '{key}"),
        format!("{model}api_key_env = {key}"),
        format!("{model}'{key}' = true"),
        format!("{model}[models.price]\n'{key}' = 1"),
        key.to_owned(),
        format!("'{key}' = 1"),
        format!("['{key}']"),
        format!("[sessions]\nkeep = '{key}'"),
        format!("[spend]\nper_day = '{key}'"),
        format!("[[shell.rules]]\npattern = ['a']\ndecision = '{key}'"),
        format!("models = '{key}'"),
    ];
    let config = |file: &str| {
        let place = PathBuf::from("/p");
        Config::new(Paths { config: place.clone(), data: place }, Some(file), |_| None)
    };
    for file in wrong {
        let error = config(&file).err().unwrap_or_else(|| panic!("taken: {file}"));
        let shown = format!("{error} {error:?} {}", error.one_line());
        assert_eq!(leaks(&KEYS, &[Sink::new(file, shown)]), [] as [String; 0]);
    }
    // Only a model that is asked for is looked at so closely.
    for place in [
        "base_url = 'http://me:KEY@host/v1'",
        "base_url = 'http://host/v1?key=KEY'",
        "base_url = 'KEY'",
        "base_url = 'http://host/'\nproxy = 'http://me:KEY@host'",
        "base_url = 'http://host/'\nproxy = 'KEY'",
    ] {
        let file = format!("{model}{}", place.replace("KEY", key));
        let error = config(&file)
            .unwrap()
            .choose_model(&Secrets::new())
            .err()
            .unwrap_or_else(|| panic!("taken: {file}"));
        let shown = format!("{error} {error:?} {}", error.one_line());
        assert_eq!(leaks(&KEYS, &[Sink::new(file, shown)]), [] as [String; 0]);
    }
}

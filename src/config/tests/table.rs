//! The table of settings against what reads the file, the sample, and docs/configuration.md.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::de::value::{Error as Failed, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::*;
use crate::config::file::File;
use crate::config::options::names;

/// The variable that has the reference written.
const WRITE: &str = "ORG_AGENT_WRITE_CONFIGURATION";

/// Gives every structure all the fields that it asks for, and notes them.
struct Tracer<'a> {
    path: String,
    seen: &'a mut BTreeSet<String>,
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Failed;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failed> {
        visitor.visit_str("text")
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failed> {
        visitor.visit_some(self)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failed> {
        visitor.visit_bool(true)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failed> {
        visitor.visit_u32(1)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failed> {
        visitor.visit_u64(1)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failed> {
        visitor.visit_f64(1.0)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Failed> {
        visitor.visit_seq(Once(Some(self)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Failed> {
        visitor.visit_map(Fields { path: self.path, left: fields, seen: self.seen, now: "" })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Failed> {
        visitor.visit_enum(First(variants[0]))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u128 f32 char str string bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct map identifier ignored_any
    }
}

struct Once<'a>(Option<Tracer<'a>>);

impl<'de> SeqAccess<'de> for Once<'_> {
    type Error = Failed;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> std::result::Result<Option<T::Value>, Failed> {
        self.0.take().map(|one| seed.deserialize(one)).transpose()
    }
}

struct Fields<'a> {
    path: String,
    left: &'static [&'static str],
    seen: &'a mut BTreeSet<String>,
    now: &'static str,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Failed;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> std::result::Result<Option<K::Value>, Failed> {
        let Some((first, rest)) = self.left.split_first() else { return Ok(None) };
        (self.now, self.left) = (first, rest);
        seed.deserialize(StrDeserializer::new(first)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> std::result::Result<V::Value, Failed> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{}", self.path, self.now);
        self.seen.insert(path.clone());
        seed.deserialize(Tracer { path, seen: self.seen })
    }
}

struct First(&'static str);

impl<'de> EnumAccess<'de> for First {
    type Error = Failed;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> std::result::Result<(V::Value, Self), Failed> {
        Ok((seed.deserialize(StrDeserializer::<Failed>::new(self.0))?, self))
    }
}

impl<'de> VariantAccess<'de> for First {
    type Error = Failed;

    fn unit_variant(self) -> std::result::Result<(), Failed> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> std::result::Result<T::Value, Failed> {
        Err(serde::de::Error::custom("no such variant in a configuration"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> std::result::Result<V::Value, Failed> {
        Err(serde::de::Error::custom("no such variant in a configuration"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> std::result::Result<V::Value, Failed> {
        Err(serde::de::Error::custom("no such variant in a configuration"))
    }
}

#[test]
fn the_table_has_every_setting_that_the_file_can_have_and_no_other() {
    let mut read = BTreeSet::new();
    File::deserialize(Tracer { path: String::new(), seen: &mut read }).map(drop).unwrap();
    let sections = SECTIONS.iter().map(|section| section.key);
    let table: BTreeSet<String> =
        sections.chain(SETTINGS.iter().map(|setting| setting.key)).map(str::to_owned).collect();
    assert_eq!(read, table);
    assert_eq!(table.len(), SECTIONS.len() + SETTINGS.len(), "something stands in it twice");
    for setting in &SETTINGS {
        assert!(Section::find(setting.section()).is_some(), "{} stands in no table", setting.key);
        assert!(setting.meaning.ends_with('.') && !setting.shown().is_empty(), "{}", setting.key);
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(setting.page);
        assert!(page.is_file(), "{}: {}", setting.key, setting.page);
    }
    for section in &SECTIONS {
        assert!(!names(section.key).is_empty(), "{} has nothing in it", section.key);
    }
}

/// What the sources ask the environment for by these names is in the table, a setting's own, or not for users.
#[test]
fn the_table_has_every_variable() {
    // Set by the program for its own children, or for those who work on it.
    let mut own = vec!["ORG_AGENT_REFUSAL", "ORG_AGENT_GIVEN_", "ORG_AGENT_WRITE_SCHEMA", WRITE];
    // Only notes see it: it says what a persona does that was chosen for a session.
    own.push("MEMEX_PERSONA");
    let pattern = regex::Regex::new("\"((?:ORG_AGENT|OPENAI|MEMEX|OLLAMA)_[A-Z_]+)\"").unwrap();
    let mut files = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut seen = BTreeSet::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if !path.components().any(|part| part.as_os_str() == "tests") {
            let text = std::fs::read_to_string(path).unwrap();
            seen.extend(pattern.captures_iter(&text).map(|found| found[1].to_owned()));
        }
    }
    let known = VARIABLES.iter().map(|variable| variable.name);
    let known: Vec<&str> =
        known.chain(SETTINGS.iter().filter_map(|setting| setting.variable)).chain(own).collect();
    assert!(seen.contains("ORG_AGENT_HOME"));
    // Those of the build are no settings.
    for name in seen.iter().filter(|name| !name.starts_with("ORG_AGENT_BUILD_")) {
        assert!(known.contains(&name.as_str()), "{name} is not in the table of variables");
    }
}

/// The sample with these marks taken away, as a person would.
fn uncommented(marks: &[&str]) -> String {
    let sample = sample();
    let lines = sample.lines().map(|line| {
        let bare = line.trim_start_matches('#');
        let mark = &line[..line.len() - bare.len()];
        if marks.contains(&mark) && !bare.is_empty() && !bare.starts_with(' ') { bare } else { line }
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_sample_is_what_holds_by_default() {
    let default = config("", &[]).unwrap();
    let as_debug = |config: &Config| {
        format!("{config:?}").replace("has_file: true", "").replace("source: File", "source: Default")
    };
    for text in [sample(), uncommented(&["#"])] {
        let read = config(&text, &[]).unwrap();
        assert_eq!(as_debug(&read), as_debug(&default), "{text}");
        assert!(read.models.is_empty(), "{text}");
    }
    let there =
        |text: &str| -> BTreeSet<&str> { stated(text).iter().map(|stated| stated.setting.key).collect() };
    assert!(there(&sample()).is_empty());
    let by_default: BTreeSet<&str> = SETTINGS
        .iter()
        .filter(|setting| matches!(setting.default, Default::Value(_)))
        .filter(|setting| SECTIONS.iter().all(|section| !section.many || section.key != setting.section()))
        .map(|setting| setting.key)
        .collect();
    assert_eq!(there(&uncommented(&["#"])), by_default);
}

#[test]
fn the_examples_of_the_sample_are_right() {
    let text = uncommented(&["#", "##"]);
    let found = problems(&text, Some("/home/ada"));
    assert!(found.is_empty(), "{found:?}\n{text}");
    let read = config(&text, &[("HOME", "/home/ada")]).unwrap();
    assert_eq!((read.models.len(), read.shell.rules.len()), (1, 1));
    assert!(read.spend.per_day.is_some() && read.sessions.max_bytes.is_some());
    for setting in &SETTINGS {
        let line = format!("{} = {}", setting.name(), setting.shown());
        assert!(text.contains(&line), "{line}");
    }
    // The other way to a key.
    let env = "api_key_env = \"OPENAI_API_KEY\"\n";
    let text = text.replace(env, "").replace("# api_key_command", "api_key_command");
    assert!(problems(&text, Some("/home/ada")).is_empty(), "{text}");
}

/// A part of a table in Markdown.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

fn reference() -> String {
    let mut out = String::new();
    for section in &SECTIONS {
        let settings: Vec<&Setting> = section.settings().collect();
        if settings.is_empty() {
            continue;
        }
        let head = match section.key.rsplit_once('.') {
            Some((_, name)) if !section.many => format!("{name} = {{ … }}"),
            _ => section.head(),
        };
        out.push_str(&format!(
            "### `{head}`\n\n{}\n\n| setting | is | without it | means |\n|---|---|---|---|\n",
            section.meaning
        ));
        for setting in settings {
            let default = match setting.default {
                Default::Value(value) => format!("`{value}`"),
                Default::Nothing(what) => cell(what),
                Default::Required => "it has to be there".to_owned(),
            };
            let variable =
                setting.variable.map(|name| format!(" `{name}` goes before it.")).unwrap_or_default();
            let (name, words) = (setting.name(), cell(&setting.shape.words()));
            let meaning = cell(setting.meaning);
            let page = setting.page;
            out.push_str(&format!(
                "| `{name}` | {words} | {default} | {meaning}{variable} [more]({page}) |\n"
            ));
        }
        out.push('\n');
    }
    out.push_str("### Variables of the environment\n\n| variable | without it | means |\n|---|---|---|\n");
    for variable in &VARIABLES {
        let (name, default, meaning) = (variable.name, cell(variable.default), cell(variable.meaning));
        out.push_str(&format!("| `{name}` | {default} | {meaning} [more]({}) |\n", variable.page));
    }
    out
}

#[test]
fn the_page_has_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mark = "<!-- made of src/config/options.rs -->\n\n";
    let (before, kept) = page.split_once(mark).unwrap();
    let made = reference();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, format!("{before}{mark}{made}")).unwrap();
    } else {
        assert!(
            kept == made,
            "docs/configuration.md is not what the table says: run this test with {WRITE}=1\n{made}"
        );
    }
}

/// A problem in one line, as a person is told of it.
struct Told<'a>(&'a str, &'a Problem);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.1.position(self.0);
        write!(f, "{line}:{column} {} -> {}", self.1.why, self.1.hint)
    }
}

#[test]
fn every_problem_is_told_with_its_place_and_in_plain_words() {
    let model = "[[models]]\nmodel = 'm'\n";
    let cases: &[(&str, &[&str])] = &[
        (
            "[persona]\nusr = 'x'\nassistant = 5\n[spend]\nper_day = 'much'\nkeep = 'forever'\n",
            &[
                "2:1 there is no key `usr` -> did you mean `user`?",
                "3:13 `assistant` is a whole number -> write a text in quotes: assistant = \"Passepartout\"",
                "5:11 `per_day` is a text -> write a number: per_day = 2.50",
                "6:1 there is no key `keep` -> `keep` belongs in [sessions]",
            ],
        ),
        ("models = 'x'", &["1:10 `models` is a text -> write a table: [[models]]"]),
        (
            "[models]\nmodel = 'm'",
            &[
                "1:2 `models` is one table, and there may be several -> write its head in two brackets: [[models]]",
            ],
        ),
        ("[[models]]\nname = 'x'", &["1:1 [[models]] has no `model` -> write model = \"gpt-5-mini\""]),
        (
            &format!(
                "{model}max_tokens = -1\nidle_seconds = 4000\nthinks = 'yes'\nprice = 5\nfallback = 'x'"
            ),
            &[
                "3:14 `max_tokens` is out of range -> write a whole number from 1 on: max_tokens = 2000",
                "4:16 `idle_seconds` is out of range -> write a whole number from 1 to 3600",
                "5:10 `thinks` is a text -> write true or false: thinks = false",
                "6:9 `models.price` is a whole number -> write a table in braces: price",
                "7:12 `fallback` is a text -> write a list of texts: fallback = [\"offline\"]",
            ],
        ),
        (
            &format!("{model}price = {{ input = 1 }}"),
            &["models.price] has no `output` -> write output = 2.0"],
        ),
        (
            &format!("{model}dialect = 'klingon'"),
            &["3:11 `dialect` is no word that is known here -> write one of prompt, llama.cpp"],
        ),
        (
            &format!("{model}temperature = 3.0\nfallback = ['n']\n{model}[sessions]\nkeep = '1 h'"),
            &[
                "3:15 temperature is not between 0 and 2",
                "4:12 a fallback is not the name of another model",
                "5:1 two models have the same name",
                "8:8 sessions.keep is less than a day",
            ],
        ),
        (
            &format!("{model}base_url = 'ftp://h'\nproxy = 'x'"),
            &["3:12 `base_url`: it begins with neither", "4:9 `proxy`: "],
        ),
        ("[persona\nuser = 'x'", &["1:9 unclosed table, expected `]`"]),
        ("[persona]\nuser = 'x'\nuser = 'y'", &["3:1 duplicate key -> keep one of them"]),
    ];
    for (text, expected) in cases {
        let found = problems(text, None);
        let told: Vec<String> = found.iter().map(|problem| Told(text, problem).to_string()).collect();
        assert_eq!(told.len(), expected.len(), "{text}\n{told:#?}");
        for (told, part) in told.iter().zip(*expected) {
            assert!(told.contains(part), "{text}\n expected {part}\n told     {told}");
        }
    }
}

#[test]
fn no_problem_shows_a_value_and_none_is_endless() {
    let texts = [
        format!("[[models]]\nmodel = 'm'\nmax_tokens = '{SECRET}'"),
        format!("[[models]]\nmodel = 'm'\napi_key = '{SECRET}'"),
        format!("[[models]]\nmodel = 'm'\n\"{SECRET}\" = 1"),
        format!("{SECRET}\n"),
        format!("[{SECRET}]\n"),
        format!("# {SECRET}\n[[models]\n"),
        format!("[[models]]\nmodel = {SECRET}"),
        format!("[[models]]\nmodel = 'm'\nbase_url = 'https://u:{SECRET}@h/'"),
        format!("[[models]]\nmodel = 'm'\ndialect = '{SECRET}'"),
    ];
    for text in texts {
        let found = problems(&text, None);
        assert!(!found.is_empty(), "{text}");
        for problem in found {
            let shown = format!("{} {:?}", Told(&text, &problem), problem.excerpt(&text));
            assert!(!shown.contains(SECRET) && !shown.contains("Secret0123456789"), "{shown}");
        }
    }
    let many: String = (0..5_000).map(|number| format!("wrong_{number} = 1\n")).collect();
    assert_eq!(problems(&many, None).len(), MOST_PROBLEMS);
    let problem = problems("[persona]\nusr = 'é'", None).remove(0);
    assert_eq!(problem.excerpt("[persona]\nusr = 'é'").unwrap(), "2 | usr = '·'\n  | ^^^");
}

#[test]
fn what_is_in_force_has_its_source() {
    let file = "[persona]\nuser = 'Ada'\n[[models]]\nmodel = 'm'\nbase_url = 'http://u:pw@h/'\n\
                api_key_command = ['echo', 'sk-Secret0123456789']\nprice = { input = 1, output = 2 }\n\
                [sessions]\nkeep = '90 days'\n";
    let read = config(file, &[("MEMEX_ASSISTANT", "Jeeves")]).unwrap();
    let all = in_force(&read);
    let told = |key: &str| {
        let found: Vec<_> = all.iter().filter(|it| it.key == key).collect();
        assert_eq!(found.len(), 1, "{key}");
        (found[0].value.clone().unwrap_or_default(), found[0].source.to_string(), found[0].line)
    };
    let cases = [
        ("persona.user", "\"Ada\"", "config.toml", Some(2)),
        ("persona.assistant", "\"Jeeves\"", "environment variable MEMEX_ASSISTANT", None),
        ("models[1].model", "\"m\"", "config.toml", Some(4)),
        ("models[1].base_url", "\"…\"", "config.toml", Some(5)),
        ("models[1].api_key_command", "[\"echo\", …]", "config.toml", Some(6)),
        ("models[1].price.output", "2", "config.toml", Some(7)),
        ("models[1].idle_seconds", "60", "default", None),
        ("models[1].max_tokens", "", "default", None),
        ("sessions.keep", "\"90 days\"", "config.toml", Some(9)),
        ("sessions.mirror", "", "default", None),
        ("spend.per_day", "", "default", None),
    ];
    for (key, value, source, line) in cases {
        assert_eq!(told(key), (value.to_owned(), source.to_owned(), line), "{key}");
    }
    assert!(all.iter().all(|it| !it.key.starts_with("shell.rules")), "{all:?}");
}

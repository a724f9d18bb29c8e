//! What holds of every setting, and who said so.

use std::collections::BTreeMap;

use url::Url;

use super::inspect::{Stated, stated};
use super::options::{Default, SECTIONS, Section, Setting};
use super::{Config, Source};

/// A setting as it is in force.
#[derive(Debug)]
pub struct InForce {
    /// Its name; of several tables of a kind with the number of the table, from 1: `models[2].name`.
    pub key: String,
    /// What is known of it.
    pub setting: &'static Setting,
    /// Its value as TOML, without what may be secret; nothing: as its default says in words.
    pub value: Option<String>,
    /// Who said so.
    pub source: Source,
    /// The line of the file that says so.
    pub line: Option<usize>,
}

/// Every setting as it is in force. Of tables of which there are none there are no settings.
#[must_use]
pub fn in_force(config: &Config) -> Vec<InForce> {
    let text = config.text.as_deref().unwrap_or_default();
    let mut said: BTreeMap<(&str, usize), Stated> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in stated(text) {
        let index = one.index.unwrap_or_default();
        let several = outermost(one.setting.section());
        let count = counts.entry(several).or_default();
        *count = (*count).max(index + 1);
        said.insert((one.setting.key, index), one);
    }
    let mut all = Vec::new();
    for section in SECTIONS.iter().filter(|section| !is_inner(section)) {
        let tables = match (section.many, counts.get(section.key)) {
            (true, count) => count.copied().unwrap_or_default(),
            (false, _) => 1,
        };
        for index in 0..tables {
            let inner = SECTIONS
                .iter()
                .filter(|inner| inner.key == section.key || outer(inner) == section.key && is_inner(inner));
            for setting in inner.flat_map(Section::settings) {
                let name = label(setting, section.many.then_some(index));
                all.push(one(config, setting, name, said.get(&(setting.key, index)), text));
            }
        }
    }
    all
}

/// The name of a setting with the number of its table, of several, from 1.
#[must_use]
pub fn label(setting: &Setting, index: Option<usize>) -> String {
    let several = outermost(setting.section());
    match index {
        Some(index) => format!("{several}[{}]{}", index + 1, &setting.key[several.len()..]),
        None => setting.key.to_owned(),
    }
}

fn one(
    config: &Config,
    setting: &'static Setting,
    key: String,
    stated: Option<&Stated>,
    text: &str,
) -> InForce {
    let line = stated.map(|stated| text[..stated.at.start].matches('\n').count() + 1);
    // What is read in another way than it is written, or goes behind a variable.
    let persona = match setting.key {
        "persona.user" => Some(&config.persona.user),
        "persona.assistant" => Some(&config.persona.assistant),
        _ => None,
    };
    if let Some(said) = persona {
        let value = Some(toml::Value::String(said.value.clone()).to_string());
        let line = line.filter(|_| said.source == Source::File);
        return InForce { key, setting, value, source: said.source.clone(), line };
    }
    match (stated, setting.default) {
        (Some(stated), _) => {
            InForce { key, setting, value: Some(harmless(stated)), source: Source::File, line }
        }
        (None, Default::Value(value)) => {
            InForce { key, setting, value: Some(value.to_owned()), source: Source::Default, line: None }
        }
        (None, _) => InForce { key, setting, value: None, source: Source::Default, line: None },
    }
}

/// A value without what may be secret: of a command only its program, of an address nothing that is not a place.
fn harmless(stated: &Stated) -> String {
    match stated.setting.name() {
        "api_key_command" => match &stated.value {
            toml::Value::Array(words) => match words.first() {
                Some(program) if words.len() > 1 => format!("[{program}, …]"),
                _ => stated.value.to_string(),
            },
            value => {
                let program =
                    value.as_str().unwrap_or_default().split_whitespace().next().unwrap_or_default();
                format!("\"{program} …\"")
            }
        },
        "base_url" | "proxy" => {
            let plain = stated.value.as_str().is_some_and(|text| {
                text == "none"
                    || Url::parse(text).is_ok_and(|url| {
                        url.username().is_empty() && url.password().is_none() && url.query().is_none()
                    })
            });
            if plain { stated.value.to_string() } else { "\"…\"".to_owned() }
        }
        _ => stated.value.to_string(),
    }
}

/// The table of which there may be several around `section`, or itself.
fn outermost(section: &'static str) -> &'static str {
    SECTIONS
        .iter()
        .filter(|other| other.many)
        .find(|other| section == other.key || outer_of(section) == other.key)
        .map_or(section, |other| other.key)
}

fn outer(section: &Section) -> &'static str {
    outer_of(section.key)
}

fn outer_of(section: &'static str) -> &'static str {
    section.rsplit_once('.').map_or("", |(above, _)| above)
}

/// Whether a table stands in one of which there may be several.
fn is_inner(section: &Section) -> bool {
    Section::find(outer(section)).is_some_and(|outer| outer.many)
}

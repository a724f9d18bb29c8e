//! `config show`: every setting with what holds and who said so.

use serde_json::{Value, json};

use super::variable;
use crate::cli::visible;
use crate::config::{
    Config, Default, InForce, SETTINGS, Secrets, Setting, Source, VARIABLES, Variable, in_force,
};
use crate::error::{Error, Result};
use crate::known;

/// Show every setting with its value in force and where that comes from; no secret is shown
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent config show\n  org-agent config show sessions.keep\n  \
                  org-agent config show --json | jq .file")]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only this setting, or those of this table; also a variable of the environment
    key: Option<String>,
}

/// What is shown of a setting, of the file or of the environment.
struct Line {
    key: String,
    value: Option<String>,
    source: String,
    line: Option<usize>,
    default: String,
    meaning: &'static str,
    shape: String,
    variable: Option<&'static str>,
    page: &'static str,
    restart: bool,
}

pub(super) fn text(args: &Args, config: &Config) -> Result<String> {
    let all: Vec<Line> = in_force(config)
        .into_iter()
        .map(|it| of_file(it, config))
        .chain(VARIABLES.iter().map(of_environment))
        .chain(keys(config))
        .collect();
    let chosen: Vec<&Line> = match args.key.as_deref() {
        None => all.iter().collect(),
        Some(key) => all.iter().filter(|line| is_meant(&line.key, key)).collect(),
    };
    if let (true, Some(key)) = (chosen.is_empty(), args.key.as_deref()) {
        return missing(key, &all);
    }
    if args.json {
        let file = config.paths.config_file();
        let answer = json!({
            "file": file.to_string_lossy(),
            "exists": config.has_file,
            "data": config.paths.data.to_string_lossy(),
            "answers": answers(config).0,
            "settings": chosen.iter().map(|line| line.to_json()).collect::<Vec<_>>(),
        });
        return Ok(format!("{}\n", known::masked(&format!("{answer:#}"))));
    }
    let text = match (args.key.is_some(), chosen.as_slice()) {
        (true, [one]) => one.in_full(),
        (true, some) => listed(some),
        (false, all) => {
            let there = if config.has_file { "" } else { " (not there, and not needed)" };
            format!(
                "file     {}{there}\ndata     {}\nanswers  {}\n\n{}",
                config.paths.config_file().display(),
                config.paths.data.display(),
                answers(config).1,
                listed(all)
            )
        }
    };
    Ok(visible(&known::masked(&text)).into_owned())
}

/// Which model answers where nothing else is said: for programs, and for people.
fn answers(config: &Config) -> (Value, String) {
    use crate::config::Choice;

    match config.choose_model(&Secrets::new()) {
        Ok(Choice::Remote(remote)) => {
            let source = remote.model.source.to_string();
            let text = format!("{} at {} ({source})", remote.name, remote.base_url.value);
            (json!({"model": remote.name, "baseUrl": remote.base_url.value.as_str(), "source": source}), text)
        }
        Ok(choice) => (json!({"model": choice.name()}), format!("{}, the built-in responder", choice.name())),
        Err(error) => {
            let line = error.one_line();
            (json!({"problem": line}), line)
        }
    }
}

fn of_file(it: InForce, config: &Config) -> Line {
    let source = match (&it.source, it.line) {
        (Source::File, Some(line)) => format!("{}:{line}", config.paths.config_file().display()),
        (source, _) => source.to_string(),
    };
    Line {
        key: it.key,
        value: it.value,
        source,
        line: it.line,
        default: without(it.setting),
        meaning: it.setting.meaning,
        shape: it.setting.shape.words(),
        variable: it.setting.variable,
        page: it.setting.page,
        restart: false,
    }
}

fn without(setting: &Setting) -> String {
    match setting.default {
        Default::Value(value) => value.to_owned(),
        Default::Nothing(what) => what.to_owned(),
        Default::Required => "none: it has to be there".to_owned(),
    }
}

fn of_environment(it: &'static Variable) -> Line {
    let value = variable(it.name).filter(|value| !value.trim().is_empty());
    from_environment(it.name, value, it.secret, it.default, it.meaning, it.page)
}

/// The variables of keys, those of the file and of the known providers.
fn keys(config: &Config) -> Vec<Line> {
    let mut names = config.key_variables();
    names.sort();
    names.dedup();
    names.retain(|name| VARIABLES.iter().all(|known| known.name != *name));
    let one = |name: String| {
        let value = variable(&name).filter(|value| !value.trim().is_empty());
        from_environment(&name, value, true, "none", "The key for a model's server.", "models.md")
    };
    names.into_iter().map(one).collect()
}

fn from_environment(
    name: &str,
    value: Option<String>,
    secret: bool,
    default: &str,
    meaning: &'static str,
    page: &'static str,
) -> Line {
    let source = if value.is_some() { "environment" } else { "default" };
    let shown =
        value.map(|value| if secret { "(set, and not shown)".to_owned() } else { place_only(name, value) });
    Line {
        key: name.to_owned(),
        value: shown,
        source: source.to_owned(),
        line: None,
        default: default.to_owned(),
        meaning,
        shape: "a text".to_owned(),
        variable: None,
        page,
        restart: true,
    }
}

/// An address may hold a password.
fn place_only(name: &str, value: String) -> String {
    let is_plain = !name.ends_with("_URL") && !name.ends_with("_HOST")
        || !value.contains('@') && !value.contains('?') && !value.contains('#');
    if is_plain { value } else { "(set, and not shown: it may hold a secret)".to_owned() }
}

/// Whether `key`, as the user wrote it, means the setting of this name: itself, its table, or its table of any number.
fn is_meant(name: &str, key: &str) -> bool {
    let key = key.trim_end_matches('.');
    let plain: String = plain(name);
    let is =
        |name: &str| name == key || name.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', '[']));
    is(name) || is(&plain)
}

/// A name without the number of its table.
fn plain(name: &str) -> String {
    match (name.find('['), name.find(']')) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &name[..from], &name[to + 1..]),
        _ => name.to_owned(),
    }
}

/// Nothing of this name is in force: it is one of a table that is not there, or none at all.
fn missing(key: &str, all: &[Line]) -> Result<String> {
    let plain = plain(key);
    let known = SETTINGS.iter().filter(|setting| is_meant(setting.key, &plain));
    let mut words = Vec::new();
    for setting in known {
        words.push(format!("{} = {}: {}", setting.key, setting.shown(), setting.meaning));
    }
    if words.is_empty() {
        let names =
            SETTINGS.iter().map(|setting| setting.key).chain(all.iter().map(|line| line.key.as_str()));
        let near = names.map(|name| (strsim::jaro_winkler(&plain, name), name));
        let near =
            near.max_by(|one, other| one.0.total_cmp(&other.0)).filter(|(likeness, _)| *likeness > 0.75);
        return Err(Error::not_found("there is no such setting").hint(match near {
            Some((_, name)) => format!("did you mean {name}?"),
            None => "see all of them: org-agent config show".to_owned(),
        }));
    }
    Err(Error::not_found("config.toml has no such table")
        .because("so none of its settings is in force")
        .hint(format!("what it could say:\n  {}", words.join("\n  "))))
}

fn listed(lines: &[&Line]) -> String {
    let width = lines.iter().map(|line| line.key.chars().count()).max().unwrap_or_default();
    let mut out = String::new();
    for line in lines {
        let value = line.value.clone().unwrap_or_else(|| format!("({})", line.default));
        let pad = " ".repeat(width - line.key.chars().count());
        out.push_str(&format!("{}{pad}  {value}  [{}]\n", line.key, line.source));
    }
    out
}

impl Line {
    fn to_json(&self) -> Value {
        json!({
            "key": self.key,
            "value": self.value,
            "source": self.source,
            "line": self.line,
            "default": self.default,
            "meaning": self.meaning,
            "shape": self.shape,
            "variable": self.variable,
            "page": self.page,
            "restart": self.restart,
        })
    }

    fn in_full(&self) -> String {
        let value = self.value.clone().unwrap_or_else(|| format!("({})", self.default));
        let mut out = format!("{}  {value}  [{}]\n\n{}\n", self.key, self.source, self.meaning);
        out.push_str(&format!("It is {}. Without it: {}.\n", self.shape, self.default));
        if let Some(variable) = self.variable {
            out.push_str(&format!("The variable {variable} goes before the file.\n"));
        }
        let when = if self.restart { "at the next start of the server" } else { "with the next message" };
        out.push_str(&format!("A change holds {when}. More: docs/{}\n", self.page));
        out
    }
}

//! What commands are judged by: the user's rules, those saved by "always", and where the session is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Kernel;
use crate::chosen::Limit;
use crate::config::{Config, Element, RuleSpec, Shell};
use crate::error::{Error, Result};
use crate::policy::Surroundings;
use crate::record::{Decision, Location};
use crate::sandbox;
use crate::shell::{self, Rule, Source};
use crate::whole;

/// The most bytes of the file with saved rules.
const MAX_FILE: u64 = 1 << 20;

/// A file with rules: the saved ones, or a project's.
#[derive(Default, serde::Deserialize, serde::Serialize)]
struct File {
    #[serde(default)]
    shell: Shell,
}

/// The rules of people: from the configuration, and saved.
///
/// # Errors
/// A file that cannot be read, or a rule that is wrong.
pub fn load(config: &Config) -> Result<Vec<Rule>> {
    let saved = read(&config.paths.saved_rules())?;
    let all = config.shell.rules.iter().map(|spec| (spec, Source::User));
    let all = all.chain(saved.shell.rules.iter().map(|spec| (spec, Source::Saved)));
    shell::check_count(config.shell.rules.len() + saved.shell.rules.len())?;
    all.map(|(spec, source)| Rule::new(spec.clone(), source)).collect()
}

/// The rules of the project in `directory`. If they are wrong every command there is asked, and it is said why.
#[must_use]
pub fn project(directory: &Path) -> Vec<Rule> {
    let path = directory.join(".org-agent").join("config.toml");
    let rules = read(&path).and_then(|file| {
        shell::check_count(file.shell.rules.len())?;
        file.shell.rules.into_iter().map(|spec| Rule::new(spec, Source::Project)).collect()
    });
    rules.unwrap_or_else(|error: Error| {
        tracing::warn!(%error, "the project's rules are wrong");
        let everything = RuleSpec {
            pattern: vec![Element::One("<any>...".into())],
            decision: Decision::Ask,
            reason: error.one_line(),
            matches: Vec::new(),
            not_match: Vec::new(),
        };
        Rule::new(everything, Source::Project).into_iter().collect()
    })
}

fn read(path: &Path) -> Result<File> {
    let failed = |why: String| {
        Error::bad_request(format!("cannot read {}", path.display()))
            .because(why)
            .hint("it holds rules for shell commands; mend it, or remove it to be asked again")
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => return Err(failed(error.to_string())),
        // Reading a pipe could wait for ever.
        Ok(data) if !data.is_file() => return Err(failed("it is no file".into())),
        Ok(data) if data.len() > MAX_FILE => return Err(failed("it has more than 1 MiB".into())),
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    toml::from_str(&text).map_err(|error| failed(error.message().to_owned()))
}

/// What commands at `location` are judged by; `rules` are those of people.
#[must_use]
pub fn surroundings(rules: &Arc<Vec<Rule>>, location: Option<&Location>) -> Surroundings {
    let host = location.and_then(|location| location.host.clone());
    at(rules, location.map(|location| PathBuf::from(&location.directory)), host)
}

/// The same for the directory `named` of this machine, which need not be UTF-8.
#[must_use]
pub fn here(rules: &Arc<Vec<Rule>>, named: &Path) -> Surroundings {
    at(rules, Some(named.to_owned()), None)
}

fn at(rules: &Arc<Vec<Rule>>, named: Option<PathBuf>, host: Option<String>) -> Surroundings {
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    // A directory of another machine says nothing about this one.
    let directory = named.as_ref().filter(|_| host.is_none()).and_then(|named| named.canonicalize().ok());
    let directory = directory.filter(|path| path.is_dir());
    let narrower = directory.as_deref().map(project).unwrap_or_default();
    let here = || std::env::current_dir().ok().and_then(|here| here.canonicalize().ok());
    Surroundings {
        rules: if narrower.is_empty() {
            Arc::clone(rules)
        } else {
            Arc::new(rules.iter().cloned().chain(narrower).collect())
        },
        missing: directory.is_none() && host.is_none() && named.is_some(),
        base: directory.clone().or(named).or_else(here).unwrap_or_else(|| "/".into()),
        directory,
        home: home.filter(|_| host.is_none()).map(|home| home.canonicalize().unwrap_or(home)),
        resolve: if host.is_some() { shell::by_text } else { shell::on_disk },
        confined: sandbox::confined,
        host,
        runs_here: false,
        limit: Limit::default(),
    }
}

impl Kernel {
    /// What the commands of a turn are judged by, whose session is at `location`.
    pub(super) fn surroundings(&self, location: Option<&Location>) -> Surroundings {
        Surroundings { runs_here: self.runs_here, ..surroundings(&self.rules, location) }
    }

    /// Remembers what the user said "always" to, on disk and from the next message on.
    pub(super) fn save_rules(&mut self, specs: &[RuleSpec]) -> Result<()> {
        let path = self.config.paths.saved_rules();
        let failed = |why: &dyn std::fmt::Display| {
            Error::internal(format!("cannot write {}", path.display())).because(why)
        };
        let mut file = read(&path)?;
        file.shell.rules.extend(
            specs.iter().filter(|spec| !file.shell.rules.contains(spec)).cloned().collect::<Vec<_>>(),
        );
        shell::check_count(file.shell.rules.len() + self.config.shell.rules.len())?;
        let text = toml::to_string(&file).map_err(|error| failed(&error))?;
        let text =
            format!("# Commands that you said \"always\" to. Remove what should be asked again.\n\n{text}");
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        // Whole or not at all: a rule cut short could permit more.
        whole::write(&path, &text).map_err(|error| failed(&error))?;
        self.rules = Arc::new(load(&self.config)?);
        Ok(())
    }
}

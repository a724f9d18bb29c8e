//! Configuration: what the user wrote in a file and in the environment, checked.
//!
//! Knows where files lie, who speaks, and which model was asked for. Does not open a database, reach a
//! network or run a command. Secrets never stand in the file; in memory they are [`SecretString`]s, which
//! print as `[REDACTED]`.

mod choice;
mod chosen;
mod file;
mod inspect;
mod local;
mod models;
mod options;
mod providers;
mod sample;
mod secrets;
mod sessions;
mod shape;
mod shell;
mod shown;

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

pub use choice::{Choice, OFFLINE, Offered};
pub use file::KeyCommand;
pub use inspect::{MOST as MOST_PROBLEMS, Problem, Stated, find, problems, stated};
pub use local::{LocalPorts, MAX_MODEL, base_url as local_url};
pub use models::{Key, Patience, Price, Proxy, Remote, Spend, Terms, amount};
pub use options::{Default, SECTIONS, SETTINGS, Section, Setting, VARIABLES, Variable};
pub use providers::{Dialect, PROVIDERS, Provider};
pub use sample::sample;
pub use secrets::Secrets;
pub use sessions::Sessions;
pub use shape::Shape;
pub use shell::{Element, RuleSpec, Shell};
pub use shown::{InForce, in_force, label};

use crate::error::{Error, Result};
use choice::Variables;
use chosen::Chosen;
use file::File;

/// The most bytes a configuration file may have.
const MAX_FILE: u64 = 1 << 20;

/// The most characters a name may have.
const MAX_NAME: usize = 100;

/// What the user configured.
#[derive(Clone)]
pub struct Config {
    /// Where files lie.
    pub paths: Paths,
    /// Who speaks.
    pub persona: Persona,
    /// What is said about shell commands.
    pub shell: Shell,
    /// What is kept of sessions, and where.
    pub sessions: Sessions,
    /// Whether there is a configuration file.
    pub has_file: bool,
    /// What stands in it.
    text: Option<String>,
    variables: Variables,
    models: Vec<models::Table>,
    /// The model that the user said yes to, and the file that says so.
    chosen: Option<Chosen>,
    chosen_text: Option<String>,
    /// What may be spent.
    pub spend: Spend,
    /// Where model servers on this machine are looked for.
    pub local: LocalPorts,
}

/// Where files lie. Nothing is created here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The directory of the configuration and the user's own skills.
    pub config: PathBuf,
    /// The directory of the database and the key.
    pub data: PathBuf,
}

/// The names of the two who speak, each one line of 1 to 100 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persona {
    /// The user's.
    pub user: Sourced<String>,
    /// The assistant's.
    pub assistant: Sourced<String>,
}

/// A value and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

/// Where a value came from. The later ones win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File,
    /// What the user chose when they were asked.
    Chosen,
    /// This environment variable.
    Variable(String),
    /// The client, under this name.
    Client(String),
}

impl fmt::Debug for Config {
    /// Without what was said about models: it is not checked yet, and may hold a secret in the wrong place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { paths, persona, shell, sessions, has_file, spend, local, .. } = self;
        f.debug_struct("Config")
            .field("paths", paths)
            .field("persona", persona)
            .field("shell", shell)
            .field("sessions", sessions)
            .field("has_file", has_file)
            .field("spend", spend)
            .field("local", local)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str("config.toml"),
            Self::Chosen => f.write_str("chosen-model.toml"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Client(name) => write!(f, "{name} from the client"),
        }
    }
}

impl Paths {
    /// The paths that `env` asks for: all under `ORG_AGENT_HOME`, else the XDG directories.
    ///
    /// # Errors
    /// Neither `ORG_AGENT_HOME` nor `HOME` is set.
    pub fn new(env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if let Some(home) = said(&env, "ORG_AGENT_HOME").map(PathBuf::from) {
            return Ok(Self { config: home.clone(), data: home });
        }
        let xdg = |name: &str, default: &str| {
            // The XDG specification has relative paths ignored.
            let base = said(&env, name).map(PathBuf::from).filter(|path| path.is_absolute());
            base.or_else(|| said(&env, "HOME").map(|home| Path::new(&home).join(default)))
                .map(|base| base.join("org-agent"))
                .ok_or_else(|| {
                    Error::bad_request("there is no place for configuration and data")
                        .because(format!("neither {name} nor HOME is set"))
                        .hint("set ORG_AGENT_HOME to a directory")
                })
        };
        Ok(Self { config: xdg("XDG_CONFIG_HOME", ".config")?, data: xdg("XDG_DATA_HOME", ".local/share")? })
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The directory of the user's own skills.
    #[must_use]
    pub fn skills(&self) -> PathBuf {
        self.config.join("skills")
    }

    /// The rules for the shell that were saved when the user said "always".
    #[must_use]
    pub fn saved_rules(&self) -> PathBuf {
        self.config.join("saved-rules.toml")
    }

    /// The model that the user chose, such as one of a server on this machine that was offered.
    #[must_use]
    pub fn chosen_model(&self) -> PathBuf {
        self.config.join("chosen-model.toml")
    }

    /// The skills of projects that the user trusts.
    #[must_use]
    pub fn trusted_skills(&self) -> PathBuf {
        self.config.join("trusted-skills.toml")
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.data.join("agent.db")
    }

    /// The file of the signing key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.data.join("key")
    }
}

impl Config {
    /// Reads the files that `env` leads to, if they are there, and the variables in `env`.
    ///
    /// # Errors
    /// A file that cannot be read or is wrong, with its line and what to do.
    pub fn load(env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut config = Self::load_unchosen(env)?;
        config.refresh()?;
        Ok(config)
    }

    /// The same without the model that the user chose, so that they can choose another one whatever stands there.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn load_unchosen(env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let paths = Paths::new(&env)?;
        let text = read(&paths.config_file())?;
        Self::new(paths, text.as_deref(), env)
    }

    /// The configuration of a file's `text` and the variables in `env`; empty variables count as unset.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn new(paths: Paths, text: Option<&str>, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let home = said(&env, "HOME");
        let (file, sessions) = file::parse(text.unwrap_or_default(), home.as_deref(), &paths.config_file())?;
        let File { persona, shell, mut models, spend, .. } = file;
        for model in &mut models {
            if let Some(variable) = model.key_variable() {
                model.key_from_env = said(&env, variable).map(SecretString::from);
            }
        }
        let name = |variable: &str, in_file: Option<String>, default: &str| {
            said(&env, variable)
                .and_then(|name| one_line(&name))
                .map(|value| Sourced { value, source: Source::Variable(variable.to_owned()) })
                .or_else(|| {
                    let value = one_line(&in_file?)?;
                    Some(Sourced { value, source: Source::File })
                })
                .unwrap_or_else(|| Sourced { value: default.to_owned(), source: Source::Default })
        };
        Ok(Self {
            persona: Persona {
                user: name("MEMEX_USER", persona.user, "User"),
                assistant: name("MEMEX_ASSISTANT", persona.assistant, "Passepartout"),
            },
            shell,
            sessions,
            has_file: text.is_some(),
            text: text.map(str::to_owned),
            variables: Variables::new(|name| said(&env, name)),
            models,
            chosen: None,
            chosen_text: None,
            spend,
            local: LocalPorts::new(|name| said(&env, name))?,
            paths,
        })
    }
}

/// The value of a variable, without blanks around it; an empty one counts as unset.
fn said(env: impl Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// `name` as one line of at most [`MAX_NAME`] characters without control characters, if any is left.
fn one_line(name: &str) -> Option<String> {
    let spaced: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = words.chars().take(MAX_NAME).collect();
    let cut = cut.trim_end();
    (!cut.is_empty()).then(|| cut.to_owned())
}

/// The text of `path`; `None` if there is no such file.
///
/// # Errors
/// It cannot be read, or is too long.
pub fn read(path: &Path) -> Result<Option<String>> {
    let failed = |why: &dyn fmt::Display| {
        Error::bad_request(format!("cannot read {}", path.display()))
            .because(why)
            .hint("make it a readable TOML file, or remove it")
    };
    // Reading a pipe could wait for ever.
    if std::fs::metadata(path).is_ok_and(|data| !data.is_file()) {
        return Err(failed(&"it is no file"));
    }
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let mut text = String::new();
    match file.take(MAX_FILE + 1).read_to_string(&mut text) {
        Err(error) => Err(failed(&error)),
        Ok(_) if text.len() as u64 > MAX_FILE => Err(failed(&"it has more than 1 MiB")),
        Ok(_) => Ok(Some(text)),
    }
}

#[cfg(test)]
mod tests;

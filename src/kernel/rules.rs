//! What commands are judged by: the user's rules, those saved by "always", and where the session is.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use super::Kernel;
use crate::config::{Config, RuleSpec, Shell};
use crate::error::{Error, Result};
use crate::policy::Surroundings;
use crate::sandbox;
use crate::shell::{self, Rule, Source};

/// The most bytes of the file with saved rules.
const MAX_FILE: u64 = 1 << 20;

/// The file with saved rules.
#[derive(Default, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
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

fn read(path: &Path) -> Result<File> {
    let failed = |why: String| {
        Error::bad_request(format!("cannot read {}", path.display()))
            .because(why)
            .hint("it holds the rules saved by \"always\"; mend it, or remove it to forget them")
    };
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(error) => return Err(failed(error.to_string())),
        Ok(data) if data.len() > MAX_FILE => return Err(failed("it has more than 1 MiB".into())),
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    toml::from_str(&text).map_err(|error| failed(error.message().to_owned()))
}

impl Kernel {
    /// What the commands of a turn are judged by, whose session is in `directory`.
    pub(super) fn surroundings(&self, directory: Option<&Path>) -> Surroundings {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        Surroundings {
            rules: Arc::clone(&self.rules),
            directory: directory
                .and_then(|directory| directory.canonicalize().ok())
                .filter(|path| path.is_dir()),
            home: home.map(|home| home.canonicalize().unwrap_or(home)),
            resolve: shell::on_disk,
            confined: sandbox::confined,
        }
    }

    /// Remembers what the user said "always" to, on disk and from the next message on.
    pub(super) fn save_rules(&mut self, specs: &[RuleSpec]) {
        if let Err(error) = self.try_save(specs) {
            tracing::error!(%error, "a rule could not be saved");
        }
    }

    fn try_save(&mut self, specs: &[RuleSpec]) -> Result<()> {
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
        let fresh = path.with_extension("toml.new");
        let mut out = fs::File::create(&fresh).map_err(|error| failed(&error))?;
        out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(|error| failed(&error))?;
        fs::rename(&fresh, &path).map_err(|error| failed(&error))?;
        self.rules = Arc::new(load(&self.config)?);
        Ok(())
    }
}

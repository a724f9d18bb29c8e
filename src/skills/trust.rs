//! Which skills of projects the user trusts: each file by the hash of what it was then, in `trusted-skills.toml` beside the
//! configuration. What it was is kept, too, so that a change can be shown.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::Stamp;
use crate::config::Paths;
use crate::error::{Error, Result};
use crate::ids::hex;
use crate::skill::Standing;
use crate::whole;

/// The most bytes of the file.
const MAX_FILE: u64 = 4 << 20;

/// What stands at its head.
const HEAD: &str = "# Skills of projects that you trust, each by the hash of what it was then. Remove one to trust it no more.\n\n";

/// What the user trusts.
pub struct Trust {
    file: PathBuf,
    texts: PathBuf,
    stamp: Option<Stamp>,
    known: BTreeMap<String, String>,
    problem: Option<String>,
}

#[derive(Default, Deserialize, Serialize)]
struct List {
    #[serde(default)]
    skill: Vec<Entry>,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    file: String,
    sha256: String,
}

impl Trust {
    /// What is trusted by the user whose files these are.
    pub fn new(paths: &Paths) -> Self {
        let (file, texts) = (paths.trusted_skills(), paths.data.join("trusted-skills"));
        Self { file, texts, stamp: None, known: BTreeMap::new(), problem: None }
    }

    /// Reads the file if it changed: another process may have written it. If it can not be read nothing is trusted, and
    /// the answer says why.
    pub fn refresh(&mut self) -> Option<&str> {
        let stamp = fs::metadata(&self.file).ok().map(|data| Stamp::of(&data));
        if stamp.is_none() || stamp != self.stamp || self.problem.is_some() {
            (self.known, self.problem) = match self.read() {
                Ok(known) => (known, None),
                Err(error) => (BTreeMap::new(), Some(error.one_line())),
            };
            self.stamp = stamp;
        }
        self.problem.as_deref()
    }

    fn read(&self) -> Result<BTreeMap<String, String>> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::bad_request(format!("cannot read {}", self.file.display()))
                .because(why)
                .hint("it holds the skills of projects that you trust; mend it, or remove it to trust none")
        };
        match fs::metadata(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(failed(&error)),
            Ok(data) if !data.is_file() || data.len() > MAX_FILE => {
                return Err(failed(&"it is no file of at most 4 MiB"));
            }
            Ok(_) => {}
        }
        let text = fs::read_to_string(&self.file).map_err(|error| failed(&error))?;
        let list: List = toml::from_str(&text).map_err(|error| failed(&error.message()))?;
        Ok(list.skill.into_iter().map(|entry| (entry.file, entry.sha256)).collect())
    }

    /// How a file with this content stands.
    pub fn standing(&self, file: &str, sha256: &[u8; 32]) -> Standing {
        match self.known.get(file) {
            None => Standing::Unknown,
            Some(known) if *known == hex(sha256) => Standing::Trusted,
            Some(_) => Standing::Changed,
        }
    }

    /// What a file was when it was trusted last, as far as that is kept.
    pub fn before(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.texts.join(self.known.get(file)?)).ok()
    }

    /// Trusts a file with this content, which is `text` for people.
    pub fn trust(&mut self, file: &str, sha256: &[u8; 32], text: &str) -> Result<()> {
        let hash = hex(sha256);
        let kept = fs::create_dir_all(&self.texts).and_then(|()| fs::write(self.texts.join(&hash), text));
        kept.map_err(|error| {
            Error::internal(format!("cannot write {}", self.texts.display())).because(error)
        })?;
        self.change(|known| drop(known.insert(file.to_owned(), hash)))
    }

    /// Trusts a file no more; whether it was trusted.
    pub fn revoke(&mut self, file: &str) -> Result<bool> {
        let mut there = false;
        self.change(|known| there = known.remove(file).is_some())?;
        Ok(there)
    }

    /// The files that were trusted, as they are now or were once.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }

    fn change(&mut self, change: impl FnOnce(&mut BTreeMap<String, String>)) -> Result<()> {
        // Another process may be at it: what it writes would be lost.
        let lock = self.file.with_extension("lock");
        let locked = fs::create_dir_all(self.file.parent().unwrap_or(Path::new(".")))
            .and_then(|()| fs::File::create(&lock))
            .and_then(|file| file.lock().map(|()| file));
        let _lock = locked
            .map_err(|error| Error::internal(format!("cannot lock {}", lock.display())).because(error))?;
        let mut known = self.read()?;
        change(&mut known);
        let skill = known.iter().map(|(file, sha256)| Entry { file: file.clone(), sha256: sha256.clone() });
        let list = List { skill: skill.collect() };
        let failed = |why: &dyn std::fmt::Display| {
            Error::internal(format!("cannot write {}", self.file.display())).because(why)
        };
        let text = toml::to_string(&list).map_err(|error| failed(&error))?;
        whole::write(&self.file, &format!("{HEAD}{text}")).map_err(|error| failed(&error))?;
        (self.known, self.stamp) = (known, None);
        Ok(())
    }
}

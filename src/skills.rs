//! Where skills come from: embedded notes and the user's directory, read again when they change, and the files of folders.
//!
//! The only place that knows skill files on disk. What a note means is [`crate::skill`]'s business.

mod builtin;
mod files;
mod project;
mod resources;
mod trust;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::config::{Config, Paths, Source};
use crate::error::{Code, Error, Result};
use crate::lisp::Environment;
use crate::skill::{Content, Given, Origin, Shelf, Skill, Workshop};
use files::Files;
use project::Project;
use trust::Trust;

pub use builtin::NOTES as BUILTIN;
pub use project::Review;
pub use resources::{load, of as resources};
pub use watch::{Watch, watch};

/// How the file of a built-in note begins where it is shown.
pub const BUILTIN_DIRECTORY: &str = "built-in/";

/// The variables that notes may see, if they are set. `MEMEX_USER` and `MEMEX_ASSISTANT` beside them, as configured.
const VARIABLES: &[&str] = &["USER", "LANG", "TZ"];

/// What notes see of the world: who speaks, if that was said anywhere, and a few variables of the environment.
#[must_use]
pub fn environment(config: &Config, env: impl Fn(&str) -> Option<String>) -> Arc<dyn Environment> {
    let mut seen: BTreeMap<String, String> =
        VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), env(name)?))).collect();
    for (name, said) in [("MEMEX_USER", &config.persona.user), ("MEMEX_ASSISTANT", &config.persona.assistant)]
    {
        if said.source != Source::Default {
            seen.insert(name.to_owned(), said.value.clone());
        }
    }
    Arc::new(seen)
}

/// Everything that is known of a skill, with the files of a folder.
#[must_use]
pub fn describe(skill: &Skill, shelf: &Shelf) -> serde_json::Value {
    let files = skill.folder().map(|folder| resources(folder).0).unwrap_or_default();
    let mut object = skill.to_json_in_full(shelf);
    object["resources"] = files.into();
    object
}

/// All notes, and the skills they make.
pub struct Library {
    directory: PathBuf,
    files: Files,
    /// Further notes, each a file of its own.
    more: Vec<PathBuf>,
    project: Option<Project>,
    trust: Trust,
    builtin: Vec<Given>,
    workshop: Workshop,
    given: Vec<Given>,
    shelf: Arc<Shelf>,
}

impl Library {
    /// Reads all notes. What is wrong with one is a problem on the shelf, never an error here.
    #[must_use]
    pub fn open(paths: &Paths, env: Arc<dyn Environment>) -> Self {
        Self::open_in(paths, Workshop::new(env))
    }

    /// The same with what the project in `directory` brings along, as far as the user trusts it. `None` if that is nothing.
    #[must_use]
    pub fn of_project(paths: &Paths, env: Arc<dyn Environment>, directory: &Path) -> Option<Self> {
        let project = Project::find(directory)?;
        let mut library = Self::open(paths, env);
        library.project = Some(project);
        library.refresh();
        Some(library)
    }

    /// The same, with skills from this workshop.
    #[must_use]
    pub fn open_in(paths: &Paths, workshop: Workshop) -> Self {
        let given = |(name, text): &(&str, &str)| Given {
            origin: Origin::Builtin,
            file: format!("{BUILTIN_DIRECTORY}{name}"),
            content: Arc::new(Content::new(text.as_bytes())),
        };
        let mut library = Self {
            directory: paths.skills(),
            files: Files::default(),
            more: Vec::new(),
            project: None,
            trust: Trust::new(paths),
            builtin: BUILTIN.iter().map(given).collect(),
            workshop,
            given: Vec::new(),
            shelf: Arc::default(),
        };
        library.refresh();
        library
    }

    /// The skills as they were at the last [`refresh`](Self::refresh).
    #[must_use]
    pub fn shelf(&self) -> Arc<Shelf> {
        Arc::clone(&self.shelf)
    }

    /// Where the user's notes are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Adds a note or a folder that lies elsewhere, after all others; the name under which it is shown. One that is
    /// there already is not added again.
    pub fn add(&mut self, path: &Path) -> String {
        let folder = path.is_dir().then(|| files::in_folder(path));
        let path = folder.as_deref().unwrap_or(path);
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let same = |file: &str| Path::new(file).canonicalize().is_ok_and(|other| other == real);
        let there = self.given.iter().find(|note| note.origin != Origin::Builtin && same(&note.file));
        if let Some(there) = there {
            return there.file.clone();
        }
        self.more.push(path.to_owned());
        self.refresh();
        files::shown(path)
    }

    /// Whether this note, as it is shown, says nothing of being a skill.
    #[must_use]
    pub fn is_something_else(&self, file: &str) -> bool {
        self.given.iter().any(|note| note.file == file && note.content.is_something_else())
    }

    /// Reads what changed on disk, and tries again what there was no time for; the new shelf if it is another.
    pub fn refresh(&mut self) -> Option<Arc<Shelf>> {
        let mut notes = self.builtin.clone();
        self.files.read(&self.directory, Origin::User, &mut notes);
        for path in &self.more {
            notes.push(Given {
                origin: Origin::User,
                file: files::shown(path),
                content: files::content(path),
            });
        }
        let project = self.project.as_mut();
        let untrusted = project.map(|project| project.read(&mut self.trust, &mut notes)).unwrap_or_default();
        let same = untrusted == self.shelf.untrusted()
            && notes.len() == self.given.len()
            && notes.iter().zip(&self.given).all(|(new, old)| new.is_same(old));
        if same && !self.workshop.is_due() {
            return None;
        }
        let shelf = self.workshop.update(&notes, Instant::now()).beside(untrusted);
        self.given = notes;
        if same && shelf.is_same(&self.shelf) {
            return None;
        }
        self.shelf = Arc::new(shelf);
        Some(self.shelf())
    }

    /// What the user looks at before they trust the project's skill in `file`, as it is shown.
    ///
    /// # Errors
    /// `not_found` if the project has no such skill, or it can not be read.
    pub fn review(&mut self, file: &str) -> Result<Review> {
        self.trust.refresh();
        self.reviewed(file).map(|(review, _)| review)
    }

    fn reviewed(&self, file: &str) -> Result<(Review, [u8; 32])> {
        let project = self.project.as_ref().ok_or_else(|| io::Error::other("there is no project here"));
        let review = project.and_then(|project| project.review(&self.trust, file));
        review.map_err(|error| {
            Error::not_found(format!("no skill of this project is in {file}")).because(error)
        })
    }

    /// Trusts the project's skill in `file` as it is now, which must be what has this hash.
    ///
    /// # Errors
    /// `conflict` if it is another by now; those of [`Self::review`]; `internal` if that can not be saved.
    pub fn trust(&mut self, file: &str, sha256: &str) -> Result<()> {
        let (review, hash) = self.reviewed(file)?;
        if review.skill.sha256 != sha256 {
            return Err(Error::new(Code::Conflict, format!("{file} has changed since it was looked at"))
                .hint("look at it again, then decide"));
        }
        self.trust.trust(file, &hash, &review.text)?;
        self.refresh();
        Ok(())
    }

    /// Trusts the project's skill in `file` no more; whether it was trusted.
    ///
    /// # Errors
    /// `internal` if that can not be saved.
    pub fn revoke(&mut self, file: &str) -> Result<bool> {
        let was = self.trust.revoke(file)?;
        self.refresh();
        Ok(was)
    }

    /// The files of this project that are trusted, as they are now or were once.
    #[must_use]
    pub fn trusted_files(&mut self) -> Vec<String> {
        self.trust.refresh();
        let Some(project) = &self.project else { return Vec::new() };
        self.trust.files().filter(|file| project.has(file)).map(str::to_owned).collect()
    }
}

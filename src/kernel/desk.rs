//! Where skills are read, trusted and called: beside the loop.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::config::Paths;
use crate::error::{Error, Result};
use crate::lisp::Environment;
use crate::skill::Shelved;
use crate::skills::{Library, Review};

/// Of how many projects the skills are kept loaded.
const PROJECTS: usize = 8;

/// Skills are read and called beside the loop, and by no more at once than there are processors to spare, so that the
/// loop stays quick and a call's time is its own.
#[derive(Clone)]
pub(super) struct Desk {
    shelves: Arc<Mutex<Shelves>>,
    seats: Arc<Semaphore>,
}

struct Shelves {
    paths: Paths,
    env: Arc<dyn Environment>,
    own: Library,
    /// The skills of projects with the user's, the one used last at the end.
    projects: Vec<(PathBuf, Library)>,
}

impl Desk {
    /// A desk over the user's `library`.
    pub(super) fn new(paths: Paths, env: Arc<dyn Environment>, own: Library) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let seats = Arc::new(Semaphore::new(processors.saturating_sub(1).max(1)));
        let shelves = Shelves { paths, env, own, projects: Vec::new() };
        Self { shelves: Arc::new(Mutex::new(shelves)), seats }
    }

    /// Does `work` once there is a seat. Nothing comes of work that panics.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        // The semaphore is never closed.
        let seat = Arc::clone(&self.seats).acquire_owned().await.ok()?;
        let desk = self.clone();
        spawn_blocking(move || {
            let done = work(&desk);
            drop(seat);
            done
        })
        .await
        .ok()
    }

    fn with<T>(&self, work: impl FnOnce(&mut Shelves) -> T) -> T {
        work(&mut self.shelves.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The skills as they are on disk now, all that are loaded; the user's first.
    pub(super) fn all(&self) -> Vec<Shelved> {
        self.with(|shelves| {
            shelves.own.refresh();
            let projects = shelves.projects.iter_mut().map(|(project, library)| {
                library.refresh();
                Shelved { project: Some(project.clone()), shelf: library.shelf() }
            });
            let projects: Vec<Shelved> = projects.collect();
            [Shelved { project: None, shelf: shelves.own.shelf() }].into_iter().chain(projects).collect()
        })
    }

    /// The skills as notes that see `env` make them; the user's first. Those of projects are read when they are needed.
    pub(super) fn reopen(&self, env: Arc<dyn Environment>) -> Vec<Shelved> {
        self.with(|shelves| {
            shelves.own = Library::open(&shelves.paths, Arc::clone(&env));
            shelves.env = env;
            shelves.projects.clear();
            vec![Shelved { project: None, shelf: shelves.own.shelf() }]
        })
    }

    /// The skills as they are on disk now: the user's, and those for a session in `directory`, which are the same if there
    /// are none of a project.
    pub(super) fn newest(&self, directory: Option<&Path>) -> (Shelved, Shelved) {
        self.with(|shelves| {
            shelves.own.refresh();
            let own = Shelved { project: None, shelf: shelves.own.shelf() };
            let project = directory.and_then(|directory| {
                let shelf = shelves.project(directory)?.shelf();
                Some(Shelved { project: Some(directory.to_owned()), shelf })
            });
            (own.clone(), project.unwrap_or(own))
        })
    }

    /// What of the project in `directory` waits to be looked at: in `file`, or all that nobody trusts.
    pub(super) fn review(&self, directory: &Path, file: Option<&str>) -> Result<Vec<Value>> {
        self.with(|shelves| {
            let Some(library) = shelves.project(directory) else { return Ok(Vec::new()) };
            match file {
                Some(file) => library.review(file).map(|review| vec![review.to_json()]),
                // Their texts may be many and long: each is asked for by itself.
                None => Ok(library.shelf().untrusted().iter().map(Review::without_text).collect()),
            }
        })
    }

    /// Trusts what `file` of the project in `directory` is now, by its hash; without one, trusts it no more.
    pub(super) fn trust(&self, directory: &Path, file: &str, sha256: Option<&str>) -> Result<Shelved> {
        self.with(|shelves| {
            let library = shelves.project(directory).ok_or_else(|| {
                Error::not_found(format!("{} brings no skills along", directory.display()))
                    .hint("a project has skills in .org-agent/skills or .agents/skills")
            })?;
            match sha256 {
                Some(sha256) => library.trust(file, sha256)?,
                None => drop(library.revoke(file)?),
            }
            Ok(Shelved { project: Some(directory.to_owned()), shelf: library.shelf() })
        })
    }

    /// Where the user's notes are.
    pub(super) fn directory(&self) -> PathBuf {
        self.with(|shelves| shelves.own.directory().to_owned())
    }
}

impl Shelves {
    /// The library of the project in `directory` as it is now, if it brings anything along.
    fn project(&mut self, directory: &Path) -> Option<&mut Library> {
        let known = self.projects.iter().position(|(project, _)| project == directory);
        let entry = match known {
            Some(at) => {
                let mut entry = self.projects.remove(at);
                entry.1.refresh();
                entry
            }
            None => {
                let library = Library::of_project(&self.paths, Arc::clone(&self.env), directory)?;
                if self.projects.len() >= PROJECTS {
                    self.projects.remove(0);
                }
                (directory.to_owned(), library)
            }
        };
        self.projects.push(entry);
        self.projects.last_mut().map(|(_, library)| library)
    }
}

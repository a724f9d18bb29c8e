//! Tells when notes change on disk, as far as the system does. Where it does not, each turn looks for itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use notify::event::{EventKind, ModifyKind};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use super::files::MAX_NOTES;

/// How long nothing may happen before it is told: an editor saves in several steps.
const QUIET: Duration = Duration::from_millis(50);

/// How long it is waited for quiet at most.
const PATIENCE: Duration = Duration::from_millis(250);

/// Watches as long as it lives.
pub struct Watch {
    /// Without a sender the thread ends.
    _wake: SyncSender<()>,
    _watcher: Arc<Mutex<Places>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// Calls `notify`, on a thread of its own, some 50 ms after something about the notes in `directory` changed, whether
/// it exists by now or not. It may be a file, too. `None`, which is logged, if the system does not tell.
#[must_use]
pub fn watch(directory: &Path, notify: impl Fn() + Send + 'static) -> Option<Watch> {
    match start(directory, notify) {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!(%error, directory = %directory.display(), "changes there are not told by the system; each message looks for them");
            None
        }
    }
}

fn start(directory: &Path, notify: impl Fn() + Send + 'static) -> notify::Result<Watch> {
    let directory = &std::path::absolute(directory).map_err(notify::Error::io)?;
    // One place is enough: a second change before the first is taken is told with it.
    let (wake, woken) = sync_channel(1);
    let lost = Arc::new(Mutex::new(BTreeSet::new()));
    let listener = Listener {
        places: [directory.to_owned(), real(directory)],
        wake: wake.clone(),
        lost: Arc::clone(&lost),
    };
    let watcher = notify::recommended_watcher(move |event| listener.hear(event))?;
    let mut places = Places { directory: directory.to_owned(), watcher, watched: BTreeSet::new(), lost };
    places.arm()?;
    let places = Arc::new(Mutex::new(places));
    let theirs = Arc::downgrade(&places);
    thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || {
            while wait(&woken) {
                // Watched first, told then: what happens between is told again.
                let Some(places) = theirs.upgrade() else { return };
                if let Err(error) = places.lock().unwrap_or_else(PoisonError::into_inner).arm() {
                    tracing::warn!(%error, "some changes are not told by the system; each message looks for them");
                }
                drop(places);
                notify();
            }
        })
        .map_err(notify::Error::io)?;
    Ok(Watch { _wake: wake, _watcher: places })
}

/// Where a path leads, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let there = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    let Some((above, real)) = there else { return path.to_owned() };
    path.strip_prefix(above).map_or(real.clone(), |rest| real.join(rest))
}

/// Waits for a change, and then for quiet. False if there will be no more.
fn wait(woken: &Receiver<()>) -> bool {
    if woken.recv().is_err() {
        return false;
    }
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        match woken.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

/// What hears of events.
struct Listener {
    /// The directory, by its name and by where that leads: some systems tell the one, some the other.
    places: [PathBuf; 2],
    wake: SyncSender<()>,
    /// Places that are gone, or are other ones now under the same name.
    lost: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Listener {
    fn hear(&self, event: notify::Result<Event>) {
        if let Ok(event) = event {
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            let ours = |path: &PathBuf| {
                self.places.iter().any(|place| path.starts_with(place) || place.starts_with(path))
            };
            if !event.need_rescan() && !event.paths.iter().any(ours) {
                return;
            }
            if matches!(event.kind, EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))) {
                let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MAX_NOTES.saturating_sub(lost.len());
                lost.extend(event.paths.into_iter().take(room));
            }
        }
        // A full channel has the news already.
        let _ = self.wake.try_send(());
    }
}

/// What is watched.
struct Places {
    directory: PathBuf,
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    lost: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Places {
    /// Watches the directory and those in it; if it does not exist, the nearest above that does.
    fn arm(&mut self) -> notify::Result<()> {
        for path in std::mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner)) {
            if self.watched.remove(&path) {
                // It may be gone already.
                drop(self.watcher.unwatch(&path));
            }
        }
        let wanted = wanted(&self.directory);
        for path in self.watched.difference(&wanted) {
            drop(self.watcher.unwatch(path));
        }
        self.watched.retain(|path| wanted.contains(path));
        let mut outcome = Ok(());
        for path in wanted {
            if self.watched.contains(&path) {
                continue;
            }
            match self.watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(path)),
                // It went away just now; that is told, too.
                Err(_) if !path.exists() => {}
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }
}

fn wanted(directory: &Path) -> BTreeSet<PathBuf> {
    let Some(base) = directory.ancestors().find(|path| path.is_dir()) else { return BTreeSet::new() };
    let mut wanted = BTreeSet::from([base.to_owned()]);
    if base == directory {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let directories = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
        wanted.extend(directories.take(MAX_NOTES));
    }
    wanted
}

//! Bubblewrap: a file system of mounts, and processes, network and terminals of its own.
//!
//! Here are its arguments and nothing else; what runs it is in `stages`.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::places::{self, Access, Guard, Plan};
use crate::error::{Error, Result};

/// Where the confined command finds this program, to be confined further by it.
pub const SELF: &str = "/run/org-agent";

/// What of `/run` is shown where it exists: on NixOS, the system itself.
const RUN: &[&str] = &["/run/current-system", "/run/booted-system", "/run/opengl-driver"];

/// `bwrap`, as found in the directories of `path`, but in none that a confined command may write.
///
/// # Errors
/// There is none.
pub fn find(path: Option<&OsStr>, roots: &[PathBuf]) -> Result<PathBuf> {
    let named = path.into_iter().flat_map(std::env::split_paths);
    named
        .chain([PathBuf::from("/usr/bin"), PathBuf::from("/bin")])
        .filter(|dir| dir.is_absolute())
        .filter_map(|dir| fs::canonicalize(dir.join("bwrap")).ok())
        .find(|file| file.is_file() && !roots.iter().any(|root| file.starts_with(root)))
        .ok_or_else(|| {
            Error::internal("bubblewrap is not installed")
                .because("there is no bwrap in PATH")
                .hint("install it, e.g. with: sudo apt-get install bubblewrap")
        })
}

/// Whether `bwrap` can do here what it is asked for, tried in earnest.
///
/// # Errors
/// It cannot; with its own words.
pub fn try_out(bwrap: &Path) -> Result<()> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::internal("bubblewrap does not work here")
            .because(why)
            .hint("allow user namespaces to it: see \"The sandbox\" in docs/security.md")
    };
    let output = Command::new(bwrap)
        .args(namespaces(false))
        .args(["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--"])
        .arg(bwrap)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| failed(&error))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(&String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn namespaces(allow_net: bool) -> Vec<&'static str> {
    let mut arguments = vec![
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--die-with-parent",
        "--cap-drop",
        "ALL",
    ];
    if !allow_net {
        arguments.push("--unshare-net");
    }
    arguments
}

/// The arguments that make the namespaces and mounts of `plan`, up to the command. All that is guarded
/// within the writable directories has to exist.
#[must_use]
pub fn arguments(plan: &Plan, program: &Path, allow_net: bool) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = namespaces(allow_net).into_iter().map(OsString::from).collect();
    let mut add = |parts: &[&OsStr]| arguments.extend(parts.iter().map(|part| (*part).to_owned()));
    let word = OsStr::new;
    add(&["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"].map(word));
    add(&["--perms", "1777", "--tmpfs", "/tmp", "--tmpfs", "/run"].map(word));
    for path in RUN {
        add(&["--ro-bind-try", path, path].map(word));
    }
    let resolver = places::resolve(Path::new("/etc/resolv.conf"));
    if allow_net && resolver.starts_with("/run") {
        add(&[word("--ro-bind-try"), resolver.as_os_str(), resolver.as_os_str()]);
    }
    add(&[word("--ro-bind"), program.as_os_str(), word(SELF)]);
    for root in &plan.roots {
        add(&[word("--bind"), root.as_os_str(), root.as_os_str()]);
    }
    // What is mounted cannot be renamed: so each directory on the way to an exception is mounted as well,
    // lest it be moved aside with the exception in it, and another made in its place.
    let mut ways = BTreeSet::new();
    for guard in plan.guards.iter().filter(|guard| guard.path.exists()) {
        if let Some(root) = plan.root_of(&guard.path) {
            ways.extend(guard.path.ancestors().skip(1).take_while(|way| *way != root));
        }
    }
    let mut mounts: Vec<(&Path, Option<&Guard>)> = ways
        .into_iter()
        .filter(|way| !plan.guards.iter().any(|guard| way.starts_with(&guard.path)))
        .map(|way| (way, None))
        .collect();
    mounts.extend(
        plan.guards.iter().filter(|guard| shown(plan, guard)).map(|guard| (&*guard.path, Some(guard))),
    );
    mounts.sort_by_key(|(path, _)| *path);
    for (path, guard) in mounts {
        let path_word = path.as_os_str();
        match guard.map(|guard| guard.access) {
            None => add(&[word("--bind"), path_word, path_word]),
            Some(Access::Fixed) => add(&[word("--ro-bind"), path_word, path_word]),
            Some(Access::Hidden) if path.is_dir() => {
                add(&[word("--perms"), word("0000"), word("--tmpfs"), path_word]);
                add(&[word("--remount-ro"), path_word]);
            }
            // A device where devices are not allowed can be neither read nor written.
            Some(Access::Hidden) => add(&[word("--ro-bind"), word("/dev/null"), path_word]),
        }
    }
    add(&[word("--remount-ro"), word("/run")]);
    add(&[word("--chdir"), plan.workspace.as_os_str()]);
    arguments
}

/// Whether a guard needs a mount: it exists, and its place is shown and would not be treated so anyway.
fn shown(plan: &Plan, guard: &Guard) -> bool {
    let within = plan.writable(&guard.path);
    let private = ["/tmp", "/run", "/dev", "/proc"].iter().any(|dir| guard.path.starts_with(dir));
    guard.path.exists()
        && !guard.path.is_symlink()
        && (within || (guard.access == Access::Hidden && !private))
}

/// What was made only so that something can be mounted on it, locked while in use and removed afterwards.
#[derive(Debug, Default)]
pub struct Placeholders {
    made: Vec<(PathBuf, fs::File)>,
}

impl Placeholders {
    /// Makes what is guarded in the writable directories of `plan` and does not exist, and takes into the
    /// plan what was made.
    ///
    /// # Errors
    /// Something could not be made.
    pub fn make(plan: &mut Plan) -> Result<Self> {
        if let Some(link) = plan.links.first() {
            return Err(Error::internal(format!("{} cannot be protected", link.display()))
                .because("it is a symbolic link, which the command could replace")
                .hint("choose a directory further down with --dir, or use --mechanism landlock"));
        }
        let mut placeholders = Self::default();
        let mut covers = Vec::new();
        for guard in &plan.guards {
            let Some(root) = plan.root_of(&guard.path) else { continue };
            // The topmost part that is missing: below it, nothing can be made either.
            let missing = guard
                .path
                .ancestors()
                .take_while(|path| *path != root)
                .filter(|path| fs::symlink_metadata(path).is_err())
                .last();
            let existing = guard.path.clone();
            let Some(path) = missing.map(Path::to_owned) else {
                // Perhaps another sandbox made it, and relies on it.
                placeholders.share(&existing);
                continue;
            };
            let is_file = path == guard.path && places::is_file(&path);
            placeholders.add(&path, is_file).map_err(|error| {
                Error::internal(format!("{} could not be protected", path.display()))
                    .because(error)
                    .hint("check that the directory may be written, or choose another with --dir")
            })?;
            covers.push(Guard { path, access: Access::Fixed, absent_name: false });
        }
        for cover in covers {
            plan.guards.retain(|guard| guard.path == cover.path || !guard.path.starts_with(&cover.path));
            if !plan.guards.iter().any(|guard| guard.path == cover.path) {
                plan.guards.push(cover);
            }
        }
        Ok(placeholders)
    }

    fn add(&mut self, path: &Path, is_file: bool) -> std::io::Result<()> {
        // Unreadable, so that no shell takes an empty file for a start-up file.
        if is_file {
            drop(fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(path)?);
        } else {
            fs::DirBuilder::new().mode(0o500).create(path)?;
        }
        let file = fs::File::open(path)?;
        file.lock_shared()?;
        self.made.push((path.to_owned(), file));
        Ok(())
    }

    fn share(&mut self, path: &Path) {
        if is_placeholder(path)
            && let Ok(file) = fs::File::open(path)
            && file.try_lock_shared().is_ok()
        {
            self.made.push((path.to_owned(), file));
        }
    }

    /// Removes what was made, but what another sandbox uses and what is no longer empty.
    pub fn remove(self) {
        for (path, file) in self.made.into_iter().rev() {
            drop(file.unlock());
            if file.try_lock().is_ok() && is_placeholder(&path) {
                // What cannot be removed is empty and does no harm.
                drop(if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) });
            }
        }
    }
}

/// Whether what is at `path` looks as [`Placeholders`] makes it: empty, and with its mode.
fn is_placeholder(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::symlink_metadata(path).is_ok_and(|found| match found.mode() & 0o170_777 {
        0o100_400 => found.len() == 0,
        0o040_500 => fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()),
        _ => false,
    })
}

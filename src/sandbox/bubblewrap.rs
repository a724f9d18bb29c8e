//! Bubblewrap: a file system of mounts, and processes, network and terminals of its own.
//!
//! Here are its arguments and nothing else; what runs it is in `stages`.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::landlock;
use super::places::{self, Access, Guard, Plan};
use crate::error::{Error, Result};

/// Where the confined command finds this program, to be confined further by it.
pub const SELF: &str = "/run/org-agent";

/// What of `/run` is shown where it exists: on NixOS, the system itself.
const RUN: &[&str] = &["/run/current-system", "/run/booted-system", "/run/opengl-driver"];

/// How often, and after what time, a placeholder that another sandbox is just removing is tried again.
const ATTEMPTS: u32 = 100;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

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
/// within the writable directories has to exist. What has to be open meanwhile is added to `open`.
///
/// # Errors
/// A directory could not be opened.
pub fn arguments(
    plan: &Plan,
    program: &Path,
    allow_net: bool,
    open: &mut Vec<OwnedFd>,
) -> Result<Vec<OsString>> {
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
    let bind = if plan.read_only { "--ro-bind" } else { "--bind" };
    for root in &plan.roots {
        add(&[word(bind), root.as_os_str(), root.as_os_str()]);
    }
    // What is mounted cannot be renamed: so each directory on the way to an exception is mounted as well,
    // lest it be moved aside with the exception in it, and another made in its place.
    let mut ways = BTreeSet::new();
    for guard in plan.guards.iter().filter(|guard| !plan.read_only && guard.path.exists()) {
        if let Some(root) = plan.root_of(&guard.path) {
            ways.extend(guard.path.ancestors().skip(1).take_while(|way| *way != root));
        }
    }
    // By what is open, not by path: another sandbox could put a link there just now, and have what it leads
    // to mounted for writing.
    for way in ways.into_iter().filter(|way| !plan.guards.iter().any(|guard| way.starts_with(&guard.path))) {
        let directory = landlock::open(way).and_then(inherited).map_err(|error| {
            Error::internal(format!("{} cannot be mounted", way.display()))
                .because(error)
                .hint("check that nothing else changes it, and try again")
        })?;
        add(&[word("--bind-fd"), OsStr::new(&directory.as_raw_fd().to_string()), way.as_os_str()]);
        open.push(directory);
    }
    // What is hidden comes last, lest another mount uncover it.
    let (hidden, fixed): (Vec<&Guard>, Vec<&Guard>) = plan
        .guards
        .iter()
        .filter(|guard| shown(plan, guard))
        .partition(|guard| guard.access == Access::Hidden);
    for Guard { path, .. } in fixed {
        add(&[word("--ro-bind"), path.as_os_str(), path.as_os_str()]);
    }
    for Guard { path, .. } in hidden {
        if path.is_dir() {
            add(&[word("--perms"), word("0000"), word("--tmpfs"), path.as_os_str()]);
            add(&[word("--remount-ro"), path.as_os_str()]);
        } else {
            // A device where devices are not allowed can be neither read nor written.
            add(&[word("--ro-bind"), word("/dev/null"), path.as_os_str()]);
        }
    }
    add(&[word("--remount-ro"), word("/run")]);
    add(&[word("--chdir"), plan.workspace.as_os_str()]);
    Ok(arguments)
}

/// Lets the next program that is started have `file`.
pub fn inherited(file: OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    Ok(file)
}

/// Whether a guard needs a mount: it exists, and its place is shown and would not be treated so anyway.
fn shown(plan: &Plan, guard: &Guard) -> bool {
    let within = plan.writable(&guard.path);
    let private = ["/tmp", "/run", "/dev", "/proc"].iter().any(|dir| guard.path.starts_with(dir));
    let needed = match guard.access {
        Access::Fixed => within && !plan.read_only,
        Access::Hidden => within || !private,
    };
    // Looked at once: another sandbox, whose workspace it is in, may be making or removing it.
    let Ok(found) = fs::symlink_metadata(&guard.path) else { return false };
    // Our own placeholders are locked, and stay. Another's are empty: there is nothing to hide, and they may be gone at
    // any time, when nothing could be mounted there.
    needed && !found.is_symlink() && ((within && !plan.read_only) || !looks_made(&guard.path, &found))
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
        // Where nothing can be made there is nothing to keep from being made.
        if plan.read_only {
            return Ok(Self::default());
        }
        if let Some(link) = plan.links.first() {
            return Err(Error::internal(format!("{} cannot be protected", link.display()))
                .because("it is a symbolic link, which the command could replace")
                .hint("choose a directory further down with --dir, or use --mechanism landlock"));
        }
        let mut placeholders = Self::default();
        let mut covers = Vec::new();
        for guard in &plan.guards {
            let Some(root) = plan.root_of(&guard.path) else { continue };
            // The topmost part that is missing, or is another sandbox's and is to stay as long as this one:
            // below it, nothing can be made either.
            let steps = guard.path.ancestors().take_while(|path| *path != root);
            let missing = |path: &&Path| fs::symlink_metadata(path).is_err() || is_placeholder(path);
            let Some(path) = steps.filter(missing).last() else { continue };
            if placeholders.made.iter().any(|(made, _)| made == path) {
                continue;
            }
            let is_file = path == guard.path && places::is_file(path);
            placeholders.add(path, is_file).map_err(|error| {
                Error::internal(format!("{} could not be protected", path.display()))
                    .because(error)
                    .hint("check that the directory may be written, or choose another with --dir")
            })?;
            covers.push(Guard { path: path.to_owned(), access: Access::Fixed, absent_name: false });
        }
        for cover in covers {
            plan.guards.retain(|guard| guard.path == cover.path || !guard.path.starts_with(&cover.path));
            if !plan.guards.iter().any(|guard| guard.path == cover.path) {
                plan.guards.push(cover);
            }
        }
        Ok(placeholders)
    }

    /// Makes `path` or takes it over, and locks it. Another sandbox may be making or removing it.
    fn add(&mut self, path: &Path, is_file: bool) -> std::io::Result<()> {
        for _ in 0..ATTEMPTS {
            // Unreadable to others and never written, so that no shell takes it for a start-up file of its own.
            let made = if is_file {
                fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(path).map(drop)
            } else {
                fs::DirBuilder::new().mode(0o500).create(path)
            };
            match made {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            if let Ok(file) = fs::File::open(path)
                && file.try_lock_shared().is_ok()
                && let (Ok(locked), Ok(found)) = (file.metadata(), fs::symlink_metadata(path))
                && (locked.dev(), locked.ino()) == (found.dev(), found.ino())
            {
                self.made.push((path.to_owned(), file));
                return Ok(());
            }
            std::thread::sleep(PAUSE);
        }
        Err(std::io::Error::other("another sandbox keeps changing it"))
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
    fs::symlink_metadata(path).is_ok_and(|found| looks_made(path, &found))
}

/// The same of what was `found` at `path`. What is gone by now was empty.
fn looks_made(path: &Path, found: &fs::Metadata) -> bool {
    match found.mode() & 0o170_777 {
        0o100_400 => found.len() == 0,
        0o040_500 => fs::read_dir(path).map_or_else(
            |error| error.kind() == std::io::ErrorKind::NotFound,
            |mut entries| entries.next().is_none(),
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nothing_is_mounted_where_another_sandbox_has_a_placeholder() {
        // Not in /tmp, which is hidden as a whole.
        let home = tempfile::tempdir_in("/var/tmp").unwrap();
        let at = |name: &str| home.path().join(name);
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for (directory, bits) in [("ws", 0o700), (".ssh", 0o500), (".gnupg", 0o700), (".librewolf", 0o500)] {
            fs::create_dir(at(directory)).unwrap();
            if directory == ".ssh" {
                fs::write(at(".ssh/id"), "planted-secret").unwrap();
            }
            mode(&at(directory), bits);
        }
        for (file, text, bits) in
            [(".netrc", "", 0o400), (".pgpass", "planted-secret", 0o400), (".npmrc", "", 0o600)]
        {
            fs::write(at(file), text).unwrap();
            mode(&at(file), bits);
        }
        let names = [".ssh", ".gnupg", ".librewolf", ".mozilla", ".netrc", ".pgpass", ".npmrc"];
        let guard = |name: &&str| Guard { path: at(name), access: Access::Hidden, absent_name: false };
        let mut plan = Plan {
            workspace: at("ws"),
            roots: vec![at("ws")],
            read_only: false,
            guards: names.iter().map(guard).collect(),
            links: Vec::new(),
        };
        let hidden = |plan: &Plan| -> Vec<PathBuf> {
            plan.guards.iter().filter(|guard| shown(plan, guard)).map(|guard| guard.path.clone()).collect()
        };
        assert_eq!(hidden(&plan), [".ssh", ".gnupg", ".pgpass", ".npmrc"].map(at));
        // In the workspace it is this one's own, and locked.
        plan.roots = vec![home.path().to_owned()];
        assert_eq!(hidden(&plan).len(), names.len() - 1, "all but what is not there");
        plan.read_only = true;
        assert_eq!(hidden(&plan).len(), names.len() - 3);
    }
}

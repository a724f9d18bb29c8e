//! Where a command would run, and whether a path it names may be read without asking.
//!
//! It knows names; the file system is asked through a function of the caller.

use std::path::{Component, Path, PathBuf};

/// Where a command would run.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The directory that commands may read without asking: absolute, links resolved.
    pub workspace: &'a Path,
    /// The directory the command would run in: absolute.
    pub directory: &'a Path,
    /// The user's home directory.
    pub home: Option<&'a Path>,
    /// What an absolute path leads to, all links followed, whether its end exists or not; nothing if that cannot
    /// be told.
    pub resolve: &'a dyn Fn(&Path) -> Option<PathBuf>,
}

impl Place<'_> {
    /// Whether a program may read `path` without asking.
    ///
    /// # Errors
    /// In a few words, why not.
    pub fn may_read(&self, path: &str) -> Result<(), &'static str> {
        if path.is_empty() {
            return Err("an empty path");
        }
        if path == "/dev/null" {
            return Ok(());
        }
        let named = self.directory.join(path);
        let real = (self.resolve)(&named).ok_or("a path that leads nowhere")?;
        if !real.starts_with(self.workspace) {
            return Err("a path outside the workspace");
        }
        let below = real.strip_prefix(self.workspace).unwrap_or(&real);
        if is_secret(below) || is_secret(Path::new(path)) {
            return Err("a file that may hold secrets");
        }
        Ok(())
    }

    /// The absolute path that a word means, by its text alone.
    #[must_use]
    pub fn absolute(&self, path: &str) -> PathBuf {
        normal(&self.directory.join(path))
    }

    /// Whether an absolute path is the root, the home directory or above it, or not inside the workspace; by
    /// its text and by where it leads.
    ///
    /// # Errors
    /// In a few words, which of these it is.
    pub fn is_own(&self, path: &Path) -> Result<(), &'static str> {
        let real = (self.resolve)(path);
        for path in std::iter::once(path).chain(real.as_deref()) {
            if path == Path::new("/") {
                return Err("the root directory");
            }
            if self.home.is_some_and(|home| home.starts_with(path)) {
                return Err("the home directory");
            }
            if !path.starts_with(self.workspace) {
                return Err("a path outside the workspace");
            }
        }
        Ok(())
    }
}

/// `path` without `.` and `..`, by its text.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}

/// Directories and files whose content is usually a secret, wherever they stand.
fn is_secret(path: &Path) -> bool {
    const NAMES: &[&str] = &[
        ".authinfo",
        ".authinfo.gpg",
        ".aws",
        ".azure",
        ".docker",
        ".git",
        ".git-credentials",
        ".gnupg",
        ".htpasswd",
        ".kube",
        ".netrc",
        ".npmrc",
        ".org-agent",
        ".pgpass",
        ".pypirc",
        ".ssh",
        "credentials",
        "credentials.json",
        "secrets",
    ];
    const ENDINGS: &[&str] =
        &["asc", "der", "gpg", "jks", "kdbx", "key", "keystore", "p12", "pem", "pfx", "ppk", "tfstate"];
    path.components().any(|part| {
        let Component::Normal(name) = part else { return false };
        let Some(name) = name.to_str() else { return true };
        let name = name.to_ascii_lowercase();
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        NAMES.contains(&name.as_str())
            || name.starts_with(".env")
            || name.starts_with("id_rsa")
            || name.starts_with("id_ed25519")
            || name.starts_with("id_ecdsa")
            || name.starts_with("secrets.")
            || ending.is_some_and(|ending| ENDINGS.contains(&ending))
    })
}

/// What a path would lead to if there were no links, for [`Place::resolve`] where nobody can look.
#[must_use]
pub fn by_text(path: &Path) -> Option<PathBuf> {
    Some(normal(path))
}

/// What an absolute path leads to on this machine, for [`Place::resolve`]: what exists of it with all links
/// followed, and behind that the names that do not exist.
#[must_use]
pub fn on_disk(path: &Path) -> Option<PathBuf> {
    let mut missing = Vec::new();
    let mut existing = path;
    loop {
        match existing.canonicalize() {
            Ok(mut real) => {
                real.extend(missing.iter().rev());
                return Some(real);
            }
            // A link that leads to nothing yet can lead anywhere later.
            Err(_) if existing.is_symlink() => return None,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // `..` behind what does not exist means nothing yet.
                let Some(Component::Normal(name)) = existing.components().next_back() else { return None };
                missing.push(name);
                existing = existing.parent()?;
            }
            Err(_) => return None,
        }
    }
}

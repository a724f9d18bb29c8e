//! Which places a confined command may write, may only read, and may not see: the plan, without a mechanism.
//!
//! It looks at the file system to follow symbolic links, and changes nothing.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Spec;
use crate::config::Paths;
use crate::error::{Error, Result};

/// Places of secrets below a home directory: neither seen nor read.
const SECRETS: &[&str] = &[
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".oci",
    ".netrc",
    ".git-credentials",
    ".password-store",
    ".authinfo",
    ".authinfo.gpg",
    ".pgpass",
    ".my.cnf",
    ".npmrc",
    ".pypirc",
    ".vault-token",
    ".terraform.d/credentials.tfrc.json",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".bash_history",
    ".zsh_history",
    ".config/gcloud",
    ".config/gh",
    ".config/hub",
    ".config/git/credentials",
    ".config/containers/auth.json",
    ".config/op",
    ".config/rclone",
    ".config/sops",
    ".config/doctl",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".local/share/fish/fish_history",
    // Browsers and mail: sessions and saved passwords.
    ".mozilla",
    ".librewolf",
    ".thunderbird",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".config/microsoft-edge",
    ".config/vivaldi",
    ".config/opera",
    ".var/app",
    "snap",
];

/// Variables that name a place of secrets.
const SECRET_VARIABLES: &[&str] = &[
    "ORG_AGENT_HOME",
    "GNUPGHOME",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
    "KUBECONFIG",
    "CLOUDSDK_CONFIG",
    "DOCKER_CONFIG",
    "GH_CONFIG_DIR",
    "PASSWORD_STORE_DIR",
    "NETRC",
];

/// Places of the machine's secrets. A user who is not root cannot read them anyway.
const SYSTEM_SECRETS: &[&str] = &[
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssl/private",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
];

/// What a shell or a session obeys when it starts, below a home directory: never written.
const START_UP: &[&str] = &[
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".kshrc",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".inputrc",
    ".xprofile",
    ".xinitrc",
    ".xsession",
    ".xsessionrc",
    ".pam_environment",
    ".gitconfig",
    ".config/git",
    ".config/fish",
    ".config/environment.d",
    ".config/systemd",
    ".config/autostart",
    ".config/org-agent",
];

/// Programs and what starts them: not written, unless a directory given for writing is inside.
const PROGRAMS: &[&str] =
    &[".emacs", ".emacs.el", ".emacs.d", ".config/emacs", ".local/bin", "bin", ".cargo", ".rustup"];

/// Names that are never written in a directory given for writing.
const GUARDED: &[&str] = &[".git", ".org-agent"];

/// Which of the places above are files; the others are directories. Needed for those that are missing.
const FILES: &[&str] = &[
    ".netrc",
    ".git-credentials",
    ".authinfo",
    ".authinfo.gpg",
    ".pgpass",
    ".my.cnf",
    ".npmrc",
    ".pypirc",
    ".vault-token",
    "credentials.tfrc.json",
    "credentials",
    "credentials.toml",
    "auth.json",
    ".bash_history",
    ".zsh_history",
    "fish_history",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".zlogout",
    ".kshrc",
    ".cshrc",
    ".tcshrc",
    ".login",
    ".inputrc",
    ".xprofile",
    ".xinitrc",
    ".xsession",
    ".xsessionrc",
    ".pam_environment",
    ".gitconfig",
    ".emacs",
    ".emacs.el",
];

/// How deep below a writable directory other repositories are looked for, and how many directories.
const DEPTH: usize = 3;
const DIRECTORIES: usize = 4000;

/// Directories that the whole system needs: no directory given for writing may be one or hold one.
const SYSTEM: &[&str] =
    &["/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var"];

/// What one place is to a confined command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Read, not written.
    Fixed,
    /// Neither.
    Hidden,
}

/// A place that is treated otherwise than what is around it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guard {
    /// Where, without symbolic links but perhaps the last part. It need not exist.
    pub path: PathBuf,
    /// How.
    pub access: Access,
    /// Whether it exists only so that it may not be made: a `.git` in a directory that has none.
    pub absent_name: bool,
}

/// What a confined command may do where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where the command starts; one of `roots` or below one.
    pub workspace: PathBuf,
    /// What may be written: directories, none within another.
    pub roots: Vec<PathBuf>,
    /// None of them may be written after all.
    pub read_only: bool,
    /// The exceptions, in order of their paths; a hidden one before a fixed one at the same path.
    pub guards: Vec<Guard>,
    /// Symbolic links within `roots` on the way to an exception: whoever replaces one gets around it.
    pub links: Vec<PathBuf>,
}

impl Plan {
    /// The plan for `spec`, with the variables of `env` and the home directory that the account has.
    ///
    /// # Errors
    /// A directory that does not exist, or that may not be given for writing.
    pub fn new(
        spec: &Spec,
        env: &dyn Fn(&str) -> Option<OsString>,
        account_home: Option<PathBuf>,
    ) -> Result<Self> {
        let workspace = directory(&spec.workspace)?;
        let mut roots = vec![workspace.clone()];
        for dir in &spec.write {
            roots.push(directory(dir)?);
        }
        roots.sort();
        let all = roots.clone();
        let mut outer: Vec<PathBuf> = Vec::new();
        for root in roots {
            if !outer.iter().any(|other| root.starts_with(other)) {
                outer.push(root);
            }
        }
        let roots = outer;
        let mut guards = BTreeSet::new();
        let mut links = BTreeSet::new();
        let mut way = |place: &Path| {
            for step in place.ancestors() {
                let step = resolve_parent(step);
                if step.is_symlink() && roots.iter().any(|root| step.starts_with(root) && step != *root) {
                    links.insert(step);
                }
            }
        };
        for (place, access, loose) in named(env, account_home) {
            way(&place);
            for path in [resolve_parent(&place), resolve(&place)] {
                if !(loose && roots.iter().any(|root| root.starts_with(&path))) {
                    guards.insert((path, access, false));
                }
            }
        }
        for root in &roots {
            for name in GUARDED {
                let path = root.join(name);
                way(&path);
                let absent = fs::symlink_metadata(&path).is_err();
                guards.insert((path, Access::Fixed, absent));
            }
            let mut left = DIRECTORIES;
            repositories(root, DEPTH, &mut left, &mut guards);
        }
        // A link from a guarded place leads to another that has to be guarded as well.
        let targets: Vec<_> =
            guards.iter().map(|(path, access, _)| (resolve(path), *access, false)).collect();
        for target in targets {
            if !guards.iter().any(|(path, access, _)| *path == target.0 && *access == target.1) {
                guards.insert(target);
            }
        }
        let mut guards: Vec<_> = guards
            .into_iter()
            .map(|(path, access, absent_name)| Guard { path, access, absent_name })
            .collect();
        guards.sort_by(|a, b| a.path.cmp(&b.path).then(b.access.cmp(&a.access)));
        guards.dedup_by(|later, earlier| later.path == earlier.path);
        // What is within a hidden place needs no word of its own.
        let hidden: Vec<PathBuf> = guards
            .iter()
            .filter(|guard| guard.access == Access::Hidden)
            .map(|guard| guard.path.clone())
            .collect();
        guards.retain(|guard| {
            !hidden.iter().any(|hidden| guard.path != *hidden && guard.path.starts_with(hidden))
        });
        for root in &all {
            if let Some(guard) = guards.iter().find(|guard| root.starts_with(&guard.path)) {
                let why = match guard.access {
                    Access::Hidden => "is a place of secrets",
                    Access::Fixed => "is never written by a confined command",
                };
                return Err(Error::bad_request(format!("{} cannot be given for writing", root.display()))
                    .because(format!("{} {why}", guard.path.display()))
                    .hint("choose another directory with --dir or --write"));
            }
        }
        let (read_only, links) = (spec.read_only, links.into_iter().collect());
        Ok(Self { workspace, roots, read_only, guards, links })
    }

    /// Whether `path` is within what may be written, exceptions aside.
    #[must_use]
    pub fn writable(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root))
    }

    /// The writable directory that `path` is in, if it is in one.
    #[must_use]
    pub fn root_of(&self, path: &Path) -> Option<&Path> {
        self.roots.iter().find(|root| path.starts_with(root)).map(PathBuf::as_path)
    }
}

/// Whether a guarded place that is missing would be a file.
#[must_use]
pub fn is_file(path: &Path) -> bool {
    FILES.iter().any(|file| path.ends_with(file))
}

/// Every named place, how it is treated, and whether a directory given for writing may be inside.
fn named(
    env: &dyn Fn(&str) -> Option<OsString>,
    account_home: Option<PathBuf>,
) -> Vec<(PathBuf, Access, bool)> {
    let variable = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let mut homes: Vec<PathBuf> = variable("HOME").into_iter().chain(account_home).collect();
    homes.retain(|home| home.is_absolute() && home != Path::new("/"));
    homes.dedup();
    let mut bases: Vec<(PathBuf, &str)> = homes.into_iter().map(|home| (home, "")).collect();
    bases.extend(variable("XDG_CONFIG_HOME").map(|path| (path, ".config/")));
    bases.extend(variable("XDG_DATA_HOME").map(|path| (path, ".local/share/")));
    bases.extend(variable("ZDOTDIR").map(|path| (path, "")));
    let mut places = Vec::new();
    for (base, prefix) in &bases {
        let mut add = |names: &[&str], access, loose| {
            let names = names.iter().filter_map(|name| name.strip_prefix(prefix));
            places.extend(names.map(|name| (base.join(name), access, loose)));
        };
        add(SECRETS, Access::Hidden, false);
        add(&[".local/share/org-agent"], Access::Hidden, false);
        add(START_UP, Access::Fixed, false);
        add(PROGRAMS, Access::Fixed, true);
    }
    for name in SECRET_VARIABLES {
        // KUBECONFIG may be a list.
        for path in env(name).iter().flat_map(|value| std::env::split_paths(value)) {
            if path.is_absolute() {
                places.push((path, Access::Hidden, false));
            }
        }
    }
    if let Ok(paths) = Paths::new(|name| env(name).and_then(|value| value.into_string().ok())) {
        places.push((paths.data, Access::Hidden, false));
        places.push((paths.config, Access::Fixed, false));
    }
    places.extend(SYSTEM_SECRETS.iter().map(|path| (PathBuf::from(path), Access::Hidden, false)));
    places.retain(|(path, ..)| path.components().all(|part| part != Component::ParentDir));
    places
}

/// An existing directory, without symbolic links, that may be given for writing.
fn directory(path: &Path) -> Result<PathBuf> {
    let failed = |why: &dyn std::fmt::Display| {
        Error::bad_request(format!("{} cannot be given for writing", path.display()))
            .because(why)
            .hint("name an existing directory of your own with --dir or --write")
    };
    let real = fs::canonicalize(path).map_err(|error| failed(&error))?;
    if !real.is_dir() {
        return Err(failed(&"it is no directory"));
    }
    let system = SYSTEM.iter().any(|system| Path::new(system).starts_with(&real));
    let kernel = ["/proc", "/sys", "/dev"].iter().any(|kernel| real.starts_with(kernel));
    if system || (kernel && !real.starts_with("/dev/shm/")) {
        return Err(failed(&"it belongs to the system"));
    }
    Ok(real)
}

/// Guards the repositories below `dir`, as far as they are looked for.
fn repositories(dir: &Path, depth: usize, left: &mut usize, guards: &mut BTreeSet<(PathBuf, Access, bool)>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let path = entry.path();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if GUARDED.iter().any(|guarded| name == *guarded) {
            if let Some(linked) = git_directory(&path) {
                guards.insert((linked, Access::Fixed, false));
            }
            guards.insert((path, Access::Fixed, false));
        } else if is_dir && depth > 0 && *left > 0 && name != "target" && name != "node_modules" {
            *left -= 1;
            repositories(&path, depth - 1, left, guards);
        }
    }
}

/// Where a `.git` that is a file says that the repository is.
fn git_directory(path: &Path) -> Option<PathBuf> {
    if !fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let named = text.strip_prefix("gitdir:")?.trim();
    Some(resolve(&path.parent()?.join(named)))
}

/// `path` without symbolic links, as far as it exists.
#[must_use]
pub fn resolve(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (fs::canonicalize(ancestor), path.strip_prefix(ancestor)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

/// `path` with everything but its last part resolved.
fn resolve_parent(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => resolve(parent).join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(home: &Path, workspace: &Path) -> Result<Plan> {
        let spec = Spec {
            workspace: workspace.to_owned(),
            write: Vec::new(),
            read_only: false,
            allow_net: false,
            mechanism: None,
            program: "true".into(),
            args: Vec::new(),
            given: false,
        };
        let home = home.as_os_str().to_owned();
        Plan::new(&spec, &|name| (name == "HOME").then(|| home.clone()), None)
    }

    fn access(plan: &Plan, path: &Path) -> Option<Access> {
        plan.guards.iter().find(|guard| guard.path == path).map(|guard| guard.access)
    }

    #[test]
    fn secrets_are_hidden_where_links_lead() {
        let dir = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(home.join("dotfiles/ssh")).unwrap();
        fs::create_dir_all(home.join("ws/.git")).unwrap();
        std::os::unix::fs::symlink("dotfiles/ssh", home.join(".ssh")).unwrap();
        let plan = plan(&home, &home.join("ws")).unwrap();
        assert_eq!(access(&plan, &home.join("dotfiles/ssh")), Some(Access::Hidden));
        assert_eq!(access(&plan, &home.join(".ssh")), Some(Access::Hidden));
        assert_eq!(access(&plan, &home.join(".bashrc")), Some(Access::Fixed));
        assert_eq!(access(&plan, &home.join("ws/.git")), Some(Access::Fixed));
        assert_eq!(access(&plan, &home.join(".local/share/org-agent")), Some(Access::Hidden));
        assert!(plan.links.is_empty());
    }

    #[test]
    fn a_link_in_the_workspace_on_the_way_to_an_exception_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(home.join("dotfiles/config")).unwrap();
        std::os::unix::fs::symlink("dotfiles/config", home.join(".config")).unwrap();
        let plan = plan(&home, &home).unwrap();
        assert_eq!(plan.links, [home.join(".config")]);
        assert_eq!(access(&plan, &home.join("dotfiles/config/fish")), Some(Access::Fixed));
    }

    #[test]
    fn places_of_secrets_and_the_system_are_no_workspaces() {
        let dir = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(dir.path()).unwrap();
        for name in [".ssh/sub", ".config/fish", ".emacs.d/lisp"] {
            fs::create_dir_all(home.join(name)).unwrap();
        }
        for path in [Path::new("/"), Path::new("/etc"), &home.join(".ssh/sub"), &home.join(".config/fish")] {
            assert!(plan(&home, path).is_err(), "{}", path.display());
        }
        assert!(plan(&home, &home.join(".emacs.d/lisp")).is_ok());
    }
}

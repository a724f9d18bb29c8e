//! Warrants: what a token lets run, kept until the process that runs it takes it.
//!
//! The server writes down what was permitted: the command, its programs, where it runs, its environment, whether it
//! is confined. `org-agent sandbox --token` takes that away, and so nobody takes it twice, checks that it still holds,
//! and runs this and nothing else. A client hands on the token alone; there is no second text of the command that
//! could differ. What runs unasked is judged again then: a file may have become a link since.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Result};
use crate::ids::hex;
use crate::policy::{self, Surroundings};
use crate::sandbox::{self, Spec, environment};
use crate::shell::Step;

/// How old a warrant may become. Whoever runs a command does so as soon as it is permitted; what is older was forgotten,
/// and the server that wrote it may be dead.
pub const LIFE: Duration = Duration::from_secs(10 * 60);

/// The most bytes of a warrant: its command has at most 100,000.
const MAX_BYTES: u64 = 4 << 20;

/// The most bytes that are kept of why a command was not run.
const MAX_REASON: usize = 4_096;

/// The variable that names the file for why a command was not run after all, to the processes of a sandbox.
const REFUSAL: &str = "ORG_AGENT_REFUSAL";

/// A directory as it is, not only by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Absolute, without links. Paths need not be UTF-8.
    path: OsString,
    device: u64,
    inode: u64,
}

impl Place {
    /// What `path` is, which must be without links: it was shown so, and has to be that still.
    ///
    /// # Errors
    /// `bad_request`: it is no directory, or leads elsewhere.
    pub fn of(path: &Path) -> Result<Self> {
        let wrong = |why: &dyn std::fmt::Display| {
            Error::bad_request(format!("nothing can run in {}", path.display()))
                .because(why)
                .hint("make the directory, or have another one used")
        };
        let real = fs::canonicalize(path).map_err(|error| wrong(&error))?;
        if real != path {
            return Err(wrong(&format!("it leads to {}", real.display())));
        }
        let found = fs::metadata(&real).map_err(|error| wrong(&error))?;
        if !found.is_dir() {
            return Err(wrong(&"it is no directory"));
        }
        Ok(Self { path: real.into_os_string(), device: found.dev(), inode: found.ino() })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(&self.path)
    }

    /// Whether it is that directory still.
    fn holds(&self) -> bool {
        Self::of(self.path()).is_ok_and(|now| now == *self)
    }
}

/// What may run, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warrant {
    /// The command's text.
    pub text: String,
    /// The programs, if it is certain which run.
    pub steps: Option<Vec<Step>>,
    /// Whether the policy alone allowed it: then the steps are run, without a shell. Else the user approved the
    /// text, which is for `sh -c`.
    pub unasked: bool,
    /// The session's directory, which it may write.
    pub directory: Place,
    /// The directory in which it runs.
    pub cwd: Place,
    /// Whether it may use the network.
    pub network: bool,
    /// Whether it may not write its directory either. Programs that wrote no such thing had no such limit.
    #[serde(default)]
    pub read_only: bool,
    /// Whether it is confined. What runs unasked always is.
    pub confined: bool,
    /// All of its environment, but `TMPDIR` in the sandbox.
    pub environment: Vec<(OsString, OsString)>,
}

impl Warrant {
    /// The environment that a command gets from that of this process: what is on the list, and no pager.
    #[must_use]
    pub fn environment() -> Vec<(OsString, OsString)> {
        let own = ["TERM", "PAGER", "GIT_PAGER", "MANPAGER"];
        let values = ["dumb", "cat", "cat", "cat"];
        std::env::vars_os()
            .filter(|(name, _)| environment::passes(name) && !own.iter().any(|own| name == own))
            .chain(own.into_iter().zip(values).map(|(name, value)| (name.into(), value.into())))
            .collect()
    }

    /// Checks it against what is there now.
    ///
    /// # Errors
    /// `conflict`: a directory is gone or leads elsewhere, or the policy would not let it run any more.
    pub fn check(&self, around: &Surroundings) -> Result<()> {
        let over = |why: String| {
            Error::new(Code::Conflict, "the command was not run")
                .because(why)
                .hint("what was approved has changed since; ask again")
        };
        for place in [&self.directory, &self.cwd] {
            if !place.holds() {
                return Err(over(format!("{} is not that directory any more", place.path().display())));
            }
        }
        if self.unasked && !self.confined {
            return Err(over("what runs unasked has to be confined".into()));
        }
        policy::recheck(&self.text, self.cwd.path(), self.steps.as_deref().filter(|_| self.unasked), around)
            .map_err(over)
    }

    /// The process that runs it; `own` is this program.
    fn command(&self, own: &Path) -> Result<Command> {
        let elsewhere = self.cwd != self.directory;
        let (program, args): (OsString, Vec<OsString>) = if self.unasked {
            let steps = serde_json::to_string(&self.steps)
                .map_err(|error| Error::internal("the steps cannot be written").because(error))?;
            let place = elsewhere.then(|| ["--dir".into(), self.cwd.path.clone()]);
            let args = std::iter::once("steps".into()).chain(place.into_iter().flatten());
            (own.into(), args.chain([steps.into()]).collect())
        } else if elsewhere {
            let enter = "cd -- \"$1\" && exec sh -c \"$2\"";
            let cwd = self.cwd.path.clone();
            ("sh".into(), ["-c".into(), enter.into(), "sh".into(), cwd, self.text.clone().into()].into())
        } else {
            ("sh".into(), ["-c".into(), self.text.clone().into()].into())
        };
        let command = if self.confined {
            let spec = Spec {
                workspace: self.directory.path().to_owned(),
                write: Vec::new(),
                read_only: self.read_only,
                allow_net: self.network,
                mechanism: None,
                program,
                args,
                given: true,
            };
            sandbox::check(&spec)?;
            let mut command = sandbox::command(&spec)?;
            // What confines it needs the environment of this process: variables in it say where secrets are.
            for (name, _) in environment::handed_on(std::env::vars_os()) {
                command.env_remove(name);
            }
            command.envs(environment::hand_on(self.environment.clone()));
            command
        } else {
            let mut command = Command::new(program);
            command.args(args).current_dir(self.directory.path());
            command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
            command
        };
        Ok(command)
    }

    /// Becomes the process that runs it; `refusal` is the file for why it was not run after all. Comes back only with
    /// why that was not possible.
    #[must_use]
    pub fn run(&self, refusal: &Path) -> Error {
        let own = match std::env::current_exe() {
            Ok(own) => own,
            Err(error) => return Error::internal("this program cannot find itself").because(error),
        };
        match self.command(&own) {
            Ok(mut command) => {
                if self.confined {
                    command.env(REFUSAL, refusal);
                }
                Error::internal("the command could not be started").because(command.exec())
            }
            Err(error) => error,
        }
    }
}

/// The warrants that nobody took yet: files that only this user may read, named after their tokens' hashes.
#[derive(Clone, Debug)]
pub struct Warrants {
    directory: PathBuf,
}

impl Warrants {
    /// Those under the data directory `data`.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { directory: data.join("warrants") }
    }

    fn path(&self, token: &str) -> PathBuf {
        self.directory.join(hex(&Sha256::digest(token.as_bytes())))
    }

    /// The file that says why the command of `token` was not run after all.
    #[must_use]
    pub fn refusal_file(&self, token: &str) -> PathBuf {
        self.path(token).with_extension("refused")
    }

    /// Keeps `warrant` for whoever has `token`.
    ///
    /// # Errors
    /// `internal`: it could not be written, and the token is worth nothing.
    pub fn issue(&self, token: &str, warrant: &Warrant) -> Result<()> {
        let path = self.path(token);
        let write = || -> io::Result<()> {
            let bytes = serde_json::to_vec(warrant)?;
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(&bytes)
        };
        write().map_err(|error| {
            Error::internal(format!("cannot write {}", path.display()))
                .because(error)
                .hint("check that the disk has room, then ask again")
        })
    }

    /// Takes what `token` is worth. Nobody can take it again, whatever becomes of it.
    ///
    /// # Errors
    /// `unauthorized`: it is worth nothing, or not any more.
    pub fn take(&self, token: &str) -> Result<Warrant> {
        let path = self.path(token);
        let refused = |why: String| {
            Error::new(Code::Unauthorized, "the token lets nothing run")
                .because(why)
                .hint("a token is good for one run, soon after it was given; approve the command again")
        };
        // Two that take it at once both try to move it; one succeeds.
        let taken = path.with_extension(format!("{}", std::process::id()));
        fs::rename(&path, &taken).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => refused(format!(
                "it is not, or no longer, in {}: it is unknown, was used, or its turn is over; or the server was \
                 started with another ORG_AGENT_HOME",
                self.directory.display()
            )),
            _ => refused(format!("{} cannot be taken: {error}", path.display())),
        })?;
        let read = read(&taken);
        // Left behind it would be swept later.
        drop(fs::remove_file(&taken));
        let read = read.map_err(refused);
        if let Err(error) = &read {
            refuse(&self.refusal_file(token), error);
        }
        read
    }

    /// Why the command of `token` was not run, if whoever took it could not run it. Told once.
    #[must_use]
    pub fn refusal(&self, token: &str) -> Option<String> {
        let path = self.refusal_file(token);
        let mut reason = Vec::new();
        let read = fs::File::open(&path)
            .and_then(|file| file.take(MAX_REASON as u64).read_to_end(&mut reason))
            .is_ok();
        drop(fs::remove_file(&path));
        read.then(|| String::from_utf8_lossy(&reason).into_owned())
    }

    /// Whether nobody has taken what `token` is worth.
    #[must_use]
    pub fn waits(&self, token: &str) -> bool {
        self.path(token).exists()
    }

    /// Takes back what `token` is worth; whether it was worth anything. Of one that was taken nothing is left.
    pub fn revoke(&self, token: &str) -> bool {
        self.revoke_hashed(&hex(&Sha256::digest(token.as_bytes())))
    }

    /// The same for a token whose SHA-256 is `hash`, in hexadecimal.
    pub fn revoke_hashed(&self, hash: &str) -> bool {
        if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return false;
        }
        let path = self.directory.join(hash);
        drop(fs::remove_file(path.with_extension("refused")));
        fs::remove_file(path).is_ok()
    }

    /// Removes what is worth nothing any more.
    pub fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            if entry.metadata().is_ok_and(|data| is_old(&data)) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

/// The warrant in a file; in a few words, why there is none.
fn read(path: &Path) -> std::result::Result<Warrant, String> {
    let data = fs::metadata(path).map_err(|error| error.to_string())?;
    if is_old(&data) {
        return Err(format!("it is older than {} minutes", LIFE.as_secs() / 60));
    }
    if data.len() > MAX_BYTES {
        return Err("what is kept for it is too long".into());
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| format!("what is kept for it is broken: {error}"))
}

/// Whether a file is older than a warrant may be, or from a time to come.
fn is_old(data: &fs::Metadata) -> bool {
    let age = data.modified().map(|time| match time.elapsed() {
        Ok(age) => age,
        Err(error) => error.duration(),
    });
    age.is_ok_and(|age| age > LIFE)
}

/// Notes in `file` why a command was not run, unless something is noted there. The command itself cannot: that is
/// where it can write nothing.
pub fn refuse(file: &Path, error: &Error) {
    let text = error.one_line();
    let text = &text[..text.floor_char_boundary(MAX_REASON)];
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    // Without it the command counts as one that ended with the sandbox's own status.
    drop(made.and_then(|mut file| file.write_all(text.as_bytes())));
}

/// Notes it where the process that was called said to, if this is one of its sandbox.
pub fn refuse_here(error: &Error) {
    if let Some(file) = std::env::var_os(REFUSAL) {
        refuse(Path::new(&file), error);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn warrant(directory: &Path) -> Warrant {
        Warrant {
            text: "ls".into(),
            steps: None,
            unasked: false,
            directory: Place::of(&directory.canonicalize().unwrap()).unwrap(),
            cwd: Place::of(&directory.canonicalize().unwrap()).unwrap(),
            network: false,
            read_only: false,
            confined: true,
            environment: vec![("PATH".into(), "/bin".into())],
        }
    }

    #[test]
    fn a_token_is_worth_its_warrant_once() {
        let data = tempfile::tempdir().unwrap();
        let warrants = Warrants::new(data.path());
        let kept = warrant(data.path());
        warrants.issue("t1", &kept).unwrap();
        assert!(warrants.issue("t1", &kept).is_err(), "a token names one warrant");
        assert_eq!(warrants.take("t1").unwrap(), kept);
        assert_eq!(warrants.take("t1").unwrap_err().code, Code::Unauthorized);
        assert_eq!(warrants.take("../t1").unwrap_err().code, Code::Unauthorized);
        warrants.issue("t2", &kept).unwrap();
        warrants.revoke("t2");
        assert_eq!(warrants.take("t2").unwrap_err().code, Code::Unauthorized);
        assert_eq!(fs::read_dir(data.path().join("warrants")).unwrap().count(), 0, "nothing is left behind");
    }

    #[test]
    fn of_many_who_take_one_gets_it() {
        let data = tempfile::tempdir().unwrap();
        let warrants = Warrants::new(data.path());
        warrants.issue("t", &warrant(data.path())).unwrap();
        let got = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..8).map(|_| scope.spawn(|| warrants.take("t").is_ok())).collect();
            takers.into_iter().map(|taker| taker.join().unwrap()).filter(|got| *got).count()
        });
        assert_eq!(got, 1);
    }

    #[test]
    fn what_was_broken_is_refused_and_gone() {
        let data = tempfile::tempdir().unwrap();
        let warrants = Warrants::new(data.path());
        warrants.issue("t", &warrant(data.path())).unwrap();
        fs::write(warrants.path("t"), b"{\"text\":\"rm\"").unwrap();
        assert!(warrants.take("t").unwrap_err().why.contains("broken"));
        assert!(warrants.take("t").is_err());
    }

    #[test]
    fn a_warrant_does_not_become_old() {
        let data = tempfile::tempdir().unwrap();
        let warrants = Warrants::new(data.path());
        let age = |token: &str, age: Duration| {
            warrants.issue(token, &warrant(data.path())).unwrap();
            let file = fs::File::options().write(true).open(warrants.path(token)).unwrap();
            file.set_modified(std::time::SystemTime::now() - age).unwrap();
        };
        age("young", LIFE - Duration::from_secs(60));
        age("old", LIFE + Duration::from_secs(1));
        assert!(warrants.take("young").is_ok());
        assert!(warrants.take("old").unwrap_err().why.contains("older than 10 minutes"));
        assert!(warrants.refusal("old").unwrap().contains("older than 10 minutes"));
        assert_eq!(warrants.refusal("old"), None, "told once");
        age("forgotten", LIFE + Duration::from_secs(1));
        warrants.sweep();
        assert!(!warrants.waits("forgotten"));
    }

    #[test]
    fn directories_are_the_same_only_if_nobody_replaced_them() {
        let data = tempfile::tempdir().unwrap();
        let real = data.path().canonicalize().unwrap();
        // Not every file system, but every path, is UTF-8.
        let odd = real.join(std::ffi::OsStr::from_bytes(b"b\xff"));
        let path = if fs::create_dir(&odd).is_ok() { odd } else { real.join("b") };
        fs::create_dir_all(&path).unwrap();
        let place = Place::of(&path).unwrap();
        let again: Place = serde_json::from_slice(&serde_json::to_vec(&place).unwrap()).unwrap();
        assert_eq!((&again, again.path()), (&place, path.as_path()));
        assert!(place.holds());
        fs::rename(&path, real.join("aside")).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(!place.holds(), "another directory of that name");
        std::os::unix::fs::symlink("aside", real.join("link")).unwrap();
        assert!(Place::of(&real.join("link")).unwrap_err().why.contains("it leads to "));
        assert!(Place::of(&real.join("none")).is_err());
    }

    #[test]
    fn what_is_taken_back_by_its_hash_is_gone() {
        let data = tempfile::tempdir().unwrap();
        let warrants = Warrants::new(data.path());
        warrants.issue("t", &warrant(data.path())).unwrap();
        warrants.revoke_hashed("../key");
        warrants.revoke_hashed(&hex(&Sha256::digest(b"t")));
        assert!(!warrants.waits("t"));
        let error = warrants.take("t").unwrap_err();
        assert!(error.why.contains("warrants") && error.why.contains("ORG_AGENT_HOME"), "{error}");
        assert_eq!(warrants.refusal("t"), None, "it may have run before");
    }
}

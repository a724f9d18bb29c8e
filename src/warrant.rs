//! Warrants: what a token lets run, kept until the process that runs it takes it.
//!
//! The server writes down what was permitted: the command, its programs, where it runs, its environment, whether it
//! is confined. `org-agent sandbox --token` takes that away, and so nobody takes it twice, checks that it still holds,
//! and runs this and nothing else. A client hands on the token alone; there is no second text of the command that
//! could differ. What runs unasked is judged again then: a file may have become a link since.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Result};
use crate::ids::{ActuationId, hex};
use crate::policy::{self, Surroundings};
use crate::sandbox::{self, Spec, environment};
use crate::shell::Step;

/// How old a warrant may become that nobody took; then the server that wrote it has long gone.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// The most bytes of a warrant: its command has at most 256 KiB.
const MAX_BYTES: u64 = 4 << 20;

/// What may run, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warrant {
    /// The action that it is about.
    pub actuation: ActuationId,
    /// The command's text.
    pub text: String,
    /// The programs, if it is certain which run.
    pub steps: Option<Vec<Step>>,
    /// Whether the policy alone allowed it: then the steps are run, without a shell. Else the user approved the
    /// text, which is for `sh -c`.
    pub unasked: bool,
    /// The session's directory, which it may write: absolute, links resolved.
    pub directory: PathBuf,
    /// The directory in which it runs: absolute.
    pub cwd: PathBuf,
    /// Whether it may use the network.
    pub network: bool,
    /// Whether it is confined. What runs unasked always is.
    pub confined: bool,
    /// All of its environment.
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
        let place = fs::canonicalize(&self.directory);
        if place.is_err() || place.is_ok_and(|place| place != self.directory) || !self.directory.is_dir() {
            return Err(over(format!("{} is not that directory any more", self.directory.display())));
        }
        if !self.cwd.is_dir() {
            return Err(over(format!("there is no directory {}", self.cwd.display())));
        }
        if self.unasked && !self.confined {
            return Err(over("what runs unasked has to be confined".into()));
        }
        policy::recheck(&self.text, &self.cwd, self.steps.as_deref().filter(|_| self.unasked), around)
            .map_err(over)
    }

    /// The process that runs it; `own` is this program.
    fn command(&self, own: &Path) -> Result<Command> {
        let elsewhere = self.cwd != self.directory;
        let (program, args): (OsString, Vec<OsString>) = if self.unasked {
            let steps = serde_json::to_string(&self.steps)
                .map_err(|error| Error::internal("the steps cannot be written").because(error))?;
            let place = elsewhere.then(|| ["--dir".into(), self.cwd.clone().into_os_string()]);
            let args = std::iter::once("steps".into()).chain(place.into_iter().flatten());
            (own.into(), args.chain([steps.into()]).collect())
        } else if elsewhere {
            let enter = "cd -- \"$1\" && exec sh -c \"$2\"";
            let cwd = self.cwd.clone().into_os_string();
            ("sh".into(), ["-c".into(), enter.into(), "sh".into(), cwd, self.text.clone().into()].into())
        } else {
            ("sh".into(), ["-c".into(), self.text.clone().into()].into())
        };
        let command = if self.confined {
            let spec = Spec {
                workspace: self.directory.clone(),
                write: Vec::new(),
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
            command.args(args).current_dir(&self.directory);
            command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
            command
        };
        Ok(command)
    }

    /// Becomes the process that runs it. Comes back only with why that was not possible.
    #[must_use]
    pub fn run(&self) -> Error {
        let own = match std::env::current_exe() {
            Ok(own) => own,
            Err(error) => return Error::internal("this program cannot find itself").because(error),
        };
        match self.command(&own) {
            Ok(mut command) => Error::internal("the command could not be started").because(command.exec()),
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
                .hint("a token is good for one run; approve the command again")
        };
        // Two that take it at once both try to move it; one succeeds.
        let taken = path.with_extension(format!("{}", std::process::id()));
        fs::rename(&path, &taken).map_err(|_| refused("it is unknown, used, or its turn is over".into()))?;
        let read = fs::metadata(&taken).and_then(|data| {
            if data.len() > MAX_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { fs::read(&taken) }
        });
        // Left behind it would be swept later.
        drop(fs::remove_file(&taken));
        let bytes = read.map_err(|error| refused(error.to_string()))?;
        serde_json::from_slice(&bytes)
            .map_err(|error| refused(format!("what is kept for it is broken: {error}")))
    }

    /// Takes back what `token` is worth, if it is worth anything.
    pub fn revoke(&self, token: &str) {
        drop(fs::remove_file(self.path(token)));
    }

    /// Removes what servers that died left behind.
    pub fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let age = entry.metadata().and_then(|data| data.modified()).map(|time| time.elapsed());
            if matches!(age, Ok(Ok(age)) if age > STALE) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;

    fn warrant(directory: &Path) -> Warrant {
        Warrant {
            actuation: ActuationId("a1".into()),
            text: "ls".into(),
            steps: None,
            unasked: false,
            directory: directory.to_owned(),
            cwd: directory.to_owned(),
            network: false,
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
            takers.into_iter().filter(|_| true).map(|taker| taker.join().unwrap()).filter(|got| *got).count()
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
}

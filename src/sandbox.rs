//! The sandbox: runs a command that can write its workspace, and otherwise do little harm.
//!
//! What is confined and what is not stands in `docs/security.md`. Two mechanisms do it, on Linux only:
//! bubblewrap, where it works, and Landlock with a filter of system calls. Where neither does, a command is
//! refused here, never run unconfined; what a user approved for where there is no sandbox does not come here (see
//! `warrant`). `org-agent sandbox` is the one way in, for people and for the server, since a process can confine only
//! itself: [`command`] makes a call of this very program.

#[cfg(target_os = "linux")]
mod bubblewrap;
pub mod environment;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod landlock;
pub mod places;
#[cfg(target_os = "linux")]
mod stages;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::chosen::Limit;
use crate::error::{Error, Result};

/// The exit status of `org-agent sandbox` when it did not run the command, since it could not confine it.
pub const UNCONFINED: u8 = 125;

/// What to run, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// The directory that it starts in and may write.
    pub workspace: PathBuf,
    /// Further directories that it may write.
    pub write: Vec<PathBuf>,
    /// Whether it may write none of them.
    pub read_only: bool,
    /// Whether it may use the network.
    pub allow_net: bool,
    /// The mechanism to use; without it, the better one that works.
    pub mechanism: Option<Mechanism>,
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Whether its environment is the one that [`environment::hand_on`] put into that of this process. Else it is what
    /// of this process's own may pass.
    pub given: bool,
}

/// What confines a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mechanism {
    /// Mounts and namespaces, a filter of system calls, and Landlock where the kernel has it.
    Bubblewrap,
    /// Landlock and a filter of system calls.
    Landlock,
}

impl Mechanism {
    /// Its name, as an argument and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bubblewrap => "bubblewrap",
            Self::Landlock => "landlock",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What this machine can do about confining commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Support {
    /// The mechanism that would be used; without one, no command is run.
    pub mechanism: Option<Mechanism>,
    /// The mechanisms that are better than that but do not work fully, and why.
    pub refused: Vec<(Mechanism, Error)>,
    /// The version of Landlock that the kernel offers, of those known here; 0 for none.
    pub landlock: u8,
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mechanism {
            Some(mechanism) => write!(f, "commands can be confined by {mechanism}")?,
            None => f.write_str("commands cannot be confined here")?,
        }
        if self.landlock > 0 {
            write!(f, " (Landlock version {})", self.landlock)?;
        }
        for (mechanism, error) in &self.refused {
            write!(f, "; not by {mechanism}: {}", error.what)?;
            if !error.why.is_empty() {
                write!(f, ": {}", error.why)?;
            }
        }
        Ok(())
    }
}

/// Finds out which mechanism would be used here, and why not a better one. Starts bubblewrap once.
#[cfg(target_os = "linux")]
#[must_use]
pub fn probe() -> Support {
    probe_for(&[])
}

/// As on Linux; elsewhere there is none.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn probe() -> Support {
    let refused = vec![(Mechanism::Bubblewrap, elsewhere())];
    Support { mechanism: None, refused, landlock: 0 }
}

#[cfg(target_os = "linux")]
fn probe_for(roots: &[PathBuf]) -> Support {
    let landlock = landlock::version();
    let mut support = Support { mechanism: None, refused: Vec::new(), landlock };
    for mechanism in [Mechanism::Bubblewrap, Mechanism::Landlock] {
        match works(mechanism, landlock, roots) {
            Ok(()) => {
                support.mechanism = Some(mechanism);
                break;
            }
            Err(error) => support.refused.push((mechanism, error)),
        }
    }
    support
}

#[cfg(target_os = "linux")]
fn works(mechanism: Mechanism, version: u8, roots: &[PathBuf]) -> Result<()> {
    filter::programs(mechanism, false)?;
    match mechanism {
        Mechanism::Bubblewrap => {
            bubblewrap::try_out(&bubblewrap::find(std::env::var_os("PATH").as_deref(), roots)?)
        }
        Mechanism::Landlock if version >= landlock::FULL => Ok(()),
        Mechanism::Landlock => {
            let why = match version {
                0 => "this kernel has no Landlock, or it is turned off".to_owned(),
                version => format!("this kernel has version {version} of it, {} is needed", landlock::FULL),
            };
            Err(Error::internal("Landlock cannot confine a command fully")
                .because(why)
                .hint("install bubblewrap, or use Linux 6.12 or later"))
        }
    }
}

/// Checks that a command may run in these directories at all.
///
/// # Errors
/// `bad_request`: one is not there, or is where secrets are kept.
#[cfg(target_os = "linux")]
pub fn check(spec: &Spec) -> Result<()> {
    stages::plan(spec).map(drop)
}

/// As on Linux; elsewhere nothing is confined.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn check(_spec: &Spec) -> Result<()> {
    Err(elsewhere())
}

/// A call of this program that runs `spec` confined, to be started like any other. Its standard streams are
/// the command's, and its exit status as `org-agent sandbox --help` says.
///
/// # Errors
/// This program cannot find itself.
pub fn command(spec: &Spec) -> Result<Command> {
    let mut command = command_up_to(spec)?;
    command.args(tail(spec));
    Ok(command)
}

/// As [`command`], without the command itself.
fn command_up_to(spec: &Spec) -> Result<Command> {
    let mut command = Command::new(program()?);
    command.args(arguments(spec));
    Ok(command)
}

fn program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|error| {
        Error::internal("the program org-agent cannot find itself")
            .because(error)
            .hint("start it again by its full path")
    })
}

/// The arguments for `spec`, up to the command.
fn arguments(spec: &Spec) -> Vec<OsString> {
    let mut arguments = vec!["sandbox".into(), "--dir".into(), spec.workspace.clone().into_os_string()];
    for dir in &spec.write {
        arguments.extend(["--write".into(), dir.clone().into_os_string()]);
    }
    if spec.read_only {
        arguments.push("--read-only".into());
    }
    if spec.allow_net {
        arguments.push("--allow-net".into());
    }
    if spec.given {
        arguments.push("--given".into());
    }
    if let Some(mechanism) = spec.mechanism {
        arguments.extend(["--mechanism".into(), mechanism.as_str().into()]);
    }
    arguments
}

/// The command itself, as the last arguments.
fn tail(spec: &Spec) -> Vec<OsString> {
    let command = [OsString::from("--"), spec.program.clone()];
    command.into_iter().chain(spec.args.iter().cloned()).collect()
}

/// Which of the processes of a sandbox this one is.
#[derive(Clone, Debug)]
pub enum Stage {
    /// The one that was called.
    Front,
    /// The one that ends and removes what is left.
    Keep {
        /// Who started it.
        parent: i32,
    },
    /// The one that becomes the command.
    Confine {
        /// Who started it, where that can be told.
        parent: Option<i32>,
        /// Its private temporary directory, if it is not `/tmp`.
        tmp: Option<PathBuf>,
        /// The open file on which it tells that it is confined.
        ready: i32,
    },
}

/// Runs `spec`; answers the command's exit status. `warn` is told what an old kernel cannot confine.
///
/// # Errors
/// `bad_request` for directories that may not be written, else `internal`: the command could not be confined
/// and was not run.
#[cfg(target_os = "linux")]
pub async fn run(spec: Spec, stage: Stage, warn: &mut (dyn FnMut(&str) + Send)) -> Result<u8> {
    match (stage, spec.mechanism) {
        (Stage::Front, _) => {
            let plan = stages::plan(&spec)?;
            let mechanism = choose(&spec, &plan.roots, warn)?;
            stages::front(&Spec { mechanism: Some(mechanism), ..spec }).await
        }
        (Stage::Keep { parent }, Some(mechanism)) => stages::keep(&spec, mechanism, parent).await,
        (Stage::Confine { parent, tmp, ready }, Some(mechanism)) => {
            Err(stages::confine(&spec, mechanism, tmp.as_deref(), parent, ready))
        }
        (_, None) => Err(Error::bad_request("a stage of the sandbox needs a mechanism")),
    }
}

/// Refuses: there is no sandbox but on Linux.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unused_async, clippy::needless_pass_by_value, reason = "as on Linux")]
pub async fn run(_spec: Spec, _stage: Stage, _warn: &mut (dyn FnMut(&str) + Send)) -> Result<u8> {
    Err(elsewhere())
}

#[cfg(not(target_os = "linux"))]
fn elsewhere() -> Error {
    Error::internal("there is no sandbox on this system")
        .because("it is made of what only Linux has")
        .hint("run the command yourself, or use Linux")
}

#[cfg(target_os = "linux")]
fn choose(spec: &Spec, roots: &[PathBuf], warn: &mut (dyn FnMut(&str) + Send)) -> Result<Mechanism> {
    let Some(mechanism) = spec.mechanism else {
        let support = probe_for(roots);
        return support.mechanism.ok_or_else(|| {
            Error::internal("the command was not run")
                .because(&support)
                .hint("install bubblewrap, e.g. with: sudo apt-get install bubblewrap")
        });
    };
    let version = landlock::version();
    match works(mechanism, version, roots) {
        Ok(()) => {}
        // Asked for by name, an old Landlock is taken, and what it lacks is said.
        Err(_) if mechanism == Mechanism::Landlock && version >= landlock::LEAST => {
            warn(&format!(
                "Landlock version {version} does not keep signals inside: the command can end other \
                 processes of yours"
            ));
        }
        Err(error) => return Err(error),
    }
    Ok(mechanism)
}

/// What a confined command may do, in a sentence for people.
const PERMITS: &str =
    "It may write only in the session's directory and reach no network, and secrets are hidden from it.";

/// The same where it may write nothing.
const PERMITS_TO_READ: &str =
    "It may write nothing but temporary files and reach no network, and secrets are hidden from it.";

/// What the sandbox permits to a command of a session with this `limit`, or that there is none if `unconfined` says why,
/// for people.
#[must_use]
pub fn terms(unconfined: Option<&str>, limit: Limit) -> String {
    match unconfined {
        None if limit == Limit::ReadOnly => PERMITS_TO_READ.to_owned(),
        None => PERMITS.to_owned(),
        Some(why) => format!("None, and it can do all that you can: {why}."),
    }
}

/// Whether commands can be confined here; why not. Found out once.
///
/// # Errors
/// In a few words, why not.
pub fn confined() -> Result<(), String> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let find = || {
        let Support { mechanism, refused, .. } = probe();
        match mechanism {
            Some(_) => Ok(()),
            None => {
                let reasons: Vec<String> = refused.iter().map(|(_, error)| error.one_line()).collect();
                Err(if reasons.is_empty() { "this is not Linux".to_owned() } else { reasons.join("; ") })
            }
        }
    };
    FOUND.get_or_init(find).clone()
}

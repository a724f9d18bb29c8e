//! The processes of a sandbox: one that was called, one that keeps, and one that becomes the command.
//!
//! The first waits and passes signals on. The second, the keeper, owns what has to be tidied up, and sees to it
//! that nothing outlives the command: it is told by the kernel when the first has died, however that was. The
//! third confines itself and then becomes the command. They are one program, since a process can only be
//! replaced, not split, without unsafe code.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitOptions};
use rustix::thread::{CapabilitySet, CapabilitySets};
use tokio::signal::unix::{SignalKind, signal};

use super::places::Plan;
use super::{Mechanism, Spec, bubblewrap, environment, filter, landlock};
use crate::error::{Error, Result};

/// The status of a command that could not be started, as shells have it.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Signals that end a sandbox, and everything in it.
const ENDING: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

fn broken(what: &str, why: &dyn std::fmt::Display) -> Error {
    Error::internal(what).because(why).hint("run org-agent doctor")
}

/// The plan of `spec` for this process's user and environment.
pub fn plan(spec: &Spec) -> Result<Plan> {
    Plan::new(spec, &|name| std::env::var_os(name), account_home())
}

/// The home directory that the account has, whatever `HOME` says.
fn account_home() -> Option<PathBuf> {
    let user = rustix::process::getuid().as_raw().to_string();
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    let fields = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields
        .into_iter()
        .find(|fields| fields.get(2) == Some(&&*user))
        .and_then(|fields| fields.get(5).map(PathBuf::from))
}

/// Of the process that was called: starts the keeper, and answers the command's status.
pub async fn front(spec: &Spec) -> Result<u8> {
    close_fds::set_fds_cloexec(3, &[]);
    let mut signals = Signals::new()?;
    let parent = rustix::process::getpid().as_raw_nonzero().to_string();
    let mut keeper = tokio::process::Command::from(super::command_up_to(spec)?)
        .args(["--stage", "keep", "--parent", &parent])
        .args(super::tail(spec))
        .spawn()
        .map_err(|error| broken("the sandbox's keeper could not be started", &error))?;
    let waited = tokio::select! {
        status = keeper.wait() => Ok(status),
        number = signals.next() => Err(number),
    };
    match waited {
        Ok(status) => Ok(code(status.map_err(|error| broken("the sandbox's keeper was lost", &error))?)),
        Err(number) => {
            if let Some(pid) = keeper.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
                let _ = rustix::process::kill_process(pid, Signal::TERM);
            }
            drop(keeper.wait().await);
            Ok(after_signal(number))
        }
    }
}

/// Of the keeper: runs the command confined, ends what it left, tidies up, and answers its status.
pub async fn keep(spec: &Spec, mechanism: Mechanism, parent: i32) -> Result<u8> {
    close_fds::set_fds_cloexec(3, &[]);
    let mut signals = Signals::new()?;
    outlive_nobody(parent, Signal::TERM)?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| broken("the sandbox's keeper could not adopt processes", &error))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)
        .map_err(|error| broken("core dumps could not be turned off", &error))?;
    let mut keeping = Keeping::default();
    let outcome = kept(spec, mechanism, parent, &mut signals, &mut keeping).await;
    keeping.tidy();
    outcome
}

async fn kept(
    spec: &Spec,
    mechanism: Mechanism,
    parent: i32,
    signals: &mut Signals,
    keeping: &mut Keeping,
) -> Result<u8> {
    let (mut ready, announce) = std::io::pipe().map_err(|error| broken("the sandbox has no pipe", &error))?;
    let announce = inherited(OwnedFd::from(announce))?;
    let mut open = Vec::new();
    let mut tail = super::tail(spec);
    let command = match mechanism {
        Mechanism::Bubblewrap => {
            let own = super::program()?;
            if fs::canonicalize(&spec.program).is_ok_and(|program| program == own) {
                // Where it is mounted it is there, also if it is kept in a directory that is hidden.
                tail = super::tail(&Spec { program: bubblewrap::SELF.into(), ..spec.clone() });
            }
            let mut plan = plan(spec)?;
            let bwrap = bubblewrap::find(std::env::var_os("PATH").as_deref(), &plan.roots)?;
            keeping.placeholders = bubblewrap::Placeholders::make(&mut plan)?;
            let mut command = Command::new(bwrap);
            command.args(bubblewrap::arguments(&plan, &own, spec.allow_net, &mut open)?);
            for program in filter::programs(mechanism, spec.allow_net)? {
                let filter = inherited(memory(&filter::bytes(&program))?)?;
                command.arg("--add-seccomp-fd").arg(filter.as_raw_fd().to_string());
                open.push(filter);
            }
            // Its first process stays in the sandbox, where its environment can be read.
            let seen = match spec.given {
                // The stage inside gives the command what was handed on, and nothing else.
                true => environment::handed_on(std::env::vars_os()).collect(),
                false => environment::clean(std::env::vars_os(), "/tmp"),
            };
            command.env_clear().envs(seen);
            let write = if spec.read_only { Vec::new() } else { plan.roots };
            let within = Spec { workspace: plan.workspace.clone(), write, ..spec.clone() };
            command.arg("--").arg(bubblewrap::SELF).args(super::arguments(&within));
            command
        }
        Mechanism::Landlock => {
            let tmp = private_directory()?;
            keeping.tmp = Some(tmp.clone());
            if landlock::version() >= landlock::FULL {
                landlock::restrict_signals()?;
                // All that is told to end at the end is then only what is below this process. Not to be
                // believed, but tried: who called it must be out of reach.
                keeping.scoped = Pid::from_raw(parent).is_some_and(|parent| {
                    rustix::process::test_kill_process(parent) == Err(rustix::io::Errno::PERM)
                });
                if !keeping.scoped {
                    return Err(broken("signals are not kept inside", &"the process outside can be reached"));
                }
            }
            let mut command = super::command_up_to(spec)?;
            let own = rustix::process::getpid().as_raw_nonzero().to_string();
            command.arg("--tmp").arg(tmp).args(["--parent", &own]);
            command
        }
    };
    let mut command = tokio::process::Command::from(command);
    let mut child = command
        .args(["--stage", "confine", "--ready", &announce.as_raw_fd().to_string()])
        .args(tail)
        .spawn()
        .map_err(|error| broken("the sandbox could not be started", &error))?;
    drop((announce, open));
    let waited = tokio::select! {
        status = child.wait() => Ok(status),
        number = signals.next() => Err(number),
    };
    match waited {
        Err(number) => {
            drop(child.start_kill());
            drop(child.wait().await);
            keeping.end_all();
            Ok(after_signal(number))
        }
        Ok(status) => {
            let status = status.map_err(|error| broken("the confined command was lost", &error))?;
            keeping.end_all();
            let mut word = Vec::new();
            drop(ready.read_to_end(&mut word));
            if word.is_empty() {
                // Whoever failed has said why.
                return Err(Error::internal("the sandbox could not be set up, and the command was not run")
                    .hint("see what stands above this line, and run org-agent doctor"));
            }
            Ok(code(status))
        }
    }
}

/// What the keeper has to tidy up.
#[derive(Default)]
struct Keeping {
    placeholders: bubblewrap::Placeholders,
    tmp: Option<PathBuf>,
    /// Whether signals reach only what is below this process.
    scoped: bool,
}

impl Keeping {
    /// Ends every process that is left below this one.
    fn end_all(&self) {
        if self.scoped {
            // To every process that it may send to, at once, so that none can escape by forking: group 1 is
            // how the interface spells all. The scope was tried before.
            let _ = rustix::process::kill_process_group(Pid::INIT, Signal::KILL);
        }
        loop {
            if !self.scoped {
                for pid in children() {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
            match rustix::process::wait(WaitOptions::empty()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn tidy(self) {
        self.placeholders.remove();
        if let Some(tmp) = self.tmp {
            // What cannot be removed is in nobody's way.
            drop(fs::remove_dir_all(tmp));
        }
    }
}

/// The processes directly below this one, as far as the kernel tells.
fn children() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_nonzero();
    let listed = fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Of the process that becomes the command.
pub fn confine(
    spec: &Spec,
    mechanism: Mechanism,
    tmp: Option<&Path>,
    parent: Option<i32>,
    ready: i32,
) -> Error {
    match confined(spec, mechanism, tmp, parent, ready) {
        Ok(mut command) => {
            let error = command.exec();
            let status = match error.kind() {
                std::io::ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_EXECUTABLE,
            };
            drop(writeln!(std::io::stderr(), "org-agent: {} cannot be run: {error}", spec.program.display()));
            std::process::exit(status.into())
        }
        Err(error) => error,
    }
}

fn confined(
    spec: &Spec,
    mechanism: Mechanism,
    tmp: Option<&Path>,
    parent: Option<i32>,
    ready: i32,
) -> Result<Command> {
    close_fds::set_fds_cloexec(3, &[]);
    let mut ready = fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/self/fd/{ready}"))
        .map_err(|error| broken("the sandbox's keeper cannot be told", &error))?;
    let tmp = tmp.unwrap_or(Path::new("/tmp"));
    match mechanism {
        Mechanism::Bubblewrap => {
            if landlock::version() >= landlock::LEAST {
                landlock::restrict_within_mounts(&spec.write)?;
            } else {
                refuse_files()?;
            }
        }
        Mechanism::Landlock => {
            let plan = plan(spec)?;
            std::env::set_current_dir(&plan.workspace)
                .map_err(|error| broken("the workspace cannot be entered", &error))?;
            give_up_capabilities()?;
            landlock::restrict(&plan, tmp, spec.allow_net)?;
            if let Some(parent) = parent {
                outlive_nobody(parent, Signal::KILL)?;
            }
            for program in filter::programs(mechanism, spec.allow_net)? {
                seccompiler::apply_filter(&program)
                    .map_err(|error| broken("the filter of system calls was refused", &error))?;
            }
        }
    }
    let mut command = Command::new(&spec.program);
    let environment = match spec.given {
        true => environment::given(std::env::vars_os(), tmp),
        false => environment::clean(std::env::vars_os(), tmp),
    };
    command.args(&spec.args).env_clear().envs(environment);
    ready.write_all(b"1").map_err(|error| broken("the sandbox's keeper cannot be told", &error))?;
    Ok(command)
}

/// Without Landlock, a standard stream that is a file could be opened anew, for writing, past all mounts.
fn refuse_files() -> Result<()> {
    use std::os::fd::AsFd;
    let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for stream in [input.as_fd(), output.as_fd(), errors.as_fd()] {
        let kind = rustix::fs::fstat(stream).map(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode));
        if matches!(kind, Ok(rustix::fs::FileType::RegularFile | rustix::fs::FileType::Directory)) {
            return Err(Error::internal("a standard stream that is a file cannot be confined")
                .because("this kernel has no Landlock, and the command could open it anew for writing")
                .hint("use a pipe, as in: cat FILE | org-agent sandbox -- CMD | cat"));
        }
    }
    Ok(())
}

/// Has this process told to end when its parent dies, which must still be `parent`.
fn outlive_nobody(parent: i32, signal: Signal) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(signal))
        .map_err(|error| broken("the sandbox could not be bound to its caller", &error))?;
    if rustix::process::getppid() == Pid::from_raw(parent) {
        Ok(())
    } else {
        Err(broken("the sandbox has lost its caller", &"it ended"))
    }
}

/// What root could do, it can no longer, nor get it back from a program that it runs.
fn give_up_capabilities() -> Result<()> {
    let give_up = || -> rustix::io::Result<()> {
        rustix::thread::set_no_new_privs(true)?;
        // Not on every kernel, and nothing to give up where it is refused.
        let _ = rustix::thread::clear_ambient_capability_set();
        for capability in CapabilitySet::all().iter() {
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
        let none = CapabilitySet::empty();
        rustix::thread::set_capabilities(
            None,
            CapabilitySets { effective: none, permitted: none, inheritable: none },
        )
    };
    give_up().map_err(|error| broken("privileges could not be given up", &error))
}

/// A directory that only this user can enter, among the temporary ones.
fn private_directory() -> Result<PathBuf> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)?;
    let name = format!("org-agent-sandbox-{:016x}", u64::from_ne_bytes(random));
    let path = std::env::temp_dir().join(name);
    let made = fs::DirBuilder::new().mode(0o700).create(&path).and_then(|()| fs::canonicalize(&path));
    made.map_err(|error| {
        Error::internal("no private temporary directory could be made")
            .because(error)
            .hint("set TMPDIR to a directory that may be written")
    })
}

/// An open file in memory with these bytes, to be read from its beginning.
fn memory(bytes: &[u8]) -> Result<OwnedFd> {
    let make = || -> std::io::Result<OwnedFd> {
        let mut file =
            File::from(rustix::fs::memfd_create("org-agent-filter", rustix::fs::MemfdFlags::CLOEXEC)?);
        file.write_all(bytes)?;
        file.rewind()?;
        Ok(file.into())
    };
    make().map_err(|error| broken("the filter of system calls could not be passed on", &error))
}

/// Lets the next program that is started have `file`.
fn inherited(file: OwnedFd) -> Result<OwnedFd> {
    bubblewrap::inherited(file).map_err(|error| broken("a file could not be passed on", &error))
}

fn code(status: ExitStatus) -> u8 {
    let number = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(number).unwrap_or(super::UNCONFINED)
}

fn after_signal(number: i32) -> u8 {
    u8::try_from(128 + number).unwrap_or(super::UNCONFINED)
}

/// The signals that end a sandbox.
struct Signals([tokio::signal::unix::Signal; 4]);

impl Signals {
    fn new() -> Result<Self> {
        let listen = |number| signal(SignalKind::from_raw(number));
        let [hup, int, quit, term] = ENDING.map(listen);
        let all = || -> std::io::Result<_> { Ok(Self([hup?, int?, quit?, term?])) };
        all().map_err(|error| broken("signals cannot be received", &error))
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        let [hup, int, quit, term] = &mut self.0;
        tokio::select! {
            _ = hup.recv() => libc::SIGHUP,
            _ = int.recv() => libc::SIGINT,
            _ = quit.recv() => libc::SIGQUIT,
            _ = term.recv() => libc::SIGTERM,
        }
    }
}

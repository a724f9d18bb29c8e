//! Landlock: the kernel's own rules about files, signals and sockets, which a process lays upon itself.
//!
//! Its rules only ever permit, and what they permit holds for everything below a directory. So an exception
//! is made by not permitting the directories above it, but what they hold, one by one. Nothing can then be
//! made in, or removed from, a directory that holds an exception, and it cannot be listed.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use ::landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, make_bitflags,
};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use super::places::{Access, Plan};
use crate::error::{Error, Result};

/// From this version on, signals and abstract sockets are kept inside.
pub const FULL: u8 = 6;

/// From this version on, cutting a file off counts as writing it.
pub const LEAST: u8 = 3;

const ABIS: [(u8, ABI); 7] =
    [(7, ABI::V7), (6, ABI::V6), (5, ABI::V5), (4, ABI::V4), (3, ABI::V3), (2, ABI::V2), (1, ABI::V1)];

/// Devices that programs expect, and that hold nothing. Not `pts`: it holds the user's other terminals.
const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

/// The version of Landlock that this kernel offers, of those known here; 0 for none.
#[must_use]
pub fn version() -> u8 {
    ABIS.iter()
        .find(|(number, abi)| {
            let ruleset = Ruleset::default()
                .set_compatibility(CompatLevel::HardRequirement)
                .handle_access(AccessFs::from_all(*abi));
            let scoped = if *number >= FULL {
                ruleset.and_then(|set| set.scope(Scope::from_all(*abi)))
            } else {
                ruleset
            };
            scoped.and_then(Ruleset::create).is_ok()
        })
        .map_or(0, |(number, _)| *number)
}

/// Rules for signals only: whoever has them reaches no process outside, and can be reached from outside.
///
/// # Errors
/// The kernel has no such rules.
pub fn restrict_signals() -> Result<()> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::Signal)
        .and_then(Ruleset::create)
        .and_then(RulesetCreated::restrict_self)
        .map(|_| ())
        .map_err(|error| failed(&error))
}

/// Rules about files for a process that mounts confine already: they also hold for what is reached without a
/// path, as an open file that is opened anew.
///
/// # Errors
/// The rules could not be made or laid on.
pub fn restrict_within_mounts(roots: &[PathBuf]) -> Result<()> {
    let mut rules = Rules::new(true)?;
    rules.permit(Path::new("/"), reading())?;
    for path in roots.iter().map(PathBuf::as_path).chain([Path::new("/tmp"), Path::new("/dev")]) {
        rules.permit(path, writing() | AccessFs::IoctlDev)?;
    }
    rules.permit_terminals()?;
    rules.restrict()
}

/// Rules about everything, for a process that only they confine. `tmp` is its own.
///
/// # Errors
/// The rules could not be made or laid on.
pub fn restrict(plan: &Plan, tmp: &Path, allow_net: bool) -> Result<()> {
    let mut rules = Rules::new(allow_net)?;
    let hidden: Vec<&Path> =
        plan.guards.iter().filter(|guard| guard.access == Access::Hidden).map(|guard| &*guard.path).collect();
    // A `.git` that is not there is no exception: nothing could be made in the workspace at all.
    let guarded: Vec<&Path> =
        plan.guards.iter().filter(|guard| !guard.absent_name).map(|guard| &*guard.path).collect();
    for entry in children(Path::new("/"))? {
        match entry.to_str() {
            // What is in there is other programs'; of the devices, few are harmless.
            Some("/tmp" | "/run" | "/dev") => {}
            _ => rules.permit_but(&entry, reading(), &hidden)?,
        }
    }
    for device in DEVICES {
        let access = reading() | AccessFs::WriteFile | AccessFs::IoctlDev;
        rules.permit_if_there(&Path::new("/dev").join(device), access)?;
    }
    let resolver = super::places::resolve(Path::new("/etc/resolv.conf"));
    if allow_net && resolver.starts_with("/run") {
        rules.permit_if_there(&resolver, reading())?;
    }
    for root in &plan.roots {
        rules.permit_but(root, reading(), &hidden)?;
        if !plan.read_only {
            rules.permit_but(root, writing(), &guarded)?;
        }
    }
    rules.permit(tmp, reading() | writing())?;
    rules.permit_terminals()?;
    rules.restrict()
}

fn reading() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{Execute | ReadFile | ReadDir})
}

/// Everything that changes a directory or a file in it; not devices, which nobody makes there.
fn writing() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{
        WriteFile | RemoveDir | RemoveFile | MakeDir | MakeReg | MakeSock | MakeFifo | MakeSym | Refer | Truncate
    })
}

struct Rules {
    ruleset: RulesetCreated,
}

impl Rules {
    fn new(allow_net: bool) -> Result<Self> {
        let make = || -> Result<RulesetCreated, RulesetError> {
            let mut ruleset = Ruleset::default()
                .set_compatibility(CompatLevel::BestEffort)
                .handle_access(AccessFs::from_all(ABI::V7))?
                .scope(Scope::from_all(ABI::V7))?;
            if !allow_net {
                ruleset = ruleset.handle_access(AccessNet::from_all(ABI::V7))?;
            }
            ruleset.create()
        };
        Ok(Self { ruleset: make().map_err(|error| failed(&error))? })
    }

    /// Permits `access` to all below `path` but to the `exceptions` and the directories above them.
    fn permit_but(&mut self, path: &Path, access: BitFlags<AccessFs>, exceptions: &[&Path]) -> Result<()> {
        if exceptions.contains(&path) {
            return Ok(());
        }
        if !exceptions.iter().any(|exception| exception.starts_with(path)) {
            return self.permit_if_there(path, access);
        }
        // A directory that cannot be read holds nothing that could be permitted.
        for child in children(path).unwrap_or_default() {
            self.permit_but(&child, access, exceptions)?;
        }
        Ok(())
    }

    fn permit_if_there(&mut self, path: &Path, access: BitFlags<AccessFs>) -> Result<()> {
        match open(path) {
            Ok(file) => self.permit_open(&file, access).map_err(|error| failed(&error)),
            // It may have gone, or be the root's own: then nothing is permitted.
            Err(_) => Ok(()),
        }
    }

    /// Permits what has to be there, and whose parents nobody else can have changed. Within mounts, the filter
    /// of system calls is there already, and refuses what [`open`] does.
    fn permit(&mut self, path: &Path, access: BitFlags<AccessFs>) -> Result<()> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
            Error::internal(format!("{} cannot be permitted", path.display()))
                .because(error)
                .hint("check that the directory is there and may be entered")
        })?;
        self.permit_open(&file, access).map_err(|error| failed(&error))
    }

    /// Permits what is open; a symbolic link is permitted nothing, since its target is judged by its own path.
    fn permit_open(&mut self, file: &OwnedFd, access: BitFlags<AccessFs>) -> Result<(), RulesetError> {
        let kind = rustix::fs::fstat(file).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let access = match kind {
            Ok(FileType::Directory) => access,
            Ok(FileType::Symlink) | Err(_) => return Ok(()),
            Ok(_) => access & AccessFs::from_file(ABI::V7),
        };
        (&mut self.ruleset).add_rule(PathBeneath::new(file, access)).map(|_| ())
    }

    /// The terminals that are the standard streams, which may be opened anew through `/dev/stderr`.
    fn permit_terminals(&mut self) -> Result<()> {
        let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        for stream in [input.as_fd(), output.as_fd(), errors.as_fd()] {
            let is_device = rustix::fs::fstat(stream)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice);
            if is_device {
                let access = make_bitflags!(AccessFs::{ReadFile | WriteFile | IoctlDev});
                (&mut self.ruleset)
                    .add_rule(PathBeneath::new(stream, access))
                    .map(|_| ())
                    .map_err(|error| failed(&error))?;
            }
        }
        Ok(())
    }

    fn restrict(self) -> Result<()> {
        let status = self.ruleset.restrict_self().map_err(|error| failed(&error))?;
        if status.ruleset == ::landlock::RulesetStatus::NotEnforced || !status.no_new_privs {
            return Err(failed(&"the kernel did not enforce the rules"));
        }
        Ok(())
    }
}

/// Opens `path` itself. A symbolic link on the way is an error: all paths here are resolved, so somebody has
/// just put it there.
pub fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
}

/// What is in a directory.
fn children(path: &Path) -> Result<Vec<PathBuf>> {
    let read = || fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect();
    let listed: std::io::Result<_> = read();
    listed.map_err(|error| Error::internal(format!("{} cannot be listed", path.display())).because(error))
}

fn failed(why: &dyn std::fmt::Display) -> Error {
    Error::internal("Landlock's rules could not be laid on").because(why).hint("run org-agent doctor")
}

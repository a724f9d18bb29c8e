//! The filter of system calls: what a confined command may not ask of the kernel, whatever the path.
//!
//! A list of refusals, since no list of permissions fits every tool that is worth running. What is refused
//! reaches outside in a way that neither mounts nor Landlock see (sockets, other processes, keyrings), or is
//! there for administrators only, or makes the other rules hard to keep (`io_uring`, new namespaces).

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use super::Mechanism;
use crate::error::{Error, Result};

/// Calls from this number on are newer than this filter and do not exist for a confined command. On x86-64
/// that holds for the calls of the x32 ABI as well, whose numbers are larger.
const FIRST_UNKNOWN: u32 = 467;

/// Refused as forbidden, whatever the arguments.
const FORBIDDEN: &[i64] = &[
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Keyrings are the user's, not the sandbox's.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// Refused as not there, since programs then do it in another way that can be judged.
const MISSING: &[i64] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_clone3,
    libc::SYS_openat2,
];

/// Refused where the sandbox has no namespace of its own for what these share with everyone else, and where
/// Landlock does not look: owners of files, message queues, shared memory.
const SHARED: &[i64] = &[
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_semget,
    libc::SYS_semctl,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_msgget,
    libc::SYS_msgctl,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
];

/// With a process as their first argument: refused for any but the caller (0), as above.
const OTHERS: &[i64] = &[
    libc::SYS_prlimit64,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
];

/// Refused as not supported, which `cp -a` and the like take quietly.
const ATTRIBUTES: &[i64] = &[
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    // setxattrat, removexattrat
    463,
    466,
];

/// `CLONE_NEW…`: cgroup, UTS, IPC, user, PID, network, mount.
const NAMESPACES: &[u64] =
    &[0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x0002_0000];

/// Set-user-ID and set-group-ID.
const SET_ID: &[u64] = &[0o4000, 0o2000];

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// The filters for `mechanism`, all of which apply.
///
/// # Errors
/// This machine's instruction set is not known to the filter.
pub fn programs(mechanism: Mechanism, allow_net: bool) -> Result<Vec<BpfProgram>> {
    compile(mechanism, allow_net).map_err(|error| {
        Error::internal("the filter of system calls could not be made")
            .because(error)
            .hint("the sandbox works on x86-64, ARM and RISC-V machines of 64 bits")
    })
}

fn compile(mechanism: Mechanism, allow_net: bool) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let shared = mechanism == Mechanism::Landlock;
    let mut forbidden = conditional(allow_net, shared)?;
    forbidden.extend(FORBIDDEN.iter().map(|call| (*call, Vec::new())));
    if shared {
        forbidden.extend(SHARED.iter().map(|call| (*call, Vec::new())));
    }
    let always = |calls: &[i64]| calls.iter().map(|call| (*call, Vec::new())).collect::<Rules>();
    let mut sets = vec![(forbidden, libc::EPERM), (always(MISSING), libc::ENOSYS)];
    if shared {
        sets.push((always(ATTRIBUTES), libc::EOPNOTSUPP));
    }
    let mut programs = vec![newer_calls()];
    for (rules, errno) in sets {
        let action = SeccompAction::Errno(errno.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch)?;
        programs.push(filter.try_into()?);
    }
    Ok(programs)
}

/// Calls that are refused for some arguments.
fn conditional(allow_net: bool, shared: bool) -> Result<Rules, seccompiler::BackendError> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};

    // The kernel takes these arguments as 32 bits, so more must not be compared.
    let when =
        |index: u8, operator, value| SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value);
    let set = |index: u8, bit: u64| when(index, MaskedEq(bit), bit);
    let only = |condition| SeccompRule::new(vec![condition]);
    let mut rules = Rules::new();

    // Sockets. A private network namespace makes Internet sockets harmless; Unix sockets with a path are in
    // no namespace, and vsock and others reach the host.
    let [unix, inet, inet6, netlink] = [1, 2, 10, 16];
    let [datagram, raw] = [2, 3];
    let sockets = if allow_net || !shared {
        vec![
            SeccompRule::new(vec![when(0, Ne, inet)?, when(0, Ne, inet6)?, when(0, Ne, netlink)?])?,
            SeccompRule::new(vec![when(0, Eq, netlink)?, when(2, Ne, 0)?])?,
        ]
    } else {
        Vec::new()
    };
    rules.insert(libc::SYS_socket, sockets);
    // A pair is connected to itself for good, but for datagrams (and raw, their other name), which can be
    // sent elsewhere.
    let pairs = [when(0, Ne, unix)?, when(1, MaskedEq(0xf), datagram)?, when(1, MaskedEq(0xf), raw)?];
    rules.insert(libc::SYS_socketpair, pairs.into_iter().map(only).collect::<Result<_, _>>()?);

    // Keystrokes into the terminal: TIOCSTI, TIOCLINUX.
    rules.insert(libc::SYS_ioctl, vec![only(when(1, Eq, 0x5412)?)?, only(when(1, Eq, 0x541c)?)?]);

    let namespaces = NAMESPACES.iter().map(|flag| only(set(0, *flag)?)).collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_clone, namespaces);

    // Files that give their rights to whoever runs them.
    let mut mode = |call: i64, index: u8, create: Option<u8>| -> Result<(), seccompiler::BackendError> {
        // O_CREAT, and what makes O_TMPFILE more than a directory.
        let makes = [libc::O_CREAT.unsigned_abs().into(), 0o20_000_000];
        let mut refused = Vec::new();
        for bit in SET_ID {
            match create {
                None => refused.push(only(set(index, *bit)?)?),
                Some(flags) => {
                    for make in makes {
                        refused.push(SeccompRule::new(vec![set(index, *bit)?, set(flags, make)?])?);
                    }
                }
            }
        }
        rules.insert(call, refused);
        Ok(())
    };
    mode(libc::SYS_fchmod, 1, None)?;
    mode(libc::SYS_fchmodat, 2, None)?;
    mode(libc::SYS_fchmodat2, 2, None)?;
    mode(libc::SYS_openat, 3, Some(2))?;
    mode(libc::SYS_mknodat, 2, None)?;
    #[cfg(target_arch = "x86_64")]
    {
        mode(libc::SYS_chmod, 1, None)?;
        mode(libc::SYS_creat, 1, None)?;
        mode(libc::SYS_open, 2, Some(1))?;
        mode(libc::SYS_mknod, 1, None)?;
    }

    if shared {
        for call in OTHERS {
            rules.insert(*call, vec![only(when(0, Ne, 0)?)?]);
        }
        for call in [libc::SYS_setpriority, libc::SYS_ioprio_set] {
            rules.insert(call, vec![only(when(1, Ne, 0)?)?]);
        }
    }
    Ok(rules)
}

/// Answers every call that is newer than this filter, or of the x32 ABI, as not there.
fn newer_calls() -> BpfProgram {
    // The call's number is the first word of what a filter is given.
    let load = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let at_least = sock_filter { code: 0x35, jt: 0, jf: 1, k: FIRST_UNKNOWN };
    let answer = |k| sock_filter { code: 0x06, jt: 0, jf: 0, k };
    let refused = answer(0x0005_0000 | libc::ENOSYS.unsigned_abs());
    let allowed = answer(0x7fff_0000);
    vec![load, at_least, refused, allowed]
}

/// A filter in the form in which the kernel, and bubblewrap, take it.
#[must_use]
pub fn bytes(program: &BpfProgram) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for step in program {
        bytes.extend(step.code.to_ne_bytes());
        bytes.extend([step.jt, step.jf]);
        bytes.extend(step.k.to_ne_bytes());
    }
    bytes
}

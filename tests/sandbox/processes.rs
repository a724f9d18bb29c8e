//! Ways out through processes, descriptors and calls of the kernel, and what is left when a sandbox ends.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use super::{Ran, worlds};

/// The numbers of calls, which differ between machines: ptrace, io_uring_setup, keyctl, and one of the x32
/// ABI (`getpid`) where there is one.
#[cfg(target_arch = "x86_64")]
const CALLS: [(&str, i64); 4] =
    [("ptrace", 101), ("io_uring_setup", 425), ("keyctl", 250), ("x32", 0x4000_0027)];
#[cfg(not(target_arch = "x86_64"))]
const CALLS: [(&str, i64); 3] = [("ptrace", 117), ("io_uring_setup", 425), ("keyctl", 219)];

#[test]
fn calls_that_reach_around_the_sandbox_are_refused() {
    for world in worlds() {
        let outside = std::process::id();
        for (name, call) in CALLS {
            // PTRACE_ATTACH, which would succeed on one's own process but for the filter; else harmless numbers.
            let arguments =
                if name == "ptrace" { format!("16, {outside}, 0, 0") } else { "0, 0, 0, 0".to_owned() };
            let script = format!(
                "perl -e 'exit(syscall({call}, {arguments}) >= 0 ? 0 : $!{{EPERM}} || $!{{ENOSYS}} \
                || $!{{ESRCH}} ? 1 : 0)'"
            );
            world.refused(&script);
        }
        world.refused("touch sub/suid && chmod 4755 sub/suid");
        world.refused("perl -e 'use Fcntl; sysopen(F, \"sub/suid2\", O_CREAT | O_WRONLY, 04755) or exit 1'");
        world.refused("unshare -U true");
        world.refused("perl -e '$> = 1234; exit($> == 1234 ? 0 : 1)'");
        world
            .run(&[], "grep -E 'NoNewPrivs|CapEff|CapPrm' /proc/self/status | tr -d '\\t'")
            .is(0, "CapPrm:0000000000000000\nCapEff:0000000000000000\nNoNewPrivs:1\n");
        world.run(&[], "ulimit -c; ulimit -Hc").is(0, "0\n0\n");
    }
}

#[test]
fn processes_outside_are_neither_seen_into_nor_signalled() {
    for world in worlds() {
        let mut victim = Command::new("sleep").arg("1000").env("PLANTED", "planted-secret").spawn().unwrap();
        let pid = victim.id();
        // In a PID namespace the numbers are other processes' or nobody's; no secret is there in either case.
        for script in [
            format!("kill -0 {pid}"),
            format!("kill -KILL {pid}"),
            format!("cat /proc/{pid}/environ"),
            format!("ls /proc/{pid}/root/"),
            format!("readlink /proc/{pid}/fd/0"),
            format!("head -c 0 /proc/{pid}/fd/0"),
            format!("head -c 0 /proc/{pid}/maps"),
            format!("cd /proc/{pid}/cwd"),
            format!("ls /proc/{pid}/cwd/"),
            format!("head -c 1 /proc/{pid}/mem"),
            "cat /proc/$PPID/environ".to_owned(),
            "ls /proc/$PPID/root/".to_owned(),
            "kill -KILL $PPID; kill -0 $PPID && exit 1; exit 1".to_owned(),
        ] {
            if world.mechanism == "bubblewrap" && script.contains("PPID") {
                // The parent is the namespace's own first process, which holds nothing.
                let ran = world.run(&[], &script);
                assert!(!ran.out.contains("planted-secret"));
                continue;
            }
            world.refused(&script);
        }
        drop(world.run(&[], "kill -KILL -1"));
        assert!(victim.try_wait().unwrap().is_none(), "{}: it was ended", world.mechanism);
        victim.kill().unwrap();
        victim.wait().unwrap();
    }
}

#[test]
fn no_open_file_is_inherited() {
    for world in worlds() {
        let file = fs::File::open(world.at("home/.ssh/id_test")).unwrap();
        // The shell in between opens it without the mark that would close it.
        let script = format!(
            "exec 7< {}; exec \"$0\" sandbox --mechanism {} -- sh -c 'ls -l /proc/self/fd; cat <&7'",
            world.at("home/.ssh/id_test").display(),
            world.mechanism
        );
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_org-agent")])
            .current_dir(world.at("ws"))
            .env("HOME", world.at("home"))
            .output()
            .unwrap();
        let ran = Ran::of(&output);
        assert!(!ran.out.contains("planted-secret") && !ran.out.contains("id_test"), "{}", ran.out);
        assert!(ran.status != 0 && ran.status != 125, "{}", ran.err);
        assert!(file.as_raw_fd() > 2);
    }
}

/// Reads the pipe that every process of a sandbox holds as its standard output until the end: it comes only
/// when the last of them has gone.
fn drained(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}

const LEAVE_BEHIND: &str =
    "(setsid sleep 1000 &) ; (trap '' TERM HUP INT; sleep 1000) & sh -c 'sleep 1000 & sleep 1000' &";

#[test]
fn nothing_is_left_behind_when_the_command_ends() {
    for world in worlds() {
        let ran = world.run(&[], &format!("{LEAVE_BEHIND} echo done; exit 5"));
        ran.is(5, "done\n");
    }
}

#[test]
fn nothing_is_left_behind_when_the_sandbox_is_killed() {
    for world in worlds() {
        for signal in ["KILL", "TERM", "INT"] {
            let mut child = world
                .sandbox(&[])
                .args(["--", "sh", "-c", &format!("{LEAVE_BEHIND} echo $TMPDIR; sleep 1000")])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut out = BufReader::new(child.stdout.take().unwrap());
            let mut tmp = String::new();
            out.read_line(&mut tmp).unwrap();
            let killed =
                Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
            assert!(killed.success());
            let status = child.wait().unwrap();
            assert!(!status.success());
            if signal == "TERM" {
                assert_eq!(status.code(), Some(143));
            }
            assert_eq!(drained(out), "", "{}", world.mechanism);
            if signal != "KILL" {
                assert!(tmp.trim() == "/tmp" || !fs::exists(tmp.trim()).unwrap(), "{tmp} was left behind");
            }
        }
        assert!(!world.at("ws/.org-agent").is_dir() || world.mechanism == "bubblewrap");
    }
}

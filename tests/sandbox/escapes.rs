//! Ways out through files and sockets. Each is tried for real, against something real.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};

use super::{Ran, World, shown, worlds};

#[test]
fn files_outside_are_not_written() {
    for world in worlds() {
        symlink(world.at("outside"), world.at("ws/sub/link")).unwrap();
        for script in [
            "echo evil > ../outside/file",
            "echo evil > ../outside/new",
            "echo evil > sub/link/file",
            "echo evil >> sub/link/new",
            "ln -s ../../outside sub/own && echo evil > sub/own/file",
            "ln ../outside/file sub/hard && echo evil > sub/hard",
            "mv ../outside/file sub/moved",
            "mv sub/file ../outside/moved",
            "rm ../outside/file",
            "truncate -s 0 ../outside/file",
            "mkdir ../outside/dir",
            "echo evil > /etc/org-agent-test",
            "echo evil > /usr/bin/org-agent-test",
            "echo evil > /var/tmp/org-agent-test",
            "echo evil > /proc/sys/kernel/core_pattern",
            "echo evil > \"$HOME/.bashrc\"",
            "echo evil > \"$HOME/.ssh/authorized_keys\"",
            "echo evil > \"$HOME/.config/new\"",
            "mount --bind ../outside sub",
            "unshare -Urm mount -t tmpfs none /",
        ] {
            world.refused(script);
        }
        world.unchanged();
    }
}

#[test]
fn a_repository_s_own_files_are_not_written() {
    for world in worlds() {
        fs::create_dir_all(world.at("ws/nested/repo/.git")).unwrap();
        for script in [
            "echo evil > .git/hooks/pre-commit",
            "echo evil > .git/config",
            "ln sub/file .git/hooks/pre-commit",
            "mv sub/file .git/hooks/pre-commit",
            "mv .git sub/away",
            "rm -r .git",
            "ln .git/config sub/hard && echo evil > sub/hard",
            "mkdir .org-agent",
            "echo evil > nested/repo/.git/config",
            "mv nested/repo nested/other",
            "mv nested other",
        ] {
            world.refused(script);
        }
        world.unchanged();
        assert!(!world.at("ws/.org-agent").exists(), "a placeholder was left behind");
    }
}

#[test]
fn a_missing_repository_is_not_made_where_mounts_can_tell() {
    for world in worlds().iter().filter(|world| world.mechanism == "bubblewrap") {
        world.refused_with(&["--dir", &shown(&world.at("extra"))], "mkdir .git/hooks || rmdir .git");
        assert_eq!(fs::read_dir(world.at("extra")).unwrap().count(), 0);
    }
}

#[test]
fn secrets_are_not_read() {
    for world in worlds() {
        symlink(world.at("home/.ssh"), world.at("ws/sub/keys")).unwrap();
        for script in [
            "cat \"$HOME/.ssh/id_test\"",
            "ls \"$HOME/.ssh\"",
            "chmod 700 \"$HOME/.ssh\"; cat \"$HOME/.ssh/id_test\"",
            "cat sub/keys/id_test",
            "cat \"$HOME/.netrc\"",
            "cat \"$HOME/data/key\"",
            "cat \"$HOME/data/agent.db\"",
            "cp \"$HOME/data/agent.db\" sub/",
            "mv \"$HOME/.ssh\" sub/",
            "cat /etc/shadow",
            "umount \"$HOME/.ssh\" && cat \"$HOME/.ssh/id_test\"",
        ] {
            world.refused(script);
        }
        let ran = world.run(&[], "env; cat /proc/self/environ /proc/1/environ");
        assert!(!ran.out.contains("planted-secret") && ran.out.contains("PATH="), "{}", ran.out);
        world.unchanged();
    }
}

#[test]
fn a_home_as_workspace_keeps_its_secrets_and_its_start_up_files() {
    for world in worlds() {
        let home = shown(&world.at("home"));
        let options = ["--dir", home.as_str()];
        fs::create_dir_all(world.at("home/notes")).unwrap();
        world.run(&options, "echo new > notes/new && cat notes/new").is(0, "new\n");
        for script in [
            "cat .ssh/id_test",
            "echo evil > .ssh/authorized_keys",
            "cat data/key",
            "echo evil > .bashrc",
            "rm .bashrc",
            "mv .bashrc b; echo evil > .bashrc",
            "echo evil > .zshrc",
            "echo evil > .bash_profile",
            "mkdir -p .config/fish && echo evil > .config/fish/config.fish",
            "mv .config away && mkdir -p .config/fish && echo evil > .config/fish/config.fish",
            "mkdir .gnupg && echo evil > .gnupg/gpg.conf",
        ] {
            world.refused_with(&options, script);
        }
        world.unchanged();
        let left: Vec<_> =
            fs::read_dir(world.at("home")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 6, "placeholders were left behind: {left:?}");
    }
}

#[test]
fn a_link_that_could_be_replaced_is_refused_where_only_mounts_confine() {
    let world = World::new("bubblewrap");
    fs::rename(world.at("home/.bashrc"), world.at("outside/bashrc")).unwrap();
    symlink(world.at("outside/bashrc"), world.at("home/.bashrc")).unwrap();
    let ran = world.run(&["--dir", &shown(&world.at("home"))], "echo ran");
    assert_eq!((ran.status, ran.out.as_str()), (125, ""), "{}", ran.err);
    assert!(ran.err.contains("symbolic link"), "{}", ran.err);
}

#[test]
fn an_open_file_is_not_opened_anew_for_writing() {
    for world in worlds() {
        let mut command = world.sandbox(&[]);
        command.stdin(fs::File::open(world.at("outside/file")).unwrap());
        let output = command.args(["--", "sh", "-c", "echo evil > /proc/self/fd/0"]).output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{}", world.mechanism);
        assert_ne!(output.status.code(), Some(125), "{}", world.mechanism);
        world.unchanged();
    }
}

/// A script that connects, and exits with 0 if that succeeds.
fn connect(what: &str) -> String {
    format!("perl -MSocket -e '{what} or do {{ print STDERR \"$!\\n\"; exit 1 }}'")
}

#[test]
fn no_socket_reaches_outside() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp_port = tcp.local_addr().unwrap().port();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_nonblocking(true).unwrap();
    let udp_port = udp.local_addr().unwrap().port();
    for world in worlds() {
        let _path = UnixListener::bind(world.at("ws/sub/socket")).unwrap();
        let datagrams = UnixDatagram::bind(world.at("ws/sub/datagrams")).unwrap();
        datagrams.set_nonblocking(true).unwrap();
        let name = format!("org-agent-test-{}-{}", std::process::id(), world.mechanism);
        let _abstract =
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
        let by_tcp = connect(&format!(
            "socket(S, PF_INET, SOCK_STREAM, 0) && connect(S, pack_sockaddr_in({tcp_port}, INADDR_LOOPBACK))"
        ));
        let by_udp = format!(
            "perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0) && send(S, \"evil\", 0, \
             pack_sockaddr_in({udp_port}, INADDR_LOOPBACK))'; true"
        );
        let by_path =
            connect("socket(S, PF_UNIX, SOCK_STREAM, 0) && connect(S, pack_sockaddr_un(\"sub/socket\"))");
        let by_name = connect(&format!(
            "socket(S, PF_UNIX, SOCK_STREAM, 0) && connect(S, pack_sockaddr_un(\"\\0{name}\"))"
        ));
        let by_pair = connect(
            "socketpair(A, B, PF_UNIX, SOCK_DGRAM, 0) && send(A, \"evil\", 0, pack_sockaddr_un(\"sub/datagrams\"))",
        );
        world.refused(&by_tcp);
        world.run(&[], &by_udp).is(0, "");
        assert!(udp.recv(&mut [0; 8]).is_err(), "{}: a datagram arrived", world.mechanism);
        for options in [&[][..], &["--allow-net"][..]] {
            world.refused_with(options, &by_path);
            world.refused_with(options, &by_name);
            world.refused_with(options, &by_pair);
            assert!(datagrams.recv(&mut [0; 8]).is_err(), "{}: a datagram arrived", world.mechanism);
        }
        world.run(&["--allow-net"], &by_tcp).is(0, "");
        let pair = connect("socketpair(A, B, PF_UNIX, SOCK_STREAM, 0)");
        world.run(&[], &pair).is(0, "");
    }
}

#[test]
fn an_environment_that_was_handed_on_is_all_a_command_sees_and_hides_what_the_own_one_names() {
    for world in worlds() {
        fs::create_dir_all(world.at("outside/keys")).unwrap();
        fs::write(world.at("outside/keys/ring"), "planted-secret").unwrap();
        let run = |script: &str| {
            let path = std::env::var_os("PATH").unwrap();
            let mut command = world.sandbox(&["--given"]);
            command.env("GNUPGHOME", world.at("outside/keys")).env("TERM", "xterm");
            command.env("ORG_AGENT_GIVEN_PATH", path).env("ORG_AGENT_GIVEN_ODD", "a b");
            Ran::of(&command.args(["--", "sh", "-c", script]).output().unwrap())
        };
        run("env | grep -vE '^(PATH|PWD|OLDPWD|TMPDIR|_|SHLVL)='").is(0, "ODD=a b\n");
        let tries = ["ls outside/keys", "cat outside/keys/ring", "ls home/data", "cat home/data/key"];
        for place in tries {
            let ran = run(&place.replace(' ', &format!(" {}/", shown(world.dir.path()))));
            assert!(ran.status != 0 && ran.status < 125, "{place}: {}{}", ran.out, ran.err);
            assert!(!(ran.out + &ran.err).contains("planted-secret"), "{place}");
        }
    }
}

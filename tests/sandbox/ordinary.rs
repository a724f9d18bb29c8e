//! What has to work in a sandbox, and what is wrong usage.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::{Ran, World, shown, worlds};

#[test]
fn a_workspace_is_written_and_the_system_is_read() {
    for world in worlds() {
        world
            .run(&[], "echo new > sub/new && cat sub/new && mv sub/new sub/old && echo more >> top")
            .is(0, "new\n");
        assert_eq!(fs::read_to_string(world.at("ws/sub/old")).unwrap(), "new\n");
        world.run(&[], "ls /usr/bin | grep -cx env; cat ../outside/file").is(0, "1\nas-it-was\n");
        world.run(&[], "cat .git/config \"$HOME/.bashrc\"").is(0, "as-it-was\nas-it-was\n");
        world.run(&[], "printf 'b\\na\\n' | sort | tr -d '\\n'").is(0, "ab");
        world
            .run(&[], "touch sub/t && chmod 755 sub/t && sub/t && mkdir -p sub/a/b && rm -r sub/a")
            .is(0, "");
        world.run(&[], "echo x > /dev/null; head -c 3 /dev/zero | wc -c; echo err >/dev/stderr").is(0, "3\n");
        world.unchanged();
    }
}

#[test]
fn a_workspace_without_a_repository_is_written_at_its_top() {
    for world in worlds() {
        let dir = shown(&world.at("extra"));
        world.run(&["--dir", &dir], "pwd; echo new > new; ls").is(0, &format!("{dir}\nnew\n"));
        assert_eq!(fs::read_dir(world.at("extra")).unwrap().count(), 1, "a placeholder was left behind");
    }
}

#[test]
fn further_directories_are_written_when_named() {
    for world in worlds() {
        let extra = shown(&world.at("extra"));
        world.run(&["--write", &extra], "echo new > ../extra/new").is(0, "");
        assert_eq!(fs::read_to_string(world.at("extra/new")).unwrap(), "new\n");
    }
}

#[test]
fn the_temporary_directory_is_private_and_emptied() {
    for world in worlds() {
        let ran =
            world.run(&[], "echo x > \"$TMPDIR/sandbox-left\" && mktemp -d >/dev/null && echo \"$TMPDIR\"");
        assert_eq!(ran.status, 0, "{}", ran.err);
        let inside = ran.out.trim();
        assert!(!Path::new(inside).join("sandbox-left").exists(), "{inside} was not emptied");
        assert!(inside == "/tmp" || !Path::new(inside).exists(), "{inside} was left behind");
        let planted = tempfile::NamedTempFile::new_in("/tmp").unwrap();
        world.refused(&format!("cat {}", planted.path().display()));
        world.refused("ls /tmp/.X11-unix");
    }
}

#[test]
fn this_program_is_there_also_if_its_directory_is_hidden() {
    for world in worlds().iter().filter(|world| world.mechanism == "bubblewrap") {
        let hidden = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
        let program = hidden.path().join("org-agent");
        fs::copy(env!("CARGO_BIN_EXE_org-agent"), &program).unwrap();
        let mut command = std::process::Command::new(&program);
        command.args(["sandbox", "--"]).arg(&program);
        command.args(["steps", r#"[{"op":null,"argv":["echo","there"]}]"#]).current_dir(world.at("ws"));
        Ran::of(&command.output().unwrap()).is(0, "there\n");
    }
}

#[test]
fn streams_and_statuses_pass() {
    for world in worlds() {
        let mut command = world.sandbox(&[]);
        command.args(["--", "sh", "-c", "cat; echo problem >&2; exit 42"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"given").unwrap();
        let ran = Ran::of(&child.wait_with_output().unwrap());
        ran.is(42, "given");
        assert_eq!(ran.err, "problem\n");
        world.run(&[], "kill -TERM $$").is(143, "");
        world.run(&[], "kill -SEGV $$").is(139, "");
        let ran = Ran::of(
            &world
                .sandbox(&[])
                .args(["--", "no-such-program"])
                .env("PATH", "/usr/bin:/bin")
                .output()
                .unwrap(),
        );
        assert_eq!(ran.status, 127, "{}", ran.err);
        let ran = Ran::of(&world.sandbox(&[]).args(["--", "./top"]).output().unwrap());
        assert_eq!(ran.status, 126, "{}", ran.err);
    }
}

#[test]
fn a_tool_chain_runs() {
    for world in worlds() {
        let output = std::process::Command::new("rustc").arg("--print=sysroot").output().unwrap();
        let cargo = format!("{}/bin/cargo", String::from_utf8(output.stdout).unwrap().trim());
        let ran = Ran::of(&world.sandbox(&[]).args(["--", &cargo, "--version"]).output().unwrap());
        assert!(ran.status == 0 && ran.out.starts_with("cargo "), "{}", ran.err);
    }
}

#[test]
fn sandboxes_at_once_do_not_take_each_other_s_protection() {
    let worlds = worlds();
    for world in worlds.iter().filter(|world| world.mechanism == "bubblewrap") {
        let dir = shown(&world.at("extra"));
        let mut first = world.sandbox(&["--dir", &dir]);
        first.args([
            "--",
            "sh",
            "-c",
            "echo; read go; mkdir .git/hooks .org-agent/skills; rmdir .git; mkdir .git",
        ]);
        let mut first =
            first.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = [0];
        std::io::Read::read_exact(first.stdout.as_mut().unwrap(), &mut line).unwrap();
        world.run(&["--dir", &dir], "true").is(0, "");
        first.stdin.take().unwrap().write_all(b"go\n").unwrap();
        assert!(!first.wait().unwrap().success());
        assert_eq!(fs::read_dir(world.at("extra")).unwrap().count(), 0);
    }
}

#[test]
fn wrong_usage_runs_nothing() {
    for world in worlds() {
        let fails = |options: &[&str], part: &str| {
            let Ran { status, out, err } = world.run(options, "echo ran");
            assert_eq!((status, out.as_str()), (2, ""), "{options:?} {err}");
            assert!(err.contains(part), "{part:?} is not in {err}");
        };
        fails(&["--dir", "/no/such"], "No such file");
        fails(&["--dir", "/"], "belongs to the system");
        fails(&["--dir", "/etc"], "belongs to the system");
        fails(&["--write", "top"], "no directory");
        fails(&["--dir", &shown(&world.at("home/.ssh"))], "place of secrets");
        fails(&["--dir", &shown(&world.at("home/data"))], "place of secrets");
        fails(&["--write", ".git/hooks"], "never written");
    }
}

#[test]
fn without_a_working_mechanism_nothing_is_run() {
    let world = World::new("bubblewrap");
    let empty = world.at("extra");
    // A bwrap that fails, first in the path.
    let fake = empty.join("bwrap");
    fs::write(&fake, "#!/bin/sh\necho it is broken >&2\nexit 1\n").unwrap();
    fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = world.sandbox(&[]);
    let path = format!("{}:/usr/bin:/bin", empty.display());
    let ran = Ran::of(&command.env("PATH", &path).args(["--", "sh", "-c", "echo ran"]).output().unwrap());
    assert_eq!((ran.status, ran.out.as_str()), (125, ""), "{}", ran.err);
    assert!(ran.err.contains("it is broken") && ran.err.contains("hint"), "{}", ran.err);
}

#[test]
fn a_workspace_that_may_only_be_read_is_not_written() {
    for world in worlds() {
        // A workspace in /tmp is another case for mounts, and what is hidden in it has to stay so.
        let tmp = tempfile::tempdir().unwrap();
        fs::write(tmp.path().join("file"), "as-it-was\n").unwrap();
        fs::write(tmp.path().join("key"), "planted-secret").unwrap();
        let directories = [world.at("ws"), tmp.path().to_owned()];
        for directory in directories.iter().map(|path| path.to_str().unwrap()) {
            let options = ["--read-only", "--dir", directory];
            for script in [
                "echo evil > new",
                "mkdir new",
                "echo evil >> sub/file || echo evil >> file",
                "rm -r sub/file file",
                "truncate -s 0 sub/file file",
                "mkdir .org-agent",
                "exec 3<>file",
            ] {
                world.refused_with(&options, script);
            }
            let script =
                "echo it > \"$TMPDIR/new\" && cat \"$TMPDIR/new\" && cat file sub/file 2>/dev/null; pwd";
            let ran = world.run(&options, script);
            assert_eq!(ran.status, 0, "{}: {}", world.mechanism, ran.err);
            assert_eq!(ran.out, format!("it\nas-it-was\n{directory}\n"), "{}", world.mechanism);
        }
        let ran = Ran::of(
            &world
                .sandbox(&["--read-only", "--dir", tmp.path().to_str().unwrap()])
                .env("NETRC", tmp.path().join("key"))
                .args(["--", "cat", "key"])
                .output()
                .unwrap(),
        );
        assert!(ran.status != 0 && !ran.out.contains("planted-secret"), "{}: {}", world.mechanism, ran.out);
        assert_eq!(fs::read_to_string(world.at("ws/sub/file")).unwrap(), "as-it-was\n");
        assert_eq!(fs::read_dir(tmp.path()).unwrap().count(), 2);
        assert!(!world.at("ws/.org-agent").exists());
        world.unchanged();
        let both = world.run(&["--read-only", "--write", "/var/tmp"], "true");
        assert_eq!(both.status, 2, "{}", both.err);
    }
}

#[test]
fn what_another_sandbox_makes_in_a_home_and_removes_is_in_nobody_s_way() {
    let Some(world) = worlds().into_iter().find(|world| world.mechanism == "bubblewrap") else { return };
    let home = world.at("home");
    let before = names(&home);
    let at_home = std::thread::scope(|scope| {
        // One works in the home: there, what could be made must not be, so something stands in its place meanwhile.
        let at_home = scope.spawn(|| {
            let options = ["--dir", home.to_str().unwrap()];
            (0..30)
                .map(|_| {
                    world
                        .sandbox(&options)
                        .env("ORG_AGENT_HOME", world.at("extra"))
                        .args(["--", "true"])
                        .output()
                        .unwrap()
                })
                .all(|output| output.status.success())
        });
        // Others work elsewhere, and find it there or not.
        while !at_home.is_finished() {
            world.run(&["--dir", world.at("ws").to_str().unwrap()], "true").is(0, "");
        }
        at_home.join().unwrap()
    });
    assert!(at_home);
    assert_eq!(names(&home), before, "nothing is left in the home");
}

fn names(directory: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

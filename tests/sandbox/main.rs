//! The sandbox on the real kernel: what has to work does, and every way out that is known is tried.
//!
//! Each test runs in each mechanism. One that does not work here fails the tests, unless
//! `ORG_AGENT_TEST_WITHOUT` names it: then that is printed.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "these are tests"
)]

mod escapes;
mod ordinary;
mod processes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A home with secrets, a workspace with a repository, and a directory outside.
struct World {
    dir: TempDir,
    mechanism: &'static str,
}

impl World {
    fn new(mechanism: &'static str) -> Self {
        // Not in /tmp, which is hidden as a whole.
        let dir = tempfile::Builder::new().prefix("org-agent-test").tempdir_in("/var/tmp").unwrap();
        let world = Self { dir, mechanism };
        for dir in ["home/.ssh", "home/.config", "home/data", "ws/.git/hooks", "ws/sub", "outside", "extra"] {
            fs::create_dir_all(world.at(dir)).unwrap();
        }
        for file in ["home/.ssh/id_test", "home/data/key", "home/data/agent.db", "home/.netrc"] {
            fs::write(world.at(file), "planted-secret").unwrap();
        }
        for file in ["home/.bashrc", "ws/.git/config", "ws/top", "ws/sub/file", "outside/file"] {
            fs::write(world.at(file), "as-it-was\n").unwrap();
        }
        world
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// `org-agent sandbox` with `options`, up to the command.
    fn sandbox(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_org-agent"));
        command
            .args(["sandbox", "--mechanism", self.mechanism])
            .args(options)
            .current_dir(self.at("ws"))
            .env("HOME", self.at("home"))
            .env("ORG_AGENT_HOME", self.at("home/data"))
            .env("OPENAI_API_KEY", "planted-secret")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, options: &[&str], script: &str) -> Ran {
        Ran::of(&self.sandbox(options).args(["--", "sh", "-c", script]).output().unwrap())
    }

    /// Runs a script; it is refused what it tries, which shows in its status, and no secret is in its output.
    #[track_caller]
    fn refused(&self, script: &str) {
        self.refused_with(&[], script);
    }

    #[track_caller]
    fn refused_with(&self, options: &[&str], script: &str) {
        let ran = self.run(options, script);
        let Ran { status, out, err } = &ran;
        assert_ne!(*status, 0, "{}: {script} was not refused\n{out}{err}", self.mechanism);
        assert!(
            *status != 125 && !err.contains("org-agent:"),
            "{}: {script} was not run\n{err}",
            self.mechanism
        );
        assert!(*status != 127, "{}: {script} lacks a program\n{err}", self.mechanism);
        assert!(!(out.clone() + err).contains("planted-secret"), "{}: {script} read it", self.mechanism);
    }

    /// Nothing outside was changed.
    #[track_caller]
    fn unchanged(&self) {
        for file in ["home/.bashrc", "ws/.git/config", "outside/file"] {
            assert_eq!(fs::read_to_string(self.at(file)).unwrap(), "as-it-was\n", "{file}");
        }
        assert_eq!(fs::read_dir(self.at("outside")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(self.at("ws/.git")).unwrap().count(), 2);
        assert_eq!(fs::read_dir(self.at("ws/.git/hooks")).unwrap().count(), 0);
        assert_eq!(fs::read_dir(self.at("home/.ssh")).unwrap().count(), 1);
    }
}

struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    fn is(&self, status: i32, out: &str) {
        assert_eq!((self.status, self.out.as_str()), (status, out), "{}", self.err);
    }
}

/// A world for each mechanism that is to be tested here.
#[track_caller]
fn worlds() -> Vec<World> {
    let without = std::env::var("ORG_AGENT_TEST_WITHOUT").unwrap_or_default();
    let mut worlds = Vec::new();
    for mechanism in ["bubblewrap", "landlock"] {
        if without.split(',').any(|name| name == mechanism) {
            eprintln!("SKIPPED: {mechanism}, as ORG_AGENT_TEST_WITHOUT asks");
            continue;
        }
        let world = World::new(mechanism);
        let Ran { status, err, .. } = world.run(&[], "true");
        assert_eq!(
            status, 0,
            "{mechanism} does not work here: {err}\n`make test` installs bubblewrap as root (sudo apt-get install \
             bubblewrap). To leave it untested, set ORG_AGENT_TEST_WITHOUT={mechanism}"
        );
        worlds.push(world);
    }
    worlds
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

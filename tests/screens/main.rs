//! What a user sees: an Emacs in a terminal and one in a window, the real server, and a fake model over HTTP.
//!
//! The scenes of `scenes.rs` are played with keys, and what stands on the screen is read. In a terminal that is tmux's,
//! in a window what Emacs displays, on an X server without a screen; the latter needs more than a plain `make test`
//! installs: `make test-editors`. With `ORG_AGENT_PICTURES=DIRECTORY` the pictures of the documentation are taken on
//! the way: `make pictures`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

#[path = "../common/fake_model.rs"]
mod fake_model;
mod face;
mod scenes;
mod terminal;
mod window;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use face::Face;
use fake_model::FakeModel;
use terminal::Terminal;
use window::Window;

/// A directory with notes in it, which is the home of everything; and a model.
struct Stage {
    home: TempDir,
    model: FakeModel,
}

impl Stage {
    fn new() -> Self {
        let mut home = tempfile::Builder::new();
        // Emacs's own server listens only where nobody else can look.
        home.prefix("garden-").rand_bytes(3).permissions(Permissions::from_mode(0o700));
        let home = home.tempdir().unwrap();
        std::fs::write(home.path().join("notes.org"), scenes::NOTES).unwrap();
        std::fs::write(home.path().join("fib.py"), scenes::PROGRAM).unwrap();
        Self { home, model: FakeModel::start() }
    }

    /// What Emacs and the server are given: everything that they could find by themselves stands here.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let home = self.home.path().to_str().unwrap();
        let home = |name: &str| Path::new(home).join(name).to_str().unwrap().to_owned();
        vec![
            ("HOME", home("")),
            ("LANG", "C.UTF-8".to_owned()),
            ("ORG_AGENT_PROGRAM", env!("CARGO_BIN_EXE_org-agent").to_owned()),
            ("ORG_AGENT_HOME", home("agent")),
            ("ORG_AGENT_LOCAL_PORTS", "none".to_owned()),
            ("OPENAI_BASE_URL", self.model.base_url()),
            ("OPENAI_API_KEY", "sk-test".to_owned()),
            ("ORG_AGENT_MODEL", "fake-model".to_owned()),
            ("MEMEX_USER", String::new()),
            ("MEMEX_ASSISTANT", String::new()),
        ]
    }
}

/// Plays a scene in a terminal.
fn in_a_terminal(scene: fn(&mut dyn Face, &FakeModel)) {
    let stage = Stage::new();
    let mut terminal = Terminal::start(stage.home.path(), &stage.environment());
    scene(&mut terminal, &stage.model);
}

/// Plays a scene in a window.
fn in_a_window(scene: fn(&mut dyn Face, &FakeModel)) {
    let stage = Stage::new();
    let mut window = Window::start(stage.home.path(), &stage.environment());
    scene(&mut window, &stage.model);
}

#[test]
fn a_chat_in_a_terminal() {
    in_a_terminal(scenes::chat);
}

#[test]
fn an_approval_in_a_terminal() {
    in_a_terminal(scenes::approval);
}

#[test]
#[ignore = "needs a graphical Emacs: make test-editors"]
fn a_chat_in_a_window() {
    in_a_window(scenes::chat);
}

#[test]
#[ignore = "needs a graphical Emacs: make test-editors"]
fn an_approval_in_a_window() {
    in_a_window(scenes::approval);
}

#[test]
fn the_list_of_sessions_in_a_terminal() {
    in_a_terminal(scenes::sessions);
}

#[test]
fn a_rewrite_in_a_terminal() {
    in_a_terminal(scenes::rewriting);
}

#[test]
#[ignore = "needs a graphical Emacs: make test-editors"]
fn the_list_of_sessions_in_a_window() {
    in_a_window(scenes::sessions);
}

#[test]
#[ignore = "needs a graphical Emacs: make test-editors"]
fn a_rewrite_in_a_window() {
    in_a_window(scenes::rewriting);
}

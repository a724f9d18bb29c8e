//! An Emacs in a terminal of tmux.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::face::{Face, NO_COMPILER};

const WIDTH: &str = "92";
const HEIGHT: &str = "30";

/// A tmux server of its own with one terminal, which ends with it.
pub struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Starts Emacs with the chat open in `home`.
    pub fn start(home: &Path, environment: &[(&str, String)]) -> Self {
        let terminal = Self { socket: home.join("tmux") };
        let root = env!("CARGO_MANIFEST_DIR");
        let emacs = std::env::var("EMACS").unwrap_or_else(|_| "emacs".into());
        let mut words: Vec<String> = vec!["env".into()];
        words.extend(environment.iter().map(|(name, value)| format!("{name}={value}")));
        words.extend([emacs, "-nw".into(), "-Q".into(), "-L".into(), format!("{root}/emacs")]);
        words.extend(["--eval", NO_COMPILER].map(String::from));
        words.extend(["-l", "org-agent"].map(String::from));
        words.extend(["-f", "org-agent-chat"].map(String::from));
        let mut start = vec!["-f", "/dev/null", "new-session", "-d", "-x", WIDTH, "-y", HEIGHT, "-c"];
        start.push(home.to_str().unwrap());
        start.extend(words.iter().map(String::as_str));
        terminal.tmux(&start);
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .env_remove("TMUX")
            // Letters beyond ASCII are drawn as they are.
            .args(["-u", "-S"])
            .arg(&self.socket)
            .args(arguments)
            .output()
            .expect("tmux starts; `make test` installs it");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Face for Terminal {
    fn press(&mut self, keys: &str) {
        let keys = keys.split(' ').map(|key| match key {
            "RET" => "Enter",
            "TAB" => "Tab",
            "SPC" => "Space",
            "C-SPC" => "C-Space",
            "ESC" => "Escape",
            other => other,
        });
        let mut arguments = vec!["send-keys"];
        arguments.extend(keys);
        self.tmux(&arguments);
    }

    fn type_text(&mut self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    fn shown(&mut self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn keep(&mut self, file: PathBuf) {
        let shown = self.shown();
        let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
        std::fs::write(file.with_extension("txt"), lines.join("\n").trim_end().to_owned() + "\n").unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // If it cannot be ended, it has ended.
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

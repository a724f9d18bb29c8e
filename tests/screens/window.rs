//! An Emacs in a window, on an X server without a screen.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::face::{Face, NO_COMPILER};

/// An X server, an Emacs on it, and the way to ask that Emacs.
pub struct Window {
    server: Child,
    emacs: Child,
    socket: PathBuf,
    client: String,
}

impl Window {
    /// Starts Emacs with the chat open in `home`.
    pub fn start(home: &Path, environment: &[(&str, String)]) -> Self {
        // It looks for a display that is free, and says which. It must not begin anew when its last client goes: Emacs
        // looks whether there is one before it stays.
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts; `make test-editors` installs it");
        let mut display = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut display).unwrap();
        let root = env!("CARGO_MANIFEST_DIR");
        let socket = home.join("emacs");
        let program =
            std::env::var("ORG_AGENT_GRAPHICAL_EMACS").expect("`make test-editors` says which Emacs");
        let emacs = Command::new(&program)
            .args(["-Q", "-fn", "DejaVu Sans Mono-11", "--geometry", "92x30", "--eval", NO_COMPILER, "-L"])
            .arg(Path::new(root).join("emacs"))
            .args(["-l", "org-agent", "-l"])
            .arg(Path::new(root).join("tests/screens/window.el"))
            .arg("--eval")
            .arg(format!("(window-test-start {:?})", socket.to_str().unwrap()))
            .args(["-f", "org-agent-chat"])
            .current_dir(home)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("DISPLAY", format!(":{}", display.trim()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a graphical Emacs starts");
        let client = std::env::var("EMACSCLIENT").unwrap_or_else(|_| "emacsclient".into());
        let window = Self { server, emacs, socket, client };
        let guard = Instant::now() + Duration::from_secs(60);
        while !window.socket.exists() {
            assert!(Instant::now() < guard, "{program} does not come up");
            sleep(Duration::from_millis(50));
        }
        window
    }

    fn evaluate(&self, call: &str) {
        let output = Command::new(&self.client)
            .arg("-s")
            .arg(&self.socket)
            .args(["--eval", call])
            .output()
            .expect("emacsclient starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{call}: {said}");
    }
}

impl Face for Window {
    fn press(&mut self, keys: &str) {
        self.evaluate(&format!("(window-test-press {keys:?})"));
    }

    fn type_text(&mut self, text: &str) {
        self.evaluate(&format!("(window-test-type {text:?})"));
    }

    fn shown(&mut self) -> String {
        let file = self.socket.with_extension("shown");
        self.evaluate(&format!("(window-test-show {:?})", file.to_str().unwrap()));
        std::fs::read_to_string(file).unwrap()
    }

    fn keep(&mut self, file: PathBuf) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file.with_extension("png"));
        self.evaluate(&format!("(window-test-keep {:?})", file.to_str().unwrap()));
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        for child in [&mut self.emacs, &mut self.server] {
            // If it cannot be ended, it has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

//! What a scene can do with an Emacs, wherever that is shown.

use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Compiling to machine code beside it would take the time of a short run; the name changed in Emacs 29.
pub const NO_COMPILER: &str =
    "(setq native-comp-jit-compilation nil native-comp-deferred-compilation nil inhibit-startup-screen t)";

/// An Emacs that is driven by its keys.
pub trait Face {
    /// Presses keys, written as `kbd` of Emacs reads them: `C-c C-c`, `M-x`, `RET`.
    fn press(&mut self, keys: &str);

    /// Types a text, character by character.
    fn type_text(&mut self, text: &str);

    /// What is on the screen.
    fn shown(&mut self) -> String;

    /// Keeps a picture of the screen in a file of that name, and an ending of its own.
    fn keep(&mut self, file: PathBuf);
}

impl dyn Face + '_ {
    /// Waits until the screen has `words`, and returns what it has.
    #[track_caller]
    pub fn until(&mut self, words: &str) -> String {
        self.until_it(&format!("\"{words}\""), |shown| shown.contains(words))
    }

    /// Waits until the screen is as `holds` says; `what` names that.
    #[track_caller]
    pub fn until_it(&mut self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let guard = Instant::now() + Duration::from_secs(60);
        loop {
            let shown = self.shown();
            if holds(&shown) {
                return shown;
            }
            assert!(Instant::now() < guard, "waited in vain for {what}; shown is\n{shown}");
            sleep(Duration::from_millis(30));
        }
    }

    /// Runs a command by its name.
    pub fn command(&mut self, name: &str) {
        self.press("M-x");
        self.type_text(name);
        self.press("RET");
    }

    /// Looks at the screen as long as a reader would.
    pub fn linger(&mut self) {
        sleep(Duration::from_millis(1500));
    }

    /// Takes the picture `name` of the documentation, if pictures are taken.
    pub fn picture(&mut self, name: &str) {
        if let Some(directory) = std::env::var_os("ORG_AGENT_PICTURES") {
            // What is drawn late, such as the mode line.
            sleep(Duration::from_millis(600));
            self.keep(PathBuf::from(directory).join(name));
        }
    }
}

//! Helix, which only keys can steer: in a terminal of tmux, with the server named in its own configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::editor::{Editor, Lack, Offered, Question, wait};
use crate::stage::Stage;

/// Nothing of Helix says when it has taken a key.
const KEY: Duration = Duration::from_millis(60);
const LETTER: Duration = Duration::from_millis(25);

const LANGUAGES: &str = "\
[language-server.org-agent]
command = \"PROGRAM\"
args = [\"serve\"]

[[language]]
name = \"org\"
scope = \"source.org\"
file-types = [\"org\"]
language-servers = [\"org-agent\"]

[[language]]
name = \"markdown\"
language-servers = [\"org-agent\"]
";

const CONFIG: &str = "\
[editor]
completion-timeout = 5
completion-trigger-len = 1
[editor.lsp]
display-messages = true
";

/// A Helix in a tmux server of its own, which ends with it.
pub struct Helix {
    socket: PathBuf,
    program: PathBuf,
    environment: Vec<(&'static str, String)>,
    garden: PathBuf,
    file: PathBuf,
}

impl Helix {
    pub fn new(stage: &Stage, program: &Path) -> Self {
        let config = stage.home().join(".config/helix");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("config.toml"), CONFIG).unwrap();
        let languages = LANGUAGES.replace("PROGRAM", stage.program().to_str().unwrap());
        fs::write(config.join("languages.toml"), languages).unwrap();
        Self {
            socket: stage.home().join("tmux"),
            program: program.to_owned(),
            environment: stage.environment(),
            garden: stage.garden(),
            file: PathBuf::new(),
        }
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .env_remove("TMUX")
            // Letters beyond ASCII are drawn as they are.
            .args(["-u", "-f", "/dev/null", "-S"])
            .arg(&self.socket)
            .args(arguments)
            .output()
            .expect("tmux starts; `make test` installs it");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Presses keys, each by tmux's name for it.
    fn press(&self, keys: &[&str]) {
        for key in keys {
            self.tmux(&["send-keys", key]);
            thread::sleep(KEY);
        }
    }

    /// Types text as it is, line by line.
    fn write(&self, text: &str) {
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 {
                self.press(&["Enter"]);
            }
            // As a person types: keys that come faster than Helix sends reach the server in another order.
            for letter in line.chars() {
                self.tmux(&["send-keys", "-l", "--", &letter.to_string()]);
                thread::sleep(LETTER);
            }
        }
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Normal mode, nothing open, one cursor.
    fn rest(&self) {
        self.press(&["Escape", "Escape", "Escape"]);
    }

    fn typed_command(&self, command: &str) {
        self.rest();
        self.press(&[":"]);
        self.write(command);
        self.press(&["Enter"]);
    }

    /// Selects the last place that has this text.
    fn select(&self, text: &str) {
        self.rest();
        self.press(&["g", "g", "?"]);
        let escaped: String = text
            .chars()
            .flat_map(|c| {
                (!c.is_alphanumeric() && c != ' ' && c.is_ascii()).then_some('\\').into_iter().chain([c])
            })
            .collect();
        self.write(&escaped);
        self.press(&["Enter"]);
    }

    /// The lines of a menu that is open, if it has `title`.
    fn menu(&self, title: Option<&str>) -> Vec<String> {
        self.press(&["Space", "a"]);
        wait("a menu", || {
            let screen = self.screen();
            if screen.contains("No code actions available") {
                return Some(Vec::new());
            }
            let titles = [
                "Send to org-agent",
                "Ask about this",
                "Cancel org-agent",
                "Insert the answer of org-agent",
                "Send again",
            ];
            let found: Vec<String> = screen
                .lines()
                .filter_map(|line| titles.iter().find(|title| line.contains(*title)))
                .map(|title| (*title).to_owned())
                .collect();
            let there = title.map_or(!found.is_empty(), |title| found.iter().any(|one| one == title));
            there.then_some(found)
        })
    }

    fn pick(&self, title: &str) {
        let menu = self.menu(Some(title));
        let at = menu.iter().position(|one| one == title).unwrap_or_else(|| panic!("no {title}: {menu:?}"));
        // The first one is picked already.
        for _ in 0..at {
            self.press(&["Down"]);
        }
        self.press(&["Enter"]);
    }
}

impl Editor for Helix {
    fn open(&mut self, file: &Path) -> Offered<()> {
        file.clone_into(&mut self.file);
        let mut words = vec!["env".to_owned(), "-i".to_owned()];
        words.extend(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        words.extend([self.program.to_str().unwrap().to_owned(), file.to_str().unwrap().to_owned()]);
        let mut start =
            vec!["new-session", "-d", "-x", "160", "-y", "45", "-c", self.garden.to_str().unwrap()];
        start.extend(words.iter().map(String::as_str));
        self.tmux(&start);
        wait("Helix to be drawn", || self.screen().contains("NOR").then_some(()));
        let log = self.socket.with_file_name("server.out");
        wait("the server", || fs::read_to_string(&log).is_ok_and(|said| !said.is_empty()).then_some(()));
        Ok(())
    }

    fn text(&mut self) -> String {
        self.typed_command("w!");
        thread::sleep(KEY);
        fs::read_to_string(&self.file).unwrap()
    }

    fn go(&mut self, to: &str) {
        self.select(to);
        self.press(&[";"]);
    }

    fn type_at_end(&mut self, text: &str) {
        self.rest();
        self.press(&["g", "e", "A"]);
        // No indentation of its own, and no list of completions.
        self.write(text);
        self.rest();
    }

    fn actions(&mut self) -> Offered<Vec<String>> {
        let menu = self.menu(None);
        self.rest();
        Ok(menu)
    }

    fn act(&mut self, title: &str) -> Offered<()> {
        self.pick(title);
        Ok(())
    }

    fn act_on(&mut self, text: &str, title: &str) -> Offered<()> {
        self.select(text);
        self.pick(title);
        Ok(())
    }

    fn lens(&mut self, _: &str) -> Offered<()> {
        Err(Lack("Helix has no code lenses".into()))
    }

    fn execute(&mut self, command: &str) -> Offered<()> {
        self.typed_command(&format!("lsp-workspace-command {command}"));
        Ok(())
    }

    fn execute_here(&mut self, _: &str, _: &Path) -> Offered<()> {
        Err(Lack("its command takes no arguments of the server's".into()))
    }

    fn answer(&mut self, title: Option<&str>) -> Offered<()> {
        // It answers with an error by itself, which is the same as to walk away.
        title.map_or(Ok(()), |_| Err(Lack("Helix asks no questions of the server's".into())))
    }

    fn questions(&mut self) -> Vec<Question> {
        Vec::new()
    }

    fn progress(&mut self) -> Offered<Vec<String>> {
        // A wheel turns in the status line, and nothing else is said unless it is asked for in the configuration.
        let wheel = |line: &&str| {
            line.trim_start().starts_with("NOR") && line.contains(|c| ('\u{2801}'..='\u{28ff}').contains(&c))
        };
        Ok(self.screen().lines().filter(wheel).map(|line| format!("org-agent {line}")).collect())
    }

    fn cancel_progress(&mut self) -> Offered<()> {
        Err(Lack("Helix cancels no progress".into()))
    }

    fn complete(&mut self, typed: &str, part: &str) -> Offered<()> {
        self.rest();
        self.press(&["g", "e", "A"]);
        self.write(typed);
        wait("completions", || self.screen().lines().any(|line| line.contains(part)).then_some(()));
        self.press(&["C-n", "Enter"]);
        self.rest();
        Ok(())
    }

    fn diagnostics(&mut self) -> Offered<Vec<String>> {
        self.rest();
        self.press(&["Space", "d"]);
        thread::sleep(KEY);
        let shown = self.screen().lines().map(str::to_owned).collect();
        self.rest();
        Ok(shown)
    }

    fn refuse(&mut self, _: bool) -> Offered<()> {
        Err(Lack("Helix refuses no edit".into()))
    }

    fn quit(&mut self) {
        self.typed_command("qa!");
    }

    fn trouble(&mut self) -> String {
        let log = self.socket.with_file_name(".cache/helix/helix.log");
        format!("{}\n{}", self.screen(), fs::read_to_string(log).unwrap_or_default())
    }
}

impl Drop for Helix {
    fn drop(&mut self) {
        // If it cannot be ended, it has ended.
        let _ = Command::new("tmux").arg("-S").arg(&self.socket).arg("kill-server").output();
    }
}

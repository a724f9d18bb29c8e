//! `org-agent config` as a user runs it, and what a running server makes of a file that changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod running;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

const SECRET: &str = "sk-Secret0123456789";

/// What a command came to.
#[derive(Debug)]
struct Outcome {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// That it ended like this, and said all of this, and nowhere the secret.
    fn says(self, status: i32, parts: &[&str]) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        let all = format!("{}\n{}", self.stdout, self.stderr);
        for part in parts {
            assert!(all.contains(part), "{part:?} is not in\n{all}");
        }
        assert!(!all.contains(SECRET), "{all}");
        self
    }
}

struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn with(text: &str) -> Self {
        let home = Self::new();
        home.write(text);
        home
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn file(&self) -> PathBuf {
        self.path().join("config.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Outcome {
        let output = self.command(env).arg("config").args(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Outcome {
            status: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    fn command(&self, env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_org-agent"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("ORG_AGENT_HOME", self.path()).env("HOME", self.path()).current_dir(self.path());
        command.env("ORG_AGENT_LOCAL_PORTS", "none").envs(env.iter().copied()).stdin(Stdio::null());
        command
    }
}

#[test]
fn show_tells_every_value_with_its_source_and_no_secret() {
    let home = Home::with(&format!(
        "[persona]\nuser = \"Ada\"\n\n[[models]]\nmodel = \"m\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
         api_key_command = [\"echo\", \"{SECRET}\"]\n"
    ));
    let env = [("MEMEX_ASSISTANT", "Jeeves"), ("OPENAI_API_KEY", SECRET)];
    let file = home.file().display().to_string();
    let line = |number: usize| format!("[{file}:{number}]");
    home.run(&["show"], &env).says(
        0,
        &[
            &file,
            "answers  m at http://127.0.0.1:1/v1 (config.toml)",
            &format!("\"Ada\"  {}", line(2)),
            "\"Jeeves\"  [environment variable MEMEX_ASSISTANT]",
            &format!("[\"echo\", …]  {}", line(7)),
            "models[1].idle_seconds",
            "\"forever\"  [default]",
            "(no limit)  [default]",
            "(set, and not shown)  [environment]",
            "ANTHROPIC_API_KEY",
        ],
    );
    let one = home.run(&["show", "sessions.keep"], &env).says(
        0,
        &[
            "sessions.keep  \"forever\"  [default]",
            "It is a text in quotes",
            "docs/sessions.md",
            "next message",
        ],
    );
    assert!(!one.stdout.contains("persona"), "{one:?}");
    home.run(&["show", "ORG_AGENT_HOME"], &env).says(0, &["next start of the server"]);
    let some = home.run(&["show", "models"], &env).says(0, &["models[1].model", "models[1].price.input"]);
    assert!(!some.stdout.contains("spend"), "{some:?}");
    home.run(&["show", "shell.rules"], &env).says(1, &["no such table", "shell.rules.pattern = ["]);
    home.run(&["show", "sesions.keep"], &env).says(1, &["did you mean sessions.keep?"]);
    let json = home.run(&["show", "--json"], &env).says(0, &[]);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json["file"].as_str(), &json["exists"]), (Some(file.as_str()), &Value::Bool(true)));
    let all = json["settings"].as_array().unwrap();
    let of = |key: &str| all.iter().find(|it| it["key"] == key).unwrap();
    assert_eq!(
        (of("persona.user")["value"].as_str(), of("persona.user")["line"].as_u64()),
        (Some("\"Ada\""), Some(2))
    );
    assert_eq!(of("spend.per_day")["value"], Value::Null);
    assert_eq!(of("OPENAI_API_KEY")["restart"], true);
}

#[test]
fn check_tells_all_that_is_wrong_and_what_is_unwise() {
    let home = Home::new();
    home.run(&["check"], &[]).says(0, &["not there", "org-agent config edit"]);
    home.run(&["check", "nowhere.toml"], &[]).says(1, &["there is no file nowhere.toml"]);
    home.run(&["check", "a", "b"], &[]).says(2, &[]);

    home.write(&format!("[persona]\nusr = \"{SECRET}\"\n\n[spend]\nper_day = \"{SECRET}\"\n"));
    let at = |place: &str| format!("{}:{place}", home.file().display());
    home.run(&["check"], &[]).says(
        1,
        &[
            &at("2:1: there is no key `usr`"),
            "  2 | usr = \"··················",
            "    | ^^^",
            "hint: did you mean `user`?",
            &at("5:11: `per_day` is a text"),
            "hint: write a number: per_day = 2.50",
            "has 2 problems",
        ],
    );

    home.write("[[shell.rules]]\npattern = [\"ls\"]\ndecision = \"allow\"\n[[shell.rules]]\npattern = [\"<what>\"]\ndecision = \"ask\"\n");
    home.run(&["check"], &[]).says(1, &[&at("5:11: the rule is wrong: there is no class"), "has 1 problem"]);

    let wise = "[[models]]\nmodel = \"m\"\nca_file = \"/nowhere.pem\"\napi_key_env = \"NOT_SET\"\n\
                [[models]]\nname = \"other\"\nmodel = \"m\"\napi_key_command = [\"no-such-program-here\"]\n\
                # ghp_a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8\n";
    home.write(wise);
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o666)).unwrap();
    let told = home.run(&["check"], &[]).says(
        0,
        &[
            &at("3:1: warning: `ca_file` names no file"),
            &at("4:1: warning: the variable of `api_key_env` is not set"),
            &at("8:1: warning: the program of `api_key_command` is not found"),
            &at("9:1: warning: this looks like a secret"),
            "others can change it (mode 666)",
            "is right",
        ],
    );
    assert!(!told.stdout.contains("ghp_a1"), "{told:?}");

    home.write("");
    fs::set_permissions(home.file(), fs::Permissions::from_mode(0o600)).unwrap();
    home.run(&["check"], &[("ORG_AGENT_LOCAL_PORTS", "nonsense")])
        .says(1, &["ORG_AGENT_LOCAL_PORTS is wrong"]);
    // Another command that meets a wrong file says where, too.
    home.write("[persona]\nuser = 5\n");
    home.run(&["show"], &[]).says(1, &["line 2: `user` is a whole number", "write a text in quotes"]);
}

#[test]
fn the_sample_is_right_and_edit_begins_with_it() {
    let home = Home::new();
    let sample =
        home.run(&["sample"], &[]).says(0, &["##[[models]]", "#keep = \"forever\"", "##per_day = 2.50"]);
    home.run(&["edit"], &[]).says(1, &["neither VISUAL nor EDITOR is set", "EDITOR=nano"]);
    assert!(!home.file().exists());

    home.run(&["edit"], &[("EDITOR", "true")]).says(0, &["is right"]);
    assert_eq!(fs::read_to_string(home.file()).unwrap(), sample.stdout);
    assert_eq!(fs::metadata(home.file()).unwrap().permissions().mode() & 0o777, 0o600);
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["config.toml"]);

    // Arguments of an editor are its own, VISUAL goes first, and what it did is checked.
    let script = home.path().join("an editor");
    fs::write(&script, "#!/bin/sh\nprintf '[persona]\\nusr = 1\\n' > \"$2\"\necho \"$1\" > arguments\n")
        .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let editor = format!("'{}' --wait", script.display());
    home.run(&["edit"], &[("VISUAL", &editor), ("EDITOR", "false")]).says(1, &["2:1: there is no key `usr`"]);
    assert_eq!(fs::read_to_string(home.path().join("arguments")).unwrap(), "--wait\n");
    home.run(&["edit"], &[("EDITOR", "false")])
        .says(1, &["the editor did not end well", "EDITOR: exit status: 1"]);
}

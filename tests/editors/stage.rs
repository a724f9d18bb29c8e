//! A home with a folder of notes in it, a model, and the program that editors start as the server.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::fake_model::FakeModel;

/// Everything that an editor and the server find.
pub struct Stage {
    home: TempDir,
    pub model: FakeModel,
}

impl Stage {
    /// A stage.
    pub fn new() -> Self {
        let mut home = tempfile::Builder::new();
        // Emacs's own server listens only where nobody else can look.
        home.prefix("editor-").rand_bytes(5).permissions(Permissions::from_mode(0o700));
        let stage = Self { home: home.tempdir().unwrap(), model: FakeModel::start() };
        fs::create_dir_all(stage.garden()).unwrap();
        // What goes over the line is kept beside it, to explain a failure.
        let (at, program) = (stage.home().display(), env!("CARGO_BIN_EXE_org-agent"));
        let script = format!(
            "#!/bin/sh\n\
             export AT='{at}' PROGRAM='{program}'\n\
             tee -a \"$AT/server.in\" | sh -c 'echo $$ > \"$AT/server.pid\"; exec \"$PROGRAM\" \"$@\" 2>> \"$AT/server.log\"' org-agent \"$@\" | tee -a \"$AT/server.out\"\n"
        );
        fs::write(stage.program(), script).unwrap();
        fs::set_permissions(stage.program(), Permissions::from_mode(0o755)).unwrap();
        stage
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder with the notes.
    pub fn garden(&self) -> PathBuf {
        self.home().join("Gärten")
    }

    /// `ORG_AGENT_HOME`.
    pub fn agent_home(&self) -> PathBuf {
        self.home().join("org-agent.home")
    }

    /// What editors start as the server.
    pub fn program(&self) -> PathBuf {
        self.home().join("org-agent")
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.garden().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// What Emacs and the server are given: everything that they could find by themselves stands here.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        vec![
            ("PATH", std::env::var("PATH").unwrap()),
            ("HOME", text(self.home().to_owned())),
            ("XDG_RUNTIME_DIR", text(self.home().to_owned())),
            ("TMPDIR", text(self.home().to_owned())),
            ("LANG", "C.UTF-8".to_owned()),
            ("TERM", "xterm-256color".to_owned()),
            ("ORG_AGENT_PROGRAM", text(self.program())),
            ("ORG_AGENT_HOME", text(self.agent_home())),
            ("ORG_AGENT_LOCAL_PORTS", "none".to_owned()),
            ("ORG_AGENT_MODEL", "fake-model".to_owned()),
            ("OPENAI_BASE_URL", self.model.base_url()),
            ("OPENAI_API_KEY", "secret-of-a-test".to_owned()),
        ]
    }

    /// Whether the server was started and has not ended.
    pub fn runs(&self) -> bool {
        let pid = fs::read_to_string(self.home().join("server.pid")).unwrap_or_default();
        !pid.is_empty() && Path::new("/proc").join(pid.trim()).exists()
    }

    /// What may explain a failure: the end of what the server was told, said, and wrote to its log.
    pub fn trouble(&self) -> String {
        let tail = |name: &str| {
            let bytes = fs::read(self.home().join(name)).unwrap_or_default();
            let from = bytes.len().saturating_sub(6_000);
            format!("--- {name}\n{}\n", String::from_utf8_lossy(&bytes[from..]))
        };
        ["server.in", "server.out", "server.log"].map(tail).concat()
    }
}

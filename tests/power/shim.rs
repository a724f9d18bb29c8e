//! Builds `shim.c` and makes the variables that preload it into a server. It knows nothing of what it records.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The library, the home that it watches, and the trace that it writes.
pub struct Shim {
    dir: TempDir,
    lies: bool,
}

impl Shim {
    /// Builds it. With `lies` the disk pretends that everything is durable.
    pub fn new(lies: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("home")).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/power/shim.c");
        let built = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread", "-o"])
            .args([&dir.path().join("shim.so"), &source])
            .output();
        let built = built.unwrap_or_else(|error| {
            panic!("this test needs a C compiler, `cc` (apt-get install gcc libc6-dev): {error}")
        });
        let said = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "cc cannot build {}:\n{said}", source.display());
        Self { dir, lies }
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("home")
    }

    pub fn trace(&self) -> PathBuf {
        self.dir.path().join("trace")
    }

    /// The variables for a server.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        vec![
            ("ORG_AGENT_MODEL", "offline".to_owned()),
            ("LD_PRELOAD", text(self.dir.path().join("shim.so"))),
            ("ORG_AGENT_POWER_DIR", text(self.home())),
            ("ORG_AGENT_POWER_TRACE", text(self.trace())),
            ("ORG_AGENT_POWER_LIES", u8::from(self.lies).to_string()),
        ]
    }
}

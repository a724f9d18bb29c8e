//! Facts about the build, for `org-agent --version`. No time of day and no path is among them: the same sources, built with the
//! same compiler, are the same program.

#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=ORG_AGENT_COMMIT");
    fact("COMMIT", &commit().unwrap_or_else(|| "unknown".to_owned()));
    fact("TARGET", &variable("TARGET"));
    fact("PROFILE", &variable("PROFILE"));
    let mut features: Vec<String> = env::vars()
        .filter_map(|(name, _)| name.strip_prefix("CARGO_FEATURE_").map(str::to_lowercase))
        .filter(|name| name != "default")
        .collect();
    features.sort();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(" ") };
    fact("FEATURES", &features);
    let compiler = output(Command::new(variable("RUSTC")).arg("--version"));
    fact("RUSTC", compiler.as_deref().unwrap_or("unknown"));
}

fn fact(name: &str, value: &str) {
    println!("cargo:rustc-env=ORG_AGENT_BUILD_{name}={value}");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// What a command prints in one line, if it succeeds.
fn output(command: &mut Command) -> Option<String> {
    let done = command.output().ok().filter(|done| done.status.success())?;
    let line = String::from_utf8(done.stdout).ok()?.trim().to_owned();
    (!line.is_empty() && !line.contains('\n')).then_some(line)
}

/// The commit that is built: as the environment says, or as `cargo package` wrote it down, or as git has it. Only a release
/// build asks git: else every commit would have everything built again.
fn commit() -> Option<String> {
    let plain = |text: &str| {
        let text = text.trim();
        let fits = (7..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| text.to_ascii_lowercase())
    };
    if let Ok(given) = env::var("ORG_AGENT_COMMIT") {
        return plain(&given);
    }
    let root = variable("CARGO_MANIFEST_DIR");
    let root = Path::new(&root);
    if let Ok(packed) = fs::read_to_string(root.join(".cargo_vcs_info.json")) {
        let (_, after) = packed.split_once("\"sha1\"")?;
        return plain(after.split('"').nth(1)?);
    }
    // A checkout of its own, not a copy that lies inside somebody else's.
    if variable("PROFILE") != "release" || !root.join(".git").exists() {
        return None;
    }
    let git = |arguments: &[&str]| output(Command::new("git").arg("-C").arg(root).args(arguments));
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]).map(|path| root.join(path))
            && path.exists()
        {
            println!("cargo:rerun-if-changed={}", path.display());
        }
    }
    for name in ["src", "skills", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={name}");
    }
    let head = plain(&git(&["rev-parse", "HEAD"])?)?;
    let same =
        Command::new("git").arg("-C").arg(root).args(["diff", "--quiet", "HEAD", "--"]).status().ok()?;
    Some(if same.success() { head } else { format!("{head}, changed") })
}

//! `config edit`: the file in the user's editor, checked afterwards.

use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::Command;

use super::{check, variable};
use crate::cli::written;
use crate::config::{Paths, read, sample};
use crate::error::{Error, Result};
use crate::{known, whole};

/// Edit config.toml in $VISUAL or $EDITOR, and check it afterwards
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  EDITOR=nano org-agent config edit\n\n\
    If there is no file, it begins as `org-agent config sample`. On a terminal a file that is wrong can be edited again.\n\n\
    Exit status: 0 the file is right, 1 it is wrong, 2 wrong usage.")]
pub(super) struct Args {}

/// Runs the command; the exit status.
pub(super) fn run(_args: &Args, paths: &Paths, stdout: &mut dyn Write) -> Result<u8> {
    let path = paths.config_file();
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| {
        let value = variable(name).filter(|value| !value.trim().is_empty())?;
        Some((name, value))
    });
    let Some((name, editor)) = editor else {
        return Err(Error::bad_request("there is no editor to open")
            .because("neither VISUAL nor EDITOR is set")
            .hint(format!("set one, such as EDITOR=nano, or open {} yourself", path.display())));
    };
    begin(&path)?;
    // What is configured names the keys that an editor need not have; whether it is right is seen below.
    drop(crate::cli::config());
    loop {
        open(name, &editor, &path)?;
        let text = read(&path)?.unwrap_or_default();
        let (report, status) = check::report(&path, &text, paths, true);
        written(stdout.write_all(report.as_bytes()).and_then(|()| stdout.flush()), "the report")?;
        if status == 0 || !again()? {
            return Ok(status);
        }
    }
}

/// Makes the file from the sample, unless it is there.
fn begin(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let failed = |why: io::Error| {
        Error::internal(format!("cannot write {}", path.display()))
            .because(why)
            .hint("make its directory writable")
    };
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    whole::write(path, &sample()).map_err(failed)
}

/// Opens the editor, which may be a command with arguments, and waits until it is done.
fn open(name: &str, editor: &str, path: &Path) -> Result<()> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(path);
    known::hide_from(&mut command);
    let failed = |why: String| {
        Error::bad_request("the editor did not end well")
            .because(why)
            .hint(format!("correct {name}; what it saved is in {}", path.display()))
    };
    let status = command.status().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(format!("{name}: {status}"))) }
}

/// Whether to open it once more: asked on a terminal only.
fn again() -> Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    let asked = io::stderr().write_all(b"Edit it again? [Y/n] ").and_then(|()| io::stderr().flush());
    written(asked, "the question")?;
    let mut line = String::new();
    let length = io::stdin().lock().read_line(&mut line).unwrap_or_default();
    Ok(length > 0 && !matches!(line.trim().to_ascii_lowercase().as_str(), "n" | "no"))
}

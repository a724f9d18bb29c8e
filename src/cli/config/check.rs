//! `config check`: everything that is wrong with the file, each with its place and what to do; and what is only unwise.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::variable;
use crate::cli::visible;
use crate::config::{Config, MOST_PROBLEMS, Paths, Problem, Stated, find, problems, read, stated};
use crate::error::{Error, Result};
use crate::kernel::rules;
use crate::redact::{Keys, redact};
use crate::shell;

/// Check config.toml: say everything that is wrong, where, and what to write
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  org-agent config check\n  org-agent config check dotfiles/config.toml\n\n\
                  Exit status: 0 it is right, perhaps with warnings; 1 it is wrong, or cannot be read; 2 wrong usage."
)]
pub(super) struct Args {
    /// The file; without it, the one that is in use
    file: Option<PathBuf>,
}

/// What is said of a file, and the exit status.
pub(super) fn text(args: &Args, paths: &Paths) -> Result<(String, u8)> {
    let own = paths.config_file();
    let path = args.file.as_deref().unwrap_or(&own);
    let Some(text) = read(path)? else {
        if args.file.is_some() {
            return Err(Error::not_found(format!("there is no file {}", path.display()))
                .hint("name a file that is there, or none for the one that is in use"));
        }
        let words = format!("{}: not there, so all is as it is by default\n", path.display());
        return Ok((format!("{words}  hint: begin one: org-agent config edit\n"), 0));
    };
    Ok(report(path, &text, paths, *path == own))
}

/// The same for a text that was read from `path`; whether that is the file in use.
pub(super) fn report(path: &Path, text: &str, paths: &Paths, in_use: bool) -> (String, u8) {
    let mut out = String::new();
    let mut errors = problems(text, variable("HOME").as_deref());
    let mut others = Vec::new();
    if errors.is_empty() {
        errors.extend(of_rules(text));
        if errors.is_empty()
            && let Err(error) = whole(paths, text, in_use)
        {
            others.push(error);
        }
    }
    for problem in &errors {
        say(&mut out, path, text, problem, "");
    }
    for error in &others {
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{error}");
    }
    let warnings = warnings(text);
    for problem in &warnings {
        say(&mut out, path, text, problem, "warning: ");
    }
    if let Some(words) = permissions(path) {
        let _ = writeln!(out, "{}: warning: {words}", path.display());
    }
    let wrong = errors.len() + others.len();
    let _ = match wrong {
        0 => writeln!(out, "{} is right", path.display()),
        MOST_PROBLEMS.. => writeln!(out, "{} has {wrong} problems or more", path.display()),
        1 => writeln!(out, "{} has 1 problem", path.display()),
        _ => writeln!(out, "{} has {wrong} problems", path.display()),
    };
    (visible(&out).into_owned(), u8::from(wrong > 0))
}

fn say(out: &mut String, path: &Path, text: &str, problem: &Problem, grade: &str) {
    let (line, column) = problem.position(text);
    let _ = writeln!(out, "{}:{line}:{column}: {grade}{}", path.display(), problem.why);
    for line in problem.excerpt(text).iter().flat_map(|excerpt| excerpt.lines()) {
        let _ = writeln!(out, "  {line}");
    }
    let _ = writeln!(out, "  hint: {}", problem.hint);
}

/// What the table of settings cannot say, as the server would find it.
fn whole(paths: &Paths, text: &str, in_use: bool) -> Result<()> {
    let mut config = Config::new(paths.clone(), Some(text), variable)?;
    if in_use {
        config.refresh()?;
        rules::load(&config)?;
    }
    Ok(())
}

/// The rules for the shell that are wrong by themselves.
fn of_rules(text: &str) -> Vec<Problem> {
    let paths = Paths { config: PathBuf::new(), data: PathBuf::new() };
    let Ok(config) =
        Config::new(paths, Some(text), |name| (name == "HOME").then(|| variable(name)).flatten())
    else {
        return Vec::new();
    };
    let specs = config.shell.rules.into_iter().enumerate().take(MOST_PROBLEMS);
    let wrong = specs.filter_map(|(index, spec)| {
        let error = shell::Rule::new(spec, shell::Source::User).err()?;
        let at = find(text, "shell.rules", index, "pattern");
        // The rule itself stands above the caret; its words may be anything.
        Some(Problem { at, why: format!("the rule is wrong: {}", error.why), hint: error.hint })
    });
    wrong.collect()
}

/// What is not wrong, and will not work or is not wise.
fn warnings(text: &str) -> Vec<Problem> {
    let mut found: Vec<Problem> = stated(text).iter().filter_map(missing).collect();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.trim_end().len();
        if redact(line, &Keys::new([])).0 != line {
            found.push(Problem {
                at: at..end,
                why: "this looks like a secret".to_owned(),
                hint: "keep it elsewhere: api_key_env names the variable that holds it, api_key_command a command \
                       that prints it; and make a new one, if others could read this"
                    .to_owned(),
            });
        }
        at += line.len();
    }
    found.sort_by_key(|problem| problem.at.start);
    found.truncate(MOST_PROBLEMS);
    found
}

/// What a setting names and is not there.
fn missing(stated: &Stated) -> Option<Problem> {
    let warn = |why: &str, hint: &str| {
        Some(Problem { at: stated.at.clone(), why: why.to_owned(), hint: hint.to_owned() })
    };
    let text = stated.value.as_str();
    match stated.setting.key {
        "models.ca_file" if !Path::new(text?).is_file() => warn(
            "`ca_file` names no file that is there",
            "give its whole path; the model cannot be asked without it",
        ),
        "models.api_key_env" if variable(text?).is_none_or(|value| value.trim().is_empty()) => warn(
            "the variable of `api_key_env` is not set here",
            "set it where the editor is started, or use api_key_command",
        ),
        "models.api_key_command" => {
            let program = match &stated.value {
                toml::Value::Array(words) => words.first()?.as_str()?,
                // What a shell makes of it is not looked into.
                _ => return None,
            };
            if is_program(program) {
                return None;
            }
            warn("the program of `api_key_command` is not found", "install it, or give its whole path")
        }
        "sessions.mirror" => {
            let path = match (text?.strip_prefix("~/"), variable("HOME")) {
                (Some(rest), Some(home)) => Path::new(&home).join(rest),
                _ => PathBuf::from(text?),
            };
            if path.exists() && !path.is_dir() {
                return warn("`mirror` is no directory", "name a directory; it is made if it is not there");
            }
            None
        }
        _ => None,
    }
}

fn is_program(name: &str) -> bool {
    let runs = |path: &Path| {
        fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return runs(Path::new(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|place| runs(&place.join(name)))
}

/// Whoever can write the file can have commands run unasked.
fn permissions(path: &Path) -> Option<String> {
    let data = fs::metadata(path).ok()?;
    let mode = data.permissions().mode() & 0o777;
    (mode & 0o022 != 0).then(|| {
        format!(
            "others can change it (mode {mode:03o}), and with it which commands run unasked\n  hint: chmod go-w {}",
            path.display()
        )
    })
}

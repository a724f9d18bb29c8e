//! `org-agent skill new`: a note that works and explains itself, and cases for it; or a folder with a `SKILL.md`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::ids::uuid;
use crate::skill::{Skill, folder};

/// Begin a skill: write a note that works, with comments, and cases to test it; or a folder with a SKILL.md
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  org-agent skill new greet\n  org-agent skill new greet --dir .\n  org-agent skill new pdf-forms --format skill-md"
)]
pub(super) struct Args {
    /// The skill's name: lower-case letters, digits and dashes
    #[arg(value_parser = name)]
    name: String,
    /// What to write: a note, which can act, or a folder, which the model reads
    #[arg(long, value_enum, default_value = "note")]
    format: Written,
    /// Where to write it; without, the directory of your skills
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Write it even if there is a skill of that name, whose place it will take
    #[arg(long)]
    replace: bool,
}

/// What a skill is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Written {
    /// An Org note with Lisp
    Note,
    /// A folder with a SKILL.md, for this and other agents
    SkillMd,
}

const NOTE: &str = include_str!("new/note.org");
const CASES: &str = include_str!("new/cases.toml");
const FOLDER: &str = include_str!("new/SKILL.md");

fn name(text: &str) -> Result<String, String> {
    let most = folder::MAX_NAME;
    if text.len() > most {
        return Err(format!("a name has at most {most} characters"));
    }
    if !folder::is_name(text) || !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(
            "use lower-case letters, digits and single dashes, beginning with a letter, as in commit-message"
                .into(),
        );
    }
    Ok(text.to_owned())
}

/// Writes the files; what to do next.
///
/// # Errors
/// `conflict` if one of them is there or there is a skill of that name, `bad_request` if they can not be written.
pub(super) fn write(args: &Args, config: &Config) -> Result<String> {
    let name = &args.name;
    let directory = args.dir.clone().unwrap_or_else(|| config.paths.skills());
    let note = directory.join(format!("{name}.org"));
    let cases = directory.join(format!("{name}.test.toml"));
    let folder = directory.join(name);
    let is_folder = args.format == Written::SkillMd;
    for path in if is_folder { vec![&folder] } else { vec![&note, &cases] } {
        if path.symlink_metadata().is_ok() {
            return Err(there(path));
        }
    }
    if !args.replace
        && let Some(skill) = super::library(config).shelf().get(name)
    {
        return Err(taken(skill));
    }
    fs::create_dir_all(&directory).map_err(|error| failed(&directory, &error))?;
    if is_folder {
        fs::create_dir(&folder).map_err(|error| failed(&folder, &error))?;
        let file = folder.join("SKILL.md");
        create(&file, &FOLDER.replace("NAME", name))?;
        let mut out = format!(
            "{}\n  what the skill is for, and instructions; files beside it can be loaded one by one\n\nNext:\n  \
             org-agent skill check {}\n",
            file.display(),
            folder.display()
        );
        out.push_str(&match &args.dir {
            None => format!("  org-agent chat \"/{name} hello\"\n\nA chat that is open knows it from the next message on.\n"),
            Some(_) => format!("\nIt is used once it is in {}\n", config.paths.skills().display()),
        });
        return Ok(out);
    }
    create(&cases, &CASES.replace("NAME", name))?;
    create(&note, &NOTE.replace("NAME", name).replace("UUID", &uuid()?))?;
    let (note, cases) = (note.display(), cases.display());
    let mut out = format!(
        "{note}\n  the note: it works as it is; its comments say what to change\n\
         {cases}\n  cases that it is tested with\n\nNext:\n  org-agent skill check {note}\n"
    );
    if args.dir.is_none() {
        out.push_str(&format!(
            "  org-agent skill test {name}\n  org-agent chat \"{name} hello\"\n\n\
             A chat that is open uses it from the next message on.\n"
        ));
    } else {
        out.push_str(&format!("\nIt is used once it is in {}\n", config.paths.skills().display()));
    }
    Ok(out)
}

fn create(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists { there(path) } else { failed(path, &error) }
    })?;
    file.write_all(text.as_bytes()).map_err(|error| failed(path, &error))
}

fn there(path: &Path) -> Error {
    Error::new(crate::error::Code::Conflict, format!("{} is there already", path.display()))
        .hint("take another name, or remove it; nothing was written over")
}

fn taken(skill: &Skill) -> Error {
    let Skill { name, origin, file, .. } = skill;
    Error::new(crate::error::Code::Conflict, format!("there is a skill {name} already"))
        .because(format!("the new one would replace the {origin} one of {file}"))
        .hint("take another name; to replace it say so: --replace")
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::bad_request(format!("{} could not be written", path.display()))
        .because(error)
        .hint("name a directory that you may write: --dir DIR")
}

//! `org-agent skill check`: whether notes work, and if not, where and why.

use std::path::PathBuf;

use super::harmless;
use crate::skills::Library;

const EXAMPLE: &str = "\
Examples:
  org-agent skill check
  org-agent skill check ~/notes/greet.org

Each problem is FILE:LINE: what is wrong, then the form and what to do. A file is checked together with the built-in skills \
and yours, so that it may depend on them.

Exit status: 0 all notes work, 1 one does not, 2 wrong usage.";

/// Check notes: all of them, or those that are given
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// The notes to check; without any, all skills
    files: Vec<PathBuf>,
}

/// What is wrong, and the exit status.
pub(super) fn text(args: &Args, library: &mut Library) -> (String, u8) {
    let names: Vec<String> = args.files.iter().map(|file| library.add(file)).collect();
    let shelf = library.shelf();
    let asked = |file: &String| names.is_empty() || names.contains(file);
    let mut out = String::new();
    let mut status = 0;
    for name in names.iter().filter(|name| library.is_something_else(name)) {
        status = 1;
        out.push_str(&format!(
            "{name}: the note has no Lisp block, and its title does not say SKILL: it is not read as a skill\n  \
             hint: Begin one with: org-agent skill new NAME\n"
        ));
    }
    for problem in shelf.problems().iter().filter(|problem| asked(&problem.file)) {
        status = 1;
        out.push_str(&format!("{problem}\n"));
    }
    let skills: Vec<&str> =
        shelf.skills().iter().filter(|skill| asked(&skill.file)).map(|skill| skill.name.as_str()).collect();
    if status == 0 {
        let all = skills.join(", ");
        out.push_str(&format!("{} {all}\n", if skills.len() == 1 { "1 skill works:" } else { "all work:" }));
        for shadowed in shelf.shadowed().iter().filter(|other| asked(&other.by_file)) {
            out.push_str(&format!("note: {shadowed}\n"));
        }
    }
    (harmless(&out), status)
}

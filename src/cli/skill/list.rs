//! `org-agent skill list`: every skill, highest priority first, and what is wrong.

use serde_json::{Value, json};

use super::harmless;
use crate::skill::{Problem, Shelf, Skill, Untrusted};
use crate::skills::Library;

const EXAMPLE: &str = "\
Examples:
  org-agent skill list
  org-agent skill list --json

The order is that in which skills are asked; a folder (with a SKILL.md) is never asked, but loaded by the model or by /NAME. \
States: ok; warn, it works and something is wrong all the same; \
kept, the note is broken and its last version that worked is in use (in a server that runs: this command knows no earlier \
version); broken, nothing of it is in use; untrusted and changed, a skill of the project here that is not in use until you \
trust it as it is.";

/// List the skills, highest priority first, with what is wrong
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// As JSON lines: the skills, then the notes that make none as they are broken
    #[arg(long)]
    json: bool,
}

/// How wide a description is shown at most.
const WIDTH: usize = 72;

/// The list.
pub(super) fn text(args: &Args, library: &Library) -> String {
    let shelf = library.shelf();
    if args.json {
        let skills = shelf.skills().iter().map(|skill| skill.to_json(&shelf));
        let works = |file: &String| shelf.skills().iter().any(|skill| skill.file == *file);
        let broken = shelf.problems().iter().filter(|problem| !works(&problem.file));
        let broken = broken.map(|problem| without_skill(problem, &shelf));
        let untrusted = shelf.untrusted().iter().map(Untrusted::to_json);
        return skills.chain(broken).chain(untrusted).map(|line| format!("{line}\n")).collect();
    }
    let mut out = String::new();
    let name = |skill: &Skill| skill.name.chars().count();
    let width = shelf.skills().iter().map(|skill| name(skill)).max().unwrap_or(0).clamp(4, 32);
    for skill in shelf.skills() {
        let mut description: String = skill.description.chars().take(WIDTH).collect();
        if description.len() < skill.description.len() {
            description.push('…');
        }
        let state = skill.state(&shelf);
        let Skill { name, priority, origin, .. } = &**skill;
        // A folder is never asked; where others have their priority it says what it is.
        let place = skill.folder().map_or_else(|| priority.to_string(), |_| skill.format.as_str().to_owned());
        out.push_str(&format!(
            "{name:<width$}  {place:>6}  {:<7}  {state:<4}  {description}\n",
            origin.as_str()
        ));
    }
    for skill in shelf.untrusted() {
        let Untrusted { name, file, standing, .. } = skill;
        out.push_str(&format!(
            "\n{}: the project's skill {name} of {file} is not in use\n  hint: look at it and trust it: org-agent skill trust {name}\n",
            standing.as_str()
        ));
    }
    for problem in shelf.problems() {
        out.push_str(&format!("\n{}: {problem}\n", problem.state(&shelf)));
    }
    // Of those from the same place a problem tells.
    for shadowed in shelf.shadowed().iter().filter(|other| other.origin != other.by_origin) {
        out.push_str(&format!("\nnote: {shadowed}\n"));
    }
    if shelf.skills().iter().all(|skill| skill.origin == crate::skill::Origin::Builtin) {
        out.push_str(&format!(
            "\nYours would be in {}; begin one with: org-agent skill new NAME\n",
            library.directory().display()
        ));
    }
    harmless(&out)
}

/// A note of which no skill is in use.
fn without_skill(problem: &Problem, shelf: &Shelf) -> Value {
    json!({
        "name": problem.name, "origin": problem.origin.as_str(), "state": problem.state(shelf), "file": problem.file,
        "line": problem.line, "problem": problem.to_json(shelf),
    })
}

//! `org-agent skill list`: every skill, highest priority first, and what is wrong.

use serde_json::{Value, json};

use super::harmless;
use crate::skill::{Problem, Shelf, Skill};
use crate::skills::Library;

const EXAMPLE: &str = "\
Examples:
  org-agent skill list
  org-agent skill list --json

The order is that in which skills are asked. States: ok; warn, it works and something is wrong all the same; \
kept, the note is broken and its last version that worked is in use (in a server that runs: this command knows no earlier \
version); broken, nothing of it is in use.";

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
        let skills = shelf.skills().iter().map(|skill| object(skill, &shelf));
        let works = |file: &String| shelf.skills().iter().any(|skill| skill.file == *file);
        let broken = shelf.problems().iter().filter(|problem| !works(&problem.file)).map(broken);
        return skills.chain(broken).map(|line| format!("{line}\n")).collect();
    }
    let mut out = String::new();
    let name = |skill: &Skill| skill.name.chars().count();
    let width = shelf.skills().iter().map(|skill| name(skill)).max().unwrap_or(0).clamp(4, 32);
    for skill in shelf.skills() {
        let mut description: String = skill.description.chars().take(WIDTH).collect();
        if description.len() < skill.description.len() {
            description.push('…');
        }
        let state = state(skill, &shelf);
        let Skill { name, priority, origin, .. } = &**skill;
        out.push_str(&format!(
            "{name:<width$}  {priority:>5}  {:<7}  {state:<4}  {description}\n",
            origin.as_str()
        ));
    }
    for problem in shelf.problems() {
        let with = shelf.skills().iter().find(|skill| skill.file == problem.file);
        let state = with.map_or("broken", |skill| state(skill, &shelf));
        out.push_str(&format!("\n{state}: {problem}\n"));
    }
    for shadowed in shelf.shadowed() {
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

/// What is wrong with the note of a skill.
pub(super) fn problem<'s>(skill: &Skill, shelf: &'s Shelf) -> Option<&'s Problem> {
    shelf.problems().iter().find(|problem| problem.file == skill.file)
}

/// The state of a skill in one word.
pub(super) fn state(skill: &Skill, shelf: &Shelf) -> &'static str {
    match problem(skill, shelf) {
        None => "ok",
        Some(problem) if problem.kept => "kept",
        Some(_) => "warn",
    }
}

/// Everything that is known of a skill but its prose.
pub(super) fn object(skill: &Skill, shelf: &Shelf) -> Value {
    let shadows: Vec<Value> = shelf
        .shadowed()
        .iter()
        .filter(|other| other.name == skill.name)
        .map(|other| json!({"origin": other.origin.as_str(), "file": other.file}))
        .collect();
    json!({
        "name": skill.name,
        "priority": skill.priority,
        "origin": skill.origin.as_str(),
        "state": state(skill, shelf),
        "description": skill.description,
        "title": skill.title,
        "id": skill.id,
        "tags": skill.tags,
        "capabilities": skill.capabilities,
        "dependencies": skill.dependencies,
        "trigger": skill.trigger.is_some(),
        "neuro": skill.neuro.is_some(),
        "symbolic": skill.symbolic.is_some(),
        "file": skill.file,
        "line": skill.line,
        "sha256": skill.sha256,
        "problem": problem(skill, shelf).map(about),
        "shadows": shadows,
    })
}

/// A note that makes no skill.
fn broken(problem: &Problem) -> Value {
    json!({
        "name": problem.name,
        "origin": problem.origin.as_str(),
        "state": "broken",
        "file": problem.file,
        "line": problem.line,
        "problem": about(problem),
    })
}

/// What is wrong, for programs.
fn about(problem: &Problem) -> Value {
    json!({
        "line": problem.line,
        "message": problem.message,
        "hint": problem.hint,
        "form": problem.form,
    })
}

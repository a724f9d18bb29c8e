//! `org-agent skill show`: one skill with its note's prose.

use std::fmt::Write as _;

use super::harmless;
use crate::error::{Error, Result};
use crate::skills::Library;

/// Show one skill: what it says of itself, its functions, and its note without the code
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent skill show chat\n  org-agent skill show chat --json")]
pub(super) struct Args {
    /// The skill's name
    name: String,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// What is shown.
pub(super) fn text(args: &Args, library: &Library) -> Result<String> {
    let shelf = library.shelf();
    let Some(skill) = shelf.get(&args.name) else {
        let about = shelf
            .problems()
            .iter()
            .find(|problem| problem.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&args.name)));
        let error = Error::not_found(format!("there is no skill {:?}", args.name));
        return Err(match about {
            Some(problem) => error.because(harmless(&problem.to_string())),
            None => error.hint("the names are in: org-agent skill list"),
        });
    };
    let functions: Vec<&str> = skill.program.functions().collect();
    if args.json {
        return Ok(format!("{}\n", skill.to_json_in_full(&shelf)));
    }
    let mut out = format!("{}: {}\n\n", skill.name, skill.description);
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {name:<13} {value}");
        }
    };
    let has = [
        (skill.trigger.is_some(), "trigger"),
        (skill.neuro.is_some(), "neuro"),
        (skill.symbolic.is_some(), "symbolic"),
    ];
    let has: Vec<&str> = has.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    row("title", skill.title.clone());
    row("state", skill.state(&shelf).to_owned());
    row("priority", skill.priority.to_string());
    row("origin", skill.origin.as_str().to_owned());
    row("file", format!("{}:{}", skill.file, skill.line));
    row("id", skill.id.clone().unwrap_or_default());
    row("tags", skill.tags.join(", "));
    row("capabilities", skill.capabilities.join(", "));
    row("depends on", skill.dependencies.join(", "));
    row("has", if has.is_empty() { "functions for other notes only".to_owned() } else { has.join(", ") });
    row("functions", functions.join(", "));
    row("sha256", skill.sha256.clone());
    if let Some(problem) = skill.problem(&shelf) {
        let _ = writeln!(out, "\n{problem}");
    }
    for shadowed in shelf.shadowed().iter().filter(|other| other.name == skill.name) {
        let _ = writeln!(out, "\nnote: {shadowed}");
    }
    let _ = writeln!(out, "\n{}", skill.prose);
    Ok(harmless(&out))
}

//! `org-agent skill show`: one skill with its note's prose, or a folder's instructions.

use std::fmt::Write as _;

use super::harmless;
use crate::error::{Error, Result};
use crate::skills::{self, Library};

/// Show one skill: what it says of itself, its functions or files, and its note without the code
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
        return Ok(format!("{}\n", skills::describe(skill, &shelf)));
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
    let folder = skill.folder();
    row("title", skill.title.clone());
    row("format", skill.format.as_str().to_owned());
    row("state", skill.state(&shelf).to_owned());
    if folder.is_none() {
        row("priority", skill.priority.to_string());
    }
    row("origin", skill.origin.as_str().to_owned());
    row("file", format!("{}:{}", skill.file, skill.line));
    row("id", skill.id.clone().unwrap_or_default());
    row("tags", skill.tags.join(", "));
    row("capabilities", skill.capabilities.join(", "));
    row("depends on", skill.dependencies.join(", "));
    if let Some(folder) = folder {
        row("license", folder.license.clone().unwrap_or_default());
        row("compatibility", folder.compatibility.clone().unwrap_or_default());
        for (key, value) in &folder.metadata {
            row("metadata", format!("{key}: {value}"));
        }
        if !folder.allowed_tools.is_empty() {
            row(
                "allowed tools",
                format!("{} (only named; that grants nothing)", folder.allowed_tools.join(", ")),
            );
        }
        let (files, more) = skills::resources(folder);
        let more = if more { ", … and more" } else { "" };
        row("files", format!("{}{more}", files.join(", ")));
    } else {
        row("has", if has.is_empty() { "functions for other notes only".to_owned() } else { has.join(", ") });
        row("functions", functions.join(", "));
        row("templates", skill.program.templates().map(|all| all.names().join(", ")).unwrap_or_default());
    }
    row("sha256", skill.sha256.clone());
    for problem in shelf.problems().iter().filter(|problem| problem.file == skill.file) {
        let _ = writeln!(out, "\n{problem}");
    }
    for shadowed in shelf.shadowed().iter().filter(|other| other.name == skill.name) {
        let _ = writeln!(out, "\nnote: {shadowed}");
    }
    let _ = writeln!(out, "\n{}", skill.prose);
    Ok(harmless(&out))
}

//! Skills: what a literate Org note or a folder with a `SKILL.md` becomes, and the shelf they stand on.
//!
//! Pure: [`note`] reads a note, [`folder`] a `SKILL.md`, [`Workshop`] makes skills of them and puts them on a [`Shelf`].
//! Where they come from is `crate::skills`' business; what a skill's functions are called for is the kernel's.

pub mod folder;
pub mod note;
pub mod template;
mod catalogue;
mod describe;
mod scan;
mod standing;
mod content;
mod workshop;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::lisp::{Function, Program};

pub use catalogue::PERSONA;
pub(crate) use catalogue::is_hidden;
pub use content::Content;
pub use standing::{Manifest, Standing, Untrusted};
pub use workshop::{Allowance, Given, Workshop};

/// The most characters of a description.
pub const MAX_DESCRIPTION: usize = 1_024;

/// Where a skill comes from. A later one wins over an earlier one of the same name, and says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Embedded in the program.
    Builtin,
    /// The user's own directory.
    User,
    /// The project that the session works in.
    Project,
}

impl Origin {
    /// The name, for lists and programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builtin => "builtin",
            Self::User => "user",
            Self::Project => "project",
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a skill was written as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// A literate Org note.
    Note,
    /// A folder with a `SKILL.md`. It has no functions: it is for no event, and acts only by being read.
    Folder(Folder),
}

impl Format {
    /// The name, for lists and programs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Folder(_) => "folder",
        }
    }
}

/// What a folder has that a note has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where its files are.
    pub root: PathBuf,
    /// Under which terms it may be used.
    pub license: Option<String>,
    /// What it needs around it.
    pub compatibility: Option<String>,
    /// What else its author says.
    pub metadata: BTreeMap<String, String>,
    /// The tools that it names. They are only shown; what may run, the policy says.
    pub allowed_tools: Vec<String>,
    /// The only files that may be loaded, if it is a project's: as they were when it was trusted.
    pub files: Option<Manifest>,
}

/// One skill, ready to be called.
#[derive(Clone, Debug)]
pub struct Skill {
    /// Its name, lower case.
    pub name: String,
    /// What it was written as.
    pub format: Format,
    /// The triggered skill of highest priority makes the prompt; gates are asked in this order.
    pub priority: i64,
    /// What it is for: the `defskill`'s, else the note's `#+DESCRIPTION:`, else its first paragraph.
    pub description: String,
    /// The note's `#+TITLE:` without `SKILL:`; empty if there is none.
    pub title: String,
    /// The note's `:ID:`.
    pub id: Option<String>,
    /// The note's `#+FILETAGS:`.
    pub tags: Vec<String>,
    /// What the `defskill` says it can do.
    pub capabilities: Vec<String>,
    /// What the note and the `defskill` build on, as they name it: `id:…` or a name.
    pub dependencies: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// The note or the `SKILL.md`, as it is shown to people.
    pub file: String,
    /// The line of the `defskill` in it, from 1; 1 in a `SKILL.md`.
    pub line: usize,
    /// SHA-256 of the bytes that were evaluated: the note's, after those of the notes it depends on.
    pub sha256: String,
    /// The note with what it depends on, loaded; an empty one for a folder.
    pub program: Program,
    /// Gets the event; whether the skill is for it. Without one the skill is for no event.
    pub trigger: Option<Function>,
    /// Gets the event; the prompt.
    pub neuro: Option<Function>,
    /// Gets the action and the event; the action to go on with, or a refusal.
    pub symbolic: Option<Function>,
    /// The note without its code, or what stands below the frontmatter.
    pub prose: Arc<str>,
}

impl Skill {
    /// What a folder has, if it is one.
    #[must_use]
    pub const fn folder(&self) -> Option<&Folder> {
        match &self.format {
            Format::Note => None,
            Format::Folder(folder) => Some(folder),
        }
    }

    /// Whether it does something of its own accord: such a one is not to be read by a model before it acts.
    #[must_use]
    pub const fn acts(&self) -> bool {
        self.trigger.is_some() || self.neuro.is_some() || self.symbolic.is_some()
    }
}

/// A text of a skill for a model: what its note or its `SKILL.md` says, or one of a folder's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The skill's name; for a file, then a slash and its path.
    pub name: String,
    /// The text.
    pub text: String,
    /// Where the skill comes from.
    pub origin: Origin,
}

/// A name as skills and their files are looked up: without a colon, the name of the skill in lower case; behind a slash
/// the path of a file of it, as it stands.
#[must_use]
pub fn canonical(name: &str) -> String {
    let name = name.trim();
    let name = name.strip_prefix(':').unwrap_or(name);
    match name.split_once('/') {
        Some((skill, path)) => format!("{}/{path}", skill.to_lowercase()),
        None => name.to_lowercase(),
    }
}

/// A note that does not work as it stands, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The note, as it is shown to people.
    pub file: String,
    /// The skill it is about, as far as that is known.
    pub name: Option<String>,
    /// Where the note comes from.
    pub origin: Origin,
    /// The line, from 1; 0 if it is about the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
    /// The form it is about as it stands in the note; may be empty.
    pub form: String,
    /// Whether an earlier version of the note goes on working.
    pub kept: bool,
    /// Whether it is only about form: everything that matters works. It is said to who looks, and not in every chat.
    pub minor: bool,
}

impl fmt::Display for Problem {
    /// `file:line: message`, then the form and the hint on lines of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.form.is_empty() {
            write!(f, "\n  in: {}", self.form)?;
        }
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        if self.kept {
            f.write_str("\n  note: the last version that worked is still in use")?;
        }
        Ok(())
    }
}

/// A skill that another of the same name stands in front of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadowed {
    /// The name of both.
    pub name: String,
    /// Where the hidden one comes from.
    pub origin: Origin,
    /// The note of the hidden one.
    pub file: String,
    /// Where the one in use comes from.
    pub by_origin: Origin,
    /// The note of the one in use.
    pub by_file: String,
}

impl fmt::Display for Shadowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: the {} skill of {} is used instead of the {} one of {}",
            self.name, self.by_origin, self.by_file, self.origin, self.file
        )
    }
}

/// The skill of one note is hidden by that of another from the same place: nobody means that, as two versions of one
/// file after a conflict, and a gate may be away by it.
fn hidden_by(skill: &Skill, by: &Skill) -> Problem {
    Problem {
        file: skill.file.clone(),
        name: Some(skill.name.clone()),
        origin: skill.origin,
        line: skill.line,
        message: format!("its skill {} is not in use: {} defines one of the same name", skill.name, by.file),
        hint: "Give one of them another name, or remove the file that is not wanted.".to_owned(),
        form: String::new(),
        kept: false,
        minor: false,
    }
}

/// A folder stands in the place of a note that acts: its name may be chance, and what the note did is not done any more.
fn silenced_by(skill: &Skill, by: &Skill) -> Problem {
    Problem {
        file: by.file.clone(),
        name: Some(by.name.clone()),
        origin: by.origin,
        line: by.line,
        message: format!(
            "it takes the place of the {} note {}, whose trigger and gate are not in use any more",
            skill.origin, skill.file
        ),
        hint: "Give the folder another name, unless that is meant.".to_owned(),
        form: String::new(),
        kept: false,
        minor: false,
    }
}

/// The skills as they are now: those of a project with the user's, or the user's alone.
#[derive(Clone, Debug)]
pub struct Shelved {
    /// The directory of the project.
    pub project: Option<PathBuf>,
    /// The skills.
    pub shelf: Arc<Shelf>,
}

/// All skills at one moment. Never changes; a reload makes another.
#[derive(Debug, Default)]
pub struct Shelf {
    skills: Vec<Arc<Skill>>,
    by_name: HashMap<String, usize>,
    problems: Vec<Problem>,
    shadowed: Vec<Shadowed>,
    untrusted: Vec<Untrusted>,
}

impl Shelf {
    /// A shelf with these skills, which stand in the order of their sources: of two with one name the later is taken.
    #[must_use]
    pub fn new(skills: impl IntoIterator<Item = Arc<Skill>>, mut problems: Vec<Problem>) -> Self {
        let mut slots: Vec<Option<Arc<Skill>>> = Vec::new();
        let mut at_name: HashMap<String, usize> = HashMap::new();
        let mut hidden: Vec<Arc<Skill>> = Vec::new();
        for skill in skills {
            if let Some(at) = at_name.insert(skill.name.clone(), slots.len()) {
                hidden.extend(slots[at].take());
            }
            slots.push(Some(skill));
        }
        let mut skills: Vec<Arc<Skill>> = slots.into_iter().rev().flatten().collect();
        skills.sort_by_key(|skill| std::cmp::Reverse(skill.priority));
        let by_name: HashMap<String, usize> =
            skills.iter().enumerate().map(|(at, skill)| (skill.name.clone(), at)).collect();
        let shadowed: Vec<Shadowed> = hidden
            .into_iter()
            .filter_map(|skill| {
                let by = &skills[*by_name.get(&skill.name)?];
                if by.origin == skill.origin {
                    problems.push(hidden_by(&skill, by));
                } else if by.folder().is_some() && skill.acts() {
                    problems.push(silenced_by(&skill, by));
                }
                Some(Shadowed {
                    name: skill.name.clone(),
                    origin: skill.origin,
                    file: skill.file.clone(),
                    by_origin: by.origin,
                    by_file: by.file.clone(),
                })
            })
            .collect();
        Self { skills, by_name, problems, shadowed, untrusted: Vec::new() }
    }

    /// The skills, highest priority first; of equals the one from the later source.
    #[must_use]
    pub fn skills(&self) -> &[Arc<Skill>] {
        &self.skills
    }

    /// The skill of this name, in any case, with or without a colon before it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Skill>> {
        let name = name.trim();
        let name = name.strip_prefix(':').unwrap_or(name).to_lowercase();
        self.by_name.get(&name).map(|at| &self.skills[*at])
    }

    /// Whether the other has the very same skills, and the same is wrong.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let (own, others) = (&self.skills, &other.skills);
        own.len() == others.len()
            && own.iter().zip(others).all(|(one, other)| Arc::ptr_eq(one, other))
            && self.problems == other.problems
            && self.untrusted == other.untrusted
    }

    /// The same shelf beside which these skills of the project are not in use.
    #[must_use]
    pub fn beside(self, untrusted: Vec<Untrusted>) -> Self {
        Self { untrusted, ..self }
    }

    /// The skills of the project that are not in use, as nobody trusts them as they are.
    #[must_use]
    pub fn untrusted(&self) -> &[Untrusted] {
        &self.untrusted
    }

    /// What is wrong with notes, in the order of their sources.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What is wrong and concerns who uses skills, not only who writes them.
    pub fn serious(&self) -> impl Iterator<Item = &Problem> {
        self.problems.iter().filter(|problem| !problem.minor)
    }

    /// The skills that others of the same name stand in front of.
    #[must_use]
    pub fn shadowed(&self) -> &[Shadowed] {
        &self.shadowed
    }
}

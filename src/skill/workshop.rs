//! Makes skills of notes: finds what each builds on, evaluates it after that, and remembers what worked.
//!
//! A note that stops working keeps the skills of its last version that did. What did not change, and builds on
//! nothing that changed, is not evaluated again.

mod order;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::content::{Content, Need, Read, clip};
use super::note::NoteError;
use super::template;
use super::{Folder, Format, Origin, Problem, Shelf, Skill};
use crate::ids::hex;
use crate::lisp::{Definition, Environment, Kind, Limits, LispError, Program, Source};

/// How long the last good version of a file that went away is remembered: editors remove and write again.
const MEMORY: Duration = Duration::from_secs(2);

/// The most notes that may stand on each other.
pub const MAX_CHAIN: usize = 8;

/// One note as it stands now.
#[derive(Clone, Debug)]
pub struct Given {
    /// Where it comes from.
    pub origin: Origin,
    /// How it is shown to people; no two notes have the same.
    pub file: String,
    /// What is in it. An unchanged note is given with the same content again.
    pub content: Arc<Content>,
}

impl Given {
    /// Whether the other is the same note with the same content.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.file == other.file && self.content.sha256 == other.content.sha256
    }
}

/// What notes may take.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// What the evaluation of one may take.
    pub load: Limits,
    /// How long one update evaluates. What it did not come to waits for the next.
    pub evaluation: Duration,
    /// How many bytes all that are in use may take together.
    pub memory: usize,
}

impl Default for Allowance {
    /// Five seconds and 256 MiB. One note has two seconds: its steps are counted, and a busy machine is not its fault.
    fn default() -> Self {
        let load = Limits { time: Duration::from_secs(2), ..Limits::default() };
        Self { load, evaluation: Duration::from_secs(5), memory: 256 << 20 }
    }
}

/// Makes skills of notes, and remembers what worked.
pub struct Workshop {
    env: Arc<dyn Environment>,
    allowance: Allowance,
    /// What this update took of it so far.
    spent: Duration,
    used: usize,
    /// Whether some note was not evaluated for want of time.
    due: bool,
    /// The program of those that have none, once it was needed.
    blank: Option<Program>,
    known: HashMap<String, State>,
    gone: HashMap<String, (Instant, State)>,
}

/// What is remembered of a file.
#[derive(Default)]
struct State {
    /// What was evaluated last, and what was wrong with it.
    tried: Option<(Vec<[u8; 32]>, Option<Problem>)>,
    good: Option<Good>,
}

/// The last version of a note that works.
struct Good {
    content: Arc<Content>,
    /// What was evaluated before it.
    below: Vec<Part>,
    /// The longest way down, itself first.
    chain: Vec<String>,
    skills: Vec<Arc<Skill>>,
    /// How many bytes it takes.
    size: usize,
}

impl State {
    fn is_of_project(&self) -> bool {
        let mut skills = self.good.iter().flat_map(|good| &good.skills);
        skills.any(|skill| skill.origin == Origin::Project)
    }
}

impl Good {
    /// Whether all of it that is a project's is trusted as it is here: of that no earlier version goes on.
    fn is_trusted(&self, given: &Given, trusted: &HashMap<&str, [u8; 32]>) -> bool {
        let own = given.origin != Origin::Project || self.content.sha256 == given.content.sha256;
        let is = |part: &Part| trusted.get(part.file.as_str()) == Some(&part.content.sha256);
        own && self.below.iter().all(|part| part.origin != Origin::Project || is(part))
    }
}

/// A note that another builds on.
#[derive(Clone)]
struct Part {
    origin: Origin,
    file: String,
    content: Arc<Content>,
}

/// A note at work.
struct Slot<'g> {
    given: &'g Given,
    state: State,
    /// What is wrong with it as it stands now.
    problem: Option<Problem>,
    /// What else is not as it should be.
    warnings: Vec<Problem>,
    /// Whether it works all the same.
    works: bool,
}

impl Workshop {
    /// A workshop whose notes see `env`.
    #[must_use]
    pub fn new(env: Arc<dyn Environment>) -> Self {
        Self::within(Allowance::default(), env)
    }

    /// A workshop whose notes take no more than `allowance`.
    #[must_use]
    pub fn within(allowance: Allowance, env: Arc<dyn Environment>) -> Self {
        let (spent, used, due) = (Duration::ZERO, 0, false);
        let (known, gone) = (HashMap::new(), HashMap::new());
        Self { env, allowance, spent, used, due, blank: None, known, gone }
    }

    /// Changes what notes may take, from the next update on.
    pub fn allow(&mut self, allowance: Allowance) {
        self.allowance = allowance;
    }

    /// Whether there was no time for some note, so that another update may do more though nothing changed.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.due
    }

    /// The shelf of these notes, given in the order of their sources, at the time `now`.
    pub fn update(&mut self, notes: &[Given], now: Instant) -> Shelf {
        self.gone.retain(|_, (since, _)| now.duration_since(*since) < MEMORY);
        let of_project = notes.iter().filter(|given| given.origin == Origin::Project);
        let trusted = of_project.map(|given| (given.file.as_str(), given.content.sha256)).collect();
        let mut slots = Vec::with_capacity(notes.len());
        for given in notes {
            let known = self.known.remove(&given.file);
            let state = known.or_else(|| self.gone.remove(&given.file).map(|(_, state)| state));
            // One that was a skill and says nothing of it any more may be half written; only its removal is an end.
            let was_skill = state.as_ref().is_some_and(|state| state.good.is_some());
            if given.content.is_something_else() && !was_skill {
                continue;
            }
            let mut state = state.unwrap_or_default();
            if state.good.as_ref().is_some_and(|good| !good.is_trusted(given, &trusted)) {
                state = State::default();
            }
            slots.push(Slot { given, state, problem: None, warnings: Vec::new(), works: false });
        }
        let remembered = self.known.drain().filter(|(_, state)| !state.is_of_project());
        self.gone.extend(remembered.map(|(file, state)| (file, (now, state))));
        (self.spent, self.due) = (Duration::ZERO, false);
        self.used = slots.iter().map(Slot::size).sum();
        self.work(&mut slots);
        let (mut skills, mut problems) = (Vec::new(), Vec::new());
        for slot in slots {
            let good = slot.state.good.as_ref();
            skills.extend(good.into_iter().flat_map(|good| good.skills.iter().cloned()));
            let kept = good.is_some() && !slot.works;
            problems.extend(slot.problem.map(|problem| Problem { kept, ..problem }));
            problems.extend(slot.warnings);
            self.known.insert(slot.given.file.clone(), slot.state);
        }
        Shelf::new(skills, problems)
    }

    /// Makes the skill of a folder that can be read. Nothing is evaluated for it. Whether it is one.
    fn unfold(&mut self, slot: &mut Slot<'_>) -> bool {
        let given = slot.given;
        let content = &given.content;
        let Ok(read) = &content.read else { return false };
        let Some((folder, warnings)) = &read.folder else { return false };
        let warn = |wrong: &NoteError| Problem {
            minor: true,
            ..slot.problem(wrong.line, &wrong.message, wrong.hint)
        };
        slot.warnings = warnings.iter().map(warn).collect();
        slot.works = true;
        if slot.state.good.as_ref().is_some_and(|good| Arc::ptr_eq(&good.content, content)) {
            return true;
        }
        let size = read.prose.len() + template::size(&read.templates);
        let used = self.used - slot.size() + size;
        let mut templates = template::Set::default();
        templates.add(&given.file, &read.templates);
        let program = match self.blank(templates) {
            _ if used > self.allowance.memory => Err(slot.too_much(self.allowance.memory)),
            Ok(program) => Ok(program),
            Err(error) => Err(slot.problem(0, error.message, error.hint)),
        };
        match program {
            Ok(program) => {
                let skill = slot.unfolded(read, folder, program);
                let (below, chain) = (Vec::new(), Vec::new());
                slot.state = State {
                    tried: None,
                    good: Some(Good {
                        content: Arc::clone(content),
                        below,
                        chain,
                        skills: vec![Arc::new(skill)],
                        size,
                    }),
                };
                self.used = used;
            }
            Err(problem) => (slot.problem, slot.works) = (Some(problem), false),
        }
        true
    }

    /// A program without code, with these templates.
    fn blank(&mut self, templates: template::Set) -> Result<Program, LispError> {
        if let templates @ Some(_) = templates.shared() {
            return Program::load_with(&[], Arc::clone(&self.env), templates, self.allowance.load);
        }
        if let Some(program) = &self.blank {
            return Ok(program.clone());
        }
        let program = Program::load(&[], Arc::clone(&self.env), self.allowance.load)?;
        Ok(self.blank.insert(program).clone())
    }

    /// Evaluates a note after `below`, unless that was done before. Answers what `:dependencies` say beyond `needs`;
    /// then nothing is settled yet.
    fn evaluate(
        &mut self,
        slot: &mut Slot<'_>,
        read: &Read,
        needs: &[Need],
        below: Vec<Part>,
        chain: Vec<String>,
    ) -> Vec<Need> {
        let content = &slot.given.content;
        let key: Vec<[u8; 32]> =
            below.iter().map(|part| part.content.sha256).chain([content.sha256]).collect();
        if let Some((tried, problem)) = &slot.state.tried
            && *tried == key
        {
            slot.problem.clone_from(problem);
            return Vec::new();
        }
        slot.state.tried = None;
        if self.spent > self.allowance.evaluation {
            self.due = true;
            let hint =
                "It is tried again with the next message. Let those notes do less while they are loaded.";
            slot.problem = Some(slot.problem(0, "not read: the notes before it took all the time", hint));
            return Vec::new();
        }
        let own = &slot.given.file;
        let sources = below.iter().flat_map(|part| {
            let blocks = part.content.read.as_ref().map_or(&[][..], |read| &read.note.blocks);
            blocks.iter().map(|block| Source { file: &part.file, line: block.line, text: &block.text })
        });
        let blocks = read.note.blocks.iter();
        let sources: Vec<Source<'_>> = sources
            .chain(blocks.map(|block| Source { file: own, line: block.line, text: &block.text }))
            .collect();
        let mut templates = template::Set::default();
        for (file, read) in
            below.iter().filter_map(|part| Some((&part.file, part.content.read.as_ref().ok()?)))
        {
            templates.add(file, &read.templates);
        }
        templates.add(own, &read.templates);
        let begun = Instant::now();
        let (env, limits) = (Arc::clone(&self.env), self.allowance.load);
        let loaded = Program::load_with(&sources, env, templates.shared(), limits);
        self.spent += begun.elapsed();
        let problem = match loaded {
            Err(error) => {
                let problem = slot.failed(read, needs, &error);
                if error.kind == Kind::Time {
                    // The clock may have been somebody else's.
                    self.due = true;
                    slot.problem = Some(problem);
                    return Vec::new();
                }
                Some(problem)
            }
            Ok(program) => {
                let own: Vec<&Definition> =
                    program.skills().iter().filter(|skill| skill.file == *own).collect();
                let more = unknown(&own, needs);
                if !more.is_empty() {
                    return more;
                }
                let size = program.size() + template::size(&read.templates);
                let used = self.used - slot.size() + size;
                if used > self.allowance.memory {
                    slot.problem = Some(slot.too_much(self.allowance.memory));
                    return Vec::new();
                }
                let skills: Vec<Arc<Skill>> =
                    own.iter().map(|own| Arc::new(slot.skill(own, read, needs, &program, &key))).collect();
                if skills.is_empty() {
                    Some(slot.without_skill(read))
                } else {
                    let content = Arc::clone(content);
                    slot.state.good = Some(Good { content, below, chain, skills, size });
                    self.used = used;
                    None
                }
            }
        };
        slot.problem.clone_from(&problem);
        slot.state.tried = Some((key, problem));
        Vec::new()
    }
}

/// What the definitions depend on and `needs` does not name.
fn unknown(definitions: &[&Definition], needs: &[Need]) -> Vec<Need> {
    let mut more: Vec<Need> = Vec::new();
    for definition in definitions {
        for target in &definition.dependencies {
            if !needs.iter().chain(&more).any(|need| need.target == *target) {
                more.push(Need { line: definition.line, target: target.clone() });
            }
        }
    }
    more
}

fn is_skill_md(name: &str) -> bool {
    name.eq_ignore_ascii_case("SKILL.md")
}

impl Slot<'_> {
    fn problem(&self, line: usize, message: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem {
            file: self.given.file.clone(),
            name: self.names().first().cloned().or_else(|| self.is_folder().then(|| self.stem())),
            origin: self.given.origin,
            line,
            message: message.into(),
            hint: hint.into(),
            form: String::new(),
            kept: false,
            minor: false,
        }
    }

    /// The note as it is; if that can not be read, or is no skill any more, as it was.
    fn read(&self) -> Option<&Read> {
        let good = self.state.good.as_ref().map(|good| &good.content.read);
        let given = self.given.content.read.as_ref().ok().filter(|_| !self.given.content.is_something_else());
        given.or_else(|| good.and_then(|read| read.as_ref().ok()))
    }

    /// Whether it is a folder, whatever can be read of it.
    fn is_folder(&self) -> bool {
        self.read().is_some_and(|read| read.folder.is_some()) || self.path().next().is_some_and(is_skill_md)
    }

    /// The parts of its path, the last first.
    fn path(&self) -> impl Iterator<Item = &str> {
        self.given.file.rsplit(['/', '\\'])
    }

    /// The names of its skills.
    fn names(&self) -> &[String] {
        self.read().map_or(&[], |read| &read.names)
    }

    /// How many bytes its version in use takes.
    fn size(&self) -> usize {
        self.state.good.as_ref().map_or(0, |good| good.size)
    }

    fn too_much(&self, most: usize) -> Problem {
        let message = format!("not used: with it all notes would take more than {} MiB", most >> 20);
        self.problem(
            0,
            message,
            "Keep less in variables, or build on fewer notes; each has its own copy of them.",
        )
    }

    /// The name of the file without its directory and ending, or that of the folder; lower case.
    fn stem(&self) -> String {
        let name = self.path().find(|part| !is_skill_md(part)).unwrap_or_default();
        name.strip_suffix(".org").unwrap_or(name).to_lowercase()
    }

    /// How a chain of notes names it.
    fn label(&self) -> String {
        self.names().first().cloned().unwrap_or_else(|| self.stem())
    }

    fn without_skill(&self, read: &Read) -> Problem {
        let blocks = &read.note.blocks;
        if blocks.is_empty() {
            let message = "the title says SKILL, but there is no Lisp block";
            return self.problem(
                0,
                message,
                "Add #+begin_src lisp … #+end_src with a (defskill :name …) in it.",
            );
        }
        let line = blocks.last().map_or(0, |block| block.line);
        let hint = "End its Lisp with (defskill :name :priority 50 :trigger #'f :neuro #'g :symbolic #'h).";
        let message = if read.defines { "no defskill was evaluated" } else { "the note defines no skill" };
        self.problem(line, message, hint)
    }

    fn failed(&self, read: &Read, needs: &[Need], error: &LispError) -> Problem {
        let LispError { message, file, line, form, hint, .. } = error;
        if *file == self.given.file {
            return Problem { form: form.clone(), ..self.problem(*line, message, hint) };
        }
        if file.is_empty() {
            let line = read.note.blocks.first().map_or(0, |block| block.line);
            return Problem { form: form.clone(), ..self.problem(line, message, hint) };
        }
        let line = needs.first().map_or(0, |need| need.line);
        let message =
            format!("what the note depends on does not work with it: {file}:{}: {message}", error.line);
        Problem { form: form.clone(), ..self.problem(line, message, hint) }
    }

    fn skill(
        &self,
        definition: &Definition,
        read: &Read,
        needs: &[Need],
        program: &Program,
        key: &[[u8; 32]],
    ) -> Skill {
        let note = &read.note;
        let said = definition.description.as_deref().map(clip).filter(|said| !said.is_empty());
        let sha256 = match key {
            [own] => hex(own),
            all => hex(&Sha256::digest(all.concat())),
        };
        Skill {
            name: definition.name.clone(),
            format: Format::Note,
            priority: definition.priority,
            description: said.unwrap_or_else(|| read.described.clone()),
            title: note.title.clone(),
            id: note.id.clone(),
            tags: note.tags.clone(),
            capabilities: definition.capabilities.clone(),
            dependencies: needs.iter().map(|need| need.target.clone()).collect(),
            origin: self.given.origin,
            file: self.given.file.clone(),
            line: definition.line,
            sha256,
            program: program.clone(),
            trigger: definition.trigger,
            neuro: definition.neuro,
            symbolic: definition.symbolic,
            prose: Arc::clone(&read.prose),
        }
    }
    fn unfolded(&self, read: &Read, folder: &Folder, program: Program) -> Skill {
        Skill {
            name: read.names.first().cloned().unwrap_or_default(),
            format: Format::Folder(folder.clone()),
            priority: 0,
            description: read.described.clone(),
            title: String::new(),
            id: None,
            tags: Vec::new(),
            capabilities: Vec::new(),
            dependencies: Vec::new(),
            origin: self.given.origin,
            file: self.given.file.clone(),
            line: 1,
            sha256: hex(&self.given.content.sha256),
            program,
            trigger: None,
            neuro: None,
            symbolic: None,
            prose: Arc::clone(&read.prose),
        }
    }
}

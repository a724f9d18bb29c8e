//! Loading a note: all blocks are read, then compiled together, then evaluated in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::builtin;
use super::code::{File, Unit};
use super::compile::{Compiler, takes_lists};
use super::core::{Core, RawSkill, Val};
use super::fault::{Fault, Kind, LispError};
use super::machine::{Machine, Stacks, Stop, clipped, locate};
use super::names::{self, Below, Names};
use super::prelude::Root;
use super::reader::{MAX_TEXT, Reader};
use super::syntax::{Span, Tree};
use super::{Definition, Environment, Function, Limits, Loaded, Source, Templates};

/// How many notes were loaded.
static LOADS: AtomicU64 = AtomicU64::new(0);

pub fn load(
    sources: &[Source<'_>],
    env: Arc<dyn Environment>,
    templates: Option<Arc<dyn Templates>>,
    limits: &Limits,
) -> Result<Loaded, LispError> {
    let root = Root::get();
    let mut core =
        Core::new(Loaded::nothing(), Names::over(Below::Names(Arc::clone(&root.names))), env, limits);
    core.loading = true;
    core.templates = templates;
    core.start_clock();
    let mut unit = compile(sources, &mut core, root)?;
    core.stop_clock();
    let top = unit.start + u32::try_from(unit.codes.len() - 1).unwrap_or(0);
    unit.codes.shrink_to_fit();
    unit.spans.shrink_to_fit();
    let program = Arc::new(Loaded {
        functions: vec![Val::Unbound; unit.function_names.len()],
        globals: vec![Val::Unbound; unit.global_names.len()],
        unit,
        ..Loaded::default()
    });
    let mut machine = Machine::new(Stacks::default(), core, root, Arc::clone(&program), (None, limits));
    machine.start(Val::Fun(top), &[])?;
    match machine.run()? {
        Stop::Value(_) => {}
        Stop::Ask { .. } => {
            return Err(machine.located(Fault::new(Kind::Effect, "a note may not ask while it is loaded")));
        }
    }
    let id = LOADS.fetch_add(1, Ordering::Relaxed);
    let mut skills: Vec<Definition> = Vec::new();
    for raw in std::mem::take(&mut machine.core.skills) {
        let unit = &program.unit;
        let span = unit.spans.get(raw.span).copied();
        let skill =
            definition(&mut machine, &raw, (span, id), unit).map_err(|fault| locate(unit, fault, span))?;
        skills.retain(|other| other.name != skill.name);
        skills.push(skill);
    }
    drop(program);
    let (mut core, program, functions, globals) = machine.into_parts();
    let logs = std::mem::take(&mut core.logs);
    let templates = core.templates.take();
    let (store, names) = core.freeze();
    // Nobody else has it any more.
    let unit = Arc::into_inner(program).map(|program| program.unit).unwrap_or_default();
    Ok(Loaded { id, unit, store, names, functions, globals, skills, logs, templates })
}

fn compile(sources: &[Source<'_>], core: &mut Core, root: &'static Root) -> Result<Unit, LispError> {
    let mut files = Unit::default();
    let mut tree = Tree::default();
    let mut forms = Vec::new();
    let mut total = 0;
    for (number, source) in sources.iter().enumerate() {
        total += source.text.len();
        files.files.push(File { name: Arc::from(source.file), text: Arc::from(source.text) });
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        let line = u32::try_from(source.line).unwrap_or(u32::MAX);
        let start = Span { text: number, line, start: 0, end: 0 };
        if total > MAX_TEXT {
            let fault =
                Fault::new(Kind::Syntax, "the note has more than 1 MiB of code").hint("Split the note.");
            return Err(locate(&files, fault, Some(start)));
        }
        let paid = core.charge_size(source.text.len()).and_then(|()| core.take(source.text.len()));
        paid.map_err(|fault| locate(&files, fault, Some(start)))?;
        let read = Reader::new(source.text, number, line, core, &mut tree).all();
        forms.extend(read.map_err(|(fault, span)| locate(&files, fault, Some(span)))?);
    }
    let mut compiler = Compiler::new(core, &mut tree, Some(root));
    let compiled = compiler.top_level(&forms);
    let mut unit = compiler.unit;
    unit.files = files.files;
    compiled.map_err(|(fault, span)| locate(&unit, fault, Some(span)))?;
    Ok(unit)
}

fn form<T>(message: impl Into<String>, hint: &str) -> Result<T, Fault> {
    Err(Fault::new(Kind::Form, message).hint(hint))
}

/// A name: of a keyword, a symbol or a string, lower case.
fn name(machine: &mut Machine, value: Val) -> Result<String, Fault> {
    match value {
        Val::Sym(sym) | Val::Key(sym) => Ok(machine.core.names.name(sym).to_owned()),
        Val::Str(at) => Ok(names::lower(&machine.core.text(at).text)),
        other => Err(machine.core.wrong("a name", other)),
    }
}

fn list_of_names(machine: &mut Machine, value: Val) -> Result<Vec<String>, Fault> {
    let items = match value {
        Val::Nil | Val::Cons(_) => machine.core.items(value)?,
        one => vec![one],
    };
    items.into_iter().map(|item| name(machine, item)).collect()
}

fn definition(
    machine: &mut Machine,
    raw: &RawSkill,
    (span, id): (Option<Span>, u64),
    unit: &Unit,
) -> Result<Definition, Fault> {
    let file = span.and_then(|span| unit.files.get(span.text as usize));
    let mut skill = Definition {
        name: name(machine, raw.name)?,
        priority: 0,
        trigger: None,
        neuro: None,
        symbolic: None,
        dependencies: Vec::new(),
        description: None,
        capabilities: Vec::new(),
        file: file.map(|file| file.name.to_string()).unwrap_or_default(),
        line: span.map_or(0, |span| span.line as usize),
    };
    if skill.name.is_empty() {
        return form("a skill has an empty name", "Write (defskill :name …).");
    }
    for (key, value) in raw.pairs.iter().rev() {
        let (key, value) = (machine.core.names.name(*key).to_owned(), *value);
        let in_skill =
            |fault: Fault| Fault { message: format!(":{key} of the skill {}", fault.message), ..fault };
        match key.as_str() {
            "priority" => skill.priority = machine.core.int(value).map_err(in_skill)?,
            "description" if value == Val::Nil => {}
            "description" => {
                skill.description = Some(machine.core.string(value).map_err(in_skill)?.to_string());
            }
            "dependencies" => skill.dependencies = list_of_names(machine, value).map_err(in_skill)?,
            "capabilities" => skill.capabilities = list_of_names(machine, value).map_err(in_skill)?,
            _ => {
                let found = if value == Val::Nil {
                    None
                } else {
                    Some(Function { value: function(machine, &key, value, unit)?, of: id })
                };
                match key.as_str() {
                    "trigger" => skill.trigger = found,
                    "neuro" => skill.neuro = found,
                    _ => skill.symbolic = found,
                }
            }
        }
    }
    Ok(skill)
}

/// What a skill gives as a function: it must be there now that all blocks are evaluated.
fn function(machine: &mut Machine, key: &str, value: Val, unit: &Unit) -> Result<Val, Fault> {
    // No call changes what a name stands for in another.
    if let Some(found) = machine.resolve(value) {
        return check(machine, key, found, unit).map(|()| found);
    }
    if let Val::Sym(sym) = value {
        let word = machine.core.names.name(sym).to_owned();
        let defined = machine.defined();
        let hint = match names::near(&word, defined.iter().map(String::as_str)) {
            Some(near) => format!("Did you mean {near}?"),
            None => "Define it with defun in this note.".to_owned(),
        };
        let message = format!("the skill's :{key} names {word}, which is not defined");
        return Err(Fault::new(Kind::Undefined, message).hint(hint));
    }
    let fault = machine.core.wrong("a function", value);
    Err(Fault { message: format!(":{key} of the skill {}", fault.message), ..fault })
}

/// Whether a skill's function can be called with what it gets.
fn check(machine: &Machine, key: &str, function: Val, unit: &Unit) -> Result<(), Fault> {
    let (count, what, params) = match key {
        "symbolic" => (2, "the action and the event", "action event"),
        _ => (1, "the event", "event"),
    };
    let number = match function {
        Val::Fun(number) => number,
        Val::Closure(at) => machine.core.get_closure(at).code,
        Val::Builtin(number) => return said(builtin::check_count(number, count), key, what, params),
        _ => return Ok(()),
    };
    let root = Root::get();
    let of: &Unit = if number < root.codes() { &root.unit } else { unit };
    let code = &of.codes[(number - of.start) as usize];
    let name = clipped(machine.core.names.name(code.name), 60);
    said(takes_lists(code, &name, count), key, what, params)
}

fn said(checked: Result<(), Fault>, key: &str, what: &str, params: &str) -> Result<(), Fault> {
    checked.map_err(|fault| {
        let message = format!("the skill's :{key} gets {what}, but {}", fault.message);
        Fault { message, ..fault }.hint(format!("Give it the arguments ({params})."))
    })
}

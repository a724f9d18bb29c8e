//! `render`: a template of the note, filled in.

use super::super::core::{Core, Result, Val};
use super::super::fault::{Fault, Kind};
use super::super::machine::clipped;
use super::super::names::lower;
use super::super::{Filled, Unfilled};
use super::{ANY, Builtin, run};

pub const TABLE: &[Builtin] = &[run("render", 1, ANY, render)];

/// `render template :key value …`.
fn render(core: &mut Core, args: &[Val]) -> Result<Val> {
    let name = lower(&core.designator(args[0])?);
    core.charge_size(name.len())?;
    if let Some(pair) = args[1..].chunks(2).find(|pair| pair.len() < 2 || !matches!(pair[0], Val::Key(_))) {
        let shown = core.show(pair[0], 40)?;
        return Err(Fault::new(Kind::Arguments, format!("needs keys and values, got {shown}"))
            .hint("Write (render \"NAME\" :key value)."));
    }
    let given = core.list(&args[1..])?;
    let given = core.export(given)?;
    let context = core.env.context();
    let filled = core.templates().and_then(|all| all.fill(&name, &given, context, core.fuel));
    let Some(Filled { text, steps }) = filled else { return Err(missing(core, &name)) };
    core.charge(steps.min(core.fuel))?;
    core.clock()?;
    match text {
        Ok(text) => core.str(&text),
        Err(Unfilled::Wrong { message, hint }) => {
            core.take(message.len())?;
            Err(Fault::new(Kind::Template, message).hint(hint))
        }
        Err(Unfilled::Steps) => {
            core.fuel = 0;
            core.charge(1).map(|()| Val::Nil)
        }
    }
}

/// Whether a template that is named in the note is there.
pub fn check(core: &Core, name: &str) -> Result<()> {
    let name = lower(name);
    if core.templates().is_some_and(|all| all.names().contains(&name.as_str())) {
        return Ok(());
    }
    Err(missing(core, &name))
}

fn missing(core: &Core, name: &str) -> Fault {
    let names = core.templates().map(|all| all.names().join(", ")).filter(|names| !names.is_empty());
    let hint = match names {
        Some(names) => format!("There are: {}.", clipped(&names, 200)),
        None => "Write #+name: NAME, and after it a block #+begin_src jinja.".to_owned(),
    };
    Fault::new(Kind::Template, format!("there is no template {:?}", clipped(name, 60))).hint(hint)
}

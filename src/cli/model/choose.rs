//! `org-agent model use`: the user says which model answers where nothing else is said.
//!
//! That is also how they say yes to a server on this machine. It is asked for the list of its models first, so that what is
//! written down can answer; it hears nothing else from here.

use std::io::Write;

use crate::cli::{runtime, visible, written};
use crate::config::{Config, Secrets};
use crate::error::{Code, Error, Result};
use crate::kernel::local::{forget, remember};
use crate::model::local;

/// Choose the model that answers where nothing else is said
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent model use ollama/llama3.2\n  org-agent model use work\n  \
    org-agent model use offline\n  org-agent model use --forget\n\nNAME is one of `org-agent model list`. \
    ORG_AGENT_MODEL and a session's own choice go first.")]
pub(super) struct Args {
    /// A name of config.toml, `offline`, or PROVIDER/MODEL of a server on this machine
    #[arg(required_unless_present = "forget")]
    name: Option<String>,
    /// Take back what was chosen
    #[arg(long, conflicts_with = "name")]
    forget: bool,
}

pub(super) fn run(args: &Args, mut config: Config, stdout: &mut dyn Write) -> Result<u8> {
    // What is wrong there is about to be replaced or removed.
    drop(config.refresh());
    let text = match &args.name {
        Some(name) => {
            let name = found(&config, name)?;
            remember(&config, &name, true)?;
            config.refresh()?;
            let path = config.paths.chosen_model();
            let take_back = format!("To take it back: {} --forget", local::YES);
            format!("{name} answers from now on ({}).\n{take_back}\n", path.display())
        }
        None => {
            let chosen = config.chosen();
            let gone = forget(&config)?;
            config.refresh()?;
            match chosen {
                Some(name) if gone => format!("{name} is chosen no more.\n"),
                // What it said could not be read, and does not matter any more.
                None if gone => "What was chosen is forgotten.\n".to_owned(),
                _ => "Nothing was chosen.\n".to_owned(),
            }
        }
    };
    let answers = match config.choose_model(&Secrets::new()) {
        Ok(choice) if Some(choice.name()) == config.chosen().as_deref() => String::new(),
        Ok(choice) if args.forget => format!("What answers now: {}\n", choice.name()),
        Ok(choice) => format!("But the environment goes first, and here it says: {}\n", choice.name()),
        Err(error) => format!("But it cannot be asked yet: {}\n", error.one_line()),
    };
    let text = format!("{text}{answers}");
    written(stdout.write_all(visible(&text).as_bytes()).and_then(|()| stdout.flush()), "what was chosen")?;
    Ok(0)
}

/// The name of a model that can answer: a configured one, or one that is on this machine now.
fn found(config: &Config, name: &str) -> Result<String> {
    let error = match config.choose_named(name, &Secrets::new()) {
        Err(error) if error.code == Code::NotFound => error,
        // What its key is may be said later.
        Err(error) if error.code != Code::ModelUnavailable => return Err(error),
        _ => return Ok(name.to_owned()),
    };
    let Some((provider, port, _)) = config.local.meaning(name) else {
        return Err(error.hint("see which there are: org-agent model list"));
    };
    let found = runtime()?.block_on(local::at(provider, port)).ok_or_else(|| {
        Error::not_found(format!("{} does not answer on port {port} of this machine", provider.title))
            .hint("start it, then run this again; see what answers: org-agent model list")
    })?;
    // Ollama takes its names with and without this.
    let short = name.strip_suffix(":latest").unwrap_or(name);
    let own = found.names(&config.local).find(|own| own == name || own == short);
    own.ok_or_else(|| {
        let hint = if found.models.is_empty() {
            "it has no model yet; give it one, then run this again".to_owned()
        } else {
            format!("it has {}; see their names: org-agent model list", found.some_models())
        };
        Error::not_found(format!("there is no model named {name:?}"))
            .because(format!("{} answers on port {port}", found.title()))
            .hint(hint)
    })
}

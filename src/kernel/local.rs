//! Model servers on this machine: looked for when somebody wants to know, offered, and used only after the user said yes.
//!
//! It is looked when a client asks for it, and once when the built-in responder answers because nothing is configured. The
//! loop never waits for that. Yes is said for one session, or once and for all; the latter stands in a file of its own.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tokio::sync::watch;

use super::Kernel;
use crate::config::{Choice, Config, Offered, Secrets};
use crate::error::{Code, Error, Result};
use crate::event::{Event, Page, Reply};
use crate::ids::SessionId;
use crate::model::local::{self, Found};
use crate::model::offline::Offline;
use crate::whole;

/// What was and is being looked for.
#[derive(Debug)]
pub(super) struct Looks {
    /// Whether it is being looked.
    runs: bool,
    /// Who waits for it.
    waiting: Vec<(Option<SessionId>, Page, Reply<Value>)>,
    /// What was found last.
    found: Vec<Found>,
    /// What the built-in responder says of it.
    offer: watch::Sender<Option<String>>,
    /// Whether it was looked for the built-in responder.
    once: bool,
}

impl Default for Looks {
    fn default() -> Self {
        let (offer, _) = watch::channel(None);
        Self { runs: false, waiting: Vec::new(), found: Vec::new(), offer, once: false }
    }
}

impl Kernel {
    /// Answers what can be chosen, with what is found on this machine now.
    pub(super) fn offered_here(&mut self, session: Option<SessionId>, page: Page, reply: Reply<Value>) {
        self.looks.waiting.push((session, page, reply));
        self.look();
    }

    /// Looks for servers on this machine, beside the loop, unless that is under way.
    fn look(&mut self) {
        if std::mem::replace(&mut self.looks.runs, true) {
            return;
        }
        let (ports, events) = (self.config.local.clone(), self.internal.clone());
        tokio::spawn(async move {
            let found = local::find(&ports).await;
            // If the kernel is gone, nobody waits for it.
            drop(events.send(Event::Looked(found)).await);
        });
    }

    /// It was looked.
    pub(super) fn looked(&mut self, found: Vec<Found>) {
        self.looks.runs = false;
        let offer = local::offer(&found, &self.config.local);
        self.looks.offer.send_replace(Some(offer.unwrap_or_default()));
        self.looks.found = found;
        for (session, page, reply) in std::mem::take(&mut self.looks.waiting) {
            let models = self.offered(session.as_ref(), &page, true);
            self.answer(reply, models);
        }
    }

    /// The built-in responder. If it answers only because nothing is configured, it says what else could.
    pub(super) fn offline(&mut self) -> Offline {
        let offline = crate::model::open_offline(&self.persona);
        if self.config.is_model_configured(&self.secrets) {
            return offline;
        }
        if !std::mem::replace(&mut self.looks.once, true) {
            self.look();
        }
        offline.offering(self.looks.offer.subscribe())
    }

    /// What was found and is not among `known`, to be offered.
    pub(super) fn found_beside(&self, known: &[Offered]) -> Vec<Offered> {
        let names = self.looks.found.iter().flat_map(|found| found.names(&self.config.local));
        beside(&self.config, known, names)
    }

    /// That a session may have the model of this name answer: it is configured, or was found here.
    pub(super) fn may_select(&self, name: &str) -> Result<()> {
        let known = self.config.choose_named(name, &self.secrets);
        let error = match known {
            Err(error) if error.code == Code::NotFound => error,
            known => return known.map(drop),
        };
        if self.looks.found.iter().flat_map(|found| found.names(&self.config.local)).any(|own| own == name) {
            return self.config.choose_selected(name, &self.secrets).map(drop);
        }
        if self.config.local.meaning(name).is_some() {
            return Err(error
                .because("no server on this machine was found that has it")
                .hint("look for it first: orgAgent/models/list with look, or org-agent model list"));
        }
        Err(error)
    }

    /// Reads again what the user chose once and for all: they may have done so at a terminal.
    pub(super) fn reread_choice(&mut self) -> Result<()> {
        if self.config.refresh()? {
            // One of the same name may be elsewhere now.
            self.models.clear();
        }
        Ok(())
    }

    /// Keeps the user's yes to the model of this name, as [`remember`] does; nothing: what they chose before is forgotten.
    pub(super) fn choose_for_good(&mut self, name: Option<&str>) -> Result<()> {
        match name {
            Some(name) => remember(&self.config, name, false)?,
            None => drop(forget(&self.config)?),
        }
        self.reread_choice()
    }
}

/// The models of these names, as found on this machine, without those that `known` has.
#[must_use]
pub fn beside(config: &Config, known: &[Offered], names: impl Iterator<Item = String>) -> Vec<Offered> {
    let address = |offered: &Offered| match &offered.choice {
        Ok(Choice::Remote(remote)) if remote.is_local() => {
            Some((remote.base_url.value.port_or_known_default(), remote.model.value.clone()))
        }
        _ => None,
    };
    let is_known = |found: &Offered| {
        known.iter().any(|known| known.name == found.name || address(known) == address(found))
    };
    let found = |name: String| {
        let choice = config.choose_selected(&name, &Secrets::new());
        Offered { name, default: false, found: true, choice }
    };
    names.map(found).filter(|found| found.choice.is_ok() && !is_known(found)).collect()
}

/// Writes down the user's yes to the model of this name. One that is configured answers where nothing else is said from
/// now on; one of a server on this machine does so if it `goes_first`, or if no other is configured.
///
/// # Errors
/// `not_found`: the name means nothing; `conflict`: the environment says that only the built-in responder answers;
/// `internal`: the file cannot be written.
pub fn remember(config: &Config, name: &str, goes_first: bool) -> Result<()> {
    match config.choose_selected(name, &Secrets::new()) {
        // Its key may be given by a client, or set later.
        Err(error) if error.code != Code::ModelUnavailable => return Err(error),
        _ => {}
    }
    let text = config.choosing(name, goes_first)?;
    let path = config.paths.chosen_model();
    let failed = |why: std::io::Error| {
        Error::internal(format!("cannot write {}", path.display()))
            .because(why)
            .hint("make its directory writable, or write the model to config.toml")
    };
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    whole::write(&path, &text).map_err(failed)
}

/// Forgets what the user chose; whether there was anything.
///
/// # Errors
/// `internal`: the file cannot be removed.
pub fn forget(config: &Config) -> Result<bool> {
    let path = config.paths.chosen_model();
    match fs::remove_file(&path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::internal(format!("cannot remove {}", path.display()))
            .because(error)
            .hint("make its directory writable")),
    }
}

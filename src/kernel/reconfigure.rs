//! `config.toml` taken up again while the server runs: when the system tells that it changed, and before each message.
//!
//! All that stands in the file holds from the next turn on; what only the environment says needs a restart. A turn under
//! way keeps its models, its rules and its names, since it was begun, and perhaps approved, under them. The caps of
//! `[spend]` hold at once. What is kept of sessions is looked at an hour later, so that a slip of the pen can be mended.
//! A file that is wrong changes nothing, and the client is told so once.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Kernel, rules};
use crate::config::Config;
use crate::error::Result;
use crate::event::Event;
use crate::ids::TurnId;
use crate::known;
use crate::model::Model;
use crate::outgoing::{Notice, Outgoing};
use crate::prompt::Persona;
use crate::shell::Rule;

use super::desk::Desk;

/// What a turn was begun with.
pub(super) struct Kept {
    config: Config,
    models: HashMap<String, Arc<dyn Model>>,
    pub(super) persona: Persona,
}

/// What became of the changes of the file.
#[derive(Default)]
pub(super) struct Changes {
    /// Why the file as it stands is not in force.
    refused: Option<String>,
    /// What turns under way were begun with, if something else holds by now.
    kept: HashMap<TurnId, Kept>,
}

impl Changes {
    /// What this turn was begun with, if something else holds by now.
    pub(super) fn kept(&self, turn: &TurnId) -> Option<&Kept> {
        self.kept.get(turn)
    }

    /// All that is kept.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Config, &HashMap<String, Arc<dyn Model>>)> {
        self.kept.values().map(|kept| (&kept.config, &kept.models))
    }

    /// A turn is over.
    pub(super) fn ended(&mut self, turn: &TurnId) {
        self.kept.remove(turn);
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Kernel {
    /// Takes up what the file says now, if that is something else.
    pub(super) fn reconfigure(&mut self) {
        let read = |config: &Config| -> Result<Option<(Config, Vec<Rule>)>> {
            let Some(config) = config.reread(variable)? else { return Ok(None) };
            let rules = rules::load(&config)?;
            Ok(Some((config, rules)))
        };
        match read(&self.config) {
            Ok(None) => self.accepted(),
            Ok(Some((config, rules))) => {
                self.take_up(config, rules);
                self.accepted();
            }
            Err(error) => {
                let why = error.one_line();
                if self.changes.refused.as_ref() != Some(&why) {
                    let text = format!("{why}. Until it is mended, all is as before.");
                    tracing::warn!("{text}");
                    self.notify(true, known::masked(&text));
                    self.changes.refused = Some(why);
                }
            }
        }
    }

    /// The file is right. If it was not before, it is told.
    fn accepted(&mut self) {
        if self.changes.refused.take().is_some() {
            let text = format!("{} is right again, and holds.", self.config.paths.config_file().display());
            tracing::info!("{text}");
            self.notify(false, text);
        }
    }

    fn notify(&mut self, warns: bool, text: String) {
        self.outbox.send(self.ticket, Outgoing::Notice(Notice { warns, text }));
    }

    fn take_up(&mut self, config: Config, rules: Vec<Rule>) {
        for turn in self.sessions.values().filter_map(|session| session.running.as_ref()) {
            let kept = || Kept {
                config: self.config.clone(),
                models: self.models.clone(),
                persona: self.persona.clone(),
            };
            self.changes.kept.entry(turn.clone()).or_insert_with(kept);
        }
        known::given(config.known_keys(&self.secrets), config.key_variables());
        let before = std::mem::replace(&mut self.config, config);
        self.rules = Arc::new(rules);
        self.models.clear();
        if before.persona != self.config.persona {
            self.rename();
        }
        if (before.sessions.keep, before.sessions.max_bytes)
            != (self.config.sessions.keep, self.config.sessions.max_bytes)
        {
            self.retain_later();
        }
        tracing::info!("{} has changed, and holds from now on", self.config.paths.config_file().display());
    }

    /// Others speak: notes are read again, since they see the names.
    fn rename(&mut self) {
        self.variables = crate::skills::environment(&self.config, variable);
        self.persona = super::skills::persona(&self.shelf, &self.config, &self.variables);
        let (desk, events, env) = (self.desk.clone(), self.internal.clone(), Arc::clone(&self.variables));
        tokio::spawn(async move {
            for shelved in desk.work(|desk: &Desk| desk.reopen(env)).await.unwrap_or_default() {
                // If the kernel is gone, nobody waits for it.
                drop(events.send(Event::Shelf(shelved, None)).await);
            }
        });
    }

    /// Does `work` with the configuration that a turn was begun with. It must not begin or end turns.
    pub(super) fn as_begun<T>(&mut self, turn: &TurnId, work: impl FnOnce(&mut Self) -> T) -> T {
        let Some(mut kept) = self.changes.kept.remove(turn) else { return work(self) };
        self.exchange(&mut kept);
        let done = work(self);
        self.exchange(&mut kept);
        self.changes.kept.insert(turn.clone(), kept);
        done
    }

    fn exchange(&mut self, kept: &mut Kept) {
        std::mem::swap(&mut self.config, &mut kept.config);
        std::mem::swap(&mut self.models, &mut kept.models);
        std::mem::swap(&mut self.persona, &mut kept.persona);
    }
}

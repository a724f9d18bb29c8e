//! The file of a chat buffer, as an editor keeps it: what stands in it now, and what was saved. It knows nothing of
//! servers.

use std::collections::BTreeMap;

/// What a buffer holds.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// `OA_SESSION`.
    pub session: Option<String>,
    /// `OA_EVENT` of each prompt that was acknowledged.
    pub prompts: Vec<String>,
    /// `OA_ACT` of each reply, in the order in which they were applied.
    pub applied: Vec<String>,
    /// What stands in the input area: messages that are not acknowledged, by their numbers.
    pub input: Vec<usize>,
}

impl Page {
    /// Puts an acknowledged prompt in, once.
    pub fn prompt(&mut self, event: &str) {
        if !self.prompts.iter().any(|own| own == event) {
            self.prompts.push(event.to_owned());
        }
    }

    /// Applies an insert, once; whether it was new.
    pub fn apply(&mut self, actuation: &str) -> bool {
        let new = !self.applied.iter().any(|own| own == actuation);
        if new {
            self.applied.push(actuation.to_owned());
        }
        new
    }
}

/// All buffers by their names.
#[derive(Default)]
pub struct Files {
    pub now: BTreeMap<String, Page>,
    saved: BTreeMap<String, Page>,
}

impl Files {
    pub fn page(&mut self, buffer: &str) -> &mut Page {
        self.now.entry(buffer.to_owned()).or_default()
    }

    /// The page of a session, if a buffer is known to belong to it.
    pub fn of(&mut self, session: &str) -> Option<&mut Page> {
        self.now.values_mut().find(|page| page.session.as_deref() == Some(session))
    }

    pub fn save(&mut self, buffer: &str) {
        if let Some(page) = self.now.get(buffer) {
            self.saved.insert(buffer.to_owned(), page.clone());
        }
    }

    pub fn save_all(&mut self) {
        self.saved = self.now.clone();
    }

    /// What is on disk.
    pub fn saved(&self) -> impl Iterator<Item = &Page> {
        self.saved.values()
    }

    /// The sessions that stand in a buffer.
    pub fn sessions(&self) -> Vec<String> {
        self.now.values().filter_map(|page| page.session.clone()).collect()
    }

    /// Empties the input areas; what stood in them, by buffer.
    pub fn take_inputs(&mut self) -> Vec<(String, Vec<usize>)> {
        let inputs =
            self.now.iter_mut().map(|(buffer, page)| (buffer.clone(), std::mem::take(&mut page.input)));
        inputs.filter(|(_, input)| !input.is_empty()).collect()
    }

    /// The editor is killed: what was not saved is gone. How many prompts and replies that were.
    pub fn crash(&mut self) -> (usize, usize) {
        let count = |pages: &BTreeMap<String, Page>| {
            let prompts: usize = pages.values().map(|page| page.prompts.len()).sum();
            (prompts, pages.values().map(|page| page.applied.len()).sum::<usize>())
        };
        let (before, after) = (count(&self.now), count(&self.saved));
        self.now = self.saved.clone();
        (before.0 - after.0, before.1 - after.1)
    }
}

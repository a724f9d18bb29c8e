//! What commands and clients write is masked here, before it is kept, shown to a model or sent to a client.

use secrecy::ExposeSecret;

use super::Kernel;
use super::actions::{Live, clip};
use crate::record::Outcome;
use crate::redact::{Keys, Redactor, redact};

/// One stream of a running command, masked as it comes.
#[derive(Debug)]
pub(super) struct Stream {
    redactor: Redactor,
    text: String,
    cut: bool,
}

impl Stream {
    pub(super) fn new(keys: &Keys) -> Self {
        Self { redactor: Redactor::new(keys), text: String::new(), cut: false }
    }

    /// Adds what was written; of more than `most` bytes the middle goes, in time.
    pub(super) fn push(&mut self, text: &str, most: usize) {
        self.redactor.push(text, &mut self.text);
        if self.text.len() > 2 * most {
            self.text = clip(&self.text, most).0;
            self.cut = true;
        }
    }

    /// All that was written so far. More may come: the report that asked may be refused.
    fn so_far(&self) -> String {
        let mut text = self.text.clone();
        self.redactor.clone().finish(&mut text);
        text
    }
}

impl Kernel {
    /// The keys that this process knows now; a command may print one only when a model is first asked.
    pub(super) fn keys(&self) -> Keys {
        let mut known = self.config.known_keys(&self.secrets);
        known.extend(self.models.values().flat_map(|model| model.keys()));
        Keys::new(known.iter().map(ExposeSecret::expose_secret))
    }

    /// The outcome without secrets, with the live output if the report had none.
    pub(super) fn masked(&self, live: Option<&Live>, mut outcome: Outcome) -> Outcome {
        let keys = self.keys();
        match live {
            Some(live) if outcome.stdout.is_empty() && outcome.stderr.is_empty() => {
                (outcome.stdout, outcome.stderr) = (live.stdout.so_far(), live.stderr.so_far());
                outcome.truncated |= live.stdout.cut || live.stderr.cut;
            }
            _ => {
                outcome.stdout = redact(&outcome.stdout, &keys).0;
                outcome.stderr = redact(&outcome.stderr, &keys).0;
            }
        }
        outcome.message = outcome.message.map(|text| redact(&text, &keys).0);
        outcome
    }
}

//! The keys that this process knows, for what belongs to the whole process: its log, its last words, its children.
//!
//! One list for the process, since a log line of a library and the environment of a child belong to no kernel. Whoever
//! learns of a key says it here: the configuration's when it was read, those of a client when it introduces itself, a
//! printed one when it was printed. What a kernel keeps and sends is masked by its own list (`kernel/secrets.rs`), and
//! what a server said of its own key in `model`.
//!
//! Bounded: of a key that is printed anew every hour the last [`PRINTED`] are known.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::sync::{LazyLock, PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

use crate::redact::{self, Keys};

/// How many printed keys are remembered.
const PRINTED: usize = 64;

/// Shorter values are placeholders (`none`, `ollama`); a variable that holds one is no secret.
const SHORTEST: usize = 8;

/// What is known.
#[derive(Default)]
struct Known {
    given: Vec<SecretString>,
    printed: VecDeque<SecretString>,
    variables: BTreeSet<String>,
    /// All keys, prepared.
    keys: Keys,
}

static KNOWN: LazyLock<RwLock<Known>> = LazyLock::new(RwLock::default);

impl Known {
    fn all(&self) -> impl Iterator<Item = &str> {
        self.given.iter().chain(&self.printed).map(ExposeSecret::expose_secret)
    }

    fn has(&self, key: &SecretString) -> bool {
        self.all().any(|known| known == key.expose_secret())
    }

    fn prepare(&mut self) {
        self.keys = Keys::new(self.all());
    }
}

/// These keys were given, by the configuration, the environment or the client, in variables of these names.
pub fn given(keys: impl IntoIterator<Item = SecretString>, variables: impl IntoIterator<Item = String>) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    for key in keys {
        if !known.has(&key) {
            known.given.push(key);
        }
    }
    known.variables.extend(variables);
    known.prepare();
}

/// This key was printed by a command.
pub fn printed(key: &SecretString) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if known.has(key) {
        return;
    }
    if known.printed.len() == PRINTED {
        known.printed.pop_front();
    }
    known.printed.push_back(key.clone());
    known.prepare();
}

/// `text` without any of the keys, in whatever encoding, and without what has the form of one.
#[must_use]
pub fn masked(text: &str) -> String {
    let keys = KNOWN.read().unwrap_or_else(PoisonError::into_inner).keys.clone();
    redact::redact(text, &keys).0
}

/// Keeps the keys out of the environment of a child: the variables that are named for keys, and every other one whose
/// value holds a key. The rest it inherits.
pub fn hide_from(child: &mut Command) {
    for name in hidden(std::env::vars_os()) {
        child.env_remove(name);
    }
}

/// Which of `variables` a child does not get.
fn hidden(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<OsString> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    let keys: Vec<&str> = known.all().filter(|key| key.len() >= SHORTEST).collect();
    let holds = |value: &OsString| {
        keys.iter().any(|key| memchr::memmem::find(value.as_bytes(), key.as_bytes()).is_some())
    };
    variables
        .into_iter()
        .filter(|(name, value)| {
            name.to_str().is_some_and(|name| known.variables.contains(name)) || holds(value)
        })
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked_and_hidden_from_children() {
        let key = |text: &str| SecretString::from(text.to_owned());
        given([key("canary-of-known-1")], ["A_KEY_OF_KNOWN".to_owned()]);
        given([key("canary-of-known-1"), key("short")], []);
        printed(&key("canary-of-known-2"));
        let text = "a canary-of-known-1 b Y2FuYXJ5LW9mLWtub3duLTI= short";
        assert_eq!(masked(text), "a [redacted: live key] b [redacted: live key]= short");
        let variables = [
            ("A_KEY_OF_KNOWN", "x"),
            ("URL", "https://u:canary-of-known-1@host/"),
            ("COPY", "canary-of-known-2"),
            ("PATH", "/bin:short"),
        ];
        let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        assert_eq!(hidden(variables), ["A_KEY_OF_KNOWN", "URL", "COPY"]);
    }

    #[test]
    fn of_printed_keys_the_last_are_known() {
        for number in 0..=PRINTED {
            printed(&SecretString::from(format!("printed-{number:04}-abcdefgh")));
        }
        let known = KNOWN.read().unwrap();
        assert!(known.printed.len() <= PRINTED);
        assert!(known.all().any(|key| key == format!("printed-{PRINTED:04}-abcdefgh")));
    }
}

//! What commands, clients and models write is masked here, before it is kept, shown to a model or sent to a client.
//!
//! Of a model's reply only the keys that are known are masked, not what merely has the form of one: a model may explain
//! such forms. Of a failure both are.

use secrecy::{ExposeSecret, SecretString};

use super::Kernel;
use super::actions::{Live, clip};
use crate::model::{Failure, Piece};
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

/// The pieces of a reply, masked as they come. Its text, what that was written as, and its thoughts are each a text of
/// their own, however they alternate.
#[derive(Debug)]
pub(super) struct Veil {
    /// For failures.
    keys: Keys,
    text: Redactor,
    original: Redactor,
    thought: Redactor,
    is_translated: bool,
}

impl Veil {
    /// For a reply in which none of `keys` may stand.
    pub(super) fn new(keys: &[SecretString]) -> Self {
        let keys = || keys.iter().map(ExposeSecret::expose_secret);
        let new = || Redactor::of_keys(&Keys::beginnings(keys()));
        Self { keys: Keys::new(keys()), text: new(), original: new(), thought: new(), is_translated: false }
    }

    /// What of `item`, and of what was held back before it, may leave.
    pub(super) fn pass(&mut self, item: Result<Piece, Failure>) -> Vec<Result<Piece, Failure>> {
        let push = |redactor: &mut Redactor, text: &str| {
            let mut out = String::new();
            redactor.push(text, &mut out);
            out
        };
        let piece = match item {
            Ok(Piece::Text(text)) => Piece::Text(push(&mut self.text, &text)),
            Ok(Piece::Thought(text)) => Piece::Thought(push(&mut self.thought, &text)),
            Ok(Piece::Translated { text, original }) => {
                self.is_translated = true;
                let text = push(&mut self.text, &text);
                Piece::Translated { text, original: push(&mut self.original, &original) }
            }
            Ok(Piece::End(usage)) => {
                let mut pieces = self.rest();
                pieces.push(Ok(Piece::End(usage)));
                return pieces;
            }
            Err(failure) => {
                let mut pieces = self.rest();
                let message = redact(&failure.message, &self.keys).0;
                pieces.push(Err(Failure { message, hint: redact(&failure.hint, &self.keys).0, ..failure }));
                return pieces;
            }
        };
        if is_empty(&piece) { Vec::new() } else { vec![Ok(piece)] }
    }

    /// What is still held back when no more comes.
    pub(super) fn rest(&mut self) -> Vec<Result<Piece, Failure>> {
        let finish = |redactor: &mut Redactor| {
            let mut out = String::new();
            redactor.finish(&mut out);
            out
        };
        let (text, original) = (finish(&mut self.text), finish(&mut self.original));
        let last = if self.is_translated { Piece::Translated { text, original } } else { Piece::Text(text) };
        let pieces = [Piece::Thought(finish(&mut self.thought)), last];
        pieces.into_iter().filter(|piece| !is_empty(piece)).map(Ok).collect()
    }
}

/// Whether a piece says nothing.
fn is_empty(piece: &Piece) -> bool {
    match piece {
        Piece::Text(text) | Piece::Thought(text) => text.is_empty(),
        Piece::Translated { text, original } => text.is_empty() && original.is_empty(),
        Piece::End(_) => false,
    }
}

impl Kernel {
    /// The keys that this process knows now; a command may print one only when a model is first asked.
    pub(super) fn keys(&self) -> Keys {
        Keys::new(self.known_keys().iter().map(ExposeSecret::expose_secret))
    }

    /// The same as they are.
    pub(super) fn known_keys(&self) -> Vec<SecretString> {
        let mut known = self.config.known_keys(&self.secrets);
        known.extend(self.models.values().flat_map(|model| model.keys()));
        for (config, models) in self.changes.all() {
            known.extend(config.known_keys(&self.secrets));
            known.extend(models.values().flat_map(|model| model.keys()));
        }
        known
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Trouble;

    const KEY: &str = "sk-canary-0123456789";
    const BASE64: &str = "c2stY2FuYXJ5LTAxMjM0NTY3ODk=";

    /// What a veil lets through of these items: text, what it was written as, thoughts, and the failure.
    fn seen(items: impl IntoIterator<Item = Result<Piece, Failure>>) -> [String; 4] {
        let mut veil = Veil::new(&[SecretString::from(KEY)]);
        let mut seen: [String; 4] = Default::default();
        let mut passed: Vec<_> = items.into_iter().flat_map(|item| veil.pass(item)).collect();
        passed.extend(veil.rest());
        for item in passed {
            match item {
                Ok(Piece::Text(text)) => seen[0].push_str(&text),
                Ok(Piece::Translated { text, original }) => {
                    seen[0].push_str(&text);
                    seen[1].push_str(&original);
                }
                Ok(Piece::Thought(text)) => seen[2].push_str(&text),
                Ok(Piece::End(_)) => {}
                Err(failure) => seen[3].push_str(&failure.told()),
            }
        }
        seen
    }

    #[test]
    fn a_reply_has_no_key_however_it_is_cut() {
        let said = format!("a {KEY} b {BASE64} c ghp_a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8 s");
        let masked =
            "a [redacted: live key] b [redacted: live key]= c ghp_a1B2c3D4e5F6g7H8i9J0a1B2c3D4e5F6g7H8 s";
        for size in 1..=said.len() {
            let pieces =
                said.as_bytes().chunks(size).map(|piece| String::from_utf8_lossy(piece).into_owned());
            // Thoughts and text alternate, and each is whole all the same.
            let items = pieces.flat_map(|piece| [Ok(Piece::Thought(piece.clone())), Ok(Piece::Text(piece))]);
            let [text, _, thought, _] = seen(items.chain([Ok(Piece::End(None))]));
            assert_eq!((text.as_str(), thought.as_str()), (masked, masked), "in pieces of {size}");
        }
    }

    #[test]
    fn translations_and_failures_have_none_either() {
        let failure = Failure::new(Trouble::Server, format!("no {KEY}")).hint(format!("see {BASE64}"));
        let items = [
            Ok(Piece::Translated {
                text: format!("t {}", &KEY[..9]),
                original: "{\"t\": \"sk-canar".to_owned(),
            }),
            Ok(Piece::Translated { text: KEY[9..].to_owned(), original: "y-0123456789\"}".to_owned() }),
            Err(failure),
        ];
        let [text, original, _, failed] = seen(items);
        assert_eq!(text, "t [redacted: live key]");
        assert_eq!(original, "{\"t\": \"[redacted: live key]\"}");
        assert_eq!(failed, "no [redacted: live key]; see [redacted: live key]=");
    }

    #[test]
    fn ordinary_text_is_not_held_back() {
        let mut veil = Veil::new(&[SecretString::from(KEY)]);
        for word in ["An ", "ordinary ", "text "] {
            assert_eq!(veil.pass(Ok(Piece::Text(word.to_owned()))), [Ok(Piece::Text(word.to_owned()))]);
        }
        assert!(veil.rest().is_empty());
    }
}

//! The verifier: what a model wrote becomes a [`Verified`] action here, and nowhere else.
//!
//! It joins the recogniser and the Org contract, or for the text of a rewrite the plain one. It knows neither who asked nor what is permitted.

pub mod json;
mod plain;

use crate::action::{Action, CHAT_BUFFER, Kind, Value};
use crate::org::{self, Change};
use crate::sexp::recogniser::Recogniser;
use crate::sexp::{Rejection, kind, printer, report};

/// The most bytes of rejected text that a system error shows.
const SHOWN: usize = 1_000;
/// How it ends if there was more.
const CUT: &str = "\n[cut here]";

/// Proof that a value went through this module.
///
/// The field is private: no other module can make one. A [`Verified<Action>`] has the right form and its
/// text went through the Org contract; whether it may be carried out is the policy's question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T>(T);

impl Verified<Action> {
    /// The action, to look at.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.0
    }
}

/// A reply that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The action; the `:text` of an insert or a response is what the Org contract made of it.
    pub action: Verified<Action>,
    /// The action as the model wrote it.
    pub raw: Action,
    /// The rest of the preview: with what [`Reading::take_preview`] gave before, it is the action's text.
    /// Empty unless the action is an insert or a response.
    pub rest: String,
    /// What the Org contract changed.
    pub changes: Vec<Change>,
    /// What the plain contract changed, in words.
    pub touched: Vec<&'static str>,
    /// Whether the preview is no part of the action's text: a fence was taken for one that was around all of it.
    pub astray: bool,
}

/// One reply while it is being read.
#[derive(Debug)]
pub struct Reading {
    recogniser: Recogniser,
    contract: Contract,
    /// How many bytes were read.
    offset: usize,
    /// Why the plain contract lets no more in.
    refused: Option<Rejection>,
    /// How many bytes of the text as written went into the contract.
    taken: usize,
    /// What came out of it and was given as preview.
    shown: String,
}

/// What is done to the text of a reply.
#[derive(Debug)]
enum Contract {
    Org(Box<org::Stream>),
    /// For the text of a rewrite; nothing else may be said then.
    Plain(plain::Stream),
}

impl Reading {
    /// Reads a reply for a session whose buffer is `buffer`; its text stands under a heading of `level`.
    #[must_use]
    pub fn new(buffer: &str, level: usize) -> Self {
        Self::by(buffer, Contract::Org(Box::new(org::Stream::new(level))))
    }

    /// Reads a reply whose text takes the place of `region`, in the editor's `mode`. It can be nothing but a text.
    #[must_use]
    pub fn rewriting(buffer: &str, region: &str, mode: Option<&str>) -> Self {
        Self::by(buffer, Contract::Plain(plain::Stream::new(region, mode)))
    }

    fn by(buffer: &str, contract: Contract) -> Self {
        let recogniser = Recogniser::new(buffer);
        Self { recogniser, contract, offset: 0, refused: None, taken: 0, shown: String::new() }
    }

    /// Reads the next bytes.
    ///
    /// # Errors
    /// The rejection, which is final: every further call returns the same.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Rejection> {
        let Contract::Plain(plain) = &mut self.contract else { return self.recogniser.feed(chunk) };
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        // Byte by byte: where it is refused must not depend on how it was cut.
        for byte in chunk {
            self.recogniser.feed(&[*byte])?;
            let text = self.recogniser.text();
            let refused = if !self.recogniser.viable().any(|row| is_text(row.kind)) {
                no_text(self.offset)
            } else if let Err(c) = plain.take(&text[self.taken..]) {
                unseen(c, self.offset)
            } else {
                self.taken = text.len();
                self.offset += 1;
                continue;
            };
            self.refused = Some(refused.clone());
            return Err(refused);
        }
        Ok(())
    }

    /// The preview text that became showable since the last call: empty until the action must be an
    /// insert or a response; then what came before that, too.
    pub fn take_preview(&mut self) -> String {
        let mut preview = String::new();
        if self.recogniser.viable().all(|row| is_text(row.kind)) {
            match &mut self.contract {
                Contract::Org(contract) => {
                    let text = self.recogniser.text();
                    contract.push(&text[self.taken..], &mut preview);
                    self.taken = text.len();
                }
                Contract::Plain(plain) => plain.show(&mut preview),
            }
            self.shown.push_str(&preview);
        }
        preview
    }

    /// Ends the reply.
    ///
    /// # Errors
    /// The rejection that [`Self::feed`] gave, or one at the reply's length if it ends too early.
    pub fn finish(self) -> Result<Accepted, Rejection> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        let raw = self.recogniser.finish()?;
        Ok(match self.contract {
            Contract::Org(contract) => accept(raw, *contract, self.taken, self.shown),
            Contract::Plain(plain) => {
                let finished = plain.finish();
                let mut action = raw.clone();
                action.set("text", Value::Text(finished.text));
                Accepted {
                    action: Verified(action),
                    raw,
                    astray: finished.rest.is_none(),
                    rest: finished.rest.unwrap_or_default(),
                    changes: Vec::new(),
                    touched: finished.touched,
                }
            }
        })
    }
}

/// Refuses what is no text as the answer to a rewrite.
fn no_text(offset: usize) -> Rejection {
    Rejection {
        kind: kind::BAD_VALUE,
        offset,
        message: "a rewrite is answered with the new text and nothing else".into(),
        hint: "Answer with (:type :response :payload (:text \"…\")).".into(),
    }
}

/// Refuses a character that nobody would see.
fn unseen(c: char, offset: usize) -> Rejection {
    let code = u32::from(c);
    Rejection {
        kind: kind::BAD_CHARACTER,
        offset,
        message: format!("the new text has U+{code:04X}, which is not seen and is not in the old text"),
        hint: "Leave it out, or write it as an escape of the language that the text is in.".into(),
    }
}

/// The action that offers the text of `action` for the region of a rewrite; nothing if it has no text for the user.
#[must_use]
pub fn replacement(action: &Verified<Action>) -> Option<Verified<Action>> {
    let text = action.0.text("text").filter(|_| is_text(action.0.kind()))?;
    let mut replacement = Action::replacement(text);
    replacement.explain(action.0.explanation().map(str::to_owned));
    Some(Verified(replacement))
}

/// Ends what the Org contract has begun with the text of `raw`: `taken` bytes of it, and what they became.
fn accept(raw: Action, mut contract: org::Stream, taken: usize, mut shown: String) -> Accepted {
    let mut action = raw.clone();
    let mut rest = String::new();
    let mut changes = Vec::new();
    if let (true, Some(text)) = (is_text(raw.kind()), raw.text("text")) {
        contract.push(&text[taken..], &mut rest);
        changes = contract.finish(&mut rest);
        shown.push_str(&rest);
        action.set("text", Value::Text(shown));
    }
    Accepted { action: Verified(action), raw, rest, changes, touched: Vec::new(), astray: false }
}

/// A reply in JSON, verified as the same action that it would be as a property list.
///
/// # Errors
/// The rejection; its offset counts in the JSON.
pub fn read_json(reply: &[u8], buffer: &str, level: usize) -> Result<Accepted, Rejection> {
    let raw = json::read(reply, buffer)?;
    Ok(accept(raw, org::Stream::new(level), 0, String::new()))
}

/// Whether the action's `:text` is what the user reads.
fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::Insert | Kind::Response)
}

/// The kernel's own message: an insert that begins `*System Error:*`, then `message` in one line, then the
/// text that was rejected as fixed-width lines, at most 1,000 bytes of it, control characters made visible.
#[must_use]
pub fn system_error(message: &str, rejected: Option<&str>) -> Verified<Action> {
    // One line, so that nothing in it can begin a heading, a block or a keyword; the contract makes the
    // objects inert that can stand within a line.
    let message: Vec<&str> = message.split_whitespace().collect();
    let message = report::visible(&message.join(" "));
    let (message, _) = org::apply(format!("*System Error:* {message}").trim_end(), 1);
    let mut text = message.trim_end().to_owned();
    if let Some(rejected) = rejected {
        text.push_str("\n\n");
        fixed_width(rejected, &mut text);
    }
    Verified(Action::insert(CHAT_BUFFER, &text))
}

/// Appends `rejected` as fixed-width lines, without a line break at the end.
fn fixed_width(rejected: &str, out: &mut String) {
    // What is visible is never shorter than what it stands for: a little more than fits is enough to see.
    let source = report::clip(rejected, SHOWN + 4);
    let seen: Vec<String> = source.split('\n').map(report::visible).collect();
    let mut seen = seen.join("\n");
    if seen.len() > SHOWN {
        seen.truncate(report::clip(&seen, SHOWN - CUT.len()).len());
        seen.push_str(CUT);
    }
    for (at, line) in seen.split('\n').enumerate() {
        out.push_str(if at == 0 { ":" } else { "\n:" });
        if !line.is_empty() {
            out.push(' ');
            out.push_str(line);
        }
    }
}

/// A shell action with another command, read again from its canonical print: an edited command obeys the
/// same grammar as one that a model wrote.
///
/// # Errors
/// The rejection if the command breaks the grammar (its offset counts in the print), or if the action is no
/// shell action.
pub fn with_command(action: &Verified<Action>, command: &str) -> Result<Verified<Action>, Rejection> {
    if action.0.kind() != Kind::Shell {
        return Err(Rejection {
            kind: kind::BAD_KEY,
            offset: 0,
            message: "only a shell action has a command".into(),
            hint: "Decide about this action without a command.".into(),
        });
    }
    let mut edited = action.0.clone();
    edited.set("cmd", Value::Text(command.to_owned()));
    let mut recogniser = Recogniser::new(CHAT_BUFFER);
    recogniser.feed(printer::print(&edited).as_bytes())?;
    recogniser.finish().map(Verified)
}

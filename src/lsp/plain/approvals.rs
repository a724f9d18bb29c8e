//! Commands of a shell: each is put into the file as a block, and the user is asked. The server runs what may run.

use serde_json::json;
use tokio::time::Instant;

use super::asked::{Asked, PATIENCE};
use super::edits::Edit;
use super::{Done, Outcome, Plain, Severity, wire};
use crate::error::{Code, Result};
use crate::event::{Decide, Decided, Event};
use crate::ids::ActuationId;
use crate::lsp::wire::ActuateParams;
use crate::outgoing::Actuation;
use crate::request::Choice;

const RUN: &str = "Run";
const DENY: &str = "Deny";
const ALWAYS: &str = "Always";

/// How much of a command, or of a reason, is shown in a message.
const SHOWN: usize = 4000;

impl Plain {
    /// Asks the user about a command.
    pub(super) fn ask_about(&mut self, key: u64, actuation: &Actuation, now: Instant) {
        let command = actuation.action().text("cmd").unwrap_or_default().to_owned();
        let Some(turn) = self.turns.get_mut(&key) else { return };
        turn.asked = Some(actuation.address().actuation.clone());
        let asked = actuation.address().actuation.clone();
        turn.edits.push_back(Edit::Block { command: command.clone() });
        let uri = turn.uri.clone();
        self.work(&uri, now);
        let terms = ActuateParams::to_wire(actuation);
        // The command comes last: nothing in it can pass for one of the lines about it.
        let mut message = "Run this command?".to_owned();
        for (name, text) in [
            ("directory", terms.directory),
            ("sandbox", terms.sandbox),
            ("asked because of", Some(terms.rule)),
            ("\"Always\" means", terms.always.clone()),
        ] {
            if let Some(text) = text {
                let text = text.split(char::is_control).collect::<Vec<_>>().join(" ");
                message.push_str(&format!("\n{name}: {text}"));
            }
        }
        message.push_str(&format!("\n\n{}", shown(&command)));
        let mut actions = vec![json!({"title": RUN}), json!({"title": DENY})];
        if terms.always.is_some() {
            actions.push(json!({"title": ALWAYS}));
        }
        let params = json!({"type": Severity::Warning as u8, "message": message, "actions": actions});
        self.ask("window/showMessageRequest", &params, Asked::Approval(asked), now + PATIENCE);
        self.refresh(now);
    }

    /// The user was asked about a command. All that is not plainly a yes means no.
    pub(super) fn approved(&mut self, actuation: &ActuationId, outcome: Option<Outcome<'_>>) {
        let title = outcome.and_then(|outcome| wire::read::<wire::Chosen>(outcome.ok()?).ok());
        let choice = match title.as_ref().map(|chosen| chosen.title.as_str()) {
            Some(RUN) => Choice::Run,
            Some(ALWAYS) => Choice::Always,
            _ => Choice::Deny,
        };
        if let Some(turn) = self.turns.values_mut().find(|turn| turn.asked.as_ref() == Some(actuation)) {
            turn.asked = None;
        }
        if let Some(Err(error)) = outcome {
            let error: String = error.chars().take(300).collect();
            self.say(
                Severity::Warning,
                &format!("The command is not run: this editor did not ask you ({error})."),
            );
        }
        self.decide(actuation, choice);
    }

    fn decide(&mut self, actuation: &ActuationId, choice: Choice) {
        let decide = Decide {
            actuation: actuation.clone(),
            choice,
            command: None,
            network: false,
            unconfined: false,
            message: None,
        };
        let asked = actuation.clone();
        self.tell(|reply| Event::Decide(decide, reply), move |result| Done::Decided(asked, choice, result));
    }

    pub(super) fn decided(&mut self, actuation: &ActuationId, choice: Choice, result: Result<Decided>) {
        match result {
            Ok(decided) => {
                if let Some(hint) = decided.hint {
                    self.say(Severity::Info, &hint);
                }
            }
            // The turn is over, or was decided about already.
            Err(error) if matches!(error.code, Code::Conflict | Code::NotFound) => {
                tracing::debug!(%error, "a decision came too late");
            }
            Err(error) => {
                self.say(Severity::Error, &error.one_line());
                if choice != Choice::Deny {
                    self.decide(actuation, Choice::Deny);
                }
            }
        }
    }
}

/// A text for a message, without its middle if it is long.
pub(super) fn shown(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let (head, tail) = (text.floor_char_boundary(SHOWN / 2), text.ceil_char_boundary(text.len() - SHOWN / 2));
    format!(
        "{}\n[… {} bytes are left out here: see the file …]\n{}",
        &text[..head],
        tail - head,
        &text[tail..]
    )
}

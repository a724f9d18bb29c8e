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

/// The most bytes of a command or of a reason that are shown in a message.
const SHOWN: usize = 4000;

/// From how many characters on it is said how long a command is.
const LONG: usize = 160;

/// How many blanks in a row are shown as they are.
const BLANKS: usize = 16;

impl Plain {
    /// Asks the user about a command.
    pub(super) fn ask_about(&mut self, key: u64, actuation: &Actuation, now: Instant) {
        let command = actuation.action().text("cmd").unwrap_or_default().to_owned();
        let Some(turn) = self.turns.get_mut(&key) else { return };
        let asked = actuation.address().actuation.clone();
        turn.asked = (command.len() <= SHOWN).then(|| asked.clone());
        turn.edits.push_back(Edit::Block { command: command.clone() });
        let uri = turn.uri.clone();
        self.work(&uri, now);
        if command.len() > SHOWN {
            // Nobody says yes to what is not seen.
            let why = format!(
                "a command of {} bytes is too long to be shown here; at most {SHOWN} are asked about",
                command.len()
            );
            self.say(Severity::Warning, &format!("org-agent: {why}. It is not run."));
            return self.decide(&asked, Choice::Deny, Some(why));
        }
        let terms = ActuateParams::to_wire(actuation);
        // The command comes last, and behind a bar: nothing in it can pass for one of the lines about it, nor for what
        // the editor writes below.
        let mut message = "Run this command?".to_owned();
        for (name, text) in [
            ("directory", terms.directory),
            ("sandbox", terms.sandbox),
            ("asked because of", Some(terms.rule)),
            ("\"Always\" means", terms.always.clone()),
        ] {
            if let Some(text) = text {
                message.push_str(&format!("\n{name}: {}", visible(&text.replace('\n', " "))));
            }
        }
        message.push_str(&format!("\n\n{}", legible(&command)));
        // The first is what many editors take for RET.
        let mut actions = vec![json!({"title": DENY}), json!({"title": RUN})];
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
        self.decide(actuation, choice, None);
    }

    fn decide(&mut self, actuation: &ActuationId, choice: Choice, message: Option<String>) {
        let decide = Decide {
            actuation: actuation.clone(),
            choice,
            command: None,
            network: false,
            unconfined: false,
            message,
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
                    self.decide(actuation, Choice::Deny, None);
                }
            }
        }
    }
}

/// A command for a message: so that what is shown is what runs, wherever its lines are cut or broken.
fn legible(command: &str) -> String {
    let (lines, characters) = (command.split('\n').count(), command.chars().count());
    let mut out = String::new();
    if lines > 1 || characters > LONG {
        out.push_str(&format!(
            "{characters} characters in {lines} line{}:\n",
            if lines > 1 { "s" } else { "" }
        ));
    }
    out.push_str("| ");
    out.push_str(&visible(command).replace('\n', "\n| "));
    out
}

/// A text with codes for what does not show or shows as something else, and blanks that could push the rest out of
/// sight counted. Line feeds stay.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        if blanks > BLANKS {
            out.push_str(&format!("[{blanks} blanks]"));
            rest = &rest[blanks..];
            continue;
        }
        // What is quoted in debugging: controls, format characters, blanks but the plain one, what is unassigned.
        // Behind a letter, accents are none of them.
        let is_plain = matches!(c, '\n' | '\'' | '"' | '\\') || format!("a{c}").escape_debug().count() == 2;
        if is_plain && !is_filler(c) {
            out.push(c);
        } else {
            out.extend(c.escape_unicode());
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Letters that show as nothing.
const fn is_filler(c: char) -> bool {
    matches!(
        c,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
    ) || matches!(c, '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_runs() {
        for (command, expected) in [
            ("printf %s grün >&2", "| printf %s grün >&2"),
            (r#"echo "a'\n""#, r#"| echo "a'\n""#),
            ("a\r\tb", r"| a\u{d}\u{9}b"),
            (
                "a\u{a0}b\u{ad}\u{202e}c\u{3164}\u{115f}\u{feff}\u{2028}\u{1b}[8m",
                r"| a\u{a0}b\u{ad}\u{202e}c\u{3164}\u{115f}\u{feff}\u{2028}\u{1b}[8m",
            ),
            (
                "a\n\nRequest Actions:\n1. Deny",
                "27 characters in 4 lines:\n| a\n| \n| Request Actions:\n| 1. Deny",
            ),
            ("é e\u{301} 😀 נ", "| é e\u{301} 😀 נ"),
            ("", "| "),
        ] {
            assert_eq!(legible(command), expected);
        }
        let pushed = legible(&format!("ls{}; rm x", " ".repeat(500)));
        assert_eq!(pushed, "508 characters in 1 line:\n| ls[500 blanks]; rm x");
        let long = legible(&format!("{}; rm x; {}", "a\n".repeat(900), "é".repeat(900)));
        assert!(long.starts_with("2708 characters in 901 lines:\n| a\n| a\n"), "{long}");
        assert!(long.lines().skip(1).all(|line| line.starts_with("| ")), "{long}");
        assert!(long.contains("| ; rm x; éé") && long.ends_with("éé"), "{long}");
    }
}

//! What the terminal chat shows: text as it comes, or JSON lines.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use super::{broken_pipe, flush};
use crate::error::{Error, Result};
use crate::outgoing::{Actuation, Outgoing, State};
use crate::skill::Shelved;

/// Standard output and standard error, and how much of a reply is already on the screen.
pub(super) struct Screen {
    json: bool,
    /// What the current attempt has shown.
    shown: String,
}

impl Screen {
    pub(super) fn new(json: bool) -> Self {
        Self { json, shown: String::new() }
    }

    /// Asks for the next message.
    pub(super) fn prompt(&mut self) -> Result<()> {
        if io::stdin().is_terminal() && !self.json {
            let mut stderr = io::stderr();
            write!(stderr, "> ").map_err(broken_pipe)?;
            flush(&mut stderr)?;
        }
        Ok(())
    }

    /// Says something that is not a part of the conversation.
    pub(super) fn note(&mut self, text: &str) -> Result<()> {
        let mut stderr = io::stderr();
        let text = visible(text, stderr.is_terminal());
        writeln!(stderr, "org-agent: {text}").map_err(broken_pipe)
    }

    /// Goes to a new line, after a prompt that was not answered.
    pub(super) fn end_line(&mut self) -> Result<()> {
        writeln!(io::stderr()).map_err(broken_pipe)
    }

    /// Shows a command that the user has to decide about.
    pub(super) fn question(&mut self, actuation: &Actuation) -> Result<()> {
        let action = actuation.action();
        let mut stderr = io::stderr();
        let line = |name: &str, text: &str| {
            format!(
                "  {name}: {}\n",
                text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
            )
        };
        let mut text = String::from("The assistant wants to run a command.\n");
        text.push_str(&line("command", action.text("cmd").unwrap_or_default()));
        if let Some(location) = actuation.location() {
            text.push_str(&line("in", &location.directory));
        }
        if let Some(why) = action.explanation() {
            text.push_str(&line("why", why));
        }
        text.push_str(&line("rule", actuation.rule()));
        text.push_str(&line("sandbox", &crate::sandbox::terms(actuation.unconfined(), actuation.limit())));
        write!(stderr, "{text}").map_err(broken_pipe)
    }

    /// Asks whether to run it.
    pub(super) fn confirm(&mut self) -> Result<()> {
        let mut stderr = io::stderr();
        write!(stderr, "Run it? [y/N] ").map_err(broken_pipe)?;
        flush(&mut stderr)
    }

    /// Shows what a running command writes.
    pub(super) fn output(&self, text: &str) {
        if !self.json {
            // The command goes on whether or not anybody can see it.
            let mut stderr = io::stderr();
            let text = visible(text, stderr.is_terminal());
            drop(stderr.write_all(text.as_bytes()));
        }
    }

    /// Shows a message of the kernel.
    pub(super) fn show(&mut self, message: &Outgoing) -> Result<()> {
        let mut stdout = io::stdout();
        let terminal = stdout.is_terminal();
        if self.json {
            let (method, params) = crate::lsp::wire::convert::outgoing(message)
                .map_err(|error| Error::internal("a message has no JSON form").because(error))?;
            let line = serde_json::json!({ "method": method, "params": params }).to_string();
            writeln!(stdout, "{}", visible(&line, terminal)).map_err(broken_pipe)?;
            return flush(&mut stdout);
        }
        match message {
            Outgoing::Delta(delta) => {
                // A reply that may still be taken back is shown only where it can be told apart.
                if terminal {
                    self.shown.push_str(&delta.text);
                    write!(stdout, "{}", visible(&delta.text, terminal)).map_err(broken_pipe)?;
                    flush(&mut stdout)?;
                }
            }
            Outgoing::Retract(retract) => {
                if !std::mem::take(&mut self.shown).is_empty() {
                    writeln!(stdout).map_err(broken_pipe)?;
                }
                self.note(&format!("taken back: {}", retract.reason))?;
            }
            Outgoing::Actuate(actuation) => {
                if let Some(text) = actuation.action().text("text") {
                    let shown = std::mem::take(&mut self.shown);
                    let rest = text.strip_prefix(&shown).unwrap_or(text);
                    write!(stdout, "{}", visible(rest, terminal)).map_err(broken_pipe)?;
                    if !text.ends_with('\n') {
                        writeln!(stdout).map_err(broken_pipe)?;
                    }
                    flush(&mut stdout)?;
                }
            }
            Outgoing::Turn(turn) => match (turn.state, &turn.reason) {
                (State::Failed, Some(reason)) => self.note(&format!("failed: {reason}"))?,
                (State::Cancelled, _) => self.note("cancelled")?,
                (State::Repairing | State::Thinking, Some(reason)) => self.note(reason)?,
                _ => {}
            },
            Outgoing::Step(step) => {
                let who = if step.called { "you called" } else { "the model read" };
                match &step.read {
                    Ok(_) => self.note(&format!("{who} the skill {}", step.name))?,
                    Err(why) => self.note(&format!("{who} no skill {}: {why}", step.name))?,
                }
            }
            Outgoing::Notice(notice) => self.note(&notice.text)?,
            Outgoing::Session(..) | Outgoing::Thought(_) => {}
            Outgoing::Skills(Shelved { shelf, .. }) => {
                for skill in shelf.untrusted() {
                    self.note(&format!(
                        "{}: a skill of this project, {}; org-agent skill trust shows it",
                        skill.name,
                        skill.standing.as_str()
                    ))?;
                }
                for problem in shelf.serious() {
                    let what = if problem.state(shelf) == "warn" {
                        "about a skill"
                    } else {
                        "a skill does not work"
                    };
                    self.note(&format!("{what}: {problem}"))?;
                }
            }
            Outgoing::Abort(_) => {}
        }
        Ok(())
    }
}

/// `text` for a terminal; elsewhere, the text itself.
fn visible(text: &str, terminal: bool) -> Cow<'_, str> {
    if terminal { super::super::visible(text) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_control_characters() {
        let cases = [
            ("plain ä\n\ttext", "plain ä\n\ttext"),
            ("\u{1b}]0;x\u{7}", "\\u001b]0;x\\u0007"),
            ("a\rb\u{7f}\u{9b}31m\0", "a\\u000db\\u007f\\u009b31m\\u0000"),
        ];
        for (text, expected) in cases {
            assert_eq!(visible(text, true), expected);
            assert_eq!(visible(text, false), text);
        }
    }
}

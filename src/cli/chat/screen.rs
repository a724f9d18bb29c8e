//! What the terminal chat shows: text as it comes, or JSON lines.

use std::io::{self, IsTerminal, Write};

use super::{broken_pipe, flush};
use crate::action::Action;
use crate::error::{Error, Result};
use crate::outgoing::{Outgoing, State};

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
        writeln!(io::stderr(), "org-agent: {text}").map_err(broken_pipe)
    }

    /// Shows a command and asks about it.
    pub(super) fn question(&mut self, action: &Action, rule: &str) -> Result<()> {
        let mut stderr = io::stderr();
        let line = |name: &str, text: &str| {
            format!(
                "  {name}: {}\n",
                text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
            )
        };
        let mut text = String::from("The assistant wants to run a command.\n");
        text.push_str(&line("command", action.text("cmd").unwrap_or_default()));
        if let Some(cwd) = action.text("cwd") {
            text.push_str(&line("in", cwd));
        }
        if let Some(why) = action.explanation() {
            text.push_str(&line("why", why));
        }
        text.push_str(&line("rule", rule));
        write!(stderr, "{text}Run it? [y/N] ").map_err(broken_pipe)?;
        flush(&mut stderr)
    }

    /// Shows what a running command writes.
    pub(super) fn output(&self, text: &str) {
        if !self.json {
            // The command goes on whether or not anybody can see it.
            drop(io::stderr().write_all(text.as_bytes()));
        }
    }

    /// Shows a message of the kernel.
    pub(super) fn show(&mut self, message: &Outgoing) -> Result<()> {
        let mut stdout = io::stdout();
        if self.json {
            let (method, params) = crate::lsp::wire::convert::outgoing(message)
                .map_err(|error| Error::internal("a message has no JSON form").because(error))?;
            let line = serde_json::json!({ "method": method, "params": params });
            writeln!(stdout, "{line}").map_err(broken_pipe)?;
            return flush(&mut stdout);
        }
        match message {
            Outgoing::Delta(delta) => {
                // A reply that may still be taken back is shown only where it can be told apart.
                if stdout.is_terminal() {
                    self.shown.push_str(&delta.text);
                    write!(stdout, "{}", delta.text).map_err(broken_pipe)?;
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
                    write!(stdout, "{rest}").map_err(broken_pipe)?;
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
            Outgoing::Abort(_) => {}
        }
        Ok(())
    }
}

//! Questions to the model: what is asked, whether it may be, and whether anything is left to do after it.

use std::sync::Arc;

use super::super::Mode as CallMode;
use super::super::builtin;
use super::super::code::{Op, Unit};
use super::super::core::{Result, Val};
use super::super::fault::{Fault, Kind};
use super::{Machine, Stop};

/// The most bytes of a prompt and its system prompt together: a message of the most bytes goes in, and as much beside it.
const MAX_QUESTION: usize = 2 << 20;

impl Machine {
    /// The question on top of the stack.
    pub(super) fn question(&mut self, floor: usize) -> Result<Stop> {
        self.asking = false;
        if self.mode != Some(CallMode::Neuro) {
            let place = match self.mode {
                Some(CallMode::Trigger) => "in a trigger",
                Some(CallMode::Gate) => "in a gate",
                _ => "while the note is loaded",
            };
            return Err(Fault::new(Kind::Effect, format!("ask-neuro may not be used {place}"))
                .hint("Ask in the function that the skill gives as :neuro."));
        }
        let mut args = self.stack[floor..].to_vec();
        if matches!(args.first(), Some(Val::Fun(_) | Val::Closure(_) | Val::Builtin(_) | Val::Sym(_))) {
            args.remove(0);
        }
        let usage = || {
            Fault::new(Kind::Arguments, "ask-neuro needs a prompt")
                .hint("Write (ask-neuro prompt :system-prompt text).")
        };
        let (mut texts, mut size) = (Vec::new(), 0);
        let system = match args.as_slice() {
            [_] => None,
            [_, Val::Key(key), system] if self.core.names.name(*key) == "system-prompt" => Some(*system),
            _ => return Err(usage()),
        };
        for value in [Some(args[0]), system.filter(|value| value.is_true())].into_iter().flatten() {
            let Val::Str(at) = value else {
                return Err(builtin::named_as("ask-neuro", self.core.wrong("a string", value)));
            };
            let text = Arc::clone(&self.core.text(at).text);
            size += text.len();
            if size > MAX_QUESTION {
                // Not a limit of the call: the note may catch it and ask for less.
                let message = format!("ask-neuro is given more than {} MiB", MAX_QUESTION >> 20);
                return Err(Fault::new(Kind::Effect, message)
                    .hint("That is for the prompt and the system prompt together. Leave something out."));
            }
            self.core.take(text.len())?;
            texts.push(text.to_string());
        }
        let tail = self.is_tail();
        if !tail {
            let Some(left) = self.asks.checked_sub(1) else {
                return Err(Fault::new(Kind::Effect, "the function asks the model too often")
                    .hint("Put what there is to ask into one prompt."));
            };
            self.asks = left;
        }
        self.stack.truncate(floor);
        self.asking = true;
        let mut texts = texts.into_iter();
        let prompt = texts.next().unwrap_or_default();
        Ok(Stop::Ask { prompt, system_prompt: texts.next(), tail })
    }

    /// Whether nothing is left to be done but to return.
    pub(super) fn is_tail(&self) -> bool {
        if self.controls.iter().any(|control| control.handler) {
            return false;
        }
        self.frames.iter().all(|frame| {
            let of: &Unit = if frame.code < self.root.codes() { &self.root.unit } else { &self.program.unit };
            let ops = &of.codes[(frame.code - of.start) as usize].ops;
            let mut pc = frame.pc as usize;
            for _ in 0..64 {
                match ops.get(pc) {
                    Some(Op::Return) => return true,
                    Some(Op::Nop | Op::BlockExit | Op::Unbind(_) | Op::Primary) => pc += 1,
                    Some(Op::Jump(to)) => pc = *to as usize,
                    _ => return false,
                }
            }
            false
        })
    }
}

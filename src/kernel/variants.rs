//! Answering a message again: a further turn for it, whose answer counts in the place of the one before, and going from one
//! answer to another. Nothing of them is taken out of the log, and no command runs by choosing.

use serde_json::{Value, json};

use super::Kernel;
use crate::error::{Code, Error, Result};
use crate::event::Reply;
use crate::ids::{SessionId, TurnId};
use crate::record::{AttachmentKind, Record};
use crate::turn::Subject;

/// The most answers that a message has.
const MOST: usize = 100;

impl Kernel {
    /// Answers the last message of `session` again, which `message` is if it is given. The answer precedes what comes of
    /// the turn.
    pub(super) fn regenerate(&mut self, session: &SessionId, message: Option<&str>, reply: Reply<Value>) {
        match self.regenerated(session, message) {
            Ok((answer, subject)) => {
                self.answer(reply, Ok(answer));
                self.queue(subject, false);
                // It begins once what counts now was read anew.
                self.start_next(session);
            }
            Err(error) => self.answer(reply, Err(error)),
        }
    }

    fn regenerated(&mut self, session: &SessionId, message: Option<&str>) -> Result<(Value, Subject)> {
        self.hold(session)?;
        self.resting(session)?;
        let answers = self.store.answers(session, message)?;
        answers.is_last()?;
        if answers.items.len() >= MOST {
            return Err(Error::new(Code::Conflict, format!("this message has {MOST} answers already"))
                .hint("send it again as another message"));
        }
        self.models_for(Some(session))?;
        let chosen = answers.items.iter().find(|(_, chosen)| *chosen).or(answers.items.last());
        let from = chosen.and_then(|(turns, _)| turns.last()).cloned();
        let found = from.map(|from| self.store.answering(&from)).transpose()?.flatten();
        let found = found.ok_or_else(|| Error::internal("the message was never answered"))?;
        if found.context.iter().any(|item| item.kind == AttachmentKind::Rewrite) {
            return Err(Error::bad_request("new text for a region is not answered again")
                .hint("send another orgAgent/event with the sensor rewrite"));
        }
        let turn = TurnId::random()?;
        let record = Record::TurnRegenerated {
            turn: turn.clone(),
            from: found.turn.clone(),
            message: found.message.clone(),
        };
        self.append(session, &record)?;
        self.counts_anew(session);
        let answer = json!({
            "sessionId": session, "messageId": answers.message, "mark": answers.mark, "turnId": turn,
            "variants": answers.items.len() + 1,
        });
        Ok((answer, self.subject(&found, turn, true)))
    }

    /// What counts in a session is to be read again once it is on disk; until then no turn begins.
    pub(super) fn counts_anew(&mut self, id: &SessionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.stale = true;
            self.stale.push((self.ticket, id.clone()));
            self.mirror(id);
        }
    }
}

//! The requests to the client that it has not answered yet. Nobody waits for them: an answer that matters
//! becomes an event, and what is not answered in time is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::ids::ActuationId;

/// How long an answer may take. Clients answer at once, before anything is carried out.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The most open questions; a further one makes the oldest forgotten.
const MOST: usize = 1024;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// To carry out an action.
    Actuate(ActuationId),
    /// To stop a command.
    Abort(ActuationId),
}

/// The open questions. All have the same time-out, so the first is always the next to expire.
#[derive(Debug, Default)]
pub struct Questions {
    asked: u64,
    open: BTreeMap<u64, (Instant, Question)>,
}

impl Questions {
    /// Remembers a question; its identifier on the wire.
    pub fn ask(&mut self, question: Question, now: Instant) -> String {
        if self.open.len() >= MOST
            && let Some((number, (_, oldest))) = self.open.pop_first()
        {
            tracing::warn!(number, ?oldest, "forgotten: the client answers nothing");
        }
        self.asked += 1;
        self.open.insert(self.asked, (now + TIMEOUT, question));
        format!("oa-{}", self.asked)
    }

    /// The question that an answer with this identifier belongs to.
    pub fn answered(&mut self, id: &str) -> Option<Question> {
        let number = id.strip_prefix("oa-")?.parse().ok()?;
        self.open.remove(&number).map(|(_, question)| question)
    }

    /// When the next one expires.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.open.first_key_value().map(|(_, (deadline, _))| *deadline)
    }

    /// Forgets those that expired. An insert is delivered again when the client resumes its session.
    pub fn expire(&mut self, now: Instant) {
        while let Some(entry) = self.open.first_entry().filter(|entry| entry.get().0 <= now) {
            let (number, (_, question)) = entry.remove_entry();
            tracing::warn!(number, ?question, "the client did not answer in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_once_or_forgotten() {
        let start = Instant::now();
        let mut questions = Questions::default();
        assert_eq!(questions.deadline(), None);
        let first = questions.ask(Question::Actuate("a".into()), start);
        let second = questions.ask(Question::Abort("b".into()), start + TIMEOUT / 2);
        assert_ne!(first, second);
        for id in ["", "oa-", "oa-0", "oa-99", "oa-x", "1"] {
            assert_eq!(questions.answered(id), None, "{id}");
        }
        assert_eq!(questions.deadline(), Some(start + TIMEOUT));
        questions.expire(start + TIMEOUT);
        assert_eq!(questions.answered(&first), None);
        assert_eq!(questions.answered(&second), Some(Question::Abort("b".into())));
        assert_eq!(questions.answered(&second), None);
        assert_eq!(questions.deadline(), None);
    }

    #[test]
    fn open_questions_are_bounded() {
        let mut questions = Questions::default();
        let first = questions.ask(Question::Abort("first".into()), Instant::now());
        for _ in 0..MOST {
            questions.ask(Question::Abort("more".into()), Instant::now());
        }
        assert_eq!(questions.open.len(), MOST);
        assert_eq!(questions.answered(&first), None);
    }
}

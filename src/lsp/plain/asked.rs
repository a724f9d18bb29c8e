//! What a plain editor was asked and has not answered yet. Each question has its own time; what it means that none
//! came, knows who asked.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::ids::ActuationId;

/// The most open questions; a further one makes the oldest expire.
const MOST: usize = 512;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// To apply an edit that belongs to a turn.
    Edit(u64),
    /// Whether a command may run.
    Approval(ActuationId),
    /// To show the progress of a turn.
    Progress(u64),
    /// To open a link.
    Link(String),
    /// Something whose answer does not matter.
    Nothing,
}

/// The open questions.
#[derive(Debug, Default)]
pub(super) struct Questions {
    asked: u64,
    open: BTreeMap<u64, (Instant, Asked)>,
}

impl Questions {
    /// Remembers a question; its identifier on the wire, and what has to make way for it.
    pub(super) fn ask(&mut self, asked: Asked, until: Instant) -> (String, Option<Asked>) {
        let oldest = (self.open.len() >= MOST).then(|| self.open.pop_first()).flatten();
        self.asked += 1;
        self.open.insert(self.asked, (until, asked));
        (format!("{PREFIX}{}", self.asked), oldest.map(|(_, (_, asked))| asked))
    }

    /// The question that an answer with this identifier belongs to.
    pub(super) fn answered(&mut self, id: &str) -> Option<Asked> {
        let number = id.strip_prefix(PREFIX)?.parse().ok()?;
        self.open.remove(&number).map(|(_, asked)| asked)
    }

    /// Takes an open question back; its identifier.
    pub(super) fn withdraw(&mut self, asked: &Asked) -> Option<String> {
        let number = *self.open.iter().find(|(_, (_, open))| open == asked)?.0;
        self.open.remove(&number);
        Some(format!("{PREFIX}{number}"))
    }

    /// Whether this is asked.
    pub(super) fn is_open(&self, asked: &Asked) -> bool {
        self.open.values().any(|(_, open)| open == asked)
    }

    /// When the next one expires.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.values().map(|(until, _)| *until).min()
    }

    /// Those that were not answered in time.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Asked> {
        self.open.extract_if(.., |_, (until, _)| *until <= now).map(|(_, (_, asked))| asked).collect()
    }
}

/// What our identifiers begin with.
const PREFIX: &str = "oa-plain-";

/// Whether an identifier is of one of these questions.
pub(super) fn is_ours(id: &str) -> bool {
    id.starts_with(PREFIX)
}

/// How long an answer may take that an editor gives by itself.
pub(super) const TIME: Duration = Duration::from_secs(30);

/// How long a user may think.
pub(super) const PATIENCE: Duration = Duration::from_secs(60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_once_or_expire() {
        let start = Instant::now();
        let mut questions = Questions::default();
        let (first, _) = questions.ask(Asked::Link("a".into()), start + TIME);
        let (second, _) = questions.ask(Asked::Edit(7), start + TIME / 2);
        for id in ["", "oa-1", "oa-plain-", "oa-plain-9", "oa-plain-x"] {
            assert_eq!(questions.answered(id), None, "{id}");
        }
        assert_eq!(questions.deadline(), Some(start + TIME / 2));
        assert_eq!(questions.expire(start + TIME / 2), [Asked::Edit(7)]);
        assert_eq!(questions.answered(&second), None);
        assert_eq!(questions.answered(&first), Some(Asked::Link("a".into())));
        assert_eq!(questions.answered(&first), None);
        assert_eq!(questions.deadline(), None);
        let (third, _) = questions.ask(Asked::Nothing, start);
        assert_eq!(questions.withdraw(&Asked::Nothing), Some(third));
        assert_eq!(questions.withdraw(&Asked::Nothing), None);
    }

    #[test]
    fn open_questions_are_bounded() {
        let mut questions = Questions::default();
        let now = Instant::now();
        questions.ask(Asked::Link("first".into()), now);
        for _ in 1..MOST {
            assert_eq!(questions.ask(Asked::Nothing, now).1, None);
        }
        assert_eq!(questions.ask(Asked::Nothing, now).1, Some(Asked::Link("first".into())));
        assert_eq!(questions.open.len(), MOST);
    }
}

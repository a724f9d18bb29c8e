//! The requests to the client that it has not answered yet. Nobody waits for them: an answer is handled when it comes,
//! and what is not answered in time counts as refused. A question to the user has no time: it ends with its turn.

use std::collections::BTreeMap;
use std::time::Duration;

use agent_client_protocol_schema::v1;
use tokio::time::Instant;

use crate::ids::ActuationId;

/// How long an answer may take that needs no user.
pub(super) const TIME: Duration = Duration::from_secs(30);

/// The most open questions; a further one makes the oldest count as refused.
const MOST: usize = 1024;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Whether a command may run.
    Permission(ActuationId),
    /// A terminal for a command.
    Terminal(ActuationId),
    /// The same for one that is over by now, in this session: it has to be given back.
    Late(v1::SessionId),
    /// When the command in it ended.
    Exit(ActuationId),
    /// What it wrote.
    Output(ActuationId),
    /// The text of a file, which a message names: of which message, and the how manyth.
    File(u64, usize),
    /// Something whose answer says nothing.
    Nothing,
}

/// The open questions.
#[derive(Debug, Default)]
pub(super) struct Questions {
    asked: u64,
    open: BTreeMap<u64, (Option<Instant>, Asked)>,
}

impl Questions {
    /// Remembers a question; its identifier on the wire, and what had to make room for it.
    pub(super) fn ask(&mut self, asked: Asked, until: Option<Instant>) -> (String, Option<Asked>) {
        let oldest = (self.open.len() >= MOST).then(|| self.open.pop_first()).flatten();
        self.asked += 1;
        self.open.insert(self.asked, (until, asked));
        (format!("oa-{}", self.asked), oldest.map(|(_, (_, asked))| asked))
    }

    /// The question that an answer with this identifier belongs to.
    pub(super) fn answered(&mut self, id: &str) -> Option<Asked> {
        let number = id.strip_prefix("oa-")?.parse().ok()?;
        self.open.remove(&number).map(|(_, asked)| asked)
    }

    /// Forgets questions about an action. A terminal for it may come all the same.
    pub(super) fn withdraw(&mut self, actuation: &ActuationId, session: &v1::SessionId) {
        for (_, asked) in self.open.values_mut() {
            if matches!(asked, Asked::Terminal(id) if id == actuation) {
                *asked = Asked::Late(session.clone());
            }
        }
        let about = |asked: &Asked| match asked {
            Asked::Permission(id) | Asked::Exit(id) | Asked::Output(id) => id == actuation,
            Asked::Terminal(_) | Asked::Late(_) | Asked::File(..) | Asked::Nothing => false,
        };
        self.open.retain(|_, (_, asked)| !about(asked));
    }

    /// When the next one expires.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.values().filter_map(|(until, _)| *until).min()
    }

    /// Takes those out that expired.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Asked> {
        let is_over = |until: &Option<Instant>| until.is_some_and(|until| until <= now);
        self.open.extract_if(.., |_, (until, _)| is_over(until)).map(|(_, (_, asked))| asked).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_once_expire_or_are_withdrawn() {
        let start = Instant::now();
        let mut questions = Questions::default();
        let (user, _) = questions.ask(Asked::Permission("a".into()), None);
        assert_eq!(questions.deadline(), None);
        let (file, _) = questions.ask(Asked::File(1, 0), Some(start + TIME));
        let (terminal, _) = questions.ask(Asked::Terminal("b".into()), Some(start + TIME * 2));
        for id in ["", "oa-", "oa-0", "oa-99", "oa-x", "1"] {
            assert_eq!(questions.answered(id), None, "{id}");
        }
        assert_eq!(questions.deadline(), Some(start + TIME));
        assert_eq!(questions.expire(start + TIME), [Asked::File(1, 0)]);
        assert_eq!(questions.answered(&file), None);
        let (exit, _) = questions.ask(Asked::Exit("b".into()), None);
        let session = v1::SessionId::new("s");
        questions.withdraw(&"b".into(), &session);
        assert_eq!(questions.answered(&exit), None);
        assert_eq!(questions.answered(&terminal), Some(Asked::Late(session)));
        assert_eq!(questions.answered(&user), Some(Asked::Permission("a".into())));
        assert_eq!(questions.answered(&user), None);
    }

    #[test]
    fn open_questions_are_bounded() {
        let mut questions = Questions::default();
        questions.ask(Asked::File(0, 0), None);
        for _ in 1..MOST {
            assert_eq!(questions.ask(Asked::Nothing, None).1, None);
        }
        assert_eq!(questions.ask(Asked::Nothing, None).1, Some(Asked::File(0, 0)));
        assert_eq!(questions.open.len(), MOST);
    }
}

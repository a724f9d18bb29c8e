//! A file with a session is opened: what the kernel has for it and the file has not is put in, and what an earlier
//! server did not finish is shown.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::time::Instant;

use super::edits::Edit;
use super::layout::Layout;
use super::turns::{Origin, Turn};
use super::{Done, Plain};
use crate::error::Result;
use crate::event::{Event, Query, Resumed};
use crate::ids::{ActuationId, SessionId};
use crate::request::{Page, Resume};

/// How many of a session's last messages are looked at.
const LOOK: u32 = 200;

impl Plain {
    /// Takes up the session that a document names, and what waits for it.
    pub(super) fn take_up(&mut self, uri: &str, now: Instant) {
        let Some(open) = self.documents.get_mut(uri) else { return };
        let Some((text, language)) = open.text() else { return };
        let layout = Layout::new(&text, language);
        let named = layout.session(text.len()).or_else(|| layout.session(0));
        let acts: Vec<ActuationId> =
            layout.prompts().iter().flat_map(|prompt| prompt.acts.iter().map(|act| (*act).into())).collect();
        if let Some(session) = named.map(SessionId::from) {
            open.session = Some(session.clone());
            open.resuming = true;
            // The file may have another name by now.
            let others: Vec<u64> = self
                .turns
                .iter()
                .filter(|(_, turn)| turn.session.as_ref() == Some(&session))
                .filter(|(_, turn)| !self.documents.contains_key(&turn.uri))
                .map(|(key, _)| *key)
                .collect();
            for key in others {
                if let Some(turn) = self.turns.get_mut(&key) {
                    turn.uri = uri.to_owned();
                }
            }
            let resume =
                Resume { session: session.clone(), applied: acts, turns: Vec::new(), drop: Vec::new() };
            self.tell(|reply| Event::Resume(resume, reply), move |result| Done::Resumed(session, result));
        }
        self.work(uri, now);
    }

    /// The kernel says what a document lacks.
    pub(super) fn resumed(&mut self, session: &SessionId, result: Result<Resumed>, now: Instant) {
        let resumed = match result {
            Ok(resumed) => resumed,
            Err(error) => {
                // It may be open in another server, or come from another machine.
                tracing::warn!(%error, %session, "a file's session was not taken up");
                return self.taken_up(session, now);
            }
        };
        let mut look = false;
        for actuation in resumed.actuations {
            let (turn, text) = (&actuation.address().turn, actuation.action().text("text"));
            if self.adopt(turn, session)
                && let (Some(key), Some(text)) = (self.key(turn), text)
            {
                look = true;
                self.reply(key, actuation.address().actuation.clone(), text.to_owned(), now);
            }
        }
        for turn in &resumed.live {
            look |= self.adopt(turn, session);
        }
        for (turn, event) in resumed.interrupted {
            self.fail(event.as_str(), &turn, session, "interrupted", Vec::new());
            look = true;
        }
        if !look {
            return self.taken_up(session, now);
        }
        self.look_at_messages(session);
    }

    /// Asks which turn of a session answers which message.
    pub(super) fn look_at_messages(&mut self, session: &SessionId) {
        let page = Page { limit: Some(LOOK), cursor: None };
        let (query, asked) = (Query::LastMessages(session.clone(), page), session.clone());
        self.tell(|reply| Event::Read(query, reply), move |result| Done::Messages(asked, result));
    }

    /// The last messages of a session: which turn answers which.
    pub(super) fn listed(&mut self, session: &SessionId, result: Result<Value>, now: Instant) {
        let list = result.unwrap_or_default();
        let mut said = BTreeMap::new();
        for item in list["items"].as_array().into_iter().flatten().filter(|item| item["role"] == "user") {
            let metadata = &item["metadata"];
            let event = metadata["mark"].as_str().or_else(|| item["id"].as_str());
            if let (Some(turn), Some(event), Some(text)) =
                (metadata["turn"].as_str(), event, item["content"].as_str())
            {
                said.insert(turn.to_owned(), (event.to_owned(), text.to_owned()));
            }
        }
        for turn in self.turns.values_mut().filter(|turn| turn.session.as_ref() == Some(session)) {
            let found = turn.id.as_ref().and_then(|id| said.get(id.as_str()));
            if let (None, Some((event, text))) = (&turn.event, found) {
                turn.event = Some(event.clone());
                turn.text.clone_from(text);
                turn.edits.push_front(Edit::Mark);
            }
        }
        // What failed may stand in a file as it was typed: the server went away before it was marked.
        let failed = self.failed.iter().filter(|(_, failed)| failed.session == *session);
        let failed: Vec<_> = failed
            .filter_map(|(event, failed)| Some((event.clone(), said.get(failed.turn.as_str())?.1.clone())))
            .collect();
        for (event, text) in failed {
            let typed = self.documents.iter().find(|(_, open)| {
                let is_typed = |layout: &Layout<'_>| {
                    layout.prompt_of(&event).is_none()
                        && layout.open().any(|prompt| layout.message(prompt) == text)
                };
                let here = open.session.as_ref() == Some(session);
                here && open.text().is_some_and(|(all, language)| is_typed(&Layout::new(&all, language)))
            });
            if let Some((uri, _)) = typed {
                let mut turn = Turn::new(uri, text, Origin::Nowhere);
                (turn.event, turn.session, turn.over) = (Some(event), Some(session.clone()), true);
                turn.edits.push_front(Edit::Mark);
                self.add(turn);
            }
        }
        self.taken_up(session, now);
    }

    /// From now on edits go into the documents of this session.
    fn taken_up(&mut self, session: &SessionId, now: Instant) {
        let mut uris = Vec::new();
        for (uri, open) in &mut self.documents {
            if open.session.as_ref() == Some(session) {
                open.resuming = false;
                uris.push(uri.clone());
            }
        }
        for uri in uris {
            self.diagnose(&uri);
            self.work(&uri, now);
        }
        self.refresh(now);
    }
}

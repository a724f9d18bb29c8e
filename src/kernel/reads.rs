//! Questions about what is recorded, as the store answers them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Kernel;
use super::sessions::TRANSCRIPT;
use crate::error::{Error, Result};
use crate::event::{Page, Query, Reply};
use crate::ids::SessionId;
use crate::redact::Keys;
use crate::sessions;
use crate::skill::Shelf;
use crate::store::Store;
use crate::transcript;
use crate::why;

/// How many skills a list has if nobody says, and at most.
const LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

impl Kernel {
    /// Answers a question once what was appended before it is durable.
    pub(super) fn read(&mut self, query: Query, reply: Reply<Value>) {
        if let Query::Untrusted(_, directory)
        | Query::Capabilities(_, Some(directory))
        | Query::Skills(_, Some(directory))
        | Query::Skill(_, Some(directory)) = &query
        {
            return self.read_of_project(directory.clone(), query, reply);
        }
        if let Query::Models { session, page, look } = query {
            if look {
                return self.offered_here(session, page, reply);
            }
            let models = self.offered(session.as_ref(), &page, false);
            return self.answer(reply, models);
        }
        let (shelf, keys) = (Arc::clone(&self.shelf), self.keys());
        self.outbox.answer(self.ticket, move |store| {
            reply.send(store.and_then(|store| read(store, &shelf, &keys, &query)));
        });
    }
}

/// The answer to `query`, from what is durable.
fn read(store: &Store, shelf: &Shelf, keys: &Keys, query: &Query) -> Result<Value> {
    match query {
        Query::Sessions { which, page } => store.sessions(which, page.limit, page.cursor.as_deref()),
        Query::Session(id) => store.session(id),
        Query::Messages(id, page) => store.messages(id, page.limit, page.cursor.as_deref()),
        Query::LastMessages(id, page) => store.last_messages(id, page.limit, page.cursor.as_deref()),
        Query::Checkpoints(id, page) => store.checkpoints(id, page.limit, page.cursor.as_deref()),
        Query::Variants(id, message) => store.answers_told(id, message.as_deref()),
        Query::Actions(id, page) => store.actions(id, page.limit, page.cursor.as_deref()),
        Query::Search(search, cursor) => store.search(search, cursor.as_deref()),
        Query::Export(id) => export(store, id),
        Query::WhyTurn(id, org) => store.why_turn(id).map(|why| shown(why, *org, keys)),
        Query::WhyActuation(id, org) => store.why_actuation(id).map(|why| shown(why, *org, keys)),
        Query::Skills(..) | Query::Skill(..) | Query::Capabilities(..) | Query::Untrusted(..) => {
            skills(shelf, query)
        }
        Query::Models { .. } => Err(Error::internal("models are not in the store")),
    }
}

/// A session's transcript: `{sessionId, org}`.
fn export(store: &Store, id: &SessionId) -> Result<Value> {
    let org = transcript::write(&sessions::export(store, id)?);
    if org.len() > TRANSCRIPT {
        return Err(Error::bad_request("the session is too long for one answer")
            .hint(format!("write it to a file: org-agent session export {id}")));
    }
    Ok(json!({"sessionId": id, "org": org}))
}

/// What is behind something, without secrets; as Org as well, if it is wanted.
fn shown(found: Value, org: bool, keys: &Keys) -> Value {
    let text = org.then(|| why::org(&found, keys));
    let mut shown = why::masked(found, keys);
    if let Some(text) = text {
        shown["org"] = text.into();
    }
    shown
}

/// The answer to a question about skills.
pub(super) fn skills(shelf: &Shelf, query: &Query) -> Result<Value> {
    match query {
        Query::Skills(page, _) => {
            let (from, limit) = part(page)?;
            Ok(shelf.to_json(from, limit))
        }
        Query::Capabilities(page, _) => {
            let (from, limit) = part(page)?;
            crate::capabilities::describe(shelf, from, limit)
        }
        Query::Skill(name, _) => {
            let skill = shelf.get(name).ok_or_else(|| {
                Error::not_found(format!("there is no skill named {name:?}"))
                    .hint("list them: orgAgent/skills/list")
            })?;
            Ok(crate::skills::describe(skill, shelf))
        }
        _ => Err(Error::internal("this is no question about skills")),
    }
}

/// From where on, and how many at most.
pub(super) fn part(page: &Page) -> Result<(usize, usize)> {
    let from = page.cursor.as_deref().map_or(Ok(0), str::parse).map_err(|_| {
        Error::bad_request("cursor: not one of this list").hint("give nextCursor of the part before")
    })?;
    Ok((from, page.limit.map_or(LIMIT, |limit| (limit as usize).min(MAX_LIMIT))))
}

//! Sessions: made, listed, copied, let go and deleted. What they are is the kernel's; a session of this edge is told by
//! its buffer, which has the directory.

use std::path::Path;

use agent_client_protocol_schema::v1::{
    self, AvailableCommand, AvailableCommandInput, AvailableCommandsUpdate, CloseSessionRequest,
    CloseSessionResponse, ContentChunk, DeleteSessionRequest, DeleteSessionResponse, ForkSessionRequest,
    ForkSessionResponse, ListSessionsRequest, ListSessionsResponse, McpServer, NewSessionRequest,
    NewSessionResponse, Notice, NoticeSeverity, SessionConfigOption, SessionInfo, SessionInfoUpdate,
    SessionModeState, SessionUpdate, UnstructuredCommandInput,
};
use futures::FutureExt;
use serde::Deserialize;
use serde_json::Value;
use tower_lsp_server::jsonrpc::Id;

use super::options::{Found, Models, Open, modes, options, personas};
use super::server::{Done, Server, Told, tell};
use crate::error::{Code, Error, Result};
use crate::event::{Event, Page, Query, SessionTask};
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::kernel::Handle;
use crate::outgoing;
use crate::record::DELETED;
use crate::request::{NewSession, Sessions};

/// What the buffers of this edge's sessions begin with.
const BUFFER: &str = "acp:";

/// How long a directory may be, in bytes, so that its buffer is none too long.
const DIRECTORY: usize = 1_000;

/// How many sessions a part of the list has, and how many of the kernel's parts are looked through for it.
const LISTED: usize = 50;
const LOOKED: usize = 20;

/// How many skills are looked at, and how many commands a client is told of.
const SKILLS: u32 = 500;
const COMMANDS: usize = 200;

/// How many sessions may be open at once.
const OPEN: usize = 1024;

/// A session that is to be let go or deleted, and the request that asked for it.
#[derive(Debug)]
pub(super) struct Leaving {
    id: Id,
    session: SessionId,
    deletes: bool,
}

/// `_orgAgent/why`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Why {
    turn_id: Option<String>,
    /// A tool call is named like its action.
    tool_call_id: Option<String>,
    format: Option<String>,
}

/// `_orgAgent/fork`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Fork {
    session_id: String,
    /// The last message of the copy.
    message_id: Option<String>,
    title: Option<String>,
}

/// A directory as the kernel takes it.
fn directory(path: &Path) -> Result<String> {
    let refuse = |why: &str| Err(Error::bad_request("cwd: not usable").because(why));
    match path.to_str() {
        None => refuse("it is not UTF-8"),
        Some(_) if !path.is_absolute() => refuse("it is not absolute"),
        Some(text) if text.len() > DIRECTORY => refuse("it is too long"),
        Some(text) if text.contains(char::is_control) => refuse("it has control characters"),
        Some(_) if !path.is_dir() => refuse("there is no such directory"),
        Some(text) => Ok(text.to_owned()),
    }
}

impl Server {
    /// A directory for one more session.
    pub(super) fn room_in(&self, path: &Path) -> Result<String> {
        if self.sessions.len() >= OPEN {
            return Err(Error::new(Code::Overloaded, "too many sessions are open").hint("close some of them"));
        }
        directory(path)
    }

    pub(super) fn new_session(&mut self, id: &Id, params: NewSessionRequest) -> Result<()> {
        let directory = self.room_in(&params.cwd)?;
        let new = NewSession { buffer: Some(format!("{BUFFER}{directory}")), ..NewSession::default() };
        let made = self.tell(|reply| Event::Session(SessionTask::Create(new), reply));
        self.open_made(id, made, directory, params.mcp_servers, |id, modes, options| {
            NewSessionResponse::new(id).modes(modes).config_options(options)
        });
        Ok(())
    }

    /// Opens a session that is being made, and answers with it.
    fn open_made<A: serde::Serialize>(
        &mut self,
        id: &Id,
        made: Told<Value>,
        directory: String,
        servers: Vec<McpServer>,
        answer: impl FnOnce(v1::SessionId, SessionModeState, Vec<SessionConfigOption>) -> A + 'static,
    ) {
        let (kernel, answered) = (self.kernel.clone(), id.clone());
        self.later(Some(id), async move {
            let made = with_all(&kernel, made.await, &directory).await;
            Box::new(move |server: &mut Self| match made {
                Ok((session, found)) => {
                    let open = Open::new(&session, directory, &found);
                    let options = options(&open, server.has_terminal());
                    server.answer(&answered, &answer(open.id.clone(), modes(&open), options));
                    server.sessions.insert(session.clone(), open);
                    server.ignored(&session, &servers);
                    server.commands_are(&session, commands(&found.skills));
                }
                Err(error) => server.refuse(&answered, &error),
            }) as Done
        });
    }

    pub(super) fn has_terminal(&self) -> bool {
        self.features.is_some_and(|features| features.terminal)
    }

    /// Says that servers of tools are not used, if there are any.
    pub(super) fn ignored(&mut self, session: &SessionId, servers: &[McpServer]) {
        let Some(open) = self.sessions.get(session).filter(|_| !servers.is_empty()) else { return };
        let id = open.id.clone();
        let text = format!("org-agent uses no MCP servers: {} ignored.", servers.len());
        let update = if self.features.is_some_and(|features| features.notices) {
            SessionUpdate::Notice(Notice::new(NoticeSeverity::Warning, text))
        } else {
            SessionUpdate::AgentMessageChunk(ContentChunk::new(text.into()))
        };
        self.update(&id, update);
    }

    /// Shows what the server has to say about itself in every open session, to a client that has a place for it beside
    /// the text.
    pub(super) fn noticed(&mut self, notice: &outgoing::Notice) {
        if !self.features.is_some_and(|features| features.notices) {
            return;
        }
        let severity = if notice.warns { NoticeSeverity::Warning } else { NoticeSeverity::Info };
        let open: Vec<_> = self.sessions.values().map(|open| open.id.clone()).collect();
        for id in open {
            let text = notice.text.clone();
            self.update(&id, SessionUpdate::Notice(Notice::new(severity.clone(), text)));
        }
    }

    /// Asks which skills there are, and tells the client if it knows others.
    pub(super) fn tell_commands(&mut self, session: &SessionId) {
        let Some(open) = self.sessions.get(session) else { return };
        let listed = self.tell(|reply| Event::Read(skills(&open.directory), reply));
        let session = session.clone();
        self.later(None, async move {
            let list = listed.await;
            Box::new(move |server: &mut Self| match list {
                Ok(list) => {
                    server.commands_are(&session, commands(&list));
                    server.personas_are(&session, personas(&list));
                }
                Err(error) => tracing::warn!(%error, "the skills could not be listed"),
            }) as Done
        });
    }

    fn personas_are(&mut self, session: &SessionId, personas: Vec<(String, String)>) {
        let Some(open) = self.sessions.get_mut(session) else { return };
        if open.personas != personas {
            open.personas = personas;
            self.tell_options(session);
        }
    }

    pub(super) fn commands_are(&mut self, session: &SessionId, commands: Vec<AvailableCommand>) {
        let Some(open) = self.sessions.get_mut(session) else { return };
        if open.commands.as_ref() == Some(&commands) {
            return;
        }
        open.commands = Some(commands.clone());
        let id = open.id.clone();
        let update = AvailableCommandsUpdate::new(commands);
        self.update(&id, SessionUpdate::AvailableCommandsUpdate(update));
    }

    /// Skills changed, which may be those of any session.
    pub(super) fn skills_changed(&mut self) {
        let sessions: Vec<SessionId> = self.sessions.keys().cloned().collect();
        for session in sessions {
            self.tell_commands(&session);
        }
    }

    pub(super) fn session_changed(&mut self, session: &SessionId, changes: &[&str]) {
        if changes.contains(&DELETED) {
            self.sessions.remove(session);
        }
        if changes.contains(&"chat.session.model") || changes.contains(&"chat.session.renamed") {
            self.look_at(session);
        }
    }

    /// Asks what a session is called now, and which model answers in it.
    fn look_at(&mut self, session: &SessionId) {
        if !self.sessions.contains_key(session) {
            return;
        }
        let found = self.tell(|reply| Event::Read(Query::Session(session.clone()), reply));
        let models = self.tell(|reply| Event::Read(Models::question(session), reply));
        let session = session.clone();
        self.later(None, async move {
            let (found, models) = (found.await, models.await);
            Box::new(move |server: &mut Self| {
                if let Ok(found) = found {
                    server.titled(&session, &found);
                }
                if let (Ok(models), Some(open)) = (models, server.sessions.get_mut(&session)) {
                    open.models = Models::read(&models);
                    server.tell_options(&session);
                }
            }) as Done
        });
    }

    /// Tells the client what a session is called, if that is new.
    pub(super) fn titled(&mut self, session: &SessionId, found: &Value) {
        let Some(open) = self.sessions.get_mut(session) else { return };
        let title = found["title"].as_str().filter(|_| found["messages"] != 0).map(str::to_owned);
        if title.is_none() || open.title == title {
            return;
        }
        open.title.clone_from(&title);
        let id = open.id.clone();
        let update = SessionInfoUpdate::new().title(title).updated_at(time(found));
        self.update(&id, SessionUpdate::SessionInfoUpdate(update));
    }

    pub(super) fn list(&mut self, id: &Id, params: ListSessionsRequest) -> Result<()> {
        // A directory that is gone has sessions all the same.
        let buffer = match &params.cwd {
            Some(path) => match path.to_str() {
                Some(path) => Some(format!("{BUFFER}{path}")),
                None => return Err(Error::bad_request("cwd: not UTF-8")),
            },
            None => None,
        };
        let (kernel, answered) = (self.kernel.clone(), id.clone());
        let first = self.tell(|reply| Event::Read(part(buffer.clone(), params.cursor), reply));
        self.later(Some(id), async move {
            let found = listed(&kernel, buffer, first.await).await;
            Box::new(move |server: &mut Self| match found {
                Ok(answer) => server.answer(&answered, &answer),
                Err(error) => server.refuse(&answered, &error),
            }) as Done
        });
        Ok(())
    }

    pub(super) fn close(&mut self, id: &Id, params: &CloseSessionRequest) -> Result<()> {
        let (session, open) = self.opened(&params.session_id)?;
        open.leaves = true;
        self.leaving.push(Leaving { id: id.clone(), session: session.clone(), deletes: false });
        self.stop_all(&session);
        self.leave(&session);
        Ok(())
    }

    pub(super) fn delete(&mut self, id: &Id, params: &DeleteSessionRequest) -> Result<()> {
        let session = SessionId::from(&*params.session_id.0);
        if let Some(open) = self.sessions.get_mut(&session)
            && std::mem::replace(&mut open.leaves, true)
        {
            return Err(closing(&session));
        }
        self.leaving.push(Leaving { id: id.clone(), session: session.clone(), deletes: true });
        self.stop_all(&session);
        self.leave(&session);
        Ok(())
    }

    /// Lets a session go, or deletes it, if that is wanted and nothing goes on in it any more: until then the kernel would
    /// keep it.
    pub(super) fn leave(&mut self, session: &SessionId) {
        if self.leaving.is_empty()
            || self.pending.values().any(|pending| pending.session == *session)
            || self.turns.values().any(|turn| turn.session == *session)
        {
            return;
        }
        let ready: Vec<Leaving> = self.leaving.extract_if(.., |one| one.session == *session).collect();
        for Leaving { id, session, deletes } in ready {
            if deletes {
                let deleted = self
                    .tell(|reply| Event::Session(SessionTask::Delete(session.clone()), reply))
                    .map(|deleted| deleted.map(drop));
                self.left(&id, session, deleted, DeleteSessionResponse::default());
            } else {
                let released = self.tell(|reply| Event::Release(session.clone(), reply));
                self.left(&id, session, released, CloseSessionResponse::default());
            }
        }
    }

    /// Answers that a session is gone from here, once it is.
    fn left(
        &mut self,
        id: &Id,
        session: SessionId,
        told: impl Future<Output = Result<()>> + 'static,
        answer: impl serde::Serialize + 'static,
    ) {
        let answered = id.clone();
        self.later(Some(id), async move {
            let result = told.await;
            Box::new(move |server: &mut Self| match result {
                Ok(()) => {
                    server.answer(&answered, &answer);
                    server.sessions.remove(&session);
                }
                Err(error) => {
                    if let Some(open) = server.sessions.get_mut(&session) {
                        open.leaves = false;
                    }
                    server.refuse(&answered, &error);
                }
            }) as Done
        });
    }

    pub(super) fn fork(&mut self, id: &Id, params: ForkSessionRequest) -> Result<()> {
        let directory = self.room_in(&params.cwd)?;
        let new = NewSession { buffer: Some(format!("{BUFFER}{directory}")), ..NewSession::default() };
        let session = SessionId::from(&*params.session_id.0);
        let task = SessionTask::Fork { session, at: None, edits: Default::default(), new };
        let forked = self.tell(|reply| Event::Session(task, reply));
        self.open_made(id, forked, directory, params.mcp_servers, |id, modes, options| {
            ForkSessionResponse::new(id).modes(modes).config_options(options)
        });
        Ok(())
    }

    /// Copies a session up to a message. The copy is opened by `session/load`.
    pub(super) fn fork_at(&mut self, id: &Id, params: Fork) -> Result<()> {
        let new = NewSession { title: params.title, ..NewSession::default() };
        let session = SessionId::from(params.session_id.as_str());
        let task = SessionTask::Fork { session, at: params.message_id, edits: Default::default(), new };
        let forked = self.tell(|reply| Event::Session(task, reply));
        self.answer_later(id, forked, |mut copy| {
            copy["sessionId"] = copy["id"].take();
            copy
        });
        Ok(())
    }

    pub(super) fn why(&mut self, id: &Id, params: Why) -> Result<()> {
        let org = match params.format.as_deref() {
            None | Some("json") => false,
            Some("org") => true,
            Some(_) => return Err(Error::bad_request("format: there are json and org")),
        };
        let query = match (params.turn_id, params.tool_call_id) {
            (Some(turn), None) => Query::WhyTurn(TurnId(turn), org),
            (None, Some(call)) => Query::WhyActuation(ActuationId(call), org),
            _ => return Err(Error::bad_request("one of turnId and toolCallId is needed")),
        };
        let found = self.tell(|reply| Event::Read(query, reply));
        self.answer_later(id, found, |found| found);
        Ok(())
    }

    /// Answers a request by what the kernel says.
    fn answer_later<T: 'static, A: serde::Serialize>(
        &mut self,
        id: &Id,
        told: Told<T>,
        shape: impl FnOnce(T) -> A + 'static,
    ) {
        let answered = id.clone();
        self.later(Some(id), async move {
            let result = told.await;
            Box::new(move |server: &mut Self| match result {
                Ok(found) => server.answer(&answered, &shape(found)),
                Err(error) => server.refuse(&answered, &error),
            }) as Done
        });
    }
}

/// The error that a session is on its way out.
pub(super) fn closing(session: &SessionId) -> Error {
    Error::new(Code::Conflict, format!("session {session} is being closed"))
        .hint("wait for the answer to that")
}

/// The question for the skills that there are in a directory.
pub(super) fn skills(directory: &str) -> Query {
    Query::Skills(Page { limit: Some(SKILLS), cursor: None }, Some(directory.into()))
}

/// A session that was made, with all that there is for it.
async fn with_all(kernel: &Handle, made: Result<Value>, directory: &str) -> Result<(SessionId, Found)> {
    let made = made?;
    let session = SessionId::from(made["id"].as_str().unwrap_or_default());
    let models = tell(kernel, |reply| Event::Read(Models::question(&session), reply));
    let skills = tell(kernel, |reply| Event::Read(skills(directory), reply));
    let (models, skills) = (models.await?, skills.await?);
    Ok((session, Found { session: made, models, skills }))
}

/// The question for a part of the sessions.
fn part(buffer: Option<String>, cursor: Option<String>) -> Query {
    let which = Sessions { buffer, archived: Some(false), recent: true, ..Sessions::default() };
    Query::Sessions { which, page: Page { limit: Some(LISTED as u32), cursor } }
}

/// The sessions of this edge in which something was said, from this part of all on.
async fn listed(
    kernel: &Handle,
    buffer: Option<String>,
    first: Result<Value>,
) -> Result<ListSessionsResponse> {
    let (mut list, mut found) = (first?, Vec::new());
    let mut looked = 1;
    loop {
        let next = list["nextCursor"].as_str().map(str::to_owned);
        found.extend(list["items"].as_array().into_iter().flatten().filter_map(info));
        // A whole part more at most: its cursor says where the next one begins.
        if next.is_none() || found.len() >= LISTED || looked >= LOOKED {
            return Ok(ListSessionsResponse::new(found).next_cursor(next));
        }
        looked += 1;
        list = tell(kernel, |reply| Event::Read(part(buffer.clone(), next), reply)).await?;
    }
}

fn info(item: &Value) -> Option<SessionInfo> {
    let directory = item["buffer"].as_str()?.strip_prefix(BUFFER)?;
    let is_said = item["messages"].as_u64().is_some_and(|messages| messages > 0);
    let id = item["id"].as_str().filter(|_| is_said)?;
    let title = item["title"].as_str().map(str::to_owned);
    Some(SessionInfo::new(v1::SessionId::new(id), directory).title(title).updated_at(time(item)))
}

/// When something last happened in a session.
pub(super) fn time(session: &Value) -> Option<String> {
    let millis = session["updatedAt"].as_u64()?;
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(millis))?;
    Some(humantime::format_rfc3339_millis(time).to_string())
}

/// The skills that a user can call.
pub(super) fn commands(list: &Value) -> Vec<AvailableCommand> {
    let items = list["items"].as_array().into_iter().flatten();
    let named = items.filter_map(|item| {
        let name = item["name"].as_str()?;
        let called = item["triggers"]
            .as_array()?
            .iter()
            .any(|trigger| trigger.as_str().and_then(|trigger| trigger.strip_prefix('/')) == Some(name));
        let about = item["description"].as_str().unwrap_or_default();
        let input = AvailableCommandInput::Unstructured(UnstructuredCommandInput::new("what to do with it"));
        called.then(|| AvailableCommand::new(name, about).input(input))
    });
    named.take(COMMANDS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_sessions_of_this_edge_with_something_in_them_are_listed() {
        let item = |buffer: &str, messages: u64| json!({"id": "a", "buffer": buffer, "messages": messages, "title": "T", "updatedAt": 1_500});
        assert_eq!(info(&item("*org-agent-chat*", 2)), None);
        assert_eq!(info(&item("acp:/home/me", 0)), None);
        let found = info(&item("acp:/home/me", 1));
        let expected = SessionInfo::new("a", "/home/me")
            .title("T".to_owned())
            .updated_at("1970-01-01T00:00:01.500Z".to_owned());
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn only_what_a_user_can_call_is_a_command() {
        let list = json!({"items": [
            {"name": "pdf", "description": "Reads PDF.", "triggers": ["/pdf", "model"]},
            {"name": "chat", "description": "Answers.", "triggers": ["chat-message"]},
        ]});
        let found = commands(&list);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].description.as_str()), ("pdf", "Reads PDF."));
    }
}

//! Sessions that are taken up again: what an earlier server left is handed over, and what was said is told again, part by
//! part, so that no history is in memory as a whole.

use std::collections::BTreeMap;

use agent_client_protocol_schema::v1::{
    self, ContentChunk, LoadSessionRequest, LoadSessionResponse, McpServer, ResumeSessionRequest,
    ResumeSessionResponse, SessionUpdate,
};
use serde_json::Value;
use tower_lsp_server::jsonrpc::Id;

use super::options::{Found, Models, Open, modes, options};
use super::server::{Done, Ending, Server, Told};
use super::sessions::{closing, commands, skills};
use super::tools;
use crate::error::{Code, Error, Result};
use crate::event::{Actuated, Event, Page, Query, Resume, Resumed};
use crate::ids::SessionId;
use crate::outgoing::Actuation;
use crate::record::Outcome;

/// How many messages or actions a part has.
const PART: u32 = 200;

/// Whether all of a session is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    /// The client has it: only what it can not have.
    Missing,
}

/// A session on its way to be open.
#[derive(Debug)]
struct Loading {
    id: Id,
    session: SessionId,
    directory: String,
    servers: Vec<McpServer>,
    wanted: Wanted,
    resumed: Option<Resumed>,
    /// What was proposed in it, by identifier.
    actions: BTreeMap<String, Value>,
    /// What can be called in it.
    commands: Vec<v1::AvailableCommand>,
    _ending: Ending,
}

/// What was asked for.
enum Part {
    Actions(Result<Value>),
    Messages(Result<Value>),
}

impl Server {
    pub(super) fn load(&mut self, id: &Id, params: LoadSessionRequest) -> Result<()> {
        let directory = self.room_in(&params.cwd)?;
        self.take_up(id, &params.session_id, directory, params.mcp_servers, Wanted::All)
    }

    pub(super) fn resume(&mut self, id: &Id, params: ResumeSessionRequest) -> Result<()> {
        let directory = self.room_in(&params.cwd)?;
        self.take_up(id, &params.session_id, directory, params.mcp_servers, Wanted::Missing)
    }

    fn take_up(
        &mut self,
        id: &Id,
        session: &v1::SessionId,
        directory: String,
        servers: Vec<McpServer>,
        wanted: Wanted,
    ) -> Result<()> {
        let session = SessionId::from(&*session.0);
        if self.sessions.get(&session).is_some_and(|open| open.leaves) {
            return Err(closing(&session));
        }
        // What comes of it is on its way, and would be told twice.
        if self.pending.values().any(|pending| pending.session == session)
            || self.turns.values().any(|turn| turn.session == session)
        {
            return Err(Error::new(Code::Conflict, format!("a prompt of session {session} is under way"))
                .hint("wait for its answer, or cancel it"));
        }
        let mut loading = Loading {
            id: id.clone(),
            session: session.clone(),
            directory,
            servers,
            wanted,
            resumed: None,
            actions: BTreeMap::new(),
            commands: Vec::new(),
            // What comes of turns that were left waiting is told after what was said before them.
            _ending: self.hold(),
        };
        let was_open = self.sessions.contains_key(&session);
        // It makes the session ours, or says who has it.
        let resume = Resume { session, applied: Vec::new(), turns: Vec::new(), drop: Vec::new() };
        let resumed = self.tell(|reply| Event::Resume(resume, reply));
        let session = self.tell(|reply| Event::Read(Query::Session(loading.session.clone()), reply));
        let models = self.tell(|reply| Event::Read(Models::question(&loading.session), reply));
        let skills = self.tell(|reply| Event::Read(skills(&loading.directory), reply));
        self.later(Some(id), async move {
            let (resumed, session, models) = (resumed.await, session.await, models.await);
            let skills = skills.await;
            Box::new(move |server: &mut Self| {
                let found = resumed.and_then(|resumed| {
                    Ok((resumed, Found { session: session?, models: models?, skills: skills? }))
                });
                match found {
                    // It was closed or deleted meanwhile, and that was answered; the kernel may have taken it again since.
                    Ok(_) if was_open && !server.sessions.contains_key(&loading.session) => {
                        server.refuse(&loading.id, &closing(&loading.session));
                        server.report(|reply| Event::Release(loading.session, reply));
                    }
                    Ok((resumed, found)) => {
                        let mut open = Open::new(&loading.session, loading.directory.clone(), &found);
                        if let Some(before) = server.sessions.remove(&loading.session) {
                            (open.mode, open.place, open.leaves) = (before.mode, before.place, before.leaves);
                        }
                        server.sessions.insert(loading.session.clone(), open);
                        loading.resumed = Some(resumed);
                        loading.commands = commands(&found.skills);
                        match loading.wanted {
                            Wanted::All => server.ask_actions(loading, None),
                            Wanted::Missing => server.loaded(loading),
                        }
                    }
                    Err(error) => server.refuse(&loading.id, &error),
                }
            }) as Done
        });
        Ok(())
    }

    fn ask_actions(&mut self, loading: Loading, cursor: Option<String>) {
        let page = Page { limit: Some(PART), cursor };
        let query = Query::Actions(loading.session.clone(), page);
        let told = self.tell(|reply| Event::Read(query, reply));
        self.part(loading, told, Part::Actions);
    }

    fn ask_messages(&mut self, loading: Loading, cursor: Option<String>) {
        let page = Page { limit: Some(PART), cursor };
        let query = Query::Messages(loading.session.clone(), page);
        let told = self.tell(|reply| Event::Read(query, reply));
        self.part(loading, told, Part::Messages);
    }

    fn part(&mut self, loading: Loading, told: Told<Value>, kind: fn(Result<Value>) -> Part) {
        self.later(Some(&loading.id.clone()), async move {
            let part = kind(told.await);
            Box::new(move |server: &mut Self| server.take_part(loading, part)) as Done
        });
    }

    fn take_part(&mut self, mut loading: Loading, part: Part) {
        let next = |list: &Value| list["nextCursor"].as_str().map(str::to_owned);
        match part {
            Part::Actions(Ok(list)) => {
                let cursor = next(&list);
                for mut action in items(list) {
                    if action["module"] == "shell"
                        && let Some(id) = action["id"].as_str().map(str::to_owned)
                    {
                        tools::shorten(&mut action);
                        loading.actions.insert(id, action);
                    }
                }
                match cursor {
                    Some(cursor) => self.ask_actions(loading, Some(cursor)),
                    None => self.ask_messages(loading, None),
                }
            }
            Part::Messages(Ok(list)) => {
                let cursor = next(&list);
                for message in items(list) {
                    self.tell_message(&loading, &message);
                }
                match cursor {
                    Some(cursor) => self.ask_messages(loading, Some(cursor)),
                    None => self.loaded(loading),
                }
            }
            Part::Actions(Err(error)) | Part::Messages(Err(error)) => {
                self.refuse(&loading.id, &error);
            }
        }
    }

    /// Tells a message again.
    fn tell_message(&mut self, loading: &Loading, message: &Value) {
        let Some(open) = self.sessions.get(&loading.session) else { return };
        let (id, format) = (open.id.clone(), self.format());
        let metadata = &message["metadata"];
        let text = message["content"].as_str().unwrap_or_default();
        let chunk = |text: &str| {
            let number = message["id"].as_str().unwrap_or_default().to_owned();
            ContentChunk::new(text.into()).message_id(v1::MessageId::from(number))
        };
        let update = match (message["role"].as_str(), metadata["kind"].as_str()) {
            (_, Some("user")) => SessionUpdate::UserMessageChunk(chunk(text)),
            (_, Some("action")) if metadata["module"] == "shell" => {
                let found = metadata["actuation"].as_str().and_then(|id| loading.actions.get(id));
                match found {
                    Some(action) => SessionUpdate::ToolCall(tools::again(action, format)),
                    None => return,
                }
            }
            // Not shown when it was written either.
            (_, Some("action")) if metadata["action"] == "log" => return,
            (_, Some("action")) if metadata["module"] == "skill" => {
                let call = metadata["actuation"].as_str().unwrap_or_default().to_owned();
                SessionUpdate::ToolCall(tools::skill(call, text))
            }
            (Some("assistant"), _) | (_, Some("system-error")) => {
                SessionUpdate::AgentMessageChunk(chunk(&format.whole(text)))
            }
            _ => return,
        };
        self.update(&id, update);
    }

    /// All is told: the session is open.
    fn loaded(&mut self, mut loading: Loading) {
        let resumed = loading.resumed.take();
        let has_terminal = self.has_terminal();
        let Some(open) = self.sessions.get(&loading.session).filter(|open| !open.leaves) else {
            return self.refuse(&loading.id, &closing(&loading.session));
        };
        let (id, format) = (open.id.clone(), self.format());
        let (modes, options) = (modes(open), options(open, has_terminal));
        for actuation in resumed.iter().flat_map(|resumed| &resumed.actuations) {
            if loading.wanted == Wanted::Missing
                && let Some(text) = actuation.action().text("text")
            {
                let chunk = ContentChunk::new(format.whole(text).into_owned().into());
                self.update(&id, SessionUpdate::AgentMessageChunk(chunk));
            }
            self.applied(actuation);
        }
        if resumed.is_some_and(|resumed| !resumed.interrupted.is_empty()) {
            let text = "An answer was cut off when the server went away. Send the message again to have one.";
            let chunk = ContentChunk::new(text.into());
            self.update(&id, SessionUpdate::AgentMessageChunk(chunk));
        }
        match loading.wanted {
            Wanted::All => {
                let answer = LoadSessionResponse::default().modes(modes).config_options(options);
                self.answer(&loading.id, &answer);
            }
            Wanted::Missing => {
                let answer = ResumeSessionResponse::default().modes(modes).config_options(options);
                self.answer(&loading.id, &answer);
            }
        }
        self.ignored(&loading.session, &loading.servers);
        self.commands_are(&loading.session, loading.commands);
    }

    /// Tells the kernel that a text was shown.
    pub(super) fn applied(&mut self, actuation: &Actuation) {
        let id = actuation.address().actuation.clone();
        self.send(Event::Received(id.clone()));
        let actuated = Actuated { actuation: id, token: None, outcome: Outcome::default() };
        self.report(|reply| Event::Actuated(actuated, reply));
    }
}

fn items(mut list: Value) -> Vec<Value> {
    match list["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

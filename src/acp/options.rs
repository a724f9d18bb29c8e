//! What can be chosen for a session: which model answers, as whom, whether commands are asked about or none runs, what they
//! may do at most, and where they run. The model is the kernel's and is kept with the session, and so are mode, persona
//! and sandbox, among the values that clients keep with it: a client that takes up a session expects it as it was left.
//! Where commands run is the client's matter, and holds while the session is open here.

use agent_client_protocol_schema::v1::{
    self, CLIENT_METHOD_NAMES, ConfigOptionUpdate, CurrentModeUpdate, SessionConfigOption,
    SessionConfigOptionCategory, SessionConfigOptionValue, SessionConfigSelectOption, SessionMode,
    SessionModeState, SessionNotification, SessionUpdate, SetSessionConfigOptionRequest,
    SetSessionConfigOptionResponse, SetSessionModeRequest, SetSessionModeResponse,
};
use serde_json::{Map, Value};
use tower_lsp_server::jsonrpc::Id;

use super::out;
use super::server::{Done, Server, tell};
use crate::chosen::{self, Limit};
use crate::error::{Error, Result};
use crate::event::{Event, Page, Query, SessionTask};
use crate::ids::SessionId;
use crate::request::Change;
use crate::skill::PERSONA;

/// What becomes of commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// As the policy says.
    Ask,
    /// None runs.
    Talk,
}

/// Where commands run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In this server.
    Server,
    /// In a terminal of the client.
    Terminal,
}

/// A session that is open here.
#[derive(Debug)]
pub(super) struct Open {
    /// As the client names it.
    pub(super) id: v1::SessionId,
    pub(super) directory: String,
    pub(super) mode: Mode,
    pub(super) limit: Limit,
    /// As whom the assistant speaks, and all that it could speak as: each by its name, with more about it.
    pub(super) persona: String,
    pub(super) personas: Vec<(String, String)>,
    pub(super) place: Place,
    pub(super) models: Models,
    pub(super) title: Option<String>,
    /// The commands that the client knows, as they were sent.
    pub(super) commands: Option<Vec<v1::AvailableCommand>>,
    /// It is being closed or deleted.
    pub(super) leaves: bool,
}

impl Open {
    /// One of which this is recorded.
    pub(super) fn new(session: &SessionId, directory: String, found: &Found) -> Self {
        let mut open = Self {
            id: v1::SessionId::new(session.as_str()),
            directory,
            mode: kept(&found.session),
            limit: Limit::default(),
            persona: String::new(),
            personas: personas(&found.skills),
            place: Place::Server,
            models: Models::read(&found.models),
            title: None,
            commands: None,
            leaves: false,
        };
        open.obey(&found.session);
        open
    }

    /// Takes what is kept with the session and the kernel obeys.
    fn obey(&mut self, session: &Value) {
        let none = Map::new();
        let values = session["context"]["values"].as_object().unwrap_or(&none);
        self.limit = Limit::of(values);
        self.persona = chosen::persona(values).unwrap_or(USUAL).to_owned();
    }
}

/// What the kernel says about a session and what there is for it, each as its answer.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) session: Value,
    pub(super) models: Value,
    pub(super) skills: Value,
}

/// The persona that speaks if none was chosen.
const USUAL: &str = "identity";

/// The skills as which the assistant can speak, the usual one first.
pub(super) fn personas(skills: &Value) -> Vec<(String, String)> {
    let is_persona = |item: &&Value| {
        item["capabilities"].as_array().is_some_and(|all| all.iter().any(|one| one == PERSONA))
    };
    let items = skills["items"].as_array().into_iter().flatten().filter(is_persona);
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let mut all: Vec<_> = items.map(|item| (text(item, "name"), text(item, "description"))).collect();
    all.sort_by(|(one, _), (other, _)| (one != USUAL, one).cmp(&(other != USUAL, other)));
    all
}

/// The models that can be chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Models {
    /// Each with its name and more about it.
    items: Vec<(String, Option<String>)>,
    current: Option<String>,
    /// How many tokens the current one takes, if that is known.
    pub(super) room: Option<u64>,
}

/// The value of a session that is its mode, if that is not the first.
const KEPT: &str = "acp.mode";

/// The mode that was kept with a session.
pub(super) fn kept(session: &Value) -> Mode {
    let name = session["context"]["values"][KEPT].as_str();
    MODES.iter().find(|(_, id, ..)| Some(*id) == name).map_or(Mode::Ask, |(mode, ..)| *mode)
}

impl Models {
    /// The question for them.
    pub(super) fn question(session: &SessionId) -> Query {
        let page = Page { limit: Some(500), cursor: None };
        Query::Models { session: Some(session.clone()), page, look: false }
    }

    /// Of the answer.
    pub(super) fn read(list: &Value) -> Self {
        let mut models = Self::default();
        for item in list["items"].as_array().into_iter().flatten() {
            let Some(name) = item["name"].as_str() else { continue };
            let is_selected = item["selected"] == true;
            if is_selected {
                models.current = Some(name.to_owned());
                models.room = item["contextTokens"].as_u64();
            }
            if is_selected || item["problem"].is_null() {
                let about = match (item["model"].as_str(), item["provider"].as_str()) {
                    (Some(model), Some(provider)) => Some(format!("{model} at {provider}")),
                    (Some(model), None) => Some(model.to_owned()),
                    (None, _) => None,
                };
                models.items.push((name.to_owned(), about));
            }
        }
        models
    }
}

const MODES: [(Mode, &str, &str, &str); 2] = [
    (Mode::Ask, "ask", "Ask", "Commands run as the policy says: most are asked about first"),
    (Mode::Talk, "talk", "Talk only", "No command runs, and the model is told so"),
];

const LIMITS: [(Limit, &str, &str); 3] = [
    (
        Limit::Configured,
        "As configured",
        "Commands may write the session's directory, and more if you say so elsewhere",
    ),
    (Limit::NoNetwork, "Always confined", "None gets the network or runs without the sandbox"),
    (Limit::ReadOnly, "Read only", "The same, and none writes in the session's directory"),
];

const PLACES: [(Place, &str, &str, &str); 2] = [
    (Place::Server, "server", "In the server", "Their output is shown when it comes"),
    (
        Place::Terminal,
        "terminal",
        "In a terminal of the editor",
        "The editor shows them; the sandbox is the same",
    ),
];

fn name(mode: Mode) -> &'static str {
    MODES.iter().find(|(own, ..)| *own == mode).map_or("", |(_, name, ..)| name)
}

/// The modes of a session.
pub(super) fn modes(open: &Open) -> SessionModeState {
    let modes = MODES.map(|(_, id, name, about)| SessionMode::new(id, name).description(about.to_owned()));
    SessionModeState::new(name(open.mode), modes.into())
}

/// All that can be chosen for a session.
pub(super) fn options(open: &Open, terminal: bool) -> Vec<SessionConfigOption> {
    let choice = |id: &'static str, name: &'static str, about: &'static str| {
        SessionConfigSelectOption::new(id, name).description(about.to_owned())
    };
    let modes: Vec<_> = MODES.map(|(_, id, name, about)| choice(id, name, about)).into();
    let mut options = vec![
        SessionConfigOption::select("mode", "Commands", name(open.mode), modes)
            .category(SessionConfigOptionCategory::Mode),
    ];
    if let Some(current) = &open.models.current {
        let models: Vec<_> = open
            .models
            .items
            .iter()
            .map(|(name, about)| {
                SessionConfigSelectOption::new(name.clone(), name.clone()).description(about.clone())
            })
            .collect();
        options.push(
            SessionConfigOption::select("model", "Model", current.clone(), models)
                .category(SessionConfigOptionCategory::Model),
        );
    }
    // What was chosen stands there, also if there is no such skill any more.
    let mut personas = open.personas.clone();
    if !personas.iter().any(|(name, _)| *name == open.persona) {
        personas.push((open.persona.clone(), "Not there: the usual one speaks instead".to_owned()));
    }
    let personas: Vec<_> = personas
        .into_iter()
        .map(|(name, about)| SessionConfigSelectOption::new(name.clone(), name).description(about))
        .collect();
    options.push(
        SessionConfigOption::select("persona", "Persona", open.persona.clone(), personas)
            .category(SessionConfigOptionCategory::Other("_persona".to_owned())),
    );
    let limits: Vec<_> = LIMITS.map(|(limit, name, about)| choice(limit.as_str(), name, about)).into();
    options.push(
        SessionConfigOption::select("sandbox", "Sandbox", open.limit.as_str(), limits)
            .category(SessionConfigOptionCategory::Other("_sandbox".to_owned())),
    );
    if terminal {
        let places: Vec<_> = PLACES.map(|(_, id, name, about)| choice(id, name, about)).into();
        let place = PLACES.iter().find(|(own, ..)| *own == open.place).map_or("", |(_, name, ..)| name);
        options.push(SessionConfigOption::select("commands", "Where commands run", place, places));
    }
    options
}

impl Server {
    fn options_of(&self, session: &SessionId) -> Vec<SessionConfigOption> {
        let terminal = self.features.is_some_and(|features| features.terminal);
        self.sessions.get(session).map(|open| options(open, terminal)).unwrap_or_default()
    }

    /// A session that is open here.
    pub(super) fn opened(&mut self, id: &v1::SessionId) -> Result<(SessionId, &mut Open)> {
        let session = SessionId::from(&*id.0);
        match self.sessions.get_mut(&session).filter(|open| !open.leaves) {
            Some(open) => Ok((session, open)),
            None => Err(Error::not_found(format!("session {id} is not open here"))
                .hint("session/load or session/resume opens it")),
        }
    }

    pub(super) fn set_mode(&mut self, id: &Id, params: &SetSessionModeRequest) -> Result<()> {
        let (session, _) = self.opened(&params.session_id)?;
        let named = params.session_id.clone();
        self.choose_mode(id, session, &params.mode_id.0, move |server, session, id| {
            server.answer(id, &SetSessionModeResponse::default());
            let update = ConfigOptionUpdate::new(server.options_of(session));
            server.update(&named, SessionUpdate::ConfigOptionUpdate(update));
        })
    }

    /// Chooses a mode: it holds at once, and `then` is done when it is kept.
    fn choose_mode(
        &mut self,
        id: &Id,
        session: SessionId,
        name: &str,
        then: impl FnOnce(&mut Self, &SessionId, &Id) + 'static,
    ) -> Result<()> {
        let found = MODES.iter().find(|(_, id, ..)| *id == name);
        let (mode, ..) = *found.ok_or_else(|| {
            Error::bad_request(format!("there is no mode {name:?}")).hint("there are ask and talk")
        })?;
        let Some(open) = self.sessions.get_mut(&session) else { return Ok(()) };
        let before = std::mem::replace(&mut open.mode, mode);
        let value = (mode != Mode::Ask).then_some(name);
        self.keep(id, session, KEPT, value, move |server, session, id, result| match result {
            Ok(_) => then(server, session, id),
            Err(error) => {
                if let Some(open) = server.sessions.get_mut(session) {
                    open.mode = before;
                }
                server.refuse(id, &error);
            }
        });
        Ok(())
    }

    /// Keeps a value with a session, or none, and does `then` with what the kernel says.
    fn keep(
        &mut self,
        id: &Id,
        session: SessionId,
        key: &str,
        value: Option<&str>,
        then: impl FnOnce(&mut Self, &SessionId, &Id, Result<Value>) + 'static,
    ) {
        let values = Map::from_iter([(key.to_owned(), value.into())]);
        // The kernel merges: two choices at once do not undo each other.
        let change = Change::Context { values, merge: true };
        let changed = self.tell(|reply| Event::Session(SessionTask::Change(session.clone(), change), reply));
        let answered = id.clone();
        self.later(Some(id), async move {
            let result = changed.await;
            Box::new(move |server: &mut Self| then(server, &session, &answered, result)) as Done
        });
    }

    /// Chooses what the kernel obeys: it holds once the kernel has it.
    fn choose(&mut self, id: &Id, session: SessionId, key: &str, value: Option<&str>) {
        self.keep(id, session, key, value, |server, session, id, result| match result {
            Ok(found) => {
                if let Some(open) = server.sessions.get_mut(session) {
                    open.obey(&found);
                }
                server.answer(id, &SetSessionConfigOptionResponse::new(server.options_of(session)));
            }
            Err(error) => server.refuse(id, &error),
        });
    }

    pub(super) fn set_option(&mut self, id: &Id, params: &SetSessionConfigOptionRequest) -> Result<()> {
        let (session, open) = self.opened(&params.session_id)?;
        let SessionConfigOptionValue::ValueId { value } = &params.value else {
            return Err(Error::bad_request("value: one of those that are listed"));
        };
        match &*params.config_id.0 {
            "mode" => {
                let (named, mode) = (params.session_id.clone(), value.0.to_string());
                return self.choose_mode(id, session, &value.0, move |server, session, id| {
                    server.update(&named, SessionUpdate::CurrentModeUpdate(CurrentModeUpdate::new(mode)));
                    server.answer(id, &SetSessionConfigOptionResponse::new(server.options_of(session)));
                });
            }
            "commands" => {
                let found = PLACES.iter().find(|(_, id, ..)| **id == *value.0);
                let (place, ..) =
                    found.ok_or_else(|| Error::bad_request(format!("there is no place {value}")))?;
                if *place == Place::Terminal && !self.has_terminal() {
                    return Err(Error::bad_request("this client announced no terminals"));
                }
                if let Some(open) = self.sessions.get_mut(&session) {
                    open.place = *place;
                }
            }
            "persona" => {
                if *value.0 != *USUAL && !open.personas.iter().any(|(name, _)| **name == *value.0) {
                    return Err(Error::bad_request(format!("there is no persona {value}"))
                        .hint("a skill is one that has the capability :persona"));
                }
                self.choose(id, session, chosen::PERSONA, Some(&*value.0).filter(|name| *name != USUAL));
                return Ok(());
            }
            "sandbox" => {
                let limit = Limit::ALL.into_iter().find(|limit| *limit.as_str() == *value.0);
                let limit =
                    limit.ok_or_else(|| Error::bad_request(format!("there is no sandbox {value}")))?;
                let value = (limit != Limit::default()).then_some(limit.as_str());
                self.choose(id, session, chosen::SANDBOX, value);
                return Ok(());
            }
            "model" => {
                self.select(id, session, value.0.to_string());
                return Ok(());
            }
            other => {
                return Err(Error::not_found(format!("there is no option {other:?}")));
            }
        }
        self.answer(id, &SetSessionConfigOptionResponse::new(self.options_of(&session)));
        Ok(())
    }

    fn select(&mut self, id: &Id, session: SessionId, name: String) {
        let change = Change::Model { name: Some(name), remember: false };
        let changed = self.tell(|reply| Event::Session(SessionTask::Change(session.clone(), change), reply));
        let kernel = self.kernel.clone();
        let answered = id.clone();
        self.later(Some(id), async move {
            let result = match changed.await {
                Ok(_) => tell(&kernel, |reply| Event::Read(Models::question(&session), reply)).await,
                Err(error) => Err(error),
            };
            Box::new(move |server: &mut Self| match result {
                Ok(list) => {
                    if let Some(open) = server.sessions.get_mut(&session) {
                        open.models = Models::read(&list);
                    }
                    server
                        .answer(&answered, &SetSessionConfigOptionResponse::new(server.options_of(&session)));
                }
                Err(error) => server.refuse(&answered, &error),
            }) as Done
        });
    }

    /// Tells the client of the modes and options that are not as it knows them.
    pub(super) fn tell_options(&mut self, session: &SessionId) {
        let options = self.options_of(session);
        let Some(open) = self.sessions.get(session) else { return };
        let update = SessionUpdate::ConfigOptionUpdate(ConfigOptionUpdate::new(options));
        let notification = SessionNotification::new(open.id.clone(), update);
        out::call(&mut self.out, None, CLIENT_METHOD_NAMES.session_update, &notification);
    }
}

//! What is known of the client, its sessions and their turns. The loop calls it with whatever happens and owns it;
//! nothing in it waits. What is to be waited for it hands to the loop ([`Server::take_started`]), what it writes it
//! keeps in [`Server::out`].
//!
//! A request enqueues its event before anything waits, so requests reach the kernel in the order they came in.

use std::collections::{BTreeMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;

use agent_client_protocol_schema::ProtocolVersion;
use agent_client_protocol_schema::v1::{
    self, AgentCapabilities, Implementation, InitializeRequest, InitializeResponse, PromptCapabilities,
    SessionCapabilities, SessionDeleteCapabilities, SessionForkCapabilities, SessionListCapabilities,
    SessionNotification, SessionResumeCapabilities, SessionUpdate,
};
use agent_client_protocol_schema::v1::{CLIENT_METHOD_NAMES, SessionCloseCapabilities};
use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_lsp_server::jsonrpc::Id;

use super::jobs::Report;
use super::options::Open;
use super::questions::{Asked, Questions};
use super::sessions::Leaving;
use super::shell::Command;
use super::text::Format;
use super::turns::{Pending, Turn};
use super::{out, prompt};
use crate::config::Secrets;
use crate::error::{Code, Error, Result};
use crate::event::{Event, Reply, reply};
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::kernel::Handle;
use crate::lsp::rpc::Call;
use crate::outgoing::Outgoing;

/// The most requests that may wait for their answers.
const MOST_RUNNING: usize = 4096;

/// What the client said of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Features {
    pub(super) format: Format,
    pub(super) terminal: bool,
    pub(super) reads: bool,
    pub(super) notices: bool,
}

/// What is to be done once something was waited for.
pub type Done = Box<dyn FnOnce(&mut Server)>;

/// What the loop waits for.
pub type Started = Pin<Box<dyn Future<Output = Done>>>;

/// An answer of the kernel on its way.
pub(super) type Told<T> = Pin<Box<dyn Future<Output = Result<T>>>>;

/// What the client answered: the result, or the message of an error; nothing: not in time.
pub(super) type Outcome<'a> = Option<std::result::Result<&'a str, &'a str>>;

/// Something is being told as a whole, the end of a turn or what was said in a session: what comes after waits for as
/// long as there is more of these than the server's own. It goes with the work that has it, however that ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending(Rc<()>);

/// The edge, for one client.
pub struct Server {
    pub(super) kernel: Handle,
    pub(super) features: Option<Features>,
    /// How the user wants text shown, whatever the client is.
    wanted: Option<Format>,
    pub(super) sessions: BTreeMap<SessionId, Open>,
    /// Sessions that are let go or deleted once all that went on in them is over.
    pub(super) leaving: Vec<Leaving>,
    /// Prompts that have no turn yet, in their order.
    pub(super) pending: BTreeMap<u64, Pending>,
    pub(super) turns: BTreeMap<TurnId, Turn>,
    pub(super) commands: BTreeMap<ActuationId, Command>,
    pub(super) questions: Questions,
    /// Where commands report to that run here.
    pub(super) reports: mpsc::Sender<Report>,
    pub(super) jobs: JoinSet<()>,
    ending: Ending,
    held: VecDeque<Outgoing>,
    /// What is not with the writer yet.
    pub out: Vec<u8>,
    started: Vec<Started>,
    waiting: usize,
    counted: u64,
}

impl Server {
    /// For a client that said nothing yet.
    pub(super) fn new(kernel: Handle, wanted: Option<Format>, reports: mpsc::Sender<Report>) -> Self {
        Self {
            kernel,
            features: None,
            wanted,
            sessions: BTreeMap::new(),
            leaving: Vec::new(),
            pending: BTreeMap::new(),
            turns: BTreeMap::new(),
            commands: BTreeMap::new(),
            questions: Questions::default(),
            reports,
            jobs: JoinSet::new(),
            ending: Ending::default(),
            held: VecDeque::new(),
            out: Vec::new(),
            started: Vec::new(),
            waiting: 0,
            counted: 0,
        }
    }

    /// Whether what the kernel sends may be taken.
    #[must_use]
    pub const fn may_take(&self) -> bool {
        self.features.is_some()
    }

    /// What the loop is to wait for.
    pub fn take_started(&mut self) -> Vec<Started> {
        std::mem::take(&mut self.started)
    }

    /// Takes what was waited for.
    pub fn done(&mut self, done: Done) {
        self.waiting -= 1;
        done(self);
        while !self.holds()
            && let Some(message) = self.held.pop_front()
        {
            self.handle(message);
        }
    }

    /// A request or a notification.
    pub fn call(&mut self, call: &Call) {
        let params = call.params.as_deref().map_or("{}", |params| params.get());
        let Some(id) = &call.id else { return self.notified(&call.method, params) };
        if self.waiting >= MOST_RUNNING {
            let error = Error::new(Code::Overloaded, "too many requests wait for their answers");
            return self.refuse(id, &error.hint("send the same request again later"));
        }
        if self.features.is_none() && call.method != "initialize" {
            return self.refuse(id, &Error::bad_request("not initialized").hint("send initialize first"));
        }
        let names = &v1::AGENT_METHOD_NAMES;
        let taken = match call.method.as_str() {
            "initialize" => read(params).and_then(|it| self.initialize(id, it)),
            method if method == names.session_prompt => read(params).and_then(|it| self.prompt(id, it)),
            method if method == names.session_new => read(params).and_then(|it| self.new_session(id, it)),
            method if method == names.session_load => read(params).and_then(|it| self.load(id, it)),
            method if method == names.session_resume => read(params).and_then(|it| self.resume(id, it)),
            method if method == names.session_list => read(params).and_then(|it| self.list(id, it)),
            method if method == names.session_close => read(params).and_then(|it| self.close(id, &it)),
            method if method == names.session_delete => read(params).and_then(|it| self.delete(id, &it)),
            method if method == names.session_fork => read(params).and_then(|it| self.fork(id, it)),
            method if method == names.session_set_mode => read(params).and_then(|it| self.set_mode(id, &it)),
            method if method == names.session_set_config_option => {
                read(params).and_then(|it| self.set_option(id, &it))
            }
            method if method == names.authenticate => {
                Err(Error::bad_request("there is nothing to authenticate with")
                    .hint("keys of models stand in the configuration of org-agent"))
            }
            "_orgAgent/why" => read(params).and_then(|it| self.why(id, it)),
            "_orgAgent/fork" => read(params).and_then(|it| self.fork_at(id, it)),
            method => return out::refuse(&mut self.out, id, &out::unknown(method)),
        };
        if let Err(error) = taken {
            self.refuse(id, &error);
        }
    }

    fn notified(&mut self, method: &str, params: &str) {
        let taken = match method {
            _ if self.features.is_none() => return,
            "session/cancel" => read(params).map(|it: v1::CancelNotification| self.cancel(&it.session_id)),
            "$/cancel_request" => read(params).map(|it| self.cancel_request(&it)),
            _ => return tracing::debug!(method, "a notification was ignored"),
        };
        if let Err(error) = taken {
            tracing::warn!(%error, method, "a notification was dropped");
        }
    }

    fn initialize(&mut self, id: &Id, params: InitializeRequest) -> Result<()> {
        if self.features.is_some() {
            return Err(Error::bad_request("already initialized"));
        }
        // It runs no command by itself: this edge does for it, where it can show what comes of it.
        self.kernel.send(Event::Hello { secrets: Secrets::new(), recover: false, runs: true })?;
        let capabilities = params.client_capabilities;
        let asked = capabilities.meta.as_ref().and_then(|meta| meta.get("orgAgent")?.get("format")?.as_str());
        // Also clients in Emacs show Markdown, if they do not say otherwise.
        let guess = if asked == Some("org") { Format::Org } else { Format::Markdown };
        self.features = Some(Features {
            format: self.wanted.unwrap_or(guess),
            terminal: capabilities.terminal,
            reads: capabilities.fs.read_text_file,
            notices: capabilities.session.is_some_and(|session| session.notices.is_some()),
        });
        let sessions = SessionCapabilities::new()
            .list(SessionListCapabilities::default())
            .resume(SessionResumeCapabilities::default())
            .close(SessionCloseCapabilities::default())
            .delete(SessionDeleteCapabilities::default())
            .fork(SessionForkCapabilities::default());
        let capabilities = AgentCapabilities::new()
            .load_session(true)
            .prompt_capabilities(PromptCapabilities::new().embedded_context(true))
            .session_capabilities(sessions)
            .meta(meta("orgAgent", json!({"methods": ["_orgAgent/why", "_orgAgent/fork"]})));
        let info = Implementation::new("org-agent", env!("CARGO_PKG_VERSION")).title("org-agent".to_owned());
        let answer =
            InitializeResponse::new(ProtocolVersion::V1).agent_capabilities(capabilities).agent_info(info);
        self.answer(id, &answer);
        Ok(())
    }

    /// The client answered one of our requests.
    pub fn answered(&mut self, id: &Id, outcome: std::result::Result<&str, &str>) {
        let asked = match id {
            Id::String(id) => self.questions.answered(id),
            Id::Number(_) | Id::Null => None,
        };
        match asked {
            Some(asked) => self.take_answer(asked, Some(outcome)),
            None => tracing::debug!(%id, "an answer to nothing that is asked"),
        }
    }

    fn take_answer(&mut self, asked: Asked, outcome: Outcome<'_>) {
        match asked {
            Asked::Permission(actuation) => self.permission(&actuation, outcome),
            Asked::Terminal(actuation) => self.terminal_made(&actuation, outcome),
            Asked::Late(session) => self.terminal_late(session, outcome),
            Asked::Exit(actuation) => self.terminal_ended(&actuation, outcome),
            Asked::Output(actuation) => self.terminal_said(&actuation, outcome),
            Asked::File(pending, at) => self.file_read(pending, at, outcome),
            Asked::Nothing => {}
        }
    }

    /// Takes what the kernel sends. It has to be taken: answers may stand behind it.
    pub fn take(&mut self, message: Outgoing) {
        if !self.holds() && self.held.is_empty() {
            self.handle(message);
        } else {
            self.held.push_back(message);
        }
    }

    /// Holds back what the kernel sends until what this answers is gone.
    pub(super) fn hold(&self) -> Ending {
        self.ending.clone()
    }

    fn holds(&self) -> bool {
        Rc::strong_count(&self.ending.0) > 1
    }

    fn handle(&mut self, message: Outgoing) {
        match message {
            Outgoing::Turn(state) => self.advanced(&state),
            Outgoing::Delta(delta) => self.delta(&delta),
            Outgoing::Thought(thought) => self.thought(&thought),
            Outgoing::Step(step) => self.step(&step),
            Outgoing::Retract(retract) => self.retracted(&retract),
            Outgoing::Actuate(actuation) => self.actuate(&actuation),
            Outgoing::Abort(actuation) => self.abort(&actuation),
            Outgoing::Skills(_) => self.skills_changed(),
            Outgoing::Notice(notice) => self.noticed(&notice),
            Outgoing::Session(session, changes) => self.session_changed(&session, &changes),
        }
    }

    /// When something is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        [self.questions.deadline(), self.live_deadline()].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn expire(&mut self, now: Instant) {
        for asked in self.questions.expire(now) {
            tracing::warn!(?asked, "the client did not answer in time");
            self.take_answer(asked, None);
        }
        self.show_live(now);
    }

    /// Asks the client something; nothing but the user's decision may take any time.
    pub(super) fn ask(
        &mut self,
        method: &str,
        params: &impl Serialize,
        asked: Asked,
        until: Option<Instant>,
    ) {
        let (id, oldest) = self.questions.ask(asked, until);
        out::call(&mut self.out, Some(&id), method, params);
        if let Some(oldest) = oldest {
            self.take_answer(oldest, None);
        }
    }

    /// Tells the client something about a session.
    pub(super) fn update(&mut self, session: &v1::SessionId, update: SessionUpdate) {
        let notification = SessionNotification::new(session.clone(), update);
        out::call(&mut self.out, None, CLIENT_METHOD_NAMES.session_update, &notification);
    }

    pub(super) fn answer(&mut self, id: &Id, result: &impl Serialize) {
        out::answer(&mut self.out, id, result);
    }

    pub(super) fn refuse(&mut self, id: &Id, error: &Error) {
        out::refuse(&mut self.out, id, &out::shown(error));
    }

    /// How the client shows text.
    pub(super) fn format(&self) -> Format {
        self.features.map_or(Format::Markdown, |features| features.format)
    }

    /// A number that was not there before.
    pub(super) const fn count(&mut self) -> u64 {
        self.counted += 1;
        self.counted
    }

    /// Enqueues an event at once; its answer can be waited for.
    pub(super) fn tell<T: 'static>(&self, event: impl FnOnce(Reply<T>) -> Event) -> Told<T> {
        tell(&self.kernel, event)
    }

    /// Lets the loop wait for `work`, which says what is to be done then. If it panics, that costs the request of this
    /// `id` only.
    pub(super) fn later(&mut self, id: Option<&Id>, work: impl Future<Output = Done> + 'static) {
        let id = id.cloned();
        self.waiting += 1;
        self.started.push(Box::pin(async move {
            AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
                let refuse = move |server: &mut Self| {
                    if let Some(id) = id {
                        server.refuse(&id, &Error::internal("this request broke").hint("see the log"));
                    }
                };
                Box::new(refuse)
            })
        }));
    }

    /// Stops all that runs here, and waits for its end.
    pub(super) async fn stop_commands(&mut self) {
        self.commands.clear();
        while self.jobs.join_next().await.is_some() {}
    }

    /// Sends what nobody waits for.
    pub(super) fn send(&self, event: Event) {
        if let Err(error) = self.kernel.send(event) {
            tracing::error!(%error, "the kernel could not be told");
        }
    }

    /// Enqueues an event whose answer matters only if it is an error.
    pub(super) fn report<T: 'static>(&mut self, event: impl FnOnce(Reply<T>) -> Event) {
        let told = self.tell(event);
        self.later(None, async move {
            if let Err(error) = told.await {
                tracing::warn!(%error, "the kernel did not take a report");
            }
            Box::new(|_: &mut Self| {}) as Done
        });
    }

    /// A file that a message names was read, or not.
    fn file_read(&mut self, key: u64, at: usize, outcome: Outcome<'_>) {
        let text = outcome
            .and_then(std::result::Result::ok)
            .and_then(|result| serde_json::from_str::<v1::ReadTextFileResponse>(result).ok())
            .map(|response| response.content);
        let Some(pending) = self.pending.get_mut(&key) else { return };
        pending.missing = pending.missing.saturating_sub(1);
        if let (Some(mut text), Some((name, _))) = (text, pending.said.named.get(at)) {
            if text.len() > prompt::FILE {
                text.truncate(text.floor_char_boundary(prompt::FILE));
                text.push_str("\n[cut here]\n");
            }
            pending.said.context.push(prompt::attached(name.clone(), text));
        }
        let session = pending.session.clone();
        self.send_pending(&session);
    }
}

/// Enqueues an event at once; its answer can be waited for.
pub(super) fn tell<T: 'static>(kernel: &Handle, event: impl FnOnce(Reply<T>) -> Event) -> Told<T> {
    let (reply, answer) = reply();
    let sent = kernel.send(event(reply));
    Box::pin(async move {
        sent?;
        answer.get().await
    })
}

/// The parameters of a method.
pub(super) fn read<T: DeserializeOwned>(params: &str) -> Result<T> {
    let mut json = serde_json::Deserializer::from_str(params);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let what = if path == "." { "the parameters are not as they must be".to_owned() } else { path };
        Error::bad_request(what).because(error.into_inner())
    })
}

/// One entry of what the protocol leaves to others.
pub(super) fn meta(key: &str, value: Value) -> v1::Meta {
    v1::Meta::from_iter([(key.to_owned(), value)])
}

#[cfg(test)]
mod tests;

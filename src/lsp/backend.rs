//! The methods: each reads its parameters, enqueues one event for the kernel, and waits for the answer.
//!
//! Nothing here waits before it has enqueued, so requests reach the kernel in the order they came in. The
//! parameters arrive as JSON text (see `rpc`). What the client can do is kept in [`Client`].

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower_lsp_server::jsonrpc::{Error as RpcError, Id, Request, Result as RpcResult};
use tower_lsp_server::ls_types::{InitializeParams, InitializeResult, ServerCapabilities, ServerInfo};
use tower_lsp_server::{LanguageServer, LspService};

use super::plain::Features;
use super::rpc::Call;
use super::wire::convert::{self, Introduction};
use super::wire::{self, Announcement};
use crate::chosen::Limit;
use crate::error::{Error, Result};
use crate::event::{Event, Query, Reply, SessionTask, reply};
use crate::kernel::Handle;
use crate::request::Change;
use crate::sandbox;

/// The method that every unknown one is turned into, so that the life cycle's rules hold for it as well.
pub const UNKNOWN: &str = "orgAgent/unknown";

/// A request whose handler panics: proves that the server survives it. Not in release builds.
pub const PANIC: &str = "orgAgent/debug/panic";

/// What is known of the client.
#[derive(Debug, Default)]
pub struct Client {
    /// What it announced; a plain editor announced nothing.
    pub announced: OnceLock<Announcement>,
    /// What it can do, if it is a plain editor.
    pub plain: OnceLock<Features>,
    /// Whether it asked to shut down.
    pub shut_down: AtomicBool,
}

impl Client {
    /// Whether it can carry out what `actuator` is for. What it did not speak of, it can.
    #[must_use]
    pub fn can(&self, actuator: &str) -> bool {
        let actuators = self.announced.get().and_then(|client| client.actuators.as_ref());
        actuators.is_none_or(|known| known.iter().any(|name| name == actuator))
    }
}

/// The parameters of a method as JSON text.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Params(String);

/// The handlers.
#[derive(Debug)]
pub struct Backend {
    kernel: Handle,
    client: Arc<Client>,
}

/// The service for one client.
#[must_use]
pub fn service(kernel: Handle, client: Arc<Client>) -> LspService<Backend> {
    let service = LspService::build(|_| Backend { kernel, client })
        .custom_method(wire::EVENT, Backend::event)
        .custom_method(wire::DRY_RUN, Backend::dry_run)
        .custom_method(wire::CANCEL, Backend::cancel)
        .custom_method(wire::DECIDE, Backend::decide)
        .custom_method(wire::OUTPUT, Backend::output)
        .custom_method(wire::ACTUATED, Backend::actuated)
        .custom_method(wire::WHY, Backend::why)
        .custom_method(wire::LIST, Backend::list)
        .custom_method(wire::GET, Backend::get)
        .custom_method(wire::MESSAGES, Backend::messages)
        .custom_method(wire::ACTIONS, Backend::actions)
        .custom_method(wire::RESUME, Backend::resume)
        .custom_method(wire::CREATE, Backend::create)
        .custom_method(wire::RENAME, Backend::rename)
        .custom_method(wire::ARCHIVE, Backend::archive)
        .custom_method(wire::LABEL, Backend::label)
        .custom_method(wire::PAUSE, Backend::pause)
        .custom_method(wire::COMPLETE, Backend::complete)
        .custom_method(wire::CONTEXT, Backend::context)
        .custom_method(wire::CHECKPOINT, Backend::checkpoint)
        .custom_method(wire::CHECKPOINTS, Backend::checkpoints)
        .custom_method(wire::RESTORE, Backend::restore)
        .custom_method(wire::READ, Backend::seen)
        .custom_method(wire::DELETE, Backend::delete)
        .custom_method(wire::FORK, Backend::fork)
        .custom_method(wire::SEARCH, Backend::search)
        .custom_method(wire::EXPORT, Backend::export)
        .custom_method(wire::IMPORT, Backend::import)
        .custom_method(wire::SKILLS, Backend::skills)
        .custom_method(wire::SKILL, Backend::skill)
        .custom_method(wire::RELOAD, Backend::reload)
        .custom_method(wire::UNTRUSTED, Backend::untrusted)
        .custom_method(wire::CAPABILITIES, Backend::capabilities)
        .custom_method(wire::TRUST, Backend::trust)
        .custom_method(wire::MODELS, Backend::models)
        .custom_method(wire::REGENERATE, Backend::regenerate)
        .custom_method(wire::VARIANTS, Backend::variants)
        .custom_method(wire::CHOOSE, Backend::choose)
        .custom_method(wire::SELECT, Backend::select)
        .custom_method(UNKNOWN, Backend::unknown);
    #[cfg(debug_assertions)]
    let service = service.custom_method(PANIC, Backend::panic);
    service.finish().0
}

/// The call as the service takes it. Our own methods get their parameters as JSON text.
#[must_use]
pub fn request(call: Call) -> Option<Request> {
    let text = || call.params.as_deref().map_or("null", |params| params.get());
    let request = match call.method.as_str() {
        "initialize" => Request::build("initialize")
            .params(json!({"processId": null, "capabilities": {}, "initializationOptions": text()})),
        "shutdown" => Request::build("shutdown"),
        "$/cancelRequest" => {
            #[derive(Deserialize)]
            struct Cancel {
                id: Id,
            }
            // Whoever cancels nothing gets no answer.
            return serde_json::from_str::<Cancel>(text()).ok().map(|Cancel { id }| cancel(&id));
        }
        PANIC => Request::build(PANIC).params(Value::from(text())),
        method => match wire::METHODS.iter().find(|known| **known == method) {
            Some(known) => Request::build(*known).params(Value::from(text())),
            None => Request::build(UNKNOWN).params(Value::from(call.method)),
        },
    };
    Some(match call.id {
        Some(id) => request.id(id).finish(),
        None => request.finish(),
    })
}

/// The wish that a request ends.
#[must_use]
pub fn cancel(id: &Id) -> Request {
    Request::build("$/cancelRequest").params(json!({"id": id})).finish()
}

impl LanguageServer for Backend {
    async fn initialize(&self, params: InitializeParams) -> RpcResult<InitializeResult> {
        let text = params.initialization_options.as_ref().and_then(Value::as_str).unwrap_or_default();
        let introduction = Introduction::from_wire(text)?;
        let recover = introduction.announced.is_some();
        let actuators = introduction.announced.as_ref().and_then(|client| client.actuators.as_ref());
        // A plain editor runs nothing: what it is asked in words, the server runs.
        let runs = recover && actuators.is_none_or(|known| known.iter().any(|name| name == "shell"));
        self.kernel.send(Event::Hello { secrets: introduction.secrets, recover, runs })?;
        let experimental = Some(json!({"orgAgent": wire::Offer::to_wire()}));
        // A second `initialize` never gets here.
        let capabilities = if let Some(announced) = introduction.announced {
            self.client.announced.get_or_init(|| announced);
            ServerCapabilities { experimental, ..ServerCapabilities::default() }
        } else {
            let features = self.client.plain.get_or_init(|| Features::from_wire(text));
            ServerCapabilities { experimental, ..features.offer() }
        };
        Ok(InitializeResult {
            capabilities,
            server_info: Some(ServerInfo {
                name: "org-agent".to_owned(),
                version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            }),
            ..InitializeResult::default()
        })
    }

    async fn shutdown(&self) -> RpcResult<()> {
        self.client.shut_down.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Backend {
    async fn event(&self, params: Params) -> RpcResult<impl Serialize + use<>> {
        let message = convert::read::<wire::EventParams>(&params.0)?.from_wire()?;
        if message.rewritten().is_some() && !self.client.can(wire::REPLACE_REGION) {
            return Err(Error::bad_request("sensor: this editor has no actuator replaceRegion").into());
        }
        self.ask(|reply| Event::Chat(message, reply)).await.map(wire::EventResult::to_wire)
    }

    async fn dry_run(&self, params: Params) -> RpcResult<Value> {
        let (message, org) = convert::read::<wire::DryRunParams>(&params.0)?.from_wire()?;
        self.ask(|reply| Event::Rehearse(message, org, reply)).await
    }

    async fn cancel(&self, params: Params) -> RpcResult<impl Serialize + use<>> {
        let turn = convert::read::<wire::CancelParams>(&params.0)?.from_wire()?;
        self.ask(|reply| Event::Cancel(turn, reply)).await.map(wire::CancelResult::to_wire)
    }

    async fn decide(&self, params: Params) -> RpcResult<impl Serialize + use<>> {
        let decide = convert::read::<wire::DecideParams>(&params.0)?.from_wire()?;
        self.ask(|reply| Event::Decide(decide, reply)).await.map(wire::DecideResult::to_wire)
    }

    async fn output(&self, params: Params) {
        let output = convert::read::<wire::OutputParams>(&params.0).and_then(wire::OutputParams::from_wire);
        if let Err(error) = output.and_then(|output| self.kernel.send(Event::Output(output))) {
            tracing::warn!(%error, "a piece of output was dropped");
        }
    }

    async fn actuated(&self, params: Params) -> RpcResult<impl Serialize + use<>> {
        let actuated = convert::read::<wire::ActuatedParams>(&params.0)?.from_wire()?;
        self.ask(|reply| Event::Actuated(actuated, reply)).await.map(wire::ActuatedResult::to_wire)
    }

    async fn resume(&self, params: Params) -> RpcResult<impl Serialize + use<>> {
        let resume = convert::read::<wire::ResumeParams>(&params.0)?.from_wire()?;
        self.ask(|reply| Event::Resume(resume, reply)).await.map(wire::ResumeResult::to_wire)
    }

    async fn why(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, wire::WhyParams::from_wire).await
    }

    async fn list(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, wire::ListParams::from_wire).await
    }

    async fn get(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, wire::GetParams::from_wire).await
    }

    async fn messages(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, wire::MessagesParams::from_wire).await
    }

    async fn actions(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, |params: wire::ItemsParams| {
            params.from_wire().map(|(session, page)| Query::Actions(session, page))
        })
        .await
    }

    async fn create(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::CreateParams::from_wire).await
    }

    async fn rename(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::RenameParams::from_wire).await
    }

    async fn archive(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::ArchiveParams::from_wire).await
    }

    async fn label(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::LabelParams::from_wire).await
    }

    async fn pause(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::PauseParams::from_wire).await
    }

    async fn context(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::ContextParams::from_wire).await
    }

    async fn seen(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::ReadParams::from_wire).await
    }

    async fn fork(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::ForkParams::from_wire).await
    }

    async fn import(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::ImportParams::from_wire).await
    }

    async fn complete(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, |params: wire::GetParams| wire::change(params.session_id, Change::Complete)).await
    }

    async fn checkpoint(&self, params: Params) -> RpcResult<Value> {
        let task = |it: wire::CheckpointParams| wire::change(it.session_id, Change::Checkpoint(it.name));
        self.task(&params, task).await
    }

    async fn restore(&self, params: Params) -> RpcResult<Value> {
        let task = |it: wire::CheckpointParams| wire::change(it.session_id, Change::Restore(it.name));
        self.task(&params, task).await
    }

    async fn regenerate(&self, params: Params) -> RpcResult<Value> {
        let task = |it: wire::AnswersParams| {
            it.from_wire().map(|(session, message)| SessionTask::Regenerate { session, message })
        };
        self.task(&params, task).await
    }

    async fn variants(&self, params: Params) -> RpcResult<Value> {
        let query = |it: wire::AnswersParams| {
            it.from_wire().map(|(session, message)| Query::Variants(session, message))
        };
        self.view(&params, query).await
    }

    async fn choose(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::ChooseParams::from_wire).await
    }

    async fn delete(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, |params: wire::GetParams| params.session().map(SessionTask::Delete)).await
    }

    async fn search(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, wire::SearchParams::from_wire).await
    }

    async fn export(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, |params: wire::GetParams| params.session().map(Query::Export)).await
    }

    async fn checkpoints(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, |params: wire::ItemsParams| {
            params.from_wire().map(|(session, page)| Query::Checkpoints(session, page))
        })
        .await
    }

    async fn models(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, wire::ModelsParams::from_wire).await
    }

    async fn select(&self, params: Params) -> RpcResult<Value> {
        self.task(&params, wire::SelectParams::from_wire).await
    }

    async fn skills(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, wire::SkillsParams::from_wire).await
    }

    async fn skill(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, wire::SkillParams::from_wire).await
    }

    async fn reload(&self, params: Params) -> RpcResult<impl Serialize + use<>> {
        convert::read::<wire::ReloadParams>(&params.0)?;
        self.ask(Event::Reload).await.map(|shelf| wire::ShelfParams::to_wire(None, &shelf))
    }

    async fn capabilities(&self, params: Params) -> RpcResult<Value> {
        let mut answer = self.view(&params, wire::CapabilitiesParams::from_wire).await?;
        // To find out takes a try, once.
        let confined = tokio::task::spawn_blocking(sandbox::confined).await;
        let confined = confined.unwrap_or_else(|error| Err(format!("it could not be tried: {error}")));
        answer["sandbox"] =
            sandbox::terms(confined.as_ref().err().map(String::as_str), Limit::default()).into();
        answer["confined"] = confined.is_ok().into();
        Ok(answer)
    }

    async fn untrusted(&self, params: Params) -> RpcResult<Value> {
        self.view(&params, wire::UntrustedParams::from_wire).await
    }

    async fn trust(&self, params: Params) -> RpcResult<impl Serialize + use<>> {
        let trust = convert::read::<wire::TrustParams>(&params.0).and_then(wire::TrustParams::from_wire)?;
        let directory = trust.directory.clone();
        let shelf = self.ask(|reply| Event::Trust(trust, reply)).await?;
        Ok(wire::ShelfParams::to_wire(Some(&directory), &shelf))
    }

    async fn unknown(&self, method: Params) -> RpcResult<()> {
        let mut error = RpcError::method_not_found();
        let name: String = method.0.chars().take(100).collect();
        error.message = format!("no method {name}").into();
        error.data = Some(json!({"code": "bad_request", "hint": "initialize lists the methods"}));
        Err(error)
    }

    #[cfg(debug_assertions)]
    async fn panic(&self, _params: Params) -> RpcResult<()> {
        #[expect(clippy::panic, reason = "this is what the method is for")]
        {
            panic!("asked to panic");
        }
    }

    async fn view<P: DeserializeOwned>(
        &self,
        params: &Params,
        from_wire: impl FnOnce(P) -> Result<Query>,
    ) -> RpcResult<Value> {
        let query = convert::read::<P>(&params.0).and_then(from_wire)?;
        self.ask(|reply| Event::Read(query, reply)).await
    }

    async fn task<P: DeserializeOwned>(
        &self,
        params: &Params,
        from_wire: impl FnOnce(P) -> Result<SessionTask>,
    ) -> RpcResult<Value> {
        let task = convert::read::<P>(&params.0).and_then(from_wire)?;
        self.ask(|reply| Event::Session(task, reply)).await
    }

    /// Enqueues at once, then waits.
    async fn ask<T>(&self, event: impl FnOnce(Reply<T>) -> Event) -> RpcResult<T> {
        let (reply, answer) = reply();
        self.kernel.send(event(reply))?;
        Ok(answer.get().await?)
    }
}

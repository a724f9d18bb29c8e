//! The loop of the edge: messages in, calls of the service, messages out. One client, one loop, one owner of
//! what is written. It knows no parameters and no results.
//!
//! What it holds to:
//! - A request's handler runs to its first wait before the next message is looked at.
//! - All answers that are ready are written before anything that the kernel sends unasked, so that the
//!   answer to an event precedes every message of its turn.
//! - Nothing grows without bound: a client that does not read is not listened to either, and too many
//!   requests at once are answered with `overloaded`.
//! - A handler that panics costs its own request only.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, sleep_until, timeout};
use tower_lsp_server::LspService;
use tower_lsp_server::jsonrpc::{Error as RpcError, Id, Response};
use tower_service::Service;

use super::backend::{self, Backend, Client};
use super::plain::{self, Plain};
use super::questions::{Question, Questions};
use super::rpc::{self, Call, Incoming};
use super::stdio::{self, Input, Writer};
use super::wire;
use crate::action::Kind;
use crate::error::{Code, Error, Result};
use crate::event::Event;
use crate::ids::ActuationId;
use crate::kernel::Handle;
use crate::outgoing::{Actuation, Outgoing};
use crate::skill::Shelved;

/// The most requests that may wait for their answers.
const MOST_RUNNING: usize = 4096;

/// With this many bytes unwritten, nothing is read and nothing taken from the kernel.
const ROOM: usize = 1024 * 1024;

/// How many steps the loop takes before other tasks get their turn.
const STEPS: usize = 64;

/// How long the kernel may take to stop, and then the client to read the last bytes.
const STOP: Duration = Duration::from_secs(5);
const FLUSH: Duration = Duration::from_secs(1);

/// The kernel, as seen from here.
#[derive(Debug)]
pub struct Line {
    /// The way in.
    pub kernel: Handle,
    /// What it sends unasked.
    pub outgoing: mpsc::Receiver<Outgoing>,
    /// The kernel itself: it runs until [`Event::Stop`]. If it ends before, so does the server.
    pub task: JoinHandle<Result<()>>,
}

/// Serves one client until it leaves. The answer is the exit status of the process: 0 after an orderly
/// `shutdown`, else 1.
///
/// # Errors
/// `internal` if the system gives no threads; what ended the kernel, if that was not the client.
pub async fn serve(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    line: Line,
) -> Result<u8> {
    let messages = stdio::read(input)?;
    let writer = stdio::write(output)?;
    let client = Arc::<Client>::default();
    let session = Session {
        service: backend::service(line.kernel.clone(), Arc::clone(&client)),
        kernel: line.kernel,
        client,
        running: FuturesUnordered::new(),
        questions: Questions::default(),
        out: Vec::new(),
        initialized: false,
        ours: false,
        plain: None,
        broken: false,
    };
    // Unconstrained: a spent budget would make answers that are ready look as if they were not.
    tokio::task::unconstrained(session.run(messages, writer, line.outgoing, line.task)).await
}

/// Why the loop ended.
enum End {
    /// The client said `exit`, closed its end, or reads no more.
    Left,
    /// The kernel ended by itself.
    Kernel(Result<Result<()>, JoinError>),
}

/// A handler that came to its end.
struct Finished {
    response: Option<Response>,
    initialize: bool,
    /// The request whose handler panicked.
    panicked: Option<Id>,
    /// What the plain path waited for.
    plain: Option<plain::Done>,
}

struct Session {
    service: LspService<Backend>,
    kernel: Handle,
    client: Arc<Client>,
    /// The handlers that wait.
    running: FuturesUnordered<Pin<Box<dyn Future<Output = Finished>>>>,
    questions: Questions,
    /// Frames that are not with the writer yet.
    out: Vec<u8>,
    /// `initialize` was answered: messages may go to the client.
    initialized: bool,
    /// The client announced this protocol or uses it; a plain editor gets none of our messages.
    ours: bool,
    /// The chat for an editor that did not announce it.
    plain: Option<Box<Plain>>,
    /// The last input was none: what follows it may be the rest of it.
    broken: bool,
}

impl Session {
    async fn run(
        mut self,
        mut messages: mpsc::Receiver<Vec<Input>>,
        writer: Writer,
        mut outgoing: mpsc::Receiver<Outgoing>,
        mut task: JoinHandle<Result<()>>,
    ) -> Result<u8> {
        let mut batch = VecDeque::new();
        let mut steps = 0;
        let end = loop {
            steps += 1;
            if steps % STEPS == 0 {
                tokio::task::yield_now().await;
            }
            let room = self.out.len() < ROOM;
            self.relay();
            let deadline = self.questions.deadline();
            let leaving = self.client.shut_down.load(Ordering::Relaxed);
            let due = self.plain.as_ref().filter(|_| !leaving).and_then(|plain| plain.deadline());
            tokio::select! {
                biased;
                permit = writer.batches.reserve(), if !self.out.is_empty() => match permit {
                    Ok(permit) => permit.send(std::mem::take(&mut self.out)),
                    Err(_) => break End::Left,
                },
                ended = &mut task => break End::Kernel(ended),
                Some(finished) = self.running.next(), if room => self.finish(finished),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.questions.expire(Instant::now());
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some(plain) = &mut self.plain {
                        plain.expire(Instant::now());
                    }
                }
                input = stdio::next(&mut batch, &mut messages), if room => {
                    let Some(input) = input else { break End::Left };
                    if self.input(input) {
                        break End::Left;
                    }
                    // A client that never stops sending must not keep its own turns from it.
                    if self.initialized && let Ok(message) = outgoing.try_recv() {
                        self.send(message);
                    }
                }
                Some(message) = outgoing.recv(), if room && self.initialized => self.send(message),
            }
        };
        let status = match end {
            End::Left => {
                self.stop(&mut outgoing).await;
                match task.now_or_never() {
                    Some(Ok(Err(error))) => Err(error),
                    _ => Ok(u8::from(!self.client.shut_down.load(Ordering::Relaxed))),
                }
            }
            End::Kernel(Ok(Ok(()))) => {
                Err(Error::internal("the kernel stopped without having been asked to"))
            }
            End::Kernel(Ok(Err(error))) => Err(error),
            End::Kernel(Err(error)) => Err(Error::internal("the kernel broke").because(error)),
        };
        self.settle();
        self.relay();
        if timeout(FLUSH, writer.flush(self.out)).await.is_err() {
            tracing::warn!("the client did not read the last messages");
        }
        status
    }

    /// Handles one message; says whether it was `exit`.
    fn input(&mut self, input: Input) -> bool {
        let was_broken = std::mem::replace(
            &mut self.broken,
            !matches!(input, Input::Message(Incoming::Call(_) | Incoming::Answer(..))),
        );
        match input {
            Input::Garbage if was_broken => {}
            Input::Garbage => {
                let error = rpc::parse_error("there is something between two messages that is no header");
                self.respond(Response::from_error(Id::Null, error));
            }
            Input::Message(Incoming::Bad(id, error)) => self.respond(Response::from_error(id, error)),
            Input::Message(Incoming::Answer(id, outcome)) => {
                self.answer(&id, outcome.as_ref().map(|result| result.get()));
            }
            Input::Message(Incoming::Call(call)) if call.method == "exit" => return true,
            Input::Message(Incoming::Call(call)) => self.call(call),
        }
        false
    }

    fn call(&mut self, call: Call) {
        if self.running.len() >= MOST_RUNNING {
            let error = Error::new(Code::Overloaded, "too many requests wait for their answers");
            if let Some(id) = call.id {
                self.respond(Response::from_error(
                    id,
                    error.hint("send the same request again later").into(),
                ));
            }
            return;
        }
        let initialize = call.method == "initialize";
        let working = self.initialized && !self.client.shut_down.load(Ordering::Relaxed);
        if let Some(plain) = self.plain.as_mut().filter(|_| working) {
            let params = call.params.as_deref().map_or("null", |params| params.get());
            if plain.call(call.id.as_ref(), &call.method, params) {
                return;
            }
        }
        if self.initialized && !self.ours && wire::METHODS.contains(&call.method.as_str()) {
            self.ours = true;
            // It is asked, and runs commands, like those that announced themselves.
            if self.plain.as_ref().is_none_or(|plain| plain.is_unused()) {
                self.runs_commands();
            }
        }
        let id = call.id.clone();
        let Some(request) = backend::request(call) else { return };
        let handler = self.service.call(request);
        let mut handler = Box::pin(async move {
            match AssertUnwindSafe(handler).catch_unwind().await {
                Ok(response) => Finished {
                    response: response.unwrap_or_default(),
                    initialize,
                    panicked: None,
                    plain: None,
                },
                Err(_) => Finished {
                    response: id.clone().map(|id| Response::from_error(id, RpcError::internal_error())),
                    initialize,
                    panicked: id,
                    plain: None,
                },
            }
        });
        // To its first wait, now: this is what keeps requests in order.
        match handler.as_mut().now_or_never() {
            Some(finished) => self.finish(finished),
            None => self.running.push(handler),
        }
    }

    /// Takes what the plain path has to write, and what it waits for.
    fn relay(&mut self) {
        let Some(plain) = &mut self.plain else { return };
        for waited in plain.take_started() {
            self.running.push(Box::pin(async move {
                Finished { response: None, initialize: false, panicked: None, plain: Some(waited.await) }
            }));
        }
        plain.write(&mut self.out);
    }

    fn finish(&mut self, finished: Finished) {
        if let (Some(done), Some(plain)) = (finished.plain, &mut self.plain) {
            plain.done(done);
        }
        if let Some(response) = finished.response {
            if finished.initialize && response.is_ok() {
                self.initialized = true;
                self.ours = self.client.announced.get().is_some();
                let features = self.client.plain.get();
                self.plain = features.map(|features| Box::new(Plain::new(self.kernel.clone(), *features)));
            }
            self.respond(response);
        }
        if let Some(id) = finished.panicked {
            // The service still counts the request as running.
            self.service.call(backend::cancel(&id)).now_or_never();
        }
    }

    /// Writes every answer that is ready.
    fn settle(&mut self) {
        while let Some(Some(finished)) = self.running.next().now_or_never() {
            self.finish(finished);
        }
    }

    fn respond(&mut self, response: Response) {
        rpc::write_response(&mut self.out, response);
    }

    /// The client answered one of our questions.
    fn answer(&mut self, id: &Id, outcome: Result<&str, &String>) {
        if let (Some(plain), Id::String(id)) = (&mut self.plain, id)
            && plain.answer(id, outcome)
        {
            return;
        }
        let question = match id {
            Id::String(id) => self.questions.answered(id),
            Id::Number(_) | Id::Null => None,
        };
        match question {
            Some(Question::Actuate(actuation)) => {
                let refusal = match outcome {
                    Ok(result) => wire::ActuateResult::from_wire(result),
                    Err(message) => Some(message.clone()),
                };
                match refusal {
                    Some(message) => self.refuse(actuation, message.chars().take(1000).collect()),
                    None => self.received(actuation),
                }
            }
            Some(Question::Abort(_)) => {}
            None => tracing::warn!(%id, "an answer to nothing that was asked"),
        }
    }

    fn runs_commands(&self) {
        if let Err(error) = self.kernel.send(Event::Runs(true)) {
            tracing::warn!(%error, "the kernel could not be told who runs commands");
        }
    }

    fn received(&self, actuation: ActuationId) {
        if let Err(error) = self.kernel.send(Event::Received(actuation)) {
            tracing::warn!(%error, "the kernel could not be told of a receipt");
        }
    }

    fn refuse(&self, actuation: ActuationId, message: String) {
        if let Err(error) = self.kernel.send(Event::Refused(actuation, message)) {
            tracing::error!(%error, "the kernel could not be told of a refusal");
        }
    }

    /// Writes what the kernel sends, behind all answers that are ready.
    fn send(&mut self, message: Outgoing) {
        self.settle();
        let alone = !self.ours;
        let leaving = self.client.shut_down.load(Ordering::Relaxed);
        if let Outgoing::Notice(notice) = &message {
            // Every editor has a place for it.
            let (method, params) = wire::convert::shown(notice);
            rpc::write_call(&mut self.out, None, method, &params);
            return;
        }
        if let Some(plain) = self.plain.as_mut().filter(|_| !leaving)
            && plain.takes(&message, alone)
        {
            return;
        }
        if !self.ours {
            tracing::debug!("a message for an editor that does not know this protocol was dropped");
            return;
        }
        let streaming = self.client.announced.get().and_then(|client| client.streaming).unwrap_or(true);
        let out = &mut self.out;
        match message {
            Outgoing::Turn(turn) => rpc::write_call(out, None, wire::TURN, &wire::TurnParams::to_wire(turn)),
            Outgoing::Delta(_) | Outgoing::Retract(_) if !streaming => {}
            Outgoing::Delta(delta) => {
                rpc::write_call(out, None, wire::DELTA, &wire::DeltaParams::to_wire(delta));
            }
            Outgoing::Thought(thought) => {
                let wanted = self.client.announced.get().and_then(|client| client.reasoning);
                if wanted.unwrap_or(false) && streaming {
                    rpc::write_call(out, None, wire::THOUGHT, &wire::ThoughtParams::to_wire(thought));
                }
            }
            Outgoing::Step(step) => {
                let wanted = self.client.announced.get().and_then(|client| client.steps);
                if wanted.unwrap_or(false) {
                    rpc::write_call(out, None, wire::STEP, &wire::StepParams::to_wire(step));
                }
            }
            Outgoing::Retract(retract) => {
                rpc::write_call(out, None, wire::RETRACT, &wire::RetractParams::to_wire(retract));
            }
            Outgoing::Actuate(actuation) => self.actuate(&actuation),
            Outgoing::Skills(Shelved { project, shelf }) => {
                let params = wire::ShelfParams::to_wire(project.as_deref(), &shelf);
                rpc::write_call(out, None, wire::SKILLS_CHANGED, &params);
            }
            // It was shown above.
            Outgoing::Notice(_) => {}
            Outgoing::Session(session, changes) => {
                let params = wire::SessionsChangedParams::to_wire(&session, &changes);
                rpc::write_call(out, None, wire::SESSIONS_CHANGED, &params);
            }
            Outgoing::Abort(actuation) => {
                let id = self.questions.ask(Question::Abort(actuation.clone()), Instant::now());
                rpc::write_call(out, Some(&id), wire::ABORT, &wire::AbortParams::to_wire(actuation));
            }
        }
    }

    fn actuate(&mut self, actuation: &Actuation) {
        let id = actuation.address().actuation.clone();
        // For a client that runs no commands the server does, but only the client can ask its user.
        let actuator = match actuation.action().kind() {
            Kind::Shell => None,
            Kind::Replace => Some(wire::REPLACE_REGION),
            Kind::Insert | Kind::Response | Kind::Skill | Kind::Log => Some(wire::INSERT_AT_END),
        };
        if let Some(name) = actuator.filter(|name| !self.client.can(name)) {
            self.refuse(id, format!("this editor has no actuator {name}"));
            return;
        }
        let question = self.questions.ask(Question::Actuate(id), Instant::now());
        let params = wire::ActuateParams::to_wire(actuation);
        rpc::write_call(&mut self.out, Some(&question), wire::ACTUATE, &params);
    }

    /// Asks the kernel to stop, and takes what it still sends.
    async fn stop(&mut self, outgoing: &mut mpsc::Receiver<Outgoing>) {
        let mut stopped = pin!(timeout(STOP, self.kernel.clone().stop()));
        loop {
            tokio::select! {
                biased;
                Some(finished) = self.running.next() => self.finish(finished),
                Some(message) = outgoing.recv() => {
                    // Nobody may be reading any more.
                    if self.initialized && self.out.len() < ROOM {
                        self.send(message);
                    }
                }
                stopped = &mut stopped => {
                    match stopped {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => tracing::error!(%error, "the kernel did not stop as it should"),
                        Err(_) => tracing::error!("the kernel did not stop in time"),
                    }
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! The kernel: one loop that owns all mutable state.
//!
//! Everything that can start work is an [`Event`]; handlers only enqueue. Turns are state machines
//! (`turn.rs`); the kernel carries out their effects in order: records go to the log at once, messages to
//! the outbox, which holds them until the records before them are durable. It knows no JSON-RPC and no
//! model's vendor.

mod actions;
mod call;
mod chat;
mod desk;
mod handle;
mod jobs;
mod keeping;
pub mod local;
pub mod models;
mod order;
mod outbox;
mod reads;
mod recovery;
mod rehearsal;
mod rewrite;
mod reconfigure;
pub mod rules;
mod secrets;
mod session;
mod sessions;
mod skills;
mod summaries;
mod tokens;
mod variants;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use crate::config::{Config, Secrets};
use crate::error::{Error, Result};
use crate::event::{Event, Reply, Resume, Resumed};
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::lisp::Environment;
use crate::model::{Ask, Model, Wanted};
use crate::outgoing::Outgoing;
use crate::prompt::Persona;
use crate::record::{Record, Summary};
use crate::shell::Rule;
use crate::skill::Shelf;
use crate::skills::Library;
use crate::store::{Appended, Lease, Store};
use crate::turn::{Effect, Effects, Turn};

use call::Call;
pub use handle::Handle;
use outbox::Outbox;
use session::Session;
use tokens::Tokens;

/// How many messages may wait for the client before previews are held back.
const CONGESTED: usize = 256;

/// How long a preview waits when the client does not keep up.
const HOLD: Duration = Duration::from_millis(50);

/// How many sessions without work are held. Each has a lease, an open file and its history.
const IDLE: usize = 16;

/// How many actuations the kernel remembers after their end, so that late reports are known.
const SETTLED: usize = 4096;

/// The owner of all state.
pub struct Kernel {
    config: Config,
    changes: reconfigure::Changes,
    persona: Persona,
    store: Store,
    /// From the client, never written anywhere.
    secrets: Secrets,
    /// The models that were asked, by name.
    models: HashMap<String, Arc<dyn Model>>,
    purse: models::Purse,
    looks: local::Looks,
    counters: models::Counters,
    /// What is being put into a few words, by the turn for whose prompt.
    summaries: HashMap<TurnId, Summary>,
    /// The rules of people for the shell.
    rules: Arc<Vec<Rule>>,
    /// Whether the client leaves commands to this server, and those that run.
    runs_here: bool,
    jobs: HashMap<TurnId, jobs::Running>,
    /// The skills, what their functions see of the environment, and those of each turn.
    desk: desk::Desk,
    shelf: Arc<Shelf>,
    /// The skills of projects with the user's, as they were at the last turn there.
    projects: HashMap<PathBuf, Arc<Shelf>>,
    variables: Arc<dyn Environment>,
    playing: HashMap<TurnId, skills::Playing>,
    tokens: Tokens,
    began: Instant,
    /// The last thing appended.
    ticket: u64,
    outbox: Outbox,
    sessions: HashMap<SessionId, Session>,
    /// Sessions in the order in which they were used, the busy ones among them.
    used: VecDeque<SessionId>,
    turns: HashMap<TurnId, Turn>,
    calls: HashMap<TurnId, Call>,
    /// Whose report is whose, also for a while after the end of the turn.
    actuations: HashMap<ActuationId, TurnId>,
    settled: VecDeque<ActuationId>,
    outputs: actions::Outputs,
    /// Where model calls and timers report to.
    internal: mpsc::Sender<Event>,
    reports: mpsc::Receiver<Event>,
    commits: mpsc::UnboundedReceiver<Result<u64>>,
    /// Clients that come back, each waiting until what it asks about is durable up to a ticket.
    returning: VecDeque<(u64, Resume, Reply<Resumed>)>,
    /// What clients asked and has to wait for its turn, and sessions that are to be read again.
    waiting: VecDeque<order::Waiting>,
    stale: Vec<(u64, SessionId)>,
    /// What is to be mirrored, and leases of sessions that are being deleted or let go.
    mirror: keeping::Mirror,
    retention: keeping::Retention,
    leaving: Vec<(u64, SessionId, Option<Lease>)>,
    /// Why the log takes no more.
    broken: Option<Error>,
    stopping: Vec<Reply<()>>,
}

impl Kernel {
    /// Opens the store under the configured directory.
    ///
    /// # Errors
    /// Those of [`Store::open`].
    pub fn open(config: Config) -> Result<Self> {
        let (committed, commits) = mpsc::unbounded_channel();
        // The receiver lives as long as the kernel; after it nobody needs to know.
        let store = Store::open(&config.paths.data, move |result| drop(committed.send(result)))?;
        let (internal, reports) = mpsc::channel(handle::QUEUE);
        let variables = crate::skills::environment(&config, |name| std::env::var(name).ok());
        let library = Library::open(&config.paths, Arc::clone(&variables));
        let shelf = library.shelf();
        let persona = skills::persona(&shelf, &config, &variables);
        let rules = Arc::new(rules::load(&config)?);
        let tokens = Tokens::new(&config.paths.data);
        Ok(Self {
            rules,
            runs_here: false,
            jobs: HashMap::new(),
            desk: desk::Desk::new(config.paths.clone(), Arc::clone(&variables), library),
            shelf,
            variables,
            playing: HashMap::new(),
            projects: HashMap::new(),
            config,
            changes: reconfigure::Changes::default(),
            tokens,
            persona,
            store,
            secrets: Secrets::new(),
            models: HashMap::new(),
            purse: models::Purse::default(),
            looks: local::Looks::default(),
            counters: models::Counters::default(),
            summaries: HashMap::new(),
            began: Instant::now(),
            ticket: 0,
            outbox: Outbox::default(),
            sessions: HashMap::new(),
            used: VecDeque::new(),
            turns: HashMap::new(),
            calls: HashMap::new(),
            actuations: HashMap::new(),
            settled: VecDeque::new(),
            outputs: actions::Outputs::default(),
            internal,
            reports,
            commits,
            returning: VecDeque::new(),
            waiting: VecDeque::new(),
            stale: Vec::new(),
            mirror: keeping::Mirror::default(),
            retention: keeping::Retention::default(),
            leaving: Vec::new(),
            broken: None,
            stopping: Vec::new(),
        })
    }

    /// Runs until it is told to stop, or nobody is left to tell it anything.
    ///
    /// # Errors
    /// If the log cannot be written any more: then nothing may be done, and what was not acknowledged is
    /// sent again by the client to the next server.
    pub async fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        client: mpsc::Sender<Outgoing>,
    ) -> Result<()> {
        let changed = self.internal.clone();
        let configured = self.internal.clone();
        self.look_for_damage();
        // If the queue is full, the next turn looks all the same.
        let _watch = crate::skills::watch(&self.desk.directory(), move || {
            drop(changed.try_send(Event::Skills));
        });
        let _file = crate::skills::watch(&self.config.paths.config_file(), move || {
            drop(configured.try_send(Event::Configured));
        });
        // What was saved before the file was watched.
        self.reconfigure();
        loop {
            let may_send = self.outbox.ready(&self.store);
            let next = self.take_next();
            if self.sound(next)? {
                continue;
            }
            if !self.stopping.is_empty() && self.outbox.is_durable(self.ticket) {
                self.outbox.close(&self.store);
                // Nothing is before what waits any more.
                if !self.waiting.is_empty() {
                    continue;
                }
                // Decisions that waited may have been taken since.
                self.tokens.revoke_all();
                for reply in self.stopping.drain(..) {
                    reply.send(Ok(()));
                }
                return Ok(());
            }
            let deadline = self.deadline();
            let event = tokio::select! {
                Some(result) = self.commits.recv() => Event::Committed(result),
                slot = client.reserve(), if may_send => {
                    if let (Some(message), Ok(slot)) = (self.outbox.next(), slot) {
                        slot.send(message);
                    }
                    continue;
                }
                Some(event) = self.reports.recv() => event,
                event = events.recv(), if self.stopping.is_empty() => match event {
                    Some(event) => event,
                    None => return Ok(()),
                },
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Event::Tick,
            };
            let taken = self.take(event);
            self.sound(taken)?;
        }
    }

    /// `result`, unless the log takes no more; if it is over, all who wait are told so.
    fn sound<T>(&mut self, result: Result<T>) -> Result<T> {
        let result = result.and_then(|done| self.broken.take().map_or(Ok(done), Err));
        if let Err(error) = &result {
            self.outbox.fail(error);
        }
        result
    }

    fn handle(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Hello { secrets, recover, runs } => self.hello(secrets, recover, runs),
            Event::Runs(runs) => self.runs_here = !runs,
            Event::Chat(message, reply) => {
                self.reconfigure();
                self.chat(message, reply);
            }
            Event::Rehearse(message, org, reply) => {
                self.reconfigure();
                self.rehearse(message, org, reply);
            }
            Event::Configured => self.reconfigure(),
            Event::Cancel(turn, reply) => self.cancel(&turn, reply),
            Event::Decide(decide, reply) => self.decide(&decide, reply),
            Event::Output(output) => self.output(&output),
            Event::Actuated(actuated, reply) => self.actuated(actuated, reply),
            Event::Refused(actuation, message) => self.refused(&actuation, message),
            Event::Received(actuation) => self.received(&actuation),
            Event::Release(session, reply) => self.let_go(&session, reply),
            Event::Session(task, reply) => self.session_task(task, reply),
            Event::Mirrored(written) => self.mirrored(written),
            Event::Looked(found) => self.looked(found),
            Event::Retain => self.retain(),
            Event::Read(query, reply) => self.read(query, reply),
            Event::Resume(resume, reply) => self.come_back(resume, reply),
            Event::Model { turn, attempt, piece } => {
                let now = self.now();
                self.advance(&turn, |turn| turn.piece(attempt, piece, now));
            }
            Event::Cast { turn, cast } => self.cast(&turn, cast),
            Event::Made { turn, made } => self.made(&turn, made),
            Event::Gated { turn, attempt, looked } => self.gated(&turn, attempt, looked),
            Event::Loaded { turn, loaded } => self.loaded(&turn, loaded),
            Event::Skills => self.refresh_skills(None),
            Event::Reload(reply) => self.refresh_skills(Some(reply)),
            Event::Shelf(shelved, reply) => self.shelved(&shelved, reply),
            Event::Trust(trust, reply) => self.trust(trust, reply),
            Event::Retry(turn) => {
                let now = self.now();
                self.advance(&turn, |turn| turn.retry(now));
            }
            Event::Tick => self.tick(),
            Event::Committed(result) => {
                self.outbox.committed(result?);
                // First: the next task may make a session anew that was deleted.
                self.leave();
                self.returned();
                self.reread()?;
                self.write_mirror();
                self.release();
            }
            Event::Stop(reply) => {
                self.calls.clear();
                self.tokens.revoke_all();
                self.stopping.push(reply);
            }
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    // Turns.

    /// Gives a turn an input and carries out what it answers. A turn that is not there has ended.
    fn advance(&mut self, id: &TurnId, input: impl FnOnce(&mut Turn) -> Effects) {
        if let Some(turn) = self.turns.get_mut(id) {
            let effects = input(turn);
            self.carry_out(id, effects);
        }
    }

    fn carry_out(&mut self, id: &TurnId, effects: Effects) {
        let Some(session) = self.turns.get(id).map(|turn| turn.subject().session.clone()) else { return };
        for effect in effects {
            match effect {
                Effect::Record(mut record) => {
                    self.count(id, &mut record);
                    if matches!(record, Record::ActionExecuted { .. }) {
                        self.tokens.revoke(id);
                    }
                    self.record(&session, &record);
                }
                Effect::Remember(item) => {
                    if let Some(session) = self.sessions.get_mut(&session) {
                        session.learn_of(id, &item);
                        session.remember(item);
                    }
                }
                Effect::Recall(item) => {
                    if let Some(session) = self.sessions.get_mut(&session) {
                        session.recall(item);
                    }
                }
                Effect::Ask(repair) => self.ask(id, repair.as_deref()),
                Effect::Dispatch => self.dispatch(id),
                Effect::Consult(question) => self.consult(id, question),
                Effect::Summarised(attempt, text) => self.summarised(id, attempt, &text),
                Effect::Answer(text) => self.answered(id, text),
                Effect::Gate(action) => self.gate(id, action),
                Effect::Activate(name) => self.activate(id, name),
                Effect::Summon(name) => self.summon(id, name),
                Effect::StopModel => drop(self.calls.remove(id)),
                Effect::RetryIn(time) => {
                    let (events, turn) = (self.internal.clone(), id.clone());
                    tokio::spawn(async move {
                        sleep(call::spread(time)).await;
                        // If the kernel is gone, there is nothing to try again.
                        drop(events.send(Event::Retry(turn)).await);
                    });
                }
                Effect::Issue(issue) => self.issue(id, &issue),
                Effect::Run(issue) => self.run_here(id, *issue),
                Effect::Send(message) => {
                    if let Outgoing::Actuate(actuation) = &message {
                        self.actuations.insert(actuation.address().actuation.clone(), id.clone());
                    }
                    self.outbox.send(self.ticket, message);
                }
                Effect::Ended => self.ended(id, &session),
            }
        }
    }

    /// Starts the next turn of a session, if none runs.
    fn start_next(&mut self, session: &SessionId) {
        let next = self.sessions.get_mut(session).and_then(Session::next);
        if let Some(turn) = next {
            self.keep_to_limit(session);
            self.advance(&turn, Turn::start);
        }
    }

    /// Takes a session in.
    fn keep(&mut self, id: &SessionId, session: Session) {
        self.sessions.insert(id.clone(), session);
        self.touch(id);
    }

    /// Notes that a session was used.
    fn touch(&mut self, id: &SessionId) {
        self.used.retain(|used| used != id);
        self.used.push_back(id.clone());
    }

    /// Lets go of the sessions that were not used for longest, if they have nothing to do and nothing of them waits
    /// for the disk: from then on another server may take them.
    fn release(&mut self) {
        if self.used.len() <= IDLE || !self.outbox.is_durable(self.ticket) {
            return;
        }
        let idle: Vec<SessionId> = self
            .used
            .iter()
            .filter(|id| self.sessions.get(id).is_some_and(Session::is_idle))
            .cloned()
            .collect();
        for id in &idle[..idle.len().saturating_sub(IDLE)] {
            self.sessions.remove(id);
            self.store.forget(id);
            self.used.retain(|used| used != id);
        }
    }

    /// Lets go of a session that nobody here works with any more, if it has nothing to do.
    fn let_go(&mut self, id: &SessionId, reply: Reply<()>) {
        if self.sessions.get(id).is_some_and(Session::is_idle) {
            let lease = self.sessions.remove(id).map(Session::into_lease);
            self.used.retain(|used| used != id);
            self.leaving.push((self.ticket, id.clone(), lease));
        }
        self.answer(reply, Ok(()));
        self.leave();
    }

    /// Gives sessions back once all that was said in them is on disk.
    fn leave(&mut self) {
        let outbox = &self.outbox;
        for (_, id, lease) in self.leaving.extract_if(.., |(ticket, ..)| outbox.is_durable(*ticket)) {
            // Whoever makes it anew goes on where its chain ends then.
            self.store.forget(&id);
            drop(lease);
        }
    }

    fn ended(&mut self, id: &TurnId, session: &SessionId) {
        self.touch(session);
        self.calls.remove(id);
        self.purse.ended(id);
        self.changes.ended(id);
        self.summaries.remove(id);
        self.jobs.remove(id);
        self.tokens.revoke(id);
        self.strike(id);
        self.turns.remove(id);
        for actuation in
            self.actuations.iter().filter(|(_, turn)| *turn == id).map(|(actuation, _)| actuation)
        {
            self.outputs.forget(actuation);
            if !self.settled.contains(actuation) {
                self.settled.push_back(actuation.clone());
            }
        }
        while self.settled.len() > SETTLED {
            if let Some(oldest) = self.settled.pop_front() {
                self.actuations.remove(&oldest);
            }
        }
        if let Some(session) = self.sessions.get_mut(session) {
            session.ended(id);
        }
        self.mirror(session);
        self.start_next(session);
    }

    /// Sends a turn's prompt to the model.
    fn ask(&mut self, id: &TurnId, repair: Option<&str>) {
        if repair.is_none() && self.summarise(id) {
            return;
        }
        let buffer = self.turns.get(id).map(|turn| turn.subject().buffer.clone());
        if let (Some(messages), Some(buffer)) = (self.prompt_of(id, repair), buffer) {
            self.call_model(id, Ask { messages, wanted: Wanted::Action { buffer } });
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let deadline = self.began + self.turns.values().filter_map(Turn::deadline).min()?;
        // A client that does not keep up gets fewer, larger pieces.
        Some(if self.outbox.len() > CONGESTED { deadline.max(Instant::now() + HOLD) } else { deadline })
    }

    fn tick(&mut self) {
        let now = self.now();
        let due: Vec<TurnId> = self
            .turns
            .iter()
            .filter(|(_, turn)| turn.deadline().is_some_and(|deadline| deadline <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            self.advance(&id, |turn| turn.tick(now));
        }
    }

    // The log and answers.

    fn append(&mut self, session: &SessionId, record: &Record) -> Result<Appended> {
        let appended = self.store.append(session, record)?;
        self.ticket = appended.ticket;
        Ok(appended)
    }

    /// Appends a record of work that is already under way. If the log takes no more, the loop ends:
    /// nothing that follows from the record may leave.
    fn record(&mut self, session: &SessionId, record: &Record) {
        if let Err(error) = self.append(session, record) {
            tracing::error!(%error, kind = record.kind(), "the log took no more");
            self.broken = Some(error);
        }
    }

    /// Answers once everything appended so far is durable.
    fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, result: Result<T>) {
        self.outbox.answer(self.ticket, move |durable| reply.send(durable.and(result)));
    }
}

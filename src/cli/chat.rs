//! `org-agent chat`: a terminal over the same kernel, a client like any other.
//!
//! Standard output gets the conversation, or with `--json` one event per line; questions and notes go to
//! standard error. A command that the policy asks about runs only after a `y` at a terminal, typed after the
//! question was asked: without one the answer is no.

mod input;
mod screen;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::config;
use crate::action::Kind;
use crate::config::Secrets;
use crate::error::{Error, Result};
use crate::event::{Actuated, ChatMessage, Choice, Decide, Event, Output, reply};
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::kernel::{Handle, Kernel};
use crate::outgoing::{Actuation, Outgoing, State};
use crate::record::{Decision, Location, Outcome};
use crate::runner::{self, Job};
use input::Input;
use screen::Screen;

/// The buffer that terminal sessions belong to, so that they and the editor's chats keep apart.
const BUFFER: &str = "*org-agent-terminal*";

/// The exit status after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

/// Chat in the terminal; with TEXT, one turn and exit
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent chat\n  org-agent chat \"What is a monad?\"\n  \
    org-agent chat --json \"Hello\" | tail -n 1\n\nCtrl-C cancels the running turn. At the prompt, Ctrl-D or Ctrl-C ends the chat.")]
pub(super) struct Args {
    /// What to say; several words need no quotes
    text: Vec<String>,
    /// Print every event as a JSON line, in the shapes of the wire protocol
    #[arg(long)]
    json: bool,
    /// Go on with this session instead of the newest one
    #[arg(long, value_name = "ID", conflicts_with = "new")]
    session: Option<String>,
    /// Begin a new session
    #[arg(long)]
    new: bool,
}

/// Runs the command; 0 if every turn ended as it should, else 1; 130 after Ctrl-C at the prompt.
pub(super) fn main(args: &Args) -> Result<u8> {
    if !args.text.is_empty() && args.text.iter().all(|word| word.trim().is_empty()) {
        return Err(Error::bad_request("nothing to say")
            .because("TEXT is empty")
            .hint("write something, or leave TEXT out to chat line by line"));
    }
    crate::logging::start_quiet()?;
    let runtime = super::runtime()?;
    runtime.block_on(run(args))
}

async fn run(args: &Args) -> Result<u8> {
    let kernel = Kernel::open(config()?)?;
    let (handle, queue) = Handle::new();
    let (client, messages) = mpsc::channel(256);
    let kernel = tokio::spawn(kernel.run(queue, client));
    handle.send(Event::Hello { secrets: Secrets::new(), recover: false, runs: true })?;
    let buffer = if args.new { format!("{BUFFER} {}", crate::ids::token()?) } else { BUFFER.to_owned() };
    let mut chat = Chat {
        handle: handle.clone(),
        messages,
        input: Input::default(),
        screen: Screen::new(args.json),
        session: args.session.as_deref().map(SessionId::from),
        buffer,
        directory: std::env::current_dir()
            .map_err(|error| Error::bad_request("there is no current directory").because(error))?,
        said: 0,
    };
    let result = chat.talk(&args.text.join(" ")).await;
    let (stopped, done) = reply();
    if handle.send(Event::Stop(stopped)).is_ok() {
        done.get().await?;
    }
    drop(chat);
    kernel.await.map_err(|error| Error::internal("the kernel broke").because(error))??;
    result
}

struct Chat {
    handle: Handle,
    messages: mpsc::Receiver<Outgoing>,
    input: Input,
    screen: Screen,
    session: Option<SessionId>,
    buffer: String,
    /// Where it was started: the workspace of its commands.
    directory: PathBuf,
    said: u64,
}

impl Chat {
    /// One turn for `text`, or turns until the input ends. The exit status.
    async fn talk(&mut self, text: &str) -> Result<u8> {
        if !text.is_empty() {
            return self.turn(text).await.map(|good| u8::from(!good));
        }
        let mut good = true;
        loop {
            self.screen.prompt()?;
            let line = tokio::select! {
                line = self.input.line() => line,
                signal = tokio::signal::ctrl_c() => {
                    watched(signal)?;
                    self.screen.end_line()?;
                    return Ok(INTERRUPTED);
                }
            };
            let done = match line {
                None => return Ok(u8::from(!good)),
                Some(Ok(line)) if line.trim().is_empty() => continue,
                Some(Ok(line)) => self.turn(&line).await,
                Some(Err(error)) => Err(error),
            };
            good &= match done {
                Ok(done) => done,
                Err(error) => {
                    self.screen.note(&error.to_string())?;
                    false
                }
            };
        }
    }

    async fn turn(&mut self, text: &str) -> Result<bool> {
        self.said += 1;
        let (answer, receipt) = reply();
        let message = ChatMessage {
            steers: None,
            client_id: format!("{}-{}", crate::ids::token()?, self.said),
            session: self.session.clone(),
            buffer: Some(self.buffer.clone()),
            text: text.to_owned(),
            level: 1,
            context: Vec::new(),
            location: self
                .directory
                .to_str()
                .map(|directory| Location { directory: directory.to_owned(), host: None }),
            hashes: BTreeMap::new(),
        };
        self.handle.send(Event::Chat(message, answer))?;
        let receipt = receipt.get().await?;
        self.session = Some(receipt.session);
        self.follow(&receipt.turn).await
    }

    /// Follows a turn to its end.
    async fn follow(&mut self, turn: &TurnId) -> Result<bool> {
        loop {
            let message = tokio::select! {
                message = self.messages.recv() => message,
                signal = tokio::signal::ctrl_c() => {
                    watched(signal)?;
                    self.cancel(turn).await?;
                    continue;
                }
            };
            let Some(message) = message else { return Err(Error::internal("the kernel has stopped")) };
            self.screen.show(&message)?;
            match message {
                Outgoing::Turn(state) if state.turn == *turn && state.state.is_end() => {
                    return Ok(state.state == State::Done);
                }
                Outgoing::Actuate(actuation) => self.actuate(&actuation).await?,
                Outgoing::Turn(_)
                | Outgoing::Delta(_)
                | Outgoing::Thought(_)
                | Outgoing::Step(_)
                | Outgoing::Retract(_)
                | Outgoing::Abort(_)
                | Outgoing::Skills(_)
                | Outgoing::Notice(_)
                | Outgoing::Session(..) => {}
            }
        }
    }

    async fn cancel(&self, turn: &TurnId) -> Result<()> {
        let (answer, cancelled) = reply();
        self.handle.send(Event::Cancel(turn.clone(), answer))?;
        cancelled.get().await.map(drop)
    }

    async fn actuate(&mut self, actuation: &Actuation) -> Result<()> {
        let id = &actuation.address().actuation;
        if actuation.action().kind() != Kind::Shell {
            return self.report(id, None, Outcome::default()).await;
        }
        if actuation.decision() == Decision::Allow {
            self.screen.note(&format!("runs unasked: {}", actuation.rule()))?;
            let outcome = self.execute(actuation, actuation.token().unwrap_or_default()).await;
            return self.report(id, actuation.token().map(str::to_owned), outcome).await;
        }
        let run = tokio::select! {
            run = self.ask(actuation) => run?,
            signal = tokio::signal::ctrl_c() => {
                watched(signal)?;
                self.screen.end_line()?;
                return self.cancel(&actuation.address().turn).await;
            }
        };
        let choice = if run { Choice::Run } else { Choice::Deny };
        let (answer, decided) = reply();
        let decide = Decide {
            actuation: id.clone(),
            choice,
            command: None,
            message: None,
            network: false,
            unconfined: false,
        };
        self.handle.send(Event::Decide(decide, answer))?;
        let decided = decided.get().await?;
        if decided.decision != Decision::Allow {
            return Ok(());
        }
        let outcome = self.execute(actuation, decided.token.as_deref().unwrap_or_default()).await;
        self.report(id, decided.token, outcome).await
    }

    /// Runs a command and passes on what it writes; Ctrl-C kills it, and its outcome says so.
    async fn execute(&self, actuation: &Actuation, token: &str) -> Outcome {
        let id = actuation.address().actuation.clone();
        let job = Job::new(actuation.action(), token.to_owned(), actuation.unconfined().is_none());
        let stop = async {
            drop(tokio::signal::ctrl_c().await);
            "stopped by the user".to_owned()
        };
        let mut seq = 0;
        runner::run(&job, stop, |stderr, text| {
            self.screen.output(text);
            seq += 1;
            let output = Output { actuation: id.clone(), seq, stderr, text: text.to_owned() };
            // Live output may be lost under load; the outcome has all that is kept.
            drop(self.handle.send(Event::Output(output)));
        })
        .await
    }

    async fn ask(&mut self, actuation: &Actuation) -> Result<bool> {
        self.screen.question(actuation)?;
        if !io::stdin().is_terminal() {
            self.screen.note("not at a terminal, so the answer is no")?;
            return Ok(false);
        }
        if self.input.discard().await? {
            self.screen.note("what was typed before this question was discarded")?;
        }
        self.screen.confirm()?;
        Ok(
            matches!(self.input.line().await, Some(Ok(answer)) if matches!(answer.as_str(), "y" | "Y" | "yes")),
        )
    }

    async fn report(&self, id: &ActuationId, token: Option<String>, outcome: Outcome) -> Result<()> {
        let (answer, done) = reply();
        self.handle.send(Event::Actuated(Actuated { actuation: id.clone(), token, outcome }, answer))?;
        done.get().await
    }
}

/// The error if a signal cannot be watched for.
fn watched(signal: io::Result<()>) -> Result<()> {
    signal.map_err(|error| Error::internal("Ctrl-C cannot be watched").because(error))
}

/// An error of writing to the terminal.
fn broken_pipe(error: io::Error) -> Error {
    Error::internal("the terminal took no more").because(error)
}

fn flush(stream: &mut impl Write) -> Result<()> {
    stream.flush().map_err(broken_pipe)
}

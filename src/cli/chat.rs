//! `org-agent chat`: a terminal over the same kernel, a client like any other.
//!
//! Standard output gets the conversation, or with `--json` one event per line; questions and notes go to
//! standard error. A command runs only after a `y` at a terminal: without one the answer is no.

mod command;
mod screen;

use std::io::{self, BufRead, IsTerminal, Write};

use tokio::sync::mpsc;

use super::config;
use crate::error::{Error, Result};
use crate::event::{Actuated, ChatMessage, Choice, Decide, Event, Output, reply};
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::kernel::{Handle, Kernel};
use crate::outgoing::{Actuation, Outgoing, State};
use crate::record::{Decision, Outcome};
use screen::Screen;

/// The buffer that terminal sessions belong to, so that they and the editor's chats keep apart.
const BUFFER: &str = "*org-agent-terminal*";

/// The longest line that is read as a message, in bytes.
const LINE: u64 = 1 << 20;

/// Chat in the terminal; with TEXT, one turn and exit
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  org-agent chat\n  org-agent chat \"What is a monad?\"\n  \
    org-agent chat --json \"Hello\" | tail -n 1\n\nEnd with Ctrl-D; Ctrl-C cancels the running turn.")]
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

/// Runs the command; 0 if every turn ended as it should, else 1.
pub(super) fn main(args: &Args) -> Result<u8> {
    crate::logging::start_quiet()?;
    let runtime = super::runtime()?;
    runtime.block_on(run(args))
}

async fn run(args: &Args) -> Result<u8> {
    let kernel = Kernel::open(config()?)?;
    let (handle, queue) = Handle::new();
    let (client, messages) = mpsc::channel(256);
    let kernel = tokio::spawn(kernel.run(queue, client));
    handle.send(Event::Hello { secrets: std::collections::BTreeMap::new(), recover: false })?;
    let buffer = if args.new { format!("{BUFFER} {}", crate::ids::token()?) } else { BUFFER.to_owned() };
    let mut chat = Chat {
        handle: handle.clone(),
        messages,
        lines: lines(),
        screen: Screen::new(args.json),
        session: args.session.as_deref().map(SessionId::from),
        buffer,
        said: 0,
    };
    let result = chat.talk(&args.text.join(" ")).await;
    let (stopped, done) = reply();
    if handle.send(Event::Stop(stopped)).is_ok() {
        done.get().await?;
    }
    drop(chat);
    kernel.await.map_err(|error| Error::internal("the kernel broke").because(error))??;
    result.map(|good| u8::from(!good))
}

/// Lines of standard input, read on a thread of their own: a terminal cannot be waited for otherwise
/// without holding up the end of the program.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match io::Read::take(&mut input, LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let line = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
                    if sender.blocking_send(line).is_err() {
                        return;
                    }
                }
            }
        }
    });
    receiver
}

struct Chat {
    handle: Handle,
    messages: mpsc::Receiver<Outgoing>,
    lines: mpsc::Receiver<String>,
    screen: Screen,
    session: Option<SessionId>,
    buffer: String,
    said: u64,
}

impl Chat {
    /// One turn for `text`, or turns until the input ends. True if all ended as they should.
    async fn talk(&mut self, text: &str) -> Result<bool> {
        if !text.trim().is_empty() {
            return self.turn(text).await;
        }
        let mut good = true;
        loop {
            self.screen.prompt()?;
            let Some(line) = self.lines.recv().await else { return Ok(good) };
            if !line.trim().is_empty() {
                good &= match self.turn(&line).await {
                    Ok(done) => done,
                    Err(error) => {
                        self.screen.note(&error.to_string())?;
                        false
                    }
                };
            }
        }
    }

    async fn turn(&mut self, text: &str) -> Result<bool> {
        self.said += 1;
        let (answer, receipt) = reply();
        let message = ChatMessage {
            client_id: format!("{}-{}", crate::ids::token()?, self.said),
            session: self.session.clone(),
            buffer: Some(self.buffer.clone()),
            text: text.to_owned(),
            level: 1,
            context: Vec::new(),
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
                    signal.map_err(|error| Error::internal("Ctrl-C cannot be watched").because(error))?;
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
                Outgoing::Turn(_) | Outgoing::Delta(_) | Outgoing::Retract(_) | Outgoing::Abort(_) => {}
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
        if actuation.decision() == Decision::Allow {
            return self.report(id, None, Outcome::default()).await;
        }
        let choice = if self.ask(actuation).await? { Choice::Run } else { Choice::Deny };
        let (answer, decided) = reply();
        let decide = Decide { actuation: id.clone(), choice, command: None, message: None };
        self.handle.send(Event::Decide(decide, answer))?;
        let decided = decided.get().await?;
        if decided.decision != Decision::Allow {
            return Ok(());
        }
        let outcome = self.execute(actuation).await;
        self.report(id, decided.token, outcome).await
    }

    /// Runs a command and passes on what it writes; Ctrl-C kills it, and its outcome says so.
    async fn execute(&self, actuation: &Actuation) -> Outcome {
        let id = actuation.address().actuation.clone();
        let mut seq = 0;
        command::run(actuation.action(), |stderr, text| {
            self.screen.output(text);
            seq += 1;
            let output = Output { actuation: id.clone(), seq, stderr, text: text.to_owned() };
            // Live output may be lost under load; the outcome has all that is kept.
            drop(self.handle.send(Event::Output(output)));
        })
        .await
    }

    async fn ask(&mut self, actuation: &Actuation) -> Result<bool> {
        self.screen.question(actuation.action(), actuation.rule())?;
        if !io::stdin().is_terminal() {
            self.screen.note("not at a terminal, so the answer is no")?;
            return Ok(false);
        }
        Ok(self.lines.recv().await.is_some_and(|line| matches!(line.trim(), "y" | "Y" | "yes")))
    }

    async fn report(&self, id: &ActuationId, token: Option<String>, outcome: Outcome) -> Result<()> {
        let (answer, done) = reply();
        self.handle.send(Event::Actuated(Actuated { actuation: id.clone(), token, outcome }, answer))?;
        done.get().await
    }
}

/// An error of writing to the terminal.
fn broken_pipe(error: io::Error) -> Error {
    Error::internal("the terminal took no more").because(error)
}

fn flush(stream: &mut impl Write) -> Result<()> {
    stream.flush().map_err(broken_pipe)
}

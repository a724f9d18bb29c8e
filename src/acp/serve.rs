//! The loop of this edge: messages in, calls of the [`Server`], messages out. One client, one loop, one owner of what is
//! written.
//!
//! What it holds to:
//! - A request is handled as far as its first wait before the next message is looked at.
//! - All answers that are ready are written before anything that the kernel sends unasked.
//! - Nothing grows without bound: a client that does not read is not listened to either.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::pin::pin;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until, timeout};

use super::jobs::Report;
use super::server::{Server, Started};
use super::text::Format;
use super::{lines, out};
use crate::error::{Error, Result};
use crate::kernel::Handle;
use crate::lsp::rpc::Incoming;
use crate::lsp::serve::Line;
use crate::lsp::stdio::{self, Writer};
use crate::outgoing::Outgoing;

/// With this many bytes unwritten, nothing is read and nothing taken from the kernel.
const ROOM: usize = 1024 * 1024;

/// How many steps the loop takes before other tasks get their turn.
const STEPS: usize = 64;

/// How many reports of commands may wait.
const REPORTS: usize = 256;

/// How long the kernel may take to stop, and then the client to read the last bytes.
const STOP: Duration = Duration::from_secs(5);
const FLUSH: Duration = Duration::from_secs(1);

/// Why the loop ended.
enum End {
    /// The client closed its end, or reads no more.
    Left,
    /// The kernel ended by itself.
    Kernel(std::result::Result<Result<()>, JoinError>),
}

/// Serves one client until it leaves. It is shown text in `format`; without one, as its name or it says.
///
/// # Errors
/// `internal` if the system gives no threads; what ended the kernel, if that was not the client.
pub async fn serve(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    line: Line,
    format: Option<Format>,
) -> Result<()> {
    let messages = lines::read(input)?;
    let writer = stdio::write(output)?;
    let (reports, reported) = mpsc::channel(REPORTS);
    let edge = Edge {
        server: Server::new(line.kernel.clone(), format, reports),
        kernel: line.kernel,
        running: FuturesUnordered::new(),
    };
    // Unconstrained: a spent budget would make answers that are ready look as if they were not.
    tokio::task::unconstrained(edge.run(messages, writer, line.outgoing, reported, line.task)).await
}

struct Edge {
    server: Server,
    kernel: Handle,
    running: FuturesUnordered<Started>,
}

impl Edge {
    async fn run(
        mut self,
        mut messages: mpsc::Receiver<Vec<Incoming>>,
        writer: Writer,
        mut outgoing: mpsc::Receiver<Outgoing>,
        mut reported: mpsc::Receiver<Report>,
        mut task: tokio::task::JoinHandle<Result<()>>,
    ) -> Result<()> {
        let mut batch = VecDeque::new();
        let mut steps = 0;
        let end = loop {
            steps += 1;
            if steps % STEPS == 0 {
                tokio::task::yield_now().await;
            }
            self.relay();
            let room = self.server.out.len() < ROOM;
            let deadline = self.server.deadline();
            let may_take = self.server.may_take();
            tokio::select! {
                biased;
                permit = writer.batches.reserve(), if !self.server.out.is_empty() => match permit {
                    Ok(permit) => permit.send(std::mem::take(&mut self.server.out)),
                    Err(_) => break End::Left,
                },
                ended = &mut task => break End::Kernel(ended),
                Some(done) = self.running.next(), if room => self.server.done(done),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.server.expire(Instant::now());
                }
                Some(report) = reported.recv(), if room => self.server.reported(report),
                input = stdio::next(&mut batch, &mut messages), if room => {
                    let Some(input) = input else { break End::Left };
                    self.input(input);
                    // A client that never stops sending must not keep its own turns from it.
                    if may_take && let Ok(message) = outgoing.try_recv() {
                        self.take(message);
                    }
                }
                Some(message) = outgoing.recv(), if room && may_take => self.take(message),
            }
        };
        let result = match end {
            End::Left => {
                self.stop(&mut outgoing).await;
                match task.now_or_never() {
                    Some(Ok(Err(error))) => Err(error),
                    _ => Ok(()),
                }
            }
            End::Kernel(Ok(Ok(()))) => {
                Err(Error::internal("the kernel stopped without having been asked to"))
            }
            End::Kernel(Ok(Err(error))) => Err(error),
            End::Kernel(Err(error)) => Err(Error::internal("the kernel broke").because(error)),
        };
        self.settle();
        if timeout(STOP, self.server.stop_commands()).await.is_err() {
            tracing::error!("a command did not stop in time");
        }
        if timeout(FLUSH, writer.flush(self.server.out)).await.is_err() {
            tracing::warn!("the client did not read the last messages");
        }
        result
    }

    fn input(&mut self, input: Incoming) {
        match input {
            Incoming::Call(call) => self.server.call(&call),
            Incoming::Answer(id, Ok(result)) => self.server.answered(&id, Ok(result.get())),
            Incoming::Answer(id, Err(message)) => self.server.answered(&id, Err(&message)),
            Incoming::Bad(id, error) => out::refuse(&mut self.server.out, &id, &error),
        }
    }

    /// Lets what was started run to its first wait.
    fn relay(&mut self) {
        loop {
            let started = self.server.take_started();
            if started.is_empty() {
                return;
            }
            for mut work in started {
                match work.as_mut().now_or_never() {
                    Some(done) => self.server.done(done),
                    None => self.running.push(work),
                }
            }
        }
    }

    /// Does all that was waited for and is there.
    fn settle(&mut self) {
        self.relay();
        while let Some(Some(done)) = self.running.next().now_or_never() {
            self.server.done(done);
            self.relay();
        }
    }

    /// Takes what the kernel sends, behind all answers that are ready.
    fn take(&mut self, message: Outgoing) {
        self.settle();
        self.server.take(message);
    }

    /// Asks the kernel to stop, and takes what it still sends.
    async fn stop(&mut self, outgoing: &mut mpsc::Receiver<Outgoing>) {
        let mut stopped = pin!(timeout(STOP, self.kernel.clone().stop()));
        loop {
            tokio::select! {
                biased;
                Some(done) = self.running.next() => self.server.done(done),
                // Nobody is left to be told.
                Some(_) = outgoing.recv() => {}
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

//! The commands that this server runs itself, for a client that runs none. What comes of one arrives as the same
//! events that a client would send.

use futures::channel::oneshot;
use futures::future::{Either, select};

use super::Kernel;
use crate::event::{Actuated, Event, Output, reply};
use crate::ids::TurnId;
use crate::runner::{self, Job};
use crate::turn::Issue;

/// A running command. Dropping it stops the command with all that it started.
#[derive(Debug)]
pub(super) struct Running {
    _stop: oneshot::Sender<()>,
}

impl Kernel {
    /// Writes down what the token of a command lets run that needs no decision. If that fails the command goes its way
    /// and is not run, and both the user and the model are told why.
    pub(super) fn issue(&mut self, id: &TurnId, issue: &Issue) {
        let Some(turn) = self.turns.get(id) else { return };
        if let Err(error) = self.tokens.issue(id, issue, &turn.subject().around) {
            tracing::error!(%error, "what a token lets run could not be written down");
            self.tokens.broken(id, &issue.token, &error);
        }
    }

    /// Starts a command of a turn, once all that was logged about it is on disk.
    pub(super) fn run_here(&mut self, turn: &TurnId, issue: Issue) {
        let Issue { token, actuation, action, confined, .. } = issue;
        self.actuations.insert(actuation.clone(), turn.clone());
        let job = Job::new(action.action(), token, confined);
        let (stop, stopped) = oneshot::channel::<()>();
        let (go, durable) = oneshot::channel();
        self.outbox.answer(self.ticket, move |store| drop(store.map(|_| go.send(()))));
        let events = self.internal.clone();
        tokio::spawn(async move {
            let stopped = match select(durable, stopped).await {
                Either::Left((Ok(()), stopped)) => stopped,
                // It ended before, or nothing can be logged any more.
                _ => return,
            };
            let live = events.clone();
            let id = actuation.clone();
            let stop = async {
                // Nothing is ever sent: the other end is dropped.
                let _ = stopped.await;
                "stopped".to_owned()
            };
            let mut seq = 0;
            let outcome = runner::run(&job, stop, |stderr, text| {
                seq += 1;
                let output = Output { actuation: id.clone(), seq, stderr, text: text.to_owned() };
                // Live output may be lost under load; the outcome has all that is kept.
                drop(live.try_send(Event::Output(output)));
            })
            .await;
            let (answer, _) = reply();
            let actuated = Actuated { actuation, token: None, outcome };
            // If the kernel is gone, nobody waits for it.
            drop(events.send(Event::Actuated(actuated, answer)).await);
        });
        self.jobs.insert(turn.clone(), Running { _stop: stop });
    }
}

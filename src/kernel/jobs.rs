//! Commands that this server runs itself, for a client that runs none. What comes of one arrives as the same events
//! that a client would send.

use std::path::PathBuf;

use futures::channel::oneshot;

use super::Kernel;
use crate::action::Action;
use crate::event::{Actuated, Event, Output, reply};
use crate::ids::{ActuationId, TurnId};
use crate::runner::{self, Job};
use crate::shell::Step;

/// A running command. Dropping it stops the command with all that it started.
#[derive(Debug)]
pub(super) struct Running {
    _stop: oneshot::Sender<()>,
}

impl Kernel {
    /// Starts a command of a turn.
    pub(super) fn run_here(
        &mut self,
        turn: &TurnId,
        actuation: ActuationId,
        action: &Action,
        steps: Option<Vec<Step>>,
    ) {
        self.actuations.insert(actuation.clone(), turn.clone());
        let directory = self.turns.get(turn).and_then(|turn| turn.subject().around.directory.clone());
        let directory =
            directory.or_else(|| std::env::current_dir().ok()).unwrap_or_else(|| PathBuf::from("/"));
        let job = Job::new(action, directory, steps);
        let (stop, stopped) = oneshot::channel::<()>();
        let events = self.internal.clone();
        tokio::spawn(async move {
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

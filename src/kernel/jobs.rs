//! What tokens let run, and the commands that this server runs itself, for a client that runs none. What comes of one
//! arrives as the same events that a client would send.

use futures::channel::oneshot;

use super::Kernel;
use crate::event::{Actuated, Event, Output, reply};
use crate::ids::TurnId;
use crate::runner::{self, Job};
use crate::turn::{Issue, Turn};
use crate::warrant::Warrant;

/// A running command. Dropping it stops the command with all that it started.
#[derive(Debug)]
pub(super) struct Running {
    _stop: oneshot::Sender<()>,
}

impl Kernel {
    /// Writes down what a token lets run. What the turn gave out before is worth nothing any more.
    pub(super) fn issue(&mut self, turn: &TurnId, issue: &Issue) {
        self.revoke(turn);
        let Some(subject) = self.turns.get(turn).map(Turn::subject) else { return };
        if subject.around.host.is_some() {
            // What runs on another machine, the client alone can run.
            return;
        }
        let action = issue.action.action();
        let warrant = Warrant {
            actuation: issue.actuation.clone(),
            text: action.text("cmd").unwrap_or_default().to_owned(),
            steps: issue.steps.clone(),
            unasked: issue.unasked,
            directory: subject.around.base.clone(),
            cwd: subject.around.within(action.text("cwd")),
            network: issue.network,
            confined: issue.confined,
            environment: Warrant::environment(),
        };
        match self.warrants.issue(&issue.token, &warrant) {
            Ok(()) => drop(self.tokens.insert(turn.clone(), issue.token.clone())),
            // Whoever runs it is told that the token is worth nothing.
            Err(error) => tracing::error!(%error, "what a token lets run could not be written down"),
        }
    }

    /// Takes back what a turn's token is worth, if nobody took it.
    pub(super) fn revoke(&mut self, turn: &TurnId) {
        if let Some(token) = self.tokens.remove(turn) {
            self.warrants.revoke(&token);
        }
    }

    /// Starts a command of a turn.
    pub(super) fn run_here(&mut self, turn: &TurnId, issue: Issue) {
        let Issue { token, actuation, action, confined, .. } = issue;
        self.actuations.insert(actuation.clone(), turn.clone());
        let job = Job::new(action.action(), token, confined);
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

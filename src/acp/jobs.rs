//! Commands that run here: each in a task of its own, which reports what it writes and how it ends.

use std::time::Duration;

use agent_client_protocol_schema::v1::{ToolCallStatus, ToolCallUpdateFields};
use futures::channel::oneshot;
use tokio::time::Instant;

use super::server::Server;
use super::tools;
use crate::ids::ActuationId;
use crate::record::Outcome;
use crate::runner;

/// How often live output is shown at most.
const OFTEN: Duration = Duration::from_millis(100);

/// What a command that runs here reports.
#[derive(Debug)]
pub enum Report {
    /// It wrote something.
    Wrote(ActuationId, String),
    /// It ended.
    Ended(ActuationId, Box<Outcome>),
}

impl Server {
    pub(super) fn run_here(&mut self, actuation: &ActuationId) {
        self.show(actuation, ToolCallUpdateFields::new().status(ToolCallStatus::InProgress));
        let Some(command) = self.commands.get_mut(actuation) else { return };
        let (stop, stopped) = oneshot::channel::<()>();
        command.stop = Some(stop);
        let (job, id, reports) = (command.job.clone(), actuation.clone(), self.reports.clone());
        self.jobs.spawn(async move {
            let stop = async {
                // Nothing is ever sent: the other end is dropped.
                let _ = stopped.await;
                "stopped".to_owned()
            };
            let outcome = runner::run(&job, stop, |_, text| {
                // Live output may be lost under load; the outcome has all that is kept.
                drop(reports.try_send(Report::Wrote(id.clone(), text.to_owned())));
            })
            .await;
            // If the edge is gone, nobody waits for it.
            drop(reports.send(Report::Ended(id, Box::new(outcome))).await);
        });
    }

    /// Takes what a command reports.
    pub fn reported(&mut self, report: Report) {
        match report {
            Report::Wrote(id, text) => {
                let Some(command) = self.commands.get_mut(&id) else { return };
                command.live.push_str(&text);
                let from = command.live.len() - tools::tail(&command.live).len();
                command.live.drain(..from);
                command.due.get_or_insert_with(|| Instant::now() + OFTEN);
            }
            Report::Ended(id, outcome) => {
                while self.jobs.try_join_next().is_some() {}
                self.ended(&id, *outcome);
            }
        }
    }

    /// When live output is to be shown.
    pub(super) fn live_deadline(&self) -> Option<Instant> {
        self.commands.values().filter_map(|command| command.due).min()
    }

    /// Shows the live output that is due.
    pub(super) fn show_live(&mut self, now: Instant) {
        let format = self.format();
        let mut due = Vec::new();
        for (id, command) in &mut self.commands {
            if command.due.is_some_and(|due| due <= now) {
                command.due = None;
                due.push((id.clone(), format.verbatim(&command.live)));
            }
        }
        for (id, text) in due {
            self.show(&id, ToolCallUpdateFields::new().content(vec![text.into()]));
        }
    }
}

//! Commands that run in a terminal of the client. What runs there is a call of `org-agent sandbox --token`, as here: what
//! was permitted, confined as was shown, and once.

use std::path::PathBuf;
use std::time::Duration;

use agent_client_protocol_schema::v1::{
    self, CLIENT_METHOD_NAMES, CreateTerminalRequest, CreateTerminalResponse, EnvVariable,
    KillTerminalRequest, ReleaseTerminalRequest, TerminalOutputRequest, TerminalOutputResponse,
    ToolCallContent, ToolCallStatus, ToolCallUpdateFields, WaitForTerminalExitRequest,
    WaitForTerminalExitResponse,
};
use tokio::time::Instant;

use super::questions::{Asked, TIME};
use super::server::{Outcome, Server};
use super::tools;
use crate::ids::ActuationId;
use crate::record::{self, Status};

/// How much of an output the client keeps, in bytes.
const OUTPUT: u64 = 65_536;

/// The variables that say where the record of what may run is.
const PLACES: [&str; 4] = ["ORG_AGENT_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"];

impl Server {
    pub(super) fn run_in_terminal(&mut self, actuation: &ActuationId) {
        let Some(command) = self.commands.get(actuation) else { return };
        let own = match std::env::current_exe() {
            Ok(own) => own,
            Err(error) => {
                let why = format!("this program cannot find itself: {error}");
                return self.ended(actuation, failed(why));
            }
        };
        let variables = PLACES.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?)));
        let params = CreateTerminalRequest::new(command.session.clone(), own.to_string_lossy())
            .args(vec!["sandbox".to_owned(), "--token".to_owned(), command.job.token.clone()])
            .env(variables.map(|(name, value)| EnvVariable::new(name, value)).collect())
            .cwd(command.directory.clone().map(PathBuf::from))
            .output_byte_limit(OUTPUT);
        self.show(actuation, ToolCallUpdateFields::new().status(ToolCallStatus::InProgress));
        let until = Some(Instant::now() + TIME);
        self.ask(CLIENT_METHOD_NAMES.terminal_create, &params, Asked::Terminal(actuation.clone()), until);
    }

    pub(super) fn terminal_made(&mut self, actuation: &ActuationId, outcome: Outcome<'_>) {
        let made = answer::<CreateTerminalResponse>(outcome);
        let Some(command) = self.commands.get_mut(actuation) else { return };
        let terminal = match made {
            Ok(made) => made.terminal_id,
            Err(why) => return self.ended(actuation, failed(format!("the editor gave no terminal: {why}"))),
        };
        command.terminal = Some(terminal.clone());
        let (session, limit) = (command.session.clone(), Duration::from_secs(command.job.timeout.into()));
        let content = ToolCallContent::Terminal(v1::Terminal::new(terminal.clone()));
        self.show(actuation, ToolCallUpdateFields::new().content(vec![content]));
        let params = WaitForTerminalExitRequest::new(session, terminal);
        let until = Some(Instant::now() + limit);
        self.ask(CLIENT_METHOD_NAMES.terminal_wait_for_exit, &params, Asked::Exit(actuation.clone()), until);
    }

    /// A terminal came for a command that is over.
    pub(super) fn terminal_late(&mut self, session: v1::SessionId, outcome: Outcome<'_>) {
        if let Ok(made) = answer::<CreateTerminalResponse>(outcome) {
            self.end_terminal(session, made.terminal_id, true);
        }
    }

    pub(super) fn terminal_ended(&mut self, actuation: &ActuationId, outcome: Outcome<'_>) {
        let is_over = outcome.is_none();
        let ended = answer::<WaitForTerminalExitResponse>(outcome);
        let Some(command) = self.commands.get_mut(actuation) else { return };
        let Some(terminal) = command.terminal.clone() else { return };
        match ended {
            Ok(ended) => command.exit = Some(ended.exit_status),
            Err(_) if is_over => {
                command.stopped = Some(format!("stopped after {} seconds", command.job.timeout));
            }
            Err(why) => command.stopped = Some(format!("the editor does not say how it ended: {why}")),
        }
        let (session, is_stopped) = (command.session.clone(), command.stopped.is_some());
        if is_stopped {
            let kill = KillTerminalRequest::new(session.clone(), terminal.clone());
            let until = Some(Instant::now() + TIME);
            self.ask(CLIENT_METHOD_NAMES.terminal_kill, &kill, Asked::Nothing, until);
        }
        let params = TerminalOutputRequest::new(session, terminal);
        let until = Some(Instant::now() + TIME);
        self.ask(CLIENT_METHOD_NAMES.terminal_output, &params, Asked::Output(actuation.clone()), until);
    }

    pub(super) fn terminal_said(&mut self, actuation: &ActuationId, outcome: Outcome<'_>) {
        let said = answer::<TerminalOutputResponse>(outcome);
        let Some(command) = self.commands.get_mut(actuation) else { return };
        let mut report = record::Outcome { sandboxed: Some(command.job.confined), ..Default::default() };
        match said {
            Ok(said) => {
                report.truncated = said.truncated;
                report.stdout = said.output;
                let exit = command.exit.take().or(said.exit_status);
                report.exit_code = exit.as_ref().and_then(|exit| exit.exit_code).map(i64::from);
                if let Some(signal) = exit.and_then(|exit| exit.signal) {
                    report.message = Some(format!("ended by the signal {}", tools::line(&signal)));
                }
            }
            Err(why) => report.message = Some(format!("the editor does not say what it wrote: {why}")),
        }
        if let Some(why) = command.stopped.take() {
            (report.status, report.message) = (Status::Failed, Some(why));
        }
        let terminal = command.terminal.clone().map(|terminal| (command.session.clone(), terminal));
        self.ended(actuation, report);
        if let Some((session, terminal)) = terminal {
            self.end_terminal(session, terminal, false);
        }
    }

    /// Gives a terminal back; what runs in it is stopped before, if it has to be.
    pub(super) fn end_terminal(&mut self, session: v1::SessionId, terminal: v1::TerminalId, kill: bool) {
        let until = Some(Instant::now() + TIME);
        if kill {
            let params = KillTerminalRequest::new(session.clone(), terminal.clone());
            self.ask(CLIENT_METHOD_NAMES.terminal_kill, &params, Asked::Nothing, until);
        }
        let params = ReleaseTerminalRequest::new(session, terminal);
        self.ask(CLIENT_METHOD_NAMES.terminal_release, &params, Asked::Nothing, until);
    }
}

fn failed(why: String) -> record::Outcome {
    record::Outcome { status: Status::Failed, message: Some(why), ..Default::default() }
}

/// What the client answered, or why it is no answer.
fn answer<T: serde::de::DeserializeOwned>(outcome: Outcome<'_>) -> Result<T, String> {
    match outcome {
        None => Err("it does not answer".to_owned()),
        Some(Err(error)) => Err(tools::line(error).chars().take(300).collect()),
        Some(Ok(result)) => serde_json::from_str(result).map_err(|error| error.to_string()),
    }
}

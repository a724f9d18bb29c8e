//! Commands: the client is shown each as a tool call, its user decides, and what may run is run here in the sandbox, or in
//! a terminal of the client.

use agent_client_protocol_schema::v1::{
    self, CLIENT_METHOD_NAMES, PermissionOption, PermissionOptionKind, RequestPermissionOutcome,
    RequestPermissionRequest, RequestPermissionResponse, SessionUpdate, ToolCallStatus, ToolCallUpdate,
    ToolCallUpdateFields,
};
use futures::channel::oneshot;
use tokio::time::Instant;

use super::options::{Mode, Place};
use super::questions::Asked;
use super::server::{Done, Outcome, Server};
use super::tools;
use super::turns::Turn;
use crate::error::{Code, Result};
use crate::event::{Actuated, Choice, Decide, Decided, Event};
use crate::ids::{ActuationId, TurnId};
use crate::outgoing::Actuation;
use crate::record::{self, Decision, Status};
use crate::runner::Job;

/// What the user can say, as options are named.
const RUN: &str = "run";
const ALWAYS: &str = "always";
const DENY: &str = "deny";
const CANCEL: &str = "cancel";

/// Why a command of a session that is not, or no longer, open here does not run.
pub(super) const CLOSED: &str = "the session is not open in the editor";

/// Why one of a turn that is to stop does not.
const STOPPED: &str = "the turn was cancelled";

/// Why none does in the mode `talk`.
const TALK: &str = "the user chose that no command runs";

/// How much of a rule stands in the name of an option.
const RULE: usize = 200;

/// A command that is not over.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) turn: TurnId,
    /// The session, as the client names it.
    pub(super) session: v1::SessionId,
    pub(super) place: Place,
    pub(super) job: Job,
    pub(super) directory: Option<String>,
    /// Dropped, it stops what runs here.
    pub(super) stop: Option<oneshot::Sender<()>>,
    /// The terminal that it runs in.
    pub(super) terminal: Option<v1::TerminalId>,
    /// How it ended there, and why it was stopped.
    pub(super) exit: Option<v1::TerminalExitStatus>,
    pub(super) stopped: Option<String>,
    /// The end of what it wrote, and when that is to be shown.
    pub(super) live: String,
    pub(super) due: Option<Instant>,
}

impl Server {
    /// A command for a turn: it is shown, and runs, is asked about, or does neither.
    pub(super) fn command(&mut self, actuation: &Actuation) {
        let address = actuation.address();
        let Some(turn) = self.turns.get(&address.turn) else { return };
        let (id, session) = (address.actuation.clone(), turn.id.clone());
        let no = self.runs_none(&address.turn);
        let place = self.sessions.get(&turn.session).map_or(Place::Server, |open| open.place);
        let call = tools::command(actuation);
        self.update(&session, SessionUpdate::ToolCall(call.clone()));
        let token = actuation.token().unwrap_or_default().to_owned();
        let command = Command {
            turn: address.turn.clone(),
            session: session.clone(),
            place,
            job: Job::new(actuation.action(), token, actuation.unconfined().is_none()),
            directory: actuation.location().map(|location| location.directory.clone()),
            stop: None,
            terminal: None,
            exit: None,
            stopped: None,
            live: String::new(),
            due: None,
        };
        self.commands.insert(id.clone(), command);
        if let Some(why) = no {
            return self.decide(&id, Choice::Deny, Some(why.to_owned()));
        }
        if actuation.decision() == Decision::Allow {
            return self.run(&id);
        }
        let mut options = vec![PermissionOption::new(RUN, "Run", PermissionOptionKind::AllowOnce)];
        if let Some(rules) = tools::always(actuation) {
            let name = format!("Always: {}", &rules[..rules.floor_char_boundary(RULE)]);
            options.push(PermissionOption::new(ALWAYS, name, PermissionOptionKind::AllowAlways));
        }
        options.push(PermissionOption::new(DENY, "Deny", PermissionOptionKind::RejectOnce));
        let name = "Deny, and cancel the turn";
        options.push(PermissionOption::new(CANCEL, name, PermissionOptionKind::RejectAlways));
        let fields = ToolCallUpdateFields::new()
            .title(call.title)
            .kind(call.kind)
            .status(call.status)
            .content(call.content)
            .raw_input(call.raw_input);
        let call = ToolCallUpdate::new(call.tool_call_id, fields);
        let params = RequestPermissionRequest::new(session, call, options);
        self.ask(CLIENT_METHOD_NAMES.session_request_permission, &params, Asked::Permission(id), None);
    }

    /// Why no command of a turn runs any more, whatever the user said about it; nothing: it may.
    fn runs_none(&self, turn: &TurnId) -> Option<&'static str> {
        let turn = self.turns.get(turn);
        let open = turn.and_then(|turn| self.sessions.get(&turn.session)).filter(|open| !open.leaves);
        match open.map(|open| open.mode) {
            None => Some(CLOSED),
            Some(_) if turn.is_some_and(Turn::is_stopped) => Some(STOPPED),
            Some(Mode::Talk) => Some(TALK),
            Some(Mode::Ask) => None,
        }
    }

    /// The user was asked about a command. All that is not plainly a yes means no; and so does a yes that comes too late.
    pub(super) fn permission(&mut self, actuation: &ActuationId, outcome: Outcome<'_>) {
        let Some(turn) = self.commands.get(actuation).map(|command| command.turn.clone()) else { return };
        let answer = outcome.map(|outcome| {
            outcome.map(|result| serde_json::from_str::<RequestPermissionResponse>(result).ok())
        });
        let chosen = match &answer {
            Some(Ok(Some(response))) => match &response.outcome {
                RequestPermissionOutcome::Selected(selected) => Some(&*selected.option_id.0),
                RequestPermissionOutcome::Cancelled => Some(CANCEL),
                _ => None,
            },
            _ => None,
        };
        let words = match answer {
            Some(Err(error)) => {
                let error: String = tools::line(error).chars().take(300).collect();
                Some(format!("the editor did not ask the user: {error}"))
            }
            _ => None,
        };
        match chosen {
            Some(CANCEL) => self.report(|reply| Event::Cancel(turn, reply)),
            Some(yes @ (RUN | ALWAYS)) => match self.runs_none(&turn) {
                Some(why) => self.decide(actuation, Choice::Deny, Some(why.to_owned())),
                None if yes == ALWAYS => self.decide(actuation, Choice::Always, None),
                None => self.decide(actuation, Choice::Run, None),
            },
            _ => self.decide(actuation, Choice::Deny, words),
        }
    }

    fn decide(&mut self, actuation: &ActuationId, choice: Choice, message: Option<String>) {
        let decide = Decide {
            actuation: actuation.clone(),
            choice,
            command: None,
            network: false,
            unconfined: false,
            message: message.clone(),
        };
        let decided = self.tell(|reply| Event::Decide(decide, reply));
        let actuation = actuation.clone();
        self.later(None, async move {
            let decided = decided.await;
            Box::new(move |server: &mut Self| server.decided(&actuation, choice, message, decided)) as Done
        });
    }

    fn decided(
        &mut self,
        actuation: &ActuationId,
        choice: Choice,
        words: Option<String>,
        decided: Result<Decided>,
    ) {
        let decided = match decided {
            Ok(decided) => decided,
            // The turn is over, or it was decided elsewhere.
            Err(error) if matches!(error.code, Code::Conflict | Code::NotFound) || choice == Choice::Deny => {
                return self.drop_command(actuation, &error.one_line());
            }
            // It waits still, and what can not be permitted is denied.
            Err(error) => return self.decide(actuation, Choice::Deny, Some(error.one_line())),
        };
        let Some(command) = self.commands.get_mut(actuation) else { return };
        if decided.decision != Decision::Allow {
            let message = words.or_else(|| (choice != Choice::Deny).then_some(decided.rule));
            let outcome = record::Outcome { status: Status::Denied, message, ..Default::default() };
            self.show_end(actuation, &outcome);
            self.commands.remove(actuation);
            return;
        }
        command.job.token = decided.token.unwrap_or_default();
        let turn = command.turn.clone();
        if let Some(why) = self.runs_none(&turn) {
            let message = Some(why.to_owned());
            let outcome = record::Outcome { status: Status::Denied, message, ..Default::default() };
            return self.ended(actuation, outcome);
        }
        if let Some(hint) = decided.hint {
            let text = format!("nothing was remembered: {}", tools::line(&hint));
            self.show(actuation, ToolCallUpdateFields::new().content(vec![text.into()]));
        }
        self.run(actuation);
    }

    /// Runs a command that may run.
    fn run(&mut self, actuation: &ActuationId) {
        let Some(command) = self.commands.get(actuation) else { return };
        match command.place {
            Place::Server => self.run_here(actuation),
            Place::Terminal => self.run_in_terminal(actuation),
        }
    }

    /// Changes what the client shows of a command.
    pub(super) fn show(&mut self, actuation: &ActuationId, fields: ToolCallUpdateFields) {
        let Some(command) = self.commands.get(actuation) else { return };
        let session = command.session.clone();
        let update = ToolCallUpdate::new(actuation.0.clone(), fields);
        self.update(&session, SessionUpdate::ToolCallUpdate(update));
    }

    /// A command is over: the client is shown how, and the kernel is told.
    pub(super) fn ended(&mut self, actuation: &ActuationId, outcome: record::Outcome) {
        self.show_end(actuation, &outcome);
        let Some(command) = self.commands.remove(actuation) else { return };
        let token = Some(command.job.token);
        let actuated = Actuated { actuation: actuation.clone(), token, outcome };
        self.report(|reply| Event::Actuated(actuated, reply));
    }

    fn show_end(&mut self, actuation: &ActuationId, outcome: &record::Outcome) {
        let mut fields = tools::outcome(outcome, self.format());
        let terminal = self.commands.get(actuation).and_then(|command| command.terminal.clone());
        if let Some(terminal) = terminal {
            // What it wrote stands there.
            fields.content = Some(vec![v1::ToolCallContent::Terminal(v1::Terminal::new(terminal))]);
        }
        self.show(actuation, fields);
    }

    /// The kernel wants a command stopped, and knows how it ended.
    pub(super) fn abort(&mut self, actuation: &ActuationId) {
        self.drop_command(actuation, "stopped");
    }

    /// The commands of a turn are over with it.
    pub(super) fn drop_commands(&mut self, turn: &TurnId, why: &str) {
        let open = self.commands.iter().filter(|(_, command)| command.turn == *turn);
        let open: Vec<ActuationId> = open.map(|(id, _)| id.clone()).collect();
        for actuation in open {
            self.drop_command(&actuation, why);
        }
    }

    /// Stops a command, whatever it does, without a report.
    fn drop_command(&mut self, actuation: &ActuationId, why: &str) {
        let fields = ToolCallUpdateFields::new().status(ToolCallStatus::Failed);
        let has_terminal = self.commands.get(actuation).is_some_and(|command| command.terminal.is_some());
        let fields = if has_terminal { fields } else { fields.content(vec![tools::line(why).into()]) };
        self.show(actuation, fields);
        let Some(command) = self.commands.remove(actuation) else { return };
        self.questions.withdraw(actuation, &command.session);
        if let Some(terminal) = command.terminal {
            self.end_terminal(command.session, terminal, true);
        }
    }
}

//! The turns that prompts in files began: how far each is, what is shown of that, and what the user is asked.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use tokio::time::Instant;
use tower_lsp_server::jsonrpc::Id;

use super::asked::{Asked, PATIENCE, TIME};
use super::edits::{Edit, Flight};
use super::text::AnchorId;
use super::{Done, Plain, Severity, wire};
use crate::action::Kind;
use crate::error::{Code, Result};
use crate::event::{Actuated, Decide, Decided, Event};
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::lsp::wire::ActuateParams;
use crate::outgoing::{Actuation, State, TurnState};
use crate::record::Outcome;
use crate::request::Choice;

/// The most turns that are under way or wait for the editor.
pub(super) const MOST: usize = 256;

/// The most turns that are remembered when they are over, and the most failures.
const MOST_KNOWN: usize = 1024;

/// How much of a command, or of a reason, is shown in a message.
const SHOWN: usize = 4000;

/// A turn, from the wish to send a prompt until all that came of it is in the file.
pub(super) struct Turn {
    /// The document.
    pub(super) uri: String,
    /// Once the kernel has it.
    pub(super) id: Option<TurnId>,
    pub(super) session: Option<SessionId>,
    /// What stands for its message in the file.
    pub(super) event: Option<String>,
    /// What was sent.
    pub(super) text: String,
    pub(super) origin: Origin,
    state: Option<State>,
    over: bool,
    /// What is to be put into the file, and how that goes.
    pub(super) edits: VecDeque<Edit>,
    pub(super) flight: Option<Flight>,
    pub(super) tries: u32,
    pub(super) retry: Option<Instant>,
    pub(super) refused: bool,
    /// Whether a reply came.
    pub(super) replied: bool,
    progress: Progress,
    /// The request that ends with it.
    pub(super) held: Option<Id>,
    asked: Option<ActuationId>,
    /// It is to be cancelled as soon as the kernel has it.
    stop: bool,
}

/// Where what was sent stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// In a prompt, whose heading stands there.
    Prompt(AnchorId),
    /// In free text, which begins there.
    Free(AnchorId),
    /// Nowhere yet.
    Nowhere,
}

/// How much of a turn's progress is shown.
enum Progress {
    /// Nothing.
    Hidden,
    /// The editor was asked for a place.
    Asked(String),
    /// It is shown.
    Shown(Value),
}

/// A prompt whose last turn failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) turn: TurnId,
    pub(super) session: SessionId,
    pub(super) reason: String,
    /// The server went away in the middle: the turn itself can run again.
    pub(super) interrupted: bool,
    /// Whether it is shown.
    pub(super) shown: bool,
}

/// The turns of prompts, by their marks; the newest are remembered.
#[derive(Debug, Default)]
pub(super) struct Known {
    turns: BTreeMap<String, TurnId>,
    order: VecDeque<String>,
}

impl Known {
    fn learn(&mut self, event: &str, turn: &TurnId) {
        if self.turns.insert(event.to_owned(), turn.clone()).is_none() {
            self.order.push_back(event.to_owned());
        }
        if self.order.len() > MOST_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.turns.remove(&oldest);
        }
    }

    pub(super) fn of(&self, event: &str) -> Option<&TurnId> {
        self.turns.get(event)
    }
}

impl Turn {
    pub(super) fn new(uri: &str, text: String, origin: Origin) -> Self {
        Self {
            uri: uri.to_owned(),
            id: None,
            session: None,
            event: None,
            text,
            origin,
            state: None,
            over: false,
            edits: VecDeque::new(),
            flight: None,
            tries: 0,
            retry: None,
            refused: false,
            replied: false,
            progress: Progress::Hidden,
            held: None,
            asked: None,
            stop: false,
        }
    }

    /// Whether it can be cancelled.
    pub(super) const fn is_running(&self) -> bool {
        !self.over && !self.stop
    }
}

impl Plain {
    /// The turn with this identifier.
    pub(super) fn key(&self, turn: &TurnId) -> Option<u64> {
        self.turns.iter().find(|(_, known)| known.id.as_ref() == Some(turn)).map(|(key, _)| *key)
    }

    /// Takes in a turn that began without this editor, if it is of a session of an open document.
    pub(super) fn adopt(&mut self, id: &TurnId, session: &SessionId) -> bool {
        if self.key(id).is_some() {
            return true;
        }
        let open = self.documents.iter().find(|(_, open)| open.session.as_ref() == Some(session));
        let Some((uri, _)) = open.filter(|_| self.turns.len() < MOST) else { return false };
        let turn = Turn {
            id: Some(id.clone()),
            session: Some(session.clone()),
            ..Turn::new(&uri.clone(), String::new(), Origin::Nowhere)
        };
        self.add(turn);
        true
    }

    pub(super) fn add(&mut self, turn: Turn) -> u64 {
        self.begun += 1;
        self.turns.insert(self.begun, turn);
        self.begun
    }

    /// Begins to show how a turn goes: where the request says, else where the editor gives a place.
    pub(super) fn show_progress(&mut self, key: u64, token: Option<Value>, now: Instant) {
        let Some(turn) = self.turns.get_mut(&key) else { return };
        match token {
            Some(token) => {
                turn.progress = Progress::Shown(token.clone());
                self.begin(&token);
            }
            // The protocol forbids to ask an editor that did not announce it.
            None if self.features.progress => {
                let token = format!("org-agent-{key}");
                turn.progress = Progress::Asked(token.clone());
                let params = json!({"token": token});
                self.ask("window/workDoneProgress/create", &params, Asked::Progress(key), now + TIME);
            }
            None => {}
        }
    }

    pub(super) fn progress_created(&mut self, key: u64, created: bool) {
        let Some(turn) = self.turns.get_mut(&key) else { return };
        let Progress::Asked(token) = &turn.progress else { return };
        let token = Value::from(token.as_str());
        if !created {
            turn.progress = Progress::Hidden;
            return;
        }
        turn.progress = Progress::Shown(token.clone());
        let state = turn.state;
        self.begin(&token);
        if let Some(state) = state {
            self.report(key, words(state));
        }
    }

    fn begin(&mut self, token: &Value) {
        let value = json!({"kind": "begin", "title": "org-agent", "cancellable": true, "message": "sent"});
        self.out.call(None, "$/progress", &json!({"token": token, "value": value}));
    }

    fn report(&mut self, key: u64, message: &str) {
        if let Some(Turn { progress: Progress::Shown(token), .. }) = self.turns.get(&key) {
            let value = json!({"kind": "report", "cancellable": true, "message": message});
            self.out.call(None, "$/progress", &json!({"token": token, "value": value}));
        }
    }

    /// Ends what is shown of a turn, and the request that waits for it.
    pub(super) fn end_progress(&mut self, key: u64, message: &str, result: Result<()>) {
        let Some(turn) = self.turns.get_mut(&key) else { return };
        let held = turn.held.take();
        if let Progress::Shown(token) = std::mem::replace(&mut turn.progress, Progress::Hidden) {
            let value = json!({"kind": "end", "message": message});
            self.out.call(None, "$/progress", &json!({"token": token, "value": value}));
        }
        if let Some(id) = held {
            self.respond(&id, result.map(|()| Value::Null));
        }
    }

    pub(super) fn progress_cancelled(&mut self, params: wire::CancelProgress) {
        let shown = |turn: &Turn| match &turn.progress {
            Progress::Shown(token) => *token == params.token,
            Progress::Asked(token) => params.token == token.as_str(),
            Progress::Hidden => false,
        };
        if let Some(key) = self.turns.iter().find(|(_, turn)| shown(turn)).map(|(key, _)| *key) {
            self.stop_turn(key);
        }
    }

    /// Cancels a turn, now or as soon as there is one.
    pub(super) fn stop_turn(&mut self, key: u64) {
        let Some(turn) = self.turns.get_mut(&key).filter(|turn| turn.is_running()) else { return };
        turn.stop = true;
        if let Some(id) = turn.id.clone() {
            self.tell(|reply| Event::Cancel(id, reply), Done::Cancelled);
        }
    }

    /// The kernel has a turn now.
    pub(super) fn began(&mut self, key: u64, id: TurnId, session: SessionId) {
        let Some(turn) = self.turns.get_mut(&key) else { return };
        turn.session = Some(session);
        turn.id = Some(id.clone());
        if std::mem::replace(&mut turn.stop, false) {
            self.stop_turn(key);
        }
        if let Some(event) = self.turns.get(&key).and_then(|turn| turn.event.clone()) {
            self.known.learn(&event, &id);
        }
    }

    /// A turn has a new state.
    pub(super) fn advanced(&mut self, state: &TurnState, now: Instant) {
        let Some(key) = self.key(&state.turn) else { return };
        let Some(turn) = self.turns.get_mut(&key) else { return };
        turn.state = Some(state.state);
        if !state.state.is_end() {
            self.report(key, words(state.state));
            return;
        }
        turn.over = true;
        // What was not put in by now came some other way, or nobody wants it.
        if turn.flight.is_none() {
            turn.edits.retain(|edit| matches!(edit, Edit::Mark));
        } else {
            let first = turn.edits.pop_front();
            turn.edits.retain(|edit| matches!(edit, Edit::Mark));
            turn.edits.extend(first);
            turn.edits.rotate_right(1);
        }
        if !turn.replied {
            turn.edits.push_back(Edit::Fresh);
        }
        let (asked, uri, event) = (turn.asked.take(), turn.uri.clone(), turn.event.clone());
        if let Some(id) = asked.and_then(|asked| self.questions.withdraw(&Asked::Approval(asked))) {
            self.out.call(None, "$/cancelRequest", &json!({"id": id}));
        }
        if let Some(event) = event.filter(|_| state.state == State::Failed) {
            let reason = state.reason.clone().unwrap_or_else(|| "it failed".to_owned());
            self.fail(&event, &state.turn, &state.session, &reason);
        }
        self.end_progress(key, words(state.state), Ok(()));
        self.diagnose(&uri);
        self.work(&uri, now);
        self.tidy(key);
        self.refresh(now);
    }

    /// Notes that the last turn of a prompt failed.
    pub(super) fn fail(&mut self, event: &str, turn: &TurnId, session: &SessionId, reason: &str) {
        self.known.learn(event, turn);
        if self.failed.len() >= MOST_KNOWN {
            self.failed.pop_first();
        }
        let failed = Failed {
            turn: turn.clone(),
            session: session.clone(),
            reason: shown(reason),
            interrupted: reason == "interrupted",
            shown: true,
        };
        self.failed.insert(event.to_owned(), failed);
    }

    /// Forgets a turn that is over and of which nothing is to be put in any more.
    pub(super) fn tidy(&mut self, key: u64) {
        let done = |turn: &Turn| turn.over && turn.edits.is_empty() && turn.flight.is_none();
        let Some(turn) = self.turns.get(&key).filter(|turn| done(turn)) else { return };
        if let Some(open) = self.documents.get_mut(&turn.uri)
            && let Origin::Prompt(anchor) | Origin::Free(anchor) = turn.origin
        {
            open.document.release(anchor);
        }
        self.turns.remove(&key);
    }

    /// An action for a turn: text for its file, or a command that the user is to decide about.
    pub(super) fn actuate(&mut self, actuation: &Actuation, now: Instant) {
        let address = actuation.address();
        let (id, Some(key)) = (address.actuation.clone(), self.key(&address.turn)) else { return };
        match actuation.action().kind() {
            Kind::Insert | Kind::Response => {
                let text = actuation.action().text("text").unwrap_or_default().to_owned();
                self.reply(key, id, text, now);
            }
            Kind::Shell => self.ask_about(key, actuation, now),
            Kind::Replace | Kind::Skill | Kind::Log => {
                self.send(Event::Refused(id, "this editor does not do that".to_owned()));
            }
        }
    }

    /// A text is to be put in.
    pub(super) fn reply(&mut self, key: u64, actuation: ActuationId, text: String, now: Instant) {
        let Some(turn) = self.turns.get_mut(&key) else { return };
        let known = |edit: &Edit| matches!(edit, Edit::Reply { actuation: known, .. } if *known == actuation);
        if !turn.edits.iter().any(known) {
            turn.edits.push_back(Edit::Reply { actuation, text });
        }
        let uri = turn.uri.clone();
        self.work(&uri, now);
    }

    fn ask_about(&mut self, key: u64, actuation: &Actuation, now: Instant) {
        let command = actuation.action().text("cmd").unwrap_or_default().to_owned();
        let Some(turn) = self.turns.get_mut(&key) else { return };
        turn.asked = Some(actuation.address().actuation.clone());
        let asked = actuation.address().actuation.clone();
        turn.edits.push_back(Edit::Block { command: command.clone() });
        let uri = turn.uri.clone();
        self.work(&uri, now);
        let terms = ActuateParams::to_wire(actuation);
        // The command comes last: nothing in it can pass for one of the lines about it.
        let mut message = "Run this command?".to_owned();
        for (name, text) in [
            ("directory", terms.directory),
            ("sandbox", terms.sandbox),
            ("asked because of", Some(terms.rule)),
            ("\"Always\" means", terms.always.clone()),
        ] {
            if let Some(text) = text {
                let text = text.split(char::is_control).collect::<Vec<_>>().join(" ");
                message.push_str(&format!("\n{name}: {text}"));
            }
        }
        message.push_str(&format!("\n\n{}", shown(&command)));
        let mut actions = vec![json!({"title": RUN}), json!({"title": DENY})];
        if terms.always.is_some() {
            actions.push(json!({"title": ALWAYS}));
        }
        let params = json!({"type": Severity::Warning as u8, "message": message, "actions": actions});
        self.ask("window/showMessageRequest", &params, Asked::Approval(asked), now + PATIENCE);
        self.refresh(now);
    }

    /// The user was asked about a command. All that is not plainly a yes means no.
    pub(super) fn approved(
        &mut self,
        actuation: &ActuationId,
        outcome: Option<super::Outcome<'_>>,
    ) {
        let title = outcome.and_then(|outcome| wire::read::<wire::Chosen>(outcome.ok()?).ok());
        let choice = match title.as_ref().map(|chosen| chosen.title.as_str()) {
            Some(RUN) => Choice::Run,
            Some(ALWAYS) => Choice::Always,
            _ => Choice::Deny,
        };
        if let Some(turn) = self.turns.values_mut().find(|turn| turn.asked.as_ref() == Some(actuation)) {
            turn.asked = None;
        }
        if let Some(Err(error)) = outcome {
            let error: String = error.chars().take(300).collect();
            self.say(Severity::Warning, &format!("The command is not run: this editor did not ask you ({error})."));
        }
        self.decide(actuation, choice);
    }

    fn decide(&mut self, actuation: &ActuationId, choice: Choice) {
        let decide = Decide {
            actuation: actuation.clone(),
            choice,
            command: None,
            network: false,
            unconfined: false,
            message: None,
        };
        let asked = actuation.clone();
        self.tell(
            |reply| Event::Decide(decide, reply),
            move |result| Done::Decided(asked, choice, result),
        );
    }

    pub(super) fn decided(&mut self, actuation: &ActuationId, choice: Choice, result: Result<Decided>) {
        match result {
            Ok(decided) => {
                if let Some(hint) = decided.hint {
                    self.say(Severity::Info, &hint);
                }
            }
            // The turn is over, or was decided about already.
            Err(error) if matches!(error.code, Code::Conflict | Code::NotFound) => {
                tracing::debug!(%error, "a decision came too late");
            }
            Err(error) => {
                self.say(Severity::Error, &error.one_line());
                if choice != Choice::Deny {
                    self.decide(actuation, Choice::Deny);
                }
            }
        }
    }

    /// Tells the kernel that a text is in the file.
    pub(super) fn applied(&mut self, actuation: ActuationId) {
        self.send(Event::Received(actuation.clone()));
        let actuated = Actuated { actuation, token: None, outcome: Outcome::default() };
        self.tell(|reply| Event::Actuated(actuated, reply), Done::Reported);
    }

    fn send(&self, event: Event) {
        if let Err(error) = self.kernel.send(event) {
            tracing::error!(%error, "the kernel could not be told");
        }
    }

    /// Shows on the prompts of a document which of them failed.
    pub(super) fn diagnose(&mut self, uri: &str) {
        let Some((text, language)) = self.documents.get(uri).and_then(super::documents::Open::text) else {
            return;
        };
        let layout = super::layout::Layout::new(&text, language);
        let mut found = Vec::new();
        for prompt in layout.prompts() {
            let failed = prompt.event.and_then(|event| self.failed.get(event)).filter(|failed| failed.shown);
            let Some(failed) = failed else { continue };
            let line = text[prompt.heading.clone()].trim_end().len();
            let range = self.range(uri, prompt.heading.start..prompt.heading.start + line);
            found.push(json!({"range": range, "severity": 1, "source": "org-agent", "message": failed.reason}));
        }
        let Some(open) = self.documents.get_mut(uri) else { return };
        if found.is_empty() && !open.diagnosed {
            return;
        }
        open.diagnosed = !found.is_empty();
        let version = open.document.version();
        let params = json!({"uri": uri, "version": version, "diagnostics": found});
        self.out.call(None, "textDocument/publishDiagnostics", &params);
    }

    /// The lenses are others now.
    pub(super) fn refresh(&mut self, now: Instant) {
        if self.features.lenses && !self.questions.is_open(&Asked::Nothing) {
            self.ask("workspace/codeLens/refresh", &Value::Null, Asked::Nothing, now + TIME);
        }
    }
}

const RUN: &str = "Run";
const DENY: &str = "Deny";
const ALWAYS: &str = "Always";

/// A state in words.
const fn words(state: State) -> &'static str {
    match state {
        State::Accepted => "waits",
        State::Thinking => "thinks",
        State::Streaming => "writes",
        State::Repairing => "tries again",
        State::AwaitingApproval => "asks whether a command may run",
        State::Acting => "acts",
        State::Done => "done",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    }
}

/// A text for a message, without its middle if it is long.
fn shown(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let (head, tail) = (text.floor_char_boundary(SHOWN / 2), text.ceil_char_boundary(text.len() - SHOWN / 2));
    format!("{}\n[… {} bytes are left out here: see the file …]\n{}", &text[..head], tail - head, &text[tail..])
}

//! The turns that prompts in files began: how far each is, what is shown of that, and what the user is asked.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use tokio::time::Instant;
use tower_lsp_server::jsonrpc::Id;

use super::approvals::shown;
use super::asked::{Asked, TIME};
use super::edits::{Edit, Flight};
use super::text::AnchorId;
use super::wire::{self, Token};
use super::{Done, Plain};
use crate::action::Kind;
use crate::error::Result;
use crate::event::{Actuated, Event};
use crate::ids::{ActuationId, SessionId, TurnId};
use crate::outgoing::{Actuation, State, TurnState};
use crate::record::Outcome;

/// The most turns that are under way or wait for the editor.
pub(super) const MOST: usize = 256;

/// The most turns that are remembered when they are over, and the most failures.
const MOST_KNOWN: usize = 1024;

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
    pub(super) over: bool,
    /// What is to be put into the file, and how that goes.
    pub(super) edits: VecDeque<Edit>,
    pub(super) flight: Option<Flight>,
    pub(super) tries: u32,
    pub(super) retry: Option<Instant>,
    pub(super) refused: bool,
    /// Its document was closed since: what has its name now may be another.
    pub(super) astray: bool,
    /// The replies that were put in.
    pub(super) replies: Vec<ActuationId>,
    /// Those of an earlier turn of the prompt, which go when there is another.
    pub(super) replaces: Vec<ActuationId>,
    progress: Progress,
    /// The request that ends with it.
    pub(super) held: Option<Id>,
    /// The command that the user is asked about.
    pub(super) asked: Option<ActuationId>,
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
    Shown(Token),
}

/// A prompt whose last turn failed.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) turn: TurnId,
    pub(super) session: SessionId,
    pub(super) reason: String,
    /// What it put into the file.
    pub(super) replies: Vec<ActuationId>,
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
            astray: false,
            replies: Vec::new(),
            replaces: Vec::new(),
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
        let mut open = self.documents.iter_mut().filter(|(_, open)| open.session.as_ref() == Some(session));
        let Some((uri, open)) = open.next().filter(|_| self.turns.len() < MOST) else { return false };
        let was_resuming = std::mem::replace(&mut open.resuming, true);
        let turn = Turn {
            id: Some(id.clone()),
            session: Some(session.clone()),
            ..Turn::new(&uri.clone(), String::new(), Origin::Nowhere)
        };
        self.add(turn);
        // Nothing of it can be put in before it is known which prompt it answers.
        if !was_resuming {
            self.look_at_messages(session);
        }
        true
    }

    pub(super) fn add(&mut self, turn: Turn) -> u64 {
        if self.is_unused() {
            // Also for an editor that called one of our methods before, and so was taken for a client that runs them.
            self.send(Event::Runs(false));
        }
        self.begun += 1;
        self.turns.insert(self.begun, turn);
        self.begun
    }

    /// Begins to show how a turn goes: where the request says, else where the editor gives a place.
    pub(super) fn show_progress(&mut self, key: u64, token: Option<Token>, now: Instant) {
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
        let token = Token::Text(token.clone());
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

    fn begin(&mut self, token: &Token) {
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
        if let Some(id) = held
            && let Some(at) = self.waiting.iter().position(|waiting| *waiting == id)
        {
            self.waiting.swap_remove(at);
            self.out.answer_last(id, result.map(|()| Value::Null).map_err(Into::into));
        }
    }

    pub(super) fn progress_cancelled(&mut self, params: &wire::CancelProgress) {
        let shown = |turn: &Turn| match &turn.progress {
            Progress::Shown(token) => *token == params.token,
            Progress::Asked(token) => params.token == Token::Text(token.clone()),
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
    pub(super) fn began(&mut self, key: u64, id: &TurnId, session: SessionId) {
        let Some(turn) = self.turns.get_mut(&key) else { return };
        turn.session = Some(session);
        turn.id = Some(id.clone());
        if std::mem::replace(&mut turn.stop, false) {
            self.stop_turn(key);
        }
        if let Some(event) = self.turns.get(&key).and_then(|turn| turn.event.clone()) {
            self.known.learn(&event, id);
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
        if turn.replies.is_empty() {
            turn.edits.push_back(Edit::Fresh);
        }
        let (asked, uri, event) = (turn.asked.take(), turn.uri.clone(), turn.event.clone());
        let replies = turn.replies.clone();
        if let Some(id) = asked.and_then(|asked| self.questions.withdraw(&Asked::Approval(asked))) {
            self.out.call(None, "$/cancelRequest", &json!({"id": id}));
        }
        if let Some(event) = event.filter(|_| state.state == State::Failed) {
            let reason = state.reason.clone().unwrap_or_else(|| "it failed".to_owned());
            self.fail(&event, &state.turn, &state.session, &reason, replies);
        }
        self.end_progress(key, words(state.state), Ok(()));
        self.diagnose(&uri);
        self.work(&uri, now);
        self.tidy(key);
        self.refresh(now);
    }

    /// Notes that the last turn of a prompt failed.
    pub(super) fn fail(
        &mut self,
        event: &str,
        turn: &TurnId,
        session: &SessionId,
        reason: &str,
        replies: Vec<ActuationId>,
    ) {
        self.known.learn(event, turn);
        if self.failed.len() >= MOST_KNOWN {
            self.failed.pop_first();
        }
        let interrupted = reason == "interrupted";
        let reason = if interrupted {
            "the server went away before the answer came; send it again with org-agent.retry"
        } else {
            reason
        };
        let failed = Failed {
            turn: turn.clone(),
            session: session.clone(),
            reason: shown(reason),
            replies,
            interrupted,
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
            // What was refused before is worth another try.
            (turn.refused, turn.tries, turn.retry) = (false, 0, None);
        }
        let uri = turn.uri.clone();
        self.work(&uri, now);
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

    /// The lenses are others now.
    pub(super) fn refresh(&mut self, now: Instant) {
        if self.features.lenses && !self.questions.is_open(&Asked::Nothing) {
            self.ask("workspace/codeLens/refresh", &Value::Null, Asked::Nothing, now + TIME);
        }
    }
}

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

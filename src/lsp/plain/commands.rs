//! The commands, and how a prompt becomes a message.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower_lsp_server::jsonrpc::Id;
use tower_lsp_server::ls_types::Range;

use super::approvals;
use super::asked::{Asked, TIME};
use super::documents;
use super::features;
use super::layout::{EXPLAIN, Layout, Prompt, Target};
use super::text::Gravity;
use super::turns::{MOST, Origin, Turn};
use super::{Done, Plain, Severity, wire};
use crate::error::{Code, Error, Result};
use crate::event::{Event, Query, Receipt, SessionTask};
use crate::ids::{self, SessionId, TurnId};
use crate::record::{Attachment, AttachmentKind, Location};
use crate::request::{ChatMessage, MAX_LEVEL, Resume};

/// The longest text of a message or an attachment, as for other clients.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// The longest name, as for other clients.
pub(super) const MAX_NAME: usize = 1024;

/// How much of an explanation is shown in a message.
const EXPLANATION: usize = 6000;

/// What a prompt comes to.
struct Wish {
    text: String,
    level: usize,
    origin: Place,
    session: Option<String>,
    region: Option<String>,
}

/// Where it stands, in bytes.
enum Place {
    Prompt(usize),
    Free(usize),
    Nowhere,
}

impl Plain {
    pub(super) fn execute(&mut self, id: &Id, params: wire::Execute, now: Instant) -> Result<()> {
        let wire::Execute { command, arguments, work_done_token } = params;
        if !features::COMMANDS.contains(&command.as_str()) {
            return Err(Error::bad_request(format!(
                "no command {}",
                command.chars().take(100).collect::<String>()
            ))
            .hint("initialize lists the commands"));
        }
        let key = match command.as_str() {
            features::SEND => self.wish(arguments.uri, arguments.range, now),
            features::RETRY => self.retry(arguments.uri, arguments.range, now),
            other => {
                match other {
                    features::CANCEL => self.cancel(arguments.uri.as_deref(), arguments.turn_id.as_deref()),
                    features::APPLY => {
                        let uri = arguments.uri.as_deref();
                        self.wanted_here(uri);
                        if !self.try_again(uri, arguments.actuation_id.as_deref(), now) {
                            self.say(Severity::Info, "There is no answer that waits to be put in.");
                        }
                    }
                    features::WHY => self.why(arguments.uri, arguments.range),
                    _ => self.open(arguments.url, now),
                }
                None
            }
        };
        // A token is good until the answer: whoever gives one waits for the end.
        match (key, work_done_token) {
            (Some(key), Some(token)) => {
                self.waiting.push(id.clone());
                if let Some(turn) = self.turns.get_mut(&key) {
                    turn.held = Some(id.clone());
                }
                self.show_progress(key, Some(token), now);
            }
            (key, _) => {
                self.out.answer(id.clone(), Ok(Value::Null), now);
                if let Some(key) = key {
                    self.show_progress(key, None, now);
                }
            }
        }
        Ok(())
    }

    /// Sends what is meant.
    fn wish(&mut self, uri: Option<String>, range: Option<Range>, now: Instant) -> Option<u64> {
        let uri = self.meant(uri)?;
        self.seen(&uri, range.map(|range| range.start));
        // Some editors take edits only for a moment after a command.
        self.try_again(Some(&uri), None, now);
        let open = self.documents.get(&uri)?;
        let Some((text, language)) = open.text() else {
            let why = match open.document.text() {
                Err(large) => format!("This file is too large: {large}."),
                Ok(_) => "org-agent writes into Org and Markdown files; this is neither.".to_owned(),
            };
            self.say(Severity::Warning, &why);
            return None;
        };
        let layout = Layout::new(&text, language);
        let selected =
            range.and_then(|range| open.document.bytes(range).ok()).filter(|bytes| !bytes.is_empty());
        let Some(wish) = wished(&layout, open.at(), selected) else {
            self.say(Severity::Info, "Nothing to send: write something under a heading USER first.");
            return None;
        };
        if self.turns.len() >= MOST {
            self.say(Severity::Warning, "Too many turns are under way: wait for one, or cancel one.");
            return None;
        }
        if let Place::Prompt(at) | Place::Free(at) = wish.origin
            && self.is_under_way(&uri, at)
        {
            self.say(Severity::Info, "This prompt is being sent already.");
            return None;
        }
        let too_long =
            wish.text.len() > MAX_TEXT || wish.region.as_ref().is_some_and(|region| region.len() > MAX_TEXT);
        if too_long {
            self.say(Severity::Warning, "That is too long to send: at most 1 MiB at once.");
            return None;
        }
        self.begin_wish(&uri, wish)
    }

    fn begin_wish(&mut self, uri: &str, wish: Wish) -> Option<u64> {
        let client_id = match ids::token() {
            Ok(token) => token,
            Err(error) => {
                self.say(Severity::Error, &format!("Not sent: no random bytes ({error})."));
                return None;
            }
        };
        let path = documents::path(uri);
        let buffer = self.documents.get(uri)?.buffer.clone();
        let directory = path
            .as_deref()
            .and_then(|path| path.rsplit_once('/'))
            .map(|(directory, _)| if directory.is_empty() { "/".to_owned() } else { directory.to_owned() });
        let region = wish.region.map(|text| Attachment {
            kind: AttachmentKind::Region,
            name: name(&buffer),
            text,
            mode: None,
        });
        let open = self.documents.get_mut(uri)?;
        let origin = match wish.origin {
            Place::Prompt(at) => Origin::Prompt(open.document.anchor(at, Gravity::Behind)),
            Place::Free(at) => Origin::Free(open.document.anchor(at, Gravity::Behind)),
            Place::Nowhere => Origin::Nowhere,
        };
        let key = self.add(Turn::new(uri, wish.text.clone(), origin));
        let message = ChatMessage {
            client_id,
            session: wish.session.map(SessionId),
            buffer: Some(buffer).filter(|buffer| buffer.len() <= MAX_NAME),
            text: wish.text,
            level: u32::try_from(wish.level).unwrap_or(MAX_LEVEL).clamp(1, MAX_LEVEL),
            context: region.into_iter().collect(),
            location: directory
                .filter(|directory| directory.len() <= MAX_NAME)
                .map(|directory| Location { directory, host: None }),
            steers: None,
            hashes: std::collections::BTreeMap::new(),
        };
        self.gather(key, uri, message);
        Some(key)
    }

    /// A message is complete.
    pub(super) fn gathered(&mut self, key: u64, message: ChatMessage) {
        self.tell(|reply| Event::Chat(message, reply), move |result| Done::Sent(key, result));
    }

    /// Whether the prompt that stands there is being sent.
    fn is_under_way(&self, uri: &str, at: usize) -> bool {
        let Some(open) = self.documents.get(uri) else { return false };
        self.turns.values().filter(|turn| turn.uri == uri).any(|turn| match turn.origin {
            Origin::Prompt(anchor) | Origin::Free(anchor) => {
                open.document.at(anchor).is_some_and(|anchor| anchor.offset == at && !anchor.lost)
            }
            Origin::Nowhere => false,
        })
    }

    /// The kernel took a message, or not.
    pub(super) fn sent(&mut self, key: u64, result: Result<Receipt>, now: Instant) {
        match result {
            Ok(receipt) => {
                let Some(turn) = self.turns.get_mut(&key) else { return };
                turn.event = Some(receipt.event.0);
                turn.edits.push_front(super::edits::Edit::Mark);
                let uri = turn.uri.clone();
                self.began(key, &receipt.turn, receipt.session);
                self.forgive(&uri);
                self.work(&uri, now);
                self.refresh(now);
            }
            Err(error) => self.lost(key, error),
        }
    }

    /// A turn could not begin.
    fn lost(&mut self, key: u64, error: Error) {
        let mut why = error.one_line();
        if error.code == Code::NotFound {
            why.push_str(". To begin a new session, take the OA_SESSION out of the file.");
        }
        self.say(Severity::Error, &format!("Not sent: {why}"));
        self.end_progress(key, "not sent", Err(error));
        self.turns.remove(&key);
    }

    /// What failed in a document before is not shown any more.
    fn forgive(&mut self, uri: &str) {
        let Some((text, language)) = self.documents.get(uri).and_then(documents::Open::text) else { return };
        for prompt in Layout::new(&text, language).prompts() {
            if let Some(failed) = prompt.event.and_then(|event| self.failed.get_mut(event)) {
                failed.shown = false;
            }
        }
        self.diagnose(uri);
    }

    /// Sends a prompt again whose last turn failed: the one where the user is, else the last one.
    fn retry(&mut self, uri: Option<String>, range: Option<Range>, now: Instant) -> Option<u64> {
        let uri = self.meant(uri)?;
        self.seen(&uri, range.map(|range| range.start));
        self.try_again(Some(&uri), None, now);
        let open = self.documents.get(&uri)?;
        let (text, language) = open.text()?;
        let layout = Layout::new(&text, language);
        let failed = |prompt: &Prompt<'_>| {
            prompt.event.filter(|event| self.failed.contains_key(*event)).map(str::to_owned)
        };
        let here = open.at().and_then(|at| layout.prompt_at(at)).and_then(failed);
        let event = here.or_else(|| layout.prompts().iter().rev().find_map(failed));
        let Some((event, failed)) =
            event.and_then(|event| Some((event.clone(), self.failed.get(&event)?.clone())))
        else {
            self.say(Severity::Info, "No prompt here failed.");
            return None;
        };
        let mut turn = Turn::new(&uri, String::new(), Origin::Nowhere);
        turn.event = Some(event.clone());
        turn.replaces = failed.replies;
        let key = self.add(turn);
        let session = failed.session.clone();
        if failed.interrupted {
            let applied =
                layout.prompts().iter().flat_map(|prompt| prompt.acts.iter().map(|act| (*act).into()));
            let (applied, turns) = (applied.collect(), vec![failed.turn]);
            let resume = Resume { session, applied, turns, drop: Vec::new() };
            self.tell(
                |reply| Event::Resume(resume, reply),
                move |result| {
                    let again = result.and_then(|resumed| {
                        let first = resumed.resumed.into_iter().next().map(|(_, turn)| turn);
                        first.ok_or_else(|| Error::not_found("this turn cannot run again"))
                    });
                    Done::Again(key, again)
                },
            );
        } else {
            let task = SessionTask::Regenerate { session, message: Some(event) };
            self.tell(
                |reply| Event::Session(task, reply),
                move |result| {
                    let turn = |answer: Value| answer["turnId"].as_str().map(TurnId::from);
                    let again = result.and_then(|answer| {
                        turn(answer).ok_or_else(|| Error::internal("the answer names no turn"))
                    });
                    Done::Again(key, again)
                },
            );
        }
        if let Some(turn) = self.turns.get_mut(&key) {
            turn.session = Some(failed.session);
        }
        Some(key)
    }

    pub(super) fn sent_again(&mut self, key: u64, result: Result<TurnId>, now: Instant) {
        match result {
            Ok(id) => {
                let Some(turn) = self.turns.get(&key) else { return };
                let (uri, event, session) = (turn.uri.clone(), turn.event.clone(), turn.session.clone());
                if let Some(session) = session {
                    self.began(key, &id, session);
                }
                self.failed.remove(&event.unwrap_or_default());
                self.diagnose(&uri);
                self.refresh(now);
            }
            Err(error) => self.lost(key, error),
        }
    }

    /// Cancels a turn: the one that is named, else the newest, in a document if one is named.
    fn cancel(&mut self, uri: Option<&str>, turn: Option<&str>) {
        let meant = |known: &Turn| match turn {
            Some(turn) => known.id.as_ref().is_some_and(|id| id.as_str() == turn),
            None => uri.is_none_or(|uri| known.uri == uri),
        };
        let newest = self.turns.iter().rev().find(|(_, turn)| turn.is_running() && meant(turn));
        match newest.map(|(key, _)| *key) {
            Some(key) => self.stop_turn(key),
            None => self.say(Severity::Info, "Nothing is under way here."),
        }
    }

    /// Asks what is behind the answer where the user is, or the last one.
    fn why(&mut self, uri: Option<String>, range: Option<Range>) {
        let Some(uri) = self.meant(uri) else { return };
        self.seen(&uri, range.map(|range| range.start));
        let query = self.documents.get(&uri).and_then(|open| {
            let (text, language) = open.text()?;
            let layout = Layout::new(&text, language);
            let of = |prompt: &Prompt<'_>| match prompt.acts.last() {
                Some(act) => Some(Query::WhyActuation((*act).into(), true)),
                None => self.known.of(prompt.event?).map(|turn| Query::WhyTurn(turn.clone(), true)),
            };
            let here = open.at().and_then(|at| layout.prompt_at(at)).and_then(of);
            here.or_else(|| layout.prompts().iter().rev().find_map(of))
        });
        match query {
            Some(query) => self.tell(|reply| Event::Read(query, reply), Done::Explained),
            None => self.say(Severity::Info, "Nothing was answered here yet."),
        }
    }

    pub(super) fn explained(&mut self, result: Result<Value>) {
        match result {
            Ok(why) => {
                let text = why["org"].as_str().unwrap_or_default();
                let end = text.floor_char_boundary(EXPLANATION);
                let rest = if end < text.len() { "\n[… the rest: org-agent why …]" } else { "" };
                self.say(Severity::Info, &format!("{}{rest}", &text[..end]));
            }
            Err(error) => self.say(Severity::Warning, &error.one_line()),
        }
    }

    /// Opens a link, if it is one that may be opened.
    fn open(&mut self, url: Option<String>, now: Instant) {
        match url.filter(|url| may_open(url)) {
            Some(url) => {
                let params = json!({"uri": url, "external": true});
                self.ask("window/showDocument", &params, Asked::Link(url), now + TIME);
            }
            None => {
                self.say(
                    Severity::Warning,
                    "Only links that begin with https:, http: or mailto: are opened.",
                );
            }
        }
    }
}

/// What is to be sent from the byte `at`, or about what is selected.
fn wished(layout: &Layout<'_>, at: Option<usize>, selected: Option<std::ops::Range<usize>>) -> Option<Wish> {
    let here = at.unwrap_or_default();
    let session = |at: usize| layout.session(at).map(str::to_owned);
    let in_prompt = |at: usize| layout.open_at(at).is_some_and(|prompt| !layout.is_empty(prompt));
    if let Some(bytes) = selected.filter(|bytes| !in_prompt(bytes.start)) {
        let region = Some(layout.words(bytes).into_owned()).filter(|region| !region.is_empty())?;
        return Some(match layout.last_open() {
            Some(prompt) => Wish {
                text: layout.message(prompt).into_owned(),
                level: prompt.level,
                origin: Place::Prompt(prompt.heading.start),
                session: session(prompt.heading.start),
                region: Some(region),
            },
            None => Wish {
                text: EXPLAIN.to_owned(),
                level: layout.open().next_back().map_or(1, |prompt| prompt.level),
                origin: Place::Nowhere,
                session: session(here),
                region: Some(region),
            },
        });
    }
    match layout.target(at) {
        Target::Prompt(prompt) => Some(Wish {
            text: layout.message(prompt).into_owned(),
            level: prompt.level,
            origin: Place::Prompt(prompt.heading.start),
            session: session(prompt.heading.start),
            region: None,
        }),
        Target::Free(section) => Some(Wish {
            text: layout.words(section.body.clone()).into_owned(),
            level: 1,
            origin: Place::Free(section.body.start),
            session: session(section.body.start),
            region: None,
        }),
        Target::Notes(section) => Some(Wish {
            text: format!("About: {}", section.heading.unwrap_or_default().trim()),
            level: 1,
            origin: Place::Nowhere,
            session: session(section.range.start),
            region: Some(layout.words(section.range.clone()).into_owned()),
        }),
        Target::Nothing => None,
    }
}

/// Whether a link may be opened outside the editor.
pub(super) fn may_open(url: &str) -> bool {
    let known =
        |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    url.len() <= 4096
        && ["https://", "http://", "mailto:"].iter().any(|scheme| known(scheme))
        && !url.chars().any(char::is_whitespace)
        // What is opened is what is shown.
        && approvals::visible(url) == url
}

/// A name for an attachment: the last part of a path.
pub(super) fn name(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or(path);
    last[..last.floor_char_boundary(MAX_NAME)].to_owned()
}

/// Whether a document was shown, as the editor says.
pub(super) fn was_shown(result: &str) -> bool {
    #[derive(Deserialize)]
    struct Shown {
        success: bool,
    }
    serde_json::from_str::<Shown>(result).is_ok_and(|shown| shown.success)
}

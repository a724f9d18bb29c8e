//! Skills in the loop: their functions run beside it, each within its limits, and what comes of them arrives as
//! events. The loop itself only notes which skills a turn is for.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::Kernel;
use super::desk::Desk;
use crate::chosen;
use crate::config::Config;
use crate::dispatch::{self, Cast, Facts, Made, Making, World};
use crate::error::Error;
use crate::event::{Event, Found, LookedAt, Query, Reply, Trust};
use crate::ids::TurnId;
use crate::lisp::{Datum, Environment};
use crate::model::{Ask, Wanted};
use crate::outgoing::Outgoing;
use crate::policy::Surroundings;
use crate::prompt::{self, HistoryItem, Message, Parts, Persona, Role};
use crate::record::{Record, Speakers};
use crate::skill::{Loaded, Shelf, Shelved};
use crate::store::envelope::sha256;
use crate::turn::{Dispatched, Gated, Lead};
use crate::verify::Verified;

/// Of how many projects it is remembered what there was.
const PROJECTS: usize = 64;

/// What is known of a turn's skills.
#[derive(Debug)]
pub(super) struct Playing {
    cast: Arc<Cast>,
    world: World,
    making: Option<Box<Making>>,
    /// All that there were for it when it began.
    shelved: Shelved,
}

/// Who speaks to whom, as the identity skill says it.
pub(super) fn persona(shelf: &Shelf, config: &Config, env: &Arc<dyn Environment>) -> Persona {
    Persona {
        user: dispatch::says(shelf, env, "user-name").unwrap_or_else(|| config.persona.user.value.clone()),
        assistant: dispatch::says(shelf, env, "assistant-name")
            .unwrap_or_else(|| config.persona.assistant.value.clone()),
    }
}

/// The day, in UTC, as ISO writes it.
pub(super) fn today() -> String {
    let mut now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    now.truncate(10);
    now
}

/// What the skills of a message are found by.
pub(super) struct Setting {
    pub(super) event: Datum,
    pub(super) env: Arc<dyn Environment>,
    /// Where the session is, if that is on this machine.
    pub(super) directory: Option<PathBuf>,
    pub(super) around: Surroundings,
    pub(super) persona: Persona,
    /// As whom the assistant is to speak, if the user chose that for the session.
    pub(super) chosen: Option<String>,
}

/// Asks the triggers which skills a message is for, and begins its prompt; with the skills of the user as they are now.
pub(super) fn cast_for(desk: &Desk, setting: Setting) -> (Shelved, Found) {
    let Setting { event, env, directory, around, persona, chosen } = setting;
    let (own, shelved) = desk.newest(directory.as_deref());
    let voice = chosen.as_deref().map(|chosen| dispatch::voice(&shelved.shelf, &env, chosen));
    let note = match (&voice, &chosen) {
        (Some(Ok(Some(_))), Some(chosen)) => Some(format!("the persona {chosen} speaks")),
        (Some(Err(why)), _) => Some(format!("{why}, so the usual one speaks")),
        _ => None,
    };
    let env = voice.and_then(Result::ok).flatten().unwrap_or(env);
    let facts = Facts { around: Some(around), ..Facts::of(&shelved.shelf, &env) };
    let (user, assistant) = (facts.user.or(Some(persona.user)), facts.assistant.or(Some(persona.assistant)));
    let world = World::new(event, env).with(Facts { user, assistant, ..facts });
    let cast = Cast::new(&shelved.shelf, &world).noting(note);
    let made = cast.lead().map(|skill| (skill.name.clone(), Making::begin(skill, &world)));
    (own, (Arc::new(cast), world, shelved, made))
}

impl Kernel {
    /// Reads what changed on disk, beside the loop: notes are evaluated then, and that takes its time. `reply` gets what
    /// there is afterwards.
    pub(super) fn refresh_skills(&mut self, reply: Option<Reply<Arc<Shelf>>>) {
        let (desk, events) = (self.desk.clone(), self.internal.clone());
        tokio::spawn(async move {
            let mut reply = reply;
            for shelved in desk.work(Desk::all).await.unwrap_or_default() {
                // The user's are the first. If the kernel is gone, nobody waits for it.
                drop(events.send(Event::Shelf(shelved, reply.take())).await);
            }
        });
    }

    /// Takes in the skills as they are now.
    pub(super) fn shelved(&mut self, shelved: &Shelved, reply: Option<Reply<Arc<Shelf>>>) {
        let Shelved { project, shelf } = shelved;
        let new = match project {
            None => {
                let new = !Arc::ptr_eq(&self.shelf, shelf);
                if new {
                    self.shelf = Arc::clone(shelf);
                    self.persona = persona(shelf, &self.config, &self.variables);
                    // The offline responder knows the persona.
                    self.models.clear();
                }
                new
            }
            Some(project) => {
                if self.projects.len() >= PROJECTS {
                    self.projects.clear();
                }
                let before = self.projects.insert(project.clone(), Arc::clone(shelf));
                before.is_none_or(|before| !Arc::ptr_eq(&before, shelf))
            }
        };
        if new {
            self.outbox.send(self.ticket, Outgoing::Skills(shelved.clone()));
            // What was permitted was so by the skills as they were.
            for (turn, playing) in &self.playing {
                if playing.shelved.project == *project
                    && let Some(skill) = playing.cast.changed(shelf)
                {
                    self.tokens.void(turn, &format!("the skill {skill} has changed since"));
                }
            }
        }
        if let Some(reply) = reply {
            self.answer(reply, Ok(Arc::clone(shelf)));
        }
    }

    /// Tells the client what there is, and what is wrong.
    pub(super) fn tell_skills(&mut self) {
        let shelved = Shelved { project: None, shelf: Arc::clone(&self.shelf) };
        self.outbox.send(self.ticket, Outgoing::Skills(shelved));
    }

    /// The skills that a turn can load now: what was taken back since it began is not among them.
    fn shelf_of(&self, id: &TurnId) -> &Arc<Shelf> {
        let shelved = self.playing.get(id).map(|playing| &playing.shelved);
        match shelved.and_then(|shelved| Some((shelved, shelved.project.as_ref()?))) {
            Some((shelved, project)) => self.projects.get(project).unwrap_or(&shelved.shelf),
            None => &self.shelf,
        }
    }

    /// Answers a question about the skills of a project: it is on a disk.
    pub(super) fn read_of_project(&mut self, directory: PathBuf, query: Query, reply: Reply<Value>) {
        let desk = self.desk.clone();
        tokio::spawn(async move {
            let directory = directory.canonicalize().unwrap_or(directory);
            let read = move |desk: &Desk| match &query {
                Query::Untrusted(file, _) => {
                    let items = desk.review(&directory, file.as_deref())?;
                    Ok(serde_json::json!({"items": items, "nextCursor": null}))
                }
                query => super::reads::skills(&desk.newest(Some(&directory)).1.shelf, query),
            };
            let bug = || Err(Error::internal("the skills could not be read; this is a bug"));
            reply.send(desk.work(read).await.unwrap_or_else(bug));
        });
    }

    /// Trusts a skill of a project as it is now, or no more. The answer comes once all that follows is known.
    pub(super) fn trust(&mut self, trust: Trust, reply: Reply<Arc<Shelf>>) {
        let (desk, events) = (self.desk.clone(), self.internal.clone());
        tokio::spawn(async move {
            let Trust { directory, file, sha256 } = trust;
            let directory = directory.canonicalize().unwrap_or(directory);
            let done = desk.work(move |desk| desk.trust(&directory, &file, sha256.as_deref())).await;
            let bug = || Err(Error::internal("the skill could not be trusted; this is a bug"));
            match done.unwrap_or_else(bug) {
                Ok(shelved) => drop(events.send(Event::Shelf(shelved, Some(reply))).await),
                Err(error) => reply.send(Err(error)),
            }
        });
    }

    /// Asks the triggers which skills a turn is for, and begins the prompt.
    pub(super) fn dispatch(&mut self, id: &TurnId) {
        let Some(turn) = self.turns.get_mut(id) else { return };
        let Some(session) = self.sessions.get_mut(&turn.subject().session) else { return };
        let imported = session.imported();
        let chosen = chosen::persona(&session.context.values).map(str::to_owned);
        let history = session.history();
        // Whatever comes of the skills: what the model may be shown, they are shown.
        turn.prompted(history.iter().rev().find_map(HistoryItem::foreign).or(imported));
        let subject = turn.subject();
        let (session, date) = (subject.session.as_str(), today());
        let event = dispatch::event(&subject.said, history, &subject.buffer, session, Some(&date));
        // A directory of another machine brings nothing along.
        let directory = subject.around.directory.clone();
        let (around, persona) = (subject.around.clone(), self.persona.clone());
        let (desk, env) = (self.desk.clone(), self.variables.clone());
        let (events, turn) = (self.internal.clone(), id.clone());
        tokio::spawn(async move {
            let setting = Setting { event, env, directory, around, persona, chosen };
            let work = move |desk: &Desk| cast_for(desk, setting);
            let (own, cast) = desk.work(work).await.unzip();
            let shelved = cast.as_ref().map(|(_, _, shelved, _)| shelved.clone());
            for shelved in own.into_iter().chain(shelved) {
                // If the kernel is gone, nobody waits for it.
                drop(events.send(Event::Shelf(shelved, None)).await);
            }
            drop(events.send(Event::Cast { turn, cast: cast.map(Box::new) }).await);
        });
    }

    /// The skills of a turn are known.
    pub(super) fn cast(&mut self, id: &TurnId, found: Option<Box<Found>>) {
        let Some(session) = self.turns.get(id).map(|turn| turn.subject().session.clone()) else { return };
        let Some(found) = found else {
            let failed = Dispatched::Failed("(any)".into(), "the evaluator panicked; this is a bug".into());
            return self.go_on(id, failed);
        };
        let (cast, world, shelved, made) = *found;
        let (skill, made) = made.map_or((None, None), |(skill, made)| (Some(skill), Some(made)));
        let mut notes = cast.notes().to_vec();
        notes.extend(made.as_ref().map(|(_, notes)| notes.clone()).unwrap_or_default());
        self.record(
            &session,
            &Record::Dispatched { turn: id.clone(), skill, triggered: cast.record(), notes },
        );
        self.playing.insert(id.clone(), Playing { cast, world, making: None, shelved });
        match made {
            Some((made, _)) => self.made(id, made),
            None => self.go_on(id, Dispatched::Lead(None)),
        }
    }

    /// A skill's prompt is one step further.
    pub(super) fn made(&mut self, id: &TurnId, made: Made) {
        let Some(playing) = self.playing.get_mut(id) else { return };
        let skill = playing.cast.lead().map(|skill| skill.name.clone()).unwrap_or_default();
        let dispatched = match made {
            Made::Prompt { prompt, system } => Dispatched::Lead(Some(Lead { system, prompt })),
            Made::Question { prompt, system, making } => {
                playing.making = Some(making);
                Dispatched::Question(Lead { system, prompt })
            }
            Made::Speaks(text) => Dispatched::Speaks(skill, text),
            Made::Failed(why) => Dispatched::Failed(skill, why),
        };
        self.go_on(id, dispatched);
    }

    fn go_on(&mut self, id: &TurnId, dispatched: Dispatched) {
        let now = self.now();
        self.advance(id, |turn| turn.dispatched(dispatched, now));
    }

    /// Asks the model what a skill wants to know.
    pub(super) fn consult(&mut self, id: &TurnId, question: Lead) {
        let system = question.system.map(|text| Message { role: Role::System, text });
        let said = Message { role: Role::User, text: question.prompt };
        let messages = system.into_iter().chain([said]).collect();
        self.call_model(id, Ask { messages, wanted: Wanted::Text });
    }

    /// Goes on with the skill that asked.
    pub(super) fn answered(&mut self, id: &TurnId, text: String) {
        let Some(making) = self.playing.get_mut(id).and_then(|playing| playing.making.take()) else { return };
        let (desk, events, turn) = (self.desk.clone(), self.internal.clone(), id.clone());
        tokio::spawn(async move {
            let made = desk.work(move |_| making.answer(&text)).await;
            let (made, notes) = made.unwrap_or_else(|| {
                (Made::Failed("the evaluator panicked; this is a bug".to_owned()), Vec::new())
            });
            for note in notes {
                tracing::info!(%turn, note, "a skill noted");
            }
            drop(events.send(Event::Made { turn, made }).await);
        });
    }

    /// Has the gates of a turn's skills look at an action.
    pub(super) fn gate(&mut self, id: &TurnId, action: Verified<crate::action::Action>) {
        let Some(turn) = self.turns.get(id) else { return };
        let (attempt, subject) = (turn.attempt(), turn.subject());
        let Some(playing) = self.playing.get(id) else {
            let now = self.now();
            return self.advance(id, |turn| turn.gated(Gated::Passed { action, replaced: false }, now));
        };
        let (cast, world) = (Arc::clone(&playing.cast), playing.world.clone());
        let subject = subject.clone();
        let (desk, events, turn) = (self.desk.clone(), self.internal.clone(), id.clone());
        tokio::spawn(async move {
            let looked =
                desk.work(move |_| cast.gate(action, &world, &|| subject.reading())).await.map(Box::new);
            drop(events.send(Event::Gated { turn, attempt, looked }).await);
        });
    }

    /// The gates have looked.
    pub(super) fn gated(&mut self, id: &TurnId, attempt: u32, looked: Option<Box<LookedAt>>) {
        let Some(turn) = self.turns.get(id) else { return };
        if turn.attempt() != attempt {
            return;
        }
        let session = turn.subject().session.clone();
        let gated = match looked.map(|looked| *looked) {
            None => {
                Gated::Refused("(any)".into(), "the evaluator panicked; this is a bug".into(), String::new())
            }
            Some((verdict, looks)) => {
                let replaced = looks.iter().any(|look| look.result == crate::record::Looked::Replaced);
                if !looks.is_empty() {
                    self.record(&session, &Record::Gated { turn: id.clone(), attempt, gates: looks });
                }
                match verdict {
                    Ok(action) => Gated::Passed { action, replaced },
                    Err(no) => Gated::Refused(no.skill, no.why, no.sexp),
                }
            }
        };
        let now = self.now();
        self.advance(id, |turn| turn.gated(gated, now));
    }

    /// Loads a skill, or a file of one, beside the loop: it is on a disk.
    pub(super) fn activate(&mut self, id: &TurnId, name: String) {
        let (desk, events, turn) = (self.desk.clone(), self.internal.clone(), id.clone());
        let shelf = Arc::clone(self.shelf_of(id));
        let world = self.playing.get(id).map(|playing| playing.world.clone());
        tokio::spawn(async move {
            let context = move || world.and_then(|world| world.context());
            let loaded = desk.work(move |_| crate::skills::load(&shelf, &name, context)).await;
            let loaded = loaded.unwrap_or_else(|| Err("it could not be read; this is a bug".to_owned()));
            drop(events.send(Event::Loaded { turn, loaded }).await);
        });
    }

    /// The same for a user who called it, if that is a name and not only looks like one.
    pub(super) fn summon(&mut self, id: &TurnId, name: String) {
        let shelf = self.shelf_of(id);
        if shelf.get(&name).is_some_and(|skill| shelf.offers(skill)) {
            return self.activate(id, name);
        }
        self.loaded(id, Err(format!("there is no skill named {name:?}")));
    }

    /// A skill, or a file of one, was loaded.
    pub(super) fn loaded(&mut self, id: &TurnId, loaded: Result<Loaded, String>) {
        let room = self.room_of(id);
        let Some(turn) = self.turns.get(id) else { return };
        let shown = self.sessions.get_mut(&turn.subject().session).is_some_and(|session| {
            let last = session.context.summary.clone();
            let history = session.history();
            loaded
                .as_ref()
                .is_ok_and(|loaded| prompt::shows(history, last.as_ref(), &room, &loaded.name, &loaded.text))
        });
        if let Ok(loaded) = &loaded {
            let session = turn.subject().session.clone();
            let record = Record::SkillLoaded {
                turn: id.clone(),
                skill: loaded.name.clone(),
                sha256: sha256(&loaded.text),
                origin: loaded.origin.as_str().to_owned(),
            };
            self.record(&session, &record);
        }
        let now = self.now();
        self.advance(id, |turn| turn.activated(loaded, shown, now));
    }

    /// Who speaks in a turn.
    pub(super) fn speakers(&self, id: &TurnId) -> Speakers {
        let chosen = self.playing.get(id).map(|playing| playing.world.names());
        let [user, assistant] = chosen.unwrap_or_default();
        Speakers {
            user: user.unwrap_or_else(|| self.persona.user.clone()),
            assistant: assistant.unwrap_or_else(|| self.persona.assistant.clone()),
        }
    }

    /// Forgets the skills of a turn.
    pub(super) fn strike(&mut self, id: &TurnId) {
        self.playing.remove(id);
    }

    /// The messages of a turn's prompt.
    pub(super) fn prompt_of(&mut self, id: &TurnId, repair: Option<&str>) -> Option<Vec<Message>> {
        let catalogue = self.shelf_of(id).catalogue();
        let room = self.room_of(id);
        let persona = self.changes.kept(id).map_or(&self.persona, |kept| &kept.persona);
        let chosen = self.playing.get(id).and_then(|playing| playing.world.opening());
        let turn = self.turns.get_mut(id)?;
        let session = self.sessions.get_mut(&turn.subject().session)?;
        let (context, imported) = (session.context.clone(), session.imported());
        let history = session.history();
        let lead = turn.lead();
        let opening = lead.and_then(|lead| lead.system.clone()).or(chosen);
        let opening = opening.unwrap_or_else(|| prompt::introduction(persona));
        let said = lead.map(|lead| lead.prompt.as_str());
        let messages = prompt::build(&Parts {
            opening: &opening,
            catalogue: &catalogue,
            context: &context,
            history,
            said,
            repair,
            room,
        });
        let told = || context.summary.as_ref().and_then(|summary| summary.foreign.clone());
        let foreign = history.iter().rev().find_map(HistoryItem::foreign).or_else(told).or(imported);
        turn.prompted(foreign);
        Some(messages)
    }
}

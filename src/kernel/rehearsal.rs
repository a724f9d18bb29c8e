//! A dry run: what would be sent for a message, without sending it. Nothing is recorded, no session is made or taken, and
//! no model is asked, also not by a skill or for a summary.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Kernel;
use super::models::dollars;
use super::skills::{Setting, cast_for, today};
use crate::action::CHAT_BUFFER;
use crate::chosen;
use crate::config::Price;
use crate::context::Context;
use crate::dispatch::{self, Made, World};
use crate::error::Result;
use crate::event::{ChatMessage, Event, Found, Reply};
use crate::ids::{SessionId, TurnId};
use crate::model::{Failure, Model, Wanted};
use crate::prompt::{self, HistoryItem, Message, Parts, Role, Room};
use crate::redact::Keys;
use crate::sessions;
use crate::skill::Shelf;
use crate::turn;
use crate::why;

/// How much of a thing that is left out is told, in characters.
const LINE: usize = 80;

/// What is known before the skills are asked.
struct Stage {
    session: Option<SessionId>,
    buffer: String,
    /// What was said, the message at the end.
    history: Vec<HistoryItem>,
    said: HistoryItem,
    context: Context,
    /// How many turns of the session come first.
    waits: usize,
    edited: Vec<String>,
    model: Arc<dyn Model>,
    name: String,
    room: Room,
    price: Option<Price>,
    /// Whether a prompt that does not show all has a summary made first.
    summarises: bool,
    introduction: String,
    keys: Keys,
    org: bool,
}

impl Kernel {
    /// Answers with what would be sent for `message`.
    pub(super) fn rehearse(&mut self, message: ChatMessage, org: bool, reply: Reply<Value>) {
        let around = self.surroundings(message.location.as_ref());
        let stage = match self.stage(message, org) {
            Ok(stage) => stage,
            Err(error) => return self.answer(reply, Err(error)),
        };
        let session = stage.session.as_ref().map(SessionId::as_str).unwrap_or_default();
        let event = dispatch::event(&stage.said, &stage.history, &stage.buffer, session, Some(&today()));
        let setting = Setting {
            event,
            env: Arc::clone(&self.variables),
            directory: around.directory.clone(),
            around,
            persona: self.persona.clone(),
            chosen: chosen::persona(&stage.context.values).map(str::to_owned),
        };
        // What a prompt of this length would be refused for is asked once that is known.
        let whose = stage.session.clone().unwrap_or_else(|| SessionId(String::new()));
        let refused = stage.price.and_then(|price| self.overspent(&whose, Some(price), stage.tokens_about()));
        let (desk, events) = (self.desk.clone(), self.internal.clone());
        // What was said is shown once it is on disk, as everything is.
        self.outbox.answer(self.ticket, move |durable| {
            if let Err(error) = durable {
                return reply.send(Err(error));
            }
            tokio::spawn(async move {
                let work = move |desk: &super::desk::Desk| {
                    let (own, found) = cast_for(desk, setting);
                    let shelved = found.2.clone();
                    (vec![own, shelved], stage.play(found, refused.as_ref()))
                };
                let Some((shelved, answer)) = desk.work(work).await else { return };
                for shelved in shelved {
                    // Notes that changed are seen here first. If the kernel is gone, nobody waits for it.
                    drop(events.send(Event::Shelf(shelved, None)).await);
                }
                reply.send(Ok(answer));
            });
        });
    }

    fn stage(&mut self, message: ChatMessage, org: bool) -> Result<Stage> {
        let session = match &message.session {
            Some(id) => Some(id.clone()),
            None => self.would_go_to(message.buffer.as_deref().unwrap_or(CHAT_BUFFER))?,
        };
        let mut buffer = message.buffer.unwrap_or_else(|| CHAT_BUFFER.to_owned());
        let (mut history, mut context, mut waits, mut chosen) = (Vec::new(), Context::default(), 0, None);
        if let Some(id) = &session {
            if let Some(held) = self.sessions.get_mut(id) {
                history = held.history().to_vec();
                (buffer, context, chosen) = (held.buffer.clone(), held.context.clone(), held.model.clone());
                waits = held.live().count();
            } else {
                let (found, past, unfinished) = self.recorded(id)?;
                history = past;
                buffer = found["buffer"].as_str().unwrap_or(CHAT_BUFFER).to_owned();
                context = Context::deserialize(&found["context"]).unwrap_or_default();
                chosen = found["model"].as_str().map(str::to_owned);
                waits = unfinished.iter().filter(|turn| !turn.started).count();
            }
        }
        let name = self.models_after(chosen.as_deref())?.into_iter().next().unwrap_or_default();
        let model = self.model(&name)?;
        let edited = match &session {
            Some(id) => sessions::edited(&self.store, id, &message.hashes)?,
            None => Vec::new(),
        };
        let said = HistoryItem::User { text: message.text, context: message.context };
        if let HistoryItem::User { text, context: attached } = &said {
            let attached = attached.iter().map(|item| (item.kind.as_str(), item.name.as_str()));
            context.learn(&TurnId::from(""), text, attached);
        }
        history.push(said.clone());
        Ok(Stage {
            session,
            buffer,
            history,
            said,
            context,
            waits,
            edited,
            room: self.room_for(model.as_ref()),
            price: model.terms().and_then(|terms| terms.price),
            summarises: !self.config.sessions.leaves_out && model.terms().is_some(),
            introduction: prompt::introduction(&self.persona),
            keys: self.keys(),
            model,
            name,
            org,
        })
    }

    /// The session that a message for `buffer` would go to; nothing: to a new one.
    fn would_go_to(&self, buffer: &str) -> Result<Option<SessionId>> {
        for id in self.store.newest_active(buffer)? {
            // Another server may have it. The lease is given back at once.
            if self.sessions.contains_key(&id) || self.store.lease(&id)?.is_some() {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }
}

/// What is asked before the prompt.
struct First {
    why: &'static str,
    skill: Option<String>,
    messages: Vec<Message>,
}

impl Stage {
    /// About how many tokens the prompt has.
    fn tokens_about(&self) -> u64 {
        self.count(&prompt::build(&self.parts(&self.introduction, None, "")))
    }

    fn count(&self, messages: &[Message]) -> u64 {
        messages.iter().map(|message| self.room.count(&message.text)).sum::<usize>() as u64
    }

    fn listed(&self, messages: &[Message]) -> Vec<Value> {
        let item = |message: &Message| {
            let tokens = self.room.count(&message.text);
            json!({"role": message.role.as_str(), "text": message.text, "tokens": tokens})
        };
        messages.iter().map(item).collect()
    }

    /// Puts the skill behind the message that it calls by its name, as a turn does.
    fn call(&mut self, shelf: &Shelf, world: &World) {
        let Some(name) = turn::called(&self.said).map(str::to_owned) else { return };
        if !shelf.get(&name).is_some_and(|skill| shelf.offers(skill)) {
            return;
        }
        let Ok(loaded) = crate::skills::load(shelf, &name, || world.context()) else { return };
        let last = self.context.summary.as_ref();
        let shown = prompt::shows(&self.history, last, &self.room, &loaded.name, &loaded.text);
        self.history.push(turn::told(name, Ok(loaded), shown).1);
    }

    fn parts<'a>(&'a self, opening: &'a str, said: Option<&'a str>, catalogue: &'a str) -> Parts<'a> {
        Parts {
            opening,
            catalogue,
            context: &self.context,
            history: &self.history,
            said,
            repair: None,
            room: self.room,
        }
    }

    /// Lets the skills play, up to where a model would be asked.
    fn play(mut self, (cast, world, shelved, made): Found, refused: Option<&Failure>) -> Value {
        let mut problem = refused.map(|failure| json!({"message": failure.message, "hint": failure.hint}));
        let (mut first, mut speaks, mut lead, mut failed) = (None, None, None, false);
        let (skill, made) = made.map_or((None, None), |(skill, (made, _))| (Some(skill), Some(made)));
        match made {
            None => {}
            Some(Made::Prompt { prompt, system }) => lead = Some((prompt, system)),
            Some(Made::Question { prompt, system, .. }) => {
                let system = system.map(|text| Message { role: Role::System, text });
                let messages =
                    system.into_iter().chain([Message { role: Role::User, text: prompt }]).collect();
                first = Some(First { why: "skill", skill: skill.clone(), messages });
            }
            Some(Made::Speaks(_)) => speaks = skill.clone(),
            Some(Made::Failed(why)) => {
                failed = true;
                let message = format!("the skill {} failed: {why}", skill.as_deref().unwrap_or("(any)"));
                problem = Some(json!({"message": message, "hint": "org-agent skill check says more"}));
            }
        }
        let sends = first.is_none() && speaks.is_none() && !failed;
        if sends {
            self.call(&shelved.shelf, &world);
        }
        let catalogue = shelved.shelf.catalogue();
        let (said, system) = lead.map_or((None, None), |(said, system)| (Some(said), system));
        let opening = system.or_else(|| world.opening()).unwrap_or_else(|| self.introduction.clone());
        let parts = self.parts(&opening, said.as_deref(), &catalogue);
        let (messages, shown) =
            if sends { (prompt::build(&parts), prompt::shown(&parts)) } else { Default::default() };
        if sends
            && self.summarises
            && let Some(due) = prompt::due(&self.history, self.context.summary.as_ref(), &self.room)
        {
            let messages = vec![
                Message { role: Role::System, text: due.system },
                Message { role: Role::User, text: due.prompt },
            ];
            first = Some(First { why: "summary", skill: None, messages });
        }
        let tokens = self.count(&messages);
        let parameters = self.model.parameters(&Wanted::Action { buffer: self.buffer.clone() });
        let mut answer = json!({
            "sessionId": self.session,
            "buffer": self.buffer,
            "waits": self.waits,
            "edited": self.edited,
            "model": self.name,
            "dialect": parameters["dialect"],
            "parameters": parameters,
            "skill": skill,
            "skills": cast.record().into_iter().map(|triggered| triggered.skill).collect::<Vec<_>>(),
            "speaks": speaks,
            "asksFirst": first.map(|first| json!({
                "why": first.why, "skill": first.skill, "messages": self.listed(&first.messages),
            })),
            "messages": self.listed(&messages),
            "tokens": {"tokens": tokens, "by": self.room.counter.map_or("estimate", |counter| counter.name())},
            "cost": self.price.filter(|_| sends).map(|price| dollars(price.of(tokens, 0, 0))),
            "history": {
                "shown": shown.shown,
                "summarised": shown.summarised,
                "leftOut": shown.left_out.iter().map(|message| json!({
                    "role": message.role.as_str(), "text": line(&message.text), "bytes": message.text.len(),
                })).collect::<Vec<_>>(),
            },
            "problem": problem,
        });
        let said = match &self.said {
            HistoryItem::User { text, .. } => text.as_str(),
            _ => "",
        };
        let text = self.org.then(|| why::rehearsal(&answer, said, &self.keys));
        answer = why::masked(answer, &self.keys);
        if let Some(text) = text {
            answer["org"] = text.into();
        }
        answer
    }
}

/// The beginning of a text, as one line.
fn line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().take(LINE).collect();
    words.join(" ").chars().take(LINE).collect()
}

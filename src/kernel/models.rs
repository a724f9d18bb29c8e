//! Models in the loop: which one a turn asks, what may be spent on it, and what it cost.
//!
//! A session is answered by the model that the user chose for it, else by the one that is configured; if it fails, by its
//! fallbacks, in their order. What is spent is read from the log, with what is on its way to the disk.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Kernel, call};
use crate::config::{Choice, Offered, Price, amount};
use crate::error::Result;
use crate::event::Page;
use crate::ids::{SessionId, TurnId};
use crate::model::{self, Ask, Failure, Model, Trouble};
use crate::prompt::Room;
use crate::record::{Cost, Counted, MessageRef, Record, Usage, Verdict};
use crate::tokens::Counter;

/// A day, in milliseconds.
const DAY: u64 = 86_400_000;

/// What was and is being spent by this server, as far as the store does not have it yet.
#[derive(Debug, Default)]
pub(super) struct Purse {
    /// The calls that run: whose, and what their prompts have and cost.
    calls: HashMap<TurnId, Asked>,
    /// What ended and is on its way to the disk: the ticket of its record, whose it is, millionths of a dollar.
    due: VecDeque<(u64, SessionId, u64)>,
}

/// The vocabularies that were unpacked. That takes a while, so it is done beside the loop; until then tokens are
/// estimated.
#[derive(Debug, Default)]
pub(super) struct Counters(HashMap<&'static str, Arc<AtomicBool>>);

impl Counters {
    /// Unpacks the vocabulary of `counter`, if it has one.
    fn prepare(&mut self, counter: Counter) {
        if counter.has_vocabulary() && !self.0.contains_key(counter.name()) {
            let ready = Arc::new(AtomicBool::new(false));
            self.0.insert(counter.name(), Arc::clone(&ready));
            tokio::task::spawn_blocking(move || {
                let _ = counter.count("a");
                ready.store(true, Ordering::Release);
            });
        }
    }

    /// `counter`, if it can count at once.
    pub(super) fn ready(&self, counter: Counter) -> Option<Counter> {
        let ready = self.0.get(counter.name())?;
        ready.load(Ordering::Acquire).then_some(counter)
    }
}

/// A model call.
#[derive(Debug)]
struct Asked {
    session: SessionId,
    /// The tokens of its prompt, as they are counted here.
    prompt: u64,
    /// What its tokens cost; nothing: that is not known.
    price: Option<Price>,
    /// How its tokens are counted.
    room: Room,
    /// Whether tokens are counted at all: they are not for what is built in.
    counts: bool,
}

impl Purse {
    /// A turn is over, and so is its last call.
    pub(super) fn ended(&mut self, turn: &TurnId) {
        self.calls.remove(turn);
    }

    /// What is not in the store yet, in all and of one session.
    fn due(&mut self, committed: u64, session: &SessionId) -> (u64, u64) {
        self.due.retain(|(ticket, ..)| *ticket > committed);
        let due = self.due.iter().map(|(_, session, cost)| (session, *cost));
        let running = self
            .calls
            .values()
            .filter_map(|asked| Some((&asked.session, asked.price?.of(asked.prompt, 0, 0))));
        due.chain(running).fold((0, 0), |(all, own), (whose, cost)| {
            (all.saturating_add(cost), if whose == session { own.saturating_add(cost) } else { own })
        })
    }
}

impl Kernel {
    /// The models that a turn of this session may ask, in their order.
    ///
    /// # Errors
    /// The first of them is not configured as it has to be.
    pub(super) fn models_for(&mut self, session: Option<&SessionId>) -> Result<Vec<String>> {
        let chosen = session.and_then(|id| self.sessions.get(id)).and_then(|session| session.model.clone());
        self.models_after(chosen.as_deref())
    }

    /// The same for the model that was chosen for a session.
    pub(super) fn models_after(&mut self, chosen: Option<&str>) -> Result<Vec<String>> {
        self.reread_choice()?;
        let choice = match chosen {
            Some(name) => self.config.choose_selected(name, &self.secrets)?,
            None => self.config.choose_model(&self.secrets)?,
        };
        let mut names = vec![choice.name().to_owned()];
        if let Choice::Remote(remote) = &choice {
            names.extend(remote.terms.fallback.iter().cloned());
        }
        Ok(names)
    }

    /// The model of this name, opened at first use.
    pub(super) fn model(&mut self, name: &str) -> Result<Arc<dyn Model>> {
        if let Some(model) = self.models.get(name) {
            return Ok(Arc::clone(model));
        }
        let choice = match self.config.choose_model(&self.secrets) {
            Ok(choice) if choice.name() == name => choice,
            // It is a session's own, or another one's fallback, which only names what is configured.
            _ => self.config.choose_selected(name, &self.secrets)?,
        };
        if let Choice::Offline = choice {
            return Ok(Arc::new(self.offline()));
        }
        let model: Arc<dyn Model> = model::open(&choice, &self.persona).into();
        self.counters.prepare(model.counter());
        self.models.insert(name.to_owned(), Arc::clone(&model));
        Ok(model)
    }

    /// The model that a turn asks now, or would.
    pub(super) fn model_of(&mut self, id: &TurnId) -> Option<Arc<dyn Model>> {
        let turn = self.turns.get(id)?;
        let name = match turn.model() {
            Some(name) => name.to_owned(),
            None => {
                let session = turn.subject().session.clone();
                let names = self.as_begun(id, |kernel| kernel.models_for(Some(&session)));
                names.ok()?.into_iter().next()?
            }
        };
        self.as_begun(id, |kernel| kernel.model(&name)).ok()
    }

    /// What can be chosen: `{items: [{name, model, provider, baseUrl, dialect, local, default, found, selected, price,
    /// contextTokens, problem, hint}], nextCursor}`, with what was `found` on this machine if that is wanted. Nobody is asked for it.
    pub(super) fn offered(&mut self, session: Option<&SessionId>, page: &Page, found: bool) -> Result<Value> {
        self.reread_choice()?;
        let chosen = match session {
            Some(id) => self.store.session(id)?["model"].as_str().map(str::to_owned),
            None => None,
        };
        let (from, limit) = super::reads::part(page)?;
        let mut offered = self.config.offered(&self.secrets);
        if found {
            offered.extend(self.found_beside(&offered));
        }
        if let Some(name) =
            chosen.as_ref().filter(|name| offered.iter().all(|offered| offered.name != **name))
        {
            // The user said yes to it for this session, or it is configured no more.
            let choice = self.config.choose_selected(name, &self.secrets);
            offered.push(Offered { name: name.clone(), default: false, found: choice.is_ok(), choice });
        }
        let next = from.saturating_add(limit);
        let more = next < offered.len();
        let items = offered.iter().skip(from).take(limit).map(|offered| {
            let selected = chosen.as_ref().map_or(offered.default, |name| *name == offered.name);
            let mut item = describe(offered);
            item["selected"] = selected.into();
            item
        });
        Ok(json!({
            "items": items.collect::<Vec<_>>(),
            "nextCursor": if more { next.to_string().into() } else { Value::Null },
        }))
    }

    /// Asks the turn's model, for its present attempt.
    pub(super) fn call_model(&mut self, id: &TurnId, ask: Ask) {
        let Some(turn) = self.turns.get(id) else { return };
        let (attempt, session) = (turn.attempt(), turn.subject().session.clone());
        let mut name = turn.model().map(str::to_owned);
        if name.is_none() {
            match self.as_begun(id, |kernel| kernel.models_for(Some(&session))) {
                Ok(names) => {
                    name = names.first().cloned();
                    if let Some(turn) = self.turns.get_mut(id) {
                        turn.may_ask(names);
                    }
                }
                Err(error) => return self.advance(id, |turn| turn.fail(&error.one_line())),
            }
        }
        let name = name.unwrap_or_default();
        let model = match self.as_begun(id, |kernel| kernel.model(&name)) {
            Ok(model) => model,
            Err(error) => {
                let failure = Failure::new(Trouble::Configuration, error.one_line());
                return self.unasked(id, attempt, failure);
            }
        };
        let price = model.terms().and_then(|terms| terms.price);
        let counter = self.counters.ready(model.counter());
        let room = Room { counter, ..Room::default() };
        let tokens = ask.messages.iter().map(|message| room.count(&message.text)).sum::<usize>() as u64;
        if let Some(failure) = self.overspent(&session, price, tokens) {
            return self.unasked(id, attempt, failure);
        }
        let references = ask.messages.iter().map(|message| MessageRef {
            role: message.role.as_str().to_owned(),
            sha256: self.store.blob(&message.text),
        });
        let record = Record::Prompted {
            turn: id.clone(),
            attempt,
            model: model.name().to_owned(),
            messages: references.collect(),
            parameters: model.parameters(&ask.wanted),
            tokens: model.terms().map(|_| Counted {
                tokens,
                by: counter.map_or("estimate", |counter| counter.name()).to_owned(),
            }),
            persona: Some(self.speakers(id)),
        };
        self.record(&session, &record);
        let asked = Asked { session, prompt: tokens, price, room, counts: model.terms().is_some() };
        self.purse.calls.insert(id.clone(), asked);
        let call = call::start(model, ask, (id.clone(), attempt), self.known_keys(), self.internal.clone());
        self.calls.insert(id.clone(), call);
    }

    /// The model of a turn cannot be asked. If there is another one, it is.
    fn unasked(&mut self, id: &TurnId, attempt: u32, failure: Failure) {
        let now = self.now();
        self.advance(id, |turn| turn.piece(attempt, Some(Err(failure)), now));
    }

    /// Why nothing more may be spent on a prompt of so many tokens, if that is so. What has no price is free.
    pub(super) fn overspent(
        &mut self,
        session: &SessionId,
        price: Option<Price>,
        tokens: u64,
    ) -> Option<Failure> {
        let spend = self.config.spend;
        let price = price.filter(|_| spend.per_day.is_some() || spend.per_session.is_some())?;
        let since = now() / DAY * DAY;
        let spent = match self.store.spent(since, session) {
            Ok(spent) => spent,
            Err(error) => return Some(Failure::new(Trouble::Internal, error.one_line())),
        };
        let due = self.purse.due(self.store.committed(), session);
        let next = price.of(tokens, 0, 0);
        let limits = [
            (spend.per_day, spent.0.saturating_add(due.0), "today", "per_day"),
            (spend.per_session, spent.1.saturating_add(due.1), "in this session", "per_session"),
        ];
        limits.into_iter().find_map(|(most, spent, when, key)| {
            let most = most?;
            (dollars(spent.saturating_add(next)) > most).then(|| {
                let message = format!(
                    "no more may be spent {when}: {:.4} of {} US dollars are spent, and the prompt costs {:.4}",
                    dollars(spent),
                    amount(most),
                    dollars(next),
                );
                let hint = format!(
                    "raise {key} in [spend] of config.toml, or choose a model without a price"
                );
                Failure::new(Trouble::Spent, message).hint(hint)
            })
        })
    }

    /// Puts tokens and cost into the record of a reply; other records stay as they are.
    pub(super) fn count(&mut self, id: &TurnId, record: &mut Record) {
        let Record::Replied { raw, original, thought, verdict, usage, cost, .. } = record else { return };
        let Some(asked) = self.purse.calls.remove(id).filter(|asked| asked.counts) else { return };
        let is_empty = raw.is_empty() && thought.is_empty();
        if usage.is_none() && is_empty && is_turned_away(verdict) {
            return;
        }
        let count = |text: &str| if text.is_empty() { 0 } else { asked.room.count(text) };
        let counted = usage.get_or_insert_with(|| {
            let said = original.as_ref().unwrap_or(raw);
            Usage {
                prompt_tokens: asked.prompt,
                completion_tokens: (count(said) + count(thought)) as u64,
                estimated: true,
                ..Usage::default()
            }
        });
        let Some(price) = asked.price else { return };
        let cached = counted.cached_tokens.unwrap_or_default();
        let micro_usd = price.of(counted.prompt_tokens, cached, counted.completion_tokens);
        *cost = Some(Cost { micro_usd });
        // The record is the next thing that is appended.
        self.purse.due.push_back((self.ticket + 1, asked.session, micro_usd));
    }
}

/// Whether no model was at work: the server was not reached, or answered with an error. Nobody is paid for that.
fn is_turned_away(verdict: &Verdict) -> bool {
    let Verdict::Broken { trouble: Some(trouble), .. } = verdict else { return false };
    [
        Trouble::Configuration,
        Trouble::Unreachable,
        Trouble::Dns,
        Trouble::Tls,
        Trouble::Unauthorized,
        Trouble::Forbidden,
        Trouble::NotFound,
        Trouble::RateLimited,
        Trouble::NoQuota,
        Trouble::Server,
        Trouble::Rejected,
        Trouble::TooLong,
    ]
    .iter()
    .any(|away| away.as_str() == trouble)
}

/// What a model is, without its key; or why it cannot be asked.
#[must_use]
pub fn describe(offered: &Offered) -> Value {
    let mut item = json!({
        "name": offered.name, "model": null, "provider": null, "baseUrl": null, "dialect": null, "local": true,
        "default": offered.default, "found": offered.found, "price": null, "contextTokens": null, "problem": null, "hint": null,
    });
    match &offered.choice {
        Ok(Choice::Remote(remote)) => {
            let terms = &remote.terms;
            item["model"] = remote.model.value.clone().into();
            item["provider"] = terms.provider.map(|provider| provider.title).into();
            item["baseUrl"] = remote.url("").into();
            item["dialect"] = terms.dialect.as_str().into();
            item["local"] = remote.is_local().into();
            item["contextTokens"] = terms.context_tokens.into();
            if let Some(price) = terms.price {
                let cached = price.cached.unwrap_or(price.input);
                item["price"] = json!({"input": price.input, "cached": cached, "output": price.output});
            }
        }
        Ok(Choice::Offline | Choice::Replay(_)) => {}
        Err(error) => {
            item["local"] = Value::Null;
            item["problem"] = format!("{}: {}", error.what, error.why).into();
            item["hint"] = error.hint.clone().into();
        }
    }
    item
}

/// Millionths of a dollar in dollars.
#[allow(clippy::cast_precision_loss, reason = "nobody spends 2^53 of them")]
pub(super) fn dollars(micro_usd: u64) -> f64 {
    micro_usd as f64 / 1e6
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

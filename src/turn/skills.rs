//! A turn and the skills it is for: what makes its prompt, and the gates that its actions pass.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Dispatched, Effect, Effects, Gated, Lead, Phase, Reply, Subject, Turn, permitted};
use crate::action::{Action, GRAMMAR, Kind, Value};
use crate::ids::{ActuationId, hex};
use crate::outgoing::{Outgoing, State, Step};
use crate::policy;
use crate::prompt::HistoryItem;
use crate::record::{Approved, Decider, Decision, Outcome, Record, Status};
use crate::skill::{Loaded, Origin};

/// The longest name of a skill that the user can call, in bytes.
const MAX_NAME: usize = 256;

impl Turn {
    /// Takes what the skills made of the prompt. Nothing happens if the turn does not wait for it.
    #[must_use]
    pub fn dispatched(&mut self, dispatched: Dispatched, now: Duration) -> Effects {
        let mut effects = Vec::new();
        if !matches!(self.phase, Phase::Dispatching) {
            return effects;
        }
        match dispatched {
            Dispatched::Lead(lead) => {
                self.lead = lead;
                match called(&self.subject.said) {
                    Some(name) => {
                        self.phase = Phase::Summoning { name: name.to_owned() };
                        effects.push(Effect::Summon(name.to_owned()));
                    }
                    None => self.begin(now, &mut effects),
                }
            }
            Dispatched::Question(question) => self.consult(question, now, &mut effects),
            Dispatched::Speaks(skill, text) => {
                self.prompt(now);
                self.spoken = Some(skill);
                self.text(&text, None, now, &mut effects);
                self.end_of_reply(None, now, &mut effects);
                self.spoken = None;
            }
            Dispatched::Failed(skill, why) => {
                let message = format!("the skill {skill} failed: {why}");
                self.system_error(&message, None, "skill", &mut effects);
            }
        }
        effects
    }

    /// Takes what the gates made of the last action. Nothing happens if the turn does not wait for it.
    #[must_use]
    pub fn gated(&mut self, gated: Gated, now: Duration) -> Effects {
        let mut effects = Vec::new();
        if !matches!(self.phase, Phase::Gating) {
            return effects;
        }
        match gated {
            Gated::Passed { action, replaced } => {
                if replaced {
                    self.retract("a skill put another action in its place", &mut effects);
                    self.touched.clear();
                }
                self.preview.settle();
                if self.subject.said.rewritten().is_some() {
                    self.offer(&action, &mut effects);
                    return effects;
                }
                let permit = policy::judge(action, Some(&self.subject.around), self.foreign.as_deref());
                self.propose(permit, now, &mut effects);
            }
            Gated::Refused(skill, why, print) => {
                let message = format!("the gate of the skill {skill} refused this: {why}");
                self.retract(&message, &mut effects);
                self.system_error(&message, Some(&print), "gate", &mut effects);
            }
        }
        effects
    }

    /// Takes the skill or file that the model or the user wanted to load, or why there is none. `shown`: the next prompt
    /// has its text all the same.
    #[must_use]
    pub fn activated(&mut self, loaded: Result<Loaded, String>, shown: bool, now: Duration) -> Effects {
        let mut effects = Vec::new();
        match &self.phase {
            Phase::Activating { actuation, name } => {
                let (actuation, name) = (actuation.clone(), name.clone());
                self.read(actuation, false, name, loaded, shown, &mut effects);
                self.next_step(now, &mut effects);
            }
            Phase::Summoning { name } => {
                // What only looks like a call is said to the model as it is.
                let name = name.clone();
                if let Ok(loaded) = loaded
                    && !self.summoned(name, loaded, shown, &mut effects)
                {
                    return effects;
                }
                self.begin(now, &mut effects);
            }
            _ => {}
        }
        effects
    }

    /// Puts the skill that the user called into the history, as if the model had asked for it; but it was no model. False
    /// if the turn is over by that.
    fn summoned(&mut self, name: String, loaded: Loaded, shown: bool, effects: &mut Effects) -> bool {
        let actuation = match ActuationId::random() {
            Ok(actuation) => actuation,
            Err(error) => {
                self.no_random_bytes(&error, effects);
                return false;
            }
        };
        if let Some(row) = GRAMMAR.iter().find(|row| row.kind == Kind::Skill) {
            let mut action = Action::new(row);
            action.set("name", Value::Text(loaded.name.clone()));
            effects.push(Effect::Record(Record::ActionProposed {
                actuation: actuation.clone(),
                turn: self.subject.turn.clone(),
                attempt: 0,
                action: action.to_json(),
                sexp: crate::sexp::printer::print(&action),
                system: false,
                mark: None,
            }));
            let decided = (Decision::Allow, "the user called it by its name");
            effects.push(permitted(&actuation, decided, Decider::User, None, Approved::default()));
        }
        self.read(actuation, true, name, Ok(loaded), shown, effects);
        true
    }

    /// Notes what was read of the skill that was asked for by `name`, and tells the client.
    fn read(
        &self,
        actuation: ActuationId,
        called: bool,
        name: String,
        loaded: Result<Loaded, String>,
        shown: bool,
        effects: &mut Effects,
    ) {
        let (known, read) = match &loaded {
            Ok(loaded) => (&loaded.name, Ok((loaded.origin, hex(&Sha256::digest(&loaded.text))))),
            Err(why) => (&name, Err(why.clone())),
        };
        let known = known.clone();
        let (outcome, item) = told(name, loaded, shown);
        let message = outcome.message.clone().filter(|_| read.is_ok());
        effects.push(Effect::Record(Record::ActionExecuted { actuation: actuation.clone(), outcome }));
        let Subject { turn, session, .. } = &self.subject;
        let step = Step {
            actuation,
            turn: turn.clone(),
            session: session.clone(),
            called,
            name: known,
            read,
            message,
        };
        effects.push(Effect::Send(Outgoing::Step(step)));
        effects.push(Effect::Remember(item));
    }

    /// Asks the model for the first time.
    fn begin(&mut self, now: Duration, effects: &mut Effects) {
        if self.make_way(effects) {
            return;
        }
        self.prompt(now);
        effects.push(Effect::Ask(None));
    }

    /// Asks the model what a skill wants to know.
    pub(super) fn consult(&mut self, question: Lead, now: Duration, effects: &mut Effects) {
        if self.make_way(effects) {
            return;
        }
        self.attempt += 1;
        self.phase = Phase::Consulting(Box::new(self.fresh_reply(now)));
        self.question = Some(question.clone());
        effects.push(self.state(State::Thinking, Some("a skill asks the model".to_owned())));
        effects.push(Effect::Consult(question));
    }

    /// Whether the model may be asked now for what prompts no longer show.
    #[must_use]
    pub fn may_summarise(&self) -> bool {
        !self.summed && matches!(self.phase, Phase::Reading(_))
    }

    /// Asks the model for what prompts no longer show, in the place of the action that it was to be asked for. What comes
    /// of it, the turn goes on.
    #[must_use]
    pub fn summarise(&mut self, question: Lead, now: Duration) -> Effects {
        let mut effects = Vec::new();
        if self.may_summarise() {
            (self.summing, self.summed) = (true, true);
            self.phase = Phase::Consulting(Box::new(self.fresh_reply(now)));
            let reason = "putting what no longer fits into a few words".to_owned();
            effects.push(self.state(State::Thinking, Some(reason)));
            effects.push(Effect::Consult(question));
        }
        effects
    }

    /// The next attempt begins.
    pub(super) fn prompt(&mut self, now: Duration) {
        self.attempt += 1;
        self.preview = super::Preview::default();
        self.phase = Phase::Reading(Box::new(self.fresh_reply(now)));
    }

    fn fresh_reply(&self, now: Duration) -> Reply {
        Reply {
            reading: self.subject.reading(),
            raw: Vec::new(),
            original: None,
            thought: String::new(),
            asked: now,
            first: None,
            begun: None,
        }
    }
}

/// The skill that a message calls: `NAME` if it begins with `/NAME`.
#[must_use]
pub fn called(said: &HistoryItem) -> Option<&str> {
    let HistoryItem::User { text, .. } = said else { return None };
    let name = text.trim_start().strip_prefix('/')?.split(char::is_whitespace).next()?;
    // Paths look like that, too.
    (!name.is_empty() && name.len() <= MAX_NAME && !name.contains('/')).then_some(name)
}

/// What the log and the model are told of a skill that was asked for by `name`.
#[must_use]
pub fn told(name: String, loaded: Result<Loaded, String>, shown: bool) -> (Outcome, HistoryItem) {
    match loaded {
        Ok(Loaded { name, .. }) if shown => {
            let message = Some("its text stands in the conversation already, unchanged".to_owned());
            (Outcome { message, ..Outcome::default() }, HistoryItem::SkillAgain { name })
        }
        Ok(Loaded { name, text, origin }) => {
            let foreign = (origin == Origin::Project).then(|| origin.as_str().to_owned());
            let outcome = Outcome { stdout: text.clone(), origin: foreign, ..Outcome::default() };
            (outcome, HistoryItem::Skill { name, text, origin })
        }
        Err(why) => {
            let message = Some(why.clone());
            let outcome = Outcome { status: Status::Failed, message, ..Outcome::default() };
            (outcome, HistoryItem::NoSkill { name, why })
        }
    }
}

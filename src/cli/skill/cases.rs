//! The tests of a note: cases in a TOML file beside it, each an event, what a model would reply, and what has to come
//! of it. Nothing is asked of a model.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::action::CHAT_BUFFER;
use crate::dispatch::{self, Cast, Facts, Made, Making, World};
use crate::error::{Error, Result};
use crate::lisp::Environment;
use crate::prompt::HistoryItem;
use crate::record::{Attachment, AttachmentKind};
use crate::sexp::printer;
use crate::skill::Shelf;
use crate::verify::Reading;

/// The most bytes of a file with cases.
pub const MAX_FILE: u64 = 1 << 20;

/// The level of the heading that replies stand under.
const LEVEL: usize = 2;

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The cases, in their order.
    #[serde(default, rename = "case")]
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// What the user says.
    #[serde(default)]
    text: String,
    #[serde(default)]
    buffer: Option<String>,
    /// The day, as in `2026-11-27`. Without it nobody knows one: the same case is the same tomorrow.
    #[serde(default)]
    date: Option<String>,
    #[serde(default)]
    history: Vec<Said>,
    #[serde(default)]
    context: Vec<Attached>,
    /// The variables that notes see, while they are loaded, too; no others.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// What the model answers to the skill's own questions, in their order.
    #[serde(default)]
    answers: Vec<String>,
    /// What the model replies to the prompt.
    #[serde(default)]
    reply: Option<String>,
    #[serde(default)]
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    role: Speaker,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Speaker {
    User,
    Assistant,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attached {
    kind: AttachmentKind,
    name: String,
    text: String,
    #[serde(default)]
    mode: Option<String>,
}

/// What has to come of a case. What is not said may be anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// Whether the trigger says yes.
    triggered: Option<bool>,
    /// The skill that makes the prompt.
    skill: Option<String>,
    /// Parts of the prompt.
    #[serde(default)]
    prompt: Vec<String>,
    /// What the prompt must not have.
    #[serde(default)]
    prompt_not: Vec<String>,
    /// Parts of the system prompt.
    #[serde(default)]
    system: Vec<String>,
    /// Parts of the skill's own questions, one for each, in their order.
    questions: Option<Vec<String>>,
    /// `accept`, `reject` (by the verifier), `refuse` (by a gate) or `fail`.
    verdict: Option<Verdict>,
    /// A part of the reason for any but `accept`.
    reason: Option<String>,
    /// The action after the gates, in any spelling that the grammar accepts.
    action: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Accept,
    Reject,
    Refuse,
    Fail,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
            Self::Refuse => "refuse",
            Self::Fail => "fail",
        }
    }
}

/// What came of a case.
#[derive(Debug, Default)]
struct Outcome {
    triggered: Vec<String>,
    skill: Option<String>,
    prompt: Option<String>,
    system: Option<String>,
    questions: Vec<String>,
    verdict: Option<Verdict>,
    reason: String,
    action: String,
}

/// Reads the cases in `text`.
///
/// # Errors
/// `bad_request` with line and reason.
pub fn read(file: &str, text: &str) -> Result<File> {
    toml::from_str::<File>(text).map_err(|error| {
        let line =
            error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Error::bad_request(format!("{file}:{line}: not a file of cases"))
            .because(error.message())
            .hint("see \"Testing\" in docs/skills.md")
    })
}

impl Case {
    /// Runs the case for a note with skills of these names; what is not as it has to be, a line or more for each.
    #[must_use]
    pub fn run(&self, names: &[&str], shelf: &Arc<Shelf>) -> Vec<String> {
        let outcome = self.outcome(shelf);
        self.expect.compare(names, &|| self.reading(), &outcome)
    }

    /// A fresh reading of a reply.
    fn reading(&self) -> Reading {
        let buffer = self.buffer.as_deref().unwrap_or(CHAT_BUFFER);
        match self.context.iter().find(|item| item.kind == AttachmentKind::Rewrite) {
            Some(region) => Reading::rewriting(buffer, &region.text, region.mode.as_deref()),
            None => Reading::new(buffer, LEVEL),
        }
    }

    fn outcome(&self, shelf: &Arc<Shelf>) -> Outcome {
        let buffer = self.buffer.as_deref().unwrap_or(CHAT_BUFFER);
        let context = self.context.iter().map(|item| Attachment {
            kind: item.kind,
            name: item.name.clone(),
            text: item.text.clone(),
            mode: item.mode.clone(),
        });
        let said = HistoryItem::User { text: self.text.clone(), context: context.collect() };
        let mut history: Vec<HistoryItem> = self.history.iter().map(Said::item).collect();
        history.push(said.clone());
        let event = dispatch::event(&said, &history, buffer, "test", self.date.as_deref());
        let env: Arc<dyn Environment> = Arc::new(self.env.clone());
        let facts = Facts::of(shelf, &env);
        let world = World::new(event, env).with(facts);
        let cast = Cast::new(shelf, &world);
        let mut outcome = Outcome::default();
        for triggered in cast.record() {
            if let Some(why) = triggered.failed {
                outcome.fail(&format!("the trigger of {}: {why}", triggered.skill));
            }
            outcome.triggered.push(triggered.skill);
        }
        let Some(skill) = cast.lead() else { return outcome };
        outcome.skill = Some(skill.name.clone());
        let reply = self.reply(Making::begin(skill, &world).0, &mut outcome);
        if let Some(reply) = reply {
            verify(&reply, &cast, &world, &|| self.reading(), &mut outcome);
        }
        outcome
    }

    /// What is verified: the recorded reply, or what the skill says itself.
    fn reply(&self, made: Made, outcome: &mut Outcome) -> Option<String> {
        let mut answers = self.answers.iter();
        let mut made = made;
        loop {
            made = match made {
                Made::Question { prompt, system, making } => {
                    outcome
                        .questions
                        .push(system.map_or(prompt.clone(), |system| format!("{system}\n{prompt}")));
                    let Some(answer) = answers.next() else {
                        outcome.fail("the skill asks more than there are answers");
                        return None;
                    };
                    making.answer(answer).0
                }
                Made::Prompt { prompt, system } => {
                    (outcome.prompt, outcome.system) = (Some(prompt), system);
                    return self.reply.clone();
                }
                Made::Speaks(text) => return Some(text),
                Made::Failed(why) => {
                    outcome.fail(&why);
                    return None;
                }
            };
        }
    }
}

impl Said {
    fn item(&self) -> HistoryItem {
        match self.role {
            Speaker::User => HistoryItem::User { text: self.text.clone(), context: Vec::new() },
            Speaker::Assistant => {
                let action = crate::action::Action::insert(CHAT_BUFFER, &self.text);
                HistoryItem::Assistant { sexp: printer::print(&action) }
            }
        }
    }
}

impl Outcome {
    fn fail(&mut self, why: &str) {
        (self.verdict, self.reason) = (Some(Verdict::Fail), why.to_owned());
    }
}

fn verify(reply: &str, cast: &Cast, world: &World, read: &dyn Fn() -> Reading, outcome: &mut Outcome) {
    let mut reading = read();
    let accepted = match reading.feed(reply.as_bytes()).and_then(|()| reading.finish()) {
        Ok(accepted) => accepted,
        Err(rejection) => {
            (outcome.verdict, outcome.reason) = (Some(Verdict::Reject), rejection.message);
            return;
        }
    };
    match cast.gate(accepted.action, world, read).0 {
        Ok(action) => {
            outcome.verdict = Some(Verdict::Accept);
            outcome.action = printer::print(action.action());
        }
        Err(refused) => {
            outcome.verdict = Some(Verdict::Refuse);
            outcome.reason = format!("{}: {}", refused.skill, refused.why);
        }
    }
}

/// The canonical print of an expected action.
fn canonical(action: &str, mut reading: Reading) -> std::result::Result<String, String> {
    let accepted = reading.feed(action.as_bytes()).and_then(|()| reading.finish());
    accepted.map(|accepted| printer::print(accepted.action.action())).map_err(|error| error.message)
}

impl Expect {
    fn compare(&self, names: &[&str], read: &dyn Fn() -> Reading, outcome: &Outcome) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut differ = |what: &str, wanted: &str, got: &str| {
            wrong.push(format!("{what}\n    - {}\n    + {}", indent(wanted), indent(got)));
        };
        let list = |items: &[String]| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        let is_there = outcome.triggered.iter().any(|other| names.contains(&other.as_str()));
        if self.triggered.is_some_and(|wanted| wanted != is_there) {
            let own = names.join(" or ");
            let wanted = if is_there { format!("not {own}") } else { own };
            differ("triggered", &wanted, &list(&outcome.triggered));
        }
        if let Some(skill) = &self.skill
            && Some(skill.to_lowercase()) != outcome.skill
        {
            differ("skill", skill, outcome.skill.as_deref().unwrap_or("none"));
        }
        let prompt = outcome.prompt.as_deref().unwrap_or("(no prompt)");
        for part in self.prompt.iter().filter(|part| !prompt.contains(part.as_str())) {
            differ("prompt", &format!("…{part}…"), prompt);
        }
        for part in self.prompt_not.iter().filter(|part| prompt.contains(part.as_str())) {
            differ("prompt", &format!("without …{part}…"), prompt);
        }
        let system = outcome.system.as_deref().unwrap_or("(the usual one)");
        for part in self.system.iter().filter(|part| !system.contains(part.as_str())) {
            differ("system prompt", &format!("…{part}…"), system);
        }
        if let Some(questions) = &self.questions {
            let same = questions.len() == outcome.questions.len()
                && questions
                    .iter()
                    .zip(&outcome.questions)
                    .all(|(part, asked)| asked.contains(part.as_str()));
            if !same {
                differ("questions", &list(questions), &list(&outcome.questions));
            }
        }
        let verdict = outcome.verdict.map_or("none: the case has no reply", Verdict::as_str);
        let said = if outcome.reason.is_empty() {
            verdict.to_owned()
        } else {
            format!("{verdict}: {}", outcome.reason)
        };
        // A failure that nobody expects is one, whatever else is said.
        let wanted = self.verdict.or((outcome.verdict == Some(Verdict::Fail)).then_some(Verdict::Accept));
        if let Some(wanted) = wanted
            && Some(wanted) != outcome.verdict
        {
            differ("verdict", wanted.as_str(), &said);
        }
        if let Some(reason) = &self.reason
            && !outcome.reason.contains(reason.as_str())
        {
            differ("reason", &format!("…{reason}…"), &said);
        }
        match self.action.as_deref().map(|action| canonical(action, read())) {
            Some(Ok(action)) if action != outcome.action => {
                differ("action", &action, if outcome.action.is_empty() { &said } else { &outcome.action });
            }
            Some(Err(why)) => differ("action", "an action that the grammar accepts", &why),
            _ => {}
        }
        wrong
    }
}

/// Further lines stand under the first.
fn indent(text: &str) -> String {
    text.replace('\n', "\n      ")
}

//! What a client did, scene by scene and rule by rule.

use serde::Serialize;

use super::scenes::{SCENES, Scene};
use crate::conformance::message::Side;
use crate::conformance::rules::Rule;
use crate::conformance::watch::{Finding, Watch};

/// The most findings that are kept.
const MOST: usize = 1_000;

/// What became of something that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was as it should be.
    Passed,
    /// It was not.
    Failed,
    /// The client did nothing by which it could be seen.
    NotExercised,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotExercised => "not exercised",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What should be.
    pub what: String,
    /// Whether it was.
    pub outcome: Outcome,
    /// Why not; empty if there is nothing to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The section of `docs/protocol.md` that says so.
    pub section: &'static str,
}

/// A scene.
#[derive(Clone, Debug, Serialize)]
pub struct Graded {
    /// Its name.
    pub name: &'static str,
    /// All in all.
    pub outcome: Outcome,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// What no server can see, and the author has to look at.
    pub look: &'static [&'static str],
}

/// What the client did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether nothing failed.
    pub passed: bool,
    /// The scenes, in the order of the table.
    pub scenes: Vec<Graded>,
    /// The rules that bind clients.
    pub rules: Vec<Check>,
}

/// The checks while the scenes are played.
#[derive(Debug, Default)]
pub(super) struct Grades {
    scenes: Vec<(&'static str, Vec<Check>)>,
    broken: Vec<(Finding, &'static str)>,
}

impl Grades {
    /// A scene begins.
    pub(super) fn begin(&mut self, scene: &'static str) {
        if !self.scenes.iter().any(|(name, _)| *name == scene) {
            self.scenes.push((scene, Vec::new()));
        }
    }

    pub(super) fn played(&self, scene: &str) -> bool {
        self.scenes.iter().any(|(name, _)| *name == scene)
    }

    pub(super) fn add(&mut self, scene: &str, check: Check) {
        let Some((_, checks)) = self.scenes.iter_mut().find(|(name, _)| *name == scene) else { return };
        // Played again, a scene is as good as its worst time.
        match checks.iter_mut().find(|it| it.what == check.what) {
            Some(before) if before.outcome == Outcome::Failed => {}
            Some(before) if before.outcome == Outcome::Passed && check.outcome == Outcome::NotExercised => {}
            Some(before) => *before = check,
            None => checks.push(check),
        }
    }

    /// A rule was broken while `scene` was played.
    pub(super) fn broken(&mut self, finding: Finding, scene: &'static str) {
        if self.broken.len() < MOST {
            self.broken.push((finding, scene));
        }
    }

    pub(super) fn report(self, watch: &Watch) -> Report {
        let scenes: Vec<Graded> = SCENES.iter().map(|scene| self.graded(scene)).collect();
        let rules: Vec<Check> = Rule::ALL
            .into_iter()
            .filter(|rule| rule.binds(Side::Client))
            .map(|rule| {
                let mut broken = self.broken.iter().filter(|(finding, _)| finding.rule == rule);
                let count = broken.clone().count();
                let why = broken.next().map_or(String::new(), |(finding, scene)| {
                    let more = if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
                    format!("{} (during {scene}){more}", finding.what)
                });
                let outcome = match (count, watch.judged(rule, Side::Client)) {
                    (0, 0) => Outcome::NotExercised,
                    (0, _) => Outcome::Passed,
                    _ => Outcome::Failed,
                };
                Check {
                    what: format!("{}: {}", rule.name(), rule.says()),
                    outcome,
                    why,
                    section: rule.section(),
                }
            })
            .collect();
        let failed = |outcome: Outcome| outcome == Outcome::Failed;
        let passed = !scenes.iter().any(|scene| failed(scene.outcome))
            && !rules.iter().any(|rule| failed(rule.outcome));
        Report { passed, scenes, rules }
    }

    fn graded(&self, scene: &Scene) -> Graded {
        let checks = self.scenes.iter().find(|(name, _)| *name == scene.name);
        let checks = checks.map(|(_, checks)| checks.clone()).unwrap_or_default();
        let any = |outcome: Outcome| checks.iter().any(|check| check.outcome == outcome);
        let outcome = if any(Outcome::Failed) {
            Outcome::Failed
        } else if any(Outcome::Passed) {
            Outcome::Passed
        } else {
            Outcome::NotExercised
        };
        Graded { name: scene.name, outcome, checks, look: scene.look }
    }
}

impl Report {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let count = |outcome| self.scenes.iter().filter(|scene| scene.outcome == outcome).count();
        let failed = self.rules.iter().filter(|rule| rule.outcome == Outcome::Failed).count();
        let mut text = format!(
            "org-agent conformance: of {} scenes {} passed, {} failed, {} were not exercised; of {} rules {failed} \
             failed\n",
            self.scenes.len(),
            count(Outcome::Passed),
            count(Outcome::Failed),
            count(Outcome::NotExercised),
            self.rules.len()
        );
        for scene in &self.scenes {
            let unplayed = scene.outcome == Outcome::NotExercised && scene.checks.is_empty();
            let hint = SCENES.iter().find(|it| it.name == scene.name).map_or("", |it| it.start);
            let hint = if unplayed { format!(" ({hint})") } else { String::new() };
            text.push_str(&format!("\n{}: {}{hint}\n", scene.name, scene.outcome.word()));
            scene.checks.iter().for_each(|check| check.line(&mut text));
            if !unplayed {
                for look in scene.look {
                    text.push_str(&format!("  {:13}  {look}\n", "look"));
                }
            }
        }
        text.push_str("\nRules:\n");
        self.rules.iter().for_each(|rule| rule.line(&mut text));
        text
    }
}

impl Check {
    fn line(&self, text: &mut String) {
        let why = if self.why.is_empty() { String::new() } else { format!(": {}", self.why) };
        let Self { what, outcome, section, .. } = self;
        text.push_str(&format!("  {:13}  {what}{why} [docs/protocol.md#{section}]\n", outcome.word()));
    }
}

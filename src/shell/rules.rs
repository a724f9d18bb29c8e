//! Rules that people write: a pattern over the words of one program's call, and a decision.
//!
//! A pattern is a list of elements, each for one word or, with `...` behind it, for any number of words:
//! a text stands for itself; a list of texts for any of them; `<flag>` for a word that begins with a dash,
//! `<word>` for one that does not, `<path>` for one that names a path inside the workspace that holds no
//! secrets, `<any>` for every word. A pattern covers a call if it covers all of its words.

use std::path::{Component, Path};

use super::place::Place;
use super::script;
use crate::config::{Element, RuleSpec};
use crate::error::{Error, Result};
use crate::record::Decision;

/// The most elements of a pattern, and the most rules of one file.
const MAX_ELEMENTS: usize = 64;
const MAX_RULES: usize = 1_000;

/// Where a rule comes from. The later stands above the earlier in listings; none of them overrides a stricter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The project's own file, which may only narrow.
    Project,
    /// The user's configuration.
    User,
    /// What the user said "always" to.
    Saved,
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::Project => "project rule",
            Self::User => "user rule",
            Self::Saved => "saved rule",
        }
    }
}

/// A rule that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    spec: RuleSpec,
    source: Source,
}

impl Rule {
    /// Checks a rule with its examples, as if every relative path was inside the workspace.
    ///
    /// # Errors
    /// What is wrong with the rule, and how to mend it.
    pub fn new(spec: RuleSpec, source: Source) -> Result<Self> {
        let workspace = Path::new("/workspace");
        let resolve = |path: &Path| {
            Some(path.to_owned()).filter(|path| !path.components().any(|part| part == Component::ParentDir))
        };
        let place = &Place { workspace, directory: workspace, home: None, resolve: &resolve };
        let wrong = |why: String, hint: &str| {
            Err(Error::bad_request(format!("the {} {} is wrong", source.name(), quoted(&spec.pattern)))
                .because(why)
                .hint(hint))
        };
        if !matches!(spec.pattern.first(), Some(Element::One(_) | Element::Among(_)))
            || spec.pattern.len() > MAX_ELEMENTS
        {
            return wrong(
                "a pattern has 1 to 64 elements".into(),
                "pattern = [\"cargo\", [\"check\", \"clippy\"], \"<flag>...\"]",
            );
        }
        for element in &spec.pattern {
            let texts = match element {
                Element::One(text) => std::slice::from_ref(text),
                Element::Among(texts) if texts.is_empty() => {
                    return wrong("an empty list".into(), "leave it out");
                }
                Element::Among(texts) => texts.as_slice(),
            };
            if let Some(text) = texts.iter().find(|text| text.starts_with('<') && class(text).is_none()) {
                return wrong(
                    format!("there is no class {text}"),
                    "the classes are <flag>, <word>, <path> and <any>, each with ... for several",
                );
            }
        }
        if let Element::One(first) = &spec.pattern[0]
            && first.starts_with('<')
            && spec.decision == Decision::Allow
        {
            return wrong(
                "it would allow every program".into(),
                "begin the pattern with the name of a program",
            );
        }
        if source == Source::Project && spec.decision == Decision::Allow {
            return wrong(
                "a project may only narrow what is permitted".into(),
                "put it into your own configuration",
            );
        }
        let rule = Self { spec, source };
        for (examples, expected) in [(&rule.spec.matches, true), (&rule.spec.not_match, false)] {
            for example in examples {
                let steps = script::parse(example).and_then(|script| script.plain);
                let steps = match steps {
                    Ok(steps) => steps,
                    Err(_) if !expected => continue,
                    Err(why) => {
                        return Err(rule.wrong(
                            format!("match {example:?}: {why}"),
                            "a rule covers plain commands only",
                        ));
                    }
                };
                if steps.iter().all(|step| rule.covers(&step.argv, place)) != expected {
                    let (what, hint) = if expected {
                        ("does not cover", "mend the pattern, or the example")
                    } else {
                        ("covers", "narrow the pattern, or mend the example")
                    };
                    return Err(rule.wrong(format!("it {what} {example:?}"), hint));
                }
            }
        }
        Ok(rule)
    }

    fn wrong(&self, why: String, hint: &str) -> Error {
        Error::bad_request(format!("the {} {} is wrong", self.source.name(), quoted(&self.spec.pattern)))
            .because(why)
            .hint(hint)
    }

    /// The narrowest rule that covers exactly this call.
    #[must_use]
    pub fn exactly(argv: &[String]) -> RuleSpec {
        RuleSpec {
            pattern: argv.iter().map(|word| Element::Among(vec![word.clone()])).collect(),
            decision: Decision::Allow,
            reason: String::new(),
            matches: Vec::new(),
            not_match: Vec::new(),
        }
    }

    /// What it decides.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.spec.decision
    }

    /// The rule in one line, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { spec: RuleSpec { pattern, decision, reason, .. }, source } = self;
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        format!("{} {} {}{reason}", source.name(), decision.as_str(), quoted(pattern))
    }

    /// Whether the pattern covers all words of a call.
    #[must_use]
    pub fn covers(&self, argv: &[String], place: &Place<'_>) -> bool {
        // Which numbers of words the elements so far can have taken.
        let mut reached = vec![false; argv.len() + 1];
        reached[0] = true;
        for element in &self.spec.pattern {
            let mut next = vec![false; argv.len() + 1];
            let several =
                matches!(element, Element::One(text) if class(text).is_some_and(|(_, several)| several));
            for at in 0..=argv.len() {
                if reached[at] && several {
                    next[at] = true;
                }
                let from = if several { next[at] } else { reached[at] };
                if from && at < argv.len() && fits(element, &argv[at], place) {
                    next[at + 1] = true;
                }
            }
            reached = next;
        }
        reached[argv.len()]
    }
}

/// How many rules a file may hold.
///
/// # Errors
/// There are more.
pub fn check_count(count: usize) -> Result<()> {
    if count > MAX_RULES {
        return Err(Error::bad_request(format!("there are {count} rules for the shell"))
            .because(format!("at most {MAX_RULES} are read"))
            .hint("a pattern can stand for many commands"));
    }
    Ok(())
}

/// The class in angles, and whether it stands for several words.
fn class(text: &str) -> Option<(&str, bool)> {
    let (text, several) = match text.strip_suffix("...") {
        Some(text) => (text, true),
        None => (text, false),
    };
    matches!(text, "<flag>" | "<word>" | "<path>" | "<any>").then_some((text, several))
}

fn fits(element: &Element, word: &str, place: &Place<'_>) -> bool {
    match element {
        Element::Among(texts) => texts.iter().any(|text| text == word),
        Element::One(text) => match class(text) {
            None => text == word,
            Some(("<flag>", _)) => word.len() > 1 && word.starts_with('-'),
            Some(("<word>", _)) => !word.starts_with('-'),
            Some(("<path>", _)) => !word.starts_with('-') && place.may_read(word).is_ok(),
            Some(_) => true,
        },
    }
}

fn quoted(pattern: &[Element]) -> String {
    serde_json::to_string(pattern).unwrap_or_default()
}

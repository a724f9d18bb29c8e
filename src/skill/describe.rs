//! A shelf in JSON, for clients and the command line.

use serde_json::{Value, json};

use super::{Problem, Shelf, Skill};

impl Skill {
    /// `{name, title, description, priority, origin, file, line, sha256, capabilities, dependencies, does, problem}`:
    /// `does` names what it has of `trigger`, `prompt` and `gate`, `problem` why a newer version of it is not in use.
    #[must_use]
    pub fn to_json(&self, shelf: &Shelf) -> Value {
        let has = [
            ("trigger", self.trigger.is_some()),
            ("prompt", self.neuro.is_some()),
            ("gate", self.symbolic.is_some()),
        ];
        let does: Vec<&str> = has.into_iter().filter_map(|(name, has)| has.then_some(name)).collect();
        let problem = shelf.problems().iter().find(|problem| problem.file == self.file).map(Problem::to_json);
        json!({
            "name": self.name, "title": self.title, "description": self.description, "priority": self.priority,
            "origin": self.origin.as_str(), "file": self.file, "line": self.line, "sha256": self.sha256,
            "capabilities": self.capabilities, "dependencies": self.dependencies, "does": does,
            "problem": problem,
        })
    }
}

impl Problem {
    /// `{file, line, name, origin, message, hint, form, kept}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "file": self.file, "line": self.line, "name": self.name, "origin": self.origin.as_str(),
            "message": self.message, "hint": self.hint, "form": self.form, "kept": self.kept,
        })
    }
}

impl Shelf {
    /// `{items, nextCursor, problems, shadowed}`: `limit` skills from the number `from` on, by descending priority.
    #[must_use]
    pub fn to_json(&self, from: usize, limit: usize) -> Value {
        let items: Vec<Value> =
            self.skills().iter().skip(from).take(limit).map(|skill| skill.to_json(self)).collect();
        let next = from + items.len();
        let problems: Vec<Value> = self.problems().iter().map(Problem::to_json).collect();
        let shadowed: Vec<String> = self.shadowed().iter().map(ToString::to_string).collect();
        json!({
            "items": items,
            "nextCursor": (next < self.skills().len()).then(|| next.to_string()),
            "problems": problems, "shadowed": shadowed,
        })
    }
}

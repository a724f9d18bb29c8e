//! A shelf in JSON, for clients and the command line.

use serde_json::{Value, json};

use super::{Problem, Shelf, Skill};

impl Skill {
    /// What is wrong with its note as it stands now.
    #[must_use]
    pub fn problem<'s>(&self, shelf: &'s Shelf) -> Option<&'s Problem> {
        shelf.problems().iter().find(|problem| problem.file == self.file)
    }

    /// `ok`; `warn`: it works, and something is wrong all the same; `kept`: the last version that worked is in use.
    #[must_use]
    pub fn state(&self, shelf: &Shelf) -> &'static str {
        self.problem(shelf).map_or("ok", |problem| problem.state(shelf))
    }

    /// Everything that is known of it but its prose and its functions.
    #[must_use]
    pub fn to_json(&self, shelf: &Shelf) -> Value {
        let shadows: Vec<Value> = shelf
            .shadowed()
            .iter()
            .filter(|other| other.name == self.name)
            .map(|other| json!({"origin": other.origin.as_str(), "file": other.file}))
            .collect();
        let folder = self.folder();
        json!({
            "name": self.name, "format": self.format.as_str(), "priority": self.priority, "origin": self.origin.as_str(),
            "state": self.state(shelf), "triggers": self.triggers(shelf), "permissions": self.permissions(), "description": self.description, "title": self.title, "id": self.id,
            "tags": self.tags, "capabilities": self.capabilities, "dependencies": self.dependencies,
            "trigger": self.trigger.is_some(), "neuro": self.neuro.is_some(),
            "symbolic": self.symbolic.is_some(), "file": self.file, "line": self.line, "sha256": self.sha256,
            "license": folder.and_then(|folder| folder.license.as_ref()),
            "compatibility": folder.and_then(|folder| folder.compatibility.as_ref()),
            "metadata": folder.map(|folder| &folder.metadata),
            "allowedTools": folder.map_or(&[][..], |folder| &folder.allowed_tools),
            "problem": self.problem(shelf).map(|problem| problem.to_json(shelf)), "shadows": shadows,
        })
    }

    /// The same with its prose and the names of its functions.
    #[must_use]
    pub fn to_json_in_full(&self, shelf: &Shelf) -> Value {
        let mut object = self.to_json(shelf);
        object["functions"] = json!(self.program.functions().collect::<Vec<_>>());
        object["templates"] = json!(self.program.templates().map(|all| all.names()).unwrap_or_default());
        object["prose"] = json!(&*self.prose);
        object
    }
}

impl Skill {
    /// Whether it says anything of itself.
    #[must_use]
    pub fn declares(&self) -> bool {
        !(self.description.is_empty() && self.capabilities.is_empty())
    }

    /// When it acts: at a `chat-message` that its trigger is for; by `/NAME` and by `model` if it can be loaded.
    #[must_use]
    pub fn triggers(&self, shelf: &Shelf) -> Vec<String> {
        let mut triggers = Vec::new();
        if self.trigger.is_some() {
            triggers.push("chat-message".to_owned());
        }
        if shelf.offers(self) {
            triggers.extend([format!("/{}", self.name), "model".to_owned()]);
        }
        triggers
    }

    /// What it can do at most: `prompt`, say what the model is asked; `gate`, refuse an action or put a narrower one in its
    /// place; `instruct`, be read by a model that loads it; `files`, have its files read so. What a model then proposes is
    /// verified and judged as always.
    #[must_use]
    pub fn permissions(&self) -> Vec<&'static str> {
        let acts = self.trigger.is_some();
        let all = [
            (acts && self.neuro.is_some(), "prompt"),
            (acts && self.symbolic.is_some(), "gate"),
            (!acts, "instruct"),
            (self.folder().is_some(), "files"),
        ];
        all.iter().filter(|(can, _)| *can).map(|(_, name)| *name).collect()
    }
}

impl Problem {
    /// `kept`; `warn`: the note works, and something is wrong all the same; `broken`: nothing of it can be used.
    #[must_use]
    pub fn state(&self, shelf: &Shelf) -> &'static str {
        let works = shelf.skills().iter().any(|skill| skill.file == self.file)
            || shelf.shadowed().iter().any(|skill| skill.file == self.file);
        match (self.kept, works) {
            (true, _) => "kept",
            (false, true) => "warn",
            (false, false) => "broken",
        }
    }

    /// `{file, line, name, origin, state, message, hint, form, kept}`.
    #[must_use]
    pub fn to_json(&self, shelf: &Shelf) -> Value {
        json!({
            "file": self.file, "line": self.line, "name": self.name, "origin": self.origin.as_str(),
            "state": self.state(shelf), "message": self.message, "hint": self.hint, "form": self.form, "kept": self.kept,
        })
    }
}

impl Shelf {
    /// `{items, nextCursor, problems}`: `limit` skills from the number `from` on, by descending priority.
    #[must_use]
    pub fn to_json(&self, from: usize, limit: usize) -> Value {
        let items: Vec<Value> =
            self.skills().iter().skip(from).take(limit).map(|skill| skill.to_json(self)).collect();
        let next = from + items.len();
        let problems: Vec<Value> = self.problems().iter().map(|problem| problem.to_json(self)).collect();
        json!({
            "items": items,
            "nextCursor": (next < self.skills().len()).then(|| next.to_string()),
            "problems": problems,
        })
    }
}

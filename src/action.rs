//! The action grammar: one table of what a model may answer, and the value an answer becomes.
//!
//! The table is the only source: the recogniser, the printer, the prompt and the exported grammars read
//! it. A new target is a new row here plus the kernel's arm for its [`Kind`]. An [`Action`] alone proves
//! nothing; only `verify::Verified<Action>` does.

/// The buffer name that always means "this session".
pub const CHAT_BUFFER: &str = "*org-agent-chat*";

/// The name of what rewrites are in the place of a buffer: no chat has it.
pub const REWRITE_BUFFER: &str = "*org-agent-rewrite*";

/// The most bytes a reply may have.
pub const MAX_REPLY: usize = 262_144;

/// What the kernel does with an action: one variant per row of the table, and one for [`REPLACE_REGION`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text at the end of the session's buffer.
    Insert,
    /// A shell command in the user's editor.
    Shell,
    /// Load a skill and continue.
    Skill,
    /// Text for the user; it reaches the buffer as an insert.
    Response,
    /// A line for the log; it ends the turn.
    Log,
    /// New text for a region, which the user accepts or rejects. No model writes it: the kernel makes it of a response.
    Replace,
}

/// What may stand as the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string; the Org contract is applied to it before it reaches a buffer.
    Text,
    /// A string that is the session's buffer name or [`CHAT_BUFFER`].
    Buffer,
    /// A string that is not empty and has no invisible or bidirectional control characters.
    Command,
    /// A string without invisible or bidirectional control characters.
    Path,
    /// Any string.
    Name,
    /// One of these keywords (lower case, without the colon).
    Keyword(&'static [&'static str]),
    /// A whole number of seconds, 1 to this, without leading zeros.
    Seconds(u32),
}

/// One key of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The key, lower case, without the colon.
    pub key: &'static str,
    /// Whether the key must be there.
    pub required: bool,
    /// What its value may be.
    pub shape: Shape,
}

/// One form of action.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// What it means to the kernel.
    pub kind: Kind,
    /// The value of `:type`, lower case, without the colon.
    pub type_: &'static str,
    /// The value of `:target`, if the form has one.
    pub target: Option<&'static str>,
    /// The keys of `:payload`, in the canonical order.
    pub payload: &'static [Field],
    /// One line that tells a model or a reader what the form is for.
    pub purpose: &'static str,
}

impl Row {
    /// Where in the payload a key stands.
    fn position(&self, key: &str) -> Option<usize> {
        self.payload.iter().position(|field| field.key == key)
    }

    /// The form as prompt and documentation show it: optional keys in brackets, alternatives with bars.
    #[must_use]
    pub fn form(&self) -> String {
        let target = self.target.map_or_else(String::new, |target| format!(" :target :{target}"));
        let fields: Vec<String> = self.payload.iter().map(Field::form).collect();
        format!("(:type :{}{target} :payload ({}))", self.type_, fields.join(" "))
    }
}

impl Field {
    fn form(&self) -> String {
        let shape = match self.shape {
            Shape::Keyword(words) => {
                words.iter().map(|word| format!(":{word}")).collect::<Vec<_>>().join("|")
            }
            Shape::Buffer => format!("\"{CHAT_BUFFER}\""),
            Shape::Seconds(_) => "SECONDS".to_owned(),
            Shape::Text | Shape::Command | Shape::Path | Shape::Name => "STRING".to_owned(),
        };
        if self.required { format!(":{} {shape}", self.key) } else { format!("[:{} {shape}]", self.key) }
    }
}

const fn required(key: &'static str, shape: Shape) -> Field {
    Field { key, required: true, shape }
}

const fn optional(key: &'static str, shape: Shape) -> Field {
    Field { key, required: false, shape }
}

/// The table. The order is that of documentation and exported grammars.
pub static GRAMMAR: [Row; 5] = [
    Row {
        kind: Kind::Insert,
        type_: "request",
        target: Some("emacs"),
        payload: &[
            required("action", Shape::Keyword(&["insert-at-end"])),
            required("buffer", Shape::Buffer),
            required("text", Shape::Text),
        ],
        purpose: "answer the user: Org text for the end of the chat buffer",
    },
    Row {
        kind: Kind::Shell,
        type_: "request",
        target: Some("shell"),
        payload: &[
            required("cmd", Shape::Command),
            optional("cwd", Shape::Path),
            optional("timeout", Shape::Seconds(86_400)),
        ],
        purpose: "propose one shell command; the user is asked, and you get its output next",
    },
    Row {
        kind: Kind::Skill,
        type_: "request",
        target: Some("skill"),
        payload: &[required("name", Shape::Name)],
        purpose: "load a skill by its name",
    },
    Row {
        kind: Kind::Response,
        type_: "response",
        target: None,
        payload: &[required("text", Shape::Text)],
        purpose: "answer the user, short form",
    },
    Row {
        kind: Kind::Log,
        type_: "log",
        target: None,
        payload: &[
            required("text", Shape::Text),
            optional("level", Shape::Keyword(&["debug", "info", "warn", "error"])),
        ],
        purpose: "note something in the log; the user is shown nothing",
    },
];

/// The form that a text takes when it is the answer to a rewrite. It is not in [`GRAMMAR`], so no model can write it.
pub static REPLACE_REGION: Row = Row {
    kind: Kind::Replace,
    type_: "request",
    target: Some("emacs"),
    payload: &[required("action", Shape::Keyword(&["replace-region"])), required("text", Shape::Text)],
    purpose: "new text for the region that the user wants rewritten",
};

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A decoded string.
    Text(String),
    /// A keyword in lower case, without the colon.
    Keyword(&'static str),
    /// A whole number.
    Integer(u32),
}

/// An answer of the right form: a row of the table, its values, and the explanation that any may carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    row: &'static Row,
    /// In the order of `row.payload`.
    values: Vec<(&'static str, Value)>,
    explanation: Option<String>,
}

impl Action {
    /// An action of form `row` without values. `set` fills it in.
    #[must_use]
    pub fn new(row: &'static Row) -> Self {
        Self { row, values: Vec::new(), explanation: None }
    }

    /// An action of form `row` with these values, each of a key that the form has, and each key once.
    pub(crate) fn of(
        row: &'static Row,
        mut values: Vec<(&'static str, Value)>,
        explanation: Option<String>,
    ) -> Self {
        let mut keys = row.payload.iter().map(|field| field.key);
        // As a rule they stand in the table's order.
        if !values.iter().all(|(key, _)| keys.any(|other| other == *key)) {
            values.sort_by_key(|(key, _)| row.position(key));
        }
        Self { row, values, explanation }
    }

    /// An insert of `text` at the end of the session's buffer.
    #[must_use]
    pub fn insert(buffer: &str, text: &str) -> Self {
        let mut action = Self::new(&GRAMMAR[0]);
        action.set("action", Value::Keyword("insert-at-end"));
        action.set("buffer", Value::Text(buffer.to_owned()));
        action.set("text", Value::Text(text.to_owned()));
        action
    }

    /// An answer to the user, as a model writes it.
    #[must_use]
    pub fn response(text: &str) -> Self {
        let mut action = Self::new(&GRAMMAR[3]);
        action.set("text", Value::Text(text.to_owned()));
        action
    }

    /// New text for the region of a rewrite.
    #[must_use]
    pub fn replacement(text: &str) -> Self {
        let mut action = Self::new(&REPLACE_REGION);
        action.set("action", Value::Keyword("replace-region"));
        action.set("text", Value::Text(text.to_owned()));
        action
    }

    /// Sets the value of `key`. A key that the row does not have changes nothing.
    pub fn set(&mut self, key: &str, value: Value) {
        let row = self.row;
        let Some(position) = row.position(key) else { return };
        match self.values.binary_search_by_key(&Some(position), |(other, _)| row.position(other)) {
            Ok(at) => self.values[at].1 = value,
            Err(at) => self.values.insert(at, (row.payload[position].key, value)),
        }
    }

    /// Sets the explanation.
    pub fn explain(&mut self, explanation: Option<String>) {
        self.explanation = explanation;
    }

    /// The form.
    #[must_use]
    pub fn row(&self) -> &'static Row {
        self.row
    }

    /// What the kernel does with it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.row.kind
    }

    /// The model's own explanation, if it gave one.
    #[must_use]
    pub fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// The keys and values that are there, in the table's order.
    pub fn payload(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(key, value)| (*key, value))
    }

    /// The string under `key`, if it is there and is a string.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.payload().find(|(name, _)| *name == key).and_then(|(_, value)| match value {
            Value::Text(text) => Some(text.as_str()),
            Value::Keyword(_) | Value::Integer(_) => None,
        })
    }

    /// The number under `key`, if it is there and is a number.
    #[must_use]
    pub fn integer(&self, key: &str) -> Option<u32> {
        self.payload().find(|(name, _)| *name == key).and_then(|(_, value)| match value {
            Value::Integer(number) => Some(*number),
            Value::Text(_) | Value::Keyword(_) => None,
        })
    }

    /// The JSON form: `{type, target?, explanation?, payload}`, lower case, without colons.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut map = serde_json::Map::new();
        map.insert("type".into(), self.row.type_.into());
        if let Some(target) = self.row.target {
            map.insert("target".into(), target.into());
        }
        if let Some(explanation) = &self.explanation {
            map.insert("explanation".into(), explanation.as_str().into());
        }
        let payload = self
            .payload()
            .map(|(key, value)| {
                let value = match value {
                    Value::Text(text) => text.as_str().into(),
                    Value::Keyword(word) => (*word).into(),
                    Value::Integer(number) => (*number).into(),
                };
                (key.to_owned(), value)
            })
            .collect();
        map.insert("payload".into(), serde_json::Value::Object(payload));
        serde_json::Value::Object(map)
    }
}

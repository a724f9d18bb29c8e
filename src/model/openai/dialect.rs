//! What a request says to make a server write an action and nothing else, per dialect, and what of a reply is said in
//! another notation.
//!
//! The grammars are those that `org-agent grammar` exports, from the one table. A server may ignore them: some take any
//! field they do not know without a word. So nothing here is relied upon.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::notation;
use crate::config::{Dialect, Terms};
use crate::grammar::{Export, MAX_TEXT};
use crate::ids::hex;
use crate::model::{Ask, Wanted};
use crate::prompt::{Message, Role};

/// The name of the tool that OpenAI's models call with an action.
const TOOL: &str = "act";

/// What a model is told that is to write JSON.
const AS_JSON: &str = "Here the property list is written as JSON, and nothing else is: keys and keywords in lower case \
    without colons. (:type :response :payload (:text \"Hi\")) is \
    {\"type\":\"response\",\"payload\":{\"text\":\"Hi\"}}.";

/// How one request is constrained.
pub(super) struct Constraint {
    dialect: Dialect,
    fields: Map<String, Value>,
    /// The grammar's SHA-256, for the log.
    grammar: Option<String>,
}

impl Constraint {
    /// How a reply that is to be `wanted` is constrained. Where no grammar can be made, none is sent.
    pub(super) fn new(terms: &Terms, wanted: &Wanted) -> Self {
        let mut constraint = Self { dialect: Dialect::Prompt, fields: Map::new(), grammar: None };
        let Wanted::Action { buffer } = wanted else { return constraint };
        // Four bytes a token is what a text has at least, and a grammar with no more text than fits is a small one.
        let most =
            terms.max_tokens.map_or(MAX_TEXT, |most| (most as usize).saturating_mul(8).clamp(64, MAX_TEXT));
        let Ok(export) = Export::new(buffer, most).or_else(|_| Export::new(crate::action::CHAT_BUFFER, most))
        else {
            return constraint;
        };
        let (grammar, fields) = match terms.dialect {
            Dialect::Prompt => return constraint,
            Dialect::LlamaCpp => {
                let grammar = export.gbnf();
                let fields = json!({"grammar": &grammar});
                (grammar, fields)
            }
            Dialect::Vllm => {
                let grammar = export.gbnf();
                let fields = json!({"structured_outputs": {"grammar": &grammar}});
                (grammar, fields)
            }
            Dialect::OpenAiLark => {
                let grammar = export.lark();
                let tool = json!({"type": "custom", "custom": {
                    "name": TOOL,
                    "description": "Takes your answer: exactly one property list.",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": &grammar}},
                }});
                let fields = json!({
                    "tools": [tool],
                    "tool_choice": {"type": "custom", "custom": {"name": TOOL}},
                    "parallel_tool_calls": false,
                });
                (grammar, fields)
            }
            Dialect::JsonSchema => {
                let schema = bare(export.json_schema());
                let grammar = schema.to_string();
                let fields = json!({"response_format": {"type": "json_schema",
                    "json_schema": {"name": "action", "strict": true, "schema": schema}}});
                (grammar, fields)
            }
        };
        constraint.dialect = terms.dialect;
        constraint.grammar = Some(hex(&Sha256::digest(grammar.as_bytes())));
        if let Value::Object(fields) = fields {
            constraint.fields = fields;
        }
        constraint
    }

    /// The fields of the request beside messages and model.
    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// What the log keeps of it.
    pub(super) fn note(&self) -> Map<String, Value> {
        let mut note = Map::new();
        note.insert("dialect".to_owned(), self.dialect.as_str().into());
        if let Some(grammar) = &self.grammar {
            note.insert("grammarSha256".to_owned(), grammar.clone().into());
        }
        note
    }

    /// Whether the reply comes as JSON.
    pub(super) fn is_json(&self) -> bool {
        self.dialect == Dialect::JsonSchema
    }

    /// Whether the reply is the input of a tool, which is then what ends it.
    pub(super) fn is_tool(&self) -> bool {
        self.dialect == Dialect::OpenAiLark
    }

    /// The messages as this dialect has them: a model that writes JSON is shown its earlier actions as JSON, too.
    pub(super) fn messages(&self, ask: Ask) -> Vec<Message> {
        let (true, Wanted::Action { buffer }) = (self.is_json(), &ask.wanted) else { return ask.messages };
        let translate = |mut message: Message| {
            match message.role {
                Role::System => {
                    message.text.push_str("\n\n");
                    message.text.push_str(AS_JSON);
                }
                Role::Assistant => {
                    if let Some(json) = notation::to_json(&message.text, buffer) {
                        message.text = json;
                    }
                }
                Role::User => {}
            }
            message
        };
        ask.messages.into_iter().map(translate).collect()
    }
}

/// A schema without what only people read: the prompt says it, too.
fn bare(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        for name in ["$comment", "$schema", "title", "description"] {
            schema.remove(name);
        }
        for form in schema.get_mut("anyOf").and_then(Value::as_array_mut).into_iter().flatten() {
            form.as_object_mut().map(|form| form.remove("description"));
        }
    }
    schema
}

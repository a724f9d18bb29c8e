//! The exported grammars against the verifier, with the engines that take them: what they generate the
//! verifier accepts, what the printer prints they accept. And the reader of the JSON form.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "grammar/actions.rs"]
mod actions;
#[path = "grammar/command.rs"]
mod command;
#[path = "grammar/document.rs"]
mod document;
#[path = "grammar/gbnf.rs"]
mod gbnf;
#[path = "grammar/json.rs"]
mod json;
#[path = "grammar/json_schema.rs"]
mod json_schema;
#[path = "grammar/lark.rs"]
mod lark;
#[path = "grammar/llguidance.rs"]
mod llguidance;

//! What a plain editor sends, read as mildly as can be: what is missing or mistyped and not needed counts as absent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use tower_lsp_server::jsonrpc::Id;
use tower_lsp_server::ls_types::{Position, Range, TextDocumentContentChangeEvent};

use crate::error::{Error, Result};

/// Reads parameters.
///
/// # Errors
/// `bad_request` if something needed is missing.
pub(super) fn read<T: DeserializeOwned>(params: &str) -> Result<T> {
    serde_json::from_str(params).map_err(|error| {
        let why: String = error.to_string().chars().take(200).collect();
        Error::bad_request("params").because(why)
    })
}

/// `textDocument/didOpen`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DidOpen {
    pub(super) text_document: Opened,
}

/// A document with its text.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opened {
    pub(super) uri: String,
    #[serde(default, deserialize_with = "mild")]
    pub(super) language_id: String,
    #[serde(default, deserialize_with = "mild")]
    pub(super) version: i32,
    pub(super) text: String,
}

/// `textDocument/didChange`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DidChange {
    pub(super) text_document: Named,
    pub(super) content_changes: Vec<TextDocumentContentChangeEvent>,
}

/// A document by its name, with its version where that belongs.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) uri: String,
    #[serde(default, deserialize_with = "mild")]
    pub(super) version: Option<i32>,
}

/// What is about a document, and a place in it if that is said.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    pub(super) text_document: Named,
    #[serde(default, deserialize_with = "mild")]
    pub(super) position: Option<Position>,
    #[serde(default, deserialize_with = "mild")]
    pub(super) range: Option<Range>,
    #[serde(default, deserialize_with = "mild")]
    pub(super) context: Context,
}

/// Why code actions are asked for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Context {
    #[serde(default, deserialize_with = "mild")]
    pub(super) only: Vec<String>,
}

/// `$/cancelRequest`.
#[derive(Debug, Deserialize)]
pub(super) struct Cancel {
    pub(super) id: Id,
}

/// `workspace/executeCommand`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Execute {
    pub(super) command: String,
    #[serde(default, deserialize_with = "first")]
    pub(super) arguments: Argument,
    #[serde(default, deserialize_with = "mild")]
    pub(super) work_done_token: Option<Token>,
}

/// What names a progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Token {
    Number(i64),
    Text(String),
}

/// The one argument that a command can have. All of it may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Argument {
    #[serde(deserialize_with = "mild")]
    pub(super) uri: Option<String>,
    #[serde(deserialize_with = "mild")]
    pub(super) range: Option<Range>,
    #[serde(deserialize_with = "mild")]
    pub(super) turn_id: Option<String>,
    #[serde(deserialize_with = "mild")]
    pub(super) actuation_id: Option<String>,
    #[serde(deserialize_with = "mild")]
    pub(super) url: Option<String>,
}

/// `window/workDoneProgress/cancel`.
#[derive(Debug, Deserialize)]
pub(super) struct CancelProgress {
    pub(super) token: Token,
}

/// The answer to `workspace/applyEdit`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Applied {
    pub(super) applied: bool,
    #[serde(deserialize_with = "mild")]
    pub(super) failure_reason: Option<String>,
}

/// What was chosen of some buttons.
#[derive(Debug, Deserialize)]
pub(super) struct Chosen {
    pub(super) title: String,
}

/// What is mistyped counts as absent.
pub(super) fn mild<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    value: D,
) -> Result<T, D::Error> {
    let text = Box::<RawValue>::deserialize(value)?;
    Ok(serde_json::from_str(text.get()).unwrap_or_default())
}

/// The first argument of a command, if there are any and it is an object.
fn first<'de, D: Deserializer<'de>>(value: D) -> Result<Argument, D::Error> {
    let arguments: Vec<Box<RawValue>> = mild(value)?;
    let first = arguments.first().filter(|first| first.get().starts_with('{'));
    Ok(first.and_then(|first| serde_json::from_str(first.get()).ok()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_needs_nothing_but_its_name() {
        for arguments in [
            "",
            r#","arguments":null"#,
            r#","arguments":[]"#,
            r#","arguments":[null]"#,
            r#","arguments":{}"#,
            r#","arguments":[[1]]"#,
            r#","arguments":[{"uri":5,"range":"x"}]"#,
        ] {
            let read: Execute = read(&format!(r#"{{"command":"org-agent.send"{arguments}}}"#)).unwrap();
            assert!(read.arguments.uri.is_none() && read.arguments.range.is_none(), "{arguments}");
        }
        let read: Execute = read(
            r#"{"command":"c","arguments":[{"uri":"file:///a.org","range":{"start":{"line":1,"character":2},"end":{"line":3,"character":4}}}]}"#,
        )
        .unwrap();
        assert_eq!(read.arguments.uri.as_deref(), Some("file:///a.org"));
        assert_eq!(read.arguments.range.unwrap().end.line, 3);
        assert!(super::read::<Execute>("{}").is_err());
        assert!(super::read::<DidOpen>(r#"{"textDocument":{"uri":"a"}}"#).is_err());
        let opened: DidOpen =
            super::read(r#"{"textDocument":{"uri":"a","text":"","version":null,"languageId":7}}"#).unwrap();
        assert_eq!((opened.text_document.version, opened.text_document.language_id.as_str()), (0, ""));
    }
}

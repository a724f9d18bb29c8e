//! What a plain editor says it can do, and what it is offered. What it forgets to announce is tried all the same,
//! unless the language server protocol forbids that.

use serde::Deserialize;
use serde::de::IgnoredAny;
use tower_lsp_server::ls_types::{
    CodeLensOptions, CompletionOptions, ExecuteCommandOptions, PositionEncodingKind, ServerCapabilities,
    TextDocumentSyncKind, TextDocumentSyncOptions,
};

use super::text::Encoding;
use super::wire::mild;

/// The commands.
pub const SEND: &str = "org-agent.send";
/// Cancels a turn.
pub const CANCEL: &str = "org-agent.cancel";
/// Puts in what the editor refused.
pub const APPLY: &str = "org-agent.apply";
/// Sends a prompt again whose turn failed.
pub const RETRY: &str = "org-agent.retry";
/// Says what is behind the last turn.
pub const WHY: &str = "org-agent.why";
/// Opens a link.
pub const OPEN: &str = "org-agent.open";

/// All commands, as `initialize` lists them.
pub const COMMANDS: [&str; 6] = [SEND, CANCEL, APPLY, RETRY, WHY, OPEN];

/// What the editor announced, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// How positions count.
    pub encoding: Encoding,
    /// Whether it takes edits with the version that they are for.
    pub versions: bool,
    /// Whether it takes code actions that are more than commands.
    pub actions: bool,
    /// Whether the server may begin to show progress.
    pub progress: bool,
    /// Whether it can be asked to ask for the lenses again.
    pub lenses: bool,
}

impl Features {
    /// Reads the parameters of `initialize`. What is mistyped counts as absent.
    #[must_use]
    pub fn from_wire(params: &str) -> Self {
        let params: Params = serde_json::from_str(params).unwrap_or_default();
        let said = params.capabilities;
        Self {
            encoding: Encoding::negotiate(said.general.position_encodings.as_deref()),
            versions: said.workspace.workspace_edit.document_changes,
            actions: said.text_document.code_action.code_action_literal_support.is_some(),
            progress: said.window.work_done_progress,
            lenses: said.workspace.code_lens.refresh_support,
        }
    }

    /// What the server offers.
    #[must_use]
    pub fn offer(&self) -> ServerCapabilities {
        let sync = TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::INCREMENTAL),
            save: Some(true.into()),
            ..TextDocumentSyncOptions::default()
        };
        let completion = CompletionOptions {
            trigger_characters: Some(vec!["/".to_owned(), "@".to_owned()]),
            ..CompletionOptions::default()
        };
        let commands = ExecuteCommandOptions {
            commands: COMMANDS.map(str::to_owned).to_vec(),
            ..ExecuteCommandOptions::default()
        };
        ServerCapabilities {
            position_encoding: Some(self.encoding.kind()),
            text_document_sync: Some(sync.into()),
            code_action_provider: Some(true.into()),
            code_lens_provider: Some(CodeLensOptions { resolve_provider: Some(false) }),
            completion_provider: Some(completion),
            execute_command_provider: Some(commands),
            ..ServerCapabilities::default()
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Params {
    #[serde(deserialize_with = "mild")]
    capabilities: Capabilities,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Capabilities {
    #[serde(deserialize_with = "mild")]
    general: General,
    #[serde(deserialize_with = "mild")]
    window: Window,
    #[serde(deserialize_with = "mild")]
    workspace: Workspace,
    #[serde(deserialize_with = "mild")]
    text_document: TextDocument,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct General {
    #[serde(deserialize_with = "mild")]
    position_encodings: Option<Vec<PositionEncodingKind>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Window {
    #[serde(deserialize_with = "mild")]
    work_done_progress: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Workspace {
    #[serde(deserialize_with = "mild")]
    workspace_edit: WorkspaceEdit,
    #[serde(deserialize_with = "mild")]
    code_lens: CodeLens,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WorkspaceEdit {
    #[serde(deserialize_with = "mild")]
    document_changes: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CodeLens {
    #[serde(deserialize_with = "mild")]
    refresh_support: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct TextDocument {
    #[serde(deserialize_with = "mild")]
    code_action: CodeAction,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CodeAction {
    #[serde(deserialize_with = "mild")]
    code_action_literal_support: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mistyped_is_absent() {
        let of = |capabilities: &str| Features::from_wire(&format!(r#"{{"capabilities":{capabilities}}}"#));
        for nothing in ["null", "[]", "7", "{}", r#"{"general":[],"window":{"workDoneProgress":"yes"}}"#] {
            assert_eq!(of(nothing), Features::default(), "{nothing}");
        }
        assert_eq!(Features::from_wire("null"), Features::default());
        let all =
            of(r#"{"general":{"positionEncodings":["utf-16","utf-8"]},"window":{"workDoneProgress":true},
            "workspace":{"workspaceEdit":{"documentChanges":true},"codeLens":{"refreshSupport":true}},
            "textDocument":{"codeAction":{"codeActionLiteralSupport":{}}}}"#);
        let expected = Features {
            encoding: Encoding::Utf8,
            versions: true,
            actions: true,
            progress: true,
            lenses: true,
        };
        assert_eq!(all, expected);
        // One that is wrong takes none of the others with it.
        let some = of(r#"{"general":5,"workspace":{"workspaceEdit":{"documentChanges":true},"codeLens":7}}"#);
        assert_eq!(some, Features { versions: true, ..Features::default() });
    }
}

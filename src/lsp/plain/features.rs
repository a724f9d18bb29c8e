//! What a plain editor says it can do, and what it is offered. What it forgets to announce is tried all the same,
//! unless the language server protocol forbids that.

use serde::Deserialize;
use serde_json::Value;
use tower_lsp_server::ls_types::{
    CodeLensOptions, CompletionOptions, ExecuteCommandOptions, PositionEncodingKind, ServerCapabilities,
    TextDocumentSyncKind, TextDocumentSyncOptions,
};

use super::text::Encoding;

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
        let on = |path: &str| said.pointer(path).and_then(Value::as_bool).unwrap_or(false);
        let encodings = said.pointer("/general/positionEncodings").cloned().unwrap_or_default();
        let encodings = serde_json::from_value::<Vec<PositionEncodingKind>>(encodings).ok();
        Self {
            encoding: Encoding::negotiate(encodings.as_deref()),
            versions: on("/workspace/workspaceEdit/documentChanges"),
            actions: said
                .pointer("/textDocument/codeAction/codeActionLiteralSupport")
                .is_some_and(|support| !support.is_null()),
            progress: on("/window/workDoneProgress"),
            lenses: on("/workspace/codeLens/refreshSupport"),
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
struct Params {
    #[serde(default)]
    capabilities: Value,
}

//! The chat in an editor without a plugin: the real server, a small editor that speaks the language server protocol,
//! and a fake model over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod chance;
mod commands;
#[path = "../common/client.rs"]
mod client;
mod editor;
#[path = "../common/fake_model.rs"]
mod fake_model;
#[allow(dead_code, reason = "another test uses more of it")]
#[path = "../kill/rng.rs"]
mod rng;
mod recorded;
mod sending;
mod troubles;

use std::path::Path;

use editor::{Editor, Units};
use fake_model::{FakeModel, Request};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A home, a model and an editor.
struct Scene {
    home: TempDir,
    /// A directory of the user's.
    work: TempDir,
    model: FakeModel,
    editor: Editor,
}

impl Scene {
    fn new(units: Units, versions: bool) -> Self {
        let (home, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let model = FakeModel::start();
        let editor = begin(home.path(), &model, units, versions);
        Self { home, work, model, editor }
    }

    /// The server dies, and another one begins in another editor.
    fn restart(self) -> Self {
        let Self { home, work, model, editor } = self;
        let (units, versions) = (editor.units, editor.versions);
        editor.client.kill();
        let editor = begin(home.path(), &model, units, versions);
        Self { home, work, model, editor }
    }

    /// The session's transcript.
    fn export(&mut self, uri: &str) -> String {
        let text = self.editor.text(uri);
        let (_, rest) = text.split_once("OA_SESSION: ").unwrap();
        let session = rest.split_whitespace().next().unwrap().to_owned();
        let answer = self.editor.request("orgAgent/sessions/export", &json!({"sessionId": session})).unwrap();
        answer["org"].as_str().unwrap().to_owned()
    }

    /// Checks that a file is what the export of its session is, apart from the open prompt at its end.
    #[track_caller]
    fn is_export(&mut self, uri: &str) {
        let text = self.editor.text(uri).to_owned();
        let kept = text.strip_suffix("* USER\n").unwrap_or_else(|| panic!("no open prompt: {text}"));
        assert_eq!(kept, self.export(uri));
    }

    /// The same for a file that begins with notes.
    #[track_caller]
    fn is_export_behind(&mut self, uri: &str, notes: &str) {
        let text = self.editor.text(uri).replacen(notes, "", 1);
        assert_eq!(text.strip_suffix("* USER\n").unwrap(), self.export(uri));
    }

    /// What the model was told last, without the first message.
    fn asked(&self) -> Vec<String> {
        let request: Request = self.model.take_request_blocking();
        let messages = request.body["messages"].as_array().unwrap();
        messages[1..].iter().map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    }

    fn finish(self) {
        self.editor.finish();
    }
}

fn begin(home: &Path, model: &FakeModel, units: Units, versions: bool) -> Editor {
    let url = model.base_url();
    let env = [("OPENAI_BASE_URL", url.as_str()), ("OPENAI_API_KEY", "x"), ("ORG_AGENT_MODEL", "fake-model")];
    Editor::start(home, &env, units, versions)
}

/// An insert as a model writes it; `text` needs no escapes.
fn insert(text: &str) -> String {
    format!(
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "{text}"))"#
    )
}

fn command(cmd: &str) -> String {
    format!(r#"(:type :request :target :shell :payload (:cmd "{cmd}"))"#)
}

/// The texts of a list of things that complete.
fn labels(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["label"].as_str().unwrap()).collect()
}

//! The Agent Client Protocol, end to end: the real binary, a scripted client, and a fake model over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod client;
mod commands;
#[path = "../common/fake_model.rs"]
mod fake_model;
mod lines;
mod options;
mod sessions;
mod terminals;
mod turns;

/// An insert as a model writes it; `text` needs no escapes.
fn insert(text: &str) -> String {
    format!(
        r#"(:type :request :target :emacs :payload (:action :insert-at-end :buffer "*org-agent-chat*" :text "{text}"))"#
    )
}

/// A command as a model writes it.
fn command(cmd: &str) -> String {
    format!(r#"(:type :request :target :shell :payload (:cmd "{cmd}"))"#)
}

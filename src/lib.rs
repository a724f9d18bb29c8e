//! org-agent: an agent kernel for editors.
//!
//! The line, in reading order: a frame comes in, becomes an event, gets its context, goes to a model,
//! is recognised byte by byte, verified, judged by the policy, and only then leaves as an actuation.
//! The log stands beside the line and is written before anything acts.
//!
//! The modules below stand in the order of their layers: a module imports only what stands above it.
//! `tests/tidy.rs` holds that rule.

// Layer 0: words.
pub mod ids;
pub mod error;
pub mod action;
pub mod record;
pub mod reply;
pub mod config;

// Layer 1: pure. No input or output, no async.
pub mod sexp;
pub mod grammar;
pub mod org;
pub mod verify;
pub mod shell;
pub mod lisp;
pub mod skill;
pub mod chosen;
pub mod policy;
pub mod request;
pub mod redact;
pub mod outgoing;
pub mod context;
pub mod search;
pub mod tokens;
pub mod prompt;
pub mod dispatch;
pub mod turn;
pub mod transcript;
pub mod why;

// Layer 2: ports. One vendor each.
pub mod known;
pub mod model;
pub mod whole;
pub mod store;
pub mod sessions;
pub mod mirror;
pub mod sandbox;
pub mod warrant;
pub mod skills;
pub mod runner;

// Layer 3: the loop.
pub mod event;
pub mod capabilities;
pub mod kernel;

// Layer 4: the edge.
pub mod logging;
pub mod lsp;
pub mod acp;
pub mod conformance;
pub mod cli;

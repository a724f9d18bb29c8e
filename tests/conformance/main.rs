//! `org-agent conformance`: a client that is as it should be passes every scene, one with a fault fails in that, and the
//! checker finds in a record what is wrong with it and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod check;
mod faults;
mod mutants;
mod player;
mod scenes;

//! The Agent Client Protocol edge, version 1: the same kernel in every editor that speaks it.
//!
//! Towards the kernel this is a client like any other: it sends events and takes what is outgoing, and the kernel knows
//! nothing of it. In reading order: bytes become lines, lines become messages, requests become events; what the kernel
//! sends becomes updates of a session. Commands are run here, in the sandbox, or by the client in a terminal of its own.

pub mod lines;
pub mod text;
mod out;
mod questions;
mod prompt;
mod options;
mod tools;

pub mod server;
mod sessions;
mod loading;
mod turns;
mod shell;
mod jobs;
mod terminal;
pub mod serve;

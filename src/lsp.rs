//! The language server protocol edge: the only place that knows JSON-RPC.
//!
//! In reading order: bytes become frames, frames become messages, requests become events for the kernel,
//! and what the kernel sends becomes frames again.

pub mod framing;
pub mod rpc;
pub mod wire;
pub mod plain;

pub mod backend;
pub mod questions;
pub mod serve;
pub mod stdio;

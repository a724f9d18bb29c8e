//! The policy about shell commands: what is allowed, asked and denied, against a corpus of commands that tried to get
//! by others.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "the documents state what was counted")]

#[path = "policy/hostile.rs"]
mod hostile;
#[path = "policy/corpus.rs"]
mod corpus;
#[path = "policy/bash.rs"]
mod bash;
#[path = "kill/rng.rs"]
mod rng;

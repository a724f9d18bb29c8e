//! `docs/protocol.schema.json` against real traffic and against the bounds of a real server, and `docs/transcript.jsonl`
//! against the session that made it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod common {
    pub mod client;
    pub mod fake_model;
}
mod protocol {
    pub mod bounds;
    pub mod schema;
    pub mod tour;
    pub mod transcript;
}

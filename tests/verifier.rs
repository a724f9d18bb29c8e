//! The verifier as others use it: exact offsets, cuts, the way back from print to action, hostile input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "verifier/cases.rs"]
mod cases;
#[path = "verifier/check_command.rs"]
mod check_command;
#[path = "verifier/hostile.rs"]
mod hostile;
#[path = "verifier/properties.rs"]
mod properties;
#[path = "verifier/reading.rs"]
mod reading;
#[path = "verifier/reference.rs"]
mod reference;
#[path = "verifier/rewrites.rs"]
mod rewrites;

//! The verifier as others use it: exact offsets, cuts, the way back from print to action, hostile input.

#[path = "verifier/cases.rs"]
mod cases;

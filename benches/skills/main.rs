//! Measures skills.
fn main() {}

//! The Agent Client Protocol edge: the same kernel in every editor that speaks it.

pub mod lines;
pub mod text;
mod out;

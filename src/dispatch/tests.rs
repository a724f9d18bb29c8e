//! Dispatch over small notes.

//! Reads notes from a directory.

//! Recorded replies, for tests.

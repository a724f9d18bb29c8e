//! The document against a naive model.

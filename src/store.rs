//! The store: one SQLite file with an append-only log and the views folded from it.

//! The language server protocol edge: the only place that knows JSON-RPC.

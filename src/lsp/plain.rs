//! The plain path: the whole chat for an editor that knows nothing but LSP.

pub mod layout;
pub mod text;

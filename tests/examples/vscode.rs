//! The models behind `examples/vscode/test/`.

//! Reads a literate Org note.

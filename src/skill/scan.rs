//! What a note's code says before it is evaluated.

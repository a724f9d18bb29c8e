//! Logs go to standard error or a file, never to standard output.

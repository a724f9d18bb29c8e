//! `org-agent serve`: the server on standard input and output.

use std::fs::File;
use std::io::{stdin, stdout};
use std::os::fd::AsFd;

use crate::error::{Error, Result};
use crate::lsp::serve::{Line, serve};

/// Serves one client until it leaves; the exit status of the process. To be run on a current-thread runtime.
///
/// # Errors
/// `internal` if the system gives no threads or no output.
pub async fn run(line: Line) -> Result<u8> {
    // Not through the standard library's buffer, which looks for line ends and would write every frame in two.
    let output = stdout().as_fd().try_clone_to_owned();
    let output = output.map_err(|error| Error::internal("no standard output").because(error))?;
    serve(stdin(), File::from(output), line).await
}

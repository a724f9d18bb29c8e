//! `org-agent acp`: the server for editors that speak the Agent Client Protocol, on standard input and output.

use std::fs::File;
use std::io::{stdin, stdout};
use std::os::fd::AsFd;
use std::path::PathBuf;

use tokio::sync::mpsc;

use super::{config, runtime};
use crate::acp::serve::serve;
use crate::acp::text::Format;
use crate::error::{Error, Result};
use crate::kernel::{Handle, Kernel};
use crate::lsp::serve::Line;

/// How many messages may wait between the kernel and the edge.
const OUTGOING: usize = 256;

/// Serve one editor over the Agent Client Protocol (newline-delimited JSON)
///
/// An editor that speaks the protocol starts this; there is nothing to type.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example, as an editor would run it:\n  org-agent acp --log-file /tmp/org-agent.log\n\n\
    ORG_AGENT_LOG chooses what is logged, for example ORG_AGENT_LOG=debug."
)]
pub(super) struct Args {
    /// Append the log to this file instead of standard error
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// How text is shown; without this, as the editor says, or by its name
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
}

/// Serves one client until it leaves.
pub(super) fn main(args: &Args) -> Result<()> {
    crate::logging::start(args.log_file.as_deref())?;
    let runtime = runtime()?;
    let result = runtime.block_on(run(args.format));
    // A model call may still wait for a name server on a thread that nothing can stop.
    runtime.shutdown_background();
    result
}

async fn run(format: Option<Format>) -> Result<()> {
    let config = config()?;
    let (handle, queue) = Handle::new();
    let (client, outgoing) = mpsc::channel(OUTGOING);
    // Beside the loop: the answer to `initialize` needs nothing from the disk. What else comes in waits in the queue.
    let task = tokio::spawn(async move {
        let kernel = tokio::task::spawn_blocking(|| Kernel::open(config)).await;
        let kernel = kernel.map_err(|error| Error::internal("the kernel broke").because(error))??;
        kernel.run(queue, client).await
    });
    let line = Line { kernel: handle, outgoing, task };
    // Not through the standard library's buffer, which looks for line ends and would write every message by itself.
    let output = stdout().as_fd().try_clone_to_owned();
    let output = output.map_err(|error| Error::internal("no standard output").because(error))?;
    serve(stdin(), File::from(output), line, format).await
}

//! `org-agent doctor`: what is configured.

use std::io::Write;

use crate::error::{Error, Result};

/// Say what is configured
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Prints where files lie; 0.
pub(super) fn main(_args: &Args) -> Result<u8> {
    let config = super::config()?;
    writeln!(std::io::stdout(), "data: {}", config.paths.data.display())
        .map_err(|error| Error::internal("standard output took no more").because(error))?;
    Ok(0)
}

//! `org-agent org markdown`: what the Org contract makes of a text, as Markdown.
//!
//! A filter. It applies the contract and renders what came of it, and knows the rules of neither.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use super::check;
use crate::cli::written;
use crate::error::Result;
use crate::org;
use crate::request::MAX_LEVEL;

const EXAMPLE: &str = "\
Examples:
  org-agent org markdown reply.org
  printf '* Title\\n\\n/see/ [[https://example.org][this]]\\n' | org-agent org markdown --level 2

The text goes through the Org contract first, as `org-agent org check` shows it. docs/org-contract.md says what becomes of \
what.

A text has at most 262144 bytes, as a reply has.

Exit status: 0 the text was written, 1 it could not be read, is too long or is not UTF-8, 2 wrong usage.";

/// Print a text as Markdown, after the Org contract
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The file with the text; without it, or with `-`, standard input
    file: Option<PathBuf>,
    /// The level of the heading that the text stands under, 1 to 64
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LEVEL)))]
    level: u32,
}

/// Runs the command: the text to `stdout`.
///
/// # Errors
/// Those of `org check` for a text that can not be read, or for `stdout`.
pub fn run(args: &Args, stdin: &mut dyn BufRead, stdout: &mut dyn Write) -> Result<()> {
    let text = check::text_of(args.file.as_deref(), stdin)?;
    let (text, _) = org::apply(&text, args.level as usize);
    let text = org::markdown::markdown(&text, args.level as usize);
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the text")
}

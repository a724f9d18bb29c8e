//! `org-agent grammar`: the action grammar for engines that constrain what a model can write.

use std::io::Write;

use clap::ValueEnum;

use crate::action::CHAT_BUFFER;
use crate::error::Result;
use crate::grammar::{Export, MAX_TEXT};

const EXAMPLE: &str = "\
Examples:
  llama.cpp:
    org-agent grammar --format gbnf > action.gbnf
    llama-cli -m model.gguf --grammar-file action.gbnf -p …
    llama-server: the text as the field \"grammar\" of a request
  vLLM, as a field of a request (in Python's client: extra_body):
    {\"structured_outputs\": {\"grammar\": TEXT OF --format gbnf OR lark}}
    {\"structured_outputs\": {\"json\": SCHEMA OF --format json-schema}}
  OpenAI, as a custom tool of the Responses API:
    {\"type\": \"custom\", \"name\": \"act\", \"format\":
      {\"type\": \"grammar\", \"syntax\": \"lark\", \"definition\": TEXT OF --format lark}}
  A reply that follows the JSON Schema is read by org-agent check --json.

Exit status: 0 the grammar was printed, 1 it could not be written, 2 wrong usage.";

/// Print the canonical form of the action grammar, for constrained decoding
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The language of the grammar
    #[arg(long, value_enum)]
    format: Format,
    /// The session's buffer
    #[arg(long, value_name = "NAME", default_value = CHAT_BUFFER)]
    buffer: String,
    /// The most characters of a text; commands have at most 16384 of them, other strings 4096. What could make a
    /// reply longer than it may be is refused: how many are too many depends on the buffer's name
    #[arg(long, value_name = "N", default_value_t = MAX_TEXT)]
    max_text: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// llama.cpp
    Gbnf,
    /// llguidance, vLLM, OpenAI's custom tools
    Lark,
    /// Everything that takes a JSON Schema
    JsonSchema,
}

/// Runs the command; answers the exit status. Arguments that do not fit each other are wrong usage.
///
/// # Errors
/// `internal` if `stdout` can not be written.
pub fn run(args: &Args, stdout: &mut dyn Write, stderr: &mut dyn Write) -> Result<u8> {
    let export = match Export::new(&args.buffer, args.max_text) {
        Ok(export) => export,
        Err(error) => {
            // Without standard error there is nobody left to tell.
            drop(writeln!(stderr, "org-agent: {error}"));
            return Ok(2);
        }
    };
    let text = match args.format {
        Format::Gbnf => export.gbnf(),
        Format::Lark => export.lark(),
        Format::JsonSchema => format!("{:#}\n", export.json_schema()),
    };
    super::written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the grammar")?;
    Ok(0)
}

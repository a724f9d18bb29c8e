//! `org-agent org check`: what the Org contract makes of a text, and what it changed.
//!
//! A filter: text that needed changes is no failure. It applies the contract of `crate::org` and knows none
//! of its rules.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::action::MAX_REPLY;
use crate::cli::{jsonl, written};
use crate::error::{Error, Result};
use crate::org::{self, Change};
use crate::request::MAX_LEVEL;

const EXAMPLE: &str = "\
Examples:
  org-agent org check reply.md
  printf '# Title\\n\\n**bold**\\n' | org-agent org check --level 2
  echo '{\"id\":1,\"text\":\"# Title\",\"level\":2}' | org-agent org check --jsonl

The text comes out byte for byte, without a final newline if it had none. What was changed goes to standard error, a \
line for each change. With --jsonl an answer is {\"id\":…,\"text\":\"…\",\"changes\":[{\"kind\":…,\"line\":…}]}; a line \
that cannot be answered gets a null text and an \"error\" that says why. docs/org-contract.md says what becomes of what.

A text has at most 262144 bytes, as a reply has.

Exit status: 0 the contract was applied, whether it changed something or not (with --jsonl: all lines were answered), \
1 the text could not be read, is too long or is not UTF-8, 2 wrong usage.";

/// Apply the Org contract to a text: print what may stand in a buffer, and what was changed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The file with the text; without it, or with `-`, standard input
    file: Option<PathBuf>,
    /// The level of the heading that the text stands under, 1 to 64; with --jsonl, for lines that name none
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LEVEL)))]
    level: u32,
    /// Answer many: read {"id":…,"text":"…","level":N} lines, print one JSON line for each
    #[arg(long)]
    jsonl: bool,
}

/// Runs the command: the text, or the answers, to `stdout`, and without `--jsonl` the changes to `stderr`.
///
/// # Errors
/// `bad_request` if the text can not be read, is longer than [`MAX_REPLY`] or not UTF-8; `internal` if `stdout`
/// can not be written.
pub fn run(
    args: &Args,
    stdin: &mut dyn BufRead,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<()> {
    match args.file.as_deref().filter(|file| *file != Path::new("-")) {
        None => answer(args, "standard input", stdin, stdout, stderr),
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
            answer(args, &name, &mut BufReader::new(file), stdout, stderr)
        }
    }
}

fn answer(
    args: &Args,
    name: &str,
    input: &mut dyn BufRead,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> Result<()> {
    if args.jsonl {
        let answer = |question: Result<Question, String>| Answer::of(question, args.level);
        return written(jsonl::each(input, stdout, answer), "the answers");
    }
    let text = read(name, input)?;
    let (text, changes) = org::apply(&text, args.level as usize);
    // Before the text: it may end without a newline. Without standard error there is nobody to tell.
    drop(list(&changes, stderr));
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the text")
}

/// The text of a file, or of standard input.
pub(super) fn text_of(file: Option<&Path>, stdin: &mut dyn BufRead) -> Result<String> {
    match file.filter(|file| *file != Path::new("-")) {
        None => read("standard input", stdin),
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
            read(&name, &mut BufReader::new(file))
        }
    }
}

fn read(name: &str, input: &mut dyn BufRead) -> Result<String> {
    // One byte more than allowed is enough to see that there are too many.
    let mut text = Vec::new();
    input.take(MAX_REPLY as u64 + 1).read_to_end(&mut text).map_err(|error| unreadable(name, &error))?;
    if text.len() > MAX_REPLY {
        return Err(Error::bad_request(format!("{name} is too long"))
            .because(format!("it has more than {MAX_REPLY} bytes, the most that a reply may have"))
            .hint("give it in parts, each of whole lines and with its blocks closed"));
    }
    String::from_utf8(text).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(at).copied().unwrap_or_default();
        Error::bad_request(format!("{name} is not UTF-8"))
            .because(format!("the byte 0x{byte:02X} at offset {at} begins no well-formed character"))
            .hint("convert it to UTF-8, for example with iconv")
    })
}

fn unreadable(name: &str, error: &io::Error) -> Error {
    Error::bad_request(format!("{name} could not be read"))
        .because(error)
        .hint("give a file that exists and may be read, or - for standard input")
}

fn list(changes: &[Change], out: &mut dyn Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    for Change { kind, line } in changes {
        match org::explain(kind) {
            Some(what) => writeln!(out, "line {line}: {kind}: {what}")?,
            None => writeln!(out, "line {line}: {kind}")?,
        }
    }
    out.flush()
}

/// A line's question. What it holds is judged afterwards, so that the answer can say what is wrong with it.
#[derive(Deserialize)]
struct Question {
    text: Option<Box<RawValue>>,
    level: Option<Box<RawValue>>,
}

impl Question {
    /// The text and its level, or what is wrong and what to do about it.
    fn judge(&self, default: u32) -> Result<(String, usize), String> {
        let raw = self.text.as_deref().map_or("null", RawValue::get);
        if !raw.starts_with('"') {
            return Err("`text` is missing or no string; give the text as a string".to_owned());
        }
        let text: String = serde_json::from_str(raw)
            .map_err(|_| "`text` is no Unicode; write each surrogate with its partner".to_owned())?;
        if text.len() > MAX_REPLY {
            let length = text.len();
            return Err(format!(
                "`text` has {length} bytes, more than the {MAX_REPLY} that a reply may have; give it in parts"
            ));
        }
        let level = self.level.as_deref().map_or(Ok(default), |level| serde_json::from_str(level.get()));
        match level.ok().filter(|level| (1..=MAX_LEVEL).contains(level)) {
            Some(level) => Ok((text, level as usize)),
            None => Err(format!("`level` is not allowed; give a whole number from 1 to {MAX_LEVEL}")),
        }
    }
}

/// What is printed about one line, behind its identifier. The order of the fields is part of the surface.
#[derive(Serialize)]
struct Answer {
    text: Option<String>,
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Answer {
    fn of(question: Result<Question, String>, level: u32) -> Self {
        let why = |why| format!("{why}; write {{\"id\":…,\"text\":\"…\",\"level\":N}} on one line");
        match question.map_err(why).and_then(|question| question.judge(level)) {
            Ok((text, level)) => {
                let (text, changes) = org::apply(&text, level);
                Self { text: Some(text), changes, error: None }
            }
            Err(error) => Self { text: None, changes: Vec::new(), error: Some(error) },
        }
    }
}

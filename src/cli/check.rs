//! `org-agent check`: whether a model's reply is a valid action, and if not, where and why.
//!
//! It shows the action as the model wrote it; the Org contract is `org check`'s business.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::jsonl;
use crate::action::{Action, CHAT_BUFFER, MAX_REPLY};
use crate::error::{Error, Result};
use crate::sexp::Rejection;
use crate::sexp::printer::print;
use crate::sexp::recogniser::Recogniser;
use crate::verify::json;

const EXAMPLE: &str = "\
Examples:
  echo '(:type :response :payload (:text \"hello\"))' | org-agent check
  org-agent check reply.txt --buffer notes.org
  echo '{\"type\":\"response\",\"payload\":{\"text\":\"hello\"}}' | org-agent check --json
  echo '{\"id\":1,\"reply\":\"(:type :log)\"}' | org-agent check --jsonl

Exit status: 0 the reply is a valid action (with --jsonl: all lines were answered), 1 it is not, or could not be \
read, 2 wrong usage.";

/// Verify a model's reply: print the canonical action, or what is wrong with it and where
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The file with the reply; without it, or with `-`, standard input
    file: Option<PathBuf>,
    /// The session's buffer
    #[arg(long, value_name = "NAME", default_value = CHAT_BUFFER)]
    buffer: String,
    /// The reply is an action in its JSON form; with --jsonl, each one is
    #[arg(long)]
    json: bool,
    /// Answer many: read {"id":…,"reply":"…"} lines, print one JSON line of verdict for each
    #[arg(long)]
    jsonl: bool,
}

/// Runs the command. Answers whether the reply was accepted (with `--jsonl`: true); both verdicts go to
/// `stdout`, since both are what was asked for.
///
/// # Errors
/// `bad_request` if the file can not be read, `internal` if `stdout` can not be written. A file that can not
/// be read is a negative answer about that file (exit status 1), not a wrong use of the command line.
pub fn run(args: &Args, stdin: &mut dyn BufRead, stdout: &mut dyn Write) -> Result<bool> {
    match args.file.as_deref().filter(|file| *file != Path::new("-")) {
        None => answer(args, "standard input", stdin, stdout),
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
            answer(args, &name, &mut BufReader::new(file), stdout)
        }
    }
}

fn answer(args: &Args, name: &str, input: &mut dyn BufRead, stdout: &mut dyn Write) -> Result<bool> {
    if args.jsonl {
        let verdict = |question: Result<Question, String>| Verdict::of(question, args);
        return super::written(jsonl::each(input, stdout, verdict), "the verdicts").map(|()| true);
    }
    // One byte more than allowed is enough to see that there are too many.
    let mut reply = Vec::new();
    input.take(MAX_REPLY as u64 + 1).read_to_end(&mut reply).map_err(|error| unreadable(name, &error))?;
    let (text, accepted) = match read(&reply, args) {
        Ok(action) => (print(&action) + "\n", true),
        Err(rejection) => (rejection.render(&reply), false),
    };
    super::written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the verdict")?;
    Ok(accepted)
}

fn read(reply: &[u8], args: &Args) -> Result<Action, Rejection> {
    if args.json {
        return json::read(reply, &args.buffer);
    }
    let mut recogniser = Recogniser::new(&args.buffer);
    recogniser.feed(reply)?;
    recogniser.finish()
}

fn unreadable(name: &str, error: &io::Error) -> Error {
    Error::bad_request(format!("{name} could not be read"))
        .because(error)
        .hint("give a file that exists and may be read, or - for standard input")
}

/// The kind of a verdict about a line that holds no reply.
pub const BAD_LINE: &str = "bad-line";

#[derive(Deserialize)]
struct Question {
    reply: String,
}

/// What is printed about one line, behind its identifier. The order of the fields is part of the surface.
#[derive(Serialize)]
struct Verdict {
    verdict: &'static str,
    kind: Option<&'static str>,
    offset: Option<usize>,
    action: Option<serde_json::Value>,
    sexp: Option<String>,
    /// Of a rejection: what is wrong, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Verdict {
    fn of(question: Result<Question, String>, args: &Args) -> Self {
        let rejected = |kind, offset, message, hint: &str| Self {
            verdict: "reject",
            kind: Some(kind),
            offset,
            action: None,
            sexp: None,
            message: Some(message),
            hint: Some(hint.to_owned()),
        };
        match question.map(|question| read(question.reply.as_bytes(), args)) {
            Err(why) => rejected(BAD_LINE, None, why, "Write each line as {\"id\":…,\"reply\":\"…\"}."),
            Ok(Err(rejection)) => {
                rejected(rejection.kind, Some(rejection.offset), rejection.message, &rejection.hint)
            }
            Ok(Ok(action)) => Self {
                verdict: "accept",
                kind: None,
                offset: None,
                action: Some(action.to_json()),
                sexp: Some(print(&action)),
                message: None,
                hint: None,
            },
        }
    }
}

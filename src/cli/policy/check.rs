//! `org-agent policy check`: what would happen to a command, and why. Nothing is run.

use std::fmt::Write as _;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::{jsonl, written};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::kernel::rules;
use crate::record::Decision;
use crate::shell::{self, Place, Rule, Step, Verdict};

const EXAMPLE: &str = "\
Examples:
  org-agent policy check 'grep -rn TODO src | head'
  org-agent policy check 'rm -rf ~'
  echo '{\"id\":1,\"command\":\"ls -la\"}' | org-agent policy check --jsonl

Allowed is what runs without asking, asked is what you decide about, denied is what never runs. With --jsonl an answer \
is {\"id\":…,\"decision\":\"allow\"|\"ask\"|\"deny\",\"rule\":…,\"steps\":[{\"op\":…,\"argv\":[…]}]|null}; a line that is no \
question is answered with ask and an \"error\" that says why.

Exit status: 0 allowed (with --jsonl: all lines were answered), 1 asked or denied, 2 wrong usage.";

/// Say what the policy decides about a command, and by which rule
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub struct Args {
    /// The command, as one text
    #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl", allow_hyphen_values = true)]
    command: Option<String>,
    /// The workspace, in which it would run; without it, this directory
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Answer many: read {"id":…,"command":"…"} lines, print one JSON line for each
    #[arg(long)]
    jsonl: bool,
}

#[derive(Deserialize)]
struct Question {
    command: String,
}

#[derive(Serialize)]
struct Answer {
    decision: Decision,
    rule: String,
    steps: Option<Vec<Step>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Runs the command; the exit status.
///
/// # Errors
/// `bad_request` if the workspace is no directory or a rule is wrong; `internal` if `stdout` can not be written.
pub fn run(args: &Args, config: &Config, stdin: &mut dyn BufRead, stdout: &mut dyn Write) -> Result<u8> {
    let named = args.dir.as_deref().unwrap_or(Path::new("."));
    let workspace = named.canonicalize().ok().filter(|path| path.is_dir()).ok_or_else(|| {
        Error::bad_request(format!("{} is no directory", named.display()))
            .hint("name the directory that commands would run in: --dir DIR")
    })?;
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let place = Place {
        workspace: &workspace,
        directory: &workspace,
        home: home.as_deref(),
        resolve: &shell::on_disk,
    };
    // As in a turn: the user's, the saved, and the project's.
    let rules: Vec<Rule> = rules::load(config)?.into_iter().chain(rules::project(&workspace)).collect();
    if args.jsonl {
        let answer = |question: Result<Question, String>| match question {
            Ok(Question { command }) => {
                let Verdict { decision, rule, steps, .. } = shell::judge(&command, &rules, &place);
                Answer { decision, rule, steps, error: None }
            }
            Err(why) => Answer {
                decision: Decision::Ask,
                rule: "built-in: it could not be read".into(),
                steps: None,
                error: Some(why),
            },
        };
        return written(jsonl::each(stdin, stdout, answer), "the answers").map(|()| 0);
    }
    let verdict = shell::judge(args.command.as_deref().unwrap_or_default(), &rules, &place);
    written(stdout.write_all(explain(&verdict).as_bytes()), "the decision")?;
    Ok(u8::from(verdict.decision != Decision::Allow))
}

/// The decision for people.
fn explain(verdict: &Verdict) -> String {
    let mut out = format!("{}\n  {}\n", verdict.decision.as_str(), verdict.rule);
    for step in verdict.steps.iter().flatten() {
        let op = step.op.map_or("", shell::Op::as_str);
        // One argument per line, as the program gets it, with what cannot be seen written out.
        for (number, word) in step.argv.iter().enumerate() {
            let (op, lead) = if number == 0 { (op, "") } else { ("", "  ") };
            // Writing to a String can not fail.
            let _ = writeln!(out, "  {op:>2} {lead}{}", word.escape_debug());
        }
    }
    out
}

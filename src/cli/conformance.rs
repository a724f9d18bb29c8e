//! `org-agent conformance`: for authors of clients. A server with a part to play, and a checker of recorded traffic.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{config, visible};
use crate::conformance::check::{self, Checked};
use crate::conformance::scripted::{self, Options, Report, SCENES};
use crate::error::{Error, Result};

const EXAMPLE: &str = "\
Examples:
  org-agent conformance serve --report report.txt    (in the place of `org-agent serve` in your editor)
  org-agent conformance check traffic.jsonl

See \"For implementers\" in docs/protocol.md.

Exit status: 0 nothing is wrong, 1 something is, or a file could not be read, 2 wrong usage.";

/// Find out whether a client speaks the protocol: play the server for it, or check what was recorded
///
/// Without a command it is `serve`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(Serve),
    Check(CheckArgs),
}

const SERVE_HELP: &str = "\
Point your client at this in the place of `org-agent serve`, and chat. The first word of a message is the scene that is \
played: `retract`, `shell`. Any other message plays the next scene that was not played yet. When the client leaves, \
the report says for each scene what passed, what failed and why, what was not exercised, and what you have to look at \
yourself.

Scenes:
";

const SERVE_EXAMPLE: &str = "
Example, as an editor would run it:
  org-agent conformance serve --report /tmp/report.txt

Exit status: 0 nothing failed, 1 something did, 2 wrong usage.";

/// Play the server over standard input and output, and grade the client
#[derive(Debug)]
struct Serve(ServeArgs);

#[derive(Debug, Clone, clap::Args)]
struct ServeArgs {
    /// Write the report to this file instead of standard error
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Write the report as JSON
    #[arg(long)]
    json: bool,
    /// Record what passes in this new file, which `check` reads
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How many seconds to wait for what a client does by itself
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
}

// By hand, as the help names the scenes of the table.
impl clap::Args for Serve {
    fn augment_args(command: clap::Command) -> clap::Command {
        let scenes = SCENES.iter().map(|scene| {
            let by = if scene.by_message { String::new() } else { format!(" ({})", scene.start) };
            format!("  {:10} {}{by}\n", scene.name, scene.plays)
        });
        let help = SERVE_HELP.to_owned() + &scenes.collect::<String>() + SERVE_EXAMPLE;
        ServeArgs::augment_args(command)
            .about("Play the server over standard input and output, and grade the client")
            .after_help(help)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Serve {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        ServeArgs::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Check recorded traffic: each line, and what must hold between them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  org-agent conformance check traffic.jsonl\n\nThe file is what `org-agent-record-traffic` of \
    the Emacs package writes, or lines of {\"direction\":\"out\",\"message\":{…}} where `out` is from the client and `in` \
    to it.\n\nExit status: 0 nothing is wrong, 1 something is, or the file could not be read, 2 wrong usage."
)]
struct CheckArgs {
    /// The file; `-` for standard input
    file: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command; the exit status.
///
/// # Errors
/// If a file cannot be read or written.
pub(super) fn run(args: Args) -> Result<u8> {
    match args.command {
        Some(Command::Check(args)) => checked(&args, &mut io::stdout().lock()),
        Some(Command::Serve(Serve(args))) => serve(&args),
        None => serve(&args.serve),
    }
}

fn checked(args: &CheckArgs, stdout: &mut dyn Write) -> Result<u8> {
    let name = args.file.display().to_string();
    let unreadable = |error: io::Error| {
        Error::bad_request(format!("{name} could not be read"))
            .because(error)
            .hint("give a file that exists and may be read, or - for standard input")
    };
    let result = if args.file == Path::new("-") {
        check::check(&mut io::stdin().lock())
    } else {
        File::open(&args.file).and_then(|file| check::check(&mut BufReader::new(file)))
    };
    let result = result.map_err(unreadable)?;
    let text = if args.json { as_json(&result)? } else { described(&name, &result) };
    super::written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()), "the result")?;
    Ok(u8::from(!result.faults.is_empty() || result.messages == 0))
}

fn as_json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n")
        .map_err(|error| Error::internal("the result has no JSON form").because(error))
}

fn described(name: &str, result: &Checked) -> String {
    let mut text = String::new();
    for fault in &result.faults {
        let side = fault.side.map_or(String::new(), |side| format!("{side}: "));
        let line = format!(
            "{name}:{}: [{}] {side}{} (docs/protocol.md#{})\n",
            fault.line, fault.rule, fault.what, fault.section
        );
        text.push_str(&visible(&line));
    }
    if result.more > 0 {
        text.push_str(&format!("… and {} more\n", result.more));
    }
    let wrong = match result.faults.len() as u64 + result.more {
        0 if result.messages == 0 => "there is nothing to check".to_owned(),
        0 => "nothing is wrong".to_owned(),
        1 => "one thing is wrong".to_owned(),
        many => format!("{many} things are wrong"),
    };
    let Checked { messages, turns, actions, .. } = result;
    text.push_str(&format!("{name}: {messages} messages, {turns} turns, {actions} actions: {wrong}\n"));
    if result.plain {
        text.push_str(
            "It is of a plain editor: the client neither announced this protocol nor used it. Only frames, answers, errors \
             and the life cycle were looked at, not what LSP has to say.\n",
        );
    } else if !result.untried.is_empty() {
        text.push_str(&format!("Nothing in it was about: {}\n", result.untried.join(", ")));
    }
    text
}

fn serve(args: &ServeArgs) -> Result<u8> {
    let unwritable = |path: &Path, error: io::Error| {
        Error::bad_request(format!("{} could not be written", path.display()))
            .because(error)
            .hint("give a file that can be made")
    };
    // Before the first message, not after the last.
    let mut report = match &args.report {
        Some(path) => Some(File::create(path).map_err(|error| unwritable(path, error))?),
        None => None,
    };
    let mut record = match &args.record {
        Some(path) => {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            Some(file.map_err(|error| unwritable(path, error))?)
        }
        None => None,
    };
    let directory = std::env::current_dir().and_then(std::fs::canonicalize);
    let directory = directory.map_err(|error| Error::internal("no current directory").because(error))?;
    let options =
        Options { patience: Duration::from_secs(args.patience), data: config()?.paths.data, directory };
    // Not through the standard library's buffer, which looks for line ends and would write every frame in two.
    let output = io::stdout().as_fd().try_clone_to_owned();
    let mut output =
        File::from(output.map_err(|error| Error::internal("no standard output").because(error))?);
    let mut lost = None;
    let mut passed = |line: &str| {
        if let Some(file) = &mut record
            && let Err(error) = writeln!(file, "{line}")
        {
            lost = Some(error);
            record = None;
        }
    };
    let result = scripted::serve(io::stdin(), &mut output, &options, &mut passed)?;
    let text = if args.json { as_json(&result)? } else { readable(&result) };
    match &mut report {
        Some(file) => file.write_all(text.as_bytes()),
        None => io::stderr().write_all(text.as_bytes()),
    }
    .map_err(|error| Error::internal("the report could not be written").because(error))?;
    match lost {
        Some(error) => Err(Error::internal("the record is not complete").because(error)),
        None => Ok(u8::from(!result.passed)),
    }
}

fn readable(report: &Report) -> String {
    visible(&report.text()).into_owned()
}

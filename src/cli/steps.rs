//! `org-agent steps`: runs plain steps without any shell, as bash would run them.
//!
//! A shell would read the text of a command once more than it was judged. These are the very arguments that
//! were judged, so nothing is expanded, split or looked up in another way.

use std::io::{self, PipeReader, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use rustix::fs::Access;

use crate::error::{Error, Result};
use crate::shell::{Op, Step};

/// The most steps that are run.
const MAX_STEPS: usize = 1_000;

/// The statuses of wrong usage, and of a program that cannot be run or is not found, as shells have them.
const USAGE: u8 = 2;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

const EXAMPLE: &str = "\
Example:
  org-agent steps '[{\"op\":null,\"argv\":[\"ls\",\"-la\"]},{\"op\":\"|\",\"argv\":[\"head\",\"-3\"]}]'

The steps are those that org-agent policy check --jsonl prints: \"op\" is null for the first, and for each further \
one how it is joined to the one before it, \"&&\", \"||\", \";\" or \"|\", as in bash. There is no shell: arguments are \
passed on as they are, what is built into a shell is not there, and a file is a program only if the kernel runs \
it. Programs are looked up in the absolute entries of PATH that are not inside the current directory.

Exit status: that of the last pipeline that ran, which is that of its last program; 128 and the signal's number if \
a signal ended it, 126 or 127 if it cannot be run or is not found; 2 wrong usage, and nothing was run.";

/// Run programs joined by &&, ||, ; and | without a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// The directory to start in, if it is another than this
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The steps, as a JSON array of {"op":…,"argv":[…]}
    #[arg(value_name = "JSON")]
    steps: String,
}

/// Programs that run at once, each reading what the one before it writes.
#[derive(Debug, PartialEq, Eq)]
struct Pipeline {
    /// How it is joined to the one before it; never [`Op::Pipe`].
    op: Op,
    programs: Vec<Vec<String>>,
}

/// Runs the steps and answers their exit status. Errors are reported here, since their status is not that of
/// the other commands.
pub(super) fn main(args: &Args) -> u8 {
    let prepared =
        pipelines(&args.steps).and_then(|pipelines| Ok((pipelines, Search::new(args.dir.as_deref())?)));
    match prepared {
        Ok((pipelines, search)) => run(&pipelines, &search),
        Err(error) => {
            tell(&error);
            USAGE
        }
    }
}

fn tell(error: &Error) {
    // Without standard error there is nobody left to tell.
    drop(writeln!(io::stderr(), "org-agent: {error}"));
}

/// The pipelines that `json` describes.
fn pipelines(json: &str) -> Result<Vec<Pipeline>> {
    let wrong = |why: &dyn std::fmt::Display| {
        Error::bad_request("these are no steps")
            .because(why)
            .hint("give what org-agent policy check --jsonl prints as \"steps\"")
    };
    let steps: Vec<Step> = serde_json::from_str(json).map_err(|error| wrong(&error))?;
    if steps.is_empty() {
        return Err(wrong(&"there is none"));
    }
    if steps.len() > MAX_STEPS {
        return Err(wrong(&format!("there are {}, and {MAX_STEPS} at most are run", steps.len())));
    }
    let mut pipelines: Vec<Pipeline> = Vec::new();
    for (number, Step { op, argv }) in steps.into_iter().enumerate() {
        let number = number + 1;
        if argv.is_empty() {
            return Err(wrong(&format!("step {number} names no program")));
        }
        if argv.iter().any(|word| word.contains('\0')) {
            return Err(wrong(&format!(
                "an argument of step {number} has a null character, which none can have"
            )));
        }
        match (pipelines.last_mut(), op) {
            (None, None) => pipelines.push(Pipeline { op: Op::Then, programs: vec![argv] }),
            (None, Some(_)) => return Err(wrong(&"the first step is joined to nothing: its \"op\" is null")),
            (Some(_), None) => {
                return Err(wrong(&format!("the \"op\" of step {number} is none of && || ; |")));
            }
            (Some(last), Some(Op::Pipe)) => last.programs.push(argv),
            (Some(_), Some(op)) => pipelines.push(Pipeline { op, programs: vec![argv] }),
        }
    }
    Ok(pipelines)
}

/// Runs one pipeline after the other; the status of the last one that ran.
fn run(pipelines: &[Pipeline], search: &Search) -> u8 {
    let mut status = 0;
    for Pipeline { op, programs } in pipelines {
        let runs = match op {
            Op::And => status == 0,
            Op::Or => status != 0,
            Op::Then | Op::Pipe => true,
        };
        if runs {
            status = run_pipeline(programs, search);
        }
    }
    status
}

/// Starts `programs` at once and waits for all; the status of the last.
fn run_pipeline(programs: &[Vec<String>], search: &Search) -> u8 {
    let mut input: Option<PipeReader> = None;
    let mut started = Vec::with_capacity(programs.len());
    for (number, argv) in programs.iter().enumerate() {
        let last = number + 1 == programs.len();
        // What is not taken is closed here: the program before gets a broken pipe, the one after an end of input.
        started.push(start(argv, search, input.take(), (!last).then_some(&mut input)));
    }
    let mut status = 0;
    for child in started {
        status = child.and_then(wait).unwrap_or_else(|failed| failed);
    }
    status
}

/// Starts one program. Its output goes into a pipe whose other end is put into `output`, if that is given.
fn start(
    argv: &[String],
    search: &Search,
    input: Option<PipeReader>,
    output: Option<&mut Option<PipeReader>>,
) -> Result<Child, u8> {
    let failed = |error: &Error, status| {
        tell(error);
        status
    };
    let [name, arguments @ ..] = argv else { return Err(NOT_FOUND) };
    let mut writer = None;
    if let Some(output) = output {
        let (read, write) = io::pipe().map_err(|error| {
            failed(&Error::internal(format!("{name} cannot be run")).because(error), NOT_EXECUTABLE)
        })?;
        *output = Some(read);
        writer = Some(write);
    }
    let program = search.find(name).map_err(|error| failed(&error, NOT_FOUND))?;
    let mut command = Command::new(program);
    command.arg0(name).args(arguments);
    if let Some(input) = input {
        command.stdin(input);
    }
    if let Some(writer) = writer {
        command.stdout(writer);
    }
    command.spawn().map_err(|error| {
        let status = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
        failed(&Error::internal(format!("{name} cannot be run")).because(error), status)
    })
}

fn wait(mut child: Child) -> Result<u8, u8> {
    child.wait().map(code).map_err(|error| {
        tell(&Error::internal("a program was lost").because(error));
        1
    })
}

fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|number| 128 + number));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Where programs are looked up.
struct Search {
    entries: Vec<PathBuf>,
    /// The directories in which whoever wrote the steps may have put one.
    here: Vec<PathBuf>,
}

impl Search {
    /// Enters `dir`, and looks programs up in the environment's PATH.
    fn new(dir: Option<&Path>) -> Result<Self> {
        let current = || {
            std::env::current_dir().and_then(std::fs::canonicalize).map_err(|error| {
                Error::bad_request("the current directory is not there")
                    .because(error)
                    .hint("change to a directory that exists")
            })
        };
        let mut here = vec![current()?];
        if let Some(dir) = dir {
            std::env::set_current_dir(dir).map_err(|error| {
                Error::bad_request(format!("{} cannot be entered", dir.display()))
                    .because(error)
                    .hint("name a directory that exists: --dir DIR")
            })?;
            here.push(current()?);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let entries = std::env::split_paths(&path).filter(|entry| entry.is_absolute()).collect();
        Ok(Self { entries, here })
    }

    /// The file that `name` means: with a slash in it, itself; else the first that can be run, or if none can
    /// the first there is.
    fn find(&self, name: &str) -> Result<PathBuf> {
        if name.contains('/') {
            return Ok(name.into());
        }
        let mut found = None;
        for file in self.entries.iter().map(|entry| entry.join(name)).filter(|file| self.is_candidate(file)) {
            if rustix::fs::access(&file, Access::EXEC_OK).is_ok() {
                return Ok(file);
            }
            found.get_or_insert(file);
        }
        found.filter(|_| !name.is_empty()).ok_or_else(|| {
            Error::not_found(format!("{name}: command not found"))
                .because("it is in no absolute entry of PATH outside the current directory")
                .hint("install it, or write its path with a slash")
        })
    }

    /// Whether `file` is one, and is not inside the current directory by its name or by where it leads.
    fn is_candidate(&self, file: &Path) -> bool {
        let outside = |path: &Path| !self.here.iter().any(|here| path.starts_with(here));
        let entry = file.parent().and_then(|entry| entry.canonicalize().ok());
        let real = file.canonicalize().ok().filter(|real| real.is_file());
        entry.is_some_and(|entry| outside(&entry)) && real.is_some_and(|real| outside(&real))
    }
}
